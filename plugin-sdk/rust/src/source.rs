//! Sources: what the host pulls records out of.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::wit;
use crate::class::Class;
use crate::config::{Config, TaskConfig};
use crate::errors::{Error, Result};
use crate::host;
use crate::record::BatchBuilder;

/// How far a part of a source has been read: through the record before the index `through` of its batch; `partition`
/// and `offset` are JSON objects.
pub use crate::bindings::wit::Checkpoint;

/// A source task. The host gives each task an instance of its own and makes one call at a time.
pub trait Source: 'static {
    /// Splits the work into at most `max_tasks` configurations. Asked at start, when the configuration changes, and now
    /// and then. One task unless said.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn task_configs(config: &Config, max_tasks: usize) -> Result<Vec<TaskConfig>>
    where
        Self: Sized,
    {
        let _ = max_tasks;
        Ok(vec![config.to_task()])
    }

    /// Starts a task. Ask `context` where the last one stopped.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn start(config: &Config, context: SourceContext) -> Result<Self>
    where
        Self: Sized;

    /// Adds the next records to the batch until it [is full](BatchBuilder::is_full), with a
    /// [checkpoint](SourceBatch::checkpoint) after the last one. With nothing to read, leaves it empty, says for how
    /// long it [idles](SourceBatch::idle), and returns: waiting is the host's.
    ///
    /// # Errors
    /// As [`Error`] says. The batch is thrown away: after [`Error::Retriable`] its records must come again.
    fn poll(&mut self, batch: &mut SourceBatch) -> Result<()>;

    /// These checkpoints are durable in Kafka: what they cover may be acknowledged upstream.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn committed(&mut self, checkpoints: &[Checkpoint]) -> Result<()> {
        let _ = checkpoints;
        Ok(())
    }

    /// The last call, though not after a crash.
    fn stop(&mut self) {}
}

/// What the host keeps for a source.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SourceContext;

impl SourceContext {
    pub(crate) fn new() -> Self {
        Self
    }

    /// The committed offset of a part of the source. Ask at start: later the task knows better than the store.
    ///
    /// # Errors
    /// [`Error::Fatal`] if the partition is not a JSON object of plain values, or the offset is none of yours.
    pub fn offset<P: Serialize, O: DeserializeOwned>(&self, partition: &P) -> Result<Option<O>> {
        Ok(self.offsets(std::slice::from_ref(partition))?.pop().flatten())
    }

    /// The committed offsets of several parts of the source, in their order.
    ///
    /// # Errors
    /// As [`Self::offset`].
    pub fn offsets<P: Serialize, O: DeserializeOwned>(&self, partitions: &[P]) -> Result<Vec<Option<O>>> {
        let partitions: Vec<String> = partitions.iter().map(to_json).collect::<Result<_>>()?;
        let offsets = host::offsets(&partitions);
        offsets
            .into_iter()
            .zip(&partitions)
            .map(|(offset, partition)| {
                let offset = offset.map(|text| serde_json::from_str(&text)).transpose();
                offset.map_err(|error| Error::fatal(format!("cannot read the stored offset of {partition}: {error}")))
            })
            .collect()
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::fatal(format!("cannot write a source partition or offset as JSON: {error}")))
}

/// A batch in the making: a [`BatchBuilder`] that also takes checkpoints.
#[derive(Debug, Default)]
pub struct SourceBatch {
    builder: BatchBuilder,
    checkpoints: Vec<Checkpoint>,
    idle: Duration,
}

impl SourceBatch {
    /// A batch with room for records of so many bytes together.
    pub(crate) fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { builder: BatchBuilder::with_capacity(records, bytes), ..Self::default() }
    }

    /// Says how far a part of the source has been read, now that it covers the records added so far. Both are
    /// structs or maps of plain values.
    ///
    /// # Errors
    /// [`Error::Fatal`] if they cannot be written as JSON.
    pub fn checkpoint<P: Serialize, O: Serialize>(&mut self, partition: &P, offset: &O) -> Result<()> {
        let through = u32::try_from(self.builder.len()).unwrap_or(u32::MAX);
        let (partition, offset) = (to_json(partition)?, to_json(offset)?);
        self.checkpoints.push(Checkpoint { through, partition, offset });
        Ok(())
    }

    /// Says that nothing more is expected for this long: the host polls again after that.
    pub fn idle(&mut self, time: Duration) {
        self.idle = time;
    }

    /// # Errors
    /// [`Error::Fatal`] if a record is too large to be written down.
    pub(crate) fn finish(self) -> Result<wit::Polled> {
        Ok(wit::Polled {
            records: self.builder.finish()?.into_columns(),
            checkpoints: self.checkpoints,
            idle_ms: u32::try_from(self.idle.as_millis()).unwrap_or(u32::MAX),
        })
    }
}

impl Deref for SourceBatch {
    type Target = BatchBuilder;

    fn deref(&self) -> &Self::Target {
        &self.builder
    }
}

impl DerefMut for SourceBatch {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.builder
    }
}

/// A source's class: what the export macro lists.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct SourceClass {
    pub(crate) common: super::export::ClassEntry,
    pub(crate) task_configs: fn(&Config, usize) -> Result<Vec<TaskConfig>>,
    pub(crate) start: fn(&Config) -> Result<Box<dyn Source>>,
}

impl SourceClass {
    pub const fn of<T: Source + Class>() -> Self {
        Self {
            common: super::export::ClassEntry::of::<T>(wit::plugin::Kind::Source),
            task_configs: T::task_configs,
            start: |config| Ok(Box::new(T::start(config, SourceContext::new())?)),
        }
    }
}
