//! The commands that are no server.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use host_plugin::{Compile, Runtime, RuntimeConfig, StageFactory};
use host_sink::store::{OpenedStore, Store};

use crate::cli::{Files, Plugin, Verify};
use crate::config::{self, Problem, StageConfig};
use crate::generations::spec_of_config;
use crate::report;

const EXIT_FOUND_SOMETHING: u8 = 1;

/// `tamis validate`: what `run` would refuse, all of it, without starting anything.
pub fn validate(files: &Files) -> anyhow::Result<ExitCode> {
    let config = match config::load(&files.config, &files.pipeline) {
        Ok(config) => config,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let cache_dir = config.host.cache_dir.clone();
    let runtime = Runtime::new(RuntimeConfig {
        cache_dir,
        compile: Compile::InProcess,
        clock: Arc::new(Instant::now),
        perf_map: false,
    })?;
    let found =
        config.pipeline.stages.iter().filter_map(|stage| stage_problem(stage, &files.pipeline, &runtime));
    let problems: Vec<Problem> = found.collect();
    if !problems.is_empty() {
        return Ok(report::problems(&problems));
    }
    let (stages, projects) = (config.pipeline.stages.len(), config.host.projects.len());
    report::print(&format!("fine: {stages} stages, {projects} projects\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn stage_problem(stage: &StageConfig, file: &Path, runtime: &Arc<Runtime>) -> Option<Problem> {
    let problem = |what: String| {
        let suggestion = Some(format!("look at it with: tamis plugin inspect {}", stage.component.display()));
        Some(Problem { file: file.to_owned(), line: stage.line, what, suggestion })
    };
    let component = match std::fs::read(&stage.component) {
        Ok(component) => component,
        Err(e) => return problem(format!("stage {}: {}: {e}", stage.name, stage.component.display())),
    };
    match StageFactory::load(spec_of_config(stage, component), runtime) {
        Ok(_) => None,
        Err(e) => problem(format!("{:#}", anyhow::Error::from(e))),
    }
}

/// `tamis verify`.
pub fn verify(args: &Verify) -> anyhow::Result<ExitCode> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store: Arc<dyn Store> = Arc::new(OpenedStore::open(&args.url, tokio.handle().clone())?);
    let found = host_sink::verify(&store, &mut report::Progress::default())?;
    match args.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&found.render())?,
    }
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}

/// `tamis plugin …`.
pub fn plugin(command: &Plugin) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::Build { dir, out } => {
            let built = host_kit::build_rust(dir, out)?;
            let (path, kib) = (built.path.display(), built.bytes.div_ceil(1024));
            report::print(&format!("{path}: {kib} KiB in {:.1} s\n", built.seconds))?;
        }
        Plugin::Inspect { file, json } => {
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            let found = host_kit::inspect(&bytes).with_context(|| file.display().to_string())?;
            let text = if *json { serde_json::to_string_pretty(&found)? + "\n" } else { describe(&found)? };
            report::print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(found: &host_kit::Inspection) -> anyhow::Result<String> {
    let mut text = String::new();
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    if let Some(about) = &found.about {
        writeln!(text, "name     {} {}", about.name, about.version)?;
        writeln!(text, "sdk      {}", about.sdk)?;
        writeln!(text, "reads    {}", list(&about.reads))?;
        writeln!(text, "writes   {}", list(&about.writes))?;
    }
    writeln!(text, "kind     {}", found.kind.map_or("none: it is no plugin", |kind| kind.as_str()))?;
    writeln!(text, "size     {} KiB", found.size_bytes.div_ceil(1024))?;
    writeln!(text, "imports  {}", list(&found.imports))?;
    writeln!(text, "exports  {}", list(&found.exports))?;
    if let Some(problem) = &found.problem {
        writeln!(text, "problem  {problem}")?;
    }
    Ok(text)
}
