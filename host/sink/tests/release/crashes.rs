//! Two operators, and a store that fails: at every single step of one release.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use host_pipeline::generation::Manifest;
use host_sink::quarantine::Selection;
use host_sink::release::ReleaseConfig;
use host_sink::repair::{self, Step};
use host_sink::store::{Create, Entry, Store, StoreError};
use host_sink::{BreachKind, Report, Table};

use super::world::*;

enum Mishap {
    /// The process ends before that call reaches the store.
    DiesBefore,
    /// It ends when the call has taken effect.
    DiesAfter,
    /// It ends, and the write takes effect when somebody else is done.
    WritesLate,
    /// Something else happens before that call.
    Meanwhile(Box<dyn Fn() + Send + Sync>),
    Nothing,
}

/// A store as one process sees it, with a mishap at one of its calls.
struct Stepped {
    inner: Arc<dyn Store>,
    at: usize,
    mishap: Mishap,
    calls: AtomicUsize,
    late: Mutex<Option<(String, Bytes)>>,
}

impl Stepped {
    fn new(inner: &Arc<dyn Store>, at: usize, mishap: Mishap) -> Arc<Stepped> {
        let (inner, calls, late) = (Arc::clone(inner), AtomicUsize::new(0), Mutex::new(None));
        Arc::new(Stepped { inner, at, mishap, calls, late })
    }

    fn was_reached(&self) -> bool {
        self.calls.load(Relaxed) > self.at
    }

    fn call<T>(
        &self,
        path: &str,
        bytes: Option<&Bytes>,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // The probe's calls come before a release begins, and one more of them is like the others.
        if path.starts_with("control/probe") {
            return act();
        }
        let call = self.calls.fetch_add(1, Relaxed);
        let dead = || StoreError::away(path, "dead");
        match &self.mishap {
            Mishap::Nothing => act(),
            Mishap::Meanwhile(other) => {
                if call == self.at {
                    other();
                }
                act()
            }
            _ if call < self.at => act(),
            Mishap::DiesAfter if call == self.at => act().and_then(|_| Err(dead())),
            Mishap::WritesLate if call == self.at => {
                *self.late.lock().unwrap() = bytes.map(|bytes| (path.to_owned(), bytes.clone()));
                Err(dead())
            }
            _ => Err(dead()),
        }
    }

    fn deliver(&self) {
        if let Some((path, bytes)) = self.late.lock().unwrap().take() {
            self.inner.create(&path, bytes).unwrap();
        }
    }
}

impl Store for Stepped {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        self.call(path, Some(&bytes), || self.inner.create(path, bytes.clone()))
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.call(path, None, || self.inner.read(path))
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.call(path, None, || self.inner.size(path))
    }
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.call(folder, None, || self.inner.list(folder))
    }
    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.call(path, None, || self.inner.delete(path))
    }
}

/// All that was in quarantine is out, each item once, and nothing else changed.
#[track_caller]
fn assert_all_out(store: &Arc<dyn Store>, what: &str) {
    let report = assert_sound(store);
    let all = all_held(store);
    assert_eq!(report.released, all.len() as u64, "{what}");
    assert!(held(store).is_empty(), "{what}");
    let rows = accepted(store);
    assert!(all.iter().all(|h| rows.contains_key(&(h.offset as i64))), "{what}");
    assert!(rows.values().all(|row| !row.payload.contains(SECRET)), "{what}");
    assert_eq!(sums(store).values().sum::<i64>(), 120, "{what}");
    assert_eq!(sums(store).get("quarantined"), None, "{what}");
}

fn mended_world() -> (Arc<dyn Store>, Manifest) {
    let store = world();
    let mended = publish(&store, stages(&["a", "b"]));
    (store, mended)
}

fn crash_at_every_step(mishap: fn() -> Mishap) {
    for at in 0.. {
        let (store, mended) = mended_world();
        let first = Stepped::new(&store, at, mishap());
        let dynamic: Arc<dyn Store> = Arc::clone(&first) as _;
        let crashed = release_with(&dynamic, &mended, &config(1));
        assert!(crashed.is_ok() || first.was_reached(), "{crashed:?}");
        let what = format!("crashed at call {at}");
        // In between nothing is wrong but that it is unfinished.
        let report = proof(&store);
        let is_unfinished = report.breaches.iter().all(|b| b.kind == BreachKind::Unfinished);
        assert!(is_unfinished, "{what}: {}", report.render());
        accepted(&store);
        // An unfinished round is finished by the next release, or by a repair.
        if at % 2 == 1 {
            repaired(&store, &report);
        }
        release_with(&store, &mended, &config(2)).unwrap();
        assert_all_out(&store, &what);
        first.deliver();
        assert_all_out(&store, &what);
        release_with(&store, &mended, &config(3)).unwrap();
        assert_all_out(&store, &what);
        if !first.was_reached() {
            assert!(at > 30, "only {at} calls");
            return;
        }
    }
}

fn repaired(store: &Arc<dyn Store>, report: &Report) {
    let plan = repair::plan(store, report).unwrap();
    assert!(plan.by_hand.is_empty(), "{plan:?}");
    for step in plan.steps {
        let Step::FinishRound { ledger, .. } = step else { panic!("{step:?}") };
        repair::finish_round(store, &ledger).unwrap();
    }
    assert_sound(store);
}

#[test]
fn a_crash_before_any_step() {
    crash_at_every_step(|| Mishap::DiesBefore);
}

#[test]
fn a_crash_behind_any_step() {
    crash_at_every_step(|| Mishap::DiesAfter);
}

#[test]
fn a_crash_whose_write_comes_late() {
    crash_at_every_step(|| Mishap::WritesLate);
}

/// Another operator does a whole release, of all or of something, between any two steps of the first one.
#[test]
fn another_release_between_any_two_steps() {
    let of_two = Selection { projects: vec![2], ..Selection::default() };
    let traps = Selection { reasons: vec!["trap".into()], ..Selection::default() };
    for selection in [Selection::default(), of_two, traps] {
        for at in 0.. {
            let (store, mended) = mended_world();
            let other = {
                let (store, mended) = (Arc::clone(&store), mended.clone());
                let config = ReleaseConfig { selection: selection.clone(), ..config(2) };
                move || _ = release_with(&store, &mended, &config).unwrap()
            };
            let first = Stepped::new(&store, at, Mishap::Meanwhile(Box::new(other)));
            let dynamic: Arc<dyn Store> = Arc::clone(&first) as _;
            let summary = release_with(&dynamic, &mended, &config(1)).unwrap();
            let what = format!("another at call {at}: {summary:?}");
            assert_all_out(&store, &what);
            let (all, now) = (all_held(&store).len() as u64, summary.released.values().sum::<u64>());
            assert!(now + summary.released_before == all, "{what}");
            if !first.was_reached() {
                break;
            }
        }
    }
}

#[test]
fn eight_operators_at_once() {
    for round in 0..20 {
        let (store, mended) = mended_world();
        let released = AtomicUsize::new(0);
        thread::scope(|scope| {
            for operator in 0..8 {
                let (store, mended, released) = (&store, &mended, &released);
                scope.spawn(move || {
                    let mut config = config(operator);
                    if operator % 2 == 1 {
                        config.selection.projects = vec![1 + u64::from(operator as u32 / 2 % 2)];
                    }
                    let summary = release_with(store, mended, &config).unwrap();
                    released.fetch_add(summary.released.values().sum::<u64>() as usize, Relaxed);
                });
            }
        });
        assert_all_out(&store, &format!("round {round}"));
        assert_eq!(released.into_inner(), all_held(&store).len(), "each says what it released itself");
    }
}

/// The writer of a chunk may have crashed behind its ledger: what is not in quarantine yet can not be released.
#[test]
fn a_chunk_without_its_tables_is_left_alone() {
    let (store, mended) = mended_world();
    let first = store.list(Table::Quarantine.name()).unwrap()[0].path.clone();
    let bytes = store.read(&first).unwrap().unwrap();
    store.delete(&first).unwrap();
    let before = held(&store).len() as u64;
    let summary = release_with(&store, &mended, &config(1)).unwrap();
    assert_eq!(summary.released.values().sum::<u64>(), before);
    store.create(&first, bytes).unwrap();
    release_with(&store, &mended, &config(1)).unwrap();
    assert_all_out(&store, "later");
}

#[test]
fn a_chunk_without_its_ledger_is_a_problem_and_not_the_end() {
    let (store, mended) = mended_world();
    let ledger = store.list(Table::Outcomes.name()).unwrap()[0].path.clone();
    store.delete(&ledger).unwrap();
    let summary = release_with(&store, &mended, &config(1)).unwrap();
    assert_eq!((summary.problems.len(), summary.rounds), (1, 1), "{summary:?}");
    assert!(summary.problems[0].contains(&ledger), "{:?}", summary.problems);
}

#[test]
fn the_number_of_calls_is_small() {
    let (store, mended) = mended_world();
    let counted = Stepped::new(&store, 0, Mishap::Nothing);
    let dynamic: Arc<dyn Store> = Arc::clone(&counted) as _;
    release_with(&dynamic, &mended, &config(1)).unwrap();
    let calls = counted.calls.load(Relaxed);
    assert!(calls < 60, "{calls} calls for two chunks");
}
