//! Generations as operators meet them: published, raced for, tried, taken back, while a process runs and beside it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, exchange};
use crate::{KEY, folder, said, tamis};

const PATIENCE: Duration = Duration::from_secs(10);

/// A stage whose configuration tells its generations apart.
fn stage(x: u32) -> String {
    format!("[[stage]]\nname = \"a\"\nkind = \"filter\"\ncomponent = \"yes.wasm\"\nconfig = {{ x = {x} }}\n")
}

/// A folder with a candidate for each number.
fn scene() -> TempDir {
    let dir = folder(&stage(1));
    fs::write(dir.path().join("yes.wasm"), answering(0)).unwrap();
    (1..=4).for_each(|x| fs::write(dir.path().join(format!("{x}.toml")), stage(x)).unwrap());
    dir
}

/// `tamis pipeline` on the running process: exit code, and both outputs.
fn pipeline(dir: &Path, running: &Running, args: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", running.admin);
    said(&tamis(dir, &[&["pipeline", "--log", "error"], args, &["--admin", &admin]].concat()))
}

/// The newest number of what `--json` printed.
fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn shown(running: &Running) -> Value {
    json(running.get("/pipeline").split_once("\r\n\r\n").unwrap().1)
}

fn all_workers_at(running: &Running, generation: u64) -> bool {
    let shown = shown(running);
    shown["workers"].as_array().unwrap().iter().all(|worker| worker.as_u64() == Some(generation))
}

fn send(running: &Running, id: u64, message: &str) {
    let body = format!("{{\"event_id\":\"{id:032x}\",\"message\":\"{message}\"}}");
    let head = format!(
        "POST /api/1/store/?sentry_key={KEY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&running.ingest, &head);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn publish_diff_history_and_rollback() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    let (code, out, _) = pipeline(dir, &running, &["diff", "1.toml"]);
    assert_eq!((code, out.as_str()), (0, "the same as generation 1\n"));
    let (code, out, _) = pipeline(dir, &running, &["diff", "2.toml"]);
    assert_eq!((code, out.as_str()), (1, "against generation 1:\n  ~ a: config x = 2, before 1\n"));
    let (code, out, err) = pipeline(dir, &running, &["publish", "2.toml", "--note", "two"]);
    let want = "generation 2, which decides about everything: two\n  ~ a: config x = 2, before 1\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, want, ""));
    until("it is active", || all_workers_at(&running, 2));
    // The same again is nothing new.
    assert_eq!(json(&pipeline(dir, &running, &["publish", "2.toml", "--json"]).1)["generation"], 2);
    // Somebody who looked at generation 1 only is told what came in between.
    let (code, out, err) = pipeline(dir, &running, &["publish", "3.toml", "--expect", "1"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: nothing was published: generation 2 came in between ("), "{err}");
    assert!(err.contains("): two\n") || err.contains(": two)"), "{err}");
    let begun = Instant::now();
    let (code, out, _) = pipeline(dir, &running, &["rollback"]);
    assert_eq!((code, out.as_str()), (0, "generation 3, which decides about everything, back to 1\n"));
    until("it is back", || all_workers_at(&running, 3));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(shown(&running)["manifest"]["stages"][0]["config"]["x"], 1);
    assert_eq!(json(&pipeline(dir, &running, &["rollback", "2", "--json"]).1)["because"]["of"], 2);
    let (_, out, _) = pipeline(dir, &running, &["history", "--most", "2"]);
    assert!(
        out.starts_with("4  20") && out.contains(", back to 2\n  ~ a: config x = 2, before 1\n3  20"),
        "{out}"
    );
    assert_eq!(out.matches("config").count(), 2, "{out}");
    let (code, _, err) = pipeline(dir, &running, &["rollback", "99"]);
    assert!(code == 1 && err.contains("generation 99"), "{err}");
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn what_does_not_load_or_fails_its_golden_events_never_becomes_active() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    fs::write(dir.join("no.toml"), stage(1).replace("yes.wasm", "no.wasm")).unwrap();
    let (code, _, err) = pipeline(dir, &running, &["publish", "no.toml"]);
    assert_eq!(code, 64);
    assert!(
        err.starts_with("error: no.toml:5: stage a: the plugin refuses its configuration: names[1]: is no\n"),
        "{err}"
    );
    // A filter that keeps everything is not what these expect.
    fs::create_dir(dir.join("golden")).unwrap();
    fs::write(dir.join("golden/a.json"), r#"{"message":"x"}"#).unwrap();
    fs::write(dir.join("golden/a.expect.json"), r#"[{"drop":"noise"}]"#).unwrap();
    fs::write(dir.join("golden.toml"), stage(2) + "golden = \"golden\"\n").unwrap();
    let (code, _, err) = pipeline(dir, &running, &["publish", "golden.toml"]);
    assert_eq!(code, 64);
    assert!(err.starts_with("error: golden.toml:6: stage a: it fails its golden events\nFAILED "), "{err}");
    // Past the command's own checks, by hand: the process that would run it says no as well.
    let digest =
        fs::read(dir.join("no.wasm")).map(|bytes| host_pipeline::generation::digest_of(&bytes)).unwrap();
    let body = format!(
        r#"{{"publish":{{"stages":[{{"name":"a","kind":"filter","component":"{digest}","config":{{}},"categories":["error"],"on_failure":"fail-open","read":"**","write":"**","limits":{{}}}}],"expected":1}}}}"#
    );
    let post = |extra: &str| {
        let head = format!(
            "POST /pipeline/changes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&running.admin, &head)
    };
    let answer = post("");
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains(&digest), "{answer}");
    // A web page can not do it.
    let answer = post("Origin: http://evil.example\r\n");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(shown(&running)["newest"], 1);
}

#[test]
fn the_token_is_asked_for() {
    let dir = scene();
    let dir = dir.path();
    let host = fs::read_to_string(dir.join("tamis.toml")).unwrap();
    let with_token = host.replace("[admin]\n", "[admin]\ntoken = \"0123456789abcdef\"\n");
    fs::write(dir.join("tamis.toml"), with_token).unwrap();
    let running = Running::start(dir);
    let (code, _, err) = pipeline(dir, &running, &["publish", "2.toml"]);
    assert_eq!((code, err.as_str()), (1, "error: admin.token is set: give it with --token\n"));
    let (code, _, _) = pipeline(dir, &running, &["publish", "2.toml", "--token", "0123456789abcdee"]);
    assert_eq!(code, 1);
    let (code, _, err) = pipeline(dir, &running, &["publish", "2.toml", "--token", "0123456789abcdef"]);
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn with_the_store_alone_and_a_process_that_finds_it() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    let store = |args: &[&str]| {
        said(&tamis(dir, &[&["pipeline", "--log", "error"], args, &["--store", "tamis-data/store"]].concat()))
    };
    let begun = Instant::now();
    let (code, out, err) = store(&["publish", "2.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    until("the process has found it", || all_workers_at(&running, 2));
    eprintln!("found after {:?}", begun.elapsed());
    let (code, out, _) = store(&["show"]);
    assert!(code == 0 && out.starts_with("generation 2, which decides about everything\n"), "{out}");
    assert_eq!(store(&["rollback"]).0, 0);
    until("the process has found it, too", || all_workers_at(&running, 3));
    assert_eq!(store(&["history", "--json"]).1.matches("\"generation\"").count(), 3);
    let (code, _, err) = store(&["report"]);
    assert!(code == 1 && err.contains("ask a running tamis"), "{err}");
}

#[test]
fn a_shadow_is_asked_and_does_not_count() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    // It would drop everything.
    fs::write(dir.join("drops.wasm"), answering(1)).unwrap();
    fs::write(dir.join("drops.toml"), stage(2).replace("yes.wasm", "drops.wasm")).unwrap();
    let (code, out, err) = pipeline(dir, &running, &["shadow", "drops.toml", "--share", "1", "--cpu", "1"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("generation 2, a shadow on 100 % of batches, beside generation 1\n"), "{out}");
    until("the workers show it", || all_workers_at(&running, 2));
    let mut id = 0;
    until("it was asked", || {
        id += 1;
        send(&running, id, "m");
        json(&pipeline(dir, &running, &["report", "--json"]).1)["events"].as_u64().unwrap() > 3
    });
    let (_, out, _) = pipeline(dir, &running, &["report"]);
    assert!(
        out.contains("both said the same about 0.00 %") && out.contains("kept -> filtered (a: all)"),
        "{out}"
    );
    let (_, out, _) = pipeline(dir, &running, &["show"]);
    assert!(
        out.contains("a (filter, of 1)") && out.contains("a (filter, of 2)") && out.contains("Trial so far"),
        "{out}"
    );
    let (code, out, _) = pipeline(dir, &running, &["promote", "--note", "agreed"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "generation 3, which decides about everything, promotes 2: agreed\n")
    );
    assert_eq!(shown(&running)["manifest"]["stages"][0]["config"]["x"], 2);
    let (_, out, _) = pipeline(dir, &running, &["history", "--most", "1"]);
    assert!(out.contains("  evidence: ") && out.contains("0.00 % agreement, 0 failures\n"), "{out}");
    let (code, _, err) = pipeline(dir, &running, &["promote"]);
    assert!(code == 1 && err.contains("generation 3 is no trial"), "{err}");
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    let (code, out, _) = said(&tamis(dir, &["verify", "tamis-data/store"]));
    assert!(
        code == 0 && out.contains("error     accepted") && !out.contains("filtered"),
        "it did not count: {out}"
    );
}

#[test]
fn a_canary_is_promoted_or_rejected_by_its_rule() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    let canary = |file: &str, rule: &[&str]| {
        let args = [&["canary", file, "--share", "0.5", "--cpu", "1", "--min-events", "5"], rule].concat();
        let (code, _, err) = pipeline(dir, &running, &args);
        assert_eq!((code, err.as_str()), (0, ""));
    };
    let mut id = 0;
    let mut flow_until = |what: &str, happened: &dyn Fn(&Value) -> bool| {
        until(what, || {
            id += 1;
            send(&running, id, "m");
            happened(&shown(&running))
        });
    };
    canary("2.toml", &["--after", "1s", "--max-disagreement", "0.01", "--max-traps", "0"]);
    flow_until("it is promoted", &|shown| shown["manifest"]["generation"] == 3);
    let promoted = shown(&running)["manifest"].clone();
    assert_eq!((&promoted["because"]["action"], &promoted["because"]["of"]), (&"promote".into(), &2.into()));
    assert!(promoted["because"]["evidence"]["events"].as_u64().unwrap() >= 5, "{promoted}");
    assert_eq!(promoted["stages"][0]["config"]["x"], 2);

    // One that drops everything disagrees.
    fs::write(dir.join("drops.wasm"), answering(1)).unwrap();
    fs::write(dir.join("drops.toml"), stage(3).replace("yes.wasm", "drops.wasm")).unwrap();
    canary("drops.toml", &["--after", "1h", "--max-disagreement", "0.1"]);
    flow_until("it is rejected", &|shown| shown["manifest"]["generation"] == 5);
    let rejected = shown(&running)["manifest"].clone();
    assert_eq!((&rejected["because"]["action"], &rejected["because"]["of"]), (&"reject".into(), &4.into()));
    assert!(rejected["because"]["note"].as_str().unwrap().contains("max_disagreement 0.1"), "{rejected}");
    assert_eq!(rejected["stages"][0]["config"]["x"], 2, "what decided before");
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    // Whole and sound, and about half of what came during the second canary was dropped by it.
    let (code, out, _) = said(&tamis(dir, &["verify", "tamis-data/store"]));
    assert!(code == 0 && out.contains("error     filtered"), "{out}");
}

/// A filter that gives every event the same verdict: 0 keeps it, 1 drops it for the reason `all`.
fn answering(verdict: u32) -> Vec<u8> {
    let module = r#"(module
        (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 32768) "\00\00\00\00")
        (data (i32.const 49152) "\20\c0\00\00\03\00\00\00")
        (data (i32.const 49184) "all")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "tamis:plugin/filtering@0.1.0#init") (param i32 i32) (result i32) (i32.const 32768))
        (func (export "tamis:plugin/filtering@0.1.0#filter") (result i32)
            (local $i i32)
            (loop $next
                (i32.store (i32.mul (local.get $i) (i32.const 4)) (i32.const VERDICT))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (call $len))))
            (i32.store (i32.const 40000) (i32.const 0))
            (i32.store (i32.const 40004) (call $len))
            (i32.store (i32.const 40008) (i32.const 49152))
            (i32.store (i32.const 40012) (i32.const 1))
            (i32.const 40000)))"#;
    let module = module.replace("VERDICT", &verdict.to_string());
    host_kit::encode_as(host_pipeline::StageKind::Filter, &wat::parse_str(module).unwrap()).unwrap()
}

#[test]
fn replay_asks_about_what_is_stored() {
    let dir = scene();
    let dir = dir.path();
    let running = Running::start(dir);
    (1..=30).for_each(|id| send(&running, id, "m"));
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    fs::write(dir.join("drops.wasm"), answering(1)).unwrap();
    fs::write(dir.join("drops.toml"), stage(3).replace("yes.wasm", "drops.wasm")).unwrap();
    let replay = |args: &[&str]| {
        said(&tamis(dir, &[&["replay", "--log", "error", "--store", "tamis-data/store"], args].concat()))
    };
    let all = ["--from", "2020-01-01", "--to", "2100-01-01T00:00:00Z", "--pipeline", "drops.toml"];
    let (code, out, err) = replay(&all);
    assert_eq!((code, err.as_str()), (0, ""));
    for line in [
        "Candidate against generation 1",
        "events       30, both said the same about 0.00 %",
        "30 events: kept -> filtered (a: all)",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} is not in\n{out}");
    }
    assert_eq!(json(&replay(&[&all[..], &["--limit", "7", "--json"]].concat()).1)["report"]["events"], 7);
    assert_eq!(json(&replay(&[&all[..], &["--project", "2", "--json"]].concat()).1)["report"]["events"], 0);
    let (code, _, err) = replay(&["--from", "2021-01-01", "--to", "yesterday", "--pipeline", "1.toml"]);
    assert!(code == 1 && err.contains("--to \"yesterday\" is no time such as"), "{err}");
}
