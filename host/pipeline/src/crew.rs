//! The threads of a process that work partitions off: workers, which run stages and make files, and hands, which carry files to the store.
//!
//! A worker has the stages once, however many partitions it has. Which partitions those are, the queue says, and may say otherwise at any time.

mod hands;
mod memory;
mod settlers;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host_event::{Book, Partition};
use host_queue::{Lease, Queue};
use parking_lot::Mutex;

use crate::latency::Latency;
use crate::line::{Stopping, WorkerError};
use crate::plan::Plan;
use crate::resume::Allowed;
use crate::sink::Sink;
use hands::Hands;
pub use memory::{Claim, Memory};
pub use settlers::Settlers;
use worker::Worker;

/// When a micro-batch and a chunk are full, and what all of them may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Threads that run stages.
    pub threads: usize,
    /// Errands to the store that are under way at a time, over all threads.
    pub errands_max: usize,
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    /// How long the first event of a batch waits for others.
    pub batch_age_max: Duration,
    pub chunk_rows_max: usize,
    pub chunk_bytes_max: usize,
    pub chunk_age_max: Duration,
    /// Chunks of all partitions together, those that are being written as well. When it is short the largest one is closed first, and
    /// nothing is read until there is room.
    pub memory_bytes_max: usize,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig {
            threads: 2,
            errands_max: 8,
            batch_events_max: 256,
            batch_bytes_max: 4 << 20,
            batch_age_max: Duration::from_millis(10),
            chunk_rows_max: 500_000,
            chunk_bytes_max: 40 << 20,
            chunk_age_max: Duration::from_secs(60),
            memory_bytes_max: 256 << 20,
        }
    }
}

/// Where plans come from. The number of the newest generation may change at any time; a worker looks before each batch.
pub trait Plans: Send + Sync + 'static {
    fn newest(&self) -> u64;
    /// Makes the plan of a generation for one worker. An older one is asked for after a crash.
    fn plan(&self, generation: u64) -> Result<Plan, String>;
}

/// Tells a crew to come to an end, and until when.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    /// The queue is shared: what is left in it, others work off.
    leaves: AtomicBool,
    deadlines: Mutex<Option<(Instant, Instant)>>,
}

impl Stop {
    /// From now on a line ends when its partition is worked off, or closes what it has when `within` is over. `reserve` later whatever is
    /// not written then is given up.
    pub fn request(&self, within: Duration, reserve: Duration) {
        let until = Instant::now() + within;
        *self.deadlines.lock() = Some((until, until + reserve));
        self.requested.store(true, Relaxed);
    }

    /// The same, but what is in the queue is left there.
    pub fn leave(&self, reserve: Duration) {
        self.leaves.store(true, Relaxed);
        self.request(Duration::ZERO, reserve);
    }

    pub fn is_requested(&self) -> bool {
        self.requested.load(Relaxed)
    }

    fn is_over(&self, deadline: fn((Instant, Instant)) -> Instant) -> bool {
        self.is_requested() && self.deadlines.lock().is_some_and(|both| Instant::now() >= deadline(both))
    }

    fn stopping(&self) -> Stopping {
        match self.is_requested() {
            false => Stopping::No,
            true if self.leaves.load(Relaxed) || self.is_over(|(until, _)| until) => Stopping::Now,
            true => Stopping::WhenDrained,
        }
    }

    /// Whether what is not written yet is given up.
    fn is_given_up(&self) -> bool {
        self.is_over(|(_, end)| end)
    }
}

/// What a partition shows of itself.
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
    /// Where to go on is known, so that `next` says something.
    pub begun: AtomicBool,
    pub failed: AtomicBool,
    /// Bytes of the chunk being filled, and of the one being written.
    pub open_bytes: AtomicU64,
    pub sent_bytes: AtomicU64,
}

/// What a crew works with.
#[derive(Clone)]
pub struct Tools {
    pub queue: Arc<dyn Queue>,
    pub sink: Arc<dyn Sink>,
    pub plans: Arc<dyn Plans>,
    /// Counts what is durable, when it is.
    pub book: Arc<dyn Book>,
    pub config: WorkerConfig,
    pub allowed: Allowed,
    pub stop: Arc<Stop>,
}

/// A partition that is or was worked off here since its lease.
struct Held {
    lease: Lease,
    worker: usize,
    metrics: Arc<WorkerMetrics>,
}

/// Who has which partition.
#[derive(Default)]
struct Board(Mutex<BTreeMap<Partition, Held>>);

pub struct Crew {
    board: Arc<Board>,
    memory: Arc<Memory>,
    hands: Arc<Hands>,
    threads: Vec<JoinHandle<Result<(), WorkerError>>>,
}

/// What is known of the partitions of this process; for metrics and health.
#[derive(Clone)]
pub struct Partitions(Arc<Board>);

impl Partitions {
    /// None yet: for a process that works nothing off.
    pub fn none() -> Partitions {
        Partitions(Arc::default())
    }

    pub fn all(&self) -> Vec<(Partition, Arc<WorkerMetrics>)> {
        self.0.0.lock().iter().map(|(partition, held)| (*partition, Arc::clone(&held.metrics))).collect()
    }
}

/// How the store answers.
#[derive(Clone)]
pub struct StoreHealth(Arc<Hands>);

impl StoreHealth {
    /// For how long no errand has succeeded, if the last one failed.
    pub fn away_for(&self) -> Option<Duration> {
        self.0.away_for()
    }
}

impl Crew {
    /// Its threads say what they say within the span of who starts it: of many partitions, a number alone names none.
    pub fn start(tools: &Tools) -> std::io::Result<Crew> {
        let board = Arc::new(Board::default());
        let memory = Arc::new(Memory::new(tools.config.memory_bytes_max));
        let hands = Arc::new(Hands::start(tools.config.errands_max, Arc::clone(&tools.stop))?);
        let mut threads = Vec::new();
        for index in 0..tools.config.threads.max(1) {
            let worker = Worker::new(index, tools.clone(), &board, &memory, &hands);
            let thread = thread::Builder::new().name(format!("worker-{index}"));
            let span = tracing::Span::current();
            threads.push(thread.spawn(move || span.in_scope(|| worker.run()))?);
        }
        Ok(Crew { board, memory, hands, threads })
    }

    pub fn partitions(&self) -> Partitions {
        Partitions(Arc::clone(&self.board))
    }

    pub fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    pub fn store(&self) -> StoreHealth {
        StoreHealth(Arc::clone(&self.hands))
    }

    /// Waits until all workers have ended, as [`Stop`] tells them to. The first partition that stood still is the error.
    pub fn join(self) -> Result<(), WorkerError> {
        let mut joined = Ok(());
        for thread in self.threads {
            match thread.join() {
                Ok(ended) => joined = joined.and(ended),
                // What it said was logged, and its partitions show it.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        self.hands.end();
        joined
    }
}

impl Board {
    /// Takes up what was leased since, if it is the turn of this worker: that of the one with the fewest.
    fn take(
        &self,
        worker: usize,
        workers: usize,
        leases: &[Lease],
        lines: usize,
    ) -> Vec<(Lease, Arc<WorkerMetrics>)> {
        let mut held = self.0.lock();
        held.retain(|_, held| !held.lease.is_lost());
        let mut taken = Vec::new();
        for lease in leases {
            if lease.is_lost() || held.get(&lease.partition).is_some_and(|held| held.lease.is(lease)) {
                continue;
            }
            let counts = (0..workers).map(|w| held.values().filter(|held| held.worker == w).count());
            let fewest = counts.min().unwrap_or_default();
            if lines + taken.len() > fewest {
                continue;
            }
            let metrics = Arc::new(WorkerMetrics::default());
            let entry = Held { lease: lease.clone(), worker, metrics: Arc::clone(&metrics) };
            held.insert(lease.partition, entry);
            taken.push((lease.clone(), metrics));
        }
        taken
    }

    /// Whether somebody has or had each of them.
    fn has_all(&self, leases: &[Lease]) -> bool {
        let held = self.0.lock();
        let is_held = |lease: &Lease| held.get(&lease.partition).is_some_and(|held| held.lease.is(lease));
        leases.iter().all(|lease| lease.is_lost() || is_held(lease))
    }

    /// A partition that stands still stays to be seen; one that has ended does not.
    fn leave(&self, lease: &Lease) {
        self.0.lock().retain(|_, held| !held.lease.is(lease));
    }
}
