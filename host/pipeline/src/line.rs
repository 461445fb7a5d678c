//! One partition being worked off: what is held of it, and what happens to it next. Without a thread, a clock or a call that waits for the
//! store, so that a worker can have hundreds of them, and a simulation every order of their steps.
//!
//! ```text
//! Beginning ──▶ Seeking ──▶ Filling ──▶ (a chunk is closed: its errand runs while the next one is filled)
//!                 ▲  │found                 │ another writer was first
//!                 │  ▼                      │
//!               Adopting ◀──────────────────┘
//! ```
//!
//! Nothing is remembered between chunks but the next offset, so whatever goes wrong, the answer is to begin the chunk again from the queue. What
//! the store already holds of it decides how it goes on: a range that has a ledger is settled as the ledger says, and not anew. The
//! next chunk is filled while the files of the last one are written, and closed when they are: a chunk's ledger follows upon the whole chunk before.

mod adopt;
mod begin;
mod fill;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_event::{Book, Offset, Partition};
use host_queue::{Lease, Queue, Stored};
use thiserror::Error;

use crate::crew::{Claim, Memory, Settlers, WorkerConfig, WorkerMetrics};
use crate::draft::Draft;
use crate::resume::Allowed;
use crate::sink::{Chunk, ChunkPlace, Errand, Found, Mark, Reply, Sink, SinkError};
use adopt::{Adoption, check_order};
pub use adopt::{RebuildError, rebuild};
use begin::Beginning;

/// Why a partition stands still. The others go on.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error("partition {partition}: {source}")]
    Queue { partition: Partition, source: host_queue::Error },
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("partition {partition}: expected offset {expected} and the queue gave {found}")]
    Gap { partition: Partition, expected: Offset, found: Offset },
    #[error("partition {partition}: {what}")]
    Refused { partition: Partition, what: String },
}

/// Whether a line is to come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopping {
    No,
    /// When there is nothing left to read.
    WhenDrained,
    /// With what was read.
    Now,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something was done, and there may be more.
    Busy,
    /// There is nothing to do until records or an answer come, or until then.
    Idle { until: Option<Duration> },
    /// The line is done with, because it was lost or told to stop.
    Ended,
}

/// What a line works with. Times are counted from a moment that is the same for all turns.
pub struct Means<'a> {
    pub queue: &'a dyn Queue,
    pub sink: &'a dyn Sink,
    pub settlers: &'a mut Settlers,
    /// Takes errands; the answer comes to [`Line::answer`].
    pub hands: &'a mut dyn FnMut(Box<dyn Errand>),
    pub book: &'a dyn Book,
    pub config: &'a WorkerConfig,
    pub memory: &'a Memory,
    pub allowed: Allowed,
    pub stopping: Stopping,
    pub now: Duration,
}

pub struct Line {
    lease: Lease,
    metrics: Arc<WorkerMetrics>,
    claim: Claim,
    phase: Phase,
    epoch: u32,
    /// The first chunk of the chain begins behind the log's beginning.
    begins: bool,
    /// The offset that is read next.
    next: Offset,
    batch: Batch,
    open: Option<Open>,
    sent: Option<Sent>,
    /// What the queue could not be told yet.
    uncommitted: Option<(Offset, String)>,
    back_off: BackOff,
}

enum Phase {
    /// Where to begin is being found out.
    Beginning(Beginning),
    /// Whether the store has the next chunk already is being asked.
    Seeking,
    Filling,
    Adopting(Box<Adoption>),
}

/// Records that were read and have no end yet.
#[derive(Default)]
struct Batch {
    records: Vec<Stored>,
    bytes: usize,
    /// Since when the first of them waits for others.
    since: Duration,
    /// The last read gave nothing.
    is_dry: bool,
}

/// A chunk being filled.
struct Open {
    place: ChunkPlace,
    chunk: Box<dyn Chunk>,
    /// Counts that become true with the chunk.
    draft: Arc<Draft>,
    generation: u64,
    end: Offset,
    last: Option<Mark>,
    since: Duration,
    /// Records of a later hour have come, or memory is short.
    is_over: bool,
}

/// An errand that is under way.
enum Sent {
    Tail,
    Find(ChunkPlace),
    Close { place: ChunkPlace, end: Offset, draft: Arc<Draft>, begun: Duration },
    Rebuild { place: ChunkPlace, end: Offset, draft: Arc<Draft> },
}

/// Between tries; doubles up to the longest.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(500);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(8);

/// Pauses that double.
#[derive(Default)]
struct BackOff {
    tries: u32,
    until: Duration,
}

impl BackOff {
    fn again(&mut self, now: Duration) {
        let wait = RETRY_WAIT_MIN * 2u32.saturating_pow(self.tries.min(10));
        self.tries += 1;
        self.until = now + wait.min(RETRY_WAIT_MAX);
    }

    fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }
}

impl Line {
    pub fn new(lease: Lease, metrics: Arc<WorkerMetrics>, claim: Claim) -> Line {
        Line {
            lease,
            metrics,
            claim,
            phase: Phase::Beginning(Beginning::default()),
            epoch: 0,
            begins: false,
            next: 0,
            batch: Batch::default(),
            open: None,
            sent: None,
            uncommitted: None,
            back_off: BackOff::default(),
        }
    }

    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    pub fn metrics(&self) -> &WorkerMetrics {
        &self.metrics
    }

    /// Does one thing, if there is one to do.
    pub fn turn(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        if self.lease.is_lost() {
            return Ok(self.end());
        }
        if !self.back_off.is_over(means.now) {
            let is_to_stop = means.stopping == Stopping::Now && self.sent.is_none() && self.open.is_none();
            return Ok(if is_to_stop { self.end() } else { Turn::Idle { until: Some(self.back_off.until) } });
        }
        self.commit_again(means)?;
        let turned = match &self.phase {
            Phase::Beginning(_) => self.begin(means),
            Phase::Adopting(_) => self.adopt(means),
            Phase::Seeking | Phase::Filling => self.fill(means),
        };
        match turned {
            Err(WorkerError::Queue { source: host_queue::Error::Lost { .. }, .. }) => Ok(self.end()),
            Err(WorkerError::Queue { source: host_queue::Error::Away(what), partition }) => {
                tracing::warn!(partition, "queue is away: {what}");
                Ok(self.later(means))
            }
            other => other,
        }
    }

    /// What became of the errand that was under way.
    pub fn answer(
        &mut self,
        reply: Result<Reply, SinkError>,
        means: &mut Means<'_>,
    ) -> Result<(), WorkerError> {
        let Some(sent) = self.sent.take() else { return Ok(()) };
        let reply = reply?;
        if self.lease.is_lost() {
            return Ok(());
        }
        self.back_off = BackOff::default();
        match (sent, reply) {
            (Sent::Tail, Reply::Tail(tail)) => self.tail_is(tail, means),
            (Sent::Find(_), Reply::Nothing) => {
                self.phase = Phase::Filling;
                Ok(())
            }
            (Sent::Find(place), Reply::Found(found)) => self.found(place, found, means),
            (Sent::Close { place, end, draft, begun }, reply) => {
                let took = means.now.saturating_sub(begun);
                self.metrics.chunk_nanos.fetch_add(took.as_nanos() as u64, Relaxed);
                self.metrics.chunks.fetch_add(1, Relaxed);
                self.claim.sent(0);
                match reply {
                    Reply::Found(found) => self.found(place, found, means),
                    _ => self.done(place, end, &draft, means),
                }
            }
            (Sent::Rebuild { place, end, draft }, _) => {
                self.claim.sent(0);
                self.done(place, end, &draft, means)?;
                self.go_on_at(end, Phase::Seeking);
                Ok(())
            }
            (_, other) => self.refused(format!("the sink was asked for something else than {other:?}")),
        }
    }

    /// Another writer, or this one before a crash, fixed the range: it holds, and so does what its ledger says of each record.
    fn found(&mut self, place: ChunkPlace, found: Found, means: &mut Means<'_>) -> Result<(), WorkerError> {
        let Found { end, generations, incomplete } = found;
        let (partition, start) = (place.partition, place.start);
        tracing::info!(
            partition,
            start,
            end,
            complete = incomplete.is_none(),
            "the store has this chunk already"
        );
        match incomplete {
            None => {
                self.commit(place, end, means)?;
                self.go_on_at(end, Phase::Seeking);
            }
            Some(recorded) => {
                let adoption = Adoption::new(place, end, &generations, recorded, means.sink);
                self.go_on_at(start, Phase::Adopting(Box::new(adoption)));
            }
        }
        Ok(())
    }

    /// A chunk is durable.
    fn done(
        &mut self,
        place: ChunkPlace,
        end: Offset,
        draft: &Draft,
        means: &mut Means<'_>,
    ) -> Result<(), WorkerError> {
        draft.hand_over(means.book);
        self.begins = false;
        self.commit(place, end, means)
    }

    /// Tells the queue how far the chain in the store has come. It need not hear of it: whoever begins anew finds the chunks.
    fn commit(&mut self, place: ChunkPlace, end: Offset, means: &mut Means<'_>) -> Result<(), WorkerError> {
        self.uncommitted = Some((end, means.sink.note(place)));
        self.commit_again(means)
    }

    fn commit_again(&mut self, means: &mut Means<'_>) -> Result<(), WorkerError> {
        let Some((end, note)) = self.uncommitted.take() else { return Ok(()) };
        let partition = self.lease.partition;
        match means.queue.commit_noted(partition, end, &note) {
            Ok(()) => Ok(()),
            Err(host_queue::Error::Lost { .. }) if self.lease.is_lost() => Ok(()),
            // In the middle of a rebalance a broker takes no commit, also not from who keeps the partition.
            Err(e @ (host_queue::Error::Away(_) | host_queue::Error::Lost { .. })) => {
                tracing::warn!(partition, end, "can not commit yet: {e}");
                self.uncommitted = Some((end, note));
                self.later(means);
                Ok(())
            }
            Err(source) => Err(WorkerError::Queue { partition, source }),
        }
    }

    /// Forgets what was read and filled, and goes on there.
    fn go_on_at(&mut self, next: Offset, phase: Phase) {
        self.open = None;
        self.batch = Batch::default();
        self.claim.waiting(0);
        self.claim.open(0);
        self.next = next;
        self.phase = phase;
        self.metrics.next.store(next, Relaxed);
    }

    /// The same is tried again later.
    fn later(&mut self, means: &Means<'_>) -> Turn {
        self.metrics.retries.fetch_add(1, Relaxed);
        self.back_off.again(means.now);
        Turn::Idle { until: Some(self.back_off.until) }
    }

    fn end(&mut self) -> Turn {
        self.open = None;
        self.batch = Batch::default();
        self.claim.waiting(0);
        self.sent = None;
        self.claim.open(0);
        self.claim.sent(0);
        Turn::Ended
    }

    fn send(&mut self, sent: Sent, errand: Box<dyn Errand>, means: &mut Means<'_>) {
        self.sent = Some(sent);
        (means.hands)(errand);
    }

    fn queue_error(&self, source: host_queue::Error) -> WorkerError {
        WorkerError::Queue { partition: self.lease.partition, source }
    }

    fn refused<T>(&self, what: String) -> Result<T, WorkerError> {
        Err(WorkerError::Refused { partition: self.lease.partition, what })
    }
}

fn size_of_stored(stored: &Stored) -> usize {
    match &stored.record {
        Ok(record) => match &record.body {
            host_event::Body::Item { payload, .. } => payload.len() + record.meta.trace.len() + 64,
            host_event::Body::Ended(counts) => 64 * counts.len(),
        },
        Err(_) => 64,
    }
}

fn mark_of(stored: &Stored) -> Mark {
    Mark { queued_at: stored.queued_at, crc: stored.crc() }
}
