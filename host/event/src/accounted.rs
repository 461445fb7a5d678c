//! Work that must come to an end: whoever holds an [`Accounted`] must accept or reject it.
//!
//! Learned from Relay's managed envelopes: the type makes the promise "one event, one outcome" hard to break. What is
//! dropped open is counted as [`Outcome::Internal`], and is a panic in debug builds.

use std::mem;
use std::sync::Arc;

use crate::{Category, Outcome, OutcomeCount, ProjectId};

/// How much a value counts for.
pub trait Counted {
    fn project_id(&self) -> ProjectId;
    fn category(&self) -> Category;
    fn quantity(&self) -> u64 {
        1
    }
}

/// Who keeps count. Metrics in the daemon; a plain counter in tests.
pub trait Book: Send + Sync {
    fn settle(&self, project: ProjectId, count: &OutcomeCount);
}

/// A value that is not settled yet.
#[must_use = "work that is received must be accepted or rejected"]
pub struct Accounted<T: Counted> {
    open: Option<T>,
    book: Arc<dyn Book>,
}

impl<T: Counted> Accounted<T> {
    pub fn new(value: T, book: Arc<dyn Book>) -> Accounted<T> {
        Accounted { open: Some(value), book }
    }

    fn value(&self) -> &T {
        self.open.as_ref().expect("only the methods that consume self empty it")
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.open.as_mut().expect("only the methods that consume self empty it")
    }

    /// The end of a good story.
    pub fn accept(self) -> T {
        self.end(Outcome::Accepted, "".into())
    }

    /// Every other end. The value is given back for whatever is still to be recorded of it.
    pub fn reject(self, outcome: Outcome, reason: crate::Reason) -> T {
        self.end(outcome, reason)
    }

    /// Hands the duty over to someone who took it already, such as the queue.
    pub fn hand_over(mut self) -> T {
        self.open.take().expect("only the methods that consume self empty it")
    }

    /// The same duty in another form.
    pub fn map<U: Counted>(mut self, f: impl FnOnce(T) -> U) -> Accounted<U> {
        let value = self.open.take().expect("only the methods that consume self empty it");
        Accounted { open: Some(f(value)), book: Arc::clone(&self.book) }
    }

    /// One duty becomes several: an envelope its items.
    pub fn split<U: Counted>(mut self, f: impl FnOnce(T) -> Vec<U>) -> Vec<Accounted<U>> {
        let value = self.open.take().expect("only the methods that consume self empty it");
        f(value).into_iter().map(|u| Accounted::new(u, Arc::clone(&self.book))).collect()
    }

    fn end(mut self, outcome: Outcome, reason: crate::Reason) -> T {
        let value = self.open.take().expect("only the methods that consume self empty it");
        let count = OutcomeCount { category: value.category(), outcome, reason, quantity: value.quantity() };
        self.book.settle(value.project_id(), &count);
        value
    }
}

impl<T: Counted> std::ops::Deref for Accounted<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value()
    }
}

impl<T: Counted> Drop for Accounted<T> {
    fn drop(&mut self) {
        let Some(value) = mem::take(&mut self.open) else { return };
        let count = OutcomeCount {
            category: value.category(),
            outcome: Outcome::Internal,
            reason: "dropped-open".into(),
            quantity: value.quantity(),
        };
        self.book.settle(value.project_id(), &count);
        if cfg!(debug_assertions) && !std::thread::panicking() {
            panic!("an item of the category {} was dropped without an outcome", count.category);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Counts(Mutex<Vec<(Outcome, String, u64)>>);

    impl Book for Counts {
        fn settle(&self, _: ProjectId, c: &OutcomeCount) {
            self.0.lock().unwrap().push((c.outcome, c.reason.to_string(), c.quantity));
        }
    }

    struct Items(u64);

    impl Counted for Items {
        fn project_id(&self) -> ProjectId {
            1
        }
        fn category(&self) -> Category {
            Category::Error
        }
        fn quantity(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn every_end_is_counted_once() {
        let book = Arc::new(Counts::default());
        let open = |n| Accounted::new(Items(n), Arc::clone(&book) as Arc<dyn Book>);
        open(1).accept();
        open(2).reject(Outcome::Filtered, "web-crawlers".into());
        for part in open(3).split(|items| (0..items.0).map(|_| Items(1)).collect()) {
            part.map(|items| items).accept();
        }
        open(9).hand_over();
        let settled: Vec<_> = book.0.lock().unwrap().iter().map(|(o, r, n)| (*o, r.clone(), *n)).collect();
        let accepted = |n| (Outcome::Accepted, String::new(), n);
        let filtered = (Outcome::Filtered, "web-crawlers".to_owned(), 2);
        assert_eq!(settled, [accepted(1), filtered, accepted(1), accepted(1), accepted(1)]);
    }

    #[test]
    #[should_panic(expected = "dropped without an outcome")]
    fn dropped_open_is_a_bug() {
        drop(Accounted::new(Items(1), Arc::new(Counts::default())));
    }
}
