//! What the records of the config topic add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::records::Record;
use super::{ConfigChange, ConfigSnapshot, Connector, RawConfig, SessionKey, TargetState};

type Tasks = BTreeMap<u32, Arc<RawConfig>>;

/// Everything known of one connector name, whether or not the connector exists now.
#[derive(Default)]
struct Known {
    config: Option<Arc<RawConfig>>,
    target: Option<TargetState>,
    tasks: Arc<[Arc<RawConfig>]>,
    task_count: u32,
    inconsistent: bool,
    generation: Option<u64>,
    applied: Option<Arc<RawConfig>>,
    pending_fencing: bool,
    fenced_tasks: Option<u32>,
    /// Task records since the last commit.
    deferred: Tasks,
    /// A commit that came before its connector while the log is being read for the first time.
    held: Option<(Tasks, u32)>,
    /// Numbers of the task records in the log: what a deletion must remove.
    task_records: BTreeSet<u32>,
}

impl Known {
    /// Takes over `tasks` if all of 0..count are there; more than those may be, since compaction keeps old numbers.
    fn commit(&mut self, mut tasks: Tasks, count: u32) {
        let complete: Option<Vec<_>> = (0..count).map(|number| tasks.remove(&number)).collect();
        self.inconsistent = complete.is_none();
        if complete.is_some() {
            self.applied = self.config.clone();
            self.generation = Some(self.generation.map_or(0, |generation| generation + 1));
        }
        self.tasks = complete.unwrap_or_default().into();
        self.task_count = count;
        self.pending_fencing = true;
    }

    fn remove_connector(&mut self) {
        self.config = None;
        self.applied = None;
        self.tasks = Arc::default();
        self.task_count = 0;
        self.inconsistent = false;
        self.deferred.clear();
        self.held = None;
    }

    fn published(&self) -> Option<Arc<Connector>> {
        self.config.as_ref().map(|config| {
            Arc::new(Connector {
                config: config.clone(),
                target: self.target.unwrap_or_default(),
                tasks: self.tasks.clone(),
                task_count: self.task_count,
                inconsistent: self.inconsistent,
                generation: self.generation,
                applied: self.applied.clone(),
                pending_fencing: self.pending_fencing,
                fenced_tasks: self.fenced_tasks,
            })
        })
    }
}

/// The state of the config log, advanced record by record.
#[derive(Default)]
pub(super) struct ConfigState {
    known: BTreeMap<Arc<str>, Known>,
    published: BTreeMap<Arc<str>, Arc<Connector>>,
    session_key: Option<Arc<SessionKey>>,
    offset: i64,
    started: bool,
}

impl ConfigState {
    /// Takes in a record; answers what it means to whoever watches, once started.
    pub fn apply(&mut self, record: Record) -> Option<ConfigChange> {
        let (name, change) = match record {
            Record::Connector(name, config) => {
                let (name, known) = self.known(name);
                let change = match config {
                    Some(config) => {
                        known.config = Some(Arc::new(config));
                        ConfigChange::Connector(name.clone())
                    }
                    None => {
                        known.remove_connector();
                        ConfigChange::Removed(name.clone())
                    }
                };
                (name, Some(change))
            }
            Record::Target(name, state) => {
                let (name, known) = self.known(name);
                known.target = state;
                // A removed target state belongs to a deletion, which is announced by the connector's own record.
                (name.clone(), state.map(|_| ConfigChange::Target(name)))
            }
            Record::Task(name, number, config) => {
                let (name, known) = self.known(name);
                match config {
                    Some(config) => {
                        known.task_records.insert(number);
                        known.deferred.insert(number, Arc::new(config));
                    }
                    None => {
                        known.task_records.remove(&number);
                        known.deferred.remove(&number);
                    }
                }
                (name, None)
            }
            Record::Commit(name, count) => self.commit(name, count),
            Record::Fencing(name, count) => {
                let (name, known) = self.known(name);
                known.fenced_tasks = count;
                known.pending_fencing &= count.is_none();
                (name, None)
            }
            Record::Restart(request) => return self.started.then_some(ConfigChange::Restart(request)),
            Record::Logger { namespace, level } => {
                return self.started.then_some(ConfigChange::LoggerLevel { namespace, level });
            }
            Record::SessionKey(key) => {
                self.session_key = Some(Arc::new(key));
                return self.started.then_some(ConfigChange::SessionKey);
            }
        };
        self.publish(&name);
        change.filter(|_| self.started)
    }

    fn commit(&mut self, name: String, count: Option<u32>) -> (Arc<str>, Option<ConfigChange>) {
        let started = self.started;
        let (name, known) = self.known(name);
        let tasks = std::mem::take(&mut known.deferred);
        known.held = None;
        match count {
            Some(count) if known.config.is_some() => {
                known.commit(tasks, count);
                (name.clone(), Some(ConfigChange::Tasks(name)))
            }
            // Compaction may have moved the connector's record behind this one (KAFKA-17719): the end of the log will tell.
            Some(count) if !started => {
                known.held = Some((tasks, count));
                (name, None)
            }
            // Left over from a deleted connector.
            _ => (name, None),
        }
    }

    /// The end of the log has been reached for the first time: commits that came before their connector take effect.
    pub fn start(&mut self) {
        let held: Vec<_> = self.known.iter().filter(|(_, known)| known.held.is_some()).map(|(n, _)| n.clone()).collect();
        for name in held {
            if let Some(known) = self.known.get_mut(&name)
                && let Some((tasks, count)) = known.held.take()
                && known.config.is_some()
            {
                known.commit(tasks, count);
            }
            self.publish(&name);
        }
        self.started = true;
    }

    /// The log has been read up to (not including) this offset.
    pub fn advance(&mut self, offset: i64) {
        self.offset = offset;
    }

    pub fn is_started(&self) -> bool {
        self.started
    }

    pub fn snapshot(&self) -> ConfigSnapshot {
        ConfigSnapshot { offset: self.offset, connectors: self.published.clone(), session_key: self.session_key.clone() }
    }

    /// The numbers of the task records that the log holds for a connector.
    pub fn task_records(&self, name: &str) -> Vec<u32> {
        self.known.get(name).map(|known| known.task_records.iter().copied().collect()).unwrap_or_default()
    }

    fn known(&mut self, name: String) -> (Arc<str>, &mut Known) {
        let name: Arc<str> = self.known.get_key_value(name.as_str()).map_or_else(|| name.into(), |(n, _)| n.clone());
        (name.clone(), self.known.entry(name).or_default())
    }

    fn publish(&mut self, name: &Arc<str>) {
        match self.known.get(name).and_then(Known::published) {
            Some(connector) => self.published.insert(name.clone(), connector),
            None => self.published.remove(name),
        };
    }
}
