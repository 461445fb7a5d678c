//! What a worker takes and how soon another one takes over, on a real broker: memory with 256 partitions that all have something to
//! do, and the time from kill -9 to the first new ledger.
#![cfg(target_os = "linux")]

use anyhow::{Result, ensure};
use tamis_tests::bounds::{
    self, CHUNK_MEMORY_BYTES_MAX, PARTITIONS, RECOVERY_TIME_MAX, REST_BYTES_MAX, SESSION,
};
use tamis_tests::{Fleet, Ground};

const DISK_BYTES: u64 = 2 << 30;

#[test]
fn memory_is_bounded_and_recovery_is_quick() -> Result<()> {
    let ground = Ground::new(1, DISK_BYTES)?;
    let (mut many, mut two) = (bounds::many_partitions(&ground), bounds::two_workers(&ground));
    let result = memory(&ground, &mut many).and_then(|()| recovery(&ground, &mut two));
    ground.report(&[&many, &two], result)
}

fn memory(ground: &Ground, fleet: &mut Fleet) -> Result<()> {
    let resident = bounds::memory(ground, fleet)?;
    let (most, at_rest) = (resident.most_bytes >> 20, resident.at_rest_bytes >> 20);
    let (chunks, rest) = (CHUNK_MEMORY_BYTES_MAX >> 20, REST_BYTES_MAX >> 20);
    eprintln!(
        "{PARTITIONS} partitions, {} MB: {most} MB resident at most, {at_rest} MB at rest; {chunks} MB are for chunks",
        resident.sent_bytes >> 20
    );
    ensure!(
        resident.most_bytes <= CHUNK_MEMORY_BYTES_MAX + REST_BYTES_MAX,
        "{most} MB were resident: more than {chunks} MB for chunks and {rest} MB for the rest"
    );
    Ok(())
}

fn recovery(ground: &Ground, fleet: &mut Fleet) -> Result<()> {
    let took = bounds::recovery(ground, fleet)?;
    eprintln!("kill -9 to the first new ledger: {took:?}, with a session timeout of {SESSION:?}");
    ensure!(took <= RECOVERY_TIME_MAX, "the first new ledger came after {took:?}");
    Ok(())
}
