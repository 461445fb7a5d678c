//! Topics that are not there, not fit, or not what they were.

use std::time::Duration;

use futures::executor::block_on;
use host_queue::conformance::record;
use host_queue::{Error, Kafka, KafkaConfig, Queue, Resume, Role};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{ALL, WAIT, eventually, open_alone};
use crate::shared;

#[test]
fn a_topic_that_is_not_there_is_named_with_the_command_that_makes_it() {
    for role in [Role::Both, Role::Consume] {
        let mut config = shared().config("missing", role);
        config.open_wait_max = Duration::from_secs(2);
        match Kafka::open(config).err() {
            Some(Error::Config(what)) => {
                assert!(what.starts_with("topic missing does not exist; make it"), "{what}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_compacted_topic_is_refused() {
    shared().topic_with("compacted", 1, &[("cleanup.policy", "compact,delete")]);
    match Kafka::open(shared().config("compacted", Role::Consume)).err() {
        Some(Error::Config(what)) => assert!(what.contains("topic compacted is compacted"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_at_home() {
    let mut config = shared().config("t", Role::Both);
    config.brokers = "127.0.0.1:1".into();
    config.open_wait_max = Duration::from_secs(2);
    match Kafka::open(config).err() {
        Some(Error::Away(what)) => assert!(what.contains("127.0.0.1:1"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_was_deleted_or_never_was_stops_its_partition_only() {
    shared().topic("cut", 2);
    let queue = open_alone(shared().config("cut", Role::Both));
    for partition in 0..2 {
        queue.append(partition, (0..10).map(|id| record(id, 10)).collect()).await.unwrap();
    }
    delete_before("cut", 0, 5);
    let corrupt = |from: u64| match queue.read(0, from, ALL, WAIT) {
        Err(Error::Corrupt { partition: 0, offset, what }) => {
            assert_eq!(offset, from);
            assert!(what.contains("topic cut has offsets 5 to 10"), "{what}");
        }
        other => panic!("{other:?}"),
    };
    corrupt(2);
    assert_eq!(queue.read(1, 0, ALL, WAIT).unwrap().len(), 10, "the other partition goes on");
    corrupt(100);
    corrupt(2);
    let rest = queue.read(0, 5, ALL, WAIT).unwrap();
    assert_eq!(rest[0].offset, 5);
    // A group that never committed begins with the oldest record.
    let other =
        Kafka::open(KafkaConfig { group: "cut-2".into(), ..shared().config("cut", Role::Consume) }).unwrap();
    eventually("both are leased", || other.leases().len() == 2);
    assert_eq!(other.read(0, 5, ALL, WAIT).unwrap()[0].offset, 5);
    assert_eq!(other.read(1, 0, ALL, WAIT).unwrap()[0].offset, 0);
    match queue.resume(0).unwrap() {
        Resume::Shared(shared) => assert_eq!((shared.committed, shared.oldest, shared.end), (None, 5, 10)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_not_mistaken_for_the_old_one() {
    shared().topic("anew", 1);
    let queue = open_alone(shared().config("anew", Role::Both));
    queue.append(0, (0..10).map(|id| record(id, 10)).collect()).await.unwrap();
    assert_eq!(queue.read(0, 0, ALL, WAIT).unwrap().len(), 10);
    queue.commit_noted(0, 10, "tamis1 x").unwrap();
    shared().delete_topic("anew");
    eventually("it is missed", || queue.health().is_err());
    let what = queue.health().unwrap_err().to_string();
    assert!(what.contains("topic anew"), "{what}");
    assert!(queue.append(0, vec![record(1, 1)]).await.is_err());
    shared().topic("anew", 1);
    eventually("it is there again", || queue.health().is_ok() && queue.leases().len() == 1);
    eventually("it can be written", || block_on(queue.append(0, vec![record(1, 1)])).is_ok());
    let mut got = queue.read(0, 10, ALL, Duration::from_secs(5));
    for _ in 0..20 {
        if !matches!(&got, Err(Error::Lost { .. })) && !matches!(&got, Ok(none) if none.is_empty()) {
            break;
        }
        got = queue.read(0, 10, ALL, Duration::from_secs(1));
    }
    assert!(matches!(got, Err(Error::Corrupt { partition: 0, offset: 10, .. })), "{got:?}");
    match queue.resume(0).unwrap() {
        Resume::Shared(shared) => assert!(shared.end < 10, "{shared:?}"),
        other => panic!("{other:?}"),
    }
}

fn delete_before(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    block_on(shared().admin().delete_records(&list, &AdminOptions::new())).unwrap();
}
