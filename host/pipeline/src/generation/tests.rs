use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::json;

use super::*;

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Shelf for Memory {
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let names = self.0.lock();
        Ok(names.keys().filter_map(|k| k.strip_prefix(&format!("{folder}/")).map(str::to_owned)).collect())
    }
    fn seek(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.lock().get(path).cloned())
    }
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String> {
        let mut objects = self.0.lock();
        Ok(!objects.contains_key(path) && objects.insert(path.to_owned(), bytes).is_none())
    }
}

fn stage(config: serde_json::Value) -> StageManifest {
    StageManifest {
        name: "f".into(),
        kind: StageKind::Filter,
        component: digest_of(b"wasm"),
        config,
        categories: vec![Category::Error, Category::Log],
        on_failure: FailurePolicy::FailOpen,
        read: "**".into(),
        write: "**".into(),
        limits: serde_json::Map::new(),
    }
}

const NOW: &str = "2026-01-01T00:00:00Z";

#[test]
fn a_generation_is_published_once() {
    let shelf = Memory::default();
    let parts = [(digest_of(b"wasm"), b"wasm".to_vec())];
    let publish = |n: i32| publish_stages(&shelf, vec![stage(n.into())], &parts, NOW).unwrap().generation;
    assert_eq!([publish(1), publish(1), publish(2), publish(2), publish(1)], [1, 1, 2, 2, 3]);
    assert_eq!(newest(&shelf).unwrap().unwrap().stages, [stage(1.into())]);
    assert_eq!(component(&shelf, &stage(1.into())).unwrap(), b"wasm");
    let numbers: Vec<_> = history(&shelf, 2).unwrap().iter().map(|m| m.generation).collect();
    assert_eq!(numbers, [3, 2]);
    let newer = |known| newer(&shelf, known).unwrap().map(|m| m.generation);
    assert_eq!([0, 1, 2, 3, 9].map(newer), [Some(3), Some(3), Some(3), None, None]);
    assert_eq!(read(&shelf, 9).unwrap_err().to_string(), "there is no generation 9");
    shelf.0.lock().values_mut().for_each(|v| v.push(0));
    assert!(matches!(component(&shelf, &stage(1.into())), Err(GenerationError::Damaged { .. })));
}

#[test]
fn of_two_operators_one_wins_and_the_other_hears_what_changed() {
    let shelf = Memory::default();
    let propose = |n: i32, expected| Proposal {
        stages: vec![stage(n.into())],
        rollout: Rollout::Full,
        because: Because::default(),
        expected,
    };
    let first = publish(&shelf, propose(1, Some(0)), &[], NOW).unwrap();
    assert!(matches!(&first, Published::New(m) if m.generation == 1));
    match publish(&shelf, propose(2, Some(0)), &[], NOW) {
        Err(GenerationError::Raced { expected: 0, found }) => assert_eq!(found.stages, [stage(1.into())]),
        other => panic!("{other:?}"),
    }
    // Whoever wants what the other has published has what he wants.
    assert!(matches!(publish(&shelf, propose(1, Some(0)), &[], NOW), Ok(Published::Same(_))));
}

#[test]
fn the_base_of_a_trial_decides() {
    let shelf = Memory::default();
    publish_stages(&shelf, vec![stage(1.into())], &[], NOW).unwrap();
    let terms = Terms { base: 1, share: 0.1, cpu: 0.1, rule: Rule::default() };
    let because = Because { note: "a try".into(), ..Because::default() };
    let proposal = Proposal {
        stages: vec![stage(2.into())],
        rollout: Rollout::Canary(terms),
        because,
        expected: Some(1),
    };
    let canary = publish(&shelf, proposal, &[], NOW).unwrap().manifest();
    assert_eq!(newest(&shelf).unwrap().unwrap(), canary);
    assert_eq!(deciding(&shelf, &canary).unwrap().generation, 1);
    // To publish the candidate for all is something else than to try it.
    assert_eq!(publish_stages(&shelf, vec![stage(2.into())], &[], NOW).unwrap().generation, 3);
}

#[test]
fn differences_in_words() {
    let old = stage(json!({"rules": [1], "deep": {"a": 1, "b": 2}}));
    let narrow = StageManifest { read: "user.email || tags.**".into(), ..old.clone() };
    type Case<'a> = (&'a str, Vec<StageManifest>, Vec<StageManifest>, &'a [&'a str]);
    let cases: [Case<'_>; 7] = [
        ("the same", vec![old.clone()], vec![old.clone()], &[]),
        (
            "config",
            vec![old.clone()],
            vec![stage(json!({"rules": [1, 2], "deep": {"a": 1, "c": "x"}}))],
            &[
                "~ f: config deep.c = \"x\", before nothing",
                "~ f: config deep.b = nothing, before 2",
                "~ f: config rules = [1,2], before [1]",
            ],
        ),
        (
            "narrower",
            vec![old.clone()],
            vec![narrow.clone()],
            &["~ f: may read only `user.email || tags.**`, before everything"],
        ),
        (
            "wider",
            vec![narrow.clone()],
            vec![old.clone()],
            &["WIDER f: may read everything, before only `user.email || tags.**`"],
        ),
        (
            "below what it had",
            vec![narrow.clone()],
            vec![StageManifest { read: "tags.region".into(), ..old.clone() }],
            &["~ f: may read only `tags.region`, before `user.email || tags.**`"],
        ),
        (
            "elsewhere",
            vec![narrow.clone()],
            vec![StageManifest { read: "request.url".into(), ..old.clone() }],
            &["WIDER f: may read `request.url`, before `user.email || tags.**`: other places"],
        ),
        (
            "another stage",
            vec![old.clone()],
            vec![StageManifest {
                name: "s".into(),
                kind: StageKind::Scrubber,
                write: "user".into(),
                ..old.clone()
            }],
            &[
                "+ s: scrubber 0f0f,",
                "WIDER s: may read everything",
                "WIDER s: may edit `user`",
                "- f: the filter is taken out",
            ],
        ),
    ];
    for (what, old, new, want) in cases {
        let got = diff(&old, &new);
        assert_eq!(got.len(), want.len(), "{what}: {got:#?}");
        for (got, want) in got.iter().zip(want) {
            // The digest is not the point.
            let matches = got == want || (want.starts_with('+') && got.starts_with("+ s: scrubber "));
            assert!(matches, "{what}: {got}");
        }
    }
}
