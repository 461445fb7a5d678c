//! The whole pipeline against its floor: one thread that parses, fills the same columns, sorts, and writes the same Parquet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_event::{Body, Book, Doc, OutcomeCount, ProjectId, Record};
use host_pipeline::{
    Accepted, Allowed, ChunkPlace, Closing, Crew, End, Plans, Settled, Sink, Stop, Tools, WorkerConfig,
};
use host_queue::{Embedded, EmbeddedConfig, Queue};
use host_sink::{ParquetSink, SinkConfig};
use tokio::runtime::Runtime;

use crate::measure::{Row, Took, in_turn, median, time};
use crate::stages::FourPlugins;

/// Counts nothing.
pub struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

pub fn size_of(records: &[Record]) -> usize {
    records.iter().map(|r| r.value().len()).sum()
}

/// 2026-11-22 18:40:00 UTC. A chunk never spans two hours, so the hour must not end within a run.
pub const NOW: i64 = 1_795_372_800_000;
pub const CHUNK_BYTES_MAX: usize = 48 << 20;

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
    let tools = Tools {
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        sink,
        plans,
        book: Arc::new(Nobody),
        config: WorkerConfig {
            threads: workers as usize,
            chunk_bytes_max: CHUNK_BYTES_MAX,
            ..WorkerConfig::default()
        },
        allowed: Allowed::default(),
        stop,
    };
    let took = time(|| work_off(&tools, records.len()).expect("nothing is wrong with the bench"));
    for partition in 0..workers {
        assert_eq!(queue.committed(partition).ok(), Some(queue.end(partition)), "everything was worked off");
    }
    took
}

/// From the start of a crew to its end. It is told to end when everything was read: before, it may have no partition yet, or none that
/// may read.
pub fn work_off(tools: &Tools, records: usize) -> anyhow::Result<()> {
    let crew = Crew::start(tools)?;
    let partitions = crew.partitions();
    let read = || partitions.all().iter().map(|(_, metrics)| metrics.records.load(Relaxed)).sum::<u64>();
    while read() < records as u64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    tools.stop.request(Duration::from_secs(3600), Duration::from_secs(3600));
    Ok(crew.join()?)
}

/// Threads that do nothing but parse, fill columns, sort and write, each for its own share.
pub fn floors(records: &[Record], threads: usize, tokio: &Runtime) -> Took {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut shares = vec![Vec::new(); threads];
    for (i, part) in records.chunks(RECORDS_IN_A_ROW).enumerate() {
        shares[i % threads].extend_from_slice(part);
    }
    let sinks: Vec<_> = (0..threads).map(|i| sink(&dir.path().join(i.to_string()), tokio)).collect();
    time(|| {
        std::thread::scope(|scope| {
            for (sink, share) in sinks.iter().zip(shares) {
                drop(named("floor").spawn_scoped(scope, move || floor(sink, share)).expect("a thread"));
            }
        });
    })
}

fn floor(sink: &ParquetSink, records: Vec<Record>) {
    let end = records.len() as u64;
    let place = |start| ChunkPlace { partition: 0, epoch: 0, start, queued_at: NOW };
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
            chunk
                .close(Closing::at(offset + 1))
                .and_then(|mut files| files.run())
                .expect("a temporary folder");
            chunk = sink.begin(place(offset + 1));
            chunk.turn(1);
        }
    }
    chunk.close(Closing::at(end)).and_then(|mut files| files.run()).expect("a temporary folder");
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
        in_turn(ROUNDS, || rate(ours(records, 1, plugins, tokio)), || rate(floors(records, 1, tokio)));
    let detail = format!("{ours:.0} of {floor:.0} MB/s per core; ns per event: {}", plugins.costs());
    Row::at_least("whole pipeline, four plugins, against the floor", 0.6, ours / floor, &detail)
}

pub fn two_workers(records: &[Record], plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Row {
    let bytes = size_of(records) as f64 / 1e6;
    let wall = |took: Took| bytes / took.wall.as_secs_f64();
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    let (mut floor_of_one, mut floor_of_two) = (Vec::new(), Vec::new());
    let rate = |workers: u32, per_core: &mut Vec<f64>| {
        let took = ours(records, workers, plugins, tokio);
        per_core.push(bytes / took.cpu.as_secs_f64());
        wall(took)
    };
    let one = || {
        floor_of_one.push(wall(floors(records, 1, tokio)));
        rate(1, &mut of_one)
    };
    let two = || {
        floor_of_two.push(wall(floors(records, 2, tokio)));
        rate(2, &mut of_two)
    };
    let (one, two) = in_turn(ROUNDS, one, two);
    // What two have in common costs each of them: the processor time per byte shows how much of the miss that is. Two floors have
    // nothing in common but the machine.
    let (of_one, of_two) = (median(of_one), median(of_two));
    let floors = median(floor_of_two) / median(floor_of_one);
    let detail = format!(
        "{two:.0} against {one:.0} MB/s; per core second {of_two:.0} against {of_one:.0} MB; two floors side by side against one: {floors:.2}"
    );
    Row::at_least("two workers against one", 1.8, two / one, &detail)
}
