//! Generations: the whole pipeline, immutable and numbered, in the object store.
//!
//! The manifest of generation 12 is `control/pipeline/00000000000000000012.json`, written so that only one writer can create
//! it: two operators can not both make it. Components lie under their digest. Workers find the newest by listing.

use host_event::Category;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::stage::{FailurePolicy, StageKind};

/// The store, as far as generations need it. All calls block.
pub trait Shelf: Send + Sync {
    /// The names below a folder, without it, in any order.
    fn list(&self, folder: &str) -> Result<Vec<String>, String>;
    fn get(&self, path: &str) -> Result<Vec<u8>, String>;
    /// Creates an object that must not exist; `false` if it does.
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String>;
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub generation: u64,
    /// RFC 3339.
    pub published_at: String,
    pub stages: Vec<StageManifest>,
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
}

const FOLDER: &str = "control/pipeline";
/// Lost races for a number before giving up.
const TRIES_MAX: usize = 20;

pub fn digest_of(component: &[u8]) -> String {
    Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The newest generation; `None` in a new store.
pub fn newest(shelf: &dyn Shelf) -> Result<Option<Manifest>, GenerationError> {
    let names = shelf.list(FOLDER).map_err(|what| GenerationError::Store { path: FOLDER.into(), what })?;
    let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
    numbers.max().map(|number| read(shelf, number)).transpose()
}

pub fn read(shelf: &dyn Shelf, generation: u64) -> Result<Manifest, GenerationError> {
    let path = manifest_path(generation);
    let bytes = shelf.get(&path).map_err(|what| GenerationError::Store { path: path.clone(), what })?;
    serde_json::from_slice(&bytes).map_err(|e| GenerationError::Unreadable { path, what: e.to_string() })
}

/// Reads a component and checks its digest.
pub fn component(shelf: &dyn Shelf, stage: &StageManifest) -> Result<Vec<u8>, GenerationError> {
    let path = component_path(&stage.component);
    let bytes = shelf.get(&path).map_err(|what| GenerationError::Store { path, what })?;
    if digest_of(&bytes) != stage.component {
        return Err(GenerationError::Damaged { stage: stage.name.clone(), digest: stage.component.clone() });
    }
    Ok(bytes)
}

/// Publishes stages as a generation, unless the newest one is the same. `components` has the bytes for every digest.
pub fn publish(
    shelf: &dyn Shelf,
    stages: Vec<StageManifest>,
    components: &[(String, Vec<u8>)],
    published_at: &str,
) -> Result<Manifest, GenerationError> {
    for (digest, bytes) in components {
        let path = component_path(digest);
        shelf.create(&path, bytes.clone()).map_err(|what| GenerationError::Store { path, what })?;
    }
    for _ in 0..TRIES_MAX {
        let before = newest(shelf)?;
        if let Some(same) = before.as_ref().filter(|m| m.stages == stages) {
            return Ok(same.clone());
        }
        let generation = before.map_or(0, |m| m.generation) + 1;
        let manifest = Manifest { generation, published_at: published_at.to_owned(), stages: stages.clone() };
        let bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest is always JSON");
        let path = manifest_path(generation);
        if shelf.create(&path, bytes).map_err(|what| GenerationError::Store { path, what })? {
            return Ok(manifest);
        }
    }
    Err(GenerationError::Busy { tries: TRIES_MAX })
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
mod tests {
    use std::collections::BTreeMap;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Shelf for Memory {
        fn list(&self, folder: &str) -> Result<Vec<String>, String> {
            let names = self.0.lock();
            Ok(names
                .keys()
                .filter_map(|k| k.strip_prefix(&format!("{folder}/")).map(str::to_owned))
                .collect())
        }
        fn get(&self, path: &str) -> Result<Vec<u8>, String> {
            self.0.lock().get(path).cloned().ok_or_else(|| "not found".into())
        }
        fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String> {
            let mut objects = self.0.lock();
            Ok(!objects.contains_key(path) && objects.insert(path.to_owned(), bytes).is_none())
        }
    }

    fn stage(config: serde_json::Value) -> StageManifest {
        StageManifest {
            name: "f".into(),
            kind: StageKind::Filter,
            component: digest_of(b"wasm"),
            config,
            categories: vec![Category::Error, Category::Log],
            on_failure: FailurePolicy::FailOpen,
            read: "**".into(),
            write: "**".into(),
            limits: serde_json::Map::new(),
        }
    }

    #[test]
    fn a_generation_is_published_once() {
        let shelf = Memory::default();
        let parts = [(digest_of(b"wasm"), b"wasm".to_vec())];
        let publish = |n: i32| {
            publish(&shelf, vec![stage(n.into())], &parts, "2026-01-01T00:00:00Z").unwrap().generation
        };
        assert_eq!([publish(1), publish(1), publish(2), publish(2), publish(1)], [1, 1, 2, 2, 3]);
        assert_eq!(newest(&shelf).unwrap().unwrap().stages, [stage(1.into())]);
        assert_eq!(component(&shelf, &stage(1.into())).unwrap(), b"wasm");
        shelf.0.lock().values_mut().for_each(|v| v.push(0));
        assert!(matches!(component(&shelf, &stage(1.into())), Err(GenerationError::Damaged { .. })));
    }
}
