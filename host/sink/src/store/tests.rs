//! The stores that need no server, and the probe against one that lies.

use bytes::Bytes;

use super::conformance::check;
use super::{Create, MemoryStore, OpenedStore, Over, Store, StoreError, probe};

#[test]
fn memory() {
    check(&MemoryStore::default());
}

#[test]
fn local_folder() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/new/lake", folder.path().display());
    check(&OpenedStore::open(&url, runtime.handle().clone()).unwrap());
}

/// Lets every writer win, as some stores that call themselves compatible do.
struct Lying(MemoryStore);

impl Over for Lying {
    fn inner(&self) -> &dyn Store {
        &self.0
    }
    fn on_create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.0.delete(path)?;
        self.0.create(path, bytes)?;
        Ok(Create::Created)
    }
}

#[test]
fn the_probe_finds_a_store_that_lets_all_win() {
    let verdict = probe(&Lying(MemoryStore::default()), "n1").unwrap();
    assert!(verdict.unwrap_err().contains("8 of 8 writers"));
}
