//! Reads that answer from snapshots: connectors, tasks, statuses, topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classes::ClassKind;
use super::error::HerderError;
use super::model::{
    ConnectorInfo, ConnectorState, ConnectorStateInfo, ConnectorType, Expanded, TaskInfo, TaskRef, TaskState, Told,
};
use super::{Herder, State};
use crate::store::{Connector, RawConfig, Status};

impl Herder {
    /// Names of all connectors.
    pub fn connectors(&self) -> Vec<String> {
        self.context.configs.snapshot().connectors.keys().map(ToString::to_string).collect()
    }

    /// All connectors with what is asked for; with `status`, without those whose status is not known yet.
    pub fn expanded(&self, status: bool, info: bool) -> BTreeMap<String, Expanded> {
        let snapshot = self.context.configs.snapshot();
        let mut all = BTreeMap::new();
        for (name, connector) in &snapshot.connectors {
            let mut expanded = Expanded::default();
            if status {
                let Ok(known) = self.connector_status(name) else { continue };
                expanded.status = Some(known);
            }
            if info {
                expanded.info = Some(self.info(name, connector));
            }
            all.insert(name.to_string(), expanded);
        }
        all
    }

    /// A connector as deployed.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn connector(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        let connector = self.known(name)?;
        Ok(self.info(name, &connector))
    }

    /// A connector's configuration as deployed.
    ///
    /// # Errors
    /// There is no connector of that name.
    pub fn connector_config(&self, name: &str) -> Result<Arc<RawConfig>, HerderError> {
        Ok(Arc::clone(&self.known(name)?.config))
    }

    /// A connector's tasks and their configurations.
    ///
    /// # Errors
    /// There is no connector of that name.
    pub fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>, HerderError> {
        let connector = self.known(name)?;
        let infos = (0..)
            .zip(connector.tasks.iter())
            .map(|(task, config)| TaskInfo { id: TaskRef { connector: name.to_owned(), task }, config: Arc::clone(config) });
        Ok(infos.collect())
    }

    /// What a connector and its tasks are doing.
    ///
    /// # Errors
    /// Nothing is known of a connector of that name.
    pub fn connector_status(&self, name: &str) -> Result<ConnectorStateInfo, HerderError> {
        self.connector_status_with(name, Told::Kafkas)
    }

    /// The same, and how far its tasks are and what they use.
    ///
    /// # Errors
    /// Nothing is known of a connector of that name.
    pub fn connector_status_with(&self, name: &str, told: Told) -> Result<ConnectorStateInfo, HerderError> {
        let status = self
            .context
            .statuses
            .connector(name)
            .ok_or_else(|| HerderError::NotFound(format!("No status found for connector {name}")))?;
        let version = shown_version(&status);
        let tasks = self.context.statuses.tasks(name).into_iter();
        Ok(ConnectorStateInfo {
            name: name.to_owned(),
            connector: ConnectorState { state: status.state, worker_id: status.worker_id, trace: status.trace, version },
            tasks: tasks.map(|(number, status)| self.task_state(name, number, status, told)).collect(),
            kind: self.kind(name),
            hawser: (told != Told::Kafkas).then(|| self.connector_report(name)).flatten(),
        })
    }

    /// What a task is doing, and how far it is and what it uses.
    ///
    /// # Errors
    /// Nothing is known of such a task.
    pub fn task_status(&self, name: &str, task: i32, told: Told) -> Result<TaskState, HerderError> {
        let found = u32::try_from(task).ok().and_then(|task| Some((task, self.context.statuses.task(name, task)?)));
        match found {
            Some((task, status)) => Ok(self.task_state(name, task, status, told)),
            None => Err(HerderError::NotFound(format!("No status found for task {name}-{task}"))),
        }
    }

    /// The topics that a connector has used; none for a connector that is not known.
    ///
    /// # Errors
    /// The worker does not track topics.
    pub fn active_topics(&self, name: &str) -> Result<Vec<String>, HerderError> {
        self.tracks_topics()?;
        Ok(self.context.statuses.topics(name).into_iter().map(|status| status.topic.to_string()).collect())
    }

    /// Forgets the topics that a connector has used.
    ///
    /// # Errors
    /// The worker does not track topics, or does not let them be reset.
    pub async fn reset_active_topics(&self, name: &str) -> Result<(), HerderError> {
        self.tracks_topics()?;
        if !self.context.settings.topic_tracking_reset {
            return Err(HerderError::Forbidden("Topic tracking reset is disabled.".to_owned()));
        }
        self.context.statuses.reset_topics(name);
        Ok(())
    }

    fn tracks_topics(&self) -> Result<(), HerderError> {
        match self.context.settings.topic_tracking {
            true => Ok(()),
            false => Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned())),
        }
    }

    /// The connector in the configuration.
    pub(super) fn known(&self, name: &str) -> Result<Arc<Connector>, HerderError> {
        let snapshot = self.context.configs.snapshot();
        snapshot.connector(name).cloned().ok_or_else(|| HerderError::connector_not_found(name))
    }

    pub(super) fn info(&self, name: &str, connector: &Connector) -> ConnectorInfo {
        ConnectorInfo {
            name: name.to_owned(),
            config: Arc::clone(&connector.config),
            tasks: (0..).zip(connector.tasks.iter()).map(|(task, _)| TaskRef { connector: name.to_owned(), task }).collect(),
            kind: self.kind_of(&connector.config),
        }
    }

    fn kind(&self, name: &str) -> ConnectorType {
        match self.context.configs.snapshot().connector(name) {
            Some(connector) => self.kind_of(&connector.config),
            None => ConnectorType::Unknown,
        }
    }

    /// Source or sink, by the class.
    pub(super) fn kind_of(&self, config: &RawConfig) -> ConnectorType {
        let class = config.get("connector.class").and_then(|class| self.context.classes.find(class, None).ok());
        match class.map(|class| class.kind) {
            Some(ClassKind::Source) => ConnectorType::Source,
            Some(ClassKind::Sink) => ConnectorType::Sink,
            _ => ConnectorType::Unknown,
        }
    }

    fn task_state(&self, name: &str, id: u32, status: Status, told: Told) -> TaskState {
        let version = shown_version(&status);
        let hawser = self.task_report(name, id, status.state, told);
        TaskState { id, state: status.state, worker_id: status.worker_id, trace: status.trace, version, hawser }
    }
}

/// The version that runs, as whoever runs it has written.
fn shown_version(status: &Status) -> Option<String> {
    let is_assigned = status.state != State::Unassigned;
    status.version.clone().filter(|_| is_assigned)
}
