//! Finding out where to begin.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_event::Offset;
use host_queue::{ReadLimit, Resume, Shared};

use super::{Line, Means, Phase, Sent, Stopping, Turn, WorkerError, mark_of};
use crate::resume::{Begin, Start, anew, begin, ledger_of, note_of};
use crate::sink::{Mark, Tail};

/// How far it has come.
#[derive(Default)]
pub(super) enum Beginning {
    #[default]
    Ask,
    /// The store is asked for the youngest chunk.
    Tail { shared: Shared, searched: bool },
    /// The record before the first one has to be this; where it is not, it begins anew, if that is allowed.
    Check { start: Start, before: Mark, untold: Option<Untold>, anew: Option<Start> },
}

/// Where the chain ends, with the note for it, if the group does not know: its lag would never end where nothing new comes.
type Untold = (Offset, String);

fn untold(start: &Start, shared: &Shared, tail: Option<&Tail>) -> Option<Untold> {
    let Tail { path, epoch, end, last } = tail?;
    // One that is not finished has no mark here; who finishes it commits it.
    let is_end = last.is_some() && (*epoch, *end) == (start.epoch, start.next);
    (is_end && shared.committed != Some(*end)).then(|| (*end, note_of(path)))
}

impl Line {
    pub(super) fn begin(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        if self.sent.is_some() {
            return Ok(Turn::Idle { until: None });
        }
        // A drain goes on: what is in the partition is not known yet.
        if means.stopping == Stopping::Now {
            return Ok(self.end());
        }
        match &self.phase {
            Phase::Beginning(Beginning::Check { .. }) => self.check(means),
            _ => self.ask(means),
        }
    }

    fn ask(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        let resume = means.queue.resume(self.lease.partition).map_err(|e| self.queue_error(e))?;
        match resume {
            Resume::Own(next) => self.start(Start { next, ..Start::default() }, None),
            Resume::Shared(shared) => self.look_for_tail(shared, false, means),
        }
        Ok(Turn::Busy)
    }

    fn look_for_tail(&mut self, shared: Shared, search: bool, means: &mut Means<'_>) {
        let noted = ledger_of(&shared.note).filter(|_| !search && shared.committed.is_some());
        let errand = means.sink.tail(self.lease.partition, noted);
        let searched = noted.is_none();
        self.phase = Phase::Beginning(Beginning::Tail { shared, searched });
        self.send(Sent::Tail, errand, means);
    }

    pub(super) fn tail_is(&mut self, tail: Option<Tail>, means: &mut Means<'_>) -> Result<(), WorkerError> {
        let Phase::Beginning(Beginning::Tail { shared, searched }) = &self.phase else { return Ok(()) };
        match begin(shared, tail.as_ref(), *searched, means.allowed) {
            Begin::Refuse(what) => self.refused(what),
            Begin::Search => {
                let shared = shared.clone();
                self.look_for_tail(shared, true, means);
                Ok(())
            }
            Begin::At(start) => {
                self.say(&start, shared, tail.as_ref());
                let untold = untold(&start, shared, tail.as_ref());
                match start.before {
                    Some(before) => {
                        let anew =
                            tail.as_ref().filter(|_| means.allowed.reprocess).map(|tail| anew(shared, tail));
                        self.phase = Phase::Beginning(Beginning::Check { start, before, untold, anew });
                    }
                    None => self.start(start, untold),
                }
                Ok(())
            }
        }
    }

    fn say(&self, start: &Start, shared: &Shared, tail: Option<&Tail>) {
        let partition = self.lease.partition;
        let Start { epoch, next, begins, reset_from, .. } = *start;
        if let Some(committed) = reset_from {
            tracing::warn!(
                partition,
                committed,
                next,
                "the group's offset was set back, and that is not obeyed: every event has one row. To process anew on purpose, start \
                 once with --allow-reprocess"
            );
        }
        match tail {
            Some(tail) if tail.epoch < epoch => self.say_anew(start),
            Some(_) => tracing::debug!(partition, next, "goes on"),
            None if begins => {
                let oldest = shared.oldest;
                tracing::warn!(
                    partition,
                    next,
                    oldest,
                    "a new chain begins behind offset 0: what was before is not in this store"
                );
            }
            None => tracing::info!(partition, next, "a new chain begins"),
        }
    }

    fn say_anew(&self, Start { epoch, next, .. }: &Start) {
        let partition = self.lease.partition;
        tracing::warn!(
            partition,
            epoch,
            next,
            "a new epoch begins, as allowed: what comes from {next} on is processed anew"
        );
    }

    /// Looks whether the log still is the one that the last chunk came from.
    fn check(&mut self, means: &mut Means<'_>) -> Result<Turn, WorkerError> {
        let Phase::Beginning(Beginning::Check { start, before, untold, anew }) = &mut self.phase else {
            return Ok(Turn::Busy);
        };
        let (start, before, anew, untold) = (*start, *before, *anew, untold.take());
        let place = start.next - 1;
        let one = ReadLimit { records_max: 1, bytes_max: 0 };
        let read = means.queue.read(self.lease.partition, place, one, Duration::ZERO);
        let read = match read {
            Ok(read) => read,
            Err(e) => {
                self.phase = Phase::Beginning(Beginning::Check { start, before, untold, anew });
                return Err(self.queue_error(e));
            }
        };
        let Some(found) = read.first() else {
            self.phase = Phase::Beginning(Beginning::Check { start, before, untold, anew });
            return Ok(Turn::Idle { until: None });
        };
        if found.offset != place || mark_of(found) != before {
            if let Some(anew) = anew {
                self.say_anew(&anew);
                self.start(anew, None);
                return Ok(Turn::Busy);
            }
            return self.refused(format!(
                "the record at offset {place} is not the one that the last chunk in the store ends with: the topic was made anew, or \
                 lost records that were acknowledged. Use another topic name, or start once with --allow-reprocess"
            ));
        }
        self.start(start, untold);
        Ok(Turn::Busy)
    }

    fn start(&mut self, start: Start, untold: Option<Untold>) {
        (self.epoch, self.begins) = (start.epoch, start.begins);
        self.go_on_at(start.next, Phase::Seeking);
        self.uncommitted = untold;
        self.metrics.begun.store(true, Relaxed);
    }
}
