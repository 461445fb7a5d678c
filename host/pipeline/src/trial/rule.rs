//! When a trial ends by itself, and how. A pure function of what was found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Report;

/// Limits of a candidate. One that breaks none of them for long enough is promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The share of events, from 0 to 1, about which the candidate may say something else than the base.
    pub max_disagreement: Option<f64>,
    /// Events that its stages may fail on.
    pub max_traps: Option<u64>,
    /// Processor time per event, as a multiple of the base's.
    pub max_cost_ratio: Option<f64>,
    /// How long it is watched before it is promoted, in seconds. None: it is never promoted by itself.
    pub after_seconds: Option<u64>,
    /// Events below which nothing but traps is judged.
    pub min_events: u64,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            max_disagreement: None,
            max_traps: None,
            max_cost_ratio: None,
            after_seconds: None,
            min_events: 1_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Ruling {
    Wait,
    Promote { why: String },
    RollBack { why: String },
}

impl Rule {
    pub fn decide(&self, report: &Report, age: Duration) -> Ruling {
        let traps = report.traps();
        if let Some(most) = self.max_traps.filter(|most| traps > *most) {
            return Ruling::RollBack {
                why: format!("its stages failed on {traps} events (max_traps {most})"),
            };
        }
        if report.events < self.min_events.max(1) {
            return Ruling::Wait;
        }
        let disagreement = 1.0 - report.agreement;
        if let Some(most) = self.max_disagreement.filter(|most| report.agreement < 1.0 - most) {
            let why = format!("it disagrees about {disagreement:.4} of the events (max_disagreement {most})");
            return Ruling::RollBack { why };
        }
        let ratio = report.cost.ratio;
        if let Some(most) = self.max_cost_ratio.filter(|most| ratio > *most) {
            return Ruling::RollBack {
                why: format!("it costs {ratio:.2} times the base (max_cost_ratio {most})"),
            };
        }
        match self.after_seconds {
            Some(after) if age >= Duration::from_secs(after) => {
                let events = report.events;
                Ruling::Promote { why: format!("it broke no limit in {after} s and {events} events") }
            }
            _ => Ruling::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Cost, Faults};

    fn report(events: u64, agreement: f64, ratio: f64, traps: u64) -> Report {
        let fault = Faults { stage: "f".into(), reason: "trap".into(), events: traps, examples: vec![] };
        let cost = Cost { ratio, ..Cost::default() };
        let faults = if traps > 0 { vec![fault] } else { Vec::new() };
        Report { events, agreement, cost, faults, ..Report::default() }
    }

    #[test]
    fn limits_in_their_order() {
        let rule = Rule {
            max_disagreement: Some(0.01),
            max_traps: Some(0),
            max_cost_ratio: Some(1.5),
            after_seconds: Some(60),
            min_events: 100,
        };
        let cases = [
            (report(10, 1.0, 1.0, 1), 1, "RollBack: its stages failed on 1 events (max_traps 0)"),
            (report(99, 0.5, 9.0, 0), 600, "Wait"),
            (
                report(100, 0.98, 1.0, 0),
                1,
                "RollBack: it disagrees about 0.0200 of the events (max_disagreement 0.01)",
            ),
            (report(100, 0.99, 1.51, 0), 1, "RollBack: it costs 1.51 times the base (max_cost_ratio 1.5)"),
            (report(100, 0.995, 1.5, 0), 59, "Wait"),
            (report(100, 0.995, 1.5, 0), 60, "Promote: it broke no limit in 60 s and 100 events"),
        ];
        for (report, age, want) in cases {
            let got = match rule.decide(&report, Duration::from_secs(age)) {
                Ruling::Wait => "Wait".to_owned(),
                Ruling::Promote { why } => format!("Promote: {why}"),
                Ruling::RollBack { why } => format!("RollBack: {why}"),
            };
            assert_eq!(got, want);
        }
        let for_ever = Rule { after_seconds: None, ..rule };
        assert_eq!(
            for_ever.decide(&report(1 << 40, 1.0, 1.0, 0), Duration::from_secs(1 << 30)),
            Ruling::Wait
        );
    }
}
