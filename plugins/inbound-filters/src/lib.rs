//! Sentry's inbound filters: events that nobody wants to see are dropped, each with Sentry's own reason.
//!
//! The filters are tried in Sentry's order, and the first that matches gives the reason: conditions, client addresses,
//! releases, error messages, localhost, browser extensions, legacy browsers, web crawlers, transactions, health checks.
//! All keys of the configuration stand in the README.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod addresses;
mod agent;
mod config;
mod crawlers;
mod extensions;
mod health;
mod rules;
mod view;

use hashbrown::HashMap;
use tamis_plugin::{Event, Filter, Verdict, export};

pub use config::Config;
use rules::{Agents, Rules, Scratch};
use view::View;

/// The plugin.
#[derive(Debug)]
pub struct InboundFilters {
    defaults: Rules,
    projects: HashMap<u64, Rules>,
    agents: Agents,
    scratch: Scratch,
}

impl Filter for InboundFilters {
    type Config = Config;

    fn init(config: Config) -> Result<Self, String> {
        let defaults = Rules::new(config.defaults);
        let project = |(id, section): (config::ProjectKey, config::Section)| (id.0, defaults.with(section));
        let projects = config.projects.into_iter().map(project).collect();
        Ok(InboundFilters { defaults, projects, agents: Agents::default(), scratch: Scratch::default() })
    }

    fn filter(&mut self, event: &Event<'_>) -> Verdict {
        // Without sections by project nobody needs to know the project.
        let rules = match self.projects.is_empty() {
            true => &self.defaults,
            false => self.projects.get(&event.project_id()).unwrap_or(&self.defaults),
        };
        match rules.reason(&View::new(*event), &mut self.agents, &mut self.scratch) {
            Some(reason) => Verdict::drop(reason),
            None => Verdict::Keep,
        }
    }
}

// Conditions may name any field.
export!(filter: InboundFilters, reads = ["**"]);

#[cfg(test)]
mod tests;
