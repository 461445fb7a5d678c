//! From records of the queue to settled records: parse once, run the chain, group. Pure but for the stages.
//!
//! A record is settled once. When its rows have to be made again, what a ledger recorded of it is not decided anew: the stages are
//! asked only for what they alone can tell, and if they can not tell it now, nothing of the batch is settled.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use cpu_time::ThreadTime;
use host_event::{
    Accounted, BadRecord, Body, Book, Category, Columns, Counted, Doc, Event, Meta, Offset, Outcome,
    OutcomeCount, ProjectId, Reason,
};
use host_group::{Group, GroupId, headline};
use host_queue::Stored;
use thiserror::Error;

use crate::chain::{Decision, Route, Verdict};
use crate::draft::Draft;
use crate::draw::client_sample_rate;
use crate::plan::{Lane, Plan, Tapped};
use crate::sink::{Accepted, End, PassedOver, Recorded, RecordedEnd, Settled};

/// The duty to settle one record.
struct Duty {
    project_id: ProjectId,
    category: Category,
}

impl Counted for Duty {
    fn project_id(&self) -> ProjectId {
        self.project_id
    }
    fn category(&self) -> Category {
        self.category
    }
}

/// Events with their duties.
type Owed = Vec<(Event, Accounted<Duty>)>;

/// Settles micro-batches, one after the other.
pub struct Settler {
    plan: Plan,
    columns: Columns,
    book: Arc<dyn Book>,
    passed_over: Vec<PassedOver>,
}

/// Why a batch can not be settled again now: a stage failed on an event that is known to have got past it. Later it may not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event at offset {offset}, which is known to have passed stage {stage}: {reason}: {detail}")]
pub struct Unsettled {
    pub offset: Offset,
    pub stage: Arc<str>,
    pub reason: &'static str,
    pub detail: String,
}

/// Stands in `quarantine` where the words of the stage are lost.
const REBUILT: &str = "rebuilt from the ledger and the queue, without asking the stage again: what it said was lost with a file that \
                       was not written before a crash or a failure of the store";

/// The categories that go through the chain, each as a batch of its own, so that a column is about one kind of event.
const BATCHED: [Category; 4] = [Category::Error, Category::Transaction, Category::Span, Category::Log];

impl Settler {
    pub fn new(plan: Plan, book: Arc<dyn Book>) -> Settler {
        Settler { plan, columns: Columns::default(), book, passed_over: Vec::new() }
    }

    /// Of the plan, as published.
    pub fn generation(&self) -> u64 {
        self.plan.generation
    }

    /// From now on, outcomes are counted there.
    pub fn count_into(&mut self, book: Arc<dyn Book>) {
        self.book = book;
    }

    /// Gives each record its end, in the order of their offsets.
    pub fn settle(&mut self, batch: Vec<Stored>) -> Vec<Settled> {
        self.passed_over.clear();
        let mut settled = Vec::with_capacity(batch.len());
        let mut parsed: [[Owed; 2]; BATCHED.len()] = Default::default();
        for stored in batch {
            match self.parse(stored) {
                Parsed::Event(event, duty) => {
                    let category = BATCHED.iter().position(|c| *c == event.category).unwrap_or_default();
                    let lane = self.plan.lane_of(&event);
                    parsed[category][usize::from(lane == Lane::Canary)].push((event, duty));
                }
                Parsed::Settled(done) => settled.push(done),
            }
        }
        for lanes in parsed {
            for (lane, events) in [Lane::Main, Lane::Canary].into_iter().zip(lanes) {
                self.settle_lane(lane, events, &mut settled);
            }
        }
        settled.sort_unstable_by_key(|s| s.offset);
        settled
    }

    /// Runs events of one category through one chain.
    fn settle_lane(&mut self, lane: Lane, events: Owed, settled: &mut Vec<Settled>) {
        if events.is_empty() {
            return;
        }
        let (events, duties): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        let generation = self.plan.chain_of(lane).generation;
        let (events, decisions) = self.decide(lane, events);
        for ((event, decision), duty) in events.into_iter().zip(decisions).zip(duties) {
            self.note(event.offset, &decision);
            settled.push(end_of(event, decision, duty, generation));
        }
    }

    /// Asks the chain, and shows the batch to whoever looks on, with the processor time of this thread: what a chain costs must not depend
    /// on who else is at work on the machine.
    fn decide(&mut self, lane: Lane, events: Vec<Event>) -> (Vec<Event>, Vec<Decision>) {
        let tap = self.plan.tap.as_ref().filter(|tap| tap.wants(lane)).cloned();
        let Some(tap) = tap else { return self.plan.chain_of(lane).run(events, &mut self.columns) };
        let before = events.clone();
        let begun = ThreadTime::now();
        let (events, decisions) = self.plan.chain_of(lane).run(events, &mut self.columns);
        let cpu_nanos = begun.elapsed().as_nanos() as u64;
        tap.take(Tapped { before, after: events.clone(), decisions: decisions.clone(), cpu_nanos });
        (events, decisions)
    }

    /// The stages that records of the last batch went on without, for the ledger.
    pub fn take_passed_over(&mut self) -> Vec<PassedOver> {
        let mut notes = mem::take(&mut self.passed_over);
        notes.sort_by_key(|note| note.offset);
        notes
    }

    /// Of what was dropped the ledger keeps the whole end already.
    fn note(&mut self, offset: Offset, decision: &Decision) {
        if matches!(decision.verdict, Verdict::Drop { .. }) {
            return;
        }
        let notes = decision.passed_over.iter().map(|stage| PassedOver { offset, stage: Arc::clone(stage) });
        self.passed_over.extend(notes);
    }

    /// Gives each record the end that it had, in the order of their offsets. The plan must be that of the ledger's generation for them.
    pub fn settle_again(
        &mut self,
        batch: Vec<Stored>,
        recorded: &Recorded,
    ) -> Result<Vec<Settled>, Unsettled> {
        // Counted when the whole batch has its ends: it may have to be tried more than once.
        let draft = Arc::new(Draft::default());
        let book = mem::replace(&mut self.book, Arc::clone(&draft) as Arc<dyn Book>);
        let settled = self.try_settle_again(batch, recorded);
        self.book = book;
        if settled.is_ok() {
            draft.hand_over(&*self.book);
        }
        settled
    }

    fn try_settle_again(
        &mut self,
        batch: Vec<Stored>,
        recorded: &Recorded,
    ) -> Result<Vec<Settled>, Unsettled> {
        let mut settled = Vec::with_capacity(batch.len());
        let mut lanes: BTreeMap<(Category, Lane, Route), Vec<Event>> = BTreeMap::new();
        for stored in batch {
            let end = recorded.ends.get(&stored.offset);
            if let Some(end) = end.filter(|end| end.outcome != Outcome::Quarantined) {
                settled.push(self.dropped_again(stored, end));
                continue;
            }
            match self.parse(stored) {
                Parsed::Event(event, duty) => {
                    // The duty is taken up again when it is known that the stages did theirs.
                    duty.hand_over();
                    let passed_over =
                        recorded.passed_over.get(&event.offset).map_or(&[][..], |stages| stages);
                    let lane = self.plan.lane_of(&event);
                    let route = self.plan.chain_of(lane).route(end.map(|end| &*end.stage), passed_over);
                    lanes.entry((event.category, lane, route)).or_default().push(event);
                }
                Parsed::Settled(done) => settled.push(done),
            }
        }
        for ((_, lane, route), events) in lanes {
            let chain = self.plan.chain_of(lane);
            let generation = chain.generation;
            let (events, decisions) = chain.run_again(events, &mut self.columns, &route);
            for (event, decision) in events.into_iter().zip(decisions) {
                settled.push(self.ended_again(event, decision, generation, recorded)?);
            }
        }
        settled.sort_unstable_by_key(|s| s.offset);
        Ok(settled)
    }

    /// A record that was dropped for a reason that is on record.
    fn dropped_again(&self, stored: Stored, end: &RecordedEnd) -> Settled {
        let Stored { offset, queued_at, record } = stored;
        let meta = record.map(|record| record.meta).unwrap_or_default();
        let RecordedEnd { category, outcome, reason, stage } = end.clone();
        self.duty(&meta, category).reject(outcome, reason.clone());
        // Its row is in the ledger already, under the generation that decided: which of a plan's chains it was is not asked again.
        let generation = self.plan.chain.generation;
        Settled {
            offset,
            queued_at,
            generation,
            meta,
            end: End::Dropped { category, outcome, reason, stage },
        }
    }

    /// An event that went its way again: it must have come as far as it did.
    fn ended_again(
        &self,
        event: Event,
        decision: Decision,
        generation: u64,
        recorded: &Recorded,
    ) -> Result<Settled, Unsettled> {
        let (offset, queued_at, category) = (event.offset, event.queued_at, event.category);
        if let Verdict::Quarantine { stage, reason, detail } = decision.verdict {
            return Err(Unsettled { offset, stage, reason, detail });
        }
        let duty = self.duty(&event.meta, category);
        let Some(RecordedEnd { reason, stage, .. }) = recorded.ends.get(&offset).cloned() else {
            return Ok(end_of(event, decision, duty, generation));
        };
        duty.reject(Outcome::Quarantined, reason.clone());
        let payload = event.doc.text().clone();
        let server_sample_rate = decision.sample_rate;
        let detail = REBUILT.to_owned();
        let end = End::Quarantined { category, stage, reason, detail, payload, server_sample_rate };
        Ok(Settled { offset, queued_at, generation, meta: event.meta, end })
    }

    fn parse(&self, stored: Stored) -> Parsed {
        let Stored { offset, queued_at, record } = stored;
        let generation = self.plan.chain.generation;
        let settle = |meta, end| Parsed::Settled(Settled { offset, queued_at, generation, meta, end });
        let record = match record {
            Ok(record) => record,
            // The end of another producer's transaction has an offset, too.
            Err(BadRecord::NoRecord) => {
                let duty = self.duty(&Meta::default(), Category::Unknown);
                return settle(Meta::default(), refuse(duty, "no_record".into()));
            }
            Err(e) => {
                tracing::warn!(offset, "record of the queue can not be read: {e}");
                let duty = self.duty(&Meta::default(), Category::Unknown);
                return settle(Meta::default(), refuse(duty, "bad_record".into()));
            }
        };
        let (category, payload) = match record.body {
            Body::Item { category, payload } => (category, payload),
            Body::Ended(counts) => {
                self.count(record.meta.project_id, &counts);
                return settle(record.meta, End::Ended(counts));
            }
        };
        let duty = self.duty(&record.meta, category);
        if !category.is_kept() {
            return settle(record.meta, refuse(duty, format!("unsupported_item:{category}").into()));
        }
        let doc = match parse_object(payload) {
            Ok(doc) => doc,
            Err(reason) => return settle(record.meta, refuse(duty, reason)),
        };
        let event = Event { offset, queued_at, category, meta: record.meta, doc };
        if category.is_processed() {
            return Parsed::Event(event, duty);
        }
        Parsed::Settled(end_of(event, Decision::keep(), duty, generation))
    }

    fn duty(&self, meta: &Meta, category: Category) -> Accounted<Duty> {
        Accounted::new(Duty { project_id: meta.project_id, category }, Arc::clone(&self.book))
    }

    fn count(&self, project: ProjectId, counts: &[OutcomeCount]) {
        counts.iter().for_each(|count| self.book.settle(project, count));
    }
}

enum Parsed {
    Event(Event, Accounted<Duty>),
    Settled(Settled),
}

fn parse_object(payload: Bytes) -> Result<Doc, Reason> {
    match Doc::parse(payload) {
        Ok(doc) if doc.root().kind() == host_event::Kind::Object => Ok(doc),
        Ok(_) => Err("invalid_json".into()),
        Err(e) => {
            tracing::debug!("{e}");
            Err("invalid_json".into())
        }
    }
}

fn refuse(duty: Accounted<Duty>, reason: Reason) -> End {
    let duty = duty.reject(Outcome::Invalid, reason.clone());
    End::Dropped { category: duty.category, outcome: Outcome::Invalid, reason, stage: "".into() }
}

/// The one end of an event.
fn end_of(event: Event, decision: Decision, duty: Accounted<Duty>, generation: u64) -> Settled {
    let (offset, queued_at, category) = (event.offset, event.queued_at, event.category);
    let end = match decision.verdict {
        Verdict::Keep => {
            duty.accept();
            let group = (category == Category::Error).then(|| group_of(&event, decision.fingerprints));
            let client_sample_rate = client_sample_rate(&event);
            let server_sample_rate = decision.sample_rate;
            End::Accepted(Box::new(Accepted {
                category,
                doc: event.doc,
                client_sample_rate,
                server_sample_rate,
                group,
            }))
        }
        Verdict::Drop { outcome, reason, stage } => {
            duty.reject(outcome, reason.clone());
            End::Dropped { category, outcome, reason, stage }
        }
        Verdict::Quarantine { stage, reason, detail } => {
            let reason = Reason::from(reason);
            duty.reject(Outcome::Quarantined, reason.clone());
            let (payload, server_sample_rate) = (event.doc.text().clone(), decision.sample_rate);
            End::Quarantined { category, stage, reason, detail, payload, server_sample_rate }
        }
    };
    Settled { offset, queued_at, generation, meta: event.meta, end }
}

/// The group that an accepted error of these fingerprints is in.
pub fn group_of(event: &Event, fingerprints: Vec<crate::Fingerprint>) -> Group {
    let headline = headline(&event.doc);
    let mut fingerprints: Vec<_> = fingerprints.into_iter().map(|f| (f.kind, f.hash)).collect();
    if fingerprints.is_empty() {
        // No stage had an opinion: what reads the same is the same.
        fingerprints.push(("title".to_owned(), headline.title.clone()));
    }
    let id = GroupId::of(event.meta.project_id, &fingerprints[0].1);
    Group { id, fingerprints, headline }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use host_event::Record;

    use super::*;

    #[derive(Default)]
    struct Counts(Mutex<Vec<(Category, Outcome, u64)>>);

    impl Book for Counts {
        fn settle(&self, _: ProjectId, c: &OutcomeCount) {
            self.0.lock().unwrap().push((c.category, c.outcome, c.quantity));
        }
    }

    fn item(offset: u64, category: Category, payload: &'static str) -> Stored {
        let body = Body::Item { category, payload: Bytes::from_static(payload.as_bytes()) };
        Stored {
            offset,
            queued_at: 9,
            record: Ok(Record { meta: Meta { project_id: 4, ..Meta::default() }, body }),
        }
    }

    #[test]
    fn every_record_has_one_end_in_the_order_of_offsets() {
        let book = Arc::new(Counts::default());
        let chain = crate::Chain { generation: 1, links: Vec::new() };
        let mut settler = Settler::new(Plan::of(chain), Arc::clone(&book) as Arc<dyn Book>);
        let discarded = OutcomeCount {
            category: Category::Error,
            outcome: Outcome::ClientDiscard,
            reason: "queue_overflow".into(),
            quantity: 5,
        };
        let ended = Record { meta: Meta::default(), body: Body::Ended(vec![discarded]) };
        let settled = settler.settle(vec![
            item(1, Category::Log, r#"{"body":"x"}"#),
            item(2, Category::Error, r#"{"message":"m"}"#),
            item(3, Category::Error, "[1]"),
            item(4, Category::Error, "{"),
            item(5, Category::Profile, "{}"),
            Stored { offset: 6, queued_at: 9, record: Err(BadRecord::CutOff(0)) },
            Stored { offset: 7, queued_at: 9, record: Ok(ended) },
            item(8, Category::Session, "{}"),
        ]);
        let ends: Vec<_> = settled
            .iter()
            .map(|s| match &s.end {
                End::Accepted(a) => format!("{} {} {}", s.offset, a.category, a.group.is_some()),
                End::Dropped { outcome, reason, .. } => format!("{} {outcome} {reason}", s.offset),
                End::Ended(counts) => format!("{} ended {}", s.offset, counts[0].quantity),
                End::Quarantined { .. } => "quarantined".into(),
            })
            .collect();
        let want = [
            "1 log_item false",
            "2 error true",
            "3 invalid invalid_json",
            "4 invalid invalid_json",
            "5 invalid unsupported_item:profile",
            "6 invalid bad_record",
            "7 ended 5",
            "8 session false",
        ];
        assert_eq!(ends, want);
        let counted: u64 = book.0.lock().unwrap().iter().map(|(_, _, n)| n).sum();
        assert_eq!(counted, 12);
    }
}
