//! `[queue.kafka]`: our own keys, and those of librdkafka, which are handed on as they are.

use host_event::ProjectId;
use host_queue::check_options;

use super::reader::{At, File, Section};

/// Where the topic is, and what is told to librdkafka.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaSection {
    pub brokers: String,
    pub topic: String,
    pub group: String,
    pub default_project: Option<ProjectId>,
    pub fetch_bytes_max: u64,
    pub produce_bytes_max: u64,
    pub options: Vec<(String, String)>,
}

const GROUP: &str = "tamis";
const FETCH_BYTES_MAX: u64 = 64 << 20;
const PRODUCE_BYTES_MAX: u64 = 64 << 20;
const BYTES_MIN: u64 = 1 << 20;

/// `None` if the section is not there: the queue is the embedded one.
pub(super) fn check(file: &mut File<'_>, queue: &mut Section<'_>) -> Option<KafkaSection> {
    let mut kafka = queue.section_if_there(file, "kafka")?;
    let required = |file: &mut File<'_>, kafka: &mut Section<'_>, key, example| {
        kafka.required_text(file, key, example).map(|t| t.value).unwrap_or_default()
    };
    let brokers = required(file, &mut kafka, "brokers", "\"kafka-1:9092,kafka-2:9092\"");
    let topic = required(file, &mut kafka, "topic", "\"tamis-events\"");
    let group = kafka.text(file, "group").map_or_else(|| GROUP.to_owned(), |t| t.value);
    let default_project = kafka.integer(file, "default_project").map(|i| i.value);
    let mut bytes = |file: &mut File<'_>, key, default| match kafka.bytes(file, key) {
        None => default,
        Some(At { value, .. }) if value >= BYTES_MIN => value,
        Some(At { span, .. }) => {
            file.report(span, format!("queue.kafka.{key} must be at least 1MiB"), None);
            default
        }
    };
    let fetch_bytes_max = bytes(file, "fetch_bytes_max", FETCH_BYTES_MAX);
    let produce_bytes_max = bytes(file, "produce_bytes_max", PRODUCE_BYTES_MAX);
    let found = kafka.rest(file, "a string, a number, true or false, as librdkafka documents it");
    let options: Vec<_> = found.iter().map(|(key, at)| (key.clone(), at.value.clone())).collect();
    for (key, what) in check_options(&options) {
        let span =
            found.iter().find(|(k, _)| *k == key).map_or(kafka.span.clone(), |(_, at)| at.span.clone());
        file.report(span, format!("queue.kafka: {key}: {what}"), None);
    }
    Some(KafkaSection { brokers, topic, group, default_project, fetch_bytes_max, produce_bytes_max, options })
}
