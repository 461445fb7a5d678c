//! Finds the line that a plugin speaks of when it refuses its configuration.
//!
//! Plugins name the place as SDKs do: `projects.42.releases[1]: pattern "[b" ...`. They have seen JSON, so the line is found by
//! walking the TOML along that path, as far as it leads.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::line_at;

/// The line below `[stage.config]` that `message` names; `stage_line` is where the stage begins. Without a configuration that is
/// the stage.
pub fn line_of(text: &str, stage_line: usize, message: &str) -> usize {
    let (root, _) = DeTable::parse_recoverable(text);
    let stages = root.get_ref().get("stage").and_then(|stages| stages.get_ref().as_array());
    let here = |stage: &&Spanned<DeValue<'_>>| line_at(text, stage.span().start) == stage_line;
    let stage = stages.and_then(|stages| stages.iter().find(here));
    let config = stage.and_then(|stage| entry(stage.get_ref().as_table()?, "config"));
    config.map_or(stage_line, |(key, value)| line_at(text, follow(key, value, message).start))
}

/// A key's own place, and its value. A table's place may be a line further down, where it is written in parts.
fn entry<'v, 't>(table: &'v DeTable<'t>, key: &str) -> Option<(Range<usize>, &'v DeValue<'t>)> {
    table.get_key_value(key).map(|(key, value)| (key.span(), value.get_ref()))
}

/// Where the path at the front of `message` ends.
fn follow(here: Range<usize>, value: &DeValue<'_>, message: &str) -> Range<usize> {
    // Between two paths, the outer of serde and the inner of a condition, there is a colon.
    let rest = message.trim_start_matches([':', ' ', '.']);
    match value {
        DeValue::Table(table) => {
            let names = |key: &str| {
                rest.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[', ':']))
            };
            // Of keys with dots in them the longest is meant.
            let named = table.iter().filter_map(|(key, value)| Some((key, value, names(key.get_ref())?)));
            match named.min_by_key(|(.., rest)| rest.len()) {
                Some((key, value, rest)) => follow(key.span(), value.get_ref(), rest),
                None => quoted(rest).and_then(|key| entry(table, key)).map_or(here, |(key, _)| key),
            }
        }
        DeValue::Array(items) => {
            let item = rest.strip_prefix('[').and_then(|rest| {
                let (index, rest) = rest.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            });
            item.map_or(here, |(item, rest)| follow(item.span(), item.get_ref(), rest))
        }
        _ => here,
    }
}

/// What stands between the first backticks, which is how unknown keys are named.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[stage]]
name = "a"
[[stage]]
name = "b"
[stage.config]
releases = [
  "x",
  "[b",
]
[stage.config.rates]
"*" = 0.1
"a.b" = 2
[stage.config.projects.42]
web_crawler = true
[[stage.config.rules]]
id = 1
[[stage.config.rules]]
id = 2
condition = { op = "and", inner = [
    { op = "eq", name = "event.x" },
] }
[[stage]]
name = "c"
config = { rate = 5 }
"#;

    #[test]
    fn lines() {
        for (stage, message, want) in [
            (2, "rate: unknown field", 2),
            (4, "missing field `rates2`", 6),
            (4, "something else", 6),
            (4, "unknown key `nowhere`", 6),
            (4, "unknown key `releases`; there are conditions", 7),
            (4, "releases: invalid type", 7),
            (4, "releases[1]: pattern \"[b\": `[` is not closed", 9),
            (4, "releases[7]: what", 7),
            (4, "rates.*: this is 2", 12),
            (4, "rates.a.b: this is 2", 13),
            (4, "projects.42: unknown key `web_crawler`", 15),
            (4, "rules[1]: rule 2: samplingValue is missing", 18),
            (4, "rules[1].condition: inner[0]: `eq` needs a `value`", 21),
            (23, "rate: too much", 25),
            (99, "rate: too much", 99),
        ] {
            assert_eq!(line_of(TEXT, stage, message), want, "{message}");
        }
    }
}
