//! Whole tasks, as the worker runs them: a source that makes records, a sink that drops them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use async_trait::async_trait;
use hawser::convert::Converters;
use hawser::kafka::{ClientSettings, ProducerLimits, ReservedTopics, Subscription};
use hawser::record::{BatchLimits, SchemaTable};
use hawser::sandbox::Component;
use hawser::task::{
    Checkpoints, CommitTiming, ErrorPolicy, PluginSpec, SinkSpec, SourceSpec, Starts, TaskContext, TaskHandle, TaskId, TaskState,
    TopicTracker, spawn_sink, spawn_source,
};

use crate::meter::{Cost, Meter};
use crate::stages::{Pairs, environment, pairs, worker_config};

/// How long a task may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a task's counters.
const LOOK: Duration = Duration::from_millis(2);
/// How long a task may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Forgets offsets and topics: what is measured starts at the beginning and is not resumed.
struct Forgetful;

#[async_trait]
impl Checkpoints for Forgetful {
    async fn get(&self, _connector: &str, partitions: &[String]) -> Result<Vec<Option<String>>, String> {
        Ok(vec![None; partitions.len()])
    }

    async fn put(&self, _connector: &str, _offsets: Vec<(String, String)>) -> Result<(), String> {
        Ok(())
    }
}

impl TopicTracker for Forgetful {
    fn used(&self, _connector: &str, _topic: &str) {}
}

fn context() -> TaskContext {
    TaskContext {
        checkpoints: Arc::new(Forgetful),
        topics: Arc::new(Forgetful),
        starts: Starts::default(),
        reserved: ReservedTopics::default(),
    }
}

/// What both kinds of task need.
struct Parts {
    name: String,
    worker: Pairs,
    id: TaskId,
    converters: Converters,
    plugin: Box<PluginSpec>,
}

impl Parts {
    fn new(bootstrap: &str, component: &Arc<Component>, class: &str, config: Pairs) -> anyhow::Result<Self> {
        let name = hawser_e2e::unique("bench");
        let schemas = Arc::new(SchemaTable::default());
        const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
        let converters = Converters::from_config(&pairs(&[("key.converter", BYTES), ("value.converter", BYTES)]), &[], &schemas)?;
        let plugin = PluginSpec { component: component.clone(), class: class.to_owned(), config, env: environment(&schemas) };
        let id = TaskId { connector: name.as_str().into(), task: 0 };
        Ok(Parts { name, worker: worker_config(bootstrap), id, converters, plugin: Box::new(plugin) })
    }
}

/// A DatagenSource writes `records` records of `size` bytes to a topic.
pub async fn source(bootstrap: &str, datagen: &Arc<Component>, topic: &str, records: u64, size: usize) -> anyhow::Result<Cost> {
    let (count, size) = (records.to_string(), size.to_string());
    let config = [("topic", topic), ("rate", "0"), ("record.size", &size), ("format", "bytes"), ("count", &count)];
    let parts = Parts::new(bootstrap, datagen, "DatagenSource", pairs(&config))?;
    let spec = SourceSpec {
        id: parts.id,
        plugin: parts.plugin,
        chains: Vec::new(),
        converters: parts.converters,
        producer: ClientSettings::source_producer(&parts.worker, &parts.name, 0, &[])?,
        producer_limits: ProducerLimits::default(),
        creation: None,
        errors: ErrorPolicy::default(),
        commit: CommitTiming::default(),
        paused: false,
    };
    measured(spawn_source(spec, context()), records).await
}

/// A BlackholeSink reads a topic's `records` records.
pub async fn sink(bootstrap: &str, blackhole: &Arc<Component>, topic: &str, records: u64) -> anyhow::Result<Cost> {
    let parts = Parts::new(bootstrap, blackhole, "BlackholeSink", Vec::new())?;
    let spec = SinkSpec {
        id: parts.id,
        plugin: parts.plugin,
        chains: Vec::new(),
        converters: parts.converters,
        consumer: ClientSettings::sink_consumer(&parts.worker, &parts.name, 0, &[])?,
        subscription: Subscription::topics([topic.to_owned()])?,
        batch: BatchLimits::default(),
        errors: ErrorPolicy::default(),
        commit: CommitTiming::default(),
        paused: false,
    };
    measured(spawn_sink(spec, context()), records).await
}

/// From the first record that comes in to the last one that is out.
async fn measured(task: TaskHandle, records: u64) -> anyhow::Result<Cost> {
    let counters = task.counters().clone();
    reached(&task, &counters.records_in, 1).await?;
    let meter = Meter::start()?;
    reached(&task, &counters.records_out, records).await?;
    let cost = meter.stop()?;
    ensure!(task.stop(STOP_LIMIT).await, "the task did not stop");
    Ok(cost)
}

async fn reached(task: &TaskHandle, counter: &AtomicU64, records: u64) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = counter.load(Ordering::Relaxed);
        if seen >= records {
            return Ok(());
        }
        match task.state() {
            TaskState::Failed { trace } => bail!("the task failed: {trace}"),
            state => ensure!(Instant::now() < end, "{seen} of {records} records after {} s, {state:?}", PATIENCE.as_secs()),
        }
        tokio::time::sleep(LOOK).await;
    }
}
