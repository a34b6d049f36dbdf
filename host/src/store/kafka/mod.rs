//! Logs on compacted Kafka topics, for workers that share their state.

mod log;
mod progress;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::FutureProducer;

use super::{CompactedLog, StoreError};
use log::KafkaLog;
pub use topic::{TopicPurpose, TopicSpec};

/// The longest wait for one request to the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for a write to be acknowledged by all in-sync replicas (Kafka Connect's limit for the config topic).
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The clients that all logs of a worker share. Each log has a consumer of its own, without a thread of its own here.
pub struct KafkaStore {
    settings: ClientConfig,
    producer: FutureProducer,
    admin: Arc<AdminClient<DefaultClientContext>>,
}

impl KafkaStore {
    /// Makes the clients from `settings`, librdkafka's names: `bootstrap.servers`, security and whatever else the worker
    /// has for its own clients. What makes a log durable is set here and cannot be changed.
    pub fn new(settings: &ClientConfig) -> Result<KafkaStore, StoreError> {
        let mut producer = settings.clone();
        producer
            .set("acks", "all")
            // In order and without gaps; a record that is doubled by a retry does no harm in a compacted topic.
            .set("enable.idempotence", "false")
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "1")
            .set("message.timeout.ms", WRITE_TIMEOUT.as_millis().to_string())
            // Kafka's own default, so that a key stays on the partition where a JVM worker would put it.
            .set("partitioner", "murmur2_random");
        let failed = |error: rdkafka::error::KafkaError| StoreError::Client(error.to_string());
        Ok(KafkaStore {
            producer: producer.create().map_err(failed)?,
            admin: Arc::new(settings.create().map_err(failed)?),
            settings: settings.clone(),
        })
    }

    /// The log on a topic, which is created if it is missing, and refused if its settings would lose records.
    pub async fn log(&self, spec: TopicSpec) -> Result<Arc<dyn CompactedLog>, StoreError> {
        let partitions = topic::ensure(&self.admin, &spec).await?;
        Ok(Arc::new(KafkaLog::new(&self.settings, self.producer.clone(), &spec.name, partitions)?))
    }
}
