//! A report for people.

use std::fmt;
use std::path::Path;

use super::{BacktraceFrame, Differing, EventName, Failure, FileReport, GoldenReport, Inconsistency};
use crate::diff::Difference;
use crate::trial::LogLine;

/// Characters of a value that are shown.
const VALUE_MAX: usize = 300;
/// Characters of what a guest wrote at once: a traceback is one such line.
const LOG_LINE_MAX: usize = 4000;
/// Events that are named of those that fail for one reason.
const EVENTS_SHOWN_MAX: usize = 3;
/// Functions of a backtrace that are shown.
const FRAMES_MAX: usize = 12;

impl fmt::Display for GoldenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            write!(f, "{file}")?;
        }
        let Self { plugin, passed, failed, .. } = self;
        match failed {
            0 => writeln!(f, "{plugin}: {passed} passed"),
            _ => writeln!(f, "{plugin}: {passed} passed, {failed} failed"),
        }
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed { "ok" } else { "FAILED" };
        let plural = if self.events == 1 { "" } else { "s" };
        writeln!(f, "{verdict:<6} {} ({} event{plural})", self.file, self.events)?;
        if let Some(path) = &self.updated {
            writeln!(f, "  wrote {path}")?;
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "  {problem}")?;
        }
        write_failures(f, &self.failures)?;
        for Differing { event, differences } in &self.differences {
            writeln!(f, "  {event}")?;
            write_differences(f, differences, ["expected", "answered"])?;
        }
        for Inconsistency { event, asked, differences } in &self.inconsistencies {
            writeln!(
                f,
                "  {event}: asked {asked}, its answer is another: it must depend on nothing but the event"
            )?;
            write_differences(f, differences, ["in one batch", asked])?;
        }
        Ok(())
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} ({})", self.index, self.id)
    }
}

fn write_differences(
    f: &mut fmt::Formatter<'_>,
    differences: &[Difference],
    names: [&str; 2],
) -> fmt::Result {
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    for Difference { path, expected, actual } in differences {
        if !path.is_empty() {
            writeln!(f, "    {path}")?;
        }
        for (name, value) in names.iter().zip([expected, actual]) {
            let value = value.as_deref().map_or_else(|| "nothing".to_owned(), |value| cut(value, VALUE_MAX));
            writeln!(f, "      {name:<width$}  {value}")?;
        }
    }
    Ok(())
}

/// Those that differ in nothing but their events stand together: one mistake often fails them all.
pub(crate) fn write_failures(f: &mut fmt::Formatter<'_>, failures: &[Failure]) -> fmt::Result {
    let same = |a: &Failure, b: &Failure| {
        (&a.reason, &a.cause, &a.backtrace, &a.log) == (&b.reason, &b.cause, &b.backtrace, &b.log)
    };
    for (at, failure) in failures.iter().enumerate() {
        if failures[..at].iter().any(|before| same(before, failure)) {
            continue;
        }
        let events =
            failures[at..].iter().filter(|other| same(failure, other)).filter_map(|f| f.event.as_ref());
        let names: Vec<String> = events.map(ToString::to_string).collect();
        let who = match &names[..] {
            [] => "init".to_owned(),
            names if names.len() > EVENTS_SHOWN_MAX + 1 => {
                let more = names.len() - EVENTS_SHOWN_MAX;
                format!("{} and {more} more", names[..EVENTS_SHOWN_MAX].join(", "))
            }
            names => names.join(", "),
        };
        writeln!(f, "  {who} failed: {}: {}", failure.reason, failure.cause)?;
        if failure.reason == "grant" {
            writeln!(
                f,
                "    add it to what the plugin asks for: reads or writes in its plugin.toml, in Rust of export!"
            )?;
        }
        for LogLine { level, line } in &failure.log {
            let line = cut(&printable(line), LOG_LINE_MAX).replace('\n', "\n      ");
            writeln!(f, "    it wrote {level}: {line}")?;
        }
        for frame in failure.backtrace.iter().take(FRAMES_MAX) {
            writeln!(f, "    in {frame}")?;
        }
    }
    Ok(())
}

impl fmt::Display for BacktraceFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({}:{line})", near(file)),
            (Some(file), None) => write!(f, " ({})", near(file)),
            _ => Ok(()),
        }
    }
}

/// A path below the folder of the caller is shown from there.
fn near(file: &str) -> &str {
    let here = std::env::current_dir().unwrap_or_default();
    let inside = Path::new(file).strip_prefix(here).ok();
    inside.and_then(Path::to_str).filter(|inside| !inside.is_empty()).unwrap_or(file)
}

/// What a guest wrote, without what would make a terminal do things.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.trim_matches('\n').chars().map(shown).collect()
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
