//! The plugin as a component, loaded as `tamis run` loads it: the same answers as natively.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use host_pipeline::{Answer, Stage, StageKind};
use host_plugin::{Compile, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};
use sentry_grouping::SentryGrouping;
use tamis_plugin::testing;

/// Bytes that a first-party component may have.
const COMPONENT_BYTES_MAX: usize = 1_000_000;

const CONFIG: &str = r#"{"fingerprinting":"type:Timeout -> timeout {{ tags.host }}","enhancements":"stack.module:dep.** -app"}"#;

const EVENTS: [&str; 7] = [
    r#"{"platform":"python","exception":{"values":[
        {"type":"ValueError","value":"hello world","stacktrace":{"frames":[{"filename":"foo/baz.py","in_app":true}]}},
        {"type":"ValueError","value":"hello world","stacktrace":{"frames":[{"filename":"foo/baz.py","in_app":false}]}}]}}"#,
    r#"{"exception":{"values":[{"value":"hello world"}]}}"#,
    "{}",
    r#"{"exception":{"values":[{"type":"Timeout","value":"x"}]},"tags":{"host":"db-1"}}"#,
    r#"{"message":"order 42 of ann@example.com at 2026-11-24T12:34:56Z","fingerprint":["{{ default }}","größe"]}"#,
    r#"{"platform":"native","exception":{"values":[{"type":"E","stacktrace":{"frames":[{"function":"void a::b<int>(int)","in_app":true}]}}]}}"#,
    r#"{"checksum":"x"}"#,
];

#[test]
fn answers_as_natively() {
    let dir = tempfile::tempdir().unwrap();
    let built = host_kit::build(Path::new(env!("CARGO_MANIFEST_DIR")), dir.path()).unwrap();
    let component: Arc<[u8]> = std::fs::read(built.path).unwrap().into();
    assert!(component.len() < COMPONENT_BYTES_MAX, "{} bytes", component.len());
    let runtime = Runtime::new(RuntimeConfig {
        cache_dir: dir.path().join("cache"),
        compile: Compile::InProcess,
        clock: Arc::new(Instant::now),
        perf_map: false,
    })
    .unwrap();
    let spec = |config: &str| StageSpec {
        name: "under-test".into(),
        kind: StageKind::Fingerprinter,
        component: Arc::clone(&component),
        version: "test".into(),
        generation: 1,
        config_json: config.into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    };
    let mut stage = StageFactory::load(spec(CONFIG), &runtime).unwrap().instantiate().unwrap();
    let mut columns = testing::columns(&EVENTS);
    let native = testing::fingerprint::<SentryGrouping>(CONFIG, &EVENTS).unwrap();
    for _ in 0..2 {
        let answer = stage.run(&mut columns);
        assert_eq!(answer.faults, []);
        let Answer::Fingerprint(all) = answer.answer else { panic!("not a fingerprinter's answer") };
        let pair = |f: &host_pipeline::Fingerprint| (f.kind.clone(), f.hash.clone());
        let all: Vec<Vec<_>> = all.iter().map(|of_event| of_event.iter().map(pair).collect()).collect();
        assert_eq!(all, native);
        // Three hashes of Sentry's own.
        assert!(all[0][0].1.starts_with("beb01c07") && all[0][1].1.starts_with("8c527d09"), "{:?}", all[0]);
        assert!(all[1][0].1.starts_with("5eb63bbb"), "{:?}", all[1]);
    }
    let refused = StageFactory::load(spec(r#"{"fingerprinting":"tipe:x -> y"}"#), &runtime).err().unwrap();
    assert!(refused.to_string().contains("there is no matcher \"tipe\""), "{refused}");
}
