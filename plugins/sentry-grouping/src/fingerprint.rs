//! Fingerprints that somebody chose: the client, a rule of the server, or a built-in one; and the variables in them.

use std::borrow::Cow;

use conditions::Glob;
use tamis_plugin::Event;

use crate::lines::{Term, rules, term, words};
use crate::parameterize::normalize;
use crate::platform::Family;

/// What rules and variables can speak of.
pub struct Facts<'a> {
    event: Event<'a>,
    kind: Option<&'a str>,
    value: Option<&'a str>,
    message: Option<&'a str>,
    /// The frame of the crash: the last of the last exception.
    frame: Option<tamis_plugin::Frame<'a>>,
}

impl<'a> Facts<'a> {
    pub fn of(event: &Event<'a>) -> Facts<'a> {
        let last = event.exceptions().last();
        Facts {
            event: *event,
            kind: last.and_then(|e| e.text("type")),
            value: last.and_then(|e| e.text("value")),
            message: ["logentry.formatted", "logentry.message", "message"].iter().find_map(|p| event.text(p)),
            frame: last.and_then(|e| {
                let frames: Vec<_> = e.frames().collect();
                let in_app = frames.iter().rev().find(|f| f.flag("in_app") == Some(true));
                in_app.or(frames.last()).copied()
            }),
        }
    }

    /// A part of a fingerprint with its variable put in.
    pub fn expand(&self, part: &str) -> String {
        let Some(name) = variable(part) else { return part.to_owned() };
        let of_frame = |key| self.frame.and_then(|f| f.text(key));
        let found: Option<Cow<'_, str>> = match name {
            "type" | "error.type" => self.kind.map(Cow::Borrowed),
            "value" | "error.value" => self.value.map(Cow::Borrowed),
            "message" => self.value.or(self.message).map(|message| {
                let mut text = String::new();
                normalize(message, &mut text);
                Cow::Owned(text)
            }),
            "transaction" => self.event.text("transaction").map(Cow::Borrowed),
            "level" => self.event.text("level").map(Cow::Borrowed),
            "logger" => self.event.text("logger").map(Cow::Borrowed),
            "release" => self.event.text("release").map(Cow::Borrowed),
            "function" | "stack.function" => of_frame("function").map(Cow::Borrowed),
            "module" | "stack.module" => of_frame("module").map(Cow::Borrowed),
            "abs_path" | "stack.abs_path" => of_frame("abs_path").map(Cow::Borrowed),
            "package" | "stack.package" => of_frame("package").map(Cow::Borrowed),
            name => match name.strip_prefix("tags.") {
                Some(key) => self.event.tag(key).map(Cow::Borrowed),
                // A variable that nobody knows stands for itself.
                None => return part.to_owned(),
            },
        };
        found.map_or_else(|| format!("<no-{}>", name.rsplit('.').next().unwrap_or(name)), Cow::into_owned)
    }
}

/// The name in `{{ name }}`.
pub fn variable(part: &str) -> Option<&str> {
    Some(part.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim())
}

/// Rules that every project has: errors of loaders and renderers that differ in text and are one by nature.
pub fn builtin(facts: &Facts<'_>) -> Option<&'static str> {
    if Family::of(facts.event.text("platform")?) != Family::JavaScript {
        return None;
    }
    let (kind, value) = (facts.kind.unwrap_or_default(), facts.value.or(facts.message).unwrap_or_default());
    if kind == "ChunkLoadError" || value.starts_with("ChunkLoadError") || value.contains("Loading chunk") {
        return Some("chunkloaderror");
    }
    const HYDRATION: [&str; 5] = [
        "Hydration failed because",
        "Text content does not match server-rendered HTML",
        "There was an error while hydrating",
        "This Suspense boundary received an update before it finished hydrating",
        "did not match. Server:",
    ];
    HYDRATION.iter().any(|text| value.contains(text)).then_some("hydrationerror")
}

/// `type:DatabaseUnavailable -> system-down`, one a line; the first that matches decides.
#[derive(Debug, Default)]
pub struct ServerRules(Vec<ServerRule>);

#[derive(Debug)]
struct ServerRule {
    terms: Vec<(Term, Glob)>,
    parts: Vec<String>,
}

const KEYS: [&str; 16] = [
    "error.type",
    "type",
    "error.value",
    "value",
    "message",
    "logger",
    "level",
    "release",
    "transaction",
    "platform",
    "family",
    "app",
    "stack.function",
    "stack.module",
    "stack.abs_path",
    "stack.package",
];

impl ServerRules {
    pub fn parse(text: &str) -> Result<ServerRules, String> {
        let parsed = rules(text).map(|(number, line)| {
            server_rule(line).map_err(|what| format!("fingerprinting, line {number}: {what}"))
        });
        Ok(ServerRules(parsed.collect::<Result<_, _>>()?))
    }

    pub fn find(&self, facts: &Facts<'_>) -> Option<Vec<String>> {
        self.0.iter().find(|rule| rule.matches(facts)).map(|rule| rule.parts.clone())
    }
}

fn server_rule(line: &str) -> Result<ServerRule, String> {
    let (left, right) = line.split_once("->").ok_or_else(|| format!("{line:?} has no `->`"))?;
    let mut terms = Vec::new();
    for word in words(left)? {
        let term = term(&word).ok_or_else(|| format!("{word:?} is no matcher: write key:pattern"))?;
        if !KEYS.contains(&term.key.as_str()) && !term.key.starts_with("tags.") {
            return Err(format!(
                "there is no matcher {:?}; there are tags.KEY, {}",
                term.key,
                KEYS.join(", ")
            ));
        }
        let ignore_case = matches!(term.key.as_str(), "message" | "value" | "error.value");
        let glob = Glob::parse(&term.argument, ignore_case).map_err(|e| e.to_string())?;
        terms.push((term, glob));
    }
    let joined = join_variables(&words(right)?);
    // A title is for the interface, which there is none of here.
    let parts: Vec<String> = joined.into_iter().filter(|part| !part.starts_with("title=")).collect();
    match terms.is_empty() || parts.is_empty() {
        true => Err(format!("{line:?} needs a matcher and a fingerprint")),
        false => Ok(ServerRule { terms, parts }),
    }
}

/// `{{ default }}` is three words to a splitter at blanks.
fn join_variables(words: &[String]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut open = false;
    for word in words {
        match parts.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => parts.push(word.trim_end_matches(',').to_owned()),
        }
        open = parts.last().is_some_and(|p| p.starts_with("{{") && !p.contains("}}"));
    }
    parts.into_iter().map(|p| p.trim_end_matches(',').to_owned()).collect()
}

impl ServerRule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.terms.iter().all(|(term, glob)| matches(term, glob, facts) != term.negated)
    }
}

fn matches(term: &Term, glob: &Glob, facts: &Facts<'_>) -> bool {
    let event = &facts.event;
    let is = |text: Option<&str>| text.is_some_and(|t| glob.matches(t));
    let any_frame = |key: &str| event.texts(&format!("exception.values.*.stacktrace.frames.*.{key}")).any(is);
    match term.key.as_str() {
        "error.type" | "type" => event.texts("exception.values.*.type").any(is),
        "error.value" | "value" => event.texts("exception.values.*.value").any(is),
        "message" => is(facts.message) || event.texts("exception.values.*.value").any(is),
        "stack.function" => any_frame("function"),
        "stack.module" => any_frame("module"),
        "stack.abs_path" => any_frame("abs_path"),
        "stack.package" => any_frame("package"),
        "app" => any_frame("in_app"),
        "family" => Family::bits_of(&term.argument)
            .is_ok_and(|bits| bits & Family::of(event.text("platform").unwrap_or_default()).bit() != 0),
        key => match key.strip_prefix("tags.") {
            Some(tag) => is(event.tag(tag)),
            None => is(event.text(key)),
        },
    }
}
