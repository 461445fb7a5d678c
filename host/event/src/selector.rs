//! A set of values in an event, as scrubbers and grants write it: `$error.value || extra.**.token`. The grammar stands in
//! the WIT.

use std::cell::Cell;

use thiserror::Error;

use crate::columns::{OwnStep, steps_of};
use crate::limits::PATH_BYTES_MAX;
use crate::path::{Segment, Source, Word, read_word};
use crate::way::Way;
use crate::{Doc, Kind, Path};

/// A parsed selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    root: Term,
    /// Whether it names a primitive type. If not, it selects strings only.
    typed: bool,
    /// Whether it names an index, so that `*` in a path does not say enough.
    indexed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Or(Vec<Term>),
    And(Vec<Term>),
    Not(Box<Term>),
    Pattern(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// In lower case.
    Key(Vec<u8>),
    Index(u64),
    One,
    Any,
    Type(Primitive),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Primitive {
    String,
    Number,
    Boolean,
    Object,
    Array,
}

/// One step from the root of an event to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a [u8]),
    /// An element; `None` where the index is not known.
    Element(Option<u64>),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("selector {selector:?}: {what} at character {at}")]
pub struct SelectorError {
    pub selector: String,
    pub at: usize,
    pub what: String,
}

/// Sentry's names for places, and where those are in an event.
const PLACES: [(&str, &[&str]); 20] = [
    ("event", &[""]),
    ("log", &[""]),
    ("error", &["exception.values.*"]),
    ("exception", &["exception.values.*"]),
    ("logentry", &["logentry", "message"]),
    ("message", &["logentry", "message"]),
    ("http", &["request"]),
    ("request", &["request"]),
    ("frame", &["**.frames.*"]),
    ("stack", &["**.stacktrace", "stacktrace"]),
    ("user", &["user"]),
    ("sdk", &["sdk"]),
    ("breadcrumb", &["breadcrumbs.values.*"]),
    ("span", &["spans.*"]),
    ("thread", &["threads.values.*"]),
    ("contexts", &["contexts"]),
    ("tags", &["tags"]),
    ("extra", &["extra"]),
    ("debug_meta", &["debug_meta"]),
    ("geo", &["user.geo"]),
];

const PRIMITIVES: [(&str, Primitive); 5] = [
    ("string", Primitive::String),
    ("number", Primitive::Number),
    ("boolean", Primitive::Boolean),
    ("object", Primitive::Object),
    ("array", Primitive::Array),
];

impl Selector {
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { chars: text.chars().peekable(), length: text.chars().count(), depth: 0 };
        let parsed = match text.len() > PATH_BYTES_MAX {
            true => Err(format!("longer than {PATH_BYTES_MAX} bytes")),
            false => parser.whole(),
        };
        let root = parsed.map_err(|what| SelectorError {
            selector: text.chars().take(200).collect(),
            at: parser.position(),
            what,
        })?;
        let typed = root.has(&|p| matches!(p, Part::Type(_)));
        let indexed = root.has(&|p| matches!(p, Part::Index(_)));
        Ok(Selector { root, typed, indexed })
    }

    /// Whether it can match values of this kind at all.
    pub(crate) fn may_match(&self, kind: Kind) -> bool {
        kind == Kind::String || (self.typed && kind != Kind::Null)
    }

    /// Whether it names the value of that kind at the end of these steps. Means nothing once the work is spent.
    pub(crate) fn matches(&self, steps: &[Step<'_>], kind: Kind, work: &Work) -> bool {
        self.may_match(kind) && self.root.matches(steps, kind, Unknown::Differs, work)
    }

    /// The same of all values at the end of these steps, of whose elements the indices are not known.
    pub(crate) fn verdict(&self, steps: &[Step<'_>], kind: Kind, work: &Work) -> Verdict {
        if self.matches(steps, kind, work) {
            return Verdict::Yes;
        }
        let may = self.indexed && self.may_match(kind) && self.root.matches(steps, kind, Unknown::Same, work);
        if may { Verdict::ByIndex } else { Verdict::No }
    }

    /// Whether anything below these steps can be named at all. `false` is certain, `true` is not.
    pub(crate) fn may_match_below(&self, steps: &[Step<'_>], work: &Work) -> bool {
        self.root.may_match_below(steps, work)
    }

    /// Whether a stage that was granted this selector may read that path. What the host itself knows is free to read.
    pub fn grants_path(&self, path: &Path) -> bool {
        if path.source != Source::Document {
            return true;
        }
        let steps: Vec<_> = path.segments.iter().map(step_of).collect();
        self.root.matches(&steps, Kind::String, Unknown::Differs, &Work::unbounded())
    }

    /// The same for all that is below that path, for a subtree as JSON.
    pub fn grants_subtree(&self, path: &Path) -> bool {
        self.grants_path(path) && (path.source != Source::Document || !self.root.has_negation())
    }

    /// Whether it may know how many elements are under that path: whoever may read something of each element sees how many there are.
    pub fn grants_size(&self, path: &Path) -> bool {
        if self.grants_path(path) {
            return true;
        }
        let element = Step::Element(None);
        let steps: Vec<_> = path.segments.iter().map(step_of).chain([element]).collect();
        let work = Work::unbounded();
        // What is excluded somewhere may be all there is.
        !self.root.has_negation()
            && (self.root.matches(&steps, Kind::String, Unknown::Differs, &work)
                || self.root.may_match_below(&steps, &work))
    }

    /// What it grants of a document, for edits.
    pub fn grants_in<'a>(&'a self, doc: &'a Doc) -> Grants<'a> {
        Grants { selector: self, way: Way::new(doc) }
    }

    /// Whether it names everything.
    pub fn is_everything(&self) -> bool {
        self.root == Term::Pattern(vec![Part::Any])
    }
}

/// What a selector grants of one document.
#[derive(Debug)]
pub struct Grants<'a> {
    selector: &'a Selector,
    way: Way<'a>,
}

impl Grants<'_> {
    /// Whether the selector names that node, by the same way by which `leaves` comes to it; without a type, of whatever kind the
    /// node is. Nodes are best asked about in their order.
    pub fn node(&mut self, id: u32) -> bool {
        if self.selector.is_everything() {
            return true;
        }
        let Some(way) = self.way.to(id) else { return false };
        let (Some(steps), Some(stop)) = (steps_of(way), way.last()) else { return false };
        let steps: Vec<_> = steps.iter().map(OwnStep::as_step).collect();
        self.selector.root.matches(&steps, stop.node.kind(), Unknown::Differs, &Work::unbounded())
    }
}

fn step_of(segment: &Segment) -> Step<'_> {
    match segment {
        Segment::Key(key) | Segment::Header(key) => Step::Key(key.as_bytes()),
        Segment::Index(index) => Step::Element(u64::try_from(*index).ok()),
        Segment::Star => Step::Element(None),
    }
}

impl Term {
    fn has(&self, test: &impl Fn(&Part) -> bool) -> bool {
        match self {
            Term::Or(terms) | Term::And(terms) => terms.iter().any(|t| t.has(test)),
            Term::Not(term) => term.has(test),
            Term::Pattern(parts) => parts.iter().any(test),
        }
    }

    fn may_match_below(&self, steps: &[Step<'_>], work: &Work) -> bool {
        match self {
            Term::Or(terms) => terms.iter().any(|t| t.may_match_below(steps, work)),
            Term::And(terms) => terms.iter().all(|t| t.may_match_below(steps, work)),
            Term::Not(_) => true,
            Term::Pattern(parts) => may_match_below(parts, steps, work),
        }
    }

    fn has_negation(&self) -> bool {
        match self {
            Term::Or(terms) | Term::And(terms) => terms.iter().any(Term::has_negation),
            Term::Not(_) => true,
            Term::Pattern(_) => false,
        }
    }

    fn matches(&self, steps: &[Step<'_>], kind: Kind, unknown: Unknown, work: &Work) -> bool {
        match self {
            Term::Or(terms) => terms.iter().any(|t| t.matches(steps, kind, unknown, work)),
            Term::And(terms) => terms.iter().all(|t| t.matches(steps, kind, unknown, work)),
            Term::Not(term) => !term.matches(steps, kind, unknown.opposite(), work),
            Term::Pattern(parts) => matches_pattern(parts, steps, kind, unknown, work),
        }
    }
}

/// What is taken of an index that is not known. With `Differs` a selector names only what it names whatever the index is, with
/// `Same` all that it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Same,
    Differs,
}

impl Unknown {
    /// What may be excluded is not named for certain.
    fn opposite(self) -> Unknown {
        match self {
            Unknown::Same => Unknown::Differs,
            Unknown::Differs => Unknown::Same,
        }
    }
}

/// What a selector says of a path without indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    No,
    Yes,
    /// Of some elements yes.
    ByIndex,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Verdict {
        if yes { Verdict::Yes } else { Verdict::No }
    }
}

/// What is left of the steps that may be compared.
#[derive(Debug)]
pub(crate) struct Work(Cell<u64>);

impl Work {
    pub(crate) fn new(steps: u64) -> Work {
        Work(Cell::new(steps))
    }

    /// For what an operator wrote, and for one path.
    pub(crate) fn unbounded() -> Work {
        Work::new(u64::MAX)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    pub(crate) fn spend(&self, steps: usize) {
        self.0.set(self.0.get().saturating_sub(steps as u64));
    }
}

/// `**` is to steps what `*` is to the characters of a glob, so one place to come back to is enough. That is no more than parts times steps.
fn matches_pattern(parts: &[Part], steps: &[Step<'_>], kind: Kind, unknown: Unknown, work: &Work) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut back = None;
    while s < steps.len() && !work.is_spent() {
        work.spend(1);
        match parts.get(p) {
            Some(Part::Any) => {
                back = Some((p + 1, s));
                p += 1;
            }
            Some(part) if part.matches(steps[s], s + 1 == steps.len(), kind, unknown) => {
                (p, s) = (p + 1, s + 1)
            }
            _ => {
                let Some((part, step)) = back else { return false };
                (p, s) = (part, step + 1);
                back = Some((part, step + 1));
            }
        }
    }
    parts[p.min(parts.len())..].iter().all(|part| *part == Part::Any)
}

/// Up to its first `**` a pattern is matched step by step; from there on it can match anything.
fn may_match_below(parts: &[Part], steps: &[Step<'_>], work: &Work) -> bool {
    for (i, step) in steps.iter().enumerate() {
        work.spend(1);
        match parts.get(i) {
            Some(Part::Any) => return true,
            Some(Part::Index(_)) if matches!(step, Step::Element(_)) => {}
            Some(part) if part.matches(*step, false, Kind::Object, Unknown::Same) => {}
            _ => return false,
        }
    }
    parts.len() > steps.len()
}

impl Part {
    fn matches(&self, step: Step<'_>, last: bool, kind: Kind, unknown: Unknown) -> bool {
        match (self, step) {
            (Part::Key(key), Step::Key(name)) => name.eq_ignore_ascii_case(key),
            (Part::Index(index), Step::Element(Some(i))) => *index == i,
            (Part::Index(_), Step::Element(None)) => unknown == Unknown::Same,
            (Part::Index(index), Step::Key(name)) => name == index.to_string().as_bytes(),
            (Part::One, _) => true,
            (Part::Type(primitive), _) => last && primitive.is(kind),
            _ => false,
        }
    }
}

impl Primitive {
    fn is(self, kind: Kind) -> bool {
        match self {
            Primitive::String => kind == Kind::String,
            Primitive::Number => kind == Kind::Number,
            Primitive::Boolean => matches!(kind, Kind::True | Kind::False),
            Primitive::Object => kind == Kind::Object,
            Primitive::Array => kind == Kind::Array,
        }
    }
}

struct Parser<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    length: usize,
    depth: usize,
}

/// Parentheses and negations within each other.
const DEPTH_MAX: usize = 32;

impl Parser<'_> {
    fn position(&mut self) -> usize {
        self.length - self.chars.clone().count() + 1
    }

    fn space(&mut self) {
        while self.chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
    }

    fn whole(&mut self) -> Result<Term, String> {
        let term = self.or()?;
        match self.chars.peek() {
            None => Ok(term),
            Some(c) => Err(format!("{c:?} is not expected here")),
        }
    }

    fn operator(&mut self, c: char) -> Result<bool, String> {
        self.space();
        if self.chars.next_if_eq(&c).is_none() {
            return Ok(false);
        }
        let second = self.chars.next_if_eq(&c);
        second.map(|_| true).ok_or_else(|| format!("expected a second `{c}`"))
    }

    fn or(&mut self) -> Result<Term, String> {
        let mut terms = vec![self.and()?];
        while self.operator('|')? {
            terms.push(self.and()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::Or(terms) })
    }

    fn and(&mut self) -> Result<Term, String> {
        let mut terms = vec![self.not()?];
        while self.operator('&')? {
            terms.push(self.not()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Term::And(terms) })
    }

    fn not(&mut self) -> Result<Term, String> {
        self.space();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} negations and parentheses within each other"));
        }
        let term = if self.chars.next_if_eq(&'!').is_some() {
            Term::Not(Box::new(self.not()?))
        } else if self.chars.next_if_eq(&'(').is_some() {
            let term = self.or()?;
            self.space();
            self.chars.next_if_eq(&')').ok_or("expected `)`")?;
            term
        } else {
            self.pattern()?
        };
        self.depth -= 1;
        self.space();
        Ok(term)
    }

    fn pattern(&mut self) -> Result<Term, String> {
        let stop = |c: char| matches!(c, '.' | '&' | '|' | '!' | '(' | ')') || c.is_ascii_whitespace();
        let mut words = vec![read_word(&mut self.chars, stop)?];
        while self.chars.next_if_eq(&'.').is_some() {
            words.push(read_word(&mut self.chars, stop)?);
        }
        let (first, rest) = words.split_first().ok_or("a segment is empty")?;
        let rest: Vec<Part> = rest.iter().map(part).collect::<Result<_, _>>()?;
        let Some(name) = type_name(first) else {
            let mut parts = vec![part(first)?];
            parts.extend(rest);
            return Ok(Term::Pattern(parts));
        };
        if let Some((_, primitive)) = PRIMITIVES.iter().find(|(n, _)| *n == name) {
            return match rest.is_empty() {
                true => Ok(Term::Pattern(vec![Part::Any, Part::Type(*primitive)])),
                false => {
                    Err(format!("nothing can be inside of a value of the type ${name}: write `**.…` instead"))
                }
            };
        }
        let place = PLACES.iter().find(|(n, _)| *n == name);
        let (_, places) = place.ok_or_else(|| unknown_type(name))?;
        let patterns = places.iter().map(|place| {
            let words = place.split('.').filter(|w| !w.is_empty());
            let mut parts: Vec<Part> = words.map(plain_part).collect();
            parts.extend(rest.iter().cloned());
            Term::Pattern(parts)
        });
        Ok(Term::Or(patterns.collect()))
    }
}

fn type_name(word: &Word) -> Option<&str> {
    if word.quoted { None } else { word.text.strip_prefix('$') }
}

fn unknown_type(name: &str) -> String {
    let known: Vec<_> = PRIMITIVES.iter().map(|(n, _)| *n).chain(PLACES.iter().map(|(n, _)| *n)).collect();
    format!("there is no type ${name}; there are ${}", known.join(" $"))
}

fn part(word: &Word) -> Result<Part, String> {
    if word.quoted {
        return Ok(Part::Key(word.text.to_ascii_lowercase().into_bytes()));
    }
    match type_name(word) {
        None => Ok(plain_part(&word.text)),
        Some(name) => {
            let found = PRIMITIVES.iter().find(|(n, _)| *n == name);
            found.map(|(_, p)| Part::Type(*p)).ok_or_else(|| unknown_type(name))
        }
    }
}

fn plain_part(text: &str) -> Part {
    match text {
        "**" => Part::Any,
        "*" => Part::One,
        _ => match text.parse() {
            Ok(index) => Part::Index(index),
            Err(_) => Part::Key(text.to_ascii_lowercase().into_bytes()),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(path: &str) -> Vec<Step<'_>> {
        path.split('.')
            .map(|w| match w.parse() {
                Ok(index) => Step::Element(Some(index)),
                Err(_) if w == "*" => Step::Element(None),
                Err(_) => Step::Key(w.as_bytes()),
            })
            .collect()
    }

    #[test]
    fn selects() {
        use Kind::{Number, Object, String};
        let cases = [
            ("**", "a.b", String, true),
            ("**", "a.b", Number, false),
            ("$number", "a.b", Number, true),
            ("$string || $object", "a.b", Object, true),
            ("a.*", "a.b", String, true),
            ("a.*", "a.b.c", String, false),
            ("a.**", "a.b.c", String, true),
            ("a.**.c", "a.c", String, true),
            ("a.**.c.**.e", "a.c.c.d.e", String, true),
            ("a.**.c.**.e", "a.d.e", String, false),
            ("**.Password", "a.PASSWORD", String, true),
            ("$error.value", "exception.values.*.value", String, true),
            ("$error.value", "exception.values.3.value", String, true),
            ("$frame.vars.**", "exception.values.*.stacktrace.frames.*.vars.x", String, true),
            ("$frame.vars", "threads.values.*.stacktrace.frames.*.function", String, false),
            ("$http.headers.'x.y'", "request.headers.z", String, false),
            ("$string && !(a.** || b)", "a.x", String, false),
            ("$string && !(a.** || b)", "c", String, true),
            ("!$string", "c", Number, true),
            ("a.1.b", "a.1.b", String, true),
            ("a.1.b", "a.2.b", String, false),
            ("user.$number", "user.id", Number, true),
            ("user.$number", "user.id", String, false),
            ("a || b && c", "a", String, true),
            ("$log.body", "body", String, true),
        ];
        for (selector, path, kind, want) in cases {
            let parsed = Selector::parse(selector).unwrap();
            assert_eq!(
                parsed.matches(&steps(path), kind, &Work::unbounded()),
                want,
                "{selector} on {path} ({kind:?})"
            );
        }
    }

    #[test]
    fn says_where_nothing_can_be() {
        let cases = [
            ("**", "a.b", true),
            ("user.ip", "user", true),
            ("user.ip", "extra", false),
            ("user.ip", "user.ip", false),
            ("$string && (user.ip || a.*.c)", "a.b", true),
            ("$string && (user.ip || a.*.c)", "b.b", false),
            ("$error.value", "exception.values.*", true),
            ("$error.value", "exception.values.*.stacktrace", false),
            ("!a", "a.b", true),
            ("a.3.b", "a.*", true),
            ("a.$string", "a.b", false),
        ];
        for (selector, path, want) in cases {
            let parsed = Selector::parse(selector).unwrap();
            assert_eq!(
                parsed.may_match_below(&steps(path), &Work::unbounded()),
                want,
                "{selector} below {path}"
            );
        }
    }

    #[test]
    fn work_is_counted() {
        let selector = Selector::parse("**.a.a.a.b || x").unwrap();
        let path = steps("a.a.a.a.a.a.a.a");
        let work = Work::new(1000);
        assert!(!selector.matches(&path, Kind::String, &work));
        // Three steps forward and one back, for every place of the first `a`.
        assert!((970..990).contains(&work.0.get()), "{work:?}");
        let little = Work::new(5);
        assert!(!selector.matches(&path, Kind::String, &little) && little.is_spent());
    }

    #[test]
    fn refuses_and_says_where() {
        let cases = [
            ("", 1, "a segment is empty"),
            ("a &", 4, "expected a second `&`"),
            ("a && ", 6, "a segment is empty"),
            ("(a", 3, "expected `)`"),
            ("a b", 3, "'b' is not expected here"),
            ("a)", 2, "')' is not expected here"),
            ("$string.a", 10, "nothing can be inside of a value of the type $string: write `**.…` instead"),
        ];
        for (selector, at, what) in cases {
            let error = Selector::parse(selector).unwrap_err();
            assert_eq!((error.at, error.what.as_str()), (at, what), "{selector}");
        }
        assert!(Selector::parse("$freeform").unwrap_err().what.contains("there is no type $freeform"));
        assert!(Selector::parse(&"!".repeat(100)).is_err() && Selector::parse(&"(".repeat(4000)).is_err());
    }

    #[test]
    fn grants() {
        let doc = Doc::parse(r#"{"user":{"id":"1","email":"e"},"l":[["a"]]}"#).unwrap();
        let cases = [
            ("**", "user", true, true),
            ("user.**", "user", true, true),
            ("user.id", "user", false, false),
            ("user.id", "user.id", true, true),
            ("** && !user.email", "user.email", false, false),
            ("** && !user.email", "user", true, false),
            ("l.*", "l.0", true, true),
            ("l.0", "l.*", false, false),
            ("** && !l.0", "l.1", true, false),
            ("** && !l.0", "l.0", false, false),
            // What is read may be what is excluded.
            ("** && !l.0", "l.*", false, false),
            ("** && !l.0", "l.-1", false, false),
            ("** && !(l.* && !l.0)", "l.*", false, false),
            ("nothing", "$meta.sdk", true, true),
        ];
        for (grant, path, reads, reads_below) in cases {
            let (selector, parsed) = (Selector::parse(grant).unwrap(), Path::parse(path).unwrap());
            assert_eq!(
                (selector.grants_path(&parsed), selector.grants_subtree(&parsed)),
                (reads, reads_below),
                "{grant} {path}"
            );
        }
        for (grant, path, granted) in [
            ("exception.values.*.type", "exception.values", true),
            ("exception.values.*.type", "exception", false),
            ("exception.values.*.stacktrace.frames.*.module", "exception.values.*.stacktrace.frames", true),
            ("exception.**", "exception.values", true),
            ("user.email", "user", false),
            ("user.*", "user", true),
            ("l.0", "l", false),
            ("** && !user.**", "user", false),
        ] {
            let (selector, parsed) = (Selector::parse(grant).unwrap(), Path::parse(path).unwrap());
            assert_eq!(selector.grants_size(&parsed), granted, "{grant} {path}");
        }
        let email = doc.root().dig(&["user", "email"]).unwrap().id();
        assert!(Selector::parse("user.*").unwrap().grants_in(&doc).node(email));
        assert!(!Selector::parse("user.id").unwrap().grants_in(&doc).node(email));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in r"[a$*.!&|()' 0-9\\]{0,40}") {
            if let Ok(selector) = Selector::parse(&text) {
                selector.matches(&steps("a.a.0.a"), Kind::String, &Work::unbounded());
            }
        }
    }
}
