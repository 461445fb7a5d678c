//! Partitions go from one process to another, and more of them come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_queue::conformance::record;
use host_queue::{Committed, Error, Kafka, Lease, Queue, ReadLimit, Resume, Role};

use crate::broker::{ALL, WAIT, eventually, open_alone};
use crate::shared;

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_were_added_are_seen() {
    shared().topic("grows", 2);
    let queue = open_alone(shared().config("grows", Role::Both));
    shared().add_partitions("grows", 5);
    eventually("five partitions", || queue.partitions() == 5 && queue.leases().len() == 5);
    queue.append(4, vec![record(1, 10)]).await.unwrap();
    assert_eq!(queue.read(4, 0, ALL, WAIT).unwrap().len(), 1);
    assert!(matches!(queue.append(5, vec![record(1, 10)]).await, Err(Error::Config(_))));
}

/// Works off what it is given, as a worker would: from where it is committed, until the lease is lost.
fn work(queue: Arc<Kafka>, seen: Arc<Mutex<HashMap<(u32, u64), u32>>>, stop: Arc<AtomicBool>) {
    let mut lines: HashMap<u32, (Lease, u64)> = HashMap::new();
    let mut rung = 0;
    while !stop.load(Relaxed) {
        lines.retain(|_, (lease, _)| !lease.is_lost());
        for lease in queue.leases() {
            if lines.get(&lease.partition).is_some_and(|(own, _)| own.is(&lease)) {
                continue;
            }
            if let Ok(Resume::Shared(shared)) = queue.resume(lease.partition) {
                lines.insert(lease.partition, (lease, shared.committed.unwrap_or(shared.oldest)));
            }
        }
        for (partition, (_, next)) in &mut lines {
            let limit = ReadLimit { records_max: 50, bytes_max: 1 << 20 };
            let got = match queue.read(*partition, *next, limit, Duration::ZERO) {
                Ok(got) => got,
                Err(Error::Lost { .. }) => continue,
                Err(e) => panic!("{e}"),
            };
            let Some(last) = got.last() else { continue };
            let after = last.offset + 1;
            match queue.commit_noted(*partition, after, "tamis1 x") {
                Ok(()) => {}
                Err(Error::Lost { .. } | Error::Away(_)) => continue,
                Err(e) => panic!("{e}"),
            }
            *next = after;
            let mut seen = seen.lock().unwrap();
            got.iter().for_each(|s| *seen.entry((*partition, s.offset)).or_default() += 1);
        }
        rung = queue.wait(rung, Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_partitions_and_never_have_one_both() {
    shared().topic("shared", 6);
    let first = Arc::new(open_alone(shared().config("shared", Role::Both)));
    let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let worker = |queue: &Arc<Kafka>, stop: &Arc<AtomicBool>| {
        let (queue, seen, stop) = (queue.clone(), Arc::clone(&seen), stop.clone());
        std::thread::spawn(move || work(queue, seen, stop))
    };
    let mut workers = vec![worker(&first, &stop)];
    let sender = first.clone();
    let sent = tokio::spawn(async move {
        for turn in 0..300 {
            let batch = (0..4).map(|n| record(turn * 10 + n, 200)).collect();
            sender.append((turn % 6) as u32, batch).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let old = first.leases();

    let second = Arc::new(Kafka::open(shared().config("shared", Role::Consume)).unwrap());
    let stop_second = Arc::new(AtomicBool::new(false));
    workers.push(worker(&second, &stop_second));
    eventually("three each", || {
        let (a, b) = (first.leases(), second.leases());
        let both = a.iter().filter(|l| b.iter().any(|other| other.partition == l.partition));
        assert_eq!(both.filter(|lease| !lease.is_lost()).count(), 0, "somebody has what another has");
        (a.len(), b.len()) == (3, 3)
    });
    let kept = first.leases();
    let lost: Vec<_> = old.iter().filter(|lease| lease.is_lost()).collect();
    assert_eq!(lost.len(), 3);
    assert!(
        kept.iter().all(|lease| old.iter().any(|o| o.is(lease))),
        "what was not taken away stays the same lease"
    );
    assert!(matches!(first.read(lost[0].partition, 0, ALL, Duration::ZERO), Err(Error::Lost { .. })));
    assert!(matches!(first.commit(lost[0].partition, 1), Err(Error::Lost { .. })));
    assert!(second.append(0, vec![record(1, 1)]).await.is_err(), "it only works off");

    tokio::time::sleep(Duration::from_millis(500)).await;
    stop_second.store(true, Relaxed);
    workers.pop().unwrap().join().unwrap();
    second.close();
    eventually("all six again", || first.leases().len() == 6);
    assert!(lost.iter().all(|lease| lease.is_lost()), "a lost lease does not come back");
    sent.await.unwrap();
    let all = || seen.lock().unwrap().len() == 1200;
    eventually("all are worked off", all);
    assert!(
        seen.lock().unwrap().values().all(|times| *times == 1),
        "what was committed was worked off again"
    );
    eventually("all are committed", || (0..6).all(|p| queue_is_done(&first, p)));
    stop.store(true, Relaxed);
    workers.into_iter().for_each(|w| w.join().unwrap());
    assert!(first.stats().rebalances >= 3);
}

fn queue_is_done(queue: &Kafka, partition: u32) -> bool {
    queue.committed(partition).is_ok_and(|next| next == queue.end(partition))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_protocol_of_groups_works_too() {
    shared().topic("newer", 2);
    let mut config = shared().config("newer", Role::Both);
    config.options = vec![("group.protocol".into(), "consumer".into())];
    let queue = open_alone(config.clone());
    queue.append(1, vec![record(1, 10)]).await.unwrap();
    assert_eq!(queue.read(1, 0, ALL, WAIT).unwrap().len(), 1);
    queue.commit_noted(1, 1, "note").unwrap();
    // Who only looks sees it, and what was never committed is no zero.
    let seen = Kafka::look(config.clone()).unwrap();
    assert_eq!(seen, [Committed { partition: 1, next: 1, note: "note".into() }]);
    assert_eq!(queue.leases().len(), 2, "and takes nothing away");
    drop(queue);
    let again = open_alone(config);
    match again.resume(1).unwrap() {
        Resume::Shared(shared) => assert_eq!((shared.committed, shared.note.as_str()), (Some(1), "note")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_name_was_given_away_says_so() {
    shared().topic("fenced", 1);
    let mut config = shared().config("fenced", Role::Both);
    config.options = vec![("group.instance.id".into(), "worker-1".into())];
    let first = open_alone(config.clone());
    assert_eq!(Kafka::look(config.clone()).unwrap(), []);
    assert_eq!(first.leases().len(), 1, "who only looks has no name in the group");
    let second = Kafka::open(config).unwrap();
    eventually("the second has it", || second.leases().len() == 1);
    eventually("the first knows", || first.leases().is_empty() && first.health().is_err());
    let what = first.health().unwrap_err().to_string();
    assert!(what.contains("group fenced-group") && what.to_lowercase().contains("fenced"), "{what}");
    assert!(matches!(first.commit(0, 1), Err(Error::Lost { .. })));
}

/// Workers begin anywhere while partitions come and go and records are appended: what they get is what lies there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_what_lies_there_wherever_reading_begins() {
    const PARTITIONS: u32 = 4;
    const TURNS: u64 = 40;
    shared().topic("anywhere", PARTITIONS as i32);
    let queue = Arc::new(open_alone(shared().config("anywhere", Role::Both)));
    for partition in 0..PARTITIONS {
        queue.append(partition, (0..1000).map(|id| record(id, 100)).collect()).await.unwrap();
    }
    let readers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                let (mut read, mut turn) = (0, 0);
                while turn < TURNS {
                    // Anything that is not regular.
                    let from = (turn * 7919 + u64::from(partition) * 104_729) % 990;
                    let limit = ReadLimit { records_max: 3, bytes_max: 1 << 20 };
                    match queue.read(partition, from, limit, Duration::from_secs(2)) {
                        Ok(got) if got.is_empty() => continue,
                        Ok(got) => {
                            for (stored, offset) in got.iter().zip(from..) {
                                assert_eq!(stored.offset, offset);
                                let id = stored.record.as_ref().expect("there is a record").meta.event_id.0;
                                assert_eq!(id, u128::from(offset));
                            }
                            read += got.len();
                        }
                        Err(Error::Lost { .. }) => {
                            std::thread::sleep(Duration::from_millis(20));
                            continue;
                        }
                        Err(e) => panic!("{e}"),
                    }
                    turn += 1;
                }
                read
            })
        })
        .collect();
    for _ in 0..3 {
        let other = Kafka::open(shared().config("anywhere", Role::Consume)).unwrap();
        eventually("it has its share", || other.leases().len() == 2);
        for partition in 0..PARTITIONS {
            queue.append(partition, vec![record(0, 100)]).await.unwrap();
        }
    }
    for reader in readers {
        assert!(reader.join().unwrap() as u64 >= TURNS);
    }
}
