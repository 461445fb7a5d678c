//! Holds what a load was answered against what is in the tables.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::home::Home;
use crate::load::Sent;
use crate::tools;

/// What is expected of requests that were answered with another status than 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nothing of them was kept.
    Absent,
    /// They may be there, once: whether bytes reached the disk is not known after an fsync that failed.
    AtMostOnce,
}

/// Where ids are: in a table if the event was accepted, in `outcomes` if it was not.
const PLACES: [(&str, &str, &str); 4] = [
    ("events", "event_id", "true"),
    ("spans", "event_id", "is_segment"),
    ("logs", "body", "true"),
    ("outcomes", "event_id", "event_id IS NOT NULL"),
];
/// How many ids a complaint names.
const NAMED_MAX: usize = 10;

/// Every event that was kept is there exactly once, no other is there twice, and there are no strangers.
pub fn account(home: &Home, sent: &Sent, refused: Refused) -> Result<()> {
    account_in(&home.store(), sent, refused)
}

/// The same of any folder of tables.
pub fn account_in(store: &Path, sent: &Sent, refused: Refused) -> Result<()> {
    let rows = count_rows(store)?;
    let refused_rows_max = if refused == Refused::Absent { 0 } else { 1 };
    for (what, ids, least, most) in [
        ("answered with 200, and not there exactly once", &sent.kept, 1, 1),
        ("without an answer, and there more than once", &sent.unknown, 0, 1),
        ("refused, and there all the same", &sent.refused, 0, refused_rows_max),
    ] {
        let wrong = outside(&rows, ids, least, most);
        ensure!(wrong.is_empty(), "{what}: {} of {}, such as {:?}", wrong.len(), ids.len(), first(&wrong));
    }
    let known =
        |id: &&String| sent.kept.contains(*id) || sent.unknown.contains(*id) || sent.refused.contains(*id);
    let strangers: Vec<_> = rows.keys().filter(|id| !known(id)).collect();
    ensure!(strangers.is_empty(), "rows of events that nobody sent: {:?}", first(&strangers));
    Ok(())
}

fn first<T: Clone>(all: &[T]) -> Vec<T> {
    all.iter().take(NAMED_MAX).cloned().collect()
}

/// Every id and the number of its rows.
fn count_rows(store: &Path) -> Result<HashMap<String, u32>> {
    let mut rows = HashMap::new();
    for (table, id, only) in PLACES {
        ensure!(store.join(table).is_dir(), "there is no table {table}");
        let ask = format!(
            "SELECT {id} AS id, count(*)::INT AS n FROM read_parquet('$store/{table}/**/*.parquet', union_by_name=true)
             WHERE {only} GROUP BY 1"
        );
        for row in tools::query(store, &ask)? {
            let id = row["id"].as_str().with_context(|| format!("a row of {table} without {id}"))?;
            *rows.entry(id.to_owned()).or_default() += row["n"].as_u64().unwrap_or_default() as u32;
        }
    }
    Ok(rows)
}

fn outside(rows: &HashMap<String, u32>, ids: &HashSet<String>, least: u32, most: u32) -> Vec<String> {
    let counted = ids.iter().map(|id| (id, rows.get(id).copied().unwrap_or_default()));
    counted.filter(|(_, n)| !(least..=most).contains(n)).map(|(id, n)| format!("{id}: {n} rows")).collect()
}
