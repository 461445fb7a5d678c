use host_event::{Doc, Meta};

use super::*;
use crate::stage::Fingerprint;

fn event(id: u128, json: &str) -> Event {
    let meta = Meta { event_id: host_event::EventId(id), project_id: 7, ..Meta::default() };
    Event {
        offset: id as u64,
        queued_at: 0,
        category: Category::Error,
        meta,
        doc: Doc::parse(json.to_owned()).unwrap(),
    }
}

fn kept(hash: &str) -> Decision {
    let fingerprints = vec![Fingerprint { kind: "app".into(), hash: hash.into() }];
    Decision { fingerprints, ..Decision::keep() }
}

fn dropped(reason: &'static str) -> Decision {
    let (stage, outcome) = ("noise".into(), Outcome::Filtered);
    Decision { verdict: Verdict::Drop { outcome, reason: reason.into(), stage }, ..Decision::keep() }
}

/// Adds one event and what both sides made of it.
fn add(trial: &mut Trial, id: u128, json: &str, base: (&str, Decision), candidate: (&str, Decision)) {
    let (before, was, is) = (event(id, json), event(id, base.0), event(id, candidate.0));
    let side = |events, decisions, cpu_nanos| Side { events, decisions, cpu_nanos };
    trial.add(
        &[before],
        side(std::slice::from_ref(&was), std::slice::from_ref(&base.1), 100),
        side(std::slice::from_ref(&is), std::slice::from_ref(&candidate.1), 150),
    );
}

#[test]
fn every_kind_of_disagreement_is_counted_once_for_an_event() {
    let mut trial = Trial::default();
    const X: &str = r#"{"user":{"email":"a@b","id":"1"},"list":[{"v":"s"},{"v":"t"}]}"#;
    add(&mut trial, 1, X, (X, kept("a")), (X, kept("a")));
    add(&mut trial, 2, X, (X, kept("a")), (X, dropped("noisy")));
    let only_base = r#"{"user":{"email":"[x]","id":"1"},"list":[{"v":"s"},{"v":"t"}],"_meta":{}}"#;
    add(&mut trial, 3, X, (only_base, kept("a")), (X, kept("b")));
    let only_candidate = r#"{"user":null,"list":[{"v":"s"},{"v":"*"}],"_meta":{}}"#;
    add(&mut trial, 4, X, (X, kept("c")), (only_candidate, kept("b")));
    add(&mut trial, 5, X, (only_base, kept("d")), (&only_base.replace("[x]", "***"), kept("e")));
    let failed = Decision { failed: vec![("noise".into(), "trap")], ..kept("d") };
    let rate = Decision { sample_rate: 0.5, ..failed };
    add(&mut trial, 6, X, (X, kept("d")), (X, rate));
    let report = trial.report();
    let kinds: Vec<_> = report.disagreements.iter().map(|d| (d.kind.as_str(), d.events)).collect();
    let want = [
        ("grouped otherwise", 3),
        ("kept -> filtered (noise: noisy)", 1),
        ("kept at another rate", 1),
        ("redacted in another way", 1),
        ("redacted only by the base", 1),
        ("redacted only by the candidate", 1),
    ];
    assert_eq!(kinds, want);
    assert_eq!((report.events, report.agreement, report.cost.ratio), (6, 1.0 / 6.0, 1.5));
    assert_eq!((report.traps(), report.faults[0].reason.as_str()), (1, "trap"));
    let paths =
        |leaves: &[LeafCount]| leaves.iter().map(|l| format!("{} {}", l.path, l.leaves)).collect::<Vec<_>>();
    assert_eq!(paths(&report.redactions.only_base), ["user.email 1"]);
    assert_eq!(paths(&report.redactions.only_candidate), ["list.*.v 1", "user 1"]);
    assert_eq!(paths(&report.redactions.differently), ["user.email 1"]);
    // a -> a, b; c -> b; d -> d, e
    let Regrouping { groups, split, merged, renamed, splits, merges } = &report.groups;
    assert_eq!((*groups, *split, *merged, *renamed), (3, 2, 1, 1));
    assert_eq!((splits[0].candidate.len(), merges[0].base.len(), merges[0].events), (2, 2, 2));
    let text = render(&report);
    for line in [
        "events       6, both said the same about 16.67 %",
        "failures     noise: trap on 1 events, e.g. 00000000000000000000000000000006",
        "1 events: kept -> filtered (noise: noisy)",
        "    user.email: 1, e.g. in 00000000000000000000000000000003",
        "Of 3 groups 2 would split, 1 get another id; 1 new ones merge several",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in\n{text}");
    }
    assert_eq!(serde_json::from_str::<Report>(&serde_json::to_string(&report).unwrap()).unwrap(), report);
}

#[test]
fn a_plugin_with_a_million_reasons_does_not_fill_the_memory() {
    let mut trial = Trial::default();
    for id in 0..1_000 {
        let reason: &'static str = Box::leak(format!("r{id}").into_boxed_str());
        add(&mut trial, id, "{}", ("{}", kept("a")), ("{}", dropped(reason)));
    }
    assert_eq!(trial.kinds.len(), KINDS_MAX + 1);
    assert_eq!(trial.kinds[OTHER].count, 1_000 - KINDS_MAX as u64);
    assert_eq!(trial.kinds[OTHER].examples.len(), EXAMPLES_MAX);
}
