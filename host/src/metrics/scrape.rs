use std::sync::Arc;
use std::time::Duration;

use super::client::{ClientReading, ClientRole};
use super::exposition::Exposition;
use super::process::Process;
use super::rest::RestReading;
use super::table::{NameSets, Value};
use super::vitals::{TaskReading, Vitals};
use super::{hawser, kafka};

/// Everything that one scrape tells of a worker.
#[derive(Debug)]
pub struct Scrape {
    /// Which names are told.
    pub names: NameSets,
    /// The worker itself.
    pub worker: WorkerView,
    /// Every connector.
    pub connectors: Vec<ConnectorView>,
    /// Every task that this worker runs or has run.
    pub tasks: Vec<TaskView>,
    /// Requests to the REST API.
    pub rest: Vec<RestReading>,
    /// The operating system's view.
    pub process: Process,
}

/// The worker.
#[derive(Debug, Default)]
pub struct WorkerView {
    /// The name of the member of the group: Kafka's `client.id`.
    pub client_id: String,
    /// The version of Kafka Connect whose interface this is.
    pub version: String,
    /// What was built.
    pub commit: String,
    /// When the worker started, in milliseconds since the epoch.
    pub start_millis: i64,
    /// Connectors that run here.
    pub connectors: u64,
    /// Tasks that run here.
    pub tasks: u64,
    /// Connectors that started, and that did not.
    pub connector_startups: (u64, u64),
    /// Tasks that started, and that did not.
    pub task_startups: (u64, u64),
    /// The group, if the worker has one.
    pub group: Option<GroupView>,
    /// Plugin instances alive now, and the most there may be.
    pub instances: (u64, u64),
    /// Uploads in the catalogue: versions, and their bytes.
    pub plugins: (u64, u64),
    /// Classes in the catalogue.
    pub classes: u64,
}

/// The worker's group.
#[derive(Debug, Clone, Default)]
pub struct GroupView {
    /// Which protocol divides the work.
    pub protocol: String,
    /// URL of the leader.
    pub leader: String,
    /// Generation of the group.
    pub epoch: i64,
    /// Rebalances that the worker went through.
    pub rebalances: u64,
    /// Whether one is under way.
    pub is_rebalancing: bool,
    /// Time of the longest.
    pub longest: Duration,
    /// Time of all together.
    pub spent: Duration,
    /// Time since the last one.
    pub last: Option<Duration>,
}

/// A connector.
#[derive(Debug, Default)]
pub struct ConnectorView {
    /// Its name.
    pub name: String,
    /// Its state, in small letters; `None` before it has one.
    pub status: Option<&'static str>,
    /// `source` or `sink`.
    pub kind: Option<&'static str>,
    /// Its class.
    pub class: String,
    /// The class's version, while it runs.
    pub version: Option<String>,
    /// The states of its tasks, in small letters.
    pub task_states: Vec<&'static str>,
}

/// A task.
#[derive(Debug)]
pub struct TaskView {
    /// Its connector.
    pub connector: Arc<str>,
    /// Its number.
    pub task: u32,
    /// Its state, in small letters; `None` if nothing is known of it any more.
    pub status: Option<&'static str>,
    /// Whether it is a source's.
    pub is_source: bool,
    /// How often it was started, and how often it failed.
    pub starts: u64,
    /// How often it failed.
    pub failures: u64,
    /// What was measured, if it was started.
    pub vitals: Option<(Arc<Vitals>, TaskReading)>,
}

/// A Kafka client of a task.
pub(super) struct ClientView {
    pub(super) client_id: String,
    pub(super) role: ClientRole,
    pub(super) reading: ClientReading,
}

impl Scrape {
    /// The text of the scrape: [`CONTENT_TYPE`](super::CONTENT_TYPE).
    ///
    /// # Errors
    /// Never, for a text that is written to memory.
    pub fn into_text(self) -> Result<String, std::fmt::Error> {
        let mut out = Exposition::default();
        let clients = self.tasks.iter().filter_map(|task| task.vitals.as_ref()).flat_map(|(vitals, _)| &vitals.clients);
        let clients: Vec<ClientView> = clients
            .filter_map(|client| {
                Some(ClientView { client_id: client.client_id.clone(), role: client.role, reading: client.read()? })
            })
            .collect();
        kafka::tell(&self, &clients, &mut out);
        hawser::tell(&self, &mut out);
        out.into_text()
    }
}

impl TaskView {
    /// A figure of a task that was started.
    pub(super) fn of(&self, figure: fn(&TaskReading) -> f64) -> Value {
        self.vitals.as_ref().map(|(_, reading)| figure(reading)).into()
    }

    /// A class of a task that was started, or its version.
    pub(super) fn part(&self, attribute: &str) -> Value {
        let classes = self.vitals.iter().flat_map(|(vitals, _)| &vitals.parts.classes);
        classes.clone().find(|(name, _)| *name == attribute).map(|(_, value)| value.as_str()).into()
    }

    pub(super) fn labels(&self) -> Vec<String> {
        vec![self.connector.to_string(), self.task.to_string()]
    }
}

impl ConnectorView {
    pub(super) fn tasks_in(&self, state: &str) -> Value {
        (self.task_states.iter().filter(|known| **known == state).count() as u64).into()
    }
}

/// Seconds of a time.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
