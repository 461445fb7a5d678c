//! A range that somebody fixed and did not finish: its rows are made again, as its ledger says.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_event::{Book, Offset, OutcomeCount, Partition, ProjectId};
use host_queue::{Queue, ReadLimit, Stored};
use thiserror::Error;

use super::{Line, Means, Phase, Sent, Stopping, Turn, WorkerError};
use crate::crew::{Plans, Settlers};
use crate::draft::Draft;
use crate::settle::Settler;
use crate::sink::{Chunk, ChunkPlace, Errand, Found, Recorded, Sink, SinkError};

pub(super) struct Adoption {
    place: ChunkPlace,
    end: Offset,
    recorded: Recorded,
    /// What is left to be settled again, each with the generation that decided then.
    parts: VecDeque<(Range<Offset>, u64)>,
    /// Of the first part that is left.
    settler: Option<Settler>,
    chunk: Option<Box<dyn Chunk>>,
    draft: Arc<Draft>,
}

impl Adoption {
    pub(super) fn new(
        place: ChunkPlace,
        end: Offset,
        generations: &[(Offset, u64)],
        recorded: Recorded,
        sink: &dyn Sink,
    ) -> Adoption {
        let ends = generations.iter().skip(1).map(|(from, _)| *from).chain([end]);
        let parts =
            generations.iter().zip(ends).map(|((from, generation), until)| (*from..until, *generation));
        Adoption {
            place,
            end,
            recorded,
            parts: parts.filter(|(range, _)| !range.is_empty()).collect(),
            settler: None,
            chunk: Some(sink.begin(place)),
            draft: Arc::new(Draft::default()),
        }
    }

    /// What is to be read next; `None` if all is settled.
    fn left(&self) -> Option<Range<Offset>> {
        self.parts.front().map(|(range, _)| range.clone())
    }

    fn limit(&self, most: ReadLimit) -> ReadLimit {
        let left = self.left().map_or(0, |range| range.end - range.start);
        ReadLimit { records_max: most.records_max.min(left as usize), ..most }
    }

    /// Settles records again that begin where [`Adoption::left`] does. Why they can not be settled now, otherwise; the same can be
    /// tried again then.
    fn take(&mut self, mut batch: Vec<Stored>, settlers: &Settlers) -> Result<(), String> {
        let (Some((range, generation)), Some(chunk)) = (self.parts.front_mut(), &mut self.chunk) else {
            return Ok(());
        };
        batch.truncate((range.end - range.start) as usize);
        let settler = match &mut self.settler {
            Some(settler) => settler,
            none => {
                let settler = settlers.of(*generation)?;
                chunk.turn(*generation);
                none.insert(settler)
            }
        };
        let records = batch.len() as u64;
        settler.count_into(Arc::clone(&self.draft) as Arc<dyn Book>);
        let settled =
            settler.settle_again(batch, &self.recorded).map_err(|unsettled| unsettled.to_string())?;
        settled.into_iter().for_each(|record| chunk.push(record));
        range.start += records;
        if range.is_empty() {
            self.parts.pop_front();
            self.settler = None;
        }
        Ok(())
    }

    /// What writes the tables that are missing. Once.
    fn finish(&mut self) -> Result<Option<Box<dyn Errand>>, SinkError> {
        self.chunk.take().map(|chunk| chunk.rebuild(self.end)).transpose()
    }
}

impl Line {
    /// Settles a batch again, or hands in what is missing when all are.
    pub(super) fn adopt(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        if self.sent.is_some() {
            return Ok(Turn::Idle { until: None });
        }
        // Whoever starts next does it.
        if means.stopping == Stopping::Now {
            return Ok(self.end());
        }
        let Phase::Adopting(adoption) = &mut self.phase else { return Ok(Turn::Busy) };
        let Some(range) = adoption.left() else { return self.hand_in(means) };
        let partition = self.lease.partition;
        let most =
            ReadLimit { records_max: means.config.batch_events_max, bytes_max: means.config.batch_bytes_max };
        let read = means.queue.read(partition, range.start, adoption.limit(most), Duration::ZERO);
        let batch = read.map_err(|source| WorkerError::Queue { partition, source })?;
        let Some(last) = batch.last().map(|stored| stored.offset) else {
            // The log has them all, since the range is not committed; they may be on their way.
            return Ok(Turn::Idle { until: Some(means.now + means.config.batch_age_max) });
        };
        check_order(partition, range.start, &batch)?;
        if let Err(what) = adoption.take(batch, means.settlers) {
            tracing::warn!(partition, "can not rebuild the chunk at {} yet: {what}", adoption.place.start);
            return Ok(self.later(means));
        }
        self.back_off = Default::default();
        self.metrics.next.store(last + 1, Relaxed);
        Ok(Turn::Busy)
    }

    fn hand_in(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        let Phase::Adopting(adoption) = &mut self.phase else { return Ok(Turn::Busy) };
        let (place, end, draft) = (adoption.place, adoption.end, Arc::clone(&adoption.draft));
        let Some(errand) = adoption.finish()? else { return Ok(Turn::Idle { until: None }) };
        self.claim.sent(errand.bytes());
        self.send(Sent::Rebuild { place, end, draft }, errand, means);
        Ok(Turn::Busy)
    }
}

pub(super) fn check_order(partition: Partition, from: Offset, records: &[Stored]) -> Result<(), WorkerError> {
    match (from..).zip(records).find(|(expected, stored)| *expected != stored.offset) {
        Some((expected, stored)) => Err(WorkerError::Gap { partition, expected, found: stored.offset }),
        None => Ok(()),
    }
}

/// Why the tables of a range could not be made again.
#[derive(Debug, Error)]
pub enum RebuildError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("the queue no longer gives offset {offset}: {what}")]
    Queue { offset: Offset, what: String },
    #[error("the stages of then do not settle it the same way now: {0}")]
    Stages(String),
}

/// How long a range's next records are waited for.
const READ_WAIT: Duration = Duration::from_secs(20);

/// Makes the tables of one range that are missing, from the queue, as its ledger says: what a worker does when it begins, for a range that none will come
/// by again. Blocks.
pub fn rebuild(
    place: ChunkPlace,
    found: Found,
    queue: &dyn Queue,
    sink: &dyn Sink,
    plans: &Arc<dyn Plans>,
    most: ReadLimit,
) -> Result<(), RebuildError> {
    let Found { end, generations, incomplete } = found;
    let Some(recorded) = incomplete else { return Ok(()) };
    let settlers = Settlers::new(Arc::clone(plans));
    let mut adoption = Adoption::new(place, end, &generations, recorded, sink);
    while let Some(range) = adoption.left() {
        let offset = range.start;
        let lost = |what: String| RebuildError::Queue { offset, what };
        let read = queue.read(place.partition, offset, adoption.limit(most), READ_WAIT);
        let batch = read.map_err(|e| lost(e.to_string()))?;
        if batch.is_empty() {
            return Err(lost(format!("nothing came within {READ_WAIT:?}")));
        }
        check_order(place.partition, offset, &batch).map_err(|e| lost(e.to_string()))?;
        adoption.take(batch, &settlers).map_err(RebuildError::Stages)?;
    }
    // It was counted when it was decided.
    adoption.draft.hand_over(&Uncounted);
    match adoption.finish()? {
        Some(mut errand) => errand.run().map(drop).map_err(RebuildError::Sink),
        None => Ok(()),
    }
}

struct Uncounted;

impl Book for Uncounted {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}
