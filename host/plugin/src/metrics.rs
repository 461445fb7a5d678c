//! What the host can say about a stage at any time. Counters are shared by its workers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::REASONS;

#[derive(Debug, Default)]
pub struct StageMetrics {
    calls: AtomicU64,
    events: AtomicU64,
    nanos: AtomicU64,
    restarts: AtomicU64,
    memory_bytes: AtomicU64,
    open_breakers: AtomicU64,
    faults: [AtomicU64; REASONS.len()],
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
    /// Instances that were replaced after a failure or because of their memory.
    pub restarts: u64,
    /// Memory of the guest that was called last.
    pub memory_bytes: u64,
    /// Workers that leave the stage alone at the moment, because it keeps failing.
    pub open_breakers: u64,
    /// Events that ended in a fault, by reason.
    pub faults: Vec<(&'static str, u64)>,
}

impl StageMetrics {
    pub fn read(&self) -> StageCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StageCounts {
            calls: get(&self.calls),
            events: get(&self.events),
            nanos: get(&self.nanos),
            restarts: get(&self.restarts),
            memory_bytes: get(&self.memory_bytes),
            open_breakers: get(&self.open_breakers),
            faults: REASONS.iter().zip(&self.faults).map(|(reason, count)| (*reason, get(count))).collect(),
        }
    }

    pub(crate) fn called(&self, events: usize, nanos: u128, memory_bytes: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.memory_bytes.store(memory_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn faulted(&self, reason: &str, events: usize) {
        let index = REASONS.iter().position(|known| *known == reason);
        let index = index.expect("every reason that a Failure is made with is in REASONS");
        self.faults[index].fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn breaker_opened(&self) {
        self.open_breakers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn breaker_closed(&self) {
        self.open_breakers.fetch_sub(1, Ordering::Relaxed);
    }
}
