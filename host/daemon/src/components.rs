//! Loads every component of a pipeline as `run` will, to say everything that is wrong with them at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use host_kit::{GoldenTests, Subject, Workbench, golden};
use host_pipeline::generation;
use host_plugin::{Compile, CompileCommand, LoadError, Runtime, RuntimeConfig, StageFactory};

use crate::config::{self, HostConfig, PipelineConfig, Problem, Source, StageConfig};
use crate::generations::spec_of_config;

/// What plugins run in, with a child process that compiles them.
pub fn runtime(host: &HostConfig) -> anyhow::Result<Arc<Runtime>> {
    runtime_in(host.cache_dir.clone())
}

pub fn runtime_in(cache_dir: PathBuf) -> anyhow::Result<Arc<Runtime>> {
    let program = std::env::current_exe().context("the path of this program, which compiles plugins")?;
    let compile = Compile::Child(CompileCommand { program, args: vec!["compile-component".to_owned()] });
    let config = RuntimeConfig { cache_dir, compile, clock: Arc::new(Instant::now), perf_map: false };
    Ok(Runtime::new(config)?)
}

/// Whether an error is for the operator to mend in the pipeline's definition, and not of this machine.
pub fn is_of_the_pipeline(error: &LoadError) -> bool {
    !matches!(error, LoadError::Engine(_) | LoadError::Cache { .. })
}

/// The bytes of a component. `cache` keeps those of registries.
pub fn read(source: &Source, cache: &Path) -> anyhow::Result<Vec<u8>> {
    match source {
        Source::File(path) => std::fs::read(path).with_context(|| path.display().to_string()),
        Source::Oci(reference) => reference.read(cache),
    }
}

/// Every stage that would not load. `file` is where the pipeline is defined.
pub fn problems(
    pipeline: &PipelineConfig,
    file: &Path,
    runtime: &Arc<Runtime>,
) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    // That a file is missing was found when the definition was read.
    let is_missing = |source: &Source| matches!(source, Source::File(path) if !path.is_file());
    for stage in pipeline.stages.iter().filter(|stage| !is_missing(&stage.component)) {
        let component = match (read(&stage.component, runtime.cache_dir()), &stage.component) {
            (Ok(component), _) => component,
            (Err(e), Source::File(_)) => return Err(e),
            (Err(e), Source::Oci(_)) => {
                let what = format!("stage {}: {e:#}", stage.name);
                problems.push(Problem {
                    file: file.to_owned(),
                    line: stage.component_line,
                    what,
                    suggestion: None,
                });
                continue;
            }
        };
        match StageFactory::load(spec_of_config(stage, component.clone()), runtime) {
            Ok(_) => problems.extend(golden_problem(stage, file, component, runtime)),
            Err(e) if is_of_the_pipeline(&e) => problems.push(problem(stage, file, e)),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(problems)
}

/// What a stage says otherwise than its golden events expect, under its own configuration and grants.
fn golden_problem(
    stage: &StageConfig,
    file: &Path,
    component: Vec<u8>,
    runtime: &Arc<Runtime>,
) -> Option<Problem> {
    let folder = stage.golden.clone()?;
    let subject = Subject {
        name: stage.name.clone(),
        version: generation::digest_of(&component)[..12].to_owned(),
        kind: stage.kind,
        component: component.into(),
        reads: stage.read.clone(),
        writes: stage.write.clone(),
    };
    let config = Some(stage.config.to_string());
    let tests = GoldenTests { folder, config, filter: None, update: false };
    let name = &stage.name;
    let what = match golden(&subject, &Workbench::on(runtime), &tests) {
        Ok(report) if report.is_fine() => return None,
        Ok(report) => {
            format!("stage {name}: it fails its golden events\n{}", report.to_string().trim_end())
        }
        Err(e) => format!("stage {name}: golden events: {e}"),
    };
    Some(Problem { file: file.to_owned(), line: stage.golden_line, what, suggestion: None })
}

fn problem(stage: &StageConfig, file: &Path, error: LoadError) -> Problem {
    let (line, suggestion) = match &error {
        LoadError::Config { message, .. } => {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            (config::line_of(&text, stage.line, message), None)
        }
        LoadError::WrongKind { found, .. } => {
            let found = found.trim_start_matches("a ");
            (stage.kind_line, Some(format!("did you mean kind = \"{found}\", or another component?")))
        }
        // The plugin asks for something that its configuration names, and that the host does not take or the stage was not granted.
        LoadError::Init { reason: "path" | "grant", .. } => {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            (config::line_of(&text, stage.line, ""), None)
        }
        LoadError::Grant { .. } => (stage.line, None),
        _ => {
            let command = format!("look at it with: tamis plugin inspect {}", stage.component);
            (stage.component_line, Some(command))
        }
    };
    let what = format!("{:#}", anyhow::Error::from(error));
    Problem { file: file.to_owned(), line, what, suggestion }
}
