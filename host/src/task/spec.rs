use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::run::spawn;
use super::{ErrorPolicy, StartChain, StartSink, StartSource, Starts, TaskHandle, TaskId, TopicCreation, sink, source};
use crate::convert::Converters;
use crate::kafka::{ClientSettings, ProducerLimits, ReservedTopics, Subscription};
use crate::record::BatchLimits;
use crate::store::SourceOffsets;

/// Where source offsets are kept: the offset store.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// Makes ready what the others need; to be called first.
    async fn open(&self) -> Result<(), String> {
        Ok(())
    }
    /// The stored offset of each partition (JSON objects both).
    async fn get(&self, connector: &str, partitions: &[String]) -> Result<Vec<Option<String>>, String>;
    /// Stores offsets; all are durable when this returns.
    async fn put(&self, connector: &str, offsets: Vec<(String, String)>) -> Result<(), String>;
}

#[async_trait]
impl Checkpoints for SourceOffsets {
    async fn open(&self) -> Result<(), String> {
        SourceOffsets::open(self).await.map_err(|error| error.to_string())
    }

    async fn get(&self, connector: &str, partitions: &[String]) -> Result<Vec<Option<String>>, String> {
        let found = SourceOffsets::get(self, connector, partitions).await.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|offset| offset.map(|offset| offset.to_string())).collect())
    }

    async fn put(&self, connector: &str, offsets: Vec<(String, String)>) -> Result<(), String> {
        let offsets = offsets.into_iter().map(|(partition, offset)| (partition, Some(offset))).collect();
        SourceOffsets::put(self, connector, offsets).await.map_err(|error| error.to_string())
    }
}

/// Hears which topics a connector uses, each once per task.
pub trait TopicTracker: Send + Sync {
    /// The connector has used the topic. Must not block.
    fn used(&self, connector: &str, topic: &str);
}

/// What all tasks of a worker share.
#[derive(Clone)]
pub struct TaskContext {
    /// Source offsets.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Topics in use.
    pub topics: Arc<dyn TopicTracker>,
    /// How many start at a time.
    pub starts: Starts,
    /// Topics to which no record may go.
    pub reserved: ReservedTopics,
}

/// When and how long to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitTiming {
    /// Between two commits (`offset.flush.interval.ms`).
    pub interval: Duration,
    /// How long one may take (`offset.flush.timeout.ms`).
    pub timeout: Duration,
}

impl Default for CommitTiming {
    /// Kafka Connect's defaults: every 60 s, 5 s each.
    fn default() -> Self {
        CommitTiming { interval: Duration::from_secs(60), timeout: Duration::from_secs(5) }
    }
}

/// A source task to be.
pub struct SourceSpec {
    /// Which task.
    pub id: TaskId,
    /// Its plugin ([`super::PluginSpec`]).
    pub plugin: Box<dyn StartSource>,
    /// Its transforms, grouped ([`super::group_steps`]).
    pub chains: Vec<Box<dyn StartChain>>,
    /// Its converters.
    pub converters: Converters,
    /// Settings of its producer ([`ClientSettings::source_producer`]).
    pub producer: ClientSettings,
    /// How much its producer may have on the way.
    pub producer_limits: ProducerLimits,
    /// How missing topics are created; `None` leaves that to the brokers.
    pub creation: Option<TopicCreation>,
    /// What happens to records that cannot be handled.
    pub errors: ErrorPolicy,
    /// When to commit.
    pub commit: CommitTiming,
    /// Whether to hold from the start.
    pub paused: bool,
}

/// A sink task to be.
pub struct SinkSpec {
    /// Which task.
    pub id: TaskId,
    /// Its plugin ([`super::PluginSpec`]).
    pub plugin: Box<dyn StartSink>,
    /// Its transforms, grouped ([`super::group_steps`]).
    pub chains: Vec<Box<dyn StartChain>>,
    /// Its converters.
    pub converters: Converters,
    /// Settings of its consumer ([`ClientSettings::sink_consumer`]).
    pub consumer: ClientSettings,
    /// What it reads.
    pub subscription: Subscription,
    /// How large a batch may become.
    pub batch: BatchLimits,
    /// What happens to records that cannot be handled ([`ErrorPolicy::for_sink`]).
    pub errors: ErrorPolicy,
    /// When to commit.
    pub commit: CommitTiming,
    /// Whether to hold from the start.
    pub paused: bool,
}

/// Starts a source task on the current runtime.
pub fn spawn_source(spec: SourceSpec, context: TaskContext) -> TaskHandle {
    let (id, paused) = (spec.id.clone(), spec.paused);
    spawn(id, paused, |run| source::run(Box::new(spec), context, run))
}

/// Starts a sink task on the current runtime.
pub fn spawn_sink(spec: SinkSpec, context: TaskContext) -> TaskHandle {
    let (id, paused) = (spec.id.clone(), spec.paused);
    spawn(id, paused, |run| sink::run(Box::new(spec), context, run))
}
