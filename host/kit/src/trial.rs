//! A plugin in the real runtime, loaded as a host would and watched: what `test`, `run` and `bench` have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use host_event::{Columns, Doc, apply_edits};
use host_pipeline::{Answer, Stage, StageAnswer, StageKind};
use host_plugin::{
    BadComponent, Compile, Failed, Limits, LoadError, PluginStage, Runtime, RuntimeConfig, Seen,
    StageFactory, StageSpec, Watch,
};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use crate::inspect;

#[derive(Debug, Error)]
pub enum TrialError {
    #[error("{path}: it can not be read")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}")]
    NotAPlugin { path: PathBuf, source: BadComponent },
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A component, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Subject {
    pub name: String,
    pub version: String,
    pub kind: StageKind,
    pub component: Arc<[u8]>,
    /// Selectors of what it may read and edit: what it asks for, else everything.
    pub reads: String,
    pub writes: String,
}

impl Subject {
    pub fn read(path: &Path) -> Result<Subject, TrialError> {
        let bytes = std::fs::read(path).map_err(|source| TrialError::Io { path: path.into(), source })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Subject::of(&name, bytes).map_err(|source| TrialError::NotAPlugin { path: path.into(), source })
    }

    /// `name` is for a component that does not say its own.
    pub fn of(name: &str, component: Vec<u8>) -> Result<Subject, BadComponent> {
        let kind = host_plugin::Interfaces::read(&component)?.check()?;
        let about = inspect(&component)?.about.unwrap_or_default();
        let name = if about.name.is_empty() { name.to_owned() } else { about.name };
        Ok(Subject {
            name,
            version: about.version,
            kind,
            component: component.into(),
            reads: grant(&about.reads),
            writes: grant(&about.writes),
        })
    }
}

/// One selector of many. What the host knows needs no grant.
fn grant(selectors: &[String]) -> String {
    let is_hosts = |selector: &&String| selector.starts_with("$meta.") || selector.starts_with("$trace.");
    let asked: Vec<String> =
        selectors.iter().filter(|selector| !is_hosts(selector)).map(|one| format!("({one})")).collect();
    match asked.is_empty() {
        true => "**".to_owned(),
        false => asked.join(" || "),
    }
}

/// What components are loaded into.
pub struct Workbench {
    runtime: Arc<Runtime>,
}

/// Whether the lines of a failing guest are looked for in its debug sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    Ignored,
    Found,
}

/// A plugin, ready to be asked.
pub struct Loaded {
    factory: StageFactory,
    watch: Arc<Watch>,
}

impl Workbench {
    /// `cache` is the folder of compiled components, which only its owner can write.
    pub fn new(cache: &Path, lines: Lines) -> Result<Workbench, TrialError> {
        let config = RuntimeConfig {
            cache_dir: cache.to_owned(),
            compile: Compile::InProcess,
            clock: Arc::new(Instant::now),
            perf_map: false,
        };
        let runtime = match lines {
            Lines::Ignored => Runtime::new(config),
            Lines::Found => Runtime::for_authors(config),
        };
        Ok(Workbench { runtime: runtime? })
    }

    /// On a runtime that is there already.
    pub fn on(runtime: &Arc<Runtime>) -> Workbench {
        Workbench { runtime: Arc::clone(runtime) }
    }

    /// An error comes with what the guest did until then.
    pub fn load(&self, subject: &Subject, config: &str) -> Result<Loaded, (LoadError, Vec<Seen>)> {
        let watch = Arc::new(Watch::default());
        match StageFactory::load_watched(spec(subject, config), &self.runtime, &watch) {
            Ok(factory) => {
                // Each instance says the same in `init` once more.
                watch.take();
                Ok(Loaded { factory, watch })
            }
            Err(error) => Err((error, watch.take().0)),
        }
    }

    /// Without a watch, which costs something on every pull.
    pub(crate) fn load_plain(&self, subject: &Subject, config: &str) -> Result<StageFactory, LoadError> {
        StageFactory::load(spec(subject, config), &self.runtime)
    }
}

fn spec(subject: &Subject, config: &str) -> StageSpec {
    StageSpec {
        name: subject.name.clone(),
        kind: subject.kind,
        component: Arc::clone(&subject.component),
        version: subject.version.clone(),
        generation: 1,
        config_json: config.to_owned(),
        reads: subject.reads.clone(),
        writes: subject.writes.clone(),
        // It is asked the same again and again, and failing each time is what it shall be caught at.
        limits: Limits { failed_batches_max: u32::MAX, ..Limits::default() },
    }
}

impl Loaded {
    /// A fresh instance that has read its configuration.
    pub fn instance(&self) -> Result<PluginStage, LoadError> {
        self.factory.instantiate()
    }

    /// What the guests did since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        self.watch.take().0
    }

    pub fn memory_bytes(&self) -> u64 {
        self.factory.metrics().read().memory_bytes
    }
}

/// What a plugin is called in a report; a component made without an SDK has no version.
pub fn title(name: &str, version: &str, kind: &str) -> String {
    let space = if version.is_empty() { "" } else { " " };
    format!("{name}{space}{version} ({kind})")
}

/// The answer for one event: JSON as in golden files.
pub type Answered = Result<String, Trouble>;

/// Why there is no answer for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: String,
    pub detail: String,
}

/// Asks about a batch and gives the answer for each event.
pub fn ask(stage: &mut PluginStage, columns: &mut Columns) -> Vec<Answered> {
    let StageAnswer { answer, faults } = stage.run(columns);
    let mut answers: Vec<Answered> =
        (0..columns.len()).map(|row| answer_of(&answer, &columns.event(row).doc, row)).collect();
    for fault in faults {
        answers[fault.row] = Err(Trouble { reason: fault.reason.to_owned(), detail: fault.detail });
    }
    answers
}

fn answer_of(answer: &Answer, doc: &Doc, row: usize) -> Answered {
    let json = match answer {
        Answer::Filter(filter) => match filter.verdicts[row] {
            0 => json!("keep"),
            n => json!({ "drop": filter.reasons[n as usize - 1].as_ref() }),
        },
        Answer::Sample(sample) => match sample.decided_by[row] {
            0 => json!({ "rate": sample.rates[row] }),
            n => json!({ "rate": sample.rates[row], "rule": sample.rules[n as usize - 1] }),
        },
        Answer::Scrub(edits) => {
            let edited = apply_edits(doc, edits[row].clone());
            let edited = edited
                .map_err(|error| Trouble { reason: "wrong-answer".to_owned(), detail: error.to_string() })?;
            return Ok(String::from_utf8_lossy(edited.text()).into_owned());
        }
        Answer::Fingerprint(all) => {
            all[row].iter().map(|one| json!({ "kind": one.kind, "fingerprint": one.hash })).collect()
        }
    };
    Ok(json.to_string())
}

/// A line that a guest wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub level: &'static str,
    pub line: String,
}

/// The first failure among what a guest did, and the lines it wrote before it. What it did after that was on being asked again.
pub fn first_failure(seen: Vec<Seen>) -> (Option<Failed>, Vec<LogLine>) {
    let mut lines = Vec::new();
    for seen in seen {
        match seen {
            Seen::Log { level, line } => lines.push(LogLine { level, line }),
            Seen::Failed(failed) => return (Some(failed), lines),
            Seen::Pull(_) => {}
        }
    }
    (None, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_what_is_asked_for() {
        let of = |selectors: &[&str]| grant(&selectors.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]), "**");
        assert_eq!(of(&["$meta.project_id"]), "**");
        assert_eq!(of(&["release", "$trace.x", "a || b"]), "(release) || (a || b)");
    }
}
