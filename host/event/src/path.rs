//! The name of one value in an event, as plugins write it: `exception.values.*.type`. The grammar stands in the WIT.

use thiserror::Error;

use crate::limits::PATH_BYTES_MAX;
use crate::{Kind, NodeRef};

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub(crate) source: Source,
    pub(crate) segments: Vec<Segment>,
}

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Document,
    /// `$trace`: the envelope's trace header.
    Trace,
    Meta(MetaField),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetaField {
    ProjectId,
    ReceivedAt,
    Category,
    EventId,
    Environment,
    ClientIp,
    UserAgent,
    Sdk,
}

const META_FIELDS: [(&str, MetaField); 8] = [
    ("project_id", MetaField::ProjectId),
    ("received_at", MetaField::ReceivedAt),
    ("category", MetaField::Category),
    ("event_id", MetaField::EventId),
    ("environment", MetaField::Environment),
    ("client_ip", MetaField::ClientIp),
    ("user_agent", MetaField::UserAgent),
    ("sdk", MetaField::Sdk),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    /// A key that is compared without regard to ASCII case: a header's.
    Header(String),
    Index(i64),
    Star,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("path {path:?}: {what}")]
pub struct PathError {
    pub path: String,
    pub what: String,
}

impl Path {
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let fail = |what: String| PathError { path: text.chars().take(200).collect(), what };
        if text.len() > PATH_BYTES_MAX {
            return Err(fail(format!("longer than {PATH_BYTES_MAX} bytes")));
        }
        let words = split_words(text).map_err(fail)?;
        if let Some(Word { text: first, quoted: false }) = words.first()
            && first.starts_with('$')
        {
            return host_path(&words).map_err(fail);
        }
        let mut segments: Vec<Segment> = words.into_iter().map(segment).collect();
        if let [Segment::Key(a), Segment::Key(b), Segment::Key(name), ..] = segments.as_slice()
            && a == "request"
            && b == "headers"
        {
            segments[2] = Segment::Header(name.clone());
        }
        Ok(Path { source: Source::Document, segments })
    }

    /// The path up to and with its last star, and the rest. `None` if it has no star.
    pub(crate) fn split_at_last_star(&self) -> Option<(&[Segment], &[Segment])> {
        let star = self.segments.iter().rposition(|s| *s == Segment::Star)?;
        Some(self.segments.split_at(star + 1))
    }
}

fn segment(word: Word) -> Segment {
    match word.text.parse() {
        _ if word.quoted => Segment::Key(word.text),
        Ok(index) => Segment::Index(index),
        Err(_) if word.text == "*" => Segment::Star,
        Err(_) => Segment::Key(word.text),
    }
}

fn host_path(words: &[Word]) -> Result<Path, String> {
    match words {
        [Word { text: head, .. }, key] if head == "$trace" => {
            Ok(Path { source: Source::Trace, segments: vec![Segment::Key(key.text.clone())] })
        }
        [Word { text: head, .. }, key] if head == "$meta" => {
            let field = META_FIELDS.iter().find(|(name, _)| *name == key.text);
            let (_, field) = field.ok_or_else(|| {
                let known: Vec<_> = META_FIELDS.iter().map(|(name, _)| *name).collect();
                format!("no such column; there are $meta.{{{}}}", known.join(", "))
            })?;
            Ok(Path { source: Source::Meta(*field), segments: Vec::new() })
        }
        _ => Err("a path of the host's is `$meta.NAME` or `$trace.KEY`".into()),
    }
}

/// A part of a dotted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub text: String,
    pub quoted: bool,
}

/// Splits at dots; `'...'` is one word whatever is in it.
fn split_words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        words.push(read_word(&mut chars, |c| c == '.')?);
        match chars.next() {
            None => return Ok(words),
            Some('.') => {}
            Some(c) => return Err(format!("expected `.` and found {c:?}")),
        }
    }
}

/// Reads one word up to the end, or to a character that `stop` names.
pub(crate) fn read_word(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    stop: impl Fn(char) -> bool,
) -> Result<Word, String> {
    let mut text = String::new();
    if chars.next_if_eq(&'\'').is_some() {
        loop {
            match chars.next() {
                Some('\'') => return Ok(Word { text, quoted: true }),
                Some('\\') => text.push(chars.next().ok_or("a quote is not closed")?),
                Some(c) => text.push(c),
                None => return Err("a quote is not closed".into()),
            }
        }
    }
    while let Some(c) = chars.next_if(|c| !stop(*c)) {
        if c == '\'' {
            return Err("a quote must begin a segment".into());
        }
        text.push(c);
    }
    if text.is_empty() { Err("a segment is empty".into()) } else { Ok(Word { text, quoted: false }) }
}

/// Follows segments without stars.
pub(crate) fn follow<'a>(from: NodeRef<'a>, segments: &[Segment]) -> Option<NodeRef<'a>> {
    let mut node = from;
    for segment in segments {
        node = match segment {
            Segment::Key(key) => member(node, key, false)?,
            Segment::Header(key) => member(node, key, true)?,
            Segment::Index(index) => node.item(*index)?,
            Segment::Star => return None,
        };
    }
    (node.kind() != Kind::Null).then_some(node)
}

/// A member by key, also of what stands for an object: a list of pairs, and `values` of a list that came without it.
fn member<'a>(node: NodeRef<'a>, key: &str, ignore_case: bool) -> Option<NodeRef<'a>> {
    let is_key = |k: NodeRef<'_>| match ignore_case {
        true => k.as_str().is_some_and(|k| k.eq_ignore_ascii_case(key)),
        false => k.is(key.as_bytes()),
    };
    match node.kind() {
        Kind::Object if !ignore_case => node.get(key),
        Kind::Object => node.entries().filter(|(k, _)| is_key(*k)).last().map(|(_, v)| v),
        Kind::Array if key == "values" && pairs(node).next().is_none() => Some(node),
        Kind::Array => pairs(node).filter(|(k, _)| is_key(*k)).last().map(|(_, v)| v),
        _ => None,
    }
}

/// The elements of an array that are `[string, value]`.
pub(crate) fn pairs<'a>(array: NodeRef<'a>) -> impl Iterator<Item = (NodeRef<'a>, NodeRef<'a>)> {
    array.items().filter_map(|pair| {
        let mut parts = pair.items();
        let (key, value, more) = (parts.next()?, parts.next()?, parts.next());
        (key.kind() == Kind::String && more.is_none()).then_some((key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Doc;

    #[test]
    fn parses_and_refuses() {
        for good in [
            "a",
            "a.b.0.-1.*",
            "tags.'my.tag'",
            "'it\\'s'",
            "$meta.sdk",
            "$trace.trace_id",
            "request.headers.X",
        ] {
            assert!(Path::parse(good).is_ok(), "{good}");
        }
        let cases = [
            ("", "a segment is empty"),
            ("a..b", "a segment is empty"),
            ("a.", "a segment is empty"),
            ("'a", "a quote is not closed"),
            ("a'b'", "a quote must begin a segment"),
            ("'a'b", "expected `.` and found 'b'"),
            ("$meta", "a path of the host's is `$meta.NAME` or `$trace.KEY`"),
            ("$other.x", "a path of the host's is `$meta.NAME` or `$trace.KEY`"),
        ];
        for (bad, what) in cases {
            assert_eq!(Path::parse(bad).unwrap_err().what, what, "{bad}");
        }
        assert!(Path::parse("$meta.clock").unwrap_err().what.contains("received_at"));
        assert!(Path::parse(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn follows_what_clients_send() {
        let doc = Doc::parse(
            r#"{"tags":[["region","eu"],["x",null]],"request":{"headers":[["user-agent","curl"]]},"exception":[{"type":"E"}],
            "threads":{"values":[1,2]},"user":{"id":null},"a":{"1":"one"}}"#,
        )
        .unwrap();
        let cases = [
            ("tags.region", Some("eu")),
            ("tags.x", None),
            ("tags.y", None),
            ("request.headers.User-Agent", Some("curl")),
            ("exception.values.0.type", Some("E")),
            ("exception.0.type", Some("E")),
            ("threads.values.-1", Some("2")),
            ("user.id", None),
            ("a.'1'", Some("one")),
            ("a.1", None),
        ];
        for (path, want) in cases {
            let path_ = Path::parse(path).unwrap();
            let found = follow(doc.root(), &path_.segments).and_then(NodeRef::as_text);
            assert_eq!(found.as_deref(), want, "{path}");
        }
    }
}
