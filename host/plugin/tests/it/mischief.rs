//! Whatever a guest does, the host goes on, and the other events' answers are what they would have been.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_pipeline::{Answer, Fault, Stage, StageAnswer, StageKind};
use host_plugin::{
    BreakerState, Compile, Limits, LoadError, PluginStage, Runtime, RuntimeConfig, StageFactory, StageSpec,
};

use crate::support::{guest, messages, runtime, spec};

fn mischief() -> StageSpec {
    let limits = Limits {
        call_time_max: Duration::from_millis(200),
        init_time_max: Duration::from_millis(200),
        host_calls_max: 1000,
        ..Limits::default()
    };
    StageSpec { limits, ..spec(StageKind::Filter, guest(StageKind::Filter, "mischief.wat")) }
}

fn load(spec: StageSpec) -> (StageFactory, PluginStage) {
    let dir = tempfile::tempdir().unwrap();
    let factory = StageFactory::load(spec, &runtime(dir.path())).unwrap();
    let stage = factory.instantiate().unwrap();
    (factory, stage)
}

/// The reason for each row, or nothing for those that were kept.
fn verdicts(answer: &StageAnswer) -> Vec<Option<&str>> {
    let Answer::Filter(filter) = &answer.answer else { panic!("{answer:?}") };
    filter.verdicts.iter().map(|v| v.checked_sub(1).map(|at| filter.reasons[at as usize].as_ref())).collect()
}

/// Runs a batch in which some events are of the given message, the others kept and dropped in turn; gives the faults.
fn run_among_others(
    stage: &mut PluginStage,
    rows: usize,
    bad: impl Fn(usize) -> bool,
    message: &str,
) -> Vec<Fault> {
    let texts: Vec<&str> =
        (0..rows).map(|row| if bad(row) { message } else { ["fine", "drop"][row % 2] }).collect();
    let mut batch = messages(&texts);
    let answer = stage.run(&mut batch);
    assert_eq!(batch.len(), rows);
    for (row, verdict) in verdicts(&answer).into_iter().enumerate() {
        let want = (!bad(row) && row % 2 == 1).then_some("noisy");
        assert_eq!(verdict, want, "row {row} of a batch with {message}");
    }
    answer.faults
}

#[test]
fn one_bad_event_is_found_and_named() {
    let table = [
        ("trap", "trap", "wasm `unreachable` instruction executed"),
        ("loop", "deadline", "call_time_max"),
        ("memory", "memory", "memory_bytes_max"),
        ("kaboom", "stack", "stack_bytes_max"),
        ("wrong count", "wrong-answer", "verdicts has 2 entries, not 1"),
        ("index", "wrong-answer", "verdicts[0] is 99, of 1 entries"),
        ("utf-8", "wrong-answer", "utf-8"),
        ("out of bounds", "wrong-answer", "out of bounds"),
        ("huge", "answer-too-large", "answer_bytes_max"),
        ("query", "path", "a..b"),
        ("ask", "host-limit", "host_calls_max"),
    ];
    let (factory, mut stage) = load(mischief());
    for (message, reason, detail) in table {
        let faults = run_among_others(&mut stage, 32, |row| row == 21, message);
        let [fault] = &faults[..] else { panic!("{message}: {faults:#?}") };
        assert_eq!((fault.row, fault.reason), (21, reason), "{}", fault.detail);
        for part in ["under-test 1.2.3 (generation 7)", "event 00000000000000000000000000000015", detail] {
            assert!(fault.detail.contains(part), "{message}: no {part:?} in {:?}", fault.detail);
        }
    }
    let counts = factory.metrics().read();
    assert_eq!(counts.faults.iter().map(|(_, count)| count).sum::<u64>(), table.len() as u64);
    assert_eq!(counts.open_breakers, 0);
    assert!(counts.restarts >= 6 * table.len() as u64);
}

#[test]
fn a_trap_shows_where_and_what_was_written() {
    let (_, mut stage) = load(mischief());
    let faults = run_among_others(&mut stage, 1, |_| true, "trap");
    assert!(faults[0].detail.contains("it wrote: all is lost"), "{}", faults[0].detail);
    assert!(faults[0].detail.contains("in obey < "), "{}", faults[0].detail);
}

#[test]
fn every_seventh_event_traps() {
    let (_, mut stage) = load(mischief());
    for rows in [256, 255, 7] {
        let faults = run_among_others(&mut stage, rows, |row| row % 7 == 3, "trap");
        let found: Vec<usize> = faults.iter().map(|fault| fault.row).collect();
        let want: Vec<usize> = (0..rows).filter(|row| row % 7 == 3).collect();
        assert_eq!(found, want);
    }
}

#[test]
fn too_many_bad_events_end_the_search() {
    let mut spec = mischief();
    spec.limits.isolated_faults_max = 4;
    let (_, mut stage) = load(spec);
    let mut texts = vec!["fine"; 64];
    texts[16..].fill("trap");
    let answer = stage.run(&mut messages(&texts));
    let found: Vec<usize> = answer.faults.iter().map(|fault| fault.row).collect();
    assert_eq!(found, (16..64).collect::<Vec<_>>());
    assert!(answer.faults[47].detail.contains("not asked about alone"), "{}", answer.faults[47].detail);
}

#[test]
fn a_flood_of_log_lines_is_no_failure() {
    let (_, mut stage) = load(mischief());
    let answer = stage.run(&mut messages(&["go on", "drop", "go on"]));
    assert_eq!(verdicts(&answer), [None, Some("noisy"), None]);
    assert_eq!(answer.faults, []);
}

#[test]
fn what_was_not_granted_can_not_be_read() {
    let (_, mut stage) = load(mischief());
    assert_eq!(run_among_others(&mut stage, 8, |row| row == 2, "read"), [] as [Fault; 0]);
    let (_, mut stage) = load(StageSpec { reads: "message || tags.**".into(), ..mischief() });
    let faults = run_among_others(&mut stage, 8, |row| row == 2, "read");
    assert_eq!((faults.len(), faults[0].row, faults[0].reason), (1, 2, "grant"));
    assert!(
        faults[0].detail.contains(r#"reading "user.email" was not granted (read = "message || tags.**")"#)
    );
}

#[test]
fn a_bad_init_refuses_the_stage() {
    let table = [
        ("fine", None),
        ("error", Some("stage under-test: the plugin refuses its configuration: not with me")),
        ("trap", Some("stage under-test: init failed (trap): plugin under-test 1.2.3 (generation 7): ")),
        ("loop", Some("stage under-test: init failed (deadline)")),
        ("memory", Some("stage under-test: init failed (memory)")),
        ("kaboom", Some("stage under-test: init failed (stack)")),
        ("go on", None),
    ];
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    for (config, want) in table {
        let spec = StageSpec { config_json: format!("{config:?}"), ..mischief() };
        let error = StageFactory::load(spec, &runtime).err().map(|e| e.to_string());
        match (&error, want) {
            (None, None) => {}
            (Some(error), Some(want)) if error.starts_with(want) => {}
            _ => panic!("{config}: {error:?}, not {want:?}"),
        }
    }
}

#[test]
fn a_stage_that_keeps_failing_is_left_alone_and_probed() {
    let now = Arc::new(Mutex::new(Instant::now()));
    let dir = tempfile::tempdir().unwrap();
    let clock = {
        let now = Arc::clone(&now);
        Arc::new(move || *now.lock().unwrap())
    };
    let config =
        RuntimeConfig { cache_dir: dir.path().into(), compile: Compile::InProcess, clock, perf_map: false };
    let mut spec = mischief();
    spec.limits.failed_batches_max = 2;
    let factory = StageFactory::load(spec, &Runtime::new(config).unwrap()).unwrap();
    let mut stage = factory.instantiate().unwrap();
    // (seconds that pass before, what the events do, the reason of the first fault, breakers open after, the back-off)
    let steps = [
        (0, "trap", Some("trap"), 0, None),
        (0, "trap", Some("trap"), 1, Some(1)),
        (0, "fine", Some("breaker-open"), 1, Some(1)),
        (1, "trap", Some("trap"), 1, Some(2)),
        (1, "fine", Some("breaker-open"), 1, Some(2)),
        (1, "fine", None, 0, None),
        (0, "trap", Some("trap"), 0, None),
    ];
    for (step, (seconds, message, reason, open, back_off)) in steps.into_iter().enumerate() {
        *now.lock().unwrap() += Duration::from_secs(seconds);
        let answer = stage.run(&mut messages(&[message, message]));
        assert_eq!(answer.faults.first().map(|fault| fault.reason), reason, "step {step}");
        assert_eq!(answer.faults.len(), if reason.is_some() { 2 } else { 0 }, "step {step}");
        let (counts, now) = (factory.metrics().read(), *now.lock().unwrap());
        assert_eq!(counts.open_breakers, open, "step {step}");
        let breaker = counts.breakers.first().map(|breaker| (breaker.back_off.as_secs(), breaker.reason));
        assert_eq!(breaker, back_off.map(|seconds| (seconds, "trap")), "step {step}");
        let state = if open == 1 { BreakerState::Open } else { BreakerState::Closed };
        assert_eq!(counts.breaker(now), state, "step {step}");
        if let Some(breaker) = counts.breakers.first() {
            assert!(breaker.detail.contains("unreachable"), "{}", breaker.detail);
            assert_eq!(breaker.state(breaker.until), BreakerState::HalfOpen);
            assert!(breaker.opened <= now && breaker.until > now);
        }
    }
}

#[test]
fn a_stage_that_goes_leaves_no_open_breaker() {
    let mut spec = mischief();
    spec.limits.failed_batches_max = 1;
    let (factory, mut stage) = load(spec);
    let mut other = factory.instantiate().unwrap();
    for stage in [&mut stage, &mut other] {
        stage.run(&mut messages(&["trap"]));
    }
    assert_eq!(factory.metrics().read().open_breakers, 2);
    drop(stage);
    assert_eq!(factory.metrics().read().open_breakers, 1);
    drop(other);
    assert_eq!(factory.metrics().read().breaker(Instant::now()), BreakerState::Closed);
}

#[test]
fn a_grown_instance_is_replaced() {
    let mut spec = mischief();
    spec.limits.memory_bytes_recycle = 128 << 10;
    let (factory, mut stage) = load(spec);
    for _ in 0..3 {
        assert_eq!(run_among_others(&mut stage, 4, |_| false, ""), [] as [Fault; 0]);
    }
    assert_eq!(factory.metrics().read().restarts, 3);
}

#[test]
fn the_wrong_component_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    let component = |wat: &str| wat::parse_str(wat).unwrap().into();
    let table: [(Arc<[u8]>, &str, &str); 8] = [
        (b"not wasm".as_slice().into(), "**", "this is not WebAssembly"),
        (component("(module)"), "**", "this is a core module: encode it with `tamis plugin build`"),
        (component("(component)"), "**", "exports none of the plugin interfaces: it exports nothing"),
        (
            component(r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#),
            "**",
            "the component imports WASI (wasi:clocks/monotonic-clock@0.2.0)",
        ),
        (
            component(
                r#"(component (import "tamis:plugin/batch@0.2.0" (instance)) (import "a:b/c" (instance)))"#,
            ),
            "**",
            "the component imports tamis:plugin/batch@0.2.0, a:b/c, which no Tamis host has",
        ),
        (
            component(r#"(component (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#),
            "**",
            "does not fit the interface: tamis:plugin/filtering@0.1.0 has no function init",
        ),
        (
            guest(StageKind::Sampler, "sampler.wat"),
            "**",
            "exports no tamis:plugin/filtering: it is a sampler, not a filter",
        ),
        (guest(StageKind::Filter, "mischief.wat"), "a &&", "stage under-test: read = \"a &&\": "),
    ];
    for (component, reads, want) in table {
        let spec = StageSpec { component, reads: reads.into(), ..mischief() };
        let error = StageFactory::load(spec, &runtime).err().unwrap();
        let text = match &error {
            LoadError::Component { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        assert!(text.contains(want), "{text}");
    }
}
