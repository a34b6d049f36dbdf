//! A broker for tests: the one that `KAFKA_BOOTSTRAP` names, else a development broker in this process.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use tokio::time::Instant;

use super::{
    Admin, ClientKind, ClientSettings, Filled, NewTopicSpec, ProducerLimits, Rebalance, SinkConsumer, SourceProducer,
    Subscription,
};
use crate::record::{Batch, BatchBuilder, BatchLimits, HeaderValue, Record};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct TestBroker {
    own: Option<DevBroker>,
    bootstrap: String,
}

impl TestBroker {
    pub(crate) async fn start() -> Self {
        match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) => TestBroker { own: None, bootstrap },
            Err(_) => Self::start_on(DevBrokerConfig::default()).await,
        }
    }

    /// A broker that can be stopped and started again on its port.
    pub(crate) async fn start_on(config: DevBrokerConfig) -> Self {
        let own = DevBroker::start(config).await.expect("a development broker");
        let bootstrap = own.bootstrap().to_string();
        TestBroker { own: Some(own), bootstrap }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) async fn stop(self) {
        if let Some(own) = self.own {
            own.shutdown().await;
        }
    }

    /// A topic of its own for each call.
    pub(crate) async fn topic(&self, partitions: i32) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed), uptime());
        let admin = Admin::new(ClientSettings::admin(&self.worker(), "test", &[]).expect("settings"));
        let spec = NewTopicSpec { partitions: Some(partitions), ..NewTopicSpec::with_defaults(&name) };
        admin.create_topic(&spec).await.expect("a topic");
        name
    }

    /// A worker's keys.
    pub(crate) fn worker(&self) -> Vec<(String, String)> {
        let keys =
            [("bootstrap.servers", self.bootstrap.as_str()), ("consumer.fetch.max.wait.ms", "10"), ("producer.linger.ms", "1")];
        keys.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    pub(crate) fn consumer_settings(&self, group: &str, more: &[(&str, &str)]) -> ClientSettings {
        let config: Vec<_> = more
            .iter()
            .map(|(key, value)| (format!("{}{key}", ClientKind::Consumer.override_prefix()), value.to_string()))
            .collect();
        ClientSettings::sink_consumer(&self.worker(), group, 0, &config).expect("settings")
    }

    pub(crate) fn producer_settings(&self) -> ClientSettings {
        ClientSettings::source_producer(&self.worker(), "test", 0, &[]).expect("settings")
    }

    pub(crate) async fn consumer(&self, group: &str, topic: &str, more: &[(&str, &str)]) -> SinkConsumer {
        let topics = Subscription::topics([topic.to_owned()]).expect("topics");
        SinkConsumer::connect(&self.consumer_settings(group, more), topics).await.expect("a consumer")
    }

    pub(crate) fn producer(&self) -> SourceProducer {
        SourceProducer::new(self.producer_settings(), ProducerLimits::default())
    }

    /// Writes values, each to a partition in turn, and waits until they are durable.
    pub(crate) async fn write(&self, topic: &str, partitions: i32, values: impl IntoIterator<Item = String>) {
        let mut producer = self.producer();
        let mut builder = BatchBuilder::default();
        for (at, value) in values.into_iter().enumerate() {
            let partition = at as i32 % partitions;
            builder.push(Record { topic, partition, value: Some(value.as_bytes()), ..Record::default() }, []);
        }
        producer.send(&builder.finish()).await.expect("sent");
        let acked = tokio::time::timeout(PATIENCE, producer.acked()).await.expect("acknowledged in time");
        assert_eq!(acked.failures, []);
        producer.close(PATIENCE).await;
    }

    /// Reads a topic from its start until it has given `count` values.
    pub(crate) async fn read(&self, topic: &str, count: usize) -> Vec<String> {
        let mut values = Vec::new();
        for batch in self.read_batches(topic, count).await {
            values.extend(batch.records().map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()));
        }
        values
    }

    pub(crate) async fn read_batches(&self, topic: &str, count: usize) -> Vec<Batch> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let group = format!("reader-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut consumer = self.consumer(&group, topic, &[]).await;
        let mut batches = Vec::new();
        while batches.iter().map(Batch::len).sum::<usize>() < count {
            batches.push(fill_or_assign(&mut consumer).await);
        }
        consumer.close(PATIENCE).await;
        batches
    }
}

fn uptime() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis()
}

/// The next batch of a consumer that takes whatever it is assigned.
pub(crate) async fn fill_or_assign(consumer: &mut SinkConsumer) -> Batch {
    let mut builder = BatchBuilder::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.fill(&mut builder, BatchLimits::default(), deadline).await.expect("filled") {
            Filled::Records => return builder.finish(),
            Filled::Rebalance(Rebalance::Assign(partitions)) => consumer.assign(&partitions, &[]).expect("assigned"),
            Filled::Rebalance(Rebalance::Revoke { partitions, .. }) => consumer.unassign(&partitions).expect("unassigned"),
            Filled::Idle => assert!(Instant::now() < deadline, "nothing came"),
        }
    }
}

/// The next rebalance of a consumer, which must come before any record.
pub(crate) async fn rebalance(consumer: &mut SinkConsumer) -> Rebalance {
    let mut builder = BatchBuilder::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.fill(&mut builder, BatchLimits::default(), deadline).await.expect("filled") {
            Filled::Rebalance(event) => return event,
            Filled::Records => drop(builder.finish()),
            Filled::Idle => assert!(Instant::now() < deadline, "no rebalance came"),
        }
    }
}

/// A batch of one topic with a value and a header each.
pub(crate) fn batch(topic: &str, partition: i32, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for value in values {
        let header = HeaderValue { name: "h", value: Some(b"x"), schema: 0 };
        let record = Record {
            topic,
            partition,
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            timestamp: 1_700_000_000_000,
            ..Record::default()
        };
        builder.push(record, [header]);
    }
    builder.finish()
}
