//! What the proof found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use host_event::{Offset, Partition};
use serde::Serialize;

use crate::schema::Table;

/// Breaches that are kept word for word; the rest is only counted.
const BREACHES_KEPT_MAX: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Report {
    pub chunks: u64,
    pub offsets: u64,
    /// Rounds of release from quarantine, and the items that they released.
    pub rounds: u64,
    pub released: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: BTreeMap<Table, u64>,
    pub chains: Vec<Chain>,
    /// What became of everything, by project, category, outcome and reason.
    pub conservation: Vec<Conserved>,
    pub breaches: Vec<Breach>,
    /// Of all breaches, also those that are not listed.
    pub breaches_count: u64,
    #[serde(skip)]
    sums: BTreeMap<(i64, String, String, String), i64>,
}

/// The line of chunks of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    pub source: String,
    pub epoch: u32,
    pub partition: Partition,
    pub start: Offset,
    pub end: Offset,
    pub chunks: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conserved {
    pub project_id: i64,
    pub category: String,
    pub outcome: String,
    pub reason: String,
    pub quantity: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    pub kind: BreachKind,
    pub file: String,
    pub partition: Option<Partition>,
    pub offset: Option<Offset>,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachKind {
    UnreadableLedger,
    /// The file belongs to another place.
    Misplaced,
    /// Offsets before the first chunk or between two are in none.
    Gap,
    Overlap,
    /// Two chunks begin at the same offset.
    Fork,
    /// The tables of the last chunk of a chain are not all there: a worker is at it, or will repair it at its next start. Or those of a
    /// round of release: an operator is at it, or the next release of anything through any generation finishes it.
    Unfinished,
    MissingTable,
    /// A table file without a ledger, or a round of release without the chunk of its items.
    Orphan,
    Unreadable,
    RowCount,
    OutOfRange,
    /// An offset with more than one outcome; also one that was released twice, or without having been in quarantine.
    Duplicate,
    NoOutcome,
    /// Counts of the ledger and rows of the tables differ.
    Conservation,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.breaches_count == 0
    }

    pub(super) fn breach(
        &mut self,
        kind: BreachKind,
        file: &str,
        place: Option<(Partition, Offset)>,
        what: String,
    ) {
        self.breaches_count += 1;
        if self.breaches.len() < BREACHES_KEPT_MAX {
            let (partition, offset) = place.unzip();
            self.breaches.push(Breach { kind, file: file.to_owned(), partition, offset, what });
        }
    }

    pub(super) fn count(&mut self, project: i64, category: &str, outcome: &str, reason: &str, quantity: i64) {
        let key = (project, category.to_owned(), outcome.to_owned(), reason.to_owned());
        *self.sums.entry(key).or_default() += quantity;
    }

    /// Turns the sums into the table.
    pub(super) fn close(&mut self) {
        // Of what was all released, nothing is left to show.
        let sums = std::mem::take(&mut self.sums).into_iter().filter(|(_, quantity)| *quantity != 0);
        let row = |((project_id, category, outcome, reason), quantity)| Conserved {
            project_id,
            category,
            outcome,
            reason,
            // What is taken back was counted once; if it was not, that is a breach of its own.
            quantity: i64::max(quantity, 0) as u64,
        };
        self.conservation = sums.map(row).collect();
    }

    /// The report as text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut rows = vec![["project", "category", "outcome", "reason", "quantity"].map(String::from)];
        rows.extend(self.conservation.iter().map(|c| {
            let Conserved { project_id, category, outcome, reason, quantity } = c.clone();
            [project_id.to_string(), category, outcome, reason, quantity.to_string()]
        }));
        let received: u64 = self.conservation.iter().map(|c| c.quantity).sum();
        rows.push(["", "", "", "received", &received.to_string()].map(String::from));
        let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or_default();
        let widths: [usize; 5] = std::array::from_fn(width);
        for [project, category, outcome, reason, quantity] in &rows {
            let [p, c, o, r, q] = widths;
            let _ = writeln!(out, "{project:>p$}  {category:c$}  {outcome:o$}  {reason:r$}  {quantity:>q$}");
        }
        let Report { chunks, offsets, files, bytes, .. } = self;
        let (chunks, offsets) = (counted(*chunks, "chunk"), counted(*offsets, "offset"));
        let _ = writeln!(out, "\n{chunks}, {offsets}, {}, {bytes} bytes", counted(*files, "file"));
        if self.rounds > 0 {
            let (items, rounds) = (counted(self.released, "item"), counted(self.rounds, "round"));
            let _ = writeln!(out, "{items} released from quarantine in {rounds}");
        }
        for Chain { source, epoch, partition, start, end, chunks } in &self.chains {
            let epoch = if *epoch == 0 { String::new() } else { format!(" epoch {epoch}") };
            let chunks = counted(*chunks, "chunk");
            let _ = writeln!(out, "{source}{epoch} partition {partition}: {start}..{end} in {chunks}");
        }
        self.render_breaches(&mut out);
        out
    }

    fn render_breaches(&self, out: &mut String) {
        if self.is_sound() {
            out.push_str("sound: every offset has exactly one outcome\n");
            return;
        }
        let breaches = if self.breaches_count == 1 { "breach" } else { "breaches" };
        let _ = writeln!(out, "{} {breaches}", self.breaches_count);
        for Breach { kind, file, partition, offset, what } in &self.breaches {
            let place = partition.zip(*offset).map(|(p, o)| format!(" partition {p} offset {o}"));
            let _ = writeln!(out, "{kind:?}: {file}{}: {what}", place.unwrap_or_default());
        }
        let left_off = self.breaches_count - self.breaches.len() as u64;
        if left_off > 0 {
            let _ = writeln!(out, "and {left_off} more");
        }
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
