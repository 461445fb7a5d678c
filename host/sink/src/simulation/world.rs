//! Everything that happens in one schedule.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_event::{Book, Category, Columns, OutcomeCount, Partition, ProjectId};
use host_pipeline::{
    Allowed, Answer, Chain, Errand, FailurePolicy, Fault, Line, Link, Means, Memory, Plan, Plans, Settlers,
    Sink, Stage, StageAnswer, StageKind, Stopping, Turn, WorkerConfig,
};
use host_queue::{Lease, Queue};

use super::Draw;
use super::broker::{Broker, PARTITIONS, View};
use super::mistake::{Background, Mistake, Mistaken};
use super::store::Faulty;
use crate::encode::FileLimits;
use crate::sink::{ParquetSink, SinkConfig};
use crate::store::Store;
use crate::verify::{Silent, verify};

const WORKERS: usize = 3;
const STEPS_WITH_FAULTS: usize = 400;
const STEPS_MAX: usize = 6_000;
/// Lines of a trace that are kept.
const TRACE_LINES_MAX: usize = 5_000;

/// How often what happens, one in so many. Every schedule has its own: what is rare in most of them is the rule in some.
struct Odds {
    moves: u64,
    /// Of the moves, those back to who has it already.
    same: u64,
    late: u64,
    ends: u64,
}

impl Odds {
    fn draw(draw: &mut Draw) -> Odds {
        let mut odds = |most| 1 + draw.below(most);
        Odds { moves: 4 + odds(16), same: odds(6), late: odds(40), ends: 10 + odds(60) }
    }
}

pub(super) struct World {
    draw: Draw,
    odds: Odds,
    broker: Arc<Broker>,
    store: Arc<Faulty>,
    workers: Vec<Worker>,
    incarnations: u64,
    background: Background,
    mistake: Option<Mistake>,
    config: WorkerConfig,
    now: Duration,
    trace: Option<Vec<String>>,
}

struct Worker {
    queue: View,
    sink: Mistaken,
    settlers: Settlers,
    memory: Arc<Memory>,
    lines: Vec<Held>,
    stopping: Stopping,
    /// What it was through with since it was told to stop.
    done: Vec<Lease>,
    /// Does nothing before that step: it was stopped, or swaps, or collects garbage.
    sleeps_until: usize,
}

struct Held {
    line: Line,
    lease: Lease,
    errand: Option<Box<dyn Errand>>,
}

struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

/// A scrubber that fails on some days and not on others, whatever the event.
struct Moody(Arc<Mutex<Draw>>);

impl Stage for Moody {
    fn name(&self) -> &str {
        "moody"
    }
    fn kind(&self) -> StageKind {
        StageKind::Scrubber
    }
    fn run(&mut self, columns: &mut Columns) -> StageAnswer {
        let mut draw = self.0.lock().unwrap();
        let rows = (0..columns.len()).filter(|_| draw.one_in(4));
        let fault = |row| Fault { row, reason: "deadline", detail: "1 s".into() };
        let faults = rows.map(fault).collect();
        StageAnswer { answer: Answer::Scrub(vec![Vec::new(); columns.len()]), faults }
    }
}

struct Moods(Arc<Mutex<Draw>>);

impl Plans for Moods {
    fn newest(&self) -> u64 {
        1
    }
    fn plan(&self, generation: u64) -> Result<Plan, String> {
        let link = Link {
            stage: Box::new(Moody(Arc::clone(&self.0))),
            name: "moody".into(),
            categories: vec![Category::Log],
            on_failure: FailurePolicy::FailClosed,
        };
        Ok(Plan::of(Chain { generation, links: vec![link] }))
    }
}

impl World {
    pub(super) fn new(seed: u64, mistake: Option<Mistake>, is_traced: bool) -> World {
        let mut draw = Draw::new(seed);
        let store = Arc::new(Faulty::new(draw.fork(), mistake == Some(Mistake::Overwrite)));
        let broker = Arc::new(Broker::new(draw.fork(), Arc::clone(&store)));
        let config = WorkerConfig {
            batch_events_max: 1 + draw.below(4) as usize,
            chunk_rows_max: 1 + draw.below(6) as usize,
            chunk_age_max: Duration::from_secs(1 + draw.below(20)),
            ..WorkerConfig::default()
        };
        let mut world = World {
            odds: Odds::draw(&mut draw),
            draw,
            broker,
            store,
            workers: Vec::new(),
            incarnations: 0,
            background: Background::default(),
            mistake,
            config,
            now: Duration::ZERO,
            trace: is_traced.then(Vec::new),
        };
        for index in 0..WORKERS {
            let worker = world.worker(index);
            world.workers.push(worker);
        }
        world
    }

    pub(super) fn trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    fn worker(&mut self, index: usize) -> Worker {
        self.incarnations += 1;
        let nonce = u128::from(self.incarnations);
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        // Compressing would be half of the time.
        let files = FileLimits { zstd_level: None, ..FileLimits::default() };
        let config = SinkConfig { files, ..SinkConfig::new("sim") };
        let sink = ParquetSink::bare(store, config, nonce, self.mistake);
        Worker {
            queue: View { broker: Arc::clone(&self.broker), worker: index },
            sink: Mistaken { sink, mistake: self.mistake, background: Arc::clone(&self.background) },
            settlers: Settlers::new(Arc::new(Moods(Arc::new(Mutex::new(self.draw.fork()))))),
            memory: Arc::new(Memory::new(1 << 30)),
            lines: Vec::new(),
            stopping: Stopping::No,
            done: Vec::new(),
            sleeps_until: 0,
        }
    }

    pub(super) fn play(&mut self) -> Result<(), String> {
        for at in 0..STEPS_MAX {
            let has_faults = at < STEPS_WITH_FAULTS;
            if at == STEPS_WITH_FAULTS {
                self.heal();
            }
            if has_faults {
                self.disturb(at);
            }
            self.store.deliver_late(if has_faults { self.odds.late } else { 1 });
            self.now += Duration::from_millis(self.draw.below(if has_faults { 400 } else { 4_000 }));
            self.step(at)?;
            self.hear();
            if let Some(what) = self.broker.broken() {
                return Err(what);
            }
            let is_over = !has_faults && self.broker.is_committed() && self.is_quiet();
            if is_over {
                return self.look_back();
            }
        }
        Err("the workers came to no end".into())
    }

    /// Something that goes wrong beside the store and the broker's answers.
    fn disturb(&mut self, at: usize) {
        self.broker.append_some();
        let worker = self.draw.below(WORKERS as u64) as usize;
        if self.draw.one_in(self.odds.moves) {
            let partition = self.draw.below(u64::from(PARTITIONS)) as Partition;
            // Who lost it and has it again meets its own writes of before.
            let again = self.broker.owner(partition).filter(|_| self.draw.one_in(self.odds.same));
            self.broker.assign(partition, again.unwrap_or(worker));
        }
        if self.draw.one_in(10) {
            self.broker.tell_one();
        }
        if self.draw.one_in(self.odds.ends) {
            self.say(|| format!("worker {worker} crashes"));
            self.workers[worker] = self.worker(worker);
        }
        if self.draw.one_in(self.odds.ends) {
            let stopping = if self.draw.one_in(2) { Stopping::Now } else { Stopping::WhenDrained };
            self.say(|| format!("worker {worker} is told to stop: {stopping:?}"));
            self.workers[worker].stopping = stopping;
        }
        if self.has_stopped(worker) {
            self.say(|| format!("worker {worker} starts again"));
            self.workers[worker] = self.worker(worker);
        }
        if self.draw.one_in(self.odds.ends) {
            let until = at + 10 + self.draw.below(100) as usize;
            self.say(|| format!("worker {worker} sleeps"));
            self.workers[worker].sleeps_until = until;
        }
    }

    fn heal(&mut self) {
        self.say(|| "the faults are over".into());
        self.store.heal();
        self.broker.heal(WORKERS);
        for worker in &mut self.workers {
            (worker.sleeps_until, worker.stopping) = (0, Stopping::No);
        }
    }

    /// It was told to, and has nothing left of what it was given.
    fn has_stopped(&self, index: usize) -> bool {
        let Worker { queue, lines, stopping, done, .. } = &self.workers[index];
        let is_done = |lease: &Lease| lease.is_lost() || done.iter().any(|done| done.is(lease));
        *stopping > Stopping::No && lines.is_empty() && queue.leases().iter().all(is_done)
    }

    /// One worker does one thing: it looks at its leases, has a turn with a line, or carries an errand on.
    fn step(&mut self, at: usize) -> Result<(), String> {
        let index = self.draw.below(WORKERS as u64) as usize;
        if self.workers[index].sleeps_until > at {
            return Ok(());
        }
        if self.draw.one_in(8) {
            let mut background = self.background.lock().unwrap();
            if let Some(errand) = background.first_mut()
                && matches!(errand.step(), Ok(Some(_)) | Err(_))
            {
                background.remove(0);
            }
        }
        self.take_leases(index);
        let lines = self.workers[index].lines.len() as u64;
        if lines == 0 {
            return Ok(());
        }
        let which = self.draw.below(lines) as usize;
        match self.draw.one_in(2) {
            true => self.turn(index, which),
            false => self.carry(index, which),
        }
    }

    fn take_leases(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        for lease in worker.queue.leases() {
            let is_done = worker.done.iter().any(|done| done.is(&lease));
            if lease.is_lost() || is_done || worker.lines.iter().any(|held| held.lease.is(&lease)) {
                continue;
            }
            let metrics = Arc::default();
            let line = Line::new(lease.clone(), Arc::clone(&metrics), worker.memory.claim(&metrics));
            worker.lines.push(Held { line, lease, errand: None });
        }
    }

    fn turn(&mut self, index: usize, which: usize) -> Result<(), String> {
        let turned = self.with_line(index, which, Line::turn)?;
        let partition = self.workers[index].lines[which].lease.partition;
        self.say(|| format!("worker {index} turns partition {partition}: {turned:?}"));
        if turned == Turn::Ended {
            let Held { lease, .. } = self.workers[index].lines.remove(which);
            let Worker { stopping, done, .. } = &mut self.workers[index];
            done.extend(Some(lease).filter(|_| *stopping > Stopping::No));
        }
        Ok(())
    }

    /// A step of the errand of a line, if it has one. One that is lost is given up, unless the call was under way.
    fn carry(&mut self, index: usize, which: usize) -> Result<(), String> {
        let held = &mut self.workers[index].lines[which];
        let is_lost = held.lease.is_lost();
        let Some(errand) = &mut held.errand else { return Ok(()) };
        if is_lost {
            held.errand = None;
            return Ok(());
        }
        match errand.step() {
            Ok(None) | Err(host_pipeline::SinkError::Retry { .. }) => Ok(()),
            Ok(Some(reply)) => {
                held.errand = None;
                let partition = held.lease.partition;
                self.say(|| format!("worker {index} partition {partition}: {reply:?}"));
                self.with_line(index, which, |line, means| {
                    line.answer(Ok(reply), means).map(|()| Turn::Busy)
                })?;
                Ok(())
            }
            Err(fatal) => Err(format!("worker {index}: {fatal}")),
        }
    }

    fn with_line(
        &mut self,
        index: usize,
        which: usize,
        act: impl FnOnce(&mut Line, &mut Means<'_>) -> Result<Turn, host_pipeline::WorkerError>,
    ) -> Result<Turn, String> {
        let Worker { queue, sink, settlers, memory, lines, stopping, .. } = &mut self.workers[index];
        let Held { line, errand, .. } = &mut lines[which];
        let mut given = None;
        let mut give = |errand: Box<dyn Errand>| given = Some(errand);
        let mut means = Means {
            queue: &*queue as &dyn Queue,
            sink: &*sink as &dyn Sink,
            settlers,
            hands: &mut give,
            book: &Nobody,
            config: &self.config,
            memory,
            allowed: Allowed::default(),
            stopping: *stopping,
            now: self.now,
        };
        let acted = act(line, &mut means).map_err(|e| format!("worker {index}: {e}"))?;
        if given.is_some() {
            *errand = given;
        }
        Ok(acted)
    }

    /// Nothing is under way that could still change the store.
    fn is_quiet(&self) -> bool {
        let lines = self.workers.iter().flat_map(|worker| &worker.lines);
        let is_out = lines.into_iter().any(|held| held.errand.is_some() && !held.lease.is_lost());
        !is_out && !self.store.has_late() && self.background.lock().unwrap().is_empty()
    }

    /// What a reader of the store finds, after one more worker that knows nothing has gone through it; in every other schedule one that was
    /// told to stop before it began.
    fn look_back(&mut self) -> Result<(), String> {
        let objects = |store: &Faulty| store.inner.list("").unwrap().len();
        let before = objects(&self.store);
        self.say(|| "a worker that knows nothing begins anew".into());
        self.broker.forget_group();
        self.workers = vec![];
        for index in 0..WORKERS {
            let worker = self.worker(index);
            self.workers.push(worker);
        }
        (0..PARTITIONS).for_each(|partition| self.broker.assign(partition, 0));
        if self.draw.one_in(2) {
            self.workers[0].stopping = Stopping::WhenDrained;
        }
        for at in 0..STEPS_MAX {
            self.now += Duration::from_secs(1);
            self.step(at)?;
            self.hear();
            if self.broker.is_committed() || self.has_stopped(0) {
                break;
            }
        }
        if !self.broker.is_committed() {
            return Err("who knew nothing did not find the end".into());
        }
        if objects(&self.store) != before {
            return Err(format!("{before} objects became {} by looking", objects(&self.store)));
        }
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let report = verify(&store, &mut Silent).map_err(|e| e.to_string())?;
        let (offsets, records) = (report.offsets, self.broker.records());
        if !report.is_sound() || offsets != records {
            return Err(format!("{records} records, {offsets} offsets in the store\n{}", report.render()));
        }
        Ok(())
    }

    fn hear(&mut self) {
        let said = [self.broker.said(), self.store.said()].concat();
        said.into_iter().for_each(|line| self.say(|| format!("  {line}")));
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = self.trace.as_mut().filter(|trace| trace.len() < TRACE_LINES_MAX) {
            trace.push(format!("{:9.3} {}", now.as_secs_f64(), line()));
        }
    }
}
