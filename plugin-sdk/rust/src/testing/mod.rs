//! Tests of a plugin that run natively, without Wasm and without a worker. The host's place is taken by this module,
//! for each thread by itself; the drivers make the calls that the host would make, in its order.

pub(crate) mod host;

pub use host::{SinkRequest, store_offset, take_lines, take_requests};

use crate::bindings::wit;
use crate::class::{self, Class};
use crate::errors::{Error, Result};
use crate::export::{self, Component};
use crate::http::{HttpError, Request, Response};
use crate::record::{Batch, BatchBuilder, NewRecord};
use crate::sink::{Failures, Sink, SinkContext, TopicOffset, TopicPartition};
use crate::source::{Checkpoint, Source, SourceBatch, SourceContext};
use crate::transform::{Chain, Predicate, PredicateClass, Transform, TransformClass};

/// Lets a function answer the HTTP requests of this thread, in the place of the network.
pub fn serve_http(server: impl FnMut(&Request) -> Result<Response, HttpError> + 'static) {
    crate::http::serve(server);
}

/// A configuration from keys and values.
pub fn config(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What a component says about itself: `manifest::<HawserComponent>()`.
pub fn manifest<T: Component>() -> wit::plugin::Manifest {
    export::manifest::<T>()
}

/// The problems that a class finds in a configuration.
pub fn problems<T: Class>(pairs: &[(&str, &str)]) -> Vec<String> {
    class::problems::<T>(&config(pairs)).into_iter().map(|problem| problem.message).collect()
}

/// How a connector splits its work: the configurations of its tasks, by key.
///
/// # Errors
/// Those of the source, and [`Error::InvalidConfig`].
pub fn source_tasks<T: Source + Class>(pairs: &[(&str, &str)], max_tasks: usize) -> Result<Vec<Vec<(String, String)>>> {
    let tasks = T::task_configs(&class::parse::<T>(config(pairs))?, max_tasks)?;
    Ok(tasks.into_iter().map(|task| task.into_pairs()).collect())
}

/// A batch of records, as if it had been read from Kafka or polled from a source.
///
/// # Errors
/// [`Error::Fatal`] if a record is too large.
pub fn batch(records: &[NewRecord<'_>]) -> Result<Batch> {
    let mut builder = BatchBuilder::default();
    records.iter().for_each(|record| builder.push(record));
    builder.finish()
}

/// The same, with Kafka offsets from `first` on.
///
/// # Errors
/// [`Error::Fatal`] if a record is too large.
pub fn batch_from_kafka(first: u64, records: &[NewRecord<'_>]) -> Result<Batch> {
    let mut columns = batch(records)?.into_columns();
    columns.offsets = (first..first + records.len() as u64).collect();
    Batch::new(columns)
}

/// Drives a source as the host does.
pub struct SourceDriver<T> {
    /// The source, to look into.
    pub source: T,
}

/// What a poll brought.
#[derive(Debug)]
pub struct Poll {
    /// The records.
    pub records: Batch,
    /// How far they go.
    pub checkpoints: Vec<Checkpoint>,
    /// Milliseconds for which nothing more is expected.
    pub idle_ms: u32,
}

impl<T: Source + Class> SourceDriver<T> {
    /// Starts a task, from the offsets that were stored with [`store_offset`] or committed.
    ///
    /// # Errors
    /// Those of the source, and [`Error::InvalidConfig`].
    pub fn start(pairs: &[(&str, &str)]) -> Result<Self> {
        Self::start_task(config(pairs))
    }

    /// Starts a task with one of the configurations of [`source_tasks`].
    ///
    /// # Errors
    /// Those of the source, and [`Error::InvalidConfig`].
    pub fn start_task(config: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { source: T::start(&class::parse::<T>(config)?, SourceContext::new())? })
    }

    /// Polls, and checks what the host would check.
    ///
    /// # Errors
    /// Those of the source, and [`Error::Fatal`] for what the host would refuse.
    pub fn poll(&mut self) -> Result<Poll> {
        let mut batch = SourceBatch::default();
        self.source.poll(&mut batch)?;
        let wit::Polled { records, checkpoints, idle_ms } = batch.finish()?;
        let records = Batch::new(records)?;
        if !checkpoints.is_sorted_by_key(|checkpoint| checkpoint.through)
            || checkpoints.last().is_some_and(|last| last.through as usize > records.len())
        {
            return Err(Error::fatal("the checkpoints are out of order, or cover more than there is"));
        }
        Ok(Poll { records, checkpoints, idle_ms })
    }

    /// Commits all that a poll brought: stores its checkpoints and tells the source.
    ///
    /// # Errors
    /// Those of the source.
    pub fn commit(&mut self, poll: &Poll) -> Result<()> {
        for checkpoint in &poll.checkpoints {
            store_offset(&checkpoint.partition, &checkpoint.offset);
        }
        self.source.committed(&poll.checkpoints)
    }
}

/// Drives a sink as the host does.
pub struct SinkDriver<T> {
    /// The sink, to look into.
    pub sink: T,
}

impl<T: Sink + Class> SinkDriver<T> {
    /// Starts a task and opens these partitions of topics.
    ///
    /// # Errors
    /// Those of the sink, and [`Error::InvalidConfig`].
    pub fn start(pairs: &[(&str, &str)], partitions: &[(&str, u32)]) -> Result<Self> {
        let mut sink = T::start(&class::parse::<T>(config(pairs))?, SinkContext::new())?;
        let partitions: Vec<TopicPartition> =
            partitions.iter().map(|&(topic, partition)| TopicPartition { topic: topic.to_owned(), partition }).collect();
        sink.open(&partitions)?;
        Ok(Self { sink })
    }

    /// Puts a batch; answers with the failures as place and reason.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn put(&mut self, batch: &Batch) -> Result<Vec<(u32, String)>> {
        let mut failures = Failures::default();
        self.sink.put(batch, &mut failures)?;
        Ok(failures.failures.into_iter().map(|failure| (failure.index, failure.reason)).collect())
    }

    /// Flushes one partition up to an offset; answers with the offset that may be committed.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn flush(&mut self, topic: &str, partition: u32, offset: u64) -> Result<Option<u64>> {
        let committed = self.sink.flush(vec![TopicOffset { topic: topic.to_owned(), partition, offset }])?;
        Ok(committed.first().map(|committed| committed.offset))
    }
}

/// Drives a chain of transforms as the host does.
#[derive(Default)]
pub struct ChainBuilder {
    transforms: Vec<TransformClass>,
    predicates: Vec<PredicateClass>,
    steps: Vec<wit::Step>,
    guards: Vec<wit::Guard>,
}

impl ChainBuilder {
    /// A chain without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// A chain of a component's classes, which are then added by their names.
    pub fn of<C: Component>() -> Self {
        Self { transforms: C::TRANSFORMS.to_vec(), predicates: C::PREDICATES.to_vec(), ..Self::default() }
    }

    /// Adds a transform by the name of its class.
    #[must_use]
    pub fn class(mut self, name: &str, config: Vec<(String, String)>) -> Self {
        let alias = format!("step{}", self.steps.len());
        self.steps.push(wit::Step { class: name.to_owned(), alias, config, predicate: None, negate: false });
        self
    }

    /// Adds a transform.
    #[must_use]
    pub fn step<T: Transform + Class>(mut self, pairs: &[(&str, &str)]) -> Self {
        self.transforms.push(TransformClass::of::<T>());
        self.steps.push(wit::Step {
            class: T::class().name,
            alias: format!("step{}", self.steps.len()),
            config: config(pairs),
            predicate: None,
            negate: false,
        });
        self
    }

    /// Guards the last transform with a predicate, which must be true, or with `negate` false.
    #[must_use]
    pub fn guard<T: Predicate + Class>(mut self, pairs: &[(&str, &str)], negate: bool) -> Self {
        self.predicates.push(PredicateClass::of::<T>());
        if let Some(step) = self.steps.last_mut() {
            step.predicate = u32::try_from(self.guards.len()).ok();
            step.negate = negate;
        }
        let alias = format!("guard{}", self.guards.len());
        self.guards.push(wit::Guard { class: T::class().name, alias, config: config(pairs) });
        self
    }

    /// Adds a predicate as a step: it keeps the records for which it is true, or with `negate` false.
    #[must_use]
    pub fn select<T: Predicate + Class>(mut self, pairs: &[(&str, &str)], negate: bool) -> Self {
        self.predicates.push(PredicateClass::of::<T>());
        self.steps.push(wit::Step {
            class: T::class().name,
            alias: format!("step{}", self.steps.len()),
            config: config(pairs),
            predicate: None,
            negate,
        });
        self
    }

    /// Starts the chain.
    ///
    /// # Errors
    /// Those of the steps, and [`Error::InvalidConfig`].
    pub fn start(self) -> Result<ChainDriver> {
        Ok(ChainDriver { chain: Chain::start(&self.transforms, &self.predicates, self.steps, &self.guards)? })
    }
}

/// A chain that was started.
pub struct ChainDriver {
    chain: Chain,
}

/// What came out of a chain.
#[derive(Debug)]
pub struct Transformed {
    /// The records.
    pub records: Batch,
    /// For each record, its place in the batch that went in. Empty: each is where it was.
    pub origins: Vec<u32>,
    /// Records that a step could not handle.
    pub failures: Vec<Failed>,
}

/// A record that a step of a chain could not handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its place in the batch that went in.
    pub index: u32,
    /// What is wrong with it.
    pub reason: String,
    /// What kind of error it is, if not one in the data.
    pub kind: Option<String>,
    /// The step's place in the chain.
    pub step: u32,
}

impl ChainDriver {
    /// Takes a batch through the chain.
    ///
    /// # Errors
    /// Those of the steps that are no record's fault.
    pub fn apply(&mut self, batch: Batch) -> Result<Transformed> {
        let wit::Transformed { records, origins, failures } = self.chain.apply(batch)?;
        Ok(Transformed {
            records: Batch::new(records)?,
            origins,
            failures: failures
                .into_iter()
                .map(|wit::Failure { index, reason, kind, step }| Failed { index, reason, kind, step })
                .collect(),
        })
    }
}
