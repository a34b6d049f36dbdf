//! Kafka clients on librdkafka: [`ClientSettings`] in the names of Kafka's Java clients, a [`SinkConsumer`] and a
//! [`SourceProducer`] that work on batches without a thread, lock or task hop of their own per record, and an [`Admin`].
//!
//! Everything here may be dropped at any time without blocking an async thread: librdkafka's own shutdown runs on the
//! blocking pool.

mod admin;
mod consumer;
mod context;
mod error;
mod login;
mod names;
mod producer;
mod release;
mod reserved;
mod settings;
mod topics;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use admin::{Admin, GroupOffset, NewTopicSpec};
pub(crate) use context::PlainContext;
pub(crate) use error::is_retriable;

pub use consumer::{CommitReport, Filled, Rebalance, SinkConsumer};
pub use error::ClientError;
pub use producer::{AckedBatch, FailedRecord, ProducerLimits, SourceProducer};
pub use reserved::ReservedTopics;
pub use settings::{ClientKind, ClientSettings, SettingsError};
pub use topics::{Subscription, TopicOffset, TopicPartition};
