//! The whole pipeline against its floor: one thread that parses, fills the same columns, sorts, and writes the same Parquet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host_event::{Body, Book, Doc, OutcomeCount, ProjectId, Record};
use host_pipeline::{
    Accepted, ChunkPlace, End, Plans, Settled, Sink, Stop, Worker, WorkerConfig, WorkerMetrics,
};
use host_queue::{Embedded, EmbeddedConfig, Queue};
use host_sink::{ParquetSink, SinkConfig};
use tokio::runtime::Runtime;

use crate::measure::{Row, Took, in_turn, time};
use crate::stages::FourPlugins;

struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

pub fn size_of(records: &[Record]) -> usize {
    records.iter().map(|r| r.value().len()).sum()
}

/// 2026-11-22 18:40:00 UTC. A chunk never spans two hours, so the hour must not end within a run.
const NOW: i64 = 1_795_372_800_000;
const CHUNK_BYTES_MAX: usize = 48 << 20;

pub fn sink(dir: &Path, tokio: &Runtime) -> ParquetSink {
    let url = dir.display().to_string();
    ParquetSink::open(&url, SinkConfig::new("bench"), 1, tokio.handle().clone()).expect("a temporary folder")
}

/// Few enough that no partition has noticeably more than another.
const RECORDS_IN_A_ROW: usize = 100;

/// A queue that holds all records, spread over its partitions.
fn queue(dir: &Path, records: &[Record], partitions: u32, tokio: &Runtime) -> Arc<Embedded> {
    let config = EmbeddedConfig { partitions, ..EmbeddedConfig::new(Arc::new(|| NOW)) };
    let queue = Embedded::open(dir, config).expect("a temporary folder");
    for (i, part) in records.chunks(RECORDS_IN_A_ROW).enumerate() {
        let appended = tokio.block_on(queue.append(i as u32 % partitions, part.to_vec()));
        appended.expect("the disk takes a few hundred megabytes");
    }
    Arc::new(queue)
}

/// From records in the queue to closed chunks on disk, with a worker for each partition.
pub fn ours(records: &[Record], workers: u32, plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Took {
    worked(records, workers, Arc::clone(plugins), tokio)
}

/// The same with any plans.
pub fn worked(records: &[Record], workers: u32, plans: Arc<impl Plans>, tokio: &Runtime) -> Took {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let queue = queue(&dir.path().join("queue"), records, workers, tokio);
    let sink: Arc<dyn Sink> = Arc::new(sink(&dir.path().join("store"), tokio));
    let stop = Arc::new(Stop::default());
    stop.request(Duration::from_secs(3600));
    let worker = |partition| Worker {
        partition,
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        sink: Arc::clone(&sink),
        plans: Arc::clone(&plans) as _,
        book: Arc::new(Nobody),
        config: WorkerConfig { chunk_bytes_max: CHUNK_BYTES_MAX, ..WorkerConfig::default() },
        stop: Arc::clone(&stop),
        metrics: Arc::new(WorkerMetrics::default()),
    };
    let took = time(|| {
        std::thread::scope(|scope| {
            for worker in (0..workers).map(worker) {
                let run = || worker.run().expect("nothing is wrong with the bench");
                named("worker").spawn_scoped(scope, run).expect("a thread");
            }
        });
    });
    for partition in 0..workers {
        assert_eq!(queue.committed(partition).ok(), Some(queue.end(partition)), "everything was worked off");
    }
    took
}

/// One thread that does nothing but parse, fill columns, sort and write.
pub fn floor(records: &[Record], tokio: &Runtime) -> Took {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sink = sink(dir.path(), tokio);
    let records = records.to_vec();
    let end = records.len() as u64;
    let place = |start| ChunkPlace { partition: 0, start, queued_at: NOW };
    let work = || {
        let mut chunk = sink.begin(place(0));
        chunk.turn(1);
        for (offset, record) in (0..).zip(records) {
            let Body::Item { category, payload } = record.body else { continue };
            let doc = Doc::parse(payload).expect("the corpus is JSON");
            let accepted =
                Accepted { category, doc, client_sample_rate: 1.0, server_sample_rate: 1.0, group: None };
            let (meta, end) = (record.meta, End::Accepted(Box::new(accepted)));
            let settled = Settled { offset, queued_at: NOW, generation: 1, meta, end };
            chunk.push(settled);
            if chunk.bytes() >= CHUNK_BYTES_MAX {
                chunk.close(offset + 1).expect("a temporary folder");
                chunk = sink.begin(place(offset + 1));
                chunk.turn(1);
            }
        }
        chunk.close(end).expect("a temporary folder");
    };
    time(|| {
        std::thread::scope(|scope| drop(named("floor").spawn_scoped(scope, work).expect("a thread")));
    })
}

/// Threads have names so that a profile can tell them apart.
fn named(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned())
}

const ROUNDS: usize = 5;

pub fn against_floor(records: &[Record], plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Row {
    let bytes = size_of(records) as f64 / 1e6;
    let rate = |took: Took| bytes / took.cpu.as_secs_f64();
    let (ours, floor) =
        in_turn(ROUNDS, || rate(ours(records, 1, plugins, tokio)), || rate(floor(records, tokio)));
    let detail = format!("{ours:.0} of {floor:.0} MB/s per core; ns per event: {}", plugins.costs());
    Row::at_least("whole pipeline, four plugins, against the floor", 0.6, ours / floor, &detail)
}

pub fn two_workers(records: &[Record], plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Row {
    let bytes = size_of(records) as f64 / 1e6;
    let rate = |took: Took| bytes / took.wall.as_secs_f64();
    let one = || rate(ours(records, 1, plugins, tokio));
    let two = || rate(ours(records, 2, plugins, tokio));
    let (one, two) = in_turn(ROUNDS, one, two);
    let detail = format!("{two:.0} against {one:.0} MB/s");
    Row::at_least("two workers against one", 1.8, two / one, &detail)
}
