//! What operators see and change of the pipeline: the same through the admin API and with the store's credentials alone.

mod client;
mod local;

use std::time::Instant;

use host_pipeline::StageKind;
use host_pipeline::generation::{self, Because, Manifest, Rollout, Shelf, StageManifest};
use host_pipeline::trial::Report;
use host_plugin::OpenBreaker;
use serde::{Deserialize, Serialize};

use crate::generations::{Refused, StageState};

pub use client::Client;
pub use local::Local;

/// Generations that a history shows if nobody asks for more.
const HISTORY_MAX: usize = 20;

/// Where changes go.
pub trait Control {
    fn show(&self) -> anyhow::Result<Shown>;
    /// The newest first.
    fn history(&self, most: Option<usize>) -> anyhow::Result<Vec<Summary>>;
    fn read(&self, generation: u64) -> anyhow::Result<Manifest>;
    fn report(&self) -> anyhow::Result<Report>;
    /// Publishes after making sure that the components are kept.
    fn publish(&self, change: Change, components: &[(String, Vec<u8>)]) -> anyhow::Result<Manifest>;
    fn rollback(&self, to: Option<u64>, note: String) -> anyhow::Result<Manifest>;
    fn end(&self, action: generation::Action, note: String) -> anyhow::Result<Manifest>;
}

/// A generation to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub stages: Vec<StageManifest>,
    #[serde(default)]
    pub rollout: Rollout,
    #[serde(default)]
    pub because: Because,
    /// The newest generation as its author knew it.
    pub expected: Option<u64>,
}

/// The pipeline at work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    /// What is active where it was asked.
    pub manifest: Manifest,
    /// The newest generation of the store.
    pub newest: u64,
    /// The generation of each partition that is worked off where it was asked; empty if nobody was asked but the store.
    pub workers: Vec<u64>,
    pub stages: Vec<StageShown>,
    /// A newer generation that can not be made ready there.
    pub refused: Option<Refused>,
    /// What the trial has found so far.
    pub report: Option<Report>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageShown {
    pub generation: u64,
    pub name: String,
    pub kind: StageKind,
    pub calls: u64,
    pub events: u64,
    pub ns_per_event: f64,
    pub memory_bytes: u64,
    pub restarts: u64,
    /// `closed`, `open` (it is left alone) or `half-open` (the next batch is a probe), of the worker that is the worst off.
    pub breaker: String,
    /// Workers that leave it alone for now, and what each of them saw last.
    pub open_breakers: Vec<BreakerShown>,
    /// Events it failed on, by reason.
    pub faults: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BreakerShown {
    pub open_for_seconds: f64,
    /// Until a batch is tried again; 0 when it is due.
    pub tried_again_in_seconds: f64,
    pub back_off_seconds: f64,
    pub reason: String,
    pub detail: String,
}

impl BreakerShown {
    fn of(breaker: &OpenBreaker, now: Instant) -> BreakerShown {
        BreakerShown {
            open_for_seconds: now.saturating_duration_since(breaker.opened).as_secs_f64(),
            tried_again_in_seconds: breaker.until.saturating_duration_since(now).as_secs_f64(),
            back_off_seconds: breaker.back_off.as_secs_f64(),
            reason: breaker.reason.to_owned(),
            detail: breaker.detail.clone(),
        }
    }
}

impl From<StageState> for StageShown {
    fn from(state: StageState) -> StageShown {
        let StageState { generation, name, kind, counts } = state;
        let now = Instant::now();
        let faults = counts.faults.iter().filter(|(_, count)| *count > 0);
        StageShown {
            generation,
            name,
            kind,
            calls: counts.calls,
            events: counts.events,
            ns_per_event: counts.nanos as f64 / counts.events.max(1) as f64,
            memory_bytes: counts.memory_bytes,
            restarts: counts.restarts,
            breaker: counts.breaker(now).as_str().to_owned(),
            open_breakers: counts.breakers.iter().map(|breaker| BreakerShown::of(breaker, now)).collect(),
            faults: faults.map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        }
    }
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    pub generation: u64,
    pub published_at: String,
    pub rollout: Rollout,
    pub because: Because,
    /// What it does otherwise than the one before it, in words.
    pub changes: Vec<String>,
}

pub fn history(shelf: &dyn Shelf, most: Option<usize>) -> anyhow::Result<Vec<Summary>> {
    let most = most.unwrap_or(HISTORY_MAX);
    // One more than is shown, for what the oldest of them changed.
    let manifests = generation::history(shelf, most.saturating_add(1))?;
    let summary = |(at, manifest): (usize, &Manifest)| {
        let before = manifests.get(at + 1).map_or(&[][..], |before| &before.stages);
        Summary {
            generation: manifest.generation,
            published_at: manifest.published_at.clone(),
            rollout: manifest.rollout.clone(),
            because: manifest.because.clone(),
            changes: generation::diff(before, &manifest.stages),
        }
    };
    Ok(manifests.iter().enumerate().take(most).map(summary).collect())
}
