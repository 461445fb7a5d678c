//! Real brokers for tests: started by `tests/kafka.sh` on free ports, gone when the process of the test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use host_queue::{Kafka, KafkaConfig, Queue, ReadLimit, Role};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

pub const ALL: ReadLimit = ReadLimit { records_max: 1_000_000, bytes_max: 1 << 30 };
/// Long enough for brokers on a busy machine.
pub const WAIT: Duration = Duration::from_secs(40);

pub struct Cluster {
    home: PathBuf,
    pub bootstrap: String,
    nodes: usize,
}

impl Cluster {
    /// Starts a cluster of its own; `properties` go to the end of each server's file.
    pub fn start(nodes: usize, properties: &str) -> Cluster {
        Cluster::start_with(nodes, properties, "")
    }

    /// `format` goes to the tool that makes the folders of the brokers.
    pub fn start_with(nodes: usize, properties: &str, format: &str) -> Cluster {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let name = format!("kafka-{}-{}", std::process::id(), STARTED.fetch_add(1, Relaxed));
        let home = target().join("kafka-tests").join(name);
        std::fs::create_dir_all(&home).unwrap();
        let extra = home.join("extra.properties");
        std::fs::write(&extra, properties).unwrap();
        let mut cluster = Cluster { home, bootstrap: String::new(), nodes };
        let said = cluster.script(&["start", &nodes.to_string()], Some((&extra, format)));
        let line = said.lines().find_map(|line| line.strip_prefix("BOOTSTRAP="));
        cluster.bootstrap = line.unwrap_or_else(|| panic!("kafka.sh said {said:?}")).to_owned();
        cluster
    }

    pub fn kill(&self, node: usize) {
        self.script(&["kill", &node.to_string()], None);
    }

    pub fn restart(&self, node: usize) {
        self.script(&["restart", &node.to_string()], None);
    }

    pub fn config(&self, topic: &str, role: Role) -> KafkaConfig {
        KafkaConfig::new(&self.bootstrap, topic, &format!("{topic}-group"), role)
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap()
    }

    /// A topic that takes records of 8 MiB.
    pub fn topic(&self, name: &str, partitions: i32) {
        self.topic_with(name, partitions, &[("max.message.bytes", "8388608")]);
    }

    pub fn topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let copies = if self.nodes >= 3 { 3 } else { 1 };
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin = self.admin();
        let made = block_on(admin.create_topics(&[topic], &options())).unwrap();
        assert_eq!(made, [Ok(name.to_owned())]);
        eventually("it is known", || {
            let known = admin.inner().fetch_metadata(Some(name), WAIT).unwrap();
            known
                .topics()
                .iter()
                .all(|t| t.error().is_none() && t.partitions().iter().all(|p| p.leader() >= 0))
        });
    }

    pub fn delete_topic(&self, name: &str) {
        let gone = block_on(self.admin().delete_topics(&[name], &options())).unwrap();
        assert_eq!(gone, [Ok(name.to_owned())]);
    }

    pub fn add_partitions(&self, name: &str, count: usize) {
        let more =
            block_on(self.admin().create_partitions(&[NewPartitions::new(name, count)], &options())).unwrap();
        assert_eq!(more, [Ok(name.to_owned())]);
    }

    fn script(&self, arguments: &[&str], extra: Option<(&Path, &str)>) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka.sh");
        let mut command = Command::new("bash");
        command
            .arg(script)
            .args(arguments)
            .env("KAFKA_HOME_DIR", &self.home)
            .env("KAFKA_LIB_DIR", target().join("test-kafka/lib"))
            .env("KAFKA_OWNER_PID", std::process::id().to_string());
        if let Some((extra, format)) = extra {
            command.env("KAFKA_EXTRA_PROPS", extra).env("KAFKA_FORMAT_ARGS", format);
        }
        let output = command.output().expect("bash is there");
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kafka.sh {arguments:?}: {said}{errors}");
        said.into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.script(&["stop"], None);
        }
    }
}

/// Waits until it is so.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < WAIT, "{what}: not within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Opens it and waits until it has every partition, as the only member of its group; each of them is read once, as a
/// worker does first.
pub fn open_alone(config: KafkaConfig) -> Kafka {
    let queue = Kafka::open(config).unwrap();
    eventually("all partitions are leased", || queue.leases().len() == queue.partitions() as usize);
    for partition in 0..queue.partitions() {
        let from = queue.committed(partition).unwrap();
        let _ = queue.read(partition, from, ALL, Duration::from_millis(1)).unwrap();
    }
    queue
}

pub fn target() -> PathBuf {
    // target/debug/deps/test
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).expect("a test lies in target/*/deps").to_owned()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(WAIT)).request_timeout(Some(WAIT))
}
