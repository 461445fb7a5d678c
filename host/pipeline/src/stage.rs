//! The port of a stage: something that is asked once for a batch of events and answers for each of them.
//!
//! `host-plugin` implements it with WebAssembly components. Nothing here knows of them.

use host_event::{Columns, Edit, Reason};

/// What a stage decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    Filter,
    Sampler,
    Scrubber,
    Fingerprinter,
}

impl StageKind {
    pub const ALL: [StageKind; 4] =
        [StageKind::Filter, StageKind::Sampler, StageKind::Scrubber, StageKind::Fingerprinter];

    /// Also the name of its WIT world.
    pub fn as_str(self) -> &'static str {
        match self {
            StageKind::Filter => "filter",
            StageKind::Sampler => "sampler",
            StageKind::Scrubber => "scrubber",
            StageKind::Fingerprinter => "fingerprinter",
        }
    }
}

/// A stage of one worker. It is called from one thread, synchronously.
pub trait Stage: Send {
    fn name(&self) -> &str;
    fn kind(&self) -> StageKind;
    /// Answers for every row of `columns` (see [`Columns::len`]), and never fails as a whole: a row that the stage could not
    /// deal with is a fault, and the answer for it is the neutral one. The columns are the same afterwards.
    fn run(&mut self, columns: &mut Columns) -> StageAnswer;
}

/// One entry per row in each list.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Filter(Verdicts),
    Sample(Rates),
    Scrub(Vec<Vec<Edit>>),
    Fingerprint(Vec<Vec<Fingerprint>>),
}

/// 0 keeps; `n` drops for `reasons[n - 1]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    pub verdicts: Vec<u32>,
    pub reasons: Vec<Reason>,
}

/// Rates from 0 to 1; 0 in `decided_by` is nothing, `n` is `rules[n - 1]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    pub rates: Vec<f64>,
    pub decided_by: Vec<u32>,
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The variant, such as `app`.
    pub kind: String,
    pub hash: String,
}

impl Answer {
    /// The answer of a stage that has no opinion.
    pub fn neutral(kind: StageKind, rows: usize) -> Answer {
        match kind {
            StageKind::Filter => Answer::Filter(Verdicts { verdicts: vec![0; rows], reasons: Vec::new() }),
            StageKind::Sampler => {
                Answer::Sample(Rates { rates: vec![1.0; rows], decided_by: vec![0; rows], rules: Vec::new() })
            }
            StageKind::Scrubber => Answer::Scrub(vec![Vec::new(); rows]),
            StageKind::Fingerprinter => Answer::Fingerprint(vec![Vec::new(); rows]),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StageAnswer {
    pub answer: Answer,
    /// Ordered by row, at most one each.
    pub faults: Vec<Fault>,
}

/// A row that a stage failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub row: usize,
    /// A short key: `trap`, `deadline`, `memory`, `wrong-answer`, `breaker-open`, ...
    pub reason: &'static str,
    /// Everything an operator needs: plugin, version, generation, event, limit, and what the guest wrote.
    pub detail: String,
}

/// What becomes of the event of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// It goes on as if the stage were not there.
    FailOpen,
    /// It goes to quarantine.
    FailClosed,
}

impl FailurePolicy {
    /// A scrubber's absence must not let anything out; for the others availability counts more.
    pub fn default_of(kind: StageKind) -> FailurePolicy {
        if kind == StageKind::Scrubber { FailurePolicy::FailClosed } else { FailurePolicy::FailOpen }
    }
}
