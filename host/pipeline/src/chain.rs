//! The stages of one generation, and what a batch of events goes through in them.

use std::sync::Arc;

use host_event::{Category, Columns, Event, Outcome, Reason, apply_edits};

use crate::draw::draw;
use crate::stage::{
    Answer, FailurePolicy, Fault, Fingerprint, Rates, Stage, StageAnswer, StageKind, Verdicts,
};

/// Events of one batch whose failure is told in the log.
const FAULTS_LOGGED_MAX: usize = 3;

/// A stage in its place in a chain.
pub struct Link {
    pub stage: Box<dyn Stage>,
    pub name: Arc<str>,
    /// The categories that it sees; all others pass it by.
    pub categories: Vec<Category>,
    pub on_failure: FailurePolicy,
}

/// The stages of one generation, instantiated for one worker.
pub struct Chain {
    pub generation: u64,
    pub links: Vec<Link>,
}

/// What a chain makes of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    /// The product of the samplers' rates.
    pub sample_rate: f64,
    /// Of the first fingerprinter that had an opinion.
    pub fingerprints: Vec<Fingerprint>,
    /// Stages that failed on it and let it go on. Filters are not among them: a ledger tells what they let pass.
    pub passed_over: Vec<Arc<str>>,
    /// Every stage that failed on it, with the reason, whatever came of that.
    pub failed: Vec<(Arc<str>, &'static str)>,
}

impl Decision {
    /// The decision of an empty chain.
    pub(crate) fn keep() -> Decision {
        Decision {
            verdict: Verdict::Keep,
            sample_rate: 1.0,
            fingerprints: Vec::new(),
            passed_over: Vec::new(),
            failed: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Keep,
    Drop { outcome: Outcome, reason: Reason, stage: Arc<str> },
    Quarantine { stage: Arc<str>, reason: &'static str, detail: String },
}

/// The links that an event whose end is known goes through again, one flag for each.
pub(crate) type Route = Vec<bool>;

impl Chain {
    /// Runs a batch of events of one category through all stages that are for it. Gives the events back, scrubbed, each
    /// with its decision, in the order they came in.
    pub fn run(&mut self, events: Vec<Event>, columns: &mut Columns) -> (Vec<Event>, Vec<Decision>) {
        self.run_links(events, columns, None)
    }

    /// Runs events whose end is known through some of the stages again, for what only they can tell: rates, edits,
    /// fingerprints. Nothing is dropped, and a failure of any stage is `Verdict::Quarantine`, whatever its policy.
    pub(crate) fn run_again(
        &mut self,
        events: Vec<Event>,
        columns: &mut Columns,
        route: &Route,
    ) -> (Vec<Event>, Vec<Decision>) {
        self.run_links(events, columns, Some(route))
    }

    /// The way of an event that is known to have come as far as the stage `until`, or to the end, without those that were
    /// passed over. All filters let it pass, so none is asked.
    pub(crate) fn route(&self, until: Option<&str>, passed_over: &[Arc<str>]) -> Route {
        let end = until.and_then(|name| self.links.iter().position(|link| *link.name == *name));
        // A stage that is not there failed before all others, as far as anybody can tell.
        let end = end.unwrap_or(if until.is_some() { 0 } else { self.links.len() });
        let goes = |(at, link): (usize, &Link)| {
            at < end && link.stage.kind() != StageKind::Filter && !passed_over.contains(&link.name)
        };
        self.links.iter().enumerate().map(goes).collect()
    }

    fn run_links(
        &mut self,
        events: Vec<Event>,
        columns: &mut Columns,
        route: Option<&Route>,
    ) -> (Vec<Event>, Vec<Decision>) {
        let mut decisions = vec![Decision::keep(); events.len()];
        let category = events.first().map(|e| e.category);
        columns.load(events);
        for (at, link) in self.links.iter_mut().enumerate() {
            let is_for = category.is_some_and(|c| link.categories.contains(&c));
            if columns.is_empty() || !is_for || route.is_some_and(|goes| !goes[at]) {
                continue;
            }
            let answer = link.stage.run(columns);
            let is_again = route.is_some();
            Step { link, columns, decisions: &mut decisions, is_again }.take(answer);
        }
        (columns.unload(), decisions)
    }
}

/// One stage's answer on its way into the decisions.
struct Step<'a> {
    link: &'a Link,
    columns: &'a mut Columns,
    decisions: &'a mut [Decision],
    /// Whether the ends of these events are known already.
    is_again: bool,
}

impl Step<'_> {
    fn take(mut self, answer: StageAnswer) {
        let mut faults = answer.faults;
        match answer.answer {
            Answer::Filter(verdicts) => self.filter(&verdicts),
            Answer::Sample(rates) => self.sample(&rates),
            Answer::Scrub(edits) => faults.extend(self.scrub(edits)),
            Answer::Fingerprint(fingerprints) => self.fingerprint(fingerprints),
        }
        faults.iter().for_each(|fault| self.fail(fault));
        self.log(&faults);
        let rows = self.columns.rows().iter();
        let keep: Vec<bool> =
            rows.map(|row| self.decisions[*row as usize].verdict == Verdict::Keep).collect();
        self.columns.retain(&keep);
    }

    fn decision(&mut self, row: usize) -> &mut Decision {
        &mut self.decisions[self.columns.rows()[row] as usize]
    }

    fn filter(&mut self, verdicts: &Verdicts) {
        for (row, verdict) in verdicts.verdicts.iter().enumerate().filter(|(_, v)| **v > 0) {
            let reason = verdicts.reasons[*verdict as usize - 1].clone();
            let stage = Arc::clone(&self.link.name);
            self.decision(row).verdict = Verdict::Drop { outcome: Outcome::Filtered, reason, stage };
        }
    }

    fn sample(&mut self, rates: &Rates) {
        for (row, rate) in rates.rates.iter().enumerate().filter(|(_, rate)| **rate < 1.0) {
            // The same draw for every sampler of the chain: kept is what is below the product of all rates.
            let draw = draw(self.columns.event(row));
            let (stage, is_again) = (Arc::clone(&self.link.name), self.is_again);
            let decision = self.decision(row);
            decision.sample_rate *= rate;
            if is_again || draw < decision.sample_rate {
                continue;
            }
            let reason = match rates.decided_by[row] {
                0 => "Sampled".into(),
                rule => format!("Sampled:{}", rates.rules[rule as usize - 1]).into(),
            };
            decision.verdict = Verdict::Drop { outcome: Outcome::SampledOut, reason, stage };
        }
    }

    /// Applies the edits; gives a fault for each event whose edits can not be applied.
    fn scrub(&mut self, edits: Vec<Vec<host_event::Edit>>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut changed = false;
        for (row, edits) in edits.into_iter().enumerate().filter(|(_, edits)| !edits.is_empty()) {
            match apply_edits(&self.columns.event(row).doc, edits) {
                Ok(doc) => {
                    self.columns.replace(row, doc);
                    changed = true;
                }
                Err(e) => {
                    let event = self.columns.event(row).meta.event_id;
                    let detail = format!("{}: event {event}: {e}", self.link.name);
                    faults.push(Fault { row, reason: "wrong-answer", detail });
                }
            }
        }
        if changed {
            self.columns.changed();
        }
        faults
    }

    fn fingerprint(&mut self, all: Vec<Vec<Fingerprint>>) {
        for (row, fingerprints) in all.into_iter().enumerate() {
            let decision = self.decision(row);
            if decision.fingerprints.is_empty() {
                decision.fingerprints = fingerprints;
            }
        }
    }

    /// A stage that rests fails on every event of every batch: each is counted, and a few are told.
    fn log(&self, faults: &[Fault]) {
        let (stage, policy) = (&self.link.name, self.link.on_failure);
        for fault in faults.iter().take(FAULTS_LOGGED_MAX) {
            tracing::warn!(%stage, reason = fault.reason, ?policy, "{}", fault.detail);
        }
        let more = faults.len().saturating_sub(FAULTS_LOGGED_MAX);
        if more > 0 {
            tracing::warn!(%stage, ?policy, "and {more} more events of this batch");
        }
    }

    fn fail(&mut self, fault: &Fault) {
        let stage = Arc::clone(&self.link.name);
        self.decision(fault.row).failed.push((Arc::clone(&stage), fault.reason));
        if self.link.on_failure == FailurePolicy::FailOpen && !self.is_again {
            if self.link.stage.kind() != StageKind::Filter {
                self.decision(fault.row).passed_over.push(stage);
            }
            return;
        }
        let (reason, detail) = (fault.reason, fault.detail.clone());
        self.decision(fault.row).verdict = Verdict::Quarantine { stage, reason, detail };
    }
}

#[cfg(test)]
mod tests {
    use host_event::{Doc, Edit, EditOp, EventId, Meta};

    use super::*;

    type Run = Box<dyn FnMut(&mut Columns) -> StageAnswer + Send>;

    struct Native(StageKind, Run);

    impl Stage for Native {
        fn name(&self) -> &str {
            "native"
        }
        fn kind(&self) -> StageKind {
            self.0
        }
        fn run(&mut self, columns: &mut Columns) -> StageAnswer {
            (self.1)(columns)
        }
    }

    fn link(kind: StageKind, run: impl FnMut(&mut Columns) -> StageAnswer + Send + 'static) -> Link {
        Link {
            stage: Box::new(Native(kind, Box::new(run))),
            name: kind.as_str().into(),
            categories: vec![Category::Error],
            on_failure: FailurePolicy::default_of(kind),
        }
    }

    fn fine(answer: Answer) -> StageAnswer {
        StageAnswer { answer, faults: Vec::new() }
    }

    fn event(id: u128, json: &'static str) -> Event {
        let meta = Meta { event_id: EventId(id), ..Meta::default() };
        Event { offset: 0, queued_at: 0, category: Category::Error, meta, doc: Doc::parse(json).unwrap() }
    }

    fn drop_named(columns: &mut Columns) -> StageAnswer {
        let names = columns.strings("name").unwrap().clone();
        let verdicts = (0..columns.len()).map(|row| u32::from(names.get(row) == Some("noisy"))).collect();
        fine(Answer::Filter(Verdicts { verdicts, reasons: vec!["noise".into()] }))
    }

    fn scrub_secret(columns: &mut Columns) -> StageAnswer {
        let leaves = columns.leaves("secret").unwrap();
        let mut edits = vec![Vec::new(); columns.len()];
        for id in leaves.ids {
            let (row, node) = columns.leaf(id).unwrap();
            edits[row].push(Edit { node, range: None, op: EditOp::Mask('*'), rule: "@s".into() });
        }
        let bad = Edit { node: 999, range: None, op: EditOp::Remove, rule: "@s".into() };
        let names = columns.strings("name").unwrap().clone();
        (0..columns.len())
            .filter(|row| names.get(*row) == Some("bad"))
            .for_each(|row| edits[row].push(bad.clone()));
        fine(Answer::Scrub(edits))
    }

    #[test]
    fn a_batch_through_all_kinds_of_stages() {
        let mut chain = Chain {
            generation: 3,
            links: vec![
                link(StageKind::Filter, drop_named),
                link(StageKind::Sampler, |c| {
                    let rows = c.len();
                    let rates =
                        Rates { rates: vec![0.5; rows], decided_by: vec![1; rows], rules: vec!["7".into()] };
                    fine(Answer::Sample(rates))
                }),
                link(StageKind::Scrubber, scrub_secret),
                link(StageKind::Fingerprinter, |c| {
                    let secrets = c.strings("secret").unwrap();
                    let print = |row| Fingerprint {
                        kind: "app".into(),
                        hash: secrets.get(row).unwrap_or("-").into(),
                    };
                    fine(Answer::Fingerprint((0..secrets.len()).map(|row| vec![print(row)]).collect()))
                }),
            ],
        };
        let events: Vec<_> = (0..40)
            .map(|i: u128| {
                let json =
                    [r#"{"name":"noisy"}"#, r#"{"secret":"abc"}"#, r#"{"name":"bad"}"#][i as usize % 3];
                event(i * 0x9e37_79b9_7f4a_7c15, json)
            })
            .collect();
        let draws: Vec<_> = events.iter().map(draw).collect();
        let (events, decisions) = chain.run(events, &mut Columns::default());
        for (i, (event, decision)) in events.iter().zip(&decisions).enumerate() {
            let sampled_out = draws[i] >= 0.5;
            match (&decision.verdict, i % 3) {
                (Verdict::Drop { outcome: Outcome::Filtered, reason, .. }, 0) => assert_eq!(reason, "noise"),
                (Verdict::Drop { outcome: Outcome::SampledOut, reason, .. }, _) => {
                    assert!(sampled_out && reason == "Sampled:7");
                }
                (Verdict::Keep, 1) => {
                    assert!(!sampled_out && event.doc.text().starts_with(br#"{"secret":"***","_meta""#));
                    assert_eq!((decision.fingerprints[0].hash.as_str(), decision.sample_rate), ("***", 0.5));
                }
                (Verdict::Quarantine { reason, detail, .. }, 2) => {
                    assert!(*reason == "wrong-answer" && detail.contains("node 999"), "{detail}");
                }
                other => panic!("{i}: {other:?}"),
            }
        }
        let kept = decisions.iter().filter(|d| d.verdict == Verdict::Keep).count();
        assert!((2..12).contains(&kept), "{kept}");
    }

    #[test]
    fn faults_follow_the_policy_of_their_stage() {
        for (on_failure, kept) in [(FailurePolicy::FailOpen, true), (FailurePolicy::FailClosed, false)] {
            let fault = Fault { row: 1, reason: "trap", detail: "unreachable".into() };
            let mut failing = link(StageKind::Filter, move |c| StageAnswer {
                answer: Answer::neutral(StageKind::Filter, c.len()),
                faults: vec![fault.clone()],
            });
            failing.on_failure = on_failure;
            let mut chain = Chain { generation: 1, links: vec![failing] };
            let (_, decisions) = chain.run(vec![event(1, "{}"), event(2, "{}")], &mut Columns::default());
            assert_eq!(decisions[0].verdict, Verdict::Keep);
            assert_eq!(decisions[1].verdict == Verdict::Keep, kept);
        }
    }

    #[test]
    fn other_categories_pass_a_stage_by() {
        let mut chain = Chain { generation: 1, links: vec![link(StageKind::Filter, drop_named)] };
        let mut log = event(1, r#"{"name":"noisy"}"#);
        log.category = Category::Log;
        let (_, decisions) = chain.run(vec![log], &mut Columns::default());
        assert_eq!(decisions[0].verdict, Verdict::Keep);
    }
}
