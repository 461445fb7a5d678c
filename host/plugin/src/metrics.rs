//! What the host can say about a stage at any time. Counters are shared by its workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::REASONS;

#[derive(Debug, Default)]
pub struct StageMetrics {
    calls: AtomicU64,
    events: AtomicU64,
    nanos: AtomicU64,
    starts: AtomicU64,
    start_nanos: AtomicU64,
    restarts: AtomicU64,
    memory_bytes: AtomicU64,
    log_lines_suppressed: AtomicU64,
    failures: [AtomicU64; REASONS.len()],
    faults: [AtomicU64; REASONS.len()],
    next_worker: AtomicU64,
    /// By worker. Touched when a breaker opens, extends or closes, which is rare.
    breakers: Mutex<BTreeMap<u64, OpenBreaker>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageCounts {
    /// Calls into the guest that gave an answer or failed.
    pub calls: u64,
    /// Events that it was asked about, once for each call.
    pub events: u64,
    /// Time of all calls, the host's functions included.
    pub nanos: u64,
    /// Instances that were made, or failed to be, each with its `init`.
    pub starts: u64,
    /// Time of all starts.
    pub start_nanos: u64,
    /// Instances that were replaced after a failure or because of their memory.
    pub restarts: u64,
    /// Memory of the guest that was called last.
    pub memory_bytes: u64,
    /// Lines of its log that were not passed on (`log_lines_per_second_max`).
    pub log_lines_suppressed: u64,
    /// Workers that leave the stage alone at the moment, because it keeps failing.
    pub open_breakers: u64,
    /// Calls and starts that gave no answer, by reason: every limit that was hit, also where no event ended in a fault.
    pub failures: Vec<(&'static str, u64)>,
    /// Events that ended in a fault, by reason.
    pub faults: Vec<(&'static str, u64)>,
    /// The open breakers, one for each worker that has one.
    pub breakers: Vec<OpenBreaker>,
}

/// A stage that is left alone by one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    /// When it opened.
    pub opened: Instant,
    /// When a batch is tried again, or was due to be.
    pub until: Instant,
    /// How long the stage is left alone this time.
    pub back_off: Duration,
    /// What the last batch failed for, one of [`REASONS`], and all that is known about it.
    pub reason: &'static str,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Every batch is asked about.
    Closed,
    /// No batch is asked about: the failure policy decides.
    Open,
    /// The back-off is over and the next batch is a probe.
    HalfOpen,
}

impl OpenBreaker {
    pub fn state(&self, now: Instant) -> BreakerState {
        if now < self.until { BreakerState::Open } else { BreakerState::HalfOpen }
    }
}

impl StageCounts {
    /// The state of the stage as a whole: that of the worker that is the worst off.
    pub fn breaker(&self, now: Instant) -> BreakerState {
        let states: Vec<_> = self.breakers.iter().map(|breaker| breaker.state(now)).collect();
        match (states.contains(&BreakerState::Open), states.is_empty()) {
            (true, _) => BreakerState::Open,
            (false, false) => BreakerState::HalfOpen,
            (false, true) => BreakerState::Closed,
        }
    }
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

impl StageMetrics {
    pub fn read(&self) -> StageCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let by_reason = |counters: &[AtomicU64]| {
            REASONS.iter().zip(counters).map(|(reason, count)| (*reason, get(count))).collect()
        };
        let breakers: Vec<OpenBreaker> = self.breakers().values().cloned().collect();
        StageCounts {
            calls: get(&self.calls),
            events: get(&self.events),
            nanos: get(&self.nanos),
            starts: get(&self.starts),
            start_nanos: get(&self.start_nanos),
            restarts: get(&self.restarts),
            memory_bytes: get(&self.memory_bytes),
            log_lines_suppressed: get(&self.log_lines_suppressed),
            open_breakers: breakers.len() as u64,
            failures: by_reason(&self.failures),
            faults: by_reason(&self.faults),
            breakers,
        }
    }

    pub(crate) fn called(&self, events: usize, nanos: u128, memory_bytes: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.memory_bytes.store(memory_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn started(&self, nanos: u128) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.start_nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn log_line_suppressed(&self) {
        self.log_lines_suppressed.fetch_add(1, Ordering::Relaxed);
    }

    /// A call or a start failed.
    pub(crate) fn failed(&self, reason: &str) {
        self.failures[index_of(reason)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn faulted(&self, reason: &str, events: usize) {
        self.faults[index_of(reason)].fetch_add(events as u64, Ordering::Relaxed);
    }

    /// A number by which the breaker of one more worker is known.
    pub(crate) fn worker(&self) -> u64 {
        self.next_worker.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn breaker_open(&self, worker: u64, breaker: OpenBreaker) {
        self.breakers().insert(worker, breaker);
    }

    pub(crate) fn breaker_closed(&self, worker: u64) {
        self.breakers().remove(&worker);
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<u64, OpenBreaker>> {
        // Whatever panicked while it held this, a map is a map.
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index_of(reason: &str) -> usize {
    let index = REASONS.iter().position(|known| *known == reason);
    index.expect("every reason that a Failure is made with is in REASONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_breaker_speaks_for_the_stage() {
        let (metrics, now) = (StageMetrics::default(), Instant::now());
        let breaker = |millis| OpenBreaker {
            opened: now,
            until: now + Duration::from_millis(millis),
            back_off: Duration::from_millis(millis),
            reason: "trap",
            detail: String::new(),
        };
        let state = |millis| metrics.read().breaker(now + Duration::from_millis(millis));
        assert_eq!(state(0), BreakerState::Closed);
        let (first, second) = (metrics.worker(), metrics.worker());
        metrics.breaker_open(first, breaker(100));
        metrics.breaker_open(second, breaker(200));
        assert_eq!(metrics.read().open_breakers, 2);
        assert_eq!(
            (state(0), state(100), state(200)),
            (BreakerState::Open, BreakerState::Open, BreakerState::HalfOpen)
        );
        metrics.breaker_closed(second);
        assert_eq!(state(100), BreakerState::HalfOpen);
        metrics.breaker_closed(first);
        assert_eq!(state(100), BreakerState::Closed);
    }
}
