//! Commits: flush says how far, and nothing is committed beyond.

use tokio::time::Instant;

use super::{FLUSH, SinkTask};
use crate::kafka::{TopicOffset, TopicPartition};
use crate::metrics::{Step, TaskCounters};
use crate::sandbox::CallError;
use crate::task::error::TaskError;

impl SinkTask {
    /// Flushes and starts a commit when it is time, and takes note of how the last one ended. Never fails the task but for what
    /// the plugin does in `flush`.
    pub(super) async fn commit_if_due(&mut self) -> Result<(), TaskError> {
        self.note_commit().await;
        if Instant::now() < self.commit_at {
            return Ok(());
        }
        self.commit_at = Instant::now() + self.timing.interval;
        if self.consumer.is_committing() {
            TaskCounters::add(&self.run.counters.commits_skipped, 1);
            return Ok(());
        }
        if let Some(offsets) = Box::pin(self.flush(None)).await?
            && !offsets.is_empty()
        {
            self.committing = Some(Instant::now());
            self.run.counters.begin(Step::Commit);
            self.consumer.start_commit(offsets);
        }
        self.obey().await
    }

    /// What may be committed now, of all partitions or of some; `None` when that cannot be said for now.
    pub(super) async fn flush(&mut self, of: Option<&[TopicPartition]>) -> Result<Option<Vec<TopicOffset>>, TaskError> {
        let put = self.assignment.uncommitted(of);
        if put.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if !self.reporter.settle(Instant::now() + self.timing.timeout).await? {
            TaskCounters::add(&self.run.counters.commit_failures, 1);
            tracing::warn!("offsets are not committed: the dead letters before them are not yet durable");
            return Ok(None);
        }
        self.run.counters.begin(Step::Flush);
        match self.plugin.flush(&put).await {
            Ok(answer) => {
                self.run.counters.end(Step::Flush);
                Ok(Some(self.assignment.committable(answer)))
            }
            Err(CallError::Retriable(reason)) => {
                TaskCounters::add(&self.run.counters.commit_failures, 1);
                tracing::warn!("flush, to be called again with the next commit: {reason}");
                Ok(None)
            }
            Err(error) => Err(TaskError::Plugin { call: FLUSH, error }),
        }
    }

    /// Commits and waits for it. A commit that fails is only a warning: what it covers is read again.
    pub(super) async fn commit_now(&mut self, offsets: Vec<TopicOffset>) {
        if offsets.is_empty() {
            return;
        }
        let since = Instant::now();
        self.run.counters.begin(Step::Commit);
        match self.consumer.commit(&offsets, self.timing.timeout).await {
            Ok(()) => self.committed(&offsets, since),
            Err(error) => {
                TaskCounters::add(&self.run.counters.commit_failures, 1);
                tracing::warn!("{error}; the records since the last commit will be read again");
            }
        }
    }

    async fn note_commit(&mut self) {
        if let Some(since) = self.committing
            && let Some(report) = self.consumer.commit_report().await
        {
            self.committing = None;
            match report.result {
                Ok(()) => self.committed(&report.offsets, since),
                Err(error) => {
                    TaskCounters::add(&self.run.counters.commit_failures, 1);
                    tracing::warn!("{error}; committed again with the next interval");
                }
            }
        }
    }

    fn committed(&mut self, offsets: &[TopicOffset], since: Instant) {
        self.assignment.committed(offsets);
        self.run.counters.commit(since.elapsed());
        self.run.counters.active(self.assignment.lag());
    }
}
