//! `pipeline.toml`: what belongs to the stream. The stages in their order.

use std::ops::Range;
use std::path::{Path, PathBuf};

use host_event::{Category, Selector};
use host_pipeline::{FailurePolicy, StageKind};

use crate::oci::{OciReference, SCHEME};

use super::reader::{At, File, Section, nearest, parse_bytes, parse_duration};

#[derive(Debug, Clone, PartialEq)]
pub struct PipelineConfig {
    pub stages: Vec<StageConfig>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StageConfig {
    pub name: String,
    pub kind: StageKind,
    pub component: Source,
    /// Golden events that it must answer as expected before it is published.
    pub golden: Option<PathBuf>,
    pub config: serde_json::Value,
    pub categories: Vec<Category>,
    pub on_failure: FailurePolicy,
    pub read: String,
    pub write: String,
    /// Limits in their own unit (bytes, milliseconds, counts) by name.
    pub limits: serde_json::Map<String, serde_json::Value>,
    /// Where the stage begins in the file, and where its kind and component stand: for problems that show later.
    pub line: usize,
    pub kind_line: usize,
    pub component_line: usize,
    pub golden_line: usize,
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    File(PathBuf),
    Oci(OciReference),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Oci(reference) => reference.fmt(f),
        }
    }
}

/// The limits that a stage may set, and how each is written.
pub(super) const LIMITS: [(&str, Unit); 14] = [
    ("memory_bytes_max", Unit::Bytes),
    ("memory_bytes_recycle", Unit::Bytes),
    ("table_elements_max", Unit::Count),
    ("call_time_max", Unit::Time),
    ("init_time_max", Unit::Time),
    ("answer_bytes_max", Unit::Bytes),
    ("host_calls_max", Unit::Count),
    ("host_call_bytes_max", Unit::Bytes),
    ("log_lines_per_second_max", Unit::Count),
    ("isolated_faults_max", Unit::Count),
    ("isolation_time_max", Unit::Time),
    ("failed_batches_max", Unit::Count),
    ("back_off_min", Unit::Time),
    ("back_off_max", Unit::Time),
];

#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bytes,
    Time,
    Count,
}

pub(super) fn check(file: &mut File<'_>, folder: &Path) -> PipelineConfig {
    let mut root = file.root();
    let sections = root.sections(file, "stage");
    let mut stages: Vec<StageConfig> = Vec::new();
    for section in sections {
        let span = section.span.clone();
        if let Some(stage) = stage(file, section, folder) {
            if stages.iter().any(|s| s.name == stage.name) {
                file.report(span, format!("there are two stages of the name {:?}", stage.name), None);
            }
            stages.push(stage);
        }
    }
    root.finish(file);
    PipelineConfig { stages }
}

fn stage(file: &mut File<'_>, mut section: Section<'_>, folder: &Path) -> Option<StageConfig> {
    let name = section.required_text(file, "name", "\"inbound-filters\"");
    let kind = section.required_text(file, "kind", "\"filter\"");
    let kind_line = kind.as_ref().map_or(0, |at| file.line(&at.span));
    let kind = kind.and_then(|at| self::kind(file, at));
    let component = section.required_text(file, "component", "\"target/plugins/inbound-filters.wasm\"");
    let component_line = component.as_ref().map_or(0, |at| file.line(&at.span));
    let component = component.map(|at| source(file, at, folder));
    let (golden, golden_line) = golden(file, &mut section, folder);
    let config = section.json(file, "config").map_or_else(|| serde_json::json!({}), |j| j.value);
    let categories = section.texts(file, "categories").map(|at| categories(file, &at));
    let on_failure = section.text(file, "on_failure").and_then(|at| policy(file, at));
    let mut grants = section.section(file, "grants");
    let read = selector(file, &mut grants, "read");
    let write = selector(file, &mut grants, "write");
    grants.finish(file);
    let limits = limits(section.section(file, "limits"), file);
    let line = file.line(&section.span);
    section.finish(file);
    let (name, kind, component) = (name?.value, kind?, component??);
    Some(StageConfig {
        name,
        kind,
        component,
        golden,
        config,
        categories: categories.unwrap_or_else(|| default_categories(kind)),
        on_failure: on_failure.unwrap_or(FailurePolicy::default_of(kind)),
        read,
        write,
        limits,
        line,
        kind_line,
        component_line,
        golden_line,
    })
}

fn source(file: &mut File<'_>, At { value, span }: At<String>, folder: &Path) -> Option<Source> {
    if let Some(reference) = value.strip_prefix(SCHEME) {
        let parsed = OciReference::parse(reference);
        return parsed
            .map(Source::Oci)
            .map_err(|e| file.report(span, format!("stage.component: {e}"), None))
            .ok();
    }
    let path = folder.join(value);
    if !path.is_file() {
        let what = format!("stage.component: there is no file {}", path.display());
        file.report(span, what, Some("build it: tamis plugin build DIR --out DIR".into()));
    }
    Some(Source::File(path))
}

/// The folder of golden events, and its line.
fn golden(file: &mut File<'_>, section: &mut Section<'_>, folder: &Path) -> (Option<PathBuf>, usize) {
    let given = section.text(file, "golden").filter(|at| !at.value.is_empty());
    let Some(At { value, span }) = given else { return (None, 0) };
    let (path, line) = (folder.join(value), file.line(&span));
    if !path.is_dir() {
        file.report(span, format!("stage.golden: there is no folder {}", path.display()), None);
    }
    (Some(path), line)
}

/// What a stage sees if it does not say.
fn default_categories(kind: StageKind) -> Vec<Category> {
    match kind {
        StageKind::Filter => vec![Category::Error, Category::Transaction],
        // An error is worth more than a trace: it is sampled only when that is asked for.
        StageKind::Sampler => vec![Category::Transaction, Category::Span],
        StageKind::Scrubber => vec![Category::Error, Category::Transaction, Category::Span, Category::Log],
        StageKind::Fingerprinter => vec![Category::Error],
    }
}

fn kind(file: &mut File<'_>, At { value, span }: At<String>) -> Option<StageKind> {
    let found = StageKind::ALL.into_iter().find(|k| k.as_str() == value);
    if found.is_none() {
        unknown(file, span, "stage.kind", &value, &StageKind::ALL.map(StageKind::as_str));
    }
    found
}

fn policy(file: &mut File<'_>, At { value, span }: At<String>) -> Option<FailurePolicy> {
    match value.as_str() {
        "fail-open" => Some(FailurePolicy::FailOpen),
        "fail-closed" => Some(FailurePolicy::FailClosed),
        _ => {
            unknown(file, span, "stage.on_failure", &value, &["fail-open", "fail-closed"]);
            None
        }
    }
}

fn categories(file: &mut File<'_>, at: &At<Vec<String>>) -> Vec<Category> {
    let processed: Vec<_> = Category::ALL.into_iter().filter(|c| c.is_processed()).collect();
    let mut found = Vec::new();
    for name in &at.value {
        match processed.iter().find(|c| c.as_str() == name) {
            Some(category) => found.push(*category),
            None => {
                let names: Vec<_> = processed.iter().map(|c| c.as_str()).collect();
                unknown(file, at.span.clone(), "stage.categories", name, &names);
            }
        }
    }
    found
}

fn unknown(file: &mut File<'_>, span: Range<usize>, key: &str, value: &str, known: &[&str]) {
    let suggestion = match nearest(value, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", known.join(", ")),
    };
    file.report(span, format!("{key}: {value:?} is not known"), Some(suggestion));
}

fn selector(file: &mut File<'_>, grants: &mut Section<'_>, key: &'static str) -> String {
    const ALL: &str = "**";
    let Some(At { value, span }) = grants.text(file, key) else { return ALL.to_owned() };
    match Selector::parse(&value) {
        Ok(_) => value,
        Err(e) => {
            file.report(span, format!("stage.grants.{key}: {e}"), None);
            ALL.to_owned()
        }
    }
}

fn limits(mut section: Section<'_>, file: &mut File<'_>) -> serde_json::Map<String, serde_json::Value> {
    let mut limits = serde_json::Map::new();
    for (name, unit) in LIMITS {
        let Some(At { value, span }) = section.json(file, name) else { continue };
        let number = match unit {
            Unit::Bytes => value.as_u64().or_else(|| parse_bytes(value.as_str()?)),
            Unit::Time => value.as_str().and_then(parse_duration).map(|d| d.as_millis() as u64),
            Unit::Count => value.as_u64(),
        };
        match number {
            Some(number) => drop(limits.insert(name.to_owned(), number.into())),
            None => {
                let want = match unit {
                    Unit::Bytes => "a number of bytes such as \"64MiB\"",
                    Unit::Time => "a duration such as \"500ms\"",
                    Unit::Count => "a whole number",
                };
                file.report(span, format!("{}.{name} must be {want}", section.name), None);
            }
        }
    }
    section.finish(file);
    limits
}
