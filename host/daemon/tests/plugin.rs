//! The author's commands as authors meet them: `tamis plugin columns`, `test`, `run` and `bench`.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use host_pipeline::StageKind;
use tempfile::TempDir;

/// A folder with a component that is moody about messages, and golden events.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let module = wat::parse_str(include_str!("../../kit/tests/guests/moody.wat")).unwrap();
    let component = host_kit::encode_as(StageKind::Filter, &module).unwrap();
    fs::write(dir.path().join("moody.wasm"), component).unwrap();
    fs::create_dir(dir.path().join("tests")).unwrap();
    fs::write(dir.path().join("tests/a.json"), r#"[{"message":"drop"},{"message":"fine"}]"#).unwrap();
    dir
}

fn tamis(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.current_dir(dir).args(["plugin"]).args(args).env("XDG_CACHE_HOME", dir.join("cache"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn columns_are_the_hosts_own() {
    let dir = folder();
    let args = ["columns", "tests/a.json", "--pull", "strings:message", "--pull", "counts:x"];
    let (code, out, err) = said(&tamis(dir.path(), &args, ""));
    let want = "{\"pull\":\"strings:message\",\"values\":[\"drop\",\"fine\"]}\n{\"pull\":\"counts:x\",\"values\":[0,0]}\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, want, ""));

    let raw = tamis(dir.path(), &["columns", "-", "--pull", "len:", "--pull", "json:a..b", "--raw"], "{}");
    assert_eq!(raw.status.code(), Some(0), "in the raw form a mistake is an answer");
    let message = b"path \"a..b\": a segment is empty";
    let want = [&[0, 1, 0, 0, 0, 1, 0, 0, 0, 1, message.len() as u8, 0, 0, 0][..], message].concat();
    assert_eq!(raw.stdout, want);

    for (args, code, want) in [
        (&["columns", "tests/a.json", "--pull", "json:a..b"][..], 1, "\"error\":"),
        (&["columns", "-", "--pull", "len:"], 1, "error: standard input:1:2: "),
        (
            &["columns", "nowhere.json", "--pull", "len:"],
            1,
            "error: nowhere.json: it can not be read: No such",
        ),
        (
            &["columns", "tests/a.json", "--pull", "length:"],
            2,
            "\"length:\" is no pull: write len:, strings:PATH",
        ),
        (&["columns", "tests/a.json"], 2, "--pull"),
    ] {
        let (found, out, err) = said(&tamis(dir.path(), args, "{"));
        assert_eq!(found, code, "{args:?}: {err}");
        assert!((out.clone() + &err).contains(want), "{args:?}: {out}{err}");
    }
}

#[test]
fn golden_tests_fail_until_they_are_right() {
    let dir = folder();
    let test = |more: &[&str]| said(&tamis(dir.path(), &[&["test", "moody.wasm"], more].concat(), ""));
    let (code, out, err) = test(&[]);
    let want = "FAILED tests/a.json (2 events)\n  tests/a.expect.json is missing: write it with --update, and look at it\n\
                moody: 0 passed, 1 failed\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, want, ""));

    let (code, out, _) = test(&["--update"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "ok     tests/a.json (2 events)\n  wrote tests/a.expect.json\nmoody: 1 passed\n")
    );
    let written = fs::read_to_string(dir.path().join("tests/a.expect.json")).unwrap();
    assert_eq!(written, "[\n  {\"drop\": \"noisy\"},\n  \"keep\"\n]\n");
    assert_eq!(test(&[]).0, 0);

    fs::write(dir.path().join("tests/a.expect.json"), r#"["keep","keep"]"#).unwrap();
    fs::write(dir.path().join("tests/b.json"), r#"{"message":"trap"}"#).unwrap();
    let (code, out, err) = test(&[]);
    let want = r#"FAILED tests/a.json (2 events)
  event 0 (00000000000000000000000000000001)
      expected  "keep"
      answered  {"drop":"noisy"}
FAILED tests/b.json (1 event)
  event 0 (00000000000000000000000000000001) failed: trap: wasm trap: wasm `unreachable` instruction executed
    it wrote error: this is the end
    in give_up
    in verdict
    in filter
moody: 0 passed, 2 failed
"#;
    assert_eq!((code, out.as_str(), err.as_str()), (1, want, ""));

    let (code, out, _) = test(&["--json", "--filter", "b"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["failed"].as_u64(), json["passed"].as_u64()), (1, Some(1), Some(0)));
    assert_eq!(json["files"][0]["failures"][0]["backtrace"][0]["function"], "give_up");

    for (args, want) in [
        (&["--tests", "nowhere"][..], "error: nowhere: it can not be read: No such file"),
        (&["--filter", "zz"], "error: tests: no file has \"zz\" in its name"),
    ] {
        let (code, _, err) = test(args);
        assert_eq!(code, 1);
        assert!(err.starts_with(want), "{err}");
    }
}

#[test]
fn a_folder_is_built_and_tested() {
    let dir = folder();
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/guest").canonicalize().unwrap();
    fs::write(dir.path().join("tests/a.json"), r#"[{"release":"0.0.0"},{"release":"1"}]"#).unwrap();
    fs::write(dir.path().join("tests/a.expect.json"), r#"[{"drop":"bench"},"keep"]"#).unwrap();
    let (code, out, err) =
        said(&tamis(dir.path(), &["test", guest.to_str().unwrap(), "--tests", "tests"], ""));
    assert_eq!(
        (code, out.as_str()),
        (0, "ok     tests/a.json (2 events)\nbench-filter: 1 passed\n"),
        "{err}"
    );
}

#[test]
fn one_event_is_run() {
    let dir = folder();
    let (code, out, err) = said(&tamis(dir.path(), &["run", "moody.wasm"], r#"{"message":"drop"}"#));
    assert_eq!((code, err.as_str()), (0, ""));
    for part in ["\n{\"drop\": \"noisy\"}\n", "strings:message", "first call"] {
        assert!(out.contains(part), "{out}");
    }
    let (code, out, _) = said(&tamis(dir.path(), &["run", "moody.wasm", "tests/a.json", "--json"], ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["answers"][1]["answer"]), (0, &"keep".into()));

    fs::write(dir.path().join("c.json"), r#"{"names": ["more than twenty bytes"]}"#).unwrap();
    for config in ["c.json", r#"{"names": ["more than twenty bytes"]}"#] {
        let (code, out, _) = said(&tamis(dir.path(), &["run", "moody.wasm", "--config", config], "{}"));
        assert_eq!(code, 1);
        assert!(out.contains("  init failed: trap: ") && out.contains("    in give_up\n"), "{out}");
    }
    // What the golden tests have, if nothing else is said.
    fs::rename(dir.path().join("c.json"), dir.path().join("tests/config.json")).unwrap();
    for (config, code) in [(&[][..], 1), (&["--config", "{}"], 0)] {
        let output = tamis(dir.path(), &[&["run", "moody.wasm"], config].concat(), "{}");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    for (args, want) in [
        (&["run", "moody.wasm", "--config", "nowhere.json"][..], "error: nowhere.json: No such file"),
        (&["run", "nowhere.wasm"], "error: nowhere.wasm: it can not be read: No such file"),
        (&["run", "tests/a.json"], "error: tests/a.json: this is not WebAssembly"),
    ] {
        let (code, _, err) = said(&tamis(dir.path(), args, "{}"));
        assert_eq!(code, 1);
        assert!(err.starts_with(want), "{err}");
    }
}

#[test]
fn a_plugin_is_measured() {
    let dir = folder();
    let args = ["bench", "moody.wasm", "--events", "tests/a.json"];
    let (code, out, err) = said(&tamis(dir.path(), &args, ""));
    assert_eq!((code, err.as_str()), (0, ""), "nobody looks at the progress");
    for part in ["\nbatch 1 ", "\nbatch 1024 ", "strings:message", "\ncompile ", "\nmemory "] {
        assert!(out.contains(part), "no {part:?} in {out}");
    }
    let (code, out, _) = said(&tamis(dir.path(), &[&args[..], &["--json"]].concat(), ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["batches"][3]["events"].as_u64()), (0, Some(256)));
    assert!(json["start"]["compile_ms"].as_f64().unwrap() > 0.0);

    fs::write(dir.path().join("tests/a.json"), r#"{"message":"trap"}"#).unwrap();
    let (code, _, err) = said(&tamis(dir.path(), &args, ""));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: it fails on event 0 of a batch of 1: "), "{err}");
    assert!(err.ends_with("\nTry it with `tamis plugin run`: {\"message\":\"trap\"}\n"), "{err}");
}

#[test]
fn help_shows_an_example_and_wrong_usage_is_2() {
    let dir = folder();
    for command in ["columns", "test", "run", "bench"] {
        let (code, out, _) = said(&tamis(dir.path(), &[command, "--help"], ""));
        let example = out.split_once("Example").map(|(_, example)| example).unwrap_or_default();
        assert!(code == 0 && example.contains(&format!("tamis plugin {command} ")), "{out}");
        assert_eq!(tamis(dir.path(), &[command, "x.wasm", "--wrong"], "").status.code(), Some(2));
    }
    for command in ["columns", "run"] {
        assert_eq!(tamis(dir.path(), &[command], "").status.code(), Some(2));
    }
    let (code, _, err) = said(&tamis(dir.path(), &["test"], ""));
    assert!(code == 1 && err.starts_with("error: "), "the folder one is in is no plugin: {err}");
}
