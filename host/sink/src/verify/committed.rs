//! How far the queue is committed, held against where the chains end: a chunk that is gone with all of its files, behind which there is
//! none, shows nowhere else.

use std::sync::Arc;

use host_event::{Offset, Partition};

use super::chains::{ChainId, Chains, offsets_are};
use super::report::{Breach, BreachKind, Part, Report};
use crate::file::TableFile;
use crate::ledger::Ledger;
use crate::schema::Table;
use crate::store::{Store, StoreError};

/// What Tamis committed of a partition before the store was read. A chunk is in the store before it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub source: String,
    pub partition: Partition,
    pub next: Offset,
    /// Path of the ledger of the chunk that ends there, where the queue has a note of it.
    pub ledger: Option<String>,
}

/// Adds the last chunk of chains that are shorter than what is committed, where the note says which one that is: it may be older than
/// what was to be read.
pub(super) fn look_for_last(
    store: &Arc<dyn Store>,
    chains: &mut Chains,
    all: &[Committed],
) -> Result<(), StoreError> {
    for committed in all {
        let Some(path) = committed.ledger.as_ref().filter(|_| committed.is_beyond(chains)) else { continue };
        let Some(file) = TableFile::open(store, path)?.ok().flatten() else { continue };
        if let Ok(ledger) = Ledger::of(file.metadata()) {
            let ChainId { source, partition, .. } = ChainId::of(&ledger);
            if *source == *committed.source && partition == committed.partition {
                chains.push_beside(&ledger, path);
            }
        }
    }
    Ok(())
}

impl Committed {
    /// A new epoch that has its first chunk and no commit yet is behind, and what was committed is the end of the one before.
    fn is_beyond(&self, chains: &Chains) -> bool {
        let &Committed { ref source, partition, next, ref ledger } = self;
        let is_there = |path: &String| chains.has(source, partition, next, path);
        chains.end(source, partition).is_none_or(|(end, _)| end < next)
            && !ledger.as_ref().is_some_and(is_there)
    }
}

impl Chains {
    /// Says which committed offsets are in no chunk. `since` of what was read from a time on.
    pub(super) fn check_committed(&self, all: &[Committed], since: bool, report: &mut Report) {
        for committed in all.iter().filter(|committed| committed.next > 0 && committed.is_beyond(self)) {
            let &Committed { ref source, partition, next, ref ledger } = committed;
            let (end, last) = match self.end(source, partition) {
                Some((end, last)) => (end, Some(last)),
                // A note would have said which chunk that is, however old.
                None if since && ledger.is_none() => continue,
                None => (0, None),
            };
            let gone = offsets_are((end, next));
            let why = match &last {
                Some(_) => "the last chunk is gone with its ledger",
                None => "it is another store, or all chunks are gone",
            };
            let what = format!("the queue is committed at {next}, and {gone} in no chunk: {why}");
            let file = ledger.clone().or(last.clone()).unwrap_or_else(|| Table::Outcomes.to_string());
            let chain = ChainId { source: source.as_str().into(), epoch: 0, partition };
            let mut breach = Breach::new(BreachKind::Gap, &file, what).at(partition, end).range(end, next);
            breach.see.extend(last.filter(|last| *last != file));
            report.breach(chain.order(Part::Chains, end), breach);
        }
    }
}
