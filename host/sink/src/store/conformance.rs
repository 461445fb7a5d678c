//! What every store must do. All implementations run it; `tests/stores` those that are servers, which is why only public names are used here.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;

use super::{Create, Entry, Put, Store, probe, put_create};

pub(crate) fn check(store: &dyn Store) {
    creates_once(store);
    reads_and_lists(store);
    one_of_many_wins(store);
    lists_in_order(store);
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

/// More than one page of S3 in all, names that sort otherwise with and without their slash, and calls from within.
fn lists_in_order(store: &dyn Store) {
    const PAGE: usize = 1000;
    let mut paths: Vec<String> = (0..PAGE + 5).map(|n| format!("many/dt=1/hour=1/{n:04}.parquet")).collect();
    for tail in ["dt=1-2/x", "dt=1/a", "dt=1/hour=1-/y", "dt=1/hour=2/z", "dt=10/x", "dt=2/hour=1/x", "w"] {
        paths.push(format!("many/{tail}"));
    }
    paths.sort_unstable();
    fill(store, &paths);
    assert_eq!(store.list("many").unwrap().into_iter().map(|e| e.path).collect::<Vec<_>>(), paths);
    assert_eq!(seen(store, "many", None, usize::MAX), paths);
    assert_eq!(seen(store, "many/dt=1", None, 3), paths[1..4]);
    for at in [0, 1, 2, PAGE, paths.len() - 2] {
        assert_eq!(seen(store, "many", Some(&paths[at]), usize::MAX), paths[at + 1..]);
    }
    // It need not exist, nor lie in the folder.
    let behind = |after: &str| seen(store, "many", Some(after), 1).pop();
    assert_eq!(behind("many/dt=1/hour=1/0500.z").as_deref(), Some("many/dt=1/hour=1/0501.parquet"));
    assert_eq!(behind("a").as_deref(), Some(paths[0].as_str()));
    assert_eq!(behind("z"), None);
    assert!(seen(store, "none", None, 1).is_empty());
    assert_eq!(store.folders("many"), Ok(["dt=1", "dt=1-2", "dt=10", "dt=2"].map(str::to_owned).into()));
    assert_eq!(store.folders("many/dt=1"), Ok(["hour=1", "hour=1-", "hour=2"].map(str::to_owned).into()));
    assert_eq!(store.folders("none"), Ok(vec![]));
}

fn fill(store: &dyn Store, paths: &[String]) {
    const WRITERS: usize = 16;
    thread::scope(|scope| {
        for some in paths.chunks(paths.len().div_ceil(WRITERS)) {
            scope.spawn(move || {
                for path in some {
                    assert_eq!(store.create(path, Bytes::from_static(b"1")), Ok(Create::Created));
                }
            });
        }
    });
}

fn seen(store: &dyn Store, folder: &str, after: Option<&str>, paths_max: usize) -> Vec<String> {
    let mut paths = Vec::new();
    let see = &mut |entry: Entry| {
        if paths.is_empty() {
            assert_eq!(store.size(&entry.path), Ok(Some(entry.size)), "the store can be called");
        }
        paths.push(entry.path);
        if paths.len() == paths_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.each(folder, after, see).unwrap();
    paths
}

fn one_of_many_wins(store: &dyn Store) {
    for round in 0..6 {
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
