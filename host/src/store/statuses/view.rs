//! The statuses as read from the log, and those that are still to be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::log::Entry;
use super::records::{Key, Value, encode};
use super::{State, Status, TopicStatus};

/// What is known here. A status that is still to be written counts already.
#[derive(Default)]
pub(super) struct View {
    stored: BTreeMap<Key, Value>,
    /// One per key: what is newer replaces what has not been written yet.
    pending: BTreeMap<Key, Pending>,
    version: u64,
}

struct Pending {
    value: Option<Value>,
    /// Only to be written while no other worker has written something later.
    safe: bool,
    version: u64,
}

/// A pending value that is being written.
pub(super) struct Mark {
    key: Key,
    version: u64,
}

impl View {
    /// Takes in a record of the log.
    pub fn read(&mut self, key: Key, value: Option<Value>) {
        let Some(value) = value else {
            self.stored.remove(&key);
            return;
        };
        if matches!(key, Key::Task(..))
            && let (Some(Value::Status(present)), Value::Status(next)) = (self.stored.get(&key), &value)
            && is_late(present, next)
        {
            return;
        }
        self.stored.insert(key, value);
    }

    /// Sets or removes a value; it is to be written.
    pub fn put(&mut self, key: Key, value: Option<Value>, safe: bool) {
        if value.is_none() && !self.stored.contains_key(&key) && !self.pending.contains_key(&key) {
            return;
        }
        self.version += 1;
        self.pending.insert(key, Pending { value, safe, version: self.version });
    }

    /// Whether a conditional status may be written: not over a later one of another worker.
    pub fn may_write(&self, key: &Key, status: &Status) -> bool {
        self.status(key).is_none_or(|present| is_older(present, status))
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        match self.pending.get(key) {
            Some(pending) => pending.value.as_ref(),
            None => self.stored.get(key),
        }
    }

    pub fn status(&self, key: &Key) -> Option<&Status> {
        match self.get(key) {
            Some(Value::Status(status)) => Some(status),
            _ => None,
        }
    }

    pub fn tasks(&self, connector: &str) -> Vec<(u32, Status)> {
        self.task_keys(connector)
            .into_iter()
            .filter_map(|key| match &key {
                Key::Task(_, number) => Some((*number, self.status(&key)?.clone())),
                _ => None,
            })
            .collect()
    }

    pub fn connectors(&self) -> Vec<Arc<str>> {
        let keys = self.keys(Key::Connector("".into()), |key| matches!(key, Key::Connector(_)));
        let existing = keys.into_iter().filter(|key| self.get(key).is_some());
        existing.filter_map(|key| if let Key::Connector(name) = key { Some(name) } else { None }).collect()
    }

    pub fn topics(&self, connector: &str) -> Vec<TopicStatus> {
        let first = Key::Topic { connector: connector.into(), topic: "".into() };
        let keys = self.keys(first, |key| matches!(key, Key::Topic { connector: name, .. } if **name == *connector));
        keys.iter()
            .filter_map(|key| match self.get(key)? {
                Value::Topic(status) => Some(status.clone()),
                Value::Status(_) => None,
            })
            .collect()
    }

    /// The keys of a connector and its tasks.
    pub fn instances_of(&self, connector: &str) -> Vec<Key> {
        let mut keys = self.task_keys(connector);
        keys.push(Key::Connector(connector.into()));
        keys
    }

    /// The newest change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a change up to `version` is still to be written.
    pub fn is_pending(&self, version: u64) -> bool {
        self.pending.values().any(|pending| pending.version <= version)
    }

    /// The next records to write, at most `limit`. Conditional ones that have become out of date are dropped.
    pub fn take(&mut self, limit: usize) -> (Vec<Mark>, Vec<Entry>) {
        let View { stored, pending, .. } = self;
        pending.retain(|key, pending| match (stored.get(key), &pending.value) {
            (Some(Value::Status(present)), Some(Value::Status(status))) => !pending.safe || is_older(present, status),
            _ => true,
        });
        let next = pending.iter().take(limit);
        next.map(|(key, pending)| (Mark { key: key.clone(), version: pending.version }, encode(key, pending.value.as_ref())))
            .unzip()
    }

    /// What was taken is stored.
    pub fn done(&mut self, marks: &[Mark]) {
        for mark in marks {
            if self.pending.get(&mark.key).is_some_and(|pending| pending.version == mark.version) {
                self.pending.remove(&mark.key);
            }
        }
    }

    fn task_keys(&self, connector: &str) -> Vec<Key> {
        let first = Key::Task(connector.into(), 0);
        self.keys(first, |key| matches!(key, Key::Task(name, _) if **name == *connector))
    }

    /// The keys from `first` on for which `wanted` holds, in order.
    fn keys(&self, first: Key, wanted: impl Fn(&Key) -> bool) -> Vec<Key> {
        let stored = self.stored.range(&first..).map(|(key, _)| key).take_while(|key| wanted(key));
        let pending = self.pending.range(&first..).map(|(key, _)| key).take_while(|key| wanted(key));
        let mut keys: Vec<Key> = stored.chain(pending).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Whether `next` may replace `present` under Kafka Connect's rule for conditional writes.
fn is_older(present: &Status, next: &Status) -> bool {
    present.worker_id == next.worker_id || present.generation <= next.generation
}

/// After a quick rebalance the former owner's UNASSIGNED may arrive when the new owner is already running. (Kafka Connect
/// also ignores UNASSIGNED of the worker and generation that wrote RUNNING, and so shows stopped tasks as running.)
fn is_late(present: &Status, next: &Status) -> bool {
    next.state == State::Unassigned
        && present.state == State::Running
        && (present.generation > next.generation || present.generation == next.generation && present.worker_id != next.worker_id)
}
