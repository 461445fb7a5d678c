//! Workers, partitions, a broker that takes them away at any moment and a store that fails: whatever the schedule, the chain holds.
//!
//! What runs is the product: lines, stages' ends, chunks, Parquet, errands and decisions, and the proof of `verify` at the end. What is made up is
//! the clock, the threads, the broker and the store, and all of that is drawn from one number, so that a schedule that fails can be played
//! again. One step is one turn of a line or one call to the store; between any two of them a worker may crash, sleep through a
//! rebalance and wake up, or lose a partition without hearing of it.
//!
//! A simulation that finds nothing proves nothing, so mistakes can be put in, and each must be found.
//!
//! `TAMIS_SIM_SCHEDULES` says how many schedules; `TAMIS_SIM_SEED` plays one and prints its trace.

mod broker;
mod mistake;
mod store;
mod world;

use std::env;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

pub(crate) use mistake::Mistake;
use world::World;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn fork(&mut self) -> Draw {
        Draw(self.below(u64::MAX))
    }
}

/// Plays one schedule: what is wrong with what came of it, if anything, and what happened.
fn play(seed: u64, mistake: Option<Mistake>, is_traced: bool) -> (Result<(), String>, Vec<String>) {
    let mut world = World::new(seed, mistake, is_traced);
    let played = world.play();
    (played, world.trace())
}

/// Fails with the trace of a schedule.
fn tell(seed: u64, mistake: Option<Mistake>) -> ! {
    let (played, trace) = play(seed, mistake, true);
    let what =
        played.err().unwrap_or_else(|| "it went well this time: something is not drawn from the seed".into());
    panic!("seed {seed}: {what}\n{}\nplay it again with TAMIS_SIM_SEED={seed}", trace.join("\n"));
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, no number")))
}

/// Plays many on all cores, and gives the first seed that failed.
fn first_failure(schedules: u64, mistake: Option<Mistake>) -> Option<u64> {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None::<u64>));
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= schedules || failed.lock().unwrap().is_some() {
                        return;
                    }
                    if play(seed, mistake, false).0.is_err() {
                        let mut failed = failed.lock().unwrap();
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

const SCHEDULES: u64 = 5_000;

#[test]
fn every_schedule_holds() {
    if let Some(seed) = number("TAMIS_SIM_SEED") {
        let (played, trace) = play(seed, None, true);
        println!("{}", trace.join("\n"));
        played.unwrap();
        return;
    }
    let schedules = number("TAMIS_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    if let Some(seed) = first_failure(schedules, None) {
        tell(seed, None);
    }
}

#[test]
fn every_mistake_is_found() {
    for mistake in Mistake::ALL {
        assert!(first_failure(SCHEDULES, Some(mistake)).is_some(), "{mistake:?} was not found");
    }
}

#[test]
fn a_schedule_is_the_same_each_time() {
    let (first, trace) = play(7, None, true);
    let (second, again) = play(7, None, true);
    assert_eq!((first, trace.len() > 100, trace), (second, true, again));
}
