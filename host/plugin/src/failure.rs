//! Why a call into a guest failed, told apart by what the operator does about it.

use std::fmt::Write;

use thiserror::Error;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::host::Host;
use crate::limits::{HANDLES_MAX, INSTANCES_MAX, LOG_TAIL_BYTES_MAX, Limits, STACK_BYTES_MAX};
use crate::text;
use crate::watch::Frame;

/// A call that gave no answer. `reason` is the short key that metrics and quarantine carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    /// Everything at once, for one line.
    pub(crate) detail: String,
    pub(crate) cause: String,
    /// The guest's stack, innermost first.
    pub(crate) frames: Vec<Frame>,
}

/// Every reason a fault can have; metrics count by the index.
pub const REASONS: [&str; 14] = [
    "trap",
    "deadline",
    "memory",
    "table",
    "stack",
    "handles",
    "instances",
    "wrong-answer",
    "answer-too-large",
    "path",
    "grant",
    "host-limit",
    "start",
    "breaker-open",
];

/// What the host itself has to object to, raised inside of a host function or by the check of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Objection {
    #[error("{0}")]
    Path(String),
    #[error("{what} was not granted ({which} = {granted:?})")]
    Grant { what: String, which: &'static str, granted: String },
    #[error("more than {max} {what} in one call ({limit})")]
    HostLimit { limit: &'static str, what: &'static str, max: u64 },
    #[error("{0}")]
    Answer(String),
}

impl Objection {
    fn reason(&self) -> &'static str {
        match self {
            Objection::Path(_) => "path",
            Objection::Grant { .. } => "grant",
            Objection::HostLimit { .. } => "host-limit",
            Objection::Answer(_) => "wrong-answer",
        }
    }
}

/// Frames of a guest's stack that a report shows.
const FRAMES_MAX: usize = 12;
/// Bytes of a trace that are looked at: names are the guest's to choose.
const TRACE_BYTES_MAX: usize = 64 << 10;
/// Bytes of a name that is demangled. Those of the longest generic Rust functions have some thousands.
const MANGLED_BYTES_MAX: usize = 16 << 10;

impl Failure {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Failure {
        let detail = detail.into();
        Failure { reason, cause: detail.clone(), detail, frames: Vec::new() }
    }

    /// Tells from the error of a call, and from what its store noted meanwhile, what went wrong.
    pub(crate) fn of(error: &wasmtime::Error, host: &Host, limits: &Limits) -> Failure {
        let (reason, cause) = classify(error, host, limits);
        let cause = text::line(&cause);
        let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        let mut detail = cause.clone();
        if !frames.is_empty() {
            let names = Frame::behind_a_panic(&frames).iter().map(|frame| frame.function.as_str());
            let names: Vec<&str> = names.take(FRAMES_MAX).collect();
            write!(detail, "; in {}", names.join(" < ")).expect("a String takes everything");
        }
        let tail = text::cut_front(host.log_tail(), LOG_TAIL_BYTES_MAX);
        if !tail.is_empty() {
            write!(detail, "; it wrote: {}", text::lines(tail)).expect("a String takes everything");
        }
        Failure { reason, detail, cause, frames }
    }
}

fn classify(error: &wasmtime::Error, host: &Host, limits: &Limits) -> (&'static str, String) {
    if let Some(objection) = error.downcast_ref::<Objection>() {
        return (objection.reason(), objection.to_string());
    }
    // A guest that is refused memory may go on without it, and fail at something else.
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => ("deadline", format!("no answer within {}", host.time_max())),
        Some(Trap::StackOverflow) => {
            ("stack", format!("more than {STACK_BYTES_MAX} bytes of stack (stack_bytes_max)"))
        }
        _ if host.memory_refused() => {
            ("memory", format!("more than {} bytes of memory (memory_bytes_max)", limits.memory_bytes_max))
        }
        _ if host.table_refused() => {
            let max = limits.table_elements_max;
            ("table", format!("more than {max} elements of tables (table_elements_max)"))
        }
        Some(trap) => ("trap", trap.to_string()),
        None => classify_by_text(&error.root_cause().to_string(), limits),
    }
}

/// What wasmtime has no type for. None of these texts holds anything of the guest's.
fn classify_by_text(cause: &str, limits: &Limits) -> (&'static str, String) {
    if cause.contains("fuel allocated for hostcalls") {
        let max = limits.answer_bytes_max;
        return (
            "answer-too-large",
            format!("more than {max} bytes of an answer or of arguments (answer_bytes_max)"),
        );
    }
    if cause.contains("store handle limit exceeded") {
        return ("handles", format!("more than {HANDLES_MAX} handles of resources (handles_max)"));
    }
    if cause.contains("resource limit exceeded") {
        let what = "core instances, memories or tables";
        return ("instances", format!("more than {INSTANCES_MAX} {what} (instances_max)"));
    }
    ("wrong-answer", format!("what it gave can not be read: {cause}"))
}

/// The functions of a stack. Names are demangled only in the text of a trace: a line `N: ADDRESS - MODULE!NAME` for each
/// function, or without the module a line for it and one for each function that was inlined there, if debug sections tell.
fn frames(trace: &WasmBacktrace) -> Vec<Frame> {
    let is_long = |name: Option<&str>| name.is_some_and(|name| name.len() > MANGLED_BYTES_MAX);
    if trace.frames().iter().any(|frame| is_long(frame.func_name()) || is_long(frame.module().name())) {
        // No compiler writes them, and a demangler need not see them.
        return trace.frames().iter().map(as_named).collect();
    }
    let text = text::shown(trace, TRACE_BYTES_MAX);
    let mut names = text.lines().filter_map(|line| line.split_once(" - ").map(|(_, name)| name));
    let mut frames = Vec::new();
    for frame in trace.frames() {
        if frame.symbols().is_empty() {
            let place = names.next().unwrap_or_default();
            let function = text::name(&plain(place.split_once('!').map_or(place, |(_, name)| name)));
            frames.push(Frame { function, file: None, line: None });
        }
        for symbol in frame.symbols() {
            let function = text::name(&plain(names.next().unwrap_or_default()));
            frames.push(Frame { function, file: symbol.file().map(str::to_owned), line: symbol.line() });
        }
    }
    frames
}

fn as_named(frame: &FrameInfo) -> Frame {
    Frame { function: text::name(frame.func_name().unwrap_or_default()), file: None, line: None }
}

/// A demangled name without what tells apart crates and instances of one name: `std[a88812da5ee6ad9e]::f`, `f::haaedabb7a2b897fa`.
fn plain(name: &str) -> String {
    const DIGITS: usize = 16;
    let is_hash = |text: &str| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match name.rsplit_once("::h") {
        Some((front, hash)) if is_hash(hash) => front,
        _ => name,
    };
    let mut parts = name.split('[');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => out.push_str(rest),
            _ => out.extend(["[", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_hashes() {
        for (name, want) in [
            ("std[a88812da5ee6ad9e]::process::abort", "std::process::abort"),
            ("<a::B as c[0123456789abcdef]::D>::f::haaedabb7a2b897fa", "<a::B as c::D>::f"),
            ("f::<[u8; 4]>::hello", "f::<[u8; 4]>::hello"),
            ("a[b", "a[b"),
            ("main.filter", "main.filter"),
        ] {
            assert_eq!(plain(name), want);
        }
    }

    #[test]
    fn what_ends_a_rust_program_is_passed_over() {
        let of = |names: &[&str]| -> Vec<Frame> {
            names.iter().map(|name| Frame { function: (*name).to_owned(), file: None, line: None }).collect()
        };
        let behind = |names: &[&str]| Frame::behind_a_panic(&of(names)).len();
        let panicked = [
            "abort",
            "std::process::abort",
            "__rustc::rust_panic",
            "core::result::unwrap_failed",
            "mine",
            "std::x",
        ];
        assert_eq!(behind(&panicked), 2);
        assert_eq!(behind(&["mine", "core::x"]), 2);
        assert_eq!(behind(&["core::x", "std::y"]), 2, "some is more than none");
        assert_eq!(behind(&[]), 0);
    }
}
