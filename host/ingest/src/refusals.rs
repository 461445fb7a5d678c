//! Outcomes of what HTTP refused, gathered and written to the queue at most once a second.
//!
//! A request that is answered with 200 takes its outcomes along in its own append. One that is refused has no append,
//! and must not get one: whoever floods a project with requests it does not want would fill the disk with rows about them.
//! So refusals are added up by project, category, outcome and reason, in bounded memory, and a flush is one record a project.
//! They are the only outcomes that a crash can lose, a second of them: nobody was told 200 for these items.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use host_event::{Book, OutcomeCount, ProjectId};

use crate::sort::add;

/// Distinct (project, category, outcome, reason) between two flushes. What is beyond is counted in the book only.
pub const REFUSAL_KINDS_MAX: usize = 4096;

#[derive(Debug, Default)]
pub struct Refusals {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    kinds: usize,
    by_project: HashMap<ProjectId, Vec<OutcomeCount>>,
}

impl Refusals {
    pub fn add(&self, project: ProjectId, counts: Vec<OutcomeCount>, book: &dyn Book) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            if open.kinds >= REFUSAL_KINDS_MAX {
                book.settle(project, &count);
                continue;
            }
            let project = open.by_project.entry(project).or_default();
            let before = project.len();
            add(project, count);
            let more = project.len() - before;
            open.kinds += more;
        }
    }

    pub fn take(&self) -> HashMap<ProjectId, Vec<OutcomeCount>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *open).by_project
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use host_event::{Category, Outcome};

    use super::*;

    #[derive(Default)]
    struct Sum(AtomicU64);

    impl Book for Sum {
        fn settle(&self, _: ProjectId, count: &OutcomeCount) {
            self.0.fetch_add(count.quantity, Relaxed);
        }
    }

    #[test]
    fn refusals_add_up_in_bounded_memory() {
        let (refusals, book) = (Refusals::default(), Sum::default());
        let sent = 3 * REFUSAL_KINDS_MAX as u64;
        for n in 0..sent {
            let reason = "cors".into();
            let count =
                OutcomeCount { category: Category::Error, outcome: Outcome::Invalid, reason, quantity: 1 };
            refusals.add(n % (2 * REFUSAL_KINDS_MAX as u64), vec![count], &book);
        }
        let taken = refusals.take();
        assert_eq!(taken.len(), REFUSAL_KINDS_MAX);
        let kept: u64 = taken.values().flatten().map(|c| c.quantity).sum();
        assert_eq!(kept + book.0.load(Relaxed), sent);
        assert!(refusals.take().is_empty());
    }
}
