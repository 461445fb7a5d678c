//! Plugins that decide at which rate events are kept.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::Event;
use crate::batch::Batch;
use crate::intern::Interner;

/// A plugin that says at which rate events are kept. The host draws, from the trace id (the event id where there is
/// none), so that a trace is kept or dropped as a whole on every machine.
pub trait Sampler: Sized {
    /// The configuration, as serde reads it from JSON.
    type Config: DeserializeOwned;
    /// Makes an instance. An error refuses the configuration and is shown to the operator.
    fn init(config: Self::Config) -> Result<Self, String>;
    /// Gives the rate for one event.
    fn sample(&mut self, event: &Event<'_>) -> Rate;
}

/// What a sampler says of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// From 0 to 1. What is outside is brought to the nearer end; NaN keeps all.
    pub rate: f64,
    /// What decided it, as the outcome will name it.
    pub rule: Option<Cow<'static, str>>,
}

impl Rate {
    /// No opinion: everything is kept.
    pub const KEEP: Rate = Rate { rate: 1.0, rule: None };

    /// A rate, and the rule that gave it.
    pub fn by(rate: f64, rule: impl Into<Cow<'static, str>>) -> Rate {
        Rate { rate, rule: Some(rule.into()) }
    }
}

/// The answer for a batch, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Default)]
#[doc(hidden)]
pub struct Rates {
    pub rates: Vec<f64>,
    pub decided_by: Vec<u32>,
    pub rules: Vec<String>,
}

pub(crate) fn run<T: Sampler>(plugin: &mut T, batch: &Batch) -> Rates {
    let events = batch.source.len();
    let mut rules = Interner::default();
    let mut answer = Rates {
        rates: Vec::with_capacity(events as usize),
        decided_by: Vec::with_capacity(events as usize),
        rules: Vec::new(),
    };
    for row in 0..events {
        let Rate { rate, rule } = plugin.sample(&Event::new(batch, row));
        answer.rates.push(if rate.is_nan() { 1.0 } else { rate.clamp(0.0, 1.0) });
        answer.decided_by.push(rule.map_or(0, |rule| rules.add(&rule) + 1));
    }
    answer.rules = rules.into_texts();
    answer
}
