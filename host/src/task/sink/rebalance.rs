//! Partitions come and go: open before the first record, and flush, close, commit before they are given up.

use std::sync::atomic::Ordering;

use super::SinkTask;
use super::assignment::lower;
use super::work::Work;
use crate::kafka::{Rebalance, TopicOffset, TopicPartition};
use crate::task::backoff::Backoff;
use crate::task::error::TaskError;
use crate::task::select::select;

/// Tries of `open` and `close` while the world is in the way.
const MAX_TRIES: u32 = 8;

impl SinkTask {
    /// Answers the group; `work` is a batch in hand, which loses the records of partitions that go.
    pub(super) async fn rebalanced(&mut self, event: Rebalance, work: Option<&mut Work>) -> Result<(), TaskError> {
        match event {
            Rebalance::Assign(partitions) => self.assigned(&partitions).await?,
            Rebalance::Revoke { partitions, lost } => {
                tracing::info!(lost, "partitions go: {}", names(&partitions));
                // The group gets its answer also when the plugin crashes over it.
                let gone = if lost { self.close(&partitions).await } else { self.give_up(partitions.clone()).await };
                self.assignment.remove(&partitions);
                if let Some(work) = work {
                    work.retain(&self.assignment);
                }
                self.forget_fetched(|assignment, topic, partition| assignment.contains(topic, partition));
                let answered = self.consumer.unassign(&partitions);
                self.noted(answered);
                gone?;
            }
        }
        self.run.counters.partitions.store(self.assignment.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Flush, close, commit: the order in which partitions are given up.
    pub(super) async fn give_up(&mut self, partitions: Vec<TopicPartition>) -> Result<(), TaskError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let offsets = self.flush(Some(&partitions)).await?.unwrap_or_default();
        self.close(&partitions).await?;
        self.commit_now(offsets).await;
        Ok(())
    }

    /// Does what the plugin has asked for.
    pub(super) async fn obey(&mut self) -> Result<(), TaskError> {
        let requests = self.plugin.take_requests();
        if requests.is_empty() {
            return Ok(());
        }
        let (pause, resume) = (self.assignment.known(&requests.pause), self.assignment.known(&requests.resume));
        if !pause.is_empty() {
            self.assignment.set_paused(&pause, true);
            self.consumer.pause(&pause)?;
        }
        if !resume.is_empty() {
            self.assignment.set_paused(&resume, false);
            if !self.held {
                self.consumer.resume(&resume)?;
            }
        }
        let place = |at: crate::sandbox::TopicOffset| TopicOffset {
            partition: TopicPartition::new(at.topic, at.partition.cast_signed()),
            offset: at.offset,
        };
        let (here, later): (Vec<_>, Vec<_>) = requests
            .rewind
            .into_iter()
            .map(place)
            .partition(|at| self.assignment.contains(&at.partition.topic, at.partition.partition));
        if self.assignment.len() == 0 {
            // Asked before anything is assigned: partitions start there when they come.
            self.rewinds = later;
        }
        self.fetch_from(&here).await?;
        self.assignment.rewind(&here);
        if requests.request_commit {
            self.commit_at = tokio::time::Instant::now();
        }
        Ok(())
    }

    /// Reads on from these places.
    pub(super) async fn fetch_from(&mut self, places: &[TopicOffset]) -> Result<(), TaskError> {
        if places.is_empty() {
            return Ok(());
        }
        self.consumer.seek(places).await?;
        self.forget_fetched(|_, topic, partition| {
            !places.iter().any(|at| *at.partition.topic == *topic && at.partition.partition == partition)
        });
        Ok(())
    }

    async fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), TaskError> {
        self.assignment.add(partitions);
        let mut starts = Vec::new();
        if !partitions.is_empty() {
            tracing::info!("partitions come: {}", names(partitions));
            self.open(partitions).await?;
            let requests = self.plugin.take_requests();
            let asked = requests.rewind.into_iter().map(|at| TopicOffset {
                partition: TopicPartition::new(at.topic, at.partition.cast_signed()),
                offset: at.offset,
            });
            // The newest word on a partition stands first.
            let before = std::mem::take(&mut self.rewinds);
            let (now, other): (Vec<_>, Vec<_>) = asked.chain(before).partition(|at| partitions.contains(&at.partition));
            (starts, self.rewinds) = (now, other);
            self.assignment.rewind(&starts);
            let paused = self.assignment.known(&requests.pause);
            self.assignment.set_paused(&paused, true);
        }
        let answered = self.consumer.assign(partitions, &starts);
        self.noted(answered);
        let silent: Vec<TopicPartition> = if self.held {
            partitions.to_vec()
        } else {
            let awake = self.assignment.partitions(false);
            partitions.iter().filter(|partition| !awake.contains(partition)).cloned().collect()
        };
        if !silent.is_empty() {
            let paused = self.consumer.pause(&silent);
            self.noted(paused);
        }
        Ok(())
    }

    pub(super) async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), TaskError> {
        let (lowered, mut backoff) = (lower(partitions), Backoff::default());
        loop {
            match self.plugin.open(&lowered).await {
                Err(error) if error.is_retriable() && backoff.tries() < MAX_TRIES => {
                    tracing::warn!("open, to be called again: {error}");
                    tokio::time::sleep(backoff.next()).await;
                }
                opened => return opened.map_err(TaskError::plugin("open")),
            }
        }
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), TaskError> {
        let (lowered, mut backoff) = (lower(partitions), Backoff::default());
        loop {
            match self.plugin.close(&lowered).await {
                Err(error) if error.is_retriable() && backoff.tries() < MAX_TRIES => {
                    tracing::warn!("close, to be called again: {error}");
                    tokio::time::sleep(backoff.next()).await;
                }
                closed => return closed.map_err(TaskError::plugin("close")),
            }
        }
    }

    /// Drops fetched records that are not to be put.
    fn forget_fetched(&mut self, keep: impl Fn(&super::Assignment, &str, i32) -> bool) {
        if self.builder.is_empty() {
            return;
        }
        let fetched = self.builder.finish();
        let kept: Vec<bool> =
            fetched.records().map(|record| keep(&self.assignment, record.topic(), record.partition())).collect();
        let (fewer, _) = select(&fetched, |index| kept.get(index).copied().unwrap_or_default());
        for record in fewer.records() {
            self.builder.push(record.into(), record.headers());
        }
    }

    /// An answer that comes too late is no failure: the group has moved on, and another rebalance follows.
    fn noted(&self, answered: Result<(), crate::kafka::ClientError>) {
        if let Err(error) = answered {
            tracing::warn!("{error}; the group has moved on");
        }
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    let shown: Vec<String> = partitions.iter().take(20).map(TopicPartition::to_string).collect();
    let more = partitions.len().saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
