//! What producer, consumer and watcher of one topic tell each other: health, ends of partitions, counters.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use host_event::{Offset, Partition};
use parking_lot::{Mutex, RwLock};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::statistics::Statistics;

use super::config::KafkaConfig;
use crate::Error;
use crate::bell::Bell;

pub(super) struct Common {
    pub(super) config: KafkaConfig,
    pub(super) source: String,
    pub(super) bell: Bell,
    pub(super) ends: Ends,
    pub(super) counts: Counts,
    pub(super) waiting: Waiting,
    /// The producer has the id without which it can not send.
    pub(super) producer_ready: AtomicBool,
    health: Mutex<Health>,
}

/// Counters and gauges, as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KafkaStats {
    /// How often partitions were given to this process or taken from it.
    pub rebalances: u64,
    /// Records that were given up by the producer or refused by a broker.
    pub delivery_errors: u64,
    pub commit_errors: u64,
    /// Fetches that failed, and errors that a broker or the network reported.
    pub client_errors: u64,
    /// Producers that had to be made anew after an error that idempotence can not survive.
    pub producers_remade: u64,
    pub partitions_leased: u64,
    /// What waits for its delivery report.
    pub produce_queue_bytes: u64,
    pub produce_queue_records: u64,
    /// What was fetched and not yet read.
    pub fetch_queue_bytes: u64,
    /// Mean time from a request to its answer within the last second, of the slowest broker.
    pub round_trip_us: u64,
}

impl KafkaStats {
    /// For `/metrics`: name, what it is, and its value. What ends in `_total` only grows.
    pub fn metrics(&self) -> [(&'static str, &'static str, f64); 10] {
        let metric = |name, help, value: u64| (name, help, value as f64);
        [
            metric(
                "tamis_kafka_rebalances_total",
                "Partitions were given to this process, or taken away",
                self.rebalances,
            ),
            metric(
                "tamis_kafka_delivery_errors_total",
                "Records that the brokers did not take",
                self.delivery_errors,
            ),
            metric("tamis_kafka_commit_errors_total", "Commits that failed", self.commit_errors),
            metric(
                "tamis_kafka_client_errors_total",
                "Errors that brokers or connections reported",
                self.client_errors,
            ),
            metric(
                "tamis_kafka_producers_remade_total",
                "Producers made anew after an error that ends idempotence",
                self.producers_remade,
            ),
            metric(
                "tamis_kafka_partitions_leased",
                "Partitions that this process works off",
                self.partitions_leased,
            ),
            metric(
                "tamis_kafka_produce_queue_bytes",
                "What waits for its acknowledgement",
                self.produce_queue_bytes,
            ),
            metric(
                "tamis_kafka_produce_queue_records",
                "Records that wait for their acknowledgement",
                self.produce_queue_records,
            ),
            metric(
                "tamis_kafka_fetch_queue_bytes",
                "What was fetched and not yet worked off",
                self.fetch_queue_bytes,
            ),
            (
                "tamis_kafka_round_trip_seconds",
                "Mean time to an answer of the slowest broker, in the last second",
                self.round_trip_us as f64 / 1e6,
            ),
        ]
    }
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) rebalances: AtomicU64,
    pub(super) delivery_errors: AtomicU64,
    pub(super) commit_errors: AtomicU64,
    pub(super) client_errors: AtomicU64,
    pub(super) producers_remade: AtomicU64,
    pub(super) fetch_queue_bytes: AtomicU64,
    pub(super) round_trip_us: AtomicU64,
}

/// What was given to the producer and not reported yet.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) bytes: AtomicU64,
    pub(super) records: AtomicU64,
}

/// The end of each partition as far as it is known; 0 where nothing is. There are as many as the topic has partitions.
#[derive(Default)]
pub(super) struct Ends(RwLock<Vec<AtomicU64>>);

struct Health {
    answered: Instant,
    /// What the last error said, for whoever asks why nobody answers.
    said: String,
    /// What is wrong with the topic or the group until somebody does something about it.
    wrong: Option<String>,
    /// What no later answer can heal.
    fatal: Option<String>,
    undelivered: Option<(Instant, String)>,
    /// When a record was delivered last, or the first of those that wait was given to the producer.
    moved: Instant,
    leaderless: HashMap<Partition, Instant>,
    /// Since when the brokers tell of fewer partitions than there were.
    fewer_since: Option<Instant>,
}

/// A broker that lags tells of fewer partitions for a moment. For longer than this it is the topic that was made anew.
const FEWER_TIME_MIN: Duration = Duration::from_secs(20);
/// For so long nobody need answer: a broker is restarted, a leader elected.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// For so long a failed delivery refuses new records. Then one is tried again.
const REFUSES_FOR: Duration = Duration::from_secs(2);

impl Common {
    pub(super) fn new(config: KafkaConfig) -> Common {
        let health = Health {
            answered: Instant::now(),
            said: String::new(),
            wrong: None,
            fatal: None,
            undelivered: None,
            moved: Instant::now(),
            leaderless: HashMap::new(),
            fewer_since: None,
        };
        Common {
            source: config.source(),
            config,
            bell: Bell::default(),
            ends: Ends::default(),
            counts: Counts::default(),
            waiting: Waiting::default(),
            producer_ready: AtomicBool::new(false),
            health: Mutex::new(health),
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.config.topic
    }

    pub(super) fn part(&self, partition: Partition) -> Result<(), Error> {
        match self.ends.count() {
            count if partition < count => Ok(()),
            count => Err(Error::Config(format!(
                "topic {} has partitions 0 to {}, there is no {partition}",
                self.topic(),
                count.saturating_sub(1)
            ))),
        }
    }

    pub(super) fn health(&self) -> Result<(), Error> {
        let health = self.health.lock();
        let away = |what: String| Err(Error::Away(what));
        if let Some(wrong) = health.fatal.as_ref().or(health.wrong.as_ref()) {
            return away(wrong.clone());
        }
        let silent = health.answered.elapsed();
        if silent > SILENCE_MAX {
            let (brokers, said) = (&self.config.brokers, &health.said);
            return away(format!("no broker of {brokers} answered for {} s: {said}", silent.as_secs()));
        }
        let (waiting, stuck) = (self.waiting.records.load(Relaxed), health.moved.elapsed());
        if waiting > 0 && stuck > SILENCE_MAX {
            let topic = self.topic();
            return away(format!(
                "topic {topic}: {waiting} records wait, none was taken for {} s",
                stuck.as_secs()
            ));
        }
        match &health.undelivered {
            Some((at, what)) if at.elapsed() < REFUSES_FOR => away(what.clone()),
            _ => Ok(()),
        }
    }

    /// Whether a partition can be appended to: it has had a leader a moment ago.
    pub(super) fn has_leader(&self, partition: Partition) -> Result<(), Error> {
        match self.health.lock().leaderless.get(&partition) {
            Some(since) if since.elapsed() > SILENCE_MAX => {
                Err(Error::Away(format!("topic {} partition {partition} has no leader", self.topic())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn delivered(&self, partition: Partition, next: Offset) {
        self.ends.raise(partition, next);
        // The lock is taken for each record that was delivered: it is never held for long.
        let mut health = self.health.lock();
        health.moved = Instant::now();
        if health.undelivered.is_some() {
            health.undelivered = None;
        }
    }

    /// Takes room for all of an append, or says how much there is.
    pub(super) fn reserve(&self, bytes: u64, records: u64) -> Result<(), Error> {
        let max = self.config.produce_bytes_max;
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        let fits = |used: u64| Some(used + bytes).filter(|sum| *sum <= max);
        self.waiting.bytes.fetch_update(Relaxed, Relaxed, fits).map_err(|used| Error::Full {
            path: format!("the memory before topic {}", self.topic()),
            used,
            max,
        })?;
        if self.waiting.records.fetch_add(records, Relaxed) == 0 {
            self.health.lock().moved = Instant::now();
        }
        Ok(())
    }

    pub(super) fn release(&self, bytes: u64, records: u64) {
        self.waiting.bytes.fetch_sub(bytes, Relaxed);
        self.waiting.records.fetch_sub(records, Relaxed);
    }

    pub(super) fn undelivered(&self, partition: Partition, what: &str) {
        self.counts.delivery_errors.fetch_add(1, Relaxed);
        let what = format!("topic {} partition {partition}: {what}", self.topic());
        self.health.lock().undelivered = Some((Instant::now(), what));
    }

    /// What the brokers say of the topic.
    pub(super) fn answered(&self, topic: &MetadataTopic) {
        let mut health = self.health.lock();
        health.answered = Instant::now();
        if let Some(error) = topic.error() {
            let error = RDKafkaErrorCode::from(error);
            health.wrong = Some(format!("topic {}: {error}", self.topic()));
            return;
        }
        health.wrong = None;
        let dark = |p: &&rdkafka::metadata::MetadataPartition| p.leader() < 0;
        let now: Vec<_> = topic.partitions().iter().filter(dark).map(|p| p.id() as Partition).collect();
        health.leaderless.retain(|partition, _| now.contains(partition));
        for partition in now {
            health.leaderless.entry(partition).or_insert_with(Instant::now);
        }
        let told = topic.partitions().len();
        if health.holds(told, self.ends.count() as usize) {
            self.ends.resize(told);
        }
    }

    pub(super) fn fail(&self, what: String) {
        self.health.lock().fatal = Some(what);
    }

    pub(super) fn last_error(&self) -> String {
        self.health.lock().said.clone()
    }

    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        match level {
            // A property of the producer given to the consumer, or the other way round.
            _ if facility == "CONFWARN" => tracing::debug!(target: "librdkafka", facility, "{message}"),
            Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", facility, "{message}"),
            Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            Notice | Info => tracing::info!(target: "librdkafka", facility, "{message}"),
            Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        if matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PartitionEOF)) {
            return;
        }
        self.counts.client_errors.fetch_add(1, Relaxed);
        // That all brokers are down says less than why one of them is, and comes many times a second.
        let is_vague = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let is_news = {
            let said = &mut self.health.lock().said;
            let is_news = said.is_empty() || !is_vague;
            if is_news {
                reason.clone_into(said);
            }
            is_news
        };
        // Not under the lock, which is taken for each record.
        match is_news {
            true => tracing::warn!(target: "librdkafka", "{error}: {reason}"),
            false => tracing::debug!(target: "librdkafka", "{error}: {reason}"),
        }
    }

    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let source = self.config.oauth.as_ref().ok_or("nothing was given that gets tokens")?;
        let token = source().inspect_err(|what| self.health.lock().said.clone_from(what))?;
        Ok(OAuthToken { token: token.token, principal_name: token.principal, lifetime_ms: token.ends_at })
    }

    /// Takes the ends and gauges out of what a client tells every second.
    pub(super) fn statistics(&self, statistics: &Statistics) {
        let rtt = |b: &rdkafka::statistics::Broker| b.rtt.as_ref().map_or(0, |w| w.avg.max(0) as u64);
        let slowest = statistics.brokers.values().map(rtt).max().unwrap_or(0);
        self.counts.round_trip_us.store(slowest, Relaxed);
        if statistics.eos.as_ref().is_some_and(|eos| eos.idemp_state == "Assigned") {
            self.producer_ready.store(true, Relaxed);
        }
    }
}

impl Health {
    /// Whether the topic has so many partitions now, where so many were known.
    fn holds(&mut self, told: usize, known: usize) -> bool {
        if told >= known {
            self.fewer_since = None;
            return true;
        }
        self.fewer_since.get_or_insert_with(Instant::now).elapsed() > FEWER_TIME_MIN
    }
}

impl Ends {
    pub(super) fn count(&self) -> Partition {
        self.0.read().len() as Partition
    }

    pub(super) fn get(&self, partition: Partition) -> Offset {
        self.0.read().get(partition as usize).map_or(0, |end| end.load(Relaxed))
    }

    pub(super) fn raise(&self, partition: Partition, end: Offset) {
        if let Some(known) = self.0.read().get(partition as usize) {
            known.fetch_max(end, Relaxed);
        }
    }

    /// What a broker was asked for: it may be less than before, where a topic was made anew.
    pub(super) fn set(&self, partition: Partition, end: Offset) {
        if let Some(known) = self.0.read().get(partition as usize) {
            known.store(end, Relaxed);
        }
    }

    /// A partition that the group gives is there, also if the topic was not asked since it was added.
    pub(super) fn grow_to_hold(&self, partition: Partition) {
        let mut ends = self.0.write();
        if ends.len() <= partition as usize {
            ends.resize_with(partition as usize + 1, AtomicU64::default);
        }
    }

    fn resize(&self, count: usize) {
        if self.0.read().len() != count {
            self.0.write().resize_with(count, AtomicU64::default);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kafka.md")).unwrap();
        for (name, help, _) in KafkaStats::default().metrics() {
            assert!(page.contains(&format!("| `{name}` | {help} |")), "{name} is not in docs/kafka.md");
        }
    }

    #[test]
    fn a_broker_that_lags_takes_no_partition_away() {
        let common = Common::new(KafkaConfig::new("h:1", "t", "g", super::super::config::Role::Both));
        let mut health = common.health.lock();
        assert!(health.holds(4, 2));
        assert!(!health.holds(2, 4));
        assert!(health.holds(4, 4) && health.fewer_since.is_none());
        assert!(!health.holds(2, 4));
        health.fewer_since = Instant::now().checked_sub(FEWER_TIME_MIN * 2);
        assert!(health.holds(2, 4), "the topic was made anew with fewer");
    }

    #[test]
    fn health_follows_what_happens() {
        let common = Common::new(KafkaConfig::new("h:1", "t", "g", super::super::config::Role::Both));
        common.health().unwrap();
        common.undelivered(3, "timed out");
        assert!(common.health().unwrap_err().to_string().contains("partition 3: timed out"));
        common.delivered(3, 1);
        common.health().unwrap();
        common.reserve(1000, 2).unwrap();
        common.health().unwrap();
        common.health.lock().moved = Instant::now().checked_sub(SILENCE_MAX * 2).unwrap();
        assert!(common.health().unwrap_err().to_string().contains("2 records wait"));
        common.release(1000, 2);
        common.health().unwrap();
        let max = common.config.produce_bytes_max;
        assert!(matches!(common.reserve(max + 1, 1), Err(Error::TooLarge { .. })));
        common.reserve(max, 1).unwrap();
        assert!(matches!(common.reserve(1, 1), Err(Error::Full { used, .. }) if used == max));
        common.health.lock().answered = Instant::now().checked_sub(SILENCE_MAX * 2).unwrap();
        assert!(common.health().unwrap_err().to_string().contains("no broker of h:1 answered"));
        common.fail("fenced".into());
        assert!(common.health().unwrap_err().to_string().contains("fenced"));
    }
}
