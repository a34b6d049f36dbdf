//! What the herder leaves to others: calls into plugins, running tasks, secrets, consumer groups.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::classes::FoundClass;
use super::config_def::ConfigValue;
use super::plan::Plan;
use crate::metrics::Vitals;
use crate::store::{RawConfig, SourceOffsets};

/// A configuration with its references resolved: it may hold secrets.
pub type Config = Vec<(String, String)>;

/// A configuration whose `${provider:path:key}` references are resolved.
#[derive(Clone, Default)]
pub struct Resolved {
    /// Keys in their order; nulls kept.
    pub values: Vec<(String, Option<String>)>,
    /// Each reference that was resolved and what it stands for.
    pub references: Vec<(String, String)>,
    /// How long what they stand for may be trusted; `None`: for ever.
    pub ttl: Option<Duration>,
}

/// Why a call into a plugin failed. The text may hold secrets of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// The same call may work later.
    #[error("{0}")]
    Retriable(String),
    /// It will not.
    #[error("{0}")]
    Failed(String),
}

/// What a task is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// It is being started.
    Starting,
    /// It moves records, or waits for some.
    Running,
    /// It rests, as asked for.
    Paused,
    /// It ended by an error.
    Failed(String),
    /// It ended as asked for.
    Stopped,
}

/// A task that was started.
#[async_trait]
pub trait RunningTask: Send + Sync {
    /// Asks it to rest.
    fn pause(&self);
    /// Asks it to go on.
    fn resume(&self);
    /// Asks it to end, and waits for that, at most for `within`; then it is ended.
    async fn stop(&mut self, within: Duration);
    /// What it is doing.
    fn phase(&self) -> watch::Receiver<TaskPhase>;
    /// What can be measured of it.
    fn vitals(&self) -> Option<Arc<Vitals>>;
}

/// A consumer group's offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The next offset to read; `None` removes it.
    pub offset: Option<u64>,
}

/// Why a consumer group's offsets could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group still has members.
    #[error("the group still has members")]
    InUse,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Runs plugins and talks to Kafka for the herder. No call blocks the thread; each ends within a deadline of its own.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Resolves the references of a configuration.
    async fn resolve(&self, config: &RawConfig) -> Result<Resolved, String>;

    /// Says what is wrong with keys of the worker's own making, such as grants and limits: key and message.
    fn check_worker_keys(&self, config: &Config) -> Vec<(String, String)>;

    /// Says what is wrong with the overrides of client settings: key and message.
    fn check_overrides(&self, config: &Config) -> Vec<(String, String)>;

    /// The plugin's own check of a configuration.
    async fn validate(&self, class: &FoundClass, config: &Config) -> Result<Vec<ConfigValue>, PluginError>;

    /// The plugin's split of a connector into tasks.
    async fn task_configs(&self, plan: &Plan, max_tasks: u32) -> Result<Vec<Config>, PluginError>;

    /// Starts a task, resting if `paused`. What can be known at once to be wrong is an error.
    fn start_task(&self, plan: &Plan, task: u32, config: &Config, paused: bool) -> Result<Box<dyn RunningTask>, String>;

    /// Where a source keeps its offsets.
    fn source_offsets(&self, plan: &Plan) -> Result<Arc<SourceOffsets>, String>;

    /// The offsets of a sink's consumer group.
    async fn group_offsets(&self, plan: &Plan) -> Result<Vec<GroupOffset>, GroupError>;

    /// Sets offsets of a sink's consumer group.
    async fn alter_group_offsets(&self, plan: &Plan, offsets: Vec<GroupOffset>) -> Result<(), GroupError>;

    /// Deletes a sink's consumer group.
    async fn delete_group(&self, plan: &Plan) -> Result<(), GroupError>;
}
