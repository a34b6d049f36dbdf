use std::time::Duration;

/// What can go wrong in a store. No variant carries the content of a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database file could not be opened or created.
    #[error("cannot open the store {path}: {reason}; make sure that the folder is writable and that no other worker uses it")]
    Open {
        /// The database file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// librdkafka refuses the client settings.
    #[error(
        "cannot make a Kafka client: {0}; check the client settings of the worker, and of the connector if it has a topic of its own"
    )]
    Client(String),
    /// A write was not stored, or not known to be stored: it may be tried again.
    #[error("cannot write to {log}: {reason}")]
    Write {
        /// Table or topic.
        log: String,
        /// The cause.
        reason: String,
    },
    /// The log cannot be read.
    #[error("cannot read {log}: {reason}")]
    Read {
        /// Table or topic.
        log: String,
        /// The cause.
        reason: String,
    },
    /// A bounded wait ended before what it waited for.
    #[error("timed out after {} ms waiting {doing} {log}; check that the brokers in bootstrap.servers can be reached", .after.as_millis())]
    Timeout {
        /// Table or topic.
        log: String,
        /// What was waited for, such as `for the end of`.
        doing: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The topic does not have the settings that a store needs: the message is Kafka Connect's.
    #[error("{0}")]
    Topic(String),
    /// A record is larger than [`MAX_ENTRY_BYTES`](super::MAX_ENTRY_BYTES).
    #[error("a record of {size} bytes for {log} exceeds the limit of {limit} bytes; make the configuration or offset smaller")]
    TooLarge {
        /// Table or topic.
        log: String,
        /// Bytes of key and value.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The caller gave something that cannot be stored, such as a source offset with nested values.
    #[error("{0}")]
    Invalid(String),
    /// The log was used before `start`, or started twice.
    #[error("{0}: a log must be started once, and before it is written or read")]
    NotStarted(String),
    /// The store is shut down.
    #[error("the store is closed")]
    Closed,
}
