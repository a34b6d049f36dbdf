use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RawConfig;

/// What the user wants of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// It and its tasks run.
    #[default]
    Started,
    /// It and its tasks exist, but rest.
    Paused,
    /// It has no running instance and no tasks.
    Stopped,
}

/// A connector as the log describes it.
#[derive(Debug, Clone)]
pub struct Connector {
    /// As written by the user.
    pub config: Arc<RawConfig>,
    /// STARTED until something else is asked for.
    pub target: TargetState,
    /// The committed task configurations, by task number; empty if there are none or if they are inconsistent.
    pub tasks: Arc<[Arc<RawConfig>]>,
    /// The number of tasks in the last commit record, even if that commit is inconsistent.
    pub task_count: u32,
    /// A commit record came without all of its task configurations (compaction or a write that broke off), so the
    /// tasks must be computed anew.
    pub inconsistent: bool,
    /// Grows with every commit; `None` until the first one. A task that starts must still be of this generation.
    pub generation: Option<u64>,
    /// The connector configuration from which the committed tasks were computed.
    pub applied: Option<Arc<RawConfig>>,
    /// Tasks were committed after the last task-count record, so older producers must be fenced first (exactly-once).
    pub pending_fencing: bool,
    /// The last task-count record.
    pub fenced_tasks: Option<u32>,
}

/// The state of the whole cluster's configuration at one position of the log. Cheap to clone and to read.
#[derive(Debug, Clone, Default)]
pub struct ConfigSnapshot {
    /// The offset after the last record read; workers compare it to see who is behind.
    pub offset: i64,
    /// By name.
    pub connectors: BTreeMap<Arc<str>, Arc<Connector>>,
    /// The key that signs requests between workers.
    pub session_key: Option<Arc<SessionKey>>,
}

impl ConfigSnapshot {
    /// The connector of that name.
    pub fn connector(&self, name: &str) -> Option<&Arc<Connector>> {
        self.connectors.get(name)
    }
}

/// The key with which workers sign their requests to each other. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionKey {
    /// The key, base64.
    pub key: String,
    /// Such as `HmacSHA256`.
    pub algorithm: String,
    /// Milliseconds since 1970.
    pub creation_timestamp: i64,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey")
            .field("algorithm", &self.algorithm)
            .field("creation_timestamp", &self.creation_timestamp)
            .finish_non_exhaustive()
    }
}

/// A request to restart a connector and, if asked for, its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// The connector.
    pub connector: Arc<str>,
    /// Its tasks as well.
    pub include_tasks: bool,
    /// Only what has failed.
    pub only_failed: bool,
}

/// Something that was read from the log after the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// A connector was created or its configuration written.
    Connector(Arc<str>),
    /// A connector was deleted.
    Removed(Arc<str>),
    /// A connector's target state was written.
    Target(Arc<str>),
    /// New task configurations were committed.
    Tasks(Arc<str>),
    /// Someone asks for a restart.
    Restart(RestartRequest),
    /// The level of a logger is to be changed on every worker.
    LoggerLevel {
        /// The logger.
        namespace: String,
        /// As asked for, such as `DEBUG`.
        level: String,
    },
    /// The session key was replaced.
    SessionKey,
}

/// Whether a write was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Appended to the log.
    Yes,
    /// The log already says so.
    Unchanged,
}
