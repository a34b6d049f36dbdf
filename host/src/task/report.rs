//! What becomes of records that cannot be handled: counted, logged, sent to the dead letter queue, and tolerated or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::dead_letter::DeadLetters;
use super::error::TaskError;
use super::pipeline::Rejected;
use super::{ErrorPolicy, TaskId, Tolerance};
use crate::metrics::TaskCounters;
use crate::record::{Batch, RecordRef};

/// Applies a task's error policy.
pub(super) struct Reporter {
    id: TaskId,
    policy: ErrorPolicy,
    counters: Arc<TaskCounters>,
    dead_letters: Option<DeadLetters>,
}

impl Reporter {
    /// Opens the dead letter queue if there is one.
    ///
    /// # Errors
    /// [`TaskError`] when its topic cannot be had.
    pub(super) async fn start(id: TaskId, policy: ErrorPolicy, counters: Arc<TaskCounters>) -> Result<Self, TaskError> {
        let dead_letters = match &policy.dead_letter {
            None => None,
            Some(spec) => Some(DeadLetters::open(spec, counters.clone()).await?),
        };
        Ok(Reporter { id, policy, counters, dead_letters })
    }

    pub(super) fn policy(&self) -> &ErrorPolicy {
        &self.policy
    }

    /// Whether records must be kept as they came, because they may be needed once more.
    pub(super) fn wants_originals(&self) -> bool {
        self.dead_letters.is_some() || self.retries() || self.policy.log && self.policy.log_messages
    }

    /// Whether failures that may pass are repeated at all.
    pub(super) fn retries(&self) -> bool {
        self.policy.retry_timeout.is_none_or(|timeout| !timeout.is_zero())
    }

    /// Reports records; `came` is the batch that they came in, with their bytes if [`wants_originals`](Self::wants_originals).
    ///
    /// # Errors
    /// [`TaskError::Tolerance`] for the first, after all are reported, if none is tolerated.
    pub(super) async fn report(&mut self, rejected: Vec<Rejected>, came: &Batch) -> Result<(), TaskError> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.counters.error();
        TaskCounters::add(&self.counters.record_failures, rejected.len());
        TaskCounters::add(&self.counters.record_errors, rejected.len());
        if self.policy.log {
            for failure in &rejected {
                self.log(failure, came);
            }
        }
        if let Some(dead_letters) = &mut self.dead_letters {
            dead_letters.write(&self.id, &rejected, came).await?;
        }
        match (self.policy.tolerance, rejected.into_iter().min_by_key(|failure| failure.origin)) {
            (Tolerance::None, Some(first)) => {
                let place = place_of(came, first.origin as usize);
                let message = first.text();
                Err(TaskError::Tolerance { stage: first.stage, class: first.class, place, message })
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a dead letter queue.
    pub(super) fn has_dead_letters(&self) -> bool {
        self.dead_letters.is_some()
    }

    /// The last dead letter that was written so far; see [`Self::is_durable`].
    pub(super) fn written(&self) -> u64 {
        self.dead_letters.as_ref().map_or(0, DeadLetters::written)
    }

    /// Whether all dead letters up to one are durable.
    pub(super) fn is_durable(&self, written: u64) -> bool {
        self.dead_letters.as_ref().is_none_or(|dead_letters| dead_letters.is_durable(written))
    }

    /// Waits until a dead letter is durable; pends while none is on its way. May be dropped at any time.
    ///
    /// # Errors
    /// [`TaskError::DeadLetters`] when it was refused.
    pub(super) async fn dead_letter_acked(&mut self) -> Result<(), TaskError> {
        match &mut self.dead_letters {
            Some(dead_letters) => dead_letters.acked().await,
            None => std::future::pending().await,
        }
    }

    /// Notes records that are left out for good.
    pub(super) fn skipped(&self, count: usize) {
        TaskCounters::add(&self.counters.records_skipped, count);
    }

    /// Waits until every dead letter is durable, so that the offsets behind them may be committed. `false`: not in time.
    ///
    /// # Errors
    /// [`TaskError::DeadLetters`] when one was refused: its record would be lost.
    pub(super) async fn settle(&mut self, deadline: Instant) -> Result<bool, TaskError> {
        match &mut self.dead_letters {
            None => Ok(true),
            Some(dead_letters) => dead_letters.settle(deadline).await,
        }
    }

    /// Closes the dead letter queue.
    pub(super) async fn close(self, limit: std::time::Duration) {
        if let Some(dead_letters) = self.dead_letters {
            dead_letters.close(limit).await;
        }
    }

    /// Kafka Connect's line about a record, whose words tools look for. As there, messages are shown of sources alone: a sink's can
    /// be found by their place.
    fn log(&self, failure: &Rejected, came: &Batch) {
        self.counters.errors_logged.fetch_add(1, Ordering::Relaxed);
        let (id, stage, class) = (&self.id, failure.stage, &failure.class);
        let message = failure.text();
        if self.policy.log_messages {
            let (whose, place) = match record_at(came, failure.origin) {
                Some(record) if record.offset().is_none() => ("source record is =", content_of(record)),
                _ => ("consumed record is", place_of(came, failure.origin as usize)),
            };
            tracing::error!(
                "Error encountered in task {id}. Executing stage '{stage}' with class '{class}', where {whose} {place}. {message}"
            );
        } else {
            tracing::error!("Error encountered in task {id}. Executing stage '{stage}' with class '{class}'. {message}");
        }
    }
}

/// Bytes of a key or value that a line of the log shows at most.
const MAX_SHOWN: usize = 4096;

/// A source's record with its content; what would break the line is left out.
fn content_of(record: RecordRef<'_>) -> String {
    let text = |bytes: Option<&[u8]>| {
        let Some(bytes) = bytes else { return "null".to_owned() };
        let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        let end = if shown.len() < bytes.len() { "..." } else { "" };
        String::from_utf8_lossy(shown).replace(char::is_control, " ") + end
    };
    format!("{{topic='{}', key={}, value={}}}", record.topic(), text(record.key), text(record.value))
}

/// Where a record came from, as far as its batch knows.
pub(super) fn place_of(came: &Batch, index: usize) -> String {
    let Some(record) = came.records().nth(index) else { return format!("record {index} of its batch") };
    match record.offset() {
        Some(offset) => {
            let (topic, partition, timestamp) = (record.topic(), record.partition(), record.timestamp());
            format!("{{topic='{topic}', partition={partition}, offset={offset}, timestamp={timestamp}}}")
        }
        None => format!("record {index} of its batch for topic '{}'", record.topic()),
    }
}

/// A record of a batch by its place, with its bytes.
pub(super) fn record_at(came: &Batch, index: u32) -> Option<RecordRef<'_>> {
    came.records().nth(index as usize)
}
