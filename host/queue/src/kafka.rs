//! The queue in a topic of Kafka: one idempotent producer, one member of a consumer group.
//!
//! * `config`: what can be set, and what can not.
//! * `about`: what is asked of the cluster first.
//! * `producer`: appends. `consumer`: where to resume, `commits`; `leases`: which partitions; `reader`: their records.
//! * `record`: messages as records, also those of other producers.
//! * `look`: how far a group has committed, for whoever is no member of it.
//! * `common`: health, ends, counters. `watch`: asks every second who is there.

mod about;
mod commits;
mod common;
mod config;
mod consumer;
mod leases;
mod look;
mod producer;
mod reader;
mod record;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use host_event::{Offset, Partition, Record};
use parking_lot::Mutex;

pub use self::common::KafkaStats;
pub use self::config::{KafkaConfig, Oidc, Role, Token, TokenSource, check_options, oidc};

use self::common::Common;
use self::consumer::Consumer;
use self::producer::Producer;
use self::watch::Watch;
use crate::{Appending, Committed, Error, Lease, Queue, ReadLimit, Resume, Stored};

/// A topic of Kafka. It is closed when it is dropped.
pub struct Kafka {
    common: Arc<Common>,
    producer: Option<Arc<Producer>>,
    consumer: Option<Arc<Consumer>>,
    watch: Mutex<Option<Watch>>,
    cluster_id: String,
}

/// Beside the wait for the first broker: for the settings of the topic, the leaders, and the id of a producer.
const OPEN_RESERVE: Duration = Duration::from_secs(30);
/// So long a closing process waits for the delivery of what was appended.
const DELIVERY_WAIT_MAX: Duration = Duration::from_secs(10);

impl Kafka {
    /// Connects, and refuses what is unfit by name. Blocks until a broker answered, or for some seconds.
    pub fn open(config: KafkaConfig) -> Result<Kafka, Error> {
        config.check()?;
        let (brokers, at_most) = (config.brokers.clone(), config.open_wait_max + OPEN_RESERVE);
        let (opened, open) = sync_channel(1);
        // librdkafka waits by the wall clock: where that is set back meanwhile, it waits for as long as it was set back. Whoever starts
        // this process again does better.
        thread::Builder::new()
            .name("kafka-open".into())
            .spawn(move || {
                // If nobody waits any more, it is closed again.
                let _ = opened.send(Kafka::connect(config));
            })
            .map_err(|e| Error::Config(format!("thread kafka-open can not be started: {e}")))?;
        open.recv_timeout(at_most).unwrap_or_else(|_| {
            let seconds = at_most.as_secs();
            Err(Error::Away(format!("brokers {brokers}: the client did not come to an end within {seconds} s; was the clock set back?")))
        })
    }

    fn connect(config: KafkaConfig) -> Result<Kafka, Error> {
        let role = config.role;
        let common = Arc::new(Common::new(config));
        let about = about::settings(&common)?;
        let mut kafka = Kafka {
            common: common.clone(),
            producer: None,
            consumer: None,
            watch: Mutex::new(None),
            cluster_id: String::new(),
        };
        if role.produces() {
            let producer = Arc::new(Producer::open(common.clone(), about.record_bytes_max)?);
            kafka.producer = Some(producer.clone());
            producer.with_client(|client| about::meet(client, &common))?;
            producer.warm_up();
        }
        if role.consumes() {
            if kafka.producer.is_none() {
                about::meet_alone(&common)?;
            }
            kafka.consumer = Some(Arc::new(Consumer::open(common.clone(), about.record_bytes_max)?));
        }
        kafka.cluster_id = kafka.ask_cluster_id()?;
        *kafka.watch.lock() = Some(Watch::start(common, kafka.producer.clone(), kafka.consumer.clone())?);
        Ok(kafka)
    }

    /// How far the group has committed each partition, without taking part in it. Those that it never committed are left out.
    pub fn look(config: KafkaConfig) -> Result<Vec<Committed>, Error> {
        config.check()?;
        look::committed(&Arc::new(Common::new(config)))
    }

    /// The id that the cluster gave itself.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub fn stats(&self) -> KafkaStats {
        let counts = &self.common.counts;
        let waiting = &self.common.waiting;
        KafkaStats {
            rebalances: counts.rebalances.load(Relaxed),
            delivery_errors: counts.delivery_errors.load(Relaxed),
            commit_errors: counts.commit_errors.load(Relaxed),
            client_errors: counts.client_errors.load(Relaxed),
            producers_remade: counts.producers_remade.load(Relaxed),
            partitions_leased: self.leases().len() as u64,
            produce_queue_bytes: waiting.bytes.load(Relaxed),
            produce_queue_records: waiting.records.load(Relaxed),
            fetch_queue_bytes: counts.fetch_queue_bytes.load(Relaxed),
            round_trip_us: counts.round_trip_us.load(Relaxed),
        }
    }

    /// Gives the partitions back, and waits some seconds for the delivery of what was appended.
    pub fn close(&self) {
        drop(self.watch.lock().take());
        if let Some(consumer) = &self.consumer {
            consumer.close();
        }
        if let Some(producer) = &self.producer {
            producer.close(DELIVERY_WAIT_MAX);
        }
        self.common.bell.ring();
    }

    fn ask_cluster_id(&self) -> Result<String, Error> {
        let wait = Duration::from_secs(10);
        let id = match (&self.producer, &self.consumer) {
            (Some(producer), _) => producer.with_client(|client| client.fetch_cluster_id(wait)),
            (None, Some(consumer)) => consumer.with_client(|client| client.fetch_cluster_id(wait)).flatten(),
            (None, None) => None,
        };
        id.ok_or_else(|| {
            Error::Away(format!("no broker of {} says which cluster it is", self.common.config.brokers))
        })
    }

    /// What is leased is there, whatever the brokers last said of the topic.
    fn consumer(&self, partition: Partition) -> Result<&Consumer, Error> {
        let consumer = self.consumer.as_deref().filter(|consumer| consumer.has(partition));
        if consumer.is_none() {
            self.common.part(partition)?;
        }
        self.consumer.as_deref().ok_or(Error::Lost { partition })
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue for Kafka {
    fn source(&self) -> &str {
        &self.common.source
    }

    fn partitions(&self) -> u32 {
        self.common.ends.count()
    }

    fn append(&self, partition: Partition, records: Vec<Record>) -> Appending<'_> {
        Box::pin(async move {
            match &self.producer {
                Some(producer) => producer.append(partition, records).await,
                None => Err(Error::Config(
                    "this process only works off the topic, it does not write to it".into(),
                )),
            }
        })
    }

    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        self.consumer(partition)?.read(partition, from, limit, wait)
    }

    fn leases(&self) -> Vec<Lease> {
        self.consumer.as_ref().map_or(Vec::new(), |consumer| consumer.leases())
    }

    fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        self.common.bell.wait(seen, at_most)
    }

    fn resume(&self, partition: Partition) -> Result<Resume, Error> {
        self.consumer(partition)?.resume(partition).map(Resume::Shared)
    }

    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error> {
        self.consumer(partition)?.commit(partition, next)
    }

    fn commit_noted(&self, partition: Partition, next: Offset, note: &str) -> Result<(), Error> {
        self.consumer(partition)?.commit_noted(partition, next, note)
    }

    fn committed(&self, partition: Partition) -> Result<Offset, Error> {
        self.consumer(partition)?.committed(partition)
    }

    fn end(&self, partition: Partition) -> Offset {
        self.common.ends.get(partition)
    }

    fn health(&self) -> Result<(), Error> {
        self.common.health()
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn fetched_bytes(&self) -> u64 {
        self.common.counts.fetch_queue_bytes.load(Relaxed)
    }
}
