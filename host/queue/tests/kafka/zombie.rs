//! A process that sleeps for longer than its session wakes up and goes on as if nothing had happened.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host_queue::conformance::record;
use host_queue::{Kafka, KafkaConfig, Queue, Resume, Role};

use crate::broker::{ALL, WAIT, eventually};
use crate::shared;

/// In the child it has the brokers.
const CHILD: &str = "TAMIS_TEST_ZOMBIE";

fn config(brokers: &str, role: Role) -> KafkaConfig {
    let mut config = KafkaConfig::new(brokers, "zombie", "zombie-group", role);
    config.options = vec![("session.timeout.ms".into(), "2000".into())];
    config
}

/// What the child does; in a run of all tests it is nothing.
#[test]
fn child() {
    let Some(brokers) = std::env::var_os(CHILD) else { return };
    let queue = Kafka::open(config(brokers.to_str().unwrap(), Role::Consume)).unwrap();
    eventually("it is leased", || queue.leases().len() == 1);
    let lease = queue.leases().remove(0);
    assert_eq!(queue.read(0, 0, ALL, WAIT).unwrap()[0].offset, 0);
    println!("\nREAD");
    // Meanwhile it is stopped, and another takes over.
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let late = queue.commit_noted(0, 1, "late");
    println!("\nCOMMIT {late:?}");
    eventually("it hears of it", || lease.is_lost());
    println!("\nLOST {:?}", queue.read(0, 1, ALL, Duration::ZERO).map(|got| got.len()));
}

struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_slept_can_not_commit() {
    shared().topic("zombie", 1);
    let brokers = &shared().bootstrap;
    let writer = Kafka::open(config(brokers, Role::Produce)).unwrap();
    writer.append(0, (0..5).map(|id| record(id, 10)).collect()).await.unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "zombie::child", "--nocapture"]).env(CHILD, brokers);
    let mut child = Kill(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut until = |word: &str| loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended before {word}")).unwrap();
        if line.starts_with(word) {
            return line;
        }
    };
    until("READ");
    signal(&child.0, "STOP");
    let begun = Instant::now();
    let heir = Kafka::open(config(brokers, Role::Consume)).unwrap();
    eventually("another takes over", || heir.leases().len() == 1);
    println!("taken over after {:?}", begun.elapsed());
    assert_eq!(heir.read(0, 0, ALL, WAIT).unwrap().len(), 5);
    heir.commit_noted(0, 5, "heir").unwrap();
    child.0.stdin.take().unwrap().write_all(b"x").unwrap();
    signal(&child.0, "CONT");
    let commit = until("COMMIT");
    assert!(commit.contains("Lost") || commit.contains("Away"), "{commit}");
    assert!(until("LOST").contains("Err(Lost"));
    match heir.resume(0).unwrap() {
        Resume::Shared(now) => assert_eq!((now.committed, now.note.as_str()), (Some(5), "heir")),
        other => panic!("{other:?}"),
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
