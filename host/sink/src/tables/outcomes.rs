//! `outcomes`: what became of everything. Its files are the ledger.

use host_event::{EventId, Millis, Offset, Partition, ProjectId};

use crate::columns::{Int, MaybeInt, MaybeText, Text, Time};
use crate::schema::table;
use crate::tables::{SortKey, signed};
use crate::wire::micros_of_millis;

table! {
    /// What became of everything that was received. A row for each item that was not accepted, and one per project and category with
    /// the number of those that were; `sum(quantity)` over all rows is what was received. Its files are the ledger: the footer says
    /// which offsets the chunk covers and under which generations (`tamis.ledger`), and which records went on without a stage that failed on them (`passed_over`);
    /// `tamis verify` proves that each offset has one outcome. When a quarantined item is released, a later file takes its row back
    /// (the same row with the quantity -1) and says what became of it, so the sums stay right: always sum `quantity`, never count rows.
    struct Outcomes {
        /// The project, as in the DSN; 0 where a record could not be read.
        project_id: Int,
        /// When Tamis received it; for the counts of what was accepted, when the first record of the chunk was queued.
        timestamp: Time,
        /// The item that was not accepted. Null for counts: of what was accepted, of what clients dropped, of what was refused over HTTP.
        event_id: MaybeText,
        /// Sentry's data category: `error`, `transaction`, `span`, `log_item`, `session`, `monitor`, ...
        category: Text,
        /// `accepted`, `filtered`, `sampled_out`, `rate_limited`, `invalid`, `client_discard`, `quarantined` or `internal`.
        outcome: Text,
        /// Why: a short key such as `web-crawlers` or `too_large:event`.
        reason: MaybeText,
        /// The stage of the pipeline that decided it; null where none did.
        stage: MaybeText,
        /// How many items the row stands for; -1 takes back a row of an item that was released from quarantine.
        quantity: Int,
        /// The generation of the pipeline that decided about it; of what was accepted there is a count for each generation.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// The offset of the record; null for what was accepted, whose offsets are in the other tables.
        offset: MaybeInt,
    }
}

pub(crate) struct OutcomeRow<'a> {
    pub(crate) project_id: ProjectId,
    pub(crate) at: Millis,
    pub(crate) event_id: Option<EventId>,
    pub(crate) category: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) quantity: i64,
    pub(crate) generation: u64,
    pub(crate) offset: Option<Offset>,
}

impl Outcomes {
    pub(crate) fn push(&mut self, row: OutcomeRow<'_>, partition: Partition) -> SortKey {
        let (project, timestamp) = (signed(row.project_id), micros_of_millis(row.at));
        self.project_id.push(project);
        self.timestamp.push(timestamp);
        self.event_id.push_id(row.event_id.map(|id| id.0));
        self.category.push(row.category);
        self.outcome.push(row.outcome);
        self.reason.push(Some(row.reason));
        self.stage.push(Some(row.stage));
        self.quantity.push(row.quantity);
        self.generation.push(signed(row.generation));
        self.partition.push(i64::from(partition));
        self.offset.push(row.offset.map(signed));
        SortKey { project, group: 0, timestamp }
    }
}
