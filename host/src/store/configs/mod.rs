//! Connectors as the user wrote them, their task configurations and target states, on one log.
//!
//! Record formats, the order of writes and the rules for reading are Kafka Connect's (its `KafkaConfigBackingStore`), with
//! three additions that keep a compacted log from contradicting itself (KAFKA-17719): an identical connector configuration
//! is not written again, a commit that precedes its connector waits for the end of the log, and a deletion removes the
//! task and commit records as well.

mod raw;
mod records;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;
use tracing::error;

use super::{CompactedLog, Entry, LogReader, LogRecord, StoreError, log::readable};
use records::{Record, decode, encode};
use state::ConfigState;

pub use raw::RawConfig;
pub(in crate::store) use records::task_id;
pub use snapshot::{ConfigChange, ConfigSnapshot, Connector, RestartRequest, SessionKey, TargetState, Written};

/// Changes that a slow watcher may be behind before it loses the oldest.
const CHANGES: usize = 4096;

/// The cluster's configuration. One worker at a time (the leader) should write; everyone may read.
pub struct ConfigStore {
    log: Arc<dyn CompactedLog>,
    reader: Arc<Reader>,
    /// A write compares with what is there, so writes take turns.
    writes: tokio::sync::Mutex<()>,
}

struct Reader {
    state: Mutex<ConfigState>,
    snapshot: ArcSwap<ConfigSnapshot>,
    changes: broadcast::Sender<ConfigChange>,
}

impl Reader {
    fn state(&self) -> MutexGuard<'_, ConfigState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogReader for Reader {
    fn apply(&self, records: &[LogRecord<'_>]) {
        let mut state = self.state();
        let mut changes = Vec::new();
        for record in records {
            match decode(record.key, record.value) {
                Ok(decoded) => changes.extend(state.apply(decoded)),
                Err(reason) => {
                    error!(key = readable(record.key), offset = record.offset, "ignoring a configuration record: {reason}");
                }
            }
            state.advance(record.offset + 1);
        }
        if state.is_started() {
            self.snapshot.store(Arc::new(state.snapshot()));
            for change in changes {
                // Nobody watching is fine.
                let _ = self.changes.send(change);
            }
        }
    }
}

impl ConfigStore {
    /// Reads the whole log and follows it from then on.
    pub async fn open(log: Arc<dyn CompactedLog>) -> Result<ConfigStore, StoreError> {
        let reader =
            Arc::new(Reader { state: Mutex::default(), snapshot: ArcSwap::default(), changes: broadcast::Sender::new(CHANGES) });
        log.start(reader.clone()).await?;
        {
            let mut state = reader.state();
            state.start();
            reader.snapshot.store(Arc::new(state.snapshot()));
        }
        Ok(ConfigStore { log, reader, writes: tokio::sync::Mutex::new(()) })
    }

    /// The configuration as read so far.
    pub fn snapshot(&self) -> Arc<ConfigSnapshot> {
        self.reader.snapshot.load_full()
    }

    /// What is read from now on, own writes included. The snapshot already holds a change when it is announced. A receiver
    /// that lags must compare with a new snapshot.
    pub fn changes(&self) -> broadcast::Receiver<ConfigChange> {
        self.reader.changes.subscribe()
    }

    /// Catches up with what other workers have written.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.log.read_to_end().await
    }

    /// Creates or replaces a connector; a new one may be given its first target state.
    ///
    /// A configuration equal to the present one is not written: the caller restarts the connector, as Kafka Connect would.
    pub async fn put_connector(
        &self,
        name: &str,
        config: RawConfig,
        initial: Option<TargetState>,
    ) -> Result<Written, StoreError> {
        let _turn = self.writes.lock().await;
        self.log.read_to_end().await?;
        let mut records: Vec<Record> = initial.map(|state| Record::Target(name.to_owned(), Some(state))).into_iter().collect();
        if self.snapshot().connector(name).is_none_or(|present| *present.config != config) {
            records.push(Record::Connector(name.to_owned(), Some(config)));
        }
        if records.is_empty() {
            return Ok(Written::Unchanged);
        }
        self.write(&records).await?;
        Ok(Written::Yes)
    }

    /// Deletes a connector with all that belongs to it, save its task-count record, which fences its producers.
    pub async fn delete_connector(&self, name: &str) -> Result<(), StoreError> {
        let _turn = self.writes.lock().await;
        self.log.read_to_end().await?;
        let tasks = self.reader.state().task_records(name);
        let mut records = vec![Record::Connector(name.to_owned(), None), Record::Target(name.to_owned(), None)];
        records.extend(tasks.into_iter().map(|number| Record::Task(name.to_owned(), number, None)));
        records.push(Record::Commit(name.to_owned(), None));
        self.write(&records).await
    }

    /// Replaces the task configurations of a connector: they take effect together.
    pub async fn put_task_configs(&self, name: &str, tasks: Vec<RawConfig>) -> Result<(), StoreError> {
        let _turn = self.writes.lock().await;
        let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        let records: Vec<_> =
            (0..count).zip(tasks).map(|(number, config)| Record::Task(name.to_owned(), number, Some(config))).collect();
        self.log.read_to_end().await?;
        if !records.is_empty() {
            self.write(&records).await?;
        }
        // Only once all tasks are known to be written.
        self.write(&[Record::Commit(name.to_owned(), Some(count))]).await
    }

    /// Asks for a connector to be started, paused or stopped.
    pub async fn put_target_state(&self, name: &str, state: TargetState) -> Result<(), StoreError> {
        self.write(&[Record::Target(name.to_owned(), Some(state))]).await
    }

    /// Says that the producers of all older tasks of a connector have been fenced, and how many tasks it has now.
    pub async fn put_task_count(&self, name: &str, tasks: u32) -> Result<(), StoreError> {
        self.write(&[Record::Fencing(name.to_owned(), Some(tasks))]).await
    }

    /// Asks all workers for a restart of what they own of a connector.
    pub async fn put_restart(&self, request: RestartRequest) -> Result<(), StoreError> {
        self.write(&[Record::Restart(request)]).await
    }

    /// Asks all workers to set the level of a logger.
    pub async fn put_logger_level(&self, namespace: &str, level: &str) -> Result<(), StoreError> {
        self.write(&[Record::Logger { namespace: namespace.to_owned(), level: level.to_owned() }]).await
    }

    /// Replaces the key that signs requests between workers.
    pub async fn put_session_key(&self, key: SessionKey) -> Result<(), StoreError> {
        self.write(&[Record::SessionKey(key)]).await
    }

    async fn write(&self, records: &[Record]) -> Result<(), StoreError> {
        let entries: Vec<Entry> = records.iter().map(encode).collect();
        self.log.append(entries).await
    }
}
