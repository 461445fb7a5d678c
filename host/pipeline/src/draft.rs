//! Counts that are kept back until what they count is durable.
//!
//! A chunk may have to be begun again, as often as the store fails. What a metric says has happened must not depend on how often
//! it was tried.

use std::collections::BTreeMap;
use std::mem;

use host_event::{Book, Category, Outcome, OutcomeCount, ProjectId, Reason};
use parking_lot::Mutex;

#[derive(Default)]
pub(crate) struct Draft(Mutex<BTreeMap<(ProjectId, Category, Outcome, Reason), u64>>);

impl Draft {
    /// What was counted came to pass.
    pub(crate) fn hand_over(&self, book: &dyn Book) {
        for ((project, category, outcome, reason), quantity) in mem::take(&mut *self.0.lock()) {
            book.settle(project, &OutcomeCount { category, outcome, reason, quantity });
        }
    }
}

impl Book for Draft {
    fn settle(&self, project: ProjectId, count: &OutcomeCount) {
        let key = (project, count.category, count.outcome, count.reason.clone());
        *self.0.lock().entry(key).or_default() += count.quantity;
    }
}
