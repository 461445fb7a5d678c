//! What other producers publish, and what other readers see.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::executor::block_on;
use host_event::{BadRecord, Body, Category, EventId};
use host_queue::conformance::record;
use host_queue::{Kafka, Queue, Role, Stored};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::broker::{ALL, WAIT, eventually, open_alone};
use crate::shared;

fn producer(options: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &shared().bootstrap);
    options.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config.create().unwrap()
}

fn publish(producer: &FutureProducer, topic: &str, value: Option<&[u8]>, headers: &[(&str, &str)]) {
    let mut list = OwnedHeaders::new();
    for (key, value) in headers {
        list = list.insert(Header { key, value: Some(*value) });
    }
    let mut record: FutureRecord<'_, [u8], [u8]> =
        FutureRecord::to(topic).partition(0).headers(list).timestamp(1_790_000_000_000);
    record.payload = value;
    block_on(producer.send(record, WAIT)).unwrap();
}

/// Reads until it has so many.
fn read(queue: &Kafka, count: usize) -> Vec<Stored> {
    let mut all: Vec<Stored> = Vec::new();
    while all.len() < count {
        let next = all.last().map_or(0, |s| s.offset + 1);
        let got = queue.read(0, next, ALL, WAIT).unwrap();
        assert!(!got.is_empty(), "only {} of {count}: {all:?}", all.len());
        all.extend(got);
    }
    all
}

#[test]
fn records_of_others_are_events_or_bad_records() {
    shared().topic("foreign", 1);
    let out = producer(&[]);
    let id = "0123456789abcdef0123456789abcdef";
    let with_id = format!(r#"{{"event_id":"{id}","message":"x"}}"#);
    publish(&out, "foreign", Some(b"{\"message\":\"bare\"}"), &[]);
    publish(&out, "foreign", Some(with_id.as_bytes()), &[("project_id", "7"), ("unknown", "1")]);
    publish(
        &out,
        "foreign",
        Some(b"{}"),
        &[("project_id", "9"), ("category", "log_item"), ("received_at", "5")],
    );
    publish(&out, "foreign", None, &[("project_id", "7")]);
    publish(&out, "foreign", Some(b"\xff\x00 garbage"), &[]);
    publish(&out, "foreign", Some(b"{}"), &[("project_id", "seven")]);
    publish(&out, "foreign", Some(b"{}"), &[("category", "ended")]);
    kcat(&["-P", "-t", "foreign", "-p", "0", "-H", "project_id=8"], b"{\"from\":\"kcat\"}");
    // rdkafka can not write a header whose name is not UTF-8, kcat can.
    kcat_bytes(b"\xff\xfe=1", b"{}");

    let mut config = shared().config("foreign", Role::Consume);
    config.default_project = Some(3);
    let queue = open_alone(config);
    let got = read(&queue, 9);
    let fine = |n: usize| got[n].record.as_ref().unwrap();
    assert_eq!((fine(0).meta.project_id, fine(0).meta.received_at), (3, 1_790_000_000_000));
    assert!(
        matches!(&fine(0).body, Body::Item { category: Category::Error, payload } if payload.contains(&b'b'))
    );
    assert_ne!(fine(0).meta.event_id, EventId(0));
    assert_eq!((fine(1).meta.project_id, fine(1).meta.event_id), (7, EventId::parse(id).unwrap()));
    assert_eq!((fine(2).meta.project_id, fine(2).meta.received_at), (9, 5));
    assert!(matches!(&got[3].record, Err(BadRecord::Header(name, _)) if name == "value"));
    assert!(matches!(&fine(4).body, Body::Item { .. }), "whether it is JSON is said by the pipeline");
    assert!(matches!(&got[5].record, Err(BadRecord::Header(name, _)) if name == "project_id"));
    assert!(matches!(&got[6].record, Err(BadRecord::Header(name, _)) if name == "value"));
    assert_eq!(fine(7).meta.project_id, 8);
    assert!(matches!(&got[8].record, Err(BadRecord::Header(name, _)) if name == "name"), "{:?}", got[8]);
    assert_ne!(fine(0).meta.event_id, fine(2).meta.event_id);
    let again = queue.read(0, 0, ALL, WAIT).unwrap();
    assert_eq!(
        again[0].record.as_ref().unwrap().meta,
        fine(0).meta,
        "an id that was made is the same each time"
    );

    let strict = open_alone(shared().config("foreign", Role::Consume).named("strict"));
    let got = read(&strict, 9);
    assert!(matches!(&got[0].record, Err(BadRecord::Header(name, _)) if name == "project_id"));
    assert!(got[1].record.is_ok());
}

#[test]
fn every_codec_can_be_read() {
    shared().topic("codecs", 1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let value = format!(r#"{{"f":"{}"}}"#, "abc".repeat(5000));
    for codec in codecs {
        publish(
            &producer(&[("compression.type", codec)]),
            "codecs",
            Some(value.as_bytes()),
            &[("project_id", "1")],
        );
    }
    let queue = open_alone(shared().config("codecs", Role::Consume));
    for (stored, codec) in read(&queue, codecs.len()).iter().zip(codecs) {
        let record = stored.record.as_ref().unwrap();
        assert!(
            matches!(&record.body, Body::Item { payload, .. } if payload[..] == *value.as_bytes()),
            "{codec}"
        );
    }
}

#[test]
fn offsets_without_records_are_told() {
    shared().topic("transactions", 1);
    let out = producer(&[("transactional.id", "t1")]);
    out.init_transactions(WAIT).unwrap();
    let run = |count: usize, commit: bool| {
        out.begin_transaction().unwrap();
        for _ in 0..count {
            publish(&out, "transactions", Some(b"{}"), &[("project_id", "1")]);
        }
        match commit {
            true => out.commit_transaction(WAIT).unwrap(),
            false => out.abort_transaction(WAIT).unwrap(),
        }
    };
    // Each transaction ends with a mark, which has an offset too.
    run(3, true);
    run(2, false);
    run(1, true);
    let queue = open_alone(shared().config("transactions", Role::Consume));
    let got = read(&queue, 8);
    assert!(got.iter().map(|s| s.offset).eq(0..8));
    let none: Vec<u64> =
        got.iter().filter(|s| s.record == Err(BadRecord::NoRecord)).map(|s| s.offset).collect();
    assert_eq!(none, [3, 4, 5, 6]);
    let from_gap = queue.read(0, 4, ALL, WAIT).unwrap();
    assert_eq!(from_gap[0].queued_at, got[4].queued_at, "the time of what is no record stays the same");
    assert!(queue.read(0, 8, ALL, Duration::from_millis(300)).unwrap().is_empty());
    eventually("the mark at the end does not count as lag", || queue.end(0) == 8);
    queue.commit(0, 8).unwrap();
    run(1, true);
    assert_eq!(queue.read(0, 8, ALL, WAIT).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_reads_our_records() {
    shared().topic("ours", 1);
    let queue = Kafka::open(shared().config("ours", Role::Produce)).unwrap();
    assert!(queue.leases().is_empty());
    let sent = record(5, 100);
    queue.append(0, vec![sent.clone(), record(6, 10)]).await.unwrap();
    let said = kcat(&["-C", "-t", "ours", "-o", "beginning", "-e", "-q", "-f", "%h|%s\n"], b"");
    let line = said.lines().next().unwrap();
    let Body::Item { payload, .. } = &sent.body else { panic!() };
    let id = format!("{:032x}", 5);
    let want = format!(
        "project_id=5,received_at=1790000000005,category=error,event_id={id},sdk=sentry.python/2.75.0|{}",
        String::from_utf8_lossy(payload)
    );
    assert_eq!(line, want);
}

fn kcat(arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("kcat");
    command.args(["-b", &shared().bootstrap]).args(arguments);
    run(command, input)
}

fn kcat_bytes(header: &[u8], input: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new("kcat");
    command.args(["-b", &shared().bootstrap, "-P", "-t", "foreign", "-p", "0", "-H"]);
    command.arg(std::ffi::OsStr::from_bytes(header));
    run(command, input);
}

fn run(mut command: Command, input: &[u8]) -> String {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.expect("kcat is missing, install it with: apt-get install kcat");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "kcat failed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

trait Named {
    fn named(self, group: &str) -> Self;
}

impl Named for host_queue::KafkaConfig {
    fn named(mut self, group: &str) -> Self {
        self.group = group.to_owned();
        self
    }
}
