//! The table: every hostile guest, the limit that stops it, and what the host says.

mod answers;
mod calls;
mod components;
mod resources;

use std::path::Path;
use std::time::Duration;

use host_pipeline::StageKind;
use host_plugin::{Limits, StageSpec};

use crate::guests::Guest;
use crate::support::spec;

pub struct Row {
    pub group: &'static str,
    pub name: &'static str,
    /// The name of a limit, or in a word what else stops it.
    pub limit: &'static str,
    pub ends: Ends,
    /// A part of what the operator reads. Nothing where nothing is wrong.
    pub error: &'static str,
    pub spec: StageSpec,
    /// The component is compiled by a child with so many seconds of processor time.
    pub child: Option<&'static str>,
    /// What somebody does to the cache between two loads.
    pub tamper: Option<fn(&Path)>,
    /// The event that it is asked about, instead of those that all are.
    pub event: Option<fn() -> String>,
    /// What the metrics say beside the faults.
    pub counted: Option<Counted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The component is refused before it runs.
    Refused,
    /// The stage does not start, for this reason.
    Init(&'static str),
    /// Every event ends in a fault of this reason.
    Faults(&'static str),
    /// Only the events with the message `seventh` do.
    SeventhFaults(&'static str),
    /// Some events of some batches do: no more than the host can not tell from the guilty ones.
    SomeFaults(&'static str),
    /// Every event is answered for, as if nothing had been.
    Contained,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Restarts,
    LogLines,
}

impl Ends {
    pub fn as_str(self) -> String {
        match self {
            Ends::Refused => "refused".into(),
            Ends::Init(reason) => format!("does not start: `{reason}`"),
            Ends::Faults(reason) => format!("events: `{reason}`"),
            Ends::SeventhFaults(reason) => format!("that event: `{reason}`"),
            Ends::SomeFaults(reason) => format!("some events: `{reason}`"),
            Ends::Contained => "answers".into(),
        }
    }
}

/// Small, so that the suite is quick: what is tested is that each limit holds, not how large it is.
pub fn limits() -> Limits {
    Limits {
        memory_bytes_max: 16 << 20,
        memory_bytes_recycle: 12 << 20,
        table_elements_max: 10_000,
        answer_bytes_max: 4 << 20,
        host_calls_max: 1000,
        host_call_bytes_max: 16 << 20,
        log_lines_per_second_max: 5,
        isolated_faults_max: 3,
        ..Limits::default()
    }
}

fn row(name: &'static str, limit: &'static str, ends: Ends, error: &'static str, guest: Guest) -> Row {
    let component = guest.component();
    of_bytes(name, limit, ends, error, guest.kind, component)
}

fn of_bytes(
    name: &'static str,
    limit: &'static str,
    ends: Ends,
    error: &'static str,
    kind: StageKind,
    component: Vec<u8>,
) -> Row {
    let spec = StageSpec { name: "hostile".into(), limits: limits(), ..spec(kind, component.into()) };
    Row { group: "", name, limit, ends, error, spec, child: None, tamper: None, event: None, counted: None }
}

impl Row {
    fn counted(self, counted: Counted) -> Row {
        Row { counted: Some(counted), ..self }
    }

    fn event(self, event: fn() -> String) -> Row {
        Row { event: Some(event), ..self }
    }

    /// In little time. Others have the time of the defaults: on a busy machine they must not fail for a reason that is not theirs.
    fn hurried(mut self) -> Row {
        self.spec.limits.call_time_max = Duration::from_millis(60);
        self.spec.limits.init_time_max = Duration::from_millis(200);
        self.spec.limits.isolation_time_max = Duration::from_millis(100);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut StageSpec)) -> Row {
        change(&mut self.spec);
        self
    }
}

fn filter() -> Guest {
    Guest::new(StageKind::Filter)
}

fn sampler() -> Guest {
    Guest::new(StageKind::Sampler)
}

fn scrubber() -> Guest {
    Guest::new(StageKind::Scrubber)
}

fn fingerprinter() -> Guest {
    Guest::new(StageKind::Fingerprinter)
}

pub fn all() -> Vec<Row> {
    let groups = [
        ("Time", resources::time()),
        ("Memory, tables, stack", resources::space()),
        ("Answers", answers::rows()),
        ("Calls of the host", calls::pulls()),
        ("Log", calls::logs()),
        ("Being asked again", resources::again()),
        ("Components", components::rows()),
        ("The cache of compiled code", components::cache()),
    ];
    let named =
        groups.into_iter().flat_map(|(group, rows)| rows.into_iter().map(move |row| Row { group, ..row }));
    named.collect()
}
