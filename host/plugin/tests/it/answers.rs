//! Each kind of plugin is asked, and its answer arrives as the pipeline's.

use host_event::{Edit, EditOp};
use host_pipeline::{Answer, Fingerprint, Rates, Stage, StageAnswer, StageKind, Verdicts};
use host_plugin::StageFactory;

use crate::support::{columns, guest, messages, runtime, spec};

#[test]
fn every_kind_answers() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    let user = r#"{"user":{"email":"a@b.c","id":"x"},"message":"keep"}"#;
    let edit =
        |node| Edit { node, range: Some((0, 1)), op: EditOp::Replace("#".into()), rule: "@first".into() };
    let fingerprint = |kind: &str, hash: &str| Fingerprint { kind: kind.into(), hash: hash.into() };
    let cases = [
        (
            StageKind::Filter,
            "mischief.wat",
            messages(&["fine", "drop", "fine"]),
            Answer::Filter(Verdicts { verdicts: vec![0, 1, 0], reasons: vec!["noisy".into()] }),
        ),
        (
            StageKind::Sampler,
            "sampler.wat",
            messages(&["x", "x", "x"]),
            Answer::Sample(Rates {
                rates: vec![1.0, 1.0, 0.25],
                decided_by: vec![0, 0, 1],
                rules: vec!["last".into()],
            }),
        ),
        (
            StageKind::Scrubber,
            "scrubber.wat",
            columns([user, "{}"]),
            Answer::Scrub(vec![vec![edit(4), edit(6)], vec![]]),
        ),
        (
            StageKind::Fingerprinter,
            "fingerprinter.wat",
            messages(&["x", "x"]),
            Answer::Fingerprint(vec![vec![fingerprint("app", "a1"), fingerprint("system", "b2")], vec![]]),
        ),
    ];
    for (kind, file, mut batch, want) in cases {
        let factory = StageFactory::load(spec(kind, guest(kind, file)), &runtime).unwrap();
        let mut stage = factory.instantiate().unwrap();
        assert_eq!((stage.name(), stage.kind()), ("under-test", kind));
        let rows = batch.len();
        for _ in 0..3 {
            assert_eq!(
                stage.run(&mut batch),
                StageAnswer { answer: want.clone(), faults: vec![] },
                "{kind:?}"
            );
            assert_eq!(batch.len(), rows);
        }
        let none = stage.run(&mut columns([]));
        assert_eq!(none, StageAnswer { answer: Answer::neutral(kind, 0), faults: vec![] });
        let counts = factory.metrics().read();
        assert_eq!((counts.calls, counts.events, counts.restarts), (3, 3 * rows as u64, 0));
    }
}
