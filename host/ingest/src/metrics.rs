//! What ingest counts of itself, for the daemon to render.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use host_event::Category;

/// The statuses that ingest answers with, in the order of [`IngestMetrics::requests`]. Any other counts as the last.
pub const STATUSES: [u16; 13] = [200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 503, 0];
/// Upper bounds of the buckets of the latency histogram, in microseconds; one more bucket has no bound.
pub const LATENCY_BOUNDS_US: [u64; 12] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000];

#[derive(Debug, Default)]
pub struct IngestMetrics {
    /// Requests by status, as in [`STATUSES`].
    pub requests: [AtomicU64; STATUSES.len()],
    /// Bytes of bodies as they came over the wire.
    pub wire_bytes: AtomicU64,
    /// Bytes of bodies after decompression.
    pub decoded_bytes: AtomicU64,
    /// Records appended, by category in the order of [`Category::ALL`].
    pub records: [AtomicU64; Category::ALL.len()],
    /// Items that ended here and were appended as outcomes.
    pub ended: AtomicU64,
    /// Containers that announced another number of items than they had.
    pub miscounted_containers: AtomicU64,
    /// Bodies that went to the pool for large ones.
    pub large_bodies: AtomicU64,
    /// Requests by time from header to answer, as in [`LATENCY_BOUNDS_US`]; not cumulative.
    pub latency: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    pub latency_us_sum: AtomicU64,
}

/// Numbers by category, in the order of [`Category::ALL`].
pub(crate) type Tally = [u64; Category::ALL.len()];

impl IngestMetrics {
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let at = STATUSES.iter().position(|s| *s == status).unwrap_or(STATUSES.len() - 1);
        self.requests[at].fetch_add(1, Relaxed);
        let us = took.as_micros() as u64;
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < us);
        self.latency[bucket].fetch_add(1, Relaxed);
        self.latency_us_sum.fetch_add(us, Relaxed);
    }

    pub(crate) fn appended(&self, records: &Tally) {
        for (sum, more) in self.records.iter().zip(records) {
            sum.fetch_add(*more, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_latencies_find_their_places() {
        let metrics = IngestMetrics::default();
        for (status, us) in [(200, 500), (200, 501), (418, 9_000_000)] {
            metrics.answered(status, Duration::from_micros(us));
        }
        let read = |all: &[AtomicU64]| all.iter().map(|a| a.load(Relaxed)).collect::<Vec<_>>();
        assert_eq!(read(&metrics.requests), [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(read(&metrics.latency), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let mut tally = Tally::default();
        tally[Category::Log as usize] = 2;
        metrics.appended(&tally);
        metrics.appended(&tally);
        assert_eq!(metrics.records[3].load(Relaxed), 4);
        assert_eq!(Category::ALL[3], Category::Log);
    }
}
