//! After a crash in `put` or `flush`: a new instance, back to what is committed, and the search for the record at fault.

use tokio::time::Instant;

use super::assignment::{Span, Spans, spans_of};
use super::{SinkTask, TASK_PUT_CLASS};
use crate::kafka::TopicOffset;
use crate::record::Batch;
use crate::task::Target;
use crate::task::error::TaskError;
use crate::task::pipeline::Rejected;
use crate::task::poison::Verdict;

impl SinkTask {
    /// Goes on after a crash. What was put since the last commit went with the instance, and is read again.
    ///
    /// # Errors
    /// The crash, when the search for its record does not go on; what happens when the plugin is started anew;
    /// [`TaskError::Tolerance`] when the record is found, and none is tolerated.
    pub(super) async fn recover(&mut self, crash: TaskError) -> Result<(), TaskError> {
        let accused = self.suspects.take_accused();
        let zone = accused.as_ref().map_or_else(|| self.assignment.unsafe_spans(), spans_of);
        let count = accused.as_ref().map_or(usize::MAX, Batch::len);
        let (verdict, crash) = self.search.crashed(count, crash, Instant::now())?;
        tracing::warn!("of the records since the last commit one may be at fault, to be sought with a new instance: {crash}");
        match (verdict, accused) {
            (Verdict::Found, Some(accused)) => {
                self.convict(&accused)?;
                self.replace_plugin().await?;
                let rejected = Rejected::crashed(&crash, 0, "TASK_PUT", TASK_PUT_CLASS.to_owned());
                self.reporter.skipped(1);
                self.reporter.report(vec![rejected], &accused).await
            }
            _ => {
                self.suspects.seek_among(zone, (count / 2).min(self.limits.records));
                self.replace_plugin().await
            }
        }
    }

    fn convict(&mut self, accused: &Batch) -> Result<(), TaskError> {
        let Some(record) = accused.records().next() else { return Ok(()) };
        if self.suspects.convict(record.topic(), record.partition(), record.offset().unwrap_or_default()) {
            return Ok(());
        }
        Err(TaskError::TooManyFound)
    }

    /// Starts the plugin anew and goes back to what is committed, or to where reading began.
    async fn replace_plugin(&mut self) -> Result<(), TaskError> {
        let (run, spec) = (&mut self.run, &self.spec);
        let started = run.start(|| spec.start()).await.map_err(TaskError::plugin("start"))?;
        // If the task is to stop, the loop does so next; nothing is left to be flushed.
        let partitions = self.assignment.partitions(true);
        let back: Vec<TopicOffset> = self.assignment.safe_places();
        let lost = self.assignment.unsafe_spans();
        self.assignment.rewind(&back);
        let Some(plugin) = started else { return Ok(()) };
        self.plugin = plugin;
        // What the old instance had paused, the new one knows nothing of.
        self.assignment.set_paused(&partitions, false);
        if !self.take_from_hand(&lost) {
            self.fetch_from(&back).await?;
        }
        if !self.held && !partitions.is_empty() {
            self.consumer.resume(&partitions)?;
        }
        if !partitions.is_empty() {
            self.open(&partitions).await?;
        }
        self.obey().await
    }

    /// Has what is left of the batch in hand come next, if all that was lost is in it: nothing has to be fetched again, for which the
    /// broker's answer to the last fetch would have to be waited for. `false`: it is not.
    fn take_from_hand(&mut self, lost: &Spans) -> bool {
        let Some(batch) = self.in_hand.take() else { return false };
        let held = spans_of(&batch);
        let is_held = |lost: &Span| {
            held.iter().any(|span| span.partition == lost.partition && span.begin <= lost.begin && lost.end <= span.end)
        };
        if !lost.iter().all(is_held) || !self.builder.is_empty() || self.run.target() != Target::Run {
            return false;
        }
        for record in batch.records() {
            let (topic, partition) = (record.topic(), record.partition());
            // A partition that has gone and come back meanwhile is read from what is committed.
            if self.assignment.put_offset(topic, partition).is_some_and(|next| record.offset() >= Some(next)) {
                self.builder.push(record.into(), record.headers());
            }
        }
        true
    }

    /// Makes sure that what was put so far is not lost with the instance, as far as the plugin lets it be committed.
    pub(super) async fn save(&mut self) -> Result<(), TaskError> {
        if let Some(offsets) = self.flush(None).await? {
            self.commit_now(offsets).await;
        }
        Ok(())
    }
}
