//! A real Kafka cluster, of one node or of three: `kafka.sh` and the admin calls of librdkafka.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::home::PROJECT_ID;
use crate::tools;

/// How long an admin call may take; elections of a busy cluster are within it.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster. Dropped, it is stopped and its data is gone; it also stops when this process is gone.
pub struct Kafka {
    dir: TempDir,
    brokers: String,
    runtime: Runtime,
    admin: AdminClient<DefaultClientContext>,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub partition: i32,
    /// None if the group never committed.
    pub committed: Option<i64>,
    pub note: String,
    pub oldest: i64,
    pub end: i64,
}

impl Place {
    pub fn lag(&self) -> i64 {
        self.end - self.committed.unwrap_or(self.oldest).max(self.oldest)
    }
}

impl Kafka {
    /// A fresh cluster; `properties` are added to those of every node.
    pub fn start(nodes: u32, properties: &str) -> Result<Kafka> {
        let dir = tempfile::Builder::new().prefix("tamis-kafka-").tempdir()?;
        let extra = dir.path().join("extra.properties");
        std::fs::write(&extra, properties)?;
        let mut start = script(dir.path(), &["start", &nodes.to_string()])?;
        start.env("KAFKA_EXTRA_PROPS", &extra).env("KAFKA_OWNER_PID", std::process::id().to_string());
        let printed = tools::run(&mut start)?;
        let brokers = printed.lines().find_map(|line| line.strip_prefix("BOOTSTRAP="));
        let brokers = brokers.with_context(|| format!("kafka.sh printed {printed}"))?.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let admin = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
        Ok(Kafka { dir, brokers, runtime, admin })
    }

    /// `127.0.0.1:PORT,…` of all nodes.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    pub fn make_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
        let replicas = self.brokers.split(',').count().min(3) as i32;
        self.make(NewTopic::new(name, partitions, TopicReplication::Fixed(replicas)), partitions, settings)
    }

    /// The same with the nodes of every partition given; the first of them leads.
    pub fn make_topic_on(&self, name: &str, nodes: &[&[i32]], settings: &[(&str, &str)]) -> Result<()> {
        let topic = NewTopic::new(name, nodes.len() as i32, TopicReplication::Variable(nodes));
        self.make(topic, nodes.len() as i32, settings)
    }

    /// Publishes so many errors to one partition, as another producer would: JSON and two headers. Gives their ids.
    pub fn publish(&self, topic: &str, partition: i32, count: usize) -> Result<Vec<String>> {
        self.publish_large(topic, partition..partition + 1, count, 0)
    }

    /// The same to each of some partitions, with so many bytes of text in each event, which hardly compress.
    pub fn publish_large(
        &self,
        topic: &str,
        partitions: Range<i32>,
        count: usize,
        filler_bytes: usize,
    ) -> Result<Vec<String>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("acks", "all");
        // As Tamis does: a consumer gets whole batches.
        config.set("batch.size", "131072");
        let producer: FutureProducer = config.set("message.timeout.ms", "60000").create()?;
        let places: Vec<_> =
            partitions.flat_map(|p| std::iter::repeat_with(move || (p, event_id())).take(count)).collect();
        let send = |(partition, id): &(i32, String)| {
            let filler: String = std::iter::repeat_with(event_id).take(filler_bytes / id.len()).collect();
            let value = format!(
                r#"{{"event_id":"{id}","platform":"python","message":"published","extra":{{"x":"{filler}"}}}}"#
            );
            let header = |key, value| Header { key, value: Some(value) };
            let headers = OwnedHeaders::new()
                .insert(header("project_id", PROJECT_ID.to_string().as_str()))
                .insert(header("event_id", id.as_str()));
            let record =
                FutureRecord::<(), _>::to(topic).partition(*partition).payload(&value).headers(headers);
            producer.send_result(record).map_err(|(e, _)| e)
        };
        let sending = places.iter().map(send).collect::<Result<Vec<_>, _>>()?;
        self.runtime.block_on(async {
            for sent in sending {
                sent.await?.map_err(|(e, _)| e)?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
        Ok(places.into_iter().map(|(_, id)| id).collect())
    }

    /// Deletes a topic, and waits until all nodes have forgotten it.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let gone = self.runtime.block_on(self.admin.delete_topics(&[name], &options()))?;
        for result in gone {
            result.map_err(|(topic, code)| anyhow!("topic {topic} was not deleted: {code}"))?;
        }
        let begin = Instant::now();
        while self.leaders(name)?.is_some() {
            ensure!(begin.elapsed() < PATIENCE, "topic {name} is still there after {PATIENCE:?}");
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// From now on the topic has so many partitions.
    pub fn add_partitions(&self, name: &str, all: usize) -> Result<()> {
        let more = NewPartitions::new(name, all);
        let made = self.runtime.block_on(self.admin.create_partitions([&more], &options()))?;
        for result in made {
            result.map_err(|(topic, code)| anyhow!("topic {topic} got no partitions: {code}"))?;
        }
        Ok(())
    }

    /// Deletes what is before an offset of a partition, as retention does.
    pub fn forget(&self, name: &str, partition: i32, before: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(name, partition, Offset::Offset(before))?;
        let done = self.runtime.block_on(self.admin.delete_records(&list, &options()))?;
        for element in done.elements() {
            element.error()?;
        }
        Ok(())
    }

    /// Where the group stands, partition by partition.
    pub fn places(&self, topic: &str, group: &str) -> Result<Vec<Place>> {
        let consumer = self.observer(group)?;
        let partitions = self.leaders(topic)?.with_context(|| format!("there is no topic {topic}"))?.len();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions as i32 - 1);
        let committed: Vec<_> = {
            // Nothing of a list may be alive when the consumer is dropped: that hangs for ever.
            let answer = consumer.committed_offsets(list, CALL_TIME_MAX)?;
            let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
                let committed = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                (element.partition(), committed, element.metadata().to_owned())
            };
            answer.elements().iter().map(offset).collect()
        };
        let place = |(partition, committed, note)| -> Result<Place> {
            let (oldest, end) = consumer.fetch_watermarks(topic, partition, CALL_TIME_MAX)?;
            Ok(Place { partition, committed, note, oldest, end })
        };
        committed.into_iter().map(place).collect()
    }

    /// Writes a line for every record that the topic still has: partition, offset, timestamp, event id, begin of the value.
    pub fn dump(&self, topic: &str, into: &Path) -> Result<()> {
        let mut out = BufWriter::new(File::create(into)?);
        let consumer = self.observer("dump")?;
        let ends = self.places(topic, "dump")?;
        let mut list = TopicPartitionList::new();
        for place in ends.iter().filter(|place| place.end > place.oldest) {
            list.add_partition_offset(topic, place.partition, Offset::Offset(place.oldest))?;
        }
        consumer.assign(&list)?;
        drop(list);
        let mut left: HashMap<_, _> =
            ends.iter().filter(|p| p.end > p.oldest).map(|p| (p.partition, p.end)).collect();
        while !left.is_empty() {
            let message = consumer.poll(PATIENCE).context("a topic that does not end")??;
            let (partition, offset) = (message.partition(), message.offset());
            let id =
                message.headers().and_then(|headers| headers.iter().find(|header| header.key == "event_id"));
            let id =
                String::from_utf8_lossy(id.and_then(|header| header.value).unwrap_or_default()).into_owned();
            let value: String =
                String::from_utf8_lossy(message.payload().unwrap_or_default()).chars().take(160).collect();
            let time = message.timestamp().to_millis().unwrap_or_default();
            writeln!(out, "{partition}\t{offset}\t{time}\t{id}\t{}", value.replace(['\n', '\t'], " "))?;
            if left.get(&partition).is_some_and(|end| offset + 1 >= *end) {
                left.remove(&partition);
            }
        }
        Ok(())
    }

    /// Sets a group back or forward, as `kafka-consumer-groups --reset-offsets` does. The group must have no members.
    pub fn reset(&self, topic: &str, group: &str, partition: i32, to: i64) -> Result<()> {
        let consumer = self.observer(group)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(to))?;
        Ok(consumer.commit(&list, rdkafka::consumer::CommitMode::Sync)?)
    }

    /// The node that leads each partition (-1: none); None if there is no such topic.
    pub fn leaders(&self, topic: &str) -> Result<Option<Vec<i32>>> {
        // Not `fetch_metadata(Some(topic))`: that can not tell a topic that is gone from one that is not known yet.
        let metadata = self.admin.inner().fetch_metadata(None, CALL_TIME_MAX)?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        Ok(found.map(|t| {
            let mut leaders: Vec<_> = t.partitions().iter().map(|p| (p.id(), p.leader())).collect();
            leaders.sort_unstable();
            leaders.into_iter().map(|(_, leader)| leader).collect()
        }))
    }

    /// kill -9.
    pub fn kill(&self, node: u32) -> Result<()> {
        tools::run(&mut script(self.dir.path(), &["kill", &node.to_string()])?).map(drop)
    }

    /// Begins to start a node again on its data; it is ready when the command has ended well.
    pub fn begin_restart(&self, node: u32) -> Result<Child> {
        let mut restart = script(self.dir.path(), &["restart", &node.to_string()])?;
        restart.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        restart.spawn().context("could not run kafka.sh")
    }

    pub fn restart(&self, node: u32) -> Result<()> {
        let status = self.begin_restart(node)?.wait()?;
        ensure!(status.success(), "node {node} did not start again:\n{}", self.log_tail(node));
        Ok(())
    }

    /// SIGSTOP: the node hangs, with its connections open.
    pub fn pause(&self, node: u32) -> Result<()> {
        self.signal(node, Signal::STOP)
    }

    pub fn resume(&self, node: u32) -> Result<()> {
        self.signal(node, Signal::CONT)
    }

    pub fn pid(&self, node: u32) -> Result<u32> {
        Ok(std::fs::read_to_string(self.node(node).join("pid"))?.trim().parse()?)
    }

    pub fn log(&self, node: u32) -> PathBuf {
        self.node(node).join("server.log")
    }

    pub fn log_tail(&self, node: u32) -> String {
        tools::tail(&self.log(node))
    }

    fn make<'t>(
        &self,
        mut topic: NewTopic<'t>,
        partitions: i32,
        settings: &[(&'t str, &'t str)],
    ) -> Result<()> {
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let made = self.runtime.block_on(self.admin.create_topics([&topic], &options()))?;
        for result in made {
            result.map_err(|(topic, code)| anyhow!("topic {topic} was not made: {code}"))?;
        }
        self.wait_leaders(topic.name, partitions)
    }

    fn node(&self, node: u32) -> PathBuf {
        self.dir.path().join("run").join(node.to_string())
    }

    fn signal(&self, node: u32, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid(node)? as i32).context("a pid is not 0")?;
        Ok(kill_process(pid, signal)?)
    }

    fn wait_leaders(&self, topic: &str, partitions: i32) -> Result<()> {
        let begin = Instant::now();
        loop {
            let leaders = self.leaders(topic)?.unwrap_or_default();
            if leaders.len() == partitions as usize && leaders.iter().all(|leader| *leader > 0) {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                bail!("topic {topic} has the leaders {leaders:?} after {PATIENCE:?}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// A consumer that is not a member of the group, and only asks.
    fn observer(&self, group: &str) -> Result<BaseConsumer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", group);
        Ok(config.set("enable.auto.commit", "false").create()?)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Ok(mut stop) = script(self.dir.path(), &["stop"]) {
            drop(tools::run(&mut stop));
        }
    }
}

/// Unlike any other.
fn event_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CALL_TIME_MAX)).operation_timeout(Some(CALL_TIME_MAX))
}

/// The jars are shared by all tests; the script fetches them if they are not there.
fn script(home: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(tools::tests().join("kafka.sh"));
    command.args(arguments).env("KAFKA_HOME_DIR", home).env("KAFKA_START_TIMEOUT", "120");
    command.env("KAFKA_LIB_DIR", tools::target()?.join("test-kafka/lib"));
    Ok(command)
}
