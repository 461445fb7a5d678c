//! `tamis verify` and `tamis repair`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use host_pipeline::ledger_of;
use host_sink::store::Store;
use host_sink::{Committed, Report, VerifyConfig, verify_with};

use super::pipeline::tokio_runtime;
use super::{EXIT_FOUND_SOMETHING, open_store};
use crate::cli::{Reading, StoreAt, Verify};
use crate::config::HostConfig;
use crate::queue::{self, source_of};
use crate::{clock, config, report};

pub fn verify(args: &Verify) -> anyhow::Result<ExitCode> {
    let tokio = tokio_runtime()?;
    let place = match Place::of(&args.at) {
        Ok(place) => place,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let store = open_store(&place.url, tokio.handle())?;
    let found = look(&store, &place, &args.reading)?;
    match args.reading.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&(found.render() + &next_command(&found, &place)))?,
    }
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}

/// Where the store is, and what else is known.
pub(super) struct Place {
    pub(super) url: String,
    /// As it was given.
    given: String,
    pub(super) host: Option<HostConfig>,
}

impl Place {
    pub(super) fn of(at: &StoreAt) -> Result<Place, Vec<config::Problem>> {
        let Some(file) = &at.config else {
            let url = at.url.clone().unwrap_or_default();
            return Ok(Place { given: url.clone(), url, host: None });
        };
        let loaded = config::load(file, None);
        match loaded.host.filter(|_| loaded.problems.is_empty()) {
            Some(host) => Ok(Place {
                url: host.store_url.clone(),
                given: format!("--config {}", file.display()),
                host: Some(host),
            }),
            None => Err(loaded.problems),
        }
    }
}

/// Threads for each core; they wait for the store more than they count.
const JOBS_LOCAL: usize = 2;
const JOBS_REMOTE: usize = 16;

pub(super) fn look(store: &Arc<dyn Store>, place: &Place, reading: &Reading) -> anyhow::Result<Report> {
    let is_remote = place.url.contains("://") && !place.url.starts_with("file://");
    let per_core = if is_remote { JOBS_REMOTE } else { JOBS_LOCAL };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Before the store is read: what is committed by now is in it.
    let committed = place.host.as_ref().map_or(Ok(Vec::new()), |host| committed(host, place))?;
    let config = VerifyConfig {
        jobs: reading.jobs.map_or(cores * per_core, usize::from),
        since: reading.since.map(|since| since.from(clock::now())),
        committed,
    };
    Ok(verify_with(store, &config, &mut report::Progress::default())?)
}

fn committed(host: &HostConfig, place: &Place) -> anyhow::Result<Vec<Committed>> {
    let looked = queue::look(host).with_context(|| {
        format!(
            "how far the queue is committed can not be seen (`tamis verify {}` looks at the store alone)",
            place.url
        )
    })?;
    let Some((source, all)) = looked else {
        eprintln!("there is no queue in {} here: only the store is looked at", host.queue_dir.display());
        return Ok(Vec::new());
    };
    let source = source_of(&source);
    let of = |at: host_queue::Committed| Committed {
        source: source.clone(),
        partition: at.partition,
        next: at.next,
        ledger: ledger_of(&at.note).map(ToOwned::to_owned),
    };
    // To a shared queue others can commit, too; that says nothing of chunks.
    let is_ours = |at: &Committed| host.kafka.is_none() || at.ledger.is_some();
    Ok(all.into_iter().map(of).filter(is_ours).collect())
}

fn next_command(found: &Report, place: &Place) -> String {
    match found.is_sound() {
        true => String::new(),
        false => {
            format!("next: `tamis repair {}` says what that means, and what can be mended\n", place.given)
        }
    }
}
