//! The store, as small as the sink needs it: objects that are created once and never changed.
//!
//! `AlreadyExists` proves nothing by itself: a client that retries reports it for its own write, and some conflicts become it although
//! nothing exists. So `create` only says what the store said, and whoever wants to know reads the object.

mod memory;
mod opened;
mod shelf;

#[cfg(test)]
pub(crate) mod conformance;

pub use memory::MemoryStore;
pub use opened::{OpenError, OpenedStore};
pub use shelf::StoreShelf;

use std::ops::Range;
use std::thread;

use bytes::Bytes;
use thiserror::Error;

pub trait Store: Send + Sync + 'static {
    /// Writes an object that must not exist yet, whole and durable, or not at all. An error leaves open whether it was written.
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError>;
    /// The object, `None` where there is none.
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError>;
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError>;
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError>;
    /// All objects below a folder, in the order of their paths.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError>;
    /// For what the probe leaves behind; nothing else of ours is ever deleted.
    fn delete(&self, path: &str) -> Result<(), StoreError>;
}

/// What the store said of a create. `Exists` may be a lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    Created,
    Exists,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub size: u64,
}

/// What became of an object that was to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The store has these bytes now.
    Created,
    /// It has others, of another writer.
    Exists(Bytes),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {what}")]
pub struct StoreError {
    pub path: String,
    pub what: String,
    /// Whether trying again can help.
    pub is_transient: bool,
}

impl StoreError {
    pub(crate) fn permanent(path: &str, what: impl ToString) -> StoreError {
        StoreError { path: path.to_owned(), what: what.to_string(), is_transient: false }
    }
}

/// How often a store may say that an object exists and then not have it, before it counts as away.
const PUT_TRIES_MAX: usize = 8;

/// Creates an object and finds out what `AlreadyExists` meant: equal bytes are a success, none are another try.
pub fn put_create(store: &dyn Store, path: &str, bytes: &Bytes) -> Result<Put, StoreError> {
    for _ in 0..PUT_TRIES_MAX {
        if store.create(path, bytes.clone())? == Create::Created {
            return Ok(Put::Created);
        }
        match store.read(path)? {
            Some(found) if found == *bytes => return Ok(Put::Created),
            Some(found) => return Ok(Put::Exists(found)),
            None => {}
        }
    }
    let what = "the store says that it exists, and has nothing there".to_owned();
    Err(StoreError { path: path.to_owned(), what, is_transient: true })
}

const PROBE_FOLDER: &str = "control/probe";
const PROBE_ROUNDS: usize = 3;
const PROBE_WRITERS: usize = 4;

/// Whether the store keeps the one promise that everything is built on: of writers that create the same object at the same
/// time one wins, and its bytes are what is there. `Err` in the result says what happened instead.
pub fn probe(store: &dyn Store, nonce: &str) -> Result<Result<(), String>, StoreError> {
    for round in 0..PROBE_ROUNDS {
        let path = format!("{PROBE_FOLDER}/{nonce}-{round}");
        let answers: Vec<_> = thread::scope(|scope| {
            let create = |writer: usize| store.create(&path, Bytes::from(format!("{writer}")));
            let writers: Vec<_> = (0..PROBE_WRITERS).map(|w| scope.spawn(move || create(w))).collect();
            writers.into_iter().map(|w| w.join().expect("stores do not panic")).collect()
        });
        let answers: Vec<Create> = answers.into_iter().collect::<Result<_, _>>()?;
        let found = store.read(&path)?;
        store.delete(&path)?;
        let winners: Vec<_> = (0..PROBE_WRITERS).filter(|w| answers[*w] == Create::Created).collect();
        let [winner] = winners[..] else {
            let winners = winners.len();
            return Ok(Err(format!(
                "{winners} of {PROBE_WRITERS} writers were told that they created one object"
            )));
        };
        if found.as_deref() != Some(winner.to_string().as_bytes()) {
            return Ok(Err("what is there is not what the winner wrote".into()));
        }
    }
    Ok(Ok(()))
}
