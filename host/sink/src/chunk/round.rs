//! A chunk of released items: a few of another chunk's offsets, whose outcome it takes back and says anew.

use std::sync::Arc;

use host_event::{Meta, Offset};
use host_pipeline::{ChunkPlace, RecordedEnd};

use super::ParquetChunk;
use crate::ledger::{Round, Runs, push_run};
use crate::sink::Shared;
use crate::tables::OutcomeRow;

impl ParquetChunk {
    pub(crate) fn of_round(shared: Arc<Shared>, place: ChunkPlace, number: u32) -> ParquetChunk {
        let round = Some(Round { number, offsets: Runs::new() });
        ParquetChunk { round, ..ParquetChunk::new(shared, place) }
    }

    /// Notes that an item is released: the negative of the row that the ledger of its chunk has. Its new end is pushed behind it.
    pub(crate) fn take_back(&mut self, meta: &Meta, offset: Offset, generation: u64, end: &RecordedEnd) {
        if let Some(round) = &mut self.round {
            push_run(&mut round.offsets, offset);
        }
        let rows = &mut self.tables.outcomes;
        let row = OutcomeRow {
            project_id: meta.project_id,
            at: meta.received_at,
            event_id: Some(meta.event_id),
            category: end.category.as_str(),
            outcome: end.outcome.as_str(),
            reason: &end.reason,
            stage: &end.stage,
            quantity: -1,
            generation,
            offset: Some(offset),
        };
        rows.keys.push(rows.columns.push(row, self.place.partition));
    }

    /// Whether the record of that offset may come now: a round leaves out those that are not released.
    pub(super) fn follows(&self, offset: Offset) -> bool {
        if self.round.is_some() { offset >= self.next } else { offset == self.next }
    }

    /// Whether the chunk may end there: a round ends where the chunk of its items does.
    pub(super) fn is_whole(&self, end: Offset) -> bool {
        match &self.round {
            Some(round) => self.next <= end && !round.offsets.is_empty(),
            None => self.next == end,
        }
    }
}
