//! From framed items to records of the queue, and to outcomes of what does not become one.
//!
//! Pure but for the quotas. One event, span, log, session or check-in is one record; all that ends here becomes counts.
//! A payload is checked to be a JSON object that the pipeline can read, and then passed on byte by byte as it came.

use bytes::Bytes;
use host_event::{Body, Category, Doc, EventId, Kind, Meta, NodeRef, Outcome, OutcomeCount, Reason, Record};

use crate::Limits;
use crate::envelope::{Envelope, Header, Item, Payload, parse_id};
use crate::item::{ItemType, plain_key};
use crate::list::lists;

/// What came of an envelope.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    pub records: Vec<Record>,
    pub ended: Vec<OutcomeCount>,
    /// The id to answer with: the envelope's, else that of its event.
    pub event_id: Option<EventId>,
    /// The trace that the envelope belongs to.
    pub trace_id: Option<EventId>,
    /// Whether there was a client report, which is heard even if it says nothing.
    pub reported: bool,
    /// Containers whose announced number of items was not theirs.
    pub miscounted: u64,
    /// What was wrong, in words, for the answer. Not more than a few.
    pub causes: Vec<String>,
}

/// Says whether a project's quotas have room for one more item, or gives the reason of its outcome.
pub type Admit<'a> = &'a mut dyn FnMut(Category) -> Result<(), Reason>;

/// Gives an id to what comes without one.
pub type NextId<'a> = &'a (dyn Fn() -> EventId + 'a);

/// Sentences in the body of an error.
const CAUSES_MAX: usize = 8;
/// Bytes of the attributes that are copied into each session aggregate.
const SESSION_ATTRS_BYTES_MAX: usize = 4 << 10;
const REASON_BYTES_MAX: usize = 64;
/// The reason of what a client reports in more rows than it may: the quantities still count, their reasons do not.
const REASON_OF_MORE_ROWS: &str = "more_rows";
/// Units in which clients report a loss a second time, beside its number of items. Added to the items they would make a
/// lost log of 300 bytes into 301 lost logs.
const MEASURES: [&str; 4] = ["log_byte", "trace_metric_byte", "profile_duration", "profile_duration_ui"];
/// Memory of a record beside its payload and texts, in the queue as on the way there.
const RECORD_HEAD_BYTES: usize = 256;
/// The largest quantity that a client may report: sums stay far from the end of 64 bits.
const REPORTED_QUANTITY_MAX: u64 = 1 << 40;

/// Sorts the items of an envelope. `meta` is what all records share.
pub fn sort(
    envelope: Envelope,
    meta: &Meta,
    limits: &Limits,
    next_id: NextId<'_>,
    admit: Admit<'_>,
) -> Sorted {
    let Envelope { header, items, broken } = envelope;
    let sorted = Sorted { event_id: header.event_id, trace_id: header.trace_id, ..Sorted::default() };
    let texts = [&meta.environment, &meta.client_ip, &meta.user_agent, &meta.sdk].map(|text| text.len());
    let mut sorter = Sorter {
        limits,
        meta,
        header: &header,
        next_id,
        admit,
        sorted,
        has_event: false,
        rows_left: limits.client_report_rows_max,
        bytes_left: limits.kept_bytes_max,
        head_bytes: RECORD_HEAD_BYTES + meta.trace.len() + texts.iter().sum::<usize>(),
    };
    for item in items {
        sorter.item(item);
    }
    if let Some(broken) = broken {
        sorter.cause(format!("an item ({}) is {}", broken.category, broken.what));
        sorter.end(broken.category, Outcome::Invalid, "invalid_envelope".into(), broken.quantity);
    }
    sorter.sorted
}

struct Sorter<'a> {
    limits: &'a Limits,
    meta: &'a Meta,
    header: &'a Header,
    next_id: NextId<'a>,
    admit: Admit<'a>,
    sorted: Sorted,
    has_event: bool,
    /// Rows of client reports that may still come.
    rows_left: usize,
    /// Bytes that records may still take.
    bytes_left: u64,
    /// Bytes of each record beside its payload: all of them carry what the envelope says of itself.
    head_bytes: usize,
}

impl Sorter<'_> {
    fn item(&mut self, item: Item) {
        let quantity = item.quantity();
        let Item { kind, container, item_count, payload } = item;
        match (payload, &kind) {
            (Payload::Unsupported(_), _) => {
                self.end(kind.category(), Outcome::Invalid, kind.unsupported(), quantity);
            }
            (Payload::TooLarge(bytes), _) => {
                self.cause(format!(
                    "item {} has {bytes} bytes, more than such an item may have",
                    kind.as_str()
                ));
                self.end(kind.category(), Outcome::Invalid, kind.too_large(container), quantity);
            }
            (Payload::Kept(payload), ItemType::Event | ItemType::Transaction) => self.event(&kind, payload),
            (Payload::Kept(payload), ItemType::Span | ItemType::Log) if container => {
                self.container(&kind, &payload, item_count, quantity);
            }
            (Payload::Kept(payload), ItemType::Sessions) => self.sessions(&payload),
            (Payload::Kept(payload), ItemType::ClientReport) => self.client_report(payload),
            (Payload::Kept(payload), _) => self.plain(&kind, payload),
        }
    }

    /// An event or transaction. There is one of either in an envelope: two would share the envelope's id.
    fn event(&mut self, kind: &ItemType, payload: Bytes) {
        let Some(doc) = self.object(kind, &payload) else { return };
        let is_transaction = doc.root().get("type").is_some_and(|t| t.is(b"transaction"));
        let category = if is_transaction { Category::Transaction } else { kind.category() };
        let id = match (self.header.event_id, doc.root().get("event_id")) {
            (Some(id), _) => Some(id),
            (None, None) => Some((self.next_id)()),
            (None, Some(node)) => parse_id(node),
        };
        let Some(id) = id else {
            self.cause(format!("item {} has an event_id that is not 32 hexadecimal digits", kind.as_str()));
            return self.end(category, Outcome::Invalid, "invalid_event_id".into(), 1);
        };
        if std::mem::replace(&mut self.has_event, true) {
            self.cause("an envelope has one event or transaction, this is a second".to_owned());
            return self.end(category, Outcome::Invalid, "duplicate_item".into(), 1);
        }
        self.sorted.event_id = Some(id);
        self.record(category, id, payload);
    }

    /// A session, a check-in, or a span or log by itself.
    fn plain(&mut self, kind: &ItemType, payload: Bytes) {
        if self.object(kind, &payload).is_some() {
            self.record(kind.category(), (self.next_id)(), payload);
        }
    }

    fn container(&mut self, kind: &ItemType, payload: &Bytes, item_count: Option<u64>, announced: u64) {
        let room = self.limits.records_max.saturating_sub(self.sorted.records.len());
        let found = lists(payload, "items", "", room);
        let count = found.elements.len() as u64 + found.more;
        let category = kind.category();
        for range in found.elements {
            let element = payload.slice(range);
            if element.len() as u64 > kind.bytes_max(self.limits, false).unwrap_or(0) {
                self.cause(format!("a {} of a container has {} bytes", kind.as_str(), element.len()));
                self.end(category, Outcome::Invalid, kind.too_large(false), 1);
                continue;
            }
            self.plain(kind, element);
        }
        self.end(category, Outcome::Invalid, kind.too_large(true), found.more);
        if let Some(what) = found.broken {
            self.cause(format!("container of the type {}: {what}", kind.as_str()));
            self.end(
                category,
                Outcome::Invalid,
                "invalid_json".into(),
                announced.saturating_sub(count).max(1),
            );
        } else {
            // What was announced and is not there is gone: somebody counted it as sent.
            let missing = item_count.map_or(0, |n| n.min(announced).saturating_sub(count));
            self.end(category, Outcome::Invalid, "item_count".into(), missing);
        }
        self.sorted.miscounted += u64::from(item_count.is_some_and(|n| n != count));
    }

    /// Aggregates become one record each, in the shape of an item that has only that one.
    fn sessions(&mut self, payload: &Bytes) {
        let found = lists(payload, "aggregates", "attrs", self.limits.aggregates_max);
        let attrs = found.beside.map_or(&b"{}"[..], |range| &payload[range]);
        if attrs.len() > SESSION_ATTRS_BYTES_MAX {
            self.cause(format!("sessions have attrs of {} bytes", attrs.len()));
            let count = found.elements.len() as u64 + found.more;
            return self.end(Category::Session, Outcome::Invalid, "too_large:sessions".into(), count.max(1));
        }
        for range in found.elements {
            let aggregate = &payload[range];
            let parts: [&[u8]; 5] = [b"{\"attrs\":", attrs, b",\"aggregates\":[", aggregate, b"]}"];
            // Each part must be a value by itself, or one could reach into the next.
            if self.object(&ItemType::Sessions, &Bytes::copy_from_slice(aggregate)).is_none() {
                continue;
            }
            self.plain(&ItemType::Sessions, parts.concat().into());
        }
        self.end(Category::Session, Outcome::Invalid, "too_large:sessions".into(), found.more);
        if let Some(what) = found.broken {
            self.cause(format!("sessions: {what}"));
            self.end(Category::Session, Outcome::Invalid, "invalid_json".into(), 1);
        }
    }

    /// What the client dropped by itself. Never rate limited: it costs the client nothing to be silent.
    fn client_report(&mut self, payload: Bytes) {
        self.sorted.reported = true;
        let Some(doc) = self.object(&ItemType::ClientReport, &payload) else { return };
        let Some(rows) = doc.root().get("discarded_events") else { return };
        if rows.kind() != Kind::Array {
            self.cause("item client_report: discarded_events is no list".to_owned());
            self.end(Category::Unknown, Outcome::Invalid, "invalid_client_report".into(), 1);
        }
        for row in rows.items() {
            self.discarded(row);
        }
    }

    fn discarded(&mut self, row: NodeRef<'_>) {
        let text = |key| row.get(key).and_then(NodeRef::as_str);
        let quantity = row.get("quantity").and_then(NodeRef::as_i64).and_then(|n| u64::try_from(n).ok());
        let (Some(category), Some(quantity)) = (text("category"), quantity) else {
            return self.end(Category::Unknown, Outcome::Invalid, "invalid_client_report".into(), 1);
        };
        if MEASURES.contains(&category.as_ref()) {
            return;
        }
        let reason = match self.rows_left.checked_sub(1) {
            Some(rows_left) => {
                self.rows_left = rows_left;
                plain_key(&text("reason").unwrap_or_default(), REASON_BYTES_MAX).into()
            }
            None => REASON_OF_MORE_ROWS.into(),
        };
        let quantity = quantity.min(REPORTED_QUANTITY_MAX);
        self.end(Category::from_name(&category), Outcome::ClientDiscard, reason, quantity);
    }

    /// The payload, parsed, if it is a JSON object; otherwise its outcome.
    fn object(&mut self, kind: &ItemType, payload: &Bytes) -> Option<Doc> {
        let what = match Doc::parse(payload.clone()) {
            Ok(doc) if doc.root().kind() == Kind::Object => return Some(doc),
            Ok(_) => "not a JSON object".to_owned(),
            Err(e) => e.to_string(),
        };
        self.cause(format!("item {}: {what}", kind.as_str()));
        self.end(kind.category(), Outcome::Invalid, "invalid_json".into(), 1);
        None
    }

    fn record(&mut self, category: Category, event_id: EventId, payload: Bytes) {
        let bytes = (self.head_bytes + payload.len()) as u64;
        if self.sorted.records.len() >= self.limits.records_max || bytes > self.bytes_left {
            self.cause("the envelope becomes more records than one may".to_owned());
            return self.end(category, Outcome::Invalid, "too_large:envelope".into(), 1);
        }
        if let Err(reason) = (self.admit)(category) {
            return self.end(category, Outcome::RateLimited, reason, 1);
        }
        self.bytes_left -= bytes;
        let meta = Meta { event_id, ..self.meta.clone() };
        self.sorted.records.push(Record { meta, body: Body::Item { category, payload } });
    }

    fn end(&mut self, category: Category, outcome: Outcome, reason: Reason, quantity: u64) {
        add(&mut self.sorted.ended, OutcomeCount { category, outcome, reason, quantity });
    }

    fn cause(&mut self, cause: String) {
        if self.sorted.causes.len() < CAUSES_MAX {
            self.sorted.causes.push(cause);
        }
    }
}

/// Adds to the count of the same kind, if there is one. There are few kinds: the loop beats a map.
pub fn add(counts: &mut Vec<OutcomeCount>, more: OutcomeCount) {
    if more.quantity == 0 {
        return;
    }
    let same = |c: &&mut OutcomeCount| {
        (c.category, c.outcome, &c.reason) == (more.category, more.outcome, &more.reason)
    };
    match counts.iter_mut().find(same) {
        Some(count) => count.quantity = count.quantity.saturating_add(more.quantity),
        None => counts.push(more),
    }
}

#[cfg(test)]
mod tests;
