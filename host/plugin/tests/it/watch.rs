//! What a guest does can be watched, by those who ask for it.

use std::sync::Arc;

use host_pipeline::{Stage, StageKind};
use host_plugin::{Failed, Pull, Seen, StageFactory, Watch};

use crate::support::{guest, messages, runtime, spec};

#[test]
fn pulls_lines_and_failures_are_noted_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Arc::new(Watch::default());
    let spec = spec(StageKind::Filter, guest(StageKind::Filter, "mischief.wat"));
    let factory = StageFactory::load_watched(spec, &runtime(dir.path()), &watch).unwrap();
    let mut stage = factory.instantiate().unwrap();
    assert_eq!(watch.take(), (Vec::new(), 0), "init pulls nothing");

    stage.run(&mut messages(&["fine", "drop"]));
    let (seen, lost) = watch.take();
    // Presence and offsets beside the eight bytes of text.
    let pull = |function, argument: &str, rows, bytes| {
        Seen::Pull(Pull { function, argument: argument.to_owned(), rows, bytes })
    };
    assert_eq!(seen, [pull("len", "", 1, 4), pull("strings", "message", 2, 2 + 3 * 4 + 8)]);
    assert_eq!(lost, 0);

    let answer = stage.run(&mut messages(&["trap"]));
    let (seen, _) = watch.take();
    let line = Seen::Log { level: "warn", line: "all is lost".to_owned() };
    assert!(seen.contains(&line), "{seen:?}");
    let failed = seen.iter().find_map(|seen| match seen {
        Seen::Failed(failed) => Some(failed),
        _ => None,
    });
    let Failed { reason, cause, frames } = failed.unwrap();
    assert_eq!((*reason, cause.as_str()), ("trap", "wasm trap: wasm `unreachable` instruction executed"));
    assert_eq!((frames[0].function.as_str(), frames[0].file.as_deref()), ("obey", None));
    assert!(answer.faults[0].detail.contains("; in obey < "), "{}", answer.faults[0].detail);
}

#[test]
fn a_failing_init_is_noted_and_a_flood_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    let watch = Arc::new(Watch::default());
    let with = |config: &str| {
        let mut spec = spec(StageKind::Filter, guest(StageKind::Filter, "mischief.wat"));
        spec.config_json = config.to_owned();
        StageFactory::load_watched(spec, &runtime, &watch)
    };
    assert!(with("\"trap\"").is_err());
    let (seen, _) = watch.take();
    assert!(matches!(&seen[..], [Seen::Log { .. }, Seen::Failed(Failed { reason: "trap", .. })]), "{seen:?}");

    // Ten thousand lines at each start.
    let factory = with("\"gossip\"").unwrap();
    for _ in 0..3 {
        factory.instantiate().unwrap();
    }
    let (seen, lost) = watch.take();
    assert_eq!((seen.len(), lost), (20_000, 20_000));
}
