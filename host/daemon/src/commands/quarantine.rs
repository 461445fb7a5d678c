//! `tamis quarantine …`: with nothing but the store.

mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use host_pipeline::generation;
use host_sink::quarantine::{self, Depth, Held, Selection};
use host_sink::release::{ReleaseConfig, Summary, Through, release};
use host_sink::store::{Store, StoreShelf};
use host_sink::{FileLimits, Progress};
use serde_json::json;

use super::pipeline::tokio_runtime;
use super::{EXIT_FOUND_SOMETHING, open_store};
use crate::cli::quarantine::{List, Quarantine, Release, Show, Where, Which};
use crate::config::Problem;
use crate::generations::Generations;
use crate::{clock, components, config, report};

/// How many items stand in quarantine, and how many are out again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    held: u64,
    released: u64,
}

/// By stage and reason.
type Totals = BTreeMap<(String, String), Count>;

pub fn quarantine(command: &Quarantine) -> anyhow::Result<ExitCode> {
    let tokio = tokio_runtime()?;
    let (Quarantine::List(List { at, .. })
    | Quarantine::Show(Show { at, .. })
    | Quarantine::Release(Release { at, .. })) = command;
    let place = match place(at) {
        Ok(place) => place,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let store = open_store(&place.url, tokio.handle())?;
    match command {
        Quarantine::List(args) => list(args, &store),
        Quarantine::Show(args) => show(args, &store),
        Quarantine::Release(args) => run_release(args, &store, place),
    }
}

/// Where the store is, and where compiled plugins are kept.
struct Place {
    url: String,
    allow_unsafe: bool,
    cache: PathBuf,
}

fn place(at: &Where) -> Result<Place, Vec<Problem>> {
    let file = Path::new(&at.store);
    if file.extension().is_none_or(|extension| extension != "toml") {
        return Ok(Place { url: at.store.clone(), allow_unsafe: false, cache: super::plugin::cache() });
    }
    let loaded = config::load(file, None);
    match loaded.host.filter(|_| loaded.problems.is_empty()) {
        Some(host) => {
            Ok(Place { url: host.store_url, allow_unsafe: host.store_allow_unsafe, cache: host.cache_dir })
        }
        None => Err(loaded.problems),
    }
}

fn selection(which: &Which) -> Selection {
    Selection {
        stages: which.stage.clone(),
        reasons: which.reason.clone(),
        projects: which.project.clone(),
        events: Vec::new(),
        since: which.since.map(|since| since.from(clock::now())),
    }
}

fn list(args: &List, store: &Arc<dyn Store>) -> anyhow::Result<ExitCode> {
    let selection = selection(&args.which);
    let files = quarantine::files(store.as_ref(), selection.since)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let (mut totals, mut newest) = (Totals::new(), Vec::new());
    let mut progress = report::Progress::default();
    for (done, file) in files.iter().rev().enumerate() {
        let items = quarantine::read(store, file, &selection, Depth::Rows)?;
        for held in &items {
            let count = totals.entry((held.stage.clone(), held.reason.clone())).or_default();
            let counter = if held.released.is_some() { &mut count.released } else { &mut count.held };
            *counter += 1;
        }
        newest.extend(items.into_iter().filter(|held| args.all || held.released.is_none()));
        // So much is kept in memory, however many there are.
        newest.sort_by_key(|held| (std::cmp::Reverse(held.meta.received_at), held.offset));
        newest.truncate(limit);
        progress.chunk(done + 1, files.len());
    }
    match args.json.json {
        true => report::print(&(serde_json::to_string_pretty(&list_as_json(&totals, &newest))? + "\n"))?,
        false => report::print(&text::list(&totals, &newest, args.all))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list_as_json(totals: &Totals, items: &[Held]) -> serde_json::Value {
    let totals = totals.iter().map(|((stage, reason), Count { held, released })| {
        json!({ "stage": stage, "reason": reason, "held": held, "released": released })
    });
    json!({
        "totals": totals.collect::<Vec<_>>(),
        "items": items.iter().map(held_as_json).collect::<Vec<_>>(),
    })
}

/// An item without its payload.
fn held_as_json(held: &Held) -> serde_json::Value {
    let meta = &held.meta;
    json!({
        "received_at": text::time(meta.received_at),
        "project_id": meta.project_id,
        "event_id": meta.event_id.to_string(),
        "category": held.category.as_str(),
        "stage": held.stage,
        "reason": held.reason,
        "detail": held.detail,
        "generation": held.generation,
        "partition": held.partition,
        "offset": held.offset,
        "released_by_generation": held.released.map(|released| released.generation),
        "release_round": held.released.map(|released| released.round),
    })
}

fn show(args: &Show, store: &Arc<dyn Store>) -> anyhow::Result<ExitCode> {
    let selection = Selection { events: vec![args.event], ..Selection::default() };
    let files = quarantine::files(store.as_ref(), None)?;
    let mut items = Vec::new();
    let mut progress = report::Progress::default();
    for (done, file) in files.iter().enumerate() {
        // Payloads are read only where there is one of its own.
        if !quarantine::read(store, file, &selection, Depth::Rows)?.is_empty() {
            items.extend(quarantine::read(store, file, &selection, Depth::Payloads)?);
        }
        progress.chunk(done + 1, files.len());
    }
    anyhow::ensure!(!items.is_empty(), "event {} is not, and was not, in quarantine", args.event);
    match args.json.json {
        true => {
            let all: Result<Vec<_>, _> = items.iter().map(shown_as_json).collect();
            report::print(&(serde_json::to_string_pretty(&all?)? + "\n"))?;
        }
        false => report::print(&items.iter().map(text::item).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown_as_json(held: &Held) -> anyhow::Result<serde_json::Value> {
    let mut shown = held_as_json(held);
    let meta = &held.meta;
    shown["environment"] = json!(meta.environment);
    shown["sdk"] = json!(meta.sdk);
    shown["client_ip"] = json!(meta.client_ip);
    shown["user_agent"] = json!(meta.user_agent);
    shown["sent_at"] = json!(meta.sent_at.map(text::time));
    shown["trace"] = json!(String::from_utf8_lossy(&meta.trace));
    shown["server_sample_rate"] = json!(held.server_sample_rate);
    // As text: what it says twice, or with more digits than a number has, would be lost otherwise.
    shown["payload"] = json!(str::from_utf8(&held.payload).context("the payload")?);
    Ok(shown)
}

fn run_release(args: &Release, store: &Arc<dyn Store>, place: Place) -> anyhow::Result<ExitCode> {
    let shelf = Arc::new(StoreShelf(Arc::clone(store)));
    let manifest = generation::read(&*shelf, args.through)?;
    let generations = Generations::new(Arc::clone(&shelf) as _, components::runtime_in(place.cache)?, 0);
    let links = || generations.chain(args.through).map(|chain| chain.links).map_err(|e| format!("{e:#}"));
    let through = Through { manifest: &manifest, links: &links, shelf: &*shelf };
    let selection = Selection { events: args.event.clone(), ..selection(&args.which) };
    let config = ReleaseConfig {
        selection,
        dry_run: args.dry_run,
        nonce: u128::from(clock::random()) << 64 | u128::from(clock::random()),
        files: FileLimits::default(),
        allow_unsafe: place.allow_unsafe,
    };
    let summary = release(store, &through, &config, &mut report::Progress::default())?;
    match args.json.json {
        true => report::print(&(serde_json::to_string_pretty(&summary_as_json(args, &summary))? + "\n"))?,
        false => report::print(&text::summary(args, &summary))?,
    }
    let is_missing = !args.event.is_empty() && summary.selected + summary.released_before == 0;
    let is_done = summary.stayed.is_empty() && summary.problems.is_empty() && !is_missing;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}

fn summary_as_json(args: &Release, summary: &Summary) -> serde_json::Value {
    let released = summary.released.iter().map(
        |((outcome, reason), quantity)| json!({ "outcome": outcome, "reason": reason, "quantity": quantity }),
    );
    let stayed = summary
        .stayed
        .iter()
        .map(|((stage, reason), quantity)| json!({ "stage": stage, "reason": reason, "quantity": quantity }));
    json!({
        "generation": args.through,
        "dry_run": args.dry_run,
        "selected": summary.selected,
        "released_before": summary.released_before,
        "released": released.collect::<Vec<_>>(),
        "stayed": stayed.collect::<Vec<_>>(),
        "stayed_items": summary.stayed_items,
        "rounds": summary.rounds,
        "finished": summary.finished,
        "problems": summary.problems,
    })
}
