//! Sinks: what the host pushes records into.

use std::fmt::Display;

use crate::bindings::wit;
use crate::class::Class;
use crate::config::{Config, TaskConfig};
use crate::errors::Result;
use crate::host;
use crate::record::{Batch, RecordView};

/// A partition of a topic.
pub use crate::bindings::wit::TopicPartition;

/// A place in a partition of a topic: `offset` is the next one to read.
pub use crate::bindings::wit::TopicOffset;

/// A sink task. The host gives each task an instance of its own and makes one call at a time.
pub trait Sink: 'static {
    /// Splits the work into at most `max_tasks` configurations. Unless said, that many equal ones: Kafka spreads the
    /// topics' partitions over the tasks.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says.
    fn task_configs(config: &Config, max_tasks: usize) -> Result<Vec<TaskConfig>>
    where
        Self: Sized,
    {
        Ok(vec![config.to_task(); max_tasks])
    }

    /// Starts a task.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says.
    fn start(config: &Config, context: SinkContext) -> Result<Self>
    where
        Self: Sized;

    /// These partitions are the task's from now on, besides those it has.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says.
    fn open(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let _ = partitions;
        Ok(())
    }

    /// These partitions are no longer the task's.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says.
    fn close(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let _ = partitions;
        Ok(())
    }

    /// Takes the records, those that cannot be handled aside: they are told to `failures`. Nothing needs to be durable
    /// before [`Self::flush`], and a record may come again after a crash or a rewind.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says; then none of the records is taken, and after
    /// [`Retriable`](crate::Error::Retriable) all of them come again.
    fn put(&mut self, records: &Batch, failures: &mut Failures) -> Result<()>;

    /// Makes durable what was put, which is what comes before these offsets, and answers how far it may be committed:
    /// all of it, unless said.
    ///
    /// # Errors
    /// As [`Error`](crate::Error) says.
    fn flush(&mut self, offsets: Vec<TopicOffset>) -> Result<Vec<TopicOffset>> {
        Ok(offsets)
    }

    /// The last call, though not after a crash.
    fn stop(&mut self) {}
}

/// Records of a batch that cannot be handled: they go to the dead letter queue or fail the task, as configured.
#[derive(Debug, Default)]
pub struct Failures {
    pub(crate) failures: Vec<wit::Failure>,
}

impl Failures {
    /// Tells of a record that is at fault. The reason is shown to people: it holds no more of the record than is needed.
    pub fn add(&mut self, record: &RecordView<'_>, reason: impl Display) {
        self.push(record, reason, None);
    }

    /// Tells of a record whose failure is of a kind of its own, by which operators tell it from others in the dead
    /// letter queue: best the name of the JVM exception that stands for it.
    pub fn add_kind(&mut self, record: &RecordView<'_>, kind: &str, reason: impl Display) {
        self.push(record, reason, Some(kind.to_owned()));
    }

    fn push(&mut self, record: &RecordView<'_>, reason: impl Display, kind: Option<String>) {
        let index = u32::try_from(record.index()).unwrap_or(u32::MAX);
        self.failures.push(wit::Failure { index, reason: reason.to_string(), kind, step: 0 });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What a sink may ask of the host. It is done after the call that asks for it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SinkContext;

impl SinkContext {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Reads on from these offsets. For a sink that keeps its own offsets: call it in [`Sink::open`].
    pub fn rewind(&self, offsets: &[TopicOffset]) {
        host::rewind(offsets);
    }

    /// Sends no more records of these partitions until they are resumed.
    pub fn pause(&self, partitions: &[TopicPartition]) {
        host::pause(partitions);
    }

    /// Sends records of these partitions again.
    pub fn resume(&self, partitions: &[TopicPartition]) {
        host::resume(partitions);
    }

    /// Flushes and commits soon, without waiting for the commit interval.
    pub fn request_commit(&self) {
        host::request_commit();
    }
}

/// A sink's class: what the export macro lists.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct SinkClass {
    pub(crate) common: super::export::ClassEntry,
    pub(crate) task_configs: fn(&Config, usize) -> Result<Vec<TaskConfig>>,
    pub(crate) start: fn(&Config) -> Result<Box<dyn Sink>>,
}

impl SinkClass {
    pub const fn of<T: Sink + Class>() -> Self {
        Self {
            common: super::export::ClassEntry::of::<T>(wit::plugin::Kind::Sink),
            task_configs: T::task_configs,
            start: |config| Ok(Box::new(T::start(config, SinkContext::new())?)),
        }
    }
}
