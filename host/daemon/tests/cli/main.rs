//! The commands as their users meet them: what they print, what they leave behind, and their exit codes.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

mod pipeline;
mod quarantine;
mod running;
mod verify;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use host_pipeline::StageKind;
use rustix::process::Signal;
use tempfile::TempDir;

use running::{Running, exchange};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A folder with both files and two filters: `yes.wasm` takes every configuration, `no.wasm` refuses them all.
fn folder(pipeline: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let host = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[[project]]\nid = 1\n[[project.key]]\npublic_key = \"{KEY}\"\n"
    );
    fs::write(dir.path().join("tamis.toml"), host).unwrap();
    fs::write(dir.path().join("pipeline.toml"), pipeline).unwrap();
    // The result of init: a variant, and the text that it points to.
    let no = r#"(data (i32.const 32768) "\01\00\00\00\10\80\00\00\0f\00\00\00") (data (i32.const 32784) "names[1]: is no")"#;
    for (name, data) in [("yes", ""), ("no", no)] {
        let module = format!(
            r#"(module (memory (export "memory") 1) {data}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "tamis:plugin/filtering@0.1.0#init") (param i32 i32) (result i32) (i32.const 32768))
            (func (export "tamis:plugin/filtering@0.1.0#filter") (result i32) (i32.const 40000)))"#
        );
        let component = host_kit::encode_as(StageKind::Filter, &wat::parse_str(module).unwrap()).unwrap();
        fs::write(dir.path().join(name).with_extension("wasm"), component).unwrap();
    }
    dir
}

fn tamis(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tamis")).current_dir(dir).args(args).output().unwrap()
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn validate_says_everything_at_once() {
    let dir = folder(
        "[[stage]]\nname = \"a\"\nkind = \"sampler\"\ncomponent = \"yes.wasm\"\non_failur = \"x\"\n\
         [[stage]]\nname = \"b\"\nkind = \"filter\"\ncomponent = \"no.wasm\"\n[stage.config]\nnames = [\"x\",\n\"[\"]\n\
         [[stage]]\nname = \"c\"\nkind = \"filter\"\ncomponent = \"tamis.toml\"\n",
    );
    let mut host = fs::read_to_string(dir.path().join("tamis.toml")).unwrap();
    host.push_str("[chunk]\nbytes_max = \"9\"\n");
    fs::write(dir.path().join("tamis.toml"), host).unwrap();
    let (code, out, err) = said(&tamis(dir.path(), &["validate", "--log", "error"]));
    let lines: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    let want = [
        "error: tamis.toml:10: chunk.bytes_max is 9B, and must be between 1MiB and 4GiB",
        "error: pipeline.toml:3: stage a: the component exports no tamis:plugin/sampling: it is a filter, not a sampler \
         (did you mean kind = \"filter\", or another component?)",
        "error: pipeline.toml:5: unknown key stage.on_failur (did you mean on_failure?)",
        "error: pipeline.toml:12: stage b: the plugin refuses its configuration: names[1]: is no",
    ];
    assert_eq!(lines[..want.len()], want, "{err}");
    assert!(lines[4].starts_with("error: pipeline.toml:16: stage c: the component is refused: "), "{err}");
    assert!(err.ends_with("5 problems; nothing was started\n"), "{err}");
    assert_eq!((code, out.as_str(), lines.len()), (64, "", 5));
    assert!(!dir.path().join("tamis-data/store").exists(), "validate starts nothing");
}

#[test]
fn run_refuses_what_validate_refuses() {
    let stage = |name: &str| {
        format!(
            "[[stage]]\nname = \"{name}\"\nkind = \"filter\"\ncomponent = \"no.wasm\"\nconfig = {{ names = [1] }}\n"
        )
    };
    let dir = folder(&(stage("a") + &stage("b")));
    let (code, out, err) = said(&tamis(dir.path(), &["run", "--log", "error"]));
    let want = "error: pipeline.toml:5: stage a: the plugin refuses its configuration: names[1]: is no\n\
                error: pipeline.toml:10: stage b: the plugin refuses its configuration: names[1]: is no\n\
                2 problems; nothing was started\n";
    assert_eq!((code, out.as_str(), err.as_str()), (64, "", want));
    assert!(!dir.path().join("tamis-data/store/control/pipeline").exists(), "nothing was published");

    fs::remove_file(dir.path().join("pipeline.toml")).unwrap();
    for args in [&["run", "--pipeline", "pipeline.toml"][..], &["validate"]] {
        let (code, _, err) = said(&tamis(dir.path(), args));
        assert_eq!(code, 64);
        assert!(err.starts_with("error: pipeline.toml: can not be read: "), "{err}");
    }
    let (code, _, err) = said(&tamis(dir.path(), &["run"]));
    assert_eq!((code, err.as_str()), (1, "error: the store has no pipeline yet: give one with --pipeline\n"));
}

#[test]
fn fine_files_are_fine() {
    let dir = folder("[[stage]]\nname = \"a\"\nkind = \"filter\"\ncomponent = \"yes.wasm\"\n");
    let (code, out, err) = said(&tamis(dir.path(), &["validate", "--log", "error"]));
    assert_eq!((code, out.as_str(), err.as_str()), (0, "fine: 1 stage, 1 project\n", ""));
}

#[test]
fn verify_does_not_take_nothing_for_a_store() {
    let dir = folder("");
    for (url, want) in [
        ("nowhere", "error: nowhere: there is no such folder\n"),
        ("tamis.toml", "error: tamis.toml: there is no such folder\n"),
        (".", "error: .: this is no store of Tamis: it has neither control/ nor outcomes/\n"),
    ] {
        let (code, out, err) = said(&tamis(dir.path(), &["verify", url]));
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", want));
    }
    assert!(!dir.path().join("nowhere").exists(), "looking makes nothing");
}

#[test]
fn inspect_says_whether_a_host_takes_it() {
    let dir = folder("");
    let foreign = r#"(component (import "wasi:cli/environment@0.2.0" (instance)) (import "tamis:plugin/log@0.1.0" (instance)))"#;
    fs::write(dir.path().join("foreign.wasm"), wat::parse_str(foreign).unwrap()).unwrap();
    fs::write(dir.path().join("core.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
    for (args, code, want) in [
        (&["yes.wasm"][..], 0, "kind     filter\n"),
        (&["yes.wasm"], 0, "exports  tamis:plugin/filtering@0.1.0\n"),
        (&["foreign.wasm"], 1, "kind     none: it is no plugin\n"),
        (&["foreign.wasm"], 1, "imports  wasi:cli/environment@0.2.0, tamis:plugin/log@0.1.0\n"),
        (&["foreign.wasm"], 1, "problem  the component imports WASI (wasi:cli/environment@0.2.0): "),
        (&["foreign.wasm", "--json"], 1, "\"wasi\": true"),
        (&["yes.wasm", "--json"], 0, "\"kind\": \"filter\""),
        (&["core.wasm"], 1, "error: core.wasm: this is a core module: encode it with `tamis plugin build`\n"),
        (&["tamis.toml"], 1, "error: tamis.toml: this is not WebAssembly"),
        (&["nowhere.wasm"], 1, "error: nowhere.wasm: No such file"),
    ] {
        let (found, out, err) = said(&tamis(dir.path(), &[&["plugin", "inspect"], args].concat()));
        let all = out + &err;
        assert!(all.contains(want), "{want} is not in\n{all}");
        assert_eq!(found, code, "{args:?}");
    }
}

#[test]
fn help_teaches_and_wrong_usage_is_2() {
    let dir = folder("");
    for command in [
        "",
        "run",
        "validate",
        "verify",
        "repair",
        "replay",
        "plugin",
        "plugin build",
        "plugin inspect",
        "pipeline",
        "pipeline show",
        "pipeline diff",
        "pipeline publish",
        "pipeline shadow",
        "pipeline canary",
        "pipeline report",
        "pipeline promote",
        "pipeline reject",
        "pipeline rollback",
        "pipeline history",
        "quarantine",
        "quarantine list",
        "quarantine show",
        "quarantine release",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let (code, out, _) = said(&tamis(dir.path(), &args));
        assert_eq!(code, 0);
        let example = out.split_once("Example").map(|(_, example)| example).unwrap_or_default();
        assert!(example.contains(&format!("tamis {command}")), "{command}: {out}");
    }
    for args in [
        &[][..],
        &["rum"],
        &["run", "--confg", "x"],
        &["verify"],
        &["repair"],
        &["verify", "a", "--config", "b"],
        &["run", "--log", "a=b=c"],
    ] {
        assert_eq!(tamis(dir.path(), args).status.code(), Some(2), "{args:?}");
    }
}

fn generations(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("tamis-data/store/control/pipeline")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_generation_is_published_when_the_pipeline_changes() {
    let stage = "[[stage]]\nname = \"a\"\nkind = \"filter\"\ncomponent = \"yes.wasm\"\n";
    let dir = folder(stage);
    let names = ["00000000000000000001.json", "00000000000000000002.json"];
    for (pipeline, signal, count) in [
        (stage.to_owned(), Signal::TERM, 1),
        (stage.to_owned(), Signal::INT, 1),
        // A comment is no change, a setting is.
        (format!("# one stage\n{stage}"), Signal::INT, 1),
        (format!("{stage}config = {{ x = 1 }}\n"), Signal::TERM, 2),
        // Back to what was: the store went on from there, and a restart does not take that back.
        (stage.to_owned(), Signal::TERM, 2),
    ] {
        fs::write(dir.path().join("pipeline.toml"), pipeline).unwrap();
        let tamis = Running::start(dir.path());
        // A process is ready a moment before its worker has taken the partition up.
        let mut metrics = String::new();
        pipeline::until("the worker has its partition", || {
            metrics = tamis.get("/metrics");
            metrics.contains("tamis_worker_generation{partition=\"0\"}")
        });
        let active = format!("tamis_worker_generation{{partition=\"0\"}} {count}.0");
        assert!(metrics.contains(&active), "{active} is not in\n{metrics}");
        tamis.signal(signal);
        assert_eq!(tamis.ended(), Some(0));
        assert_eq!(generations(dir.path()), names[..count]);
    }
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.lines().all(|line| line.starts_with("{\"timestamp\":")), "{log}");
    assert!(log.contains("the pipeline's file is generation 1, and 2 was published after it"), "{log}");
}

#[test]
fn the_drain_can_be_watched_and_keeps_what_was_answered() {
    let dir = folder("");
    let tamis = Running::start(dir.path());
    let body = "{}\n{\"type\":\"event\"}\n{\"message\":\"x\"}";
    let post = |length: usize| {
        format!(
            "POST /api/1/envelope/?sentry_key={KEY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let answer = exchange(&tamis.ingest, &post(body.len()));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(tamis.get("/health/live").ends_with("alive\n"));
    assert!(tamis.get("/health/ready").starts_with("HTTP/1.1 200"));
    // A client that does not finish holds the drain up, for as long as requests may take.
    let mut slow = TcpStream::connect(&tamis.ingest).unwrap();
    slow.write_all(post(body.len() + 1).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    tamis.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    let ready = tamis.get("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("draining\n"), "{ready}");
    assert!(tamis.get("/health/live").starts_with("HTTP/1.1 200"), "it is alive until it is gone");
    assert_eq!(tamis.ended(), Some(0));
    let (code, out, _) = said(&self::tamis(dir.path(), &["verify", "tamis-data/store"]));
    assert_eq!(code, 0);
    assert!(out.contains("error     accepted") && out.contains("sound"), "{out}");
}
