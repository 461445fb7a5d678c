//! Where the numbers of `/metrics` come from, beside the outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use host_ingest::Ingest;
use host_pipeline::WorkerMetrics;
use host_queue::{Embedded, Queue};

use crate::generations::{Generations, StageState};
use crate::metrics::{Labels, Sample, Source, Value};

const NANOS: f64 = 1e9;

pub fn all(
    queue: &Arc<Embedded>,
    workers: &[Arc<WorkerMetrics>],
    generations: &Arc<Generations>,
    ingest: &Arc<Ingest>,
) -> Vec<Source> {
    let (of_queue, queue_of_workers) = (Arc::clone(queue), Arc::clone(queue));
    let workers = workers.to_vec();
    let (generations, ingest) = (Arc::clone(generations), Arc::clone(ingest));
    vec![
        Box::new(move || {
            vec![Sample::gauge("queue_bytes", "Bytes of the queue on disk", vec![], of_queue.bytes() as f64)]
        }),
        Box::new(move || {
            workers.iter().enumerate().flat_map(|(p, w)| worker(p as u32, w, &*queue_of_workers)).collect()
        }),
        Box::new(move || generations.stages().iter().flat_map(stage).collect()),
        Box::new(move || crate::ingest::samples(&ingest)),
    ]
}

fn worker(partition: u32, worker: &WorkerMetrics, queue: &dyn Queue) -> Vec<Sample> {
    let labels = || vec![("partition", partition.to_string())];
    let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let lag = queue.end(partition).saturating_sub(worker.next.load(Relaxed)) as f64;
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
            "Chunks begun again because of the store",
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
