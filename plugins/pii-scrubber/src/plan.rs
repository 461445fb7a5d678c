//! Which rules apply where: a configuration, compiled for every project that differs.

use std::collections::HashMap;

use crate::config::Config;
use crate::rules::{Book, KeyTest, Rule, What};
use crate::scan::{Kind, Scanner};

/// The rules of one selector, in the order in which they apply.
#[derive(Debug)]
pub struct RuleSet {
    pub rules: Vec<Rule>,
    pub scanner: Scanner,
    /// The rule for each kind that the scanner finds.
    pub by_kind: [Option<u16>; Kind::ALL.len()],
    pub patterns: Vec<u16>,
    pub keys: Vec<u16>,
    pub anything: Option<u16>,
}

/// All selectors, and for each project the rules of each.
#[derive(Debug, Default)]
pub struct Plan {
    pub selectors: Vec<String>,
    sets: Vec<RuleSet>,
    /// For all projects, then for each that differs: by selector, an index into `sets`.
    tables: Vec<Vec<Option<usize>>>,
    projects: HashMap<u64, usize>,
}

/// What the defaults look at: everything but what is no text of anybody's, and places that other rules are for.
const EVERYWHERE: &str = "($string || $number || $boolean) && !(debug_meta.** || $frame.filename || $frame.abs_path || $frame.module \
    || $frame.package || $logentry.formatted || $error.value || $http.headers.user-agent || sdk.** || modules.** || event_id || timestamp \
    || start_timestamp || platform || level || contexts.trace.** || spans.*.span_id || spans.*.parent_span_id || spans.*.trace_id \
    || trace_id || span_id || parent_span_id || $http.cookies.** || $http.headers.cookie || $http.headers.set-cookie || user.ip_address || $http.env.remote_addr";
/// Texts that people write into: messages and logs.
const MESSAGES: &str = "$logentry.formatted || body || attributes.'sentry.message'.**";
const COOKIES: &str = "($string || $number || $boolean) && ($http.cookies.** || $http.headers.cookie || $http.headers.set-cookie)";
const CLIENT_ADDRESSES: &str = "user.ip_address || $http.env.remote_addr || attributes.'client.address'.value || attributes.'user.ip_address'.value";

impl Plan {
    pub fn new(config: &Config) -> Result<Plan, String> {
        let mut plan = Plan::default();
        plan.add_table(config)?;
        for (id, project) in &config.projects {
            let id: u64 = id.parse().map_err(|_| format!("projects: {id:?} is no project id"))?;
            let own = config.of_project(project);
            plan.add_table(&own).map_err(|e| format!("project {id}: {e}"))?;
            plan.projects.insert(id, plan.tables.len() - 1);
        }
        Ok(plan)
    }

    /// The index of a project's table.
    pub fn table_of(&self, project: u64) -> usize {
        self.projects.get(&project).copied().unwrap_or(0)
    }

    pub fn has_projects(&self) -> bool {
        !self.projects.is_empty()
    }

    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The rules of a selector in a table, with a number of their own.
    pub fn set(&self, table: usize, selector: usize) -> Option<(usize, &RuleSet)> {
        let set = self.tables[table].get(selector).copied().flatten()?;
        Some((set, &self.sets[set]))
    }

    fn add_table(&mut self, config: &Config) -> Result<(), String> {
        let mut table = vec![None; self.selectors.len()];
        let book = Book { rules: &config.rules };
        for (selector, names) in applications(config) {
            let rules: Vec<_> = names.iter().map(|name| book.resolve(name)).collect::<Result<_, _>>()?;
            let rules = with_fields(rules.concat(), &config.sensitive_fields);
            let known = self.selectors.iter().position(|s| *s == selector);
            let at = known.unwrap_or_else(|| {
                self.selectors.push(selector);
                table.push(None);
                self.selectors.len() - 1
            });
            self.sets.push(RuleSet::new(rules));
            table[at] = Some(self.sets.len() - 1);
        }
        self.tables.push(table);
        Ok(())
    }
}

/// Selectors with names of rules: the defaults, if they are on, and the configuration's own.
fn applications(config: &Config) -> Vec<(String, Vec<String>)> {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let mut all = Vec::new();
    if config.defaults.unwrap_or(true) {
        let excluded: String =
            config.exclude_fields.iter().map(|field| format!(" || **.{}", quoted(field))).collect();
        let addresses = config.scrub_ip_addresses.unwrap_or(true);
        let everywhere: &[&str] =
            if addresses { &["@common:filter", "@ip:replace"] } else { &["@common:filter"] };
        all.push((format!("{EVERYWHERE}{excluded})"), names(everywhere)));
        all.push((COOKIES.to_owned(), names(&["@anything:filter"])));
        let messages =
            ["@email:replace", "@creditcard:replace", "@iban:replace", "@usssn:replace", "@bearer:replace"];
        all.push((MESSAGES.to_owned(), names(&messages)));
        if addresses {
            all.push((CLIENT_ADDRESSES.to_owned(), names(&["@anything:remove"])));
        }
    }
    all.extend(config.applications.iter().map(|(selector, rules)| (selector.clone(), rules.clone())));
    all
}

fn quoted(field: &str) -> String {
    format!("'{}'", field.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Adds fields of one's own to the words that make a key a secret.
fn with_fields(mut rules: Vec<Rule>, fields: &[String]) -> Vec<Rule> {
    for rule in &mut rules {
        if let What::Key(KeyTest::Words(words)) = &mut rule.what {
            words.extend(fields.iter().map(|field| field.to_ascii_lowercase()));
        }
    }
    rules
}

impl RuleSet {
    fn new(rules: Vec<Rule>) -> RuleSet {
        let mut by_kind = [None; Kind::ALL.len()];
        let (mut patterns, mut keys, mut anything) = (Vec::new(), Vec::new(), None);
        for (i, rule) in (0u16..).zip(&rules) {
            match &rule.what {
                What::Text(kind) => by_kind[*kind as usize] = by_kind[*kind as usize].or(Some(i)),
                What::Pattern { .. } => patterns.push(i),
                What::Key(_) => keys.push(i),
                What::Anything => anything = anything.or(Some(i)),
            }
        }
        let kinds = Kind::ALL.into_iter().filter(|kind| by_kind[*kind as usize].is_some());
        RuleSet { scanner: Scanner::new(kinds), rules, by_kind, patterns, keys, anything }
    }

    /// The rule that takes the whole value of whatever stands at this path.
    pub fn whole_value_rule(&self, path: &str) -> Option<u16> {
        let by_key = self.keys.iter().copied().find(|i| match &self.rules[usize::from(*i)].what {
            What::Key(test) => test.matches(path),
            _ => false,
        });
        match (by_key, self.anything) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (found, other) => found.or(other),
        }
    }
}
