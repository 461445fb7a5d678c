//! Reading, settling, filling chunks and closing them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_event::{Book, Millis};
use host_queue::ReadLimit;

use super::{
    Line, Means, Open, Phase, Sent, Stopping, Turn, WorkerError, check_order, mark_of, size_of_stored,
};
use crate::draft::Draft;
use crate::sink::{ChunkPlace, Closing};

const HOUR_MILLIS: i64 = 3_600_000;

fn hour_of(at: Millis) -> i64 {
    at.div_euclid(HOUR_MILLIS)
}

impl Line {
    pub(super) fn fill(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        let mut is_busy = self.read(means)?;
        self.claim.waiting(self.batch.bytes);
        if matches!(self.phase, Phase::Seeking) {
            if self.is_done(means) {
                return Ok(self.end());
            }
            self.seek(means);
            return Ok(if is_busy { Turn::Busy } else { Turn::Idle { until: None } });
        }
        if self.batch_is_due(means) {
            if !self.settle(means) {
                return Ok(self.later(means));
            }
            is_busy = true;
        }
        if self.chunk_is_due(means) && self.sent.is_none() {
            self.close(means)?;
            is_busy = true;
        }
        if is_busy {
            return Ok(Turn::Busy);
        }
        Ok(if self.is_done(means) { self.end() } else { Turn::Idle { until: self.deadline(means) } })
    }

    /// Told to end, and nothing is under way.
    fn is_done(&self, means: &Means<'_>) -> bool {
        let is_told = match means.stopping {
            Stopping::No => false,
            Stopping::WhenDrained => self.batch.is_dry && self.batch.records.is_empty(),
            Stopping::Now => true,
        };
        is_told && self.open.is_none() && self.sent.is_none() && self.uncommitted.is_none()
    }

    /// When something is due even if nothing comes.
    fn deadline(&self, means: &Means<'_>) -> Option<Duration> {
        let batch =
            Some(self.batch.since + means.config.batch_age_max).filter(|_| !self.batch.records.is_empty());
        let chunk = self.open.as_ref().map(|open| open.since + means.config.chunk_age_max);
        batch.into_iter().chain(chunk).min().filter(|at| *at > means.now)
    }

    /// Reads on, unless there is no room for what would come.
    fn read(&mut self, means: &Means<'_>) -> Result<bool, WorkerError> {
        let config = means.config;
        let has = self.batch.records.len();
        let is_full = has >= config.batch_events_max || self.batch.bytes >= config.batch_bytes_max;
        let must_wait = self.open.as_ref().is_some_and(|open| open.is_over || self.is_full(open, means));
        if is_full || must_wait || means.stopping == Stopping::Now || !self.claim.may_read(means.memory) {
            // There may be more, which only waits for room.
            self.batch.is_dry = false;
            return Ok(false);
        }
        let limit = ReadLimit {
            records_max: config.batch_events_max - has,
            bytes_max: config.batch_bytes_max - self.batch.bytes,
        };
        let more = means.queue.read(self.lease.partition, self.next, limit, Duration::ZERO);
        let more = more.map_err(|e| self.queue_error(e))?;
        check_order(self.lease.partition, self.next, &more)?;
        self.batch.is_dry = more.is_empty();
        if self.batch.is_dry {
            return Ok(false);
        }
        if has == 0 {
            self.batch.since = means.now;
        }
        self.next += more.len() as u64;
        self.batch.bytes += more.iter().map(size_of_stored).sum::<usize>();
        self.batch.records.extend(more);
        Ok(true)
    }

    /// Asks whether the store has the chunk that begins with the first record.
    fn seek(&mut self, means: &mut Means<'_>) {
        let Some(place) = self.place_of_batch().filter(|_| self.sent.is_none()) else { return };
        let errand = means.sink.find(place);
        self.send(Sent::Find(place), errand, means);
    }

    fn place_of_batch(&self) -> Option<ChunkPlace> {
        let first = self.batch.records.first()?;
        let (partition, epoch) = (self.lease.partition, self.epoch);
        Some(ChunkPlace { partition, epoch, start: first.offset, queued_at: first.queued_at })
    }

    fn batch_is_due(&self, means: &Means<'_>) -> bool {
        let (batch, config) = (&self.batch, means.config);
        let is_full = batch.records.len() >= config.batch_events_max || batch.bytes >= config.batch_bytes_max;
        let is_old = means.now >= batch.since + config.batch_age_max;
        let has_room = self.open.as_ref().is_none_or(|open| !open.is_over && !self.is_full(open, means));
        has_room && !batch.records.is_empty() && (is_full || is_old || means.stopping > Stopping::No)
    }

    /// Gives the records of the batch their ends. `false` if there are no stages to ask yet.
    fn settle(&mut self, means: &mut Means<'_>) -> bool {
        let ready = Instant::now();
        let Some(place) = self.place_of_batch() else { return true };
        let partition = place.partition;
        let settler = match means.settlers.newest(Some(partition)) {
            Ok(settler) => settler,
            Err(what) => {
                tracing::error!(partition, "no stages are ready: {what}");
                return false;
            }
        };
        let generation = settler.generation();
        self.metrics.generation.store(generation, Relaxed);
        let open = self.open.get_or_insert_with(|| Open {
            place,
            chunk: means.sink.begin(place),
            draft: Arc::new(Draft::default()),
            generation: 0,
            end: place.start,
            last: None,
            since: means.now,
            is_over: false,
        });
        // Whoever produced the records may have set their times: an earlier one stays in the hour of the chunk.
        let hour = hour_of(open.place.queued_at);
        let later = self.batch.records.iter().position(|s| hour_of(s.queued_at) > hour);
        let rest = later.map(|at| self.batch.records.split_off(at)).unwrap_or_default();
        let records = std::mem::replace(&mut self.batch.records, rest);
        open.is_over |= later.is_some();
        self.batch.bytes = self.batch.records.iter().map(size_of_stored).sum();
        let Some(last) = records.last() else { return true };
        (open.end, open.last) = (last.offset + 1, Some(mark_of(last)));
        if open.generation != generation {
            open.chunk.turn(generation);
            open.generation = generation;
        }
        self.metrics.records.fetch_add(records.len() as u64, Relaxed);
        self.metrics.batches.fetch_add(1, Relaxed);
        settler.count_into(Arc::clone(&open.draft) as Arc<dyn Book>);
        let settled = settler.settle(records);
        self.metrics.batch_time.observe(ready.elapsed());
        settled.into_iter().for_each(|record| open.chunk.push(record));
        settler.take_passed_over().into_iter().for_each(|passed_over| open.chunk.note(passed_over));
        self.metrics.next.store(open.end, Relaxed);
        self.claim.waiting(self.batch.bytes);
        self.claim.open(open.chunk.bytes());
        true
    }

    fn is_full(&self, open: &Open, means: &Means<'_>) -> bool {
        let config = means.config;
        open.chunk.rows() >= config.chunk_rows_max || open.chunk.bytes() >= config.chunk_bytes_max
    }

    fn chunk_is_due(&self, means: &Means<'_>) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.end > open.place.start) else { return false };
        let is_stopping = match means.stopping {
            Stopping::No => false,
            Stopping::WhenDrained => self.batch.is_dry && self.batch.records.is_empty(),
            Stopping::Now => self.batch.records.is_empty(),
        };
        open.is_over
            || self.is_full(open, means)
            || means.now >= open.since + means.config.chunk_age_max
            || self.claim.is_told_to_close(means.memory)
            || is_stopping
    }

    fn close(&mut self, means: &mut Means<'_>) -> Result<(), WorkerError> {
        let Some(Open { place, chunk, draft, end, last, .. }) = self.open.take() else { return Ok(()) };
        let begins = self.begins;
        let errand = chunk.close(Closing { end, last, begins })?;
        self.claim.open(0);
        self.claim.sent(errand.bytes());
        self.send(Sent::Close { place, end, draft, begun: means.now }, errand, means);
        Ok(())
    }
}
