//! Whether an event costs the same however many came before it and however many projects there are.

use std::sync::Arc;

use host_event::{Book, OutcomeCount, ProjectId};
use host_pipeline::{ChunkPlace, Closing, Plans, Settler, Sink};
use host_queue::Stored;
use tamis_benches::corpus::{Corpus, Mix};
use tokio::runtime::Runtime;

use crate::measure::{Row, time};
use crate::pipeline::sink;
use crate::stages::FourPlugins;

struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

const NOW: i64 = 1_795_372_800_000;
const BATCH: usize = 256;
const CHUNK_BYTES_MAX: usize = 48 << 20;
/// `BENCH_EVENTS_MAX` raises it to the ten million of the bar: that takes a quarter of an hour.
const EVENTS_MAX_DEFAULT: u64 = 1_000_000;

pub fn rows(plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Vec<Row> {
    let most =
        std::env::var("BENCH_EVENTS_MAX").ok().and_then(|v| v.parse().ok()).unwrap_or(EVENTS_MAX_DEFAULT);
    let mut by_events = Vec::new();
    let mut events = 10_000;
    while events <= most {
        by_events.push((events, cost(50, events, plugins, tokio)));
        events *= 10;
    }
    let by_projects: Vec<_> = [1, 100, 10_000]
        .into_iter()
        .map(|projects| (projects, cost(projects, 100_000, plugins, tokio)))
        .collect();
    vec![
        flat("per-event cost by number of events", &by_events),
        flat("per-event cost by number of projects", &by_projects),
    ]
}

fn flat(what: &str, costs: &[(u64, f64)]) -> Row {
    let all = || costs.iter().map(|(_, cost)| *cost);
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let detail: Vec<_> = costs.iter().map(|(n, cost)| format!("{n}: {cost:.1} µs")).collect();
    let spread = (most / least - 1.0) * 100.0;
    Row::at_most(format!("{what}, spread in %"), 20.0, spread, &detail.join(", "))
}

/// Microseconds of processor time for each event, generating it deducted.
fn cost(projects: u64, events: u64, plugins: &Arc<FourPlugins>, tokio: &Runtime) -> f64 {
    // Small events: what grows with their number must not hide behind what grows with their size.
    let mix = Mix { errors: 1, transactions: 0, spans: 40, logs: 60 };
    let records = || Corpus::new(7).projects(projects).mix(mix).records().take(events as usize);
    let generating = time(|| assert_eq!(records().count() as u64, events));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sink = sink(dir.path(), tokio);
    let plan = plugins.plan(1).expect("the plugins are loaded");
    let mut settler = Settler::new(plan, Arc::new(Nobody));
    let worked = time(|| {
        let place = |start| ChunkPlace { partition: 0, epoch: 0, start, queued_at: NOW };
        let mut chunk = sink.begin(place(0));
        chunk.turn(1);
        let mut batch = Vec::with_capacity(BATCH);
        for (offset, record) in (0..).zip(records()) {
            batch.push(Stored { offset, queued_at: NOW, record: Ok(record) });
            if batch.len() == BATCH || offset + 1 == events {
                settler
                    .settle(std::mem::take(&mut batch))
                    .into_iter()
                    .for_each(|settled| chunk.push(settled));
            }
            if chunk.bytes() >= CHUNK_BYTES_MAX {
                chunk
                    .close(Closing::at(offset + 1))
                    .and_then(|mut files| files.run())
                    .expect("a temporary folder");
                chunk = sink.begin(place(offset + 1));
                chunk.turn(1);
            }
        }
        chunk.close(Closing::at(events)).and_then(|mut files| files.run()).expect("a temporary folder");
    });
    (worked.cpu.saturating_sub(generating.cpu)).as_secs_f64() * 1e6 / events as f64
}
