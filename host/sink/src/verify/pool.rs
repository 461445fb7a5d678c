//! Threads that share out work: a list of things, or folders with what is in them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::store::StoreError;

/// Does one thing for each of a list, in any order, and gives the answers in its order.
pub(super) fn in_parallel<T: Send, R: Send>(
    jobs: usize,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, StoreError> + Sync,
) -> Result<Vec<R>, StoreError> {
    let threads = jobs.clamp(1, items.len().max(1));
    let items = Mutex::new(items.into_iter().enumerate());
    let next = || lock(&items).next();
    let run = || {
        let mut done = Vec::new();
        while let Some((at, item)) = next() {
            done.push((at, work(item)?));
        }
        Ok(done)
    };
    let mut all = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().expect("looking at a store does not panic")?);
        }
        Ok::<_, StoreError>(all)
    })?;
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, answer)| answer).collect())
}

/// Folders that become parts when they are opened. Parts go first, so that what is in memory is what a few folders hold.
pub(super) struct Shared<F, P> {
    state: Mutex<State<F, P>>,
    changed: Condvar,
    parts_enough: usize,
}

struct State<F, P> {
    folders: VecDeque<F>,
    parts: Vec<P>,
    opening: usize,
    done: Done,
    failed: Option<StoreError>,
}

/// How far it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) folders: usize,
    pub(super) parts: u64,
    /// Threads that have ended.
    threads: usize,
}

pub(super) enum Work<F, P> {
    Open(F),
    Part(P),
}

/// Folders that are listed at the same time.
const OPENING_MAX: usize = 4;

impl<F, P> Shared<F, P> {
    /// With fewer than `parts_enough` waiting another folder is opened.
    pub(super) fn new(folders: Vec<F>, parts_enough: usize) -> Shared<F, P> {
        let state = State {
            folders: folders.into(),
            parts: Vec::new(),
            opening: 0,
            done: Done::default(),
            failed: None,
        };
        Shared { state: Mutex::new(state), changed: Condvar::new(), parts_enough }
    }

    /// What to do next; `None` when nothing is left or something failed.
    pub(super) fn next(&self) -> Option<Work<F, P>> {
        let mut state = lock(&self.state);
        loop {
            if state.failed.is_some() {
                return None;
            }
            let few = state.parts.len() < self.parts_enough && state.opening < OPENING_MAX;
            if few && let Some(folder) = state.folders.pop_front() {
                state.opening += 1;
                return Some(Work::Open(folder));
            }
            if let Some(part) = state.parts.pop() {
                return Some(Work::Part(part));
            }
            if state.opening == 0 && state.folders.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was in a folder that was opened.
    pub(super) fn opened(&self, parts: Vec<P>) {
        let mut state = lock(&self.state);
        state.opening -= 1;
        state.done.folders += 1;
        state.parts.extend(parts);
        self.changed.notify_all();
    }

    pub(super) fn done(&self) {
        lock(&self.state).done.parts += 1;
    }

    pub(super) fn fail(&self, error: StoreError) {
        lock(&self.state).failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Says when a thread ends, however it does.
    pub(super) fn join(&self) -> Leave<'_, F, P> {
        Leave(self)
    }

    /// Shows how far it is, now and then, until all threads are gone.
    pub(super) fn watch(&self, threads: usize, every: Duration, mut show: impl FnMut(Done)) {
        let mut state = lock(&self.state);
        while state.done.threads < threads {
            let begun = state.done;
            let waited =
                self.changed.wait_timeout_while(state, every, |state| state.done.threads == begun.threads);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let done = state.done;
            drop(state);
            show(done);
            state = lock(&self.state);
        }
    }

    pub(super) fn failed(self) -> Option<StoreError> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed
    }
}

pub(super) struct Leave<'a, F, P>(&'a Shared<F, P>);

impl<F, P> Drop for Leave<'_, F, P> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Nobody may wait for what this thread was at.
            self.0.fail(StoreError::permanent("verify", "a thread ended badly"));
        }
        lock(&self.0.state).done.threads += 1;
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_a_failure_ends_it() {
        assert_eq!(in_parallel(3, (0..100).collect(), |n| Ok(n * 2)).unwrap()[99], 198);
        assert_eq!(in_parallel(3, Vec::<u8>::new(), Ok).unwrap(), Vec::<u8>::new());
        let failed = in_parallel(3, vec![1, 2], |n| match n {
            1 => Ok(n),
            _ => Err(StoreError::permanent("p", "no")),
        });
        assert_eq!(failed.unwrap_err().path, "p");
    }

    #[test]
    fn every_part_is_done_once() {
        let shared: Shared<u64, u64> = Shared::new((0..50).collect(), 8);
        let work = || {
            let _leave = shared.join();
            let mut sum = 0;
            while let Some(work) = shared.next() {
                match work {
                    Work::Open(folder) => shared.opened(vec![folder; folder as usize % 5]),
                    Work::Part(part) => {
                        sum += part;
                        shared.done();
                    }
                }
            }
            sum
        };
        let sum: u64 = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            shared.watch(4, Duration::from_secs(9), |_| ());
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(sum, (0..50).map(|n| n * (n % 5)).sum::<u64>());
        assert_eq!(shared.state.lock().unwrap().done, Done { folders: 50, parts: 100, threads: 4 });
    }
}
