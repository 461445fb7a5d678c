//! A second look, before offsets are called missing: at folders around a hole, and at those before the first that was read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use host_event::Offset;

use super::chains::{ChainId, Chains, Hole, Split};
use super::folders::tail_of;
use crate::file::TableFile;
use crate::ledger::Ledger;
use crate::schema::Table;
use crate::store::{Store, StoreError};

/// Hours on each side of a hole whose folders are listed again, and all of them together.
const HOURS_AROUND_MAX: i64 = 24;
const FOLDERS_MAX: usize = 400;
/// Ledgers that are read because they may lie in a hole.
const LEDGERS_MAX: usize = 10_000;

/// Adds the chunks that lie in holes after all. `before` are folders that were not to be read, and are only looked into for the
/// chunks that come before the first ones.
pub(super) fn look_again(
    store: &Arc<dyn Store>,
    chains: &mut Chains,
    before: &[String],
    since: bool,
) -> Result<(), StoreError> {
    chains.sort();
    let holes = chains.holes(since);
    if holes.is_empty() {
        return Ok(());
    }
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for hole in &holes {
        let wanted = wanted.entry(hole.chain.prefix()).or_default();
        wanted.of.get_or_insert_with(|| hole.chain.clone());
        match hole.hours {
            Some(_) => wanted.holes.push((hole.start, hole.end)),
            None => wanted.first = Some(hole.end),
        }
    }
    for tail in folders_of(&holes, before) {
        let folder = format!("{}/{tail}", Table::Outcomes);
        store.each(&folder, None, &mut |entry| {
            if let Some((prefix, start)) = parts_of(&entry.path)
                && let Some(wanted) = wanted.get_mut(prefix)
            {
                wanted.take(start, entry.path);
            }
            ControlFlow::Continue(())
        })?;
    }
    for wanted in wanted.into_values() {
        let Some(chain) = wanted.of else { continue };
        for path in wanted.paths.into_iter().chain(wanted.opening.map(|(_, path)| path)) {
            // One that can not be read was reported where its folder was read, and else is as good as none.
            let opened = TableFile::open(store, &path)?.ok().flatten();
            let Some(file) = opened else { continue };
            match Ledger::of(file.metadata()) {
                Ok(ledger) if ChainId::of(&ledger) == chain => {
                    chains.push_beside(&ledger, &path);
                }
                _ => {}
            }
        }
    }
    chains.sort();
    Ok(())
}

/// What is looked for of one chain.
#[derive(Default)]
struct Wanted {
    of: Option<ChainId>,
    holes: Vec<(Offset, Offset)>,
    /// Where the chain begins, as far as it was read.
    first: Option<Offset>,
    paths: BTreeSet<String>,
    /// The last chunk before that.
    opening: Option<(Offset, String)>,
}

impl Wanted {
    fn take(&mut self, start: Offset, path: String) {
        if self.first.is_some_and(|first| start < first) {
            if self.opening.as_ref().is_none_or(|(best, _)| *best < start) {
                self.opening = Some((start, path));
            }
        } else if self.paths.len() < LEDGERS_MAX
            && self.holes.iter().any(|(from, until)| (*from..*until).contains(&start))
        {
            self.paths.insert(path);
        }
    }
}

/// The folders in which the chunks of holes may be.
fn folders_of(holes: &[Hole], before: &[String]) -> BTreeSet<String> {
    let mut tails: BTreeSet<String> = before.iter().cloned().collect();
    for (a, b) in holes.iter().filter_map(|hole| hole.hours) {
        let (low, high) = (i64::from(a.min(b)), i64::from(a.max(b)));
        let near_low = low - 1..=high.min(low + HOURS_AROUND_MAX);
        let near_high = low.max(high - HOURS_AROUND_MAX)..=high + 1;
        for hour in near_low.chain(near_high) {
            if tails.len() >= FOLDERS_MAX {
                return tails;
            }
            tails.extend(tail_of(hour));
        }
    }
    tails
}

/// What the name of a chunk's ledger says; not of a round of release.
fn parts_of(path: &str) -> Option<(&str, Offset)> {
    let (_, name) = path.rsplit_once('/')?;
    let (prefix, start) = name.strip_suffix(".parquet")?.rsplit_once("-o")?;
    Some((prefix, start.parse().ok().filter(|_| start.len() == 20)?))
}

/// Says what more than one chunk for an offset looks like, from who wrote two of them.
pub(super) fn hint(store: &Arc<dyn Store>, split: &Split) -> Result<String, StoreError> {
    let mut writers = Vec::new();
    for path in &split.files {
        let opened = TableFile::open(store, path)?.ok().flatten();
        writers
            .push(opened.and_then(|file| Ledger::of(file.metadata()).ok()).map(|ledger| writer_of(&ledger)));
    }
    let ChainId { source, epoch, partition } = &split.chain;
    let epoch = if *epoch == 0 { String::new() } else { format!(" epoch {epoch}") };
    let [one, other] = &split.files;
    let count = split.count;
    let chunks = if count == 1 { "1 chunk has".to_owned() } else { format!("{count} chunks have") };
    let head = format!("{source}{epoch} partition {partition}: {chunks} offsets that others have, too");
    Ok(match writers.as_slice() {
        [Some(a), Some(b)] if a != b => format!(
            "{head}. Writer {a} made {one}, and writer {b} made {other}: if these are two fleets, or two machines with a queue \
             of their own, that were given one prefix by mistake, give each a store.url of its own; both kept all they took in"
        ),
        [Some(a), Some(_)] => format!(
            "{head}. Writer {a} made both {one} and {other}: its queue was read again from an earlier offset, or began anew"
        ),
        _ => head,
    })
}

/// The process, without the number of its attempt.
fn writer_of(ledger: &Ledger) -> String {
    ledger.nonce.split('-').next().unwrap_or_default().to_owned()
}
