//! Changes with nothing but the store's credentials: running workers find them by looking.

use std::sync::Arc;

use anyhow::Context;
use host_pipeline::generation::{self, Action, Because, Manifest, Proposal, Rollout, Shelf};
use host_pipeline::trial::Report;
use host_plugin::Runtime;

use super::{Change, Control, Shown, Summary, history};
use crate::clock;
use crate::generations::{Generations, rollback_of};

pub struct Local {
    shelf: Arc<dyn Shelf>,
    /// Loads what is published: nothing becomes a generation that does not load here.
    generations: Generations,
}

impl Local {
    pub fn new(shelf: Arc<dyn Shelf>, runtime: Arc<Runtime>) -> Local {
        // No workers: it is never turned to anything.
        let generations = Generations::new(Arc::clone(&shelf), runtime, 0);
        Local { shelf, generations }
    }

    fn newest(&self) -> anyhow::Result<Manifest> {
        generation::newest(&*self.shelf)?.context("the store has no pipeline yet")
    }

    fn propose(&self, proposal: Proposal, components: &[(String, Vec<u8>)]) -> anyhow::Result<Manifest> {
        Ok(self.generations.publish(proposal, components, &clock::now_text())?.manifest())
    }
}

impl Control for Local {
    fn show(&self) -> anyhow::Result<Shown> {
        let manifest = self.newest()?;
        let newest = manifest.generation;
        Ok(Shown { manifest, newest, workers: Vec::new(), stages: Vec::new(), refused: None, report: None })
    }

    fn history(&self, most: Option<usize>) -> anyhow::Result<Vec<Summary>> {
        history(&*self.shelf, most)
    }

    fn read(&self, number: u64) -> anyhow::Result<Manifest> {
        Ok(generation::read(&*self.shelf, number)?)
    }

    fn report(&self) -> anyhow::Result<Report> {
        anyhow::bail!("a trial's report is where it runs: ask a running tamis with --admin")
    }

    fn publish(&self, change: Change, components: &[(String, Vec<u8>)]) -> anyhow::Result<Manifest> {
        let Change { stages, rollout, because, expected } = change;
        self.propose(Proposal { stages, rollout, because, expected }, components)
    }

    fn rollback(&self, to: Option<u64>, note: String) -> anyhow::Result<Manifest> {
        self.propose(rollback_of(&*self.shelf, to, note)?, &[])
    }

    fn end(&self, action: Action, note: String) -> anyhow::Result<Manifest> {
        let manifest = self.newest()?;
        let terms = manifest.rollout.terms();
        let terms = terms.with_context(|| format!("generation {} is no trial", manifest.generation))?;
        let stages = match action {
            Action::Promote => manifest.stages.clone(),
            _ => self.read(terms.base)?.stages,
        };
        let because = Because { action, of: Some(manifest.generation), note, evidence: None };
        let expected = Some(manifest.generation);
        self.propose(Proposal { stages, rollout: Rollout::Full, because, expected }, &[])
    }
}
