use std::collections::HashMap;

use crate::record::Batch;

use super::bindings::guest::sink;
use super::bindings::host::types::{TopicOffsetParam, TopicPartitionParam};
use super::instance::Instance;
use super::{Call, CallError, Failure, SinkRequests, TopicOffset, TopicPartition, Usage, batch};

/// A sink task in an instance of its own. Dropping it, or the future of one of its calls, drops its store.
pub struct SinkInstance {
    instance: Instance<sink::Guest>,
}

impl SinkInstance {
    pub(super) fn new(instance: Instance<sink::Guest>) -> SinkInstance {
        SinkInstance { instance }
    }

    /// Gives the task partitions besides those it has.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them; this holds for all calls below.
    pub async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        let lowered = lower(partitions);
        let work = async |guest: &sink::Guest, store: &mut _, task| guest.task().call_open(store, task, &lowered).await;
        self.instance.call(Call::Open, work, |(), _| Ok(())).await
    }

    /// Takes partitions from the task.
    ///
    /// # Errors
    /// As [`SinkInstance::open`].
    pub async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        let lowered = lower(partitions);
        let work = async |guest: &sink::Guest, store: &mut _, task| guest.task().call_close(store, task, &lowered).await;
        self.instance.call(Call::Close, work, |(), _| Ok(())).await
    }

    /// Hands records over and answers which of them cannot be handled, in ascending order, each once. Not for empty batches.
    ///
    /// # Errors
    /// As [`SinkInstance::open`]; none of the batch is taken then.
    pub async fn put(&mut self, records: &Batch) -> Result<Vec<Failure>, CallError> {
        let names = batch::Names::of(records);
        let lowered = batch::lower(records, &names);
        let work = async |guest: &sink::Guest, store: &mut _, task| guest.task().call_put(store, task, lowered).await;
        self.instance.call(Call::Put, work, |failures, _| batch::lift_failures(Call::Put, failures, records.count)).await
    }

    /// Makes what was put durable: `offsets` says how far each partition was put, the answer what may be committed, which is
    /// never more.
    ///
    /// # Errors
    /// As [`SinkInstance::open`].
    pub async fn flush(&mut self, offsets: &[TopicOffset]) -> Result<Vec<TopicOffset>, CallError> {
        let lowered: Vec<_> =
            offsets.iter().map(|at| TopicOffsetParam { topic: &at.topic, partition: at.partition, offset: at.offset }).collect();
        let work = async |guest: &sink::Guest, store: &mut _, task| guest.task().call_flush(store, task, &lowered).await;
        self.instance.call(Call::Flush, work, |flushed, _| check(flushed, offsets)).await
    }

    /// The last call.
    ///
    /// # Errors
    /// [`CallError`] when it crashes or takes too long.
    pub async fn stop(mut self) -> Result<(), CallError> {
        let work = async |guest: &sink::Guest, store: &mut _, task| guest.task().call_stop(store, task).await.map(Ok);
        self.instance.call(Call::Stop, work, |(), _| Ok(())).await
    }

    /// What the task asked of its loop since the last call of this function.
    pub fn take_requests(&mut self) -> SinkRequests {
        self.instance.live().map(|live| live.state().requests.take()).unwrap_or_default()
    }

    /// What it has used, up to the last call that ended well.
    pub fn usage(&self) -> Usage {
        self.instance.usage()
    }
}

fn lower(partitions: &[TopicPartition]) -> Vec<TopicPartitionParam<'_>> {
    partitions.iter().map(|at| TopicPartitionParam { topic: &at.topic, partition: at.partition }).collect()
}

/// A sink that lets more be committed than it was given would lose records.
fn check(flushed: Vec<sink::TopicOffsetResult>, given: &[TopicOffset]) -> Result<Vec<TopicOffset>, CallError> {
    let given: HashMap<_, _> = given.iter().map(|at| ((at.topic.as_str(), at.partition), at.offset)).collect();
    for at in &flushed {
        let allowed = given.get(&(at.topic.as_str(), at.partition));
        if allowed.is_none_or(|allowed| at.offset > *allowed) {
            let put = allowed.map_or("nothing".to_owned(), |allowed| format!("offset {allowed}"));
            let reason = format!("it flushed {}-{} up to offset {}, but {put} was put", at.topic, at.partition, at.offset);
            return Err(CallError::BadAnswer { call: Call::Flush, reason });
        }
    }
    let lift = |at: sink::TopicOffsetResult| TopicOffset { topic: at.topic, partition: at.partition, offset: at.offset };
    Ok(flushed.into_iter().map(lift).collect())
}
