//! What people and clusters do that must not be done: each is noticed, named, and stops what it concerns, without harm to anything
//! else. On a real cluster of three.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tamis_tests::{Common, Fault, Fleet, Ground, Kafka, Load, Refused, Role, Rule, account_in, tools};

const NODES: u32 = 3;
const DISK_BYTES: u64 = 1 << 30;
/// As promised, and a bit for a busy machine.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(45);

type Case = (&'static str, fn(&mut Scene<'_>) -> Result<()>);

/// These leave the brokers alone.
const CASES: [Case; 9] = [
    ("another-group", another_group_on_the_same_prefix_is_refused),
    ("another-cluster", another_cluster_on_the_same_prefix_is_refused),
    ("another-prefix", another_prefix_for_the_same_group_is_refused),
    ("compacted", a_compacted_topic_is_refused),
    ("recreated", a_topic_made_anew_stops_its_partition),
    ("deleted", records_that_were_deleted_unread_stop_their_partition),
    ("set-back", a_group_that_was_set_back_doubles_nothing),
    ("hanging", a_drain_ends_in_time_though_the_store_hangs),
    ("growing", partitions_that_are_added_under_load_are_worked_off),
];

/// One topic, one prefix of the store, one fleet.
struct Scene<'a> {
    ground: &'a Ground,
    topic: String,
    fleet: Fleet,
}

#[test]
fn misuse_is_noticed_named_and_does_no_harm() -> Result<()> {
    let ground = Ground::new(NODES, DISK_BYTES)?;
    let only = std::env::var("TAMIS_MISUSE").ok();
    let chosen = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let run = |(name, case): Case| -> Result<()> {
        let mut scene = Scene::new(&ground, name);
        let begin = Instant::now();
        let result = case(&mut scene);
        eprintln!("{name}: {} after {:?}", if result.is_ok() { "ok" } else { "FAILED" }, begin.elapsed());
        result.with_context(|| format!("case {name}:\n{}", scene.fleet.log_tails()))
    };
    // Two at a time: more would only wait for each other.
    let mut results = Vec::new();
    let cases: Vec<_> = CASES.into_iter().filter(|(name, _)| chosen(name)).collect();
    for pair in cases.chunks(2) {
        thread::scope(|scope| {
            let started: Vec<_> = pair.iter().map(|case| scope.spawn(|| run(*case))).collect();
            results.extend(started.into_iter().map(|case| case.join().expect("a case does not panic")));
        });
    }
    if chosen("truncated") {
        results.push(run(("truncated", a_log_that_lost_acknowledged_records_stops_its_partition)));
    }
    let failed: Vec<_> = results.into_iter().filter_map(Result::err).map(|e| format!("{e:?}")).collect();
    let all = if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(failed.join("\n\n"))) };
    ground.report(&[], all)
}

fn another_group_on_the_same_prefix_is_refused(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.make_topic(1)?;
    scene.start(Role::Work)?;
    let ids = scene.publish(0, 50)?;
    scene.drained(0)?;
    let mut second = scene.common();
    second.group = "the-other-group".into();
    // Both groups by name, so that who reads it knows whom to ask.
    scene.refused(second, &[&topic, "the-other-group", &format!("{topic}-group")])?;
    let more = scene.publish(0, 50)?;
    scene.drained(0)?;
    scene.once(&[ids, more].concat())
}

fn another_cluster_on_the_same_prefix_is_refused(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.make_topic(1)?;
    scene.start(Role::Work)?;
    let ids = scene.publish(0, 50)?;
    scene.drained(0)?;
    let other = Kafka::start(1, "")?;
    other.make_topic(&topic, 1, &[])?;
    other.publish(&topic, 0, 10)?;
    let mut second = scene.common();
    second.brokers = other.brokers().to_owned();
    scene.refused(second, &[&topic, "cluster"])?;
    scene.once(&ids)
}

fn another_prefix_for_the_same_group_is_refused(scene: &mut Scene<'_>) -> Result<()> {
    scene.make_topic(1)?;
    scene.start(Role::Work)?;
    let ids = scene.publish(0, 50)?;
    scene.drained(0)?;
    scene.fleet.stop()?;
    let mut second = scene.common();
    second.prefix += "-by-mistake";
    let mut fleet = Fleet::new(&scene.ground.folder().join("by-mistake"), second);
    let index = fleet.add(Role::Work, &scene.ground.s3)?;
    fleet.wait_ready()?;
    scene.publish(0, 10)?;
    says(&fleet, index, &["the store has no such file"])?;
    fleet.end()?;
    // Nothing was written there, and nothing was committed.
    ensure!(scene.place(0)?.lag() == 10, "{:?}", scene.place(0)?);
    scene.once(&ids)
}

fn a_compacted_topic_is_refused(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.ground.kafka.make_topic(&topic, 1, &[("cleanup.policy", "compact")])?;
    let common = scene.common();
    scene.refused(common, &[&topic, "cleanup.policy"])
}

fn a_topic_made_anew_stops_its_partition(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.make_topic(2)?;
    scene.start(Role::Work)?;
    let mut ids = scene.publish(0, 60)?;
    scene.drained(0)?;
    scene.fleet.stop()?;
    scene.ground.kafka.delete_topic(&topic)?;
    scene.make_topic(2)?;
    let mut anew = scene.publish(0, 20)?;
    ids.extend(scene.publish(1, 20)?);
    scene.start_again()?;
    scene.says(&["partition=0", "made anew"])?;
    scene.drained(1)?;
    // Also when it has grown beyond what was read: the record there is another one.
    anew.extend(scene.publish(0, 100)?);
    scene.fleet.end()?;
    scene.start_again()?;
    scene.says(&["partition=0", "is not the one"])?;
    scene.stands_still(0)?;
    scene.once(&ids)?;
    // On purpose: a new epoch beside the old one. Once it has begun it needs no permission.
    scene.fleet.members[0].flags = vec!["--allow-reprocess"];
    scene.start_again()?;
    scene.says(&["partition=0", "a new epoch begins"])?;
    scene.drained(0)?;
    ids.extend(anew);
    scene.once(&ids)?;
    scene.fleet.members[0].flags.clear();
    scene.start_again()?;
    ids.extend(scene.publish(0, 30)?);
    scene.drained(0)?;
    scene.once(&ids)
}

fn records_that_were_deleted_unread_stop_their_partition(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.make_topic(2)?;
    scene.start(Role::Work)?;
    let mut ids = [scene.publish(0, 30)?, scene.publish(1, 30)?].concat();
    scene.drained(0)?;
    scene.drained(1)?;
    scene.fleet.stop()?;
    scene.publish(0, 30)?;
    ids.extend(scene.publish(1, 30)?);
    scene.ground.kafka.forget(&topic, 0, 45)?;
    scene.start_again()?;
    scene.says(&["partition=0", "15 records were deleted"])?;
    scene.drained(1)?;
    scene.stands_still(0)?;
    scene.once(&ids)
}

fn a_group_that_was_set_back_doubles_nothing(scene: &mut Scene<'_>) -> Result<()> {
    let (topic, group) = (scene.topic.clone(), scene.fleet.common.group.clone());
    scene.make_topic(2)?;
    scene.start(Role::Work)?;
    let mut ids = [scene.publish(0, 30)?, scene.publish(1, 30)?].concat();
    scene.drained(0)?;
    scene.drained(1)?;
    scene.fleet.stop()?;
    let begin = Instant::now();
    // The coordinator forgets a member that left, but not at once.
    while let Err(e) = scene.ground.kafka.reset(&topic, &group, 0, 10) {
        ensure!(begin.elapsed() < PATIENCE, "can not set the group back: {e}");
        sleep(Duration::from_millis(200));
    }
    scene.start_again()?;
    ids.extend(scene.publish(0, 30)?);
    ids.extend(scene.publish(1, 30)?);
    scene.says(&["partition=0", "set back", "--allow-reprocess"])?;
    scene.drained(0)?;
    scene.drained(1)?;
    scene.once(&ids)
}

fn a_drain_ends_in_time_though_the_store_hangs(scene: &mut Scene<'_>) -> Result<()> {
    scene.make_topic(2)?;
    scene.start(Role::Work)?;
    let mut ids = scene.publish(0, 30)?;
    scene.drained(0)?;
    scene.fleet.members[0].proxy.set(Some(Rule::always(Fault::Hang)));
    ids.extend(scene.publish(1, 30)?);
    let proxy = &scene.fleet.members[0].proxy;
    until("a write that hangs", || Ok(proxy.injected() > 0))?;
    let begin = Instant::now();
    // It says that it did not come to an end.
    let ended = scene.fleet.end()?;
    ensure!(ended.iter().all(|(_, status)| status.code() == Some(1)), "{ended:?}");
    ensure!(begin.elapsed() < DRAIN_TIME_MAX, "the drain took {:?}", begin.elapsed());
    // Nobody knows whether it was written; whoever comes next finds out.
    scene.fleet.members[0].proxy.set(None);
    scene.start_again()?;
    scene.drained(1)?;
    scene.once(&ids)
}

fn partitions_that_are_added_under_load_are_worked_off(scene: &mut Scene<'_>) -> Result<()> {
    let topic = scene.topic.clone();
    scene.make_topic(2)?;
    scene.start(Role::Work)?;
    let ingest = scene.start(Role::Ingest)?;
    let serial = Arc::new(AtomicU64::new(0));
    let to = scene.fleet.members[ingest].ingest();
    let load = Load::paced(to, 4, &serial, Duration::from_millis(20))?;
    until("answers", || Ok(load.kept() > 100))?;
    scene.ground.kafka.add_partitions(&topic, 5)?;
    until("records in the new partitions", || {
        let places = scene.ground.kafka.places(&topic, &scene.fleet.common.group)?;
        Ok(places.len() == 5 && places.iter().all(|place| place.committed > Some(0)))
    })?;
    let sent = load.stop()?;
    scene.fleet.wait_drained(&scene.ground.kafka, PATIENCE)?;
    ensure!(sent.refused.is_empty() && sent.unknown.is_empty(), "not all were answered with 200: {sent:?}");
    scene.fleet.verify(&scene.ground.s3)?;
    account_in(&scene.ground.s3.files(&scene.fleet.common.prefix), &sent, Refused::Absent)
}

/// An election of a node that was not in sync: what the group has read is no longer there.
fn a_log_that_lost_acknowledged_records_stops_its_partition(scene: &mut Scene<'_>) -> Result<()> {
    let (topic, kafka) = (scene.topic.clone(), &scene.ground.kafka);
    let settings = [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];
    kafka.make_topic_on(&topic, &[&[1, 2], &[3, 1]], &settings)?;
    scene.start(Role::Work)?;
    let mut ids = [scene.publish(0, 30)?, scene.publish(1, 30)?].concat();
    // Node 2 is away: only node 1 gets these, and that is enough for it.
    kafka.kill(2)?;
    until("node 2 out of sync", || Ok(kafka.publish(&topic, 0, 1).map(|id| ids.extend(id)).is_ok()))?;
    ids.extend(scene.publish(0, 40)?);
    scene.drained(0)?;
    kafka.kill(1)?;
    kafka.restart(2)?;
    until("node 2 to lead", || Ok(kafka.leaders(&topic)?.is_some_and(|leaders| leaders[0] == 2)))?;
    ensure!(scene.place(0)?.end < 70, "nothing was lost: {:?}", scene.place(0)?);
    scene.publish(0, 10)?;
    ids.extend(scene.publish(1, 30)?);
    scene.says(&["partition=0", &topic])?;
    scene.drained(1)?;
    scene.stands_still(0)?;
    // Whoever begins with it finds the same, and names it as well.
    scene.fleet.end()?;
    let said = log_of(&scene.fleet, 0).len();
    scene.start_again()?;
    says_behind(&scene.fleet, 0, said, &["partition=0", &topic, "lost records that were acknowledged"])?;
    scene.stands_still(0)?;
    kafka.restart(1)?;
    scene.once(&ids)?;
    // Once told to, it begins a chain of its own, and that goes on without being told again, though the group was further once.
    scene.fleet.members[0].flags = vec!["--allow-reprocess"];
    scene.start_again()?;
    let end = scene.place(0)?.end;
    until("the new chain to be committed", || Ok(scene.place(0)?.committed == Some(end)))?;
    scene.fleet.end()?;
    scene.fleet.members[0].flags.clear();
    scene.start_again()?;
    scene.publish(0, 5)?;
    scene.drained(0)?;
    scene.fleet.end()?;
    scene.fleet.verify(&scene.ground.s3)?;
    Ok(())
}

impl<'a> Scene<'a> {
    fn new(ground: &'a Ground, name: &str) -> Scene<'a> {
        let topic = format!("misuse-{name}");
        let mut common = Common::new(&ground.kafka, &topic);
        common.chunk = "age_max = \"300ms\"\n".into();
        Scene { ground, fleet: Fleet::new(&ground.folder().join(name), common), topic }
    }

    fn common(&self) -> Common {
        self.fleet.common.clone()
    }

    fn make_topic(&self, partitions: i32) -> Result<()> {
        self.ground.kafka.make_topic(&self.topic, partitions, &[])
    }

    fn publish(&self, partition: i32, count: usize) -> Result<Vec<String>> {
        self.ground.kafka.publish(&self.topic, partition, count)
    }

    fn start(&mut self, role: Role) -> Result<usize> {
        let index = self.fleet.add(role, &self.ground.s3)?;
        self.fleet.wait_ready()?;
        Ok(index)
    }

    fn start_again(&mut self) -> Result<()> {
        for member in &mut self.fleet.members {
            member.start()?;
        }
        self.fleet.wait_ready()
    }

    /// A worker that is configured so ends before it is ready, and says why.
    fn refused(&self, common: Common, words: &[&str]) -> Result<()> {
        let mut fleet = Fleet::new(&self.ground.folder().join(format!("{}-refused", self.topic)), common);
        let index = fleet.add(Role::Work, &self.ground.s3)?;
        let begin = Instant::now();
        while fleet.members[index].look()?.is_none() {
            ensure!(begin.elapsed() < PATIENCE, "it neither started nor ended");
            sleep(Duration::from_millis(20));
        }
        ensure!(fleet.members[index].is_down(), "it was not refused:\n{}", fleet.log_tails());
        says(&fleet, index, words)
    }

    fn says(&self, words: &[&str]) -> Result<()> {
        says(&self.fleet, 0, words)
    }

    fn place(&self, partition: i32) -> Result<tamis_tests::kafka::Place> {
        let mut places = self.ground.kafka.places(&self.topic, &self.fleet.common.group)?;
        Ok(places.swap_remove(partition as usize))
    }

    fn drained(&self, partition: i32) -> Result<()> {
        until(&format!("partition {partition} to be worked off"), || Ok(self.place(partition)?.lag() == 0))
    }

    /// The process runs on, the partition does not, and the metrics say so.
    fn stands_still(&self, partition: i32) -> Result<()> {
        ensure!(self.fleet.members[0].is_up(), "the worker has ended");
        let stopped =
            self.fleet.members[0].metric("tamis_worker_failed", &format!("partition=\"{partition}\""))?;
        ensure!(stopped >= 1.0, "no metric says that partition {partition} stands still");
        ensure!(self.place(partition)?.lag() != 0, "it does not stand still: {:?}", self.place(partition)?);
        Ok(())
    }

    /// Exactly these events are in the tables, each once, and the store is whole.
    fn once(&mut self, ids: &[String]) -> Result<()> {
        self.fleet.end()?;
        self.fleet.verify(&self.ground.s3)?;
        let files = self.ground.s3.files(&self.fleet.common.prefix);
        let ask = "SELECT event_id AS id, count(*)::INT AS n FROM read_parquet('$store/events/**/*.parquet') GROUP BY 1";
        let mut rows = HashMap::new();
        for row in tools::query(&files, ask)? {
            rows.insert(row["id"].as_str().context("an id")?.to_owned(), row["n"].as_u64());
        }
        for id in ids {
            ensure!(rows.remove(id) == Some(Some(1)), "{id} is not there exactly once");
        }
        ensure!(rows.is_empty(), "{} events that must not be there: {rows:?}", rows.len());
        Ok(())
    }
}

/// Waits for a line of a member's log with all of these words.
fn says(fleet: &Fleet, index: usize, words: &[&str]) -> Result<()> {
    says_behind(fleet, index, 0, words)
}

fn says_behind(fleet: &Fleet, index: usize, bytes: usize, words: &[&str]) -> Result<()> {
    until(&format!("{words:?} in the log of {}", fleet.members[index].name), || {
        let log = log_of(fleet, index);
        Ok(log[bytes..].lines().any(|line| words.iter().all(|word| line.contains(word))))
    })
}

fn log_of(fleet: &Fleet, index: usize) -> String {
    std::fs::read_to_string(fleet.members[index].log()).unwrap_or_default()
}

fn until(what: &str, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    let mut last = None;
    while !happened().unwrap_or_else(|e| {
        last = Some(e);
        false
    }) {
        if begin.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain for {what}; {last:?}");
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}
