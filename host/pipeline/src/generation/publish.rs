//! Makes new generations. Whoever loses a race for a number is told who was first.

use super::{
    Because, FOLDER, GenerationError, Manifest, Rollout, Shelf, StageManifest, keep_component, manifest_path,
    newest, read,
};

/// Lost races for a number before giving up, for those who do not care who was first.
const TRIES_MAX: usize = 20;

/// A generation that is not numbered yet.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub stages: Vec<StageManifest>,
    pub rollout: Rollout,
    pub because: Because,
    /// The newest generation as far as its author knew, 0 for none; absent if whatever is newest will do.
    pub expected: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    New(Manifest),
    /// The newest one is the same already.
    Same(Manifest),
}

impl Published {
    pub fn manifest(self) -> Manifest {
        match self {
            Published::New(manifest) | Published::Same(manifest) => manifest,
        }
    }
}

/// Publishes stages that decide about everything, unless the newest generation is the same.
pub fn publish_stages(
    shelf: &dyn Shelf,
    stages: Vec<StageManifest>,
    components: &[(String, Vec<u8>)],
    published_at: &str,
) -> Result<Manifest, GenerationError> {
    let proposal = Proposal { stages, rollout: Rollout::Full, because: Because::default(), expected: None };
    publish(shelf, proposal, components, published_at).map(Published::manifest)
}

/// Publishes a generation. `components` has the bytes of every digest that the store may not have yet.
pub fn publish(
    shelf: &dyn Shelf,
    proposal: Proposal,
    components: &[(String, Vec<u8>)],
    published_at: &str,
) -> Result<Published, GenerationError> {
    for (digest, bytes) in components {
        keep_component(shelf, digest, bytes.clone())?;
    }
    for _ in 0..TRIES_MAX {
        let before = newest(shelf)?;
        let number = before.as_ref().map_or(0, |m| m.generation);
        if let Some(same) = before.as_ref().filter(|m| is_same(m, &proposal)) {
            return Ok(Published::Same(same.clone()));
        }
        if let (Some(expected), Some(found)) = (proposal.expected.filter(|e| *e != number), before) {
            return Err(GenerationError::Raced { expected, found: Box::new(found) });
        }
        let manifest = Manifest {
            generation: number + 1,
            published_at: published_at.to_owned(),
            stages: proposal.stages.clone(),
            rollout: proposal.rollout.clone(),
            because: proposal.because.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&manifest).expect("a manifest is always JSON");
        let path = manifest_path(manifest.generation);
        if shelf.create(&path, bytes).map_err(|what| GenerationError::Store { path, what })? {
            return Ok(Published::New(manifest));
        }
    }
    Err(GenerationError::Busy { tries: TRIES_MAX })
}

fn is_same(newest: &Manifest, proposal: &Proposal) -> bool {
    newest.stages == proposal.stages && newest.rollout == proposal.rollout
}

/// The generation whose stages decide when `manifest` is the newest: itself, or the base of its trial.
pub fn deciding(shelf: &dyn Shelf, manifest: &Manifest) -> Result<Manifest, GenerationError> {
    match manifest.rollout.terms() {
        None => Ok(manifest.clone()),
        Some(terms) => read(shelf, terms.base),
    }
}

/// The newest generations, at most so many, the newest first.
pub fn history(shelf: &dyn Shelf, most: usize) -> Result<Vec<Manifest>, GenerationError> {
    let names = shelf.list(FOLDER).map_err(|what| GenerationError::Store { path: FOLDER.into(), what })?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.into_iter().take(most).map(|number| read(shelf, number)).collect()
}
