//! The instance: what all requests share, and how their records get into the queue.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_event::{
    Body, Book, Category, EventId, Meta, Millis, Outcome, OutcomeCount, Partition, ProjectId, Record,
};
use host_queue::Queue;
use tokio::sync::Semaphore;

use crate::answer::{Receipt, Refusal, Refused};
use crate::config::{Clock, Ids, IngestConfig};
use crate::intake::Intake;
use crate::memory::Memory;
use crate::metrics::{IngestMetrics, Tally};
use crate::refusals::Refusals;
use crate::sort::{Sorted, add};

/// Takes requests in. Clones share everything.
#[derive(Clone)]
pub struct Ingest {
    pub(crate) inner: Arc<Inner>,
}

pub struct Inner {
    pub(crate) config: IngestConfig,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) memory: Memory,
    pub(crate) large_jobs: Arc<Semaphore>,
    pub(crate) metrics: IngestMetrics,
    queue: Arc<dyn Queue>,
    book: Arc<dyn Book>,
    refusals: Refusals,
    /// When it was last said that the queue takes nothing.
    complained_at: AtomicI64,
}

/// A queue that takes nothing is told of so often at most, not with every request.
const COMPLAINT_INTERVAL_MS: Millis = 10_000;
/// How often refusals are written down.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

impl Ingest {
    /// `book` gets only what never reaches the queue: requests that belong to no project known here. Everything else is
    /// counted by the pipeline when it settles the records, so that nothing is counted twice.
    pub fn new(
        config: IngestConfig,
        queue: Arc<dyn Queue>,
        book: Arc<dyn Book>,
        clock: Clock,
        ids: Ids,
    ) -> Ingest {
        let memory = Memory::new(config.memory_bytes_max);
        let large_jobs = Arc::new(Semaphore::new(config.large_jobs_max.max(1)));
        let inner = Inner {
            config,
            clock,
            ids,
            memory,
            large_jobs,
            metrics: IngestMetrics::default(),
            queue,
            book,
            refusals: Refusals::default(),
            complained_at: AtomicI64::new(0),
        };
        Ingest { inner: Arc::new(inner) }
    }

    pub fn metrics(&self) -> &IngestMetrics {
        &self.inner.metrics
    }

    /// Bytes of the memory budget that are free.
    pub fn memory_free_bytes(&self) -> usize {
        self.inner.memory.free_bytes()
    }

    /// Writes refusals down once a second and, when `stop` is ready, a last time. To be awaited: a flush that is dropped
    /// on its way has taken what it did not write.
    pub async fn keep_flushing(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut tick = tokio::time::interval(FLUSH_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopped = false;
        while !stopped {
            stopped = tokio::select! {
                () = &mut stop => true,
                _ = tick.tick() => false,
            };
            self.flush().await;
        }
    }

    /// Writes down the outcomes of what was refused since the last time.
    pub async fn flush(&self) {
        self.inner.flush().await;
    }
}

impl Inner {
    /// Everything of one request goes into one partition with one append: durable together or not at all.
    pub(crate) async fn append(&self, intake: Intake) -> Result<Receipt, Refused> {
        let Intake { sorted, limited, project, lease } = intake;
        if let Some(mut refusal) = refusal_of(&sorted) {
            refusal.limited = limited;
            refusal.project = Some(project);
            refusal.causes = sorted.causes;
            refusal.ended = sorted.ended;
            return Err(refusal);
        }
        let Sorted { mut records, ended, event_id, trace_id, .. } = sorted;
        let place = trace_id.or(event_id).or(records.first().map(|r| r.meta.event_id));
        let place = place.unwrap_or(EventId(u128::from(project)));
        let tally = tally(&records);
        if !ended.is_empty() {
            records.push(self.ended(project, ended.clone()));
        }
        if !records.is_empty() {
            let partition = partition_of(place, self.queue.partitions());
            let appended = self.queue.append(partition, records).await;
            appended.map_err(|e| self.not_appended(&e, project, &tally, &ended))?;
        }
        self.metrics.appended(&tally);
        self.metrics.ended.fetch_add(ended.iter().map(|c| c.quantity).sum(), Relaxed);
        drop(lease);
        Ok(Receipt { event_id, limited })
    }

    /// The answer where the queue took nothing. Clients need not know where it lies and how large it is; operators do.
    fn not_appended(
        &self,
        error: &host_queue::Error,
        project: ProjectId,
        tally: &Tally,
        ended: &[OutcomeCount],
    ) -> Refused {
        let detail = match error {
            host_queue::Error::TooLarge { .. } => return too_large(error, project, tally, ended),
            host_queue::Error::Full { .. } => "queue is full",
            host_queue::Error::Poisoned(_) => "queue is poisoned",
            host_queue::Error::Closed => "queue is closed",
            host_queue::Error::Away(_) => "queue is away",
            _ => "queue can not be written",
        };
        let now = (self.clock)();
        let said = self.complained_at.load(Relaxed);
        let is_due = now.saturating_sub(said) >= COMPLAINT_INTERVAL_MS;
        if is_due && self.complained_at.compare_exchange(said, now, Relaxed, Relaxed).is_ok() {
            tracing::warn!("requests are answered with 503: {error}");
        }
        self.unavailable(detail.to_owned())
    }

    fn ended(&self, project_id: ProjectId, counts: Vec<OutcomeCount>) -> Record {
        let meta = Meta { project_id, received_at: (self.clock)(), ..Meta::default() };
        Record { meta, body: Body::Ended(counts) }
    }

    /// 503: come again. Nothing was taken, so there is no outcome: the client keeps its items or counts them as lost.
    pub(crate) fn unavailable(&self, detail: String) -> Refused {
        let mut refusal = Refusal::new(503, detail);
        refusal.retry_after_s = Some(self.config.retry_after_s);
        refusal
    }

    /// Accounts for a request that was refused.
    pub(crate) fn refused(&self, refusal: &mut Refusal) {
        let ended = std::mem::take(&mut refusal.ended);
        match refusal.project {
            Some(project) => self.refusals.add(project, ended, self.book.as_ref()),
            // Strangers can not make rows, and can not choose the project that they are counted under.
            None => ended.iter().for_each(|count| self.book.settle(0, count)),
        }
    }

    async fn flush(&self) {
        let mut by_partition: Vec<Vec<(ProjectId, Vec<OutcomeCount>)>> = Vec::new();
        by_partition.resize_with(self.queue.partitions() as usize, Vec::new);
        for (project, counts) in self.refusals.take() {
            let partition = partition_of(EventId(u128::from(project)), self.queue.partitions());
            by_partition[partition as usize].push((project, counts));
        }
        for (partition, projects) in by_partition.into_iter().enumerate().filter(|(_, p)| !p.is_empty()) {
            let records =
                projects.iter().map(|(project, counts)| self.ended(*project, counts.clone())).collect();
            match self.queue.append(partition as Partition, records).await {
                Ok(()) => {
                    let quantities = projects.iter().flat_map(|(_, counts)| counts).map(|c| c.quantity);
                    self.metrics.ended.fetch_add(quantities.sum(), Relaxed);
                }
                Err(e) => {
                    tracing::warn!("outcomes of refused requests can not be written down yet: {e}");
                    projects
                        .into_iter()
                        .for_each(|(p, counts)| self.refusals.add(p, counts, self.book.as_ref()));
                }
            }
        }
    }
}

/// The partition of an id: FNV-1a (64 bits) of its 16 bytes, big end first, modulo the number of partitions. It is the
/// same in every process and version, so that a trace stays in one place for as long as the number does not change.
pub fn partition_of(id: EventId, partitions: Partition) -> Partition {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = id.0.to_be_bytes().into_iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash % u64::from(partitions.max(1))) as Partition
}

fn tally(records: &[Record]) -> Tally {
    let mut tally = Tally::default();
    for record in records {
        if let Body::Item { category, .. } = &record.body {
            tally[*category as usize] += 1;
        }
    }
    tally
}

/// 413: not even an empty queue would take it, so that coming again is of no use.
fn too_large(
    error: &host_queue::Error,
    project: ProjectId,
    tally: &Tally,
    ended: &[OutcomeCount],
) -> Refused {
    let mut refusal = Refusal::new(413, error.to_string());
    refusal.project = Some(project);
    refusal.ended = ended.to_vec();
    for (category, quantity) in Category::ALL.into_iter().zip(*tally) {
        let reason = "too_large:envelope".into();
        add(&mut refusal.ended, OutcomeCount { category, outcome: Outcome::Invalid, reason, quantity });
    }
    refusal
}

/// Whether nothing of an envelope came through, and how that is answered.
///
/// As long as anything was taken in, the answer is 200. An envelope that holds nothing but types that are not kept is
/// fine too: its client did nothing wrong, and would count the items as lost a second time.
fn refusal_of(sorted: &Sorted) -> Option<Refused> {
    if !sorted.records.is_empty() || sorted.reported {
        return None;
    }
    let has = |is: &dyn Fn(&OutcomeCount) -> bool| sorted.ended.iter().any(is);
    let is_too_large = |c: &OutcomeCount| c.reason.starts_with("too_large:");
    let is_unsupported = |c: &OutcomeCount| c.reason.starts_with("unsupported_item:");
    let is_unreadable =
        |c: &OutcomeCount| c.outcome == Outcome::Invalid && !is_too_large(c) && !is_unsupported(c);
    match () {
        () if has(&|c| c.outcome == Outcome::RateLimited) => {
            Some(Refusal::new(429, "rate limited: all items of the envelope"))
        }
        () if has(&is_unreadable) => Some(Refusal::new(400, "no item of the envelope can be read")),
        () if has(&is_too_large) => Some(Refusal::new(413, "items of the envelope are too large")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_change() {
        let id = EventId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let got = [1, 2, 12, 64].map(|partitions| partition_of(id, partitions));
        // Computed by a second implementation (Python) when this was written.
        assert_eq!(got, [0, 1, 1, 37]);
        let mut spread = [0; 8];
        (0..8000u128).for_each(|n| spread[partition_of(EventId(n), 8) as usize] += 1);
        assert!(spread.iter().all(|n| (800..1200).contains(n)), "{spread:?}");
    }
}
