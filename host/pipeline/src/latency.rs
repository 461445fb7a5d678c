//! How long batches took, counted in buckets that a scrape shows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts durations by their upper bound.
#[derive(Debug, Default)]
pub struct Latency {
    counts: [AtomicU64; Latency::BOUNDS_MILLIS.len() + 1],
    micros: AtomicU64,
}

impl Latency {
    /// Upper bounds of the buckets; behind the last one there is one more.
    pub const BOUNDS_MILLIS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

    pub fn observe(&self, took: Duration) {
        let bucket = Self::BOUNDS_MILLIS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(took.as_micros() as u64, Relaxed);
    }

    /// The count of each bucket with its upper bound in seconds, and the sum of all durations in seconds.
    pub fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = Self::BOUNDS_MILLIS.iter().map(|bound| *bound as f64 / 1e3).chain([f64::INFINITY]);
        let counts = bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        (counts, self.micros.load(Relaxed) as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let latency = Latency::default();
        [1, 50, 51, 5000].into_iter().for_each(|millis| latency.observe(Duration::from_millis(millis)));
        let (counts, sum) = latency.read();
        let found: Vec<_> = counts.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(found, [(0.001, 1), (0.05, 1), (0.1, 1), (f64::INFINITY, 1)]);
        assert_eq!(sum, 5.102);
    }
}
