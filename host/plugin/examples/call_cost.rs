//! What a call into a plugin costs per event: a filter that looks at three strings, as a component and natively, on the
//! same columns. `cargo run --release -p host-plugin --example call_cost`

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use host_event::{Category, Columns, Doc, Event, EventId, Meta};
use host_pipeline::{Stage, StageKind};
use host_plugin::{Compile, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};
use tamis_plugin::Filter;
use tamis_plugin::testing::run_filter;

use bench_filter::ThreeStrings;

/// Measurements of each kind; the fastest counts, the machine is shared.
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir()?;
    let built = host_kit::build(&here.join("../../benches/guest"), dir.path())?;
    let clock = Arc::new(Instant::now);
    let config = RuntimeConfig {
        cache_dir: dir.path().join("cache"),
        compile: Compile::InProcess,
        clock,
        perf_map: false,
    };
    let spec = StageSpec {
        name: "bench-filter".into(),
        kind: StageKind::Filter,
        component: std::fs::read(built.path)?.into(),
        version: "0.1.0".into(),
        generation: 1,
        config_json: "null".into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    };
    let mut stage = StageFactory::load(spec, &Runtime::new(config)?)?.instantiate()?;
    let mut plugin = ThreeStrings::init(serde_json::from_str("null")?)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "batch  component  native  ratio  extraction (ns per event, three strings)")?;
    for rows in [1, 16, 64, 256, 1024] {
        let mut columns = batch(rows);
        let extraction = fastest(rows, || {
            columns.changed();
            for path in ["release", "environment", "transaction"] {
                columns.strings(path).expect("the path is valid");
            }
        });
        let component = fastest(rows, || assert!(stage.run(&mut columns).faults.is_empty()));
        let native = fastest(rows, || {
            let (answer, back) = run_filter(&mut plugin, std::mem::take(&mut columns));
            assert_eq!(answer.verdicts.len(), rows);
            columns = back;
        });
        let ratio = native / component;
        writeln!(out, "{rows:>5}  {component:>9.1}  {native:>6.1}  {ratio:>5.2}  {extraction:>10.1}")?;
    }
    Ok(())
}

fn fastest(rows: usize, mut run: impl FnMut()) -> f64 {
    let times = (200_000 / rows).max(100);
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        (0..times).for_each(|_| run());
        best = best.min(begun.elapsed().as_nanos() as f64 / (times * rows) as f64);
    }
    best
}

/// Events of 8 KB, as Python's client sends them: the three strings stand far apart.
fn batch(rows: usize) -> Columns {
    let frame = r#"{"filename":"shop/views.py","function":"checkout","lineno":42,"in_app":true,"context_line":"    raise Oops"}"#;
    let frames = vec![frame; 60].join(",");
    let event = |index: usize| {
        let text = format!(
            r#"{{"event_id":"{index:032x}","level":"error","release":"shop@1.2.{}","exception":{{"values":[{{"type":"Oops",
            "stacktrace":{{"frames":[{frames}]}}}}]}},"environment":"{}","transaction":"/api/{}/{}"}}"#,
            index % 7,
            ["production", "staging", "development"][index % 3],
            index % 50,
            ["orders", "health"][usize::from(index.is_multiple_of(9))],
        );
        Event {
            offset: index as u64,
            queued_at: 0,
            category: Category::Error,
            meta: Meta { event_id: EventId(index as u128), ..Meta::default() },
            doc: Doc::parse(text).expect("it is JSON"),
        }
    };
    let mut columns = Columns::default();
    columns.load((0..rows).map(event).collect());
    columns
}
