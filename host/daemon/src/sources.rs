//! Where the numbers of `/metrics` come from, beside the outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use host_ingest::Ingest;
use host_pipeline::{Crew, Memory, Partitions, WorkerMetrics};
use host_queue::Queue;
use host_sink::store::Traffic;

use crate::generations::{Generations, StageState};
use crate::metrics::{Labels, Sample, Source, Value};

const NANOS: f64 = 1e9;

pub fn of_ingest(ingest: &Arc<Ingest>) -> Source {
    let ingest = Arc::clone(ingest);
    Box::new(move || crate::ingest::samples(&ingest))
}

pub fn of_stages(generations: &Arc<Generations>) -> Source {
    let generations = Arc::clone(generations);
    Box::new(move || generations.stages().iter().flat_map(stage).collect())
}

pub fn of_crew(crew: &Crew, queue: &Arc<dyn Queue>) -> Vec<Source> {
    let (partitions, memory, store, queue) =
        (crew.partitions(), crew.memory(), crew.store(), Arc::clone(queue));
    vec![
        Box::new(move || of_partitions(&partitions, &*queue)),
        Box::new(move || of_memory(&memory)),
        Box::new(move || {
            let seconds = store.away_for().map_or(0.0, |away| away.as_secs_f64());
            let help = "How long every errand to the object store has failed; 0 while it answers";
            vec![Sample::gauge("store_away_seconds", help, vec![], seconds)]
        }),
    ]
}

/// What a bill of a cloud and its limits depend on.
pub fn of_traffic(traffic: Arc<Traffic>) -> Source {
    Box::new(move || {
        let count = |name, help, value: u64| Sample::counter(name, help, vec![], value as f64);
        vec![
            count("store_requests", "Requests to the object store, every try counted", traffic.requests()),
            count("store_throttled", "Those that were answered with 429 or 503", traffic.throttled()),
            count("store_failed", "Those without an answer, or with another 5xx", traffic.failed()),
        ]
    })
}

fn of_partitions(partitions: &Partitions, queue: &dyn Queue) -> Vec<Sample> {
    partitions.all().iter().flat_map(|(partition, metrics)| worker(*partition, metrics, queue)).collect()
}

fn of_memory(memory: &Memory) -> Vec<Sample> {
    let (used, max) = (memory.used_bytes() as f64, memory.bytes_max() as f64);
    vec![
        Sample::gauge(
            "chunk_memory_bytes",
            "Memory of all chunks, those being written as well",
            vec![],
            used,
        ),
        Sample::gauge("chunk_memory_bytes_max", "What they may take: chunk.memory_bytes_max", vec![], max),
    ]
}

fn worker(partition: u32, worker: &WorkerMetrics, queue: &dyn Queue) -> Vec<Sample> {
    let labels = || vec![("partition", partition.to_string())];
    let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let has_begun = worker.begun.load(Relaxed);
    let lag =
        if has_begun { queue.end(partition).saturating_sub(worker.next.load(Relaxed)) as f64 } else { 0.0 };
    vec![
        Sample::gauge("queue_lag_records", "Records in the queue that no chunk has yet", labels(), lag),
        Sample::counter("worker_records", "Records read", labels(), load(&worker.records)),
        Sample::counter("worker_batches", "Micro-batches run", labels(), load(&worker.batches)),
        batch_time(worker, labels()),
        Sample::counter("worker_chunks", "Chunks closed", labels(), load(&worker.chunks)),
        Sample::counter(
            "worker_chunk_seconds",
            "Time in closing chunks",
            labels(),
            load(&worker.chunk_nanos) / NANOS,
        ),
        Sample::counter(
            "worker_store_retries",
            "Tries that failed because of the store, the queue or a stage, and were made again",
            labels(),
            load(&worker.retries),
        ),
        Sample::gauge(
            "worker_generation",
            "The generation that is active",
            labels(),
            load(&worker.generation),
        ),
        Sample::gauge(
            "worker_open_bytes",
            "Memory of the chunk being filled",
            labels(),
            load(&worker.open_bytes),
        ),
        Sample::gauge(
            "worker_sent_bytes",
            "Bytes of the files being written",
            labels(),
            load(&worker.sent_bytes),
        ),
        Sample::gauge(
            "worker_failed",
            "1 if the partition stands still",
            labels(),
            f64::from(u8::from(worker.failed.load(Relaxed))),
        ),
    ]
}

fn batch_time(worker: &WorkerMetrics, labels: Labels) -> Sample {
    let (buckets, sum) = worker.batch_time.read();
    Sample {
        name: "worker_batch_seconds",
        help: "From a batch that is ready to one that has its ends: stages, grouping, turning to another generation",
        labels,
        value: Value::Histogram { sum, buckets },
    }
}

fn stage(state: &StageState) -> Vec<Sample> {
    let StageState { generation, name, counts, .. } = state;
    let labels = || vec![("stage", name.clone()), ("generation", generation.to_string())];
    let mut samples = vec![
        Sample::counter("stage_calls", "Calls into the plugin", labels(), counts.calls as f64),
        Sample::counter("stage_events", "Events the plugin was asked about", labels(), counts.events as f64),
        Sample::counter(
            "stage_seconds",
            "Time in the plugin and the host's functions below it",
            labels(),
            counts.nanos as f64 / NANOS,
        ),
        Sample::counter("stage_restarts", "Instances replaced", labels(), counts.restarts as f64),
        Sample::counter("stage_starts", "Instances made, each with its init", labels(), counts.starts as f64),
        Sample::counter(
            "stage_start_seconds",
            "Time of making instances",
            labels(),
            counts.start_nanos as f64 / NANOS,
        ),
        Sample::counter(
            "stage_log_lines_suppressed",
            "Lines of the plugin's log above its limit",
            labels(),
            counts.log_lines_suppressed as f64,
        ),
        Sample::gauge(
            "stage_memory_bytes",
            "Memory of the instance called last",
            labels(),
            counts.memory_bytes as f64,
        ),
        Sample::gauge(
            "stage_open_breakers",
            "Workers that leave the stage alone for now",
            labels(),
            counts.open_breakers as f64,
        ),
    ];
    for (reason, count) in counts.failures.iter().filter(|(_, count)| *count > 0) {
        let labels = labels().into_iter().chain([("reason", (*reason).to_owned())]).collect();
        let help = "Calls and starts that gave no answer, by the limit or failure";
        samples.push(Sample::counter("stage_failures", help, labels, *count as f64));
    }
    for (reason, count) in counts.faults.iter().filter(|(_, count)| *count > 0) {
        let labels = labels().into_iter().chain([("reason", (*reason).to_owned())]).collect();
        samples.push(Sample::counter(
            "stage_faults",
            "Events that the stage failed on",
            labels,
            *count as f64,
        ));
    }
    samples
}
