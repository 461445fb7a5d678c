//! A guest whose answers are random: bytes that a test wrote into the events, given back as they are. Whatever they are, the host goes
//! on, and what it accepts is what the WIT allows.
//!
//! Pure noise would never get past the first check. So the bytes are answers of the right shape with wrong values here and there, and then
//! a few bytes of them are changed.

use host_event::{Columns, EditError, apply_edits};
use host_pipeline::{Answer, Stage, StageAnswer, StageKind};
use host_plugin::{Limits, PluginStage, REASONS, StageFactory, StageSpec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{columns, runtime, spec};

/// Where the guest puts the bytes: what points into them is written for this address.
const AT: u32 = 131_072;
const ROWS: usize = 5;
const CASES: u32 = 1500;

/// Takes the hexadecimal digits in the message of its first event for the answer. It asks for leaves, so that there are some to edit.
fn parrot(kind: StageKind) -> Vec<u8> {
    let (interface, function) = match kind {
        StageKind::Filter => ("filtering", "filter"),
        StageKind::Sampler => ("sampling", "sample"),
        StageKind::Scrubber => ("scrubbing", "scrub"),
        StageKind::Fingerprinter => ("fingerprinting", "fingerprint"),
    };
    let digit = "(func $digit (param i32) (result i32)
        (local.set 0 (i32.load8_u (local.get 0)))
        (select (i32.sub (local.get 0) (i32.const 48)) (i32.sub (local.get 0) (i32.const 87))
            (i32.lt_u (local.get 0) (i32.const 58))))";
    let module = format!(
        r#"(module
        (import "tamis:plugin/batch@0.1.0" "strings" (func $strings (param i32 i32 i32)))
        (import "tamis:plugin/batch@0.1.0" "leaves" (func $leaves (param i32 i32 i32)))
        (memory (export "memory") 40)
        (data (i32.const 16) "message") (data (i32.const 32) "**")
        (global $next (mut i32) (i32.const 1048576))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -8))))
        {digit}
        (func (export "tamis:plugin/{interface}@0.1.0#init") (param i32 i32) (result i32) (i32.const 128))
        (func (export "tamis:plugin/{interface}@0.1.0#{function}") (result i32) (local $from i32) (local $i i32) (local $size i32)
            (global.set $next (i32.const 1048576))
            (call $strings (i32.const 16) (i32.const 7) (i32.const 512))
            (call $leaves (i32.const 32) (i32.const 2) (i32.const 600))
            (local.set $from (i32.load (i32.const 528)))
            (local.set $size (i32.shr_u (i32.load offset=4 (i32.load (i32.const 520))) (i32.const 1)))
            (loop $each
                (i32.store8 (i32.add (i32.const {AT}) (local.get $i))
                    (i32.or (i32.shl (call $digit (local.get $from)) (i32.const 4))
                        (call $digit (i32.add (local.get $from) (i32.const 1)))))
                (local.set $from (i32.add (local.get $from) (i32.const 2)))
                (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $size))))
            (i32.const {AT})))"#
    );
    host_kit::encode_as(kind, &wat::parse_str(module).unwrap()).unwrap()
}

/// A list of an answer.
#[derive(Debug, Clone)]
enum List {
    Bytes(Vec<u8>),
    Words(Vec<u32>),
    Reals(Vec<f64>),
    Texts(Vec<Vec<u8>>),
}

/// The answer in the memory of the guest: addresses and lengths of the lists, then the lists, then texts.
fn image(lists: &[List]) -> Vec<u8> {
    let mut image = vec![0; 8 * lists.len()];
    for (slot, list) in lists.iter().enumerate() {
        image.resize(image.len().next_multiple_of(8), 0);
        let at = image.len();
        let count = match list {
            List::Bytes(bytes) => {
                image.extend_from_slice(bytes);
                bytes.len()
            }
            List::Words(words) => {
                image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
                words.len()
            }
            List::Reals(reals) => {
                image.extend(reals.iter().flat_map(|real| real.to_le_bytes()));
                reals.len()
            }
            List::Texts(texts) => {
                image.resize(at + 8 * texts.len(), 0);
                for (number, text) in texts.iter().enumerate() {
                    let entry = [AT + image.len() as u32, text.len() as u32];
                    write(&mut image, at + 8 * number, entry);
                    image.extend_from_slice(text);
                }
                texts.len()
            }
        };
        write(&mut image, 8 * slot, [AT + at as u32, count as u32]);
    }
    image
}

fn write(image: &mut [u8], at: usize, [first, second]: [u32; 2]) {
    image[at..at + 4].copy_from_slice(&first.to_le_bytes());
    image[at + 4..at + 8].copy_from_slice(&second.to_le_bytes());
}

fn word(small: u32) -> impl Strategy<Value = u32> {
    prop_oneof![30 => 0..small, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn words(count: usize, small: u32) -> impl Strategy<Value = List> {
    prop::collection::vec(word(small), count).prop_map(List::Words)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => "[a-zé]{1,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (500usize..530).prop_map(|n| vec![b'n'; n]),
    ]
}

fn texts() -> impl Strategy<Value = List> {
    prop::collection::vec(text(), 2..4).prop_map(List::Texts)
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![20 => 0.0..=1.0f64, 1 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(1.0 + f64::EPSILON)]
}

/// An answer for so many events.
fn lists(kind: StageKind, rows: usize) -> BoxedStrategy<Vec<List>> {
    match kind {
        StageKind::Filter => (words(rows, 3), texts()).prop_map(|(a, b)| vec![a, b]).boxed(),
        StageKind::Sampler => {
            let rates = prop::collection::vec(rate(), rows).prop_map(List::Reals);
            (rates, words(rows, 3), texts()).prop_map(|(a, b, c)| vec![a, b, c]).boxed()
        }
        StageKind::Scrubber => (0usize..6).prop_flat_map(scrubs).boxed(),
        StageKind::Fingerprinter => {
            let counts = prop::collection::vec(0u32..3, rows);
            counts.prop_flat_map(fingerprints).boxed()
        }
    }
}

fn scrubs(edits: usize) -> impl Strategy<Value = Vec<List>> {
    let ops = prop::collection::vec(prop_oneof![30 => 0u8..4, 1 => any::<u8>()], edits).prop_map(List::Bytes);
    let range = prop_oneof![
        4 => Just((0, u32::MAX)),
        4 => (0u32..4, 0u32..4).prop_map(|(from, size)| (from, from + size)),
        1 => (word(6), word(6)),
    ];
    let ranges = prop::collection::vec(range, edits);
    (words(edits, 60), ops, ranges, words(edits, 2), words(edits, 2), texts()).prop_map(
        |(leaf, op, ranges, text, rule, strings)| {
            let (start, end) = ranges.into_iter().unzip();
            vec![leaf, op, List::Words(start), List::Words(end), text, rule, strings]
        },
    )
}

fn fingerprints(counts: Vec<u32>) -> impl Strategy<Value = Vec<List>> {
    let total = counts.iter().sum::<u32>() as usize;
    let sizes = prop::collection::vec(prop_oneof![30 => 1u32..20, 1 => 0u32..70], total);
    (words(total, 2), sizes, texts()).prop_map(move |(kind, sizes, kinds)| {
        let mut offsets = vec![0];
        offsets.extend(sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        }));
        let data = (0..*offsets.last().unwrap()).map(|n| b'a' + (n % 26) as u8).collect();
        vec![List::Words(counts.clone()), kind, List::Words(offsets), List::Bytes(data), kinds]
    })
}

/// What one event says that the answer is: for so many events as it may be asked about with, and mostly undamaged.
fn bytes(kind: StageKind) -> impl Strategy<Value = Vec<u8>> {
    let rows = prop_oneof![3 => Just(1), 3 => Just(ROWS), 1 => 0..=ROWS];
    let damage = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ];
    (rows.prop_flat_map(move |rows| lists(kind, rows)), damage).prop_map(|(lists, damage)| {
        let mut image = image(&lists);
        for (at, byte) in damage {
            let at = at.index(image.len());
            image[at] = byte;
        }
        image
    })
}

fn batch(answers: &[Vec<u8>]) -> Columns {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let event = |bytes| {
        let head = r#"{"user":{"email":"né@b.c","id":7,"x":null},"tags":[["k","v"],["é","w"]],"#;
        format!(r#"{head}"message":"{}","_meta":{{"a":{{"":{{"len":3}}}}}}}}"#, hex(bytes))
    };
    let events: Vec<String> = answers.iter().map(event).collect();
    columns(events.iter().map(String::as_str))
}

/// Gives how many events were answered for.
fn run(stage: &mut PluginStage, answers: &[Vec<u8>]) -> usize {
    let mut batch = batch(answers);
    let kind = stage.kind();
    let StageAnswer { answer, faults } = stage.run(&mut batch);
    assert_eq!(batch.len(), answers.len());
    assert!(faults.is_sorted_by(|a, b| a.row < b.row), "{faults:?}");
    for fault in &faults {
        assert!(fault.row < answers.len() && REASONS.contains(&fault.reason), "{fault:?}");
        assert!(fault.detail.starts_with("plugin under-test 1.2.3 (generation 7): event "), "{fault:?}");
    }
    let is_name = |name: &str| (1..=512).contains(&name.len());
    let answered = match &answer {
        Answer::Filter(filter) => {
            assert!(filter.verdicts.iter().all(|verdict| *verdict as usize <= filter.reasons.len()));
            assert!(filter.reasons.iter().all(|reason| is_name(reason)));
            assert!(faults.iter().all(|fault| filter.verdicts[fault.row] == 0));
            filter.verdicts.len()
        }
        Answer::Sample(sample) => {
            assert!(sample.rates.iter().all(|rate| (0.0..=1.0).contains(rate)));
            assert!(sample.decided_by.iter().all(|rule| *rule as usize <= sample.rules.len()));
            assert!(sample.rules.iter().all(|rule| is_name(rule)));
            assert_eq!(sample.decided_by.len(), sample.rates.len());
            assert!(faults.iter().all(|fault| sample.rates[fault.row] == 1.0));
            sample.rates.len()
        }
        Answer::Scrub(rows) => {
            for (row, edits) in rows.iter().enumerate() {
                assert!(edits.iter().all(|edit| is_name(&edit.rule)));
                let applied = apply_edits(&batch.event(row).doc, edits.clone());
                // A number that `leaves` did not give may be that of a key, or of something in `_meta`: the chain takes
                // such an edit for a wrong answer.
                assert!(
                    matches!(applied, Ok(_) | Err(EditError::NoSuchNode { .. })),
                    "{applied:?} of {edits:?}"
                );
            }
            assert!(faults.iter().all(|fault| rows[fault.row].is_empty()));
            rows.len()
        }
        Answer::Fingerprint(rows) => {
            for all in rows {
                assert!(
                    all.len() <= 64
                        && all.iter().all(|f| (1..=64).contains(&f.hash.len()) && is_name(&f.kind))
                );
            }
            assert!(faults.iter().all(|fault| rows[fault.row].is_empty()));
            rows.len()
        }
    };
    assert_eq!(answered, answers.len(), "{kind:?}");
    answered - faults.len()
}

#[test]
fn random_answers() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    for kind in StageKind::ALL {
        // Every batch is looked at, however bad those before were.
        let limits = Limits { failed_batches_max: u32::MAX, ..Limits::default() };
        let spec = StageSpec { limits, ..spec(kind, parrot(kind).into()) };
        let factory = StageFactory::load(spec, &runtime).unwrap();
        let stage = std::cell::RefCell::new(factory.instantiate().unwrap());
        let answered = std::cell::Cell::new(0);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&prop::collection::vec(bytes(kind), 1..=ROWS), |answers| {
                answered.set(answered.get() + run(&mut stage.borrow_mut(), &answers));
                Ok(())
            })
            .unwrap();
        // Were all of them refused, or none, it would be no test.
        let counts = factory.metrics().read();
        let faults: u64 = counts.faults.iter().map(|(_, count)| count).sum();
        assert!(answered.get() > 50 && faults > 50, "{kind:?}: {} answered, {faults} faults", answered.get());
    }
}
