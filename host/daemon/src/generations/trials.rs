//! A trial under way: a thread that asks the other chain about batches that a worker has settled, and compares.
//!
//! It can not slow the stream by more than it was given: a worker copies a batch only if the thread is free, and the thread rests after each
//! batch until its share of processor time is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use host_event::Columns;
use host_pipeline::generation::{Manifest, Rollout, Terms};
use host_pipeline::trial::{Report, Ruling, Side, Trial};
use host_pipeline::{Chain, Lane, Tap, Tapped};
use parking_lot::Mutex;

/// Batches that wait for the thread. More would only be older.
const WAITING_MAX: usize = 2;
/// How often the thread looks whether the trial has ended.
const LOOK_WAIT: Duration = Duration::from_millis(100);

pub struct RunningTrial {
    terms: Terms,
    begun: Instant,
    shared: Arc<Shared>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    lane: Lane,
    /// Of batches; all of them in a canary, since the traces are a share already.
    share: f64,
    seen: AtomicU64,
    sender: SyncSender<Tapped>,
    waiting: AtomicU64,
    trial: Mutex<Trial>,
}

impl RunningTrial {
    /// `other` is asked beside the chain of the lane: the candidate in a shadow, the base in a canary.
    pub fn start(
        manifest: &Manifest,
        terms: &Terms,
        lane: Lane,
        other: Chain,
    ) -> anyhow::Result<Arc<RunningTrial>> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared {
            lane,
            share: if matches!(manifest.rollout, Rollout::Canary(_)) { 1.0 } else { terms.share },
            seen: AtomicU64::new(0),
            sender,
            waiting: AtomicU64::new(0),
            trial: Mutex::default(),
        });
        let ended = Arc::new(AtomicBool::new(false));
        let compare = Comparing {
            shared: Arc::clone(&shared),
            ended: Arc::clone(&ended),
            other,
            is_candidate: lane == Lane::Main,
            cpu: terms.cpu,
        };
        let name = format!("trial-{}", manifest.generation);
        let thread = std::thread::Builder::new().name(name).spawn(move || compare.run(&receiver))?;
        Ok(Arc::new(RunningTrial {
            terms: terms.clone(),
            begun: Instant::now(),
            shared,
            ended,
            thread: Some(thread),
        }))
    }

    pub fn tap(&self) -> Arc<dyn Tap> {
        Arc::clone(&self.shared) as Arc<dyn Tap>
    }

    pub fn report(&self) -> Report {
        self.shared.trial.lock().report()
    }

    /// Whether it has come to an end by its rule.
    pub fn ruling(&self, report: &Report) -> Ruling {
        self.terms.rule.decide(report, self.begun.elapsed())
    }
}

impl Drop for RunningTrial {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It comes within a look and a batch; a panic of it was logged.
            let _ = thread.join();
        }
    }
}

impl Tap for Shared {
    fn wants(&self, lane: Lane) -> bool {
        if lane != self.lane || self.waiting.load(Relaxed) >= WAITING_MAX as u64 {
            return false;
        }
        let seen = self.seen.fetch_add(1, Relaxed);
        ((seen + 1) as f64 * self.share).floor() > (seen as f64 * self.share).floor()
    }

    fn take(&self, tapped: Tapped) {
        self.waiting.fetch_add(1, Relaxed);
        if self.sender.try_send(tapped).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }
}

/// What the thread has.
struct Comparing {
    shared: Arc<Shared>,
    ended: Arc<AtomicBool>,
    other: Chain,
    /// Whether `other` is the candidate.
    is_candidate: bool,
    cpu: f64,
}

impl Comparing {
    fn run(mut self, receiver: &Receiver<Tapped>) {
        let mut columns = Columns::default();
        while !self.ended.load(Relaxed) {
            let tapped = match receiver.recv_timeout(LOOK_WAIT) {
                Ok(tapped) => tapped,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let begun = ThreadTime::now();
            self.compare(tapped, &mut columns);
            let used = begun.elapsed();
            self.rest(used);
            self.shared.waiting.fetch_sub(1, Relaxed);
        }
    }

    fn compare(&mut self, tapped: Tapped, columns: &mut Columns) {
        let Tapped { before, after, decisions, cpu_nanos } = tapped;
        let begun = ThreadTime::now();
        let (events, said) = self.other.run(before.clone(), columns);
        let other_nanos = begun.elapsed().as_nanos() as u64;
        let live = Side { events: &after, decisions: &decisions, cpu_nanos };
        let other = Side { events: &events, decisions: &said, cpu_nanos: other_nanos };
        let (base, candidate) = if self.is_candidate { (live, other) } else { (other, live) };
        self.shared.trial.lock().add(&before, base, candidate);
    }

    /// Sleeps until the time that was used is the share of all time.
    fn rest(&self, used: Duration) {
        let mut left = used.mul_f64((1.0 / self.cpu.clamp(0.001, 1.0) - 1.0).max(0.0));
        while !left.is_zero() && !self.ended.load(Relaxed) {
            let step = left.min(LOOK_WAIT);
            std::thread::sleep(step);
            left -= step;
        }
    }
}
