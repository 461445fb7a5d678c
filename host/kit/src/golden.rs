//! Golden tests of a plugin: events in, answers out, in the real runtime and under the real limits.
//!
//! Every file is asked five times over: as one batch, the same batch again in the same instance, in two halves, and event by
//! event. A plugin is a function of its events: where batches begin and end, and what came before, must not show in an answer.

mod files;
mod render;

pub(crate) use render::{printable, write_failures};

use std::path::{Path, PathBuf};

use host_event::{Columns, Event};
use host_plugin::{Failed, Frame, LoadError, Seen};
use serde::Serialize;

use crate::diff::{Difference, differences_of_texts};
use crate::events::read_events;
use crate::trial::{Answered, Loaded, LogLine, Subject, Trouble, Workbench, ask, first_failure};
use files::Case;

pub use files::TestsError;

/// What to test.
#[derive(Debug, Clone)]
pub struct GoldenTests {
    /// The folder with the golden events.
    pub folder: PathBuf,
    /// What the plugin is configured with where a file has no configuration of its own [default: `config.json` of the folder].
    pub config: Option<String>,
    /// Only files with this in their names.
    pub filter: Option<String>,
    /// Write what the plugin answers as what is expected.
    pub update: bool,
}

/// What became of a plugin's golden tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoldenReport {
    pub plugin: String,
    pub version: String,
    pub kind: &'static str,
    pub passed: usize,
    pub failed: usize,
    pub files: Vec<FileReport>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FileReport {
    pub file: String,
    pub passed: bool,
    pub events: usize,
    /// The file of expectations, if it was written anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// Why there is nothing to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What failed in `init` or on an event.
    pub failures: Vec<Failure>,
    pub differences: Vec<Differing>,
    pub inconsistencies: Vec<Inconsistency>,
}

/// A call that gave no answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// Absent for `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventName>,
    pub reason: String,
    pub cause: String,
    /// The guest's functions, innermost first, without those of its language's library.
    pub backtrace: Vec<BacktraceFrame>,
    /// What it wrote before.
    pub log: Vec<LogLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BacktraceFrame {
    pub function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Which event of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventName {
    /// From 0, as in the file.
    pub index: usize,
    pub id: String,
}

/// An event whose answer is not the expected one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    pub event: EventName,
    pub differences: Vec<Difference>,
}

/// An answer that depends on more than its event. `expected` is what the whole batch gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inconsistency {
    pub event: EventName,
    /// How it was asked: `again in the same instance`, `in two halves`, `alone`.
    pub asked: &'static str,
    pub differences: Vec<Difference>,
}

impl GoldenReport {
    pub fn is_fine(&self) -> bool {
        self.failed == 0
    }
}

/// Runs the tests of a folder.
pub fn golden(
    subject: &Subject,
    workbench: &Workbench,
    tests: &GoldenTests,
) -> Result<GoldenReport, TestsError> {
    let cases = files::cases(&tests.folder, tests.filter.as_deref())?;
    let files: Vec<FileReport> =
        cases.iter().map(|case| file_report(subject, workbench, case, tests)).collect();
    let passed = files.iter().filter(|file| file.passed).count();
    Ok(GoldenReport {
        plugin: subject.name.clone(),
        version: subject.version.clone(),
        kind: subject.kind.as_str(),
        passed,
        failed: files.len() - passed,
        files,
    })
}

fn file_report(subject: &Subject, workbench: &Workbench, case: &Case, tests: &GoldenTests) -> FileReport {
    let mut report = FileReport { file: case.events.display().to_string(), ..FileReport::default() };
    if let Err(problem) = fill(&mut report, subject, workbench, case, tests) {
        report.problem = Some(problem);
    }
    report.passed = report.problem.is_none()
        && report.failures.is_empty()
        && report.differences.is_empty()
        && report.inconsistencies.is_empty();
    report
}

fn fill(
    report: &mut FileReport,
    subject: &Subject,
    workbench: &Workbench,
    case: &Case,
    tests: &GoldenTests,
) -> Result<(), String> {
    let events = read_events(&case.events).map_err(with_causes)?;
    report.events = events.len();
    let (config, of) = case.config(tests.config.as_deref())?;
    let loaded = match workbench.load(subject, &config) {
        Ok(loaded) => loaded,
        Err((LoadError::Init { reason, .. }, seen)) => {
            report.failures.push(failure(
                None,
                seen,
                Trouble { reason: reason.to_owned(), detail: String::new() },
            ));
            return Ok(());
        }
        Err((LoadError::Config { message, .. }, _)) => {
            return Err(format!("{of}: the plugin refuses it: {message}"));
        }
        Err((error, _)) => return Err(with_causes(error)),
    };
    let asked = Asked::all(&loaded, &events).map_err(with_causes)?;
    report.failures = asked.failures;
    report.inconsistencies = asked.inconsistencies;
    let answers = asked.answers;
    let is_sound = report.failures.is_empty() && report.inconsistencies.is_empty();
    if tests.update && is_sound {
        let answers: Vec<String> = answers.into_iter().filter_map(Result::ok).collect();
        report.updated = case.update(&answers)?;
        return Ok(());
    }
    let expected = match case.expected(events.len()) {
        // One thing after the other: it can not be written yet.
        Err(_) if !is_sound => return Ok(()),
        expected => expected?,
    };
    for (index, (expected, actual)) in expected.iter().zip(&answers).enumerate() {
        let Ok(actual) = actual else { continue };
        let differences = differences_of_texts(expected, actual);
        if !differences.is_empty() {
            report.differences.push(Differing { event: name(&events, index), differences });
        }
    }
    Ok(())
}

/// What the ways of asking give.
struct Asked {
    answers: Vec<Answered>,
    failures: Vec<Failure>,
    inconsistencies: Vec<Inconsistency>,
}

impl Asked {
    fn all(loaded: &Loaded, events: &[Event]) -> Result<Asked, LoadError> {
        let mut whole = loaded.instance()?;
        let answers = ask(&mut whole, &mut batch(events));
        let again = ask(&mut whole, &mut batch(events));
        let mut asked = Asked { answers, failures: Vec::new(), inconsistencies: Vec::new() };
        asked.compare(events, "again in the same instance", &again);

        let mut stage = loaded.instance()?;
        let (first, second) = events.split_at(events.len() / 2);
        let mut halves = ask(&mut stage, &mut batch(first));
        halves.extend(ask(&mut stage, &mut batch(second)));
        asked.compare(events, "in two halves", &halves);

        let mut stage = loaded.instance()?;
        let mut singles = Vec::new();
        for (index, event) in events.iter().enumerate() {
            loaded.seen();
            let answer = ask(&mut stage, &mut batch(std::slice::from_ref(event))).remove(0);
            if let Err(trouble) = &answer {
                asked.failures.push(failure(Some(name(events, index)), loaded.seen(), trouble.clone()));
            }
            singles.push(answer);
        }
        asked.compare(events, "alone", &singles);
        asked.add_failures_of_batches(events);
        Ok(asked)
    }

    fn compare(&mut self, events: &[Event], how: &'static str, others: &[Answered]) {
        for (index, pair) in self.answers.iter().zip(others).enumerate() {
            let differences = match pair {
                (Ok(whole), Ok(other)) => differences_of_texts(whole, other),
                (Err(_), Err(_)) => Vec::new(),
                (whole, other) => vec![Difference {
                    path: String::new(),
                    expected: Some(shown(whole)),
                    actual: Some(shown(other)),
                }],
            };
            if !differences.is_empty() {
                let event = name(events, index);
                self.inconsistencies.push(Inconsistency { event, asked: how, differences });
            }
        }
    }

    /// Failures that only a batch has: those of an event alone say more.
    fn add_failures_of_batches(&mut self, events: &[Event]) {
        for (index, answer) in self.answers.iter().enumerate() {
            let is_known = |failure: &Failure| failure.event.as_ref().is_some_and(|e| e.index == index);
            if let (Err(trouble), false) = (answer, self.failures.iter().any(is_known)) {
                self.failures.push(failure(Some(name(events, index)), Vec::new(), trouble.clone()));
            }
        }
    }
}

fn shown(answer: &Answered) -> String {
    match answer {
        Ok(answer) => answer.clone(),
        Err(trouble) => format!("no answer: {}", trouble.reason),
    }
}

fn batch(events: &[Event]) -> Columns {
    crate::batch_of(events.to_vec())
}

pub(crate) fn name(events: &[Event], index: usize) -> EventName {
    EventName { index, id: events[index].meta.event_id.to_string() }
}

/// From what was seen, else from what the stage said.
pub(crate) fn failure(event: Option<EventName>, seen: Vec<Seen>, trouble: Trouble) -> Failure {
    let (failed, log) = first_failure(seen);
    let (reason, cause, frames) = match failed {
        Some(Failed { reason, cause, frames }) => (reason.to_owned(), cause, frames),
        None => (trouble.reason, trouble.detail, Vec::new()),
    };
    // An interpreter without a name section says nothing that way; what it wrote does.
    let has_name = |name: &str| !name.starts_with("<wasm function") && !name.starts_with("adapter ");
    let named = || frames.iter().filter(|frame| has_name(&frame.function));
    // If there is nothing else, then the library is what went wrong.
    let has_own = named().any(|frame| !frame.is_of_a_library());
    let own = named().filter(|frame| !has_own || !frame.is_of_a_library()).cloned();
    let frame = |Frame { function, file, line }| BacktraceFrame { function, file, line };
    Failure { event, reason, cause, backtrace: own.map(frame).collect(), log }
}

/// An error and its causes on one line.
fn with_causes(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Where the golden events of a plugin are, given its folder or its component, which lies in that folder or in its `target`.
pub fn tests_of(plugin: &Path) -> PathBuf {
    // `tests` and not `./tests`, when it is the folder one is in.
    let plugin = plugin.strip_prefix(".").unwrap_or(plugin);
    if plugin.is_dir() || plugin.as_os_str().is_empty() {
        return plugin.join("tests");
    }
    let beside = plugin.parent().unwrap_or(Path::new(""));
    let of_build =
        beside.parent().filter(|_| beside.ends_with(crate::OUT)).map(|folder| folder.join("tests"));
    of_build.filter(|tests| tests.is_dir()).unwrap_or_else(|| beside.join("tests"))
}
