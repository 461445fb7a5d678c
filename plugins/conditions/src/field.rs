//! What conditions call the fields of an event, and where they are.

use tamis_plugin::Item;

use crate::time::parse_seconds;

/// Where a name's value is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Paths, of which the first that has a value counts.
    paths: Vec<String>,
    kind: FieldKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Plain,
    /// Always text in an event, also where it is a number: a tag, a header, a key of the trace header.
    Textual,
    /// Milliseconds between the two paths.
    Duration,
}

/// Names that are not the path they look like.
const ALIASES: &[(&str, &[&str])] = &[
    ("exceptions", &["exception.values"]),
    ("threads", &["threads.values"]),
    ("breadcrumbs", &["breadcrumbs.values"]),
    (
        "message",
        &["logentry.formatted", "logentry.message", "message.formatted", "message.message", "message"],
    ),
    // Spans and logs of the newer clients have these as attributes.
    ("transaction", &["transaction", "attributes.'sentry.segment.name'.value"]),
    ("release", &["release", "attributes.'sentry.release'.value"]),
    ("environment", &["environment", "attributes.'sentry.environment'.value"]),
    ("transaction.source", &["transaction_info.source"]),
    ("user.segment", &["user.segment", "user.data.segment"]),
    ("user.name", &["user.name", "user.username"]),
    ("client_ip", &["$meta.client_ip"]),
    ("id", &["$meta.event_id"]),
    ("project_id", &["$meta.project_id"]),
    ("category", &["$meta.category"]),
];

/// The same for the envelope's trace header, whose keys are flat.
const TRACE_ALIASES: &[(&str, &str)] = &[
    ("user.id", "user_id"),
    ("user.segment", "user_segment"),
    ("replayId", "replay_id"),
    ("publicKey", "public_key"),
    ("sampleRate", "sample_rate"),
];

impl Field {
    /// The field that a name within an event names; `within` is true for a name relative to an item of `any` or `all`.
    pub(crate) fn named(name: &str, within: bool) -> Result<Field, String> {
        let field = Field::parse(name, within)?;
        // What the host can not parse would end every batch, and let its events through.
        match field.paths.iter().find_map(|path| check_path(path).err()) {
            None => Ok(field),
            Some(what) => Err(format!("name {name:?}: {what}")),
        }
    }

    fn parse(name: &str, within: bool) -> Result<Field, String> {
        if name.is_empty() {
            return Err("the name is empty".into());
        }
        if within {
            // What Sentry's own rules call the type of an exception.
            return Ok(Field::plain([if name == "ty" { "type" } else { name }]));
        }
        if name.starts_with("$meta.") || name.starts_with("$trace.") {
            return Ok(Field { kind: FieldKind::Textual, ..Field::plain([name]) });
        }
        let (scope, rest) = name.split_once('.').unwrap_or((name, ""));
        match scope {
            _ if rest.is_empty() => Err(unknown(name)),
            "trace" => {
                let alias = TRACE_ALIASES.iter().find(|(alias, _)| *alias == rest);
                let key = alias.map_or(rest, |(_, key)| key);
                let path = format!("$trace.{}", quoted_if_needed(key));
                Ok(Field { kind: FieldKind::Textual, ..Field::plain([path.as_str()]) })
            }
            "event" => Ok(in_event(rest)),
            "span" | "log" => Ok(in_item(scope, rest)),
            _ => Err(unknown(name)),
        }
    }

    fn plain<'a>(paths: impl IntoIterator<Item = &'a str>) -> Field {
        Field { paths: paths.into_iter().map(str::to_owned).collect(), kind: FieldKind::Plain }
    }

    pub(crate) fn text<'a>(&self, of: &Item<'a>) -> Option<&'a str> {
        match self.kind {
            FieldKind::Duration => None,
            _ => self.paths.iter().find_map(|path| of.text(path)),
        }
    }

    pub(crate) fn number(&self, of: &Item<'_>) -> Option<f64> {
        match self.kind {
            FieldKind::Plain => self.paths.iter().find_map(|path| of.number(path)),
            FieldKind::Textual => self.text(of)?.trim().parse().ok(),
            FieldKind::Duration => {
                let [start, end] = self.paths.as_slice() else { return None };
                Some((seconds(of, end)? - seconds(of, start)?) * 1000.0)
            }
        }
    }

    pub(crate) fn flag(&self, of: &Item<'_>) -> Option<bool> {
        match self.text(of)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Whether there is any value; an object or a list counts.
    pub(crate) fn is_present(&self, of: &Item<'_>) -> bool {
        match self.kind {
            FieldKind::Duration => self.number(of).is_some(),
            _ => self.text(of).is_some() || self.paths.iter().any(|path| of.count(path) > 0),
        }
    }

    /// The path of a list, for `any` and `all`.
    pub(crate) fn list(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }
}

fn unknown(name: &str) -> String {
    format!(
        "name {name:?} is not known; names begin with `event.`, `trace.`, `span.`, `log.`, `$meta.` or `$trace.`"
    )
}

fn in_event(rest: &str) -> Field {
    if let Some((_, paths)) = ALIASES.iter().find(|(alias, _)| *alias == rest) {
        return Field::plain(paths.iter().copied());
    }
    if rest == "duration" {
        return Field { kind: FieldKind::Duration, ..Field::plain(["start_timestamp", "timestamp"]) };
    }
    // A tag's or header's key is one key, whatever dots are in it.
    for place in ["tags.", "request.headers."] {
        if let Some(key) = rest.strip_prefix(place) {
            let path = format!("{place}{}", quoted_if_needed(key));
            return Field { kind: FieldKind::Textual, ..Field::plain([path.as_str()]) };
        }
    }
    Field::plain([rest])
}

/// Spans and logs have attributes, whose keys have dots, and which are `{"type": ..., "value": ...}`.
fn in_item(scope: &str, rest: &str) -> Field {
    if scope == "span" && rest == "duration" {
        return Field { kind: FieldKind::Duration, ..Field::plain(["start_timestamp", "end_timestamp"]) };
    }
    match rest.strip_prefix("attributes.") {
        Some(key) => Field::plain([format!("attributes.{}.value", quoted_if_needed(key)).as_str()]),
        None => Field::plain([rest]),
    }
}

/// The columns that begin with `$meta.`, as the WIT has them.
const META: &[&str] =
    &["project_id", "received_at", "category", "event_id", "environment", "client_ip", "user_agent", "sdk"];
/// Bytes of a path that the host reads.
const PATH_BYTES_MAX: usize = 4096;

/// Whether the host takes the path, by the grammar in the WIT.
fn check_path(path: &str) -> Result<(), String> {
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("longer than {PATH_BYTES_MAX} bytes"));
    }
    if let Some(column) = path.strip_prefix("$meta.").filter(|column| !META.contains(column)) {
        return Err(format!("there is no $meta.{column}; there are {}", META.join(", ")));
    }
    let mut rest = path;
    let mut words = 0;
    loop {
        words += 1;
        let end = match rest.strip_prefix('\'') {
            Some(quoted) => 1 + end_of_quoted(quoted).ok_or("a quote is not closed")?,
            None => rest.find('.').unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            return Err("a part between dots is empty".into());
        }
        if !word.starts_with('\'') && word.contains('\'') {
            return Err("a quote stands in the middle of a part".into());
        }
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() && path.starts_with('$') && words > 2 => {
                return Err("what the host knows has one part behind `$meta` or `$trace`".into());
            }
            None if behind.is_empty() => return Ok(()),
            None => return Err("a dot is missing behind a quote".into()),
        }
    }
}

/// Where a quoted key ends, behind its closing quote.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '\'' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn quoted_if_needed(key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let is_quoted = key.len() > 1 && key.starts_with('\'') && key.ends_with('\'');
    if is_quoted || (key.chars().all(is_plain) && key.parse::<i64>().is_err()) {
        return key.to_owned();
    }
    format!("'{}'", key.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn seconds(of: &Item<'_>, path: &str) -> Option<f64> {
    of.number(path).or_else(|| parse_seconds(of.text(path)?))
}
