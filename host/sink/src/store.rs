//! The store, as small as the sink needs it: objects that are created once and never changed.
//!
//! `AlreadyExists` proves nothing by itself: a client that retries reports it for its own write, and some conflicts become it although
//! nothing exists. So `create` only says what the store said, and whoever wants to know reads the object.

mod address;
mod client;
mod environment;
mod error;
mod memory;
mod opened;
mod over;
mod probe;
mod profile;
mod shelf;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use address::{Address, AddressError};
pub use environment::Environment;
pub use error::{ErrorKind, StoreError};
pub use memory::MemoryStore;
pub use opened::{OpenError, OpenedStore};
pub use over::Over;
pub use probe::{probe, prove};
pub use shelf::StoreShelf;
pub use wire::Traffic;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;

pub trait Store: Send + Sync + 'static {
    /// Writes an object that must not exist yet, whole and durable, or not at all. An error leaves open whether it was written.
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError>;
    /// The object, `None` where there is none.
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError>;
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError>;
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError>;
    /// All objects below a folder, in the order of their paths. For folders that stay small: `each` holds one page.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError>;
    /// Shows the objects below a folder, in the bytewise order of their paths, until `see` breaks off; only those whose path is greater
    /// than `after`, which need not exist. `see` may call the store. Memory is bounded by one page of the store, of a local folder
    /// by its fullest folder. (What has only `list` shows what that gave.)
    fn each(
        &self,
        folder: &str,
        after: Option<&str>,
        see: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let entries = self.list(folder)?.into_iter();
        let _ = entries.filter(|e| after.is_none_or(|after| e.path.as_str() > after)).try_for_each(see);
        Ok(())
    }
    /// The names of the folders directly in a folder, in order: `dt=2026-11-22` of `outcomes`. Their number must be small. A local folder counts
    /// even when nothing is in it.
    fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let start = folder.len() + 1;
        let entries = self.list(folder)?;
        let mut names: Vec<_> =
            entries.iter().filter_map(|e| Some(e.path.get(start..)?.split_once('/')?.0.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
    /// What went over the wire to it so far; of a folder nothing does.
    fn traffic(&self) -> Option<Arc<Traffic>> {
        None
    }
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
    Err(StoreError::away(path, "the store says that it exists, and has nothing there"))
}
