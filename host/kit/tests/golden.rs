//! Golden tests as an author meets them: what passes, what differs, what traps and where.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use std::fs;
use std::path::Path;

use host_kit::{DebugInfo, GoldenReport, GoldenTests, Lines, Subject, Workbench, encode_with, golden};
use host_pipeline::StageKind;
use tempfile::TempDir;

const MOODY: &str = include_str!("guests/moody.wat");

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
        let tests = GoldenTests { folder: self.dir.path().join("tests"), config: None, filter, update };
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
        ("t.expect.json", r#"[{"drop":"loud"},"keep"]"#),
    ]);
    let shown = folder.shown();
    let want = r#"FAILED DIR/tests/t.json (2 events)
  event 1 (00000000000000000000000000000002) failed: trap: wasm trap: wasm `unreachable` instruction executed
    it wrote error: this is the end
    in give_up (src/moody.wat:18)
    in verdict (src/moody.wat:20)
    in filter (src/moody.wat:36)
  event 0 (00000000000000000000000000000001)
      expected  {"drop":"loud"}
      answered  "keep"
moody: 0 passed, 1 failed
"#;
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
        (
            &[("a.json", "{}"), ("config.json", "1")],
            "tests/config.json: the plugin refuses it: it has no members\n",
        ),
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
    in give_up (src/moody.wat:18)
    in init (src/moody.wat:25)
";
    assert!(shown.contains(want), "{shown}");
}

#[test]
fn every_kind_has_its_form() {
    let user = r#"{"user":{"email":"ada@example.com"},"n":1}"#;
    for (kind, guest, event, want) in [
        (StageKind::Sampler, "sampler.wat", "{}", r#"[{"rate": 0.25, "rule": "last"}]"#),
        (
            StageKind::Fingerprinter,
            "fingerprinter.wat",
            "{}",
            r#"[[{"fingerprint": "a1", "kind": "app"}, {"fingerprint": "b2", "kind": "system"}]]"#,
        ),
        (
            StageKind::Scrubber,
            "scrubber.wat",
            user,
            r##"[{"user": {"email": "#da@example.com"}, "n": 1, "_meta": {"user": {"email": {"": {"len": 15, "rem": [["@first", "s", 0, 1]]}}}}}]"##,
        ),
    ] {
        let mut folder = Folder::new(&[("a.json", event)]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin/tests/guests").join(guest);
        let component = host_kit::encode_as(kind, &wat::parse_file(path).unwrap()).unwrap();
        folder.subject = Subject::of("guest", component).unwrap();
        assert!(folder.test(true, None).unwrap().is_fine());
        let text = folder.read("a.expect.json");
        let compact = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let compact = compact.replace("[ ", "[").replace(" ]", "]").replace("{ ", "{").replace(" }", "}");
        assert_eq!(compact, want, "{kind:?}: {text}");
        assert!(folder.test(false, None).unwrap().is_fine());
    }
}

#[test]
fn one_mistake_is_shown_once() {
    let three = r#"[{"message":"trap"},{"message":"fine"},{"message":"too"}]"#;
    let folder = Folder::new(&[("t.json", three)]);
    let shown = folder.shown();
    let want = "  event 0 (00000000000000000000000000000001), event 2 (00000000000000000000000000000003) failed: trap: ";
    assert!(shown.contains(want) && shown.matches("in give_up").count() == 1, "{shown}");
    assert_eq!(folder.test(false, None).unwrap().files[0].failures.len(), 2);
}

#[test]
fn what_a_plugin_forgot_to_ask_for_fails() {
    let mut folder = Folder::new(&[("a.json", "[{},{},{},{},{},{}]")]);
    folder.subject.reads = "release".to_owned();
    let shown = folder.shown();
    assert!(
        shown.contains(
            "), event 2 (00000000000000000000000000000003) and 3 more failed: grant: reading \"message\" "
        ),
        "{shown}"
    );
    assert!(
        shown.contains("    add it to what the plugin asks for: reads or writes in its plugin.toml"),
        "{shown}"
    );
}

#[test]
fn tests_are_found_from_the_folder_and_from_what_was_built() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("mine");
    fs::create_dir_all(root.join("tests")).unwrap();
    fs::create_dir_all(root.join("target")).unwrap();
    for plugin in [root.clone(), root.join("mine.wasm"), root.join("target/mine.wasm")] {
        assert_eq!(host_kit::tests_of(&plugin), root.join("tests"), "{plugin:?}");
    }
    assert_eq!(host_kit::tests_of(Path::new(".")), Path::new("tests"));
    let elsewhere = dir.path().join("target/mine.wasm");
    assert_eq!(host_kit::tests_of(&elsewhere), dir.path().join("target/tests"));
}
