//! A Kafka broker in the process, **for development only**: it serves `hawser serve --dev` and tests.
//!
//! One node, one process, loopback only, no authentication, no replication. It speaks enough of Kafka's protocol for
//! librdkafka and the Java clients of Kafka 4.x: topics and their configs, idempotent and transactional producers,
//! classic consumer groups of any protocol type (KIP-848 groups are not offered), compaction and retention.
//!
//! ```no_run
//! # async fn example() -> Result<(), hawser_dev_broker::DevBrokerError> {
//! use hawser_dev_broker::{DevBroker, DevBrokerConfig};
//!
//! let broker = DevBroker::start(DevBrokerConfig::default()).await?;
//! println!("bootstrap.servers={}", broker.bootstrap());
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it keeps
//!
//! All records stay in memory, bounded by [`DevBrokerConfig::max_memory_bytes`]; beyond it, produce requests are
//! answered with the retriable `KAFKA_STORAGE_ERROR` until retention, compaction or a deletion has made room. With a
//! [`DevBrokerConfig::data_dir`] every change is also written to a journal (one write per request, before the answer) that
//! survives `kill -9` of the process. It is not synced to disk on every write, so it does not promise to survive a power cut.
//!
//! # Where it differs from Kafka
//!
//! * Retention and compaction work on record batches, not on segments: only the newest batch of a partition is left alone.
//! * Topic configs that are not about retention, compaction, timestamps or batch size are kept and shown, but change nothing:
//!   `min.insync.replicas=2` is not refused, although there is one replica.
//! * `compression.type` of a topic is stored but batches are kept as the producer sent them.
//! * Consumer offsets and transaction state live in the journal; `__consumer_offsets` and `__transaction_state` don't exist.
//! * Group membership is not persisted: after a restart members join again, committed offsets are still there.

mod admin;
mod api;
mod batch;
mod broker;
mod configs;
mod connection;
mod fetch;
mod groups;
mod journal;
mod log;
mod maintenance;
mod offsets;
mod produce;
mod schema;
mod server;
mod state;
mod topics;
mod transactions;

use std::{io, path::PathBuf, time::Duration};

pub use server::DevBroker;

/// How a [`DevBroker`] runs. `DevBrokerConfig::default()` is an in-memory broker on a free port.
#[derive(Debug, Clone)]
pub struct DevBrokerConfig {
    /// TCP port on 127.0.0.1; 0 takes a free one (see [`DevBroker::bootstrap`]).
    pub port: u16,
    /// Folder of the journal, created if missing and locked while the broker runs. `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Bytes of record batches held over all partitions. Beyond it producers get `KAFKA_STORAGE_ERROR`.
    pub max_memory_bytes: u64,
    /// Connections served at once; further ones are closed right after being accepted.
    pub max_connections: usize,
    /// Largest request; a connection that announces a larger one is closed. Kafka's `socket.request.max.bytes`.
    pub max_request_bytes: usize,
    /// Partitions over all topics; creating more is answered with `POLICY_VIOLATION`.
    pub max_partitions: usize,
    /// Partitions of a topic that is created without a count. Kafka's `num.partitions`.
    pub default_partitions: i32,
    /// Whether asking for the metadata of an unknown topic creates it. Kafka's `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// Shortest session timeout that a group member may ask for. Kafka's `group.min.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// How often retention, compaction and journal compaction are looked at.
    pub maintenance_interval: Duration,
}

impl Default for DevBrokerConfig {
    fn default() -> Self {
        Self {
            port: 0,
            data_dir: None,
            max_memory_bytes: 1 << 30,
            max_connections: 1000,
            max_request_bytes: 100 * 1024 * 1024,
            max_partitions: 10_000,
            default_partitions: 1,
            auto_create_topics: true,
            min_session_timeout: Duration::from_secs(6),
            maintenance_interval: Duration::from_secs(5),
        }
    }
}

/// Why a [`DevBroker`] did not start.
#[derive(Debug, thiserror::Error)]
pub enum DevBrokerError {
    /// The port is taken or may not be used.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one")]
    Bind {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another broker uses the data folder.
    #[error("{path} is in use by another development broker; stop it or choose another data folder")]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// A file of the journal could not be read or written.
    #[error("cannot {action} {path}: {source}; check that the folder exists, is writable and has space")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal is damaged somewhere else than at its very end, where a killed process may leave a torn write.
    #[error("{path} is damaged at byte {position}: {reason}; restore the data folder or delete it to start empty")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the first damaged frame starts.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The threads of the broker could not be started.
    #[error("cannot start the threads of the development broker: {0}; check the limits on processes and threads")]
    Runtime(io::Error),
}
