//! The first-party plugins as components: small, importing nothing but Tamis, and with the answers that they give natively.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dynamic_sampler::DynamicSampler;
use host_event::{Columns, apply_edits};
use host_kit::{build, inspect};
use host_pipeline::{Answer, Stage, StageKind};
use host_plugin::{Compile, Limits, LoadError, Runtime, RuntimeConfig, StageFactory, StageSpec};
use inbound_filters::InboundFilters;
use pii_scrubber::PiiScrubber;
use sentry_grouping::SentryGrouping;
use tamis_plugin::testing::{self, Input};

const SIZE_BYTES_MAX: usize = 1 << 20;

/// Builds a plugin and loads it as a host does.
fn load(package: &str, kind: StageKind, config: &str) -> Result<StageFactory, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(package);
    let built = build(&crate_dir, dir.path()).unwrap();
    let bytes = fs::read(&built.path).unwrap();
    assert!(bytes.len() < SIZE_BYTES_MAX, "{package} has {} bytes", bytes.len());
    let found = inspect(&bytes).unwrap();
    assert_eq!((found.kind, found.problem), (Some(kind), None));
    assert!(found.imports.iter().all(|name| name.starts_with("tamis:plugin/")), "{:?}", found.imports);
    let runtime = Runtime::new(RuntimeConfig {
        cache_dir: dir.path().join("cache"),
        compile: Compile::InProcess,
        clock: Arc::new(Instant::now),
        perf_map: false,
    });
    let spec = StageSpec {
        name: package.into(),
        kind,
        component: bytes.into(),
        version: String::new(),
        generation: 1,
        config_json: config.into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    };
    StageFactory::load(spec, &runtime.unwrap())
}

/// Runs a plugin as a component over the batch; what comes back has one answer per event.
fn component(package: &str, kind: StageKind, config: &str, inputs: &[Input<'_>]) -> (Answer, Columns) {
    let mut stage = load(package, kind, config).unwrap().instantiate().unwrap();
    let mut columns = testing::columns(inputs);
    let first = stage.run(&mut columns);
    // The same again: nothing of a batch may stay behind.
    let second = stage.run(&mut columns);
    assert_eq!((first.faults.as_slice(), second.faults.as_slice()), (&[][..], &[][..]));
    assert_eq!(first.answer, second.answer);
    (second.answer, columns)
}

const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const TRACE: &str =
    r#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","environment":"prod","transaction":"/pay"}"#;

/// Of all categories, with all that the plugins look at.
fn inputs() -> Vec<Input<'static>> {
    let chain = r#"{"platform":"python","release":"shop@0.9","user":{"email":"ada@example.com","ip_address":"127.0.0.1"},
        "exception":{"values":[
            {"type":"ValueError","value":"bad card 4111 1111 1111 1111","stacktrace":{"frames":[
                {"filename":"shop/pay.py","function":"pay","in_app":true,"vars":{"password":"hunter2","é":"ü"}}]}},
            {"type":"KeyError","value":"'sugar'","stacktrace":{"frames":[
                {"filename":"lib/x.py","function":"get","in_app":false}]}}]}}"#;
    let legacy = r#"{"request":{"url":"http://localhost/","headers":[["User-Agent","Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"]]}}"#;
    let extension = r#"{"platform":"javascript","exception":{"values":[{"type":"E","value":"x","stacktrace":{"frames":[
        {"abs_path":"chrome-extension://a/b.js","function":"f"}]}}]}}"#;
    let payment =
        r#"{"transaction":"/pay","contexts":{"trace":{"trace_id":"0af7651916cd43dd8448eb211c80319c"}}}"#;
    let span = r#"{"name":"GET /healthz","is_segment":true,"attributes":{"sentry.segment.name":{"type":"string","value":"GET /healthz"}}}"#;
    let log = r#"{"body":"mail to bob@example.org failed: timeout after 30 s","attributes":{"sentry.release":{"value":"shop@1.0"}}}"#;
    let of = |category, event: &'static str| Input { category, ..Input::from(event) };
    vec![
        of("error", chain),
        of("error", legacy),
        of("error", extension),
        of("error", "{}"),
        Input { user_agent: GOOGLE, ..of("error", r#"{"message":"hello 17"}"#) },
        Input {
            client_ip: "10.1.2.3",
            ..of("error", r#"{"logentry":{"message":"m %s","formatted":"m 1"}}"#)
        },
        Input { project_id: 42, ..of("error", r#"{"message":"nobody wants this","fingerprint":["a"]}"#) },
        of("error", r#"{"environment":"dev","message":"nobody wants this","checksum":"x"}"#),
        Input { trace: Some(TRACE), ..of("transaction", payment) },
        of("transaction", r#"{"transaction":"/other"}"#),
        of("transaction", r#"{"transaction":"GET /up"}"#),
        Input { trace: Some(r#"{"trace_id":"a"}"#), received_at: 15_000, ..of("span", span) },
        of("log_item", log),
    ]
}

#[test]
fn inbound_filters_are_the_same() {
    let config = r#"{"localhost":false,"legacy_browsers":true,"browser_extensions":true,"client_ips":["10.0.0.0/8"],"releases":["shop@0.*"],
        "conditions":[{"id":"no-dev","condition":{"op":"eq","name":"event.environment","value":"dev"}}],
        "projects":{"42":{"error_messages":["*nobody*"]}}}"#;
    let inputs = inputs();
    let (answer, _) = component("inbound-filters", StageKind::Filter, config, &inputs);
    let Answer::Filter(answer) = answer else { panic!("not a filter's answer") };
    let reason = |n: &u32| n.checked_sub(1).map_or("", |n| &*answer.reasons[n as usize]);
    let found: Vec<&str> = answer.verdicts.iter().map(reason).collect();
    let want = [
        "release-version",
        "legacy-browsers",
        "browser-extensions",
        "",
        "web-crawlers",
        "ip-address",
        "error-message",
        "no-dev",
        "",
        "",
        "filtered-transaction",
        "filtered-transaction",
        "",
    ];
    assert_eq!(found, want);
    let native = testing::filter::<InboundFilters>(config, &inputs).unwrap();
    let native: Vec<String> = native
        .into_iter()
        .map(|verdict| match verdict {
            tamis_plugin::Verdict::Keep => String::new(),
            tamis_plugin::Verdict::Drop(reason) => reason.into_owned(),
        })
        .collect();
    assert_eq!(native, want);
}

#[test]
fn the_dynamic_sampler_is_the_same() {
    let config = r#"{"rules":[
        {"id":7,"type":"transaction","condition":{"op":"glob","name":"event.transaction","value":"/oth*"},"samplingValue":{"type":"factor","value":0.5}},
        {"id":1004,"type":"trace","condition":{"op":"eq","name":"trace.environment","value":"prod"},"samplingValue":{"type":"factor","value":1.5}},
        {"id":9,"type":"trace","samplingValue":{"type":"sampleRate","value":1.0},"condition":{"op":"eq","name":"trace.environment","value":null},
            "timeRange":{"start":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z"},"decayingFn":{"type":"linear","decayedValue":0.5}},
        {"id":1000,"type":"trace","samplingValue":{"type":"sampleRate","value":0.5}}],
        "rates":{"*":0.25}}"#;
    let inputs = inputs();
    let (answer, _) = component("dynamic-sampler", StageKind::Sampler, config, &inputs);
    let Answer::Sample(answer) = answer else { panic!("not a sampler's answer") };
    let rule = |n: &u32| n.checked_sub(1).map_or("", |n| &*answer.rules[n as usize]);
    let found: Vec<_> = answer.rates.iter().copied().zip(answer.decided_by.iter().map(rule)).collect();
    let kept = (1.0, "");
    let want = [[kept; 8].as_slice(), &[(0.75, "1004,1000"), (0.125, "7,*"), (0.25, "*"), (0.75, "9"), kept]]
        .concat();
    assert_eq!(found, want);
    let native = testing::sample::<DynamicSampler>(config, &inputs).unwrap();
    let native: Vec<_> = native.iter().map(|r| (r.rate, r.rule.as_deref().unwrap_or_default())).collect();
    assert_eq!(native, want);
}

#[test]
fn the_pii_scrubber_is_the_same() {
    let config = r#"{"applications":{"**":["@email"]}}"#;
    let inputs = inputs();
    let (answer, columns) = component("pii-scrubber", StageKind::Scrubber, config, &inputs);
    let Answer::Scrub(edits) = answer else { panic!("not a scrubber's answer") };
    let edited = edits.into_iter().enumerate().map(|(row, edits)| {
        let doc = apply_edits(&columns.event(row).doc, edits).unwrap();
        String::from_utf8(doc.text().to_vec()).unwrap()
    });
    let edited: Vec<String> = edited.collect();
    for (row, secrets) in [(0, &["ada@", "hunter2", "127.0.0.1"][..]), (12, &["bob@"])] {
        assert!(edited[row].contains("_meta"), "{}", edited[row]);
        assert!(secrets.iter().all(|secret| !edited[row].contains(secret)), "{}", edited[row]);
    }
    assert!(edited[0].contains("ü") && edited[9] == inputs[9].event, "what is no secret stays");
    assert_eq!(edited, testing::scrub::<PiiScrubber>(config, &inputs).unwrap());
}

#[test]
fn sentry_grouping_is_the_same() {
    let inputs = inputs();
    let (answer, _) = component("sentry-grouping", StageKind::Fingerprinter, "{}", &inputs);
    let Answer::Fingerprint(answer) = answer else { panic!("not a fingerprinter's answer") };
    let found: Vec<Vec<_>> =
        answer.into_iter().map(|all| all.into_iter().map(|f| (f.kind, f.hash)).collect()).collect();
    let kinds: Vec<&str> = found[..8].iter().map(|all| all[0].0.as_str()).collect();
    // The only frame of the third is an extension's: none of the application's counts.
    let want = [
        "app",
        "fallback",
        "system",
        "fallback",
        "default",
        "default",
        "custom_client_fingerprint",
        "hashed_checksum",
    ];
    assert_eq!(kinds, want);
    assert_eq!(found, testing::fingerprint::<SentryGrouping>("{}", &inputs).unwrap());
}

/// Found when the first batch comes, it would send everything to quarantine.
#[test]
fn a_selector_that_the_host_does_not_take_refuses_the_configuration() {
    let config = r#"{"applications":{"user.email &":["@email"]}}"#;
    let refused = load("pii-scrubber", StageKind::Scrubber, config).err().unwrap().to_string();
    assert!(refused.contains("user.email &") && refused.contains("expected a second `&`"), "{refused}");
}
