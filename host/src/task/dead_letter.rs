use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::TaskError;
use super::pipeline::Rejected;
use super::report::record_at;
use super::{DeadLetterSpec, TaskId};
use crate::kafka::{AckedBatch, Admin, NewTopicSpec, ProducerLimits, SourceProducer};
use crate::metrics::TaskCounters;
use crate::record::{Batch, BatchBuilder, HeaderValue, Record, SCHEMA_BYTES};

/// Partitions of a dead letter queue that is created, as in Kafka Connect.
const PARTITIONS: i32 = 1;
/// Bytes of a message in a header at most.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

/// The producer of a dead letter queue.
pub(super) struct DeadLetters {
    topic: String,
    headers: bool,
    producer: SourceProducer,
    builder: BatchBuilder,
    counters: Arc<TaskCounters>,
}

impl DeadLetters {
    /// Makes sure of the topic and opens a producer.
    pub(super) async fn open(spec: &DeadLetterSpec, counters: Arc<TaskCounters>) -> Result<Self, TaskError> {
        let failed = |reason: String| TaskError::DeadLetters { topic: spec.topic.clone(), reason };
        let admin = Admin::new(spec.admin.clone());
        if admin.partitions(&spec.topic).await.map_err(|error| failed(error.to_string()))?.is_none() {
            let (partitions, replication) = (Some(PARTITIONS), Some(spec.replication));
            let topic = NewTopicSpec { partitions, replication, ..NewTopicSpec::with_defaults(&spec.topic) };
            admin.create_topic(&topic).await.map_err(|error| failed(error.to_string()))?;
            tracing::info!(topic = spec.topic, "created the dead letter queue");
        }
        let producer = SourceProducer::new(spec.producer.clone(), ProducerLimits::default());
        Ok(DeadLetters { topic: spec.topic.clone(), headers: spec.headers, producer, builder: BatchBuilder::default(), counters })
    }

    /// Hands records over, as they came, with the reasons as headers if wanted.
    pub(super) async fn write(&mut self, id: &TaskId, rejected: &[Rejected], came: &Batch) -> Result<(), TaskError> {
        for failure in rejected {
            let Some(record) = record_at(came, failure.origin) else { continue };
            let letter = Record {
                topic: &self.topic,
                timestamp: record.timestamp(),
                key: record.key,
                value: record.value,
                ..Record::default()
            };
            let (partition, offset) = (record.partition().to_string(), record.offset().unwrap_or_default().to_string());
            let task = id.task.to_string();
            let message = cut(&failure.message);
            let stacktrace = format!("{}: {message}", failure.exception);
            let context = [
                ("__connect.errors.topic", record.topic()),
                ("__connect.errors.partition", &partition),
                ("__connect.errors.offset", &offset),
                ("__connect.errors.connector.name", &id.connector),
                ("__connect.errors.task.id", &task),
                ("__connect.errors.stage", failure.stage),
                ("__connect.errors.class.name", &failure.class),
                ("__connect.errors.exception.class.name", &failure.exception),
                ("__connect.errors.exception.message", message),
                ("__connect.errors.exception.stacktrace", &stacktrace),
            ];
            let context = context.iter().filter(|_| self.headers);
            let context = context.map(|(name, value)| HeaderValue { name, value: Some(value.as_bytes()), schema: SCHEMA_BYTES });
            self.builder.push(letter, record.headers().chain(context));
        }
        let batch = self.builder.finish();
        if !batch.is_empty() {
            TaskCounters::add(&self.counters.dead_letters, batch.len());
            self.producer.send(&batch).await?;
        }
        self.check()
    }

    /// Waits until all are durable, at most until `deadline`.
    pub(super) async fn settle(&mut self, deadline: Instant) -> Result<bool, TaskError> {
        self.check()?;
        if self.producer.in_flight() > 0 {
            self.producer.flush(deadline).await;
            self.check()?;
        }
        Ok(self.producer.in_flight() == 0)
    }

    pub(super) async fn close(self, limit: Duration) {
        self.producer.close(limit).await;
    }

    fn check(&mut self) -> Result<(), TaskError> {
        while let Some(AckedBatch { failures, .. }) = self.producer.next_acked() {
            if let Some(failed) = failures.first() {
                TaskCounters::add(&self.counters.dead_letter_failures, failures.len());
                return Err(TaskError::DeadLetters { topic: self.topic.clone(), reason: failed.code.to_string() });
            }
        }
        Ok(())
    }
}

/// The beginning of a message, at a character's boundary.
fn cut(message: &str) -> &str {
    let end = (0..=MAX_MESSAGE_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    message.get(..end.unwrap_or_default()).unwrap_or_default()
}
