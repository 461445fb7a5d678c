//! What every [`Queue`] must do. `check` panics where one does not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use host_event::{Body, Category, EventId, Meta, Offset, Partition, Record};
use tokio::task::spawn_blocking;

use crate::{Error, Queue, ReadLimit, Resume, Stored};

/// Long enough for any queue to answer.
const WAIT: Duration = Duration::from_secs(30);
const ALL: ReadLimit = ReadLimit { records_max: 1_000_000, bytes_max: 1 << 30 };

/// Runs the whole suite; `make` gives an empty queue of two or more partitions each time. Needs a Tokio runtime.
pub async fn check<Q: Queue>(make: impl Fn() -> Q) {
    a_new_queue_is_empty(&make()).await;
    records_come_back_in_order(Arc::new(make())).await;
    a_read_stops_at_its_limits(Arc::new(make())).await;
    queued_at_stays_and_never_decreases(Arc::new(make())).await;
    partitions_are_apart(Arc::new(make())).await;
    commits_only_go_forward(Arc::new(make())).await;
    appends_of_many_do_not_mix(Arc::new(make())).await;
    a_waiting_read_is_woken(Arc::new(make())).await;
    a_waiting_worker_is_woken(Arc::new(make())).await;
    every_partition_is_leased_once(&make()).await;
    a_worker_resumes_where_it_committed(Arc::new(make())).await;
    there_is_no_other_partition(Arc::new(make())).await;
}

/// A record that can be told from others, with a payload of about that size.
pub fn record(id: u64, payload_bytes: usize) -> Record {
    let meta = Meta {
        project_id: id % 50,
        received_at: 1_790_000_000_000 + id as i64,
        event_id: EventId(u128::from(id)),
        sdk: "sentry.python/2.75.0".into(),
        ..Meta::default()
    };
    let filling = "x".repeat(payload_bytes.saturating_sub(20));
    let payload = Bytes::from(format!(r#"{{"n":{id},"f":"{filling}"}}"#));
    Record { meta, body: Body::Item { category: Category::Error, payload } }
}

async fn a_new_queue_is_empty<Q: Queue>(queue: &Q) {
    let source = queue.source();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!((1..=40).contains(&source.len()) && source.chars().all(fine), "source is {source:?}");
    assert!(queue.partitions() >= 2, "the suite needs two partitions");
    queue.health().expect("a new queue is healthy");
    for partition in 0..queue.partitions() {
        assert_eq!(queue.end(partition), 0);
        assert_eq!(queue.committed(partition).expect("partition exists"), 0);
        let read = queue.read(partition, 0, ALL, Duration::ZERO).expect("an empty log can be read");
        assert!(read.is_empty());
        queue.append(partition, Vec::new()).await.expect("nothing can always be appended");
        assert_eq!(queue.end(partition), 0);
    }
}

async fn records_come_back_in_order<Q: Queue>(queue: Arc<Q>) {
    let mut sent = Vec::new();
    for (id, size) in (0..).zip([0, 1, 100, 5_000, 300_000, 2_000_000, 10]) {
        let batch: Vec<Record> = (0..3).map(|n| record(id * 10 + n, size)).collect();
        sent.extend(batch.clone());
        queue.append(0, batch).await.expect("append");
        assert_eq!(queue.end(0), sent.len() as u64, "what is appended can be read");
    }
    let got = read_all(&queue, 0, 0).await;
    assert_eq!(records(&got), sent);
    for from in 0..sent.len() {
        let some = read(&queue, 0, from as u64, ReadLimit { records_max: 2, bytes_max: 1 << 30 }).await;
        assert_eq!(some[0].offset, from as u64);
        assert_eq!(records(&some), sent[from..(from + 2).min(sent.len())], "from offset {from}");
    }
    let beyond = queue.read(0, sent.len() as u64, ALL, Duration::ZERO).expect("the end can be read");
    assert!(beyond.is_empty());
}

async fn a_read_stops_at_its_limits<Q: Queue>(queue: Arc<Q>) {
    queue.append(0, (0..100).map(|id| record(id, 1000)).collect()).await.expect("append");
    let table = [
        (ReadLimit { records_max: 7, bytes_max: 1 << 30 }, 7..=7),
        (ReadLimit { records_max: 0, bytes_max: 1 << 30 }, 1..=1),
        (ReadLimit { records_max: 1000, bytes_max: 0 }, 1..=1),
        (ReadLimit { records_max: 1000, bytes_max: 500 }, 1..=1),
        (ReadLimit { records_max: 1000, bytes_max: 10_000 }, 5..=10),
        (ReadLimit { records_max: 1000, bytes_max: 1 << 30 }, 1..=100),
    ];
    for (limit, counts) in table {
        let got = read(&queue, 0, 0, limit).await.len();
        assert!(counts.contains(&got), "{limit:?} gave {got} records");
    }
}

async fn queued_at_stays_and_never_decreases<Q: Queue>(queue: Arc<Q>) {
    for id in 0..20 {
        queue.append(0, vec![record(id, 100)]).await.expect("append");
    }
    let times = |stored: &[Stored]| stored.iter().map(|s| s.queued_at).collect::<Vec<_>>();
    let first = times(&read_all(&queue, 0, 0).await);
    assert!(first.is_sorted(), "{first:?}");
    assert_eq!(times(&read_all(&queue, 0, 0).await), first);
}

async fn partitions_are_apart<Q: Queue>(queue: Arc<Q>) {
    queue.append(0, vec![record(1, 10), record(2, 10)]).await.expect("append");
    queue.append(1, vec![record(3, 10)]).await.expect("append");
    assert_eq!((queue.end(0), queue.end(1)), (2, 1));
    assert_eq!(records(&read_all(&queue, 1, 0).await), [record(3, 10)]);
    commit(&queue, 0, 2).await.expect("commit");
    assert_eq!(queue.committed(1).expect("partition exists"), 0);
    assert_eq!(records(&read_all(&queue, 1, 0).await), [record(3, 10)]);
}

async fn commits_only_go_forward<Q: Queue>(queue: Arc<Q>) {
    queue.append(0, (0..10).map(|id| record(id, 10)).collect()).await.expect("append");
    for (next, committed) in [(0, 0), (4, 4), (2, 4), (4, 4), (9, 9), (10, 10)] {
        commit(&queue, 0, next).await.expect("commit");
        assert_eq!(queue.committed(0).expect("partition exists"), committed);
        if committed < 10 {
            assert_eq!(read_all(&queue, 0, committed).await.len() as u64, 10 - committed);
        }
    }
    commit(&queue, 0, 11).await.expect_err("what was never appended can not be done");
    assert_eq!(queue.committed(0).expect("partition exists"), 10);
    queue.append(0, vec![record(10, 10)]).await.expect("append");
    assert_eq!(records(&read_all(&queue, 0, 10).await), [record(10, 10)]);
}

async fn appends_of_many_do_not_mix<Q: Queue>(queue: Arc<Q>) {
    const WRITERS: u64 = 32;
    const TURNS: u64 = 10;
    let writers = (0..WRITERS).map(|writer| {
        let queue = queue.clone();
        async move {
            for turn in 0..TURNS {
                let id = writer * 1000 + turn * 10;
                let batch = (id..id + 3).map(|id| record(id, 300)).collect();
                queue.append(0, batch).await.expect("append");
            }
        }
    });
    join_all(writers).await;
    let got = read_all(&queue, 0, 0).await;
    assert_eq!(got.len() as u64, WRITERS * TURNS * 3);
    let ids: Vec<u64> = records(&got).iter().map(|r| r.meta.event_id.0 as u64).collect();
    for writer in 0..WRITERS {
        let own: Vec<u64> = ids.iter().copied().filter(|id| id / 1000 == writer).collect();
        assert!(own.is_sorted() && own.len() as u64 == TURNS * 3, "writer {writer}: {own:?}");
    }
}

async fn a_waiting_read_is_woken<Q: Queue>(queue: Arc<Q>) {
    let reader = queue.clone();
    let read = spawn_blocking(move || reader.read(0, 0, ALL, WAIT));
    tokio::time::sleep(Duration::from_millis(20)).await;
    queue.append(0, vec![record(1, 10)]).await.expect("append");
    let got = tokio::time::timeout(WAIT / 2, read).await.expect("it does not wait to the end");
    assert_eq!(records(&got.expect("read does not panic").expect("read")), [record(1, 10)]);
}

async fn a_waiting_worker_is_woken<Q: Queue>(queue: Arc<Q>) {
    let seen = queue.wait(0, Duration::ZERO);
    assert_eq!(queue.wait(seen, Duration::ZERO), seen, "nothing came");
    let waiter = queue.clone();
    let waiting = spawn_blocking(move || waiter.wait(seen, WAIT));
    tokio::time::sleep(Duration::from_millis(20)).await;
    queue.append(1, vec![record(1, 10)]).await.expect("append");
    let woken = tokio::time::timeout(WAIT / 2, waiting).await.expect("it does not wait to the end");
    assert!(woken.expect("wait does not panic") > seen);
}

/// The one process that has it open works off all of it.
async fn every_partition_is_leased_once<Q: Queue>(queue: &Q) {
    let begun = std::time::Instant::now();
    let mut leased: Vec<_> = queue.leases();
    while leased.len() < queue.partitions() as usize && begun.elapsed() < WAIT {
        tokio::time::sleep(Duration::from_millis(20)).await;
        leased = queue.leases();
    }
    assert!(leased.iter().all(|lease| !lease.is_lost()));
    let mut partitions: Vec<_> = leased.iter().map(|lease| lease.partition).collect();
    partitions.sort_unstable();
    assert!(partitions.into_iter().eq(0..queue.partitions()));
    assert!(queue.leases().iter().zip(&leased).all(|(a, b)| a.is(b)), "a lease stays the same");
}

async fn a_worker_resumes_where_it_committed<Q: Queue>(queue: Arc<Q>) {
    every_partition_is_leased_once(&*queue).await;
    queue.append(0, (0..5).map(|id| record(id, 10)).collect()).await.expect("append");
    read_all(&queue, 0, 0).await;
    let noting = queue.clone();
    let noted = spawn_blocking(move || noting.commit_noted(0, 3, "up to here")).await;
    noted.expect("commit does not panic").expect("commit");
    let asking = queue.clone();
    let resume = spawn_blocking(move || asking.resume(0)).await.expect("resume does not panic");
    match resume.expect("resume") {
        Resume::Own(next) => assert_eq!(next, 3),
        Resume::Shared(shared) => {
            assert_eq!((shared.committed, shared.note.as_str(), shared.end), (Some(3), "up to here", 5));
        }
    }
}

async fn there_is_no_other_partition<Q: Queue>(queue: Arc<Q>) {
    let none = queue.partitions();
    assert!(matches!(queue.append(none, vec![record(1, 1)]).await, Err(Error::Config(_))));
    assert!(matches!(queue.read(none, 0, ALL, Duration::ZERO), Err(Error::Config(_))));
    assert!(matches!(queue.commit(none, 0), Err(Error::Config(_))));
    assert!(matches!(queue.committed(none), Err(Error::Config(_))));
}

/// Reads to the end that the log has now, in as many calls as that takes.
async fn read_all<Q: Queue>(queue: &Arc<Q>, partition: Partition, from: Offset) -> Vec<Stored> {
    let (mut all, end) = (Vec::new(), queue.end(partition));
    let mut next = from;
    while next < end {
        all.extend(read(queue, partition, next, ALL).await);
        next = all.last().map_or(next, |s: &Stored| s.offset + 1);
    }
    assert!(all.iter().map(|s| s.offset).eq(from..end), "offsets have no gap");
    all
}

async fn read<Q: Queue>(queue: &Arc<Q>, partition: Partition, from: Offset, limit: ReadLimit) -> Vec<Stored> {
    let queue = queue.clone();
    let read = spawn_blocking(move || queue.read(partition, from, limit, WAIT)).await;
    let read = read.expect("read does not panic").expect("read");
    assert!(!read.is_empty(), "a read before the end gives at least one record");
    read
}

async fn commit<Q: Queue>(queue: &Arc<Q>, partition: Partition, next: Offset) -> Result<(), Error> {
    let queue = queue.clone();
    spawn_blocking(move || queue.commit(partition, next)).await.expect("commit does not panic")
}

fn records(stored: &[Stored]) -> Vec<Record> {
    stored.iter().map(|s| s.record.clone().expect("a record of ours can be read")).collect()
}
