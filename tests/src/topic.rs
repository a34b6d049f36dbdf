//! Topics: create, fill, read.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, DeliveryResult, Headers},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use crate::{Deadline, Kafka, rest::RUNTIME, unique};

/// Longest wait for one call to the broker.
const CALL: Duration = Duration::from_secs(30);
/// One turn of a poll loop.
const POLL: Duration = Duration::from_millis(100);

/// A topic on a test's broker.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    bootstrap: String,
}

/// A record as a consumer saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970, if it has a timestamp.
    pub timestamp: Option<i64>,
    /// Its key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The value as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("UTF-8")
    }

    /// The value as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.text()).unwrap_or_else(|e| panic!("{e} in {}", self.text()))
    }
}

impl Topic {
    /// A new topic whose name starts with `prefix`.
    #[track_caller]
    pub fn create(kafka: &Kafka, prefix: &str, partitions: i32) -> Self {
        Self::create_with(kafka, prefix, partitions, &[])
    }

    /// [`Topic::create`] with topic configs, e.g. `("cleanup.policy", "compact")`.
    #[track_caller]
    pub fn create_with(kafka: &Kafka, prefix: &str, partitions: i32, configs: &[(&str, &str)]) -> Self {
        let topic = Self::named(kafka.bootstrap(), &unique(prefix));
        let admin: AdminClient<DefaultClientContext> = client(&topic.bootstrap).create().expect("admin client");
        let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
        for (key, value) in configs {
            new = new.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
        let results = RUNTIME.block_on(admin.create_topics([&new], &options)).expect("create the topic");
        for result in results {
            result.unwrap_or_else(|(name, e)| panic!("create topic {name}: {e}"));
        }
        topic
    }

    /// A topic that is there, or that someone else will create, on the broker at `bootstrap`.
    pub fn named(bootstrap: &str, name: &str) -> Self {
        Self { name: name.to_owned(), bootstrap: bootstrap.to_owned() }
    }

    /// How many partitions it has; `None` if it is not there.
    #[track_caller]
    pub fn partitions(&self) -> Option<usize> {
        let consumer: BaseConsumer = client(&self.bootstrap).set("allow.auto.create.topics", "false").create().expect("client");
        let metadata = consumer.fetch_metadata(Some(&self.name), CALL).unwrap_or_else(|e| panic!("metadata: {e}"));
        let topic = metadata.topics().first()?;
        topic.error().is_none().then(|| topic.partitions().len())
    }

    /// The value of one of its settings, such as `cleanup.policy`.
    #[track_caller]
    pub fn setting(&self, key: &str) -> Option<String> {
        let admin: AdminClient<DefaultClientContext> = client(&self.bootstrap).create().expect("admin client");
        let (topic, options) = (ResourceSpecifier::Topic(&self.name), AdminOptions::new());
        let described = admin.describe_configs([&topic], &options);
        let described = RUNTIME.block_on(described).expect("describe the topic").pop().expect("an answer");
        let settings = described.unwrap_or_else(|e| panic!("describe topic {}: {e}", self.name));
        settings.get(key).and_then(|entry| entry.value.clone())
    }

    /// Produces values without keys, and returns when all are acknowledged.
    #[track_caller]
    pub fn produce<V: AsRef<[u8]>>(&self, values: impl IntoIterator<Item = V>) {
        self.produce_keyed(values.into_iter().map(|v| (None::<Vec<u8>>, Some(v))));
    }

    /// Produces keys and values, and returns when all are acknowledged.
    #[track_caller]
    pub fn produce_keyed<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = (Option<K>, Option<V>)>) {
        let producer: BaseProducer<Acks> = client(&self.bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .create_with_context(Acks::default())
            .expect("producer");
        let mut count = 0;
        for (key, value) in records {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.name);
            record.key = key.as_ref().map(AsRef::as_ref);
            record.payload = value.as_ref().map(AsRef::as_ref);
            let mut unsent = producer.send(record);
            while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) = unsent {
                producer.poll(POLL);
                unsent = producer.send(back);
            }
            unsent.unwrap_or_else(|(e, _)| panic!("produce to {}: {e}", self.name));
            count += 1;
        }
        producer.flush(Deadline::LONG.duration()).unwrap_or_else(|e| panic!("flush to {}: {e}", self.name));
        let acknowledged = producer.context().acknowledged.load(Ordering::Relaxed);
        assert_eq!(acknowledged, count, "records acknowledged by {}", self.name);
    }

    /// All committed records that the topic holds now, partition by partition in order of arrival.
    #[track_caller]
    pub fn read_all(&self) -> Vec<Record> {
        let (consumer, partitions) = self.consumer();
        let mut open: HashSet<i32> = (0..partitions).collect();
        let mut records = Vec::new();
        let end = Instant::now() + Deadline::LONG.duration();
        while !open.is_empty() {
            assert!(Instant::now() < end, "read {} records of {}, but not its end", records.len(), self.name);
            match consumer.poll(POLL) {
                Some(Ok(message)) => records.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                other => check(other),
            }
        }
        records
    }

    /// Waits until `enough` says so of the records read so far, and returns them.
    #[track_caller]
    pub fn read_until(&self, what: &str, deadline: Deadline, mut enough: impl FnMut(&[Record]) -> bool) -> Vec<Record> {
        let (consumer, _) = self.consumer();
        let mut records = Vec::new();
        let end = Instant::now() + deadline.duration();
        while !enough(&records) {
            assert!(
                Instant::now() < end,
                "waited {:?} for {what}: {} has {} records",
                deadline.duration(),
                self.name,
                records.len()
            );
            match consumer.poll(POLL) {
                Some(Ok(message)) => records.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                other => check(other),
            }
        }
        records
    }

    /// Waits until the topic holds at least `count` records, and returns all that were read.
    #[track_caller]
    pub fn read_count(&self, count: usize, deadline: Deadline) -> Vec<Record> {
        self.read_until(&format!("{count} records"), deadline, |records| records.len() >= count)
    }

    /// A consumer at the start of all partitions, and their number. Creates the topic by asking, where the broker does that.
    #[track_caller]
    fn consumer(&self) -> (BaseConsumer, i32) {
        let consumer: BaseConsumer = client(&self.bootstrap)
            .set("group.id", unique("reader"))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .create()
            .expect("consumer");
        let partitions = crate::wait_for(&format!("topic {}", self.name), Deadline::SHORT, || {
            let metadata = consumer.fetch_metadata(Some(&self.name), CALL).map_err(|e| e.to_string())?;
            match metadata.topics().first() {
                Some(topic) if topic.error().is_none() && !topic.partitions().is_empty() => Ok(topic.partitions().len() as i32),
                Some(topic) => Err(format!("{:?}", topic.error())),
                None => Err("no such topic".to_owned()),
            }
        });
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(&self.name, partition, Offset::Beginning).expect("offset");
        }
        consumer.assign(&assignment).expect("assign");
        (consumer, partitions)
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// A consumer says that the broker is away and goes on by itself; everything else ends the test.
#[track_caller]
fn check(polled: Option<Result<BorrowedMessage<'_>, KafkaError>>) {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    match polled {
        Some(Err(KafkaError::MessageConsumption(BrokerTransportFailure | AllBrokersDown))) | None => {}
        Some(Err(e)) => panic!("consume: {e}"),
        Some(Ok(_)) => {}
    }
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message
            .headers()
            .map_or_else(Vec::new, |headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()),
    }
}

/// Counts what the broker acknowledged.
#[derive(Default)]
struct Acks {
    acknowledged: AtomicUsize,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}
