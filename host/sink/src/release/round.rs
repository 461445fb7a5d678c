//! How a round becomes durable: staged, decided, copied.

use bytes::Bytes;

use super::ReleaseError;
use crate::chunk::Encoded;
use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::{Put, Store, StoreError, put_create};

/// Where the tables of a round wait for their ledger.
const STAGING_FOLDER: &str = "control/release";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Mine,
    /// There is such a round already, of another attempt.
    Refused,
}

/// Stages the tables and creates the ledger. With `Mine` the round is decided, and its files are still to be put in their places.
pub(super) fn create(store: &dyn Store, names: &Names, encoded: &Encoded) -> Result<Created, ReleaseError> {
    let Encoded { ledger, bodies } = encoded;
    for (table, body) in bodies.iter().filter(|(table, _)| *table != Table::Outcomes) {
        let path = staged(names, &ledger.nonce, *table);
        if let Put::Exists(_) = put_create(store, &path, body)? {
            return Err(broken(path, "another attempt has the same nonce"));
        }
    }
    let body = bodies.iter().find(|(table, _)| *table == Table::Outcomes).map(|(_, body)| body.clone());
    // Every chunk has it; without, there would be nothing to decide by.
    let body = body.ok_or_else(|| broken(names.ledger(), "the round has no ledger"))?;
    match put_create(store, &names.ledger(), &body)? {
        Put::Created => Ok(Created::Mine),
        Put::Exists(_) => {
            clear(store, &format!("{}/{}", staging_of(names), ledger.nonce));
            Ok(Created::Refused)
        }
    }
}

/// Puts the files in their places that are not there yet, whoever wrote the ledger, and clears what was staged. Says whether one was missing.
pub(crate) fn finish(store: &dyn Store, names: &Names, ledger: &Ledger) -> Result<bool, ReleaseError> {
    let mut was_missing = false;
    for table in Table::DATA.into_iter().filter(|table| ledger.rows_of(*table) > 0) {
        let path = names.table(table);
        if store.size(&path)?.is_some() {
            continue;
        }
        was_missing = true;
        let from = staged(names, &ledger.nonce, table);
        match store.read(&from)? {
            Some(body) => put(store, &path, &body)?,
            // Who finished it at the same time cleared away.
            None if store.size(&path)?.is_some() => {}
            None => return Err(broken(path, &format!("it is missing, and so is {from}"))),
        }
    }
    clear(store, &staging_of(names));
    Ok(was_missing)
}

/// Files of a round that are neither in their places nor staged: nobody can finish it.
pub(crate) fn lost(store: &dyn Store, names: &Names, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    let mut lost = Vec::new();
    for table in Table::DATA.into_iter().filter(|table| ledger.rows_of(*table) > 0) {
        let path = names.table(table);
        if store.size(&path)?.is_none() && store.size(&staged(names, &ledger.nonce, table))?.is_none() {
            lost.push(path);
        }
    }
    Ok(lost)
}

fn put(store: &dyn Store, path: &str, body: &Bytes) -> Result<(), ReleaseError> {
    match put_create(store, path, body)? {
        Put::Created => Ok(()),
        Put::Exists(_) => Err(broken(path.to_owned(), "it has other rows than its ledger speaks of")),
    }
}

fn broken(path: String, what: &str) -> ReleaseError {
    ReleaseError::Broken { path, what: what.to_owned() }
}

/// All attempts at a round.
fn staging_of(names: &Names) -> String {
    format!("{STAGING_FOLDER}/{}", names.stem())
}

fn staged(names: &Names, nonce: &str, table: Table) -> String {
    format!("{}/{nonce}/{table}.parquet", staging_of(names))
}

/// Takes away what nobody needs any more: rows that are in their places, or whose ledger can not be created any more. That this
/// fails is no harm: nothing is ever read from there but by the name in a ledger.
fn clear(store: &dyn Store, folder: &str) {
    let cleared =
        store.list(folder).and_then(|entries| entries.iter().try_for_each(|entry| store.delete(&entry.path)));
    if let Err(e) = cleared {
        tracing::debug!(folder, "what was staged can not be taken away: {e}");
    }
}
