//! The port: what ingest and pipeline know of the queue, whichever it is.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use host_event::{BadRecord, Millis, Offset, Partition, Record};
use thiserror::Error;

/// A read waits no longer than this, whatever it is told.
pub(crate) const READ_WAIT_MAX: Duration = Duration::from_secs(3600);

/// What [`Queue::append`] gives back.
pub type Appending<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// An ordered log of (partition, offset). Everything behind ingest knows only this.
pub trait Queue: Send + Sync + 'static {
    /// A name that never changes for this log: part of the names of the files that come of it. `[a-z0-9-]{1,40}`.
    fn source(&self) -> &str;
    fn partitions(&self) -> u32;
    /// Appends all records, in order, to one partition. They are durable when the future is ready; all or none.
    fn append(&self, partition: Partition, records: Vec<Record>) -> Appending<'_>;
    /// Records from `from` on, at most so many and so large (but at least one); waits up to `wait` when there are none. Blocks.
    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error>;
    /// Everything before `next` is done for; the log may forget it. Never goes backwards.
    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error>;
    /// The offset that [`Queue::commit`] was last given; 0 at the very start.
    fn committed(&self, partition: Partition) -> Result<Offset, Error>;
    /// The offset that the next record will get.
    fn end(&self, partition: Partition) -> Offset;
    /// Why nothing can be appended any more, if that is so: readiness and 503 depend on it.
    fn health(&self) -> Result<(), Error>;
    /// Bytes on disk, for metrics.
    fn bytes(&self) -> u64;
}

#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    pub records_max: usize,
    pub bytes_max: usize,
}

/// A record with its place.
#[derive(Debug, Clone)]
pub struct Stored {
    pub offset: Offset,
    /// When it was appended. Never changes, and never decreases within a partition.
    pub queued_at: Millis,
    pub record: Result<Record, BadRecord>,
}

/// What went wrong, by what the caller does about it.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// Come again later: HTTP says 503 with `Retry-After`.
    #[error("queue is full: {used} of {max} bytes are in use in {path}")]
    Full { path: String, used: u64, max: u64 },
    /// More than an empty queue would take in one append: coming again is of no use.
    #[error("append of {bytes} bytes is larger than the limit of {max}")]
    TooLarge { bytes: u64, max: u64 },
    /// A write or fsync failed. Nothing is appended until a restart, since what the disk holds is not known.
    #[error("queue is poisoned: {0}")]
    Poisoned(String),
    /// The log can not be read at that place.
    #[error("queue partition {partition} offset {offset}: {what}")]
    Corrupt { partition: Partition, offset: Offset, what: String },
    #[error("queue is closed")]
    Closed,
    #[error("{0}")]
    Config(String),
}
