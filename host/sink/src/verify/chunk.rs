//! The proof of one chunk.

mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use host_event::{Category, Offset, Outcome};

use super::chains::{ChainId, offsets_are};
use super::findings::{Findings, Missing};
use super::report::{Breach, BreachKind, Order, Part};
use super::{Chunk, Sizes};
use crate::file::TableFile;
use crate::ledger::{FILE_KEY, Ledger, Names, footer_value};
use crate::named::{int_column, text_column};
use crate::schema::Table;
use crate::store::{Store, StoreError};

/// Offsets of one chunk: a bit each is held in memory, for each of its tables. Real chunks have a tenth of that.
const CHUNK_OFFSETS_MAX: u64 = 1 << 27;
/// Runs of offsets without an outcome that are told one by one.
const RUNS_SHOWN_MAX: usize = 8;

pub(super) struct Proof<'a> {
    store: &'a Arc<dyn Store>,
    chunk: &'a Chunk,
    sizes: &'a Sizes,
    findings: &'a mut Findings,
    /// Offsets that have an outcome.
    settled: Bits,
    /// Those that a table gave one, for the tables that were read.
    settled_by: Vec<(Table, Bits)>,
    /// Offsets whose outcome a round of release takes back.
    taken_back: Bits,
    /// Accepted items by the table that holds them and their project, as the ledger counts them.
    accepted: BTreeMap<(Table, i64), u64>,
}

/// What is counted of one table.
struct Counted {
    offsets: Bits,
    /// Records by project; of groups, the events that they stand for.
    by_project: BTreeMap<i64, u64>,
}

/// Tables that have a row, or several, for each accepted record.
const ACCEPTED: [Table; 5] = [Table::Events, Table::Spans, Table::Logs, Table::Sessions, Table::CheckIns];

/// What a table said about offsets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Never,
    /// A record may have several rows in this table.
    Within,
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        store: &'a Arc<dyn Store>,
        chunk: &'a Chunk,
        sizes: &'a Sizes,
        findings: &'a mut Findings,
    ) -> Proof<'a> {
        Proof {
            store,
            chunk,
            sizes,
            findings,
            settled: Bits::new(0),
            settled_by: Vec::new(),
            taken_back: Bits::new(0),
            accepted: BTreeMap::new(),
        }
    }

    /// Gives the offsets of what was quarantined.
    pub(super) fn run(mut self) -> Result<Bits, StoreError> {
        self.findings.report.chunks += 1;
        let Some(length) = self.length() else { return Ok(Bits::new(0)) };
        self.findings.report.offsets += length;
        self.settled = Bits::new(length);
        let quarantined = self.read_outcomes(length)?;
        self.read_tables(&quarantined)?;
        Ok(quarantined)
    }

    /// Of the range; `None` if it can not be proven.
    fn length(&mut self) -> Option<u64> {
        let Ledger { start, end, .. } = self.chunk.ledger;
        let length = end.saturating_sub(start);
        let is_fine = length > 0 && length <= CHUNK_OFFSETS_MAX;
        if !is_fine {
            self.breach(BreachKind::UnreadableLedger, format!("its range ends at {end}"));
        }
        is_fine.then_some(length)
    }

    fn read_tables(&mut self, quarantined: &Bits) -> Result<(), StoreError> {
        let mut is_complete = true;
        for table in Table::DATA {
            is_complete &= self.read_table(table, quarantined)?;
        }
        if is_complete {
            self.check_every_offset();
        }
        Ok(())
    }

    fn breach(&mut self, kind: BreachKind, what: String) {
        self.breach_at(kind, Table::Outcomes, self.chunk.ledger.start, what);
    }

    fn breach_at(&mut self, kind: BreachKind, table: Table, offset: Offset, what: String) {
        let breach = Breach::new(kind, &self.path_of(table), what).at(self.chunk.ledger.partition, offset);
        self.findings.report.breach(self.order(), breach);
    }

    fn order(&self) -> Order {
        let Ledger { start, ref release, .. } = self.chunk.ledger;
        let round = release.as_ref().map_or(0, |round| round.number);
        Order { round, ..ChainId::of(&self.chunk.ledger).order(Part::Chunks, start) }
    }

    fn path_of(&self, table: Table) -> String {
        match table {
            Table::Outcomes => self.chunk.path.clone(),
            other => Names::of(&self.chunk.ledger).table(other),
        }
    }

    /// The ledger's own rows: outcomes by offset, and the sums for the conservation table. Gives the quarantined offsets.
    fn read_outcomes(&mut self, length: u64) -> Result<Bits, StoreError> {
        let (mut quarantined, mut ended) = (Bits::new(length), Bits::new(length));
        let file = &self.chunk.file;
        self.check_rows(Table::Outcomes, file);
        let columns = ["project_id", "event_id", "category", "outcome", "reason", "quantity", "offset"];
        let read = file.for_each(&columns, |batch| {
            self.sum_up(batch)?;
            for row in outcome_rows(batch)? {
                if row.quantity < 0 {
                    self.take_back(&row);
                    continue;
                }
                let Some(offset) = row.offset else {
                    self.count_accepted(&row);
                    continue;
                };
                let repeats = if row.is_item { Repeats::Never } else { Repeats::Within };
                self.settle(Table::Outcomes, offset, repeats, &mut ended);
                if row.outcome == Outcome::Quarantined.as_str() && row.is_item {
                    quarantined.set(offset.wrapping_sub(self.chunk.ledger.start));
                }
            }
            Ok(())
        })?;
        if let Err(what) = read {
            self.breach(BreachKind::Unreadable, what);
        }
        self.settled_by.push((Table::Outcomes, ended));
        Ok(quarantined)
    }

    /// For the conservation table. Rows of a batch are much alike, so they are summed up before their texts are copied.
    fn sum_up(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let mut sums: BTreeMap<_, i64> = BTreeMap::new();
        for OutcomeRow { project_id, category, outcome, reason, quantity, .. } in outcome_rows(batch)? {
            *sums.entry((project_id, category, outcome, reason)).or_default() += quantity;
        }
        for ((project, category, outcome, reason), quantity) in sums {
            self.findings.report.count(project, category, outcome, reason, quantity);
        }
        Ok(())
    }

    fn count_accepted(&mut self, row: &OutcomeRow<'_>) {
        let OutcomeRow { project_id, category, outcome, .. } = *row;
        let quantity = row.quantity.max(0) as u64;
        let table = match Category::from_name(category) {
            _ if outcome != Outcome::Accepted.as_str() => {
                return self.breach(BreachKind::Conservation, format!("{outcome} without an offset"));
            }
            Category::Error => Table::Events,
            Category::Transaction | Category::Span => Table::Spans,
            Category::Log => Table::Logs,
            Category::Session => Table::Sessions,
            Category::CheckIn => Table::CheckIns,
            _ => return self.breach(BreachKind::Conservation, format!("{category} has no table")),
        };
        *self.accepted.entry((table, project_id)).or_default() += quantity;
    }

    /// Says whether the table is as the ledger says, so that its offsets could be counted.
    fn read_table(&mut self, table: Table, quarantined: &Bits) -> Result<bool, StoreError> {
        let ledger = &self.chunk.ledger;
        let (path, rows) = (Names::of(ledger).table(table), ledger.rows_of(table));
        let file = match self.open(&path, rows)? {
            Ok(Some(file)) => file,
            Ok(None) if rows == 0 => {
                let none =
                    Counted { offsets: Bits::new(ledger.end - ledger.start), by_project: BTreeMap::new() };
                self.check_counts(table, &none, quarantined);
                return Ok(true);
            }
            Ok(None) => {
                self.missing(&path, rows);
                return Ok(false);
            }
            Err(what) => {
                self.breach_at(BreachKind::Unreadable, table, ledger.start, what);
                return Ok(false);
            }
        };
        self.check_name(table, &path, &file);
        self.check_rows(table, &file);
        self.read_records(table, &file, quarantined)
    }

    /// What the listing does not have may have come since, or lie elsewhere.
    fn open(&self, path: &str, rows: u64) -> Result<Result<Option<TableFile>, String>, StoreError> {
        match self.sizes.get(path) {
            Some(size) => Ok(TableFile::open_listed(self.store, path, *size)?.map(Some)),
            None if rows == 0 => Ok(Ok(None)),
            None => TableFile::open(self.store, path),
        }
    }

    fn missing(&mut self, path: &str, rows: u64) {
        let Ledger { partition, start, ref release, .. } = self.chunk.ledger;
        let what = format!("the ledger says {rows} rows");
        let breach = Breach::new(BreachKind::Unfinished, path, what).at(partition, start);
        let breach = breach.see(self.chunk.path.clone());
        match release {
            Some(_) => self.findings.report.breach(self.order(), breach),
            None => {
                let (order, chain) = (self.order(), ChainId::of(&self.chunk.ledger));
                self.findings.missing(Missing { order, chain, start, breach });
            }
        }
    }

    /// A file in the place of another may have the same rows at the same offsets.
    fn check_name(&mut self, table: Table, path: &str, file: &TableFile) {
        let what = match footer_value(file.metadata(), FILE_KEY) {
            Some(own) if own == path => return,
            Some(own) => format!("it is the file {own}"),
            None => "its footer does not say which file it is".into(),
        };
        self.breach_at(BreachKind::Misplaced, table, self.chunk.ledger.start, what);
    }

    fn check_rows(&mut self, table: Table, file: &TableFile) {
        let (said, found) = (self.chunk.ledger.rows_of(table), file.rows());
        let report = &mut self.findings.report;
        report.files += 1;
        report.bytes += file.size();
        *report.rows.entry(table).or_default() += found;
        if said != found {
            let what = format!("the ledger says {said} rows and there are {found}");
            self.breach_at(BreachKind::RowCount, table, self.chunk.ledger.start, what);
        }
    }

    fn read_records(
        &mut self,
        table: Table,
        file: &TableFile,
        quarantined: &Bits,
    ) -> Result<bool, StoreError> {
        let length = self.chunk.ledger.end - self.chunk.ledger.start;
        let mut own = Counted { offsets: Bits::new(length), by_project: BTreeMap::new() };
        let number = if table == Table::Groups { "count" } else { "offset" };
        let read = file.for_each(&["project_id", number], |batch| {
            let (projects, numbers) = (int_column(batch, "project_id")?, int_column(batch, number)?);
            for (project, number) in projects.values().iter().zip(numbers.values()) {
                let counts = match table {
                    Table::Groups => (*number).max(0) as u64,
                    Table::Quarantine => u64::from(self.set_own(table, *number as Offset, &mut own.offsets)),
                    _ => u64::from(self.settle_record(table, *number as Offset, &mut own.offsets)),
                };
                *own.by_project.entry(*project).or_default() += counts;
            }
            Ok(())
        })?;
        if let Err(what) = read {
            self.breach_at(BreachKind::Unreadable, table, self.chunk.ledger.start, what);
            return Ok(false);
        }
        self.check_counts(table, &own, quarantined);
        if ACCEPTED.contains(&table) {
            self.settled_by.push((table, own.offsets));
        }
        Ok(true)
    }

    fn settle_record(&mut self, table: Table, offset: Offset, own: &mut Bits) -> bool {
        let repeats = if table == Table::Spans { Repeats::Within } else { Repeats::Never };
        self.settle(table, offset, repeats, own)
    }

    /// Quarantined items have their outcome in the ledger; here it is only noted that they are kept, each once.
    fn set_own(&mut self, table: Table, offset: Offset, own: &mut Bits) -> bool {
        let is_new = own.set(offset.wrapping_sub(self.chunk.ledger.start)) == Some(false);
        if !is_new {
            self.breach_at(BreachKind::Duplicate, table, offset, "twice, or outside of the chunk".into());
        }
        is_new
    }

    /// Notes the outcome of a record, and says whether this is the first that is heard of it from this table.
    fn settle(&mut self, table: Table, offset: Offset, repeats: Repeats, own: &mut Bits) -> bool {
        let place = offset.wrapping_sub(self.chunk.ledger.start);
        let is_repeated = match own.set(place) {
            None => {
                let what = "the offset lies outside of the chunk".into();
                self.breach_at(BreachKind::OutOfRange, table, offset, what);
                return false;
            }
            Some(before) => before,
        };
        if is_repeated && repeats == Repeats::Within {
            return false;
        }
        if self.settled.set(place) == Some(true) {
            self.doubled(table, offset, is_repeated);
        }
        !is_repeated
    }

    /// An offset with a second outcome: says which files have one.
    fn doubled(&mut self, table: Table, offset: Offset, is_repeated: bool) {
        let place = offset - self.chunk.ledger.start;
        let other = match is_repeated {
            true => Some(table),
            false => self.settled_by.iter().find(|(_, bits)| bits.is_set(place)).map(|(table, _)| *table),
        };
        let what = "the offset has more than one outcome";
        let Ledger { partition, ref release, .. } = self.chunk.ledger;
        let breach = |what: String| {
            let breach = Breach::new(BreachKind::Duplicate, &self.path_of(table), what);
            breach.at(partition, offset).range(offset, offset + 1)
        };
        let breach = match other {
            Some(other) if other == table => breach(format!("{what}: twice in this file")),
            Some(other) => {
                let other = self.path_of(other);
                breach(format!("{what}: {other} has one, too")).see(other)
            }
            // A round settles what was in quarantine, and nothing else.
            None if release.is_some() => breach(format!("{what}: the round does not release it")),
            None => breach(what.into()),
        };
        self.findings.report.breach(self.order(), breach);
    }

    fn check_counts(&mut self, table: Table, own: &Counted, quarantined: &Bits) {
        let start = self.chunk.ledger.start;
        if table == Table::Quarantine {
            if own.offsets != *quarantined {
                let what = "its offsets are not those that the ledger calls quarantined".into();
                self.breach_at(BreachKind::Conservation, table, start, what);
            }
            return;
        }
        // Every event has a group.
        let counted_as = if table == Table::Groups { Table::Events } else { table };
        if !ACCEPTED.contains(&counted_as) {
            return;
        }
        let of_table = self.accepted.iter().filter(|((t, _), n)| *t == counted_as && **n > 0);
        let said: BTreeMap<i64, u64> = of_table.map(|((_, project), n)| (*project, *n)).collect();
        let projects: BTreeSet<i64> = said.keys().chain(own.by_project.keys()).copied().collect();
        for project in projects {
            let count = |counts: &BTreeMap<i64, u64>| counts.get(&project).copied().unwrap_or_default();
            let (said, found) = (count(&said), count(&own.by_project));
            if said != found {
                let what = format!(
                    "the ledger counts {said} accepted items of project {project} and there are {found}"
                );
                self.breach_at(BreachKind::Conservation, table, start, what);
            }
        }
    }

    fn check_every_offset(&mut self) {
        let start = self.chunk.ledger.start;
        let missing = self.settled.length - self.settled.count();
        if missing == 0 {
            return;
        }
        let mut runs = self.settled.unset_runs().map(|(first, end)| (start + first, start + end));
        let first: Vec<_> = runs.by_ref().take(RUNS_SHOWN_MAX).collect();
        let shown: Vec<String> = first.iter().map(|run| offsets_are(*run)).collect();
        let more = if runs.next().is_some() { ", and more" } else { "" };
        let what =
            format!("{missing} of its offsets have no outcome: {} in no table{more}", shown.join(", "));
        let breach = Breach::new(BreachKind::NoOutcome, &self.chunk.path, what);
        let breach = breach.at(self.chunk.ledger.partition, first[0].0).range(first[0].0, first[0].1);
        self.findings.report.breach(self.order(), breach);
    }
}

struct OutcomeRow<'a> {
    project_id: i64,
    is_item: bool,
    category: &'a str,
    outcome: &'a str,
    reason: &'a str,
    quantity: i64,
    offset: Option<Offset>,
}

fn outcome_rows(batch: &RecordBatch) -> Result<impl Iterator<Item = OutcomeRow<'_>>, String> {
    let text = |name: &str| text_column(batch, name);
    let int = |name: &str| int_column(batch, name);
    let (projects, quantities, offsets) = (int("project_id")?, int("quantity")?, int("offset")?);
    let (ids, categories) = (text("event_id")?, text("category")?);
    let (outcomes, reasons) = (text("outcome")?, text("reason")?);
    Ok((0..batch.num_rows()).map(move |row| OutcomeRow {
        project_id: projects.value(row),
        is_item: ids.is_valid(row),
        category: categories.value(row),
        outcome: outcomes.value(row),
        reason: if reasons.is_valid(row) { reasons.value(row) } else { "" },
        quantity: quantities.value(row),
        offset: offsets.is_valid(row).then(|| offsets.value(row) as u64),
    }))
}

/// A bit per offset of a chunk.
#[derive(PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    length: u64,
}

impl Bits {
    fn new(length: u64) -> Bits {
        Bits { words: vec![0; length.div_ceil(64) as usize], length }
    }

    /// Sets a bit and says what it was; `None` outside of the range.
    fn set(&mut self, place: u64) -> Option<bool> {
        if place >= self.length {
            return None;
        }
        let (word, bit) = (&mut self.words[(place / 64) as usize], 1 << (place % 64));
        let before = *word & bit != 0;
        *word |= bit;
        Some(before)
    }

    /// Unsets a bit and says what it was; false outside of the range.
    fn unset(&mut self, place: u64) -> bool {
        let is_set = self.is_set(place);
        if is_set {
            self.words[(place / 64) as usize] &= !(1 << (place % 64));
        }
        is_set
    }

    fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    fn is_set(&self, place: u64) -> bool {
        place < self.length && self.words[(place / 64) as usize] & 1 << (place % 64) != 0
    }

    /// Runs of unset bits, `[first, behind the last]`.
    fn unset_runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = self.next_where(at, false)?;
            at = self.next_where(first, true).unwrap_or(self.length);
            Some((first, at))
        })
    }

    /// The first place from there on whose bit is like that.
    fn next_where(&self, from: u64, is_set: bool) -> Option<u64> {
        let mut place = from;
        while place < self.length {
            let word = self.words[(place / 64) as usize];
            let alike = if is_set { word } else { !word };
            match alike >> (place % 64) {
                0 => place = (place / 64 + 1) * 64,
                ahead => {
                    let found = place + u64::from(ahead.trailing_zeros());
                    return (found < self.length).then_some(found);
                }
            }
        }
        None
    }
}
