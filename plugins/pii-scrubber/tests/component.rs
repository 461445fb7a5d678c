//! The plugin as a component, loaded as `tamis run` loads it: the same answers as natively.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use host_event::{Columns, apply_edits};
use host_pipeline::{Answer, Stage, StageKind};
use host_plugin::{Compile, Limits, PluginStage, Runtime, RuntimeConfig, StageFactory, StageSpec};
use pii_scrubber::PiiScrubber;
use tamis_plugin::testing;

/// Bytes that a first-party component may have.
const COMPONENT_BYTES_MAX: usize = 1_000_000;

struct Component {
    bytes: Arc<[u8]>,
    runtime: Arc<Runtime>,
    _cache: tempfile::TempDir,
}

impl Component {
    fn build() -> Component {
        let cache = tempfile::tempdir().unwrap();
        let built = host_kit::build(Path::new(env!("CARGO_MANIFEST_DIR")), cache.path()).unwrap();
        let runtime = Runtime::new(RuntimeConfig {
            cache_dir: cache.path().join("cache"),
            compile: Compile::InProcess,
            clock: Arc::new(Instant::now),
            perf_map: false,
        });
        let bytes = std::fs::read(built.path).unwrap().into();
        Component { bytes, runtime: runtime.unwrap(), _cache: cache }
    }

    fn load(&self, config: &str) -> Result<PluginStage, String> {
        let spec = StageSpec {
            name: "under-test".into(),
            kind: StageKind::Scrubber,
            component: Arc::clone(&self.bytes),
            version: "test".into(),
            generation: 1,
            config_json: config.into(),
            reads: "**".into(),
            writes: "**".into(),
            limits: Limits::default(),
        };
        let factory = StageFactory::load(spec, &self.runtime).map_err(|e| e.to_string())?;
        factory.instantiate().map_err(|e| e.to_string())
    }
}

fn scrub(stage: &mut PluginStage, columns: &mut Columns) -> Vec<String> {
    let answer = stage.run(columns);
    assert_eq!(answer.faults, []);
    let Answer::Scrub(edits) = answer.answer else { panic!("not a scrubber's answer") };
    let text = |(row, edits)| {
        let doc = apply_edits(&columns.event(row).doc, edits).unwrap();
        String::from_utf8(doc.text().to_vec()).unwrap()
    };
    edits.into_iter().enumerate().map(text).collect()
}

const EVENTS: [&str; 4] = [
    r#"{"message":"mail a@b.com","user":{"ip_address":"1.2.3.4"},"extra":{"password":"hunter2","card":"pay 4111 1111 1111 1111"},
        "request":{"query_string":"token=x&page=2","headers":[["Authorization","Bearer abcdefghijk"]],"url":"https://u:p@h/"}}"#,
    r#"{"m":"ORDER-1 from 2001:db8::1 größe","list":["order-22",["order-333 é"]],"kitten":"x"}"#,
    "{}",
    r#"{"exception":{"values":[{"value":"a@b.com","stacktrace":{"frames":[{"vars":{"secret":"'s'","n":4111111111111111}}]}}]}}"#,
];
/// The Unicode tables of `regex` are features, and a workspace's tests may have more of them than the component.
const CONFIGS: [&str; 2] = [
    "{}",
    r#"{"applications":{"**":["order","pair","@email:hash","@uuid"]},"rules":{
        "order":{"type":"pattern","pattern":"(?i)\\border-(\\d+)\\b","replaceGroups":[1],"redaction":{"method":"mask"}},
        "pair":{"type":"redact_pair","keyPattern":"^KITTEN$","redaction":{"method":"remove"}}}}"#,
];

#[test]
fn answers_as_natively() {
    let component = Component::build();
    let bytes = component.bytes.len();
    assert!(bytes < COMPONENT_BYTES_MAX, "{bytes} bytes");
    for config in CONFIGS {
        let mut stage = component.load(config).unwrap();
        let native = testing::scrub::<PiiScrubber>(config, &EVENTS).unwrap();
        let mut columns = testing::columns(&EVENTS);
        for _ in 0..2 {
            assert_eq!(scrub(&mut stage, &mut columns), native, "{config}");
        }
    }
    let mut stage = component.load(CONFIGS[1]).unwrap();
    let edited = scrub(&mut stage, &mut testing::columns(&EVENTS[1..2])).remove(0);
    assert!(
        edited.starts_with(
            r#"{"m":"ORDER-* from [ip] größe","list":["order-**",["order-*** é"]],"kitten":null"#
        ),
        "{edited}"
    );
    let refused = component.load(r#"{"applications":{"a":["@emial"]}}"#).err().unwrap();
    assert!(refused.contains("did you mean \"@email\"?"), "{refused}");
}
