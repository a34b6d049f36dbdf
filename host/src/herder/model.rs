//! What the herder answers: the documents of Kafka Connect's REST API.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::config_def::{Importance, Type, Width};
use crate::store::{RawConfig, State};

/// Answer to `GET /`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServerInfo {
    /// Version of Kafka Connect whose interface this is; clients enable features by it.
    pub version: &'static str,
    /// What was built.
    pub commit: &'static str,
    /// Id of the Kafka cluster.
    pub kafka_cluster_id: String,
}

/// Answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerStatus {
    /// `healthy`, `starting` or `unhealthy`.
    pub status: &'static str,
    /// For people.
    pub message: String,
}

/// What a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorType {
    /// Reads from elsewhere, writes to Kafka.
    Source,
    /// Reads from Kafka, writes elsewhere.
    Sink,
    /// Its class is not known to this worker.
    Unknown,
}

/// Names a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskRef {
    /// Name of the connector.
    pub connector: String,
    /// Number within the connector, from 0.
    pub task: u32,
}

/// Answer to `GET /connectors/{name}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// As deployed.
    #[schema(value_type = HashMap<String, Option<String>>)]
    pub config: Arc<RawConfig>,
    /// Its tasks.
    pub tasks: Vec<TaskRef>,
    /// Source or sink.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
}

/// A task and its configuration, as `GET /connectors/{name}/tasks` shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TaskInfo {
    /// Its name.
    pub id: TaskRef,
    /// What it was started with, references unresolved.
    #[schema(value_type = HashMap<String, Option<String>>)]
    pub config: Arc<RawConfig>,
}

/// State of a connector: strings only, because clients read it as a map of strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectorState {
    /// What it is doing.
    pub state: State,
    /// Worker that has it.
    pub worker_id: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Version of the plugin that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How much a status tells beyond Kafka Connect's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Kafkas,
    /// What settles while nothing happens, and changes once a minute at most otherwise.
    Settled,
    /// All that is known, as it is now.
    Exact,
}

/// State of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskState {
    /// Number within the connector.
    pub id: u32,
    /// What it is doing.
    pub state: State,
    /// Worker that has it.
    pub worker_id: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Version of the plugin that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hawser's own: what is known of the live task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hawser: Option<TaskReport>,
}

/// What is known of a live task beyond its state.
///
/// The default answer holds what settles: operators copy the whole answer and act on every difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskReport {
    /// Whether one step has been under way, or tried again, for longer than `hawser.task.stalled.after.ms`.
    pub stalled: bool,
    /// Which step: `start`, `poll`, `deliver`, `acknowledge`, `flush`, `commit` or `connect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// Since when, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_since: Option<i64>,
    /// How far it is and what it uses.
    #[serde(flatten)]
    pub details: TaskDetails,
}

/// How far a task is and what it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskDetails {
    /// When it last got on, in milliseconds since the epoch; null for never. Without `expand=hawser` the whole minute before.
    pub last_progress: Option<i64>,
    /// Starts after the first one on this worker.
    pub restarts: u64,
    /// Records that came in: polled or consumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_in: Option<u64>,
    /// Records that went out: acknowledged by Kafka, or taken by `put`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_out: Option<u64>,
    /// Repetitions after a passing error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    /// What its plugin instances use and are allowed, the connector's class first, then its transforms.
    pub instances: Vec<InstanceReport>,
}

/// What a plugin instance uses and is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct InstanceReport {
    /// The classes that it runs.
    pub class: String,
    /// Bytes of linear memory.
    pub memory_bytes: Bounded,
    /// Elements of its tables.
    pub table_elements: Bounded,
    /// Milliseconds on a processor of the call that took most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_cpu_ms: Option<Bounded>,
    /// Milliseconds on a processor of all calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Calls into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crossings: Option<u64>,
    /// Lines of its log that were over its rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_lines_dropped: Option<u64>,
}

/// Something that is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Bounded {
    /// What is used, or was at most.
    pub used: u64,
    /// What is allowed.
    pub allowed: u64,
}

/// What is known of a connector beyond its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectorReport {
    /// What each of its plugin instances is allowed: every `sandbox.*` key that is a limit, and its value.
    pub limits: BTreeMap<&'static str, u64>,
}

/// Answer to `GET /connectors/{name}/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectorStateInfo {
    /// Name of the connector.
    pub name: String,
    /// The connector itself.
    pub connector: ConnectorState,
    /// Its tasks by number.
    pub tasks: Vec<TaskState>,
    /// Source or sink.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
    /// Hawser's own: what it allows its plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hawser: Option<ConnectorReport>,
}

/// One connector in `GET /connectors?expand=…`.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Expanded {
    /// With `expand=status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConnectorStateInfo>,
    /// With `expand=info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<ConnectorInfo>,
}

/// Answer to a validation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConfigInfos {
    /// The class as it was given.
    pub name: String,
    /// How many messages there are.
    pub error_count: usize,
    /// Groups of the keys below.
    pub groups: Vec<String>,
    /// The keys.
    pub configs: Vec<ConfigInfo>,
}

/// One key in a validation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConfigInfo {
    /// None: the key has no definition.
    pub definition: Option<ConfigKeyInfo>,
    /// Its value and what is wrong with it.
    pub value: Option<ConfigValueInfo>,
}

/// A key's definition.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct ConfigKeyInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Type,
    pub required: bool,
    pub default_value: Option<String>,
    pub importance: Importance,
    pub documentation: String,
    pub group: Option<String>,
    pub width: Width,
    pub display_name: String,
    pub dependents: Vec<String>,
    /// What Kafka Connect from 4.3 on calls it.
    pub order_in_group: i32,
    /// What it was called before; user interfaces read it.
    pub order: i32,
}

/// A key's value.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct ConfigValueInfo {
    pub name: String,
    pub value: Option<String>,
    pub recommended_values: Vec<String>,
    pub errors: Vec<String>,
    pub visible: bool,
}

/// One class in `GET /connector-plugins`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct PluginInfo {
    /// Name of the class.
    pub class: String,
    /// `sink`, `source`, `converter`, `header_converter`, `transformation` or `predicate`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Version of the upload; the worker's own for what is built in.
    pub version: String,
}

/// One source or sink partition and its offset: JSON objects.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConnectorOffset {
    /// Names a part of the source, or a topic and partition.
    #[schema(value_type = Option<HashMap<String, Value>>)]
    pub partition: Value,
    /// How far it was read; null resets it.
    #[schema(value_type = Option<HashMap<String, Value>>)]
    pub offset: Value,
}

/// Answer to `GET /connectors/{name}/offsets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ConnectorOffsets {
    /// In no particular order.
    pub offsets: Vec<ConnectorOffset>,
}

/// A text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Message {
    /// The text.
    pub message: String,
}

/// One uploaded version of a plugin: Hawser's own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginVersion {
    /// Name of the upload.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line about it.
    pub summary: String,
    /// `sha256:` and the digest of its bytes.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// What it holds.
    pub classes: Vec<PluginClass>,
    /// Interfaces that it needs from the host.
    pub imports: Vec<String>,
    /// What of that must be granted to be of use, and by which key.
    pub requires: Vec<PluginRequirement>,
    /// Connectors that use it.
    pub used_by: Vec<String>,
}

/// Something that a plugin may need to be granted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginRequirement {
    /// `http`, `tcp`, `udp`, `files`, `environment` or `secrets`.
    pub capability: &'static str,
    /// The key of a connector that grants it.
    pub key: &'static str,
    /// `false`: every plugin of its language imports this, whether it uses it or not.
    pub certain: bool,
}

/// A class of a plugin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginClass {
    /// As used in `connector.class` or `transforms.x.type`.
    pub class: String,
    /// `sink`, `source`, `transformation` or `predicate`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Other names that it answers to.
    pub aliases: Vec<String>,
    /// One line about it.
    pub summary: String,
}

/// Answer to `GET /plugins/{name}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginVersions {
    /// Name of the upload.
    pub name: String,
    /// Its versions, newest first.
    pub versions: Vec<PluginVersion>,
}
