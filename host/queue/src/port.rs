//! The port: what ingest and pipeline know of the queue, whichever it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
    /// How many can be appended to. Where others run the log, there may be more of them later.
    fn partitions(&self) -> u32;
    /// Appends all records, in order, to one partition. They are durable when the future is ready. A refusal as [`Error::Full`],
    /// [`Error::TooLarge`] or [`Error::Closed`] took none of them; after another error it is not known.
    fn append(&self, partition: Partition, records: Vec<Record>) -> Appending<'_>;
    /// Records from `from` on, at most so many and so large (but at least one); waits up to `wait` when there are none. Blocks.
    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error>;
    /// The partitions that this process is to work off, as of now. Cheap: it is asked again and again.
    fn leases(&self) -> Vec<Lease>;
    /// Waits, but not longer than that, until something came since `seen`: records, or a change of leases. Gives what to wait on next;
    /// 0 to begin with. Blocks.
    fn wait(&self, seen: u64, at_most: Duration) -> u64;
    /// Where to begin with a partition that was leased.
    fn resume(&self, partition: Partition) -> Result<Resume, Error> {
        self.committed(partition).map(Resume::Own)
    }
    /// Everything before `next` is done for; the log may forget it. Never goes backwards.
    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error>;
    /// The same with a note beside it, which [`Resume::Shared`] gives back, and also backwards: in a log that was made anew or cut off,
    /// what was committed before says nothing. A queue that nobody else can commit to needs neither.
    fn commit_noted(&self, partition: Partition, next: Offset, _note: &str) -> Result<(), Error> {
        self.commit(partition, next)
    }
    /// The offset that [`Queue::commit`] was last given; 0 at the very start.
    fn committed(&self, partition: Partition) -> Result<Offset, Error>;
    /// The offset that the next record will get.
    fn end(&self, partition: Partition) -> Offset;
    /// Why nothing can be appended any more, if that is so: readiness and 503 depend on it.
    fn health(&self) -> Result<(), Error>;
    /// Bytes on disk, for metrics.
    fn bytes(&self) -> u64;
    /// Memory that holds records which were fetched and not read yet, as of a moment ago. A queue on the own disk holds none.
    fn fetched_bytes(&self) -> u64 {
        0
    }
}

/// A partition that this process is to work off, until it is lost. Clones are the same lease.
#[derive(Debug, Clone)]
pub struct Lease {
    pub partition: Partition,
    lost: Arc<AtomicBool>,
}

impl Lease {
    pub fn new(partition: Partition) -> Lease {
        Lease { partition, lost: Arc::default() }
    }

    /// From now on somebody else may have it. Never taken back: who gets it again gets another lease.
    pub fn lose(&self) {
        self.lost.store(true, Relaxed);
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// Whether it is this very lease, and not a later one of the same partition.
    pub fn is(&self, other: &Lease) -> bool {
        Arc::ptr_eq(&self.lost, &other.lost)
    }
}

/// Where to begin with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// What was committed last. Nobody but this queue can have said it.
    Own(Offset),
    /// What a log says that others can commit to, set back, make anew or shorten.
    Shared(Shared),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// None if the group never committed, or so long ago that it is forgotten.
    pub committed: Option<Offset>,
    /// What stood beside the commit. Empty where others committed.
    pub note: String,
    /// The oldest record that can still be read.
    pub oldest: Offset,
    /// The offset that the next record will get.
    pub end: Offset,
}

/// How far a partition is committed, for whoever only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub partition: Partition,
    pub next: Offset,
    /// As in [`Shared`].
    pub note: String,
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
    /// When it was appended, as far as the queue knows. Never changes. The embedded queue's never decreases within a partition.
    pub queued_at: Millis,
    pub record: Result<Record, BadRecord>,
}

impl Stored {
    /// CRC-32C of the record, the same each time it is read.
    pub fn crc(&self) -> u32 {
        match &self.record {
            Ok(record) => {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                crc32c::crc32c(&bytes)
            }
            Err(bad) => crc32c::crc32c(bad.to_string().as_bytes()),
        }
    }
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
    /// The log is away, or does not answer in time. What was to be appended may or may not be there.
    #[error("queue is away: {0}")]
    Away(String),
    /// The partition was given to somebody else meanwhile.
    #[error("partition {partition} is no longer leased")]
    Lost { partition: Partition },
    #[error("queue is closed")]
    Closed,
    #[error("{0}")]
    Config(String),
}
