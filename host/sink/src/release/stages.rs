//! Which stages an item goes through when it is released, and what they make of it.
//!
//! In quarantine an item is as it was when a stage failed on it: the edits of the scrubbers before that stage are in it, and the samplers
//! before it have drawn. To go on from that stage only would be wrong, since the stages of another generation may be others. So it goes
//! through all stages of the new generation, with care for what was done already:
//!
//! * **Filters and fingerprinters** are asked anew. What a filter drops now leaves quarantine as `filtered`.
//! * **Samplers** are asked anew. A draw is a function of the trace and no dice: what lay below a rate lies below it again. An item is
//!   in quarantine if its draw lay below the rate of then, and leaves it as a row if it lies below the rate of now, so with the
//!   probability of the smaller one, and that is the row's rate.
//! * **A scrubber that has done its work is left out**: a hash of a hash is not the hash that other events have. It has done its work if a
//!   stage before the failing one was the same (name, component, configuration, grants), was for this category, and was not
//!   passed over. A scrubber is a function of its batch and configuration, so what it did then is what it would do now.
//! * **Every other scrubber runs**, also one that was changed since: it finds less than in the original, which nobody has any more.
//! * **A scrubber that fails keeps the item in quarantine**, whatever its policy is.
//! * **A scrubber that the item still had before it must be there**, by its name and for the category. A generation without it would let
//!   out what nobody looked at; the item stays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use host_event::{Book, Category, Offset, Outcome, OutcomeCount, ProjectId};
use host_pipeline::generation::{self, Manifest, StageManifest};
use host_pipeline::{Chain, End, FailurePolicy, Item, PassedOver, Plan, Settled, Settler, StageKind};

use super::{ReleaseError, Stayed, Through};
use crate::ledger::{Ledger, each_of};
use crate::quarantine::Held;
use crate::wire::sane_rate;

const BATCH_ITEMS_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The reason of an item that a stage was not asked about, since it rests after others that it failed on.
const RESTING: &str = "breaker-open";
/// The reason of an item that this generation must not let out.
const NO_SCRUBBER: &str = "no-scrubber";

/// What the stages made of items.
#[derive(Default)]
pub(super) struct Settlement {
    /// Those that leave quarantine, in the order of their offsets.
    pub(super) released: Vec<Released>,
    pub(super) notes: Vec<PassedOver>,
    pub(super) stayed: Vec<Stayed>,
}

pub(super) struct Released {
    /// The place in the list of items.
    pub(super) item: usize,
    pub(super) settled: Settled,
}

impl Released {
    /// The outcome and its reason.
    pub(super) fn outcome(&self) -> (String, String) {
        match &self.settled.end {
            End::Dropped { outcome, reason, .. } => (outcome.to_string(), reason.to_string()),
            _ => (Outcome::Accepted.to_string(), String::new()),
        }
    }
}

pub(super) struct Stages<'a> {
    through: &'a Through<'a>,
    /// Of the generations that items come from; `Err` says why one can not be read.
    manifests: BTreeMap<u64, Result<Manifest, String>>,
    settlers: BTreeMap<Way, Settler>,
}

/// The stages that are left out, a flag for each.
type Way = Vec<bool>;

/// Why an item stays.
struct Reason {
    stage: String,
    reason: String,
    detail: String,
}

/// What a release settles is counted where it is durable.
struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

impl<'a> Stages<'a> {
    pub(super) fn new(through: &'a Through<'a>) -> Stages<'a> {
        Stages { through, manifests: BTreeMap::new(), settlers: BTreeMap::new() }
    }

    /// Runs the items of one chunk through the stages.
    pub(super) fn settle(&mut self, origin: &Ledger, items: &[Held]) -> Result<Settlement, ReleaseError> {
        let passed_over = passed_over_of(origin);
        let mut settlement = Settlement::default();
        let mut lanes: BTreeMap<(Category, Way), VecDeque<usize>> = BTreeMap::new();
        for (at, held) in items.iter().enumerate() {
            let passed_over = passed_over.get(&held.offset).map_or(&[][..], |stages| stages);
            match self.way(held, passed_over) {
                Ok(way) => lanes.entry((held.category, way)).or_default().push_back(at),
                Err(reason) => settlement.stay(held, reason),
            }
        }
        for ((_, way), lane) in lanes {
            self.run_lane(&way, origin, items, lane, &mut settlement)?;
        }
        settlement.released.sort_unstable_by_key(|released| released.settled.offset);
        let released = &settlement.released;
        let is_released = |offset| released.binary_search_by_key(&offset, |r| r.settled.offset).is_ok();
        settlement.notes.retain(|note| is_released(note.offset));
        settlement.notes.sort_by_key(|note| note.offset);
        Ok(settlement)
    }

    /// Which stages of the new generation are left out for an item, or why it can not go through them.
    fn way(&mut self, held: &Held, passed_over: &[&str]) -> Result<Way, Reason> {
        let new = &self.through.manifest.stages;
        let shelf = self.through.shelf;
        let old = self
            .manifests
            .entry(held.generation)
            .or_insert_with(|| generation::read(shelf, held.generation).map_err(|e| e.to_string()));
        let old = old.as_ref().map_err(|what| Reason {
            stage: held.stage.clone(),
            reason: "no-generation".into(),
            detail: format!("what stages did before can not be known: {what}"),
        })?;
        let is_scrubber = |stage: &&StageManifest| {
            stage.kind == StageKind::Scrubber && stage.categories.contains(&held.category)
        };
        // A stage that is not there failed before all others, as far as anybody can tell.
        let failed_at = old.stages.iter().position(|stage| stage.name == held.stage).unwrap_or(0);
        let (mut done, mut missing) = (Vec::new(), None);
        for (at, stage) in old.stages.iter().enumerate().filter(|(_, stage)| is_scrubber(stage)) {
            if at < failed_at && !passed_over.contains(&stage.name.as_str()) {
                done.push(stage);
            } else if !new.iter().filter(is_scrubber).any(|other| other.name == stage.name) {
                missing.get_or_insert(stage);
            }
        }
        if let Some(stage) = missing {
            let (now, then) = (self.through.manifest.generation, held.generation);
            let category = held.category;
            return Err(Reason {
                stage: stage.name.clone(),
                reason: NO_SCRUBBER.into(),
                detail: format!(
                    "generation {now} has no scrubber of that name for {category}, and generation {then}, which the item \
                     comes from, had not come to its own"
                ),
            });
        }
        Ok(new.iter().map(|stage| done.iter().any(|old| is_same(old, stage))).collect())
    }

    /// Runs items of one category that go the same way.
    fn run_lane(
        &mut self,
        way: &Way,
        origin: &Ledger,
        items: &[Held],
        mut lane: VecDeque<usize>,
        settlement: &mut Settlement,
    ) -> Result<(), ReleaseError> {
        let mut is_fresh = false;
        while !lane.is_empty() {
            let batch = next_batch(&mut lane, items);
            let item_at = |offset: Offset| items.binary_search_by_key(&offset, |held| held.offset);
            let settler = self.settler(way)?;
            let settled = settler.settle_items(batch.iter().map(|at| item(&items[*at], origin)).collect());
            settlement.notes.extend(settler.take_passed_over());
            let mut resting = Vec::new();
            for settled in settled {
                let at = item_at(settled.offset).expect("what is settled is what was given");
                match &settled.end {
                    End::Quarantined { reason, .. } if reason == RESTING && !is_fresh => resting.push(at),
                    _ => settlement.take(at, &items[at], settled),
                }
            }
            // Others that the stage failed on must not keep these from being tried: a new instance has no memory of them.
            is_fresh = !resting.is_empty();
            if is_fresh {
                self.settlers.remove(way);
                resting.into_iter().rev().for_each(|at| lane.push_front(at));
            }
        }
        Ok(())
    }

    fn settler(&mut self, way: &Way) -> Result<&mut Settler, ReleaseError> {
        if !self.settlers.contains_key(way) {
            let generation = self.through.manifest.generation;
            let links = (self.through.links)();
            let links = links.map_err(|what| ReleaseError::Stages { generation, what })?;
            let kept = links.into_iter().zip(way).filter(|(_, left_out)| !**left_out);
            let mut links: Vec<_> = kept.map(|(link, _)| link).collect();
            for link in links.iter_mut().filter(|link| link.stage.kind() == StageKind::Scrubber) {
                link.on_failure = FailurePolicy::FailClosed;
            }
            let plan = Plan::of(Chain { generation, links });
            self.settlers.insert(way.clone(), Settler::new(plan, Arc::new(Nobody)));
        }
        Ok(self.settlers.get_mut(way).expect("it was made if it was not there"))
    }
}

impl Settlement {
    fn take(&mut self, at: usize, held: &Held, mut settled: Settled) {
        let (stage, reason, detail) = match settled.end {
            End::Accepted(ref mut accepted) => {
                let before = held.server_sample_rate.map_or(1.0, sane_rate);
                accepted.server_sample_rate = accepted.server_sample_rate.min(before);
                return self.released.push(Released { item: at, settled });
            }
            End::Dropped { outcome: Outcome::Filtered | Outcome::SampledOut, .. } => {
                return self.released.push(Released { item: at, settled });
            }
            End::Quarantined { stage, reason, detail, .. } => (stage, reason, detail),
            End::Dropped { outcome, reason, stage, .. } => (stage, reason, format!("it would be {outcome}")),
            End::Ended(_) => ("".into(), "no_item".into(), "it is no item".into()),
        };
        let (stage, reason) = (stage.to_string(), reason.into_owned());
        self.stay(held, Reason { stage, reason, detail });
    }

    fn stay(&mut self, held: &Held, reason: Reason) {
        let Reason { stage, reason, detail } = reason;
        let event_id = held.meta.event_id.to_string();
        self.stayed.push(Stayed { project_id: held.meta.project_id, event_id, stage, reason, detail });
    }
}

/// Whether both do the same to an item of a category that both are for.
fn is_same(old: &StageManifest, new: &StageManifest) -> bool {
    let what =
        |s: &StageManifest| (s.kind, s.name.clone(), s.component.clone(), s.read.clone(), s.write.clone());
    what(old) == what(new) && old.config == new.config
}

fn passed_over_of(origin: &Ledger) -> BTreeMap<Offset, Vec<&str>> {
    let mut all: BTreeMap<Offset, Vec<&str>> = BTreeMap::new();
    for (stage, runs) in &origin.passed_over {
        let offsets = each_of(runs, &origin.range());
        offsets.for_each(|offset| all.entry(offset).or_default().push(stage));
    }
    all
}

fn next_batch(lane: &mut VecDeque<usize>, items: &[Held]) -> Vec<usize> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX {
        let Some(at) = lane.pop_front() else { break };
        bytes += items[at].payload.len();
        batch.push(at);
    }
    batch
}

fn item(held: &Held, origin: &Ledger) -> Item {
    Item {
        offset: held.offset,
        queued_at: origin.queued_at,
        meta: held.meta.clone(),
        category: held.category,
        payload: held.payload.clone(),
    }
}
