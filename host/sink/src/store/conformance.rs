//! What every store must do. Both implementations run it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;

use super::{Create, Put, Store, StoreError, probe, put_create};
use super::{MemoryStore, OpenedStore};

pub(crate) fn check(store: &dyn Store) {
    creates_once(store);
    reads_and_lists(store);
    one_of_many_wins(store);
    assert_eq!(probe(store, "n1"), Ok(Ok(())));
    assert!(store.list("control").unwrap().is_empty(), "the probe leaves nothing behind");
}

fn creates_once(store: &dyn Store) {
    let bytes = Bytes::from_static(b"one");
    assert_eq!(store.create("a/x=1/one", bytes.clone()), Ok(Create::Created));
    assert_eq!(store.create("a/x=1/one", Bytes::from_static(b"two")), Ok(Create::Exists));
    assert_eq!(store.read("a/x=1/one"), Ok(Some(bytes.clone())));
    assert_eq!(put_create(store, "a/x=1/one", &bytes), Ok(Put::Created));
    assert_eq!(put_create(store, "a/x=1/one", &Bytes::from_static(b"2")), Ok(Put::Exists(bytes)));
}

fn reads_and_lists(store: &dyn Store) {
    assert_eq!(store.create("a/x=0/zero", Bytes::from_static(b"0123456789")), Ok(Create::Created));
    assert_eq!(store.create("ab", Bytes::from_static(b"not below a")), Ok(Create::Created));
    assert_eq!(store.read("a/none"), Ok(None));
    assert_eq!(store.size("a/none"), Ok(None));
    assert_eq!(store.size("a/x=0/zero"), Ok(Some(10)));
    assert_eq!(store.read_range("a/x=0/zero", 3..5), Ok(Bytes::from_static(b"34")));
    assert!(store.read_range("a/none", 0..1).is_err());
    let listed: Vec<_> = store.list("a").unwrap().into_iter().map(|e| (e.path, e.size)).collect();
    assert_eq!(listed, [("a/x=0/zero".to_owned(), 10), ("a/x=1/one".to_owned(), 3)]);
    assert_eq!(store.list("none"), Ok(vec![]));
    store.delete("ab").unwrap();
    assert_eq!(store.read("ab"), Ok(None));
}

fn one_of_many_wins(store: &dyn Store) {
    for round in 0..20 {
        let (path, winners) = (format!("race/{round}"), AtomicUsize::new(0));
        thread::scope(|scope| {
            for writer in 0..8 {
                let (path, winners) = (&path, &winners);
                scope.spawn(move || {
                    let answer = store.create(path, Bytes::from(vec![writer; 10_000])).unwrap();
                    winners.fetch_add(usize::from(answer == Create::Created), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(winners.into_inner(), 1);
        let found = store.read(&path).unwrap().unwrap();
        assert!(found.len() == 10_000 && found.iter().all(|b| *b == found[0]), "bytes of one writer only");
    }
}

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

#[test]
fn addresses() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let cases = [
        ("s3://bucket/lake", "the scheme \"s3\" is not supported"),
        ("file://host/lake", "not the host \"host\""),
        ("file://lake", "not the host \"lake\""),
    ];
    for (url, want) in cases {
        let error = OpenedStore::open(url, runtime.handle().clone()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// Lets every writer win, as some stores that call themselves compatible do.
struct Lying(MemoryStore);

impl Store for Lying {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.0.delete(path)?;
        self.0.create(path, bytes)?;
        Ok(Create::Created)
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.0.read(path)
    }
    fn read_range(&self, path: &str, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        self.0.read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.0.size(path)
    }
    fn list(&self, folder: &str) -> Result<Vec<super::Entry>, StoreError> {
        self.0.list(folder)
    }
    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.0.delete(path)
    }
}

#[test]
fn the_probe_finds_a_store_that_lets_all_win() {
    let verdict = probe(&Lying(MemoryStore::default()), "n1").unwrap();
    assert!(verdict.unwrap_err().contains("4 of 4 writers"));
}
