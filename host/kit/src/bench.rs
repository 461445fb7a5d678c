//! What a plugin costs: per event, at several sizes of batches, beside a plugin that does nothing and beside the host's own
//! extraction of the same columns, all in turn and in one run.

mod corpus;
mod empty;
mod render;

pub(crate) use render::write_columns;

use std::hint::black_box;
use std::time::{Duration, Instant};

use host_event::{Columns, Event};
use host_pipeline::Stage;
use host_plugin::{PluginStage, Seen};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use thiserror::Error;

use crate::trial::{Lines, Subject, TrialError, Workbench};
use crate::{KitError, batch_of};

/// Events of a batch, as the host makes them under little load and under much.
const BATCHES: [usize; 5] = [1, 16, 64, 256, 1024];
pub(crate) const BATCH_MAX: usize = 1024;
/// The size that stands for all: what the host makes under load.
const BATCH_USUAL: usize = 256;
/// Each thing is measured so often, and the median counts.
const ROUNDS: usize = 15;
/// Starts are slower.
const STARTS: usize = 9;
/// A sample takes at least this long, so that the clock and the caches do not decide.
const SAMPLE: Duration = Duration::from_millis(3);

#[derive(Debug, Error)]
pub enum BenchError {
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error("the empty plugin can not be made")]
    Empty(#[from] KitError),
    #[error(
        "it fails on event {event} of a batch of {batch}: {detail}\nTry it with `tamis plugin run`: {json}"
    )]
    Fails { event: usize, batch: usize, detail: String, json: String },
    #[error("a folder for compiled components can not be made")]
    Folder(#[from] std::io::Error),
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchPlan {
    pub config: String,
    /// The author's own events; `None` are those that come with Tamis.
    pub events: Option<Vec<Event>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    pub plugin: String,
    pub version: String,
    pub kind: &'static str,
    /// Whether this program was built with optimization: else what the host does takes several times as long.
    pub optimized: bool,
    pub events: &'static str,
    pub component_bytes: usize,
    pub start: StartCost,
    pub batches: Vec<BatchCost>,
    /// Of one batch of the usual size.
    pub pulled: Vec<PulledColumn>,
    pub memory_bytes: u64,
}

/// Milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StartCost {
    /// Once for each version of the component on a machine; the host keeps the result.
    pub compile_ms: f64,
    /// At each start of the host, from what it kept.
    pub load_ms: f64,
    /// A fresh instance, `init` included: for each worker, and after each failure.
    pub instance_ms: f64,
}

/// Nanoseconds per event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchCost {
    pub events: usize,
    pub category: &'static str,
    /// The whole call: the host's extraction, the copies into the guest, the guest, the check of its answer.
    pub total_ns: f64,
    /// The host's extraction of what the plugin pulls. Stages that pull the same share it.
    pub extraction_ns: f64,
    /// What the plugin adds to it, measured with columns that are extracted already.
    pub plugin_ns: f64,
    /// The whole call of a plugin of that kind that does nothing.
    pub empty_ns: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PulledColumn {
    /// As in `tamis plugin columns --pull`.
    pub pull: String,
    pub times: usize,
    pub rows: usize,
    pub bytes: usize,
}

/// Measures a plugin. `progress` is told what comes next.
pub fn bench(
    subject: &Subject,
    plan: &BenchPlan,
    progress: &mut dyn FnMut(&str),
) -> Result<BenchReport, BenchError> {
    let cache = tempfile::tempdir()?;
    let workbench = Workbench::new(cache.path(), Lines::Ignored)?;
    progress("start");
    let start = start_cost(&workbench, subject, &plan.config)?;
    let empty = workbench.load_plain(&empty::empty(subject.kind)?, "{}").map_err(TrialError::from)?;
    let plugin = workbench.load_plain(subject, &plan.config).map_err(TrialError::from)?;
    let mut rig = Rig {
        reads: subject.reads.clone(),
        plugin: plugin.instantiate().map_err(TrialError::from)?,
        empty: empty.instantiate().map_err(TrialError::from)?,
    };
    let watched = workbench.load(subject, &plan.config).map_err(|(error, _)| TrialError::from(error))?;
    let mut batches = Vec::new();
    let mut pulled = Vec::new();
    let mut memory_bytes = 0;
    for (size, category) in sizes(plan.events.is_some()) {
        progress(&format!("batches of {size} {category}"));
        let mut columns = batch_of(events(plan, size, category));
        let mut stage = watched.instance().map_err(TrialError::from)?;
        let pulls = learn(&mut stage, &mut columns, || watched.seen())?;
        if size == BATCH_USUAL && pulled.is_empty() {
            pulled = summed(&pulls);
        }
        batches.push(rig.measure(&mut columns, &pulls, category));
        memory_bytes = plugin.metrics().read().memory_bytes;
    }
    Ok(BenchReport {
        plugin: subject.name.clone(),
        version: subject.version.clone(),
        kind: subject.kind.as_str(),
        optimized: !cfg!(debug_assertions),
        events: if plan.events.is_some() { "the author's" } else { "those of Tamis" },
        component_bytes: subject.component.len(),
        start,
        batches,
        pulled,
        memory_bytes,
    })
}

/// In life a batch has one category.
fn sizes(are_own: bool) -> Vec<(usize, &'static str)> {
    match are_own {
        true => BATCHES.map(|size| (size, "events")).to_vec(),
        false => [&BATCHES.map(|size| (size, "errors"))[..], &[(BATCH_USUAL, "transactions")]].concat(),
    }
}

fn events(plan: &BenchPlan, size: usize, category: &str) -> Vec<Event> {
    match &plan.events {
        Some(own) => own.iter().cycle().take(size).cloned().collect(),
        None if category == "transactions" => corpus::transactions(size),
        None => corpus::errors(size),
    }
}

fn start_cost(workbench: &Workbench, subject: &Subject, config: &str) -> Result<StartCost, BenchError> {
    let timed_load = || {
        let begun = Instant::now();
        let loaded = workbench.load_plain(subject, config).map_err(TrialError::from)?;
        Ok::<_, BenchError>((begun.elapsed(), loaded))
    };
    let (cold, loaded) = timed_load()?;
    let (mut warm, mut instances) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        warm.push(timed_load()?.0.as_secs_f64() * 1e3);
        let begun = Instant::now();
        black_box(loaded.instantiate().map_err(TrialError::from)?);
        instances.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let (warm, instance_ms) = (median(warm), median(instances));
    // Loading makes one instance, to see whether the configuration is taken.
    let (compile_ms, load_ms) = (cold.as_secs_f64() * 1e3 - warm, warm - instance_ms);
    Ok(StartCost { compile_ms: compile_ms.max(0.0), load_ms: load_ms.max(0.0), instance_ms })
}

/// What a plugin pulls of this batch once its caches are warm, in order.
fn learn(
    stage: &mut PluginStage,
    columns: &mut Columns,
    seen: impl Fn() -> Vec<Seen>,
) -> Result<Vec<host_plugin::Pull>, BenchError> {
    for _ in 0..2 {
        seen();
        columns.changed();
        let answer = stage.run(columns);
        if let Some(fault) = answer.faults.into_iter().next() {
            let (event, batch) = (fault.row, columns.len());
            let json = String::from_utf8_lossy(columns.event(event).doc.text()).into_owned();
            return Err(BenchError::Fails { event, batch, detail: fault.detail, json });
        }
    }
    let pulls = seen().into_iter().filter_map(|seen| match seen {
        Seen::Pull(pull) => Some(pull),
        _ => None,
    });
    Ok(pulls.collect())
}

pub(crate) fn summed(pulls: &[host_plugin::Pull]) -> Vec<PulledColumn> {
    let mut columns: Vec<PulledColumn> = Vec::new();
    for pull in pulls {
        let name = format!("{}:{}", pull.function, pull.argument);
        match columns.iter_mut().find(|column| column.pull == name) {
            Some(column) => {
                column.times += 1;
                column.bytes += pull.bytes;
            }
            None => columns.push(PulledColumn { pull: name, times: 1, rows: pull.rows, bytes: pull.bytes }),
        }
    }
    columns
}

/// The plugin and the one that does nothing.
struct Rig {
    reads: String,
    plugin: PluginStage,
    empty: PluginStage,
}

impl Rig {
    fn measure(
        &mut self,
        columns: &mut Columns,
        pulls: &[host_plugin::Pull],
        category: &'static str,
    ) -> BatchCost {
        let events = columns.len();
        let (plugin, empty) = (&mut self.plugin, &mut self.empty);
        let mut call = |columns: &mut Columns| drop(black_box(plugin.run(columns)));
        let mut call_empty = |columns: &mut Columns| drop(black_box(empty.run(columns)));
        let mut extract = extraction(&self.reads, pulls);
        let mut total = Sampler::new(Extracted::Anew);
        let mut of_empty = Sampler::new(Extracted::Anew);
        let mut of_extraction = Sampler::new(Extracted::Anew);
        let mut with_columns = Sampler::new(Extracted::Before);
        let mut columns_alone = Sampler::new(Extracted::Before);
        for _ in 0..ROUNDS {
            // In turn, so that whatever else the machine does falls on all of them.
            total.sample(columns, &mut call);
            of_empty.sample(columns, &mut call_empty);
            of_extraction.sample(columns, &mut extract);
            with_columns.sample(columns, &mut call);
            columns_alone.sample(columns, &mut extract);
        }
        let per_event = |nanos: f64| nanos / events as f64;
        BatchCost {
            events,
            category,
            total_ns: per_event(total.median()),
            extraction_ns: per_event(of_extraction.median()),
            plugin_ns: per_event(with_columns.median() - columns_alone.median()).max(0.0),
            empty_ns: per_event(of_empty.median()),
        }
    }
}

/// The host's part of what a plugin pulls, without the plugin.
fn extraction(reads: &str, pulls: &[host_plugin::Pull]) -> impl FnMut(&mut Columns) + use<> {
    let granted = |selector: &str| match reads {
        "**" => selector.to_owned(),
        reads => format!("({reads}) && ({selector})"),
    };
    let argument = |pull: &host_plugin::Pull| match pull.function {
        "leaves" => granted(&pull.argument),
        _ => pull.argument.clone(),
    };
    let pulls: Vec<(&'static str, String)> =
        pulls.iter().map(|pull| (pull.function, argument(pull))).collect();
    move |columns| {
        for (function, argument) in &pulls {
            // It worked for the plugin.
            match *function {
                "strings" => drop(black_box(columns.strings(argument).map(|texts| texts.len()))),
                "numbers" => drop(black_box(columns.numbers(argument).map(|reals| reals.values.len()))),
                "json" => drop(black_box(columns.json(argument))),
                "counts" => drop(black_box(columns.counts(argument))),
                "leaves" => drop(black_box(columns.leaves(argument))),
                _ => {}
            }
        }
    }
}

/// Which columns a piece of work finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extracted {
    /// None, as the first stage that pulls them.
    Anew,
    /// Those that the host keeps, as every later stage: what remains is small enough to be measured beside the noise of the rest.
    Before,
}

/// How long a piece of work with a batch takes.
struct Sampler {
    columns: Extracted,
    times: u32,
    nanos: Vec<f64>,
}

impl Sampler {
    fn new(columns: Extracted) -> Sampler {
        Sampler { columns, times: 0, nanos: Vec::new() }
    }

    fn sample(&mut self, columns: &mut Columns, work: &mut dyn FnMut(&mut Columns)) {
        // How often makes a sample; finding that out warms up as well.
        if self.times == 0 {
            self.times = 1;
            while self.times < 1 << 20 && self.run(columns, work) < SAMPLE {
                self.times *= 2;
            }
        }
        let took = self.run(columns, work);
        self.nanos.push(took.as_secs_f64() * 1e9 / f64::from(self.times));
    }

    fn run(&mut self, columns: &mut Columns, work: &mut dyn FnMut(&mut Columns)) -> Duration {
        let begun = processor_time();
        for _ in 0..self.times {
            if self.columns == Extracted::Anew {
                columns.changed();
            }
            work(columns);
        }
        processor_time().saturating_sub(begun)
    }

    fn median(&self) -> f64 {
        median(self.nanos.clone())
    }
}

/// Of this thread: what other programs do meanwhile is not the plugin's.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
