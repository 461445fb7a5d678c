//! A stage of one worker: asks its guest about a batch, and when that fails finds the events that it fails on.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_event::Columns;
use host_pipeline::{Answer, Fault, Stage, StageAnswer, StageKind};

use crate::answers::{EditRoom, append};
use crate::breaker::{Breaker, Change};
use crate::factory::{Live, Shared, begin};
use crate::failure::Failure;
use crate::host::TimeMax;
use crate::metrics::OpenBreaker;

/// Implements [`Stage`] with a component.
pub struct PluginStage {
    shared: Arc<Shared>,
    /// Gone after a failure, until the next call.
    live: Option<Live>,
    breaker: Breaker,
    /// By which the metrics know it.
    worker: u64,
}

impl PluginStage {
    pub(crate) fn new(shared: Arc<Shared>, live: Live) -> PluginStage {
        let worker = shared.metrics.worker();
        PluginStage { shared, live: Some(live), breaker: Breaker::default(), worker }
    }

    /// Asks about all rows. A guest that failed is never asked again.
    fn attempt(
        &mut self,
        columns: &mut Columns,
        time_max: TimeMax,
        room: EditRoom,
    ) -> Result<Answer, Failure> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.shared.start().map_err(|e| Failure::new("start", e.to_string()))?,
        };
        begin(&mut live.store, time_max);
        let rows = columns.len();
        live.store.data_mut().columns = std::mem::take(columns);
        let begun = Instant::now();
        let answer = live.guest.call(&mut live.store, &self.shared.writes, room);
        let nanos = begun.elapsed().as_nanos();
        *columns = std::mem::take(&mut live.store.data_mut().columns);
        let memory = live.store.data().memory_bytes();
        self.shared.metrics.called(rows, nanos, memory);
        let failed = answer.map_err(|e| Failure::of(&e, live.store.data(), &self.shared.limits));
        if let Err(failure) = &failed {
            self.shared.metrics.failed(failure.reason);
            self.shared.note(failure);
        }
        if failed.is_ok() && memory < self.shared.limits.memory_bytes_recycle {
            self.live = Some(live);
        } else {
            self.shared.metrics.restarted();
        }
        failed
    }

    /// Asks about ever smaller parts of a batch that failed as a whole. Gives the last failure too.
    fn isolate(&mut self, columns: &mut Columns, first: Failure) -> (Isolation, Failure) {
        let rows = columns.len();
        let begun = Instant::now();
        let limits = Arc::clone(&self.shared.limits);
        let mut found = Isolation::new(self.shared.kind);
        // Nor does it start for a part of the batch.
        found.gave_up = first.reason == "start";
        let (mut last, mut room) = (first, EditRoom::default());
        // What is left to ask, the next part on top. A batch of one gets a second chance too: its guest may have carried
        // the cause along from batches before.
        let mut parts = halves(0..rows);
        while let Some(part) = parts.pop() {
            if found.gave_up {
                self.give_up(&mut found, columns, part, &last);
                continue;
            }
            let all = columns.narrow(part.clone());
            let answer =
                self.attempt(columns, TimeMax::Part(time_for(part.len(), rows, limits.call_time_max)), room);
            columns.widen(all);
            match answer {
                Ok(answer) => {
                    room = room.without(&answer);
                    append(&mut found.answer, answer);
                    // A guest may answer each part, and start slowly for each of them.
                    found.gave_up = begun.elapsed() > limits.isolation_time_max && !parts.is_empty();
                }
                Err(failure) => {
                    found.gave_up = failure.reason == "start"
                        || begun.elapsed() > limits.isolation_time_max
                        || found.faults.len() >= limits.isolated_faults_max;
                    match part.len() {
                        1 => self.fault(&mut found, columns, part.start, &failure),
                        _ => parts.extend(halves(part)),
                    }
                    last = failure;
                }
            }
        }
        (found, last)
    }

    /// What the guest wrote, and where it was, is said once and not a thousand times.
    fn give_up(&self, found: &mut Isolation, columns: &Columns, part: Range<usize>, last: &Failure) {
        let why = if found.faults.is_empty() { &last.detail } else { &last.cause };
        let detail = format!(
            "not asked about alone, after others of its batch (isolated_faults_max, isolation_time_max): {why}"
        );
        let failure = Failure::new(last.reason, detail);
        for row in part {
            self.fault(found, columns, row, &failure);
        }
    }

    fn fault(&self, found: &mut Isolation, columns: &Columns, row: usize, failure: &Failure) {
        append(&mut found.answer, Answer::neutral(self.shared.kind, 1));
        let event = columns.event(row).meta.event_id;
        let detail =
            format!("{}: event {event}: {}: {}", self.shared.identity, failure.reason, failure.detail);
        found.faults.push(Fault { row, reason: failure.reason, detail });
        self.shared.metrics.faulted(failure.reason, 1);
    }

    fn left_alone(&self, columns: &Columns) -> StageAnswer {
        let mut found = Isolation::new(self.shared.kind);
        let detail = "it failed on one batch after the other and is left alone for a while \
                      (failed_batches_max, back_off_min, back_off_max)";
        let failure = Failure::new("breaker-open", detail);
        for row in 0..columns.len() {
            self.fault(&mut found, columns, row, &failure);
        }
        StageAnswer { answer: found.answer, faults: found.faults }
    }

    /// Draws conclusions from a batch. It counts as failed if no event of it was answered, or if the failing ones were
    /// too many to find: a few bad events are the events' fault.
    fn judge(&mut self, spent: Duration, failed: Option<Failure>) {
        let (metrics, identity) = (&self.shared.metrics, &self.shared.identity);
        let now = (self.shared.runtime.config.clock)();
        let change = match failed {
            Some(_) => self.breaker.failed(now, spent, &self.shared.limits),
            None => self.breaker.succeeded(),
        };
        if let (Some(open), Some(Failure { reason, detail, .. })) = (self.breaker.open(), failed) {
            let (opened, until, back_off) = (open.since, open.until, open.back_off);
            metrics.breaker_open(self.worker, OpenBreaker { opened, until, back_off, reason, detail });
        }
        match change {
            Change::None => {}
            Change::Opened(back_off) => {
                tracing::error!(?back_off, "{identity} keeps failing and is left alone");
            }
            Change::Extended(back_off) => tracing::warn!(?back_off, "{identity} still fails"),
            Change::Closed => {
                metrics.breaker_closed(self.worker);
                tracing::info!("{identity} works again");
            }
        }
    }
}

impl Stage for PluginStage {
    fn name(&self) -> &str {
        &self.shared.identity.stage
    }

    fn kind(&self) -> StageKind {
        self.shared.kind
    }

    fn run(&mut self, columns: &mut Columns) -> StageAnswer {
        let rows = columns.len();
        if rows == 0 {
            return StageAnswer { answer: Answer::neutral(self.shared.kind, 0), faults: Vec::new() };
        }
        let clock = Arc::clone(&self.shared.runtime.config.clock);
        let begun = clock();
        if !self.breaker.admits(begun) {
            return self.left_alone(columns);
        }
        match self.attempt(columns, TimeMax::Call(self.shared.limits.call_time_max), EditRoom::default()) {
            Ok(answer) => {
                self.judge(Duration::ZERO, None);
                StageAnswer { answer, faults: Vec::new() }
            }
            Err(failure) => {
                let identity = &self.shared.identity;
                // Whoever watches has it already.
                if self.shared.watch.is_none() {
                    let Failure { reason, detail, .. } = &failure;
                    tracing::warn!(rows, reason, "{identity} failed on a batch: {detail}");
                }
                let (Isolation { answer, faults, gave_up }, last) = self.isolate(columns, failure);
                let failed = (gave_up || faults.len() == rows).then_some(last);
                self.judge(clock().duration_since(begun), failed);
                StageAnswer { answer, faults }
            }
        }
    }
}

impl Drop for PluginStage {
    fn drop(&mut self) {
        self.shared.metrics.breaker_closed(self.worker);
    }
}

/// What is known so far about a batch that is asked about in parts, from its first row on.
struct Isolation {
    answer: Answer,
    faults: Vec<Fault>,
    gave_up: bool,
}

impl Isolation {
    fn new(kind: StageKind) -> Isolation {
        Isolation { answer: Answer::neutral(kind, 0), faults: Vec::new(), gave_up: false }
    }
}

/// The second half first: parts are taken from the end.
fn halves(part: Range<usize>) -> Vec<Range<usize>> {
    let middle = part.start + part.len() / 2;
    let halves = [middle..part.end, part.start..middle];
    halves.into_iter().filter(|half| !half.is_empty()).collect()
}

/// The time for a part of a batch: twice its share, so that one endless event does not cost the full time at each
/// halving, but never less than an eighth, which a single event must get by with then.
fn time_for(part: usize, rows: usize, whole: Duration) -> Duration {
    let share = whole.mul_f64(2.0 * part as f64 / rows as f64);
    share.clamp(whole / 8, whole)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host_event::{Category, Doc, Event, Meta};

    use super::*;
    use crate::{BreakerState, Compile, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};

    fn batch() -> Columns {
        let meta = Meta::default();
        let doc = Doc::parse(r#"{"message":"trap"}"#).unwrap();
        let mut columns = Columns::default();
        columns.load(vec![Event { offset: 0, queued_at: 0, category: Category::Error, meta, doc }; 8]);
        columns
    }

    /// A guest can not tell a start from a restart. So the configuration changes under it: what an instance came up with, the next one
    /// does not.
    #[test]
    fn a_guest_that_does_not_come_up_again_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Instant::now);
        let config = RuntimeConfig {
            cache_dir: dir.path().into(),
            compile: Compile::InProcess,
            clock,
            perf_map: false,
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/mischief.wat");
        let spec = StageSpec {
            name: "under-test".into(),
            kind: StageKind::Filter,
            component: host_kit::encode_as(StageKind::Filter, &wat::parse_file(path).unwrap())
                .unwrap()
                .into(),
            version: "1.2.3".into(),
            generation: 7,
            config_json: "null".into(),
            reads: "**".into(),
            writes: "**".into(),
            limits: Limits { failed_batches_max: 3, ..Limits::default() },
        };
        let mut factory = StageFactory::load(spec, &Runtime::new(config).unwrap()).unwrap();
        let live = factory.shared.start().unwrap();
        Arc::get_mut(&mut factory.shared).unwrap().config = "\"trap\"".into();
        let mut stage = PluginStage::new(Arc::clone(&factory.shared), live);
        for (reason, state) in [
            ("start", BreakerState::Closed),
            ("start", BreakerState::Closed),
            ("start", BreakerState::Open),
            ("breaker-open", BreakerState::Open),
        ] {
            let answer = stage.run(&mut batch());
            assert_eq!(
                (answer.faults.len(), answer.faults[0].reason),
                (8, reason),
                "{}",
                answer.faults[0].detail
            );
            assert_eq!(factory.metrics().read().breaker(Instant::now()), state);
        }
        let counts = factory.metrics().read();
        let traps = counts.failures.iter().find(|(reason, _)| *reason == "trap").unwrap().1;
        // One call, and a start for each batch that was tried.
        assert_eq!((traps, counts.starts, counts.calls), (1 + 3, 2 + 3, 1));
        assert!(counts.breakers[0].detail.contains("init failed (trap)"), "{}", counts.breakers[0].detail);
    }
}
