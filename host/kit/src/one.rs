//! One event through a plugin: what it pulled, what it answered, what it wrote, and what that took.

use std::fmt;
use std::time::Instant;

use host_event::Event;
use host_plugin::{LoadError, Seen};
use serde::Serialize;

use crate::batch_of;
use crate::bench::{PulledColumn, median, summed, write_columns};
use crate::golden::{EventName, Failure, failure, name, printable, write_failures};
use crate::trial::{Answered, Loaded, LogLine, Subject, Trouble, Workbench, ask, first_failure, title};

/// Calls behind the first one.
const CALLS: usize = 20;

/// What a plugin did with one event, or with a few in one batch.
#[derive(Debug, Serialize)]
pub struct RunReport {
    pub plugin: String,
    pub version: String,
    pub kind: &'static str,
    pub answers: Vec<AnswerOfEvent>,
    /// In `init` or on an event.
    pub failures: Vec<Failure>,
    /// By the first call.
    pub pulled: Vec<PulledColumn>,
    /// Lines of `init` and of the first call.
    pub log: Vec<LogLine>,
    pub init_ms: f64,
    pub first_call_us: f64,
    /// The median of a few more.
    pub call_us: f64,
    pub memory_bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct AnswerOfEvent {
    pub event: EventName,
    /// As in files of expectations.
    pub answer: Box<serde_json::value::RawValue>,
}

impl RunReport {
    pub fn is_fine(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs the events as one batch. An error is a plugin that refuses its configuration, or that no host would take.
pub fn run_events(
    subject: &Subject,
    workbench: &Workbench,
    config: &str,
    events: &[Event],
) -> Result<RunReport, LoadError> {
    let mut report = RunReport {
        plugin: subject.name.clone(),
        version: subject.version.clone(),
        kind: subject.kind.as_str(),
        answers: Vec::new(),
        failures: Vec::new(),
        pulled: Vec::new(),
        log: Vec::new(),
        init_ms: 0.0,
        first_call_us: 0.0,
        call_us: 0.0,
        memory_bytes: 0,
    };
    let loaded = match workbench.load(subject, config) {
        Ok(loaded) => loaded,
        Err((LoadError::Init { reason, detail, .. }, seen)) => {
            report.log = first_failure(seen.clone()).1;
            report.failures.push(failure(None, seen, Trouble { reason: reason.to_owned(), detail }));
            return Ok(report);
        }
        Err((error, _)) => return Err(error),
    };
    let begun = Instant::now();
    let mut stage = loaded.instance()?;
    report.init_ms = begun.elapsed().as_secs_f64() * 1e3;
    report.log = first_failure(loaded.seen()).1;

    let mut columns = batch_of(events.to_vec());
    let begun = Instant::now();
    let answers = ask(&mut stage, &mut columns);
    report.first_call_us = begun.elapsed().as_secs_f64() * 1e6;
    report.memory_bytes = loaded.memory_bytes();
    let seen = loaded.seen();
    report.log.extend(first_failure(seen.clone()).1);
    report.pulled = summed(&first_pulls(&seen));
    if answers.iter().any(Result::is_err) {
        report.failures = failures(&loaded, events, answers)?;
        return Ok(report);
    }
    for (index, answer) in answers.into_iter().enumerate() {
        let answer = answer.ok().and_then(|json| serde_json::value::RawValue::from_string(json).ok());
        let event = name(events, index);
        report.answers.extend(answer.map(|answer| AnswerOfEvent { event, answer }));
    }
    let calls = (0..CALLS).map(|_| {
        columns.changed();
        let begun = Instant::now();
        ask(&mut stage, &mut columns);
        begun.elapsed().as_secs_f64() * 1e6
    });
    report.call_us = median(calls.collect());
    Ok(report)
}

/// Why there is no answer for some events of a batch. Of which event a backtrace is shows when it is asked about alone.
fn failures(loaded: &Loaded, events: &[Event], answers: Vec<Answered>) -> Result<Vec<Failure>, LoadError> {
    let mut failures = Vec::new();
    for (index, answer) in answers.into_iter().enumerate() {
        if let Err(trouble) = answer {
            let mut stage = loaded.instance()?;
            loaded.seen();
            ask(&mut stage, &mut batch_of(vec![events[index].clone()]));
            failures.push(failure(Some(name(events, index)), loaded.seen(), trouble));
        }
    }
    Ok(failures)
}

/// A call that failed is made again, with parts of its batch.
fn first_pulls(seen: &[Seen]) -> Vec<host_plugin::Pull> {
    let until_failed = seen.iter().take_while(|seen| !matches!(seen, Seen::Failed(_)));
    let pulls = until_failed.filter_map(|seen| match seen {
        Seen::Pull(pull) => Some(pull.clone()),
        _ => None,
    });
    pulls.collect()
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", title(&self.plugin, &self.version, self.kind))?;
        write_failures(f, &self.failures)?;
        for AnswerOfEvent { event, answer } in &self.answers {
            writeln!(f, "\n{event}")?;
            let pretty = host_event::Doc::parse(answer.get().to_owned()).map(|doc| {
                let mut text = String::new();
                crate::diff::pretty(doc.root(), 0, &mut text);
                text
            });
            writeln!(f, "{}", pretty.unwrap_or_else(|_| answer.get().to_owned()))?;
        }
        if !self.pulled.is_empty() {
            writeln!(f, "\npulled")?;
            write_columns(f, &self.pulled)?;
        }
        // What was written before a failure stands there.
        if !self.log.is_empty() && self.is_fine() {
            writeln!(f, "\nwrote")?;
            for LogLine { level, line } in &self.log {
                writeln!(f, "  {level:<5} {}", printable(line).replace('\n', "\n        "))?;
            }
        }
        if self.is_fine() {
            let Self { init_ms, first_call_us, call_us, memory_bytes, .. } = self;
            let mib = *memory_bytes as f64 / f64::from(1 << 20);
            writeln!(
                f,
                "\ninit {init_ms:.2} ms, first call {first_call_us:.0} µs, then {call_us:.1} µs, memory {mib:.1} MiB"
            )?;
        }
        Ok(())
    }
}
