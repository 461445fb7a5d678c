//! One JSON document as a tape: a flat list of nodes that know their place in the text.
//!
//! A tree of values (serde_json, sonic-rs) forgets where a value stood. A scrubber must change some strings of an event
//! and leave every other byte as it was, and a payload must not be written twice; both need positions. So
//! this parser keeps them, and an edit is a splice. It also keeps duplicate keys, where a map would show a scrubber
//! one of two values and let the other pass. It does not recurse, so depth costs a limit and not the stack.

mod splice;

use std::borrow::Cow;
use std::str;

use bytes::Bytes;
use thiserror::Error;

use crate::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX, JSON_NODES_MAX};
pub(crate) use splice::{Appended, Splice};

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
}

/// `start..end` is the value in the text, without the quotes of a string. A key is a string node in front of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    start: u32,
    end: u32,
    /// The node behind this one and all that it holds.
    next: u32,
    kind: Kind,
    escaped: bool,
}

/// A parsed document and its text.
#[derive(Debug, Clone)]
pub struct Doc {
    text: Bytes,
    nodes: Vec<Node>,
}

/// Where and why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid JSON at byte {offset}: {what}")]
pub struct ParseError {
    pub offset: usize,
    pub what: &'static str,
}

impl Doc {
    /// Parses one document. `NaN`, `Infinity` and lone surrogates, which some clients send, are accepted, and the text
    /// is put right (`null`, U+FFFD), since no reader of the tables would take them.
    pub fn parse(text: impl Into<Bytes>) -> Result<Doc, ParseError> {
        let text = text.into();
        let fail = |offset, what| Err(ParseError { offset, what });
        if text.len() > JSON_BYTES_MAX {
            return fail(JSON_BYTES_MAX, "longer than a document may be");
        }
        if let Err(e) = simdutf8::compat::from_utf8(&text) {
            return fail(e.valid_up_to(), "not UTF-8");
        }
        let mut parser = Parser::new(&text);
        parser.document()?;
        let Parser { nodes, amends, .. } = parser;
        if amends.is_empty() {
            return Ok(Doc { text, nodes });
        }
        Doc::parse(amended(&text, &amends))
    }

    /// The document's bytes: valid JSON in UTF-8.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    pub fn root(&self) -> NodeRef<'_> {
        NodeRef { doc: self, id: 0 }
    }

    /// The node of that number. Numbers run from 0 to `node_count() - 1` in the order of the text.
    pub fn node(&self, id: u32) -> Option<NodeRef<'_>> {
        ((id as usize) < self.nodes.len()).then_some(NodeRef { doc: self, id })
    }

    pub fn node_count(&self) -> u32 {
        self.nodes.len() as u32
    }

    fn at(&self, id: u32) -> &Node {
        &self.nodes[id as usize]
    }

    /// With the quotes of a string.
    fn node_span(&self, id: u32) -> (usize, usize) {
        let node = self.at(id);
        let quotes = usize::from(node.kind == Kind::String);
        (node.start as usize - quotes, node.end as usize + quotes)
    }

    /// Whether it is what parsing its text gives, node by node. For tests of what makes documents without parsing.
    pub fn is_as_parsed(&self) -> bool {
        Doc::parse(self.text.clone())
            .is_ok_and(|parsed| parsed.nodes == self.nodes && parsed.text == self.text)
    }
}

/// A value within a document.
#[derive(Debug, Clone, Copy)]
pub struct NodeRef<'a> {
    doc: &'a Doc,
    id: u32,
}

impl<'a> NodeRef<'a> {
    pub fn id(self) -> u32 {
        self.id
    }

    /// The number of the node behind this one and all that it holds.
    pub(crate) fn next_id(self) -> u32 {
        self.doc.at(self.id).next
    }

    pub fn kind(self) -> Kind {
        self.doc.at(self.id).kind
    }

    /// The place in the text, with the quotes of a string.
    pub fn span(self) -> (usize, usize) {
        self.doc.node_span(self.id)
    }

    /// The value as JSON text.
    pub fn raw(self) -> &'a [u8] {
        let (start, end) = self.span();
        &self.doc.text[start..end]
    }

    /// The value as JSON text, sharing the memory of the document.
    pub fn raw_shared(self) -> Bytes {
        let (start, end) = self.span();
        self.doc.text.slice(start..end)
    }

    /// Between the quotes of a string, or the text of anything else; escapes are as they were.
    pub fn content(self) -> &'a [u8] {
        let node = self.doc.at(self.id);
        &self.doc.text[node.start as usize..node.end as usize]
    }

    pub fn has_escapes(self) -> bool {
        self.doc.at(self.id).escaped
    }

    /// The string; `None` for anything else.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| self.string())
    }

    fn string(self) -> Cow<'a, str> {
        if self.has_escapes() {
            let mut out = Vec::with_capacity(self.content().len());
            unescape(self.content(), &mut out);
            return Cow::Owned(String::from_utf8(out).expect("the document is UTF-8 and so are its escapes"));
        }
        Cow::Borrowed(str::from_utf8(self.content()).expect("the document was checked to be UTF-8"))
    }

    /// A string, number or boolean as text.
    pub fn as_text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Null | Kind::Array | Kind::Object => None,
            _ => Some(self.string()),
        }
    }

    /// Appends a string, number or boolean as text to `out`; says whether it was one.
    pub fn append_text(self, out: &mut Vec<u8>) -> bool {
        match self.kind() {
            Kind::Null | Kind::Array | Kind::Object => return false,
            _ if self.has_escapes() => unescape(self.content(), out),
            _ => out.extend_from_slice(self.content()),
        }
        true
    }

    pub fn as_f64(self) -> Option<f64> {
        (self.kind() == Kind::Number).then(|| str::from_utf8(self.content()).ok()?.parse().ok())?
    }

    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Number).then(|| str::from_utf8(self.content()).ok()?.parse().ok())?
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The member of that key; the last one where there are several, as most readers have it. `null` counts as absent.
    pub fn get(self, key: &str) -> Option<NodeRef<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        // Written out, since every column of every event comes by here: a key of another length costs two loads.
        let (nodes, text, key) = (self.doc.nodes.as_slice(), &self.doc.text[..], key.as_bytes());
        let (mut at, end) = (self.id + 1, nodes[self.id as usize].next);
        let mut found = None;
        while at < end {
            let name = &nodes[at as usize];
            let is_it = match name.escaped {
                false => {
                    (name.end - name.start) as usize == key.len()
                        && same(&text[name.start as usize..name.end as usize], key)
                }
                true => NodeRef { doc: self.doc, id: at }.is(key),
            };
            if is_it {
                found = Some(NodeRef { doc: self.doc, id: at + 1 });
            }
            at = nodes[at as usize + 1].next;
        }
        found.filter(|v| v.kind() != Kind::Null)
    }

    /// Follows keys from object to object.
    pub fn dig(self, keys: &[&str]) -> Option<NodeRef<'a>> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Whether this string is `text`, without making a copy of it.
    pub fn is(self, text: &[u8]) -> bool {
        if self.has_escapes() { self.string().as_bytes() == text } else { same(self.content(), text) }
    }

    /// The members of an object: keys with values. Nothing for any other kind.
    pub fn entries(self) -> impl Iterator<Item = (NodeRef<'a>, NodeRef<'a>)> {
        let mut at = self.first_child(Kind::Object);
        let end = self.doc.at(self.id).next;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let pair = (NodeRef { doc: self.doc, id: at }, NodeRef { doc: self.doc, id: at + 1 });
            at = self.doc.at(at + 1).next;
            Some(pair)
        })
    }

    /// The elements of an array. Nothing for any other kind.
    pub fn items(self) -> impl Iterator<Item = NodeRef<'a>> {
        let mut at = self.first_child(Kind::Array);
        let end = self.doc.at(self.id).next;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let item = NodeRef { doc: self.doc, id: at };
            at = self.doc.at(at).next;
            Some(item)
        })
    }

    /// The element of an array at that index, counted from the end where it is negative.
    pub fn item(self, index: i64) -> Option<NodeRef<'a>> {
        match usize::try_from(index) {
            Ok(index) => self.items().nth(index),
            Err(_) => {
                let back = usize::try_from(index.unsigned_abs()).ok()?;
                let length = self.items().count();
                self.items().nth(length.checked_sub(back)?)
            }
        }
    }

    /// How many elements or members it has.
    pub fn size(self) -> usize {
        if self.kind() == Kind::Object { self.entries().count() } else { self.items().count() }
    }

    fn first_child(self, of: Kind) -> u32 {
        if self.kind() == of { self.id + 1 } else { u32::MAX }
    }
}

/// Appends the text that `content`, the inside of a JSON string, stands for.
fn unescape(content: &[u8], out: &mut Vec<u8>) {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest[at + 1];
        rest = &rest[at + 2..];
        match escape {
            b'u' => rest = unescape_unicode(rest, out),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
}

/// `rest` stands behind `\u`. A surrogate that has lost its other half becomes U+FFFD.
fn unescape_unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (high, mut rest) = (hex4(rest).unwrap_or(0xfffd), &rest[4..]);
    let mut code = high;
    if (0xd800..0xdc00).contains(&high)
        && rest.starts_with(b"\\u")
        && let Some(low @ 0xdc00..0xe000) = hex4(&rest[2..])
    {
        code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        rest = &rest[6..];
    }
    let c = char::from_u32(code).unwrap_or('\u{fffd}');
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.iter().try_fold(0, |v, b| Some(v << 4 | (*b as char).to_digit(16)?))
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut from = 0;
    let bytes = text.as_bytes();
    for (at, b) in bytes.iter().enumerate() {
        if *b >= 0x20 && *b != b'"' && *b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let hex = |n: u8| b"0123456789abcdef"[usize::from(n)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(b >> 4), hex(b & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// A part of the text that is to be replaced before anything else is done.
struct Amend {
    start: usize,
    end: usize,
    by: &'static [u8],
}

fn amended(text: &[u8], amends: &[Amend]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for amend in amends {
        out.extend_from_slice(&text[from..amend.start]);
        out.extend_from_slice(amend.by);
        from = amend.end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<u32>,
    amends: Vec<Amend>,
}

type Parsed = Result<(), ParseError>;

impl<'a> Parser<'a> {
    fn new(text: &'a [u8]) -> Parser<'a> {
        let nodes = Vec::with_capacity(text.len() / 16 + 8);
        Parser { text, at: 0, nodes, open: Vec::with_capacity(16), amends: Vec::new() }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, what })
    }

    #[inline]
    fn peek(&self) -> u8 {
        // 0 is no byte of JSON outside of strings, so it can stand for the end.
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    fn document(&mut self) -> Parsed {
        loop {
            if self.nodes.len() >= JSON_NODES_MAX {
                return self.fail("more values than a document may have");
            }
            self.space();
            let opened = self.value()?;
            if opened {
                continue;
            }
            if self.close_and_go_on()? {
                break;
            }
        }
        self.space();
        if self.at < self.text.len() { self.fail("more than one value") } else { Ok(()) }
    }

    /// Reads a scalar or an empty container, or opens a container and stops before its first value (`true`).
    #[inline]
    fn value(&mut self) -> Result<bool, ParseError> {
        match self.peek() {
            b'"' => self.string()?,
            b'{' => {
                self.open(Kind::Object)?;
                self.space();
                if self.peek() != b'}' {
                    self.key()?;
                    return Ok(true);
                }
                self.close();
            }
            b'[' => {
                self.open(Kind::Array)?;
                self.space();
                if self.peek() != b']' {
                    return Ok(true);
                }
                self.close();
            }
            b't' => self.word(b"true", Kind::True)?,
            b'f' => self.word(b"false", Kind::False)?,
            b'n' => self.word(b"null", Kind::Null)?,
            b'N' => self.odd_number(b"NaN")?,
            b'I' => self.odd_number(b"Infinity")?,
            b'-' if self.text[self.at..].starts_with(b"-Infinity") => self.odd_number(b"-Infinity")?,
            b'-' | b'0'..=b'9' => self.number()?,
            0 if self.at >= self.text.len() => return self.fail("text ends where a value should be"),
            _ => return self.fail("no value begins with this byte"),
        }
        Ok(false)
    }

    /// Behind a value: closes what ends here and stops before the next value, or says that the document is over (`true`).
    #[inline]
    fn close_and_go_on(&mut self) -> Result<bool, ParseError> {
        loop {
            let Some(&top) = self.open.last() else { return Ok(true) };
            let is_object = self.nodes[top as usize].kind == Kind::Object;
            self.space();
            match (self.peek(), is_object) {
                (b',', true) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(false);
                }
                (b',', false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (b'}', true) | (b']', false) => self.close(),
                (0, _) if self.at >= self.text.len() => {
                    return self.fail("text ends within an array or object");
                }
                (_, true) => return self.fail("expected `,` or `}`"),
                (_, false) => return self.fail("expected `,` or `]`"),
            }
        }
    }

    #[inline]
    fn key(&mut self) -> Parsed {
        if self.peek() != b'"' {
            return self.fail("expected a key in quotes");
        }
        self.string()?;
        self.space();
        if self.peek() != b':' {
            return self.fail("expected `:` behind a key");
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, kind: Kind) -> Parsed {
        if self.open.len() >= JSON_DEPTH_MAX {
            return self.fail("nested too deeply");
        }
        self.open.push(self.nodes.len() as u32);
        self.push(kind, self.at, self.at, false);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        let next = self.nodes.len() as u32;
        if let Some(id) = self.open.pop() {
            let node = &mut self.nodes[id as usize];
            (node.end, node.next) = (self.at as u32, next);
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, end: usize, escaped: bool) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: end as u32, next, kind, escaped });
    }

    #[inline]
    fn string(&mut self) -> Parsed {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fail("control character in a string"),
                None => return self.fail("text ends within a string"),
            }
        }
        self.push(Kind::String, start, self.at, escaped);
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Parsed {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => return self.escape_unicode(),
            _ => return self.fail("unknown escape in a string"),
        }
        Ok(())
    }

    fn escape_unicode(&mut self) -> Parsed {
        let start = self.at;
        let Some(code) = hex4(&self.text[start + 2..]) else {
            return self.fail("`\\u` without four hexadecimal digits");
        };
        self.at += 6;
        if (0xd800..0xdc00).contains(&code)
            && self.text[self.at..].starts_with(b"\\u")
            && let Some(0xdc00..0xe000) = hex4(&self.text[self.at + 2..])
        {
            self.at += 6;
            return Ok(());
        }
        if (0xd800..0xe000).contains(&code) {
            self.amends.push(Amend { start, end: self.at, by: b"\\ufffd" });
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Parsed {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("no value begins like this");
        }
        self.push(kind, self.at, self.at + word.len(), false);
        self.at += word.len();
        Ok(())
    }

    fn odd_number(&mut self, word: &'static [u8]) -> Parsed {
        self.amends.push(Amend { start: self.at, end: self.at + word.len(), by: b"null" });
        self.word(word, Kind::Null)
    }

    fn number(&mut self) -> Parsed {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.fail("expected a digit"),
        }
        if self.peek() == b'.' {
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return self.fail("expected a digit behind the point");
            }
            self.digits();
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek().is_ascii_digit() {
                return self.fail("expected a digit in the exponent");
            }
            self.digits();
        }
        self.push(Kind::Number, start, self.at, false);
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }
}

/// Whether two keys are equal. Keys are short, and a call of `memcmp` for each was 3 % of a worker's samples. The last words overlap the ones
/// before, so that there is no rest to go through byte by byte.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        let (Some(a_last), Some(b_last)) = (a.last_chunk::<4>(), b.last_chunk::<4>()) else {
            return a.iter().zip(b).all(|(x, y)| x == y);
        };
        return a_last == b_last && a.first_chunk::<4>() == b.first_chunk::<4>();
    };
    let (words, _) = a.as_chunks::<8>();
    let (others, _) = b.as_chunks::<8>();
    a_last == b_last && words.iter().zip(others).all(|(x, y)| x == y)
}

/// How many bytes in front are neither a quote, a backslash nor a control character: eight at a time, without SIMD, since most
/// strings of an event are shorter than one vector register and calls would cost more than they save.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has eight bytes"));
        let zero_in = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let stop = zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5c)) | control;
        if stop != 0 {
            // Borrows can raise false alarms only above the first true one, so the lowest bit is right.
            return at + (stop.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + text[at..].iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_serde(node: NodeRef<'_>) -> serde_json::Value {
        use serde_json::Value;
        match node.kind() {
            Kind::Null => Value::Null,
            Kind::True | Kind::False => Value::Bool(node.as_bool().unwrap()),
            Kind::Number => serde_json::from_slice(node.raw()).unwrap(),
            Kind::String => Value::String(node.as_str().unwrap().into_owned()),
            Kind::Array => Value::Array(node.items().map(to_serde).collect()),
            Kind::Object => {
                let entry = |(k, v): (NodeRef<'_>, _)| (k.as_str().unwrap().into_owned(), to_serde(v));
                Value::Object(node.entries().map(entry).collect())
            }
        }
    }

    fn check(text: &[u8]) {
        let theirs = serde_json::from_slice::<serde_json::Value>(text);
        match (Doc::parse(text.to_vec()), theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(to_serde(ours.root()), theirs),
            // Theirs refuses what ours puts right, and numbers that overflow a double.
            (Ok(ours), Err(e)) => {
                let put_right = serde_json::from_slice::<serde_json::Value>(ours.text());
                let overflow = e.to_string().contains("out of range");
                assert!(overflow || put_right.is_ok(), "{e}: {:?}", String::from_utf8_lossy(text));
            }
            (Err(e), Ok(_)) => panic!("{e}: {:?}", String::from_utf8_lossy(text)),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn reads_what_serde_reads() {
        for text in [
            "null",
            " true ",
            "-0",
            "0.5e-7",
            "[]",
            "{}",
            "[[],{},[1,2]]",
            r#"{"a":{"b":[1,{"c":"d"}]},"e":null}"#,
            r#""\u00e9\ud83d\ude00\n\/\"\\""#,
            r#"{"a":1,"a":2}"#,
            "\"exactly8\"",
            "\"12345678901234567\"",
            "{\"\u{e9}\":\"\u{1f600}\"}",
            "[1,",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "[01]",
            "[1.]",
            "[1e]",
            "-",
            "tru",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a\tb\"",
            "1 2",
            "",
            " ",
            "[1]]",
            "{\"a\":}",
            "{,}",
            "[,]",
            "\u{0}",
            "\"\u{0}\"",
            "1e400",
        ] {
            check(text.as_bytes());
        }
    }

    #[test]
    fn puts_right_what_clients_get_wrong() {
        let cases = [
            ("[NaN,Infinity,-Infinity,-1]", "[null,null,null,-1]"),
            (r#"["\ud800","\udc00x","\ud83d\ude00"]"#, r#"["\ufffd","\ufffdx","\ud83d\ude00"]"#),
        ];
        for (text, want) in cases {
            assert_eq!(Doc::parse(text).unwrap().text(), want);
        }
    }

    #[test]
    fn says_where_it_stumbled() {
        let deep = "[".repeat(10_000);
        let cases: [(&[u8], usize, &str); 4] = [
            (b"{\"a\":1,}", 7, "expected a key in quotes"),
            (b"\"a\xff\"", 2, "not UTF-8"),
            (deep.as_bytes(), JSON_DEPTH_MAX, "nested too deeply"),
            (b"{\"a\":\"b", 7, "text ends within a string"),
        ];
        for (text, offset, what) in cases {
            assert_eq!(Doc::parse(text.to_vec()).unwrap_err(), ParseError { offset, what });
        }
    }

    #[test]
    fn finds_values_by_key_and_index() {
        let doc =
            Doc::parse(r#"{"a":[1,"x",{"b":2.5}],"k\u0065y":true,"n":null,"a2":{},"d":1,"d":2}"#).unwrap();
        let root = doc.root();
        assert_eq!(root.get("key").and_then(NodeRef::as_bool), Some(true));
        assert!(root.get("n").is_none());
        assert_eq!(root.get("d").and_then(NodeRef::as_i64), Some(2));
        let a = root.get("a").unwrap();
        assert_eq!(a.item(-1).and_then(|o| o.get("b")).and_then(NodeRef::as_f64), Some(2.5));
        assert!(a.item(-4).is_none() && a.item(3).is_none());
        assert_eq!((a.size(), root.size(), a.raw()), (3, 6, br#"[1,"x",{"b":2.5}]"#.as_slice()));
    }

    proptest! {
        #[test]
        fn keys_are_the_same_if_their_bytes_are(key in proptest::collection::vec(any::<u8>(), 0..40), at in any::<usize>()) {
            prop_assert!(same(&key, &key.clone()));
            let mut other = key.clone();
            if let Some(byte) = other.get_mut(at % key.len().max(1)) {
                *byte ^= 1;
                prop_assert!(!same(&key, &other));
            }
            other.push(0);
            prop_assert!(!same(&key, &other));
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            check(&bytes);
        }

        #[test]
        fn json_like_text_is_answered_as_serde_does(text in r#"[\[\]{}",:0-9eE.+\-tfn\\u ]{0,40}"#) {
            check(text.as_bytes());
        }

        #[test]
        fn strings_survive(text in any::<String>()) {
            let mut json = vec![b'"'];
            escape(&text, &mut json);
            json.push(b'"');
            let doc = Doc::parse(json).unwrap();
            prop_assert_eq!(doc.root().as_str().unwrap(), text.as_str());
        }
    }
}
