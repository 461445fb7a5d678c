//! What one thread found so far, and what can only be judged when all threads are through.

use std::collections::BTreeSet;

use host_event::Offset;

use super::chains::{ChainId, Chains};
use super::report::{Breach, BreachKind, Order, Part, Report};
use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::{Store, StoreError};

/// So many files of a thread are judged at the end, missing ones and orphans each; the rest at once, as what they most likely are.
const DEFERRED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Findings {
    pub(super) report: Report,
    missing: Vec<Missing>,
    /// Table files without a ledger beside them.
    orphans: Vec<String>,
    /// Where ledgers belong that are somewhere else.
    claims: BTreeSet<String>,
}

/// A table file that is not there. Whether that is a breach or a worker's way depends on whether its chunk is the last.
pub(super) struct Missing {
    pub(super) order: Order,
    pub(super) chain: ChainId,
    pub(super) start: Offset,
    pub(super) breach: Breach,
}

impl Findings {
    pub(super) fn missing(&mut self, missing: Missing) {
        if self.missing.len() < DEFERRED_MAX {
            return self.missing.push(missing);
        }
        let Missing { order, breach, .. } = missing;
        self.report.breach(order, Breach { kind: BreachKind::MissingTable, ..breach });
    }

    pub(super) fn orphan(&mut self, store: &dyn Store, path: String) -> Result<(), StoreError> {
        if self.orphans.len() < DEFERRED_MAX {
            self.orphans.push(path);
            return Ok(());
        }
        self.check_orphan(store, &path)
    }

    pub(super) fn claim(&mut self, ledger: &Ledger) {
        if self.claims.len() < DEFERRED_MAX {
            self.claims.insert(Names::of(ledger).ledger());
        }
    }

    pub(super) fn add(&mut self, other: Findings) {
        self.report.add(other.report);
        self.missing.extend(other.missing);
        self.orphans.extend(other.orphans);
        self.claims.extend(other.claims);
    }

    /// Judges what was put off.
    pub(super) fn close(mut self, store: &dyn Store, chains: &Chains) -> Result<Report, StoreError> {
        for Missing { order, chain, start, breach } in std::mem::take(&mut self.missing) {
            // Of a chunk that was the last when it was looked at, a worker may have written it since.
            if store.size(&breach.file)?.is_some() {
                continue;
            }
            let is_last = chains.is_last(&chain, start);
            let kind = if is_last { BreachKind::Unfinished } else { BreachKind::MissingTable };
            self.report.breach(order, Breach { kind, ..breach });
        }
        let mut orphans = std::mem::take(&mut self.orphans);
        orphans.sort_unstable();
        for path in orphans {
            if !self.claims.contains(&ledger_of(&path)) {
                self.check_orphan(store, &path)?;
            }
        }
        Ok(self.report)
    }

    /// A table file without a ledger: rows that nobody vouches for, unless the ledger was written after we listed.
    fn check_orphan(&mut self, store: &dyn Store, path: &str) -> Result<(), StoreError> {
        let ledger = ledger_of(path);
        if store.size(&ledger)?.is_none() {
            let breach = Breach::new(BreachKind::Orphan, path, "there is no ledger of that name".into());
            self.report.breach(Order::of(Part::Orphans), breach.see(ledger));
        }
        Ok(())
    }
}

/// The ledger that belongs to a table file.
pub(crate) fn ledger_of(path: &str) -> String {
    let tail = path.split_once('/').map_or("", |(_, tail)| tail);
    format!("{}/{tail}", Table::Outcomes)
}
