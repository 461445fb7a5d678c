//! How far a group has committed, for whoever only looks: no member of the group, so that no partition moves.

use std::sync::Arc;
use std::time::Duration;

use host_event::{Offset, Partition};
use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientContext, Offset as Place, TopicPartitionList};

use super::about::{meet, polled};
use super::common::Common;
use crate::{Committed, Error};

const ASK_MAX: Duration = Duration::from_secs(10);

pub(super) fn committed(common: &Arc<Common>) -> Result<Vec<Committed>, Error> {
    let (topic, group) = (common.topic(), &common.config.group);
    let mut config = common.config.client();
    config.set("group.id", group).set("statistics.interval.ms", "0");
    let client: BaseConsumer<Looks> =
        BaseConsumer::from_config_and_context(&config, Looks(Arc::clone(common)))
            .map_err(|e| Error::Config(format!("kafka client: {e}")))?;
    polled(
        |wait| drop(client.poll(wait)),
        || {
            meet(client.client(), common)?;
            let mut list = TopicPartitionList::new();
            for partition in 0..common.ends.count() {
                list.add_partition(topic, partition as i32);
            }
            let answer = client.committed_offsets(list, ASK_MAX).map_err(|e| away(common, None, &e))?;
            let elements = answer.elements_for_topic(topic);
            elements.iter().filter_map(|element| of_partition(common, element).transpose()).collect()
        },
    )
}

/// `None` where the group never committed.
pub(super) fn of_partition(
    common: &Common,
    element: &TopicPartitionListElem<'_>,
) -> Result<Option<Committed>, Error> {
    let partition = element.partition().max(0) as Partition;
    element.error().map_err(|e| away(common, Some(partition), &e))?;
    Ok(match element.offset() {
        Place::Offset(offset) if offset >= 0 => {
            Some(Committed { partition, next: offset as Offset, note: element.metadata().to_owned() })
        }
        _ => None,
    })
}

pub(super) fn away(common: &Common, partition: Option<Partition>, error: &KafkaError) -> Error {
    let (topic, group) = (common.topic(), &common.config.group);
    let partition = partition.map(|partition| format!(" partition {partition}")).unwrap_or_default();
    Error::Away(format!("group {group} topic {topic}{partition}: committed offset: {error}"))
}

struct Looks(Arc<Common>);

impl ClientContext for Looks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.token()
    }
}

impl ConsumerContext for Looks {}
