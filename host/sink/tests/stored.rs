//! Chunks written through the port, and read back as events.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use host_event::{Category, Columns, Doc, EventId, Meta, Outcome};
use host_group::{Group, GroupId, headline};
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Reply, Settled, Sink};
use host_sink::store::{MemoryStore, Over, Store, StoreError};
use host_sink::stored::{PassedBy, StoredError, StoredEvent, StoredEvents, Wanted};
use host_sink::{ParquetSink, SinkConfig};

/// 2026-11-22 19:00 UTC.
const HOUR: i64 = 1_795_374_000_000;
const MINUTE: i64 = 60_000;

const EVENT: &str =
    r#"{"type":"error","message":"m","environment":"own","sdk":{"name":"sentry.python","version":"2"}}"#;
const BARE: &str = r#"{"message":"bare","tags":{"a":"b"}}"#;
const TRANSACTION: &str = r#"{"type":"transaction","transaction":"t","span_id":"00000000000000aa",
    "contexts":{"trace":{"trace_id":"4c79f60c11214eb38604f4ae0781bfb2","span_id":"00000000000000aa"}},"spans":[{"op":"db"},{"op":"db"}]}"#;
const SPAN: &str = r#"{"span_id":"00000000000000ab","parent_span_id":"00000000000000aa","name":"s"}"#;
const LOG: &str = r#"{"body":"l","attributes":{"sentry.environment":{"value":"own","type":"string"}}}"#;

/// Remembers how much was read.
#[derive(Default)]
struct Counting {
    inner: MemoryStore,
    bytes: AtomicU64,
}

impl Over for Counting {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }
    fn on_read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.bytes.fetch_add(range.end - range.start, Relaxed);
        self.inner.read_range(path, range)
    }
}

fn record(offset: u64, project_id: u64, at: i64, category: Category, json: &str) -> Settled {
    let doc = Doc::parse(json.to_owned()).unwrap();
    let group = (category == Category::Error).then(|| Group {
        id: GroupId(u128::from(project_id)),
        fingerprints: vec![("app".to_owned(), "h".to_owned())],
        headline: headline(&doc),
    });
    let meta = Meta {
        project_id,
        received_at: at,
        sent_at: Some(at - 5),
        event_id: EventId(u128::from(offset) + 1),
        environment: "of-key".into(),
        client_ip: "203.0.113.9".into(),
        user_agent: "agent/1".into(),
        sdk: "sentry.header/1".into(),
        trace: Bytes::from_static(br#"{"trace_id":"00000000000000000000000000000001","sample_rate":"0.5"}"#),
    };
    let accepted = Accepted { category, doc, client_sample_rate: 0.5, server_sample_rate: 0.25, group };
    Settled { offset, queued_at: at, generation: 9, meta, end: End::Accepted(Box::new(accepted)) }
}

fn dropped(offset: u64, at: i64) -> Settled {
    let (outcome, reason) = (Outcome::Filtered, "noise".into());
    let end = End::Dropped { category: Category::Error, outcome, reason, stage: "f".into() };
    Settled { end, ..record(offset, 1, at, Category::Error, BARE) }
}

fn sink(store: &Arc<Counting>, row_group_rows_max: usize) -> ParquetSink {
    let mut config = SinkConfig::new("main");
    config.files.row_group_rows_max = row_group_rows_max;
    ParquetSink::with_store(Arc::clone(store) as _, "memory", config, 1).unwrap()
}

fn write(sink: &ParquetSink, generation: u64, records: Vec<Settled>) {
    let place =
        ChunkPlace { partition: 3, epoch: 0, start: records[0].offset, queued_at: records[0].queued_at };
    let end = place.start + records.len() as u64;
    let mut chunk = sink.begin(place);
    chunk.turn(generation);
    records.into_iter().for_each(|record| chunk.push(Settled { generation, ..record }));
    assert_eq!(chunk.close(Closing::at(end)).unwrap().run().unwrap(), Reply::Done);
}

fn wanted(from: i64, to: i64) -> Wanted {
    let categories = vec![Category::Error, Category::Transaction, Category::Span, Category::Log];
    Wanted { from, to, categories, projects: Vec::new() }
}

fn read(store: &Arc<Counting>, wanted: Wanted) -> (Vec<StoredEvent>, PassedBy) {
    let mut events = StoredEvents::open(Arc::clone(store) as _, wanted).unwrap();
    let all: Vec<_> = events.by_ref().map(Result::unwrap).collect();
    let (done, of) = events.progress();
    assert_eq!(done, of);
    (all, events.passed_by())
}

fn offsets(events: &[StoredEvent]) -> Vec<u64> {
    let mut offsets: Vec<_> = events.iter().map(|e| e.event.offset).collect();
    offsets.sort_unstable();
    offsets
}

#[test]
fn rows_are_events_again_with_their_decisions() {
    let store = Arc::new(Counting::default());
    let records = vec![
        record(0, 7, HOUR, Category::Error, EVENT),
        record(1, 7, HOUR + 1, Category::Error, BARE),
        record(2, 7, HOUR + 2, Category::Transaction, TRANSACTION),
        record(3, 7, HOUR + 3, Category::Span, SPAN),
        record(4, 7, HOUR + 4, Category::Log, LOG),
        dropped(5, HOUR + 5),
        record(6, 7, HOUR + 6, Category::Session, "{}"),
    ];
    write(&sink(&store, 1000), 9, records);
    let (mut events, passed_by) = read(&store, wanted(HOUR, HOUR + MINUTE));
    events.sort_by_key(|e| e.event.offset);
    assert_eq!((offsets(&events), passed_by), (vec![0, 1, 2, 3, 4], PassedBy::default()));
    let texts = [EVENT, BARE, TRANSACTION, SPAN, LOG];
    let categories = [Category::Error, Category::Error, Category::Transaction, Category::Span, Category::Log];
    for (at, StoredEvent { event, decided }) in events.iter().enumerate() {
        assert_eq!(event.doc.text(), texts[at], "the payload, byte by byte");
        assert_eq!(event.category, categories[at]);
        let (meta, place) = (&event.meta, (decided.partition, decided.offset, decided.generation));
        assert_eq!((meta.project_id, meta.received_at), (7, HOUR + at as i64));
        assert_eq!((meta.event_id, place), (EventId(at as u128 + 1), (3, at as u64, 9)));
        assert_eq!((decided.client_sample_rate, decided.server_sample_rate), (0.5, 0.25));
        assert_eq!(decided.group, (at < 2).then_some(GroupId(7)));
        assert_eq!((meta.client_ip.as_str(), meta.user_agent.as_str(), meta.sent_at), ("", "", None));
        assert!(meta.trace.is_empty());
    }
    let metas: Vec<_> =
        events.iter().map(|e| (e.event.meta.environment.as_str(), e.event.meta.sdk.as_str())).collect();
    let header = "sentry.header/1";
    let want =
        [("", "sentry.python/2"), ("of-key", header), ("of-key", header), ("of-key", header), ("", header)];
    assert_eq!(metas, want);
    // What stages are told, by the names that a plugin asks with.
    let mut columns = Columns::default();
    columns.load(events.into_iter().map(|e| e.event).collect());
    for (path, want) in [
        ("$meta.category", Some("error")),
        ("$meta.event_id", Some("00000000000000000000000000000001")),
        ("$meta.client_ip", None),
        ("$trace.trace_id", None),
        ("environment", Some("own")),
    ] {
        assert_eq!(columns.strings(path).unwrap().get(0), want, "{path}");
    }
}

#[test]
fn only_what_is_asked_for_is_given() {
    let store = Arc::new(Counting::default());
    let sink = sink(&store, 4);
    // A chunk an hour, of two projects; row groups of four rows.
    for hour in 0..4 {
        let at = HOUR + hour * 60 * MINUTE;
        let of = |i: u64| record(i, i % 2, at + (i as i64 % 20) * MINUTE, Category::Error, BARE);
        let first = hour as u64 * 20;
        write(&sink, 1, (first..first + 20).map(of).collect());
    }
    let all: Vec<u64> = (0..80).collect();
    assert_eq!(offsets(&read(&store, wanted(HOUR, HOUR + 240 * MINUTE)).0), all);
    assert_eq!(offsets(&read(&store, wanted(0, i64::MAX)).0), all);
    assert_eq!(offsets(&read(&store, wanted(i64::MIN, i64::MAX)).0), all);
    let (from, to) = (HOUR + 10 * MINUTE, HOUR + 63 * MINUTE);
    let (some, _) = read(&store, wanted(from, to));
    assert_eq!(offsets(&some), (10..23).collect::<Vec<_>>(), "`from` is within, `to` is not");
    let odd = Wanted { projects: vec![1, 99], ..wanted(from, to) };
    assert_eq!(offsets(&read(&store, odd).0), (10..23).filter(|o| o % 2 == 1).collect::<Vec<_>>());
    for nothing in [
        Wanted { projects: vec![5], ..wanted(from, to) },
        Wanted { categories: vec![Category::Log, Category::Session], ..wanted(from, to) },
        wanted(to, from),
        wanted(0, HOUR),
    ] {
        assert!(read(&store, nothing.clone()).0.is_empty(), "{nothing:?}");
    }
}

/// Of a row group that has nothing of the kind, and of rows that are passed by, no payload is fetched.
#[test]
fn payloads_of_others_are_not_fetched() {
    let store = Arc::new(Counting::default());
    let mut draw = 1u64;
    let mut noise = || -> String {
        let digit = |_| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (draw >> 60) as u8)
        };
        (0..20_000).map(digit).collect()
    };
    let sink = sink(&store, 10);
    let records = (0..100).map(|i| {
        let json = format!(r#"{{"message":"{}"}}"#, noise());
        record(i, i / 10, HOUR + i as i64, Category::Error, &json)
    });
    write(&sink, 1, records.collect());
    let fetched = |wanted| {
        store.bytes.store(0, Relaxed);
        let count = read(&store, wanted).0.len();
        (count, store.bytes.load(Relaxed))
    };
    let (all, all_bytes) = fetched(wanted(HOUR, HOUR + MINUTE));
    let (one, one_bytes) = fetched(Wanted { projects: vec![4], ..wanted(HOUR, HOUR + MINUTE) });
    assert_eq!((all, one), (100, 10));
    assert!(one_bytes * 4 < all_bytes, "{one_bytes} of {all_bytes}");
}

#[test]
fn a_damaged_file_is_an_error_and_not_the_end() {
    let store = Arc::new(Counting::default());
    let sink = sink(&store, 100);
    for (start, hour) in [(0, 0), (5, 1), (10, 2)] {
        let at = HOUR + hour * 60 * MINUTE;
        write(&sink, 1, (start..start + 5).map(|i| record(i, 1, at, Category::Error, BARE)).collect());
    }
    let path = "events/dt=2026-11-22/hour=20/main-p00003-o00000000000000000005.parquet";
    let bytes = store.read(path).unwrap().unwrap();
    store.delete(path).unwrap();
    store.create(path, bytes.slice(..bytes.len() / 2)).unwrap();
    let events = StoredEvents::open(Arc::clone(&store) as _, wanted(HOUR, HOUR + 600 * MINUTE)).unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = events.partition(Result::is_ok);
    let good: Vec<_> = good.into_iter().map(Result::unwrap).collect();
    assert_eq!(offsets(&good), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
    let [Err(StoredError::File { path: found, .. })] = &bad[..] else { panic!("{bad:?}") };
    assert_eq!(found, path);
}

/// Every batch is bounded, whatever the sizes of payloads, and nothing is given twice.
#[test]
fn large_and_small_payloads() {
    let store = Arc::new(Counting::default());
    let records: Vec<_> = (0..300)
        .map(|i| {
            let json = format!(r#"{{"message":"{}"}}"#, "x".repeat((i as usize % 7) * 40_000));
            record(i, i % 3, HOUR, Category::Error, &json)
        })
        .collect();
    write(&sink(&store, 90), 1, records);
    let (events, _) = read(&store, wanted(HOUR, HOUR + 1));
    assert_eq!(offsets(&events), (0..300).collect::<Vec<_>>());
    let ids: BTreeSet<_> = events.iter().map(|e| e.event.meta.event_id).collect();
    assert_eq!(ids.len(), 300);
    for StoredEvent { event, .. } in &events {
        assert_eq!(event.doc.text().len(), 14 + (event.offset as usize % 7) * 40_000);
    }
}
