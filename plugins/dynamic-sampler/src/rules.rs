//! Sentry's rules and their evaluation.

use tamis_plugin::Event;

use crate::config::{Rule, RuleKind, SamplingValue};
use crate::names::Name;

/// What has been decided so far.
#[derive(Debug)]
pub(crate) struct Found {
    factor: f64,
    /// The final rate, not yet clamped, once a rule with a rate has matched.
    pub rate: Option<f64>,
    /// What led there, in order.
    pub matched: Vec<Name>,
}

impl Default for Found {
    fn default() -> Found {
        Found { factor: 1.0, rate: None, matched: Vec::new() }
    }
}

impl Found {
    pub(crate) fn settle(&mut self, name: Name, rate: f64) {
        self.matched.push(name);
        self.rate = Some(self.factor * rate);
    }
}

/// The rules in the order in which they are tried: those on transactions, then those on traces.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Where the rules on traces begin.
    traces: usize,
}

impl Rules {
    pub(crate) fn new(mut rules: Vec<Rule>) -> Rules {
        rules.sort_by_key(|rule| rule.kind == RuleKind::Trace);
        Rules { traces: rules.partition_point(|rule| rule.kind == RuleKind::Transaction), rules }
    }

    pub(crate) fn evaluate(&self, event: &Event<'_>, found: &mut Found) {
        let (transactions, traces) = self.rules.split_at(self.traces);
        apply(transactions, event, found);
        // Without a trace header there is no trace to speak of.
        if found.rate.is_none() && !traces.is_empty() && event.text("$trace.trace_id").is_some() {
            apply(traces, event, found);
        }
    }
}

fn apply(rules: &[Rule], event: &Event<'_>, found: &mut Found) {
    for rule in rules {
        let is_timed = rule.start.is_some() || rule.end.is_some();
        let now = if is_timed { event.received_at() as i64 } else { 0 };
        let is_on = rule.start.is_none_or(|start| start <= now) && rule.end.is_none_or(|end| now < end);
        if !is_on || !rule.condition.matches(event) {
            continue;
        }
        match rule.value {
            SamplingValue::Factor(factor) => {
                found.factor *= rule.decay(factor, now);
                found.matched.push(Name::Rule(rule.id));
            }
            SamplingValue::Rate(rate) => return found.settle(Name::Rule(rule.id), rule.decay(rate, now)),
        }
    }
}

impl Rule {
    /// The value at this time: on the line from the value at the start to the decayed value at the end.
    fn decay(&self, value: f64, now: i64) -> f64 {
        let (Some(decayed), Some(start), Some(end)) = (self.decayed, self.start, self.end) else {
            return value;
        };
        let share = (now - start) as f64 / (end - start) as f64;
        value + (decayed - value) * share.clamp(0.0, 1.0)
    }
}
