//! What lies in the topic, as a record: ours, or what another producer published.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use host_event::{BadRecord, Body, EventId, Offset, Partition, ProjectId, Record};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::Stored;

/// What is needed to read the records of one partition.
pub(super) struct Reading<'a> {
    pub(super) source: &'a str,
    pub(super) partition: Partition,
    pub(super) default_project: Option<ProjectId>,
}

/// A message as a record with its place. The payload is copied once, out of the memory of a whole fetch.
pub(super) fn stored(message: &BorrowedMessage<'_>, reading: &Reading<'_>) -> Stored {
    let offset = message.offset().max(0) as Offset;
    let queued_at = message.timestamp().to_millis().unwrap_or(0);
    let record = match (headers(message), message.payload()) {
        (Err(bad), _) => Err(bad),
        (_, None) => Err(BadRecord::Header("value".into(), "null".into())),
        (Ok(headers), Some(value)) => {
            let project = headers.iter().any(|(name, _)| *name == "project_id");
            let received = headers.iter().any(|(name, _)| *name == "received_at");
            let event = headers.iter().any(|(name, _)| *name == "event_id");
            record(headers, value).and_then(|mut record| {
                if !project {
                    let none = || BadRecord::Header("project_id".into(), String::new());
                    record.meta.project_id = reading.default_project.ok_or_else(none)?;
                }
                if !received {
                    record.meta.received_at = queued_at;
                }
                if let (false, Body::Item { .. }) = (event, &record.body) {
                    record.meta.event_id = event_id(value, reading, offset);
                }
                Ok(record)
            })
        }
    };
    Stored { offset, queued_at, record }
}

/// About what a record holds of the memory of this process.
pub(super) fn bytes(stored: &Stored) -> usize {
    let meta = |m: &host_event::Meta| m.environment.len() + m.user_agent.len() + m.sdk.len() + m.trace.len();
    let body = match stored.record.as_ref().map(|record| &record.body) {
        Ok(Body::Item { payload, .. }) => payload.len(),
        Ok(Body::Ended(counts)) => counts.len() * 64,
        Err(_) => 0,
    };
    100 + body + stored.record.as_ref().map_or(0, |record| meta(&record.meta))
}

fn record<'a>(headers: Vec<(&'a str, &'a [u8])>, value: &[u8]) -> Result<Record, BadRecord> {
    Record::from_headers(headers, Bytes::copy_from_slice(value))
}

/// The headers that have a value. rdkafka panics at a name that is not UTF-8, and has no other way to ask.
fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Result<Vec<(&'a str, &'a [u8])>, BadRecord> {
    let Some(headers) = message.headers() else { return Ok(Vec::new()) };
    let all = || headers.iter().filter_map(|header| Some((header.key, header.value?))).collect();
    catch_unwind(AssertUnwindSafe(all)).map_err(|_| BadRecord::Header("name".into(), "not UTF-8".into()))
}

/// The id of the payload if it has one that is easily found, else one that is always the same for this place.
fn event_id(value: &[u8], reading: &Reading<'_>, offset: Offset) -> EventId {
    in_payload(value).unwrap_or_else(|| {
        let place = format!("{}/{}/{offset}", reading.source, reading.partition);
        let (high, low) = (fnv(0xcbf2_9ce4_8422_2325, &place), fnv(0x9ae1_6a3b_2f90_404f, &place));
        EventId(u128::from(high) << 64 | u128::from(low))
    })
}

/// Looks for `"event_id": "…"` of the outermost object among its first members. A text or an object in between may have
/// such a member too: whoever nests it before the outer one gets an id of the place.
fn in_payload(value: &[u8]) -> Option<EventId> {
    const NAME: &[u8] = b"\"event_id\"";
    const LOOKED_AT_BYTES_MAX: usize = 4096;
    let value = &value[..value.len().min(LOOKED_AT_BYTES_MAX)];
    let at = value.windows(NAME.len()).position(|part| part == NAME)?;
    let mut depth = 0;
    for byte in &value[..at] {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'\\' => return None,
            _ => {}
        }
    }
    if depth != 1 {
        return None;
    }
    let rest = value[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    EventId::parse(std::str::from_utf8(&rest[..end]).ok()?)
}

/// FNV-1a with a last mix: not for enemies, only to be the same everywhere and for ever.
fn fnv(seed: u64, text: &str) -> u64 {
    let hash = text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_payload_is_found_where_that_is_simple() {
        let id = Some(EventId(0xabc));
        let hex = format!("{:032x}", 0xabc);
        for (payload, found) in [
            (format!(r#"{{"event_id":"{hex}"}}"#), id),
            (format!(r#"{{"a":{{"b":[1]}}, "event_id" : "{hex}","c":1}}"#), id),
            (format!(r#"{{"a":{{"event_id":"{hex}"}}}}"#), None),
            (r#"{"event_id":"short"}"#.to_owned(), None),
            (r#"{"event_id":7}"#.to_owned(), None),
            ("garbage".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(in_payload(payload.as_bytes()), found, "{payload}");
        }
    }

    #[test]
    fn the_id_of_a_place_is_the_same_for_ever() {
        let reading = |partition| Reading { source: "tamis-events", partition, default_project: None };
        let id = event_id(b"{}", &reading(3), 17);
        assert_eq!(id, event_id(b"[]", &reading(3), 17));
        assert_ne!(id, event_id(b"{}", &reading(3), 18));
        assert_ne!(id, event_id(b"{}", &reading(4), 17));
        assert_eq!(id.to_string(), "f2cbf89eb24bb96fa2b08bb169abb28d");
    }
}
