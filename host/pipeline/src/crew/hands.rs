//! Threads that carry errands to the store, with patience for one that is away.
//!
//! An errand that the store fails is put aside and tried again, at growing intervals with a jitter, until it succeeds, its lease is
//! lost or time is up: nothing is dropped meanwhile, the queue holds it. Errands that are put aside hold no thread, so one
//! object that fails does not stop the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_queue::Lease;
use parking_lot::{Condvar, Mutex};

use super::{Stop, WorkerMetrics};
use crate::sink::{Errand, Reply, STEPS_MAX, SinkError};

/// Of a drain, for calls that are under way once everything else has ended.
const END_WAIT_MAX: Duration = Duration::from_millis(500);
const END_LOOK_WAIT: Duration = Duration::from_millis(5);
/// Between two tries of one errand; doubles up to the longest. Half of it is drawn, so that writers that were refused together do not
/// come back together.
const TRY_WAIT_MIN: Duration = Duration::from_millis(50);
const TRY_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often a waiting thread looks whether time is up.
const LOOK_WAIT: Duration = Duration::from_millis(50);
/// A store that fails everything is spoken of so often.
const COMPLAINT_WAIT: Duration = Duration::from_secs(10);

/// Where the answers of one worker's errands come to.
#[derive(Default)]
pub(super) struct Answers {
    /// By the number of the line. Each has one errand at most.
    came: Mutex<Vec<(u64, Result<Reply, SinkError>)>>,
}

impl Answers {
    pub(super) fn take(&self) -> Vec<(u64, Result<Reply, SinkError>)> {
        std::mem::take(&mut *self.came.lock())
    }
}

pub(super) struct Job {
    pub(super) line: u64,
    pub(super) lease: Lease,
    pub(super) metrics: Arc<WorkerMetrics>,
    pub(super) errand: Box<dyn Errand>,
    pub(super) answers: Arc<Answers>,
}

struct Queued {
    job: Job,
    not_before: Instant,
    tries: u32,
    steps: u32,
}

pub(super) struct Hands {
    shared: Arc<HandsShared>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

struct HandsShared {
    jobs: Mutex<Jobs>,
    came: Condvar,
    stop: Arc<Stop>,
    draw: AtomicU64,
    away: Mutex<Away>,
}

#[derive(Default)]
struct Jobs {
    waiting: Vec<Queued>,
    is_ended: bool,
}

#[derive(Default)]
struct Away {
    since: Option<Instant>,
    said: Option<Instant>,
}

impl Hands {
    pub(super) fn start(threads: usize, stop: Arc<Stop>) -> std::io::Result<Hands> {
        let shared = Arc::new(HandsShared {
            jobs: Mutex::default(),
            came: Condvar::new(),
            stop,
            draw: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            away: Mutex::default(),
        });
        let start = |index| {
            let (shared, span) = (Arc::clone(&shared), tracing::Span::current());
            thread::Builder::new()
                .name(format!("store-{index}"))
                .spawn(move || span.in_scope(|| shared.run()))
        };
        let threads = (0..threads.max(1)).map(start).collect::<Result<_, _>>()?;
        Ok(Hands { shared, threads: Mutex::new(threads) })
    }

    pub(super) fn give(&self, job: Job) {
        let queued = Queued { job, not_before: Instant::now(), tries: 0, steps: 0 };
        self.shared.put(queued);
    }

    pub(super) fn away_for(&self) -> Option<Duration> {
        self.shared.away.lock().since.map(|since| since.elapsed())
    }

    /// Ends the threads after what each is at. What waits is given up, and so is a call that the store does not answer: nobody waits for
    /// it any more, the process ends, and what the call did is found by whoever has the partition next.
    pub(super) fn end(&self) {
        self.shared.jobs.lock().is_ended = true;
        self.shared.came.notify_all();
        let begin = Instant::now();
        for thread in self.threads.lock().drain(..) {
            while !thread.is_finished() && begin.elapsed() < END_WAIT_MAX {
                thread::sleep(END_LOOK_WAIT);
            }
            if !thread.is_finished() {
                tracing::warn!("object store: a call is given up, it was not answered");
                continue;
            }
            if thread.join().is_err() {
                tracing::error!("a thread that writes to the store panicked");
            }
        }
    }
}

impl HandsShared {
    fn put(&self, queued: Queued) {
        self.jobs.lock().waiting.push(queued);
        self.came.notify_one();
    }

    fn run(&self) {
        while let Some(mut queued) = self.next() {
            match self.carry(&mut queued) {
                Carried::Answer(answer) => {
                    let Job { line, answers, .. } = queued.job;
                    answers.came.lock().push((line, answer));
                }
                Carried::Later => self.put(queued),
                Carried::GivenUp => {}
            }
        }
    }

    /// The errand that is due first. `None` at the end.
    fn next(&self) -> Option<Queued> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.is_ended {
                return None;
            }
            let now = Instant::now();
            let first = (0..jobs.waiting.len()).min_by_key(|at| jobs.waiting[*at].not_before);
            let wait = match first {
                Some(at) if jobs.waiting[at].not_before <= now || self.stop.is_given_up() => {
                    return Some(jobs.waiting.swap_remove(at));
                }
                Some(at) => jobs.waiting[at].not_before - now,
                None => TRY_WAIT_MAX,
            };
            self.came.wait_for(&mut jobs, wait.min(LOOK_WAIT));
        }
    }

    fn carry(&self, queued: &mut Queued) -> Carried {
        while !queued.job.lease.is_lost() && !self.stop.is_given_up() {
            queued.steps += 1;
            match queued.job.errand.step() {
                Ok(None) if queued.steps < STEPS_MAX => {}
                // A store that says again and again that there is something where there is nothing is given time.
                Ok(None) => return self.put_aside(queued),
                Ok(Some(reply)) => {
                    self.away.lock().since = None;
                    return Carried::Answer(Ok(reply));
                }
                Err(SinkError::Retry { path, what }) => {
                    self.complain(&path, &what);
                    return self.put_aside(queued);
                }
                Err(fatal) => return Carried::Answer(Err(fatal)),
            }
        }
        Carried::GivenUp
    }

    fn put_aside(&self, queued: &mut Queued) -> Carried {
        queued.job.metrics.retries.fetch_add(1, Relaxed);
        let wait = (TRY_WAIT_MIN * 2u32.saturating_pow(queued.tries.min(16))).min(TRY_WAIT_MAX);
        let wait = if self.stop.is_requested() { wait.min(TRY_WAIT_MIN * 4) } else { wait };
        queued.not_before = Instant::now() + wait.mul_f64(0.5 + self.share() / 2.0);
        queued.tries += 1;
        queued.steps = 0;
        Carried::Later
    }

    /// Uniform in [0, 1).
    fn share(&self) -> f64 {
        let next = |draw: u64| {
            Some(draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let draw = self.draw.fetch_update(Relaxed, Relaxed, next).unwrap_or_default();
        (draw >> 11) as f64 / (1u64 << 53) as f64
    }

    fn complain(&self, path: &str, what: &str) {
        let now = Instant::now();
        let mut away = self.away.lock();
        away.since.get_or_insert(now);
        if away.said.is_none_or(|said| now - said >= COMPLAINT_WAIT) {
            away.said = Some(now);
            tracing::warn!(path, "object store, trying again: {what}");
        }
    }
}

enum Carried {
    Answer(Result<Reply, SinkError>),
    Later,
    GivenUp,
}
