//! The variants of an event: what is hashed, in each way of looking at it.

use md5::{Digest, Md5};
use tamis_plugin::Event;

use crate::enhancements::Enhancements;
use crate::exceptions;
use crate::frames::{Scope, Stack, Thrown};
use crate::parameterize::normalize;

pub type Hash = String;

/// The variant of events that say nothing.
pub const FALLBACK: &str = "fallback";

/// One way of looking at an event. Its hash is the MD5 of all values in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub kind: &'static str,
    pub values: Vec<String>,
}

pub fn hash_of(values: impl IntoIterator<Item = impl AsRef<str>>) -> Hash {
    let mut digest = Md5::new();
    values.into_iter().for_each(|value| digest.update(value.as_ref()));
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    digest.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The variants of the first strategy that has something to say, in Sentry's order; the one that decides first.
pub fn of(event: &Event<'_>, rules: &Enhancements) -> Vec<Variant> {
    let platform = event.text("platform").unwrap_or("other");
    let strategies: [&dyn Fn() -> Vec<Variant>; 6] = [
        &|| exceptions(event, platform, rules),
        &|| thread(event, platform, rules),
        &|| stack_variants(&Stack::read(event.as_item(), platform, rules, &Thrown::default())),
        &|| template(event),
        &|| security(event),
        &|| message(event),
    ];
    let found = strategies.iter().map(|strategy| strategy()).find(|variants| !variants.is_empty());
    // Nothing to go by: all such events are one.
    found.unwrap_or_else(|| vec![Variant { kind: FALLBACK, values: Vec::new() }])
}

fn exceptions(event: &Event<'_>, platform: &str, rules: &Enhancements) -> Vec<Variant> {
    if event.count("exception.values") == 0 {
        return Vec::new();
    }
    let all = exceptions::of(event, platform, rules);
    let stacks = |scope| all.iter().map(|e| e.stack.values(scope)).collect::<Vec<_>>();
    let (of_app, of_system) = (stacks(Scope::App), stacks(Scope::System));
    let is_empty = |stacks: &[Vec<String>]| stacks.iter().all(Vec::is_empty);
    // A stack trace without a frame of the application is told by the system's frames alone.
    let is_told_by_system = is_empty(&of_app) && !is_empty(&of_system);
    let values = |scope, stacks: Vec<Vec<String>>| {
        let of_each = all.iter().zip(stacks).map(|(e, stack)| e.values_with(scope, stack));
        of_each.flatten().collect::<Vec<_>>()
    };
    let app = if is_told_by_system { Vec::new() } else { values(Scope::App, of_app) };
    variants(app, values(Scope::System, of_system))
}

fn variants(app: Vec<String>, system: Vec<String>) -> Vec<Variant> {
    let variant = |kind, values: Vec<String>| (!values.is_empty()).then_some(Variant { kind, values });
    variant("app", app).into_iter().chain(variant("system", system)).collect()
}

fn stack_variants(stack: &Stack<'_>) -> Vec<Variant> {
    variants(stack.values(Scope::App), stack.values(Scope::System))
}

/// The thread that crashed, else the current one, else the only one. Of several, none can be preferred.
fn thread(event: &Event<'_>, platform: &str, rules: &Enhancements) -> Vec<Variant> {
    if event.count("threads.values") == 0 {
        return Vec::new();
    }
    let threads: Vec<_> = event.threads().collect();
    let flagged = |flag| threads.iter().filter(|t| t.flag(flag) == Some(true)).copied().collect::<Vec<_>>();
    match (flagged("crashed").as_slice(), flagged("current").as_slice(), threads.as_slice()) {
        ([thread], ..) | (_, [thread], _) | (.., [thread]) => {
            stack_variants(&Stack::read(*thread, platform, rules, &Thrown::default()))
        }
        _ => Vec::new(),
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
    if event.count("csp") > 0 {
        let directive = event.text("csp.effective_directive").unwrap_or_default();
        let violated = event.text("csp.violated_directive").unwrap_or_default();
        let place = blocked_place(event.text("csp.blocked_uri").unwrap_or_default());
        let is_own_script = directive == "script-src" && place == OWN;
        let inline = ["'unsafe-inline'", "'unsafe-eval'"].into_iter().find(|word| violated.contains(word));
        let place = inline.filter(|_| is_own_script).map_or(place, str::to_owned);
        return default(vec![directive.to_owned(), place]);
    }
    for (salt, path) in [
        ("hpkp", "hpkp.hostname"),
        ("expect-staple", "expectstaple.hostname"),
        ("expect-ct", "expectct.hostname"),
    ] {
        if let Some(name) = event.text(path) {
            return default(vec![salt.to_owned(), name.to_owned()]);
        }
    }
    Vec::new()
}

/// What a policy calls the site itself.
const OWN: &str = "'self'";

/// The host that something was loaded from, or how it was made if there is none.
fn blocked_place(uri: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    match (scheme, host.unwrap_or_default()) {
        ("" | "'self'" | "self", "") => OWN.to_owned(),
        ("http" | "https", host) => host.to_owned(),
        (scheme, "") => format!("{scheme}:"),
        (scheme, host) => format!("{scheme}://{host}"),
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
