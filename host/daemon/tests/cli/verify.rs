//! `tamis verify` and `tamis repair` as operators meet them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, exchange};
use crate::{KEY, folder, said, tamis};

const STORE: &str = "tamis-data/store";

/// A folder whose store has two chunks of one partition, each with an event.
fn scene() -> TempDir {
    let dir = folder("");
    let config = fs::read_to_string(dir.path().join("tamis.toml")).unwrap();
    fs::write(dir.path().join("tamis.toml"), config + "[queue]\npartitions = 1\n").unwrap();
    for _ in 0..2 {
        let running = Running::start(dir.path());
        let body = r#"{"message":"x"}"#;
        let head = format!(
            "POST /api/1/store/?sentry_key={KEY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(&running.ingest, &head);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        running.signal(Signal::TERM);
        assert_eq!(running.ended(), Some(0));
    }
    dir
}

/// The files of a table, in order.
fn files(dir: &Path, table: &str) -> Vec<PathBuf> {
    fn below(folder: PathBuf, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { below(path, files) } else { files.push(path) }
        }
    }
    let mut found = Vec::new();
    below(dir.join(STORE).join(table), &mut found);
    found.sort_by_key(|path| path.file_name().unwrap().to_owned());
    found
}

#[test]
fn a_store_is_verified_by_url_by_configuration_and_from_a_time_on() {
    let dir = scene();
    let dir = dir.path();
    for at in [&[STORE][..], &["--config", "tamis.toml"], &[STORE, "--jobs", "1"], &[STORE, "--since", "2h"]]
    {
        let (code, out, err) = said(&tamis(dir, &[&["verify"], at].concat()));
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.contains(" partition 0: 0..2 in 2 chunks") && out.contains("\nsound: "), "{out}");
    }
    let (code, out, _) = said(&tamis(dir, &["verify", STORE, "--since", "2100-01-01", "--json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["chunks"], &report["since"]), (0, &0.into(), &"dt=2100-01-01/hour=00".into()));
    let (code, out, _) = said(&tamis(dir, &["repair", "--config", "tamis.toml"]));
    assert_eq!((code, out.as_str()), (0, "sound: nothing to repair\n"));
    for wrong in [&[STORE, "--jobs", "0"][..], &[STORE, "--since", "soon"]] {
        assert_eq!(tamis(dir, &[&["verify"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
    fs::write(dir.join("wrong.toml"), "[stroe]\nurl = \"x\"\n").unwrap();
    let (code, _, err) = said(&tamis(dir, &["verify", "--config", "wrong.toml"]));
    assert!(code == 64 && err.starts_with("error: wrong.toml:1: "), "{err}");
}

#[test]
fn a_last_chunk_that_is_gone_is_missed_by_who_knows_the_queue() {
    let dir = scene();
    let dir = dir.path();
    for table in ["outcomes", "events", "groups"] {
        fs::remove_file(&files(dir, table)[1]).unwrap();
    }
    let (code, out, _) = said(&tamis(dir, &["verify", STORE]));
    assert!(
        code == 0 && out.contains(" partition 0: 0..1 in 1 chunk\n"),
        "the store alone can not know: {out}"
    );
    let (code, out, _) = said(&tamis(dir, &["verify", "--config", "tamis.toml"]));
    let what = "partition 0 offset 1: the queue is committed at 2, and offset 1 is in no chunk";
    assert!(code == 1 && out.contains("Gap: outcomes/dt=") && out.contains(what), "{out}");
    // Where the queue is not, the store is.
    let queue = dir.join("tamis-data/queue");
    fs::rename(&queue, dir.join("elsewhere")).unwrap();
    let (code, _, err) = said(&tamis(dir, &["verify", "--config", "tamis.toml"]));
    assert!(code == 0 && err.starts_with("there is no queue in tamis-data/queue here"), "{err}");
    // A queue whose place can not be read is no reason to call the store sound.
    fs::rename(dir.join("elsewhere"), &queue).unwrap();
    fs::write(queue.join("p00000/committed"), [0; 8192]).unwrap();
    let (code, out, err) = said(&tamis(dir, &["verify", "--config", "tamis.toml"]));
    assert!(
        code == 1 && out.is_empty() && err.contains("p00000/committed: neither of its two slots"),
        "{err}"
    );
}

#[test]
fn a_breach_leads_to_a_repair_that_explains_it() {
    let dir = scene();
    let dir = dir.path();
    let events = files(dir, "events");
    fs::remove_file(&events[0]).unwrap();
    let (code, out, _) = said(&tamis(dir, &["verify", "--config", "tamis.toml"]));
    assert!(code == 1 && out.contains("MissingTable: events/dt="), "{out}");
    assert!(
        out.ends_with(
            "next: `tamis repair --config tamis.toml` says what that means, and what can be mended\n"
        ),
        "{out}"
    );

    let (code, out, err) = said(&tamis(dir, &["repair", STORE]));
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("fixes offsets 0..1, and lacks table files\n  missing: events/dt="), "{out}");
    assert!(
        out.contains("can not be mended from here: only the queue has the records: name the tamis.toml"),
        "{out}"
    );
    assert!(out.ends_with("nothing was changed\n"), "{out}");
    let (code, out, _) = said(&tamis(dir, &["repair", "--config", "tamis.toml", "--yes"]));
    assert!(code == 1 && out.contains("offsets 0..1"), "{out}");
    assert_eq!(files(dir, "events").len(), 1, "nothing was made up");

    // What is damaged is not overwritten.
    fs::write(&events[0], "PAR1").unwrap();
    let (code, out, _) = said(&tamis(dir, &["repair", STORE, "--yes"]));
    assert!(code == 1 && out.contains("by hand: Unreadable: the file is damaged"), "{out}");
    assert_eq!(fs::read(&events[0]).unwrap(), b"PAR1");

    let (code, out, _) = said(&tamis(dir, &["repair", STORE, "--json", "--yes"]));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["plan"]["by_hand"][0]["breach"]["kind"]), (1, &"unreadable".into()), "{out}");
}
