use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::TaskError;
use super::pipeline::Rejected;
use super::report::record_at;
use super::source::create_if_missing;
use super::{DeadLetterSpec, TaskId};
use crate::kafka::{AckedBatch, Admin, NewTopicSpec, ProducerLimits, SourceProducer};
use crate::metrics::TaskCounters;
use crate::record::{Batch, BatchBuilder, HeaderValue, Record, SCHEMA_BYTES};

/// Partitions of a dead letter queue that is created, as in Kafka Connect.
const PARTITIONS: i32 = 1;
/// Bytes of a message in a header at most.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

/// The dead letter queue of a task.
pub(super) struct DeadLetters {
    topic: String,
    headers: bool,
    producer: SourceProducer,
    builder: BatchBuilder,
    counters: Arc<TaskCounters>,
    /// Batches of letters that were written, and how many of them are durable: these come in order.
    written: u64,
    durable: u64,
}

impl DeadLetters {
    /// Makes sure of the topic and opens a producer.
    pub(super) async fn open(spec: &DeadLetterSpec, counters: Arc<TaskCounters>) -> Result<Self, TaskError> {
        let (partitions, replication) = (Some(PARTITIONS), Some(spec.replication));
        let topic = NewTopicSpec { partitions, replication, ..NewTopicSpec::with_defaults(&spec.topic) };
        let created = create_if_missing(&Admin::new(spec.admin.clone()), &topic, "dead letter queue").await;
        created.map_err(|reason| TaskError::NewDeadLetters { topic: spec.topic.clone(), reason })?;
        let producer = SourceProducer::new(spec.producer.clone(), ProducerLimits::default());
        Ok(DeadLetters {
            topic: spec.topic.clone(),
            headers: spec.headers,
            producer,
            builder: BatchBuilder::default(),
            counters,
            written: 0,
            durable: 0,
        })
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
            // A source's record comes from nowhere in Kafka: it names the topic that it was bound for, and no place in it.
            let offset = record.offset().map(|offset| offset.to_string());
            let partition = offset.as_ref().map(|_| record.partition().to_string());
            let task = id.task.to_string();
            let (message, trace) = (cut(&failure.message), stacktrace(failure));
            let context = [
                ("__connect.errors.topic", Some(record.topic())),
                ("__connect.errors.partition", partition.as_deref()),
                ("__connect.errors.offset", offset.as_deref()),
                ("__connect.errors.connector.name", Some(&*id.connector)),
                ("__connect.errors.task.id", Some(&task)),
                ("__connect.errors.stage", Some(failure.stage)),
                ("__connect.errors.class.name", Some(&failure.class)),
                ("__connect.errors.exception.class.name", Some(&failure.exception)),
                ("__connect.errors.exception.message", Some(message)),
                ("__connect.errors.exception.stacktrace", Some(cut(&trace))),
            ];
            let context = context
                .iter()
                .filter(|_| self.headers)
                .filter_map(|(name, value)| Some(HeaderValue { name, value: Some((*value)?.as_bytes()), schema: SCHEMA_BYTES }));
            self.builder.push(letter, record.headers().chain(context));
        }
        let batch = self.builder.finish();
        if !batch.is_empty() {
            TaskCounters::add(&self.counters.dead_letters, batch.len());
            self.written = self.producer.send(&batch).await? + 1;
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

    /// Batches of letters that were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether so many of them are durable.
    pub(super) fn is_durable(&self, written: u64) -> bool {
        self.durable >= written
    }

    /// Waits until one more batch of letters is durable.
    pub(super) async fn acked(&mut self) -> Result<(), TaskError> {
        let acked = self.producer.acked().await;
        self.note(&acked)
    }

    fn check(&mut self) -> Result<(), TaskError> {
        while let Some(acked) = self.producer.next_acked() {
            self.note(&acked)?;
        }
        Ok(())
    }

    fn note(&mut self, acked: &AckedBatch) -> Result<(), TaskError> {
        if let Some(failed) = acked.failures.first() {
            TaskCounters::add(&self.counters.dead_letter_failures, acked.failures.len());
            return Err(TaskError::DeadLetters { topic: self.topic.clone(), reason: failed.code.to_string() });
        }
        self.durable = acked.sequence + 1;
        Ok(())
    }
}

/// What stands in place of a stack trace: there is none, but the first line and the causes are where tools look for them.
fn stacktrace(failure: &Rejected) -> String {
    let first = format!("{}: {}", failure.exception, failure.message);
    match &failure.cause {
        None => first,
        Some(cause) => format!("{first}\nCaused by: {cause}"),
    }
}

/// The beginning of a message, at a character's boundary.
fn cut(message: &str) -> &str {
    let end = (0..=MAX_MESSAGE_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    message.get(..end.unwrap_or_default()).unwrap_or_default()
}
