//! A candidate beside what decides: both were asked about the same events, and what they say is compared.
//!
//! The same comparison serves a shadow, a canary and a replay. It keeps counts and a few examples, never events, and every list in it
//! has a bound, whatever a plugin says.

mod leaves;
mod report;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use host_event::{Category, Event, Outcome, ProjectId};
use host_group::GroupId;

use crate::chain::{Decision, Verdict};
use crate::settle::group_of;
use leaves::Redacted;
pub use report::{
    Cost, Disagreement, Example, Faults, GroupChange, LeafCount, Redactions, Regrouping, Report, render,
};
pub use rule::{Rule, Ruling};

/// Different kinds of disagreement, paths and stages that are told apart; the rest is counted together.
const KINDS_MAX: usize = 200;
/// Groups that are followed. Events of further groups are compared, but not for splits and merges.
const GROUPS_MAX: usize = 20_000;
/// Examples of each kind.
const EXAMPLES_MAX: usize = 5;
const OTHER: &str = "other";

/// One side's answer to a batch.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The events as the chain left them.
    pub events: &'a [Event],
    pub decisions: &'a [Decision],
    pub cpu_nanos: u64,
}

/// Compares a candidate with a base, batch by batch.
#[derive(Debug, Default)]
pub struct Trial {
    events: u64,
    agreed: u64,
    base_nanos: u64,
    candidate_nanos: u64,
    kinds: BTreeMap<String, Tally>,
    faults: [BTreeMap<(Arc<str>, &'static str), Tally>; 2],
    only_base: BTreeMap<String, Tally>,
    only_candidate: BTreeMap<String, Tally>,
    differently: BTreeMap<String, Tally>,
    groups: BTreeMap<(ProjectId, GroupId), Group>,
    /// Of every group of the candidate, the base's groups that its events came from.
    origins: BTreeMap<(ProjectId, GroupId), BTreeSet<GroupId>>,
}

/// How often something was seen, and where.
#[derive(Debug, Clone, Default)]
struct Tally {
    count: u64,
    examples: Vec<Example>,
}

/// A group of the base, and what the candidate makes of its events.
#[derive(Debug, Default)]
struct Group {
    title: String,
    into: BTreeMap<GroupId, u64>,
}

impl Trial {
    /// Takes in what both sides made of the same events.
    pub fn add(&mut self, before: &[Event], base: Side<'_>, candidate: Side<'_>) {
        self.base_nanos += base.cpu_nanos;
        self.candidate_nanos += candidate.cpu_nanos;
        let base = base.events.iter().zip(base.decisions);
        let candidate = candidate.events.iter().zip(candidate.decisions);
        for ((before, base), candidate) in before.iter().zip(base).zip(candidate) {
            self.compare(before, base, candidate);
        }
    }

    fn compare(&mut self, before: &Event, base: (&Event, &Decision), candidate: (&Event, &Decision)) {
        self.events += 1;
        for (side, (_, decision)) in [base, candidate].into_iter().enumerate() {
            for failed in &decision.failed {
                let example = Example::of(before, String::new(), String::new());
                tally(&mut self.faults[side], failed.clone(), (OTHER.into(), OTHER), example);
            }
        }
        let mut kinds = BTreeSet::new();
        let (was, is) = (fate(base.1), fate(candidate.1));
        match was == is {
            false => drop(kinds.insert((format!("{was} -> {is}"), was, is))),
            true if base.1.verdict == Verdict::Keep => self.compare_kept(before, base, candidate, &mut kinds),
            true => {}
        }
        self.agreed += u64::from(kinds.is_empty());
        for (kind, was, is) in kinds {
            tally(&mut self.kinds, kind, OTHER.to_owned(), Example::of(before, was, is));
        }
    }

    fn compare_kept(
        &mut self,
        before: &Event,
        (base, said): (&Event, &Decision),
        (candidate, says): (&Event, &Decision),
        kinds: &mut BTreeSet<(String, String, String)>,
    ) {
        if said.sample_rate != says.sample_rate {
            let (was, is) = (said.sample_rate.to_string(), says.sample_rate.to_string());
            kinds.insert(("kept at another rate".to_owned(), was, is));
        }
        if base.doc.text() != candidate.doc.text() {
            self.compare_leaves(before, base, candidate, kinds);
        }
        if before.category == Category::Error {
            let group = |event, decision: &Decision| group_of(event, decision.fingerprints.clone());
            let (was, is) = (group(base, said), group(candidate, says));
            let project = before.meta.project_id;
            self.follow(project, was.id, is.id, &was.headline.title);
            if was.id != is.id {
                kinds.insert(("grouped otherwise".to_owned(), was.id.to_string(), is.id.to_string()));
            }
        }
    }

    fn compare_leaves(
        &mut self,
        before: &Event,
        base: &Event,
        candidate: &Event,
        kinds: &mut BTreeSet<(String, String, String)>,
    ) {
        for (path, redacted) in leaves::compare(&before.doc, &base.doc, &candidate.doc) {
            let (kind, counts) = match redacted {
                Redacted::OnlyBase => ("redacted only by the base", &mut self.only_base),
                Redacted::OnlyCandidate => ("redacted only by the candidate", &mut self.only_candidate),
                Redacted::Differently => ("redacted in another way", &mut self.differently),
            };
            let example = Example::of(before, path.clone(), path.clone());
            tally(counts, path.clone(), OTHER.to_owned(), example);
            if !kinds.iter().any(|(known, ..)| known == kind) {
                kinds.insert((kind.to_owned(), path.clone(), path));
            }
        }
    }

    fn follow(&mut self, project: ProjectId, was: GroupId, is: GroupId, title: &str) {
        let is_known = self.groups.contains_key(&(project, was)) && self.origins.contains_key(&(project, is));
        if !is_known && self.groups.len().max(self.origins.len()) >= GROUPS_MAX {
            return;
        }
        let group = self.groups.entry((project, was)).or_default();
        if group.title.is_empty() {
            group.title = title.to_owned();
        }
        *group.into.entry(is).or_default() += 1;
        self.origins.entry((project, is)).or_default().insert(was);
    }
}

/// Counts under a key, or under `other` when there are too many keys.
fn tally<K: Ord>(counts: &mut BTreeMap<K, Tally>, key: K, other: K, example: Example) {
    let key = if counts.len() >= KINDS_MAX && !counts.contains_key(&key) { other } else { key };
    let tally = counts.entry(key).or_default();
    tally.count += 1;
    if tally.examples.len() < EXAMPLES_MAX {
        tally.examples.push(example);
    }
}

/// What became of an event, in words.
fn fate(decision: &Decision) -> String {
    match &decision.verdict {
        Verdict::Keep => "kept".to_owned(),
        Verdict::Drop { outcome: Outcome::SampledOut, reason, stage } => {
            format!("sampled out ({stage}: {reason})")
        }
        Verdict::Drop { outcome, reason, stage } => format!("{outcome} ({stage}: {reason})"),
        Verdict::Quarantine { stage, reason, .. } => format!("quarantined ({stage}: {reason})"),
    }
}

impl Example {
    fn of(event: &Event, base: String, candidate: String) -> Example {
        Example {
            event_id: event.meta.event_id.to_string(),
            project_id: event.meta.project_id,
            offset: event.offset,
            base,
            candidate,
        }
    }
}

#[cfg(test)]
mod tests;
