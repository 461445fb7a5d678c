//! The first-party scrubber: Sentry's rules, selectors and remarks, in one pass over the text. See README.md.

mod config;
mod plan;
mod rules;
pub mod scan;

pub use config::Config;

use plan::{Plan, RuleSet};
use rules::{Redaction, What};
use tamis_plugin::{Edits, Leaf, LeafKind, Leaves, Scrubber, export};

pub struct PiiScrubber {
    plan: Plan,
    /// What was decided about paths, by rule set and path key: 0 nothing yet, 1 no rule, `n` the rule `n - 2`.
    decided: Vec<Vec<u16>>,
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
        Ok(PiiScrubber { plan, decided: Vec::new(), tables: Vec::new(), found: Vec::new() })
    }

    fn selectors(&self) -> Vec<String> {
        self.plan.selectors.clone()
    }

    fn scrub(&mut self, leaf: &Leaf<'_>, edits: &mut Edits) {
        self.leaf(leaf, 0, edits);
    }

    fn scrub_all(&mut self, leaves: &Leaves<'_>, edits: &mut Edits) {
        self.look_up_tables(leaves);
        let (events, paths, keys, offsets) =
            (leaves.events(), leaves.paths(), leaves.path_keys(), leaves.offsets());
        let data = leaves.data().as_bytes();
        for i in 0..leaves.len() {
            let table = self.tables[events[i] as usize];
            let Some((set_id, set)) = self.plan.set(table, leaves.selector()) else { continue };
            // Most leaves have nothing to do with any rule. They must get by without a look at more than these few words.
            let path = paths[i] as usize;
            let decided = decide(&mut self.decided, set_id, keys[path], || {
                set.whole_value_rule(leaves.path_text(path))
            });
            if decided == NO_RULE {
                self.found.clear();
                search(set, &data[offsets[i] as usize..offsets[i + 1] as usize], &mut self.found);
                if self.found.is_empty() {
                    continue;
                }
            }
            self.leaf(&leaves.get(i), table, edits);
        }
    }
}

const NO_RULE: u16 = 1;
/// Path keys are numbered from 0 up; beyond this they are decided anew each time.
const DECIDED_PATHS_MAX: usize = 1 << 18;

fn decide(all: &mut Vec<Vec<u16>>, set: usize, key: u32, rule: impl FnOnce() -> Option<u16>) -> u16 {
    let of_rule = |rule: Option<u16>| rule.map_or(NO_RULE, |rule| rule + 2);
    let key = key as usize;
    if key >= DECIDED_PATHS_MAX {
        return of_rule(rule());
    }
    if all.len() <= set {
        all.resize(set + 1, Vec::new());
    }
    let decided = &mut all[set];
    if decided.len() <= key {
        decided.resize(key + 64, 0);
    }
    if decided[key] == 0 {
        decided[key] = of_rule(rule());
    }
    decided[key]
}

/// Finds what the rules look for in a text.
fn search(set: &RuleSet, text: &[u8], found: &mut Vec<Found>) {
    if !set.scanner.is_idle() {
        set.scanner.scan(text, |m| {
            if let Some(rule) = set.by_kind[m.kind as usize] {
                found.push(Found { rule, start: m.start, end: m.end });
            }
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

    /// Edits one value.
    fn leaf(&mut self, leaf: &Leaf<'_>, table: usize, edits: &mut Edits) {
        let Some((_, set)) = self.plan.set(table, leaf.selector) else { return };
        if let Some(rule) = set.whole_value_rule(leaf.path) {
            let rule = &set.rules[usize::from(rule)];
            // Hashing or masking what has no text would give the hash of nothing.
            let has_text = !matches!(leaf.kind, LeafKind::Object | LeafKind::Array);
            match has_text || matches!(rule.redaction, Redaction::Replace(_)) {
                true => redact(&rule.redaction, leaf, None, &rule.name, edits),
                false => redact(&Redaction::Remove, leaf, None, &rule.name, edits),
            }
            return;
        }
        self.found.clear();
        search(set, leaf.text.as_bytes(), &mut self.found);
        for found in without_overlaps(&mut self.found) {
            let rule = &set.rules[usize::from(found.rule)];
            // A number has no parts: it goes as a whole.
            let range = (leaf.kind == LeafKind::String).then_some((found.start, found.end));
            redact(&rule.redaction, leaf, range, &rule.name, edits);
            if range.is_none() {
                break;
            }
        }
    }
}

/// Rules apply in order, and a later one does not see what an earlier one took: so of two that overlap, the earlier rule's stays.
fn without_overlaps(found: &mut Vec<Found>) -> &[Found] {
    if found.len() > 1 {
        found.sort_by_key(|f| (f.rule, f.start));
        let mut kept: Vec<Found> = Vec::with_capacity(found.len());
        for f in found.iter() {
            if kept.iter().all(|k| f.end <= k.start || k.end <= f.start) {
                kept.push(*f);
            }
        }
        kept.sort_by_key(|f| f.start);
        *found = kept;
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
