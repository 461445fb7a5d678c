//! The filters that are on for a project, and their order.

use std::rc::Rc;

use conditions::{Condition, Globs};
use hashbrown::HashMap;

use crate::addresses::{Networks, parse_address};
use crate::agent::{Agent, Browsers};
use crate::config::{Rule, Section, Switch};
use crate::view::View;
use crate::{crawlers, extensions, health};

/// The filters of one project. What projects have in common they share: a section costs what it sets.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    conditions: Option<Rc<[(&'static str, Condition)]>>,
    client_ips: Option<Rc<Networks>>,
    releases: Option<Rc<Globs>>,
    error_messages: Option<Rc<Globs>>,
    legacy_browsers: Option<Browsers>,
    transactions: Option<Rc<Globs>>,
    localhost: bool,
    browser_extensions: bool,
    web_crawlers: bool,
    health_checks: bool,
}

impl Rules {
    pub(crate) fn new(defaults: Section) -> Rules {
        let on_by_default = Rules {
            conditions: None,
            client_ips: None,
            releases: None,
            error_messages: None,
            legacy_browsers: None,
            transactions: None,
            localhost: false,
            browser_extensions: false,
            web_crawlers: true,
            health_checks: true,
        };
        on_by_default.with(defaults)
    }

    /// These rules with what a section sets in their place.
    pub(crate) fn with(&self, section: Section) -> Rules {
        let mut rules = self.clone();
        set(&mut rules.conditions, section.conditions.map(|switch| map(switch, enabled)));
        set(&mut rules.client_ips, section.client_ips.map(|switch| map(switch, Rc::new)));
        set(&mut rules.releases, section.releases.map(|switch| map(switch, Rc::new)));
        set(&mut rules.error_messages, section.error_messages.map(|switch| map(switch, Rc::new)));
        set(&mut rules.legacy_browsers, section.legacy_browsers);
        set(&mut rules.transactions, section.transactions.map(|switch| map(switch, Rc::new)));
        rules.localhost = section.localhost.unwrap_or(rules.localhost);
        rules.browser_extensions = section.browser_extensions.unwrap_or(rules.browser_extensions);
        rules.web_crawlers = section.web_crawlers.unwrap_or(rules.web_crawlers);
        rules.health_checks = section.health_checks.unwrap_or(rules.health_checks);
        rules
    }

    /// Why the event is to be dropped, in Sentry's words and Sentry's order.
    pub(crate) fn reason(
        &self,
        view: &View<'_>,
        agents: &mut Agents,
        scratch: &mut Scratch,
    ) -> Option<&'static str> {
        if let Some(conditions) = &self.conditions
            && let Some((id, _)) = conditions.iter().find(|(_, condition)| condition.matches(&view.event))
        {
            return Some(id);
        }
        let blocked = |networks: &Networks| {
            view.event.text("$meta.client_ip").is_some_and(|address| networks.contains(address))
        };
        if self.client_ips.as_deref().is_some_and(blocked) {
            return Some("ip-address");
        }
        if self.releases.as_ref().is_some_and(|globs| view.release().is_some_and(|r| globs.matches(r))) {
            return Some("release-version");
        }
        if self.error_messages.as_ref().is_some_and(|globs| has_message(view, globs, scratch)) {
            return Some("error-message");
        }
        if self.localhost && is_local(view) {
            return Some("localhost");
        }
        if self.browser_extensions && extensions::is_to_blame(&view.event, &mut scratch.text) {
            return Some("browser-extensions");
        }
        self.reason_by_agent(view, agents).or_else(|| self.reason_by_transaction(view))
    }

    fn reason_by_agent(&self, view: &View<'_>, agents: &mut Agents) -> Option<&'static str> {
        if self.legacy_browsers.is_none() && !self.web_crawlers {
            return None;
        }
        let agent = agents.classify(view.user_agent()?);
        match agent {
            Agent::Browser(browser) if self.legacy_browsers.as_ref().is_some_and(|l| l.contain(browser)) => {
                Some("legacy-browsers")
            }
            Agent::Crawler if self.web_crawlers => Some("web-crawlers"),
            _ => None,
        }
    }

    fn reason_by_transaction(&self, view: &View<'_>) -> Option<&'static str> {
        if self.transactions.is_none() && !self.health_checks {
            return None;
        }
        let name = view.transaction()?;
        let named = self.transactions.as_ref().is_some_and(|globs| globs.matches(name));
        (named || (self.health_checks && health::is_check(name))).then_some("filtered-transaction")
    }
}

fn set<T>(rule: &mut Option<T>, switch: Option<Switch<T>>) {
    match switch {
        None => {}
        Some(Switch::Off) => *rule = None,
        Some(Switch::On(on)) => *rule = Some(on),
    }
}

fn map<T, U>(switch: Switch<T>, make: impl FnOnce(T) -> U) -> Switch<U> {
    match switch {
        Switch::Off => Switch::Off,
        Switch::On(settings) => Switch::On(make(settings)),
    }
}

/// Ids live as long as the instance, which has one configuration.
fn enabled(rules: Vec<Rule>) -> Rc<[(&'static str, Condition)]> {
    let enabled = rules.into_iter().filter(|rule| rule.enabled);
    enabled.map(|rule| (&*rule.id.leak(), rule.condition)).collect()
}

/// The message of the event, and of each exception `type: value` and the value alone.
fn has_message(view: &View<'_>, globs: &Globs, scratch: &mut Scratch) -> bool {
    if !view.has_messages() {
        return false;
    }
    let Scratch { front, text } = scratch;
    view.message().is_some_and(|message| globs.match_with_front("", message, text))
        || view.event.exceptions().any(|exception| match (exception.text("type"), exception.text("value")) {
            (Some(kind), Some(value)) => {
                front.clear();
                front.extend([kind, ": "]);
                globs.match_with_front(front, value, text)
            }
            (Some(one), None) | (None, Some(one)) => globs.match_with_front("", one, text),
            (None, None) => false,
        })
}

/// Memory that is kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    front: String,
    pub text: String,
}

/// Whether the event comes from a developer's own machine.
fn is_local(view: &View<'_>) -> bool {
    let is_loopback =
        |address: &str| parse_address(address).is_some_and(|ip| ip.to_canonical().is_loopback());
    if view.event.text("user.ip_address").is_some_and(is_loopback) {
        return true;
    }
    view.url().and_then(host).is_some_and(|host| {
        let name = host.strip_suffix('.').unwrap_or(host);
        let of_localhost = name.len().checked_sub("localhost".len()).and_then(|at| name.split_at_checked(at));
        let is_named = of_localhost.is_some_and(|(front, back)| {
            back.eq_ignore_ascii_case("localhost") && (front.is_empty() || front.ends_with('.'))
        });
        is_named || is_loopback(host)
    })
}

/// The host of a URL, without credentials and port.
pub(crate) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    }
}

/// What is known of user agents. There are few distinct ones, and reading one costs a microsecond.
#[derive(Debug, Default)]
pub(crate) struct Agents(HashMap<Box<str>, Agent>);

/// Distinct user agents that are remembered, and the longest of them: clients choose what they send.
const AGENTS_MAX: usize = 4096;
const AGENT_BYTES_MAX: usize = 512;

impl Agents {
    fn classify(&mut self, text: &str) -> Agent {
        if let Some(known) = self.0.get(text) {
            return *known;
        }
        let agent = match crawlers::is_crawler(text) {
            true => Agent::Crawler,
            false => Agent::of(text),
        };
        if text.len() <= AGENT_BYTES_MAX {
            if self.0.len() >= AGENTS_MAX {
                self.0.clear();
            }
            self.0.insert(text.into(), agent);
        }
        agent
    }
}
