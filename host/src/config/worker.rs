//! A worker's configuration, checked and typed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::headers::{self, ResponseHeader};
use super::key::{Section, Value};
use super::keys::{IGNORED, KEYS, find};
use super::listener::{self, Listener};
use super::providers::Providers;
use super::sources::{Pairs, merge};
use super::tls::TlsSettings;
use crate::metrics::SampleWindow;
use crate::store::{TopicPurpose, TopicSpec};

/// What is wrong with a worker's configuration: one line for each mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub(super) fn new(message: String) -> ConfigError {
        ConfigError(vec![message])
    }
}

/// Where a worker keeps its state.
#[derive(Debug, Clone)]
pub enum Mode {
    /// In a file of its own.
    Standalone {
        /// `offset.storage.file.filename`.
        file: PathBuf,
    },
    /// On Kafka, shared with the other workers of its group.
    Distributed(Box<ClusterSettings>),
}

/// How a worker shares its state and its work with others.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// `group.id`.
    pub group_id: String,
    /// `config.storage.*`.
    pub configs: TopicSpec,
    /// `offset.storage.*`.
    pub offsets: TopicSpec,
    /// `status.storage.*`.
    pub statuses: TopicSpec,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `rebalance.timeout.ms`.
    pub rebalance_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `worker.sync.timeout.ms`.
    pub sync_timeout: Duration,
    /// `worker.unsync.backoff.ms`.
    pub unsync_backoff: Duration,
    /// `scheduled.rebalance.max.delay.ms`.
    pub max_rebalance_delay: Duration,
    /// `connect.protocol`, in small letters.
    pub protocol: String,
    /// `exactly.once.source.support`, in small letters.
    pub exactly_once: String,
    /// `inter.worker.key.ttl.ms`; zero for no rotation.
    pub key_ttl: Duration,
}

/// A default converter.
#[derive(Clone, PartialEq, Eq)]
pub struct ConverterSettings {
    /// Class name.
    pub class: String,
    /// Its configuration, without the prefix. May hold secrets, so `Debug` shows keys only.
    pub config: Pairs,
}

impl fmt::Debug for ConverterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.class)?;
        f.debug_set().entries(self.config.iter().map(|(key, _)| key)).finish()
    }
}

/// Which client settings a connector may override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverridePolicy {
    /// All.
    All,
    /// None.
    None,
    /// Those of the login only.
    Principal,
    /// These.
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    /// As the configuration names it.
    pub fn name(&self) -> &'static str {
        match self {
            OverridePolicy::All => "All",
            OverridePolicy::None => "None",
            OverridePolicy::Principal => "Principal",
            OverridePolicy::Allowlist(_) => "Allowlist",
        }
    }

    /// Whether a connector may override this client setting (its name without the prefix).
    pub fn allows(&self, setting: &str) -> bool {
        match self {
            OverridePolicy::All => true,
            OverridePolicy::None => false,
            OverridePolicy::Principal => ["sasl.jaas.config", "sasl.mechanism", "security.protocol"].contains(&setting),
            OverridePolicy::Allowlist(allowed) => allowed.iter().any(|allowed| allowed == setting),
        }
    }
}

/// The REST API.
#[derive(Debug, Clone)]
pub struct RestSettings {
    /// `listeners`, one at least.
    pub listeners: Vec<Listener>,
    /// `admin.listeners`: `None` for the same as `listeners`, empty for none.
    pub admin_listeners: Option<Vec<Listener>>,
    /// `rest.advertised.host.name`.
    pub advertised_host: Option<String>,
    /// `rest.advertised.port`.
    pub advertised_port: Option<u16>,
    /// `rest.advertised.listener`, in small letters.
    pub advertised_listener: Option<String>,
    /// `access.control.allow.origin`; empty for none.
    pub allow_origin: String,
    /// `access.control.allow.methods`; empty for the defaults.
    pub allow_methods: String,
    /// `response.http.headers.config`.
    pub response_headers: Vec<ResponseHeader>,
    /// TLS of `listeners`, if one of them is https.
    pub tls: Option<TlsSettings>,
    /// TLS of `admin.listeners`, if one of them is https.
    pub admin_tls: Option<TlsSettings>,
}

/// What is measured and how it is told.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// `metrics.num.samples` of `metrics.sample.window.ms`, within [`MAX_SAMPLES`] and [`MIN_SAMPLE`].
    pub window: SampleWindow,
    /// `hawser.metrics.names`.
    pub names: Vec<String>,
    /// `hawser.metrics.client.interval.ms`; `None` for never.
    pub client_interval: Option<Duration>,
    /// `hawser.task.stalled.after.ms`.
    pub stalled_after: Duration,
}

/// Most samples that are kept, and the shortest time between two.
const MAX_SAMPLES: usize = 100;
const MIN_SAMPLE: Duration = Duration::from_millis(100);

/// A worker's configuration. `Debug` does not show values that may be secret.
pub struct WorkerConfig {
    /// Where the state is kept.
    pub mode: Mode,
    /// `bootstrap.servers`.
    pub bootstrap_servers: Vec<String>,
    /// `key.converter`.
    pub key_converter: ConverterSettings,
    /// `value.converter`.
    pub value_converter: ConverterSettings,
    /// `header.converter`.
    pub header_converter: ConverterSettings,
    /// `task.shutdown.graceful.timeout.ms`.
    pub task_shutdown_timeout: Duration,
    /// `offset.flush.interval.ms`.
    pub offset_flush_interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub offset_flush_timeout: Duration,
    /// `connector.client.config.override.policy`.
    pub override_policy: OverridePolicy,
    /// `topic.creation.enable`.
    pub topic_creation: bool,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// The REST API.
    pub rest: RestSettings,
    /// `/metrics`, and when a task is shown as stalled.
    pub metrics: MetricsSettings,
    /// `hawser.data.dir`.
    pub data_dir: PathBuf,
    /// `hawser.plugin.max.bytes`.
    pub max_component_bytes: u64,
    /// `hawser.plugin.compile.timeout.ms`.
    pub compile_timeout: Duration,
    /// `hawser.plugin.compile.memory.bytes`.
    pub compile_memory_bytes: u64,
    /// `hawser.sandbox.files`: what connectors may be granted.
    pub grantable_files: Vec<String>,
    /// `hawser.sandbox.http`: what connectors may be granted.
    pub grantable_http: Vec<String>,
    /// `hawser.sandbox.tcp`: what connectors may be granted.
    pub grantable_tcp: Vec<String>,
    /// `hawser.sandbox.udp`: what connectors may be granted.
    pub grantable_udp: Vec<String>,
    /// `hawser.sandbox.env`: what connectors may be granted.
    pub grantable_env: Vec<String>,
    /// `hawser.sandbox.http.ca.file`.
    pub ca_file: Option<PathBuf>,
    /// `hawser.sandbox.hosts.file`.
    pub hosts_file: Option<PathBuf>,
    /// The limits of one instance: every `hawser.sandbox.*` key that has a value, without `hawser.`.
    pub sandbox_limits: Pairs,
    /// Looks up `${provider:path:key}` for connectors.
    pub providers: Arc<Providers>,
    /// Every key with its value, references resolved, unknown ones included: for Kafka clients.
    pub pairs: Pairs,
    /// The keys of `pairs` whose value came from a provider.
    pub secret_keys: BTreeSet<String>,
    /// What the user should be told once.
    pub warnings: Vec<String>,
}

impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("mode", &self.mode)
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("keys", &self.pairs.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// All names, networks and ports, as in `sandbox.http`.
const EVERYWHERE: &str = "*:*+private,localhost:*,0.0.0.0/0:*,[::/0]:*";

/// What `--dev` begins with; every other source overrides it. State goes into the data folder, only this machine can connect,
/// and connectors may be granted what they ask for.
pub fn dev_defaults() -> Pairs {
    let pairs = [
        ("listeners", "http://127.0.0.1:8083"),
        ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("key.converter.schemas.enable", "false"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
        ("offset.flush.interval.ms", "1000"),
        ("hawser.sandbox.files", "*"),
        ("hawser.sandbox.http", EVERYWHERE),
        ("hawser.sandbox.tcp", EVERYWHERE),
        ("hawser.sandbox.udp", EVERYWHERE),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

impl WorkerConfig {
    /// Checks the sources laid over each other, later ones winning, and resolves references in them. Reads files of secrets:
    /// not for an async thread.
    ///
    /// # Errors
    /// [`ConfigError`] tells all mistakes at once, in Kafka's words where Kafka has them.
    pub fn new(layers: impl IntoIterator<Item = Pairs>) -> Result<WorkerConfig, ConfigError> {
        let raw = merge(layers);
        let failed = |error: super::ProviderError| ConfigError::new(error.to_string());
        let providers = Providers::new(&raw).map_err(failed)?;
        let resolved = providers.resolve(raw.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())))).map_err(failed)?;
        let pairs: Pairs = resolved.config.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let mut values = Values::read(&pairs)?;
        let config = WorkerConfig {
            mode: values.mode(),
            bootstrap_servers: values.list("bootstrap.servers"),
            key_converter: values.converter("key.converter"),
            value_converter: values.converter("value.converter"),
            header_converter: values.converter("header.converter"),
            task_shutdown_timeout: values.millis("task.shutdown.graceful.timeout.ms"),
            offset_flush_interval: values.millis("offset.flush.interval.ms"),
            offset_flush_timeout: values.millis("offset.flush.timeout.ms"),
            override_policy: values.override_policy(),
            topic_creation: values.flag("topic.creation.enable"),
            topic_tracking: values.flag("topic.tracking.enable"),
            topic_tracking_reset: values.flag("topic.tracking.allow.reset"),
            rest: values.rest(),
            metrics: values.metrics(),
            data_dir: values.text("hawser.data.dir").into(),
            max_component_bytes: u64::try_from(values.number("hawser.plugin.max.bytes")).unwrap_or_default(),
            compile_timeout: values.millis("hawser.plugin.compile.timeout.ms"),
            compile_memory_bytes: u64::try_from(values.number("hawser.plugin.compile.memory.bytes")).unwrap_or_default(),
            grantable_files: values.list("hawser.sandbox.files"),
            grantable_http: values.list("hawser.sandbox.http"),
            grantable_tcp: values.list("hawser.sandbox.tcp"),
            grantable_udp: values.list("hawser.sandbox.udp"),
            grantable_env: values.list("hawser.sandbox.env"),
            ca_file: values.optional_text("hawser.sandbox.http.ca.file").map(Into::into),
            hosts_file: values.optional_text("hawser.sandbox.hosts.file").map(Into::into),
            sandbox_limits: values.sandbox_limits(),
            warnings: warnings(&pairs),
            providers: Arc::new(providers),
            secret_keys: resolved.secret_keys,
            pairs: pairs.clone(),
        };
        if values.errors.is_empty() { Ok(config) } else { Err(ConfigError(values.errors)) }
    }

    /// The keys under a prefix such as `producer.`, without it.
    pub fn with_prefix(&self, prefix: &str) -> Pairs {
        with_prefix(&self.pairs, prefix)
    }
}

fn with_prefix(pairs: &Pairs, prefix: &str) -> Pairs {
    pairs.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}

/// One line for each key that is accepted and ignored, or that looks like a slip.
fn warnings(pairs: &Pairs) -> Vec<String> {
    let mut warnings = Vec::new();
    for ignored in IGNORED {
        // Keys of a class that is ignored are ignored with it.
        let stem = ignored.name.trim_end_matches('.');
        let is_this = |key: &str| key == ignored.name || key.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
        if pairs.iter().any(|(key, _)| is_this(key)) {
            warnings.push(format!("{} is ignored: {}", ignored.name.trim_end_matches('.'), ignored.why));
        }
    }
    for (key, _) in pairs {
        if key.starts_with("hawser.") && find(key).is_none() {
            warnings.push(format!("{key} is not a key of Hawser: check its spelling"));
        }
    }
    if pairs.iter().any(|(key, value)| key == "exactly.once.source.support" && !value.trim().eq_ignore_ascii_case("disabled")) {
        warnings.push(
            "exactly.once.source.support is ignored: sources deliver at least once, and connectors with \
             exactly.once.support=required are refused"
                .to_owned(),
        );
    }
    for (prefix, key) in
        [("config", "cleanup.policy"), ("config", "partitions"), ("offset", "cleanup.policy"), ("status", "cleanup.policy")]
    {
        let key = format!("{prefix}.storage.{key}");
        if pairs.iter().any(|(name, _)| *name == key) {
            warnings.push(format!("{key} is ignored: the topic is always compacted, and connectors are always in one partition"));
        }
    }
    warnings
}

/// The values of the known keys.
struct Values<'a> {
    pairs: &'a Pairs,
    values: HashMap<&'static str, Value>,
    is_distributed: bool,
    errors: Vec<String>,
}

impl<'a> Values<'a> {
    fn read(pairs: &'a Pairs) -> Result<Values<'a>, ConfigError> {
        let given: HashMap<&str, &str> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let is_distributed = given.contains_key("group.id");
        if !is_distributed && !given.contains_key("offset.storage.file.filename") {
            return Err(ConfigError::new(
                "Set offset.storage.file.filename for a worker on its own, or group.id, config.storage.topic, \
                 offset.storage.topic and status.storage.topic for a worker that shares its state with others on Kafka."
                    .to_owned(),
            ));
        }
        let mut values = Values { pairs, values: HashMap::new(), is_distributed, errors: Vec::new() };
        for key in KEYS {
            let counts = match key.section {
                Section::Distributed => is_distributed,
                Section::Standalone => !is_distributed,
                Section::Common | Section::Rest | Section::Hawser => true,
            };
            if counts {
                match key.read(given.get(key.name).copied()) {
                    Ok(value) => {
                        values.values.insert(key.name, value);
                    }
                    Err(message) => values.errors.push(message),
                }
            }
        }
        Ok(values)
    }

    /// The text of a key, empty if it has none.
    fn text(&self, key: &str) -> String {
        self.optional_text(key).unwrap_or_default()
    }

    fn optional_text(&self, key: &str) -> Option<String> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.optional_list(key).unwrap_or_default()
    }

    fn optional_list(&self, key: &str) -> Option<Vec<String>> {
        match self.values.get(key) {
            Some(Value::List(items)) => Some(items.clone()),
            _ => None,
        }
    }

    fn flag(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Boolean(true)))
    }

    fn number(&self, key: &str) -> i64 {
        match self.values.get(key) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    /// Kafka allows negative times, which mean none.
    fn millis(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(key)).unwrap_or_default())
    }

    fn metrics(&self) -> MetricsSettings {
        let samples = usize::try_from(self.number("metrics.num.samples")).unwrap_or(MAX_SAMPLES);
        let interval = self.millis("hawser.metrics.client.interval.ms");
        MetricsSettings {
            window: SampleWindow {
                samples: samples.clamp(1, MAX_SAMPLES),
                width: self.millis("metrics.sample.window.ms").max(MIN_SAMPLE),
            },
            names: self.list("hawser.metrics.names"),
            client_interval: (!interval.is_zero()).then_some(interval),
            stalled_after: self.millis("hawser.task.stalled.after.ms"),
        }
    }

    fn converter(&self, key: &str) -> ConverterSettings {
        ConverterSettings { class: self.text(key), config: with_prefix(self.pairs, &format!("{key}.")) }
    }

    fn mode(&self) -> Mode {
        if !self.is_distributed {
            return Mode::Standalone { file: self.text("offset.storage.file.filename").into() };
        }
        Mode::Distributed(Box::new(ClusterSettings {
            group_id: self.text("group.id"),
            configs: self.topic("config.storage.", TopicPurpose::Configs),
            offsets: self.topic("offset.storage.", TopicPurpose::Offsets),
            statuses: self.topic("status.storage.", TopicPurpose::Statuses),
            session_timeout: self.millis("session.timeout.ms"),
            rebalance_timeout: self.millis("rebalance.timeout.ms"),
            heartbeat_interval: self.millis("heartbeat.interval.ms"),
            sync_timeout: self.millis("worker.sync.timeout.ms"),
            unsync_backoff: self.millis("worker.unsync.backoff.ms"),
            max_rebalance_delay: self.millis("scheduled.rebalance.max.delay.ms"),
            protocol: self.text("connect.protocol").to_lowercase(),
            exactly_once: self.text("exactly.once.source.support").to_lowercase(),
            key_ttl: self.millis("inter.worker.key.ttl.ms"),
        }))
    }

    /// A topic of the worker; what is not a key of the worker is a setting of the topic (KIP-605).
    fn topic(&self, prefix: &str, purpose: TopicPurpose) -> TopicSpec {
        let small = |key: &str| i32::try_from(self.number(&format!("{prefix}{key}"))).unwrap_or(-1);
        let own = ["topic", "partitions", "replication.factor", "cleanup.policy", "file.filename"];
        let mut settings = with_prefix(self.pairs, prefix);
        settings.retain(|(key, _)| !own.contains(&key.as_str()));
        TopicSpec {
            name: self.text(&format!("{prefix}topic")),
            purpose,
            partitions: if purpose == TopicPurpose::Configs { 1 } else { small("partitions") },
            replication: small("replication.factor"),
            settings,
        }
    }

    fn override_policy(&mut self) -> OverridePolicy {
        const KEY: &str = "connector.client.config.override.policy";
        let text = self.text(KEY);
        let name = text.rsplit('.').next().unwrap_or_default();
        match name.trim_end_matches("ConnectorClientConfigOverridePolicy") {
            "All" => OverridePolicy::All,
            "None" => OverridePolicy::None,
            "Principal" => OverridePolicy::Principal,
            "Allowlist" => OverridePolicy::Allowlist(self.list("connector.client.config.override.allowlist")),
            _ => {
                if self.values.contains_key(KEY) {
                    self.errors.push(format!(
                        "Invalid value {text} for configuration {KEY}: String must be one of: All, None, Principal, Allowlist"
                    ));
                }
                OverridePolicy::None
            }
        }
    }

    fn rest(&mut self) -> RestSettings {
        let admin = self.optional_list("admin.listeners").filter(|urls| !urls.is_empty());
        let admin_listeners = match admin {
            Some(urls) => match listener::parse_all(&urls) {
                Ok(listeners) => Some(listeners),
                Err(message) => {
                    let value = urls.join(",");
                    self.errors.push(format!("Invalid value {value} for configuration admin.listeners: {message}"));
                    None
                }
            },
            None => self.optional_list("admin.listeners").map(|_| Vec::new()),
        };
        let port = self.values.get("rest.advertised.port").filter(|value| **value != Value::Null);
        let advertised_port = port.map(|_| self.number("rest.advertised.port"));
        if advertised_port.is_some_and(|port| u16::try_from(port).is_err()) {
            self.errors.push("Invalid value for configuration rest.advertised.port: use a number from 0 to 65535".to_owned());
        }
        // What is wrong with them has been noted when they were read.
        let listeners = listener::parse_all(&self.list("listeners")).unwrap_or_default();
        let tls = self.tls(&listeners, "listeners.https.");
        let admin_tls = self.tls(admin_listeners.as_deref().unwrap_or_default(), "admin.listeners.https.");
        let headers = self.text("response.http.headers.config");
        let response_headers = headers::parse_all(&headers).unwrap_or_else(|message| {
            self.errors.push(format!("Invalid value {headers} for configuration response.http.headers.config: {message}"));
            Vec::new()
        });
        RestSettings {
            listeners,
            admin_listeners,
            tls,
            admin_tls,
            advertised_host: self.optional_text("rest.advertised.host.name").filter(|host| !host.is_empty()),
            advertised_port: advertised_port.and_then(|port| u16::try_from(port).ok()),
            advertised_listener: self.optional_text("rest.advertised.listener").map(|listener| listener.to_lowercase()),
            allow_origin: self.text("access.control.allow.origin"),
            allow_methods: self.text("access.control.allow.methods"),
            response_headers,
        }
    }

    /// TLS of these listeners, if they need any.
    fn tls(&mut self, listeners: &[Listener], prefix: &'static str) -> Option<TlsSettings> {
        if !listeners.iter().any(|listener| listener.is_https) {
            return None;
        }
        TlsSettings::read(self.pairs, prefix).map_err(|message| self.errors.push(message)).ok()
    }

    fn sandbox_limits(&self) -> Pairs {
        let limits = KEYS.iter().filter_map(|key| match self.values.get(key.name) {
            Some(Value::Number(number)) => Some((key.name.strip_prefix("hawser.")?, number.to_string())),
            _ => None,
        });
        limits.filter(|(name, _)| name.starts_with("sandbox.")).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
