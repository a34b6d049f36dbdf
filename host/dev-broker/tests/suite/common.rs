//! Brokers, clients and short forms that the cases share.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use hawser_dev_broker::{DevBroker, DevBrokerConfig, DevBrokerError};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Headers},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

/// Far beyond what any step takes; only a hanging case waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look at a client may take.
pub const POLL: Duration = Duration::from_millis(20);

/// A broker to test.
pub struct Cluster {
    pub bootstrap: String,
    broker: Option<DevBroker>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            block_on(broker.shutdown());
        }
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Whether the cases run against a broker that was given.
pub fn is_given() -> bool {
    std::env::var_os("KAFKA_BOOTSTRAP").is_some()
}

/// The session timeout of members that shall expire in a test: the shortest that the broker allows.
pub fn session_timeout() -> Duration {
    if is_given() { Duration::from_secs(6) } else { Duration::from_millis(500) }
}

/// A config for quick tests.
pub fn quick() -> DevBrokerConfig {
    DevBrokerConfig {
        min_session_timeout: Duration::from_millis(100),
        maintenance_interval: Duration::from_millis(50),
        ..DevBrokerConfig::default()
    }
}

/// The broker that was given, or one of our own.
pub fn any() -> Cluster {
    match std::env::var("KAFKA_BOOTSTRAP") {
        Ok(bootstrap) => Cluster { bootstrap, broker: None },
        Err(_) => own(quick()),
    }
}

pub fn own(config: DevBrokerConfig) -> Cluster {
    try_own(config).unwrap()
}

pub fn try_own(config: DevBrokerConfig) -> Result<Cluster, DevBrokerError> {
    let broker = block_on(DevBroker::start(config))?;
    Ok(Cluster { bootstrap: broker.bootstrap(), broker: Some(broker) })
}

/// A name that no other case and no earlier run uses.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{name}-{nanos:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// Looks again and again until there is something to see.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for {what}");
}

pub type Settings<'a> = &'a [(&'a str, &'a str)];

pub fn client(bootstrap: &str, settings: Settings<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("topic.metadata.refresh.interval.ms", "1000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

pub fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    client(bootstrap, &[]).create().unwrap()
}

pub fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// Creates a topic and returns its name.
pub fn topic(bootstrap: &str, partitions: i32, configs: Settings<'_>) -> String {
    let name = unique("topic");
    assert_eq!(create_topic(bootstrap, &name, partitions, 1, configs), Ok(()));
    // Another broker than ours may take a moment until all of it knows the topic.
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    wait_for("the new topic", || {
        let metadata = consumer.fetch_metadata(Some(&name), PATIENCE).unwrap();
        let topic = &metadata.topics()[0];
        let led = topic.partitions().iter().filter(|p| p.leader() >= 0).count();
        (topic.error().is_none() && led == partitions as usize).then_some(())
    });
    name
}

pub fn create_topic(bootstrap: &str, name: &str, partitions: i32, replication: i32, configs: Settings<'_>) -> Result<(), Code> {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
    for (key, value) in configs {
        topic = topic.set(key, value);
    }
    let created = block_on(admin(bootstrap).create_topics([&topic], &admin_options())).unwrap();
    created.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
}

/// Collects what became of each record: partition and offset, or the error.
#[derive(Default)]
pub struct Deliveries(Mutex<Vec<Result<(i32, i64), Code>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((e, _)) => Err(e.rdkafka_error_code().unwrap()),
        };
        self.0.lock().unwrap().push(result);
    }
}

impl Deliveries {
    pub fn take(&self) -> Vec<Result<(i32, i64), Code>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub type Sender = BaseProducer<Deliveries>;

pub fn producer(bootstrap: &str, settings: Settings<'_>) -> Sender {
    let mut config = client(bootstrap, &[("linger.ms", "0"), ("message.timeout.ms", "30000")]);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create_with_context(Deliveries::default()).unwrap()
}

/// Sends a record, waiting while the producer's queue is full.
pub fn send(producer: &Sender, mut record: BaseRecord<'_, [u8], [u8]>) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
            Err((e, _)) => panic!("{e}"),
        }
    }
}

/// Sends records `(key, value)` to a partition and waits for them; returns their offsets.
pub fn put(
    bootstrap: &str,
    topic: &str,
    partition: i32,
    records: &[(Option<&str>, Option<&str>)],
) -> Vec<Result<(i32, i64), Code>> {
    put_with(&producer(bootstrap, &[]), topic, partition, records)
}

pub fn put_with(
    producer: &Sender,
    topic: &str,
    partition: i32,
    records: &[(Option<&str>, Option<&str>)],
) -> Vec<Result<(i32, i64), Code>> {
    for (key, value) in records {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
        record.key = key.map(str::as_bytes);
        record.payload = value.map(str::as_bytes);
        send(producer, record);
    }
    producer.flush(PATIENCE).unwrap();
    producer.context().take()
}

/// Numbered values without keys.
pub fn put_numbers(bootstrap: &str, topic: &str, partition: i32, numbers: std::ops::Range<u32>) {
    let producer = producer(bootstrap, &[]);
    for number in numbers {
        let value = number.to_string();
        send(&producer, BaseRecord::to(topic).partition(partition).payload(value.as_bytes()));
    }
    producer.flush(PATIENCE).unwrap();
    let failed = producer.context().take().into_iter().find(Result::is_err);
    assert_eq!(failed, None);
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
}

pub fn got(message: &impl Message) -> Got {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Got {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(text),
        value: message.payload().map(text),
        headers: headers.map(|h| (h.key.to_owned(), h.value.map(text))).collect(),
    }
}

pub fn consumer(bootstrap: &str, group: &str, settings: Settings<'_>) -> BaseConsumer {
    let mut config = client(
        bootstrap,
        &[
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            // librdkafka sends heartbeats about once a second, whatever its interval: short sessions would expire.
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("fetch.wait.max.ms", "100"),
        ],
    );
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// Reads a topic from its beginning to its end.
pub fn read_all(bootstrap: &str, topic: &str) -> Vec<Got> {
    read_with(bootstrap, topic, &[])
}

pub fn read_committed(bootstrap: &str, topic: &str) -> Vec<Got> {
    read_with(bootstrap, topic, &[("isolation.level", "read_committed")])
}

pub fn read_with(bootstrap: &str, topic: &str, settings: Settings<'_>) -> Vec<Got> {
    let mut with_eof = vec![("enable.partition.eof", "true")];
    with_eof.extend(settings);
    if !settings.iter().any(|(key, _)| *key == "isolation.level") {
        with_eof.push(("isolation.level", "read_uncommitted"));
    }
    let consumer = consumer(bootstrap, &unique("reader"), &with_eof);
    let partitions = partition_count(&consumer, topic);
    assign_from(&consumer, topic, partitions, Offset::Beginning);
    read_to_end(&consumer, partitions)
}

pub fn partition_count(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
}

pub fn assign_from(consumer: &BaseConsumer, topic: &str, partitions: i32, offset: Offset) {
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, offset).unwrap();
    }
    consumer.assign(&list).unwrap();
}

/// Reads until every one of so many partitions has said that it is at its end.
pub fn read_to_end(consumer: &BaseConsumer, partitions: i32) -> Vec<Got> {
    let mut records = Vec::new();
    let mut ended = std::collections::HashSet::new();
    let end = Instant::now() + PATIENCE;
    while ended.len() < partitions as usize {
        assert!(Instant::now() < end, "the end was not reached; {} records so far", records.len());
        match consumer.poll(POLL) {
            Some(Ok(message)) => records.push(got(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(e)) => panic!("{e}"),
            None => {}
        }
    }
    records
}

/// Polls until so many records have come.
pub fn read_count(consumer: &BaseConsumer, count: usize) -> Vec<Got> {
    let mut records = Vec::new();
    wait_for(&format!("{count} records"), || {
        while let Some(message) = consumer.poll(POLL) {
            records.push(got(&message.unwrap()));
        }
        (records.len() >= count).then_some(())
    });
    records
}

pub fn values(records: &[Got]) -> Vec<&str> {
    records.iter().map(|record| record.value.as_deref().unwrap_or("-")).collect()
}

/// The partitions that a consumer has now. The list is dropped at once: outliving its consumer it would hang the drop.
pub fn assigned(consumer: &BaseConsumer) -> Vec<i32> {
    let list = consumer.assignment().unwrap();
    let mut partitions: Vec<_> = list.elements().iter().map(|element| element.partition()).collect();
    partitions.sort_unstable();
    partitions
}

/// The committed offset and its metadata.
pub fn committed(consumer: &BaseConsumer, topic: &str, partition: i32) -> (Offset, String) {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let list = consumer.committed_offsets(list, PATIENCE).unwrap();
    let element = list.find_partition(topic, partition).unwrap();
    (element.offset(), element.metadata().to_owned())
}

pub fn commit(consumer: &BaseConsumer, topic: &str, partition: i32, offset: i64, metadata: &str) -> Result<(), Code> {
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(topic, partition);
    element.set_offset(Offset::Offset(offset)).unwrap();
    element.set_metadata(metadata);
    let committed = consumer.commit(&list, rdkafka::consumer::CommitMode::Sync);
    committed.map_err(|e| e.rdkafka_error_code().unwrap())
}
