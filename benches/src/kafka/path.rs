//! The same records worked off from a topic and from the embedded queue, in this process: what Kafka costs of a core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::Result;
use host_event::Record;
use host_pipeline::{Allowed, Sink, Stop, Tools, WorkerConfig};
use host_queue::{Embedded, EmbeddedConfig, Queue, Role};
use tamis_tests::Kafka as Cluster;
use tamis_tests::kafka::Place;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::measure::{Row, Took, in_turn, median, time};
use crate::pipeline::{self, CHUNK_BYTES_MAX, NOW, Nobody};
use crate::stages::FourPlugins;

const TOPIC: &str = "path";
const ROUNDS: usize = 5;
const RATIO_MIN: f64 = 0.8;

/// For what an append costs: so many single records, so many of them at a time.
const APPENDS: usize = 40_000;
const APPENDS_AT_A_TIME: usize = 256;
const APPEND_ROUNDS: usize = 3;

pub fn rows(records: &[Record], plugins: &Arc<FourPlugins>, tokio: &Runtime) -> Result<Vec<Row>> {
    let cluster = super::cluster()?;
    cluster.make_topic(TOPIC, 1, &super::TOPIC_SETTINGS)?;
    super::fill(&cluster, TOPIC, records, 1, tokio)?;
    let bytes = pipeline::size_of(records) as f64 / 1e6;
    let mut round = 0;
    let kafka = || {
        round += 1;
        let took = worked(&cluster, &format!("round-{round}"), records.len(), plugins, tokio);
        bytes / took.expect("the broker is there").cpu.as_secs_f64()
    };
    let embedded = || bytes / pipeline::ours(records, 1, plugins, tokio).cpu.as_secs_f64();
    let (kafka, embedded) = in_turn(ROUNDS, kafka, embedded);
    let appends = appends(&cluster, records, tokio)?;
    let detail = format!("{kafka:.0} of {embedded:.0} MB/s per core, four plugins; {appends}");
    let what = "the same events through Kafka, against the embedded queue, per core of Tamis";
    Ok(vec![Row::at_least(what, RATIO_MIN, kafka / embedded, &detail)])
}

/// From joining the group to the last commit: all that this process does for it, the client's threads as well.
fn worked(
    cluster: &Cluster,
    group: &str,
    records: usize,
    plugins: &Arc<FourPlugins>,
    tokio: &Runtime,
) -> Result<Took> {
    let dir = tempfile::tempdir()?;
    let sink: Arc<dyn Sink> = Arc::new(pipeline::sink(dir.path(), tokio));
    let mut worked = Ok(());
    let took = time(|| worked = work_off(cluster, group, records, sink, plugins));
    worked?;
    let lag: i64 = super::places(cluster, TOPIC, group)?.iter().map(Place::lag).sum();
    anyhow::ensure!(lag == 0, "{lag} records were not worked off");
    Ok(took)
}

fn work_off(
    cluster: &Cluster,
    group: &str,
    records: usize,
    sink: Arc<dyn Sink>,
    plugins: &Arc<FourPlugins>,
) -> Result<()> {
    let queue = Arc::new(super::open(cluster, TOPIC, group, Role::Consume)?);
    let tools = Tools {
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        sink,
        plans: Arc::clone(plugins) as _,
        book: Arc::new(Nobody),
        config: WorkerConfig { threads: 1, chunk_bytes_max: CHUNK_BYTES_MAX, ..WorkerConfig::default() },
        allowed: Allowed::default(),
        stop: Arc::new(Stop::default()),
    };
    pipeline::work_off(&tools, records)?;
    queue.close();
    Ok(())
}

/// What it takes to append: single records, as requests bring them, on the way to either queue.
fn appends(cluster: &Cluster, records: &[Record], tokio: &Runtime) -> Result<String> {
    cluster.make_topic("appends", 1, &super::TOPIC_SETTINGS)?;
    let some = &records[..records.len().min(APPENDS)];
    let (mut of_kafka, mut of_embedded) = (Vec::new(), Vec::new());
    for _ in 0..APPEND_ROUNDS {
        let kafka = Arc::new(super::open(cluster, "appends", "nobody", Role::Produce)?);
        of_kafka.push(appended(Arc::clone(&kafka) as _, some, tokio)?);
        kafka.close();
        let dir = tempfile::tempdir()?;
        let config = EmbeddedConfig { partitions: 1, ..EmbeddedConfig::new(Arc::new(|| NOW)) };
        let embedded = Arc::new(Embedded::open(dir.path(), config)?);
        of_embedded.push(appended(Arc::clone(&embedded) as _, some, tokio)?);
    }
    Ok(format!(
        "an append of one record {:.1} µs of processor time against {:.1}, {APPENDS_AT_A_TIME} at a time",
        median(of_kafka),
        median(of_embedded)
    ))
}

/// Microseconds of processor time for each record.
fn appended(queue: Arc<dyn Queue>, records: &[Record], tokio: &Runtime) -> Result<f64> {
    let records: Arc<[Record]> = records.into();
    let (next, count) = (Arc::new(AtomicUsize::new(0)), records.len());
    let mut done = Ok(());
    let took = time(|| {
        done = tokio.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..APPENDS_AT_A_TIME {
                let (queue, records, next) = (Arc::clone(&queue), Arc::clone(&records), Arc::clone(&next));
                tasks.spawn(async move {
                    while let Some(record) = records.get(next.fetch_add(1, Relaxed)) {
                        queue.append(0, vec![record.clone()]).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(task) = tasks.join_next().await {
                task??;
            }
            anyhow::Ok(())
        });
    });
    done?;
    Ok(took.cpu.as_secs_f64() * 1e6 / count as f64)
}
