//! Whatever edits are asked for, the result is an error or a document that others can read, in which only what was edited
//! (and `_meta`) is different.
//!
//! Input: a byte with the number of edits, eight bytes for each, a document.
#![no_main]

use host_event::{Doc, Edit, EditOp, Kind, NodeRef, apply_edits};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;

const EDIT_BYTES: usize = 8;
const TEXTS: [&str; 8] = ["", "[email]", "*", "é", "\"", "\\", "\u{1f600}\n", "{}"];

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let count = usize::from(*count % 8);
    let Some((edits, text)) = rest.split_at_checked(count * EDIT_BYTES) else { return };
    if is_beyond_serde(text) {
        return;
    }
    let Ok(doc) = Doc::parse(text.to_vec()) else { return };
    let edits: Vec<_> = edits.chunks(EDIT_BYTES).map(|bytes| edit(bytes, doc.node_count())).collect();
    let Ok(edited) = apply_edits(&doc, edits.clone()) else { return };
    if edits.is_empty() {
        assert_eq!(edited.text(), doc.text());
        return;
    }
    assert_eq!(doc.root().kind(), Kind::Object, "only objects can be edited");
    assert!(edited.is_as_parsed(), "the tape is not that of the text");
    let keys = keys(doc.root());
    assert!(edits.iter().all(|edit| !keys.contains(&edit.node)), "keys can not be edited");
    let (Some(before), Some(after)) = (read(doc.text()), read(edited.text())) else {
        // serde_json takes no numbers beyond f64; ours does.
        assert!(read(doc.text()).is_none(), "the edited document is no JSON: {:?}", edited.text());
        return;
    };
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        panic!("an object stays one")
    };
    assert!(after.get("_meta").is_some_and(Value::is_object), "the edits are noted");
    let touched: Vec<_> = edits.iter().map(|edit| edit.node).collect();
    for (key, value) in before.iter().filter(|(key, _)| *key != "_meta") {
        let holds_an_edit = doc.root().entries().filter(|(k, _)| k.is(key.as_bytes())).any(|(_, v)| {
            let (start, end) = v.span();
            touched.iter().any(|id| doc.node(*id).is_some_and(|n| n.span().0 >= start && n.span().1 <= end))
        });
        assert!(
            holds_an_edit || after.get(key) == Some(value),
            "{key} was changed by an edit of something else"
        );
    }
});

/// serde_json takes objects with this key for its own.
fn is_beyond_serde(text: &[u8]) -> bool {
    text.windows(13).any(|part| part == b"$serde_json::")
}

/// The nodes that are keys of objects.
fn keys(node: NodeRef<'_>) -> Vec<u32> {
    let (mut found, mut open) = (Vec::new(), vec![node]);
    while let Some(node) = open.pop() {
        found.extend(node.entries().map(|(key, _)| key.id()));
        open.extend(node.entries().map(|(_, value)| value));
        open.extend(node.items());
    }
    found
}

fn edit(bytes: &[u8], nodes: u32) -> Edit {
    let text = TEXTS[usize::from(bytes[4] % 8)];
    let op = match bytes[5] % 4 {
        0 => EditOp::Remove,
        1 => EditOp::Replace(text.to_owned()),
        2 => EditOp::Mask(text.chars().next().unwrap_or('*')),
        _ => EditOp::Hash(text.to_owned()),
    };
    let range = (bytes[6] % 3 != 0).then(|| (u32::from(bytes[2]), u32::from(bytes[3])));
    // Mostly nodes that are there.
    let node = u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) % (nodes + 1);
    Edit { node, range, op, rule: TEXTS[usize::from(bytes[7] % 8)].to_owned() }
}

fn read(text: &[u8]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}
