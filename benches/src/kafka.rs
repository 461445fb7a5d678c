//! Kafka as the queue, on a real broker: the way of records through it, ingest alone, work processes together, and their bounds.
//!
//! A broker takes processor time of the same machine. It runs as it does in earnest (with its optimizing compiler), what it takes is
//! read from the kernel, and a row says what it does with that.

mod ingest;
mod limits;
mod path;
mod process;
mod work;

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use host_event::Record;
use host_queue::{Kafka, KafkaConfig, Queue, Role};
use tamis_tests::Kafka as Cluster;
use tamis_tests::kafka::Place;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub use ingest::load;
pub use ingest::rows as ingest_rows;
pub use limits::rows as limit_rows;
pub use path::rows as path_rows;
pub use work::rows as work_rows;

/// Given to every broker that is started from here: the tests do without the optimizing compiler, since they start so many.
pub const BROKER_SETTINGS: [(&str, &str); 2] =
    [("KAFKA_JVM_OPTS", "-XX:TieredStopAtLevel=4"), ("KAFKA_HEAP", "1g")];

/// Of a topic: the largest record, and how soon its files are gone when it is deleted.
const TOPIC_SETTINGS: [(&str, &str); 2] =
    [("max.message.bytes", "4194304"), ("file.delete.delay.ms", "1000")];

const PATIENCE: Duration = Duration::from_secs(20);
const RECORDS_IN_AN_APPEND: usize = 100;
const APPENDS_AT_A_TIME: usize = 16;

fn cluster() -> Result<Cluster> {
    Cluster::start(1, "log.retention.check.interval.ms=1000\n")
}

fn open(cluster: &Cluster, topic: &str, group: &str, role: Role) -> Result<Kafka> {
    // A broker on a busy machine may stand still for longer than ingest would wait.
    let options = vec![("message.timeout.ms".to_owned(), "60000".to_owned())];
    Ok(Kafka::open(KafkaConfig { options, ..KafkaConfig::new(cluster.brokers(), topic, group, role) })?)
}

/// Puts all records into a topic, a row of them to each partition in turn.
fn fill(cluster: &Cluster, topic: &str, records: &[Record], partitions: u32, tokio: &Runtime) -> Result<()> {
    let queue = Arc::new(open(cluster, topic, "nobody", Role::Produce)?);
    tokio.block_on(async {
        let mut appends = JoinSet::new();
        for (i, part) in (0..).zip(records.chunks(RECORDS_IN_AN_APPEND)) {
            if appends.len() == APPENDS_AT_A_TIME
                && let Some(appended) = appends.join_next().await
            {
                appended??;
            }
            let (queue, part) = (Arc::clone(&queue), part.to_vec());
            appends.spawn(async move { queue.append(i % partitions, part).await });
        }
        while let Some(appended) = appends.join_next().await {
            appended??;
        }
        anyhow::Ok(())
    })?;
    queue.close();
    let ends: i64 = places(cluster, topic, "nobody")?.iter().map(|place| place.end).sum();
    ensure!(
        ends == records.len() as i64,
        "{} records were appended, and the topic has {ends}",
        records.len()
    );
    Ok(())
}

/// Where a group stands. A coordinator that was just chosen does not answer yet.
fn places(cluster: &Cluster, topic: &str, group: &str) -> Result<Vec<Place>> {
    let begun = Instant::now();
    loop {
        match cluster.places(topic, group) {
            Err(_) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(100)),
            places => return places,
        }
    }
}
