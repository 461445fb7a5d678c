//! What a call into a plugin costs per event, against the same code native.

use std::hint::black_box;
use std::path::Path;

use bench_filter::ThreeStrings;
use host_event::{Body, Columns, Doc, Event, Record};
use host_pipeline::{Stage, StageKind};
use tamis_plugin::{Filter, testing};

use crate::measure::{Row, in_turn, time};
use crate::stages;

const BATCH: usize = 256;
const CALLS: usize = 400;
const ROUNDS: usize = 9;

pub fn rows(records: &[Record], cache: &Path) -> anyhow::Result<Vec<Row>> {
    let runtime = stages::runtime(cache)?;
    let mut stage = stages::factory(&runtime, "bench-filter", StageKind::Filter, "{}")?.instantiate()?;
    let mut native = ThreeStrings::init(serde_json::from_str("{}")?).map_err(anyhow::Error::msg)?;
    let mut columns = Columns::default();
    columns.load(records.iter().filter_map(error).take(BATCH).collect());
    assert_eq!(columns.len(), BATCH, "the corpus has enough errors");
    let mut of_native = Columns::default();
    of_native.load(records.iter().filter_map(error).take(BATCH).collect());
    let per_event = |seconds: f64| seconds * 1e9 / (CALLS * BATCH) as f64;
    let wasm = || {
        // The columns are extracted anew for every batch, as in life.
        let took = time(|| {
            (0..CALLS).for_each(|_| {
                columns.changed();
                black_box(stage.run(&mut columns));
            })
        });
        per_event(took.cpu.as_secs_f64())
    };
    let native = || {
        let took = time(|| {
            (0..CALLS).for_each(|_| {
                let mut taken = std::mem::take(&mut of_native);
                taken.changed();
                let (answer, back) = testing::run_filter(&mut native, taken);
                black_box(answer);
                of_native = back;
            })
        });
        per_event(took.cpu.as_secs_f64())
    };
    let (wasm, native) = in_turn(ROUNDS, wasm, native);
    // What the host's extraction takes is in both; the plugin's own share is what is left.
    let extraction = {
        let took = time(|| {
            (0..CALLS).for_each(|_| {
                columns.changed();
                for path in ["release", "environment", "transaction"] {
                    black_box(columns.strings(path).expect("a path")).len();
                }
            })
        });
        per_event(took.cpu.as_secs_f64())
    };
    let detail = format!(
        "extraction {extraction:.0} ns included in both; native {native:.0} ns, component {wasm:.0} ns"
    );
    Ok(vec![
        Row::at_most(
            "plugin call per event beyond extraction, batch 256, 3 strings, ns",
            60.0,
            wasm - extraction,
            &detail,
        ),
        Row::at_least("the same, native against component", 0.5, native / wasm, &detail),
    ])
}

pub fn error(record: &Record) -> Option<Event> {
    let Body::Item { category: category @ host_event::Category::Error, payload } = &record.body else {
        return None;
    };
    let doc = Doc::parse(payload.clone()).ok()?;
    Some(Event { offset: 0, queued_at: 0, category: *category, meta: record.meta.clone(), doc })
}
