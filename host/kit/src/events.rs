//! Golden events: files of JSON events, with what the host would know beside each of them.
//!
//! A file is one event, an array of events, or one event on each line. Two keys of an event are the host's: `$meta` has what ingest
//! knows beside the payload, `$trace` is the trace header of the envelope. They are taken out; everything else stays as it is, byte
//! for byte.

use std::path::Path;

use host_event::{Category, Doc, Event, EventId, Kind, Meta, NodeRef, ParseError};
use thiserror::Error;

const META: &str = "$meta";
const TRACE: &str = "$trace";
/// What [`META`] may say, in the order of its documentation.
const META_KEYS: [&str; 8] =
    ["project_id", "category", "event_id", "received_at", "environment", "client_ip", "user_agent", "sdk"];
/// The categories that plugins see.
const CATEGORIES: [Category; 4] = [Category::Error, Category::Transaction, Category::Span, Category::Log];

/// Where and why a file has no events. Events are numbered from 0, as in the WIT.
#[derive(Debug, Error)]
pub enum EventsError {
    #[error("{file}: it can not be read")]
    Io { file: String, source: std::io::Error },
    #[error("{file}:{line}:{column}: {what}")]
    Json { file: String, line: usize, column: usize, what: &'static str },
    #[error("{file}: there is no event in it")]
    Empty { file: String },
    #[error("{file}: event {index}: it is {found}, and an event is an object")]
    NoObject { file: String, index: usize, found: &'static str },
    #[error("{file}: event {index}: {key}: {what}")]
    Key { file: String, index: usize, key: String, what: String },
}

/// Reads a file of golden events; `-` is standard input.
pub fn read_events(path: &Path) -> Result<Vec<Event>, EventsError> {
    let file = path.display().to_string();
    let read = match file.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).map(String::into_bytes),
        _ => std::fs::read(path),
    };
    match read {
        Ok(text) => parse_events(text, if file == "-" { "standard input" } else { &file }),
        Err(source) => Err(EventsError::Io { file, source }),
    }
}

/// Reads golden events out of a text. `file` is its name, for errors.
pub fn parse_events(text: Vec<u8>, file: &str) -> Result<Vec<Event>, EventsError> {
    let events = match Doc::parse(text.clone()) {
        Ok(doc) => match doc.root().kind() {
            Kind::Array => {
                let items: Vec<NodeRef<'_>> = doc.root().items().collect();
                items.iter().enumerate().map(|(index, item)| event(*item, file, index)).collect()
            }
            _ => event(doc.root(), file, 0).map(|event| vec![event]),
        },
        Err(error) => match is_lines(&text) {
            true => lines(&text, file),
            false => Err(no_json(&text, 1, &error, file)),
        },
    }?;
    match events.is_empty() {
        true => Err(EventsError::Empty { file: file.to_owned() }),
        false => Ok(events),
    }
}

/// Whether the first line with something on it is an object and there is something behind it.
fn is_lines(text: &[u8]) -> bool {
    let mut filled = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let is_object =
        |line: &[u8]| Doc::parse(line.to_vec()).is_ok_and(|doc| doc.root().kind() == Kind::Object);
    filled.next().is_some_and(is_object) && filled.next().is_some()
}

fn lines(text: &[u8], file: &str) -> Result<Vec<Event>, EventsError> {
    let mut events = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            let doc = Doc::parse(line.to_vec()).map_err(|error| no_json(line, at + 1, &error, file))?;
            events.push(event(doc.root(), file, events.len())?);
        }
    }
    Ok(events)
}

fn no_json(text: &[u8], first_line: usize, error: &ParseError, file: &str) -> EventsError {
    let before = &text[..error.offset.min(text.len())];
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let line_begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // Columns count characters, as editors do.
    let column = String::from_utf8_lossy(&before[line_begin..]).chars().count() + 1;
    EventsError::Json { file: file.to_owned(), line: first_line + newlines, column, what: error.what }
}

/// Takes what is the host's out of an event.
fn event(node: NodeRef<'_>, file: &str, index: usize) -> Result<Event, EventsError> {
    if node.kind() != Kind::Object {
        let (file, found) = (file.to_owned(), a_kind(node.kind()));
        return Err(EventsError::NoObject { file, index, found });
    }
    let beside = beside(node, index).map_err(|(key, what)| {
        let (file, key) = (file.to_owned(), key);
        EventsError::Key { file, index, key, what }
    });
    let (meta, category) = beside?;
    let doc = Doc::parse(without_host_keys(node)).expect("members of a document make a document");
    Ok(Event { offset: index as u64, queued_at: meta.received_at, category, meta, doc })
}

fn without_host_keys(node: NodeRef<'_>) -> Vec<u8> {
    let is_hosts = |key: NodeRef<'_>| key.is(META.as_bytes()) || key.is(TRACE.as_bytes());
    if !node.entries().any(|(key, _)| is_hosts(key)) {
        return node.raw().to_vec();
    }
    let from = node.span().0;
    let members = node.entries().filter(|(key, _)| !is_hosts(*key));
    let members = members.map(|(key, value)| &node.raw()[key.span().0 - from..value.span().1 - from]);
    [b"{", members.collect::<Vec<_>>().join(&b","[..]).as_slice(), b"}"].concat()
}

type Beside<T> = Result<T, (String, String)>;

/// What the host knows beside the event of that index.
fn beside(node: NodeRef<'_>, index: usize) -> Beside<(Meta, Category)> {
    let id = node.get("event_id").and_then(|id| EventId::parse(&id.as_str()?));
    let mut meta = Meta {
        project_id: 1,
        // As for an envelope without an id, but the same each time.
        event_id: id.unwrap_or(EventId(index as u128 + 1)),
        ..Meta::default()
    };
    let mut category = Category::Error;
    if let Some(trace) = node.get(TRACE) {
        match trace.kind() {
            Kind::Object => meta.trace = trace.raw().to_vec().into(),
            kind => return Err((TRACE.to_owned(), format!("it is {}, not an object", a_kind(kind)))),
        }
    }
    let Some(given) = node.get(META) else { return Ok((meta, category)) };
    if given.kind() != Kind::Object {
        return Err((META.to_owned(), format!("it is {}, not an object", a_kind(given.kind()))));
    }
    for (key, value) in given.entries() {
        let name = key.as_str().unwrap_or_default();
        let set = set(&mut meta, &mut category, &name, value);
        set.map_err(|what| (format!("{META}.{name}"), what))?;
    }
    Ok((meta, category))
}

fn set(meta: &mut Meta, category: &mut Category, key: &str, value: NodeRef<'_>) -> Result<(), String> {
    let shown = || String::from_utf8_lossy(value.raw()).chars().take(80).collect::<String>();
    let text = || match value.kind() {
        Kind::String => Ok(value.as_str().unwrap_or_default().into_owned()),
        kind => Err(format!("it is {}, not a string", a_kind(kind))),
    };
    let integer = || value.as_i64().filter(|_| value.kind() == Kind::Number);
    match key {
        "project_id" => {
            let id = integer().and_then(|id| u64::try_from(id).ok());
            meta.project_id = id.ok_or_else(|| format!("{} is not a number from 0", shown()))?;
        }
        "received_at" => {
            let millis = integer().ok_or_else(|| format!("{} is not a number of milliseconds", shown()))?;
            meta.received_at = millis;
        }
        "event_id" => {
            let id = EventId::parse(&text()?);
            meta.event_id = id.ok_or_else(|| format!("{} is not 32 hexadecimal digits", shown()))?;
        }
        "category" => {
            let name = text()?;
            let found = CATEGORIES.into_iter().find(|category| category.as_str() == name);
            *category = found.ok_or_else(|| {
                let names = CATEGORIES.map(Category::as_str).join(", ");
                format!("{} is none of {names}", shown())
            })?;
        }
        "environment" => meta.environment = text()?,
        "client_ip" => meta.client_ip = text()?,
        "user_agent" => meta.user_agent = text()?,
        "sdk" => meta.sdk = text()?,
        _ => return Err(format!("unknown key; known are {}", META_KEYS.join(", "))),
    }
    Ok(())
}

pub(crate) fn a_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::False | Kind::True => "a boolean",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Event>, String> {
        parse_events(text.as_bytes().to_vec(), "a.json").map_err(|error| error.to_string())
    }

    #[test]
    fn one_many_and_lines() {
        for (text, want) in [
            (r#" {"a": 1 } "#, &[r#"{"a": 1 }"#][..]),
            (r#"[{"a":1}, {"b":2}]"#, &[r#"{"a":1}"#, r#"{"b":2}"#]),
            ("\n{\"a\":1}\n\n{\"b\":2}\n", &[r#"{"a":1}"#, r#"{"b":2}"#]),
            ("{}", &["{}"]),
            // What clients send goes through as it would in life.
            (r#"{"a":1,"a":NaN}"#, &[r#"{"a":1,"a":null}"#]),
        ] {
            let events = read(text).unwrap();
            let texts: Vec<_> =
                events.iter().map(|e| String::from_utf8_lossy(e.doc.text()).into_owned()).collect();
            assert_eq!(texts, want);
        }
    }

    #[test]
    fn what_the_host_knows_is_taken_out() {
        let text = r#"{"x": [1,  2], "$meta": {"project_id": 7, "category": "span", "event_id": "000000000000000000000000000000ff",
            "received_at": 5, "environment": "e", "client_ip": "c", "user_agent": "u", "sdk": "s"},
            "y":"\u0041" , "$trace":{"trace_id":"t"}}"#;
        let event = read(text).unwrap().remove(0);
        assert_eq!(event.doc.text().as_ref(), br#"{"x": [1,  2],"y":"\u0041"}"#);
        let want = Meta {
            project_id: 7,
            received_at: 5,
            sent_at: None,
            event_id: EventId(255),
            environment: "e".into(),
            client_ip: "c".into(),
            user_agent: "u".into(),
            sdk: "s".into(),
            trace: br#"{"trace_id":"t"}"#.as_slice().into(),
        };
        assert_eq!((event.meta, event.category), (want, Category::Span));

        let of_payload = r#"[{}, {"event_id": "01234567-89ab-cdef-0123-456789abcdef"}, {"event_id": 5}]"#;
        let ids: Vec<String> =
            read(of_payload).unwrap().iter().map(|e| e.meta.event_id.to_string()).collect();
        let numbered = |n| format!("{n:032x}");
        assert_eq!(ids, [numbered(1), "0123456789abcdef0123456789abcdef".to_owned(), numbered(3)]);
    }

    #[test]
    fn errors_say_where() {
        for (text, want) in [
            ("{\"a\": 1,\n \"é\" 2}", "a.json:2:6: "),
            ("{\"a\":1}\n{\"b\":}", "a.json:2:6: "),
            ("[]", "a.json: there is no event in it"),
            ("[{}, 5]", "a.json: event 1: it is a number, and an event is an object"),
            (
                r#"[{}, {"$meta": {"category": "eror"}}]"#,
                r#"a.json: event 1: $meta.category: "eror" is none of error, transaction, span, log_item"#,
            ),
            (
                r#"{"$meta": {"project": 1}}"#,
                "a.json: event 0: $meta.project: unknown key; known are project_id, category, event_id, received_at, \
                 environment, client_ip, user_agent, sdk",
            ),
            (
                r#"{"$meta": {"project_id": -1}}"#,
                "a.json: event 0: $meta.project_id: -1 is not a number from 0",
            ),
            (
                r#"{"$meta": {"received_at": "now"}}"#,
                r#"a.json: event 0: $meta.received_at: "now" is not a number of milliseconds"#,
            ),
            (
                r#"{"$meta": {"event_id": "77"}}"#,
                r#"a.json: event 0: $meta.event_id: "77" is not 32 hexadecimal digits"#,
            ),
            (r#"{"$meta": {"sdk": 5}}"#, "a.json: event 0: $meta.sdk: it is a number, not a string"),
            (r#"{"$meta": []}"#, "a.json: event 0: $meta: it is an array, not an object"),
            (r#"{"$trace": "x"}"#, "a.json: event 0: $trace: it is a string, not an object"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(want), "{text}: {error}");
        }
        let error = read_events(Path::new("nowhere.json")).unwrap_err();
        assert_eq!(error.to_string(), "nowhere.json: it can not be read");
    }
}
