//! What the tests share: guests, batches, and a runtime with a cache of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use host_event::{Category, Columns, Doc, Event, EventId, Meta};
use host_pipeline::StageKind;
use host_plugin::{Compile, Limits, Runtime, RuntimeConfig, StageSpec};

pub fn runtime(cache: &Path) -> Arc<Runtime> {
    let clock = Arc::new(Instant::now);
    Runtime::new(RuntimeConfig {
        cache_dir: cache.to_owned(),
        compile: Compile::InProcess,
        clock,
        perf_map: false,
    })
    .unwrap()
}

/// The component of a guest in `tests/guests`.
pub fn guest(kind: StageKind, file: &str) -> Arc<[u8]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(file);
    let module = wat::parse_file(path).unwrap();
    host_kit::encode_as(kind, &module).unwrap().into()
}

pub fn spec(kind: StageKind, component: Arc<[u8]>) -> StageSpec {
    StageSpec {
        name: "under-test".into(),
        kind,
        component,
        version: "1.2.3".into(),
        generation: 7,
        config_json: "null".into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    }
}

pub fn columns<'a>(events: impl IntoIterator<Item = &'a str>) -> Columns {
    let mut columns = Columns::default();
    let event = |(index, text): (usize, &str)| Event {
        offset: index as u64,
        queued_at: 0,
        category: Category::Error,
        meta: Meta { event_id: EventId(index as u128), project_id: 1, ..Meta::default() },
        doc: Doc::parse(text.to_owned()).unwrap(),
    };
    columns.load(events.into_iter().enumerate().map(event).collect());
    columns
}

/// A batch whose events have these messages.
pub fn messages(messages: &[&str]) -> Columns {
    let events: Vec<String> = messages.iter().map(|m| format!(r#"{{"message":{m:?}}}"#)).collect();
    columns(events.iter().map(String::as_str))
}
