//! Recovery after kill -9, and memory with 256 partitions: what the test `partitions` holds, with the released binary.

use anyhow::Result;
use tamis_tests::Ground;
use tamis_tests::bounds::{
    self, CHUNK_MEMORY_BYTES_MAX, PARTITIONS, RECOVERY_TIME_MAX, REST_BYTES_MAX, SESSION,
};

use crate::measure::Row;

const DISK_BYTES: u64 = 2 << 30;

pub fn rows() -> Result<Vec<Row>> {
    let ground = Ground::new(1, DISK_BYTES)?;
    let (mut many, mut two) = (bounds::many_partitions(&ground), bounds::two_workers(&ground));
    let measured = (|| Ok((bounds::recovery(&ground, &mut two)?, bounds::memory(&ground, &mut many)?)))();
    match measured {
        Ok((took, resident)) => Ok(vec![recovery(took.as_secs_f64()), memory(resident)]),
        Err(e) => ground.report(&[&many, &two], Err(e)).map(|()| Vec::new()),
    }
}

fn recovery(seconds: f64) -> Row {
    let detail = format!("session timeout of {} s, and 2 s more", SESSION.as_secs());
    let max = RECOVERY_TIME_MAX.as_secs_f64();
    Row::at_most("recovery: kill -9 of a worker to the first new ledger, s", max, seconds, &detail)
}

fn memory(resident: bounds::Resident) -> Row {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (chunks, rest) = (mib(CHUNK_MEMORY_BYTES_MAX), mib(REST_BYTES_MAX));
    let detail = format!(
        "budget: {chunks:.0} for chunks, {rest:.0} for what was fetched and the process; {:.0} at rest, {:.0} MiB went through",
        mib(resident.at_rest_bytes),
        mib(resident.sent_bytes as u64)
    );
    let what = format!("resident memory of a worker with {PARTITIONS} partitions, all of them busy, MiB");
    Row::at_most(what, chunks + rest, mib(resident.most_bytes), &detail)
}
