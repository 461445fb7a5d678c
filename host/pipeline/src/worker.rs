//! One worker owns one partition: it reads in order, settles micro-batches, fills a chunk, closes it, commits.
//!
//! Nothing is remembered between chunks but the next offset, so whatever goes wrong, the answer is to begin the chunk again
//! from the queue. What the store already holds of it decides how it goes on: a range that has a ledger is settled as the ledger
//! says, and not anew.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_event::{Book, Offset, Partition};
use host_queue::{Queue, ReadLimit, Stored};
use parking_lot::Mutex;
use thiserror::Error;

use crate::draft::Draft;
use crate::latency::Latency;
use crate::plan::Plan;
use crate::settle::Settler;
use crate::sink::{Chunk, ChunkPlace, Closed, Found, Recorded, Settled, Sink, SinkError};

/// When a micro-batch and a chunk are full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    /// How long the first event of a batch waits for others.
    pub batch_age_max: Duration,
    pub chunk_rows_max: usize,
    pub chunk_bytes_max: usize,
    pub chunk_age_max: Duration,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig {
            batch_events_max: 256,
            batch_bytes_max: 4 << 20,
            batch_age_max: Duration::from_millis(10),
            chunk_rows_max: 500_000,
            chunk_bytes_max: 40 << 20,
            chunk_age_max: Duration::from_secs(60),
        }
    }
}

/// Where plans come from. The number of the newest generation may change at any time; a worker looks before each batch.
pub trait Plans: Send + Sync + 'static {
    fn newest(&self) -> u64;
    /// Makes the plan of a generation for one worker. An older one is asked for after a crash.
    fn plan(&self, generation: u64) -> Result<Plan, String>;
}

/// Tells workers to come to an end, and until when.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    deadline: Mutex<Option<Instant>>,
}

impl Stop {
    /// From now on a worker ends when its partition is worked off, or at the deadline.
    pub fn request(&self, within: Duration) {
        *self.deadline.lock() = Some(Instant::now() + within);
        self.requested.store(true, Relaxed);
    }

    pub fn is_requested(&self) -> bool {
        self.requested.load(Relaxed)
    }

    fn is_overdue(&self) -> bool {
        self.is_requested() && self.deadline.lock().is_some_and(|d| Instant::now() >= d)
    }
}

/// What a worker shows of itself.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    pub records: AtomicU64,
    pub batches: AtomicU64,
    /// From a batch that is ready to one that has its ends: turning to another generation is part of it.
    pub batch_time: Latency,
    pub chunks: AtomicU64,
    pub chunk_nanos: AtomicU64,
    pub retries: AtomicU64,
    /// The offset that comes next: what lies between it and the end of the partition is the lag.
    pub next: AtomicU64,
    pub generation: AtomicU64,
    pub failed: AtomicBool,
}

/// Why a worker gave up. Its partition stands still; the others go on.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error("partition {partition}: {source}")]
    Queue { partition: Partition, source: host_queue::Error },
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("partition {partition}: generation {generation} can not be made ready: {what}")]
    Plan { partition: Partition, generation: u64, what: String },
    #[error("partition {partition}: expected offset {expected} and the queue gave {found}")]
    Gap { partition: Partition, expected: Offset, found: Offset },
}

impl WorkerError {
    /// Whether the same may succeed later. A plan is made of what lies in the store; one that must be there at the start is not
    /// waited for.
    fn may_pass(&self) -> bool {
        matches!(self, WorkerError::Sink(SinkError::Retry { .. }) | WorkerError::Plan { .. })
    }
}

pub struct Worker {
    pub partition: Partition,
    pub queue: Arc<dyn Queue>,
    pub sink: Arc<dyn Sink>,
    pub plans: Arc<dyn Plans>,
    /// Counts what is durable, when it is.
    pub book: Arc<dyn Book>,
    pub config: WorkerConfig,
    pub stop: Arc<Stop>,
    pub metrics: Arc<WorkerMetrics>,
}

const HOUR_MILLIS: i64 = 3_600_000;
/// How long a read waits for the first record before it looks whether to stop.
const IDLE_WAIT: Duration = Duration::from_millis(200);
/// Between tries; doubles up to the longest.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(500);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(8);
/// How often a long wait looks whether to stop.
const STOP_LOOK_WAIT: Duration = Duration::from_millis(50);

/// Pauses that double.
struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> BackOff {
        BackOff(RETRY_WAIT_MIN)
    }
}

impl BackOff {
    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(RETRY_WAIT_MAX);
        wait
    }
}

/// Why filling a chunk ended.
enum Filled {
    Full { end: Offset },
    Drained { end: Offset },
}

impl Worker {
    /// Works until it is told to stop and has nothing left, or until it can not go on.
    pub fn run(self) -> Result<(), WorkerError> {
        let worked = self.work();
        if worked.is_err() {
            self.metrics.failed.store(true, Relaxed);
        }
        worked
    }

    fn work(&self) -> Result<(), WorkerError> {
        let draft = Arc::new(Draft::default());
        let mut settler = self.settler(self.plans.newest(), &draft)?;
        let mut next = self.queue.committed(self.partition).map_err(|e| self.queue_error(e))?;
        let mut back_off = BackOff::default();
        loop {
            self.metrics.next.store(next, Relaxed);
            match self.one_chunk(next, &mut settler, &draft) {
                Ok(Some(end)) => (next, back_off) = (end, BackOff::default()),
                Ok(None) => return Ok(()),
                Err(e) if e.may_pass() => {
                    tracing::warn!(partition = self.partition, "trying again: {e}");
                    if !self.wait_to_retry(&mut back_off) {
                        return Ok(());
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits before something is tried again. `false` when the time to stop has come meanwhile.
    fn wait_to_retry(&self, back_off: &mut BackOff) -> bool {
        self.metrics.retries.fetch_add(1, Relaxed);
        let (begun, wait) = (Instant::now(), back_off.next());
        while !self.stop.is_overdue() {
            // Whoever is to stop does not wait out a long pause.
            let wait = if self.stop.is_requested() { wait.min(RETRY_WAIT_MIN) } else { wait };
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(STOP_LOOK_WAIT));
        }
        false
    }

    fn settler(&self, generation: u64, draft: &Arc<Draft>) -> Result<Settler, WorkerError> {
        let partition = self.partition;
        let plan = self.plans.plan(generation);
        let plan = plan.map_err(|what| WorkerError::Plan { partition, generation, what })?;
        Ok(Settler::new(plan, Arc::clone(draft) as Arc<dyn Book>))
    }

    fn queue_error(&self, source: host_queue::Error) -> WorkerError {
        WorkerError::Queue { partition: self.partition, source }
    }

    /// Takes care of the chunk that begins at `start` and says where it ends; `None` when there is nothing to do and
    /// the worker was told to stop.
    fn one_chunk(
        &self,
        start: Offset,
        settler: &mut Settler,
        draft: &Arc<Draft>,
    ) -> Result<Option<Offset>, WorkerError> {
        let Some(first) = self.wait_for(start, settler, draft)? else { return Ok(None) };
        let place = ChunkPlace { partition: self.partition, start, queued_at: first[0].queued_at };
        if let Some(found) = self.sink.find(place)? {
            return self.adopt(place, found, draft);
        }
        draft.clear();
        let mut chunk = self.sink.begin(place);
        chunk.turn(settler.generation());
        let (end, drained) = match self.fill(chunk.as_mut(), place, first, settler, draft)? {
            Filled::Full { end } => (end, false),
            Filled::Drained { end } => (end, true),
        };
        let begun = Instant::now();
        let closed = chunk.close(end)?;
        self.metrics.chunk_nanos.fetch_add(begun.elapsed().as_nanos() as u64, Relaxed);
        self.metrics.chunks.fetch_add(1, Relaxed);
        let end = match closed {
            Closed::Done => Some(self.commit(end, draft)?),
            Closed::Lost(found) => {
                draft.clear();
                self.adopt(place, found, draft)?
            }
        };
        Ok(end.filter(|_| !(drained && self.stop.is_overdue())))
    }

    /// The first records of a chunk. `None` when the worker is to stop and there are none.
    fn wait_for(
        &self,
        start: Offset,
        settler: &mut Settler,
        draft: &Arc<Draft>,
    ) -> Result<Option<Vec<Stored>>, WorkerError> {
        loop {
            // Whoever is idle is ready for what comes next, and shows it.
            self.turn(settler, draft);
            if self.stop.is_overdue() {
                return Ok(None);
            }
            let batch = self.gather(start, IDLE_WAIT)?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            if self.stop.is_requested() {
                return Ok(None);
            }
        }
    }

    /// Fills a chunk until it is full by rows, bytes or age, the hour is over, or the worker is to stop and the queue is empty.
    fn fill(
        &self,
        chunk: &mut dyn Chunk,
        place: ChunkPlace,
        first: Vec<Stored>,
        settler: &mut Settler,
        draft: &Arc<Draft>,
    ) -> Result<Filled, WorkerError> {
        let opened = Instant::now();
        let hour = place.queued_at.div_euclid(HOUR_MILLIS);
        let (mut end, mut batch) = (place.start, first);
        loop {
            let of_hour = batch.iter().take_while(|s| s.queued_at.div_euclid(HOUR_MILLIS) == hour).count();
            let hour_is_over = of_hour < batch.len();
            batch.truncate(of_hour);
            end += batch.len() as u64;
            let ready = Instant::now();
            if self.turn(settler, draft) {
                chunk.turn(settler.generation());
            }
            self.settle_into(chunk, batch, settler, ready);
            let age = opened.elapsed();
            let full =
                chunk.rows() >= self.config.chunk_rows_max || chunk.bytes() >= self.config.chunk_bytes_max;
            if full || hour_is_over || age >= self.config.chunk_age_max {
                return Ok(Filled::Full { end });
            }
            if self.stop.is_overdue() {
                return Ok(Filled::Drained { end });
            }
            batch = self.gather(end, IDLE_WAIT.min(self.config.chunk_age_max - age))?;
            if batch.is_empty() && self.stop.is_requested() {
                return Ok(Filled::Drained { end });
            }
        }
    }

    /// Turns to the newest generation between two batches. One that can not be made ready here is no reason to stop: the old one goes on, and
    /// the next batch tries again.
    fn turn(&self, settler: &mut Settler, draft: &Arc<Draft>) -> bool {
        let (newest, old) = (self.plans.newest(), settler.generation());
        if newest != old {
            match self.settler(newest, draft) {
                Ok(next) => *settler = next,
                Err(e) => tracing::error!(partition = self.partition, old, "{e}"),
            }
        }
        self.metrics.generation.store(settler.generation(), Relaxed);
        settler.generation() != old
    }

    fn settle_into(&self, chunk: &mut dyn Chunk, batch: Vec<Stored>, settler: &mut Settler, ready: Instant) {
        if batch.is_empty() {
            return;
        }
        self.metrics.records.fetch_add(batch.len() as u64, Relaxed);
        self.metrics.batches.fetch_add(1, Relaxed);
        let settled = settler.settle(batch);
        self.metrics.batch_time.observe(ready.elapsed());
        self.push(chunk, settled);
        settler.take_passed_over().into_iter().for_each(|passed_over| chunk.note(passed_over));
    }

    fn push(&self, chunk: &mut dyn Chunk, settled: Vec<Settled>) {
        for record in settled {
            self.metrics.next.store(record.offset + 1, Relaxed);
            chunk.push(record);
        }
    }

    /// A micro-batch: what is there at once, and what comes within its age until it is full.
    fn gather(&self, from: Offset, wait: Duration) -> Result<Vec<Stored>, WorkerError> {
        let mut batch: Vec<Stored> = Vec::new();
        let (mut bytes, mut wait) = (0, if self.stop.is_requested() { Duration::ZERO } else { wait });
        let mut deadline = None;
        while batch.len() < self.config.batch_events_max && bytes < self.config.batch_bytes_max {
            let next = from + batch.len() as u64;
            let limit = ReadLimit {
                records_max: self.config.batch_events_max - batch.len(),
                bytes_max: self.config.batch_bytes_max - bytes,
            };
            let more = self.queue.read(self.partition, next, limit, wait).map_err(|e| self.queue_error(e))?;
            if more.is_empty() && (deadline.is_none() || wait.is_zero()) {
                break;
            }
            self.check_order(next, &more)?;
            bytes += more.iter().map(size_of_stored).sum::<usize>();
            batch.extend(more);
            let until = *deadline.get_or_insert_with(|| Instant::now() + self.config.batch_age_max);
            wait = until.saturating_duration_since(Instant::now());
        }
        Ok(batch)
    }

    fn check_order(&self, next: Offset, batch: &[Stored]) -> Result<(), WorkerError> {
        let wrong = (next..).zip(batch).find(|(expected, stored)| *expected != stored.offset);
        let partition = self.partition;
        match wrong {
            Some((expected, stored)) => Err(WorkerError::Gap { partition, expected, found: stored.offset }),
            None => Ok(()),
        }
    }

    fn commit(&self, end: Offset, draft: &Draft) -> Result<Offset, WorkerError> {
        self.queue.commit(self.partition, end).map_err(|e| self.queue_error(e))?;
        draft.hand_over(&*self.book);
        Ok(end)
    }

    /// Another writer, or this one before a crash, fixed the range: it holds, and so does what its ledger says of each record. What its
    /// tables lack is built from the queue, by the generations that decided then. `None` when the worker is to stop before
    /// that is done; whoever starts next does it.
    fn adopt(
        &self,
        place: ChunkPlace,
        found: Found,
        draft: &Arc<Draft>,
    ) -> Result<Option<Offset>, WorkerError> {
        let Found { end, generations, complete } = found;
        let (partition, start) = (place.partition, place.start);
        tracing::info!(partition, start, end, complete, "the store has this chunk already");
        if complete {
            // What is in the draft, if anything, was counted by the try that made it so and did not hear of it.
            return self.commit(end, draft).map(Some);
        }
        draft.clear();
        let recorded = self.sink.recorded(place)?;
        let mut chunk = self.sink.begin(place);
        let ends = generations.iter().skip(1).map(|(from, _)| *from).chain([end]);
        for ((from, generation), until) in generations.iter().zip(ends) {
            let mut settler = self.settler(*generation, draft)?;
            self.metrics.generation.store(*generation, Relaxed);
            chunk.turn(*generation);
            if !self.fill_again(chunk.as_mut(), *from..until, &mut settler, &recorded)? {
                return Ok(None);
            }
        }
        chunk.rebuild(end)?;
        self.commit(end, draft).map(Some)
    }

    /// Gives the records of a range the ends that they had. `false` when the worker is to stop before that is done.
    fn fill_again(
        &self,
        chunk: &mut dyn Chunk,
        range: Range<Offset>,
        settler: &mut Settler,
        recorded: &Recorded,
    ) -> Result<bool, WorkerError> {
        let (mut next, mut back_off) = (range.start, BackOff::default());
        while next < range.end {
            if self.stop.is_overdue() {
                return Ok(false);
            }
            let batch = self.batch_before(range.end, next)?;
            let records = batch.len() as u64;
            match settler.settle_again(batch, recorded) {
                Ok(settled) => self.push(chunk, settled),
                Err(unsettled) => {
                    let (partition, generation) = (self.partition, settler.generation());
                    tracing::warn!(partition, generation, "can not rebuild this chunk yet: {unsettled}");
                    if !self.wait_to_retry(&mut back_off) {
                        return Ok(false);
                    }
                    continue;
                }
            }
            (next, back_off) = (next + records, BackOff::default());
        }
        Ok(true)
    }

    /// The next records of a range that ends there. The queue has them all, since the range is not committed.
    fn batch_before(&self, end: Offset, next: Offset) -> Result<Vec<Stored>, WorkerError> {
        let mut batch = self.gather(next, IDLE_WAIT)?;
        batch.truncate((end - next) as usize);
        if batch.is_empty() {
            let partition = self.partition;
            return Err(WorkerError::Gap { partition, expected: next, found: self.queue.end(partition) });
        }
        Ok(batch)
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
