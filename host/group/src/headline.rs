//! What an issue list shows of an event: its title, culprit and type.

use host_event::{Doc, NodeRef};

/// Bytes of a title or culprit, cut at a character.
const TEXT_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headline {
    pub title: String,
    pub culprit: String,
    /// The type of the exception that the event is about; empty for a message.
    pub kind: String,
    /// Its value, or the message.
    pub value: String,
}

/// Reads the headline of an error event. The exception that counts is the last of the chain: the outermost.
pub fn headline(doc: &Doc) -> Headline {
    let root = doc.root();
    let exception = exceptions(root).and_then(|values| values.items().last());
    let text = |node: Option<NodeRef<'_>>, key| {
        node.and_then(|n| n.get(key)).and_then(NodeRef::as_text).map(|t| first_line(&t)).unwrap_or_default()
    };
    let kind = text(exception, "type");
    let value = if exception.is_some() { text(exception, "value") } else { message(root) };
    let title = match (kind.as_str(), value.as_str()) {
        ("", "") => "<unlabeled event>".to_owned(),
        ("", value) => value.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, value) => cut(format!("{kind}: {value}")),
    };
    let culprit = match text(Some(root), "transaction") {
        transaction if !transaction.is_empty() => transaction,
        _ => exception.and_then(culprit_of).unwrap_or_else(|| text(Some(root), "culprit")),
    };
    Headline { title, culprit, kind, value }
}

/// The list of exceptions, in either of the two forms that clients send.
fn exceptions(root: NodeRef<'_>) -> Option<NodeRef<'_>> {
    let exception = root.get("exception")?;
    exception.get("values").or(Some(exception)).filter(|list| list.items().next().is_some())
}

fn message(root: NodeRef<'_>) -> String {
    let entry = root.get("logentry").or_else(|| root.get("message"));
    let text = entry.and_then(|e| {
        e.get("formatted").or_else(|| e.get("message")).unwrap_or(e).as_text().map(|t| first_line(&t))
    });
    text.unwrap_or_default()
}

/// `function in module` of the innermost frame of the application, else of the innermost frame.
fn culprit_of(exception: NodeRef<'_>) -> Option<String> {
    let frames: Vec<_> = exception.dig(&["stacktrace", "frames"])?.items().collect();
    let in_app = |f: &&NodeRef<'_>| f.get("in_app").and_then(NodeRef::as_bool) == Some(true);
    let frame = frames.iter().rev().find(in_app).or(frames.last())?;
    let text = |key| frame.get(key).and_then(NodeRef::as_str);
    let place = text("module").or_else(|| text("filename"))?;
    Some(match text("function") {
        Some(function) => cut(format!("{place} in {function}")),
        None => cut(place.into_owned()),
    })
}

fn first_line(text: &str) -> String {
    cut(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_culprits() {
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(300));
        let cases = [
            (
                r#"{"exception":{"values":[{"type":"A","value":"a"},{"type":"B","value":"b\nc","stacktrace":{"frames":[
                {"function":"main","module":"app","in_app":true},{"function":"lib","module":"dep","in_app":false}]}}]}}"#,
                "B: b",
                "app in main",
            ),
            (r#"{"exception":[{"type":"KeyError"}],"transaction":"/x"}"#, "KeyError", "/x"),
            (r#"{"logentry":{"message":"hi %s","formatted":"hi you"}}"#, "hi you", ""),
            (r#"{"message":"plain","culprit":"old"}"#, "plain", "old"),
            (r#"{"exception":{"values":[]},"message":{"formatted":"m"}}"#, "m", ""),
            (r#"{"exception":{"values":null}}"#, "<unlabeled event>", ""),
            ("[]", "<unlabeled event>", ""),
        ];
        for (event, title, culprit) in cases {
            let h = headline(&Doc::parse(event).unwrap());
            assert_eq!((h.title.as_str(), h.culprit.as_str()), (title, culprit), "{event}");
        }
        let h = headline(&Doc::parse(long).unwrap());
        assert!(h.title.len() <= TEXT_BYTES_MAX && h.title.ends_with("é…"));
    }
}
