//! Two work processes against one, each on a core of its own, off a topic that was filled before.
//!
//! A process is held to one core, as if its machine had no more. They have their partitions, and are stopped; the topic is filled; they
//! go on. So neither the load nor the sharing out of partitions is in the time. The broker is: it is on the same two cores. Where one
//! process works it has the other core to itself; where two work it takes from both, and its share is taken out of their time.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use host_event::Record;
use tamis_tests::kafka::Place;
use tamis_tests::{Host, Kafka as Cluster};
use tokio::runtime::Runtime;

use super::process::{self, broker_cpu_seconds, cpu_seconds};
use crate::measure::{Row, median};
use crate::{http, pipeline};

const PARTITIONS: u32 = 8;
/// How often the corpus is put into the topic.
const TIMES: usize = 6;
const ROUNDS: usize = 3;
const CORES: f64 = 2.0;
const RATIO_MIN: f64 = 1.8;
/// Longer than they are stopped.
const SESSION_MS: u32 = 120_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Each look is a scrape of every process, and is in their time.
const POLL: Duration = Duration::from_millis(50);

/// What working a topic off came to, in seconds.
struct Run {
    wall: f64,
    /// Of all work processes.
    tamis_cpu: f64,
    /// Of the broker, and of this process, which watches.
    other_cpu: f64,
}

pub fn rows(records: &[Record], tokio: &Runtime) -> Result<Vec<Row>> {
    let cluster = super::cluster()?;
    let many: Vec<Record> = std::iter::repeat_n(records, TIMES).flatten().cloned().collect();
    let megabytes = pipeline::size_of(&many) as f64 / 1e6;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for (processes, runs) in [(1, &mut one), (2, &mut two)] {
            let topic = format!("work-{round}-{processes}");
            runs.push(run(&cluster, &topic, processes, &many, tokio)?);
            cluster.delete_topic(&topic)?;
        }
    }
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    // Alone, the process has its core to itself.
    let alone = of(&one, |run| run.wall);
    let together = of(&two, |run| run.wall - run.other_cpu / CORES);
    let cpu = |runs: &[Run]| megabytes / of(runs, |run| run.tamis_cpu);
    let detail = format!(
        "{:.0} against {:.0} MB/s, four plugins; on the clock {:.0}, {:.2} times as much, of which the broker and who watches \
         had {:.1} of {:.1} core seconds; {:.0} and {:.0} MB per core second of Tamis",
        megabytes / together,
        megabytes / alone,
        megabytes / of(&two, |run| run.wall),
        alone / of(&two, |run| run.wall),
        of(&two, |run| run.other_cpu),
        of(&two, |run| run.wall) * CORES,
        cpu(&two),
        cpu(&one),
    );
    let what = "two work processes against one, a core for each, the broker's share taken out";
    Ok(vec![Row::at_least(what, RATIO_MIN, alone / together, &detail)])
}

fn run(cluster: &Cluster, topic: &str, processes: usize, records: &[Record], tokio: &Runtime) -> Result<Run> {
    cluster.make_topic(topic, PARTITIONS as i32, &super::TOPIC_SETTINGS)?;
    let dir = tempfile::tempdir()?;
    let kafka = format!("topic = \"{topic}\"\ngroup = \"{topic}\"\n\"session.timeout.ms\" = {SESSION_MS}\n");
    let start = |n: usize| -> Result<Host> {
        let folder = dir.path().join(format!("work-{n}"));
        process::start(&folder, "work", cluster, &kafka, &http::four_plugins(), Some(n))
    };
    let mut hosts = (0..processes).map(start).collect::<Result<Vec<_>>>()?;
    let share = f64::from(PARTITIONS) / processes as f64;
    until("an even share of partitions", || {
        let leased = hosts.iter().map(|host| process::metric(host, "tamis_kafka_partitions_leased"));
        Ok(leased.collect::<Result<Vec<_>>>()?.iter().all(|leased| *leased == share))
    })?;
    hosts.iter().try_for_each(Host::pause)?;
    super::fill(cluster, topic, records, PARTITIONS, tokio)?;
    let run = measure(cluster, &mut hosts, records.len())?;
    let lag: i64 = super::places(cluster, topic, topic)?.iter().map(Place::lag).sum();
    ensure!(lag == 0, "{lag} records were not worked off:\n{}", logs(dir.path(), processes));
    Ok(run)
}

/// From the moment that they go on to the end of the last one, which has then written and committed everything.
fn measure(cluster: &Cluster, hosts: &mut [Host], records: usize) -> Result<Run> {
    let own = std::process::id();
    let others = |cluster: &Cluster| Ok::<_, anyhow::Error>(broker_cpu_seconds(cluster)? + cpu_seconds(own)?);
    let before = others(cluster)?;
    let mut tamis: Vec<_> = hosts.iter().map(|host| cpu_seconds(host.pid())).collect::<Result<_>>()?;
    let tamis_before: f64 = tamis.iter().sum();
    let begin = Instant::now();
    hosts.iter().try_for_each(Host::resume)?;
    until("all records to be in chunks", || {
        let sum = |name| hosts.iter().map(|host| process::metric(host, name)).sum::<Result<f64>>();
        Ok(sum("tamis_worker_records_total")? >= records as f64 && sum("tamis_queue_lag_records")? == 0.0)
    })?;
    hosts.iter().try_for_each(Host::begin_terminate)?;
    let mut ended = vec![false; hosts.len()];
    while ended.contains(&false) {
        ensure!(begin.elapsed() < PATIENCE, "a process does not end");
        for (at, host) in hosts.iter_mut().enumerate() {
            if ended[at] {
                continue;
            }
            // What it has taken is gone with it.
            tamis[at] = cpu_seconds(host.pid())?;
            if let Some(status) = host.ended()? {
                ensure!(status.success(), "a process ended with {status}");
                ended[at] = true;
            }
        }
        sleep(Duration::from_millis(2));
    }
    Ok(Run {
        wall: begin.elapsed().as_secs_f64(),
        tamis_cpu: tamis.iter().sum::<f64>() - tamis_before,
        other_cpu: others(cluster)? - before,
    })
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !is_so()? {
        ensure!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        sleep(POLL);
    }
    Ok(())
}

fn logs(dir: &Path, processes: usize) -> String {
    (0..processes)
        .map(|n| tamis_tests::tools::tail(&dir.join(format!("work-{n}/tamis.log"))) + "\n")
        .collect()
}
