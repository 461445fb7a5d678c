//! The files of a time range, by the names of their folders.

use host_event::Millis;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::schema::Table;
use crate::store::{Store, StoreError};

const HOUR_MILLIS: Millis = 3_600_000;
const DAY_MILLIS: Millis = 24 * HOUR_MILLIS;
/// Days that are listed one by one; of a longer range a table is listed whole.
const DAYS_LISTED_MAX: i64 = 400;

/// Files that may have records received in `from..to`, in the order of time.
///
/// A folder is named after the hour at which the first record of the file was queued, and no file reaches into the next hour. A record
/// is queued in the request that brings it, so at most an hour later than it was received, and by the same clock; an hour before is
/// looked at too, should that clock have been set back.
pub(crate) fn files(
    store: &dyn Store,
    tables: &[Table],
    from: Millis,
    to: Millis,
) -> Result<Vec<(Table, String)>, StoreError> {
    if from >= to {
        return Ok(Vec::new());
    }
    let (first, last) = (from.saturating_sub(HOUR_MILLIS), (to - 1).saturating_add(HOUR_MILLIS));
    let (low, high) = (hour_folder(first), hour_folder(last));
    let mut files = Vec::new();
    for table in tables {
        for folder in folders(*table, first, last) {
            for entry in store.list(&folder)? {
                let tail = entry.path.split_once('/').map_or("", |(_, tail)| tail);
                let hour = tail.rsplit_once('/').map_or("", |(hour, _)| hour);
                if entry.path.ends_with(".parquet") && low.as_str() <= hour && hour <= high.as_str() {
                    files.push((tail.to_owned(), *table));
                }
            }
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(tail, table)| (table, format!("{table}/{tail}"))).collect())
}

fn folders(table: Table, first: Millis, last: Millis) -> Vec<String> {
    let (first, last) = (first.div_euclid(DAY_MILLIS), last.div_euclid(DAY_MILLIS));
    if last - first >= DAYS_LISTED_MAX {
        return vec![table.name().to_owned()];
    }
    (first..=last).map(|day| format!("{table}/{}", day_folder(day.saturating_mul(DAY_MILLIS)))).collect()
}

fn day_folder(at: Millis) -> String {
    let at = utc(at);
    format!("dt={:04}-{:02}-{:02}", at.year(), at.month(), at.day())
}

fn hour_folder(at: Millis) -> String {
    format!("{}/hour={:02}", day_folder(at), utc(at).hour())
}

/// What no calendar has is as early or as late as can be.
fn utc(at: Millis) -> DateTime {
    let (min, max) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or(if at < 0 { min } else { max });
    Offset::UTC.to_datetime(at.max(min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn folders_around_the_range_are_looked_at() {
        let store = MemoryStore::default();
        for (day, hour) in [(21, 23), (22, 18), (22, 19), (22, 20), (22, 21), (23, 0)] {
            for table in [Table::Events, Table::Logs] {
                let path = format!("{table}/dt=2026-11-{day}/hour={hour:02}/a.parquet");
                store.create(&path, bytes::Bytes::new()).unwrap();
            }
        }
        let nineteen = 1_795_374_000_000;
        let hours = |from, to| -> Vec<String> {
            let files = files(&store, &[Table::Events], from, to).unwrap();
            files.into_iter().map(|(_, path)| path[18..28].to_owned()).collect()
        };
        assert_eq!(
            hours(nineteen, nineteen + HOUR_MILLIS),
            ["22/hour=18", "22/hour=19", "22/hour=20"],
            "the hour itself, and one on each side"
        );
        assert_eq!(hours(nineteen, nineteen), [""; 0]);
        assert_eq!(
            hours(nineteen + 3 * HOUR_MILLIS, nineteen + 5 * HOUR_MILLIS),
            ["22/hour=21", "23/hour=00"]
        );
        assert_eq!(hours(i64::MIN, i64::MAX).len(), 6, "all there is");
        assert_eq!(hours(0, i64::MAX).len(), 6);
        let both = files(&store, &[Table::Logs, Table::Events], nineteen, nineteen + 1).unwrap();
        let tables: Vec<_> = both.iter().map(|(table, _)| *table).collect();
        assert_eq!(
            tables,
            [Table::Events, Table::Logs, Table::Events, Table::Logs, Table::Events, Table::Logs]
        );
    }
}
