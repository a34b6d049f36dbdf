//! What connectors and tasks are doing, and which topics they have used, on one log.
//!
//! Formats and rules are Kafka Connect's (its `KafkaStatusBackingStore`). A status is taken at once and written in the
//! background, with others that wait, again and again until it is stored or replaced: nobody who reports a status ever
//! waits for a broker or a disk.

mod records;
#[cfg(test)]
mod tests;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::warn;

use super::{CompactedLog, LogReader, LogRecord, StoreError, log::readable};
use records::{Key, Value, decode};
use view::View;

/// Bytes of an error text that are kept in a status.
const MAX_TRACE_BYTES: usize = 64 * 1024;
/// Topics of one connector that are tracked; more are not.
const MAX_TOPICS_PER_CONNECTOR: usize = 10_000;
/// Records that are written together.
const WRITE_BATCH: usize = 500;
/// The wait after the first failed write; doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The state of a connector or a task as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// On no worker at present.
    Unassigned,
    /// Started.
    Running,
    /// Resting, as asked for.
    Paused,
    /// Ended by an error; stays so until it is restarted.
    Failed,
    /// Stopped, about to be started again.
    Restarting,
    /// Stopped, as asked for (connectors only).
    Stopped,
}

impl State {
    /// As in REST answers and on the topic.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Unassigned => "UNASSIGNED",
            State::Running => "RUNNING",
            State::Paused => "PAUSED",
            State::Failed => "FAILED",
            State::Restarting => "RESTARTING",
            State::Stopped => "STOPPED",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a connector or a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Why it failed; none in any other state.
    pub trace: Option<String>,
    /// `host:port` of the worker that says so.
    pub worker_id: String,
    /// The group's generation in which the worker says so; 0 without a group.
    pub generation: i32,
    /// The version of the plugin that runs, where it is known. Kafka Connect writes it since 4.1.
    pub version: Option<String>,
}

impl Status {
    fn tidied(mut self) -> Status {
        self.trace = self.trace.filter(|_| matches!(self.state, State::Failed | State::Restarting));
        if let Some(trace) = &mut self.trace {
            trace.truncate(trace.floor_char_boundary(MAX_TRACE_BYTES));
        }
        self
    }
}

/// A topic that a connector has read from or written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStatus {
    /// The topic.
    pub topic: Arc<str>,
    /// The connector.
    pub connector: Arc<str>,
    /// The task that used the topic first.
    pub task: u32,
    /// When that was, in milliseconds since 1970.
    pub discovered_ms: i64,
}

/// The statuses of the whole cluster.
pub struct StatusStore {
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
}

struct Shared {
    view: Mutex<View>,
    /// Something is to be written.
    wake: Notify,
    /// Something was written.
    written: Notify,
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogReader for Shared {
    fn apply(&self, records: &[LogRecord<'_>]) {
        let mut view = self.view();
        for record in records {
            match decode(record.key, record.value) {
                Ok((key, value)) => view.read(key, value),
                Err(reason) => {
                    warn!(key = readable(record.key), offset = record.offset, "ignoring a status record: {reason}");
                }
            }
        }
    }
}

impl StatusStore {
    /// Reads the whole log, follows it from then on, and starts the writer (a tokio task, which ends with the store).
    pub async fn open(log: Arc<dyn CompactedLog>) -> Result<StatusStore, StoreError> {
        let shared = Arc::new(Shared { view: Mutex::default(), wake: Notify::new(), written: Notify::new() });
        log.start(shared.clone()).await?;
        let writer = tokio::spawn(write(log, shared.clone()));
        Ok(StatusStore { shared, writer })
    }

    /// Sets a connector's status whatever it was: for start, pause, resume, stop and restart.
    pub fn put_connector(&self, connector: &str, status: Status) {
        self.put(Key::Connector(connector.into()), Value::Status(status.tidied()));
    }

    /// Sets a connector's status unless another worker has written one in a later generation: for FAILED, and for
    /// UNASSIGNED at shutdown.
    pub fn put_connector_safe(&self, connector: &str, status: Status) {
        self.put_safe(Key::Connector(connector.into()), status);
    }

    /// As [`put_connector`](Self::put_connector), for a task.
    pub fn put_task(&self, connector: &str, task: u32, status: Status) {
        self.put(Key::Task(connector.into(), task), Value::Status(status.tidied()));
    }

    /// As [`put_connector_safe`](Self::put_connector_safe), for a task.
    pub fn put_task_safe(&self, connector: &str, task: u32, status: Status) {
        self.put_safe(Key::Task(connector.into(), task), status);
    }

    /// Removes the statuses of a deleted connector and all of its tasks.
    pub fn remove_connector(&self, connector: &str) {
        let mut view = self.shared.view();
        for key in view.instances_of(connector) {
            view.put(key, None, false);
        }
        self.shared.wake.notify_one();
    }

    /// Removes the status of a task that no longer exists.
    pub fn remove_task(&self, connector: &str, task: u32) {
        self.shared.view().put(Key::Task(connector.into(), task), None, false);
        self.shared.wake.notify_one();
    }

    /// The status of a connector.
    pub fn connector(&self, connector: &str) -> Option<Status> {
        self.shared.view().status(&Key::Connector(connector.into())).cloned()
    }

    /// The status of a task.
    pub fn task(&self, connector: &str, task: u32) -> Option<Status> {
        self.shared.view().status(&Key::Task(connector.into(), task)).cloned()
    }

    /// The statuses of a connector's tasks, by task number.
    pub fn tasks(&self, connector: &str) -> Vec<(u32, Status)> {
        self.shared.view().tasks(connector)
    }

    /// The connectors that have a status.
    pub fn connectors(&self) -> Vec<Arc<str>> {
        self.shared.view().connectors()
    }

    /// Notes that a connector uses a topic, if that is not known yet. Callers remember what they have noted: this is not
    /// for every record.
    pub fn track_topic(&self, connector: &str, task: u32, topic: &str) {
        let key = Key::Topic { connector: connector.into(), topic: topic.into() };
        let mut view = self.shared.view();
        if view.get(&key).is_some() || view.topics(connector).len() >= MAX_TOPICS_PER_CONNECTOR {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let status = TopicStatus {
            topic: topic.into(),
            connector: connector.into(),
            task,
            discovered_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        };
        view.put(key, Some(Value::Topic(status)), false);
        self.shared.wake.notify_one();
    }

    /// The topics that a connector has used, by name.
    pub fn topics(&self, connector: &str) -> Vec<TopicStatus> {
        self.shared.view().topics(connector)
    }

    /// Forgets the topics that a connector has used.
    pub fn reset_topics(&self, connector: &str) {
        let mut view = self.shared.view();
        for status in view.topics(connector) {
            view.put(Key::Topic { connector: status.connector, topic: status.topic }, None, false);
        }
        self.shared.wake.notify_one();
    }

    /// Waits until everything set so far is stored, or has been replaced by something that is.
    pub async fn flush(&self, within: Duration) -> Result<(), StoreError> {
        let mark = self.shared.view().version();
        let stored = async {
            loop {
                let mut written = std::pin::pin!(self.shared.written.notified());
                written.as_mut().enable();
                if !self.shared.view().is_pending(mark) {
                    return;
                }
                written.await;
            }
        };
        tokio::time::timeout(within, stored).await.map_err(|_| StoreError::Timeout {
            log: "the statuses".to_owned(),
            doing: "to write",
            after: within,
        })
    }

    fn put(&self, key: Key, value: Value) {
        self.shared.view().put(key, Some(value), false);
        self.shared.wake.notify_one();
    }

    fn put_safe(&self, key: Key, status: Status) {
        let mut view = self.shared.view();
        if view.may_write(&key, &status) {
            view.put(key, Some(Value::Status(status.tidied())), true);
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for StatusStore {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// Writes what is pending, for ever.
async fn write(log: Arc<dyn CompactedLog>, shared: Arc<Shared>) {
    let mut backoff = MIN_BACKOFF;
    loop {
        let (marks, entries) = shared.view().take(WRITE_BATCH);
        if entries.is_empty() {
            // Something may have been dropped as out of date.
            shared.written.notify_waiters();
            shared.wake.notified().await;
            continue;
        }
        match log.append(entries).await {
            Ok(()) => backoff = MIN_BACKOFF,
            // Would fail for ever.
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Invalid(_))) => warn!("dropping statuses: {error}"),
            Err(error) => {
                warn!("cannot write {} statuses, trying again: {error}", marks.len());
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
                continue;
            }
        }
        shared.view().done(&marks);
        shared.written.notify_waiters();
    }
}
