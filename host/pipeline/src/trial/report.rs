//! What a trial found, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use host_event::{Offset, ProjectId};
use serde::{Deserialize, Serialize};

use super::{EXAMPLES_MAX, Tally, Trial};

/// Groups, paths and kinds of disagreement that are listed, the most frequent first.
const LISTED_MAX: usize = 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Events that both were asked about.
    pub events: u64,
    /// The share of them about which both said the same, from 0 to 1.
    pub agreement: f64,
    /// Each kind, the most frequent first. An event may be in several.
    pub disagreements: Vec<Disagreement>,
    pub cost: Cost,
    /// Events that a stage failed on, by stage and reason.
    pub faults: Vec<Faults>,
    pub base_faults: Vec<Faults>,
    pub redactions: Redactions,
    pub groups: Regrouping,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    pub kind: String,
    pub events: u64,
    pub examples: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub event_id: String,
    pub project_id: ProjectId,
    pub offset: Offset,
    pub base: String,
    pub candidate: String,
}

/// Processor time per event, of all stages and the columns they pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub base_ns_per_event: f64,
    pub candidate_ns_per_event: f64,
    /// Candidate by base; 1 where nothing was measured.
    pub ratio: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    pub stage: String,
    pub reason: String,
    pub events: u64,
    pub examples: Vec<String>,
}

/// Leaves by path that not both redacted to the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Redactions {
    pub only_base: Vec<LeafCount>,
    pub only_candidate: Vec<LeafCount>,
    pub differently: Vec<LeafCount>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeafCount {
    pub path: String,
    pub leaves: u64,
    pub examples: Vec<String>,
}

/// What would become of the groups of the base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Regrouping {
    pub groups: u64,
    /// Groups whose events would be in several.
    pub split: u64,
    /// Groups of the candidate that would have the events of several.
    pub merged: u64,
    /// Groups that would have all their events under another id: their history would end there.
    pub renamed: u64,
    pub splits: Vec<GroupChange>,
    pub merges: Vec<GroupChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupChange {
    pub project_id: ProjectId,
    pub title: String,
    /// Of a split the one group before, of a merge some of those that it would take in.
    pub base: Vec<String>,
    pub base_groups: u64,
    /// Of a merge the one group it makes, of a split some of those that there would be.
    pub candidate: Vec<String>,
    pub candidate_groups: u64,
    pub events: u64,
}

impl Trial {
    pub fn report(&self) -> Report {
        let per_event = |nanos: u64| nanos as f64 / self.events.max(1) as f64;
        let is_measured = self.base_nanos > 0 && self.candidate_nanos > 0;
        let faults = |side: usize| {
            let faults = self.faults[side].iter().map(|((stage, reason), tally)| Faults {
                stage: stage.to_string(),
                reason: (*reason).to_owned(),
                events: tally.count,
                examples: ids(tally),
            });
            faults.collect()
        };
        let disagreements = most(&self.kinds).map(|(kind, tally)| Disagreement {
            kind: kind.clone(),
            events: tally.count,
            examples: tally.examples.clone(),
        });
        Report {
            events: self.events,
            agreement: if self.events == 0 { 1.0 } else { self.agreed as f64 / self.events as f64 },
            disagreements: disagreements.collect(),
            cost: Cost {
                base_ns_per_event: per_event(self.base_nanos),
                candidate_ns_per_event: per_event(self.candidate_nanos),
                ratio: if is_measured { self.candidate_nanos as f64 / self.base_nanos as f64 } else { 1.0 },
            },
            faults: faults(1),
            base_faults: faults(0),
            redactions: Redactions {
                only_base: leaves(&self.only_base),
                only_candidate: leaves(&self.only_candidate),
                differently: leaves(&self.differently),
            },
            groups: self.regrouping(),
        }
    }

    fn regrouping(&self) -> Regrouping {
        let mut found = Regrouping { groups: self.groups.len() as u64, ..Regrouping::default() };
        for ((project, was), group) in &self.groups {
            if group.into.len() > 1 {
                found.split += 1;
                found.splits.push(GroupChange {
                    project_id: *project,
                    title: group.title.clone(),
                    base: vec![was.to_string()],
                    base_groups: 1,
                    candidate: group.into.keys().take(EXAMPLES_MAX).map(ToString::to_string).collect(),
                    candidate_groups: group.into.len() as u64,
                    events: group.into.values().sum(),
                });
            } else if !group.into.contains_key(was) {
                found.renamed += 1;
            }
        }
        for ((project, is), origins) in self.origins.iter().filter(|(_, origins)| origins.len() > 1) {
            found.merged += 1;
            let groups = origins.iter().filter_map(|was| self.groups.get(&(*project, *was)));
            found.merges.push(GroupChange {
                project_id: *project,
                title: groups.clone().next().map(|g| g.title.clone()).unwrap_or_default(),
                base: origins.iter().take(EXAMPLES_MAX).map(ToString::to_string).collect(),
                base_groups: origins.len() as u64,
                candidate: vec![is.to_string()],
                candidate_groups: 1,
                events: groups.filter_map(|group| group.into.get(is)).sum(),
            });
        }
        for list in [&mut found.splits, &mut found.merges] {
            list.sort_by_key(|change| std::cmp::Reverse(change.events));
            list.truncate(LISTED_MAX);
        }
        found
    }
}

impl Report {
    /// Events that a stage of the candidate failed on.
    pub fn traps(&self) -> u64 {
        self.faults.iter().map(|faults| faults.events).sum()
    }
}

fn most<K: Ord>(counts: &BTreeMap<K, Tally>) -> impl Iterator<Item = (&K, &Tally)> {
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
    all.into_iter().take(LISTED_MAX)
}

fn leaves(counts: &BTreeMap<String, Tally>) -> Vec<LeafCount> {
    let of = |(path, tally): (&String, &Tally)| LeafCount {
        path: path.clone(),
        leaves: tally.count,
        examples: ids(tally),
    };
    most(counts).map(of).collect()
}

fn ids(tally: &Tally) -> Vec<String> {
    tally.examples.iter().map(|example| example.event_id.clone()).collect()
}

/// The report for people.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_report(report, &mut text);
    text
}

fn write_report(report: &Report, text: &mut String) -> std::fmt::Result {
    let Report { events, agreement, cost, .. } = report;
    writeln!(text, "events       {events}, both said the same about {:.2} %", agreement * 100.0)?;
    writeln!(
        text,
        "cost         candidate {:.0} ns per event, base {:.0}: {:.2} times",
        cost.candidate_ns_per_event, cost.base_ns_per_event, cost.ratio
    )?;
    if report.faults.is_empty() {
        writeln!(text, "failures     none")?;
    }
    for Faults { stage, reason, events, examples } in &report.faults {
        writeln!(text, "failures     {stage}: {reason} on {events} events, e.g. {}", examples.join(", "))?;
    }
    for Faults { stage, reason, events, .. } in &report.base_faults {
        writeln!(text, "  of the base: {stage}: {reason} on {events} events")?;
    }
    for Disagreement { kind, events, examples } in &report.disagreements {
        writeln!(text, "\n{events} events: {kind}")?;
        for Example { event_id, project_id, base, candidate, .. } in examples {
            writeln!(text, "    {event_id} of project {project_id}: {base} | {candidate}")?;
        }
    }
    write_leaves(
        "Redacted only by the base: the candidate would let these out",
        &report.redactions.only_base,
        text,
    )?;
    write_leaves("Redacted only by the candidate", &report.redactions.only_candidate, text)?;
    write_leaves("Redacted in another way", &report.redactions.differently, text)?;
    let Regrouping { groups, split, merged, renamed, splits, merges } = &report.groups;
    if split + merged + renamed > 0 {
        writeln!(
            text,
            "\nOf {groups} groups {split} would split, {renamed} get another id; {merged} new ones merge several"
        )?;
    }
    for (what, list) in [("splits", splits), ("merges", merges)] {
        for GroupChange { project_id, title, base, base_groups, candidate, candidate_groups, events } in list
        {
            let (from, to) = (some(base, *base_groups), some(candidate, *candidate_groups));
            writeln!(text, "    {what}: {title:?} of project {project_id}, {events} events: {from} -> {to}")?;
        }
    }
    Ok(())
}

/// Some of so many.
fn some(listed: &[String], all: u64) -> String {
    match all - (listed.len() as u64).min(all) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

fn write_leaves(title: &str, leaves: &[LeafCount], text: &mut String) -> std::fmt::Result {
    if !leaves.is_empty() {
        writeln!(text, "\n{title}")?;
    }
    for LeafCount { path, leaves, examples } in leaves {
        writeln!(text, "    {path}: {leaves}, e.g. in {}", examples.join(", "))?;
    }
    Ok(())
}
