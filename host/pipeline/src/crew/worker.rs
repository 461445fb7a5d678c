//! One thread, its stages, and its share of the partitions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::hands::{Answers, Hands, Job};
use super::{Board, Memory, Settlers, Tools, WorkerMetrics};
use crate::line::{Line, Means, Stopping, Turn, WorkerError};
use crate::sink::Errand;

/// How long a worker waits at most for something to happen.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// The same while an errand is under way: its answer does not ring.
const ERRAND_WAIT: Duration = Duration::from_millis(5);
/// How often the leases are looked at.
const LEASES_LOOK_WAIT: Duration = Duration::from_millis(20);

pub(super) struct Worker {
    index: usize,
    tools: Tools,
    board: Arc<Board>,
    memory: Arc<Memory>,
    hands: Arc<Hands>,
    answers: Arc<Answers>,
    settlers: Settlers,
    lines: Vec<Numbered>,
    numbered: u64,
    begun: Instant,
    leases_seen: Option<Instant>,
    failed: Option<WorkerError>,
}

struct Numbered {
    number: u64,
    line: Line,
    metrics: Arc<WorkerMetrics>,
    /// Its errand is under way.
    is_out: bool,
}

/// A panic of a stage or of ours must show in readiness too, not only when the process ends.
struct FailedUnlessDone(Vec<Arc<WorkerMetrics>>);

impl Drop for FailedUnlessDone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.iter().for_each(|metrics| metrics.failed.store(true, Relaxed));
        }
    }
}

impl Worker {
    pub(super) fn new(
        index: usize,
        tools: Tools,
        board: &Arc<Board>,
        memory: &Arc<Memory>,
        hands: &Arc<Hands>,
    ) -> Worker {
        Worker {
            index,
            settlers: Settlers::new(Arc::clone(&tools.plans)),
            tools,
            board: Arc::clone(board),
            memory: Arc::clone(memory),
            hands: Arc::clone(hands),
            answers: Arc::default(),
            lines: Vec::new(),
            numbered: 0,
            begun: Instant::now(),
            leases_seen: None,
            failed: None,
        }
    }

    /// Works until it is told to stop and has nothing left. Gives why the first of its partitions stood still, if one did.
    pub(super) fn run(mut self) -> Result<(), WorkerError> {
        let mut seen = 0;
        let mut shown = FailedUnlessDone(Vec::new());
        loop {
            let stopping = self.tools.stop.stopping();
            if stopping < Stopping::Now {
                self.look_at_leases(&mut shown);
            }
            self.hear_answers(stopping);
            let (is_busy, until) = self.turn_all(stopping);
            if self.is_done(stopping) {
                return self.failed.map_or(Ok(()), Err);
            }
            if !is_busy {
                let longest = if self.lines.iter().any(|l| l.is_out) { ERRAND_WAIT } else { IDLE_WAIT };
                let wait = until.map_or(longest, |at| at.saturating_sub(self.begun.elapsed()).min(longest));
                seen = self.tools.queue.wait(seen, wait);
            }
        }
    }

    /// A drain waits for every partition to be taken up, by whichever worker.
    fn is_done(&self, stopping: Stopping) -> bool {
        match stopping {
            Stopping::No => false,
            _ if self.tools.stop.is_given_up() => true,
            Stopping::WhenDrained => self.lines.is_empty() && self.board.has_all(&self.tools.queue.leases()),
            Stopping::Now => self.lines.is_empty(),
        }
    }

    fn look_at_leases(&mut self, shown: &mut FailedUnlessDone) {
        if self.leases_seen.is_some_and(|at| at.elapsed() < LEASES_LOOK_WAIT) {
            return;
        }
        self.leases_seen = Some(Instant::now());
        self.memory.fetched(self.tools.queue.fetched_bytes() as usize);
        let leases = self.tools.queue.leases();
        let workers = self.tools.config.threads.max(1);
        for (lease, metrics) in self.board.take(self.index, workers, &leases, self.lines.len()) {
            // What it begins with, also before a batch has come.
            metrics.generation.store(self.tools.plans.newest(), Relaxed);
            tracing::info!(partition = lease.partition, worker = self.index, "works a partition off");
            let line = Line::new(lease, Arc::clone(&metrics), self.memory.claim(&metrics));
            shown.0.push(Arc::clone(&metrics));
            self.numbered += 1;
            self.lines.push(Numbered { number: self.numbered, line, metrics, is_out: false });
        }
    }

    fn hear_answers(&mut self, stopping: Stopping) {
        for (number, reply) in self.answers.take() {
            let Some(at) = self.lines.iter().position(|l| l.number == number) else { continue };
            self.lines[at].is_out = false;
            self.with_line(at, stopping, |line, means| line.answer(reply, means).map(|()| Turn::Busy));
        }
    }

    /// Every line has its turn: no partition starves another one.
    fn turn_all(&mut self, stopping: Stopping) -> (bool, Option<Duration>) {
        // Whoever is idle is ready for what comes next, and shows it.
        if !self.lines.is_empty()
            && let Some(generation) = self.settlers.turn()
        {
            self.lines.iter().for_each(|l| l.metrics.generation.store(generation, Relaxed));
        }
        let (mut is_busy, mut until, mut at) = (false, None::<Duration>, 0);
        while at < self.lines.len() {
            match self.with_line(at, stopping, Line::turn) {
                Some(Turn::Busy) => is_busy = true,
                Some(Turn::Idle { until: Some(by) }) => until = Some(until.map_or(by, |u| u.min(by))),
                Some(Turn::Idle { until: None }) => {}
                // Another one has its place.
                Some(Turn::Ended) | None => continue,
            }
            at += 1;
        }
        (is_busy, until)
    }

    /// Does something with a line. `None` if it stands still from now on, and is gone.
    fn with_line(
        &mut self,
        at: usize,
        stopping: Stopping,
        act: impl FnOnce(&mut Line, &mut Means<'_>) -> Result<Turn, WorkerError>,
    ) -> Option<Turn> {
        let Numbered { number, line, metrics, is_out } = &mut self.lines[at];
        let (lease, number) = (line.lease().clone(), *number);
        let mut give = |errand: Box<dyn Errand>| {
            *is_out = true;
            let (lease, metrics, answers) = (lease.clone(), Arc::clone(metrics), Arc::clone(&self.answers));
            self.hands.give(Job { line: number, lease, metrics, errand, answers });
        };
        let mut means = Means {
            queue: &*self.tools.queue,
            sink: &*self.tools.sink,
            settlers: &mut self.settlers,
            hands: &mut give,
            book: &*self.tools.book,
            config: &self.tools.config,
            memory: &self.memory,
            allowed: self.tools.allowed,
            stopping,
            now: self.begun.elapsed(),
        };
        match act(line, &mut means) {
            Ok(Turn::Ended) => {
                let ended = self.lines.swap_remove(at);
                if ended.line.lease().is_lost() {
                    tracing::info!(partition = lease.partition, "gives a partition up");
                    self.board.leave(&lease);
                }
                Some(Turn::Ended)
            }
            Ok(turn) => Some(turn),
            Err(e) => {
                let partition = lease.partition;
                tracing::error!(
                    partition,
                    "{e}; this partition stands still until a restart, or until it is leased anew"
                );
                metrics.failed.store(true, Relaxed);
                self.lines.swap_remove(at);
                self.failed.get_or_insert(e);
                None
            }
        }
    }
}
