//! The parser agrees with serde_json on what is JSON and what it says; columns have the shape that the WIT promises.
//!
//! Input: a path, a newline, a document.
#![no_main]

use host_event::{Category, Columns, Doc, Event, Kind, Meta, NodeRef, Texts};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let path = parts.next().and_then(|line| std::str::from_utf8(line).ok());
    let (Some(path), Some(text)) = (path, parts.next()) else { return };
    // serde_json takes objects with such a key for its own.
    if text.windows(13).any(|part| part == b"$serde_json::") {
        return;
    }
    let Some(doc) = parse_both(text) else { return };
    let event = |doc: &Doc| Event {
        offset: 0,
        queued_at: 0,
        category: Category::Error,
        meta: Meta::default(),
        doc: doc.clone(),
    };
    let mut columns = Columns::default();
    columns.load(vec![event(&doc), event(&Doc::parse("{}").expect("an object")), event(&doc)]);
    let Ok(counts) = columns.counts(path) else { return };
    let texts = columns.strings(path).expect("the path was read before").clone();
    let json = columns.json(path).expect("the path was read before");
    let numbers = columns.numbers(path).expect("the path was read before");
    let rows = texts.len();
    assert_eq!((rows, rows, rows), (json.len(), numbers.presence.len(), numbers.values.len()));
    assert!(path.starts_with('$') || counts.len() == rows, "{} counts for {rows} rows", counts.len());
    check(&texts, false);
    // What serde_json can not read, it can not read in a column either.
    check(&json, !has_huge_number(&doc));
    for (row, presence) in numbers.presence.iter().enumerate() {
        // A number is a text as well.
        assert!(*presence == 0 || texts.presence[row] == 1 || path.starts_with('$'));
    }
    let leaves = columns.leaves("**").expect("a selector of ours");
    let found = leaves.ids.len();
    assert_eq!((found, found, found), (leaves.events.len(), leaves.kinds.len(), leaves.paths.len()));
    assert_eq!(leaves.offsets.len(), found + 1);
    assert!(leaves.events.is_sorted() && leaves.offsets.is_sorted());
    assert!(leaves.paths.iter().all(|path| (*path as usize) < leaves.path_keys.len()));
});

fn check(texts: &Texts, is_json: bool) {
    assert_eq!(texts.offsets.len(), texts.len() + 1);
    assert!(texts.offsets.is_sorted());
    assert_eq!(texts.offsets.last().map(|end| *end as usize), Some(texts.data.len()));
    for row in 0..texts.len() {
        let range = texts.offsets[row] as usize..texts.offsets[row + 1] as usize;
        let text = std::str::from_utf8(&texts.data[range]).expect("columns are UTF-8");
        assert!(texts.presence[row] == 1 || text.is_empty());
        assert!(texts.presence[row] == 0 || !is_json || read(text.as_bytes()).is_some());
    }
}

/// Parses with both; they must agree but for what ours puts right (`NaN`, lone surrogates).
fn parse_both(text: &[u8]) -> Option<Doc> {
    let theirs = read(text);
    let ours = Doc::parse(text.to_vec());
    match (&ours, &theirs) {
        (Ok(doc), Some(value)) => assert!(same(doc.root(), value), "{doc:?} is not {value:?}"),
        (Ok(doc), None) => {
            let is_put_right = doc.text().as_ref() != text;
            assert!(is_put_right || has_huge_number(doc), "serde_json does not take it");
            assert!(has_huge_number(doc) || read(doc.text()).is_some(), "what was put right is no JSON");
        }
        (Err(e), Some(_)) => assert!(e.what.contains("nest") || e.what.contains("deep"), "refused: {e}"),
        (Err(_), None) => {}
    }
    ours.ok()
}

fn read(text: &[u8]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// A number like 1e999 is JSON, and too large for serde_json.
fn has_huge_number(doc: &Doc) -> bool {
    let nodes = (0..doc.node_count()).filter_map(|id| doc.node(id));
    nodes.filter(|n| n.kind() == Kind::Number).any(|n| n.as_f64().is_none_or(f64::is_infinite))
}

fn same(ours: NodeRef<'_>, theirs: &Value) -> bool {
    match theirs {
        Value::Null => ours.kind() == Kind::Null,
        Value::Bool(value) => ours.as_bool() == Some(*value),
        Value::Number(number) => ours.as_f64() == number.as_f64(),
        Value::String(text) => ours.as_str().as_deref() == Some(text),
        Value::Array(items) => {
            ours.kind() == Kind::Array
                && ours.items().count() == items.len()
                && ours.items().zip(items).all(|(o, t)| same(o, t))
        }
        Value::Object(members) => {
            // Theirs keeps one of equal keys, the last; so does `get`, for which null counts as absent.
            ours.kind() == Kind::Object
                && ours.entries().count() >= members.len()
                && members.iter().all(|(key, value)| match ours.get(key) {
                    Some(found) => same(found, value),
                    None => value.is_null(),
                })
        }
    }
}
