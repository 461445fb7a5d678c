//! What a scrubber wants changed in an event, and the one place that changes it.
//!
//! An edit is a splice of the document's text: what is not edited stays as it was, byte for byte. Every edit leaves a remark in `_meta`, in the form
//! that Sentry's clients and interface know: `{"path": {"": {"rem": [[rule, type, start, end]], "len": n}}}`, with
//! positions in bytes of the new text.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use thiserror::Error;

use crate::doc::{Appended, Splice, escape};
use crate::limits::EDIT_GROWTH_BYTES_MAX;
use crate::way::{By, Way};
use crate::{Doc, Kind, NodeRef, ParseError};

/// One change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The node of the document.
    pub node: u32,
    /// Bytes of the string; `None` is the whole value.
    pub range: Option<(u32, u32)>,
    pub op: EditOp,
    /// As `_meta` names it.
    pub rule: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditOp {
    Remove,
    Replace(String),
    /// Every character becomes this one.
    Mask(char),
    /// HMAC-SHA1 under this key, 40 upper-case hexadecimal digits.
    Hash(String),
}

/// An edit that can not be applied: the plugin gave a wrong answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    #[error("edit of node {node}, which is no value of the event")]
    NoSuchNode { node: u32 },
    #[error("edit of bytes {start}..{end} of a text of {len} bytes")]
    OutOfRange { start: u32, end: u32, len: usize },
    #[error("edit of bytes {start}..{end} does not lie on character boundaries")]
    NotOnBoundary { start: u32, end: u32 },
    #[error("edit of a part of a value that is no string")]
    NotAString,
    #[error("edits overlap at byte {at} of the event")]
    Overlap { at: usize },
    #[error("edits would let the event grow by more than {EDIT_GROWTH_BYTES_MAX} bytes")]
    Growth,
    #[error("edit of an event that is no object")]
    NoObject,
    #[error("the edited event can not be read: {0}")]
    Unreadable(#[from] ParseError),
}

/// A document with all edits applied and noted in its `_meta`.
pub fn apply_edits(doc: &Doc, mut edits: Vec<Edit>) -> Result<Doc, EditError> {
    if edits.is_empty() {
        return Ok(doc.clone());
    }
    if doc.root().kind() != Kind::Object {
        return Err(EditError::NoObject);
    }
    edits.sort_by_key(|e| (e.node, e.range));
    let mut out = Vec::with_capacity(doc.text().len() + 256 * edits.len());
    let mut notes = Value::Object(Map::new());
    let (mut copied, mut splices, mut way) = (0, Vec::new(), Way::new(doc));
    for of_node in edits.chunk_by(|a, b| a.node == b.node) {
        let id = of_node[0].node;
        let (node, at) = value(&mut way, id).ok_or(EditError::NoSuchNode { node: id })?;
        let (start, end) = node.span();
        if start < copied {
            // It lies within a value that another edit replaces as a whole: what any edit covers does not survive.
            continue;
        }
        out.extend_from_slice(&doc.text()[copied..start]);
        copied = end;
        let begin = out.len();
        let note = edit_node(node, of_node, &mut out)?;
        splices.push(Splice { node: id, start: begin, end: out.len() });
        note_at(&mut notes, &at, note);
        if out.len() > start + EDIT_GROWTH_BYTES_MAX {
            return Err(EditError::Growth);
        }
    }
    out.extend_from_slice(&doc.text()[copied..]);
    if doc.root().entries().any(|(key, _)| key.is(b"_meta")) {
        return Ok(with_merged_notes(&Doc::parse(out)?, notes)?);
    }
    let appended = append_notes(&mut out, &notes);
    Ok(doc.spliced(out, &splices, appended)?)
}

/// Writes the new value and gives the note for `_meta`.
fn edit_node(node: NodeRef<'_>, edits: &[Edit], out: &mut Vec<u8>) -> Result<Value, EditError> {
    let text = node.as_text().unwrap_or_default();
    if let [Edit { range: None, op, rule, .. }] = edits {
        return Ok(edit_whole(node, &text, op, rule, out));
    }
    if node.kind() != Kind::String {
        return Err(EditError::NotAString);
    }
    let mut new = String::with_capacity(text.len());
    let mut remarks = Vec::with_capacity(edits.len());
    let mut from = 0;
    for edit in edits {
        let (start, end) = edit.range.unwrap_or((0, text.len() as u32));
        let piece = piece(&text, start, end)?;
        if (start as usize) < from {
            return Err(EditError::Overlap { at: node.span().0 });
        }
        new.push_str(&text[from..start as usize]);
        from = end as usize;
        let begin = new.len();
        let kind = edit.op.write(piece, &mut new);
        remarks.push(json!([edit.rule, kind.to_string(), begin, new.len()]));
    }
    new.push_str(&text[from..]);
    write_string(&new, out);
    Ok(json!({ "rem": remarks, "len": text.len() }))
}

fn edit_whole(node: NodeRef<'_>, text: &str, op: &EditOp, rule: &str, out: &mut Vec<u8>) -> Value {
    if *op == EditOp::Remove {
        out.extend_from_slice(b"null");
        return json!({ "rem": [[rule, "x"]] });
    }
    let mut new = String::new();
    let kind = op.write(text, &mut new);
    write_string(&new, out);
    let mut note = json!({ "rem": [[rule, kind.to_string(), 0, new.len()]] });
    if node.kind() == Kind::String {
        note["len"] = text.len().into();
    }
    note
}

fn piece(text: &str, start: u32, end: u32) -> Result<&str, EditError> {
    let (from, to) = (start as usize, end as usize);
    if from > to || to > text.len() {
        return Err(EditError::OutOfRange { start, end, len: text.len() });
    }
    text.get(from..to).ok_or(EditError::NotOnBoundary { start, end })
}

impl EditOp {
    /// Writes what stands in the place of `old` and gives Sentry's letter for it.
    fn write(&self, old: &str, new: &mut String) -> char {
        match self {
            EditOp::Remove => 'x',
            EditOp::Replace(text) => {
                new.push_str(text);
                's'
            }
            EditOp::Mask(c) => {
                new.extend(old.chars().map(|_| *c));
                'm'
            }
            EditOp::Hash(key) => {
                let mut mac =
                    Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
                mac.update(old.as_bytes());
                for byte in mac.finalize().into_bytes() {
                    write!(new, "{byte:02X}").expect("a String takes everything");
                }
                'p'
            }
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// A value that may be edited, and the keys and indices that lead to it. A key is no value, and what the host notes is not the plugins'.
fn value<'a>(way: &mut Way<'a>, id: u32) -> Option<(NodeRef<'a>, Vec<String>)> {
    let stops = way.to(id)?;
    let at: Vec<String> = stops
        .iter()
        .filter_map(|stop| match stop.by {
            By::Root => None,
            By::Key(key) => Some(key.as_str().unwrap_or_default().into_owned()),
            By::Index(index) => Some(index.to_string()),
        })
        .collect();
    let is_ours = at.first().is_none_or(|first| first == "_meta");
    stops.last().filter(|_| !is_ours).map(|stop| (stop.node, at))
}

fn note_at(notes: &mut Value, place: &[String], note: Value) {
    let at = place.iter().fold(notes, |at, step| &mut at[step.as_str()]);
    match at.get_mut("").and_then(|old| old.get_mut("rem")).and_then(Value::as_array_mut) {
        // A second stage edits what the first one left.
        Some(remarks) => remarks.extend(note["rem"].as_array().cloned().unwrap_or_default()),
        None => at[""] = note,
    }
}

/// Adds `_meta` as the last member of an object that has others and no `_meta`.
fn append_notes(text: &mut Vec<u8>, notes: &Value) -> Appended {
    let close = text.iter().rposition(|b| *b == b'}').unwrap_or(text.len());
    let behind = text.split_off(close);
    text.extend_from_slice(b",\"_meta\":");
    let (key, start) = ((close + 2, close + 7), text.len());
    serde_json::to_writer(&mut *text, notes).expect("a Vec takes everything");
    let value = (start, text.len());
    text.extend_from_slice(&behind);
    Appended { key, value }
}

/// Adds notes to the `_meta` that a document has: the last one, if a client sent several.
fn with_merged_notes(doc: &Doc, notes: Value) -> Result<Doc, ParseError> {
    let Some((_, old)) = doc.root().entries().filter(|(key, _)| key.is(b"_meta")).last() else {
        return Ok(doc.clone());
    };
    let mut all = serde_json::from_slice(old.raw()).unwrap_or(Value::Null);
    merge(&mut all, notes);
    let (start, end) = old.span();
    Doc::parse([&doc.text()[..start], all.to_string().as_bytes(), &doc.text()[end..]].concat())
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return *into = from };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (key, value) in from {
        match value.get("rem").is_some() {
            true => note_at(into, &[], value),
            false => merge(&mut into[&key], value),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(doc: &Doc, path: &str) -> u32 {
        let path = crate::Path::parse(path).unwrap();
        crate::path::follow(doc.root(), &path.segments).unwrap().id()
    }

    fn edit(doc: &Doc, path: &str, range: Option<(u32, u32)>, op: EditOp) -> Edit {
        Edit { node: node(doc, path), range, op, rule: "@r".into() }
    }

    #[test]
    fn remarks_as_sentry_has_them() {
        let email = || EditOp::Replace("[email]".into());
        let cases = [
            (Some((3, 10)), email(), r#"hi [email] bye"#, r#"{"len":14,"rem":[["@r","s",3,10]]}"#),
            (Some((3, 10)), EditOp::Remove, "hi  bye", r#"{"len":14,"rem":[["@r","x",3,3]]}"#),
            (Some((3, 10)), EditOp::Mask('*'), "hi ******* bye", r#"{"len":14,"rem":[["@r","m",3,10]]}"#),
            (
                Some((3, 10)),
                EditOp::Hash(String::new()),
                "hi E87F71E9D1C8D9A8F67A8BE9BB1C43C1F5E4A9F7 bye",
                r#"{"len":14,"rem":[["@r","p",3,43]]}"#,
            ),
            (None, email(), "[email]", r#"{"len":14,"rem":[["@r","s",0,7]]}"#),
        ];
        for (range, op, text, note) in cases {
            let doc = Doc::parse(r#"{"m": "hi a@b.com bye" }"#).unwrap();
            let is_hash = matches!(op, EditOp::Hash(_));
            let edited = apply_edits(&doc, vec![edit(&doc, "m", range, op)]).unwrap();
            let new = edited.root().get("m").unwrap().as_str().unwrap().into_owned();
            match is_hash {
                true => assert!(
                    new.len() == text.len() && new.starts_with("hi ") && new.ends_with(" bye"),
                    "{new}"
                ),
                false => assert_eq!(new, text),
            }
            let meta = edited.root().dig(&["_meta", "m", ""]).unwrap();
            assert_eq!(String::from_utf8_lossy(meta.raw()), note);
        }
    }

    #[test]
    fn several_edits_and_a_meta_that_was_there() {
        let text = r#"{"a":[["k","s\u00e9cret"],5],"_meta":{"a":{"9":{"":{"err":["x"]}}}},"o":{"p":"q"}}"#;
        let doc = Doc::parse(text).unwrap();
        let edits = vec![
            edit(&doc, "o", None, EditOp::Remove),
            edit(&doc, "a.1", None, EditOp::Replace("n".into())),
            edit(&doc, "a.0.1", Some((3, 4)), EditOp::Mask('#')),
            edit(&doc, "a.0.1", Some((0, 1)), EditOp::Remove),
        ];
        let edited = apply_edits(&doc, edits).unwrap();
        let want = json!({
            "a": [["k", "é#ret"], "n"], "o": null,
            "_meta": {
                "a": {"9": {"": {"err": ["x"]}}, "1": {"": {"rem": [["@r", "s", 0, 1]]}},
                    "0": {"1": {"": {"rem": [["@r", "x", 0, 0], ["@r", "m", 2, 3]], "len": 7}}}},
                "o": {"": {"rem": [["@r", "x"]]}},
            },
        });
        assert_eq!(serde_json::from_slice::<Value>(edited.text()).unwrap(), want);
        let again = apply_edits(&edited, vec![edit(&edited, "a.1", None, EditOp::Mask('x'))]).unwrap();
        let meta: Value = serde_json::from_slice(again.root().get("_meta").unwrap().raw()).unwrap();
        assert_eq!(meta["a"]["1"][""]["rem"], json!([["@r", "s", 0, 1], ["@r", "m", 0, 1]]));
    }

    #[test]
    fn thousands_of_edits_of_one_list_take_no_time() {
        let list: Vec<_> = (0..50_000).map(|i| format!(r#""{i}@b.co""#)).collect();
        let doc = Doc::parse(format!(r#"{{"extra":[{}]}}"#, list.join(","))).unwrap();
        let edit = |node| Edit { node, range: None, op: EditOp::Mask('*'), rule: "@email".into() };
        let edited = apply_edits(&doc, (3..50_003).map(edit).collect()).unwrap();
        let last = edited.root().dig(&["_meta", "extra", "49999", "", "len"]).unwrap();
        assert_eq!((last.as_i64(), edited.is_as_parsed()), (Some(10), true));
    }

    #[test]
    fn what_covers_wins() {
        let doc = Doc::parse(r#"{"o":{"p":"q"}}"#).unwrap();
        let edits = ["o", "o.p"].map(|path| edit(&doc, path, None, EditOp::Remove)).to_vec();
        let edited = apply_edits(&doc, edits).unwrap();
        assert_eq!(edited.text(), r#"{"o":null,"_meta":{"o":{"":{"rem":[["@r","x"]]}}}}"#);
    }

    #[test]
    fn refuses_wrong_edits() {
        let doc = Doc::parse(r#"{"m":"né","o":{"p":"q"},"n":1}"#).unwrap();
        let remove = |path, range| edit(&doc, path, range, EditOp::Remove);
        let cases = [
            (vec![Edit { node: 99, ..remove("m", None) }], EditError::NoSuchNode { node: 99 }),
            (vec![Edit { node: 0, ..remove("m", None) }], EditError::NoSuchNode { node: 0 }),
            (vec![Edit { node: 1, ..remove("m", None) }], EditError::NoSuchNode { node: 1 }),
            (vec![Edit { node: 3, ..remove("m", None) }], EditError::NoSuchNode { node: 3 }),
            (vec![remove("m", Some((0, 9)))], EditError::OutOfRange { start: 0, end: 9, len: 3 }),
            (vec![remove("m", Some((2, 1)))], EditError::OutOfRange { start: 2, end: 1, len: 3 }),
            (vec![remove("m", Some((0, 2)))], EditError::NotOnBoundary { start: 0, end: 2 }),
            (vec![remove("n", Some((0, 1)))], EditError::NotAString),
            (vec![remove("m", None), remove("m", Some((0, 1)))], EditError::Overlap { at: 5 }),
            (
                vec![edit(&doc, "m", None, EditOp::Replace("x".repeat(EDIT_GROWTH_BYTES_MAX + 9)))],
                EditError::Growth,
            ),
        ];
        for (edits, want) in cases {
            assert_eq!(apply_edits(&doc, edits).unwrap_err(), want);
        }
        let list = Doc::parse("[1]").unwrap();
        let edit = Edit { node: 1, range: None, op: EditOp::Remove, rule: String::new() };
        assert_eq!(apply_edits(&list, vec![edit]).unwrap_err(), EditError::NoObject);
    }

    #[test]
    fn what_the_host_notes_can_not_be_edited() {
        let doc = Doc::parse(r#"{"_meta":{"a":{"":{"len":1}}},"a":"b"}"#).unwrap();
        let edit = edit(&doc, "_meta.a", None, EditOp::Remove);
        assert_eq!(apply_edits(&doc, vec![edit]).unwrap_err(), EditError::NoSuchNode { node: 4 });
    }

    proptest! {
        #[test]
        fn any_edits_give_json_or_an_error(
            with_meta in any::<bool>(),
            edits in proptest::collection::vec((0u32..18, proptest::option::of((0u32..8, 0u32..8)), 0u8..4, ".{0,3}"), 1..6)
        ) {
            let meta = if with_meta { r#","_meta":{"l":[1]}"# } else { "" };
            let doc = Doc::parse(format!(r#" {{"a":"b\u00e9c\n", "l":[["x","\"y"],{{"z":1}}],"e":[{{}}, []]{meta}}} "#)).unwrap();
            let op = |kind, text: String| match kind {
                0 => EditOp::Remove,
                1 => EditOp::Replace(text),
                2 => EditOp::Mask(text.chars().next().unwrap_or('*')),
                _ => EditOp::Hash(text),
            };
            let edits = edits.into_iter().map(|(node, range, kind, text)| Edit { node, range, op: op(kind, text), rule: "r".into() });
            if let Ok(edited) = apply_edits(&doc, edits.collect()) {
                prop_assert!(serde_json::from_slice::<Value>(edited.text()).is_ok());
                prop_assert!(edited.is_as_parsed());
            }
        }
    }
}
