//! One budget for the chunks of all partitions, whichever thread has them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::WorkerMetrics;

pub struct Memory {
    bytes_max: usize,
    used: AtomicUsize,
    /// What the queue holds for us beside that.
    fetched: AtomicUsize,
    claims: Mutex<Vec<Weak<Held>>>,
}

/// This share of the budget is for chunks, however much was fetched: nothing would ever be read otherwise.
const CHUNKS_SHARE: usize = 4;

/// What one partition holds.
#[derive(Default)]
struct Held {
    waiting: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicUsize,
    is_told_to_close: AtomicBool,
}

/// The part of one partition. Dropped, it holds nothing.
pub struct Claim {
    held: Arc<Held>,
    memory: Arc<Memory>,
    metrics: Arc<WorkerMetrics>,
}

impl Memory {
    pub fn new(bytes_max: usize) -> Memory {
        Memory {
            bytes_max,
            used: AtomicUsize::new(0),
            fetched: AtomicUsize::new(0),
            claims: Mutex::default(),
        }
    }

    pub fn used_bytes(&self) -> usize {
        self.used.load(Relaxed)
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub fn claim(self: &Arc<Memory>, metrics: &Arc<WorkerMetrics>) -> Claim {
        let held = Arc::new(Held::default());
        let mut claims = self.claims.lock();
        claims.retain(|claim| claim.strong_count() > 0);
        claims.push(Arc::downgrade(&held));
        Claim { held, memory: Arc::clone(self), metrics: Arc::clone(metrics) }
    }

    /// What was fetched takes its room too: librdkafka bounds it by partition, so with many of them it is what it is.
    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetched.store(bytes, Relaxed);
    }

    fn is_short(&self) -> bool {
        let left = self.bytes_max.saturating_sub(self.fetched.load(Relaxed));
        self.used_bytes() >= left.max(self.bytes_max / CHUNKS_SHARE)
    }

    /// The largest chunk is closed first: its files are the best ones, and it gives the most.
    fn tell_largest(&self) {
        let claims = self.claims.lock();
        let held: Vec<_> = claims.iter().filter_map(Weak::upgrade).collect();
        // One at a time; what is being written gives room by itself.
        if held.iter().any(|held| held.is_told_to_close.load(Relaxed) && held.open.load(Relaxed) > 0) {
            return;
        }
        if let Some(largest) = held.iter().max_by_key(|held| held.open.load(Relaxed)) {
            largest.is_told_to_close.store(true, Relaxed);
        }
    }
}

impl Claim {
    /// The chunk that is being filled has so many bytes now; with none it is closed or dropped.
    pub(crate) fn open(&self, bytes: usize) {
        if bytes == 0 {
            self.held.is_told_to_close.store(false, Relaxed);
        }
        self.metrics.open_bytes.store(bytes as u64, Relaxed);
        self.set(&self.held.open, bytes);
        if self.memory.is_short() {
            self.memory.tell_largest();
        }
    }

    /// What was read and has no end yet. Hundreds of partitions with a batch each are more than their chunks.
    pub(crate) fn waiting(&self, bytes: usize) {
        self.set(&self.held.waiting, bytes);
    }

    /// The files that are being written.
    pub(crate) fn sent(&self, bytes: usize) {
        self.metrics.sent_bytes.store(bytes as u64, Relaxed);
        self.set(&self.held.sent, bytes);
    }

    fn set(&self, place: &AtomicUsize, bytes: usize) {
        let before = place.swap(bytes, Relaxed);
        self.memory.used.fetch_add(bytes, Relaxed);
        self.memory.used.fetch_sub(before, Relaxed);
    }

    pub(crate) fn may_read(&self, memory: &Memory) -> bool {
        !memory.is_short()
    }

    pub(crate) fn is_told_to_close(&self, memory: &Memory) -> bool {
        if memory.is_short() {
            memory.tell_largest();
        }
        self.held.is_told_to_close.load(Relaxed)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.waiting(0);
        self.open(0);
        self.sent(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_closed_first_and_one_at_a_time() {
        let memory = Arc::new(Memory::new(100));
        let claims: Vec<_> = (0..3).map(|_| memory.claim(&Arc::default())).collect();
        claims[0].open(30);
        claims[1].open(50);
        assert!(claims[0].may_read(&memory) && !claims[1].is_told_to_close(&memory));
        claims[2].open(20);
        assert!(!claims[0].may_read(&memory), "at the limit nothing is read");
        let told = |claims: &[Claim]| claims.iter().map(|c| c.is_told_to_close(&memory)).collect::<Vec<_>>();
        assert_eq!(told(&claims), [false, true, false]);
        claims[1].open(0);
        claims[1].sent(50);
        assert_eq!(told(&claims), [true, false, false], "being written is not given back");
        claims[1].sent(0);
        assert!(claims[2].may_read(&memory));
        claims[2].waiting(60);
        assert!(!claims[0].may_read(&memory), "what was read counts, too");
        claims[2].waiting(0);
        memory.fetched(60);
        claims[0].open(15);
        assert!(claims[0].may_read(&memory), "what was fetched leaves 40");
        memory.fetched(70);
        assert!(!claims[0].may_read(&memory) && claims[0].is_told_to_close(&memory));
        claims[0].open(4);
        memory.fetched(1000);
        assert!(claims[0].may_read(&memory), "a quarter is for chunks, whatever was fetched");
        drop(claims);
        assert_eq!(memory.used_bytes(), 0);
    }
}
