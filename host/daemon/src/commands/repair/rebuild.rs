//! Builds the table files of a range anew, from a shared queue, beside the workers that read it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use host_event::{Millis, Offset, Partition};
use host_pipeline::{ChunkPlace, Found, Plans, Reply, Sink, rebuild};
use host_queue::{Queue, ReadLimit};
use host_sink::fleet::{self, Fleet};
use host_sink::repair::Lost;
use host_sink::store::{Store, StoreShelf};
use host_sink::{ParquetSink, SinkConfig};
use tokio::runtime::Handle;

use crate::cli::Role;
use crate::config::HostConfig;
use crate::generations::Generations;
use crate::queue::{self, Opened, source_of};
use crate::{clock, components};

pub(super) struct Rebuilder {
    opened: Opened,
    queue: Arc<dyn Queue>,
    sink: ParquetSink,
    plans: Arc<dyn Plans>,
    source: String,
    most: ReadLimit,
}

/// How long a group of its own takes to get its partitions, and a broker to answer.
const LEASE_WAIT_MAX: Duration = Duration::from_secs(60);
const LEASE_LOOK: Duration = Duration::from_millis(100);
const READ_WAIT: Duration = Duration::from_secs(20);

impl Rebuilder {
    /// Reads as the only member of a group of its own, so that no worker loses a partition, and commits nothing.
    pub(super) fn open(host: &HostConfig, tokio: &Handle, source: &str) -> anyhow::Result<Rebuilder> {
        let mut kafka = host.kafka.clone().context("only a shared queue has what is committed")?;
        kafka.group = format!("{}-repair-{:08x}", kafka.group, clock::random() as u32);
        let (topic, brokers) = (kafka.topic.clone(), kafka.brokers.clone());
        let own = HostConfig { kafka: Some(kafka), ..host.clone() };
        let opened = queue::open(&own, Role::Work)?;
        let queue = opened.queue();
        let nonce = u128::from(clock::random()) << 64 | u128::from(clock::random());
        let name = source_of(queue.source());
        ensure!(
            name == source,
            "the chunk is of {source}, and the queue of the configuration, topic {topic} of {brokers}, is {name}"
        );
        let sink = ParquetSink::open(&host.store_url, SinkConfig::new(&name), nonce, tokio.clone())?;
        if let Opened::Kafka(kafka, _) = &opened {
            check_fleet(&*sink.store(), source, kafka.cluster_id(), &topic)?;
        }
        let shelf = Arc::new(StoreShelf(sink.store()));
        let plans = Arc::new(Generations::new(shelf, components::runtime(host)?, 1));
        let most = ReadLimit { records_max: host.batch_events_max, bytes_max: host.batch_bytes_max };
        Ok(Rebuilder { opened, queue, sink, plans, source: name, most })
    }

    pub(super) fn rebuild(&self, lost: &Lost) -> anyhow::Result<()> {
        let Lost { ref source, partition, epoch, start, end, queued_at, last_queued_at, .. } = *lost;
        ensure!(*source == self.source, "it is of {source}, and this queue is {}", self.source);
        self.wait_for(partition)?;
        self.check(partition, start, queued_at)?;
        if let Some(last_queued_at) = last_queued_at {
            self.check(partition, end - 1, last_queued_at)?;
        }
        let place = ChunkPlace { partition, epoch, start, queued_at };
        let found: Found = match self.sink.find(place).run()? {
            Reply::Found(found) => found,
            _ => bail!("its ledger is gone"),
        };
        rebuild(place, found, &*self.queue, &self.sink, &self.plans, self.most)?;
        Ok(())
    }

    fn wait_for(&self, partition: Partition) -> anyhow::Result<()> {
        let deadline = Instant::now() + LEASE_WAIT_MAX;
        while !self.queue.leases().iter().any(|lease| lease.partition == partition && !lease.is_lost()) {
            ensure!(
                Instant::now() < deadline,
                "partition {partition} can not be read: the group did not get it"
            );
            thread::sleep(LEASE_LOOK);
        }
        Ok(())
    }

    /// A topic that was made anew has other records at the same offsets.
    fn check(&self, partition: Partition, offset: Offset, queued_at: Millis) -> anyhow::Result<()> {
        let one = ReadLimit { records_max: 1, bytes_max: self.most.bytes_max };
        let read = self.queue.read(partition, offset, one, READ_WAIT);
        let read = read.with_context(|| format!("the queue no longer has offset {offset}"))?;
        let first = read.first().with_context(|| format!("the queue gives no offset {offset}"))?;
        ensure!(
            first.offset == offset,
            "the queue no longer has offset {offset}, only {} and later",
            first.offset
        );
        ensure!(
            first.queued_at == queued_at,
            "the queue has another record at offset {offset}, of {} and not of {queued_at} ms: the topic was made anew",
            first.queued_at
        );
        Ok(())
    }

    pub(super) fn close(self) {
        if let Err(e) = self.opened.close() {
            tracing::debug!("the queue does not close: {e:#}");
        }
    }
}

/// The log that fills the store must be the one that is read. Its group is another one here.
fn check_fleet(store: &dyn Store, source: &str, cluster: &str, topic: &str) -> anyhow::Result<()> {
    let path = fleet::path(source);
    let Some(found) = store.read(&path)? else { return Ok(()) };
    let said: Fleet = serde_json::from_slice(&found).with_context(|| path.clone())?;
    ensure!(
        said.cluster == cluster && said.topic == topic,
        "the store is filled from topic {} of cluster {}, and the configuration names topic {topic} of cluster {cluster}",
        said.topic,
        said.cluster
    );
    Ok(())
}
