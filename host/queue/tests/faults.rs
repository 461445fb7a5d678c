//! The embedded queue in a real process on a disk that really fails, and under kill -9.
//!
//! This program starts itself again as the child: with `tests/faults/faultfs.c` between it and its C library. The child
//! appends and commits as fast as it can, and prints what it was told; the parent breaks its disk or kills it, opens what
//! is left, and compares.
#![expect(
    clippy::print_stdout,
    reason = "what the child prints is what the parent reads, and the parent is a test"
)]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use host_queue::conformance::record;
use host_queue::{Embedded, EmbeddedConfig, Error, Queue, ReadLimit};

const CHILD_DIR: &str = "TAMIS_FAULT_CHILD_DIR";
const PARTITIONS: u32 = 2;
const WRITERS: u64 = 8;
/// Ids of one writer, in one life of the child.
const IDS: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the process is killed; each time it goes on where it was.
const KILLS: u64 = 12;

fn main() -> ExitCode {
    if let Ok(dir) = env::var(CHILD_DIR) {
        return child(Path::new(&dir));
    }
    let work = tempfile::tempdir().unwrap();
    let layer = build_layer(work.path());
    let tables: [(&str, &str, &[&str]); 6] = [
        ("fsync fails", "fsync EIO path=.log", &["poisoned"]),
        ("fsync fails once, and is not tried again", "fsync EIO times=1 path=.log", &["poisoned"]),
        ("write fails in the middle", "write EIO short=40 path=.log", &["poisoned"]),
        ("no space in the middle of a write", "write ENOSPC short=60 path=.log", &["full"]),
        ("no space at all", "write ENOSPC\ncreate ENOSPC", &["full", "poisoned"]),
        ("commit fails", "fsync EIO path=committed", &["poisoned"]),
    ];
    for (name, rules, expected) in tables {
        a_failing_disk(&layer, work.path(), rules, expected);
        println!("test {name} ... ok");
    }
    space_comes_back(&layer, work.path());
    println!("test space comes back ... ok");
    killed_again_and_again(&layer, work.path());
    println!("test killed again and again ... ok");
    ExitCode::SUCCESS
}

fn build_layer(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults/faultfs.c");
    let layer = dir.join("faultfs.so");
    let args = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"];
    let built =
        Command::new("cc").args(args).arg("-o").arg(&layer).arg(source).args(["-ldl", "-lpthread"]).status();
    assert!(built.expect("a C compiler is needed").success());
    layer
}

fn a_failing_disk(layer: &Path, work: &Path, rules: &str, expected: &[&str]) {
    let mut run = Run::start(layer, work, tempfile::tempdir_in(work).unwrap().keep(), 0);
    run.wait_for("200 answers", |seen| seen.acked.len() > 200);
    run.set_rules(rules);
    run.wait_for("a refusal", |seen| !seen.refused.is_empty());
    // An answer may have been on its way; after a moment there must be none.
    thread::sleep(Duration::from_millis(100));
    run.drain();
    let acked = run.seen.acked.len();
    thread::sleep(Duration::from_millis(150));
    run.drain();
    let kinds: Vec<&str> = run.seen.refused.keys().map(String::as_str).collect();
    assert!(kinds.iter().all(|kind| expected.contains(kind)), "{rules:?} led to {kinds:?}");
    assert_eq!(run.seen.acked.len(), acked, "{rules:?}: an append was answered on a broken disk");
    assert!(fs::read_to_string(&run.log).is_ok_and(|log| !log.is_empty()), "{rules:?}: nothing failed");
    if kinds.contains(&"poisoned") {
        // The disk is fine again, but what it holds is not known: only a restart helps.
        run.set_rules("");
        thread::sleep(Duration::from_millis(150));
        run.drain();
        assert_eq!(run.seen.acked.len(), acked, "{rules:?}: a poisoned log must stay so");
    }
    run.kill();
    run.check();
}

fn space_comes_back(layer: &Path, work: &Path) {
    let mut run = Run::start(layer, work, tempfile::tempdir_in(work).unwrap().keep(), 0);
    for _ in 0..3 {
        let before = run.seen.acked.len();
        run.wait_for("answers", |seen| seen.acked.len() > before + 100);
        let refused = run.seen.refused.values().sum::<u64>();
        run.set_rules("write ENOSPC short=70 path=.log");
        run.wait_for("a refusal", |seen| seen.refused.values().sum::<u64>() > refused);
        run.set_rules("");
    }
    assert!(run.seen.refused.keys().eq(["full"]), "{:?}", run.seen.refused);
    run.kill();
    run.check();
}

fn killed_again_and_again(layer: &Path, work: &Path) {
    let dir = tempfile::tempdir_in(work).unwrap().keep();
    let mut seen = Seen::default();
    for life in 0..KILLS {
        let mut run = Run::start(layer, work, dir.clone(), life);
        run.seen = std::mem::take(&mut seen);
        let before = run.seen.acked.len();
        run.wait_for("answers", |seen| seen.acked.len() > before + 50);
        thread::sleep(Duration::from_millis(life * 7 % 31));
        run.kill();
        run.check();
        seen = std::mem::take(&mut run.seen);
    }
}

/// What the child said.
#[derive(Default)]
struct Seen {
    /// Partition and id of every record that was answered for.
    acked: Vec<(u32, u64)>,
    /// How often, by kind of error.
    refused: BTreeMap<String, u64>,
    /// The highest offset by partition that was answered as committed.
    committed: BTreeMap<u32, u64>,
    /// Records that were read, by partition and offset, before they were committed.
    read: BTreeMap<(u32, u64), u64>,
}

struct Run {
    dir: PathBuf,
    control: PathBuf,
    log: PathBuf,
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    seen: Seen,
}

impl Run {
    fn start(layer: &Path, work: &Path, dir: PathBuf, life: u64) -> Run {
        let (control, log) = (work.join("control"), work.join("log"));
        fs::write(&control, "").unwrap();
        fs::write(&log, "").unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .env(CHILD_DIR, &dir)
            .env("TAMIS_FAULT_CHILD_LIFE", life.to_string())
            .env("LD_PRELOAD", layer)
            .env("FAULTFS_PREFIX", &dir)
            .env("FAULTFS_CONTROL", &control)
            .env("FAULTFS_LOG", &log)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = std::sync::mpsc::sync_channel(100_000);
        let forward = move || stdout.lines().map_while(Result::ok).all(|line| send.send(line).is_ok());
        thread::Builder::new().spawn(forward).unwrap();
        Run { dir, control, log, child, lines, seen: Seen::default() }
    }

    fn set_rules(&self, rules: &str) {
        let new = self.control.with_extension("new");
        fs::write(&new, rules).unwrap();
        fs::rename(&new, &self.control).unwrap();
    }

    fn wait_for(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.seen) {
            assert!(Instant::now() < deadline, "no {what}; so far {} answers", self.seen.acked.len());
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(10)) {
                self.seen.take(&line);
            }
        }
    }

    fn drain(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.take(&line);
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            self.seen.take(&line);
        }
    }

    /// Opens what the child left, and finds in it, or among what was read before it was committed, every record that was
    /// answered for.
    fn check(&mut self) {
        let queue = Embedded::open(&self.dir, config()).expect("what a failing disk leaves can be opened");
        let mut found: BTreeMap<(u32, u64), u64> = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let mut next = queue.committed(partition).unwrap();
            let told = self.seen.committed.get(&partition).copied().unwrap_or(0);
            assert!(next >= told, "partition {partition}: {told} was committed, now it is {next}");
            while next < queue.end(partition) {
                let limit = ReadLimit { records_max: 10_000, bytes_max: 1 << 20 };
                for stored in queue.read(partition, next, limit, Duration::ZERO).unwrap() {
                    assert_eq!(stored.offset, next, "no gap");
                    found.insert((partition, next), stored.record.unwrap().meta.event_id.0 as u64);
                    next += 1;
                }
            }
        }
        for (place, id) in &self.seen.read {
            assert!(
                found.get(place).is_none_or(|now| now == id),
                "{place:?} was record {id}, now {:?}",
                found[place]
            );
        }
        found.extend(&self.seen.read);
        let mut ids: Vec<(u32, u64)> = found.iter().map(|((partition, _), id)| (*partition, *id)).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|w| w[0] != w[1]), "a record is there twice");
        for acked in &self.seen.acked {
            assert!(ids.binary_search(acked).is_ok(), "{acked:?} was answered for and is gone");
        }
        self.seen.read.extend(found);
        // It goes on where it was. Nobody will see this record.
        futures::executor::block_on(queue.append(0, vec![record(0, 10)])).unwrap();
        (0..PARTITIONS).for_each(|partition| queue.commit(partition, queue.end(partition)).unwrap());
    }
}

impl Seen {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "ack" => self.acked.push((number(1) as u32, number(2))),
            "refused" => *self.refused.entry(words[1].to_owned()).or_default() += 1,
            "read" => drop(self.read.insert((number(1) as u32, number(2)), number(3))),
            "committed" => drop(self.committed.insert(number(1) as u32, number(2))),
            other => panic!("the child said {other:?}"),
        }
    }
}

fn config() -> EmbeddedConfig {
    EmbeddedConfig {
        partitions: PARTITIONS,
        disk_bytes_max: 64 << 20,
        segment_bytes_max: 256 << 10,
        ..EmbeddedConfig::new(Arc::new(|| 1_790_000_000_000))
    }
}

/// Appends from many threads, and reads and commits from one for each partition. Every line is written whole.
fn child(dir: &Path) -> ExitCode {
    let life: u64 = env::var("TAMIS_FAULT_CHILD_LIFE").unwrap().parse().unwrap();
    let queue = Embedded::open(dir, config()).expect("the parent breaks the disk later");
    let stop = AtomicBool::new(false);
    let (queue, stop) = (&queue, &stop);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || append_for_ever(queue, (life * WRITERS + writer) * IDS, writer as u32, stop));
        }
        for partition in 0..PARTITIONS {
            scope.spawn(move || read_for_ever(queue, partition, stop));
        }
    });
    ExitCode::SUCCESS
}

fn append_for_ever(queue: &Embedded, first: u64, writer: u32, stop: &AtomicBool) {
    let partition = writer % PARTITIONS;
    for id in first.. {
        let bytes = (id * 131 % 4000) as usize;
        match futures::executor::block_on(queue.append(partition, vec![record(id, bytes)])) {
            Ok(()) => say(&format!("ack {partition} {id}\n"), stop),
            Err(error) => {
                let kind = match error {
                    Error::Full { .. } => "full",
                    Error::Poisoned(_) => "poisoned",
                    _ => "other",
                };
                say(&format!("refused {kind}\n"), stop);
                thread::sleep(Duration::from_millis(5));
            }
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn read_for_ever(queue: &Embedded, partition: u32, stop: &AtomicBool) {
    let mut next = queue.committed(partition).unwrap();
    let limit = ReadLimit { records_max: 100, bytes_max: 1 << 20 };
    while !stop.load(Ordering::Relaxed) {
        let some = queue.read(partition, next, limit, Duration::from_millis(20)).unwrap();
        let Some(last) = some.last() else { continue };
        next = last.offset + 1;
        let lines: String = some
            .iter()
            .map(|s| {
                format!("read {partition} {} {}\n", s.offset, s.record.as_ref().unwrap().meta.event_id.0)
            })
            .collect();
        say(&lines, stop);
        if queue.commit(partition, next).is_ok() {
            say(&format!("committed {partition} {next}\n"), stop);
        }
    }
}

/// Says it, or stops when nobody listens any more.
fn say(lines: &str, stop: &AtomicBool) {
    let mut out = io::stdout().lock();
    if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
        stop.store(true, Ordering::Relaxed);
    }
}
