//! What the proof found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use host_event::{Offset, Partition};
use serde::Serialize;

use super::chains::ChainId;
use crate::schema::Table;

/// Breaches that are kept word for word, the first ones in the order of the report; the rest is only counted.
pub(super) const BREACHES_KEPT_MAX: usize = 1000;

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
    /// What the breaches look like together, and what to do.
    pub hints: Vec<String>,
    /// Only folders of this hour and later ones were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip)]
    sums: BTreeMap<(i64, String, String, String), i64>,
    #[serde(skip)]
    found: Vec<(Order, Breach)>,
}

/// The order of breaches in the report, which does not depend on which thread found what first: what can not be read and what lies
/// elsewhere, then the chains, then chunk by chunk, then what belongs to none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub(super) part: Part,
    pub(super) chain: ChainId,
    pub(super) start: Offset,
    pub(super) round: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Ledgers,
    Places,
    Chains,
    Chunks,
    Orphans,
}

impl Order {
    /// Of what has no place in a chain.
    pub(super) fn of(part: Part) -> Order {
        Order { part, chain: ChainId::default(), start: 0, round: 0 }
    }
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
    /// Of a chain that was read from a time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seam: Option<Seam>,
}

/// What is known of the place where reading began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seam {
    /// The chain itself begins here.
    Beginning,
    /// The ledger of the chunk before was read as well, and ends where this one begins, or is called a breach.
    Checked,
    /// The chunk before is in none of the folders that were looked into.
    Unknown,
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
    /// The offsets that are missing or doubled, `[first, behind the last]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(Offset, Offset)>,
    /// Other files to look at: the neighbours of a gap, what else has the offset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub see: Vec<String>,
}

impl Breach {
    pub(super) fn new(kind: BreachKind, file: &str, what: String) -> Breach {
        Breach {
            kind,
            file: file.to_owned(),
            partition: None,
            offset: None,
            what,
            range: None,
            see: Vec::new(),
        }
    }

    pub(super) fn at(self, partition: Partition, offset: Offset) -> Breach {
        Breach { partition: Some(partition), offset: Some(offset), ..self }
    }

    pub(super) fn range(self, start: Offset, end: Offset) -> Breach {
        Breach { range: Some((start, end)), ..self }
    }

    pub(super) fn see(mut self, file: String) -> Breach {
        self.see.push(file);
        self
    }
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

    pub(super) fn breach(&mut self, order: Order, breach: Breach) {
        self.breaches_count += 1;
        self.found.push((order, breach));
        if self.found.len() >= 2 * BREACHES_KEPT_MAX {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        // Stable, so what was found of one file stays in its order.
        self.found.sort_by(|a, b| a.0.cmp(&b.0));
        self.found.truncate(BREACHES_KEPT_MAX);
    }

    /// Adds what another thread found.
    pub(super) fn add(&mut self, other: Report) {
        self.chunks += other.chunks;
        self.offsets += other.offsets;
        self.rounds += other.rounds;
        self.released += other.released;
        self.files += other.files;
        self.bytes += other.bytes;
        other.rows.into_iter().for_each(|(table, n)| *self.rows.entry(table).or_default() += n);
        other.sums.into_iter().for_each(|(key, n)| *self.sums.entry(key).or_default() += n);
        self.breaches_count += other.breaches_count;
        self.found.extend(other.found);
        self.keep_first();
    }

    pub(super) fn count(&mut self, project: i64, category: &str, outcome: &str, reason: &str, quantity: i64) {
        let key = (project, category.to_owned(), outcome.to_owned(), reason.to_owned());
        *self.sums.entry(key).or_default() += quantity;
    }

    /// Turns the sums into the table, and puts the breaches in their order.
    pub(super) fn close(&mut self) {
        self.keep_first();
        self.breaches = std::mem::take(&mut self.found).into_iter().map(|(_, breach)| breach).collect();
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
        if let Some(since) = &self.since {
            let _ = writeln!(out, "only what was queued since {since} was read");
        }
        for Chain { source, epoch, partition, start, end, chunks, seam } in &self.chains {
            let epoch = if *epoch == 0 { String::new() } else { format!(" epoch {epoch}") };
            let chunks = counted(*chunks, "chunk");
            let seam = match seam {
                None => "",
                Some(Seam::Beginning) => ", from its beginning",
                Some(Seam::Checked) => ", and the chunk before them was looked at",
                Some(Seam::Unknown) => ", and what is before them is not known",
            };
            let _ = writeln!(out, "{source}{epoch} partition {partition}: {start}..{end} in {chunks}{seam}");
        }
        self.render_breaches(&mut out);
        out
    }

    fn render_breaches(&self, out: &mut String) {
        if self.is_sound() {
            let of = if self.since.is_some() { "every offset that was read" } else { "every offset" };
            let _ = writeln!(out, "sound: {of} has exactly one outcome");
            return;
        }
        let breaches = if self.breaches_count == 1 { "breach" } else { "breaches" };
        let _ = writeln!(out, "{} {breaches}", self.breaches_count);
        for Breach { kind, file, partition, offset, what, .. } in &self.breaches {
            let place = partition.zip(*offset).map(|(p, o)| format!(" partition {p} offset {o}"));
            let _ = writeln!(out, "{kind:?}: {file}{}: {what}", place.unwrap_or_default());
        }
        let left_off = self.breaches_count - self.breaches.len() as u64;
        if left_off > 0 {
            let _ = writeln!(out, "and {left_off} more");
        }
        for hint in &self.hints {
            let _ = writeln!(out, "hint: {hint}");
        }
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
