//! A loaded upload: what it exports and imports, and the calls that need no long-lived instance.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::{Instance as WasmInstance, InstancePre, ResourceAny};
use wasmtime::{Engine, Store};

use crate::record::SchemaTable;

use super::bindings::guest::{connector, plugin, sink, source, transform};
use super::bindings::host::types;
use super::engine::Shared;
use super::instance::{Instance, Live, Mismatch, NotMade};
use super::is_withheld;
use super::requires::{Requirement, Runtime, requirements};
use super::state::HostState;
use super::turns::Lane;
use super::{
    Call, CallError, ChainInstance, Config, ConfigValue, Digest, Grants, Guard, InstanceLimits, LoadError, Manifest,
    OffsetReader, SinkInstance, SourceInstance, Step, WIT_VERSIONS, manifest,
};

/// The package that plugins are built against.
const PACKAGE: &str = "hawser:connect/";
/// The interfaces of that package that a component may import.
const PACKAGE_IMPORTS: [&str; 6] = ["types", "records", "schemas", "log", "source-context", "sink-context"];
/// The interfaces of WASI 0.2 that a component may import.
const WASI_PACKAGES: [&str; 7] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Validations, and task configurations, of one plugin under way at a time, so that those of others find room: each may take all
/// that an instance may, for as long as its call may.
const MAX_VALIDATIONS: usize = 4;
const MAX_SPLITS: usize = 16;

/// An upload that is compiled, linked, and ready to be called.
pub struct Component {
    shared: Arc<Shared>,
    pre: InstancePre<HostState>,
    digest: Digest,
    wit_version: &'static str,
    imports: Vec<String>,
    requires: Vec<Requirement>,
    plugin: plugin::GuestIndices,
    connector: Option<connector::GuestIndices>,
    source: Option<source::GuestIndices>,
    sink: Option<sink::GuestIndices>,
    transform: Option<transform::GuestIndices>,
    lane: Lane,
    validations: Semaphore,
    splits: Semaphore,
}

/// Which kinds of classes a component can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exports {
    /// It exports `source` and `connector`.
    pub source: bool,
    /// It exports `sink` and `connector`.
    pub sink: bool,
    /// It exports `transform`, for transforms and predicates.
    pub transform: bool,
}

/// What an instance belongs to and may use.
#[derive(Clone)]
pub struct InstanceEnv {
    /// Name of its connector, for its log.
    pub connector: Arc<str>,
    /// Number of its task, for its log.
    pub task: Option<u32>,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: InstanceLimits,
    /// The schemas of its task.
    pub schemas: Arc<SchemaTable>,
}

impl Component {
    pub(super) fn new(
        shared: &Arc<Shared>,
        compiled: wasmtime::component::Component,
        digest: Digest,
        runtime: Runtime,
    ) -> Result<Component, LoadError> {
        let (imports, exports) = names(&shared.engine, &compiled);
        let wit_version = wit_version(&imports, &exports)?;
        let unknown: Vec<_> = imports.iter().filter(|import| !is_offered(import)).cloned().collect();
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        let pre = shared.linker.instantiate_pre(&compiled).map_err(mismatch)?;
        let has = |interface: &str| exports.contains(&format!("{PACKAGE}{interface}@{wit_version}"));
        let component = Component {
            plugin: plugin::GuestIndices::new(&pre).map_err(mismatch)?,
            connector: has("connector").then(|| connector::GuestIndices::new(&pre)).transpose().map_err(mismatch)?,
            source: has("source").then(|| source::GuestIndices::new(&pre)).transpose().map_err(mismatch)?,
            sink: has("sink").then(|| sink::GuestIndices::new(&pre)).transpose().map_err(mismatch)?,
            transform: has("transform").then(|| transform::GuestIndices::new(&pre)).transpose().map_err(mismatch)?,
            lane: shared.turns.lane(),
            validations: Semaphore::new(MAX_VALIDATIONS),
            splits: Semaphore::new(MAX_SPLITS),
            shared: shared.clone(),
            pre,
            digest,
            wit_version,
            requires: requirements(&imports, runtime),
            imports,
        };
        let Exports { source, sink, transform } = component.exports();
        if !(source || sink || transform) {
            let reason = format!("it exports neither {PACKAGE}source nor sink (each with connector) nor transform");
            return Err(LoadError::NotAComponent(reason));
        }
        Ok(component)
    }

    /// Digest of the upload.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Version of `hawser:connect` that it is built against; one of [`WIT_VERSIONS`].
    pub fn wit_version(&self) -> &'static str {
        self.wit_version
    }

    /// The interfaces that it imports, as they are named in the component, sorted.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What it needs to be granted, as far as its imports tell.
    pub fn requires(&self) -> &[Requirement] {
        &self.requires
    }

    /// Which kinds of classes it can hold.
    pub fn exports(&self) -> Exports {
        Exports {
            source: self.source.is_some() && self.connector.is_some(),
            sink: self.sink.is_some() && self.connector.is_some(),
            transform: self.transform.is_some(),
        }
    }

    /// Asks the component what it holds, without any grant, and checks that its exports have the types of the interface.
    ///
    /// # Errors
    /// [`CallError`] when it crashes, takes too long, or does not fit the interface.
    pub async fn describe(&self) -> Result<Manifest, CallError> {
        let live = self.live(Call::Describe, &self.bare_env(), None)?;
        let (_, manifest) = live
            .run(Call::Describe, async |store| {
                let instance = self.instantiate(store).await?;
                self.check_types(store, &instance)?;
                self.plugin.load(&mut *store, &instance)?.call_describe(store).await
            })
            .await?;
        Ok(manifest.into())
    }

    /// Waits for a turn to validate.
    pub async fn validation_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.validations.acquire().await.ok()
    }

    /// Waits for a turn to ask for task configurations.
    pub async fn split_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.splits.acquire().await.ok()
    }

    /// Asks a class of the component to check a configuration, without any grant.
    ///
    /// # Errors
    /// [`CallError`] when it crashes or takes too long; a wrong configuration is in the answer.
    pub async fn validate(&self, class: &str, config: &Config) -> Result<Vec<ConfigValue>, CallError> {
        let live = self.live(Call::Validate, &self.bare_env(), None)?;
        let (_, values) = live
            .run(Call::Validate, async |store| {
                let instance = self.instantiate(store).await?;
                self.plugin.load(&mut *store, &instance)?.call_validate(store, class, &borrow(config)).await
            })
            .await?;
        let values: Vec<_> = values.into_iter().map(ConfigValue::from).collect();
        let refused = |reason| CallError::BadAnswer { call: Call::Validate, reason };
        manifest::check_values(&values).map_err(refused)?;
        Ok(values)
    }

    /// Asks a connector for the configurations of its tasks: at least one, and at most `max_tasks` if it keeps to the interface.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them.
    pub async fn task_configs(
        &self,
        class: &str,
        config: &Config,
        max_tasks: u32,
        env: InstanceEnv,
    ) -> Result<Vec<Config>, CallError> {
        let call = Call::TaskConfigs;
        let indices = self.connector.as_ref().ok_or_else(|| self.lacks(class, "connector"))?;
        let live = self.live(call, &env, None)?;
        let (mut live, answer) = live
            .run(call, async |store| {
                let instance = self.instantiate(store).await?;
                indices.load(&mut *store, &instance)?.call_task_configs(store, class, &borrow(config), max_tasks).await
            })
            .await?;
        let configs = answer.map_err(|error| live.plugin_error(error))?;
        // Too many are the herder's to judge (`tasks.max.enforce`).
        if configs.is_empty() {
            let reason = format!("no task for tasks.max={max_tasks}");
            return Err(CallError::BadAnswer { call, reason });
        }
        Ok(configs)
    }

    /// Starts a source task in an instance of its own.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them. There is no instance then: start again to retry.
    pub async fn start_source(
        &self,
        class: &str,
        config: &Config,
        env: InstanceEnv,
        offsets: Arc<dyn OffsetReader>,
    ) -> Result<SourceInstance, CallError> {
        let indices = self.source.as_ref().ok_or_else(|| self.lacks(class, "source"))?;
        let schemas = env.schemas.clone();
        let instance = self
            .start(
                &env,
                Some(offsets),
                |store, instance| indices.load(store, instance),
                async |guest: &source::Guest, store| guest.task().call_start(store, class, &borrow(config)).await,
            )
            .await?;
        Ok(SourceInstance::new(instance, schemas))
    }

    /// Starts a sink task in an instance of its own.
    ///
    /// # Errors
    /// As [`Component::start_source`].
    pub async fn start_sink(&self, class: &str, config: &Config, env: InstanceEnv) -> Result<SinkInstance, CallError> {
        let indices = self.sink.as_ref().ok_or_else(|| self.lacks(class, "sink"))?;
        let instance = self
            .start(
                &env,
                None,
                |store, instance| indices.load(store, instance),
                async |guest: &sink::Guest, store| guest.task().call_start(store, class, &borrow(config)).await,
            )
            .await?;
        Ok(SinkInstance::new(instance))
    }

    /// Starts steps of this component that stand next to each other as one chain.
    ///
    /// # Errors
    /// As [`Component::start_source`].
    pub async fn start_chain(
        &self,
        steps: Vec<Step>,
        predicates: Vec<Guard>,
        env: InstanceEnv,
    ) -> Result<ChainInstance, CallError> {
        let class = steps.first().map_or("", |step| &step.class);
        let indices = self.transform.as_ref().ok_or_else(|| self.lacks(class, "transform"))?;
        let schemas = env.schemas.clone();
        let step_configs: Vec<_> = steps.iter().map(|step| borrow(&step.config)).collect();
        let guard_configs: Vec<_> = predicates.iter().map(|guard| borrow(&guard.config)).collect();
        let steps: Vec<_> = steps.iter().zip(&step_configs).map(|(step, config)| step.lower(config)).collect();
        let predicates: Vec<_> = predicates.iter().zip(&guard_configs).map(|(guard, config)| guard.lower(config)).collect();
        let instance = self
            .start(
                &env,
                None,
                |store, instance| indices.load(store, instance),
                async |guest: &transform::Guest, store| guest.chain().call_start(store, &steps, &predicates).await,
            )
            .await?;
        Ok(ChainInstance::new(instance, schemas, steps.len()))
    }

    async fn start<G>(
        &self,
        env: &InstanceEnv,
        offsets: Option<Arc<dyn OffsetReader>>,
        load: impl FnOnce(&mut Store<HostState>, &WasmInstance) -> wasmtime::Result<G>,
        begin: impl AsyncFnOnce(&G, &mut Store<HostState>) -> wasmtime::Result<Result<ResourceAny, types::Error>>,
    ) -> Result<Instance<G>, CallError> {
        let live = self.live(Call::Start, env, offsets)?;
        let (mut live, (guest, started)) = live
            .run(Call::Start, async |store| {
                let instance = self.instantiate(store).await?;
                let guest = load(store, &instance)?;
                let started = begin(&guest, store).await?;
                Ok((guest, started))
            })
            .await?;
        let handle = started.map_err(|error| live.plugin_error(error))?;
        Ok(Instance::new(live, guest, handle))
    }

    async fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<WasmInstance> {
        self.pre.instantiate_async(store).await.map_err(|error| error.context(NotMade))
    }

    fn live(&self, call: Call, env: &InstanceEnv, offsets: Option<Arc<dyn OffsetReader>>) -> Result<Box<Live>, CallError> {
        Live::new(&self.shared, &self.lane, env, offsets, call)
    }

    /// No grant, no connector: what describe and validate run in.
    fn bare_env(&self) -> InstanceEnv {
        InstanceEnv {
            connector: self.digest.as_str().into(),
            task: None,
            grants: Grants::default(),
            limits: self.shared.options.limits.clone(),
            schemas: Arc::new(SchemaTable::default()),
        }
    }

    fn lacks(&self, class: &str, interface: &str) -> CallError {
        CallError::InvalidConfig(format!("the plugin of {class} exports no {PACKAGE}{interface}; choose another class"))
    }

    fn check_types(&self, store: &mut Store<HostState>, instance: &WasmInstance) -> wasmtime::Result<()> {
        let wrong = |error: wasmtime::Error| wasmtime::Error::new(Mismatch(format!("{error:#}")));
        self.plugin.load(&mut *store, instance).map_err(wrong)?;
        self.connector.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose().map_err(wrong)?;
        self.source.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose().map_err(wrong)?;
        self.sink.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose().map_err(wrong)?;
        self.transform.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose().map_err(wrong)?;
        Ok(())
    }
}

fn mismatch(error: wasmtime::Error) -> LoadError {
    LoadError::Mismatch(format!("{error:#}"))
}

/// A configuration as the interface wants it, without the secrets that are the host's to use.
fn borrow(config: &Config) -> Vec<(&str, &str)> {
    let is_guests = |(key, _): &&(String, String)| !is_withheld(key);
    config.iter().filter(is_guests).map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Names of what a component imports and exports, sorted.
fn names(engine: &Engine, compiled: &wasmtime::component::Component) -> (Vec<String>, Vec<String>) {
    let ty = compiled.component_type();
    let mut imports: Vec<_> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let mut exports: Vec<_> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    imports.sort();
    exports.sort();
    (imports, exports)
}

/// The version of `hawser:connect` in the names of exports and imports; all of them name the same one.
fn wit_version(imports: &[String], exports: &[String]) -> Result<&'static str, LoadError> {
    let plugin = format!("{PACKAGE}plugin");
    let of = |name: &str| name.split_once('@').map_or(String::new(), |(_, version)| version.to_owned());
    let Some(export) = exports.iter().find(|name| name.split('@').next() == Some(&plugin)) else {
        return Err(LoadError::NotAComponent(format!("it exports no {plugin}; build it against one of the worlds of wit/")));
    };
    let found = of(export);
    let version = WIT_VERSIONS.into_iter().find(|version| *version == found).ok_or(LoadError::WitVersion { found })?;
    let ours = imports.iter().chain(exports).filter(|name| name.starts_with(PACKAGE));
    match ours.map(|name| of(name)).find(|other| other != version) {
        Some(found) => Err(LoadError::WitVersion { found }),
        None => Ok(version),
    }
}

fn is_offered(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    match name.strip_prefix(PACKAGE) {
        Some(interface) => PACKAGE_IMPORTS.contains(&interface),
        None => version.starts_with("0.2.") && WASI_PACKAGES.iter().any(|package| name.starts_with(package)),
    }
}
