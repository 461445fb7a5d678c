//! Reads a TOML file key by key and collects every problem with its line, instead of stopping at the first.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    pub what: String,
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file.display(), self.what)?,
            line => write!(f, "{}:{line}: {}", self.file.display(), self.what)?,
        }
        match &self.suggestion {
            Some(suggestion) => write!(f, " ({suggestion})"),
            None => Ok(()),
        }
    }
}

/// A file that is being read.
pub struct File<'t> {
    path: PathBuf,
    text: &'t str,
    pub problems: Vec<Problem>,
}

impl<'t> File<'t> {
    pub fn new(path: impl Into<PathBuf>, text: &'t str) -> File<'t> {
        File { path: path.into(), text, problems: Vec::new() }
    }

    /// The top of the file; what can not be parsed is a problem, and the rest is read all the same.
    pub fn root(&mut self) -> Section<'t> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.report(error.span().unwrap_or(0..0), error.message().to_owned(), None);
        }
        Section { name: String::new(), span: 0..0, table: table.into_inner(), known: Vec::new() }
    }

    /// The line, counted from 1, on which a span begins.
    pub fn line(&self, span: &Range<usize>) -> usize {
        line_at(self.text, span.start)
    }

    pub fn report(&mut self, span: Range<usize>, what: impl Into<String>, suggestion: Option<String>) {
        let line = self.line(&span);
        self.problems.push(Problem { file: self.path.clone(), line, what: what.into(), suggestion });
    }
}

/// The line, counted from 1, of a byte.
pub fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// A table whose keys are taken out one by one. What is left in the end is a key that nobody knows.
pub struct Section<'t> {
    pub name: String,
    pub span: Range<usize>,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value and where it stands.
pub struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

impl<'t> Section<'t> {
    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Whether the key is there, whatever its value; only before it is taken.
    fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes a key whose value `read` understands, or reports what it should be.
    fn read<T>(
        &mut self,
        file: &mut File<'_>,
        key: &'static str,
        want: &str,
        read: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let found = self.take(key)?;
        let span = found.span();
        let Some(value) = read(found.get_ref()) else {
            file.report(span, format!("{} must be {want}", self.key(key)), None);
            return None;
        };
        Some(At { value, span })
    }

    pub fn text(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<String>> {
        self.read(file, key, "a string", |v| v.as_str().map(str::to_owned))
    }

    /// As `text`; that it is missing is a problem.
    pub fn required_text(
        &mut self,
        file: &mut File<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<At<String>> {
        self.require(file, key, example);
        self.text(file, key)
    }

    /// As `integer`; that it is missing is a problem.
    pub fn required_integer(
        &mut self,
        file: &mut File<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<At<u64>> {
        self.require(file, key, example);
        self.integer(file, key)
    }

    fn require(&self, file: &mut File<'_>, key: &str, example: &str) {
        if !self.has(key) {
            let suggestion = Some(format!("for example {key} = {example}"));
            file.report(self.span.clone(), format!("{} is missing", self.key(key)), suggestion);
        }
    }

    pub fn integer(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<u64>> {
        self.read(file, key, "a whole number", as_u64)
    }

    pub fn flag(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<bool>> {
        self.read(file, key, "true or false", DeValue::as_bool)
    }

    /// A number of bytes, also as `"64MiB"`.
    pub fn bytes(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<u64>> {
        self.read(file, key, "a number of bytes such as \"64MiB\" or 1048576", |v| {
            as_u64(v).or_else(|| parse_bytes(v.as_str()?))
        })
    }

    /// A duration such as `"500ms"` or `"60s"`.
    pub fn duration(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<Duration>> {
        self.read(file, key, "a duration such as \"500ms\", \"60s\" or \"5m\"", |v| {
            parse_duration(v.as_str()?)
        })
    }

    pub fn texts(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<Vec<String>>> {
        self.read(file, key, "a list of strings", |v| {
            v.as_array()?.iter().map(|v| v.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// Any value, as JSON.
    pub fn json(&mut self, file: &mut File<'_>, key: &'static str) -> Option<At<serde_json::Value>> {
        self.read(file, key, "a table", |v| Some(to_json(v)))
    }

    /// A table; an empty one if it is not there.
    pub fn section(&mut self, file: &mut File<'_>, key: &'static str) -> Section<'t> {
        let name = self.key(key);
        match self.take(key).map(|v| (v.span(), v.into_inner())) {
            Some((span, DeValue::Table(table))) => Section { name, span, table, known: Vec::new() },
            Some((span, _)) => {
                file.report(span.clone(), format!("{name} must be a table: [{name}]"), None);
                Section { name, span, table: DeTable::new(), known: Vec::new() }
            }
            None => Section { name, span: self.span.clone(), table: DeTable::new(), known: Vec::new() },
        }
    }

    /// A table, if it is there.
    pub fn section_if_there(&mut self, file: &mut File<'_>, key: &'static str) -> Option<Section<'t>> {
        let is_there = self.has(key);
        let section = self.section(file, key);
        is_there.then_some(section)
    }

    /// Everything that was not asked for, as text: keys of others, which may have dots in them, quoted or not.
    pub fn rest(&mut self, file: &mut File<'_>, want: &str) -> Vec<(String, At<String>)> {
        let mut found = Vec::new();
        let table = std::mem::replace(&mut self.table, DeTable::new());
        flatten(&self.name, "", table, file, want, &mut found);
        found
    }

    /// All `[[key]]` tables.
    pub fn sections(&mut self, file: &mut File<'_>, key: &'static str) -> Vec<Section<'t>> {
        let name = self.key(key);
        let Some(found) = self.take(key) else { return Vec::new() };
        let no_list = |file: &mut File<'_>, span| {
            let suggestion = Some(format!("write [[{name}]], with two brackets"));
            file.report(span, format!("{name} must be a list of tables"), suggestion);
        };
        let section = |span, table| Section { name: name.clone(), span, table, known: Vec::new() };
        let mut sections = Vec::new();
        match (found.span(), found.into_inner()) {
            (_, DeValue::Array(array)) => {
                for item in array {
                    match (item.span(), item.into_inner()) {
                        (span, DeValue::Table(table)) => sections.push(section(span, table)),
                        (span, _) => no_list(file, span),
                    }
                }
            }
            // One bracket too few. What is in it is read all the same, so that its own problems show too.
            (span, DeValue::Table(table)) => {
                no_list(file, span.clone());
                sections.push(section(span, table));
            }
            (span, _) => no_list(file, span),
        }
        sections
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, file: &mut File<'_>) {
        for (key, _) in &self.table {
            let nearest = nearest(key.get_ref(), self.known.iter().copied());
            let suggestion = nearest.map(|n| format!("did you mean {n}?"));
            let suggestion = suggestion.or_else(|| Some(format!("known are {}", self.known.join(", "))));
            file.report(key.span(), format!("unknown key {}", self.key(key.get_ref())), suggestion);
        }
    }
}

/// `a.b = 1` is a table of its own in TOML, and one name for who reads it.
fn flatten(
    section: &str,
    before: &str,
    table: DeTable<'_>,
    file: &mut File<'_>,
    want: &str,
    found: &mut Vec<(String, At<String>)>,
) {
    for (key, value) in table {
        let key = format!("{before}{}", key.get_ref());
        let span = value.span();
        let text = match value.into_inner() {
            DeValue::Table(inner) => {
                flatten(section, &format!("{key}."), inner, file, want, found);
                continue;
            }
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            _ => {
                file.report(span, format!("{section}.{key} must be {want}"), None);
                continue;
            }
        };
        found.push((key, At { value: text, span }));
    }
}

fn as_u64(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(s) => Value::String(s.to_string()),
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).map_or(Value::Null, Value::from),
        DeValue::Float(f) => f.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(d) => Value::String(d.to_string()),
        DeValue::Array(a) => a.iter().map(|v| to_json(v.get_ref())).collect(),
        DeValue::Table(t) => t.iter().map(|(k, v)| (k.get_ref().to_string(), to_json(v.get_ref()))).collect(),
    }
}

/// The ones that sizes are shown in come last, the largest at the end.
const UNITS: [(&str, u64); 8] = [
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

pub fn parse_bytes(text: &str) -> Option<u64> {
    let number = |digits: &str, unit: u64| digits.trim().parse::<u64>().ok()?.checked_mul(unit);
    let unit = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    match unit {
        Some((digits, unit)) => number(digits, unit),
        None => number(text.strip_suffix('B').unwrap_or(text), 1),
    }
}

/// As people write it: in the largest unit that it is a whole number of.
pub fn show_bytes(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match UNITS.iter().rev().find(fits) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

pub fn parse_duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..at].parse().ok()?;
    match &text[at..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

/// The known word that is most like this one, if one is at all.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|k| (distance(word, k), k)).min_by_key(|(d, _)| *d)?;
    (scored.0 <= 1 + word.len() / 4).then_some(scored.1)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        for (text, want) in [
            ("64MiB", Some(64 << 20)),
            ("10 kB", Some(10_000)),
            ("7", Some(7)),
            ("7B", Some(7)),
            ("MiB", None),
            ("-1", None),
        ] {
            assert_eq!(parse_bytes(text), want, "{text}");
        }
        for (text, want) in [
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("2m", Some(120_000)),
            ("5", None),
            ("s", None),
            ("1d", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), want, "{text}");
        }
    }

    #[test]
    fn every_problem_with_its_line() {
        let text = "a = 1\nb = \"x\"\n[s]\nliten = 5\nage = \"1d\"\n[[t]]\n";
        let mut file = File::new("f.toml", text);
        let mut root = file.root();
        assert_eq!(root.integer(&mut file, "a").unwrap().value, 1);
        assert!(root.integer(&mut file, "b").is_none());
        let mut section = root.section(&mut file, "s");
        assert!(section.text(&mut file, "listen").is_none());
        assert!(section.duration(&mut file, "age").is_none());
        section.finish(&mut file);
        for mut t in root.sections(&mut file, "t") {
            t.required_text(&mut file, "name", "\"n\"");
        }
        root.finish(&mut file);
        let lines: Vec<_> = file.problems.iter().map(ToString::to_string).collect();
        let want = [
            "f.toml:2: b must be a whole number",
            "f.toml:5: s.age must be a duration such as \"500ms\", \"60s\" or \"5m\"",
            "f.toml:4: unknown key s.liten (did you mean listen?)",
            "f.toml:6: t.name is missing (for example name = \"n\")",
        ];
        assert_eq!(lines, want);
    }
}
