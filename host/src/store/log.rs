use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;

/// The largest record (key and value together, in bytes) that a store accepts: what Kafka accepts by default.
pub const MAX_ENTRY_BYTES: usize = 1_000_000;

/// A key and its new value; no value removes the key.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

/// A record as read from a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Grows with every record of a partition of the log; a file has one partition.
    pub offset: i64,
    /// Any bytes. A record on a topic may lack a key; it is handed over as empty.
    pub key: &'a [u8],
    /// Any bytes; `None` removes the key.
    pub value: Option<&'a [u8]>,
}

/// Receives the records of a log in order, never two calls at once. It must not block and must take any bytes.
pub trait LogReader: Send + Sync {
    /// Takes in the next records: the log is at `records.last()` when this returns.
    fn apply(&self, records: &[LogRecord<'_>]);
}

/// An ordered log of which only the latest record per key is kept.
///
/// Dropping a log stops its reader.
#[async_trait]
pub trait CompactedLog: Send + Sync {
    /// Hands all that the log holds to `reader` and returns once the end (as of this call) has been read; from then on
    /// the reader gets every later record, be it this worker's or another's. To be called once.
    async fn start(&self, reader: Arc<dyn LogReader>) -> Result<(), StoreError>;

    /// Writes `entries` in order. When it returns without an error they are durable (on disk; acknowledged by all in-sync
    /// replicas) and the reader has seen them. After an error a part of them may have been written (on a topic) or none
    /// (in a file). A call that is dropped half-way may still take effect.
    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError>;

    /// Returns once the reader has seen everything that was in the log when this was called.
    async fn read_to_end(&self) -> Result<(), StoreError>;
}

/// A key as it may be shown in a message: it may hold any bytes and any number of them.
pub(super) fn readable(key: &[u8]) -> String {
    const SHOWN: usize = 200;
    String::from_utf8_lossy(key.get(..SHOWN).unwrap_or(key)).escape_debug().to_string()
}
