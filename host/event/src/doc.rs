//! One JSON document as a tape: a flat list of nodes that know their place in the text.
//!
//! A tree of values (serde_json, sonic-rs) forgets where a value stood. A scrubber must change some strings of an event
//! and leave every other byte as it was, and a payload must not be written twice; both need positions. So
//! this parser keeps them, and an edit is a splice. It also keeps duplicate keys, where a map would show a scrubber
//! one of two values and let the other pass. It does not recurse, so depth costs a limit and not the stack.

mod parse;
mod splice;

use std::borrow::Cow;
use std::str;

use bytes::Bytes;
use thiserror::Error;

use crate::limits::JSON_BYTES_MAX;
use parse::{Parser, amended};
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::JSON_DEPTH_MAX;

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
