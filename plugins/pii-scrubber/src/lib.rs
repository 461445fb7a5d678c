//! The first-party scrubber: Sentry's rules, selectors and remarks, in one pass over the text. See README.md.

mod config;
mod keys;
mod plan;
mod rules;
pub mod scan;

pub use config::Config;

use std::cell::Cell;
use std::collections::BTreeMap;

use plan::{Plan, RuleSet, Whole};
use rules::{Redaction, Rule, What};
use scan::Kind;
use tamis_plugin::{Edits, Leaf, LeafKind, Leaves, Scrubber, export};

pub struct PiiScrubber {
    plan: Plan,
    decided: Decided,
    /// The table of each event of the batch, for the batch of which this many selectors were seen.
    tables: Vec<usize>,
    found: Vec<Found>,
}

/// A match, and the rule that asks for it.
#[derive(Debug, Clone, Copy)]
struct Found {
    rule: u16,
    start: usize,
    end: usize,
}

impl Scrubber for PiiScrubber {
    type Config = Config;

    fn init(config: Config) -> Result<Self, String> {
        let plan = Plan::new(&config)?;
        Ok(PiiScrubber { plan, decided: Decided::default(), tables: Vec::new(), found: Vec::new() })
    }

    fn selectors(&self) -> Vec<String> {
        self.plan.selectors.clone()
    }

    fn scrub(&mut self, leaf: &Leaf<'_>, edits: &mut Edits) {
        if let Some((_, set)) = self.plan.set(0, leaf.selector) {
            scrub_leaf(set, leaf, &mut self.found, edits);
        }
    }

    fn scrub_all(&mut self, leaves: &Leaves<'_>, edits: &mut Edits) {
        self.look_up_tables(leaves);
        let (events, paths, keys, offsets) =
            (leaves.events(), leaves.paths(), leaves.path_keys(), leaves.offsets());
        let data = leaves.data().as_bytes();
        // Leaves of one project follow each other: its rules are looked up once.
        let (mut known, mut rules) = (usize::MAX, None);
        for i in 0..leaves.len() {
            let table = self.tables[events[i] as usize];
            if table != known {
                (known, rules) = (table, self.plan.set(table, leaves.selector()));
            }
            let Some((set_id, set)) = rules else { continue };
            // Most leaves have nothing to do with any rule. They must get by without a look at more than these few words.
            let path = paths[i] as usize;
            match self.decided.get(set_id, keys[path], || set.whole(leaves.path_text(path))) {
                Whole::Exempt => continue,
                Whole::No => {
                    self.found.clear();
                    search(set, &data[offsets[i] as usize..offsets[i + 1] as usize], &mut self.found);
                    if self.found.is_empty() {
                        continue;
                    }
                }
                Whole::Rule(_) => {}
            }
            scrub_leaf(set, &leaves.get(i), &mut self.found, edits);
        }
    }
}

/// What was decided about paths, by rule set and path key.
#[derive(Debug, Default)]
struct Decided {
    /// The key of the first path: keys are numbered upwards for ever.
    first: u32,
    sets: Vec<Vec<Option<Whole>>>,
}

/// Paths that are remembered. Keys are the users' to choose, so that there may be any number of them.
const DECIDED_PATHS_MAX: usize = 1 << 17;

impl Decided {
    #[inline]
    fn get(&mut self, set: usize, key: u32, decide: impl FnOnce() -> Whole) -> Whole {
        let at = key.wrapping_sub(self.first) as usize;
        match self.sets.get(set).and_then(|paths| paths.get(at)) {
            Some(Some(whole)) => *whole,
            _ => self.put(set, key, decide()),
        }
    }

    #[cold]
    fn put(&mut self, set: usize, key: u32, whole: Whole) -> Whole {
        if key.wrapping_sub(self.first) as usize >= DECIDED_PATHS_MAX {
            self.first = key;
            self.sets.clear();
        }
        if self.sets.len() <= set {
            self.sets.resize(set + 1, Vec::new());
        }
        let (at, paths) = (key.wrapping_sub(self.first) as usize, &mut self.sets[set]);
        if paths.len() <= at {
            paths.resize(at + 64, None);
        }
        paths[at] = Some(whole);
        whole
    }
}

/// Finds what the rules look for in a text.
fn search(set: &RuleSet, text: &[u8], found: &mut Vec<Found>) {
    if !set.scanner.is_idle() {
        let of_key = Cell::new(None);
        let is_secret = |key: &[u8]| {
            of_key.set(set.key_rule(|test| test.matches_key(key)));
            of_key.get().is_some()
        };
        set.scanner.scan(text, is_secret, |m| {
            let rule = if m.kind == Kind::Pair { of_key.get() } else { set.by_kind[m.kind as usize] };
            found.extend(rule.map(|rule| Found { rule, start: m.start, end: m.end }));
        });
    }
    if set.patterns.is_empty() {
        return;
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    for rule in &set.patterns {
        let What::Pattern { regex, groups } = &set.rules[usize::from(*rule)].what else { continue };
        if groups.is_empty() {
            found.extend(regex.find_iter(text).map(|m| Found {
                rule: *rule,
                start: m.start(),
                end: m.end(),
            }));
            continue;
        }
        for captures in regex.captures_iter(text) {
            let parts = groups.iter().filter_map(|group| captures.get(*group));
            found.extend(parts.map(|m| Found { rule: *rule, start: m.start(), end: m.end() }));
        }
    }
}

impl PiiScrubber {
    fn look_up_tables(&mut self, leaves: &Leaves<'_>) {
        let events = leaves.events().last().map_or(0, |last| *last as usize + 1);
        self.tables.clear();
        match self.plan.has_projects() {
            false => self.tables.resize(events, 0),
            true => {
                let table = |event| self.plan.table_of(leaves.event(event).project_id());
                self.tables = (0..events as u32).map(table).collect();
            }
        }
        debug_assert!(self.tables.iter().all(|t| *t < self.plan.tables()));
    }
}

/// Edits one value.
fn scrub_leaf(set: &RuleSet, leaf: &Leaf<'_>, found: &mut Vec<Found>, edits: &mut Edits) {
    // How many tokens were counted is no token.
    let is_count = leaf.kind == LeafKind::Number && keys::counts_tokens(leaf.path);
    match set.whole(leaf.path) {
        Whole::Exempt => return,
        Whole::Rule(rule) if !is_count || set.anything == Some(rule) => {
            return take_whole(&set.rules[usize::from(rule)], leaf, edits);
        }
        _ => {}
    }
    found.clear();
    search(set, leaf.text.as_bytes(), found);
    if found.len() > MATCHES_MAX {
        return take_whole(&set.rules[usize::from(found[0].rule)], leaf, edits);
    }
    for found in without_overlaps(found) {
        let rule = &set.rules[usize::from(found.rule)];
        // A number has no parts: it goes as a whole.
        let range = (leaf.kind == LeafKind::String).then_some((found.start, found.end));
        redact(&rule.redaction, leaf, range, &rule.name, edits);
        if range.is_none() {
            break;
        }
    }
}

/// Parts of one text that are edited. A text with more of them is a dump of secrets, and goes as a whole: each part costs a
/// remark in `_meta`.
const MATCHES_MAX: usize = 1024;

fn take_whole(rule: &Rule, leaf: &Leaf<'_>, edits: &mut Edits) {
    // Hashing or masking what has no text would give the hash of nothing.
    let has_text = !matches!(leaf.kind, LeafKind::Object | LeafKind::Array);
    match has_text || matches!(rule.redaction, Redaction::Replace(_)) {
        true => redact(&rule.redaction, leaf, None, &rule.name, edits),
        false => redact(&Redaction::Remove, leaf, None, &rule.name, edits),
    }
}

/// Rules apply in order, and a later one does not see what an earlier one took: so of two that overlap, the earlier rule's stays.
fn without_overlaps(found: &mut Vec<Found>) -> &[Found] {
    if found.len() > 1 {
        found.sort_by_key(|f| (f.rule, f.start));
        let mut kept: BTreeMap<usize, Found> = BTreeMap::new();
        for f in found.iter() {
            let before = kept.range(..=f.start).next_back();
            let behind = kept.range(f.start..).next();
            let is_free =
                before.is_none_or(|(_, k)| k.end <= f.start) && behind.is_none_or(|(_, k)| f.end <= k.start);
            if is_free && f.start < f.end {
                kept.insert(f.start, *f);
            }
        }
        found.clear();
        found.extend(kept.into_values());
    }
    found
}

fn redact(how: &Redaction, leaf: &Leaf<'_>, range: Option<(usize, usize)>, rule: &str, edits: &mut Edits) {
    match (how, range) {
        (Redaction::Remove, None) => edits.remove(leaf, .., rule),
        (Redaction::Remove, Some((start, end))) => edits.remove(leaf, start..end, rule),
        (Redaction::Replace(text), None) => edits.replace(leaf, .., text, rule),
        (Redaction::Replace(text), Some((start, end))) => edits.replace(leaf, start..end, text, rule),
        (Redaction::Mask(with), None) => edits.mask(leaf, .., *with, rule),
        (Redaction::Mask(with), Some((start, end))) => edits.mask(leaf, start..end, *with, rule),
        (Redaction::Hash(key), None) => edits.hash(leaf, .., key, rule),
        (Redaction::Hash(key), Some((start, end))) => edits.hash(leaf, start..end, key, rule),
    }
}

export!(scrubber: PiiScrubber, reads = ["**", "$meta.project_id"], writes = ["**"]);

#[cfg(test)]
mod tests;
