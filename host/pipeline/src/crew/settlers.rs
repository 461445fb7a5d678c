//! The stages of one worker, always those of the newest generation that could be made ready.

use std::sync::Arc;

use host_event::Partition;

use super::Plans;
use crate::draft::Draft;
use crate::settle::Settler;

pub struct Settlers {
    plans: Arc<dyn Plans>,
    current: Option<Settler>,
    /// What an idle worker tried to turn to last: what failed then is not tried at each look.
    tried: Option<u64>,
}

impl Settlers {
    pub fn new(plans: Arc<dyn Plans>) -> Settlers {
        Settlers { plans, current: None, tried: None }
    }

    /// Turns to the newest generation, between two batches. One that can not be made ready here is no reason to stop: the old one goes on,
    /// and the next batch tries again.
    pub(crate) fn newest(&mut self, partition: Option<Partition>) -> Result<&mut Settler, String> {
        let newest = self.plans.newest();
        if self.current.as_ref().is_none_or(|settler| settler.generation() != newest) {
            match (self.of(newest), &self.current) {
                (Ok(settler), _) => self.current = Some(settler),
                (Err(what), None) => return Err(what),
                (Err(what), Some(old)) => {
                    let old = old.generation();
                    tracing::error!(partition, old, "generation {newest} can not be made ready: {what}");
                }
            }
        }
        self.current.as_mut().ok_or_else(|| "there are no stages".to_owned())
    }

    /// Turns, without a batch at hand. Whoever is idle is ready for what comes next, and shows it.
    pub(crate) fn turn(&mut self) -> Option<u64> {
        let newest = self.plans.newest();
        if self.tried.replace(newest) != Some(newest)
            && let Err(what) = self.newest(None)
        {
            tracing::error!("no stages are ready: {what}");
        }
        self.current.as_ref().map(|settler| settler.generation())
    }

    /// Those of a certain generation, for what it decided once.
    pub(crate) fn of(&self, generation: u64) -> Result<Settler, String> {
        let plan = self.plans.plan(generation);
        let plan = plan.map_err(|what| format!("generation {generation} can not be made ready: {what}"))?;
        Ok(Settler::new(plan, Arc::new(Draft::default())))
    }
}
