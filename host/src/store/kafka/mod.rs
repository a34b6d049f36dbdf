//! Logs on compacted Kafka topics, for workers that share their state.

mod log;
mod progress;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use tokio::task::JoinHandle;

use super::{CompactedLog, StoreError};
use crate::kafka::{Admin, ClientKind, ClientSettings, PlainContext, SettingsError};
use log::KafkaLog;
pub use topic::{TopicPurpose, TopicSpec};

/// The longest wait for one request to the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for a write to be acknowledged by all in-sync replicas (Kafka Connect's limit for the config topic).
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// What the consumer of a log may hold in memory, in KiB.
const READ_AHEAD_KIB: &str = "8192";

/// The longest wait before a broker is tried again: Kafka Connect's default, a tenth of librdkafka's.
const MAX_RECONNECT_WAIT_MS: &str = "1000";
const RECONNECT_KEY: &str = "reconnect.backoff.max.ms";

type Producer = FutureProducer<PlainContext>;
type Consumer = StreamConsumer<PlainContext>;

/// The clients that all logs of a worker share. Each log has a consumer of its own, but no thread.
pub struct KafkaStore {
    admin: Admin,
    producer: Producer,
    asker: Arc<Asker>,
    consumer: ClientSettings,
}

impl KafkaStore {
    /// Makes the clients from a worker's unprefixed keys, under names that begin with `client_id`. What makes a log durable
    /// cannot be changed by these keys. To be called in a tokio runtime.
    pub fn new(worker: &[(String, String)], client_id: &str) -> Result<KafkaStore, StoreError> {
        KafkaStore::with_clients(|kind| ClientSettings::worker_client(kind, worker, client_id))
    }

    /// The same from the settings of a connector: `producer.override.` and so on, under the same client ids as Kafka Connect's.
    pub fn of_connector(
        worker: &[(String, String)],
        connector: &str,
        config: &[(String, String)],
    ) -> Result<KafkaStore, StoreError> {
        KafkaStore::with_clients(|kind| ClientSettings::connector_client(kind, worker, connector, config))
    }

    fn with_clients(settings: impl Fn(ClientKind) -> Result<ClientSettings, SettingsError>) -> Result<KafkaStore, StoreError> {
        let settings = |kind| {
            let settings = settings(kind).map_err(|error| refused(&error))?;
            let is_given = settings.get(RECONNECT_KEY).is_some();
            Ok(if is_given { settings } else { settings.with(RECONNECT_KEY, MAX_RECONNECT_WAIT_MS) })
        };
        let producer = settings(ClientKind::Producer)?
            .with("acks", "all")
            .with("request.required.acks", "all")
            // In order and without gaps; a record that is doubled by a retry does no harm in a compacted topic.
            .with("enable.idempotence", "false")
            .with("max.in.flight.requests.per.connection", "1")
            .with("linger.ms", "1")
            .with("message.timeout.ms", WRITE_TIMEOUT.as_millis().to_string())
            // Kafka's own default, so that a key stays on the partition where a JVM worker would put it.
            .with("partitioner", "murmur2_random");
        let consumer = settings(ClientKind::Consumer)?;
        // librdkafka wants a group, even where partitions are assigned by hand and nothing is committed.
        let group = consumer.get("client.id").unwrap_or_default().to_owned();
        let consumer = consumer
            .with("group.id", group)
            .with("enable.auto.commit", "false")
            .with("enable.auto.offset.store", "false")
            .with("enable.partition.eof", "true")
            .with("auto.offset.reset", "earliest")
            .with("allow.auto.create.topics", "false")
            .with("queued.max.messages.kbytes", READ_AHEAD_KIB);
        Ok(KafkaStore {
            admin: Admin::new(settings(ClientKind::Admin)?),
            producer: producer.to_config().create_with_context(PlainContext::new(&producer)).map_err(failed)?,
            asker: Arc::new(Asker::new(&consumer)?),
            consumer,
        })
    }

    /// The log on a topic, which is created if it is missing, and refused if its settings would lose records.
    pub async fn log(&self, spec: TopicSpec) -> Result<Arc<dyn CompactedLog>, StoreError> {
        let partitions = topic::ensure(&self.admin, &spec).await?;
        let consumer = connect(&self.consumer)?;
        Ok(Arc::new(KafkaLog::new(spec.name, partitions, self.producer.clone(), consumer, self.asker.clone())))
    }
}

fn connect(settings: &ClientSettings) -> Result<Consumer, StoreError> {
    settings.to_config().create_with_context(PlainContext::new(settings)).map_err(failed)
}

fn refused(error: &SettingsError) -> StoreError {
    StoreError::Client(error.to_string())
}

/// The text of a refused setting would show its value.
fn failed(error: KafkaError) -> StoreError {
    StoreError::Client(match error {
        KafkaError::ClientConfig(_, reason, key, _) => format!("{key}: {reason}"),
        other => other.to_string(),
    })
}

/// Asks for end offsets. It is a client of its own, because on the connection of a log's consumer the answer would wait
/// behind a fetch that waits for records.
struct Asker {
    client: Arc<Consumer>,
    /// Lets the client log in and say what happens to its connections.
    server: JoinHandle<()>,
}

impl Asker {
    fn new(settings: &ClientSettings) -> Result<Asker, StoreError> {
        let client = Arc::new(connect(settings)?);
        let served = client.clone();
        let server = tokio::spawn(async move {
            let mut events = served.stream();
            while events.next().await.is_some() {}
        });
        Ok(Asker { client, server })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        close(self.client.clone(), &self.server);
    }
}

/// Ends the task that uses clients and then the clients, where blocking is allowed: librdkafka's shutdown blocks.
fn close(client: impl Send + 'static, user: &JoinHandle<()>) {
    user.abort();
    let user = user.abort_handle();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || {
            while !user.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(client);
        });
    }
}
