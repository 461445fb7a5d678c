//! Plugins that decide which events are kept.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::Event;
use crate::batch::Batch;
use crate::intern::Interner;

/// A plugin that decides which events are kept.
pub trait Filter: Sized {
    /// The configuration, as serde reads it from JSON.
    type Config: DeserializeOwned;
    /// Makes an instance. An error refuses the configuration and is shown to the operator.
    fn init(config: Self::Config) -> Result<Self, String>;
    /// Decides about one event.
    fn filter(&mut self, event: &Event<'_>) -> Verdict;
}

/// What a filter says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The event goes on.
    Keep,
    /// The event ends here, and this is the reason in its outcome: a short key such as `web-crawlers`.
    Drop(Cow<'static, str>),
}

impl Verdict {
    /// `Verdict::Drop` of whatever can be a reason.
    pub fn drop(reason: impl Into<Cow<'static, str>>) -> Verdict {
        Verdict::Drop(reason.into())
    }
}

/// The answer for a batch, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[doc(hidden)]
pub struct Verdicts {
    pub verdicts: Vec<u32>,
    pub reasons: Vec<String>,
}

pub(crate) fn run<T: Filter>(plugin: &mut T, batch: &Batch) -> Verdicts {
    let mut reasons = Interner::default();
    let decide = |row| match plugin.filter(&Event::new(batch, row)) {
        Verdict::Keep => 0,
        Verdict::Drop(reason) => reasons.add(&reason) + 1,
    };
    let verdicts = (0..batch.source.len()).map(decide).collect();
    Verdicts { verdicts, reasons: reasons.into_texts() }
}
