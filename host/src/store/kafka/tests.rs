use std::collections::BTreeMap;
use std::sync::Mutex;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::FutureRecord;

use super::super::{Entry, LogReader, LogRecord};
use super::topic::{check_partitions, check_policy};
use super::*;

#[derive(Default)]
struct Map(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl LogReader for Map {
    fn apply(&self, records: &[LogRecord<'_>]) {
        let mut map = self.0.lock().unwrap();
        for record in records {
            match record.value {
                Some(value) => map.insert(record.key.to_vec(), value.to_vec()),
                None => map.remove(record.key),
            };
        }
    }
}

fn entry(key: &str, value: Option<&str>) -> Entry {
    (key.into(), value.map(Into::into))
}

fn spec(purpose: TopicPurpose) -> TopicSpec {
    TopicSpec { name: "t".into(), purpose, partitions: 4, replication: 1, settings: vec![] }
}

#[tokio::test]
async fn a_topic_is_written_and_read_like_any_log() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 4, 1).unwrap();
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", cluster.bootstrap_servers());
    let store = KafkaStore::new(&settings).unwrap();
    let log = || KafkaLog::new(&settings, store.producer.clone(), "t", 4).unwrap();
    let (ours, theirs) = (log(), log());
    assert!(matches!(ours.append(vec![entry("x", None)]).await, Err(StoreError::NotStarted(_))));
    assert!(matches!(ours.read_to_end().await, Err(StoreError::NotStarted(_))));
    let (our_map, their_map) = (Arc::new(Map::default()), Arc::new(Map::default()));
    ours.start(our_map.clone()).await.unwrap();
    theirs.start(their_map.clone()).await.unwrap();
    assert!(matches!(ours.start(our_map.clone()).await, Err(StoreError::NotStarted(_))));

    let entries = (0..1000).map(|n| entry(&format!("key {n}"), Some(&n.to_string())));
    ours.append(entries.collect()).await.unwrap();
    assert_eq!(our_map.0.lock().unwrap().len(), 1000);
    theirs.read_to_end().await.unwrap();
    assert_eq!(*their_map.0.lock().unwrap(), *our_map.0.lock().unwrap());

    theirs.append(vec![entry("key 0", None), entry("key 1", Some("new")), entry("key 1", Some("newer"))]).await.unwrap();
    ours.read_to_end().await.unwrap();
    assert_eq!(our_map.0.lock().unwrap().len(), 999);
    assert_eq!(our_map.0.lock().unwrap()[b"key 1".as_slice()], b"newer");

    let late = log();
    let late_map = Arc::new(Map::default());
    late.start(late_map.clone()).await.unwrap();
    assert_eq!(*late_map.0.lock().unwrap(), *our_map.0.lock().unwrap());
    late.append(vec![]).await.unwrap();
}

/// The hashes of these keys stand in Kafka's own tests (its `UtilsTest`).
#[tokio::test]
async fn a_key_goes_where_kafkas_default_partitioner_puts_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 4, 1).unwrap();
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer = KafkaStore::new(&settings).unwrap().producer;
    for (key, hash) in [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("abc", 479470107i32),
    ] {
        let record = FutureRecord::to("t").key(key).payload("");
        let delivery = producer.send(record, REQUEST_TIMEOUT).await.unwrap();
        assert_eq!(delivery.partition, (hash & i32::MAX) % 4, "{key}");
    }
}

#[test]
fn unfit_topics_are_refused_in_kafka_connects_words() {
    let check = |purpose, policy: &str, expect: Option<&str>| {
        let error = check_policy(&spec(purpose), policy).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expect);
    };
    check(TopicPurpose::Configs, "compact", None);
    check(
        TopicPurpose::Configs,
        "delete",
        Some(
            "Topic 't' supplied via the 'config.storage.topic' property is required to have 'cleanup.policy=compact' to guarantee \
             consistency and durability of connector configurations, but found the topic currently has 'cleanup.policy=delete'. \
             Continuing would likely result in eventually losing connector configurations and problems restarting this Connect \
             cluster in the future. Change the 'config.storage.topic' property in the Connect worker configurations to use a \
             topic with 'cleanup.policy=compact'.",
        ),
    );
    assert!(check_policy(&spec(TopicPurpose::Offsets), "compact,delete").is_err());
    assert!(check_policy(&spec(TopicPurpose::Statuses), "").is_err());
    assert!(check_partitions(&spec(TopicPurpose::Offsets), 25).is_ok());
    assert!(check_partitions(&spec(TopicPurpose::Configs), 1).is_ok());
    let error = check_partitions(&spec(TopicPurpose::Configs), 2).unwrap_err().to_string();
    assert!(error.ends_with("consistency of connector configurations, but found 2 partitions."), "{error}");
}
