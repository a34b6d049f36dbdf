//! What stands in for plugins, tasks and logs.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use hawser::cluster::Identity;
use hawser::herder::classes::{ClassKind, Classes, FoundClass, NotFound};
use hawser::herder::config_def::{ConfigKey, ConfigValue, Default, Importance, Type};
use hawser::herder::engine::{Config, Engine, GroupError, GroupOffset, PluginError, Resolved, RunningTask, TaskPhase};
use hawser::herder::framework::Framework;
use hawser::herder::loggers::Loggers;
use hawser::herder::plan::Plan;
use hawser::herder::{Herder, Parts, Settings};
use hawser::metrics::Vitals;
use hawser::plugin::{Catalogue, CatalogueLimits};
use hawser::sandbox::{Pooling, Sandbox, SandboxOptions};
use hawser::store::{
    CompactedLog, ConfigStore, Entry, LogReader, LogRecord, OffsetStore, RawConfig, SourceOffsets, StatusStore, StoreError,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;

const MAX_COMPONENT_BYTES: usize = 10_000;

/// A log that is gone with the process.
pub struct MemoryLog(Mutex<Logged>);

/// What was written, and who wants to know.
type Logged = (Vec<Entry>, Vec<Arc<dyn LogReader>>);

impl MemoryLog {
    pub fn with(entries: &[Entry]) -> Arc<MemoryLog> {
        Arc::new(MemoryLog(Mutex::new((entries.to_vec(), Vec::new()))))
    }
}

fn show(reader: &dyn LogReader, first: usize, entries: &[Entry]) {
    let record = |(index, (key, value)): (usize, &'_ Entry)| (index, key.clone(), value.clone());
    for (index, key, value) in entries.iter().enumerate().map(record) {
        reader.apply(&[LogRecord { offset: (first + index) as i64, key: &key, value: value.as_deref() }]);
    }
}

#[async_trait]
impl CompactedLog for MemoryLog {
    async fn start(&self, reader: Arc<dyn LogReader>) -> Result<(), StoreError> {
        let (entries, readers) = &mut *self.0.lock().expect("the log");
        show(&*reader, 0, entries);
        readers.push(reader);
        Ok(())
    }

    async fn append(&self, new: Vec<Entry>) -> Result<(), StoreError> {
        let (entries, readers) = &mut *self.0.lock().expect("the log");
        readers.iter().for_each(|reader| show(&**reader, entries.len(), &new));
        for (key, value) in new {
            entries.retain(|(known, _)| *known != key);
            entries.push((key, value));
        }
        Ok(())
    }

    async fn read_to_end(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct FakeClasses;

fn classes() -> Vec<FoundClass> {
    let key = |name: &str, kind, default| ConfigKey::new(name, kind, default, Importance::High, "");
    let class =
        |name: &str, kind, keys| FoundClass { name: name.to_owned(), kind, version: "1.0.0".to_owned(), plugin: None, keys };
    let absent = || Default::Value(None);
    vec![
        class("FileSink", ClassKind::Sink, vec![key("file", Type::String, absent()), key("n", Type::Int, absent())]),
        class(
            "FileSource",
            ClassKind::Source,
            vec![key("file", Type::String, Default::Required), key("password", Type::Password, absent())],
        ),
        class("Mask", ClassKind::Transformation, vec![key("fields", Type::List, Default::Required)]),
        class("IsEmpty", ClassKind::Predicate, vec![]),
        class("Json", ClassKind::Converter, vec![key("schemas.enable", Type::Boolean, absent())]),
    ]
}

impl Classes for FakeClasses {
    fn find(&self, name: &str, version: Option<&str>) -> Result<FoundClass, NotFound> {
        let not_found = |available_versions| NotFound { message: format!("no class {name}"), available_versions };
        let found = classes().into_iter().find(|class| class.name == name).ok_or_else(|| not_found(Vec::new()))?;
        match version {
            Some(version) if version != found.version => Err(not_found(vec![found.version])),
            _ => Ok(found),
        }
    }

    fn all(&self) -> Vec<(ClassKind, String, String)> {
        classes().into_iter().map(|class| (class.kind, class.name, class.version)).collect()
    }
}

pub fn framework() -> Framework {
    Framework {
        classes: Arc::new(FakeClasses),
        key_converter: Some("Json".to_owned()),
        value_converter: Some("Json".to_owned()),
        header_converter: None,
    }
}

/// Resolves nothing, starts tasks that do nothing, and keeps consumer groups that are empty.
struct FakeEngine;

#[async_trait]
impl Engine for FakeEngine {
    async fn resolve(&self, config: &RawConfig) -> Result<Resolved, String> {
        let values = config.iter().map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
        Ok(Resolved { values, ..Resolved::default() })
    }

    fn check_worker_keys(&self, _: &Config) -> Vec<(String, String)> {
        Vec::new()
    }

    fn check_overrides(&self, _: &Config) -> Vec<(String, String)> {
        Vec::new()
    }

    async fn validate(&self, _: &FoundClass, _: &Config) -> Result<Vec<ConfigValue>, PluginError> {
        Ok(Vec::new())
    }

    async fn task_configs(&self, _: &Plan, max_tasks: u32) -> Result<Vec<Config>, PluginError> {
        Ok((0..max_tasks.min(2)).map(|task| vec![("task".to_owned(), task.to_string())]).collect())
    }

    fn start_task(&self, _: &Plan, _: u32, _: &Config, paused: bool) -> Result<Box<dyn RunningTask>, String> {
        let phase = if paused { TaskPhase::Paused } else { TaskPhase::Running };
        Ok(Box::new(FakeTask(watch::Sender::new(phase))))
    }

    fn source_offsets(&self, _: &Plan) -> Result<Arc<SourceOffsets>, String> {
        Err("no topics of its own".to_owned())
    }

    async fn group_offsets(&self, _: &Plan) -> Result<Vec<GroupOffset>, GroupError> {
        Ok(Vec::new())
    }

    async fn alter_group_offsets(&self, _: &Plan, _: Vec<GroupOffset>) -> Result<(), GroupError> {
        Ok(())
    }

    async fn delete_group(&self, _: &Plan) -> Result<(), GroupError> {
        Ok(())
    }
}

struct FakeTask(watch::Sender<TaskPhase>);

#[async_trait]
impl RunningTask for FakeTask {
    fn pause(&self) {
        self.0.send_replace(TaskPhase::Paused);
    }

    fn resume(&self) {
        self.0.send_replace(TaskPhase::Running);
    }

    async fn stop(&mut self, _: Duration) {
        self.0.send_replace(TaskPhase::Stopped);
    }

    fn phase(&self) -> watch::Receiver<TaskPhase> {
        self.0.subscribe()
    }

    fn vitals(&self) -> Option<Arc<Vitals>> {
        None
    }
}

/// A herder over all of these; its folder lives as long as the process.
pub async fn herder() -> Arc<Herder> {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| tempfile::tempdir().expect("a folder"));
    let mut options = SandboxOptions::new(dir.path().join("compiled"));
    options.pooling = Pooling::Off;
    options.max_component_bytes = MAX_COMPONENT_BYTES;
    let sandbox = Arc::new(Sandbox::new(options).expect("a sandbox"));
    let catalogue = Catalogue::open(sandbox, dir.path().join("plugins"), CatalogueLimits::default()).await.expect("a catalogue");
    let log = || MemoryLog::with(&[]);
    Herder::start(Parts {
        configs: ConfigStore::open(log()).await.expect("a store"),
        offsets: Arc::new(OffsetStore::open(log()).await.expect("a store")),
        statuses: Arc::new(StatusStore::open(log()).await.expect("a store")),
        catalogue: Arc::new(catalogue),
        classes: framework().classes,
        engine: Arc::new(FakeEngine),
        framework: framework(),
        loggers: Arc::new(Loggers::new(LevelFilter::OFF, |_| {})),
        identity: Identity { worker_id: "worker:8083".into(), url: "http://worker:8083".into(), generation: 0 },
        settings: Settings { max_component_bytes: MAX_COMPONENT_BYTES, ..Settings::default() },
    })
}
