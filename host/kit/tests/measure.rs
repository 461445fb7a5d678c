//! One event through a plugin, and what a plugin costs.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use host_kit::{
    BenchError, BenchPlan, Lines, RunReport, Subject, Workbench, bench, encode_as, parse_events, run_events,
};
use host_pipeline::StageKind;

fn moody() -> Subject {
    let module = wat::parse_str(include_str!("guests/moody.wat")).unwrap();
    Subject::of("moody", encode_as(StageKind::Filter, &module).unwrap()).unwrap()
}

fn run(config: &str, events: &str) -> RunReport {
    let dir = tempfile::tempdir().unwrap();
    let workbench = Workbench::new(dir.path(), Lines::Found).unwrap();
    let events = parse_events(events.into(), "events").unwrap();
    run_events(&moody(), &workbench, config, &events).unwrap()
}

#[test]
fn one_event_is_followed_through() {
    let report = run("{}", r#"{"message":"drop me"}"#);
    assert!(report.is_fine());
    assert_eq!(report.answers[0].answer.get(), r#"{"drop":"noisy"}"#);
    let pulled: Vec<_> = report.pulled.iter().map(|one| (one.pull.as_str(), one.rows, one.bytes)).collect();
    assert_eq!(pulled, [("len:", 1, 4), ("strings:message", 1, 1 + 8 + 7)]);
    assert!(report.memory_bytes >= 4 << 16 && report.first_call_us > 0.0 && report.call_us > 0.0);
    let shown = report.to_string();
    for part in [
        "event 0 (00000000000000000000000000000001)\n{\"drop\": \"noisy\"}\n",
        "  strings:message\n",
        "moody (filter)\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn a_failing_event_among_others_is_explained() {
    let report = run("{}", r#"[{"message":"fine"},{"message":"trap"}]"#);
    let [failure] = &report.failures[..] else { panic!("{report:?}") };
    assert_eq!(failure.event.as_ref().map(|event| event.index), Some(1));
    assert_eq!((failure.reason.as_str(), failure.backtrace[0].function.as_str()), ("trap", "give_up"));
    let written: Vec<_> = failure.log.iter().map(|line| (line.level, line.line.as_str())).collect();
    assert_eq!(written, [("error", "this is the end")]);
    assert_eq!(
        report.pulled.len(),
        2,
        "what the first call pulled, and not what the search for the event did"
    );

    let report = run(r#"{"names": ["more than twenty bytes"]}"#, "{}");
    assert!(report.failures[0].event.is_none() && !report.is_fine());
    assert!(report.to_string().contains("  init failed: trap: "), "{report}");
}

#[test]
fn a_bench_measures_every_size_beside_an_empty_plugin() {
    let mut steps = Vec::new();
    let plan = BenchPlan { config: "{}".to_owned(), events: None };
    let report = bench(&moody(), &plan, &mut |step| steps.push(step.to_owned())).unwrap();
    let sizes: Vec<_> = report.batches.iter().map(|batch| (batch.events, batch.category)).collect();
    let errors = |events| (events, "errors");
    assert_eq!(sizes, [errors(1), errors(16), errors(64), errors(256), errors(1024), (256, "transactions")]);
    for batch in &report.batches {
        // The guest looks at each event, the empty one at none.
        assert!(batch.total_ns > batch.empty_ns && batch.empty_ns > 0.0, "{batch:?}");
        // Each is measured by itself, and this machine may be busy with one of them.
        assert!(batch.extraction_ns > 0.0 && batch.plugin_ns < 2.0 * batch.total_ns, "{batch:?}");
    }
    assert!(
        report.batches[0].empty_ns > 10.0 * report.batches[4].empty_ns,
        "a batch shares the cost of a call"
    );
    let pulled: Vec<_> = report.pulled.iter().map(|one| (one.pull.as_str(), one.rows, one.times)).collect();
    assert_eq!(pulled, [("len:", 1, 1), ("strings:message", 256, 1)]);
    assert!(
        report.start.compile_ms > report.start.load_ms && report.start.instance_ms > 0.0,
        "{:?}",
        report.start
    );
    assert_eq!(report.optimized, !cfg!(debug_assertions));
    assert_eq!(report.to_string().contains("built without optimization"), cfg!(debug_assertions));
    assert_eq!(steps.len(), 7);
}

#[test]
fn a_bench_takes_own_events_and_stops_at_a_failure() {
    let with = |events: &str| {
        let events = Some(parse_events(events.into(), "events").unwrap());
        bench(&moody(), &BenchPlan { config: "{}".to_owned(), events }, &mut |_| {})
    };
    let report = with(r#"[{"message":"a"},{"message":"drop"}]"#).unwrap();
    assert_eq!(report.batches.len(), 5);
    assert_eq!(report.pulled[1].bytes, 256 + 257 * 4 + 128 * 5);
    let error = with(r#"[{"message":"a"},{"message":"b"},{"message":"trap"}]"#).unwrap_err();
    assert!(matches!(error, BenchError::Fails { event: 2, batch: 16, .. }), "{error}");
}
