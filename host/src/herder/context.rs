//! What the herder, its reconciler and its connectors share.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;

use super::classes::Classes;
use super::engine::Engine;
use super::framework::Framework;
use super::measures::Measures;
use crate::cluster::Identity;
use crate::metrics::{NameSets, SampleWindow};
use crate::store::{ConfigStore, OffsetStore, State, Status, StatusStore};

/// How the herder behaves: from the worker's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long tasks may take to stop, all together: `task.shutdown.graceful.timeout.ms`.
    pub graceful_stop: Duration,
    /// How often a running connector is asked for its tasks: `tasks.refresh.interval.ms`. None: only when it starts.
    pub task_refresh_interval: Option<Duration>,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// The worker's consumer group, which no sink may use; none without a cluster.
    pub group_id: Option<String>,
    /// Id of the Kafka cluster.
    pub kafka_cluster_id: String,
    /// Most bytes of an uploaded component.
    pub max_component_bytes: usize,
    /// What is measured, and how it is told.
    pub metrics: Measuring,
}

/// What is measured, and how it is told.
#[derive(Clone, Debug)]
pub struct Measuring {
    /// Whose names `/metrics` has: `hawser.metrics.names`.
    pub names: NameSets,
    /// Over which time rates and averages are taken.
    pub window: SampleWindow,
    /// How long a step of a task may take before the task counts as stalled: `hawser.task.stalled.after.ms`.
    pub stalled_after: Duration,
    /// `client.id` of the worker in its group.
    pub client_id: String,
    /// `connect.protocol`; none without a group.
    pub protocol: Option<String>,
}

impl std::default::Default for Measuring {
    fn default() -> Measuring {
        Measuring {
            names: NameSets { jmx: true, reporter: true },
            window: SampleWindow::default(),
            stalled_after: Duration::from_secs(60),
            client_id: "connect".to_owned(),
            protocol: None,
        }
    }
}

impl std::default::Default for Settings {
    fn default() -> Settings {
        Settings {
            graceful_stop: Duration::from_secs(5),
            task_refresh_interval: Some(Duration::from_secs(300)),
            topic_tracking: true,
            topic_tracking_reset: true,
            group_id: None,
            kafka_cluster_id: String::new(),
            max_component_bytes: 64 << 20,
            metrics: Measuring::default(),
        }
    }
}

/// What a running connector runs on.
pub(super) struct Running {
    /// Version of its class.
    pub(super) version: String,
    /// Uploads that it uses: name and version.
    pub(super) uses: Vec<(Arc<str>, String)>,
}

/// Shared by everything in this room.
pub(super) struct Context {
    pub(super) configs: Arc<ConfigStore>,
    pub(super) offsets: Arc<OffsetStore>,
    pub(super) statuses: Arc<StatusStore>,
    pub(super) classes: Arc<dyn Classes>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) framework: Framework,
    pub(super) identity: Identity,
    pub(super) settings: Settings,
    /// Taken by whoever reads the configuration to decide on a write of it.
    pub(super) writes: tokio::sync::Mutex<()>,
    /// By connector.
    pub(super) running: DashMap<Arc<str>, Running>,
    pub(super) measures: Measures,
}

impl Context {
    /// A status of a connector, or of one of its tasks, that this worker writes now.
    pub(super) fn status(&self, connector: &str, state: State, trace: Option<String>) -> Status {
        Status {
            state,
            trace,
            worker_id: self.identity.worker_id.to_string(),
            generation: self.identity.generation,
            version: self
                .running
                .get(connector)
                .map(|running| running.version.clone())
                .or_else(|| self.installed_version(connector)),
        }
    }

    /// The version that a connector would run with if it were started.
    fn installed_version(&self, connector: &str) -> Option<String> {
        let snapshot = self.configs.snapshot();
        let config = &snapshot.connector(connector)?.config;
        let class = self.classes.find(config.get("connector.class")?, config.get("connector.plugin.version"));
        Some(class.ok()?.version)
    }
}
