//! A thread that looks for generations that others published, and ends a trial when its rule says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use host_pipeline::generation::{self, Action, Because, GenerationError, Proposal, Rollout};
use host_pipeline::trial::{Report, Ruling};

use super::Generations;
use crate::clock;

/// How often it looks whether to end, below the time between two looks into the store.
const STOP_LOOK_WAIT: Duration = Duration::from_millis(50);

/// Ends the thread when it is dropped.
pub struct Follower {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub fn start(generations: Arc<Generations>, every: Duration) -> std::io::Result<Follower> {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let follow = move || {
            let mut missed = None;
            while wait(every, &until) {
                look(&generations, &mut missed);
            }
        };
        let thread = std::thread::Builder::new().name("generations".to_owned()).spawn(follow)?;
        Ok(Follower { ended, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it panicked with was logged; the process is at its end.
            let _ = thread.join();
        }
    }
}

fn wait(every: Duration, ended: &AtomicBool) -> bool {
    let mut left = every;
    while !left.is_zero() && !ended.load(Relaxed) {
        let step = left.min(STOP_LOOK_WAIT);
        std::thread::sleep(step);
        left -= step;
    }
    !ended.load(Relaxed)
}

/// `missed` is the generation that could not be made ready: it is not tried at each look.
fn look(generations: &Generations, missed: &mut Option<u64>) {
    let known = generations.active().max(missed.unwrap_or(0));
    match generation::newer(generations.shelf(), known) {
        Ok(Some(newest)) => {
            let number = newest.generation;
            if let Err(e) = generations.turn_to(newest) {
                // A store that is away comes back; what does not load now will not load at the next look.
                let may_pass = matches!(e.downcast_ref(), Some(GenerationError::Store { .. }));
                *missed = Some(number).filter(|_| !may_pass);
                let active = generations.active();
                tracing::error!("generation {number} can not be made ready, {active} goes on: {e:#}");
            }
        }
        Ok(None) => {}
        Err(e) => tracing::warn!("looking for generations: {e}"),
    }
    if let Err(e) = rule(generations) {
        tracing::warn!("ending the trial: {e:#}");
    }
}

/// Ends the trial if its rule says so. Every process rules by what it saw itself; the first one that publishes has decided.
fn rule(generations: &Generations) -> anyhow::Result<()> {
    let Some(trial) = generations.trial.lock().clone() else { return Ok(()) };
    let report = trial.report();
    let (action, why) = match trial.ruling(&report) {
        Ruling::Wait => return Ok(()),
        Ruling::Promote { why } => (Action::Promote, why),
        Ruling::RollBack { why } => (Action::Reject, why),
    };
    drop(trial);
    let proposal = end_of_trial(generations, action, format!("by its rule: {why}"), Some(report))?;
    tracing::info!(?action, "the trial ends by its rule: {why}");
    generations.publish(proposal, &[], &clock::now_text())?;
    Ok(())
}

/// The generation that ends the active trial.
pub fn end_of_trial(
    generations: &Generations,
    action: Action,
    note: String,
    evidence: Option<Report>,
) -> anyhow::Result<Proposal> {
    let manifest = generations.manifest()?;
    let Some(terms) = manifest.rollout.terms() else {
        anyhow::bail!("generation {} is no trial", manifest.generation);
    };
    let stages = match action {
        Action::Promote => manifest.stages.clone(),
        _ => generation::read(generations.shelf(), terms.base)?.stages,
    };
    let of = Some(manifest.generation);
    Ok(Proposal {
        stages,
        rollout: Rollout::Full,
        because: Because { action, of, note, evidence: evidence.map(Box::new) },
        expected: Some(manifest.generation),
    })
}
