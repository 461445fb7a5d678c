//! Ingest over real HTTP.
#![allow(clippy::unwrap_used)]

mod rig;

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host_event::{Category, EventId};
use host_ingest::{IngestConfig, Limits, Projects, QuotaSpec, ServeConfig};
use rig::{DISABLED_KEY, KEY, KEY_OF_DISABLED, NOW, Rig, STRANGER, chunked, config, request, specs};

const EVENT: &str = "{}\n{\"type\":\"event\"}\n{\"event_id\":\"fedcba9876543210fedcba9876543210\"}\n";
const RECEIPT: &str = r#"{"id":"fedcba9876543210fedcba9876543210"}"#;

#[tokio::test]
async fn who_may_send() {
    let rig = Rig::new().await;
    let header =
        |key: &str| format!("X-Sentry-Auth: Sentry sentry_version=7, sentry_key={key}, sentry_client=a/1");
    let authorization = format!("Authorization: Sentry sentry_key={KEY}");
    let basic = format!("Authorization: Basic {}", STANDARD.encode(format!("{KEY}:")));
    let query = format!("/api/42/envelope/?sentry_key={KEY}&sentry_version=7");
    let (path, key) = ("/api/42/envelope/", header(KEY));
    let dsn = |key: &str, project: u32| {
        EVENT.replacen("{}", &format!("{{\"dsn\":\"https://{key}@h/{project}\"}}"), 1)
    };
    let shop = "Origin: https://shop.example";
    let cases: Vec<(&str, Vec<&str>, String, u16, &str)> = vec![
        (path, vec![&key], EVENT.into(), 200, ""),
        ("/api/42/envelope", vec![&key], EVENT.into(), 200, ""),
        (path, vec![&authorization], EVENT.into(), 200, ""),
        (path, vec![&basic], EVENT.into(), 200, ""),
        (&query, vec![], EVENT.into(), 200, ""),
        (path, vec![], dsn(KEY, 42), 200, ""),
        (path, vec![&key], dsn(KEY, 42), 200, ""),
        (path, vec![&key, shop], EVENT.into(), 200, ""),
        (path, vec![], EVENT.into(), 401, "no authorization"),
        (path, vec![&key, &authorization], EVENT.into(), 401, "multiple authorization payloads detected"),
        (&query, vec![&key], EVENT.into(), 401, "multiple authorization payloads detected"),
        (
            path,
            vec!["X-Sentry-Auth: Sentry sentry_key=1"],
            EVENT.into(),
            401,
            "sentry_key is not 32 hexadecimal",
        ),
        (
            path,
            vec!["X-Sentry-Auth: Sentry sentry_version=8"],
            EVENT.into(),
            400,
            "sentry_version is higher than 7",
        ),
        (path, vec![], dsn(STRANGER, 42), 401, "is not known"),
        (path, vec![], dsn("x", 42), 401, "dsn is not"),
        (path, vec![], dsn(KEY, 43), 400, "dsn of the envelope header differs"),
        (path, vec![&key], dsn(STRANGER, 42), 400, "dsn of the envelope header differs"),
        ("/api/7/envelope/", vec![&key], EVENT.into(), 403, "does not belong to project 7"),
        ("/api/99/envelope/", vec![&key], EVENT.into(), 403, "does not belong to project 99"),
        ("/api/x/envelope/", vec![&key], EVENT.into(), 400, "is not a number"),
        (path, vec![&key, "Origin: https://evil.example"], EVENT.into(), 403, "may not send to project 42"),
    ];
    let accepted = cases.iter().filter(|case| case.3 == 200).count();
    for (path, headers, body, status, detail) in cases {
        let answer = rig.post(path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{path} {headers:?} {}", answer.text());
        assert!(answer.text().contains(detail), "{path} {headers:?} {}", answer.text());
        assert_eq!(answer.header("x-sentry-error").is_empty(), status == 200);
        assert_eq!(answer.text() == RECEIPT, status == 200, "{}", answer.text());
    }
    for (key, status, detail) in [(STRANGER, 401, "is not known"), (DISABLED_KEY, 403, "is disabled")] {
        let answer = rig.post(path, &[&header(key)], EVENT.as_bytes()).await;
        assert_eq!(answer.status, status);
        assert!(answer.text().contains(detail), "{}", answer.text());
    }
    let disabled = rig.post("/api/7/envelope/", &[&header(KEY_OF_DISABLED)], EVENT.as_bytes()).await;
    assert_eq!((disabled.status, disabled.text()), (403, r#"{"detail":"project 7 is disabled"}"#.to_owned()));
    assert_eq!(rig.records().len(), accepted);
}

#[tokio::test]
async fn refusals_become_rows_of_known_projects_only() {
    let rig = Rig::new().await;
    let sender = |project: u32, key: &str| format!("/api/{project}/envelope/?sentry_key={key}");
    for path in [sender(42, STRANGER), sender(42, STRANGER), sender(99, STRANGER), sender(42, DISABLED_KEY)] {
        assert!(rig.post(&path, &[], EVENT.as_bytes()).await.status >= 400);
    }
    assert_eq!(rig.envelope("nonsense").await.status, 400);
    assert_eq!(rig.told(), Vec::<String>::new());
    assert_eq!(*rig.book.0.lock().unwrap(), ["0 unknown invalid auth_client 1"]);
    rig.ingest.flush().await;
    let want = [
        "42 unknown invalid auth_client 2",
        "42 unknown invalid invalid_envelope 1",
        "42 unknown invalid project_state 1",
    ];
    assert_eq!(rig.told(), want);
    assert_eq!(rig.records().len(), 1, "a flush is one record a project");
    rig.ingest.flush().await;
    assert_eq!(rig.records().len(), 1);
    // A queue that is full keeps them waiting.
    assert_eq!(rig.envelope("nonsense").await.status, 400);
    rig.queue.memory.poison("test");
    rig.ingest.flush().await;
    assert_eq!(rig.records().len(), 1);
}

#[tokio::test]
async fn items_and_statuses() {
    let item = |kind: &str, payload: &str| {
        format!("{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len())
    };
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let spans = "{\"type\":\"span\",\"item_count\":2,\"content_type\":\"application/vnd.sentry.items.span.v2+json\"}\n\
                 {\"version\":2,\"items\":[{\"name\":\"a\"},{\"name\":\"b\"}]}\n";
    let report = r#"{"discarded_events":[{"reason":"before_send","category":"error","quantity":3}]}"#;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
    let cases: Vec<(String, u16, &[&str])> = vec![
        ("{}".into(), 200, &[]),
        (format!("{{}}\n{}", item("event", "{\"a\":NaN}")), 200, &["error {\"a\":NaN}"]),
        (format!("{{}}\n{}", item("transaction", "{}")), 200, &["transaction {}"]),
        (format!("{{}}\n{spans}"), 200, &["span {\"name\":\"a\"}", "span {\"name\":\"b\"}"]),
        (format!("{{}}\n{}", item("client_report", report)), 200, &["42 error client_discard before_send 3"]),
        (format!("{{}}\n{}", item("client_report", "{\"discarded_events\":[]}")), 200, &[]),
        (
            format!("{{}}\n{}", item("attachment", "\0\n\0")),
            200,
            &["42 attachment invalid unsupported_item:attachment 1"],
        ),
        // Nothing can be read, or nothing is small enough.
        ("".into(), 400, &["42 unknown invalid no_data 1"]),
        ("{\"event_id\":\"x\"}\n".into(), 400, &["42 unknown invalid invalid_envelope 1"]),
        (format!("{{}}\n{}", item("event", &deep)), 400, &["42 error invalid invalid_json 1"]),
        ("{}\n{\"type\":\"event\",\"length\":9}\n{}".into(), 400, &["42 error invalid invalid_envelope 1"]),
        (format!("{{}}\n{}", item("event", &large)), 413, &["42 error invalid too_large:event 1"]),
        (
            format!("{{}}\n{}{}", item("session", "{}"), "x".repeat(6000)),
            413,
            &["42 session invalid too_large:envelope 1"],
        ),
        // One item's fault is not the other's.
        (
            format!("{{}}\n{}{}", item("log", "{nonsense"), item("event", "{}")),
            200,
            &["42 log_item invalid invalid_json 1", "error {}"],
        ),
        (
            format!("{{}}\n{}{}", item("event", &large), item("session", "{}")),
            200,
            &["42 error invalid too_large:event 1", "session {}"],
        ),
        (
            format!("{{}}\n{}{{\"type\":\"log\",\"length\":1}}\n{{}}", item("event", "{}")),
            200,
            &["42 log_item invalid invalid_envelope 1", "error {}"],
        ),
    ];
    for (body, status, want) in cases {
        let mut config = config();
        config.limits = Limits { event_bytes_max: 1000, envelope_bytes_max: 5000, ..Limits::default() };
        if body.len() > 5000 && status != 413 {
            config.limits = Limits::default();
        }
        let rig = Rig::with(config, ServeConfig::default(), u64::MAX).await;
        let answer = rig.envelope(&body).await;
        let shown = &body[..body.len().min(200)];
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        rig.ingest.flush().await;
        // The declared length alone is enough to refuse a body, before any item of it is seen.
        let want: Vec<_> = want
            .iter()
            .map(|w| w.replace("session invalid too_large:envelope", "unknown invalid too_large:envelope"))
            .collect();
        assert_eq!(rig.told(), want, "{shown}");
    }
    let rig = Rig::new().await;
    let answer = rig.envelope("{}\n{\"type\":\"event\"}\n{\"a\":1,}").await;
    let want = r#"{"detail":"no item of the envelope can be read","causes":["item event: invalid JSON at byte 7: expected a key in quotes"]}"#;
    assert_eq!(answer.text(), want);
    assert_eq!(answer.header("content-type"), "application/json");
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn br(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 4, 20).write_all(data).unwrap();
    out
}

/// Small and large, so that both ways through are taken.
#[tokio::test(flavor = "multi_thread")]
async fn encodings_and_chunks() {
    let rig = Rig::new().await;
    let path = format!("/api/42/envelope/?sentry_key={KEY}");
    let payload = |n: usize| format!("{{\"n\":\"{}\"}}", "abcdefgh".repeat(n));
    let mut sent = Vec::new();
    for n in [1, 100_000] {
        let body = format!("{{}}\n{{\"type\":\"event\"}}\n{}\n", payload(n));
        let zst = zstd::encode_all(body.as_bytes(), 1).unwrap();
        let encoded = [
            ("identity", body.clone().into_bytes()),
            ("gzip", gzip(body.as_bytes())),
            ("x-gzip", gzip(body.as_bytes())),
            ("deflate", deflate(body.as_bytes())),
            ("br", br(body.as_bytes())),
            ("zstd", zst),
        ];
        for (name, bytes) in encoded {
            let header = format!("content-encoding: {name}");
            let answer = rig.post(&path, &[&header], &bytes).await;
            assert_eq!(answer.status, 200, "{name} {n} {}", answer.text());
            let mut client = rig.connect().await;
            client.write(&chunked(&path, &[&header], &bytes, 1 + n / 10)).await;
            assert_eq!(client.read().await.status, 200, "{name} {n} chunked");
            sent.extend([format!("error {}", payload(n)), format!("error {}", payload(n))]);
        }
    }
    sent.sort();
    assert!(rig.told() == sent);
    let metrics = rig.ingest.metrics();
    assert!(metrics.large_bodies.load(Relaxed) >= 12);
    for (header, body, status, detail) in [
        ("content-encoding: compress", &b"x"[..], 415, "content-encoding is none of"),
        ("content-encoding: gzip, br", b"x", 415, "content-encoding is none of"),
        ("content-encoding: gzip", b"{}", 400, "body can not be decompressed as gzip"),
        ("content-encoding: zstd", b"\x28\xb5\x2f\xfd", 400, "body can not be decompressed as zstd"),
    ] {
        let answer = rig.post(&path, &[header], body).await;
        assert_eq!(answer.status, status, "{header}");
        assert!(answer.text().contains(detail), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_store_endpoint() {
    let rig = Rig::new().await;
    let json = br#"{"event_id":"fedcba98-7654-3210-fedc-ba9876543210","message":"m"}"#;
    let wrapped = STANDARD.encode(deflate(json));
    let key = format!("sentry_key={KEY}&sentry_version=7");
    for (path, headers, body) in [
        (format!("/api/42/store/?{key}"), vec!["content-type: application/json"], json.to_vec()),
        (format!("/api/42/store?{key}"), vec!["content-encoding: gzip"], gzip(json)),
        (format!("/api/store/?{key}"), vec![], wrapped.clone().into_bytes()),
        (
            format!("/api/store?{key}"),
            vec![],
            format!("sentry_data={}", wrapped.replace('+', "%2B")).into_bytes(),
        ),
    ] {
        let answer = rig.post(&path, &headers, &body).await;
        assert_eq!((answer.status, answer.text()), (200, RECEIPT.to_owned()), "{path}");
    }
    let data = wrapped.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let pixel = rig.send("GET", &format!("/api/42/store/?{key}&sentry_data={data}"), &[], b"").await;
    assert_eq!((pixel.status, pixel.header("content-type")), (200, "image/gif"));
    assert!(pixel.body.starts_with(b"GIF89a"));
    let records = rig.records();
    assert_eq!(records.len(), 5);
    for record in records {
        assert_eq!(record.value(), &json[..]);
        assert_eq!(record.meta.event_id.to_string(), "fedcba9876543210fedcba9876543210");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    for (path, body, status, detail) in [
        ("/api/42/store/".to_owned(), json.to_vec(), 401, "no authorization"),
        (format!("/api/42/store/?{key}"), b"?".to_vec(), 400, "neither JSON nor base64"),
        (format!("/api/42/store/?{key}"), b"".to_vec(), 400, "body is empty"),
        (format!("/api/42/store/?{key}"), b"{\"event_id\":\"x\"}".to_vec(), 400, "no item of the envelope"),
        (format!("/api/42/store/?{key}"), large.into_bytes(), 413, "body is larger than 1048576 bytes"),
    ] {
        let answer = rig.post(&path, &[], &body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(detail), "{}", answer.text());
    }
    assert_eq!(rig.send("GET", "/api/42/envelope/", &[], b"").await.status, 405);
}

#[tokio::test]
async fn what_a_record_knows() {
    let mut config = config();
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let rig = Rig::with(config, ServeConfig::default(), u64::MAX).await;
    let trace = r#"{"trace_id":"0123456789abcdef0123456789abcdef","sample_rand":"0.5"}"#;
    let body = format!(
        "{{\"event_id\":\"{}\",\"sent_at\":\"2026-11-22T18:59:59.000Z\",\"trace\":{trace},\"sdk\":{{\"name\":\"n\",\"version\":\"1\"}}}}\n\
         {{\"type\":\"event\"}}\n{{\"event_id\":\"{}\"}}\n{{\"type\":\"session\"}}\n{{}}\n",
        "1".repeat(32),
        "2".repeat(32),
    );
    let headers = ["User-Agent: curl/8", "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.2"];
    let path = format!("/api/42/envelope/?sentry_key={KEY}");
    let answer = rig.post(&path, &headers, body.as_bytes()).await;
    assert_eq!(answer.text(), format!("{{\"id\":\"{}\"}}", "1".repeat(32)));
    let records = rig.records();
    assert_eq!(records.len(), 2);
    let meta = &records[0].meta;
    assert_eq!(meta.event_id, EventId::parse(&"1".repeat(32)).unwrap());
    assert_eq!((meta.project_id, meta.environment.as_str()), (42, "prod"));
    assert_eq!((meta.received_at, meta.sent_at), (NOW, Some(NOW - 1000)));
    assert_eq!((meta.client_ip.as_str(), meta.user_agent.as_str()), ("203.0.113.9", "curl/8"));
    assert_eq!((meta.sdk.as_str(), meta.trace.as_ref()), ("n/1", trace.as_bytes()));
    // The session has an id of its own, and the rest in common.
    assert_eq!(records[1].meta, host_event::Meta { event_id: records[1].meta.event_id, ..meta.clone() });
    assert_ne!(records[1].meta.event_id, meta.event_id);
    // A peer that is not trusted speaks for itself only.
    let plain = Rig::new().await;
    plain.post(&path, &headers, body.as_bytes()).await;
    assert_eq!(plain.records()[0].meta.client_ip, "127.0.0.1");
}

#[tokio::test]
async fn rate_limits() {
    let mut specs = specs();
    let quota = |name: &str, categories: &[Category], items_max| QuotaSpec {
        name: name.to_owned(),
        categories: categories.to_vec(),
        items_max,
        window_s: 3600,
    };
    specs[0].quotas = vec![quota("errors", &[Category::Error], 1), quota("logs", &[Category::Log], 2)];
    let rig =
        Rig::with(IngestConfig::new(Projects::new(specs).unwrap()), ServeConfig::default(), u64::MAX).await;
    let event = "{\"type\":\"event\"}\n{}\n";
    let logs = "{\"type\":\"log\",\"item_count\":3,\"content_type\":\"application/vnd.sentry.items.log+json\"}\n{\"items\":[{},{},{}]}\n";
    let report = "{\"type\":\"client_report\"}\n{\"discarded_events\":[{\"reason\":\"ratelimit_backoff\",\"category\":\"error\",\"quantity\":2}]}\n";
    for (items, status, header, retry) in [
        (event.to_owned(), 200, "", ""),
        (event.to_owned(), 429, "3600:default;error:project:errors", "3600"),
        (format!("{event}{logs}"), 200, "3600:default;error:project:errors, 3600:log_item:project:logs", ""),
        (
            format!("{event}{logs}"),
            429,
            "3600:default;error:project:errors, 3600:log_item:project:logs",
            "3600",
        ),
        (format!("{event}{report}"), 200, "3600:default;error:project:errors", ""),
        (report.to_owned(), 200, "", ""),
        ("{\"type\":\"session\"}\n{}\n".to_owned(), 200, "", ""),
    ] {
        let answer = rig.envelope(&format!("{{}}\n{items}")).await;
        assert_eq!(answer.status, status, "{items} {}", answer.text());
        assert_eq!(answer.header("x-sentry-rate-limits"), header, "{items}");
        assert_eq!(answer.header("retry-after"), retry, "{items}");
    }
    rig.ingest.flush().await;
    let count = |what: &str| {
        let told = rig.told();
        let of = told.iter().filter(|line| line.contains(what));
        of.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap_or(1)).sum::<u64>()
    };
    assert_eq!((count("error {"), count("error rate_limited errors")), (1, 4));
    assert_eq!((count("log_item {"), count("log_item rate_limited logs")), (2, 4));
    assert_eq!((count("error client_discard ratelimit_backoff"), count("session {")), (4, 1));
}

#[tokio::test]
async fn a_200_waits_for_the_append() {
    let rig = Rig::new().await;
    let shut = rig.queue.gate.acquire_many(1000).await.unwrap();
    let mut client = rig.connect().await;
    client
        .write(&request("POST", &format!("/api/42/envelope/?sentry_key={KEY}"), &[], EVENT.as_bytes()))
        .await;
    let early = tokio::time::timeout(Duration::from_millis(200), client.read()).await;
    assert!(early.is_err(), "an answer before the append was durable");
    assert!(rig.records().is_empty());
    drop(shut);
    assert_eq!(client.read().await.status, 200);
    assert_eq!(rig.records().len(), 1);
}

#[tokio::test]
async fn no_room_and_no_log() {
    let full = Rig::with(config(), ServeConfig::default(), 300).await;
    assert_eq!(full.envelope(EVENT).await.status, 200);
    let poisoned = Rig::new().await;
    poisoned.queue.memory.poison("fsync failed");
    let mut small = config();
    small.memory_bytes_max = 64 << 10;
    let small = Rig::with(small, ServeConfig::default(), u64::MAX).await;
    let large = format!("{{}}\n{{\"type\":\"event\"}}\n{{\"a\":\"{}\"}}\n", "x".repeat(100_000));
    for (rig, body, detail) in [
        (&full, EVENT, "queue is full"),
        (&poisoned, EVENT, "queue is poisoned"),
        (&small, &large, "memory for bodies in flight is used up"),
    ] {
        let before = rig.records().len();
        let answer = rig.envelope(body).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "10"), "{}", answer.text());
        assert_eq!(answer.text(), format!("{{\"detail\":\"{detail}\"}}"), "nothing about the machine");
        assert_eq!(rig.records().len(), before);
    }
    let metrics = full.ingest.metrics();
    assert_eq!(
        metrics.records[Category::Error as usize].load(Relaxed),
        1,
        "one was appended, and one was not"
    );
    // What could not be written even to an empty queue is not to come again.
    let answer = full.envelope(&large).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, ""), "{}", answer.text());
    assert!(answer.text().contains("is larger than the limit of 300"), "{}", answer.text());
    full.ingest.flush().await;
    assert_eq!(full.told().len(), 1, "and there is no room for its outcome yet");
    // Attachments are not kept, so the same small memory takes an event beside one.
    let beside = format!(
        "{{}}\n{{\"type\":\"attachment\",\"length\":3000000}}\n{}\n{{\"type\":\"event\"}}\n{{}}\n",
        "x".repeat(3_000_000)
    );
    assert_eq!(small.envelope(&beside).await.status, 200);
    assert_eq!(small.told(), ["42 attachment invalid unsupported_item:attachment 1", "error {}"]);
    assert_eq!(small.ingest.memory_free_bytes(), 64 << 10, "leases are given back");
}

#[tokio::test]
async fn slow_clients() {
    let mut config = config();
    config.body_idle_max = Duration::from_millis(150);
    let serving = ServeConfig { header_time_max: Duration::from_millis(300), ..ServeConfig::default() };
    let rig = Rig::with(config, serving, u64::MAX).await;
    let mut body = rig.connect().await;
    let whole = request("POST", &format!("/api/42/envelope/?sentry_key={KEY}"), &[], EVENT.as_bytes());
    body.write(&whole[..whole.len() - 5]).await;
    assert_eq!(body.read().await.status, 408);
    let mut head = rig.connect().await;
    head.write(&whole[..20]).await;
    assert!(head.is_closed_within(Duration::from_secs(5)).await, "half a head is waited for");
    assert!(rig.records().is_empty());
}

/// What can not be decoded or read has an outcome like everything else that is answered.
#[tokio::test]
async fn bodies_that_can_not_be_read() {
    let mut config = config();
    config.body_idle_max = Duration::from_millis(100);
    let rig = Rig::with(config, ServeConfig::default(), u64::MAX).await;
    let path = format!("/api/42/envelope/?sentry_key={KEY}");
    for header in ["content-encoding: compress", "content-encoding: gzip\r\ncontent-encoding: br"] {
        assert_eq!(rig.post(&path, &[header], b"x").await.status, 415);
    }
    let head = |length: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n");
    let begun = "{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\"}\n{";
    for (rest, status, detail) in [
        (head("content-length: 500") + begun, 408, "too slowly"),
        (head("transfer-encoding: chunked") + "2\r\n{}\r\nzz\r\n", 400, "could not be read"),
    ] {
        let mut client = rig.connect().await;
        client.write(rest.as_bytes()).await;
        let answer = client.read().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(detail), "{}", answer.text());
    }
    // Who goes away is not answered, and did not send anything.
    let mut client = rig.connect().await;
    client.write((head("content-length: 500") + begun).as_bytes()).await;
    drop(client);
    let ended = || rig.ingest.metrics().requests.iter().map(|n| n.load(Relaxed)).sum::<u64>() == 5;
    for _ in 0..200 {
        if ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ended());
    rig.ingest.flush().await;
    let want = [
        "42 error invalid body_timeout 1",
        "42 session invalid body_timeout 1",
        "42 unknown invalid invalid_compression 2",
        "42 unknown invalid payload 1",
    ];
    assert_eq!(rig.told(), want);
}

#[tokio::test]
async fn other_places_and_methods() {
    let rig = Rig::new().await;
    for (method, path, status, detail) in [
        ("POST", "/api/42/minidump/", 404, "no such endpoint"),
        ("GET", "/", 404, "no such endpoint"),
        ("GET", "/api/42/envelope/", 405, "sent with POST"),
        ("PUT", "/api/42/store/", 405, "sent with POST"),
    ] {
        let answer = rig.send(method, path, &["Origin: https://shop.example"], &[b'x'; 5000]).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"), "{path}");
        assert!(
            answer.text().starts_with("{\"detail\":") && answer.text().contains(detail),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*", "a browser may read why");
        assert!(answer.header("x-sentry-error").contains(detail));
    }
    // A key says whose a request is, also where the path does not.
    let answer = rig.post(&format!("/api/store/?sentry_key={KEY_OF_DISABLED}"), &[], b"{}").await;
    assert_eq!(answer.text(), r#"{"detail":"project 7 is disabled"}"#);
    rig.ingest.flush().await;
    assert_eq!(rig.told(), ["7 unknown invalid project_state 1"]);
}

#[tokio::test]
async fn a_stop_waits_for_the_outcomes_that_are_being_written() {
    let rig = Rig::new().await;
    for (project, key) in [(42, STRANGER), (7, STRANGER)] {
        rig.post(&format!("/api/{project}/envelope/?sentry_key={key}"), &[], b"").await;
    }
    let shut = rig.queue.gate.acquire_many(1000).await.unwrap();
    // The first flush waits at the gate when it is time to stop.
    let stop = tokio::time::sleep(Duration::from_millis(50));
    tokio::join!(rig.ingest.keep_flushing(stop), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        drop(shut);
    });
    assert_eq!(rig.told(), ["42 unknown invalid auth_client 1", "7 unknown invalid auth_client 1"]);
}

#[tokio::test]
async fn browsers() {
    let rig = Rig::new().await;
    let path = format!("/api/42/envelope/?sentry_key={KEY}");
    let asked = rig
        .send("OPTIONS", &path, &["Origin: https://shop.example", "Access-Control-Request-Method: POST"], b"")
        .await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, "*"));
    assert!(asked.header("access-control-allow-headers").contains("x-sentry-auth"));
    assert_eq!(asked.header("access-control-max-age"), "3600");
    for (origin, status) in [("https://shop.example", 200), ("https://evil.example", 403)] {
        let answer = rig
            .post(&path, &[&format!("Origin: {origin}"), "content-type: text/plain"], EVENT.as_bytes())
            .await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, "*"));
        assert!(answer.header("access-control-expose-headers").contains("x-sentry-rate-limits"));
    }
    assert_eq!(rig.envelope(EVENT).await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn connections_are_kept_and_drained() {
    let mut rig = Rig::new().await;
    let path = format!("/api/42/envelope/?sentry_key={KEY}");
    let mut client = rig.connect().await;
    for _ in 0..3 {
        client.write(&request("POST", &path, &[], EVENT.as_bytes())).await;
        assert_eq!(client.read().await.status, 200);
    }
    // A refused body is read to its end, so that the connection lives on.
    client
        .write(&request("POST", &format!("/api/42/envelope/?sentry_key={STRANGER}"), &[], &[b'x'; 50_000]))
        .await;
    assert_eq!(client.read().await.status, 401);
    client.write(&request("POST", &path, &[], EVENT.as_bytes())).await;
    assert_eq!(client.read().await.status, 200);
    // A request that is under way when it is time to stop is answered.
    let queue = std::sync::Arc::clone(&rig.queue);
    let shut = queue.gate.acquire_many(1000).await.unwrap();
    client.write(&request("POST", &path, &[], EVENT.as_bytes())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (answer, ()) = tokio::join!(client.read(), async {
        let (stopped, ()) = tokio::join!(rig.stop(), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(shut);
        });
        stopped
    });
    assert_eq!(answer.status, 200);
    assert_eq!(rig.records().len(), 5);
    assert!(tokio::net::TcpStream::connect(rig.address).await.is_err());
}
