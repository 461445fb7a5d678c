//! The commands that are no server.

mod pipeline;
mod plugin;
mod quarantine;
mod repair;
mod replay;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use host_sink::store::{Address, OpenedStore, Store};

use crate::cli::Files;
use crate::{components, config, report};

pub use pipeline::pipeline;
pub use plugin::plugin;
pub use quarantine::quarantine;
pub use repair::repair;
pub use replay::replay;
pub use verify::verify;

const EXIT_FOUND_SOMETHING: u8 = 1;

/// `tamis validate`: what `run` would refuse, all of it, without starting anything.
pub fn validate(files: &Files) -> anyhow::Result<ExitCode> {
    let loaded = config::load(&files.config, Some(&files.pipeline));
    let mut problems = loaded.problems;
    let (mut stages, mut projects) = (0, 0);
    // Mistakes in the files hide none in the components. Without the first file there is no cache to compile into.
    if let (Some(host), Some(pipeline)) = (&loaded.host, &loaded.pipeline) {
        problems.extend(components::problems(pipeline, &files.pipeline, &components::runtime(host)?)?);
        (stages, projects) = (pipeline.stages.len(), host.projects.len());
    }
    if !problems.is_empty() {
        // From top to bottom, first of one file and then of the other.
        problems.sort_by_key(|problem| (problem.file != files.config, problem.line));
        return Ok(report::problems(&problems));
    }
    let (stages, projects) = (counted(stages, "stage"), counted(projects, "project"));
    report::print(&format!("fine: {stages}, {projects}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A store that is there: opening one makes its folder, and of nothing everything is sound.
fn open_store(url: &str, tokio: &tokio::runtime::Handle) -> anyhow::Result<Arc<dyn Store>> {
    let address = Address::parse(url)?;
    let is_missing = address.folder().is_some_and(|folder| !folder.is_dir());
    anyhow::ensure!(!is_missing, "{url}: there is no such folder");
    let store: Arc<dyn Store> = Arc::new(OpenedStore::open(url, tokio.clone())?);
    let is_store = !store.list("control")?.is_empty() || !store.list("outcomes")?.is_empty();
    anyhow::ensure!(is_store, "{url}: this is no store of Tamis: it has neither control/ nor outcomes/");
    Ok(store)
}
