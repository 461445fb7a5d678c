//! Selectors and paths answer any text, and agree with each other: what a selector does not name, its negation does, and
//! an edit of what a selector named is granted by the same selector.
//!
//! Input: a selector, a newline, a path, a newline, a document.
#![no_main]

use host_event::{Category, Columns, Doc, Event, Kind, Meta, Path, Selector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |b| *b == b'\n');
    let mut text = || lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let (Some(selector), Some(path)) = (text(), text()) else { return };
    let doc = lines.next().and_then(|rest| Doc::parse(rest.to_vec()).ok());
    let (parsed, path) = (Selector::parse(selector), Path::parse(path));
    if let (Ok(selector), Ok(path)) = (&parsed, &path) {
        // Who may read all that is below a path may read it.
        assert!(!selector.grants_subtree(path) || selector.grants_path(path));
    }
    let (Ok(parsed), Some(doc)) = (parsed, doc) else { return };
    if doc.root().kind() != Kind::Object {
        return;
    }
    let event =
        Event { offset: 0, queued_at: 0, category: Category::Error, meta: Meta::default(), doc: doc.clone() };
    let mut columns = Columns::default();
    columns.load(vec![event]);
    let all = columns.leaves("$string").expect("a selector of ours").ids;
    let mut of = |text: String| columns.leaves(&text).map(|leaves| leaves.ids);
    let (Ok(named), Ok(others)) =
        (of(format!("$string && ({selector})")), of(format!("$string && !({selector})")))
    else {
        // Only because it is too long or too deep with what was put around it.
        return;
    };
    let mut both = [named.clone(), others].concat();
    both.sort_unstable();
    assert_eq!(both, all, "a selector and its negation share the strings out between them");
    let mut grants = parsed.grants_in(&doc);
    for id in named {
        let (_, node) = columns.leaf(id).expect("an id that `leaves` gave");
        assert!(grants.node(node), "named by the selector, and not granted by it");
    }
});
