//! Brokers die under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use host_queue::conformance::record;
use host_queue::{Error, Kafka, KafkaConfig, Queue, Role};

use crate::broker::{ALL, Cluster, WAIT, eventually, open_alone};

const WRITERS: u64 = 6;
const PARTITIONS: u64 = 3;
/// Records that say something.
const ENOUGH: usize = 1000;

/// Appends two records each time until it is stopped; gives the ids that were acknowledged, and the longest time that an
/// answer took.
async fn write(
    queue: Arc<Kafka>,
    writer: u64,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
) -> (Vec<u64>, Duration, u32) {
    let (mut acknowledged, mut slowest, mut failed) = (Vec::new(), Duration::ZERO, 0);
    for turn in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let id = writer * 1_000_000 + turn * 2;
        let begun = Instant::now();
        let batch = vec![record(id, 500), record(id + 1, 500)];
        match queue.append((writer % PARTITIONS) as u32, batch).await {
            Ok(()) => {
                acknowledged.extend([id, id + 1]);
                written.fetch_add(2, Relaxed);
            }
            // It is not sent again: what is there twice then would be our own fault.
            Err(Error::Away(_) | Error::Full { .. }) => failed += 1,
            Err(e) => panic!("{e}"),
        }
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (acknowledged, slowest, failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_die_under_load_and_nothing_acknowledged_is_lost_or_doubled() {
    let cluster = Cluster::start(3, "");
    cluster.topic("load", PARTITIONS as i32);
    let mut config = cluster.config("load", Role::Both);
    config.produce_bytes_max = 4 << 20;
    let queue = Arc::new(open_alone(config));
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let start = |w| tokio::spawn(write(queue.clone(), w, stop.clone(), written.clone()));
    let writers: Vec<_> = (0..WRITERS).map(start).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.kill(1);
    tokio::time::sleep(Duration::from_millis(4000)).await;
    cluster.restart(1);
    eventually("the first is back", || queue.health().is_ok());
    cluster.kill(2);
    tokio::time::sleep(Duration::from_millis(4000)).await;
    // Beside the other clusters of these tests that takes longer.
    eventually("enough is written", || written.load(Relaxed) > ENOUGH);
    stop.store(true, Relaxed);
    let (mut acknowledged, mut slowest, mut failed) = (Vec::new(), Duration::ZERO, 0);
    for writer in writers {
        let (ids, slow, errors) = writer.await.unwrap();
        acknowledged.extend(ids);
        slowest = slowest.max(slow);
        failed += errors;
    }
    println!("{} acknowledged, {failed} failed, slowest {slowest:?}", acknowledged.len());
    assert!(acknowledged.len() > ENOUGH);

    let mut read = Vec::new();
    for partition in 0..PARTITIONS as u32 {
        let (mut next, asked) = (0, Instant::now());
        while next < queue.end(partition) {
            let got = match queue.read(partition, next, ALL, WAIT) {
                Ok(got) => got,
                // While its coordinator was away the group has lost its only member.
                Err(Error::Lost { .. } | Error::Away(_)) => Vec::new(),
                Err(e) => panic!("{e}"),
            };
            if got.is_empty() {
                assert!(asked.elapsed() < WAIT, "partition {partition} is not leased again");
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            next = got.last().expect("there are more").offset + 1;
            read.extend(got.iter().map(|s| s.record.as_ref().unwrap().meta.event_id.0 as u64));
        }
    }
    for writer in 0..WRITERS {
        let own: Vec<_> = read.iter().filter(|id| **id / 1_000_000 == writer).collect();
        assert!(own.is_sorted_by(|a, b| a < b), "writer {writer}: out of order, or twice");
    }
    read.sort_unstable();
    acknowledged.sort_unstable();
    let lost: Vec<_> = acknowledged.iter().filter(|id| read.binary_search(id).is_err()).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    nobody_answers(&cluster, &queue).await;
}

/// All brokers are gone: what waits is bounded, health says so, and all is well again by itself.
async fn nobody_answers(cluster: &Cluster, queue: &Arc<Kafka>) {
    let leaving = open_alone(KafkaConfig { group: "leaving".into(), ..cluster.config("load", Role::Both) });
    [1, 3].iter().for_each(|node| cluster.kill(*node));
    let begun = Instant::now();
    drop(leaving);
    assert!(begun.elapsed() < Duration::from_secs(10), "closing waits for nobody: {:?}", begun.elapsed());
    let begun = Instant::now();
    let waiting: Vec<_> = (0..60)
        .map(|id| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.append(0, vec![record(id, 100_000)]).await })
        })
        .collect();
    let mut full = 0;
    for append in waiting {
        match append.await.unwrap() {
            Err(Error::Full { used, max, .. }) => {
                assert!(used <= max);
                full += 1;
            }
            Err(Error::Away(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(full > 0, "4 MiB are less than 60 times 100 kB");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(queue.stats().produce_queue_bytes, 0);
    assert!(matches!(queue.health(), Err(Error::Away(_))));
    let begun = Instant::now();
    queue.append(0, vec![record(1, 1)]).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(100), "a refusal does not wait: {:?}", begun.elapsed());
    // One waits for the other to be a majority.
    std::thread::scope(|scope| {
        (1..=3).for_each(|node| drop(scope.spawn(move || cluster.restart(node))));
    });
    eventually("it is well again", || queue.health().is_ok());
    let begun = Instant::now();
    while queue.append(0, vec![record(1, 1)]).await.is_err() {
        assert!(begun.elapsed() < WAIT);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
