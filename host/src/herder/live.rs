//! The engine that counts: plugins in the sandbox, tasks of the task room, consumer groups on Kafka.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::classes::FoundClass;
use super::config_def::{ConfigValue, split_list};
use super::engine::{Config, Engine, GroupError, GroupOffset, PluginError, Resolved, RunningTask, TaskPhase};
use super::plan::{Plan, get, references_in};
use super::source_stores::{OWN_TOPIC_KEY, SourceStores};
use super::validation::sink_topics;
use crate::config::{OverridePolicy, Providers};
use crate::convert::Converters;
use crate::kafka::{
    self, Admin, ClientError, ClientKind, ClientSettings, ProducerLimits, ReservedTopics, Subscription, TopicPartition,
};
use crate::metrics::{ClientRole, ClientStats, SampleWindow, TaskParts, TaskStage, Vitals};
use crate::plugin::{Catalogue, Plugin};
use crate::record::BatchLimits;
use crate::sandbox::{CallError, GRANT_KEYS, Grants, InstanceEnv, InstanceLimits, LIMIT_KEYS};
use crate::store::{RawConfig, SourceOffsets, StatusStore};
use crate::task::{
    CommitTiming, ErrorPolicy, PluginSpec, PredicateStep, SinkSpec, SourceSpec, Starts, TaskContext, TaskHandle, TaskId,
    TaskState, TopicCreation, TopicTracker, TransformStep, group_steps, spawn_sink, spawn_source,
};
use crate::tenant::Policy;

/// Longest wait for config providers: they read files, which may be on a network.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the members of a stopped sink to have left their group, and how often it is looked at.
const IDLE_WAIT: Duration = Duration::from_secs(10);
const IDLE_POLL: Duration = Duration::from_millis(200);

/// The key that names a dead letter queue.
const DEAD_LETTERS_KEY: &str = "errors.deadletterqueue.topic.name";

/// Calls for validation, and for task configurations, under way at a time; further ones wait. How many of one plugin is the
/// sandbox's to say.
const MAX_VALIDATIONS: usize = 16;
const MAX_SPLITS: usize = 64;

/// Most overrides of one kind of client: each is shown to librdkafka, which has some 200 settings.
const MAX_OVERRIDES: usize = 500;

/// Errors of librdkafka that mean that a consumer group is in use.
const IN_USE: [rdkafka::types::RDKafkaErrorCode; 3] = {
    use rdkafka::types::RDKafkaErrorCode as Code;
    [Code::NonEmptyGroup, Code::UnknownMemberId, Code::RebalanceInProgress]
};

/// What the engine is made of.
pub struct LiveEngine {
    /// Uploaded plugins.
    pub catalogue: Arc<Catalogue>,
    /// The worker's configuration, for Kafka clients and converters: it may hold secrets.
    pub worker: Config,
    /// What connectors may be granted.
    pub policy: Policy,
    /// Limits of an instance unless a connector asks for less.
    pub limits: InstanceLimits,
    /// Resolves references.
    pub providers: Arc<Providers>,
    /// Which client settings connectors may override.
    pub overrides: OverridePolicy,
    /// When tasks commit.
    pub commit: CommitTiming,
    /// Whether missing topics of sources are created.
    pub topic_creation: bool,
    /// Offsets of sources.
    pub offsets: SourceStores,
    /// Hears which topics are used; none if topics are not tracked.
    pub tracker: Option<Arc<StatusStore>>,
    /// Bounds validations.
    pub validations: Semaphore,
    /// Bounds calls for task configurations.
    pub splits: Semaphore,
    /// How many tasks start at a time.
    pub starts: Starts,
    /// Topics that are not for records.
    pub reserved: ReservedTopics,
    /// Over which time rates and averages are taken.
    pub window: SampleWindow,
    /// How often Kafka clients tell their statistics; `None` for never.
    pub client_stats: Option<Duration>,
}

impl LiveEngine {
    /// The bound on validations.
    pub fn validations() -> Semaphore {
        Semaphore::new(MAX_VALIDATIONS)
    }

    /// The bound on calls for task configurations.
    pub fn splits() -> Semaphore {
        Semaphore::new(MAX_SPLITS)
    }

    fn plugin(&self, class: &FoundClass) -> Result<Arc<Plugin>, String> {
        let name = class.plugin.as_deref().unwrap_or_default();
        let found = self.catalogue.versions(name).into_iter().find(|plugin| plugin.manifest.version == class.version);
        found.ok_or_else(|| format!("The plugin {name} {} has been deleted; upload it again", class.version))
    }

    fn env(&self, plan: &Plan, task: Option<u32>) -> Result<InstanceEnv, String> {
        let asked = Grants::parse(&plan.config).map_err(|error| error.to_string())?;
        Ok(InstanceEnv {
            connector: Arc::clone(&plan.name),
            task,
            grants: self.policy.grant(asked).map_err(|denied| denied.to_string())?,
            limits: self.limits.with_config(&plan.config, &self.limits).map_err(|error| error.to_string())?,
            schemas: Arc::default(),
        })
    }

    /// The connector's transforms in their order.
    fn transforms(&self, plan: &Plan) -> Result<Vec<TransformStep>, String> {
        split_list(plan.get("transforms").unwrap_or_default())
            .into_iter()
            .map(|alias| {
                let prefix = format!("transforms.{alias}.");
                let (plugin, class, mut config) = self.stage(plan, &prefix)?;
                // The name that Kafka Connect knows the class by, if the user wrote that, and not a simple name.
                let written = plan.get(&format!("{prefix}type")).unwrap_or_default().trim();
                let shown = if written.contains('.') { written.to_owned() } else { class.clone() };
                let predicate = match take(&mut config, "predicate") {
                    Some(alias) => {
                        let (plugin, class, config) = self.stage(plan, &format!("predicates.{alias}."))?;
                        Some(PredicateStep { alias, class, component: plugin.component.clone(), config })
                    }
                    None => None,
                };
                let negate = take(&mut config, "negate").is_some_and(|negate| negate.trim().eq_ignore_ascii_case("true"));
                Ok(TransformStep { alias, class, shown, component: plugin.component.clone(), config, predicate, negate })
            })
            .collect()
    }

    /// The plugin, the class and the keys of a transform or predicate.
    fn stage(&self, plan: &Plan, prefix: &str) -> Result<(Arc<Plugin>, String, Config), String> {
        let found = match plan.stage(prefix) {
            Some(found) => found,
            None => return Err(self.no_stage(plan, prefix)),
        };
        let config = plan
            .config
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
            .filter(|(key, _)| key != "type" && key != "plugin.version")
            .collect();
        Ok((self.plugin(found)?, found.name.clone(), config))
    }

    /// Why a transform or predicate is not in the plan.
    fn no_stage(&self, plan: &Plan, prefix: &str) -> String {
        let type_key = format!("{prefix}type");
        let Some(name) = plan.get(&type_key) else {
            return format!("Missing required configuration \"{type_key}\" which has no default value.");
        };
        match self.catalogue.resolve(name, plan.get(&format!("{prefix}plugin.version"))) {
            Ok(_) => format!("The class {name} has been uploaded since the connector started; restart the connector"),
            Err(error) => error.to_string(),
        }
    }

    /// The connector's transforms and predicates, as they are told of.
    fn stages(&self, plan: &Plan) -> Result<Vec<TaskStage>, String> {
        let mut stages = Vec::new();
        for (list, is_predicate) in [("transforms", false), ("predicates", true)] {
            for alias in split_list(plan.get(list).unwrap_or_default()) {
                let (plugin, class, _) = self.stage(plan, &format!("{list}.{alias}."))?;
                stages.push(TaskStage { is_predicate, alias, class, version: plugin.manifest.version.clone() });
            }
        }
        Ok(stages)
    }

    /// The settings of a client that tells its statistics, if it is to.
    fn watched(&self, settings: ClientSettings, role: ClientRole, clients: &mut Vec<Arc<ClientStats>>) -> ClientSettings {
        let Some(interval) = self.client_stats else { return settings };
        let stats = Arc::new(ClientStats::new(settings.get("client.id").unwrap_or_default(), role, self.window));
        clients.push(Arc::clone(&stats));
        settings.with_stats(stats, interval)
    }

    fn source(&self, plan: &Plan, task: u32, config: &Config, paused: bool) -> Result<SourceSpec, String> {
        let env = self.env(plan, Some(task))?;
        let producer = ClientSettings::source_producer(&self.worker, &plan.name, task, &plan.config);
        let errors = ErrorPolicy::for_source(&self.worker, &plan.name, task, &plan.config);
        Ok(SourceSpec {
            id: TaskId { connector: Arc::clone(&plan.name), task },
            plugin: self.instance(plan, config, env.clone())?,
            chains: group_steps(self.transforms(plan)?, &env),
            converters: self.converters(plan, &env)?,
            producer: producer.map_err(|error| error.to_string())?,
            producer_limits: ProducerLimits::default(),
            creation: self.creation(plan, task)?,
            errors: errors.map_err(|error| error.to_string())?,
            commit: self.commit,
            paused,
        })
    }

    /// Keys that name a topic which no connector may use so: key and message.
    fn reserved_topics(&self, config: &Config) -> Vec<(String, String)> {
        let mut errors = Vec::new();
        for (key, is_written) in [("topics", false), (DEAD_LETTERS_KEY, true), (OWN_TOPIC_KEY, false)] {
            let listed = split_list(get(config, key).unwrap_or_default());
            let is_reserved = |topic: &&String| self.reserved.is_workers(topic) || (is_written && self.reserved.refuses(topic));
            // A source may share the worker's topic of offsets, as in Kafka Connect.
            let is_shared = |topic: &str| key == OWN_TOPIC_KEY && self.offsets.is_shared(topic);
            if let Some(topic) = listed.iter().filter(is_reserved).find(|topic| !is_shared(topic)) {
                let message =
                    format!("{key}: the topic {topic} belongs to the worker, to a connector's offsets or to Kafka; use another");
                errors.push((key.to_owned(), message));
            }
        }
        errors
    }

    /// How a source's missing topics are created.
    fn creation(&self, plan: &Plan, task: u32) -> Result<Option<TopicCreation>, String> {
        if !self.topic_creation {
            return Ok(None);
        }
        let id = format!("connector-adminclient-{}-{task}", plan.name);
        let admin = ClientSettings::admin(&self.worker, id, &plan.config).map_err(|error| error.to_string())?;
        TopicCreation::from_config(&plan.config, admin.owned_by(&plan.name, Some(task))).map_err(|error| error.to_string())
    }

    fn sink(&self, plan: &Plan, task: u32, config: &Config, paused: bool) -> Result<SinkSpec, String> {
        let env = self.env(plan, Some(task))?;
        let subscription = subscription(plan, &self.reserved)?;
        let consumer = ClientSettings::sink_consumer(&self.worker, &plan.name, task, &plan.config);
        let errors = ErrorPolicy::for_sink(&self.worker, &plan.name, task, &plan.config, &subscription);
        Ok(SinkSpec {
            id: TaskId { connector: Arc::clone(&plan.name), task },
            plugin: self.instance(plan, config, env.clone())?,
            chains: group_steps(self.transforms(plan)?, &env),
            converters: self.converters(plan, &env)?,
            consumer: consumer.map_err(|error| error.to_string())?,
            errors: errors.map_err(|error| error.to_string())?,
            subscription,
            batch: BatchLimits::default(),
            commit: self.commit,
            paused,
        })
    }

    fn instance(&self, plan: &Plan, config: &Config, env: InstanceEnv) -> Result<Box<PluginSpec>, String> {
        let component = self.plugin(&plan.class)?.component.clone();
        Ok(Box::new(PluginSpec { component, class: plan.class.name.clone(), config: config.clone(), env }))
    }

    fn converters(&self, plan: &Plan, env: &InstanceEnv) -> Result<Converters, String> {
        Converters::from_config(&plan.config, &self.worker, &env.schemas).map_err(|error| error.to_string())
    }

    fn admin(&self, plan: &Plan) -> Result<Admin, GroupError> {
        let id = format!("connector-worker-adminclient-{}", plan.name);
        let settings = ClientSettings::admin(&self.worker, id, &plan.config);
        let settings = settings.map_err(|error| GroupError::Failed(error.to_string()))?;
        Ok(Admin::new(settings.owned_by(&plan.name, None)))
    }

    /// The consumer group of a sink.
    fn group(&self, plan: &Plan) -> Result<String, GroupError> {
        let settings = ClientSettings::sink_consumer(&self.worker, &plan.name, 0, &plan.config);
        let settings = settings.map_err(|error| GroupError::Failed(error.to_string()))?;
        Ok(settings.group_id().unwrap_or_default().to_owned())
    }
}

/// What a sink reads.
fn subscription(plan: &Plan, reserved: &ReservedTopics) -> Result<Subscription, String> {
    let topics = sink_topics(plan.get("topics").unwrap_or_default());
    let subscription = match topics.is_empty() {
        false => Subscription::topics(topics),
        true => Subscription::pattern(plan.get("topics.regex").unwrap_or_default(), reserved),
    };
    subscription.map_err(|error| error.to_string())
}

fn is_sandbox_key(key: &str) -> bool {
    GRANT_KEYS.contains(&key) || LIMIT_KEYS.contains(&key) || key.starts_with("sandbox.secret.")
}

fn take(config: &mut Config, key: &str) -> Option<String> {
    let place = config.iter().position(|(name, _)| name == key)?;
    Some(config.remove(place).1)
}

fn failure(error: CallError) -> PluginError {
    match error.is_retriable() {
        true => PluginError::Retriable(error.to_string()),
        false => PluginError::Failed(error.to_string()),
    }
}

fn group_failure(error: ClientError) -> GroupError {
    match &error {
        ClientError::Kafka { code: Some(code), .. } if IN_USE.contains(code) => GroupError::InUse,
        _ => GroupError::Failed(error.to_string()),
    }
}

#[async_trait]
impl Engine for LiveEngine {
    async fn resolve(&self, config: &RawConfig) -> Result<Resolved, String> {
        let (providers, config) = (Arc::clone(&self.providers), config.clone());
        let resolving = tokio::task::spawn_blocking(move || {
            let resolved = providers.resolve(config.iter()).map_err(|error| error.to_string())?;
            let mut references = Vec::new();
            for reference in config.iter().filter_map(|(_, value)| value).flat_map(references_in) {
                let alone = providers.resolve([("", Some(reference))]).map_err(|error| error.to_string())?;
                references.extend(
                    alone
                        .config
                        .into_iter()
                        .filter_map(|(_, value)| value)
                        .filter(|value| value != reference)
                        .map(|value| (reference.to_owned(), value)),
                );
            }
            Ok(Resolved { values: resolved.config, references, ttl: resolved.ttl })
        });
        match tokio::time::timeout(RESOLVE_TIMEOUT, resolving).await {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "The config providers did not answer within {} s; check the files that they read",
                RESOLVE_TIMEOUT.as_secs()
            )),
        }
    }

    fn check_worker_keys(&self, config: &Config) -> Vec<(String, String)> {
        let mut errors = self.reserved_topics(config);
        match Grants::parse(config) {
            Ok(asked) => {
                if let Err(denied) = self.policy.grant(asked) {
                    errors.push((denied.key().to_owned(), denied.to_string()));
                }
            }
            Err(error) => errors.push((error.key().to_owned(), error.to_string())),
        }
        for (key, _) in config.iter().filter(|(key, _)| key.starts_with("sandbox.") && !is_sandbox_key(key)) {
            errors.push((key.clone(), format!("{key} is no key of the sandbox; check its spelling in docs/sandbox.md")));
        }
        for (key, value) in config.iter().filter(|(key, _)| LIMIT_KEYS.contains(&key.as_str())) {
            if let Err(error) = self.limits.with_config(&[(key.clone(), value.clone())], &self.limits) {
                errors.push((key.clone(), error.to_string()));
            }
        }
        errors
    }

    fn check_overrides(&self, config: &Config) -> Vec<(String, String)> {
        let kinds = [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin];
        let mut errors = Vec::new();
        for kind in kinds {
            let prefix = kind.override_prefix();
            let given: Vec<_> = config.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect();
            if let Some((key, _)) = given.get(MAX_OVERRIDES) {
                errors.push((key.clone(), format!("A connector may have at most {MAX_OVERRIDES} keys that begin with {prefix}")));
                continue;
            }
            for setting in given.iter().filter_map(|(key, _)| key.strip_prefix(prefix)) {
                if !self.overrides.allows(setting) {
                    let policy = self.overrides.name();
                    errors.push((
                        format!("{prefix}{setting}"),
                        format!(
                            "The '{policy}' policy does not allow '{setting}' to be overridden in the connector configuration."
                        ),
                    ));
                }
            }
            let unusable = ClientSettings::check_overrides(kind, &given);
            errors.extend(unusable.into_iter().map(|(key, error)| (key, error.to_string())));
        }
        errors
    }

    async fn validate(&self, class: &FoundClass, config: &Config) -> Result<Vec<ConfigValue>, PluginError> {
        let plugin = self.plugin(class).map_err(PluginError::Failed)?;
        let _own = plugin.component.validation_turn().await;
        let _turn = self.validations.acquire().await.map_err(|error| PluginError::Failed(error.to_string()))?;
        let values = plugin.component.validate(&class.name, config).await.map_err(failure)?;
        Ok(values
            .into_iter()
            .map(|value| ConfigValue {
                name: value.name,
                value: value.value,
                parsed: None,
                recommended: value.recommended,
                errors: value.errors,
                visible: value.visible,
            })
            .collect())
    }

    async fn task_configs(&self, plan: &Plan, max_tasks: u32) -> Result<Vec<Config>, PluginError> {
        let plugin = self.plugin(&plan.class).map_err(PluginError::Failed)?;
        let env = self.env(plan, None).map_err(PluginError::Failed)?;
        let _own = plugin.component.split_turn().await;
        let _turn = self.splits.acquire().await.map_err(|error| PluginError::Failed(error.to_string()))?;
        plugin.component.task_configs(&plan.class.name, &plan.config, max_tasks, env).await.map_err(failure)
    }

    fn start_task(&self, plan: &Plan, task: u32, config: &Config, paused: bool) -> Result<Box<dyn RunningTask>, String> {
        let tracker = Tracker { statuses: self.tracker.clone(), task };
        if let Some((_, message)) = self.reserved_topics(&plan.config).into_iter().next() {
            return Err(message);
        }
        let context = TaskContext {
            checkpoints: self.offsets.of(plan)?,
            topics: Arc::new(tracker),
            starts: self.starts.clone(),
            reserved: self.reserved.clone(),
        };
        let limits = self.env(plan, Some(task))?.limits;
        let stages = self.stages(plan)?;
        let mut clients = Vec::new();
        let (handle, converters) = match plan.is_source() {
            true => {
                let mut spec = self.source(plan, task, config, paused)?;
                spec.producer = self.watched(spec.producer, ClientRole::Producer, &mut clients);
                let converters = spec.converters.classes();
                (spawn_source(spec, context), converters)
            }
            false => {
                let mut spec = self.sink(plan, task, config, paused)?;
                spec.consumer = self.watched(spec.consumer, ClientRole::Consumer, &mut clients);
                if let Some(letters) = &mut spec.errors.dead_letter {
                    letters.producer = self.watched(letters.producer.clone(), ClientRole::Producer, &mut clients);
                }
                let converters = spec.converters.classes();
                (spawn_sink(spec, context), converters)
            }
        };
        let parts = TaskParts { classes: classes_of(plan, converters), stages };
        let vitals = Vitals::new(handle.counters().clone(), clients, limits, parts, self.window);
        Ok(Box::new(LiveTask::new(handle, Arc::new(vitals))))
    }

    fn source_offsets(&self, plan: &Plan) -> Result<Arc<SourceOffsets>, String> {
        self.offsets.of(plan)
    }

    async fn group_offsets(&self, plan: &Plan) -> Result<Vec<GroupOffset>, GroupError> {
        let (admin, group) = (self.admin(plan)?, self.group(plan)?);
        let offsets = admin.group_offsets(&group, None).await.map_err(group_failure)?;
        Ok(offsets
            .into_iter()
            .map(|place| GroupOffset {
                topic: place.partition.topic.to_string(),
                partition: place.partition.partition,
                offset: Some(place.offset),
            })
            .collect())
    }

    async fn alter_group_offsets(&self, plan: &Plan, offsets: Vec<GroupOffset>) -> Result<(), GroupError> {
        let (admin, group) = (self.admin(plan)?, self.group(plan)?);
        wait_until_idle(&admin, &group).await?;
        let changes: Vec<kafka::GroupOffset> = offsets
            .into_iter()
            .map(|change| kafka::GroupOffset {
                partition: TopicPartition::new(change.topic, change.partition),
                offset: change.offset,
            })
            .collect();
        admin.alter_group_offsets(&group, &changes).await.map_err(group_failure)
    }

    async fn delete_group(&self, plan: &Plan) -> Result<(), GroupError> {
        let (admin, group) = (self.admin(plan)?, self.group(plan)?);
        wait_until_idle(&admin, &group).await?;
        admin.delete_group(&group).await.map_err(group_failure)
    }
}

/// Waits for a group to be left by tasks that have just stopped.
async fn wait_until_idle(admin: &Admin, group: &str) -> Result<(), GroupError> {
    let deadline = Instant::now() + IDLE_WAIT;
    loop {
        match admin.group_members(group).await.map_err(group_failure)? {
            None | Some(0) => return Ok(()),
            Some(_) if Instant::now() >= deadline => return Err(GroupError::InUse),
            Some(_) => tokio::time::sleep(IDLE_POLL).await,
        }
    }
}

/// Notes the topics of one task.
struct Tracker {
    statuses: Option<Arc<StatusStore>>,
    task: u32,
}

impl TopicTracker for Tracker {
    fn used(&self, connector: &str, topic: &str) {
        if let Some(statuses) = &self.statuses {
            statuses.track_topic(connector, self.task, topic);
        }
    }
}

/// Kafka Connect's attributes of a task that name its classes.
fn classes_of(plan: &Plan, [key, value, header]: [&str; 3]) -> Vec<(&'static str, String)> {
    let class = &plan.class;
    let built_in = env!("CARGO_PKG_VERSION");
    let parts = [
        ("connector-class", class.name.as_str()),
        ("connector-version", &class.version),
        ("connector-type", class.kind.name()),
        ("task-class", &class.name),
        ("task-version", &class.version),
        ("key-converter-class", key),
        ("key-converter-version", built_in),
        ("value-converter-class", value),
        ("value-converter-version", built_in),
        ("header-converter-class", header),
        ("header-converter-version", built_in),
    ];
    parts.map(|(attribute, value)| (attribute, value.to_owned())).to_vec()
}

/// A task of the task room.
struct LiveTask {
    handle: Option<TaskHandle>,
    vitals: Arc<Vitals>,
    phase: watch::Receiver<TaskPhase>,
}

impl LiveTask {
    fn new(handle: TaskHandle, vitals: Arc<Vitals>) -> LiveTask {
        let mut states = handle.watch();
        let (sender, phase) = watch::channel(phase_of(&states.borrow()));
        tokio::spawn(async move {
            while states.changed().await.is_ok() {
                sender.send_replace(phase_of(&states.borrow_and_update()));
            }
        });
        LiveTask { handle: Some(handle), vitals, phase }
    }
}

fn phase_of(state: &TaskState) -> TaskPhase {
    match state {
        TaskState::Starting => TaskPhase::Starting,
        TaskState::Running => TaskPhase::Running,
        TaskState::Paused => TaskPhase::Paused,
        TaskState::Failed { trace } => TaskPhase::Failed(trace.clone()),
        TaskState::Stopped => TaskPhase::Stopped,
    }
}

#[async_trait]
impl RunningTask for LiveTask {
    fn pause(&self) {
        if let Some(handle) = &self.handle {
            handle.pause();
        }
    }

    fn resume(&self) {
        if let Some(handle) = &self.handle {
            handle.resume();
        }
    }

    async fn stop(&mut self, within: Duration) {
        if let Some(handle) = self.handle.take() {
            handle.stop(within).await;
        }
    }

    fn phase(&self) -> watch::Receiver<TaskPhase> {
        self.phase.clone()
    }

    fn vitals(&self) -> Option<Arc<Vitals>> {
        Some(Arc::clone(&self.vitals))
    }
}
