//! Hawser's own stages: consumer, converters, a transform in the sandbox, producer; and the sandbox alone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hawser::convert::{Converted, Converters};
use hawser::kafka::{ClientSettings, Filled, ProducerLimits, Rebalance, SinkConsumer, SourceProducer, Subscription};
use hawser::record::{Batch, BatchBuilder, BatchLimits, Record, SchemaTable};
use hawser::sandbox::{ChainInstance, Component, Grants, InstanceEnv, InstanceLimits, Sandbox, SandboxOptions, Step};

use crate::meter::{Cost, Meter};
use crate::plain::{CONSUMER, PRODUCER};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the clients may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How long the crossing is measured, and calls between two looks at the clock.
const CROSSING_SPAN: Duration = Duration::from_secs(1);
const CROSSING_CALLS: usize = 100;

/// Pairs of a configuration.
pub type Pairs = Vec<(String, String)>;

/// What to run between consumer and producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// RegexRouter with an expression that no topic matches, and bytes as they are.
    Nothing,
    /// InsertField$Value with a fixed field, on JSON without schemas.
    Json,
}

impl Work {
    fn step(self) -> Step {
        let (class, config) = match self {
            Work::Nothing => ("RegexRouter", [("regex", "no-topic-is-called-so"), ("replacement", "other")]),
            Work::Json => ("InsertField$Value", [("static.field", "origin"), ("static.value", "bench")]),
        };
        let class = format!("org.apache.kafka.connect.transforms.{class}");
        Step { class, alias: "bench".to_owned(), config: pairs(&config), predicate: None, negate: false }
    }

    fn converters(self) -> Pairs {
        const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
        let value = match self {
            Work::Nothing => BYTES,
            Work::Json => "org.apache.kafka.connect.json.JsonConverter",
        };
        let mut converters = pairs(&[("key.converter", BYTES), ("value.converter", value)]);
        if self == Work::Json {
            converters.extend(pairs(&[("value.converter.schemas.enable", "false")]));
        }
        converters
    }
}

/// Where the time of the calling thread's loop went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stages {
    /// Out of librdkafka's queue into a batch, and waiting for it.
    pub fill: Duration,
    /// Both conversions.
    pub convert: Duration,
    /// To the guest and back.
    pub crossing: Duration,
    /// Into librdkafka's queue, and waiting for room in it.
    pub send: Duration,
    /// Waiting for the last acknowledgements.
    pub settle: Duration,
}

/// Components, and an environment to start them in.
pub struct Plugins {
    sandbox: Sandbox,
    folder: std::path::PathBuf,
}

impl Plugins {
    /// Opens a sandbox with its cache in `cache`.
    ///
    /// # Errors
    /// When the sandbox does not start.
    pub fn open(cache: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("the program is not in target/release")?;
        Ok(Plugins { sandbox: Sandbox::new(SandboxOptions::new(cache.to_owned()))?, folder: target.join("plugins") })
    }

    /// A plugin that `make plugins` built.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn load(&self, name: &str) -> anyhow::Result<Arc<Component>> {
        let path = self.folder.join(format!("{name}.wasm"));
        let wasm = std::fs::read(&path).with_context(|| format!("{}: run `make plugins`", path.display()))?;
        Ok(self.sandbox.load(wasm.into()).await?)
    }
}

/// Key and value pairs, owned.
pub fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The worker's configuration that gives Hawser's clients the settings of the plain ones.
pub fn worker_config(bootstrap: &str) -> Pairs {
    let mut config = pairs(&[("bootstrap.servers", bootstrap)]);
    config.extend(CONSUMER.iter().map(|(key, value)| (format!("consumer.{key}"), (*value).to_owned())));
    config.extend(PRODUCER.iter().map(|(key, value)| (format!("producer.{key}"), (*value).to_owned())));
    config
}

/// What an instance may do: nothing but compute.
pub fn environment(schemas: &Arc<SchemaTable>) -> InstanceEnv {
    InstanceEnv {
        connector: "bench".into(),
        task: Some(0),
        grants: Grants::default(),
        limits: InstanceLimits::default(),
        schemas: schemas.clone(),
    }
}

async fn start(component: &Arc<Component>, work: Work, schemas: &Arc<SchemaTable>) -> anyhow::Result<ChainInstance> {
    Ok(component.start_chain(vec![work.step()], Vec::new(), environment(schemas)).await?)
}

/// Copies a topic's records: from the first one that arrives to the last acknowledgement.
pub async fn copy(
    bootstrap: &str,
    transforms: &Arc<Component>,
    work: Work,
    from: &str,
    to: &str,
    records: u64,
) -> anyhow::Result<(Cost, Stages)> {
    let (worker, name) = (worker_config(bootstrap), hawser_e2e::unique("bench"));
    let schemas = Arc::new(SchemaTable::default());
    let mut converters = Converters::from_config(&work.converters(), &[], &schemas)?;
    let mut chain = start(transforms, work, &schemas).await?;
    let settings = ClientSettings::source_producer(&worker, &name, 0, &[])?;
    let mut producer = SourceProducer::new(settings, ProducerLimits::default());
    let settings = ClientSettings::sink_consumer(&worker, &name, 0, &[])?;
    let mut consumer = SinkConsumer::connect(&settings, Subscription::topics([from.to_owned()])?).await?;

    let (mut stages, mut meter) = (Stages::default(), None);
    let (mut copied, mut acked) = (0, 0);
    let mut builder = BatchBuilder::default();
    while copied < records {
        let began = Instant::now();
        match consumer.fill(&mut builder, BatchLimits::default(), tokio::time::Instant::now() + PATIENCE).await? {
            Filled::Records => {}
            Filled::Rebalance(Rebalance::Assign(partitions)) => {
                consumer.assign(&partitions, &[])?;
                continue;
            }
            other => anyhow::bail!("{copied} of {records} records came, then {other:?}"),
        }
        if meter.is_none() {
            meter = Some(Meter::start()?);
        } else {
            stages.fill += began.elapsed();
        }
        let batch = builder.finish();
        copied += u64::from(batch.count);

        let decoded = timed(&mut stages.convert, || known(converters.try_decode(batch)))?;
        let began = Instant::now();
        let mut applied = chain.apply(&decoded.batch).await?;
        stages.crossing += began.elapsed();
        for topic in &mut applied.records.topics {
            to.clone_into(topic);
        }
        let encoded = timed(&mut stages.convert, || known(converters.try_encode(applied.records)))?;
        ensure!(decoded.failures.is_empty() && encoded.failures.is_empty(), "a record could not be converted");

        let began = Instant::now();
        producer.send(&encoded.batch).await?;
        while let Some(batch) = producer.next_acked() {
            acked += accepted(&batch)?;
        }
        stages.send += began.elapsed();
    }
    let began = Instant::now();
    producer.flush(tokio::time::Instant::now() + PATIENCE).await;
    while acked < records {
        acked += accepted(&tokio::time::timeout(PATIENCE, producer.acked()).await?)?;
    }
    stages.settle = began.elapsed();
    let cost = meter.context("no records were to be copied")?.stop()?;
    consumer.close(CLOSE_LIMIT).await;
    producer.close(CLOSE_LIMIT).await;
    Ok((cost, stages))
}

/// What was converted: no converter that is measured asks a registry.
pub fn known(converted: Result<Converted, Box<Batch>>) -> anyhow::Result<Converted> {
    converted.map_err(|_| anyhow::anyhow!("a schema has to be fetched first"))
}

fn accepted(batch: &hawser::kafka::AckedBatch) -> anyhow::Result<u64> {
    ensure!(batch.failures.is_empty(), "{} records were refused", batch.failures.len());
    Ok(u64::from(batch.records))
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    *total += began.elapsed();
    done
}

/// Nanoseconds per record to a guest that gives the batch back, in batches of `records` records of `size` bytes: the best of many.
pub async fn crossing(echo: &Arc<Component>, records: u32, size: usize) -> anyhow::Result<f64> {
    let step = Step {
        class: "HostileTransform".to_owned(),
        alias: "echo".to_owned(),
        config: Vec::new(),
        predicate: None,
        negate: false,
    };
    let mut chain = echo.start_chain(vec![step], Vec::new(), environment(&Arc::default())).await?;
    let batch = batch(records, size);
    let (mut best, end) = (f64::INFINITY, Instant::now() + CROSSING_SPAN);
    while Instant::now() < end {
        let began = Instant::now();
        for _ in 0..CROSSING_CALLS {
            let out = chain.apply(&batch).await?;
            ensure!(out.records.count == records, "the transform drops records");
        }
        best = best.min(began.elapsed().as_nanos() as f64 / (CROSSING_CALLS as f64 * f64::from(records)));
    }
    Ok(best)
}

/// Records as a consumer makes them.
fn batch(records: u32, size: usize) -> Batch {
    let value = vec![b'x'; size];
    let mut builder = BatchBuilder::default();
    for number in 0..records {
        let record = Record {
            topic: "bench",
            partition: 3,
            timestamp: 1_700_000_000_000 + i64::from(number),
            offset: Some(u64::from(number)),
            value: Some(&value),
            ..Record::default()
        };
        builder.push(record, []);
    }
    builder.finish()
}
