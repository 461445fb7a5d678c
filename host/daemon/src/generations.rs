//! Generations in this process: publishes the configured pipeline, loads its components once, makes plans for workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hashbrown::HashMap;
use host_pipeline::generation::{self, Manifest, Shelf, StageManifest};
use host_pipeline::{Chain, Link, Plan, Plans};
use host_plugin::{Limits, Runtime, StageFactory, StageMetrics, StageSpec};
use parking_lot::Mutex;

use crate::config::{PipelineConfig, StageConfig};

pub struct Generations {
    shelf: Box<dyn Shelf>,
    runtime: Arc<Runtime>,
    newest: AtomicU64,
    /// The generations that workers may ask for. An old one stays: a rebuild after a crash needs it once.
    loaded: Mutex<HashMap<u64, Arc<Loaded>>>,
}

struct Loaded {
    manifest: Manifest,
    factories: Vec<StageFactory>,
}

impl Generations {
    pub fn new(shelf: Box<dyn Shelf>, runtime: Arc<Runtime>) -> Generations {
        Generations { shelf, runtime, newest: AtomicU64::new(0), loaded: Mutex::default() }
    }

    /// Makes the configured pipeline the newest generation, unless it is, and loads it.
    pub fn publish(&self, pipeline: &PipelineConfig, now: &str) -> anyhow::Result<u64> {
        let components = read_components(pipeline)?;
        let stages = pipeline.stages.iter().zip(&components).map(|(s, (digest, _))| manifest_of(s, digest));
        let stages: Vec<_> = stages.collect();
        // Loaded before it is published: what does not load must not become a generation.
        let factories = self.load_stages(0, &stages, |i| Ok(components[i].1.clone()))?;
        drop(factories);
        let manifest = generation::publish_stages(&*self.shelf, stages, &components, now)?;
        let number = manifest.generation;
        self.load(manifest)?;
        self.newest.store(number, Relaxed);
        Ok(number)
    }

    fn load(&self, manifest: Manifest) -> anyhow::Result<Arc<Loaded>> {
        let number = manifest.generation;
        let read = |i: usize| Ok(generation::component(&*self.shelf, &manifest.stages[i])?);
        let factories = self.load_stages(number, &manifest.stages, read)?;
        let loaded = Arc::new(Loaded { manifest, factories });
        self.loaded.lock().insert(number, Arc::clone(&loaded));
        Ok(loaded)
    }

    fn load_stages(
        &self,
        generation: u64,
        stages: &[StageManifest],
        component: impl Fn(usize) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<Vec<StageFactory>> {
        let load = |(i, stage): (usize, &StageManifest)| {
            Ok(StageFactory::load(spec_of(stage, generation, component(i)?), &self.runtime)?)
        };
        stages.iter().enumerate().map(load).collect()
    }

    /// The metrics of the stages of the newest generation, by name.
    pub fn metrics(&self) -> Vec<(String, Arc<StageMetrics>)> {
        let loaded = self.loaded.lock().get(&self.newest.load(Relaxed)).cloned();
        let Some(loaded) = loaded else { return Vec::new() };
        let names = loaded.manifest.stages.iter().map(|s| s.name.clone());
        names.zip(loaded.factories.iter().map(StageFactory::metrics)).collect()
    }
}

impl Plans for Generations {
    fn newest(&self) -> u64 {
        self.newest.load(Relaxed)
    }

    fn plan(&self, number: u64) -> Result<Plan, String> {
        let known = self.loaded.lock().get(&number).cloned();
        let loaded = match known {
            Some(loaded) => loaded,
            None => {
                let manifest = generation::read(&*self.shelf, number).map_err(|e| e.to_string())?;
                self.load(manifest).map_err(|e| format!("{e:#}"))?
            }
        };
        let link = |(stage, factory): (&StageManifest, &StageFactory)| {
            Ok(Link {
                stage: Box::new(factory.instantiate().map_err(|e| e.to_string())?),
                name: stage.name.as_str().into(),
                categories: stage.categories.clone(),
                on_failure: stage.on_failure,
            })
        };
        let links = loaded.manifest.stages.iter().zip(&loaded.factories).map(link);
        Ok(Plan::of(Chain { generation: number, links: links.collect::<Result<_, String>>()? }))
    }
}

/// The bytes of every component with their digest, in the order of the stages.
fn read_components(pipeline: &PipelineConfig) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let read = |stage: &StageConfig| {
        let bytes = std::fs::read(&stage.component).map_err(|e| {
            anyhow::anyhow!("component {} of stage {}: {e}", stage.component.display(), stage.name)
        })?;
        Ok((generation::digest_of(&bytes), bytes))
    };
    pipeline.stages.iter().map(read).collect()
}

fn manifest_of(stage: &StageConfig, digest: &str) -> StageManifest {
    StageManifest {
        name: stage.name.clone(),
        kind: stage.kind,
        component: digest.to_owned(),
        config: stage.config.clone(),
        categories: stage.categories.clone(),
        on_failure: stage.on_failure,
        read: stage.read.clone(),
        write: stage.write.clone(),
        limits: stage.limits.clone(),
    }
}

/// What the runtime needs to know of a stage.
pub fn spec_of(stage: &StageManifest, generation: u64, component: Vec<u8>) -> StageSpec {
    StageSpec {
        name: stage.name.clone(),
        kind: stage.kind,
        version: stage.component[..12.min(stage.component.len())].to_owned(),
        component: component.into(),
        generation,
        config_json: stage.config.to_string(),
        reads: stage.read.clone(),
        writes: stage.write.clone(),
        limits: limits_of(&stage.limits),
    }
}

/// As `spec_of`, for a stage that is only configured yet.
pub fn spec_of_config(stage: &StageConfig, component: Vec<u8>) -> StageSpec {
    let digest = generation::digest_of(&component);
    spec_of(&manifest_of(stage, &digest), 0, component)
}

pub fn limits_of(set: &serde_json::Map<String, serde_json::Value>) -> Limits {
    let d = Limits::default();
    let number = |name: &str| set.get(name).and_then(serde_json::Value::as_u64);
    let size = |name: &str, default: usize| number(name).map_or(default, |n| n as usize);
    let time = |name: &str, default: Duration| number(name).map_or(default, Duration::from_millis);
    let count =
        |name: &str, default: u32| number(name).map_or(default, |n| n.min(u64::from(u32::MAX)) as u32);
    Limits {
        memory_bytes_max: size("memory_bytes_max", d.memory_bytes_max),
        memory_bytes_recycle: size("memory_bytes_recycle", d.memory_bytes_recycle),
        table_elements_max: size("table_elements_max", d.table_elements_max),
        call_time_max: time("call_time_max", d.call_time_max),
        init_time_max: time("init_time_max", d.init_time_max),
        answer_bytes_max: size("answer_bytes_max", d.answer_bytes_max),
        host_calls_max: number("host_calls_max").unwrap_or(d.host_calls_max),
        host_call_bytes_max: number("host_call_bytes_max").unwrap_or(d.host_call_bytes_max),
        log_lines_per_second_max: count("log_lines_per_second_max", d.log_lines_per_second_max),
        isolated_faults_max: size("isolated_faults_max", d.isolated_faults_max),
        isolation_time_max: time("isolation_time_max", d.isolation_time_max),
        failed_batches_max: count("failed_batches_max", d.failed_batches_max),
        back_off_min: time("back_off_min", d.back_off_min),
        back_off_max: time("back_off_max", d.back_off_max),
    }
}
