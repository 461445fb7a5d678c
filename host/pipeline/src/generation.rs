//! Generations: the whole pipeline, immutable and numbered, in the object store.
//!
//! The manifest of generation 12 is `control/pipeline/00000000000000000012.json`, written so that only one writer can create
//! it: two operators can not both make it. Components lie under their digest. Workers list when they begin, and then ask for the next
//! number.
//!
//! Everything that changes what decides is a new generation: also a rollback, and the beginning and the end of a trial. So the list of
//! generations is the whole history, and there is nothing beside it to get out of step with.

mod diff;
mod publish;

use host_event::Category;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::stage::{FailurePolicy, StageKind};
use crate::trial::{Report, Rule};

pub use diff::{describe, diff};
pub use publish::{Proposal, Published, deciding, history, publish, publish_stages};

/// The store, as far as generations need it. All calls block.
pub trait Shelf: Send + Sync {
    /// The names below a folder, without it, in any order.
    fn list(&self, folder: &str) -> Result<Vec<String>, String>;
    /// The object, `None` where there is none.
    fn seek(&self, path: &str) -> Result<Option<Vec<u8>>, String>;
    /// Creates an object that must not exist; `false` if it does.
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String>;
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub generation: u64,
    /// RFC 3339.
    pub published_at: String,
    /// What decides about all events, or in a trial the candidate.
    pub stages: Vec<StageManifest>,
    #[serde(default)]
    pub rollout: Rollout,
    /// Why it was published.
    #[serde(default)]
    pub because: Because,
}

/// Whether the stages decide about everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rollout {
    #[default]
    Full,
    /// About nothing: they are asked beside the generation `base`, which decides.
    Shadow(Terms),
    /// About a share of all traces; the generation `base` decides about the others.
    Canary(Terms),
}

/// How a trial is made, and how it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The generation that the candidate is compared with.
    pub base: u64,
    /// Of batches for a shadow, of traces for a canary: from 0 to 1.
    pub share: f64,
    /// The share of one processor that the comparison may take, from 0 to 1.
    pub cpu: f64,
    #[serde(default)]
    pub rule: Rule,
}

impl Rollout {
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Rollout::Full => None,
            Rollout::Shadow(terms) | Rollout::Canary(terms) => Some(terms),
        }
    }
}

/// Why there is a generation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Because {
    #[serde(default)]
    pub action: Action,
    /// The generation whose stages these are again, or whose trial ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Who or what wanted it, and why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What a trial had found when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Report>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    #[default]
    Publish,
    /// An operator went back to the stages of an earlier generation.
    Rollback,
    /// A trial ended with the candidate in charge.
    Promote,
    /// A trial ended with its base in charge.
    Reject,
}

/// Everything that decides what a stage does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageManifest {
    pub name: String,
    pub kind: StageKind,
    /// SHA-256 of the component, in hexadecimal.
    pub component: String,
    pub config: serde_json::Value,
    #[serde(with = "category_names")]
    pub categories: Vec<Category>,
    pub on_failure: FailurePolicy,
    pub read: String,
    pub write: String,
    /// Limits that differ from the defaults, by name.
    pub limits: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Error)]
pub enum GenerationError {
    #[error("{path}: {what}")]
    Store { path: String, what: String },
    #[error("{path} is no manifest of a generation: {what}")]
    Unreadable { path: String, what: String },
    #[error("component {digest} of stage {stage} is damaged in the store")]
    Damaged { stage: String, digest: String },
    #[error("other operators published {tries} generations in the meantime: look at them and try again")]
    Busy { tries: usize },
    /// Somebody else was first.
    #[error("generation {expected} is not the newest any more, {} is: look at what changed and try again", found.generation)]
    Raced { expected: u64, found: Box<Manifest> },
    #[error("there is no generation {generation}")]
    Unknown { generation: u64 },
}

const FOLDER: &str = "control/pipeline";

pub fn digest_of(component: &[u8]) -> String {
    Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The newest generation; `None` in a new store.
pub fn newest(shelf: &dyn Shelf) -> Result<Option<Manifest>, GenerationError> {
    let names = shelf.list(FOLDER).map_err(|what| GenerationError::Store { path: FOLDER.into(), what })?;
    let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
    numbers.max().map(|number| read(shelf, number)).transpose()
}

/// The newest generation after `known`, if there is one. Asks for one number after the other: a listing of the folder costs twelve times as
/// much in a cloud, and every worker asks all the time.
pub fn newer(shelf: &dyn Shelf, known: u64) -> Result<Option<Manifest>, GenerationError> {
    let mut newest: Option<Manifest> = None;
    while let Some(next) = seek(shelf, newest.as_ref().map_or(known, |m| m.generation) + 1)? {
        newest = Some(next);
    }
    Ok(newest)
}

pub fn read(shelf: &dyn Shelf, generation: u64) -> Result<Manifest, GenerationError> {
    seek(shelf, generation)?.ok_or(GenerationError::Unknown { generation })
}

fn seek(shelf: &dyn Shelf, generation: u64) -> Result<Option<Manifest>, GenerationError> {
    let path = manifest_path(generation);
    let bytes = shelf.seek(&path).map_err(|what| GenerationError::Store { path: path.clone(), what })?;
    let manifest = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    manifest.map_err(|e| GenerationError::Unreadable { path, what: e.to_string() })
}

/// Keeps a component under its digest.
pub fn keep_component(shelf: &dyn Shelf, digest: &str, bytes: Vec<u8>) -> Result<(), GenerationError> {
    let path = component_path(digest);
    shelf.create(&path, bytes).map(drop).map_err(|what| GenerationError::Store { path, what })
}

/// Reads a component and checks its digest.
pub fn component(shelf: &dyn Shelf, stage: &StageManifest) -> Result<Vec<u8>, GenerationError> {
    let path = component_path(&stage.component);
    let found = shelf.seek(&path).and_then(|found| found.ok_or_else(|| "there is none".to_owned()));
    let bytes = found.map_err(|what| GenerationError::Store { path, what })?;
    if digest_of(&bytes) != stage.component {
        return Err(GenerationError::Damaged { stage: stage.name.clone(), digest: stage.component.clone() });
    }
    Ok(bytes)
}

fn manifest_path(generation: u64) -> String {
    format!("{FOLDER}/{generation:020}.json")
}

fn component_path(digest: &str) -> String {
    format!("control/components/{digest}.wasm")
}

mod category_names {
    use host_event::Category;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(categories: &[Category], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(categories.iter().map(|c| c.as_str()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Category>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        Ok(names.iter().map(|name| Category::from_name(name)).collect())
    }
}

#[cfg(test)]
mod tests;
