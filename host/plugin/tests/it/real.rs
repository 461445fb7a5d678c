//! First-party plugins as components, through the Rust SDK and the closed adapter.

use std::path::Path;
use std::sync::Arc;

use host_pipeline::{Answer, Stage, StageKind};
use host_plugin::{StageFactory, StageSpec};

use crate::support::{columns, runtime, spec};

fn component(package: &str) -> Arc<[u8]> {
    let out = tempfile::tempdir().unwrap();
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(package);
    let built = host_kit::build(&crate_dir, out.path()).unwrap();
    std::fs::read(built.path).unwrap().into()
}

#[test]
fn inbound_filters() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    let component = component("inbound-filters");
    let with = |config: &str| StageSpec {
        config_json: config.into(),
        ..spec(StageKind::Filter, Arc::clone(&component))
    };
    let refused = StageFactory::load(with(r#"{"no such key":1}"#), &runtime).err().unwrap().to_string();
    assert!(refused.contains("refuses its configuration: "), "{refused}");
    let mut stage =
        StageFactory::load(with(r#"{"releases":["shop@0.*"]}"#), &runtime).unwrap().instantiate().unwrap();
    let mut batch = columns([r#"{"release":"shop@0.9"}"#, r#"{"release":"shop@1.0"}"#, "{}"]);
    for _ in 0..2 {
        let answer = stage.run(&mut batch);
        assert_eq!(answer.faults, []);
        let Answer::Filter(filter) = answer.answer else { panic!("not a filter's answer") };
        assert_eq!(filter.verdicts, [1, 0, 0]);
        assert_eq!(filter.reasons, ["release-version"]);
    }
}
