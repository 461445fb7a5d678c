//! A real cluster of three, three workers, two that take in events, an S3 server; and for as long as it runs, one fault after the
//! other. Then: every event that was answered with 200 is in the tables exactly once, whatever else was sent is there at most
//! once, nothing else is there, and `tamis verify` finds nothing.
//!
//! 60 s of it, or as many faults as `TAMIS_TORTURE_FAULTS` says (`make torture`: 1,000).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tamis_tests::{Chaos, Common, Fleet, Ground, Load, Refused, Role, Sdk, Sent, account_in};

const TOPIC: &str = "tamis-events";
const PARTITIONS: i32 = 6;
const NODES: u32 = 3;
const WORKERS: usize = 3;
const INGESTS: usize = 2;
const TIME_DEFAULT: Duration = Duration::from_secs(60);
/// Everything is made well and held against the account so often, so that what breaks early is seen early.
const ROUND_FAULTS: u64 = 200;
/// What the store can hold, in memory: so much, and so much more for each fault. A small disk is filled quickly.
const DISK_BYTES: u64 = 256 << 20;
const DISK_BYTES_PER_FAULT: u64 = 1 << 20;
/// Per process that takes in; each client waits so long between two requests.
const CONNECTIONS: usize = 4;
const PAUSE: Duration = Duration::from_millis(40);
const SDK_EVENTS_PER_SECOND: u32 = 10;
/// From the last fault to the last commit.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_lost_and_nothing_doubled_whatever_fails() -> Result<()> {
    let faults: Option<u64> =
        std::env::var("TAMIS_TORTURE_FAULTS").ok().map(|text| text.parse()).transpose()?;
    let seed = match std::env::var("TAMIS_TORTURE_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => u64::from(std::process::id()),
    };
    eprintln!("TAMIS_TORTURE_FAULTS={faults:?} TAMIS_TORTURE_SEED={seed}");
    let mut ground = Ground::new(NODES, DISK_BYTES + faults.unwrap_or(0) * DISK_BYTES_PER_FAULT)?;
    let mut fleet = Fleet::new(ground.folder(), Common::new(&ground.kafka, TOPIC));
    let result = torture(&mut ground, &mut fleet, faults, seed);
    ground.report(&[&fleet], result)
}

fn torture(ground: &mut Ground, fleet: &mut Fleet, faults: Option<u64>, seed: u64) -> Result<()> {
    ground.kafka.make_topic(TOPIC, PARTITIONS, &[("min.insync.replicas", "2")])?;
    for _ in 0..WORKERS {
        fleet.add(Role::Work, &ground.s3)?;
    }
    for _ in 0..INGESTS {
        fleet.add(Role::Ingest, &ground.s3)?;
    }
    fleet.wait_ready()?;
    let serial = Arc::new(AtomicU64::new(0));
    let mut sent = Sent::default();
    let end = faults.is_none().then(|| Instant::now() + TIME_DEFAULT);
    let mut left = faults.unwrap_or(u64::MAX);
    let mut chaos = Chaos::new(ground, seed, PARTITIONS as usize)?;
    while left > 0 && end.is_none_or(|end| Instant::now() < end) {
        let before = chaos.faults();
        let clients = Clients::start(fleet, chaos.ground(), &serial)?;
        chaos.run(fleet, left.min(ROUND_FAULTS), end)?;
        chaos.heal(fleet)?;
        sent.merge(clients.stop()?);
        left = left.saturating_sub(chaos.faults() - before);
        settle(&mut chaos, fleet, &sent)?;
    }
    fleet.stop()?;
    fleet.verify(&chaos.ground().s3)?;
    for member in &fleet.members {
        eprintln!("{}: at most {} MB resident", member.name, member.resident_bytes_max >> 20);
    }
    // Half of what a quiet machine would have answered is far more than this.
    ensure!(sent.kept.len() > 500, "too little was kept to say anything: {}", sent.kept.len());
    Ok(())
}

/// Waits until everything is worked off, and holds it against the account.
fn settle(chaos: &mut Chaos<'_>, fleet: &Fleet, sent: &Sent) -> Result<()> {
    let begin = Instant::now();
    let places = fleet.wait_drained(&chaos.ground().kafka, CATCH_UP_TIME_MAX)?;
    let records: i64 = places.iter().map(|place| place.end).sum();
    let said = format!(
        "{} faults; {records} records in {} partitions, worked off within {:?}; {} kept, {} unanswered, {} refused",
        chaos.faults(),
        places.len(),
        begin.elapsed(),
        sent.kept.len(),
        sent.unknown.len(),
        sent.refused.len()
    );
    eprintln!("{said}");
    chaos.note(&said);
    fleet.verify(&chaos.ground().s3)?;
    account_in(&chaos.ground().s3.files(&fleet.common.prefix), sent, Refused::AtMostOnce)
}

/// All clients of one round.
struct Clients {
    loads: Vec<Load>,
    sdks: [Sdk; 2],
}

impl Clients {
    fn start(fleet: &Fleet, ground: &Ground, serial: &Arc<AtomicU64>) -> Result<Clients> {
        let ingests: Vec<_> = fleet.members.iter().filter(|member| member.role == Role::Ingest).collect();
        let load = |to| Load::paced(to, CONNECTIONS, serial, PAUSE);
        let loads = ingests.iter().map(|member| load(member.ingest())).collect::<Result<_>>()?;
        let record = |name: &str| ground.folder().join(name);
        let python = Sdk::python(&ingests[0].dsn(), record("python.json"), SDK_EVENTS_PER_SECOND)?;
        let node = Sdk::node(&ingests[1].dsn(), record("node.json"), SDK_EVENTS_PER_SECOND)?;
        Ok(Clients { loads, sdks: [python, node] })
    }

    fn stop(self) -> Result<Sent> {
        let mut sent = Sent::default();
        for sdk in self.sdks {
            sent.merge(sdk.stop()?);
        }
        for load in self.loads {
            sent.merge(load.stop()?);
        }
        Ok(sent)
    }
}
