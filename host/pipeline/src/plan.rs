//! What one published generation makes of events: usually one chain, and while a canary runs two of them.
//!
//! Which of the two decides about an event depends on nothing but its trace and the number of the canary's generation: every worker
//! says the same, and so does a rebuild after a crash. A trace is never split.

use std::sync::Arc;

use host_event::Event;

use crate::chain::{Chain, Decision};
use crate::draw::share_draw;

/// A generation, instantiated for one worker.
pub struct Plan {
    /// The number of the published generation. The chains may have older numbers: those of the generations that defined them.
    pub generation: u64,
    /// Decides about every event, but for those of the canary.
    pub chain: Chain,
    pub canary: Option<Canary>,
    /// Somebody who looks on.
    pub tap: Option<Arc<dyn Tap>>,
}

/// A chain that decides about a share of all traces.
pub struct Canary {
    pub share: f64,
    pub chain: Chain,
}

/// Which of the chains of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Main,
    Canary,
}

/// Is shown batches that were decided, to try something else on them. It must not block: it is called by a worker.
pub trait Tap: Send + Sync {
    /// Whether it wants to see the batch that comes now.
    fn wants(&self, lane: Lane) -> bool;
    fn take(&self, tapped: Tapped);
}

/// A batch before and after its chain.
#[derive(Debug)]
pub struct Tapped {
    pub before: Vec<Event>,
    pub after: Vec<Event>,
    pub decisions: Vec<Decision>,
    /// Processor time that the chain took, columns included.
    pub cpu_nanos: u64,
}

impl Plan {
    /// One chain for all.
    pub fn of(chain: Chain) -> Plan {
        Plan { generation: chain.generation, chain, canary: None, tap: None }
    }

    pub(crate) fn lane_of(&self, event: &Event) -> Lane {
        match &self.canary {
            Some(canary) if share_draw(event, self.generation) < canary.share => Lane::Canary,
            _ => Lane::Main,
        }
    }

    pub(crate) fn chain_of(&mut self, lane: Lane) -> &mut Chain {
        match (lane, &mut self.canary) {
            (Lane::Canary, Some(canary)) => &mut canary.chain,
            _ => &mut self.chain,
        }
    }
}
