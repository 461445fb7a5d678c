//! How fast the embedded queue makes records durable, with readers draining it.
//!
//! ```text
//! cargo run -p host-queue --release --example append_rate [record bytes] [seconds] [appenders] [partitions] [dir]
//! ```
//! Each appender waits for its answer before it appends the next record, as an HTTP request does. Readers decode every
//! record and commit as they go. Prints one line; the bar is 60 MB/s with records of 2 KB and 64 appenders.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{env, fs, thread};

use host_queue::conformance::record;
use host_queue::{Embedded, EmbeddedConfig, Error, Queue, ReadLimit};

const DISK_BYTES_MAX: u64 = 2 << 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = [2048, 8, 64, 1];
    let mut dir = tempfile::tempdir()?.keep();
    for (at, arg) in env::args().skip(1).enumerate() {
        match numbers.get_mut(at) {
            Some(number) => *number = arg.parse()?,
            None => dir = arg.into(),
        }
    }
    let [record_bytes, seconds, appenders, partitions] = numbers;
    let now = || UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis() as i64);
    let queue = Arc::new(Embedded::open(
        &dir,
        EmbeddedConfig {
            partitions: partitions as u32,
            disk_bytes_max: DISK_BYTES_MAX,
            ..EmbeddedConfig::new(Arc::new(now))
        },
    )?);
    let stop = Arc::new(AtomicBool::new(false));
    let drained = Arc::new(AtomicU64::new(0));
    let mut bytes_max = 0;
    let mut latencies = Vec::new();
    thread::scope(|scope| {
        for partition in 0..queue.partitions() {
            let (queue, stop, drained) = (&*queue, &*stop, &*drained);
            scope.spawn(move || drain(queue, partition, stop, drained));
        }
        let appending = scope.spawn(|| append_all(&queue, record_bytes, appenders, seconds));
        while !appending.is_finished() {
            bytes_max = bytes_max.max(queue.bytes());
            thread::sleep(Duration::from_millis(50));
        }
        latencies = appending.join().expect("appending does not panic");
        stop.store(true, Ordering::Relaxed);
    });
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |share: usize| latencies.get(count * share / 100).map_or(0.0, |us| *us as f64 / 1000.0);
    println!(
        "{record_bytes} B x {appenders} appenders, {partitions} partitions: {:.1} MB/s durable, {:.0} records/s, \
         {} drained, {} fsyncs ({:.1} records each), p50 {:.2} ms, p99 {:.2} ms, disk {} MB at most, {} MB at the end",
        (count * record_bytes) as f64 / 1e6 / seconds as f64,
        count as f64 / seconds as f64,
        drained.load(Ordering::Relaxed),
        queue.groups(),
        count as f64 / queue.groups() as f64,
        at(50),
        at(99),
        bytes_max / 1_000_000,
        queue.bytes() / 1_000_000,
    );
    drop(queue);
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Microseconds of every append.
fn append_all(queue: &Arc<Embedded>, record_bytes: usize, appenders: usize, seconds: usize) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let end = Instant::now() + Duration::from_secs(seconds as u64);
        let mut tasks = tokio::task::JoinSet::new();
        for appender in 0..appenders {
            let queue = queue.clone();
            tasks.spawn(async move {
                let partition = appender as u32 % queue.partitions();
                let record = record(appender as u64, record_bytes);
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let start = Instant::now();
                    match queue.append(partition, vec![record.clone()]).await {
                        Ok(()) => latencies.push(start.elapsed().as_micros() as u64),
                        Err(Error::Full { .. }) => tokio::task::yield_now().await,
                        Err(other) => panic!("{other}"),
                    }
                }
                latencies
            });
        }
        tasks.join_all().await.concat()
    })
}

fn drain(queue: &Embedded, partition: u32, stop: &AtomicBool, drained: &AtomicU64) {
    let limit = ReadLimit { records_max: 4096, bytes_max: 4 << 20 };
    let (mut next, mut committed) = (0, 0);
    loop {
        let some = queue.read(partition, next, limit, Duration::from_millis(20)).expect("read");
        assert!(some.iter().all(|s| s.record.is_ok()), "a record is damaged");
        drained.fetch_add(some.len() as u64, Ordering::Relaxed);
        next += some.len() as u64;
        let done = some.is_empty() && stop.load(Ordering::Relaxed);
        if next - committed > 10_000 || done {
            queue.commit(partition, next).expect("commit");
            committed = next;
        }
        if done {
            return;
        }
    }
}
