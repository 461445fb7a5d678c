//! Golden tests as an author meets them: what passes, what differs, what traps and where.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use std::fs;
use std::path::Path;

use host_kit::{DebugInfo, GoldenReport, GoldenTests, Lines, Subject, Workbench, encode_with, golden};
use host_pipeline::StageKind;
use tempfile::TempDir;

/// Drops an event whose `message` begins with `d` for `noisy`, traps on one that begins with `t`. Its answers for one that begins with
/// `c` depend on how many events it has been asked about, for one with `b` on the size of the batch.
const MOODY: &str = r#"(module $moody
  (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
  (import "tamis:plugin/batch@0.1.0" "strings" (func $strings (param i32 i32 i32)))
  (import "tamis:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "message") (data (i32.const 32) "noisy") (data (i32.const 48) "this is the end")
  (data (i32.const 80) "\20\00\00\00\05\00\00\00")
  (global $next (mut i32) (i32.const 65536))
  (global $calls (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func $give_up (call $log (i32.const 0) (i32.const 48) (i32.const 15)) unreachable)
  (func $verdict (param $letter i32) (result i32)
    (if (i32.eq (local.get $letter) (i32.const 0x74)) (then (call $give_up)))
    (if (i32.eq (local.get $letter) (i32.const 0x63)) (then (return (i32.gt_u (global.get $calls) (i32.const 1)))))
    (if (i32.eq (local.get $letter) (i32.const 0x62)) (then (return (i32.gt_u (call $len) (i32.const 2)))))
    (i32.eq (local.get $letter) (i32.const 0x64)))
  (func $init (export "tamis:plugin/filtering@0.1.0#init") (param $config i32) (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 20)) (then (call $give_up)))
    (i32.const 1024))
  (func $filter (export "tamis:plugin/filtering@0.1.0#filter") (result i32) (local $row i32) (local $len i32) (local $offset i32)
    (global.set $next (i32.const 65536))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $len (call $len))
    ;; presence, offsets, data: pointer and length of each
    (call $strings (i32.const 16) (i32.const 7) (i32.const 128))
    (loop $more
      (local.set $offset (i32.load (i32.add (i32.load (i32.const 136)) (i32.mul (local.get $row) (i32.const 4)))))
      (i32.store (i32.add (i32.const 32768) (i32.mul (local.get $row) (i32.const 4)))
        (call $verdict (i32.load8_u (i32.add (i32.load (i32.const 144)) (local.get $offset)))))
      (br_if $more (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 1))) (local.get $len))))
    (i32.store (i32.const 256) (i32.const 32768)) (i32.store (i32.const 260) (local.get $len))
    (i32.store (i32.const 264) (i32.const 80)) (i32.store (i32.const 268) (i32.const 1))
    (i32.const 256)))"#;

struct Folder {
    dir: TempDir,
    subject: Subject,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tests")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join("tests").join(name), text).unwrap();
        }
        let mut parser = wat::Parser::new();
        parser.generate_dwarf(wat::GenerateDwarf::Lines);
        let module = parser.parse_str(Some(Path::new("src/moody.wat")), MOODY).unwrap();
        let component = encode_with(&module, Some(StageKind::Filter), DebugInfo::Kept).unwrap();
        Folder { dir, subject: Subject::of("moody", component).unwrap() }
    }

    fn test(&self, update: bool, filter: Option<&str>) -> Result<GoldenReport, String> {
        let workbench = Workbench::new(&self.dir.path().join("cache"), Lines::Found).unwrap();
        let filter = filter.map(str::to_owned);
        let tests = GoldenTests { folder: self.dir.path().join("tests"), filter, update };
        golden(&self.subject, &workbench, &tests).map_err(|error| error.to_string())
    }

    /// The report for people, without the path of the folder.
    fn shown(&self) -> String {
        let text = self.test(false, None).unwrap().to_string();
        text.replace(self.dir.path().to_str().unwrap(), "DIR")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("tests").join(name)).unwrap()
    }
}

const THREE: &str = r#"[{"message":"drop me"},{"message":"fine"},{"$meta":{"event_id":"000000000000000000000000000000ff"},"message":"drop"}]"#;

#[test]
fn what_is_expected_passes_and_what_differs_is_shown_alone() {
    let folder = Folder::new(&[
        ("a.json", THREE),
        ("a.expect.json", r#"[{"drop":"noisy"},"keep",{"drop":"noisy"}]"#),
        ("b.json", THREE),
        ("b.expect.json", r#"[{"drop":"loud"},"keep","keep"]"#),
    ]);
    let report = folder.test(false, None).unwrap();
    assert_eq!((report.passed, report.failed, report.is_fine()), (1, 1, false));
    let want = r#"ok     DIR/tests/a.json (3 events)
FAILED DIR/tests/b.json (3 events)
  event 0 (00000000000000000000000000000001)
    drop
      expected  "loud"
      answered  "noisy"
  event 2 (000000000000000000000000000000ff)
      expected  "keep"
      answered  {"drop":"noisy"}
moody: 1 passed, 1 failed
"#;
    assert_eq!(folder.shown(), want);
    let only = folder.test(false, Some("a")).unwrap();
    assert_eq!((only.passed, only.failed), (1, 0));
}

#[test]
fn what_traps_is_named_with_its_lines() {
    let folder = Folder::new(&[
        ("t.json", r#"[{"message":"fine"},{"message":"trap"}]"#),
        ("t.expect.json", r#"["keep","keep"]"#),
    ]);
    let shown = folder.shown();
    let want = "FAILED DIR/tests/t.json (2 events)
  event 1 (00000000000000000000000000000002) failed: trap: wasm trap: wasm `unreachable` instruction executed
    it wrote error: this is the end
    in give_up (src/moody.wat:14)
    in verdict (src/moody.wat:16)
    in filter (src/moody.wat:32)
moody: 0 passed, 1 failed
";
    assert_eq!(shown, want);
}

#[test]
fn answers_that_depend_on_batches_or_on_what_came_before_are_failures() {
    let folder =
        Folder::new(&[("c.json", r#"[{"message":"count"},{"message":"big batch"},{"message":"fine"}]"#)]);
    let report = folder.test(true, None).unwrap();
    let found: Vec<(usize, &str)> =
        report.files[0].inconsistencies.iter().map(|one| (one.event.index, one.asked)).collect();
    assert_eq!(found, [(0, "again in the same instance"), (1, "in two halves"), (1, "alone")]);
    assert_eq!(report.files[0].updated, None, "what is wrong is not written down as right");
    let shown = folder.shown();
    let want = r#"  event 0 (00000000000000000000000000000001): asked again in the same instance, its answer is another: it must depend on nothing but the event
      in one batch                "keep"
      again in the same instance  {"drop":"noisy"}
"#;
    assert!(shown.contains(want), "{shown}");
}

#[test]
fn a_missing_expectation_is_an_error_until_it_is_updated() {
    let folder = Folder::new(&[("new.json", THREE)]);
    assert!(
        folder.shown().contains("new.expect.json is missing: write it with --update, and look at it"),
        "{}",
        folder.shown()
    );
    let report = folder.test(true, None).unwrap();
    assert!(report.is_fine() && report.files[0].updated.is_some());
    assert_eq!(
        folder.read("new.expect.json"),
        "[\n  {\"drop\": \"noisy\"},\n  \"keep\",\n  {\"drop\": \"noisy\"}\n]\n"
    );
    let report = folder.test(true, None).unwrap();
    assert_eq!(report.files[0].updated, None, "there was nothing to change");
    assert!(folder.test(false, None).unwrap().is_fine());
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    for (files, want) in [
        (&[][..], "there are no golden events: write an event to "),
        (&[("a.expect.json", "[]")], "a.json that it belongs to"),
        (&[("b.json", "{}")], "no file has \"zz\" in its name"),
    ] {
        let error = Folder::new(files).test(false, Some("zz")).unwrap_err();
        assert!(error.contains(want), "{error}");
    }
    for (files, want) in [
        (&[("a.json", "{\"a\":}")][..], "tests/a.json:1:6: "),
        (&[("a.json", "{}"), ("a.expect.json", "[1,2]")], "has 2 answers, and "),
        (&[("a.json", "{}"), ("a.expect.json", "{}")], "it must be an array with an answer for each event"),
        (&[("a.json", "{}"), ("config.json", "{")], "config.json: invalid JSON"),
    ] {
        let shown = Folder::new(files).shown();
        assert!(shown.contains(want), "{shown}");
    }
}

#[test]
fn each_file_has_its_own_configuration_and_a_failing_init_is_shown() {
    let long = r#"{"names": ["more than twenty bytes"]}"#;
    let folder = Folder::new(&[
        ("a.json", "{}"),
        ("a.expect.json", "[\"keep\"]"),
        ("a.config.json", "{}"),
        ("b.json", "{}"),
        ("b.expect.json", "[\"keep\"]"),
        ("config.json", long),
    ]);
    let shown = folder.shown();
    assert!(shown.starts_with("ok     DIR/tests/a.json (1 event)\n"), "{shown}");
    let want = "  init failed: trap: wasm trap: wasm `unreachable` instruction executed
    it wrote error: this is the end
    in give_up (src/moody.wat:14)
    in init (src/moody.wat:21)
";
    assert!(shown.contains(want), "{shown}");
}
