//! kill -9 at random moments under load, restart, repeat. Every event that was answered with 200 is in the tables exactly
//! once, whatever else was not answered is there at most once, and `tamis verify` finds nothing.
//!
//! 100 cycles, or as many as `TAMIS_TORTURE_CYCLES` says (`make torture`: 1,000).
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tamis_tests::{Home, Host, Load, Options, Pipeline, Refused, Sent, account};

const CYCLES_DEFAULT: u64 = 100;
const CONNECTIONS: usize = 8;
/// A cycle under load lasts up to so long; chunks close about twice within it.
const CYCLE_TIME_MAX_MS: u64 = 600;
const CHECK_EVERY_CYCLES: u64 = 100;

#[test]
fn what_was_answered_with_200_survives_kill_9() -> Result<()> {
    let cycles = match std::env::var("TAMIS_TORTURE_CYCLES") {
        Ok(text) => text.parse()?,
        Err(_) => CYCLES_DEFAULT,
    };
    let seed = match std::env::var("TAMIS_TORTURE_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => u64::from(std::process::id()),
    };
    eprintln!("{cycles} cycles, TAMIS_TORTURE_SEED={seed}");
    let options = Options { pipeline: Pipeline::Empty, chunk_age_max: "200ms", ..Options::default() };
    Home::new(&options)?.check(|home| torture(home, cycles, seed))
}

fn torture(home: &Home, cycles: u64, seed: u64) -> Result<()> {
    let serial = Arc::new(AtomicU64::new(0));
    let (mut sent, mut slowest_start) = (Sent::default(), Duration::ZERO);
    for cycle in 1..=cycles {
        let host = home.start()?;
        // The first start compiles the components.
        if cycle > 1 {
            slowest_start = slowest_start.max(host.ready_after);
        }
        let load = Load::start(host.ingest(), CONNECTIONS, &serial)?;
        std::thread::sleep(Duration::from_millis(moment(seed, cycle)));
        host.kill9()?;
        sent.merge(load.stop()?);
        if cycle % CHECK_EVERY_CYCLES == 0 && cycle < cycles {
            eprintln!("cycle {cycle}: {} kept", sent.kept.len());
            // The kill may have left the youngest chunk without its tables, and that is a breach until somebody has finished it.
            finish(home.start()?)?;
            home.verify()?;
            account(home, &sent, Refused::Absent)?;
        }
    }
    let begin = Instant::now();
    finish(home.start()?)?;
    eprintln!(
        "{} kept, {} unanswered, {} refused; slowest start {slowest_start:?}, last drain {:?}",
        sent.kept.len(),
        sent.unknown.len(),
        sent.refused.len(),
        begin.elapsed()
    );
    ensure!(sent.kept.len() as u64 > 20 * cycles, "too little was sent to say anything: {}", sent.kept.len());
    home.verify()?;
    account(home, &sent, Refused::Absent)
}

/// Works off what is left, and drains.
fn finish(host: Host) -> Result<()> {
    let status = host.terminate()?;
    ensure!(status.code() == Some(0), "the drain ended with {status}");
    Ok(())
}

/// A moment within a cycle: often in the middle of it, sometimes right at its beginning.
fn moment(seed: u64, cycle: u64) -> u64 {
    let mut z = (seed ^ cycle << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 32) % CYCLE_TIME_MAX_MS;
    if cycle.is_multiple_of(10) { z / 20 } else { z }
}
