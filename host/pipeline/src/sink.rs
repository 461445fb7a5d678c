//! The port of the sink: chunks of settled records, one contiguous range of offsets each.
//!
//! `host-sink` implements it with Parquet in an object store. The calls block; they come from worker threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use host_event::{Category, Doc, Meta, Millis, Offset, Outcome, OutcomeCount, Partition, Reason};
use host_group::Group;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub trait Sink: Send + Sync + 'static {
    /// Asks what the store has of the chunk that begins there, if anything: [`Reply::Nothing`] or [`Reply::Found`].
    fn find(&self, place: ChunkPlace) -> Box<dyn Errand>;
    /// Asks for the youngest chunk of a partition: [`Reply::Tail`]. With a note it is the one that the note names; without, the store
    /// is searched for it.
    fn tail(&self, partition: Partition, note: Option<&str>) -> Box<dyn Errand>;
    /// What a commit says beside the offset at which the chunk of this place ends.
    fn note(&self, place: ChunkPlace) -> String;
    /// Begins a chunk in memory. Nothing is written before it is closed.
    fn begin(&self, place: ChunkPlace) -> Box<dyn Chunk>;
}

pub trait Chunk: Send {
    /// Takes one record, in the order of offsets, without a gap. All of them end here, dropped ones as well.
    fn push(&mut self, settled: Settled);
    /// From the next record on, that published generation says what becomes of them. Called before the first record.
    fn turn(&mut self, generation: u64);
    /// Notes a record that went on without a stage. The ledger keeps it, so that a rebuild does the same.
    fn note(&mut self, passed_over: PassedOver);
    fn rows(&self) -> usize;
    /// Memory that the chunk holds, roughly.
    fn bytes(&self) -> usize;
    /// Makes files of it. The errand writes the ledger, which fixes the range `start..end`, and then the tables:
    /// [`Reply::Done`], or [`Reply::Found`] where another writer was first.
    fn close(self: Box<Self>, closing: Closing) -> Result<Box<dyn Errand>, SinkError>;
    /// The same for the tables that are missing behind a ledger that exists and says `end`: [`Reply::Done`].
    fn rebuild(self: Box<Self>, end: Offset) -> Result<Box<dyn Errand>, SinkError>;
}

/// Something to be done in the store, one call at a time. Dropped, it is given up; whoever begins again finds what it did.
pub trait Errand: Send {
    /// Does the next thing, and blocks for it. `None` while there is more to do. After [`SinkError::Retry`] the same is tried by the
    /// next step.
    fn step(&mut self) -> Result<Option<Reply>, SinkError>;
    /// Memory that it holds.
    fn bytes(&self) -> usize {
        0
    }

    /// All steps, without patience, for who has nothing else to do meanwhile.
    fn run(&mut self) -> Result<Reply, SinkError> {
        for _ in 0..STEPS_MAX {
            if let Some(reply) = self.step()? {
                return Ok(reply);
            }
        }
        let what = "the store says again and again that an object exists, and has nothing there".to_owned();
        Err(SinkError::Retry { path: String::new(), what })
    }
}

/// More than any honest errand needs: the ledger and seven tables, each refused, sought and created.
pub(crate) const STEPS_MAX: u32 = 40;

/// What came of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nobody has begun a chunk there.
    Nothing,
    /// Somebody has. Its range holds.
    Found(Found),
    /// All files of the range are there.
    Done,
    /// The youngest chunk of a partition, if it has one.
    Tail(Option<Tail>),
}

/// Where a chunk begins. Together with the source of the queue it gives the name of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    pub partition: Partition,
    /// Counts up when a partition is processed anew from another offset on purpose; a chain never goes back by itself.
    pub epoch: u32,
    pub start: Offset,
    /// The queue's timestamp of the first record: it never changes, so the name does not either.
    pub queued_at: Millis,
}

/// How a chunk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub end: Offset,
    pub last: Option<Mark>,
    /// It is the first one of its partition, and begins where the log begins, which has forgotten what was before.
    pub begins: bool,
}

impl Closing {
    /// Nothing is known but the end.
    pub fn at(end: Offset) -> Closing {
        Closing { end, last: None, begins: false }
    }
}

/// A ledger that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub end: Offset,
    /// The published generations, each with the first offset that it said about; the first of them is that of the chunk's start.
    pub generations: Vec<(Offset, u64)>,
    /// What it says of single records, if a table file that it names is missing: who makes it needs to know. `None` if all are there.
    pub incomplete: Option<Recorded>,
}

/// The youngest chunk of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    pub path: String,
    pub epoch: u32,
    pub end: Offset,
    pub last: Option<Mark>,
}

/// Tells the last record of a chunk from another one at the same offset: a log that was made anew or cut off has others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub queued_at: Millis,
    /// CRC-32C of the record as the embedded queue would keep it.
    pub crc: u32,
}

/// What was decided once and can not be found out by asking again: a deadline that was missed on a busy machine, or a stage that was
/// resting, is no function of the event. So the ledger keeps what followed from it, and a rebuild takes it from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Records that were not accepted. Those that ended before the queue are not among them: they say it themselves.
    pub ends: BTreeMap<Offset, RecordedEnd>,
    /// Stages that failed on a record, which went on without them.
    pub passed_over: BTreeMap<Offset, Vec<Arc<str>>>,
}

/// The end of a record that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEnd {
    pub category: Category,
    pub outcome: Outcome,
    pub reason: Reason,
    /// Empty where no stage decided it.
    pub stage: Arc<str>,
}

/// A stage that failed on a record, and whose policy it is that the record goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub offset: Offset,
    pub stage: Arc<str>,
}

/// A record and its one end.
#[derive(Debug)]
pub struct Settled {
    pub offset: Offset,
    pub queued_at: Millis,
    /// Whose chain decided, for its rows.
    pub generation: u64,
    pub meta: Meta,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// A row of the table of its category. Sessions and check-ins as well.
    Accepted(Box<Accepted>),
    /// A row of `outcomes`, without payload.
    Dropped { category: Category, outcome: Outcome, reason: Reason, stage: Arc<str> },
    /// A row of `outcomes` and one of `quarantine`, with payload.
    Quarantined {
        category: Category,
        stage: Arc<str>,
        reason: Reason,
        detail: String,
        payload: Bytes,
        /// The rate of the samplers that it had got past; 1 where there was none.
        server_sample_rate: f64,
    },
    /// Rows of `outcomes`: what ended before the queue.
    Ended(Vec<OutcomeCount>),
}

#[derive(Debug)]
pub struct Accepted {
    pub category: Category,
    pub doc: Doc,
    /// The rate that the client says it sampled with; 1 where it says nothing.
    pub client_sample_rate: f64,
    /// The rate of the sampler stage; 1 where there is none. `sum(1 / (client * server))` is unbiased.
    pub server_sample_rate: f64,
    /// Errors have one.
    pub group: Option<Group>,
}

/// What the caller does about it.
#[derive(Debug, Error)]
pub enum SinkError {
    /// The store is away or refuses: come again. Nothing is lost meanwhile, the queue holds it.
    #[error("object store: {path}: {what}")]
    Retry { path: String, what: String },
    /// Going on could break the promise: this partition stops.
    #[error("partition {partition} at offset {offset}: {what}")]
    Fatal { partition: Partition, offset: Offset, what: String },
}
