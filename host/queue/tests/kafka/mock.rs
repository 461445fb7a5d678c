//! What real brokers do too seldom: errors on demand, by librdkafka's own mock.

use host_queue::conformance::record;
use host_queue::{Error, Kafka, KafkaConfig, Queue, Role};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_past_helping_is_made_anew() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("t", 2, 1).unwrap();
    let queue = Kafka::open(KafkaConfig::new(&mock.bootstrap_servers(), "t", "g", Role::Produce)).unwrap();
    queue.append(0, vec![record(1, 10)]).await.unwrap();
    let lost = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    mock.request_errors(RDKafkaApiKey::Produce, &lost);
    let failed = queue.append(0, vec![record(2, 10)]).await;
    assert!(matches!(failed, Err(Error::Away(_))), "{failed:?}");
    let begun = std::time::Instant::now();
    while let Err(e) = queue.append(0, vec![record(3, 10)]).await {
        assert!(begun.elapsed().as_secs() < 20, "{e}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let stats = queue.stats();
    assert!(stats.producers_remade == 1 && stats.delivery_errors >= 1, "{stats:?}");
    assert_eq!((stats.produce_queue_bytes, stats.produce_queue_records), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_topic_refuses_is_too_large() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("t", 1, 1).unwrap();
    let queue = Kafka::open(KafkaConfig::new(&mock.bootstrap_servers(), "t", "g", Role::Produce)).unwrap();
    let refused = queue.append(0, vec![record(1, 10), record(1, 2_000_000)]).await;
    assert!(matches!(refused, Err(Error::TooLarge { max: 1_048_588, .. })), "{refused:?}");
    assert_eq!(queue.end(0), 0, "none of them was taken");
    mock.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let refused = queue.append(0, vec![record(1, 10)]).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
}
