//! What a worker remembers: connector configurations, source offsets and statuses.
//!
//! Everything rests on one small interface, [`CompactedLog`]: an ordered log of key-value records of which only the
//! latest per key is kept. It has two implementations: [`FileStore`] keeps its logs in one database file (standalone and
//! development), [`KafkaStore`] in compacted topics (distributed). Keys and values are the very bytes that Kafka Connect
//! writes to its own topics, so a worker can carry on from the topics of a Kafka Connect cluster, and the other way round.
//!
//! On top are the typed layers, which know nothing of the backend: [`ConfigStore`], [`OffsetStore`], [`StatusStore`].
//! Each keeps its state in memory, fed by the log through a [`LogReader`]; whatever bytes a log holds, a record that cannot
//! be understood is logged and skipped.

mod configs;
mod error;
mod file;
#[cfg(test)]
mod interop;
mod kafka;
mod log;
#[cfg(test)]
pub(crate) mod memory;
mod offsets;
mod source_offsets;
mod statuses;

pub use configs::{
    ConfigChange, ConfigSnapshot, ConfigStore, Connector, RawConfig, RestartRequest, SessionKey, TargetState, Written,
};
pub use error::StoreError;
pub use file::{FileStore, OFFSETS_LOG};
pub use kafka::{KafkaStore, TopicPurpose, TopicSpec};
pub use log::{CompactedLog, Entry, LogReader, LogRecord, MAX_ENTRY_BYTES};
pub use offsets::{MAX_PARTITIONS_PER_CONNECTOR, OffsetStore};
pub use source_offsets::{OpenLog, SourceOffsets};
pub use statuses::{State, Status, StatusStore, TopicStatus};
