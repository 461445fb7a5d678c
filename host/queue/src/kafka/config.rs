//! What is to be known of a cluster before it is asked anything: checked, and turned into librdkafka's own properties.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use host_event::ProjectId;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::Error;

/// What a process does with the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Both,
    Produce,
    Consume,
}

impl Role {
    pub fn produces(self) -> bool {
        self != Role::Consume
    }

    pub fn consumes(self) -> bool {
        self != Role::Produce
    }
}

/// A token for SASL/OAUTHBEARER.
#[derive(Clone)]
pub struct Token {
    pub token: String,
    pub principal: String,
    /// When it ends, in milliseconds since 1970.
    pub ends_at: i64,
}

/// Gets a new token. It may block, and is asked again before the last one ends.
pub type TokenSource = Arc<dyn Fn() -> Result<Token, String> + Send + Sync>;

/// Where tokens come from if `sasl.oauthbearer.method = "oidc"`: a client-credentials grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    pub endpoint: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
}

#[derive(Clone)]
pub struct KafkaConfig {
    pub brokers: String,
    pub topic: String,
    pub group: String,
    pub role: Role,
    /// The project of records that name none. Without it they are bad records.
    pub default_project: Option<ProjectId>,
    /// All that is fetched ahead for all partitions of this process, together.
    pub fetch_bytes_max: u64,
    /// All that waits for its delivery report.
    pub produce_bytes_max: u64,
    /// So long an open waits for the first answer of a broker.
    pub open_wait_max: Duration,
    /// librdkafka's properties by name, as [`check_options`] takes them.
    pub options: Vec<(String, String)>,
    /// Where the tokens of OAUTHBEARER come from.
    pub oauth: Option<TokenSource>,
}

impl KafkaConfig {
    pub fn new(brokers: &str, topic: &str, group: &str, role: Role) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            group: group.to_owned(),
            role,
            default_project: None,
            fetch_bytes_max: 64 << 20,
            produce_bytes_max: 64 << 20,
            open_wait_max: Duration::from_secs(15),
            options: Vec::new(),
            oauth: None,
        }
    }

    /// Whether a client can be made of it. Asks nobody.
    pub fn check(&self) -> Result<(), Error> {
        for (name, value) in [("brokers", &self.brokers), ("topic", &self.topic), ("group", &self.group)] {
            if value.is_empty() || value.contains('\0') {
                return Err(Error::Config(format!("kafka {name} is empty")));
            }
        }
        if let Some((key, what)) = check_options(&self.options).into_iter().next() {
            return Err(Error::Config(format!("kafka option {key}: {what}")));
        }
        if oidc(&self.options).is_some() && self.oauth.is_none() {
            return Err(Error::Config(
                "kafka option sasl.oauthbearer.method: nothing was given that gets tokens".into(),
            ));
        }
        Ok(())
    }

    /// The name of the log, for the names of files: the topic in the letters that those may have.
    pub fn source(&self) -> String {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let letters = self.topic.chars().map(|c| c.to_ascii_lowercase());
        letters.map(|c| if fine(c) { c } else { '-' }).take(SOURCE_CHARS_MAX).collect()
    }

    /// What producer, consumer and the one who asks for the topic's settings have in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set_log_level(RDKafkaLogLevel::Info)
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tamis")
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("topic.metadata.refresh.sparse", "true")
            .set("allow.auto.create.topics", "false")
            .set("statistics.interval.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("socket.timeout.ms", "20000")
            .set("reconnect.backoff.max.ms", "2000");
        for (key, value) in &self.options {
            if !is_oidc(key) {
                client.set(key, value);
            }
        }
        client
    }

    /// `record_bytes_max` is what the topic takes.
    pub(super) fn producer(&self, record_bytes_max: u64) -> ClientConfig {
        let mut producer = self.client();
        self.default(&mut producer, "linger.ms", "5");
        self.default(&mut producer, "message.timeout.ms", "10000");
        self.default(&mut producer, "message.max.bytes", &record_bytes_max.to_string());
        self.default(&mut producer, "request.timeout.ms", "8000");
        // A consumer gets whole batches: what it fetches ahead for many partitions is bounded by this too.
        self.default(&mut producer, "batch.size", "131072");
        producer
            .set("enable.idempotence", "true")
            // How soon a new producer is seen to be ready.
            .set("statistics.interval.ms", "250")
            .set("acks", "all")
            // What waits is bounded before it gets here, so that an append is taken whole or not at all.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2147483647");
        producer
    }

    pub(super) fn consumer(&self, partitions: u32, record_bytes_max: u64) -> ClientConfig {
        let mut consumer = self.client();
        let session = self.option("session.timeout.ms").and_then(|v| v.parse().ok()).unwrap_or(6000_u64);
        if self.option("group.protocol") != Some("consumer") {
            consumer.set("partition.assignment.strategy", "cooperative-sticky");
            self.default(&mut consumer, "session.timeout.ms", &session.to_string());
            let heartbeat = (session / 4).clamp(1, 3000);
            self.default(&mut consumer, "heartbeat.interval.ms", &heartbeat.to_string());
        }
        // Each partition has its own queue, and librdkafka stops fetching for it above `queued`, by one fetch too late.
        let each = (self.fetch_bytes_max / u64::from(partitions.max(1)) / 2).clamp(FETCH_BYTES_MIN, 16 << 20);
        let whole = (self.fetch_bytes_max / 4).clamp(record_bytes_max.max(1 << 20), 64 << 20);
        self.default(&mut consumer, "queued.max.messages.kbytes", &(each >> 10).to_string());
        self.default(&mut consumer, "fetch.message.max.bytes", &each.to_string());
        self.default(&mut consumer, "fetch.max.bytes", &whole.to_string());
        self.default(&mut consumer, "message.max.bytes", &record_bytes_max.min(whole).to_string());
        self.default(&mut consumer, "fetch.queue.backoff.ms", "20");
        self.default(&mut consumer, "fetch.wait.max.ms", "250");
        consumer
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        consumer
    }

    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Sets what was not set by name.
    fn default(&self, client: &mut ClientConfig, key: &str, value: &str) {
        if ALIASES
            .iter()
            .find(|a| a.contains(&key))
            .unwrap_or(&[key].as_slice())
            .iter()
            .all(|k| self.option(k).is_none())
        {
            client.set(key, value);
        }
    }
}

impl fmt::Debug for KafkaConfig {
    /// Without options: they have passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KafkaConfig { brokers, topic, group, role, .. } = self;
        write!(f, "KafkaConfig {{ {brokers} {topic} {group} {role:?} }}")
    }
}

/// What is wrong with options of librdkafka, by key. Asks nobody.
pub fn check_options(options: &[(String, String)]) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (key, value) in options {
        if let Err(what) = check_option(key, value) {
            wrong.push((key.clone(), what));
        }
    }
    if options.iter().any(|(key, value)| key == OIDC_METHOD && value.eq_ignore_ascii_case("oidc")) {
        for key in ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.id"] {
            if !options.iter().any(|(k, _)| k == key) {
                wrong.push((
                    key.to_owned(),
                    "it is needed with sasl.oauthbearer.method = \"oidc\"".to_owned(),
                ));
            }
        }
    }
    wrong
}

/// Where tokens come from, if the options say that they come from an OpenID provider.
pub fn oidc(options: &[(String, String)]) -> Option<Oidc> {
    let get = |name: &str| options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if !get(OIDC_METHOD)?.eq_ignore_ascii_case("oidc") {
        return None;
    }
    Some(Oidc {
        endpoint: get("sasl.oauthbearer.token.endpoint.url")?,
        client_id: get("sasl.oauthbearer.client.id")?,
        client_secret: get("sasl.oauthbearer.client.secret").unwrap_or_default(),
        scope: get("sasl.oauthbearer.scope"),
    })
}

const SOURCE_CHARS_MAX: usize = 40;
/// A partition that got less in one fetch would be asked for too often.
const FETCH_BYTES_MIN: u64 = 64 << 10;

/// Two names of the same property.
const ALIASES: &[&[&str]] = &[
    &["linger.ms", "queue.buffering.max.ms"],
    &["message.timeout.ms", "delivery.timeout.ms"],
    &["fetch.message.max.bytes", "max.partition.fetch.bytes"],
];

/// Properties that would break a promise, or that have a key of their own, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is set by queue.kafka.brokers"),
    ("metadata.broker.list", "it is set by queue.kafka.brokers"),
    ("group.id", "it is set by queue.kafka.group"),
    ("acks", "an answer of 200 means that all in-sync replicas have the record"),
    ("request.required.acks", "an answer of 200 means that all in-sync replicas have the record"),
    ("enable.idempotence", "a send that is tried again would be in the topic twice"),
    ("enable.gapless.guarantee", "one record that can not be delivered would stop the producer"),
    ("transactional.id", "Tamis does not write in transactions"),
    ("enable.auto.commit", "an offset is committed when the rows before it are in the store, not earlier"),
    ("auto.commit.enable", "an offset is committed when the rows before it are in the store, not earlier"),
    (
        "auto.commit.interval.ms",
        "an offset is committed when the rows before it are in the store, not earlier",
    ),
    (
        "enable.auto.offset.store",
        "an offset is committed when the rows before it are in the store, not earlier",
    ),
    (
        "auto.offset.reset",
        "an offset that is not there stops its partition; a jump would lose records silently",
    ),
    (
        "topic.auto.offset.reset",
        "an offset that is not there stops its partition; a jump would lose records silently",
    ),
    ("enable.partition.eof", "an end that is told is of no use, and wakes the workers"),
    ("offset.store.method", "offsets are committed to the group"),
    ("plugin.library.paths", "nothing is loaded into the process"),
    ("queue.buffering.max.messages", "what waits for the brokers is bounded in bytes"),
    ("queue.buffering.max.kbytes", "what waits for the brokers is bounded, and refused above that"),
    ("statistics.interval.ms", "Tamis decides it: metrics come of it"),
    ("log_level", "set what is logged with RUST_LOG"),
    ("log.queue", "Tamis decides it"),
    ("allow.auto.create.topics", "a topic that is misspelt would be made"),
];

const OIDC_METHOD: &str = "sasl.oauthbearer.method";
const OIDC: &[&str] = &[
    OIDC_METHOD,
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.scope",
];

fn is_oidc(key: &str) -> bool {
    OIDC.contains(&key)
}

fn check_option(key: &str, value: &str) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
        return Err(format!("it can not be set: {why}"));
    }
    if key == "partition.assignment.strategy" && value != "cooperative-sticky" {
        return Err("only cooperative-sticky: others take every partition away at each rebalance".into());
    }
    if key == OIDC_METHOD && !["default", "oidc"].contains(&value.to_ascii_lowercase().as_str()) {
        return Err(format!("{value:?} is neither \"default\" nor \"oidc\""));
    }
    if is_oidc(key) {
        return Ok(());
    }
    if key.starts_with("sasl.oauthbearer.") && key != "sasl.oauthbearer.config" {
        return Err("this way to get a token is not built in, client credentials are".into());
    }
    if key.contains('\0') || value.contains('\0') {
        return Err("it has a zero byte in it".into());
    }
    match ClientConfig::new().set(key, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, what, _, _)) => Err(format!("librdkafka says: {what}")),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> String {
        check_options(&[(key.into(), value.into())])
            .into_iter()
            .map(|(k, what)| format!("{k}: {what}"))
            .collect()
    }

    #[test]
    fn what_is_wrong_with_an_option_is_said_by_name() {
        for (key, value, said) in [
            ("sesion.timeout.ms", "6000", "No such configuration property"),
            ("session.timeout.ms", "soon", "session.timeout.ms"),
            ("acks", "1", "all in-sync replicas"),
            ("enable.auto.commit", "true", "not earlier"),
            ("auto.offset.reset", "earliest", "lose records silently"),
            ("partition.assignment.strategy", "range", "only cooperative-sticky"),
            ("sasl.oauthbearer.method", "magic", "neither"),
            ("sasl.oauthbearer.grant.type", "x", "not built in"),
        ] {
            let what = check(key, value);
            assert!(what.contains(said) && what.contains(key), "{key} = {value}: {what}");
        }
        for (key, value) in [
            ("session.timeout.ms", "6000"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("compression.type", "zstd"),
            ("isolation.level", "read_uncommitted"),
            ("group.instance.id", "a"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ] {
            assert_eq!(check(key, value), "", "{key} = {value}");
        }
    }

    #[test]
    fn where_tokens_come_from() {
        let options = |list: &[(&str, &str)]| -> Vec<_> {
            list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let whole = options(&[
            ("sasl.oauthbearer.method", "OIDC"),
            ("sasl.oauthbearer.client.id", "tamis"),
            ("sasl.oauthbearer.token.endpoint.url", "https://id.example/token"),
        ]);
        assert!(check_options(&whole).is_empty());
        assert_eq!(oidc(&whole).unwrap().endpoint, "https://id.example/token");
        assert_eq!(oidc(&whole[1..]), None);
        assert_eq!(check_options(&whole[..1]).len(), 2);
        let mut config = KafkaConfig::new("h:1", "t", "g", Role::Both);
        config.options = whole;
        assert!(config.check().unwrap_err().to_string().contains("gets tokens"));
        config.oauth = Some(Arc::new(|| Err("no".into())));
        config.check().unwrap();
        config.client().create_native_config().unwrap();
    }

    #[test]
    fn a_source_has_the_letters_of_a_file_name() {
        let source = |topic: &str| KafkaConfig::new("h:1", topic, "g", Role::Both).source();
        assert_eq!(source("Tamis_events.v1"), "tamis-events-v1");
        assert_eq!(source(&"é".repeat(60)).len(), 40);
    }

    #[test]
    fn a_name_set_by_its_other_name_is_not_overwritten() {
        let mut config = KafkaConfig::new("h:1", "t", "g", Role::Both);
        config.options = vec![("queue.buffering.max.ms".into(), "70".into())];
        assert_eq!(config.producer(1000).get("linger.ms"), None);
        config.producer(1_000_000).create_native_config().unwrap();
        config.consumer(300, 1_000_000).create_native_config().unwrap();
    }
}
