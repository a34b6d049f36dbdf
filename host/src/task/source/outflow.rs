use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use crate::kafka::{AckedBatch, SourceProducer};
use crate::metrics::{Step, TaskCounters};
use crate::record::Batch;
use crate::sandbox::Checkpoint;
use crate::task::error::TaskError;
use crate::task::pipeline::Rejected;
use crate::task::report::Reporter;
use crate::task::run::TopicsSeen;
use crate::task::{Checkpoints, CommitTiming, TaskId};

/// Source partitions that may await storing before it is done out of turn.
const MAX_RELEASED: usize = 10_000;

/// A batch, or checkpoints without one, in the order in which they were polled.
struct Pending {
    /// The batch's number at the producer; `None` when no record of it was sent.
    sequence: Option<u64>,
    checkpoints: Vec<Checkpoint>,
    /// Dead letters that must be durable before the checkpoints are stored: those of this poll and of all before.
    letters: u64,
    /// Topics of the batch's records, to name those that fail; all of them if there is a dead letter queue.
    sent: Batch,
    bytes: usize,
}

/// Checkpoints that are being stored.
struct Storing {
    checkpoints: Vec<Checkpoint>,
    since: Instant,
    running: JoinHandle<Result<(), String>>,
}

/// What is on its way to Kafka, and the checkpoints that wait behind it.
///
/// Checkpoints are released in the order of their polls: those of a batch when every record of it, and of all batches before,
/// is acknowledged. Of several for one source partition the last one counts.
pub(super) struct Outflow {
    id: TaskId,
    producer: SourceProducer,
    pending: VecDeque<Pending>,
    released: IndexMap<String, Checkpoint>,
    storing: Option<Storing>,
    stored: Vec<Checkpoint>,
    /// Something was stored since the plugin was told last.
    news: bool,
    checkpoints: Arc<dyn Checkpoints>,
    timing: CommitTiming,
    store_at: Instant,
    topics: TopicsSeen,
    counters: Arc<TaskCounters>,
}

impl Outflow {
    pub(super) fn new(
        id: &TaskId,
        producer: SourceProducer,
        checkpoints: Arc<dyn Checkpoints>,
        timing: CommitTiming,
        topics: TopicsSeen,
        counters: Arc<TaskCounters>,
    ) -> Self {
        Outflow {
            id: id.clone(),
            producer,
            pending: VecDeque::new(),
            released: IndexMap::new(),
            storing: None,
            stored: Vec::new(),
            news: false,
            checkpoints,
            timing,
            store_at: Instant::now() + timing.interval,
            topics,
            counters,
        }
    }

    /// Notes checkpoints of a poll of which no record is sent.
    pub(super) fn pass(&mut self, checkpoints: Vec<Checkpoint>, reporter: &Reporter) {
        let letters = reporter.written();
        match self.pending.back_mut() {
            // So that polls without records do not pile up behind a batch that takes long.
            Some(last) if last.sequence.is_none() => {
                last.checkpoints.retain(|old| checkpoints.iter().all(|new| new.partition != old.partition));
                last.checkpoints.extend(checkpoints);
                last.letters = letters;
            }
            _ if checkpoints.is_empty() => return,
            _ => self.pending.push_back(Pending { sequence: None, checkpoints, letters, sent: Batch::default(), bytes: 0 }),
        }
        self.release(reporter);
    }

    /// Hands a batch to the producer, and its checkpoints to those that wait behind it. When this future is dropped before its
    /// end, the checkpoints are forgotten, and none behind them is released any more.
    pub(super) async fn send(
        &mut self,
        mut batch: Batch,
        checkpoints: Vec<Checkpoint>,
        reporter: &Reporter,
    ) -> Result<(), TaskError> {
        let sequence = self.producer.send(&batch).await?;
        self.counters.active(TaskCounters::read(&self.counters.active) + batch.len() as u64);
        self.counters.begin(Step::Acknowledge);
        let bytes = batch.data.len();
        let sent = match reporter.has_dead_letters() {
            true => batch,
            false => Batch {
                count: batch.count,
                topics: std::mem::take(&mut batch.topics),
                topic_indexes: std::mem::take(&mut batch.topic_indexes),
                ..Batch::default()
            },
        };
        self.pending.push_back(Pending { sequence: Some(sequence), checkpoints, letters: reporter.written(), sent, bytes });
        Ok(())
    }

    /// Takes note of the acknowledgements that are there.
    pub(super) async fn collect(&mut self, reporter: &mut Reporter) -> Result<(), TaskError> {
        while let Some(acked) = self.producer.next_acked() {
            self.acked(acked, reporter).await?;
        }
        Ok(())
    }

    /// Waits for the next thing to do about acknowledgements and checkpoints, and does it. May be dropped while it waits.
    pub(super) async fn tend(&mut self, reporter: &mut Reporter) -> Result<(), TaskError> {
        let due = self.storing.is_none() && !self.released.is_empty();
        let store_at = if self.released.len() > MAX_RELEASED { Instant::now() } else { self.store_at };
        tokio::select! {
            acked = self.producer.acked() => self.acked(acked, reporter).await,
            durable = reporter.dead_letter_acked() => {
                durable?;
                self.release(reporter);
                Ok(())
            }
            () = tokio::time::sleep_until(store_at), if due => {
                self.store();
                Ok(())
            }
            stored = ended(&mut self.storing) => {
                self.end_storing(stored);
                Ok(())
            }
        }
    }

    /// Whether something was stored since [`take_stored`](Self::take_stored) was called last.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// Checkpoints that were stored and that the plugin does not know of yet.
    pub(super) fn take_stored(&mut self) -> Vec<Checkpoint> {
        self.news = false;
        std::mem::take(&mut self.stored)
    }

    /// Takes back checkpoints that the plugin could not be told.
    pub(super) fn untold(&mut self, checkpoints: Vec<Checkpoint>) {
        let newer = std::mem::replace(&mut self.stored, checkpoints);
        let known: Vec<_> = newer.iter().map(|checkpoint| checkpoint.partition.clone()).collect();
        self.stored.retain(|checkpoint| !known.contains(&checkpoint.partition));
        self.stored.extend(newer);
    }

    /// Waits for acknowledgements and stores the checkpoints behind them, each at most for the commit's time-out.
    pub(super) async fn finish(&mut self, reporter: &mut Reporter) -> Result<(), TaskError> {
        let deadline = Instant::now() + self.timing.timeout;
        if self.producer.in_flight() > 0 {
            self.producer.flush(deadline).await;
        }
        let mut collected = self.collect(reporter).await;
        let settled = reporter.settle(deadline).await;
        self.release(reporter);
        if collected.is_ok() {
            collected = settled.map(|_| ());
        }
        if self.storing.is_some() {
            let stored = ended(&mut self.storing).await;
            self.end_storing(stored);
        }
        if !self.released.is_empty() {
            self.store();
            let stored = ended(&mut self.storing).await;
            self.end_storing(stored);
        }
        let unacknowledged = self.producer.in_flight();
        if unacknowledged > 0 {
            tracing::warn!("{unacknowledged} batches were not acknowledged in time; what they hold is read again");
        }
        collected
    }

    pub(super) async fn close(self, limit: Duration) {
        self.producer.close(limit).await;
    }

    async fn acked(&mut self, acked: AckedBatch, reporter: &mut Reporter) -> Result<(), TaskError> {
        let waiting = self.pending.iter_mut().find(|pending| pending.sequence == Some(acked.sequence));
        // A batch that was given up half-way has no entry; those behind it are never sent.
        let Some(pending) = waiting else { return Ok(()) };
        let (sent, bytes) = (std::mem::take(&mut pending.sent), pending.bytes);
        self.counters.active(TaskCounters::read(&self.counters.active).saturating_sub(acked.records.into()));
        match self.producer.in_flight() {
            0 => self.counters.end(Step::Acknowledge),
            _ => self.counters.renew(Step::Acknowledge),
        }
        if !acked.failures.is_empty() {
            let rejected = acked.failures.iter().map(|failed| Rejected {
                origin: failed.index,
                stage: "KAFKA_PRODUCE",
                class: "org.apache.kafka.connect.source.SourceTask".to_owned(),
                exception: "org.apache.kafka.common.KafkaException".into(),
                message: format!("the record could not be written: {}", failed.code),
                cause: None,
                retriable: false,
            });
            Box::pin(reporter.report(rejected.collect(), &sent)).await?;
            reporter.skipped(acked.failures.len());
        }
        self.topics.note(&sent.topics);
        self.counters.records_out(acked.records as usize - acked.failures.len(), bytes);
        self.counters.progress();
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.sequence == Some(acked.sequence)) {
            pending.sequence = None;
            pending.letters = reporter.written();
        }
        self.release(reporter);
        Ok(())
    }

    /// Releases the checkpoints behind which nothing is outstanding.
    fn release(&mut self, reporter: &Reporter) {
        let is_through = |pending: &Pending| pending.sequence.is_none() && reporter.is_durable(pending.letters);
        while self.pending.front().is_some_and(is_through)
            && let Some(pending) = self.pending.pop_front()
        {
            for checkpoint in pending.checkpoints {
                self.released.insert(checkpoint.partition.clone(), checkpoint);
            }
        }
    }

    fn store(&mut self) {
        let checkpoints: Vec<Checkpoint> = std::mem::take(&mut self.released).into_values().collect();
        let offsets = checkpoints.iter().map(|checkpoint| (checkpoint.partition.clone(), checkpoint.offset.clone())).collect();
        let (store, connector, limit) = (self.checkpoints.clone(), self.id.connector.clone(), self.timing.timeout);
        let running = async move {
            match tokio::time::timeout(limit, store.put(&connector, offsets)).await {
                Ok(stored) => stored,
                Err(_) => Err(format!("not done within offset.flush.timeout.ms = {}", limit.as_millis())),
            }
        };
        let running = tokio::spawn(running.in_current_span());
        self.counters.begin(Step::Commit);
        self.storing = Some(Storing { checkpoints, since: Instant::now(), running });
    }

    fn end_storing(&mut self, result: Result<(), String>) {
        self.store_at = Instant::now() + self.timing.interval;
        let Some(storing) = self.storing.take() else { return };
        match result {
            Ok(()) => {
                self.counters.commit(storing.since.elapsed());
                let before = std::mem::replace(&mut self.stored, storing.checkpoints);
                self.untold(before);
                self.news = true;
            }
            Err(reason) => {
                TaskCounters::add(&self.counters.commit_failures, 1);
                tracing::error!("source offsets could not be stored, to be tried again: {reason}");
                for checkpoint in storing.checkpoints {
                    self.released.entry(checkpoint.partition.clone()).or_insert(checkpoint);
                }
            }
        }
    }
}

/// The end of a store, if one is under way; pends otherwise.
async fn ended(storing: &mut Option<Storing>) -> Result<(), String> {
    match storing {
        None => std::future::pending().await,
        Some(storing) => (&mut storing.running).await.unwrap_or_else(|error| Err(error.to_string())),
    }
}
