//! A store that fails as stores do.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::Draw;
use crate::store::{Create, Entry, MemoryStore, Store, StoreError};

pub(super) struct Faulty {
    pub(super) inner: MemoryStore,
    state: Mutex<State>,
    overwrite: bool,
}

struct State {
    draw: Draw,
    /// One call in so many fails; 0 when the faults are over.
    fails_one_in: u64,
    /// Writes that were given up and are still under way.
    late: Vec<(String, Bytes)>,
    /// What it did since it was asked last, for the trace.
    said: Vec<String>,
}

impl Faulty {
    pub(super) fn new(mut draw: Draw, overwrite: bool) -> Faulty {
        let fails_one_in = 2 + draw.below(10);
        let state = State { draw, fails_one_in, late: Vec::new(), said: Vec::new() };
        Faulty { inner: MemoryStore::default(), state: Mutex::new(state), overwrite }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn heal(&self) {
        self.state().fails_one_in = 0;
    }

    pub(super) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.state().said)
    }

    pub(super) fn has_late(&self) -> bool {
        !self.state().late.is_empty()
    }

    /// Lets a write arrive that nobody waits for any more.
    pub(super) fn deliver_late(&self, one_in: u64) {
        let mut state = self.state();
        if state.late.is_empty() || !state.draw.one_in(one_in) {
            return;
        }
        let count = state.late.len() as u64;
        let which = state.draw.below(count) as usize;
        let (path, bytes) = state.late.swap_remove(which);
        drop(state);
        let created = self.write(&path, bytes);
        self.say(format!("late write of {path}: {created:?}"));
    }

    fn fails(&self) -> Option<u64> {
        let mut state = self.state();
        let one_in = state.fails_one_in;
        (one_in > 0 && state.draw.one_in(one_in)).then(|| state.draw.below(4))
    }

    fn write(&self, path: &str, bytes: Bytes) -> Create {
        if self.overwrite {
            self.inner.delete(path).unwrap();
        }
        self.inner.create(path, bytes).unwrap()
    }

    fn say(&self, what: String) {
        self.state().said.push(what);
    }
}

fn away(path: &str) -> StoreError {
    StoreError::away(path, "connection reset")
}

impl Store for Faulty {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let fails = self.fails();
        self.say(format!("create {path}, fault {fails:?}"));
        match fails {
            None => Ok(self.write(path, bytes)),
            Some(0) => Err(away(path)),
            // Written, and the answer is lost.
            Some(1) => {
                self.write(path, bytes);
                Err(away(path))
            }
            // Given up, and written later.
            Some(2) => {
                self.state().late.push((path.to_owned(), bytes));
                Err(away(path))
            }
            // A conflict that is reported as if there were an object.
            Some(_) => Ok(Create::Exists),
        }
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.fails().map_or_else(|| self.inner.read(path), |_| Err(away(path)))
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.fails().map_or_else(|| self.inner.read_range(path, range), |_| Err(away(path)))
    }
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.fails().map_or_else(|| self.inner.size(path), |_| Err(away(path)))
    }
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.fails().map_or_else(|| self.inner.list(folder), |_| Err(away(folder)))
    }
    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.inner.delete(path)
    }
}
