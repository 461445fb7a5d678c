//! From records of the queue to settled records: parse once, run the chain, group. Pure but for the stages.

use std::sync::Arc;

use bytes::Bytes;
use host_event::{
    Accounted, Body, Book, Category, Columns, Counted, Doc, Event, Meta, Outcome, OutcomeCount, ProjectId,
    Reason,
};
use host_group::{Group, GroupId, headline};
use host_queue::Stored;

use crate::chain::{Chain, Decision, Verdict};
use crate::draw::client_sample_rate;
use crate::sink::{Accepted, End, Settled};

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

/// Settles micro-batches, one after the other.
pub struct Settler {
    chain: Chain,
    columns: Columns,
    book: Arc<dyn Book>,
}

/// The categories that go through the chain, each as a batch of its own, so that a column is about one kind of event.
const BATCHED: [Category; 4] = [Category::Error, Category::Transaction, Category::Span, Category::Log];

impl Settler {
    pub fn new(chain: Chain, book: Arc<dyn Book>) -> Settler {
        Settler { chain, columns: Columns::default(), book }
    }

    pub fn generation(&self) -> u64 {
        self.chain.generation
    }

    /// Gives each record its end, in the order of their offsets.
    pub fn settle(&mut self, batch: Vec<Stored>) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(batch.len());
        let mut parsed: [Vec<(Event, Accounted<Duty>)>; BATCHED.len()] = Default::default();
        for stored in batch {
            match self.parse(stored) {
                Parsed::Event(event, duty) => {
                    let lane = BATCHED.iter().position(|c| *c == event.category).unwrap_or_default();
                    parsed[lane].push((event, duty));
                }
                Parsed::Settled(done) => settled.push(done),
            }
        }
        for lane in parsed.into_iter().filter(|lane| !lane.is_empty()) {
            let (events, duties): (Vec<_>, Vec<_>) = lane.into_iter().unzip();
            let (events, decisions) = self.chain.run(events, &mut self.columns);
            let decided = events.into_iter().zip(decisions).zip(duties);
            settled.extend(decided.map(|((event, decision), duty)| end_of(event, decision, duty)));
        }
        settled.sort_unstable_by_key(|s| s.offset);
        settled
    }

    fn parse(&self, stored: Stored) -> Parsed {
        let Stored { offset, queued_at, record } = stored;
        let settle = |meta, end| Parsed::Settled(Settled { offset, queued_at, meta, end });
        let record = match record {
            Ok(record) => record,
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
        let kept = Decision { verdict: Verdict::Keep, sample_rate: 1.0, fingerprints: Vec::new() };
        Parsed::Settled(end_of(event, kept, duty))
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
fn end_of(event: Event, decision: Decision, duty: Accounted<Duty>) -> Settled {
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
            duty.reject(Outcome::Quarantined, reason.into());
            End::Quarantined { category, stage, reason, detail, payload: event.doc.text().clone() }
        }
    };
    Settled { offset, queued_at, meta: event.meta, end }
}

fn group_of(event: &Event, fingerprints: Vec<crate::Fingerprint>) -> Group {
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

    use host_event::{BadRecord, Record};

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
        let chain = Chain { generation: 1, links: Vec::new() };
        let mut settler = Settler::new(chain, Arc::clone(&book) as Arc<dyn Book>);
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
