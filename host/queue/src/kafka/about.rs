//! What is asked of the cluster before anything is read or written: that the topic is there, and fit for its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use host_event::{Offset, Partition};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::{ClientConfig, ClientContext};

use super::common::Common;
use super::producer::Reports;
use crate::Error;

/// What was learned of a topic.
pub(super) struct About {
    pub(super) record_bytes_max: u64,
}

/// What Kafka takes where a topic says nothing else.
const RECORD_BYTES_MAX: u64 = 1_048_588;
/// A topic that was made a moment ago is not known to every broker.
const MADE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Settings that a topic may have, but better has not.
const RISKY: [(&str, &str, &str); 3] = [
    ("unclean.leader.election.enable", "true", "brokers may forget what they acknowledged"),
    ("min.insync.replicas", "1", "what is acknowledged may be on one broker only, and is lost with it"),
    ("message.timestamp.type", "CreateTime", "in which hour rows are is up to the clocks of producers"),
];
const ASK_MAX: Duration = Duration::from_secs(5);

/// The settings of the topic. What must not be is refused; what can not be seen is logged.
pub(super) fn settings(common: &Common) -> Result<About, Error> {
    let topic = common.topic();
    let mut about = About { record_bytes_max: RECORD_BYTES_MAX };
    if let Some(set) = common.config.option("message.max.bytes").and_then(|v| v.parse().ok()) {
        about.record_bytes_max = set;
    }
    let unseen = |what: &str| {
        tracing::warn!(
            topic,
            "the settings of the topic can not be read, so it is not checked for compaction: {what}"
        );
    };
    if common.config.oauth.is_some() {
        unseen("the client that asks for them has no way to get a token");
        return Ok(about);
    }
    let config = match describe(common.config.client(), topic) {
        Ok(config) => config,
        Err(e) => {
            unseen(&e.to_string());
            return Ok(about);
        }
    };
    let get = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
    if get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        return Err(Error::Config(format!(
            "topic {topic} is compacted (cleanup.policy={}): records would vanish before they are counted; set \
             cleanup.policy=delete",
            get("cleanup.policy").unwrap_or_default()
        )));
    }
    for (name, bad, why) in RISKY {
        if get(name) == Some(bad) {
            tracing::warn!(topic, "the topic has {name}={bad}: {why}");
        }
    }
    if common.config.option("message.max.bytes").is_none()
        && let Some(max) = get("max.message.bytes").and_then(|max| max.parse().ok())
    {
        about.record_bytes_max = max;
    }
    Ok(about)
}

/// Waits until a broker answers, and takes from it how many partitions there are.
pub(super) fn meet<C: ClientContext>(client: &Client<C>, common: &Common) -> Result<(), Error> {
    let topic = common.topic();
    let begun = Instant::now();
    loop {
        let error = match client.fetch_metadata(Some(topic), Duration::from_secs(2)) {
            Ok(metadata) => match metadata.topics().iter().find(|t| t.name() == topic) {
                Some(about) if about.error().is_none() && !about.partitions().is_empty() => {
                    common.answered(about);
                    return Ok(());
                }
                Some(about) => about.error().map_or(RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::from),
                None => RDKafkaErrorCode::UnknownTopic,
            },
            Err(e) => e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
        };
        let late = begun.elapsed() > common.config.open_wait_max;
        match error {
            RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition
                if late || begun.elapsed() > MADE_WAIT_MAX =>
            {
                return Err(Error::Config(missing(common)));
            }
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                return Err(Error::Config(format!("topic {topic}: this user may not see it ({error})")));
            }
            _ if late => {
                let (brokers, said) = (&common.config.brokers, common.last_error());
                return Err(Error::Away(format!("no broker of {brokers} answered: {error}: {said}")));
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The same for a process that only consumes: how much it may fetch ahead depends on how many partitions there are.
pub(super) fn meet_alone(common: &Arc<Common>) -> Result<(), Error> {
    let client = common.config.client();
    let reports = Reports::new(common.clone(), 0);
    let client: BaseProducer<Reports> = BaseProducer::from_config_and_context(&client, reports)
        .map_err(|e| Error::Config(format!("kafka client: {e}")))?;
    polled(|wait| client.poll(wait), || meet(client.client(), common))
}

/// Asks with a client that nobody polls else: somebody must, or it gets no token.
pub(super) fn polled<T>(poll: impl Fn(Duration) + Sync, ask: impl FnOnce() -> T) -> T {
    let answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !answered.load(Relaxed) {
                poll(Duration::from_millis(20));
            }
        });
        let answer = ask();
        answered.store(true, Relaxed);
        answer
    })
}

/// Connects to every leader, so that the first append need not.
pub(super) fn greet<C: ClientContext>(client: &Client<C>, common: &Common) {
    let Ok(metadata) = client.fetch_metadata(Some(common.topic()), ASK_MAX) else { return };
    let mut met = Vec::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        if partition.leader() < 0 || met.contains(&partition.leader()) {
            continue;
        }
        met.push(partition.leader());
        if let Ok((_, end)) = client.fetch_watermarks(common.topic(), partition.id(), ASK_MAX) {
            common.ends.raise(partition.id().max(0) as Partition, end.max(0) as Offset);
        }
    }
}

/// Says how a topic is made that is not there.
fn missing(common: &Common) -> String {
    let (topic, brokers) = (common.topic(), &common.config.brokers);
    format!(
        "topic {topic} does not exist; make it with: kafka-topics.sh --bootstrap-server {brokers} --create --topic \
         {topic} --partitions 12 --replication-factor 3 --config min.insync.replicas=2"
    )
}

fn describe(client: ClientConfig, topic: &str) -> Result<ConfigResource, KafkaError> {
    let admin = AdminClient::from_config_and_context(&client, Quiet)?;
    let options = AdminOptions::new().request_timeout(Some(ASK_MAX));
    let answer = block_on(admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options))?;
    answer.into_iter().next().unwrap_or(Err(RDKafkaErrorCode::UnknownTopic)).map_err(KafkaError::AdminOp)
}

/// What went wrong is in the answer.
struct Quiet;

impl ClientContext for Quiet {}
