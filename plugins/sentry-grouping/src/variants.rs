//! The variants of an event: what is hashed, in each way of looking at it.

use md5::{Digest, Md5};
use tamis_plugin::Event;

use crate::exceptions::{self, Scope, stack_values};
use crate::frames::{Enhancements, of_stack};
use crate::parameterize::normalize;

pub type Hash = String;

/// One way of looking at an event. Its hash is the MD5 of all values in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub kind: &'static str,
    pub values: Vec<String>,
}

pub fn hash_of(values: impl IntoIterator<Item = impl AsRef<str>>) -> Hash {
    let mut digest = Md5::new();
    values.into_iter().for_each(|value| digest.update(value.as_ref()));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The variants of the first strategy that has something to say, in Sentry's order; the one that decides first.
pub fn of(event: &Event<'_>, rules: &Enhancements) -> Vec<Variant> {
    let platform = event.text("platform").unwrap_or("other");
    let strategies: [&dyn Fn() -> Vec<Variant>; 6] = [
        &|| exceptions(event, platform, rules),
        &|| thread(event, platform, rules),
        &|| stack_variants(of_stack(event.as_item(), platform, rules)),
        &|| template(event),
        &|| security(event),
        &|| message(event),
    ];
    let found = strategies.iter().map(|strategy| strategy()).find(|variants| !variants.is_empty());
    // Nothing to go by: all such events are one.
    found.unwrap_or_else(|| vec![Variant { kind: "fallback", values: Vec::new() }])
}

fn exceptions(event: &Event<'_>, platform: &str, rules: &Enhancements) -> Vec<Variant> {
    if event.count("exception.values") == 0 {
        return Vec::new();
    }
    let all = exceptions::of(event, platform, rules);
    let has = |scope| all.iter().any(|e| !stack_values(&e.frames, scope).is_empty());
    let values = |scope| all.iter().flat_map(|e| e.values(scope)).collect::<Vec<_>>();
    // A stack trace without a frame of the application is told by the system's frames alone.
    let app = if has(Scope::App) || !has(Scope::System) { values(Scope::App) } else { Vec::new() };
    variants(app, values(Scope::System))
}

fn variants(app: Vec<String>, system: Vec<String>) -> Vec<Variant> {
    let variant = |kind, values: Vec<String>| (!values.is_empty()).then_some(Variant { kind, values });
    variant("app", app).into_iter().chain(variant("system", system)).collect()
}

fn stack_variants(frames: Vec<crate::frames::Frame<'_>>) -> Vec<Variant> {
    variants(stack_values(&frames, Scope::App), stack_values(&frames, Scope::System))
}

/// The thread that crashed, else the current one, else the only one.
fn thread(event: &Event<'_>, platform: &str, rules: &Enhancements) -> Vec<Variant> {
    if event.count("threads.values") == 0 {
        return Vec::new();
    }
    let threads: Vec<_> = event.threads().collect();
    let flagged = |flag| threads.iter().find(|t| t.flag(flag) == Some(true));
    let only = || threads.first().filter(|_| threads.len() == 1);
    match flagged("crashed").or_else(|| flagged("current")).or_else(only) {
        Some(thread) => stack_variants(of_stack(*thread, platform, rules)),
        None => Vec::new(),
    }
}

fn template(event: &Event<'_>) -> Vec<Variant> {
    let parts = ["template.filename", "template.context_line"].map(|path| event.text(path));
    default(parts.into_iter().flatten().map(str::to_owned).collect())
}

fn default(values: Vec<String>) -> Vec<Variant> {
    if values.is_empty() { Vec::new() } else { vec![Variant { kind: "default", values }] }
}

/// Reports of browsers about policies: what was violated, and where.
fn security(event: &Event<'_>) -> Vec<Variant> {
    if let Some(directive) = event.text("csp.effective_directive") {
        let blocked = event.text("csp.blocked_uri").unwrap_or_default();
        let violated = event.text("csp.violated_directive").unwrap_or_default();
        let inline = ["'unsafe-eval'", "'unsafe-inline'"].into_iter().find(|word| violated.contains(word));
        let place =
            inline.filter(|_| blocked.is_empty() || blocked == "self").unwrap_or_else(|| host(blocked));
        return default(vec![directive.to_owned(), place.to_owned()]);
    }
    for (salt, path) in [
        ("hpkp", "hpkp.hostname"),
        ("expect-ct", "expectct.hostname"),
        ("expect-staple", "expectstaple.hostname"),
    ] {
        if let Some(name) = event.text(path) {
            return default(vec![salt.to_owned(), name.to_owned()]);
        }
    }
    Vec::new()
}

fn host(uri: &str) -> &str {
    match uri.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#', ':']).next().unwrap_or(rest),
        None if uri.is_empty() || uri == "self" => "'self'",
        None => uri,
    }
}

fn message(event: &Event<'_>) -> Vec<Variant> {
    let paths = ["logentry.message", "logentry.formatted", "message.message", "message.formatted", "message"];
    let Some(message) = paths.iter().find_map(|path| event.text(path).filter(|m| !m.trim().is_empty()))
    else {
        return Vec::new();
    };
    let mut text = String::with_capacity(message.len());
    normalize(message, &mut text);
    default(vec![text])
}
