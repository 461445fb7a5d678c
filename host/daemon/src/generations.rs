//! Generations in this process: loads what was published, makes plans for the workers, and turns them to the newest.
//!
//! A generation becomes active here when everything that workers need of it is ready: compiled, linked, initialised, and instantiated once for
//! each worker. Until then the one before goes on. What can not be made ready never becomes active.

mod follow;
pub(crate) mod spec;
mod trials;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context;
use host_pipeline::generation::{
    self, Because, Manifest, Proposal, Published, Rollout, Shelf, StageManifest,
};
use host_pipeline::trial::Report;
use host_pipeline::{Canary, Chain, Lane, Link, Plan, Plans, StageKind, Tap};
use host_plugin::{Runtime, StageCounts, StageFactory};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::PipelineConfig;
use trials::RunningTrial;

pub use follow::{Follower, end_of_trial};
pub use spec::{components_of, spec_of, spec_of_config, stages_of};

/// Generations that stay loaded: the active one, its base, and those that a rollback would go to.
const LOADED_MAX: usize = 4;
/// How far back is looked for a generation that is the same as a file.
const HISTORY_MAX: usize = 100;

pub struct Generations {
    shelf: Arc<dyn Shelf>,
    runtime: Arc<Runtime>,
    /// Threads that will ask for a plan.
    workers: usize,
    active: AtomicU64,
    /// By number. An old one may be asked for again: a rebuild after a crash needs it.
    loaded: Mutex<BTreeMap<u64, Arc<Loaded>>>,
    /// Plans of the active generation that no worker has taken yet.
    ready: Mutex<Vec<Plan>>,
    trial: Mutex<Option<Arc<RunningTrial>>>,
    refused: Mutex<Option<Refused>>,
    /// Held while a generation is made ready, so that two are not at the same time.
    turning: Mutex<()>,
}

/// The stages of one generation, loaded.
struct Loaded {
    manifest: Manifest,
    factories: Vec<StageFactory>,
}

/// A generation that was published and can not be made ready here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    pub generation: u64,
    pub why: String,
}

/// A stage of a generation that is loaded, and how it fares.
pub struct StageState {
    pub generation: u64,
    pub name: String,
    pub kind: StageKind,
    pub counts: StageCounts,
}

impl Generations {
    pub fn new(shelf: Arc<dyn Shelf>, runtime: Arc<Runtime>, workers: usize) -> Generations {
        Generations {
            shelf,
            runtime,
            workers,
            active: AtomicU64::new(0),
            loaded: Mutex::default(),
            ready: Mutex::default(),
            trial: Mutex::default(),
            refused: Mutex::default(),
            turning: Mutex::default(),
        }
    }

    pub fn shelf(&self) -> &dyn Shelf {
        &*self.shelf
    }

    pub fn active(&self) -> u64 {
        self.active.load(Relaxed)
    }

    pub fn refused(&self) -> Option<Refused> {
        self.refused.lock().clone()
    }

    /// What the running trial has found so far.
    pub fn report(&self) -> Option<Report> {
        self.trial.lock().as_ref().map(|trial| trial.report())
    }

    /// Begins with the newest generation of the store, after publishing the file if it is news. A file that is the same as an older generation is not:
    /// somebody went on from there, and a restart must not undo that.
    pub fn begin(&self, pipeline: Option<&PipelineConfig>, now: &str) -> anyhow::Result<u64> {
        let newest = generation::newest(self.shelf())?;
        if let Some(pipeline) = pipeline {
            let components = components_of(pipeline, self.runtime.cache_dir())?;
            let stages = stages_of(pipeline, &components);
            match self.known_as(&stages)? {
                Some(old) if newest.as_ref().is_some_and(|newest| newest.generation != old) => {
                    let newest = newest.map_or(0, |newest| newest.generation);
                    tracing::warn!(
                        "the pipeline's file is generation {old}, and {newest} was published after it: running {newest}. To go \
                         back: tamis pipeline rollback {old}"
                    );
                }
                Some(_) => {}
                None => return self.publish_at_start(stages, &components, now),
            }
        } else if newest.is_none() {
            anyhow::bail!("the store has no pipeline yet: give one with --pipeline");
        }
        let manifest =
            generation::newest(self.shelf())?.context("a generation that was there a moment ago")?;
        let number = manifest.generation;
        self.turn_to(manifest).with_context(|| {
            format!("generation {number}, the newest of the store; to go back to another: tamis pipeline rollback --store URL")
        })?;
        Ok(number)
    }

    fn publish_at_start(
        &self,
        stages: Vec<StageManifest>,
        components: &[(String, Vec<u8>)],
        now: &str,
    ) -> anyhow::Result<u64> {
        // Loaded before it is published: what does not load must not become a generation.
        self.check(&stages, components)?;
        let manifest = generation::publish_stages(self.shelf(), stages, components, now)?;
        let number = manifest.generation;
        self.turn_to(manifest)?;
        Ok(number)
    }

    /// The newest generation that has these stages for all.
    fn known_as(&self, stages: &[StageManifest]) -> anyhow::Result<Option<u64>> {
        let history = generation::history(self.shelf(), HISTORY_MAX)?;
        let same = |manifest: &&Manifest| manifest.stages == stages && manifest.rollout == Rollout::Full;
        Ok(history.iter().find(same).map(|manifest| manifest.generation))
    }

    /// Publishes what was proposed and turns to it, if it can be made ready here. `components` has those that the store may not have.
    pub fn publish(
        &self,
        proposal: Proposal,
        components: &[(String, Vec<u8>)],
        now: &str,
    ) -> anyhow::Result<Published> {
        self.check(&proposal.stages, components)?;
        let published = generation::publish(self.shelf(), proposal, components, now)?;
        if let Published::New(manifest) = &published {
            self.turn_to(manifest.clone())?;
        }
        Ok(published)
    }

    /// Goes back to the stages of an earlier generation, or to those before the newest.
    pub fn rollback(&self, to: Option<u64>, note: String, now: &str) -> anyhow::Result<Published> {
        self.publish(rollback_of(self.shelf(), to, note)?, &[], now)
    }

    /// Loads stages to see that they load.
    fn check(&self, stages: &[StageManifest], components: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        self.load_given(stages, components).map(drop)
    }

    /// Loads stages whose components are given, or lie in the store.
    fn load_given(
        &self,
        stages: &[StageManifest],
        components: &[(String, Vec<u8>)],
    ) -> anyhow::Result<Vec<StageFactory>> {
        let find = |stage: &StageManifest| {
            let given = components.iter().find(|(digest, _)| *digest == stage.component);
            given.map_or_else(
                || Ok(generation::component(self.shelf(), stage)?),
                |(_, bytes)| Ok(bytes.clone()),
            )
        };
        self.load_stages(0, stages, find)
    }

    fn load_stages(
        &self,
        generation: u64,
        stages: &[StageManifest],
        component: impl Fn(&StageManifest) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<Vec<StageFactory>> {
        let load = |stage: &StageManifest| {
            Ok(StageFactory::load(spec_of(stage, generation, component(stage)?), &self.runtime)?)
        };
        stages.iter().map(load).collect()
    }

    /// The stages of a generation, whatever its rollout.
    fn load(&self, number: u64) -> anyhow::Result<Arc<Loaded>> {
        if let Some(loaded) = self.loaded.lock().get(&number) {
            return Ok(Arc::clone(loaded));
        }
        let manifest = generation::read(self.shelf(), number)?;
        let read = |stage: &StageManifest| Ok(generation::component(self.shelf(), stage)?);
        let factories = self.load_stages(number, &manifest.stages, read)?;
        let loaded = Arc::new(Loaded { manifest, factories });
        self.loaded.lock().insert(number, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Makes a generation ready and active. An older one than the active is none of its business.
    pub fn turn_to(&self, manifest: Manifest) -> anyhow::Result<()> {
        let _turning = self.turning.lock();
        let number = manifest.generation;
        if number <= self.active() {
            return Ok(());
        }
        let made = self.make_ready(&manifest);
        let (plans, trial) = match made {
            Ok(made) => made,
            Err(e) => {
                *self.refused.lock() = Some(Refused { generation: number, why: format!("{e:#}") });
                return Err(e);
            }
        };
        *self.refused.lock() = None;
        // Those of the generation before that nobody took go here, and its trial ends.
        *self.ready.lock() = plans;
        self.active.store(number, Relaxed);
        let ended = std::mem::replace(&mut *self.trial.lock(), trial);
        drop(ended);
        self.forget_old();
        tracing::info!(generation = number, rollout = rollout_name(&manifest.rollout), "pipeline is active");
        Ok(())
    }

    fn make_ready(&self, manifest: &Manifest) -> anyhow::Result<(Vec<Plan>, Option<Arc<RunningTrial>>)> {
        self.load(manifest.generation)?;
        let trial = match &manifest.rollout {
            Rollout::Full => None,
            Rollout::Shadow(terms) => {
                let candidate = self.chain(manifest.generation)?;
                Some(RunningTrial::start(manifest, terms, Lane::Main, candidate)?)
            }
            Rollout::Canary(terms) => {
                let base = self.chain(terms.base)?;
                Some(RunningTrial::start(manifest, terms, Lane::Canary, base)?)
            }
        };
        let tap = trial.as_ref().map(|trial| trial.tap());
        let plan = |_| self.make_plan(manifest, tap.clone());
        let plans = (0..self.workers).map(plan).collect::<anyhow::Result<_>>()?;
        Ok((plans, trial))
    }

    fn make_plan(&self, manifest: &Manifest, tap: Option<Arc<dyn Tap>>) -> anyhow::Result<Plan> {
        let generation = manifest.generation;
        Ok(match &manifest.rollout {
            Rollout::Full => Plan::of(self.chain(generation)?),
            Rollout::Shadow(terms) => Plan { generation, chain: self.chain(terms.base)?, canary: None, tap },
            Rollout::Canary(terms) => {
                let canary = Canary { share: terms.share, chain: self.chain(generation)? };
                Plan { generation, chain: self.chain(terms.base)?, canary: Some(canary), tap }
            }
        })
    }

    /// The stages of a generation, instantiated once more.
    pub fn chain(&self, number: u64) -> anyhow::Result<Chain> {
        let loaded = self.load(number)?;
        Ok(Chain { generation: number, links: links(&loaded.manifest.stages, &loaded.factories)? })
    }

    /// Stages that are no generation yet, instantiated.
    pub fn chain_of(
        &self,
        stages: &[StageManifest],
        components: &[(String, Vec<u8>)],
    ) -> anyhow::Result<Chain> {
        let factories = self.load_given(stages, components)?;
        Ok(Chain { generation: 0, links: links(stages, &factories)? })
    }

    fn forget_old(&self) {
        let mut loaded = self.loaded.lock();
        let base = loaded.get(&self.active()).and_then(|l| Some(l.manifest.rollout.terms()?.base));
        while loaded.len() > LOADED_MAX {
            let Some(oldest) = loaded.keys().find(|number| Some(**number) != base).copied() else { return };
            loaded.remove(&oldest);
        }
    }

    /// The manifest that is active in this process.
    pub fn manifest(&self) -> anyhow::Result<Manifest> {
        Ok(self.load(self.active())?.manifest.clone())
    }

    /// The stages that are at work: those that decide, and in a trial those of the candidate.
    pub fn stages(&self) -> Vec<StageState> {
        let active = self.active();
        let loaded = self.loaded.lock();
        let base = loaded.get(&active).and_then(|l| Some(l.manifest.rollout.terms()?.base));
        let at_work = base.into_iter().chain([active]).filter_map(|number| loaded.get(&number));
        let states = at_work.flat_map(|loaded| {
            let stages = loaded.manifest.stages.iter().zip(&loaded.factories);
            stages.map(|(stage, factory)| StageState {
                generation: loaded.manifest.generation,
                name: stage.name.clone(),
                kind: stage.kind,
                counts: factory.metrics().read(),
            })
        });
        states.collect()
    }
}

fn links(stages: &[StageManifest], factories: &[StageFactory]) -> anyhow::Result<Vec<Link>> {
    let link = |(stage, factory): (&StageManifest, &StageFactory)| {
        Ok(Link {
            stage: Box::new(factory.instantiate()?),
            name: stage.name.as_str().into(),
            categories: stage.categories.clone(),
            on_failure: stage.on_failure,
        })
    };
    stages.iter().zip(factories).map(link).collect()
}

/// The proposal that goes back to generation `to`, or to what decided before the newest.
pub fn rollback_of(shelf: &dyn Shelf, to: Option<u64>, note: String) -> anyhow::Result<Proposal> {
    let newest = generation::newest(shelf)?.context("the store has no pipeline yet")?;
    let target = match (to, newest.rollout.terms()) {
        (Some(number), _) => {
            generation::read(shelf, number).with_context(|| format!("generation {number}"))?
        }
        // Out of a trial: its base.
        (None, Some(terms)) => generation::read(shelf, terms.base)?,
        (None, None) => {
            let history = generation::history(shelf, HISTORY_MAX)?;
            let before = |m: &&Manifest| m.rollout == Rollout::Full && m.stages != newest.stages;
            let found = history.iter().find(before).cloned();
            found.context("no generation before the newest one decided otherwise")?
        }
    };
    Ok(Proposal {
        stages: target.stages,
        rollout: Rollout::Full,
        because: Because {
            action: generation::Action::Rollback,
            of: Some(target.generation),
            note,
            evidence: None,
        },
        expected: Some(newest.generation),
    })
}

pub fn rollout_name(rollout: &Rollout) -> &'static str {
    match rollout {
        Rollout::Full => "full",
        Rollout::Shadow(_) => "shadow",
        Rollout::Canary(_) => "canary",
    }
}

impl Plans for Generations {
    fn newest(&self) -> u64 {
        self.active()
    }

    fn plan(&self, number: u64) -> Result<Plan, String> {
        {
            let mut ready = self.ready.lock();
            let found = ready.iter().position(|plan| plan.generation == number);
            if let Some(at) = found {
                return Ok(ready.swap_remove(at));
            }
        }
        let make = || {
            let manifest = self.load(number)?.manifest.clone();
            // A rebuild is shown to nobody.
            let trial = self.trial.lock().clone().filter(|_| number == self.active());
            self.make_plan(&manifest, trial.map(|trial| trial.tap()))
        };
        make().map_err(|e: anyhow::Error| format!("{e:#}"))
    }
}
