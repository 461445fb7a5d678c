//! Sentry's dynamic sampling: rules that give each trace or transaction the rate at which it is kept.
//!
//! The plugin gives rates and the rules that made them; the host draws. Rules of type `transaction` come first and look at the
//! event, rules of type `trace` follow and look at the trace header alone, so that all events of a trace get the same.
//! Factors multiply until the first rule with a rate. A short form, `rates`, serves those who need no rules.
//! All keys of the configuration stand in the README.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod names;
mod rates;
mod rules;

use hashbrown::HashMap;
use tamis_plugin::{Event, Rate, Sampler, export};

pub use config::Config;
use config::{CategoryNames, ProjectKey, Section};
use names::Names;
use rates::Rates;
use rules::{Found, Rules};

/// The plugin.
#[derive(Debug)]
pub struct DynamicSampler {
    categories: CategoryNames,
    defaults: Policy,
    projects: HashMap<u64, Policy>,
    names: Names,
}

/// What decides in one project.
#[derive(Debug)]
struct Policy {
    rules: Rules,
    rates: Rates,
}

impl Policy {
    fn new(section: Section) -> Policy {
        Policy { rules: Rules::new(section.rules), rates: Rates::new(section.rates) }
    }
}

impl Sampler for DynamicSampler {
    type Config = Config;

    fn init(config: Config) -> Result<Self, String> {
        let project = |(id, section): (ProjectKey, Section)| (id.0, Policy::new(section));
        Ok(DynamicSampler {
            categories: config.categories,
            defaults: Policy::new(Section { rules: config.rules, rates: config.rates }),
            projects: config.projects.into_iter().map(project).collect(),
            names: Names::default(),
        })
    }

    fn sample(&mut self, event: &Event<'_>) -> Rate {
        if !self.categories.contain(event.text("$meta.category").unwrap_or_default()) {
            return Rate::KEEP;
        }
        let policy = match self.projects.is_empty() {
            true => &self.defaults,
            false => self.projects.get(&event.project_id()).unwrap_or(&self.defaults),
        };
        let mut found = Found::default();
        policy.rules.evaluate(event, &mut found);
        if found.rate.is_none() {
            policy.rates.evaluate(event, &mut found);
        }
        match found.rate {
            // Factors alone decide nothing: there is no rate for them to change.
            None => Rate::KEEP,
            Some(rate) => Rate::by(rate.clamp(0.0, 1.0), self.names.join(&found.matched)),
        }
    }
}

// Conditions may name any field.
export!(sampler: DynamicSampler, reads = ["**"]);

#[cfg(test)]
mod tests;
