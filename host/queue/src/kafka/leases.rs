//! Which partitions the group gave to this process. What the client tells of it comes in on the consumer's thread.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use host_event::{Offset, Partition};
use parking_lot::{Mutex, RwLock};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset as Place, TopicPartitionList};

use super::common::Common;
use super::reader::Slot;
use crate::Lease;

/// This process as a member of the group.
pub(super) struct Group {
    pub(super) common: Arc<Common>,
    pub(super) consumer: OnceLock<Weak<BaseConsumer<Group>>>,
    slots: RwLock<HashMap<Partition, Arc<Slot>>>,
    /// What this process committed, since it has the partition.
    committed: Mutex<HashMap<Partition, Offset>>,
}

/// A rebalance waits for the answer.
const ASK_MAX: Duration = Duration::from_secs(2);

impl Group {
    pub(super) fn new(common: Arc<Common>) -> Group {
        Group { common, consumer: OnceLock::new(), slots: RwLock::default(), committed: Mutex::default() }
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        let mut leases: Vec<Lease> = self.slots.read().values().map(|slot| slot.lease.clone()).collect();
        leases.sort_unstable_by_key(|lease| lease.partition);
        leases
    }

    pub(super) fn slot(&self, partition: Partition) -> Option<Arc<Slot>> {
        self.slots.read().get(&partition).cloned()
    }

    pub(super) fn committed(&self, partition: Partition) -> Option<Offset> {
        self.committed.lock().get(&partition).copied()
    }

    pub(super) fn committed_now(&self, lease: &Lease, next: Offset) {
        // Not behind a lease that was lost meanwhile: the next owner may be far ahead when it comes back.
        if !lease.is_lost() {
            self.committed.lock().insert(lease.partition, next);
        }
    }

    pub(super) fn lose_all(&self) {
        let all: Vec<_> = self.slots.write().drain().collect();
        for (partition, slot) in all {
            self.committed.lock().remove(&partition);
            slot.lose();
        }
        self.common.bell.ring();
    }

    fn assigned(&self, consumer: &BaseConsumer<Group>, partitions: &[Partition], given: &TopicPartitionList) {
        let Some(consumer_arc) = self.consumer.get().and_then(Weak::upgrade) else {
            // It is being closed, and the group had not heard of that: librdkafka waits for ever for a word about what was given.
            let assigned = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_assign(given),
                _ => consumer.assign(given),
            };
            return self.said("assigned while closing", partitions, assigned);
        };
        let committed = self.ask_committed(consumer, partitions);
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut slots = Vec::with_capacity(partitions.len());
        for &partition in partitions {
            self.revoke(partition);
            self.common.ends.grow_to_hold(partition);
            // Before the client fetches anything, so that nothing gets into the common queue.
            let queue = consumer_arc.split_partition_queue(self.common.topic(), partition as i32);
            let Some(mut queue) = queue else { continue };
            let common = self.common.clone();
            queue.set_nonempty_callback(move || common.bell.ring());
            // Most often a worker begins there too. It is always a number: a place like the end of the log is asked for, and
            // the client takes an answer that comes behind a seek for a reason to go there.
            let from = committed.get(&partition).copied().unwrap_or(0);
            slots.push((partition, Arc::new(Slot::new(partition, from, queue))));
            let _ =
                list.add_partition_offset(self.common.topic(), partition as i32, Place::Offset(from as i64));
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
            _ => consumer.assign(&list),
        };
        // What others commit from now on is not to be asked for: whoever has lost the partition and does not know it yet
        // would take their commits for his own.
        self.committed.lock().extend(committed);
        self.slots.write().extend(slots);
        self.said("assigned", partitions, assigned);
    }

    /// Where the group is, of those partitions where that is known; 0 where it never committed. They can be read without it.
    fn ask_committed(
        &self,
        consumer: &BaseConsumer<Group>,
        partitions: &[Partition],
    ) -> HashMap<Partition, Offset> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition(self.common.topic(), partition as i32);
        }
        let known = match consumer.committed_offsets(list, ASK_MAX) {
            Ok(known) => known,
            Err(e) => {
                tracing::debug!(topic = self.common.topic(), "committed offsets: {e}");
                return HashMap::new();
            }
        };
        let known = known.elements_for_topic(self.common.topic()).into_iter().filter_map(|element| {
            element.error().ok()?;
            let offset = match element.offset() {
                Place::Offset(offset) => Offset::try_from(offset).ok()?,
                _ => 0,
            };
            Some((Partition::try_from(element.partition()).ok()?, offset))
        });
        known.collect()
    }

    fn revoked(&self, consumer: &BaseConsumer<Group>, partitions: &[Partition], list: &TopicPartitionList) {
        // First everybody is told, then those who are in the middle of a read are waited for.
        for partition in partitions {
            if let Some(slot) = self.slot(*partition) {
                slot.lease.lose();
            }
        }
        self.common.bell.ring();
        for &partition in partitions {
            self.revoke(partition);
        }
        let revoked = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        };
        self.said("revoked", partitions, revoked);
    }

    fn revoke(&self, partition: Partition) {
        let slot = self.slots.write().remove(&partition);
        self.committed.lock().remove(&partition);
        if let Some(slot) = slot {
            slot.lose();
        }
    }

    fn said(&self, what: &str, partitions: &[Partition], result: Result<(), KafkaError>) {
        self.common.counts.rebalances.fetch_add(1, Relaxed);
        let (topic, group) = (self.common.topic(), &self.common.config.group);
        match result {
            Ok(()) => tracing::info!(topic, group, ?partitions, "{what}"),
            Err(e) => tracing::error!(topic, group, ?partitions, "{what}: {e}"),
        }
        self.common.bell.ring();
    }
}

impl ClientContext for Group {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.common.statistics(&statistics);
        let Some(topic) = statistics.topics.get(self.common.topic()) else { return };
        let mut queued = 0;
        for (partition, of) in &topic.partitions {
            let Ok(partition) = Partition::try_from(*partition) else { continue };
            queued += of.fetchq_size;
            let Ok(end) = Offset::try_from(of.ls_offset) else { continue };
            let fetched = of.next_offset == of.ls_offset && of.fetchq_cnt == 0;
            match self.slot(partition).and_then(|slot| slot.read_up(end, fetched)) {
                Some(last) => self.common.ends.set(partition, last),
                None => self.common.ends.raise(partition, end),
            }
        }
        self.common.counts.fetch_queue_bytes.store(queued, Relaxed);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.common.token()
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Group>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let own = list.elements_for_topic(self.common.topic());
        let partitions: Vec<_> = own.iter().filter_map(|e| Partition::try_from(e.partition()).ok()).collect();
        drop(own);
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assigned(consumer, &partitions, list)
            }
            _ => self.revoked(consumer, &partitions, list),
        }
    }
}
