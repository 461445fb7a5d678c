//! The queue that the configuration names: the embedded one, or a topic of Kafka.

use std::sync::Arc;

use anyhow::{Context, bail};
use host_queue::{Committed, Embedded, EmbeddedConfig, Kafka, KafkaConfig, Queue, oidc};
use host_sink::fleet::{self, Fleet};
use host_sink::store::Store;

use crate::cli::Role;
use crate::config::{HostConfig, KafkaSection};
use crate::metrics::{Sample, Source};
use crate::{clock, oauth};

/// An open queue, and what it takes to close it.
pub enum Opened {
    Embedded(Arc<Embedded>),
    Kafka(Arc<Kafka>, Fleet),
}

pub fn open(host: &HostConfig, role: Role) -> anyhow::Result<Opened> {
    match &host.kafka {
        Some(section) => open_kafka(section, role),
        None => open_embedded(host).map(Opened::Embedded),
    }
}

fn open_embedded(host: &HostConfig) -> anyhow::Result<Arc<Embedded>> {
    let config = EmbeddedConfig {
        partitions: host.partitions,
        disk_bytes_max: host.queue_disk_bytes_max,
        ..EmbeddedConfig::new(Arc::new(clock::now))
    };
    let queue = Embedded::open(&host.queue_dir, config);
    Ok(Arc::new(queue.with_context(|| format!("queue {}", host.queue_dir.display()))?))
}

fn open_kafka(section: &KafkaSection, role: Role) -> anyhow::Result<Opened> {
    let KafkaSection { topic, group, .. } = section;
    let does = match role {
        Role::All => host_queue::Role::Both,
        Role::Ingest => host_queue::Role::Produce,
        Role::Work => host_queue::Role::Consume,
    };
    let kafka = Kafka::open(config_of(section, does)).with_context(|| of_topic(section))?;
    let fleet = Fleet { cluster: kafka.cluster_id().to_owned(), topic: topic.clone(), group: group.clone() };
    Ok(Opened::Kafka(Arc::new(kafka), fleet))
}

fn config_of(section: &KafkaSection, does: host_queue::Role) -> KafkaConfig {
    let KafkaSection { brokers, topic, group, .. } = section;
    KafkaConfig {
        default_project: section.default_project,
        fetch_bytes_max: section.fetch_bytes_max,
        produce_bytes_max: section.produce_bytes_max,
        options: section.options.clone(),
        oauth: oidc(&section.options).map(oauth::tokens),
        ..KafkaConfig::new(brokers, topic, group, does)
    }
}

fn of_topic(section: &KafkaSection) -> String {
    format!("queue: topic {} of {}", section.topic, section.brokers)
}

/// The name of the queue, and how far it is committed, whoever has it open. `None` if it is not there.
pub fn look(host: &HostConfig) -> anyhow::Result<Option<(String, Vec<Committed>)>> {
    let Some(section) = &host.kafka else { return Ok(Embedded::look(&host.queue_dir)?) };
    let config = config_of(section, host_queue::Role::Consume);
    let source = config.source();
    Ok(Some((source, Kafka::look(config).with_context(|| of_topic(section))?)))
}

/// As files are named: `-` separates the parts of a name.
pub fn source_of(queue: &str) -> String {
    queue.replace('-', "_")
}

impl Opened {
    pub fn queue(&self) -> Arc<dyn Queue> {
        match self {
            Opened::Embedded(queue) => Arc::clone(queue) as _,
            Opened::Kafka(queue, _) => Arc::clone(queue) as _,
        }
    }

    /// What names it in the log, beside a partition. The embedded one needs no name: a process has one.
    pub fn span(&self) -> tracing::Span {
        match self {
            Opened::Embedded(_) => tracing::Span::none(),
            // At the level of errors: a filter must not take the name and leave the line.
            Opened::Kafka(_, Fleet { topic, .. }) => tracing::error_span!("work", topic),
        }
    }

    /// Whether others work it off, too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Opened::Kafka(..))
    }

    /// Makes sure that nobody else fills this store from another log of the same name.
    pub fn claim(&self, store: &dyn Store, source: &str) -> anyhow::Result<()> {
        // The name of an embedded one is drawn, and its folder is locked.
        let Opened::Kafka(_, fleet) = self else { return Ok(()) };
        match fleet::claim(store, source, fleet)? {
            None => Ok(()),
            Some(other) => bail!(
                "the store is filled by another fleet: {source} is topic {} of cluster {} for group {}, and this is topic {} of \
                 cluster {} for group {}. Give each fleet a prefix of its own (store.url). If the old one is gone for good, remove {}",
                other.topic,
                other.cluster,
                other.group,
                fleet.topic,
                fleet.cluster,
                fleet.group,
                fleet::path(source)
            ),
        }
    }

    pub fn sources(&self) -> Vec<Source> {
        match self {
            Opened::Embedded(queue) => {
                let queue = Arc::clone(queue);
                let bytes = move || {
                    vec![Sample::gauge(
                        "queue_bytes",
                        "Bytes of the queue on disk",
                        vec![],
                        queue.bytes() as f64,
                    )]
                };
                vec![Box::new(bytes)]
            }
            Opened::Kafka(kafka, _) => {
                let kafka = Arc::clone(kafka);
                vec![Box::new(move || of_kafka(&kafka))]
            }
        }
    }

    pub fn close(self) -> anyhow::Result<()> {
        match self {
            Opened::Embedded(queue) => Ok(queue.close()?),
            Opened::Kafka(queue, _) => {
                queue.close();
                Ok(())
            }
        }
    }
}

fn of_kafka(kafka: &Kafka) -> Vec<Sample> {
    let sample = |(name, help, value): (&'static str, _, _)| {
        // The registry adds what these have already.
        let name = name.strip_prefix("tamis_").unwrap_or(name);
        match name.strip_suffix("_total") {
            Some(counter) => Sample::counter(counter, help, vec![], value),
            None => Sample::gauge(name, help, vec![], value),
        }
    };
    kafka.stats().metrics().into_iter().map(sample).collect()
}
