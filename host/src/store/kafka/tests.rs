use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureRecord, Producer as _};

use super::super::{ConfigChange, ConfigStore, Entry, LogReader, LogRecord, OffsetStore, RawConfig, State, Status, StatusStore};
use super::topic::{check_partitions, check_policy};
use super::*;
use crate::kafka::NewTopicSpec;

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
    TopicSpec { name: unique("t"), purpose, partitions: 4, replication: 1, settings: vec![] }
}

/// A name that no other test or run uses.
fn unique(name: &str) -> String {
    let random = RandomState::new().hash_one(name);
    format!("hawser-test-{name}-{random:x}")
}

/// A broker: the one at `KAFKA_BOOTSTRAP`, else a development broker that ends with this.
struct Broker {
    worker: Vec<(String, String)>,
    own: Option<DevBroker>,
}

impl Broker {
    async fn start() -> Broker {
        let (bootstrap, own) = match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) => (bootstrap, None),
            Err(_) => {
                let broker = DevBroker::start(DevBrokerConfig::default()).await.unwrap();
                (broker.bootstrap(), Some(broker))
            }
        };
        Broker { worker: worker(&bootstrap), own }
    }

    fn store(&self) -> KafkaStore {
        KafkaStore::new(&self.worker, "hawser-test").unwrap()
    }

    async fn create(&self, name: &str, partitions: i32, policy: &str) {
        let config = vec![("cleanup.policy".to_owned(), policy.to_owned())];
        let topic = NewTopicSpec { name: name.to_owned(), partitions: Some(partitions), replication: Some(1), config };
        assert!(self.store().admin.create_topic(&topic).await.unwrap());
    }

    async fn stop(self) {
        if let Some(own) = self.own {
            own.shutdown().await;
        }
    }
}

fn worker(bootstrap: &str) -> Vec<(String, String)> {
    vec![("bootstrap.servers".to_owned(), bootstrap.to_owned())]
}

async fn follow(log: &Arc<dyn CompactedLog>) -> Arc<Map> {
    let map = Arc::new(Map::default());
    log.start(map.clone()).await.unwrap();
    map
}

#[tokio::test]
async fn a_topic_is_written_and_read_like_any_log() {
    let broker = Broker::start().await;
    let spec = spec(TopicPurpose::Offsets);
    let (ours, theirs) = (broker.store().log(spec.clone()).await.unwrap(), broker.store().log(spec.clone()).await.unwrap());
    assert!(matches!(ours.append(vec![entry("x", None)]).await, Err(StoreError::NotStarted(_))));
    assert!(matches!(ours.read_to_end().await, Err(StoreError::NotStarted(_))));
    let (our_map, their_map) = (follow(&ours).await, follow(&theirs).await);
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

    let late = broker.store().log(spec).await.unwrap();
    let late_map = follow(&late).await;
    assert_eq!(*late_map.0.lock().unwrap(), *our_map.0.lock().unwrap());
    late.append(vec![]).await.unwrap();
    drop((ours, theirs, late));
    broker.stop().await;
}

#[tokio::test]
async fn topics_are_created_as_asked_and_refused_if_unfit() {
    let broker = Broker::start().await;
    let store = broker.store();
    let mut wanted = spec(TopicPurpose::Configs);
    wanted.settings = vec![("segment.bytes".into(), "1048576".into()), ("cleanup.policy".into(), "delete".into())];
    drop(store.log(wanted.clone()).await.unwrap());
    drop(store.log(wanted.clone()).await.unwrap());
    let found = store.admin.topic_config(&wanted.name).await.unwrap();
    let setting = |name: &str| found.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.clone());
    assert_eq!(setting("cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(setting("segment.bytes").as_deref(), Some("1048576"));

    let refused = async |partitions: i32, policy: &str, purpose| {
        let spec = spec(purpose);
        broker.create(&spec.name, partitions, policy).await;
        match store.log(spec).await {
            Err(StoreError::Topic(message)) => message,
            other => panic!("{:?}", other.err()),
        }
    };
    assert!(refused(1, "delete", TopicPurpose::Configs).await.contains("found the topic currently has 'cleanup.policy=delete'"));
    assert!(
        refused(3, "compact,delete", TopicPurpose::Offsets).await.contains("supplied via the 'offset.storage.topic' property")
    );
    assert!(refused(2, "compact", TopicPurpose::Configs).await.contains("but found 2 partitions"));
    let illegal = TopicSpec { name: "a/b\0".into(), ..spec(TopicPurpose::Statuses) };
    assert!(matches!(store.log(illegal).await, Err(StoreError::Topic(_))));
    let too_many = TopicSpec { replication: 99, ..spec(TopicPurpose::Statuses) };
    assert!(matches!(store.log(too_many).await, Err(StoreError::Topic(_))));
    drop(store);
    broker.stop().await;
}

/// The last offset of a partition may be the marker of a transaction, as when a leader with exactly-once support wrote.
#[tokio::test]
async fn the_end_is_found_behind_transaction_markers() {
    let broker = Broker::start().await;
    let spec = spec(TopicPurpose::Configs);
    let log = broker.store().log(spec.clone()).await.unwrap();
    let map = follow(&log).await;
    let mut settings: ClientConfig = broker.worker.iter().cloned().collect();
    settings.set("transactional.id", unique("tx"));
    let producer: FutureProducer = settings.create().unwrap();
    let (topic, control) = (spec.name.clone(), producer.clone());
    let transact = async move |key: &'static str, commits: bool| {
        let producer = control.clone();
        producer.begin_transaction().unwrap();
        producer.send(FutureRecord::to(&topic).key(key).payload("v"), REQUEST_TIMEOUT).await.unwrap();
        tokio::task::spawn_blocking(move || match commits {
            true => producer.commit_transaction(REQUEST_TIMEOUT).unwrap(),
            false => producer.abort_transaction(REQUEST_TIMEOUT).unwrap(),
        })
        .await
        .unwrap();
    };
    tokio::task::spawn_blocking(move || producer.init_transactions(REQUEST_TIMEOUT).unwrap()).await.unwrap();
    transact("committed", true).await;
    // The brokers write the marker in their own time.
    let visible = async {
        while map.0.lock().unwrap().is_empty() {
            log.read_to_end().await.unwrap();
        }
    };
    tokio::time::timeout(REQUEST_TIMEOUT, visible).await.unwrap();
    transact("aborted", false).await;
    log.read_to_end().await.unwrap();
    log.read_to_end().await.unwrap();
    assert_eq!(map.0.lock().unwrap().len(), 1);
    log.append(vec![entry("after", Some("v"))]).await.unwrap();
    let late = broker.store().log(spec).await.unwrap();
    assert_eq!(follow(&late).await.0.lock().unwrap().len(), 2);
    drop((log, late));
    broker.stop().await;
}

/// The typed layers on topics, and a second worker that finds what the first has left.
#[tokio::test]
async fn a_second_worker_carries_on() {
    let broker = Broker::start().await;
    let specs = [TopicPurpose::Configs, TopicPurpose::Offsets, TopicPurpose::Statuses].map(spec);
    let open = async || {
        let store = broker.store();
        let [configs, offsets, statuses] = specs.clone().map(|spec| store.log(spec));
        (
            ConfigStore::open(configs.await.unwrap()).await.unwrap(),
            OffsetStore::open(offsets.await.unwrap()).await.unwrap(),
            StatusStore::open(statuses.await.unwrap()).await.unwrap(),
        )
    };
    let config: RawConfig = serde_json::from_str(r#"{"name":"c","z":null}"#).unwrap();
    let running = Status { state: State::Running, trace: None, worker_id: "w".into(), generation: 1, version: None };
    let (configs, offsets, statuses) = open().await;
    let (other_configs, other_offsets, _other_statuses) = open().await;
    let mut changes = other_configs.changes();
    configs.put_connector("c", config.clone(), None).await.unwrap();
    configs.put_task_configs("c", vec![config.clone(), config.clone()]).await.unwrap();
    offsets.put("c", vec![(r#"{"f":1}"#.into(), Some(r#"{"o":1}"#.into()))]).await.unwrap();
    statuses.put_task("c", 0, running.clone());
    statuses.flush(REQUEST_TIMEOUT).await.unwrap();

    assert_eq!(changes.recv().await.unwrap(), ConfigChange::Connector("c".into()));
    assert_eq!(changes.recv().await.unwrap(), ConfigChange::Tasks("c".into()));
    other_configs.refresh().await.unwrap();
    assert_eq!(other_configs.snapshot().offset, configs.snapshot().offset);
    assert_eq!(other_offsets.list("c").await.unwrap().len(), 1);

    let (late_configs, late_offsets, late_statuses) = open().await;
    let connector = late_configs.snapshot().connector("c").unwrap().clone();
    assert_eq!((&*connector.config, connector.tasks.len()), (&config, 2));
    assert_eq!(&*late_offsets.get("c", &[r#"{"f":1}"#.into()]).await.unwrap()[0].clone().unwrap(), r#"{"o":1}"#);
    assert_eq!(late_statuses.task("c", 0), Some(running));
    late_configs.delete_connector("c").await.unwrap();
    configs.refresh().await.unwrap();
    assert!(configs.snapshot().connectors.is_empty());
    drop((configs, offsets, statuses, other_configs, other_offsets, _other_statuses));
    drop((late_configs, late_offsets, late_statuses));
    broker.stop().await;
}

#[tokio::test]
async fn waits_are_bounded() {
    let progress = super::progress::Progress::new(2);
    progress.advance([(0, 5), (1, 1), (7, 9), (-1, 9)]);
    assert!(progress.reach(&[(0, 5), (1, 0)], REQUEST_TIMEOUT).await);
    assert!(!progress.reach(&[(1, 2)], Duration::from_millis(1)).await);
    assert!(!progress.reach(&[(7, 1)], Duration::from_millis(1)).await);
}

/// The hashes of these keys stand in Kafka's own tests (its `UtilsTest`).
#[tokio::test]
async fn a_key_goes_where_kafkas_default_partitioner_puts_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 4, 1).unwrap();
    let producer = KafkaStore::new(&worker(&cluster.bootstrap_servers()), "hawser-test").unwrap().producer;
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
        let spec = TopicSpec { name: "NAME".into(), ..spec(purpose) };
        let error = check_policy(&spec, policy).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expect);
    };
    check(TopicPurpose::Configs, "compact", None);
    check(
        TopicPurpose::Configs,
        "delete",
        Some(
            "Topic 'NAME' supplied via the 'config.storage.topic' property is required to have 'cleanup.policy=compact' to guarantee \
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

/// On a broker of its own, whatever `KAFKA_BOOTSTRAP` says.
#[tokio::test]
async fn a_broker_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |port| {
        let config = DevBrokerConfig { port, data_dir: Some(folder.path().to_owned()), ..DevBrokerConfig::default() };
        DevBroker::start(config).await.unwrap()
    };
    let broker = start(0).await;
    let bootstrap = broker.bootstrap();
    let store = KafkaStore::new(&worker(&bootstrap), "hawser-test").unwrap();
    let spec = spec(TopicPurpose::Configs);
    let log = store.log(spec.clone()).await.unwrap();
    let map = follow(&log).await;
    log.append(vec![entry("before", Some("v"))]).await.unwrap();
    broker.shutdown().await;
    let pending = tokio::spawn({
        let log = log.clone();
        async move { log.append(vec![entry("while away", Some("v"))]).await }
    });
    let broker = start(bootstrap.rsplit(':').next().unwrap().parse().unwrap()).await;
    pending.await.unwrap().unwrap();
    log.read_to_end().await.unwrap();
    assert_eq!(map.0.lock().unwrap().len(), 2);
    let late = store.log(spec).await.unwrap();
    assert_eq!(follow(&late).await.0.lock().unwrap().len(), 2);
    drop((log, late, store));
    broker.shutdown().await;
}
