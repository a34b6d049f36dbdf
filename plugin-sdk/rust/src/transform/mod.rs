//! Transforms and predicates: what happens to records between Kafka and a connector.

mod chain;
mod object;
mod record;
mod scan;
#[cfg(test)]
mod tests;

pub use chain::Chain;
pub use object::{Json, JsonKind, Object, write_json_text};
pub use record::{Record, Side};

use crate::bindings::wit::plugin::Kind;
use crate::class::Class;
use crate::config::Config;
use crate::errors::{Error, Result};
use crate::export::ClassEntry;

/// A single message transform.
pub trait Transform: 'static {
    /// Starts a step of a chain.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn start(config: &Config) -> Result<Self>
    where
        Self: Sized;

    /// Changes a record in place, or drops it. What is left alone is not copied, and neighbouring transforms of one
    /// plugin share a parsed value.
    ///
    /// # Errors
    /// As [`RecordError`] says.
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError>;
}

/// A question about a record. A transform that it guards takes only the records for which it is true.
pub trait Predicate: 'static {
    /// Starts the guard of a step of a chain.
    ///
    /// # Errors
    /// As [`Error`] says.
    fn start(config: &Config) -> Result<Self>
    where
        Self: Sized;

    /// Whether it is true for the record, which it does not change (looking into a value parses it, hence the `mut`).
    ///
    /// # Errors
    /// As [`RecordError`] says.
    fn test(&mut self, record: &mut Record) -> Result<bool, RecordError>;
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next step.
    Keep,
    /// It is gone, as if it had never been.
    Drop,
}

/// Why a transform or predicate could not handle a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record is at fault: it fails the task, or is skipped, as `errors.tolerance` says. The text is shown to
    /// people: it holds no more of the record than is needed.
    #[error("{reason}")]
    Data {
        /// What is wrong with it.
        reason: String,
        /// What kind of error it is, if not one in the data (see [`RecordError::of_kind`]).
        kind: Option<&'static str>,
    },
    /// It is not the record's fault.
    #[error(transparent)]
    Task(#[from] Error),
}

impl RecordError {
    /// [`RecordError::Data`] from anything that can be shown.
    pub fn data(reason: impl std::fmt::Display) -> Self {
        Self::Data { reason: reason.to_string(), kind: None }
    }

    /// [`RecordError::Data`] of a kind by which operators tell it from others in the dead letter queue: best the name of
    /// the JVM exception that stands for it.
    pub fn of_kind(kind: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Data { reason: reason.to_string(), kind: Some(kind) }
    }
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self::data(format_args!("not the JSON that is expected: {error}"))
    }
}

/// A transform's class: what the export macro lists.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct TransformClass {
    pub(crate) common: ClassEntry,
    pub(crate) start: fn(&Config) -> Result<Box<dyn Transform>>,
}

impl TransformClass {
    pub const fn of<T: Transform + Class>() -> Self {
        Self { common: ClassEntry::of::<T>(Kind::Transform), start: |config| Ok(Box::new(T::start(config)?)) }
    }
}

/// A predicate's class: what the export macro lists.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct PredicateClass {
    pub(crate) common: ClassEntry,
    pub(crate) start: fn(&Config) -> Result<Box<dyn Predicate>>,
}

impl PredicateClass {
    pub const fn of<T: Predicate + Class>() -> Self {
        Self { common: ClassEntry::of::<T>(Kind::Predicate), start: |config| Ok(Box::new(T::start(config)?)) }
    }
}
