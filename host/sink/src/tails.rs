//! Which chunk of a partition is the youngest, by the names of the ledgers in the store. The whole store is listed for it, so it is only asked
//! when the queue can not say it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use host_event::{Offset, Partition};
use parking_lot::Mutex;

use crate::schema::Table;
use crate::store::{Store, StoreError};

/// A listing serves all partitions that ask within this time. One that is a little old does no harm: whoever goes on at a chunk that
/// is not the youngest any more finds the next one in its place.
const LISTING_AGE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Youngest {
    pub(crate) epoch: u32,
    pub(crate) start: Offset,
    pub(crate) path: String,
}

#[derive(Default)]
pub(crate) struct Tails(Mutex<Option<(Instant, BTreeMap<Partition, Youngest>)>>);

impl Tails {
    pub(crate) fn youngest(
        &self,
        store: &dyn Store,
        source: &str,
        partition: Partition,
    ) -> Result<Option<Youngest>, StoreError> {
        // Held while it lists: the others wait for the same listing.
        let mut listed = self.0.lock();
        if listed.as_ref().is_none_or(|(at, _)| at.elapsed() > LISTING_AGE_MAX) {
            let begun = Instant::now();
            *listed = Some((begun, list(store, source)?));
        }
        Ok(listed.as_ref().and_then(|(_, youngest)| youngest.get(&partition).cloned()))
    }
}

fn list(store: &dyn Store, source: &str) -> Result<BTreeMap<Partition, Youngest>, StoreError> {
    let mut youngest: BTreeMap<Partition, Youngest> = BTreeMap::new();
    store.each(Table::Outcomes.name(), None, &mut |entry| {
        if let Some((epoch, partition, start)) = read_name(&entry.path, source) {
            let older = youngest.get(&partition).is_some_and(|y| (y.epoch, y.start) >= (epoch, start));
            if !older {
                youngest.insert(partition, Youngest { epoch, start, path: entry.path });
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(youngest)
}

/// `…/<source>[-e00001]-p00012-o00000000000000004711.parquet`: epoch, partition, start. Rounds of release have more behind it.
fn read_name(path: &str, source: &str) -> Option<(u32, Partition, Offset)> {
    let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
    let rest = name.strip_prefix(source)?.strip_prefix('-')?;
    let (epoch, rest) = match rest.strip_prefix('e').and_then(|rest| rest.split_once('-')) {
        Some((epoch, rest)) => (epoch.parse().ok()?, rest),
        None => (0, rest),
    };
    let (partition, start) = rest.strip_prefix('p')?.split_once("-o")?;
    Some((epoch, partition.parse().ok()?, start.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn the_youngest_by_epoch_and_offset() {
        let store = MemoryStore::default();
        for name in [
            "dt=2026-11-22/hour=19/main-p00012-o00000000000000000000.parquet",
            "dt=2025-01-01/hour=00/main-p00012-o00000000000000000900.parquet",
            "dt=2026-11-22/hour=19/main-p00012-o00000000000000000900-r00001.parquet",
            "dt=2026-11-22/hour=19/main-p00003-o00000000000000009999.parquet",
            "dt=2026-11-22/hour=20/main-e00001-p00003-o00000000000000000007.parquet",
            "dt=2026-11-22/hour=20/main_2-p00012-o00000000000000099999.parquet",
            "dt=2026-11-22/hour=20/notes.txt",
        ] {
            store.create(&format!("outcomes/{name}"), Bytes::new()).unwrap();
        }
        let tails = Tails::default();
        let youngest =
            |partition| tails.youngest(&store, "main", partition).unwrap().map(|y| (y.epoch, y.start));
        assert_eq!((youngest(12), youngest(3), youngest(4)), (Some((0, 900)), Some((1, 7)), None));
    }
}
