//! From the configuration to what is published, and from there to what the runtime needs.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use host_pipeline::generation::{self, StageManifest};
use host_plugin::{Limits, StageSpec};

use crate::components;
use crate::config::{PipelineConfig, StageConfig};

/// The stages as they are published. `components` are theirs, in their order.
pub fn stages_of(pipeline: &PipelineConfig, components: &[(String, Vec<u8>)]) -> Vec<StageManifest> {
    pipeline.stages.iter().zip(components).map(|(stage, (digest, _))| manifest_of(stage, digest)).collect()
}

/// The bytes of every component with their digest, in the order of the stages.
pub fn components_of(pipeline: &PipelineConfig, cache: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let read = |stage: &StageConfig| {
        let bytes = components::read(&stage.component, cache);
        let bytes = bytes.with_context(|| format!("component of stage {}", stage.name))?;
        Ok((generation::digest_of(&bytes), bytes))
    };
    pipeline.stages.iter().map(read).collect()
}

pub fn manifest_of(stage: &StageConfig, digest: &str) -> StageManifest {
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
