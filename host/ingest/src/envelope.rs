//! Envelope framing: `header { "\n" item } [ "\n" ]`, where an item is a header line and a payload.
//!
//! The [`Framer`] takes bytes as they come and keeps only what will become a record: the payload of an item that is too
//! large, or of a type that is not kept, is counted and thrown away while it arrives. [`split`] is the same for bytes that are there.
//!
//! Items before a mistake survive it. The item with the mistake is one outcome; what comes behind can not be framed
//! any more, so nothing can be said of it. Every item that is announced therefore ends as an [`Item`] or as the [`Broken`].

use std::str;

use bytes::Bytes;
use host_event::{Category, Doc, EventId, Kind, Millis, NodeRef};
use thiserror::Error;

use crate::{ItemType, Limits};

/// Splits a whole envelope. Pure; any bytes are answered.
pub fn split(bytes: &[u8], limits: &Limits) -> Result<Envelope, Fault> {
    let mut framer = Framer::new(*limits);
    framer.feed(bytes)?;
    framer.finish()
}

/// A framed envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub header: Header,
    pub items: Vec<Item>,
    /// The item at which framing ended, if it ended before the bytes did.
    pub broken: Option<Broken>,
}

impl Envelope {
    /// The envelope that a single event would have come in.
    pub fn of_event(payload: Bytes) -> Envelope {
        let payload = Payload::Kept(payload);
        let item = Item { kind: ItemType::Event, container: false, item_count: None, payload };
        Envelope { header: Header::default(), items: vec![item], broken: None }
    }
}

/// What the first line says. All of it is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    pub event_id: Option<EventId>,
    pub dsn: Option<String>,
    pub sent_at: Option<Millis>,
    /// `name/version`, or empty.
    pub sdk: String,
    /// The trace header, a JSON object, as the client sent it; empty where there is none.
    pub trace: Bytes,
    pub trace_id: Option<EventId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemType,
    /// Whether the payload is a list of items.
    pub container: bool,
    pub item_count: Option<u64>,
    pub payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    Kept(Bytes),
    /// So many bytes were thrown away: more than such an item may have.
    TooLarge(u64),
    /// So many bytes were thrown away: no rows are kept of this type.
    Unsupported(u64),
}

/// An item that could not be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub what: &'static str,
    pub category: Category,
    pub quantity: u64,
}

/// Why an envelope is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("envelope is empty")]
    Empty,
    #[error("envelope header is {0}")]
    Header(String),
    #[error("envelope header is longer than {0} bytes")]
    HeaderTooLarge(u64),
    #[error("envelope is larger than {0} bytes")]
    TooLarge(u64),
    #[error("envelope holds more than {0} bytes of items to keep")]
    KeptTooLarge(u64),
}

impl Fault {
    pub fn is_too_large(&self) -> bool {
        matches!(self, Fault::HeaderTooLarge(_) | Fault::TooLarge(_) | Fault::KeptTooLarge(_))
    }
}

impl Item {
    /// How many items this one stands for, as far as its header can be believed.
    pub fn quantity(&self) -> u64 {
        let bytes = match &self.payload {
            Payload::Kept(payload) => payload.len() as u64,
            Payload::TooLarge(bytes) | Payload::Unsupported(bytes) => *bytes,
        };
        believable(self.item_count, bytes)
    }
}

/// An item of a list takes at least two bytes, so that a header can not claim more than there is room for.
fn believable(item_count: Option<u64>, bytes: u64) -> u64 {
    item_count.unwrap_or(1).clamp(1, bytes / 2 + 1)
}

/// The state of framing between two chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within the first line.
    Header,
    /// Within the line in front of an item.
    ItemHeader,
    /// Within a payload of known length, of which so many bytes are missing.
    Counted(u64),
    /// Within a payload that goes up to the next newline.
    Line,
    /// Behind a payload of known length: only a newline or the end may follow.
    Newline,
    /// Behind a mistake: nothing can be framed any more.
    Lost,
}

/// An item whose payload is being read; the payload, if kept, begins at `start` of the kept bytes.
#[derive(Debug)]
struct Open {
    kind: ItemType,
    container: bool,
    item_count: Option<u64>,
    announced: Option<u64>,
    /// How many bytes may be kept; `None` if nothing is.
    bytes_max: Option<u64>,
    start: usize,
    /// Bytes seen so far.
    seen: u64,
    keep: bool,
}

/// An item that is complete; a kept payload is a range of the kept bytes.
#[derive(Debug)]
struct Framed {
    open: Open,
    end: usize,
}

/// Frames an envelope that arrives in pieces.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    kept: Vec<u8>,
    /// Where the line that is being read begins in the kept bytes.
    line: usize,
    total: u64,
    header: Option<Header>,
    framed: Vec<Framed>,
    open: Option<Open>,
    broken: Option<Broken>,
}

impl Framer {
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            state: State::Header,
            kept: Vec::new(),
            line: 0,
            total: 0,
            header: None,
            framed: Vec::new(),
            open: None,
            broken: None,
        }
    }

    /// The header, once its line is complete.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Bytes of memory that are held.
    pub fn kept_bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Bytes that came in.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// What was announced so far, for the outcomes of an envelope that is refused.
    pub fn announced(&self) -> Vec<(Category, u64)> {
        let of = |open: &Open| (open.kind.category(), believable(open.item_count, open.seen));
        let mut all: Vec<_> = self.framed.iter().map(|framed| of(&framed.open)).collect();
        all.extend(self.open.iter().map(of));
        all.extend(self.broken.iter().map(|b| (b.category, b.quantity)));
        all
    }

    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), Fault> {
        self.total += input.len() as u64;
        if self.total > self.limits.envelope_bytes_max {
            return Err(Fault::TooLarge(self.limits.envelope_bytes_max));
        }
        while !input.is_empty() {
            let used = match self.state {
                State::Header | State::ItemHeader => self.feed_line(input)?,
                State::Counted(missing) => self.feed_counted(input, missing),
                State::Line => self.feed_implicit(input),
                State::Newline if input[0] == b'\n' => {
                    self.begin_item_header();
                    1
                }
                State::Newline => {
                    self.lose_last("followed by something else than a newline: its length is wrong");
                    input.len()
                }
                State::Lost => input.len(),
            };
            if self.kept.len() as u64 > self.limits.kept_bytes_max {
                return Err(Fault::KeptTooLarge(self.limits.kept_bytes_max));
            }
            input = &input[used..];
        }
        Ok(())
    }

    /// The end of the bytes.
    pub fn finish(mut self) -> Result<Envelope, Fault> {
        if self.total == 0 {
            return Err(Fault::Empty);
        }
        if matches!(self.state, State::Header | State::ItemHeader) {
            self.end_line()?;
        }
        match self.state {
            State::Counted(_) => self.lose_open("shorter than its length says"),
            State::Line => self.close_item(),
            _ => {}
        }
        let kept = Bytes::from(self.kept);
        let items = self.framed.into_iter().map(|framed| framed.into_item(&kept)).collect();
        let header = self.header.ok_or(Fault::Empty)?;
        Ok(Envelope { header, items, broken: self.broken })
    }

    fn begin_item_header(&mut self) {
        self.line = self.kept.len();
        self.state = State::ItemHeader;
    }

    fn feed_line(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let end = memchr::memchr(b'\n', input);
        let part = &input[..end.unwrap_or(input.len())];
        if (self.kept.len() - self.line + part.len()) as u64 > self.limits.header_bytes_max {
            return self.line_too_long(input.len());
        }
        self.kept.extend_from_slice(part);
        if end.is_some() {
            self.end_line()?;
        }
        Ok(part.len() + usize::from(end.is_some()))
    }

    fn line_too_long(&mut self, used: usize) -> Result<usize, Fault> {
        if self.state == State::Header {
            return Err(Fault::HeaderTooLarge(self.limits.header_bytes_max));
        }
        self.lose_unknown("with a header that is too long");
        Ok(used)
    }

    /// A header line is complete: goes on to what it announces.
    fn end_line(&mut self) -> Result<(), Fault> {
        let line = self.kept.split_off(self.line);
        if self.state == State::Header {
            self.header = Some(parse_header(line)?);
            self.begin_item_header();
            return Ok(());
        }
        // Newlines at the end, or doubled ones, announce nothing.
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        if self.framed.len() >= self.limits.items_max {
            self.lose_unknown("one more than an envelope may have");
            return Ok(());
        }
        match parse_item_header(line) {
            Ok(open) => self.open_item(open),
            Err(what) => self.lose_unknown(what),
        }
        Ok(())
    }

    fn open_item(&mut self, mut open: Open) {
        open.start = self.kept.len();
        open.bytes_max = open.kind.bytes_max(&self.limits, open.container);
        open.keep = open.bytes_max.is_some_and(|max| open.announced.unwrap_or(0) <= max);
        self.state = open.announced.map_or(State::Line, State::Counted);
        let is_complete = open.announced == Some(0);
        self.open = Some(open);
        if is_complete {
            self.close_item();
            self.state = State::Newline;
        }
    }

    fn feed_counted(&mut self, input: &[u8], missing: u64) -> usize {
        let used = missing.min(input.len() as u64) as usize;
        self.feed_payload(&input[..used]);
        let missing = missing - used as u64;
        self.state = State::Counted(missing);
        if missing == 0 {
            self.close_item();
            self.state = State::Newline;
        }
        used
    }

    fn feed_implicit(&mut self, input: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', input);
        let part = &input[..end.unwrap_or(input.len())];
        self.feed_payload(part);
        if end.is_some() {
            self.close_item();
            self.begin_item_header();
        }
        part.len() + usize::from(end.is_some())
    }

    fn feed_payload(&mut self, part: &[u8]) {
        let Some(open) = &mut self.open else { return };
        open.seen += part.len() as u64;
        if open.keep && open.bytes_max.is_some_and(|max| open.seen > max) {
            open.keep = false;
            self.kept.truncate(open.start);
        }
        if open.keep {
            self.kept.extend_from_slice(part);
        }
    }

    fn close_item(&mut self) {
        if let Some(open) = self.open.take() {
            self.framed.push(Framed { open, end: self.kept.len() });
        }
    }

    fn lose_open(&mut self, what: &'static str) {
        if let Some(open) = self.open.take() {
            self.lose(&open, what);
        }
    }

    fn lose_last(&mut self, what: &'static str) {
        if let Some(Framed { open, .. }) = self.framed.pop() {
            self.lose(&open, what);
        }
    }

    fn lose(&mut self, open: &Open, what: &'static str) {
        let quantity = believable(open.item_count, open.seen);
        self.broken = Some(Broken { what, category: open.kind.category(), quantity });
        self.state = State::Lost;
    }

    fn lose_unknown(&mut self, what: &'static str) {
        self.broken = Some(Broken { what, category: Category::Unknown, quantity: 1 });
        self.state = State::Lost;
    }
}

impl Framed {
    fn into_item(self, kept: &Bytes) -> Item {
        let Open { kind, container, item_count, start, seen, keep, bytes_max, .. } = self.open;
        let payload = match (keep, bytes_max) {
            (true, _) => Payload::Kept(kept.slice(start..self.end)),
            (false, Some(_)) => Payload::TooLarge(seen),
            (false, None) => Payload::Unsupported(seen),
        };
        Item { kind, container, item_count, payload }
    }
}

/// Bytes of each part of `name/version` that are kept.
const SDK_PART_CHARS_MAX: usize = 100;

fn parse_header(line: Vec<u8>) -> Result<Header, Fault> {
    let doc = Doc::parse(line).map_err(|e| Fault::Header(e.to_string()))?;
    let root = doc.root();
    if root.kind() != Kind::Object {
        return Err(Fault::Header("no JSON object".to_owned()));
    }
    let text = |key| root.get(key).and_then(NodeRef::as_str);
    let event_id = match root.get("event_id") {
        None => None,
        Some(id) => Some(parse_id(id).ok_or_else(|| Fault::Header("without a valid event_id".to_owned()))?),
    };
    let trace = root.get("trace").filter(|t| t.kind() == Kind::Object);
    let sdk_part = |key| {
        let part = root.dig(&["sdk", key]).and_then(NodeRef::as_str);
        part.map(|p| p.chars().take(SDK_PART_CHARS_MAX).collect::<String>()).unwrap_or_default()
    };
    let (name, version) = (sdk_part("name"), sdk_part("version"));
    Ok(Header {
        event_id,
        dsn: text("dsn").map(|dsn| dsn.into_owned()),
        sent_at: text("sent_at").and_then(|at| parse_time(&at)),
        sdk: if name.is_empty() { name } else { format!("{name}/{version}") },
        // A copy: the rest of the line need not live as long as the record.
        trace: trace.map(|t| Bytes::copy_from_slice(t.raw())).unwrap_or_default(),
        trace_id: trace.and_then(|t| t.get("trace_id")).and_then(parse_id),
    })
}

/// Reads an id of 32 hexadecimal digits from a string.
pub(crate) fn parse_id(node: NodeRef<'_>) -> Option<EventId> {
    EventId::parse(&node.as_str()?)
}

fn parse_time(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

const CONTAINER_CONTENT_TYPE: &str = "application/vnd.sentry.items.";

fn parse_item_header(line: Vec<u8>) -> Result<Open, &'static str> {
    let doc = Doc::parse(line).map_err(|_| "with a header that is not valid JSON")?;
    let root = doc.root();
    let kind = root.get("type").and_then(NodeRef::as_str).ok_or("with a header that has no type")?;
    let count = |key| match root.get(key) {
        None => Ok(None),
        Some(node) => node.as_i64().and_then(|n| u64::try_from(n).ok()).map(Some).ok_or(()),
    };
    let announced = count("length").map_err(|()| "with a length that is no number of bytes")?;
    let content_type = root.get("content_type").and_then(NodeRef::as_str);
    let item_count = count("item_count").unwrap_or(None);
    Ok(Open {
        kind: ItemType::parse(&kind),
        // Who counts the items of an item sends a list, whatever it is called. As one row it would hide all others.
        container: item_count.is_some()
            || content_type.is_some_and(|t| t.starts_with(CONTAINER_CONTENT_TYPE)),
        item_count,
        announced,
        bytes_max: None,
        start: 0,
        seen: 0,
        keep: false,
    })
}

#[cfg(test)]
mod tests;
