//! One item as it lies in the queue: what is known about it, and its bytes.
//!
//! On the wire a record is a list of headers and a value, the same for the embedded queue and for Kafka, so that another
//! producer can publish a bare JSON event: every header has a default.

use std::fmt;
use std::str;

use bytes::Bytes;
use thiserror::Error;

use crate::{Category, Outcome, OutcomeCount};

pub type ProjectId = u64;
/// A place in one partition of the queue.
pub type Offset = u64;
pub type Partition = u32;
/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// 128 bits, written as 32 hexadecimal digits without dashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventId(pub u128);

impl EventId {
    /// Reads 32 hexadecimal digits, with or without the dashes of a UUID.
    pub fn parse(text: &str) -> Option<EventId> {
        let (mut value, mut digits) = (0u128, 0);
        for c in text.bytes() {
            match (c as char).to_digit(16) {
                Some(d) if digits < 32 => (value, digits) = (value << 4 | u128::from(d), digits + 1),
                None if c == b'-' => {}
                _ => return None,
            }
        }
        (digits == 32).then_some(EventId(value))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What ingest knows of an item beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    pub project_id: ProjectId,
    /// When Tamis received the request.
    pub received_at: Millis,
    /// The `sent_at` of the envelope, by the client's clock.
    pub sent_at: Option<Millis>,
    /// The id of the envelope, else of the payload, else given by ingest.
    pub event_id: EventId,
    /// The environment that the DSN key belongs to; empty where it has none.
    pub environment: String,
    pub client_ip: String,
    pub user_agent: String,
    /// `name/version` of the client.
    pub sdk: String,
    /// The envelope's trace header, a JSON object; empty where there is none.
    pub trace: Bytes,
}

/// A record of the queue. It has one offset, and so one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub meta: Meta,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// One item, JSON text as the client sent it: an event, a transaction, one span, one log, one session, one check-in.
    Item { category: Category, payload: Bytes },
    /// Items that ended before the queue: refused over HTTP, or dropped by the client. Never empty.
    Ended(Vec<OutcomeCount>),
}

/// Bytes from the queue that are no record of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRecord {
    #[error("record is cut off at byte {0}")]
    CutOff(usize),
    #[error("header {0} has the value {1:?}, which can not be read")]
    Header(String, String),
    /// The queue has nothing at this offset, and never will: a transaction ended there, or was given up.
    #[error("there is no record at this offset")]
    NoRecord,
}

const VERSION: u8 = 1;

impl Record {
    /// The headers, in a fixed order; those with their default value are left out.
    pub fn headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        let m = &self.meta;
        let mut headers = Vec::with_capacity(10);
        let mut put = |name, value: Vec<u8>| headers.push((name, value));
        put("project_id", m.project_id.to_string().into_bytes());
        put("received_at", m.received_at.to_string().into_bytes());
        if let Body::Item { category, .. } = &self.body {
            put("category", category.as_str().into());
            put("event_id", m.event_id.to_string().into_bytes());
        } else {
            put("category", b"ended".to_vec());
        }
        if let Some(sent_at) = m.sent_at {
            put("sent_at", sent_at.to_string().into_bytes());
        }
        for (name, value) in [
            ("environment", &m.environment),
            ("client_ip", &m.client_ip),
            ("user_agent", &m.user_agent),
            ("sdk", &m.sdk),
        ] {
            if !value.is_empty() {
                put(name, value.clone().into_bytes());
            }
        }
        if !m.trace.is_empty() {
            put("trace", m.trace.to_vec());
        }
        headers
    }

    /// The value beside the headers.
    pub fn value(&self) -> Bytes {
        match &self.body {
            Body::Item { payload, .. } => payload.clone(),
            Body::Ended(counts) => ended_to_json(counts),
        }
    }

    /// Reads a record back. A missing header has its default; an unknown one is passed over.
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        value: Bytes,
    ) -> Result<Record, BadRecord> {
        let mut meta = Meta::default();
        let mut category = Some(Category::Error);
        for (name, raw) in headers {
            let text = String::from_utf8_lossy(raw);
            let bad = || BadRecord::Header(name.to_owned(), text.chars().take(80).collect());
            match name {
                "project_id" => meta.project_id = text.parse().map_err(|_| bad())?,
                "received_at" => meta.received_at = text.parse().map_err(|_| bad())?,
                "sent_at" => meta.sent_at = Some(text.parse().map_err(|_| bad())?),
                "event_id" => meta.event_id = EventId::parse(&text).ok_or_else(bad)?,
                "category" if raw == b"ended" => category = None,
                "category" => category = Some(Category::from_name(&text)),
                "environment" => meta.environment = text.into_owned(),
                "client_ip" => meta.client_ip = text.into_owned(),
                "user_agent" => meta.user_agent = text.into_owned(),
                "sdk" => meta.sdk = text.into_owned(),
                "trace" => meta.trace = Bytes::copy_from_slice(raw),
                _ => {}
            }
        }
        let body = match category {
            Some(category) => Body::Item { category, payload: value },
            None => Body::Ended(ended_from_json(&value)?),
        };
        Ok(Record { meta, body })
    }

    /// Appends the record to `out` in the form of the embedded queue: a version, the headers, the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let headers = self.headers();
        out.push(VERSION);
        out.push(headers.len() as u8);
        for (name, value) in &headers {
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
        match &self.body {
            Body::Item { payload, .. } => out.extend_from_slice(payload),
            Body::Ended(counts) => out.extend_from_slice(&ended_to_json(counts)),
        }
    }

    /// Reads what [`Record::encode`] wrote. The payload shares the memory of `bytes`.
    pub fn decode(bytes: Bytes) -> Result<Record, BadRecord> {
        let mut at = 0;
        let mut take = |n: usize| {
            let part = bytes.get(at..at + n).ok_or(BadRecord::CutOff(at))?;
            at += n;
            Ok::<_, BadRecord>(part)
        };
        let version = take(1)?[0];
        if version != VERSION {
            return Err(BadRecord::Header("version".into(), version.to_string()));
        }
        let count = take(1)?[0];
        let mut headers = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let name_length = take(1)?[0];
            let name = take(usize::from(name_length))?;
            let name = str::from_utf8(name)
                .map_err(|_| BadRecord::Header("name".into(), String::from_utf8_lossy(name).into_owned()))?;
            let length = take(4)?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            headers.push((name, take(length as usize)?));
        }
        let value = bytes.slice(at..);
        Record::from_headers(headers, value)
    }
}

fn ended_to_json(counts: &[OutcomeCount]) -> Bytes {
    let rows: Vec<_> = counts
        .iter()
        .map(|c| (c.category.as_str(), c.outcome.as_str(), c.reason.as_ref(), c.quantity))
        .collect();
    Bytes::from(serde_json::to_vec(&rows).expect("strings and numbers are always JSON"))
}

fn ended_from_json(value: &[u8]) -> Result<Vec<OutcomeCount>, BadRecord> {
    let bad = || BadRecord::Header("value".into(), String::from_utf8_lossy(value).chars().take(80).collect());
    let rows: Vec<(String, String, String, u64)> = serde_json::from_slice(value).map_err(|_| bad())?;
    rows.into_iter()
        .map(|(category, outcome, reason, quantity)| {
            Ok(OutcomeCount {
                category: Category::from_name(&category),
                outcome: Outcome::from_name(&outcome).ok_or_else(bad)?,
                reason: reason.into(),
                quantity,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(body: Body) -> Record {
        let meta = Meta {
            project_id: 42,
            received_at: 1_790_000_000_123,
            sent_at: Some(-5),
            event_id: if matches!(body, Body::Item { .. }) { EventId(7) } else { EventId(0) },
            environment: "prod".into(),
            client_ip: "::1".into(),
            user_agent: "curl/8 \u{fffd}".into(),
            sdk: "sentry.python/2.75.0".into(),
            trace: Bytes::from_static(br#"{"trace_id":"x"}"#),
        };
        Record { meta, body }
    }

    #[test]
    fn a_record_survives_the_queue() {
        let item = Body::Item { category: Category::Log, payload: Bytes::from_static(b"{\"a\":\xff}") };
        let ended = Body::Ended(vec![OutcomeCount {
            category: Category::Span,
            outcome: Outcome::ClientDiscard,
            reason: "queue_overflow".into(),
            quantity: 3,
        }]);
        for record in [sample(item), sample(ended)] {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(Bytes::from(bytes.clone())).unwrap(), record);
            let headers = record.headers();
            let borrowed = headers.iter().map(|(k, v)| (*k, v.as_slice()));
            assert_eq!(Record::from_headers(borrowed, record.value()).unwrap(), record);
            for cut in 0..bytes.len().min(120) {
                let _ = Record::decode(Bytes::copy_from_slice(&bytes[..cut]));
            }
        }
    }

    #[test]
    fn a_bare_event_of_another_producer_is_an_error_event() {
        let record = Record::from_headers([], Bytes::from_static(b"{}")).unwrap();
        assert!(matches!(record.body, Body::Item { category: Category::Error, .. }));
    }

    #[test]
    fn ids_with_and_without_dashes() {
        let id = EventId::parse("0123456789abcdef0123456789ABCDEF").unwrap();
        assert_eq!(EventId::parse("01234567-89ab-cdef-0123-456789abcdef"), Some(id));
        assert_eq!(id.to_string(), "0123456789abcdef0123456789abcdef");
        for bad in ["", "0123", "0123456789abcdef0123456789abcdef0", "0123456789abcdef0123456789abcdeg"] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }
}
