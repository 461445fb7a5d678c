//! Appends: idempotent, to all in-sync replicas, and never more of them at once than memory was given for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host_event::{Partition, Record};
use parking_lot::{Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use tokio::sync::oneshot;

use super::about;
use super::common::Common;
use crate::Error;

pub(super) struct Producer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    common: Arc<Common>,
    /// The largest record that the topic takes, with its headers.
    record_bytes_max: u64,
    client: RwLock<Arc<Client>>,
    closed: AtomicBool,
    /// Nobody waits any more for what is on its way.
    abandoned: AtomicBool,
}

type Client = BaseProducer<Reports>;

/// librdkafka's own share of a record that waits.
const RECORD_OVERHEAD_BYTES: u64 = 300;
/// The frame of a batch of one record, which counts against the limit of the topic.
const BATCH_OVERHEAD_BYTES: u64 = 256;
const WARM_UP_MAX: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

impl Producer {
    pub(super) fn open(common: Arc<Common>, record_bytes_max: u64) -> Result<Producer, Error> {
        let client = client(&common, record_bytes_max)?;
        let client = RwLock::new(Arc::new(client));
        let (closed, abandoned) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { common, record_bytes_max, client, closed, abandoned });
        let own = shared.clone();
        let thread = thread::Builder::new()
            .name("kafka-producer".into())
            .spawn(move || own.run())
            .map_err(|e| Error::Config(format!("thread kafka-producer can not be started: {e}")))?;
        Ok(Producer { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Connects to all leaders and waits for the producer's id, which takes half a second: the first append need not.
    pub(super) fn warm_up(&self) {
        self.with_client(|client| about::greet(client, &self.shared.common));
        let deadline = Instant::now() + WARM_UP_MAX;
        while !self.shared.common.producer_ready.load(Relaxed) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ready when all of them are on all in-sync replicas.
    pub(super) async fn append(&self, partition: Partition, records: Vec<Record>) -> Result<(), Error> {
        if records.is_empty() {
            return self.shared.common.part(partition);
        }
        let done = self.shared.send(partition, &records)?;
        drop(records);
        done.await.unwrap_or_else(|_| Err(Error::Away("the producer ended".into())))
    }

    /// Asks the brokers with the producer's own connections.
    pub(super) fn with_client<T>(&self, ask: impl FnOnce(&rdkafka::client::Client<Reports>) -> T) -> T {
        let client = self.shared.client.read().clone();
        ask(client.client())
    }

    /// Waits for what is on its way, but not longer than that.
    pub(super) fn close(&self, at_most: Duration) {
        self.shared.closed.store(true, Relaxed);
        let deadline = Instant::now() + at_most;
        while self.shared.common.waiting.records.load(Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.shared.abandoned.store(true, Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Serves delivery reports until it is closed, and makes the client anew when it is past helping.
    fn run(&self) {
        loop {
            let client = self.client.read().clone();
            client.poll(POLL);
            if self.abandoned.load(Relaxed) {
                return;
            }
            let Some((code, what)) = client.client().fatal_error() else { continue };
            tracing::error!(error = %code, "the producer of topic {} is made anew: {what}", self.common.topic());
            self.common.counts.producers_remade.fetch_add(1, Relaxed);
            match self::client(&self.common, self.record_bytes_max) {
                // What the old one still has is reported as failed when it goes.
                Ok(new) => *self.client.write() = Arc::new(new),
                Err(e) => {
                    tracing::error!("no new producer: {e}");
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    fn send(
        &self,
        partition: Partition,
        records: &[Record],
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        self.common.part(partition)?;
        if self.closed.load(Relaxed) {
            return Err(Error::Closed);
        }
        let wire: Vec<Wire> = records.iter().map(Wire::new).collect();
        if let Some(large) = wire.iter().map(|w| w.bytes).find(|bytes| *bytes > self.record_bytes_max) {
            return Err(Error::TooLarge { bytes: large, max: self.record_bytes_max });
        }
        self.common.health()?;
        self.common.has_leader(partition)?;
        let bytes = wire.iter().map(|w| w.bytes + RECORD_OVERHEAD_BYTES).sum();
        self.common.reserve(bytes, wire.len() as u64)?;
        let (done, receiver) = oneshot::channel();
        let append = Arc::new(Append {
            left: AtomicUsize::new(wire.len()),
            failed: Mutex::new(None),
            done: Mutex::new(Some(done)),
            common: self.common.clone(),
            bytes,
            records: wire.len() as u64,
        });
        let client = self.client.read().clone();
        for (sent, wire) in wire.into_iter().enumerate() {
            let value = &wire.value[..];
            let record: BaseRecord<'_, [u8], [u8], Arc<Append>> =
                BaseRecord::with_opaque_to(self.common.topic(), append.clone())
                    .partition(partition as i32)
                    .headers(wire.headers)
                    .payload(value);
            if let Err((e, _)) = client.send(record) {
                self.common.undelivered(partition, &e.to_string());
                append.fail(&e, self.record_bytes_max);
                append.reported(append.records as usize - sent);
                break;
            }
        }
        Ok(receiver)
    }
}

fn client(common: &Arc<Common>, record_bytes_max: u64) -> Result<Client, Error> {
    let config = common.config.producer(record_bytes_max + BATCH_OVERHEAD_BYTES);
    let reports = Reports::new(common.clone(), record_bytes_max);
    BaseProducer::from_config_and_context(&config, reports)
        .map_err(|e| Error::Config(format!("kafka producer: {e}")))
}

/// A record as it goes over the wire.
struct Wire {
    headers: OwnedHeaders,
    value: bytes::Bytes,
    bytes: u64,
}

impl Wire {
    fn new(record: &Record) -> Wire {
        let (value, list) = (record.value(), record.headers());
        let mut bytes = value.len() as u64 + BATCH_OVERHEAD_BYTES;
        let mut headers = OwnedHeaders::new_with_capacity(list.len());
        for (key, value) in &list {
            bytes += (key.len() + value.len() + 4) as u64;
            headers = headers.insert(Header { key, value: Some(value) });
        }
        Wire { headers, value, bytes }
    }
}

/// One append, of which records are on their way.
pub(super) struct Append {
    left: AtomicUsize,
    failed: Mutex<Option<Error>>,
    done: Mutex<Option<oneshot::Sender<Result<(), Error>>>>,
    common: Arc<Common>,
    bytes: u64,
    records: u64,
}

impl Append {
    /// The first failure is the one that is told.
    fn fail(&self, error: &KafkaError, record_bytes_max: u64) {
        let too_large = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge);
        let error = match too_large && self.records == 1 {
            // The topic takes less than it did when the producer was made.
            true => Error::TooLarge { bytes: self.bytes, max: record_bytes_max.min(self.bytes - 1) },
            false => Error::Away(error.to_string()),
        };
        self.failed.lock().get_or_insert(error);
    }

    fn reported(&self, records: usize) {
        if self.left.fetch_sub(records, std::sync::atomic::Ordering::AcqRel) != records {
            return;
        }
        self.common.release(self.bytes, self.records);
        let result = self.failed.lock().take().map_or(Ok(()), Err);
        if let Some(done) = self.done.lock().take() {
            // Whoever appended may have gone.
            let _ = done.send(result);
        }
    }
}

/// What the client tells.
pub(super) struct Reports {
    common: Arc<Common>,
    record_bytes_max: u64,
    told: AtomicUsize,
}

impl Reports {
    pub(super) fn new(common: Arc<Common>, record_bytes_max: u64) -> Reports {
        Reports { common, record_bytes_max, told: AtomicUsize::new(0) }
    }
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    /// They come often, so that a new producer is soon seen to be ready. Later every fourth is enough.
    fn stats_raw(&self, statistics: &[u8]) {
        let ready = self.common.producer_ready.load(Relaxed);
        if ready && !self.told.fetch_add(1, Relaxed).is_multiple_of(4) {
            return;
        }
        match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) => self.common.statistics(&statistics),
            Err(e) => tracing::debug!("statistics of the producer: {e}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.common.token()
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Append>;

    fn delivery(&self, result: &DeliveryResult<'_>, append: Arc<Append>) {
        match result {
            Ok(message) if message.offset() >= 0 => {
                self.common.delivered(message.partition() as Partition, message.offset() as u64 + 1);
            }
            Ok(_) => {}
            Err((e, message)) => {
                self.common.undelivered(message.partition() as Partition, &e.to_string());
                append.fail(e, self.record_bytes_max);
            }
        }
        append.reported(1);
    }
}
