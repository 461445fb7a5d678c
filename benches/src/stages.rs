//! The four first-party plugins as components, loaded as `tamis run` loads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use host_event::Category;
use host_pipeline::{Chain, FailurePolicy, Link, Plan, Plans, StageKind};
use host_plugin::{Compile, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};

pub fn runtime(cache: &Path) -> anyhow::Result<Arc<Runtime>> {
    let config = RuntimeConfig {
        cache_dir: cache.to_owned(),
        compile: Compile::InProcess,
        clock: Arc::new(Instant::now),
        perf_map: std::env::var_os("BENCH_PERF_MAP").is_some(),
    };
    Ok(Runtime::new(config)?)
}

/// Where `make plugins` puts components.
pub fn components() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    std::path::absolute(target.join("plugins")).expect("a current folder")
}

fn component(name: &str) -> anyhow::Result<Vec<u8>> {
    let path = components().join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{}: build it with `make bench`", path.display()))
}

pub fn factory(
    runtime: &Arc<Runtime>,
    name: &str,
    kind: StageKind,
    config: &str,
) -> anyhow::Result<StageFactory> {
    let spec = StageSpec {
        name: name.to_owned(),
        kind,
        component: component(name)?.into(),
        version: "bench".to_owned(),
        generation: 1,
        config_json: config.to_owned(),
        reads: "**".to_owned(),
        writes: "**".to_owned(),
        limits: Limits::default(),
    };
    Ok(StageFactory::load(spec, runtime)?)
}

/// All events pass: what a sampler drops would have to be neither scrubbed nor written.
const SAMPLER: &str = r#"{"rates":{"transaction:/never/*":0.5,"*":1.0}}"#;

/// A chain for every worker.
pub struct FourPlugins(Vec<(StageFactory, Vec<Category>)>);

impl FourPlugins {
    pub fn load(cache: &Path) -> anyhow::Result<FourPlugins> {
        let runtime = runtime(cache)?;
        let events = vec![Category::Error, Category::Transaction];
        let all = vec![Category::Error, Category::Transaction, Category::Span, Category::Log];
        let load =
            |name, kind, config, categories| anyhow::Ok((factory(&runtime, name, kind, config)?, categories));
        Ok(FourPlugins(vec![
            load("inbound-filters", StageKind::Filter, "{}", events)?,
            load(
                "dynamic-sampler",
                StageKind::Sampler,
                SAMPLER,
                vec![Category::Transaction, Category::Span],
            )?,
            load("pii-scrubber", StageKind::Scrubber, "{}", all)?,
            load("sentry-grouping", StageKind::Fingerprinter, "{}", vec![Category::Error])?,
        ]))
    }

    /// Nanoseconds per event of each stage so far.
    pub fn costs(&self) -> String {
        let names = ["filter", "sampler", "scrubber", "fingerprinter"];
        let cost = |(name, (factory, _)): (&str, &(StageFactory, _))| {
            let counts = factory.metrics().read();
            format!("{name} {:.0}", counts.nanos as f64 / counts.events.max(1) as f64)
        };
        names.into_iter().zip(&self.0).map(cost).collect::<Vec<_>>().join(", ")
    }
}

impl Plans for FourPlugins {
    fn newest(&self) -> u64 {
        1
    }

    fn plan(&self, generation: u64) -> Result<Plan, String> {
        let link = |(factory, categories): &(StageFactory, Vec<Category>)| {
            let stage = factory.instantiate().map_err(|e| e.to_string())?;
            let name = host_pipeline::Stage::name(&stage).into();
            let link = Link {
                stage: Box::new(stage),
                name,
                categories: categories.clone(),
                on_failure: FailurePolicy::FailClosed,
            };
            Ok::<_, String>(link)
        };
        let links = self.0.iter().map(link).collect::<Result<_, _>>()?;
        Ok(Plan::of(Chain { generation, links }))
    }
}
