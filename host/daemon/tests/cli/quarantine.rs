//! Quarantine as operators meet it: a scrubber that fails holds events back, and a mended one lets them go.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use host_pipeline::StageKind;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, exchange};
use crate::{KEY, folder, said, tamis};

const EVENTS: u64 = 5;
const STORE: &str = "tamis-data/store";

fn stage(component: &str) -> String {
    format!("[[stage]]\nname = \"scrub\"\nkind = \"scrubber\"\ncomponent = \"{component}.wasm\"\n")
}

/// A scrubber that traps whatever it is asked, or one that finds nothing to edit.
fn scrubber(dir: &Path, name: &str, body: &str) {
    let module = format!(
        r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "tamis:plugin/scrubbing@0.1.0#init") (param i32 i32) (result i32) (i32.const 32768))
        (func (export "tamis:plugin/scrubbing@0.1.0#scrub") (result i32) {body}))"#
    );
    let component = host_kit::encode_as(StageKind::Scrubber, &wat::parse_str(module).unwrap()).unwrap();
    fs::write(dir.join(name).with_extension("wasm"), component).unwrap();
}

fn send(running: &Running, id: u64) {
    let body =
        format!("{{\"event_id\":\"{id:032x}\",\"message\":\"\\u001b[31mhunter2\",\"extra\":{{\"n\":1.50}}}}");
    let head = format!(
        "POST /api/1/store/?sentry_key={KEY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&running.ingest, &head);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A folder whose store has all events in quarantine, and a mended generation 2.
fn scene() -> TempDir {
    let dir = folder(&stage("broken"));
    scrubber(dir.path(), "broken", "unreachable");
    scrubber(dir.path(), "mended", "(i32.const 40000)");
    let running = Running::start(dir.path());
    (1..=EVENTS).for_each(|id| send(&running, id));
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    fs::write(dir.path().join("mended.toml"), stage("mended")).unwrap();
    let (code, _, err) =
        said(&tamis(dir.path(), &["pipeline", "publish", "mended.toml", "--store", STORE, "--log", "error"]));
    assert_eq!(code, 0, "{err}");
    dir
}

fn quarantine(dir: &Path, args: &[&str]) -> (i32, String, String) {
    said(&tamis(dir, &[&["quarantine"], args].concat()))
}

fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

#[test]
fn held_looked_at_and_released() {
    let dir = scene();
    let dir = dir.path();
    let (code, out, err) = quarantine(dir, &["list", STORE, "--limit", "2"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("5 in quarantine, 0 released\n\nstage  reason"), "{out}");
    assert!(out.contains("and 3 older ones: --limit 0 lists all\n"), "{out}");
    let (_, out, _) = quarantine(dir, &["list", "tamis.toml", "--json", "--stage", "scrub", "--since", "1h"]);
    let listed = json(&out);
    assert_eq!(listed["items"].as_array().unwrap().len() as u64, EVENTS, "{out}");
    let sum: u64 = listed["totals"].as_array().unwrap().iter().map(|t| t["held"].as_u64().unwrap()).sum();
    assert_eq!((sum, listed["items"][0]["stage"].as_str()), (EVENTS, Some("scrub")));
    for none in
        [&["--stage", "other"][..], &["--reason", "no"], &["--project", "9"], &["--since", "2100-01-01"]]
    {
        let (_, out, _) = quarantine(dir, &[&["list", STORE], none].concat());
        assert_eq!(out, "0 in quarantine, 0 released\n", "{none:?}");
    }

    let id = format!("{:032x}", 3);
    let (code, out, _) = quarantine(dir, &["show", STORE, &id]);
    assert!(code == 0 && out.contains("state        in quarantine\n"), "{out}");
    assert!(out.contains("hunter2") && out.contains("1.50") && out.contains("unreachable"), "{out}");
    let (_, out, _) = quarantine(dir, &["show", STORE, &id, "--json"]);
    assert!(json(&out)[0]["payload"].as_str().unwrap().contains("hunter2"));
    let (code, _, err) = quarantine(dir, &["show", STORE, &format!("{:032x}", 99)]);
    assert_eq!((code, err.contains("is not, and was not, in quarantine")), (1, true), "{err}");

    // Through the broken one nothing goes.
    let (code, out, _) = quarantine(dir, &["release", STORE, "--through", "1"]);
    assert!(code == 1 && out.starts_with("stayed  scrub  "), "{out}");
    assert!(out.contains(&format!("project 1 event {id} stays: scrub: ")), "{out}");
    let (code, out, err) = quarantine(dir, &["release", STORE, "--through", "2", "--dry-run"]);
    let said_dry = "nothing was written; this is what would be:\nreleased  accepted    5\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, said_dry, ""));
    assert!(!dir.join(STORE).join("events").exists());

    let (code, out, _) = quarantine(dir, &["release", "tamis.toml", "--through", "2", "--event", &id]);
    assert_eq!((code, out.as_str()), (0, "released  accepted    1\n"));
    let (_, out, _) = quarantine(dir, &["show", STORE, &id]);
    assert!(out.contains("state        released by generation 2 in round 1\n"), "{out}");
    let (_, out, _) = quarantine(dir, &["release", STORE, "--through", "2", "--json"]);
    let released = json(&out);
    assert_eq!(
        (released["released"][0]["quantity"].as_u64(), released["released_before"].as_u64()),
        (Some(4), Some(1))
    );
    let (code, out, _) = quarantine(dir, &["release", STORE, "--through", "2"]);
    let nothing = "nothing that was asked for is in quarantine\nreleased before: 5\n";
    assert_eq!((code, out.as_str()), (0, nothing));
    let (_, out, _) = quarantine(dir, &["list", STORE, "--all"]);
    assert!(out.starts_with("0 in quarantine, 5 released\n") && out.contains("generation 2"), "{out}");

    let (code, out, _) = said(&tamis(dir, &["verify", STORE]));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("5 items released from quarantine in") && !out.contains("quarantined"), "{out}");
}

#[test]
fn two_operators_at_once() {
    let dir = scene();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        let args = ["quarantine", "release", STORE, "--through", "2", "--json"];
        command.current_dir(dir.path()).args(args).stdout(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(), start()];
    let mut released = 0;
    for process in both {
        let (code, out, _) = said(&process.wait_with_output().unwrap());
        assert_eq!(code, 0, "{out}");
        let found = json(&out);
        released += found["released"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["quantity"].as_u64().unwrap())
            .sum::<u64>();
    }
    assert_eq!(released, EVENTS);
    let (code, out, _) = said(&tamis(dir.path(), &["verify", STORE]));
    assert!(code == 0 && out.contains("5 items released from quarantine"), "{out}");
}

#[test]
fn what_is_wrong_is_said() {
    let dir = scene();
    let dir = dir.path();
    let (code, _, err) = quarantine(dir, &["release", STORE, "--through", "9"]);
    assert!(code == 1 && err.contains('9'), "{err}");
    let (code, _, err) =
        quarantine(dir, &["release", STORE, "--through", "2", "--event", &format!("{:032x}", 99)]);
    assert_eq!(code, 1, "{err}");
    for wrong in
        [&["list"][..], &["show", STORE, "xyz"], &["release", STORE], &["list", STORE, "--since", "soon"]]
    {
        assert_eq!(quarantine(dir, wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(quarantine(dir, &["list", "nowhere"]).0, 1);
    fs::write(dir.join("wrong.toml"), "[stroe]\nurl = \"x\"\n").unwrap();
    let (code, _, err) = quarantine(dir, &["list", "wrong.toml"]);
    assert!(code == 64 && err.starts_with("error: wrong.toml:1: "), "{err}");
}
