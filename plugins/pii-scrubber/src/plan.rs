//! Which rules apply where: a configuration, compiled for every project that differs.

use std::collections::HashMap;

use crate::config::Config;
use crate::keys::{Exemption, KeyTest, segments};
use crate::rules::{Book, FILTERED, Redaction, Rule, What};
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
    /// Fields that none of the rules is for.
    exempt: Vec<Exemption>,
}

/// What is known of a value by its path alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// No rule is for it.
    Exempt,
    /// Its text has to be looked at.
    No,
    /// This rule takes all of it.
    Rule(u16),
}

/// All selectors, and for each project the rules of each.
#[derive(Debug, Default)]
pub struct Plan {
    pub selectors: Vec<String>,
    sets: Vec<RuleSet>,
    known_sets: HashMap<String, usize>,
    /// For all projects, then for each that differs: by selector, an index into `sets`.
    tables: Vec<Vec<Option<usize>>>,
    projects: HashMap<u64, usize>,
}

/// What the defaults look at: everything but what is no text of anybody's, source code, and places that other rules are for.
const EVERYWHERE: &str = "($string || $number || $boolean) && !(debug_meta.** || $frame.filename || $frame.abs_path || $frame.module \
    || $frame.package || $frame.function || $frame.raw_function || $frame.lineno || $frame.colno || $frame.context_line \
    || $frame.pre_context.** || $frame.post_context.** || $logentry.formatted || $error.value || $http.headers.user-agent || sdk.** \
    || modules.** || event_id || timestamp || start_timestamp || platform || level || trace_id || span_id || parent_span_id \
    || contexts.trace.trace_id || contexts.trace.span_id || contexts.trace.parent_span_id || spans.*.span_id || spans.*.trace_id \
    || spans.*.parent_span_id || spans.*.timestamp || spans.*.start_timestamp || $http.cookies.** || $http.headers.cookie \
    || $http.headers.set-cookie || user.ip_address || $http.env.remote_addr || spans.*.sentry_tags.'user.ip' \
    || attributes.'client.address'.value || attributes.'user.ip_address'.value)";
/// Texts that people write into: messages and logs. More of them are in `texts`.
const MESSAGES: &str =
    "$logentry.formatted || logentry.message || message || body || attributes.'sentry.message'.**";
/// What is said to language models and tools, and what they say.
const CONVERSATIONS: [&str; 16] = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.request.available_tools",
    "gen_ai.request.messages",
    "gen_ai.response.object",
    "gen_ai.response.text",
    "gen_ai.response.tool_calls",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.tool.input",
    "gen_ai.tool.name",
    "gen_ai.tool.output",
    "mcp.prompt.result",
    "mcp.tool.result.content",
];
const COOKIES: &str = "($string || $number || $boolean) && ($http.cookies.** || $http.headers.cookie || $http.headers.set-cookie)";
const CLIENT_ADDRESSES: &str = "user.ip_address || $http.env.remote_addr || sdk.client_ip || spans.*.sentry_tags.'user.ip' \
    || attributes.'client.address'.value || attributes.'user.ip_address'.value";
/// The rule that further words for secrets make.
const FIELDS: &str = "strip-fields";

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

    #[cfg(test)]
    pub fn sets_len(&self) -> usize {
        self.sets.len()
    }

    /// The rules of a selector in a table, with a number of their own.
    pub fn set(&self, table: usize, selector: usize) -> Option<(usize, &RuleSet)> {
        let set = self.tables[table].get(selector).copied().flatten()?;
        Some((set, &self.sets[set]))
    }

    fn add_table(&mut self, config: &Config) -> Result<(), String> {
        let mut table = vec![None; self.selectors.len()];
        let book = Book { rules: &config.rules };
        for application in applications(config) {
            let rules: Vec<_> =
                application.names.iter().map(|name| book.resolve(name)).collect::<Result<_, _>>()?;
            let mut rules = rules.concat();
            rules.extend(application.fields);
            let known = self.selectors.iter().position(|s| *s == application.selector);
            let at = known.unwrap_or_else(|| {
                self.selectors.push(application.selector);
                table.push(None);
                self.selectors.len() - 1
            });
            table[at] = Some(self.add_set(rules, application.exempt));
        }
        self.tables.push(table);
        Ok(())
    }

    /// Projects that ask for the same share it: a set is some kilobytes, and what is decided by path is kept for each.
    fn add_set(&mut self, rules: Vec<Rule>, exempt: Vec<Exemption>) -> usize {
        let known = self.known_sets.entry(format!("{rules:?}{exempt:?}")).or_insert(self.sets.len());
        if *known == self.sets.len() {
            self.sets.push(RuleSet::new(rules, exempt));
        }
        *known
    }
}

/// Rules for what a selector names.
struct Application {
    selector: String,
    names: Vec<String>,
    /// The rule of further words for secrets.
    fields: Option<Rule>,
    exempt: Vec<Exemption>,
}

/// The defaults, if they are on, and the configuration's own.
fn applications(config: &Config) -> Vec<Application> {
    let application = |selector: &str, names: &[&str]| Application {
        selector: selector.to_owned(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        fields: None,
        exempt: Vec::new(),
    };
    let defaults = config.defaults.unwrap_or(true);
    let addresses = defaults && config.scrub_ip_addresses.unwrap_or(true);
    let fields = fields_rule(&config.sensitive_fields);
    let mut all = Vec::new();
    let everywhere: &[&str] = match (defaults, addresses) {
        (true, true) => &["@common:filter", "@ip:replace"],
        (true, false) => &["@common:filter"],
        (false, _) => &[],
    };
    if !everywhere.is_empty() || fields.is_some() {
        let exempt = config.exclude_fields.iter().filter_map(|field| Exemption::parse(field)).collect();
        all.push(Application { fields, exempt, ..application(EVERYWHERE, everywhere) });
    }
    if defaults {
        all.push(application(COOKIES, &["@anything:filter"]));
        let messages =
            ["@email:replace", "@creditcard:replace", "@iban:replace", "@usssn:replace", "@bearer:replace"];
        all.push(application(&texts(), &messages));
    }
    if addresses {
        all.push(application(CLIENT_ADDRESSES, &["@anything:remove"]));
    }
    all.extend(
        config
            .applications
            .iter()
            .map(|(selector, names)| Application { names: names.clone(), ..application(selector, &[]) }),
    );
    all
}

/// The selector of texts that are too dear to be replaced as a whole.
fn texts() -> String {
    let places = |name: &str| {
        format!(" || spans.*.data.'{name}' || contexts.trace.data.'{name}' || attributes.'{name}'.value")
    };
    MESSAGES.to_owned() + &CONVERSATIONS.map(places).concat()
}

fn fields_rule(fields: &[String]) -> Option<Rule> {
    let words: Vec<String> =
        fields.iter().map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect();
    (!words.is_empty()).then(|| Rule {
        name: FIELDS.to_owned(),
        what: What::Key(KeyTest::words(words.into_iter())),
        redaction: Redaction::Replace(FILTERED.to_owned()),
    })
}

impl RuleSet {
    fn new(rules: Vec<Rule>, exempt: Vec<Exemption>) -> RuleSet {
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
        let pairs = (!keys.is_empty()).then_some(Kind::Pair);
        RuleSet {
            scanner: Scanner::new(kinds.chain(pairs)),
            rules,
            by_kind,
            patterns,
            keys,
            anything,
            exempt,
        }
    }

    /// What to do about whatever stands at this path.
    pub fn whole(&self, path: &str) -> Whole {
        if !self.exempt.is_empty() {
            let path = segments(path);
            if self.exempt.iter().any(|exemption| exemption.covers(&path)) {
                return Whole::Exempt;
            }
        }
        let by_key = self.key_rule(|test| test.matches_path(path));
        let rule = by_key.into_iter().chain(self.anything).min();
        rule.map_or(Whole::No, Whole::Rule)
    }

    /// The first rule that is for a key.
    pub fn key_rule(&self, matches: impl Fn(&KeyTest) -> bool) -> Option<u16> {
        self.keys.iter().copied().find(|i| match &self.rules[usize::from(*i)].what {
            What::Key(test) => matches(test),
            _ => false,
        })
    }
}
