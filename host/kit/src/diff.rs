//! What differs between two JSON documents, place by place. On documents and not on maps: a key that stands there twice counts twice.

use host_event::{Doc, Kind, NodeRef};
use serde::Serialize;

/// A place where an answer is not what was expected. Values are JSON; one that is absent is not there at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// As in the WIT: keys and indices joined by dots; empty for the whole.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

pub(crate) fn differences(expected: NodeRef<'_>, actual: NodeRef<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(expected, actual, "", &mut found);
    found
}

/// Of two texts that are JSON.
pub(crate) fn differences_of_texts(expected: &str, actual: &str) -> Vec<Difference> {
    match (Doc::parse(expected.to_owned()), Doc::parse(actual.to_owned())) {
        (Ok(expected), Ok(actual)) => differences(expected.root(), actual.root()),
        // Both were made by the host; if it can not read them, then it shows them.
        _ if expected == actual => Vec::new(),
        _ => vec![Difference {
            path: String::new(),
            expected: Some(expected.to_owned()),
            actual: Some(actual.to_owned()),
        }],
    }
}

// It recurses as deep as documents nest, which their parser bounds to 512.
fn compare(expected: NodeRef<'_>, actual: NodeRef<'_>, path: &str, found: &mut Vec<Difference>) {
    match (expected.kind(), actual.kind()) {
        (Kind::Object, Kind::Object) => compare_objects(expected, actual, path, found),
        (Kind::Array, Kind::Array) => {
            let (mut left, mut right) = (expected.items(), actual.items());
            for index in 0.. {
                let (left, right) = (left.next(), right.next());
                if left.is_none() && right.is_none() {
                    break;
                }
                compare_members(left, right, &below(path, &index.to_string()), found);
            }
        }
        (Kind::String, Kind::String) if expected.as_str() == actual.as_str() => {}
        (Kind::Number, Kind::Number) if same_number(expected, actual) => {}
        (one, other) if one == other && !matches!(one, Kind::String | Kind::Number) => {}
        _ => note(path, Some(expected), Some(actual), found),
    }
}

fn compare_objects(expected: NodeRef<'_>, actual: NodeRef<'_>, path: &str, found: &mut Vec<Difference>) {
    let mut rest: Vec<(NodeRef<'_>, NodeRef<'_>)> = actual.entries().collect();
    for (key, left) in expected.entries() {
        let name = key.as_str();
        let same = rest.iter().position(|(other, _)| other.as_str() == name);
        let right = same.map(|at| rest.remove(at).1);
        compare_members(Some(left), right, &below(path, &quoted(&name.unwrap_or_default())), found);
    }
    for (key, right) in rest {
        let path = below(path, &quoted(&key.as_str().unwrap_or_default()));
        compare_members(None, Some(right), &path, found);
    }
}

fn compare_members(
    expected: Option<NodeRef<'_>>,
    actual: Option<NodeRef<'_>>,
    path: &str,
    found: &mut Vec<Difference>,
) {
    match (expected, actual) {
        (Some(expected), Some(actual)) => compare(expected, actual, path, found),
        _ => note(path, expected, actual, found),
    }
}

fn same_number(a: NodeRef<'_>, b: NodeRef<'_>) -> bool {
    // Integers beyond 2^53 are the same float as their neighbours.
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ => a.raw() == b.raw() || a.as_f64() == b.as_f64(),
    }
}

fn note(path: &str, expected: Option<NodeRef<'_>>, actual: Option<NodeRef<'_>>, found: &mut Vec<Difference>) {
    let text = |node: NodeRef<'_>| String::from_utf8_lossy(node.raw()).into_owned();
    found.push(Difference { path: path.to_owned(), expected: expected.map(text), actual: actual.map(text) });
}

fn below(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

/// A key as a segment of a path.
fn quoted(key: &str) -> String {
    let is_plain = !key.is_empty() && !key.contains(['.', ' ', '\'', '\\', '*']);
    match is_plain {
        true => key.to_owned(),
        false => format!("'{}'", key.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

/// Columns that a value may take on a line of its own.
const LINE_COLUMNS_MAX: usize = 100;

/// A document on lines that people can read and compare. Keys keep their order, strings and numbers their spelling.
pub fn pretty(node: NodeRef<'_>, indent: usize, out: &mut String) {
    let compact = compact(node);
    let is_list = matches!(node.kind(), Kind::Object | Kind::Array);
    if !is_list || indent + compact.chars().count() <= LINE_COLUMNS_MAX {
        out.push_str(&compact);
        return;
    }
    let (open, close) = if node.kind() == Kind::Object { ('{', '}') } else { ('[', ']') };
    let members: Vec<(Option<NodeRef<'_>>, NodeRef<'_>)> = match node.kind() {
        Kind::Object => node.entries().map(|(key, value)| (Some(key), value)).collect(),
        _ => node.items().map(|item| (None, item)).collect(),
    };
    let line = |indent: usize| format!("\n{}", " ".repeat(indent));
    out.push(open);
    for (at, (key, value)) in members.into_iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        out.push_str(&line(indent + 2));
        if let Some(key) = key {
            out.push_str(&String::from_utf8_lossy(key.raw()));
            out.push_str(": ");
        }
        pretty(value, indent + 2, out);
    }
    out.push_str(&line(indent));
    out.push(close);
}

/// On one line, with a space behind commas and colons.
fn compact(node: NodeRef<'_>) -> String {
    match node.kind() {
        Kind::Object => {
            let member = |(key, value): (NodeRef<'_>, NodeRef<'_>)| {
                format!("{}: {}", String::from_utf8_lossy(key.raw()), compact(value))
            };
            format!("{{{}}}", node.entries().map(member).collect::<Vec<_>>().join(", "))
        }
        Kind::Array => format!("[{}]", node.items().map(compact).collect::<Vec<_>>().join(", ")),
        _ => String::from_utf8_lossy(node.raw()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(expected: &str, actual: &str) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let line = |d: Difference| format!("{}: {} {}", d.path, shown(d.expected), shown(d.actual));
        differences_of_texts(expected, actual).into_iter().map(line).collect()
    }

    #[test]
    fn only_what_differs() {
        for (expected, actual, want) in [
            (r#"{"a": 1, "b": [true, null]}"#, r#"{"b":[true,null],"a":1.0}"#, &[][..]),
            (r#"{"a":"\u0041"}"#, r#"{"a":"A"}"#, &[]),
            (r#""keep""#, r#"{"drop":"x"}"#, &[r#": "keep" {"drop":"x"}"#]),
            (
                r#"{"a":{"b":[1,2,3]},"gone":1}"#,
                r#"{"a":{"b":[1,5]},"it's new":{}}"#,
                &["a.b.1: 2 5", "a.b.2: 3 -", "gone: 1 -", r"'it\'s new': - {}"],
            ),
            // A map would show the second one only.
            (r#"{"p":"[x]","p":"y"}"#, r#"{"p":"secret","p":"y"}"#, &[r#"p: "[x]" "secret""#]),
            ("9007199254740993", "9007199254740992", &[": 9007199254740993 9007199254740992"]),
            ("[true]", "[false]", &["0: true false"]),
            ("[null]", "[0]", &["0: null 0"]),
        ] {
            assert_eq!(diff(expected, actual), want, "{expected} {actual}");
        }
    }

    #[test]
    fn pretty_is_the_same_document() {
        let long =
            format!(r#"{{"b":{{"x":[1,{{"y":"{}"}}],"x":1e3}},"a":[],"é":"\u0041"}}"#, "z".repeat(100));
        let doc = Doc::parse(long.clone()).unwrap();
        let mut text = String::new();
        pretty(doc.root(), 0, &mut text);
        assert!(text.starts_with("{\n  \"b\": {\n    \"x\": [\n      1,\n      {\n"), "{text}");
        assert!(text.ends_with("    \"x\": 1e3\n  },\n  \"a\": [],\n  \"é\": \"\\u0041\"\n}"), "{text}");
        assert!(differences_of_texts(&long, &text).is_empty());
    }
}
