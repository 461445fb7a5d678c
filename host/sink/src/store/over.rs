//! Stores that are another one but for a call or two: those of tests and benchmarks, which fail, count or lie there.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;

use super::{Create, Entry, Store, StoreError, Traffic};

/// A store over another one: whatever it does not do itself, that one does.
pub trait Over: Send + Sync + 'static {
    fn inner(&self) -> &dyn Store;
    fn on_create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.inner().create(path, bytes)
    }
    fn on_read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner().read_range(path, range)
    }
    fn on_list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.inner().list(folder)
    }
}

impl<T: Over> Store for T {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.on_create(path, bytes)
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.inner().read(path)
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.on_read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.inner().size(path)
    }
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.on_list(folder)
    }
    fn each(
        &self,
        folder: &str,
        after: Option<&str>,
        see: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.inner().each(folder, after, see)
    }
    fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.inner().folders(folder)
    }
    fn traffic(&self) -> Option<Arc<Traffic>> {
        self.inner().traffic()
    }
    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.inner().delete(path)
    }
}
