//! What a worker takes, and how soon another one takes over: measured here, held to their bounds by the test `partitions` and by the
//! benchmarks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::fleet::{Common, Fleet, Member, Role, resident_bytes_max};
use crate::ground::Ground;

pub const PARTITIONS: i32 = 256;
pub const CHUNK_MEMORY_BYTES_MAX: u64 = 64 << 20;
/// What is fetched and not yet read.
pub const FETCH_BYTES_MAX: u64 = 16 << 20;
/// Beside the chunks: what is fetched, and the process itself with what its allocators keep.
pub const REST_BYTES_MAX: u64 = 192 << 20;
pub const SESSION: Duration = Duration::from_secs(6);
/// From kill -9 to the first new ledger.
pub const RECOVERY_TIME_MAX: Duration = Duration::from_secs(8);

const ROUNDS: usize = 4;
const EVENTS_PER_PARTITION: usize = 40;
const FILLER_BYTES: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(90);

/// What a worker held.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    pub at_rest_bytes: u64,
    pub most_bytes: u64,
    /// What went through it.
    pub sent_bytes: usize,
}

/// A fleet for [`memory`].
pub fn many_partitions(ground: &Ground) -> Fleet {
    let chunk = format!("age_max = \"20s\"\nmemory_bytes_max = {CHUNK_MEMORY_BYTES_MAX}\n");
    let common = Common::new(&ground.kafka, "many-partitions");
    let kafka = format!("{}fetch_bytes_max = {FETCH_BYTES_MAX}\n", common.kafka);
    Fleet::new(&ground.folder().join("many"), Common { chunk, kafka, ..common })
}

/// A fleet for [`recovery`].
pub fn two_workers(ground: &Ground) -> Fleet {
    let kafka = format!("\"session.timeout.ms\" = {}\n", SESSION.as_millis());
    let chunk = "age_max = \"100ms\"\n".to_owned();
    let common = Common { chunk, kafka, ..Common::new(&ground.kafka, "recovery") };
    Fleet::new(&ground.folder().join("two"), common)
}

/// One worker with 256 partitions that all have something to do.
pub fn memory(ground: &Ground, fleet: &mut Fleet) -> Result<Resident> {
    let topic = fleet.common.topic.clone();
    ground.kafka.make_topic(&topic, PARTITIONS, &[])?;
    let worker = fleet.add(Role::Work, &ground.s3)?;
    fleet.wait_ready()?;
    let pid = fleet.members[worker].host().context("it is ready")?.pid();
    let at_rest_bytes = resident_bytes_max(pid);
    thread::scope(|scope| -> Result<()> {
        let publish = || -> Result<()> {
            for _ in 0..ROUNDS {
                ground.kafka.publish_large(&topic, 0..PARTITIONS, EVENTS_PER_PARTITION, FILLER_BYTES)?;
            }
            Ok(())
        };
        let publishing = scope.spawn(publish);
        watch(&fleet.members[worker], pid, || publishing.is_finished());
        publishing.join().expect("it does not panic")
    })?;
    let begin = Instant::now();
    watch(&fleet.members[worker], pid, || {
        begin.elapsed() > PATIENCE || fleet.wait_drained(&ground.kafka, Duration::ZERO).is_ok()
    });
    fleet.wait_drained(&ground.kafka, PATIENCE)?;
    let most_bytes = resident_bytes_max(pid);
    let sent_bytes = ROUNDS * PARTITIONS as usize * EVENTS_PER_PARTITION * FILLER_BYTES;
    fleet.stop()?;
    fleet.verify(&ground.s3)?;
    Ok(Resident { at_rest_bytes, most_bytes, sent_bytes })
}

/// From kill -9 of the worker that has the partition to the first ledger of the other one.
pub fn recovery(ground: &Ground, fleet: &mut Fleet) -> Result<Duration> {
    let topic = fleet.common.topic.clone();
    ground.kafka.make_topic(&topic, 1, &[])?;
    let first = fleet.add(Role::Work, &ground.s3)?;
    fleet.wait_ready()?;
    ground.kafka.publish(&topic, 0, 10)?;
    fleet.wait_drained(&ground.kafka, PATIENCE)?;
    // It has nothing to do but to wait.
    fleet.add(Role::Work, &ground.s3)?;
    fleet.wait_ready()?;
    ground.kafka.publish(&topic, 0, 10)?;
    fleet.wait_drained(&ground.kafka, PATIENCE)?;
    let ledgers = ground.s3.files(&fleet.common.prefix).join("outcomes");
    fleet.members[first].kill();
    let begin = Instant::now();
    ground.kafka.publish(&topic, 0, 10)?;
    // What the dead one had still on its way.
    sleep(Duration::from_millis(200));
    let before = files(&ledgers);
    while files(&ledgers).is_subset(&before) {
        ensure!(begin.elapsed() < PATIENCE, "nobody took over");
        sleep(Duration::from_millis(10));
    }
    let took = begin.elapsed();
    fleet.wait_drained(&ground.kafka, PATIENCE)?;
    fleet.stop()?;
    fleet.verify(&ground.s3)?;
    Ok(took)
}

/// Says where the memory is, whenever there is more of it than ever.
fn watch(member: &Member, pid: u32, mut done: impl FnMut() -> bool) {
    let mut most = 0;
    while !done() {
        let resident = resident_bytes_max(pid) >> 20;
        if resident > most + 10 {
            most = resident;
            let megabytes = |name| member.metric(name, "").map_or(-1.0, |bytes| bytes / f64::from(1 << 20));
            eprintln!(
                "{resident} MB resident: {:.0} MB of chunks, {:.0} MB open, {:.0} MB sent, {:.0} MB fetched",
                megabytes("tamis_chunk_memory_bytes"),
                megabytes("tamis_worker_open_bytes"),
                megabytes("tamis_worker_sent_bytes"),
                megabytes("tamis_kafka_fetch_queue_bytes"),
            );
        }
        sleep(Duration::from_millis(50));
    }
}

/// All files below a folder.
fn files(folder: &Path) -> HashSet<PathBuf> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}
