//! What a filter costs in each language: per event and call, on the whole pipeline, at the start, and 64 times in a chain.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use host_event::{Category, Columns, Record};
use host_pipeline::{Chain, FailurePolicy, Link, Plan, Plans, Stage, StageKind};
use host_plugin::StageFactory;
use tokio::runtime::Runtime;

use crate::measure::{Row, median, time};
use crate::plugin_call::error;
use crate::stages::{self, FourPlugins};
use crate::{http, pipeline};

/// Components that `make bench` builds of `benches/guests`, with the bar per event in nanoseconds.
const LANGUAGES: [(&str, &str, f64); 6] = [
    ("Rust", "bench-filter", 60.0),
    ("C", "bench-filter-c", 40.0),
    ("Zig", "bench-filter-zig", 40.0),
    ("Go", "bench-filter-go", 150.0),
    ("JavaScript", "bench-filter-js", 1_000.0),
    ("Python", "bench-filter-python", 1_500.0),
];
/// What `tamis plugin new` makes in each of them, with the bar for its share of the pipeline in percent.
const SCAFFOLDS: [(&str, &str, f64); 6] = [
    ("Rust", "new-rust", 3.0),
    ("C", "new-c", 3.0),
    ("Zig", "new-zig", 3.0),
    ("Go", "new-go", 3.0),
    ("JavaScript", "new-js", 10.0),
    ("Python", "new-python", 10.0),
];
/// A release that no event of the corpus has: all events pass.
const SCAFFOLD_CONFIG: &str = r#"{"releases":["0.0.0"]}"#;
const BATCH: usize = 256;
const CALLS: usize = 200;
const ROUNDS: usize = 9;
const MANY: usize = 64;

pub fn rows(records: &[Record], cache: &Path, tokio: &Runtime) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let runtime = stages::runtime(cache)?;
    for (language, component, bar) in LANGUAGES {
        let factory = stages::factory(&runtime, component, StageKind::Filter, "{}")?;
        let figure = per_event(&factory, records)?;
        let what = format!("a filter in {language} per event, batch 256, 3 strings through the SDK, ns");
        let memory = factory.metrics().read().memory_bytes / 1024;
        rows.push(Row::at_most(
            what,
            bar,
            figure,
            &format!("columns extracted before; {memory} KiB of memory"),
        ));
    }
    let four = Arc::new(FourPlugins::load(cache)?);
    for (language, component, bar) in SCAFFOLDS {
        let extra = stages::factory(&runtime, component, StageKind::Filter, SCAFFOLD_CONFIG)?;
        let what = format!(
            "the filter of `tamis plugin new` in {language} on the whole pipeline, % of its processor time"
        );
        let (share, detail) = share_of_pipeline(records, &four, extra, tokio);
        rows.push(Row::at_most(what, bar, share, &detail));
    }
    rows.push(many(&stages::factory(&runtime, "bench-filter", StageKind::Filter, "{}")?, records)?);
    rows.push(http::start_of(&pipeline_of_six())?);
    rows.push(http::swap()?);
    Ok(rows)
}

fn errors(records: &[Record]) -> Columns {
    let mut columns = Columns::default();
    columns.load(records.iter().filter_map(error).take(BATCH).collect());
    assert_eq!(columns.len(), BATCH, "the corpus has enough errors");
    columns
}

/// The call, the host's part of it, and the guest's, without the extraction that all stages share.
fn per_event(factory: &StageFactory, records: &[Record]) -> anyhow::Result<f64> {
    let mut stage = factory.instantiate()?;
    let mut columns = errors(records);
    let mut round = || {
        let took = time(|| (0..CALLS).for_each(|_| drop(black_box(stage.run(&mut columns)))));
        took.cpu.as_secs_f64() * 1e9 / (CALLS * BATCH) as f64
    };
    round();
    Ok(median((0..ROUNDS).map(|_| round()).collect()))
}

/// The four first-party plugins and one more filter in front of them.
struct AndOne {
    four: Arc<FourPlugins>,
    extra: StageFactory,
}

impl Plans for AndOne {
    fn newest(&self) -> u64 {
        1
    }

    fn plan(&self, generation: u64) -> Result<Plan, String> {
        let Plan { mut chain, .. } = self.four.plan(generation)?;
        chain.links.insert(0, link(&self.extra)?);
        Ok(Plan::of(chain))
    }
}

fn link(factory: &StageFactory) -> Result<Link, String> {
    let stage = factory.instantiate().map_err(|e| e.to_string())?;
    Ok(Link {
        name: stage.name().into(),
        stage: Box::new(stage),
        categories: vec![Category::Error, Category::Transaction],
        on_failure: FailurePolicy::FailOpen,
    })
}

/// Two runs that differ by a few percent differ by as much when they are the same: so the stage's own time is taken, of the same run.
fn share_of_pipeline(
    records: &[Record],
    four: &Arc<FourPlugins>,
    extra: StageFactory,
    tokio: &Runtime,
) -> (f64, String) {
    let metrics = extra.metrics();
    let plans = Arc::new(AndOne { four: Arc::clone(four), extra });
    let took = pipeline::worked(records, 1, plans, tokio);
    let counts = metrics.read();
    let share = counts.nanos as f64 / took.cpu.as_nanos() as f64 * 100.0;
    let each = counts.nanos as f64 / counts.events.max(1) as f64;
    (share, format!("{each:.0} ns per event with its columns, {} events", counts.events))
}

/// What the same stage costs many times in a chain, against as many times what it costs once.
fn many(factory: &StageFactory, records: &[Record]) -> anyhow::Result<Row> {
    let cost = |stages: usize| -> anyhow::Result<(f64, f64)> {
        let links =
            (0..stages).map(|_| link(factory)).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
        let mut chain = Chain { generation: 1, links };
        let events: Vec<_> = records.iter().filter_map(error).take(BATCH).collect();
        let mut columns = Columns::default();
        let (mut each, mut slowest) = (Vec::new(), 0.0_f64);
        for _ in 0..ROUNDS * 10 {
            let batch = events.clone();
            let took = time(|| drop(black_box(chain.run(batch, &mut columns))));
            each.push(took.cpu.as_secs_f64() * 1e9 / BATCH as f64);
            slowest = slowest.max(took.wall.as_secs_f64() * 1e3);
        }
        Ok((median(each), slowest))
    };
    let ((none, _), (one, _), (all, slowest)) = (cost(0)?, cost(1)?, cost(MANY)?);
    // The first stage pulls the columns, the others find them: what grows is the call.
    let (first, further) = (one - none, (all - one) / (MANY - 1) as f64);
    let detail = format!(
        "first stage {first:.0} ns per event with its columns, each further {further:.0} ns; slowest batch {slowest:.1} ms"
    );
    let what = "64 stages of one kind in a chain: each further stage against the first";
    Ok(Row::at_most(what, 1.0, further / first, &detail))
}

/// A filter in each language.
fn pipeline_of_six() -> String {
    let plugins = stages::components();
    let stage = |(_, name, _): (&str, &str, f64)| {
        let component = plugins.join(format!("{name}.wasm"));
        format!("[[stage]]\nname = \"{name}\"\nkind = \"filter\"\ncomponent = \"{}\"\n", component.display())
    };
    LANGUAGES.map(stage).concat()
}
