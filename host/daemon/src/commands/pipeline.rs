//! `tamis pipeline …`.

mod render;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use host_pipeline::generation::{
    self, Action, Because, GenerationError, Manifest, Rollout, StageManifest, Terms,
};
use host_pipeline::trial::{self, Rule};
use host_sink::store::StoreShelf;
use serde::Serialize;

use super::{EXIT_FOUND_SOMETHING, open_store};
use crate::cli::{At, Json, Pipeline, Publish, Trial};
use crate::config::{self, Problem};
use crate::control::{Change, Client, Control, Local};
use crate::generations::{components_of, stages_of};
use crate::{components, report};

const ADMIN: &str = "http://127.0.0.1:9181";

pub fn pipeline(command: &Pipeline) -> anyhow::Result<ExitCode> {
    match command {
        Pipeline::Show { at, json } => {
            let shown = place(at)?.show()?;
            print(json, &shown, render::shown)?;
        }
        Pipeline::Diff { file, at, json } => return diff(file, at, json),
        Pipeline::Publish(args) => return publish(args, |_| Ok(Rollout::Full)),
        Pipeline::Shadow { publish: args, share, trial } => {
            return publish(args, |base| Ok(Rollout::Shadow(terms(base, *share, trial)?)));
        }
        Pipeline::Canary { publish: args, share, trial } => {
            return publish(args, |base| Ok(Rollout::Canary(terms(base, *share, trial)?)));
        }
        Pipeline::Report { at, json } => print(json, &place(at)?.report()?, trial::render)?,
        Pipeline::Promote(args) => {
            let manifest = place(&args.at)?.end(Action::Promote, args.note.clone())?;
            print(&args.json, &manifest, render::published)?;
        }
        Pipeline::Reject(args) => {
            let manifest = place(&args.at)?.end(Action::Reject, args.note.clone())?;
            print(&args.json, &manifest, render::published)?;
        }
        Pipeline::Rollback { generation, note } => {
            let manifest = place(&note.at)?.rollback(*generation, note.note.clone())?;
            print(&note.json, &manifest, render::published)?;
        }
        Pipeline::History { most, at, json } => {
            let history = place(at)?.history(Some(*most))?;
            print(json, &history, |history| render::history(history))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print<T: Serialize>(json: &Json, what: &T, render: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let text = if json.json { serde_json::to_string_pretty(what)? + "\n" } else { render(what) };
    Ok(report::print(&text)?)
}

/// Whom the arguments mean.
fn place(at: &At) -> anyhow::Result<Box<dyn Control>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(url) = &at.store {
        let tokio = tokio_runtime()?;
        let shelf = Arc::new(StoreShelf(open_store(url, tokio.handle())?));
        // It serves the store for as long as the process lives.
        std::mem::forget(tokio);
        return Ok(Box::new(Local::new(shelf, components::runtime_in(super::plugin::cache())?)));
    }
    let url = at.admin.clone().or_else(|| set("TAMIS_ADMIN")).unwrap_or_else(|| ADMIN.to_owned());
    Ok(Box::new(Client::new(&url, at.token.clone().or_else(|| set("TAMIS_ADMIN_TOKEN")))))
}

pub(super) fn tokio_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// The stages of a file and their components, or everything that is wrong with them.
pub(super) type Candidate = (Vec<StageManifest>, Vec<(String, Vec<u8>)>);

pub(super) fn candidate(file: &Path) -> anyhow::Result<Result<Candidate, Vec<Problem>>> {
    let pipeline = match config::load_pipeline(file) {
        Ok(pipeline) => pipeline,
        Err(problems) => return Ok(Err(problems)),
    };
    let runtime = components::runtime_in(super::plugin::cache())?;
    let problems = components::problems(&pipeline, file, &runtime)?;
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let components = components_of(&pipeline, runtime.cache_dir())?;
    Ok(Ok((stages_of(&pipeline, &components), components)))
}

/// What decides now. In a trial that is its base.
fn deciding(control: &dyn Control) -> anyhow::Result<(u64, Manifest)> {
    let newest = control.show()?.newest;
    let manifest = control.read(newest)?;
    Ok(match manifest.rollout.terms() {
        None => (newest, manifest),
        Some(terms) => (newest, control.read(terms.base)?),
    })
}

fn diff(file: &Path, at: &At, json: &Json) -> anyhow::Result<ExitCode> {
    let (stages, _) = match candidate(file)? {
        Ok(candidate) => candidate,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let (_, base) = deciding(&*place(at)?)?;
    let changes = generation::diff(&base.stages, &stages);
    print(json, &changes, |changes| render::changes(changes, base.generation))?;
    Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}

fn publish(args: &Publish, rollout: impl FnOnce(u64) -> anyhow::Result<Rollout>) -> anyhow::Result<ExitCode> {
    let (stages, components) = match candidate(&args.file)? {
        Ok(candidate) => candidate,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let control = place(&args.at)?;
    let (newest, base) = deciding(&*control)?;
    let expected = Some(args.expect.unwrap_or(newest));
    let because = Because { note: args.note.clone(), ..Because::default() };
    let changes = generation::diff(&base.stages, &stages);
    let change = Change { stages, rollout: rollout(base.generation)?, because, expected };
    match control.publish(change.clone(), &components) {
        Ok(manifest) => {
            print(&args.json, &manifest, |manifest| render::published(manifest) + &render::lines(&changes))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => Err(told_what_changed(e, &*control, &base)),
    }
}

/// Whoever loses a race wants to know against what.
fn told_what_changed(error: anyhow::Error, control: &dyn Control, base: &Manifest) -> anyhow::Error {
    let Some(GenerationError::Raced { found, .. }) = error.downcast_ref() else { return error };
    let found = (**found).clone();
    let since = match found.rollout.terms() {
        None => found.stages.clone(),
        Some(terms) => control.read(terms.base).map_or_else(|_| found.stages.clone(), |base| base.stages),
    };
    let changes = render::lines(&generation::diff(&base.stages, &since));
    let note = &found.because.note;
    error.context(format!(
        "nothing was published: generation {} came in between ({}{}{note})\n{changes}",
        found.generation,
        found.published_at,
        if note.is_empty() { "" } else { ": " },
    ))
}

fn terms(base: u64, share: f64, trial: &Trial) -> anyhow::Result<Terms> {
    let within = |name: &str, share: f64| {
        anyhow::ensure!(
            share > 0.0 && share <= 1.0,
            "--{name} is {share}, and must be above 0 and at most 1"
        );
        anyhow::Ok(share)
    };
    let after = trial.after.as_deref().map(|text| {
        let time = config::parse_duration(text);
        time.with_context(|| format!("--after {text:?} is no time such as \"10m\"")).map(|t| t.as_secs())
    });
    let rule = Rule {
        max_disagreement: trial.max_disagreement,
        max_traps: trial.max_traps,
        max_cost_ratio: trial.max_cost_ratio,
        after_seconds: after.transpose()?,
        min_events: trial.min_events,
    };
    Ok(Terms { base, share: within("share", share)?, cpu: within("cpu", trial.cpu)?, rule })
}
