use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::envelope::split;

fn sorted(text: &[u8], limits: &Limits, errors_max: u64) -> Sorted {
    let next = Cell::new(0u128);
    let next_id = || {
        next.set(next.get() + 1);
        EventId(next.get())
    };
    let mut taken = 0;
    let mut admit = |category| {
        taken += u64::from(category == Category::Error);
        if category == Category::Error && taken > errors_max { Err("quota".into()) } else { Ok(()) }
    };
    let meta = Meta { project_id: 1, ..Meta::default() };
    sort(split(text, limits).unwrap(), &meta, limits, &next_id, &mut admit)
}

/// Records as `category payload`, outcomes as `category outcome reason quantity`.
fn told(sorted: &Sorted) -> Vec<String> {
    let record = |record: &Record| match &record.body {
        Body::Item { category, payload } => format!("{category} {}", String::from_utf8_lossy(payload)),
        Body::Ended(_) => unreachable!("records of sort are items"),
    };
    let ended = |c: &OutcomeCount| format!("{} {} {} {}", c.category, c.outcome, c.reason, c.quantity);
    sorted.records.iter().map(record).chain(sorted.ended.iter().map(ended)).collect()
}

const SPANS: &str = r#""type":"span","content_type":"application/vnd.sentry.items.span.v2+json""#;
const LOGS: &str = r#""type":"log","content_type":"application/vnd.sentry.items.log+json""#;

fn deep() -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000))
}

#[test]
fn items_become_records_and_outcomes() {
    let attachment = "{\"type\":\"attachment\",\"length\":4}\n\0\n\n\0\n";
    let logs = |count: u64, items: &str| {
        format!("{{{LOGS},\"item_count\":{count}}}\n{{\"version\":2,\"items\":[{items}]}}\n")
    };
    let spans =
        |count: u64, items: &str| format!("{{{SPANS},\"item_count\":{count}}}\n{{\"items\":[{items}]}}\n");
    let event = |payload: &str| format!("{{\"type\":\"event\"}}\n{payload}\n");
    let report = |rows: &str| format!("{{\"type\":\"client_report\"}}\n{{\"discarded_events\":{rows}}}\n");
    let sessions = "{\"type\":\"sessions\"}\n{\"attrs\":{\"release\":\"1\"},\"aggregates\":[{\"exited\":3},{\"errored\":1},7]}\n";
    let cases: Vec<(String, &[&str])> = vec![
        (String::new(), &[]),
        (event(r#"{"a":1}"#), &["error {\"a\":1}"]),
        (event(r#"{"a":NaN,"b":-Infinity}"#), &["error {\"a\":NaN,\"b\":-Infinity}"]),
        (event(r#"{"a":1,"a":2}"#), &["error {\"a\":1,\"a\":2}"]),
        (event(r#"{"type":"transaction"}"#), &["transaction {\"type\":\"transaction\"}"]),
        ("{\"type\":\"transaction\"}\n{}\n".into(), &["transaction {}"]),
        (event("{nonsense"), &["error invalid invalid_json 1"]),
        (event("[]"), &["error invalid invalid_json 1"]),
        (event(""), &["error invalid invalid_json 1"]),
        (event("{\"a\":\"\u{0}\"}"), &["error invalid invalid_json 1"]),
        (event(&deep()), &["error invalid invalid_json 1"]),
        (event(r#"{"event_id":"x"}"#), &["error invalid invalid_event_id 1"]),
        (event("{}") + &event("{}"), &["error {}", "error invalid duplicate_item 1"]),
        (event("{x") + &event("{}"), &["error {}", "error invalid invalid_json 1"]),
        (attachment.to_owned() + &event("{}"), &["error {}", "attachment invalid unsupported_item:attachment 1"]),
        ("{\"type\":\"new thing\"}\n{}\n".into(), &["unknown invalid unsupported_item:new_thing 1"]),
        ("{\"type\":\"session\"}\n{}\n{\"type\":\"check_in\"}\n{}\n".into(), &["session {}", "monitor {}"]),
        (sessions.into(), &[
            "session {\"attrs\":{\"release\":\"1\"},\"aggregates\":[{\"exited\":3}]}",
            "session {\"attrs\":{\"release\":\"1\"},\"aggregates\":[{\"errored\":1}]}",
            "session invalid invalid_json 1",
        ]),
        // Containers: a record per item, a bad item costs itself, what is announced and missing is accounted.
        (spans(2, r#"{"a":1},{"b":[2]}"#), &["span {\"a\":1}", "span {\"b\":[2]}"]),
        (logs(2, r#"{"a":1},{"b":}"#), &["log_item {\"a\":1}", "log_item invalid invalid_json 1"]),
        (logs(1, r#"{"a":1},{"b":2}"#), &["log_item {\"a\":1}", "log_item {\"b\":2}"]),
        (logs(3, r#"{"a":1},{"b":2}"#), &["log_item {\"a\":1}", "log_item {\"b\":2}", "log_item invalid item_count 1"]),
        (logs(0, ""), &[]),
        (logs(5, r#"{"a":1},{"b":"#), &["log_item {\"a\":1}", "log_item invalid invalid_json 4"]),
        (format!("{{{LOGS}}}\n{{\"items\":[{{}},{{}}]}}"), &["log_item {}", "log_item {}"]),
        ("{\"type\":\"log\",\"item_count\":2}\n{\"items\":[{},{}]}".into(), &["log_item {}", "log_item {}"]),
        // A list that is not there is no empty list.
        (format!("{{{LOGS}}}\n{{\"logs\":[{{}},{{}}]}}"), &["log_item invalid invalid_json 1"]),
        (spans(2, "").replace("[]", "{}"), &["span invalid invalid_json 2"]),
        ("{\"type\":\"sessions\"}\n{\"attrs\":{}}\n".into(), &["session invalid invalid_json 1"]),
        ("{\"type\":\"sessions\"}\n{\"aggregates\":[]}\n".into(), &[]),
        (format!("{{{SPANS},\"item_count\":3}}\nnot json at all"), &["span invalid invalid_json 3"]),
        ("{\"type\":\"span\"}\n{\"op\":\"db\"}\n".into(), &["span {\"op\":\"db\"}"]),
        // Client reports.
        (report("[]"), &[]),
        (report("7"), &["unknown invalid invalid_client_report 1"]),
        ("{\"type\":\"client_report\"}\n{\"timestamp\":1}\n".into(), &[]),
        // What clients say a second time, in bytes or milliseconds, is no number of items.
        (report(r#"[{"reason":"send_error","category":"log_item","quantity":2},{"reason":"send_error","category":"log_byte","quantity":900},
            {"reason":"send_error","category":"trace_metric","quantity":1},{"reason":"send_error","category":"trace_metric_byte","quantity":80},
            {"reason":"send_error","category":"profile_duration","quantity":5000}]"#).replace("\n   ", " ").as_str().into(), &[
            "log_item client_discard send_error 2",
            "trace_metric client_discard send_error 1",
        ]),
        (report(r#"[{"reason":"sample_rate","category":"error","quantity":2},{"reason":"sample_rate","category":"error","quantity":3},
            {"reason":"a b\n","category":"new","quantity":1},{"category":"error","quantity":0},{"quantity":1},[]]"#).replace("\n   ", " ").as_str().into(), &[
            "error client_discard sample_rate 5",
            "unknown client_discard a_b_n 1",
            "unknown invalid invalid_client_report 2",
        ]),
        // The item at which framing ends is an outcome of its own.
        (event("{}") + "{\"type\":\"log\",\"length\":9}\n{}", &["error {}", "log_item invalid invalid_envelope 1"]),
    ];
    for (items, want) in &cases {
        // The table writes the escape of a newline as a newline, for the eye.
        let text = format!("{{}}\n{items}");
        let got = told(&sorted(text.as_bytes(), &Limits::default(), u64::MAX));
        let want: Vec<_> = want.iter().map(|w| w.replace("a_b_n", "a_b_")).collect();
        assert_eq!(got, want, "{}", &text[..text.len().min(300)]);
    }
}

#[test]
fn limits_by_item() {
    let limits = Limits {
        event_bytes_max: 10,
        log_bytes_max: 10,
        container_bytes_max: 60,
        records_max: 3,
        client_report_rows_max: 1,
        ..Limits::default()
    };
    let long = r#"{"a":"0123456789"}"#;
    let logs = |items: &str| format!("{{}}\n{{{LOGS},\"item_count\":2}}\n{{\"items\":[{items}]}}");
    let report = r#"{"discarded_events":[{"reason":"r","category":"error","quantity":1},{"reason":"r","category":"error","quantity":5},{"reason":"q","category":"error","quantity":7}]}"#;
    let cases: Vec<(String, &[&str])> = vec![
        (
            format!("{{}}\n{{\"type\":\"event\"}}\n{long}\n{{\"type\":\"log\"}}\n{{}}"),
            &["log_item {}", "error invalid too_large:event 1"],
        ),
        (logs(&format!("{{}},{long}")), &["log_item {}", "log_item invalid too_large:log 1"]),
        (logs(&format!("{long},{long},{long}")), &["log_item invalid too_large:container 2"]),
        (
            logs("{},{},{},{},{}"),
            &["log_item {}", "log_item {}", "log_item {}", "log_item invalid too_large:container 2"],
        ),
        (
            format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}"),
            &["error client_discard r 1", "error client_discard more_rows 12"],
        ),
    ];
    for (text, want) in cases {
        assert_eq!(told(&sorted(text.as_bytes(), &limits, u64::MAX)), want, "{text}");
    }
    let limited = "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"session\"}\n{}";
    assert_eq!(told(&sorted(limited.as_bytes(), &limits, 0)), ["session {}", "error rate_limited quota 1"]);
}

#[test]
fn records_are_bounded_with_all_that_they_carry() {
    let trace = "x".repeat(50_000);
    let items = ["{}"; 20_000].join(",");
    let text = format!("{{\"trace\":{{\"a\":\"{trace}\"}}}}\n{{{SPANS}}}\n{{\"items\":[{items}]}}");
    let limits = Limits::default();
    let envelope = split(text.as_bytes(), &limits).unwrap();
    let meta = Meta { trace: envelope.header.trace.clone(), ..Meta::default() };
    let sorted = sort(envelope, &meta, &limits, &|| EventId(1), &mut |_| Ok(()));
    let mut encoded = Vec::new();
    sorted.records.iter().for_each(|record| record.encode(&mut encoded));
    let (bytes, max) = (encoded.len() as u64, limits.kept_bytes_max);
    assert!(bytes <= max && bytes > max / 2, "{bytes} of {max}");
    let told = sorted.ended.iter().map(|c| (c.category, c.reason.as_ref(), c.quantity)).collect::<Vec<_>>();
    assert_eq!(told, [(Category::Span, "too_large:envelope", 20_000 - sorted.records.len() as u64)]);
}

#[test]
fn ids_of_events() {
    let (a, b) = ("0123456789abcdef0123456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210");
    for (header, payload, want) in [
        (a, b, a),
        ("", b, "fedcba9876543210fedcba9876543210"),
        (b, "x", "fedcba9876543210fedcba9876543210"),
        ("", "", "00000000000000000000000000000001"),
    ] {
        let id = |id: &str| if id.is_empty() { "null".to_owned() } else { format!("\"{id}\"") };
        let text = format!(
            "{{\"event_id\":{}}}\n{{\"type\":\"event\"}}\n{{\"event_id\":{}}}",
            id(header),
            id(payload)
        );
        let got = sorted(text.as_bytes(), &Limits::default(), 9);
        assert_eq!(got.event_id.unwrap().to_string(), want);
        assert_eq!(got.records[0].meta.event_id.to_string(), want);
    }
}

fn item() -> impl Strategy<Value = (String, u64)> {
    let kinds = prop_oneof![
        Just("event"),
        Just("transaction"),
        Just("session"),
        Just("check_in"),
        Just("attachment"),
        Just("log"),
        Just("?"),
    ];
    let payloads = prop_oneof![
        Just("{}"),
        Just("[]"),
        Just("{\"a\":1}"),
        Just("{nonsense"),
        Just("xxxxxxxxxxxxxxxxxxxxxxxx")
    ];
    let plain = (kinds, payloads).prop_map(|(k, p)| (format!("{{\"type\":\"{k}\"}}\n{p}\n"), 1));
    let element =
        prop_oneof![Just("{}"), Just("{\"a\":}"), Just("7"), Just("{\"long\":\"xxxxxxxxxxxxxxx\"}")];
    let container = proptest::collection::vec(element, 0..6).prop_map(|elements| {
        let (count, items) = (elements.len(), elements.join(","));
        (format!("{{{SPANS},\"item_count\":{count}}}\n{{\"version\":2,\"items\":[{items}]}}\n"), count as u64)
    });
    prop_oneof![plain, container]
}

proptest! {
    #[test]
    fn every_item_is_one_record_or_one_outcome(items in proptest::collection::vec(item(), 0..8), errors_max in 0u64..3) {
        let text: String = std::iter::once("{}\n").chain(items.iter().map(|(text, _)| text.as_str())).collect();
        let limits = Limits { event_bytes_max: 20, span_bytes_max: 20, records_max: 5, ..Limits::default() };
        let sorted = sorted(text.as_bytes(), &limits, errors_max);
        let ended: u64 = sorted.ended.iter().map(|c| c.quantity).sum();
        let sent: u64 = items.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(sorted.records.len() as u64 + ended, sent);
    }
}
