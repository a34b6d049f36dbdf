//! Puts the rooms together: from a configuration to a worker that serves, and back down in good order.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::Identity;
use crate::config::{
    Listener, Mode, Pairs, TlsSettings, WorkerConfig, dev_defaults, from_environment, read_connector, read_file,
};
use crate::convert::Reach;
use crate::herder::classes::Classes;
use crate::herder::framework::Framework;
use crate::herder::installed::Installed;
use crate::herder::live::LiveEngine;
use crate::herder::loggers::Loggers;
use crate::herder::source_stores::SourceStores;
use crate::herder::{Herder, Measuring, Parts, Settings};
use crate::kafka::{Admin, ClientKind, ClientSettings, ReservedTopics};
use crate::metrics::NameSets;
use crate::plugin::{Catalogue, CatalogueLimits};
use crate::rest::{self, Startup};
use crate::sandbox::{CompileLimits, HostsFile, InstanceLimits, Sandbox, SandboxOptions};
use crate::store::{CompactedLog, ConfigStore, FileStore, KafkaStore, OFFSETS_LOG, OffsetStore, StatusStore, TargetState};
use crate::task::{CommitTiming, Starts};
use crate::tenant::{Policy, PolicyLists};

/// The key for how often running connectors are asked for their tasks.
const REFRESH_KEY: &str = "hawser.tasks.refresh.interval.ms";

/// How a worker is started.
#[derive(Debug, Default)]
pub struct Options {
    /// With an embedded broker, for development.
    pub dev: bool,
    /// The worker's properties file; not with `dev`.
    pub config: Option<PathBuf>,
    /// `HOST:PORT` of the REST API.
    pub listen: Option<String>,
    /// Folder of all state.
    pub data_dir: Option<PathBuf>,
    /// Keys that override the file and the environment.
    pub overrides: Pairs,
    /// Files of connectors that a worker on its own starts with.
    pub connectors: Vec<PathBuf>,
    /// The `hawser` program, which compiles uploads in processes of their own; `None`: they are compiled in this one.
    pub compiler: Option<PathBuf>,
}

/// A worker that serves.
pub struct Worker {
    /// Where its REST API answers.
    pub address: SocketAddr,
    /// The same as a URL: `http://HOST:PORT`, or `https`.
    pub url: String,
    herder: Arc<Herder>,
    servers: JoinSet<()>,
    stop: CancellationToken,
    broker: Option<DevBroker>,
    /// Held for as long as the worker lives, so that no other uses its folder.
    _lock: File,
}

impl Worker {
    /// Starts a worker. When this returns, its REST API answers and its connectors are being started.
    ///
    /// # Errors
    /// The configuration, the data folder or Kafka cannot be used; the message says which and why.
    pub async fn start(options: Options, loggers: Arc<Loggers>) -> Result<Worker> {
        let (config, broker) = configure(&options).await?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let data_dir = config.data_dir.clone();
        let lock = lock_folder(&data_dir)?;
        let stop = CancellationToken::new();
        let listeners = Listeners::serve(&config, &stop).await?;
        let stores = Stores::open(&config).await?;
        let sandbox = Arc::new(Sandbox::new(sandbox_options(&config, &data_dir, options.compiler.clone())?)?);
        let catalogue = Catalogue::open(sandbox, data_dir.join("plugins"), CatalogueLimits::default()).await?;
        let herder = start_herder(&config, stores, Arc::new(catalogue), loggers, &listeners).await?;
        listeners.open(&config, &herder);
        let Listeners { address, url, servers, .. } = listeners;
        let worker = Worker { address, url, herder, servers, stop, broker, _lock: lock };
        worker.deploy(&options.connectors).await?;
        Ok(worker)
    }

    /// Stops in good order: requests under way end, tasks commit what they can, and the last statuses are stored.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let served = async { while self.servers.join_next().await.is_some() {} };
        tokio::join!(served, self.herder.stop());
        drop(self.herder);
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }

    /// Creates or changes the connectors of the files on the command line.
    async fn deploy(&self, files: &[PathBuf]) -> Result<()> {
        for path in files {
            let file = read_connector(path)?;
            let is_new = self.herder.connector(&file.name).is_err();
            let deployed = match is_new {
                true => {
                    let initial = file.initial_state.unwrap_or(TargetState::Started);
                    self.herder.create_connector(&file.name, file.config, initial).await.map(drop)
                }
                false => self.herder.put_connector_config(&file.name, file.config).await.map(drop),
            };
            deployed.with_context(|| format!("the connector of {} is not deployed", path.display()))?;
        }
        Ok(())
    }
}

/// The configuration from all its sources, and with `--dev` the broker that it names.
async fn configure(options: &Options) -> Result<(WorkerConfig, Option<DevBroker>)> {
    let mut command_line = options.overrides.clone();
    let mut set = |key: &str, value: String| command_line.push((key.to_owned(), value));
    if let Some(listen) = &options.listen {
        set("listeners", format!("http://{listen}"));
    }
    if let Some(dir) = &options.data_dir {
        set("hawser.data.dir", dir.display().to_string());
    }
    let environment = from_environment(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    match (&options.config, options.dev) {
        (None, true) => {
            let layers = [dev_defaults(), environment, command_line];
            // The place of the broker's data is itself configured.
            let folder = dev_layers(&layers, None)?.data_dir;
            let broker =
                DevBroker::start(DevBrokerConfig { data_dir: Some(folder.join("broker")), ..DevBrokerConfig::default() });
            let broker = broker.await.context("the development broker does not start")?;
            Ok((dev_layers(&layers, Some((&folder, broker.bootstrap())))?, Some(broker)))
        }
        (Some(file), false) => {
            let (file, layers) = (file.clone(), [environment, command_line]);
            let read = move || {
                let [environment, command_line] = layers;
                anyhow::Ok(WorkerConfig::new([read_file(&file)?, environment, command_line])?)
            };
            Ok((tokio::task::spawn_blocking(read).await??, None))
        }
        _ => bail!("start the worker with either --dev or --config FILE"),
    }
}

/// A development worker's configuration: its state in the data folder, its broker the embedded one.
fn dev_layers(layers: &[Pairs], broker: Option<(&Path, String)>) -> Result<WorkerConfig> {
    let (folder, bootstrap) = broker.unwrap_or((Path::new(""), "127.0.0.1:0".to_owned()));
    let state = folder.join("state.redb").display().to_string();
    let own = vec![("offset.storage.file.filename".to_owned(), state), ("bootstrap.servers".to_owned(), bootstrap)];
    Ok(WorkerConfig::new(layers.iter().cloned().chain([own]))?)
}

/// Makes the data folder, for this user alone, and keeps other workers out of it.
fn lock_folder(folder: &Path) -> Result<File> {
    let wrong = || format!("the data folder {} cannot be used", folder.display());
    std::fs::create_dir_all(folder).with_context(wrong)?;
    restrict(folder).with_context(wrong)?;
    let lock = File::create(folder.join("lock")).with_context(wrong)?;
    if lock.try_lock().is_err() {
        bail!("{}: another worker uses it; choose another with --data-dir", wrong());
    }
    Ok(lock)
}

#[cfg(unix)]
fn restrict(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Where requests come in.
struct Listeners {
    /// Answers the public ones when the worker has started.
    public: Arc<Startup>,
    /// Answers those of `admin.listeners`; `None`: `/admin` is served with the rest.
    admin: Option<Arc<Startup>>,
    /// The first of the public ones.
    address: SocketAddr,
    url: String,
    /// By which other workers and clients reach this one.
    advertised: Bound,
    servers: JoinSet<()>,
}

/// A listener that listens.
#[derive(Clone)]
struct Bound {
    /// The host as configured; empty for all addresses.
    host: String,
    is_https: bool,
    address: SocketAddr,
}

impl Bound {
    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

impl Listeners {
    /// Listens, and serves until `stop` is cancelled; until [`Listeners::open`] with the word that the worker is starting.
    async fn serve(config: &WorkerConfig, stop: &CancellationToken) -> Result<Listeners> {
        let settings = &config.rest;
        let mut servers = JoinSet::new();
        let public = Arc::new(Startup::new());
        let bound = serve_all(&settings.listeners, settings.tls.as_ref(), &public, &mut servers, stop).await?;
        let admin = match &settings.admin_listeners {
            None => None,
            Some(listeners) => {
                let admin = Arc::new(Startup::new());
                serve_all(listeners, settings.admin_tls.as_ref(), &admin, &mut servers, stop).await?;
                Some(admin)
            }
        };
        let first = bound.first().context("there is no listener")?;
        // Kafka Connect's choice: http if there is one.
        let is_https = match settings.advertised_listener.as_deref() {
            Some(scheme) => scheme == "https",
            None => bound.iter().all(|listener| listener.is_https),
        };
        let advertised = bound.iter().find(|listener| listener.is_https == is_https).unwrap_or(first);
        let (address, url) = (first.address, format!("{}://{}", first.scheme(), first.address));
        Ok(Listeners { public, admin, address, url, advertised: advertised.clone(), servers })
    }

    /// Lets the herder answer.
    fn open(&self, config: &WorkerConfig, herder: &Arc<Herder>) {
        let settings = &config.rest;
        let router = rest::router(Arc::clone(herder), self.admin.is_none());
        let router = rest::with_cors(router, &settings.allow_origin, &settings.allow_methods);
        self.public.finish(rest::with_headers(router, &settings.response_headers));
        if let Some(admin) = &self.admin {
            admin.finish(rest::admin_router(Arc::clone(herder)));
        }
    }
}

/// Listens on all of these and answers with what `startup` has.
async fn serve_all(
    listeners: &[Listener],
    tls: Option<&TlsSettings>,
    startup: &Arc<Startup>,
    servers: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<Vec<Bound>> {
    let tls = match tls.cloned() {
        None => None,
        Some(settings) => Some(tokio::task::spawn_blocking(move || rest::server_config(&settings)).await??),
    };
    let mut bound = Vec::new();
    for Listener { is_https, host, port } in listeners {
        let address = if host.is_empty() { "0.0.0.0" } else { host };
        let listening = TcpListener::bind((address, *port)).await;
        let listening = listening.with_context(|| format!("cannot listen on {address}:{port}; choose another with --listen"))?;
        bound.push(Bound { host: host.clone(), is_https: *is_https, address: listening.local_addr()? });
        let tls = tls.clone().filter(|_| *is_https);
        servers.spawn(rest::serve(listening, tls, Arc::clone(startup).router(), stop.clone()));
    }
    Ok(bound)
}

/// What the worker remembers.
struct Stores {
    configs: ConfigStore,
    offsets: OffsetStore,
    statuses: StatusStore,
}

impl Stores {
    async fn open(config: &WorkerConfig) -> Result<Stores> {
        let [configs, offsets, statuses] = match &config.mode {
            Mode::Standalone { file } => {
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
                }
                let file = file.clone();
                let store = tokio::task::spawn_blocking(move || FileStore::open(&file)).await??;
                ["configs", OFFSETS_LOG, "statuses"].map(|name| store.log(name))
            }
            Mode::Distributed(cluster) => {
                let store = KafkaStore::new(&config.pairs, &format!("{}-stores", cluster.group_id))?;
                let configs: Arc<dyn CompactedLog> = store.log(cluster.configs.clone()).await?;
                [configs, store.log(cluster.offsets.clone()).await?, store.log(cluster.statuses.clone()).await?]
            }
        };
        Ok(Stores {
            configs: ConfigStore::open(configs).await?,
            offsets: OffsetStore::open(offsets).await?,
            statuses: StatusStore::open(statuses).await?,
        })
    }
}

fn sandbox_options(config: &WorkerConfig, data_dir: &Path, compiler: Option<PathBuf>) -> Result<SandboxOptions> {
    let mut options = SandboxOptions::new(data_dir.join("compiled"));
    options.max_component_bytes = usize::try_from(config.max_component_bytes)?;
    options.compiler = compiler;
    options.compile = CompileLimits { timeout: config.compile_timeout, memory_bytes: config.compile_memory_bytes };
    options.limits = limits(config)?;
    options.ca_file = config.ca_file.clone();
    if let Some(path) = &config.hosts_file {
        let hosts = HostsFile::open(path.clone()).map_err(|error| anyhow::anyhow!("hawser.sandbox.hosts.file: {error}"))?;
        options.resolver = Arc::new(hosts);
    }
    Ok(options)
}

/// What connectors may be granted on this worker.
fn policy(config: &WorkerConfig) -> Result<Policy> {
    let lists = PolicyLists {
        files: config.grantable_files.clone(),
        http: config.grantable_http.clone(),
        tcp: config.grantable_tcp.clone(),
        udp: config.grantable_udp.clone(),
        env: config.grantable_env.clone(),
    };
    Reach::new(&config.pairs)?;
    Policy::new(&lists).map_err(|error| anyhow::anyhow!("hawser.{error}"))
}

/// The worker's limits of an instance, which may be anything that the operator likes.
fn limits(config: &WorkerConfig) -> Result<InstanceLimits> {
    Ok(InstanceLimits::default().with_config(&config.sandbox_limits, &InstanceLimits::unlimited())?)
}

async fn start_herder(
    config: &WorkerConfig,
    stores: Stores,
    catalogue: Arc<Catalogue>,
    loggers: Arc<Loggers>,
    listeners: &Listeners,
) -> Result<Arc<Herder>> {
    let classes: Arc<dyn Classes> = Arc::new(Installed::new(Arc::clone(&catalogue)));
    let (offsets, statuses) = (Arc::new(stores.offsets), Arc::new(stores.statuses));
    let offsets_topic = match &config.mode {
        Mode::Distributed(cluster) => Some(cluster.offsets.clone()),
        Mode::Standalone { .. } => None,
    };
    let reserved = match &config.mode {
        Mode::Distributed(cluster) => {
            let topics = [&cluster.configs, &cluster.offsets, &cluster.statuses];
            ReservedTopics::new(topics.map(|topic| topic.name.clone()))
        }
        Mode::Standalone { .. } => ReservedTopics::default(),
    };
    let engine = LiveEngine {
        catalogue: Arc::clone(&catalogue),
        worker: config.pairs.clone(),
        policy: policy(config)?,
        limits: limits(config)?,
        providers: Arc::clone(&config.providers),
        overrides: config.override_policy.clone(),
        commit: CommitTiming { interval: config.offset_flush_interval, timeout: config.offset_flush_timeout },
        topic_creation: config.topic_creation,
        offsets: SourceStores::new(config.pairs.clone(), Arc::clone(&offsets), offsets_topic, reserved.clone()),
        reserved,
        tracker: config.topic_tracking.then(|| Arc::clone(&statuses)),
        validations: LiveEngine::validations(),
        splits: LiveEngine::splits(),
        starts: Starts::default(),
        window: config.metrics.window,
        client_stats: config.metrics.client_interval,
    };
    let framework = Framework {
        classes: Arc::clone(&classes),
        key_converter: Some(config.key_converter.class.clone()),
        value_converter: Some(config.value_converter.class.clone()),
        header_converter: Some(config.header_converter.class.clone()),
    };
    let settings = settings(config).await?;
    Ok(Herder::start(Parts {
        configs: stores.configs,
        offsets,
        statuses,
        catalogue,
        classes,
        engine: Arc::new(engine),
        framework,
        loggers,
        identity: identity(config, &listeners.advertised),
        settings,
    }))
}

async fn settings(config: &WorkerConfig) -> Result<Settings> {
    let admin = Admin::new(ClientSettings::worker_client(ClientKind::Admin, &config.pairs, "hawser-admin")?);
    let kafka_cluster_id = admin
        .cluster_id()
        .await
        .context("Failed to connect to and describe Kafka cluster. Check worker's broker connection and security properties.")?;
    let refresh = match config.pairs.iter().find(|(key, _)| key == REFRESH_KEY) {
        None => Settings::default().task_refresh_interval,
        Some((_, text)) => {
            let millis: u64 =
                text.trim().parse().with_context(|| format!("{REFRESH_KEY} must be a number of milliseconds, or 0 for never"))?;
            (millis > 0).then(|| Duration::from_millis(millis))
        }
    };
    Ok(Settings {
        graceful_stop: config.task_shutdown_timeout,
        task_refresh_interval: refresh,
        metrics: measuring(config),
        topic_tracking: config.topic_tracking,
        topic_tracking_reset: config.topic_tracking_reset,
        group_id: match &config.mode {
            Mode::Distributed(cluster) => Some(cluster.group_id.clone()),
            Mode::Standalone { .. } => None,
        },
        kafka_cluster_id,
        max_component_bytes: usize::try_from(config.max_component_bytes)?,
    })
}

/// How others reach this worker: as configured, else as it listens.
fn identity(config: &WorkerConfig, listener: &Bound) -> Identity {
    let ip = listener.address.ip();
    let host = config.rest.advertised_host.clone().unwrap_or_else(|| match (ip.is_unspecified(), listener.host.as_str()) {
        (true, _) => host_name(),
        (false, "") => ip.to_string(),
        (false, host) => host.to_owned(),
    });
    let port = config.rest.advertised_port.unwrap_or(listener.address.port());
    let worker_id = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let scheme = config.rest.advertised_listener.as_deref().unwrap_or(listener.scheme());
    Identity { url: format!("{scheme}://{worker_id}").into(), worker_id: worker_id.into(), generation: 0 }
}

fn measuring(config: &WorkerConfig) -> Measuring {
    let has = |set: &str| config.metrics.names.iter().any(|name| name == set);
    let given = config.pairs.iter().find(|(key, _)| key == "client.id").map(|(_, id)| id.clone());
    let (group, protocol) = match &config.mode {
        Mode::Distributed(cluster) => (Some(cluster.group_id.as_str()), Some(cluster.protocol.clone())),
        Mode::Standalone { .. } => (None, None),
    };
    Measuring {
        names: NameSets { jmx: has("jmx"), reporter: has("reporter") },
        window: config.metrics.window,
        stalled_after: config.metrics.stalled_after,
        client_id: given.unwrap_or_else(|| group.map_or("connect".to_owned(), |group| format!("connect-{group}"))),
        protocol,
    }
}

/// The name of this machine, as far as it is known.
fn host_name() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match known.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}
