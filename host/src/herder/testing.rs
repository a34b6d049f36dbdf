//! A herder over fakes: classes that exist in name only, an engine that does what a connector's configuration says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use super::classes::{ClassKind, Classes, FoundClass, NotFound};
use super::config_def::{ConfigKey, ConfigValue, Default, Importance, Type, Width};
use super::engine::{Config, Engine, GroupError, GroupOffset, PluginError, Resolved, RunningTask, TaskPhase};
use super::framework::Framework;
use super::loggers::Loggers;
use super::plan::{Plan, get};
use super::{Herder, Parts, Settings};
use crate::cluster::Identity;
use crate::metrics::Vitals;
use crate::plugin::{Catalogue, CatalogueLimits};
use crate::sandbox::{Pooling, Sandbox, SandboxOptions};
use crate::store::{ConfigStore, FileStore, OffsetStore, RawConfig, SourceOffsets, StatusStore};

/// A herder and what it lives on.
pub(crate) struct Fixture {
    pub(crate) herder: Arc<Herder>,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) classes: Arc<FakeClasses>,
    pub(crate) dir: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        Fixture::within(tempfile::tempdir().unwrap(), Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Fixture {
        Fixture::within(tempfile::tempdir().unwrap(), settings).await
    }

    /// A herder over what is in the folder.
    pub(crate) async fn within(dir: TempDir, settings: Settings) -> Fixture {
        // The file of a herder that has stopped is let go of a moment later.
        let mut opened = None;
        until("the store is free", || {
            opened = FileStore::open(&dir.path().join("store.redb")).ok();
            opened.is_some()
        })
        .await;
        let store = opened.unwrap();
        let mut options = SandboxOptions::new(dir.path().join("compiled"));
        options.pooling = Pooling::Off;
        options.max_component_bytes = 1000;
        let sandbox = Arc::new(Sandbox::new(options).unwrap());
        let uploads = dir.path().join("plugins");
        let catalogue = Catalogue::open(sandbox, uploads, CatalogueLimits::default()).await.unwrap();
        let fakes = Arc::new(FakeClasses::default());
        let classes: Arc<dyn Classes> = fakes.clone();
        let engine = Arc::new(FakeEngine::default());
        let herder = Herder::start(Parts {
            configs: ConfigStore::open(store.log("configs")).await.unwrap(),
            offsets: Arc::new(OffsetStore::open(store.log("offsets")).await.unwrap()),
            statuses: Arc::new(StatusStore::open(store.log("statuses")).await.unwrap()),
            catalogue: Arc::new(catalogue),
            classes: Arc::clone(&classes),
            engine: engine.clone(),
            framework: Framework {
                classes,
                key_converter: Some("example.JsonConverter".to_owned()),
                value_converter: Some("example.JsonConverter".to_owned()),
                header_converter: None,
            },
            loggers: Arc::new(Loggers::new(LevelFilter::INFO, |_| {})),
            identity: Identity { worker_id: "worker:8083".into(), url: "http://worker:8083".into(), generation: 0 },
            settings: Settings { kafka_cluster_id: "cluster".to_owned(), max_component_bytes: 1000, ..settings },
        });
        Fixture { herder, engine, classes: fakes, dir }
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Classes of one version each.
pub(crate) struct FakeClasses {
    pub(crate) version: std::sync::Mutex<String>,
}

impl std::default::Default for FakeClasses {
    fn default() -> FakeClasses {
        FakeClasses { version: "1.0.0".to_owned().into() }
    }
}

fn key(name: &str, kind: Type, default: Default) -> ConfigKey {
    ConfigKey::new(name, kind, default, Importance::High, "").group("Example", 1, Width::Medium, name)
}

fn class(name: &str, kind: ClassKind, keys: Vec<ConfigKey>) -> FoundClass {
    let plugin = (!matches!(kind, ClassKind::Converter)).then(|| "example".into());
    FoundClass { name: name.to_owned(), kind, version: "1.0.0".to_owned(), plugin, keys }
}

fn classes() -> Vec<FoundClass> {
    let optional = || Default::Value(None);
    vec![
        class("example.FileSinkConnector", ClassKind::Sink, vec![key("file", Type::String, optional())]),
        class(
            "example.FileSourceConnector",
            ClassKind::Source,
            vec![key("file", Type::String, Default::Required), key("password", Type::Password, optional())],
        ),
        class("example.Mask", ClassKind::Transformation, vec![key("fields", Type::List, Default::Required)]),
        class("example.IsEmpty", ClassKind::Predicate, vec![]),
        class(
            "example.JsonConverter",
            ClassKind::Converter,
            vec![key("schemas.enable", Type::Boolean, Default::Value(Some("true".to_owned())))],
        ),
    ]
}

impl Classes for FakeClasses {
    fn find(&self, name: &str, version: Option<&str>) -> Result<FoundClass, NotFound> {
        let is_meant = |class: &FoundClass| {
            let simple = class.name.rsplit('.').next().unwrap();
            class.name == name || simple == name || simple.trim_end_matches("Connector") == name
        };
        let found = classes().into_iter().find(is_meant);
        let not_found = |message: String, available_versions| NotFound { message, available_versions };
        let mut found = found.ok_or_else(|| not_found(format!("no class {name}"), Vec::new()))?;
        found.version.clone_from(&self.version.lock().unwrap());
        match version {
            Some(version) if version != found.version => Err(not_found(format!("no {name} {version}"), vec![found.version])),
            _ => Ok(found),
        }
    }

    fn all(&self) -> Vec<(ClassKind, String, String)> {
        classes().into_iter().map(|class| (class.kind, class.name, class.version)).collect()
    }
}

/// Does what configurations say: `test.validate`, `test.tasks` and `test.task` name what happens.
#[derive(std::default::Default)]
pub(crate) struct FakeEngine {
    pub(crate) started: std::sync::Mutex<Vec<String>>,
    /// The version on which each was started.
    pub(crate) versions: std::sync::Mutex<Vec<String>>,
    /// Tasks that fail, of those with `test.task=fail`; all if it is none.
    pub(crate) failures: std::sync::Mutex<Option<usize>>,
    pub(crate) groups: std::sync::Mutex<Vec<GroupOffset>>,
    /// What `${env:SECRET}` stands for, and for how long; `hunter2` for ever if it is none.
    pub(crate) secret: std::sync::Mutex<Option<(String, Duration)>>,
}

impl FakeEngine {
    fn fails(&self) -> bool {
        match &mut *self.failures.lock().unwrap() {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn resolve(&self, config: &RawConfig) -> Result<Resolved, String> {
        let given = self.secret.lock().unwrap().clone();
        let secret = given.as_ref().map_or("hunter2", |(secret, _)| secret);
        let resolve = |value: &str| value.replace("${env:SECRET}", secret);
        Ok(Resolved {
            values: config.iter().map(|(key, value)| (key.to_owned(), value.map(resolve))).collect(),
            references: vec![("${env:SECRET}".to_owned(), secret.to_owned())],
            ttl: given.as_ref().map(|(_, ttl)| *ttl),
        })
    }

    fn check_worker_keys(&self, config: &Config) -> Vec<(String, String)> {
        get(config, "sandbox.files").map(|_| ("sandbox.files".to_owned(), "not granted".to_owned())).into_iter().collect()
    }

    fn check_overrides(&self, config: &Config) -> Vec<(String, String)> {
        let is_bad = |key: &&String| key.ends_with(".override.bad");
        config.iter().map(|(key, _)| key).filter(is_bad).map(|key| (key.clone(), format!("`{key}` is bad"))).collect()
    }

    async fn validate(&self, _: &FoundClass, config: &Config) -> Result<Vec<ConfigValue>, PluginError> {
        match get(config, "test.validate") {
            Some("hang") => std::future::pending().await,
            Some("key") => {
                let mut value = ConfigValue::undefined("fields");
                value.errors.push("Invalid value x for configuration fields: not so".to_owned());
                Ok(vec![value])
            }
            Some("crash") => Err(PluginError::Failed(format!("crashed with {}", get(config, "password").unwrap_or_default()))),
            Some(message) => {
                let mut value = ConfigValue::undefined("file");
                value.errors.push(format!("{message} {}", get(config, "password").unwrap_or_default()));
                Ok(vec![value])
            }
            None => Ok(Vec::new()),
        }
    }

    async fn task_configs(&self, plan: &Plan, max_tasks: u32) -> Result<Vec<Config>, PluginError> {
        match plan.get("test.tasks") {
            Some("hang") => std::future::pending().await,
            Some("beg") => Ok(vec![vec![("password".to_owned(), "${env:SECRET}".to_owned())]]),
            Some("fail") => Err(PluginError::Failed(format!("cannot split with {}", plan.get("password").unwrap_or_default()))),
            Some(count) => Ok((0..count.parse::<u32>().unwrap()).map(|n| task_config(plan, n)).collect()),
            None => Ok((0..max_tasks).map(|n| task_config(plan, n)).collect()),
        }
    }

    fn start_task(&self, plan: &Plan, task: u32, config: &Config, paused: bool) -> Result<Box<dyn RunningTask>, String> {
        if plan.get("test.task") == Some("refuse") {
            return Err("refused".to_owned());
        }
        let password = get(config, "password").unwrap_or_default();
        self.started.lock().unwrap().push(format!("{}-{task} {password}", plan.name).trim_end().to_owned());
        self.versions.lock().unwrap().push(plan.class.version.clone());
        let phase = match plan.get("test.task") {
            Some("fail") if self.fails() => TaskPhase::Failed(format!("failed with {password}")),
            _ if paused => TaskPhase::Paused,
            _ => TaskPhase::Running,
        };
        Ok(Box::new(FakeTask { phase: watch::Sender::new(phase) }))
    }

    fn source_offsets(&self, _: &Plan) -> Result<Arc<SourceOffsets>, String> {
        Err("no topics".to_owned())
    }

    async fn group_offsets(&self, _: &Plan) -> Result<Vec<GroupOffset>, GroupError> {
        Ok(self.groups.lock().unwrap().clone())
    }

    async fn alter_group_offsets(&self, plan: &Plan, offsets: Vec<GroupOffset>) -> Result<(), GroupError> {
        if plan.get("test.group") == Some("busy") {
            return Err(GroupError::InUse);
        }
        self.groups.lock().unwrap().extend(offsets);
        Ok(())
    }

    async fn delete_group(&self, plan: &Plan) -> Result<(), GroupError> {
        if plan.get("test.group") == Some("busy") {
            return Err(GroupError::InUse);
        }
        self.groups.lock().unwrap().clear();
        Ok(())
    }
}

fn task_config(plan: &Plan, number: u32) -> Config {
    let mut config = vec![("n".to_owned(), number.to_string())];
    config.extend(plan.get("file").map(|file| ("file".to_owned(), file.to_owned())));
    config.extend(plan.get("password").map(|password| ("password".to_owned(), password.to_owned())));
    config.extend(plan.get("password").map(|password| ("url".to_owned(), format!("http://u:{password}@h"))));
    config
}

struct FakeTask {
    phase: watch::Sender<TaskPhase>,
}

impl FakeTask {
    fn set(&self, phase: TaskPhase) {
        self.phase.send_if_modified(|present| {
            let changes = !matches!(present, TaskPhase::Failed(_)) && *present != phase;
            if changes {
                *present = phase;
            }
            changes
        });
    }
}

#[async_trait]
impl RunningTask for FakeTask {
    fn pause(&self) {
        self.set(TaskPhase::Paused);
    }

    fn resume(&self) {
        self.set(TaskPhase::Running);
    }

    async fn stop(&mut self, _: Duration) {
        self.set(TaskPhase::Stopped);
    }

    fn phase(&self) -> watch::Receiver<TaskPhase> {
        self.phase.subscribe()
    }

    fn vitals(&self) -> Option<Arc<Vitals>> {
        None
    }
}
