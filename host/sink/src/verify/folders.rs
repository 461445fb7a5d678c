//! Which folders there are, and what is in one of them.
//!
//! Names of folders are few, 8,760 a year. Files are listed a folder at a time, so what is in memory is what fell into an hour.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use host_event::Millis;

use super::Group;
use super::pool::in_parallel;
use crate::schema::Table;
use crate::store::{Entry, Store, StoreError};

const HOUR_MILLIS: Millis = 3_600_000;

/// Files that are looked at together: those of all tables in one hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// Behind the tables: `dt=2026-11-22/hour=19`. Empty for files that lie above such folders.
    pub(super) tail: String,
    pub(super) tables: Vec<Table>,
    /// Those that lie above.
    loose: Vec<(Table, Entry)>,
}

/// Finds all of them, the newest first. What is not called after an hour is among them, whatever `since` says.
pub(super) fn folders(
    store: &Arc<dyn Store>,
    since: Option<Millis>,
    jobs: usize,
) -> Result<(Vec<Folder>, Vec<String>), StoreError> {
    let since = since.map_or(i64::MIN, |since| since.div_euclid(HOUR_MILLIS));
    let of_tables = in_parallel(jobs, Table::ALL.to_vec(), |table| Ok((table, level(store, table.name())?)))?;
    let (mut days, mut found, mut older) = (Vec::new(), Found::default(), Vec::new());
    for (table, level) in of_tables {
        found.loose.extend(level.files.into_iter().map(|entry| (table, entry)));
        for day in level.folders {
            match last_hour_of(&day) {
                Some(last) if last < since => older.push((table, day)),
                _ => days.push((table, day)),
            }
        }
    }
    let of_days = in_parallel(jobs, days, |(table, day)| {
        let level = level(store, &format!("{table}/{day}"))?;
        Ok((table, day, level))
    })?;
    let mut before = Vec::new();
    for (table, day, level) in of_days {
        found.loose.extend(level.files.into_iter().map(|entry| (table, entry)));
        for hour in level.folders {
            let tail = format!("{day}/{hour}");
            match hour_of(&tail) {
                Some(hour) if hour < since => before.push((table, tail)),
                _ => found.tables.entry(tail).or_default().push(table),
            }
        }
    }
    let before = seam(store, before, older)?;
    Ok((found.sorted(), before))
}

/// So many of the folders before `since` are looked into for what comes before the first chunks.
const SEAM_FOLDERS_MAX: usize = 24;

/// The last folders with ledgers before the first that is read, the newest first.
fn seam(
    store: &Arc<dyn Store>,
    hours: Vec<(Table, String)>,
    days: Vec<(Table, String)>,
) -> Result<Vec<String>, StoreError> {
    let of_ledgers = |folders: Vec<(Table, String)>| {
        let ledgers = folders.into_iter().filter(|(table, _)| *table == Table::Outcomes);
        let mut tails: Vec<String> = ledgers.map(|(_, tail)| tail).collect();
        tails.sort_unstable_by(|a, b| b.cmp(a));
        tails
    };
    let mut seam = of_ledgers(hours);
    for day in of_ledgers(days) {
        if seam.len() >= SEAM_FOLDERS_MAX {
            break;
        }
        let hours = level(store, &format!("{}/{day}", Table::Outcomes))?.folders;
        seam.extend(hours.into_iter().rev().map(|hour| format!("{day}/{hour}")));
    }
    seam.truncate(SEAM_FOLDERS_MAX);
    Ok(seam)
}

#[derive(Default)]
struct Found {
    tables: BTreeMap<String, Vec<Table>>,
    loose: Vec<(Table, Entry)>,
}

impl Found {
    fn sorted(self) -> Vec<Folder> {
        let folder = |(tail, tables)| Folder { tail, tables, loose: Vec::new() };
        let mut folders: Vec<_> = self.tables.into_iter().rev().map(folder).collect();
        if !self.loose.is_empty() {
            folders.push(Folder { loose: self.loose, ..Folder::default() });
        }
        folders
    }
}

/// What lies directly in a folder.
#[derive(Default)]
struct Level {
    folders: Vec<String>,
    files: Vec<Entry>,
}

/// Asks for the first object, and then for the first one behind the folder that it is in: a request for each folder, whatever is in them.
fn level(store: &Arc<dyn Store>, folder: &str) -> Result<Level, StoreError> {
    let mut level = Level::default();
    let mut after: Option<String> = None;
    loop {
        let mut inside = None;
        store.each(folder, after.as_deref(), &mut |entry| {
            let rest = entry.path.get(folder.len() + 1..).unwrap_or_default();
            match rest.split_once('/') {
                Some((name, _)) => {
                    inside = Some(name.to_owned());
                    ControlFlow::Break(())
                }
                None => {
                    level.files.push(entry);
                    ControlFlow::Continue(())
                }
            }
        })?;
        let Some(name) = inside else { return Ok(level) };
        // `0` is what comes after `/`: nothing in the folder is behind it, and everything after the folder is.
        after = Some(format!("{folder}/{name}0"));
        level.folders.push(name);
    }
}

/// Hours since 1970 of a folder of that name.
pub(super) fn hour_of(tail: &str) -> Option<i64> {
    let (day, hour) = tail.split_once('/')?;
    let hour: i64 = hour.strip_prefix("hour=").filter(|hour| hour.len() == 2)?.parse().ok()?;
    Some(first_hour_of(day)? + hour)
}

fn last_hour_of(day: &str) -> Option<i64> {
    first_hour_of(day).map(|first| first + 23)
}

fn first_hour_of(day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.strip_prefix("dt=")?.parse().ok()?;
    let midnight = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(midnight.as_millisecond().div_euclid(HOUR_MILLIS))
}

/// The folder of an hour since 1970.
pub(super) fn tail_of(hour: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(hour.checked_mul(HOUR_MILLIS)?).ok()?;
    let at = jiff::tz::Offset::UTC.to_datetime(at);
    Some(format!("dt={:04}-{:02}-{:02}/hour={:02}", at.year(), at.month(), at.day(), at.hour()))
}

impl Folder {
    /// The files, grouped by chunk.
    pub(super) fn groups(&self, store: &dyn Store) -> Result<Vec<Group>, StoreError> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut add = |table: Table, entry: Entry| {
            let tail = entry.path.split_once('/').map_or("", |(_, tail)| tail);
            let Some(stem) = tail.strip_suffix(".parquet") else { return };
            let group = groups.entry(chunk_of(stem).to_owned()).or_default();
            match table {
                Table::Outcomes => group.ledgers.push(entry),
                _ => drop(group.sizes.insert(entry.path, entry.size)),
            }
        };
        // Ledgers first: a table file can be younger than this list, and its ledger is asked for before it is called an orphan.
        if self.tables.contains(&Table::Outcomes) {
            let entries = store.list(&format!("{}/{}", Table::Outcomes, self.tail))?;
            entries.into_iter().for_each(|entry| add(Table::Outcomes, entry));
        }
        for table in self.tables.iter().filter(|table| **table != Table::Outcomes) {
            let entries = store.list(&format!("{table}/{}", self.tail))?;
            entries.into_iter().for_each(|entry| add(*table, entry));
        }
        self.loose.iter().for_each(|(table, entry)| add(*table, entry.clone()));
        Ok(groups.into_values().collect())
    }
}

/// What a file's name says without the round of release.
fn chunk_of(stem: &str) -> &str {
    match stem.rsplit_once("-r") {
        Some((chunk, round)) if round.len() == 5 && round.bytes().all(|b| b.is_ascii_digit()) => chunk,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn store(paths: &[&str]) -> Arc<dyn Store> {
        let store = MemoryStore::default();
        for path in paths {
            store.create(path, bytes::Bytes::new()).unwrap();
        }
        Arc::new(store)
    }

    #[test]
    fn hours_and_folders() {
        let tail = "dt=2026-11-22/hour=19";
        let hour = hour_of(tail).unwrap();
        assert_eq!((hour, tail_of(hour).as_deref()), (498_715, Some(tail)));
        for odd in ["dt=2026-11-22", "dt=2026-11-22/hour=7", "dt=2026-13-22/hour=07", "x/hour=07", ""] {
            assert_eq!(hour_of(odd), None, "{odd}");
        }
        assert_eq!(chunk_of("dt=a/hour=b/main-p00000-o1-r00002"), "dt=a/hour=b/main-p00000-o1");
        assert_eq!(chunk_of("dt=a/hour=b/main-relay-p00000-o1"), "dt=a/hour=b/main-relay-p00000-o1");
    }

    #[test]
    fn all_folders_are_found_and_what_lies_above_them() {
        let store = store(&[
            "outcomes/a.parquet",
            "outcomes/dt=2026-11-21/hour=23/a.parquet",
            "outcomes/dt=2026-11-22/b.parquet",
            "outcomes/dt=2026-11-22/hour=00/a.parquet",
            "outcomes/dt=2026-11-22/hour=00/b.parquet",
            "outcomes/dt=2026-11-22/hour=01/a.parquet",
            "outcomes/z.parquet",
            "events/dt=2026-11-22/hour=01/a.parquet",
            "events/dt=2026-11-22/hour=02/deeper/a.parquet",
            "events/odd/hour=02/a.parquet",
            "control/dt=2026-11-22/hour=02/a.parquet",
        ]);
        let (found, before) = folders(&store, None, 3).unwrap();
        let tails: Vec<_> = found.iter().map(|folder| folder.tail.as_str()).collect();
        let want = [
            "odd/hour=02",
            "dt=2026-11-22/hour=02",
            "dt=2026-11-22/hour=01",
            "dt=2026-11-22/hour=00",
            "dt=2026-11-21/hour=23",
            "",
        ];
        assert_eq!((tails, before), (want.to_vec(), vec![]));
        assert_eq!(found[2].tables, [Table::Events, Table::Outcomes]);
        let loose: Vec<_> = found[5].loose.iter().map(|(_, entry)| entry.path.as_str()).collect();
        assert_eq!(loose, ["outcomes/a.parquet", "outcomes/z.parquet", "outcomes/dt=2026-11-22/b.parquet"]);
        assert_eq!(found[3].groups(store.as_ref()).unwrap().len(), 2);

        let since = Some(hour_of("dt=2026-11-22/hour=01").unwrap() * HOUR_MILLIS + 5);
        let (found, before) = folders(&store, since, 3).unwrap();
        let tails: Vec<_> = found.iter().map(|folder| folder.tail.as_str()).collect();
        assert_eq!(tails, ["odd/hour=02", "dt=2026-11-22/hour=02", "dt=2026-11-22/hour=01", ""]);
        assert_eq!(before, ["dt=2026-11-22/hour=00", "dt=2026-11-21/hour=23"]);
    }
}
