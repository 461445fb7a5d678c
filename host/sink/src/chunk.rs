//! A chunk in memory: records become columns as they come, and files when it is closed.

mod round;

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use host_event::{Category, Meta, Offset, Outcome, ProjectId};
use host_group::Rollups;
use host_pipeline::{
    Accepted, Chunk, ChunkPlace, Closing, End, Errand, PassedOver, RecordedEnd, Settled, SinkError,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use crate::commit::Purpose;
use crate::encode::{FileLimits, Rows};
use crate::errand::ChunkErrand;
use crate::ledger::{FILE_KEY, Ledger, Names, Round};
use crate::schema::Table;
use crate::sink::Shared;
use crate::tables::{
    CheckIns, Events, Groups, Logs, Origin, OutcomeRow, Outcomes, Quarantine, QuarantineRow, Sessions, Spans,
    signed,
};
use crate::wire::sane_rate;

/// Where a table's file says the offsets of its chunk.
const CHUNK_KEY: &str = "tamis.chunk";
/// Allocators round up, by an eighth in the mean.
const ROUNDED_UP_SHARE: usize = 8;
/// Memory of one group's rollup beside its texts, roughly.
const ROLLUP_BYTES: usize = 1024;

pub(crate) struct ParquetChunk {
    shared: Arc<Shared>,
    place: ChunkPlace,
    generations: Vec<(Offset, u64)>,
    /// The newest generation whose chain decided about a record.
    newest: u64,
    next: Offset,
    /// Set when records did not follow each other: such a chunk must not be closed.
    gap: Option<(Offset, Offset)>,
    /// Only of a round of release.
    round: Option<Round>,
    accepted: HashMap<(ProjectId, Category, u64), u64>,
    rollups: Rollups,
    passed_over: Vec<PassedOver>,
    tables: Tables,
}

#[derive(Default)]
struct Tables {
    events: Rows<Events>,
    spans: Rows<Spans>,
    logs: Rows<Logs>,
    groups: Rows<Groups>,
    outcomes: Rows<Outcomes>,
    quarantine: Rows<Quarantine>,
    sessions: Rows<Sessions>,
    check_ins: Rows<CheckIns>,
}

/// Calls a method on the rows of every table and collects the answers.
macro_rules! each_table {
    ($tables:expr, |$table:ident, $rows:ident| $body:expr) => {{
        let Tables { events, spans, logs, groups, outcomes, quarantine, sessions, check_ins } = $tables;
        [
            {
                let ($table, $rows) = (Table::Events, events);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Spans, spans);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Logs, logs);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Groups, groups);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Outcomes, outcomes);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Quarantine, quarantine);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::Sessions, sessions);
                ($table, $body)
            },
            {
                let ($table, $rows) = (Table::CheckIns, check_ins);
                ($table, $body)
            },
        ]
    }};
}

/// A chunk as files, before any of them is written.
pub(crate) struct Encoded {
    pub(crate) ledger: Ledger,
    /// Tables that have rows, and the ledger's.
    pub(crate) bodies: Vec<(Table, Bytes)>,
}

impl ParquetChunk {
    pub(crate) fn new(shared: Arc<Shared>, place: ChunkPlace) -> ParquetChunk {
        ParquetChunk {
            shared,
            place,
            generations: Vec::new(),
            newest: 0,
            next: place.start,
            gap: None,
            round: None,
            accepted: HashMap::new(),
            rollups: Rollups::default(),
            passed_over: Vec::new(),
            tables: Tables::default(),
        }
    }

    fn push_accepted(&mut self, meta: &Meta, offset: Offset, generation: u64, accepted: Accepted) {
        let Accepted { category, doc, client_sample_rate, server_sample_rate, group } = accepted;
        let mut origin = Origin::new(meta, generation, self.place.partition, offset);
        origin.client_sample_rate = sane_rate(client_sample_rate);
        origin.server_sample_rate = sane_rate(server_sample_rate);
        let Tables { events, spans, logs, sessions, check_ins, .. } = &mut self.tables;
        match category {
            Category::Error => {
                let key = events.columns.push(origin, &doc, group.as_ref(), &mut self.rollups);
                events.keys.push(key);
            }
            Category::Transaction => spans.columns.push_transaction(origin, &doc, &mut spans.keys),
            Category::Span => spans.columns.push_span(origin, &doc, &mut spans.keys),
            Category::Log => logs.keys.push(logs.columns.push(origin, &doc)),
            Category::Session => sessions.keys.push(sessions.columns.push(origin, &doc)),
            Category::CheckIn => check_ins.keys.push(check_ins.columns.push(origin, &doc)),
            other => return self.push_homeless(meta, offset, generation, other),
        }
        *self.accepted.entry((meta.project_id, category, generation)).or_default() += 1;
    }

    /// An item of a category that has no table. The pipeline never accepts one; if it ever does, that is seen.
    fn push_homeless(&mut self, meta: &Meta, offset: Offset, generation: u64, category: Category) {
        tracing::error!(%category, offset, "accepted, and there is no table for it");
        let end =
            RecordedEnd { category, outcome: Outcome::Internal, reason: "no_table".into(), stage: "".into() };
        self.push_dropped(meta, offset, generation, &end);
    }

    fn push_dropped(&mut self, meta: &Meta, offset: Offset, generation: u64, end: &RecordedEnd) {
        self.push_outcome(OutcomeRow {
            project_id: meta.project_id,
            at: meta.received_at,
            event_id: Some(meta.event_id),
            category: end.category.as_str(),
            outcome: end.outcome.as_str(),
            reason: &end.reason,
            stage: &end.stage,
            quantity: 1,
            generation,
            offset: Some(offset),
        });
    }

    fn push_outcome(&mut self, row: OutcomeRow<'_>) {
        let rows = &mut self.tables.outcomes;
        rows.keys.push(rows.columns.push(row, self.place.partition));
    }

    fn push_ended(
        &mut self,
        meta: &Meta,
        offset: Offset,
        generation: u64,
        counts: &[host_event::OutcomeCount],
    ) {
        for count in counts {
            self.push_outcome(OutcomeRow {
                project_id: meta.project_id,
                at: meta.received_at,
                event_id: None,
                category: count.category.as_str(),
                outcome: count.outcome.as_str(),
                reason: &count.reason,
                stage: "",
                quantity: signed(count.quantity),
                generation,
                offset: Some(offset),
            });
        }
        if counts.is_empty() {
            let (category, outcome) = (Category::Unknown, Outcome::Internal);
            let end = RecordedEnd { category, outcome, reason: "nothing_ended".into(), stage: "".into() };
            self.push_dropped(meta, offset, generation, &end);
        }
    }

    /// The rows that are known only at the end: groups, and the counts of what was accepted.
    fn settle_rollups(&mut self) {
        let ChunkPlace { partition, start, queued_at, .. } = self.place;
        for rollup in std::mem::take(&mut self.rollups).into_sorted() {
            let rows = &mut self.tables.groups;
            rows.keys.push(rows.columns.push(&rollup, self.newest, partition, start));
        }
        let mut accepted: Vec<_> = self.accepted.drain().collect();
        accepted.sort_unstable();
        for ((project_id, category, generation), quantity) in accepted {
            self.push_outcome(OutcomeRow {
                project_id,
                at: queued_at,
                event_id: None,
                category: category.as_str(),
                outcome: Outcome::Accepted.as_str(),
                reason: "",
                stage: "",
                quantity: signed(quantity),
                generation,
                offset: None,
            });
        }
    }

    fn fatal(&self, what: impl ToString) -> SinkError {
        let ChunkPlace { partition, start: offset, .. } = self.place;
        SinkError::Fatal { partition, offset, what: what.to_string() }
    }

    fn check_range(&self, end: Offset) -> Result<(), SinkError> {
        if let Some((expected, found)) = self.gap {
            return Err(self.fatal(format!("expected the record at offset {expected} and was given {found}")));
        }
        if !self.is_whole(end) || end <= self.place.start {
            return Err(self.fatal(format!("asked to end at {end} with records up to {}", self.next)));
        }
        Ok(())
    }

    pub(crate) fn encode(mut self, closing: Closing) -> Result<Encoded, SinkError> {
        let Closing { end, last, begins } = closing;
        self.check_range(end)?;
        self.settle_rollups();
        let ChunkPlace { partition, epoch, start, queued_at } = self.place;
        let config = &self.shared.config;
        let rows = each_table!(&self.tables, |_table, rows| rows.len() as u64);
        let mut ledger = Ledger {
            source: config.source.clone(),
            epoch,
            partition,
            start,
            end,
            nonce: self.shared.next_nonce(),
            generations: std::mem::take(&mut self.generations),
            queued_at,
            last,
            begins,
            rows: rows.into_iter().collect(),
            bytes: Default::default(),
            passed_over: Default::default(),
            release: self.round.take(),
        };
        self.passed_over.iter().for_each(|note| ledger.note(note));
        let error_at = self.place;
        let bodies = encode_tables(self.tables, &mut ledger, &config.files);
        let what = |e: ParquetError| SinkError::Fatal {
            partition: error_at.partition,
            offset: error_at.start,
            what: format!("can not be encoded: {e}"),
        };
        Ok(Encoded { bodies: bodies.map_err(what)?, ledger })
    }
}

/// The tables first, since the ledger says how large they are; its own file is the last.
fn encode_tables(
    mut tables: Tables,
    ledger: &mut Ledger,
    limits: &FileLimits,
) -> Result<Vec<(Table, Bytes)>, ParquetError> {
    let outcomes = std::mem::take(&mut tables.outcomes);
    let (names, range) = (Names::of(ledger), format!("{}..{}", ledger.start, ledger.end));
    let footer = |table| {
        let own = KeyValue::new(FILE_KEY.to_owned(), names.table(table));
        vec![KeyValue::new(CHUNK_KEY.to_owned(), range.clone()), own]
    };
    let files = each_table!(tables, |table, rows| (rows.len() > 0).then(|| rows.encode(
        table,
        footer(table),
        limits
    )));
    let mut bodies = Vec::new();
    for (table, file) in files {
        let Some(file) = file.transpose()? else { continue };
        ledger.bytes.insert(table, file.len() as u64);
        bodies.push((table, file));
    }
    bodies.push((Table::Outcomes, outcomes.encode(Table::Outcomes, vec![ledger.key_value()], limits)?));
    Ok(bodies)
}

impl Chunk for ParquetChunk {
    fn push(&mut self, settled: Settled) {
        let Settled { offset, generation, meta, end, .. } = settled;
        self.newest = self.newest.max(generation);
        if !self.follows(offset) {
            self.gap.get_or_insert((self.next, offset));
        }
        self.next = offset + 1;
        match end {
            End::Accepted(accepted) => self.push_accepted(&meta, offset, generation, *accepted),
            End::Dropped { category, outcome, reason, stage } => {
                let end = RecordedEnd { category, outcome, reason, stage };
                self.push_dropped(&meta, offset, generation, &end);
            }
            End::Quarantined { category, stage, reason, detail, payload, server_sample_rate } => {
                let mut origin = Origin::new(&meta, generation, self.place.partition, offset);
                origin.server_sample_rate = sane_rate(server_sample_rate);
                let row =
                    QuarantineRow { category, stage: &stage, reason: &reason, detail: &detail, payload };
                let rows = &mut self.tables.quarantine;
                rows.keys.push(rows.columns.push(origin, row));
                let end = RecordedEnd { category, outcome: Outcome::Quarantined, reason, stage };
                self.push_dropped(&meta, offset, generation, &end);
            }
            End::Ended(counts) => self.push_ended(&meta, offset, generation, &counts),
        }
    }

    fn turn(&mut self, generation: u64) {
        // Two turns without a record between them: the first one said nothing.
        self.generations.retain(|(from, _)| *from < self.next);
        self.generations.push((self.next, generation));
    }

    fn note(&mut self, passed_over: PassedOver) {
        self.passed_over.push(passed_over);
    }

    fn rows(&self) -> usize {
        each_table!(&self.tables, |_table, rows| rows.len()).into_iter().map(|(_, n)| n).sum()
    }

    fn bytes(&self) -> usize {
        let tables = each_table!(&self.tables, |_table, rows| rows.bytes());
        let held = tables.into_iter().map(|(_, n)| n).sum::<usize>() + self.rollups.len() * ROLLUP_BYTES;
        held + held / ROUNDED_UP_SHARE
    }

    fn close(self: Box<Self>, closing: Closing) -> Result<Box<dyn Errand>, SinkError> {
        let (shared, place) = (Arc::clone(&self.shared), self.place);
        let Encoded { ledger, bodies } = self.encode(closing)?;
        Ok(Box::new(ChunkErrand::new(shared, place, Purpose::Close(Box::new(ledger)), bodies)))
    }

    fn rebuild(self: Box<Self>, end: Offset) -> Result<Box<dyn Errand>, SinkError> {
        let (shared, place) = (Arc::clone(&self.shared), self.place);
        let Encoded { ledger, bodies } = self.encode(Closing::at(end))?;
        let rows = Table::ALL.map(|t| (t, ledger.rows_of(t))).into();
        Ok(Box::new(ChunkErrand::new(shared, place, Purpose::Rebuild { end, rows }, bodies)))
    }
}
