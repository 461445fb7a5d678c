//! A network that fails between a store and its client.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_event::{Category, Doc, EventId, Meta, Outcome};
use host_group::{Group, GroupId, headline};
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Errand, Reply, Settled, Sink, SinkError};
use host_sink::store::{Create, ErrorKind, OpenedStore, Put, Store, StoreError, put_create};
use host_sink::{ParquetSink, Silent, SinkConfig, verify};
use tamis_tests::{Fault, Proxy, Rule, S3};

use super::World;

/// A real server behind a proxy.
struct Behind {
    world: World,
    server: S3,
    proxy: Proxy,
}

impl Behind {
    fn new() -> Behind {
        let world = World::new();
        let server = world.versitygw();
        let proxy = Proxy::start(server.address()).unwrap();
        Behind { world, server, proxy }
    }

    fn open(&self, more: &str) -> OpenedStore {
        self.world.open_s3(&self.server, self.proxy.address(), more)
    }
}

fn body(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

#[test]
fn a_create_whose_answer_was_lost_is_mine() {
    let behind = Behind::new();
    let store = behind.open("");
    let (mut injected, mut by_hand) = (0, 0);
    for (fault, name) in [(Fault::LoseAnswer, "lost"), (Fault::Cut, "cut"), (Fault::Refuse, "refused")] {
        // Each second write: the client's own try comes through, and is told that the object exists.
        behind.proxy.set(Some(Rule::writes(fault).one_in(2)));
        for n in 0..20 {
            let path = format!("{name}/{n}");
            let mut put = put_create(&store, &path, &body("mine"));
            if put.is_err() {
                // A connection that broke in its middle may have done it, so the client does not try again; whoever called does.
                by_hand += 1;
                put = put_create(&store, &path, &body("mine"));
            }
            assert_eq!(put, Ok(Put::Created), "{path}");
            assert_eq!(put_create(&store, &path, &body("other")), Ok(Put::Exists(body("mine"))));
        }
        let so_far = behind.proxy.injected();
        assert!(so_far > injected + 5, "{name}: {injected} faults before, {so_far} now");
        injected = so_far;
    }
    println!("{injected} faults, {by_hand} tries by hand");
    // All answers are lost: an error leaves open whether it was written, and the next try finds out.
    behind.proxy.set(Some(Rule::writes(Fault::LoseAnswer)));
    assert_eq!(put_create(&store, "all", &body("mine")).unwrap_err().kind, ErrorKind::Away);
    behind.proxy.set(None);
    assert_eq!(store.create("all", body("mine")), Ok(Create::Exists));
    assert_eq!(put_create(&store, "all", &body("mine")), Ok(Put::Created));
}

#[test]
fn throttling_is_obeyed() {
    let behind = Behind::new();
    let store = behind.open("");
    for status in [503, 429] {
        behind.proxy.set(Some(Rule::always(Fault::Status(status))));
        let (begin, before) = (Instant::now(), behind.proxy.requests());
        let path = format!("slow/{status}");
        let created = thread::scope(|scope| {
            let creating = scope.spawn(|| store.create(&path, body("1")));
            thread::sleep(Duration::from_millis(1500));
            // Another thread keeps quiet too: the answer was for all.
            let reading = scope.spawn(|| store.read("slow/none"));
            thread::sleep(Duration::from_millis(100));
            behind.proxy.set(None);
            assert_eq!(reading.join().unwrap(), Ok(None));
            creating.join().unwrap()
        });
        assert_eq!(created, Ok(Create::Created));
        assert!(begin.elapsed() >= Duration::from_secs(2), "it came again after {:?}", begin.elapsed());
        // One that was told to wait, one more that was told so after a second, and what succeeded.
        let requests = behind.proxy.requests() - before;
        assert!(requests <= 5, "{requests} requests within two seconds");
    }
    assert!(store.traffic().unwrap().throttled() >= 4, "{:?}", store.traffic().unwrap());
    behind.proxy.set(Some(Rule::always(Fault::Status(503))));
    let error = store.create("never", body("1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled { after: Some(Duration::from_secs(1)) });
    assert!(
        error.to_string().contains("asks for fewer requests: 503 Service Unavailable: SlowDown"),
        "{error}"
    );
}

#[test]
fn a_store_that_is_away_is_said_to_be_and_nothing_hangs() {
    let behind = Behind::new();
    let store = behind.open("&timeout=500ms");
    assert_eq!(store.create("a", body("1")), Ok(Create::Created));
    let calls = |what: &str, time_max: u64| {
        let begin = Instant::now();
        let answers: [Result<(), StoreError>; 5] = [
            store.create("b", body("2")).map(drop),
            store.read("a").map(drop),
            store.size("a").map(drop),
            store.list("x").map(drop),
            store.each("x", None, &mut |_| std::ops::ControlFlow::Continue(())),
        ];
        for answer in answers {
            assert_eq!(answer.unwrap_err().kind, ErrorKind::Away, "{what}");
        }
        let took = begin.elapsed();
        println!("{what}: five calls gave up within {took:?}");
        assert!(took < Duration::from_secs(time_max), "{what}: {took:?}");
    };
    behind.proxy.set(Some(Rule::always(Fault::Status(500))));
    calls("500", 30);
    behind.proxy.set(Some(Rule::always(Fault::Refuse)));
    calls("refused", 30);
    behind.proxy.set(Some(Rule::always(Fault::Hang)));
    calls("hangs", 40);
    assert!(store.traffic().unwrap().failed() > 10);
    behind.proxy.set(Some(Rule::always(Fault::Delay(Duration::from_millis(300)))));
    assert_eq!(store.read("a"), Ok(Some(body("1"))));
    behind.proxy.set(None);
    assert_eq!(put_create(&store, "b", &body("2")), Ok(Put::Created));
}

const RECEIVED_AT: i64 = 1_795_375_676_123;
const RECORDS: u64 = 40;

/// A chunk of errors and of records that were dropped, to be written behind the proxy.
fn close(sink: &ParquetSink, start: u64) -> Box<dyn Errand> {
    let place = ChunkPlace { partition: 0, epoch: 0, start, queued_at: RECEIVED_AT };
    let mut chunk = sink.begin(place);
    chunk.turn(1);
    for offset in start..start + RECORDS {
        let meta = Meta {
            project_id: 1,
            received_at: RECEIVED_AT,
            event_id: EventId(u128::from(offset)),
            ..Meta::default()
        };
        let end = match offset % 2 {
            0 => End::Dropped {
                category: Category::Error,
                outcome: Outcome::Filtered,
                reason: "web-crawlers".into(),
                stage: "filters".into(),
            },
            _ => {
                let doc = Doc::parse(r#"{"level":"error","message":"disk is full"}"#.to_owned()).unwrap();
                let fingerprints = vec![("app".to_owned(), "x".to_owned())];
                let group = Group { id: GroupId::of(1, "x"), fingerprints, headline: headline(&doc) };
                End::Accepted(Box::new(Accepted {
                    category: Category::Error,
                    doc,
                    client_sample_rate: 1.0,
                    server_sample_rate: 1.0,
                    group: Some(group),
                }))
            }
        };
        chunk.push(Settled { offset, queued_at: RECEIVED_AT, generation: 1, meta, end });
    }
    chunk.close(Closing::at(start + RECORDS)).unwrap()
}

/// Ledger and tables go through a network that loses answers, and what comes of it is one chain.
#[test]
fn a_chunk_whose_answers_were_lost_is_committed_once() {
    let behind = Behind::new();
    let store: Arc<dyn Store> = Arc::new(behind.open("&timeout=2s"));
    let sink = ParquetSink::with_store(Arc::clone(&store), "behind", SinkConfig::new("main"), 1).unwrap();
    let (mut retries, chunks) = (0, 6);
    for n in 0..chunks {
        // Every second answer, and every one until the errand has failed three times.
        let rule = Rule::writes(Fault::LoseAnswer);
        let mut errand = close(&sink, n * RECORDS);
        behind.proxy.set(Some(if n % 2 == 0 { rule.one_in(2) } else { rule }));
        let mut failed = 0;
        let reply = loop {
            match errand.step() {
                Ok(None) => {}
                Ok(Some(reply)) => break reply,
                Err(SinkError::Retry { .. }) => failed += 1,
                Err(error) => panic!("{error}"),
            }
            if failed == 3 {
                behind.proxy.set(None);
            }
        };
        // Not `Found`: that is said of another writer's.
        assert!(matches!(reply, Reply::Done), "chunk {n}");
        retries += failed;
    }
    behind.proxy.set(None);
    assert!(retries > 0 && behind.proxy.injected() > 10, "{retries} retries");
    let report = verify(&store, &mut Silent).unwrap();
    assert!(report.is_sound() && report.chunks == chunks, "{}", report.render());
    println!("{} answers lost, {retries} retries", behind.proxy.injected());
}
