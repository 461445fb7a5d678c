//! Consumes the topic as a member of a group: one thread hears what the group says, workers read and commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use host_event::{Offset, Partition};
use parking_lot::{Mutex, RwLock};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

use super::commits::Commits;
use super::common::Common;
use super::leases::Group;
use super::look;
use super::reader::{Open, Slot};
use crate::{Error, Lease, ReadLimit, Shared, Stored};

pub(super) struct Consumer {
    common: Arc<Common>,
    /// None once it is closed.
    client: Arc<RwLock<Option<Open>>>,
    commits: Commits,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

const POLL: Duration = Duration::from_millis(100);
const ASK_MAX: Duration = Duration::from_secs(10);

impl Consumer {
    pub(super) fn open(common: Arc<Common>, record_bytes_max: u64) -> Result<Consumer, Error> {
        let config = common.config.consumer(common.ends.count(), record_bytes_max);
        let bad = |e: KafkaError| Error::Config(format!("kafka consumer: {e}"));
        let client =
            BaseConsumer::from_config_and_context(&config, Group::new(common.clone())).map_err(bad)?;
        let client = Arc::new(client);
        client.context().consumer.set(Arc::downgrade(&client)).expect("it was made just now");
        client.subscribe(&[common.topic()]).map_err(bad)?;
        let client = Arc::new(RwLock::new(Some(client)));
        let commits = Commits::start(client.clone())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, stopped) = (client.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || run(&polled, &stopped))
            .map_err(|e| Error::Config(format!("thread kafka-consumer can not be started: {e}")))?;
        Ok(Consumer { common, client, commits, stop, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        self.client.read().as_ref().map_or(Vec::new(), |client| client.context().leases())
    }

    pub(super) fn has(&self, partition: Partition) -> bool {
        self.client.read().as_ref().is_some_and(|client| client.context().slot(partition).is_some())
    }

    pub(super) fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        let client = self.client()?;
        let slot = client.context().slot(partition).ok_or(Error::Lost { partition })?;
        slot.read(&client, from, limit, wait)
    }

    pub(super) fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error> {
        leased(self.client()?.context(), partition)?;
        // At the very start there is nothing to say.
        if next <= self.committed(partition)? {
            return Ok(());
        }
        self.commit_noted(partition, next, "")
    }

    pub(super) fn commit_noted(&self, partition: Partition, next: Offset, note: &str) -> Result<(), Error> {
        let client = self.client()?;
        let slot = leased(client.context(), partition)?;
        if next > self.common.ends.get(partition) {
            let (_, end) = self.ask_watermarks(&client, partition)?;
            if next > end {
                let what = format!("offset {next} can not be committed, the log ends at {end}");
                return Err(Error::Corrupt { partition, offset: next, what });
            }
        }
        if slot.lease.is_lost() {
            return Err(Error::Lost { partition });
        }
        let answer = self.commits.commit(&slot.lease, next, note);
        answer.map_err(|e| self.refused(partition, e, &slot.lease))
    }

    pub(super) fn committed(&self, partition: Partition) -> Result<Offset, Error> {
        let client = self.client()?;
        match client.context().committed(partition) {
            Some(known) => Ok(known),
            None => Ok(self.ask_committed(&client, partition)?.0.unwrap_or(0)),
        }
    }

    pub(super) fn resume(&self, partition: Partition) -> Result<Shared, Error> {
        let client = self.client()?;
        let (committed, note) = self.ask_committed(&client, partition)?;
        let (oldest, end) = self.ask_watermarks(&client, partition)?;
        Ok(Shared { committed, note, oldest, end })
    }

    /// Asks the brokers with the consumer's own connections.
    pub(super) fn with_client<T>(&self, ask: impl FnOnce(&rdkafka::client::Client<Group>) -> T) -> Option<T> {
        let client = self.client.read().clone();
        client.map(|client| ask(client.client()))
    }

    /// Leaves the group, so that others get the partitions at once.
    pub(super) fn close(&self) {
        self.commits.close();
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        let client = self.client.write().take();
        if let Some(client) = &client {
            client.context().lose_all();
        }
        // The last one to let go of it leaves the group, which takes an answer of the coordinator.
        drop(client);
    }

    fn client(&self) -> Result<Open, Error> {
        self.client.read().clone().ok_or(Error::Closed)
    }

    fn ask_committed(
        &self,
        client: &BaseConsumer<Group>,
        partition: Partition,
    ) -> Result<(Option<Offset>, String), Error> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.common.topic(), partition as i32);
        let away = |e: KafkaError| look::away(&self.common, Some(partition), &e);
        // Closing the client waits for this list to be dropped.
        let list = client.committed_offsets(list, ASK_MAX).map_err(away)?;
        let element = list.find_partition(self.common.topic(), partition as i32);
        let element = element.ok_or_else(|| away(KafkaError::NoMessageReceived))?;
        let committed = look::of_partition(&self.common, &element)?;
        Ok(committed.map_or((None, String::new()), |c| (Some(c.next), c.note)))
    }

    fn ask_watermarks(
        &self,
        client: &BaseConsumer<Group>,
        partition: Partition,
    ) -> Result<(Offset, Offset), Error> {
        let topic = self.common.topic();
        let (low, high) = client
            .fetch_watermarks(topic, partition as i32, ASK_MAX)
            .map_err(|e| Error::Away(format!("topic {topic} partition {partition}: {e}")))?;
        let (low, high) = (low.max(0) as Offset, high.max(0) as Offset);
        self.common.ends.set(partition, high);
        Ok((low, high))
    }

    fn refused(&self, partition: Partition, error: RDKafkaErrorCode, lease: &Lease) -> Error {
        use RDKafkaErrorCode::{FencedInstanceId, IllegalGeneration, StaleMemberEpoch, UnknownMemberId};
        self.common.counts.commit_errors.fetch_add(1, Relaxed);
        tracing::warn!(topic = self.common.topic(), partition, "commit failed: {error}");
        let gone = matches!(error, FencedInstanceId | IllegalGeneration | StaleMemberEpoch | UnknownMemberId);
        if lease.is_lost() || gone {
            return Error::Lost { partition };
        }
        let (topic, group) = (self.common.topic(), &self.common.config.group);
        Error::Away(format!("group {group} topic {topic} partition {partition}: commit: {error}"))
    }
}

fn leased(group: &Group, partition: Partition) -> Result<Arc<Slot>, Error> {
    group.slot(partition).filter(|slot| !slot.lease.is_lost()).ok_or(Error::Lost { partition })
}

/// Serves rebalances and statistics until it is stopped.
fn run(client: &RwLock<Option<Open>>, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        let Some(client) = client.read().clone() else { return };
        let group = client.context();
        match client.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                // It was fetched before its partition had a queue of its own. Who reads there fetches it again.
                let slot = Partition::try_from(message.partition()).ok().and_then(|p| group.slot(p));
                if let Some(slot) = slot {
                    slot.torn.store(true, Relaxed);
                    group.common.bell.ring();
                }
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                group.common.fail(format!("group {}: {code}", group.common.config.group));
                group.lose_all();
                thread::sleep(POLL);
            }
            // It was logged and counted when it came.
            Some(Err(_)) => {}
        }
    }
}
