use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::login::{Login, LoginError};
use super::names::{self, Rule};
use crate::metrics::ClientStats;

/// Bytes that one producer may hold unsent; Kafka's `buffer.memory`.
const PRODUCER_BUFFER_BYTES: u64 = 32 << 20;
/// KiB that one consumer may hold unread, so that a hundred idle or slow sinks do not fill the worker.
const CONSUMER_QUEUE_KIB: &str = "16384";
/// How soon a consumer whose queue was full fetches again. librdkafka's own second would hold a sink to one queue a second.
const CONSUMER_FULL_QUEUE_MS: &str = "10";
/// How often a client tells its statistics, in milliseconds; 0 for never.
const STATISTICS_KEY: &str = "statistics.interval.ms";
/// How soon a sink notices new topics and partitions.
const CONSUMER_METADATA_REFRESH_MS: &str = "10000";

/// Which client settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// Writes records.
    Producer,
    /// Reads records.
    Consumer,
    /// Creates topics, reads and changes offsets.
    Admin,
}

impl ClientKind {
    fn worker_prefix(self) -> &'static str {
        match self {
            ClientKind::Producer => "producer.",
            ClientKind::Consumer => "consumer.",
            ClientKind::Admin => "admin.",
        }
    }

    /// The prefix of a connector's keys for this kind of client, such as `producer.override.`.
    pub fn override_prefix(self) -> &'static str {
        match self {
            ClientKind::Producer => "producer.override.",
            ClientKind::Consumer => "consumer.override.",
            ClientKind::Admin => "admin.override.",
        }
    }
}

/// Why client settings cannot be used. Names keys, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Neither a key of Kafka's clients nor of librdkafka.
    #[error("`{0}` is not a setting of the Kafka client; check its spelling or remove it")]
    Unknown(String),
    /// A key that nobody may set.
    #[error("`{0}` may not be set: it would run code of its own in the worker")]
    Forbidden(String),
    /// A key that cannot be honoured.
    #[error("`{key}` is not supported: {instead}")]
    Unsupported {
        /// The key as it was given.
        key: String,
        /// What to do.
        instead: String,
    },
    /// A value that the client does not take.
    #[error("the value of `{key}` is not valid: {reason}")]
    Invalid {
        /// The key as it was given.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No broker is named.
    #[error("`bootstrap.servers` is missing: name at least one broker as host:port in the worker's configuration")]
    NoBootstrapServers,
}

impl SettingsError {
    /// The key that cannot be used.
    pub fn key(&self) -> &str {
        match self {
            SettingsError::Unknown(key) | SettingsError::Forbidden(key) => key,
            SettingsError::Unsupported { key, .. } | SettingsError::Invalid { key, .. } => key,
            SettingsError::NoBootstrapServers => "bootstrap.servers",
        }
    }
}

/// Settings of one Kafka client in librdkafka's names, ready to use.
///
/// Made of built-in defaults, the worker's keys and the connector's overrides, later ones winning, in the layers of Kafka
/// Connect. The names of Kafka's Java clients and of librdkafka are both understood.
#[derive(Clone)]
pub struct ClientSettings {
    kind: ClientKind,
    native: BTreeMap<String, String>,
    login: Login,
    max_poll_records: Option<usize>,
    owner: Option<Owner>,
    stats: Option<Arc<ClientStats>>,
}

/// Whose client it is: the connector's name, and the task's number unless the connector itself uses it.
pub(super) type Owner = (Arc<str>, Option<u32>);

impl ClientSettings {
    /// Settings of the producer of a source task: `producer.` of the worker, `producer.override.` of the connector.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn source_producer(
        worker: &[(String, String)],
        connector: &str,
        task: u32,
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let settings =
            Self::layered(ClientKind::Producer, format!("connector-producer-{connector}-{task}"), &[], worker, config)?;
        Ok(settings.owned_by(connector, Some(task)))
    }

    /// Settings of the producer of a sink task's dead letter queue; the same layers as a source's producer.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn dlq_producer(
        worker: &[(String, String)],
        connector: &str,
        task: u32,
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let client_id = format!("connector-dlq-producer-{connector}-{task}");
        Ok(Self::layered(ClientKind::Producer, client_id, &[], worker, config)?.owned_by(connector, Some(task)))
    }

    /// Settings of a sink task's consumer: `consumer.` of the worker, `consumer.override.` of the connector. Its group is
    /// `connect-<connector>` unless overridden.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn sink_consumer(
        worker: &[(String, String)],
        connector: &str,
        task: u32,
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let group = [("group.id", format!("connect-{connector}"))];
        let client_id = format!("connector-consumer-{connector}-{task}");
        Ok(Self::layered(ClientKind::Consumer, client_id, &group, worker, config)?.owned_by(connector, Some(task)))
    }

    /// Settings of a connector's admin client: the worker's unprefixed keys, `admin.` of the worker, `admin.override.` of
    /// the connector.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn admin(
        worker: &[(String, String)],
        client_id: impl Into<String>,
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        Self::layered(ClientKind::Admin, client_id.into(), &[], worker, config)
    }

    /// Settings of a client for a source connector's own offsets topic, in the layers of its kind.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn connector_client(
        kind: ClientKind,
        worker: &[(String, String)],
        connector: &str,
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let name = match kind {
            ClientKind::Producer => "offset-producer",
            ClientKind::Consumer => "consumer",
            ClientKind::Admin => "adminclient",
        };
        Ok(Self::layered(kind, format!("connector-{name}-{connector}"), &[], worker, config)?.owned_by(connector, None))
    }

    /// Settings of a client that the worker runs for itself, such as for its internal topics: the worker's unprefixed keys.
    ///
    /// # Errors
    /// [`SettingsError`] for a key or value that cannot be used.
    pub fn worker_client(
        kind: ClientKind,
        worker: &[(String, String)],
        client_id: impl Into<String>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::new(kind, client_id.into());
        layers.inherit(worker)?;
        layers.finish()
    }

    /// Checks a connector's overrides for one kind of client: the full key of each that cannot be used, and why.
    pub fn check_overrides(kind: ClientKind, config: &[(String, String)]) -> Vec<(String, SettingsError)> {
        let prefix = kind.override_prefix();
        let mut layers = Layers::new(kind, String::new());
        let mut found = Vec::new();
        for (name, value) in config {
            if let Some(key) = name.strip_prefix(prefix)
                && let Err(error) = layers.set(key, value)
            {
                found.push((name.clone(), error));
            }
        }
        // Keys are checked together, because some have a meaning only beside others; each wrong one is taken out for the next round.
        while let Err(error) = layers.translate().and_then(|settings| settings.check()) {
            let Some(key) = layers.take_out(error.key()) else { break };
            found.push((format!("{prefix}{key}"), error));
        }
        found
    }

    /// The value of a key in librdkafka's names.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.native.get(key).map(String::as_str)
    }

    /// The consumer group, on settings of a consumer.
    pub fn group_id(&self) -> Option<&str> {
        self.get("group.id")
    }

    /// How many records a consumer hands over at once at most, if `max.poll.records` says so.
    pub fn max_poll_records(&self) -> Option<usize> {
        self.max_poll_records
    }

    /// The same with one key, in librdkafka's names, set to another value.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.native.insert(key.to_owned(), value.into());
        self
    }

    /// The same for a client whose log lines name its connector and task.
    pub fn owned_by(mut self, connector: &str, task: Option<u32>) -> Self {
        self.owner = Some((connector.into(), task));
        self
    }

    /// The same for a client that tells its statistics every so often, unless its settings say otherwise.
    pub fn with_stats(mut self, stats: Arc<ClientStats>, interval: Duration) -> Self {
        self.native.entry(STATISTICS_KEY.to_owned()).or_insert_with(|| interval.as_millis().to_string());
        self.stats = Some(stats);
        self
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    pub(super) fn stats(&self) -> Option<&Arc<ClientStats>> {
        self.stats.as_ref()
    }

    /// Which client these settings are for.
    pub fn kind(&self) -> ClientKind {
        self.kind
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// As rdkafka wants them. Holds secrets.
    pub(crate) fn to_config(&self) -> ClientConfig {
        let mut config: ClientConfig = self.native.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let level = if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        };
        config.set_log_level(level);
        config
    }

    fn layered(
        kind: ClientKind,
        client_id: String,
        defaults: &[(&str, String)],
        worker: &[(String, String)],
        config: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::new(kind, client_id);
        for (key, value) in defaults {
            layers.set(key, value)?;
        }
        if kind == ClientKind::Admin {
            layers.inherit(worker)?;
        } else if let Some((_, servers)) = worker.iter().find(|(key, _)| key == "bootstrap.servers") {
            layers.set("bootstrap.servers", servers)?;
        }
        layers.prefixed(worker, kind.worker_prefix(), kind.override_prefix())?;
        layers.prefixed(config, kind.override_prefix(), "")?;
        layers.finish()
    }

    /// Lets librdkafka look at every value.
    fn check(&self) -> Result<(), SettingsError> {
        for (key, value) in &self.native {
            let mut single = ClientConfig::new();
            single.set(key, value);
            if let Err(error) = single.create_native_config() {
                return Err(refused(key, error));
            }
        }
        Ok(())
    }
}

/// What librdkafka says about one key, without the value.
fn refused(key: &str, error: rdkafka::error::KafkaError) -> SettingsError {
    use rdkafka::types::RDKafkaConfRes;
    match error {
        rdkafka::error::KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            SettingsError::Unknown(key.to_owned())
        }
        rdkafka::error::KafkaError::ClientConfig(_, reason, ..) if !names::is_secret(key) => {
            SettingsError::Invalid { key: key.to_owned(), reason }
        }
        _ => SettingsError::Invalid { key: key.to_owned(), reason: "the Kafka client does not take it".to_owned() },
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.native.iter().map(|(key, value)| (key, if names::is_secret(key) { "[hidden]" } else { value.as_str() }));
        formatter.debug_map().entry(&"kind", &self.kind).entries(shown).finish()
    }
}

/// Whether librdkafka knows a key; only setting it tells.
fn is_native(key: &str, value: &str) -> bool {
    let mut single = ClientConfig::new();
    single.set(key, value);
    let unknown = rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    !matches!(single.create_native_config(), Err(rdkafka::error::KafkaError::ClientConfig(result, ..)) if result == unknown)
}

/// Keys of a distributed worker that concern its own group, not its clients.
const WORKER_ONLY: &[&str] = &["group.id", "group.protocol", "session.timeout.ms", "heartbeat.interval.ms"];

/// Settings while they are put together: keys as given, later layers over earlier ones.
struct Layers {
    kind: ClientKind,
    given: BTreeMap<String, String>,
}

impl Layers {
    fn new(kind: ClientKind, client_id: String) -> Self {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let mut put = |key: &str, value: &str| given.insert(key.to_owned(), value.to_owned());
        put("client.id", &client_id);
        // Telemetry for the brokers (KIP-714): a quarter of a megabyte of histograms per client, which the worker's own metrics replace.
        put("enable.metrics.push", "false");
        match kind {
            // Kafka Connect's own defaults: no loss, no reordering, and no more rights needed than to write.
            ClientKind::Producer => {
                put("acks", "all");
                put("max.in.flight.requests.per.connection", "1");
                put("delivery.timeout.ms", "2147483647");
                put("enable.idempotence", "false");
                // As the Java client partitions.
                put("partitioner", "murmur2_random");
            }
            ClientKind::Consumer => {
                put("auto.offset.reset", "earliest");
                put("queued.max.messages.kbytes", CONSUMER_QUEUE_KIB);
                put("fetch.queue.backoff.ms", CONSUMER_FULL_QUEUE_MS);
                put("allow.auto.create.topics", "true");
                put("topic.metadata.refresh.interval.ms", CONSUMER_METADATA_REFRESH_MS);
            }
            ClientKind::Admin => {}
        }
        Layers { kind, given }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SettingsError> {
        if names::is_forbidden(key) {
            return Err(SettingsError::Forbidden(key.to_owned()));
        }
        if names::rule(key).is_none() && !is_native(key, value) {
            return Err(SettingsError::Unknown(key.to_owned()));
        }
        self.given.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Removes the key that a message is about, which may name it as librdkafka does; answers it as it was given.
    fn take_out(&mut self, named: &str) -> Option<String> {
        let is_meant = |key: &&String| *key == named || matches!(names::rule(key), Some(Rule::Rename(name)) if name == named);
        let key = self.given.keys().find(is_meant)?.clone();
        self.given.remove(&key);
        Some(key)
    }

    /// Takes the keys under a prefix; those under `except`, which a longer prefix claims, are not meant.
    fn prefixed(&mut self, layer: &[(String, String)], prefix: &str, except: &str) -> Result<(), SettingsError> {
        for (name, value) in layer {
            if !except.is_empty() && name.starts_with(except) {
                continue;
            }
            if let Some(key) = name.strip_prefix(prefix) {
                self.set(key, value)?;
            }
        }
        Ok(())
    }

    /// Takes those unprefixed keys of a worker that are keys of a Kafka client.
    fn inherit(&mut self, worker: &[(String, String)]) -> Result<(), SettingsError> {
        for (key, value) in worker {
            let ours = !WORKER_ONLY.contains(&key.as_str()) && !names::is_forbidden(key);
            if ours && (names::rule(key).is_some() || is_native(key, value)) {
                self.set(key, value)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ClientSettings, SettingsError> {
        // As in the Java client; a worker's unprefixed keys may be meant for its HTTPS listeners alone.
        if !self.given("security.protocol").is_some_and(|protocol| protocol.trim().to_ascii_uppercase().ends_with("SSL")) {
            self.given.retain(|key, _| !key.starts_with("ssl."));
        }
        let settings = self.translate()?;
        if settings.get("bootstrap.servers").or(settings.get("metadata.broker.list")).is_none_or(str::is_empty) {
            return Err(SettingsError::NoBootstrapServers);
        }
        settings.check()?;
        Ok(settings)
    }

    fn translate(&self) -> Result<ClientSettings, SettingsError> {
        let mut native = BTreeMap::new();
        for (key, value) in &self.given {
            match names::rule(key) {
                None => native.insert(key.clone(), value.clone()),
                Some(Rule::Rename(name)) => native.insert(name.to_owned(), value.clone()),
                Some(Rule::Refuse(instead)) => {
                    return Err(SettingsError::Unsupported { key: key.clone(), instead: instead.to_owned() });
                }
                Some(Rule::Ignore | Rule::Joint) => continue,
            };
        }
        self.tls(&mut native)?;
        let login = Login::from_given(&self.given, &mut native).map_err(invalid_login)?;
        self.kind_specific(&mut native)?;
        let max_poll_records = self.max_poll_records()?;
        Ok(ClientSettings { kind: self.kind, native, login, max_poll_records, owner: None, stats: None })
    }

    fn given(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    fn max_poll_records(&self) -> Result<Option<usize>, SettingsError> {
        let key = "max.poll.records";
        let invalid = || SettingsError::Invalid { key: key.to_owned(), reason: "it must be a number of at least 1".to_owned() };
        let parse = |count: &str| count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(invalid);
        self.given(key).map(parse).transpose()
    }

    /// The Java client's stores in PEM and PKCS#12; a JKS file is unreadable outside a JVM.
    fn tls(&self, native: &mut BTreeMap<String, String>) -> Result<(), SettingsError> {
        if let Some(file) = self.given("ssl.truststore.location") {
            match store_type(self.given("ssl.truststore.type"), file) {
                "PEM" => native.insert("ssl.ca.location".to_owned(), file.to_owned()),
                other => {
                    let instead =
                        format!("a {other} trust store cannot be read; export it as PEM and set `ssl.truststore.type` to PEM");
                    return Err(SettingsError::Unsupported { key: "ssl.truststore.location".to_owned(), instead });
                }
            };
        }
        if let Some(file) = self.given("ssl.keystore.location") {
            match store_type(self.given("ssl.keystore.type"), file) {
                "PEM" => {
                    native.insert("ssl.certificate.location".to_owned(), file.to_owned());
                    native.insert("ssl.key.location".to_owned(), file.to_owned());
                }
                "PKCS12" => {
                    native.insert("ssl.keystore.location".to_owned(), file.to_owned());
                    if let Some(password) = self.given("ssl.keystore.password") {
                        native.insert("ssl.keystore.password".to_owned(), password.to_owned());
                    }
                }
                other => {
                    let instead =
                        format!("a {other} key store cannot be read; export it as PEM or PKCS12 and set `ssl.keystore.type`");
                    return Err(SettingsError::Unsupported { key: "ssl.keystore.location".to_owned(), instead });
                }
            }
        }
        if let Some(algorithm) = self.given("ssl.endpoint.identification.algorithm") {
            let algorithm = if algorithm.is_empty() { "none" } else { algorithm };
            native.insert("ssl.endpoint.identification.algorithm".to_owned(), algorithm.to_owned());
        }
        Ok(())
    }

    fn kind_specific(&self, native: &mut BTreeMap<String, String>) -> Result<(), SettingsError> {
        if let Some(timeout) = self.given("request.timeout.ms") {
            let key = if self.kind == ClientKind::Producer { "request.timeout.ms" } else { "socket.timeout.ms" };
            native.insert(key.to_owned(), timeout.to_owned());
        }
        match self.kind {
            ClientKind::Producer => {
                let bytes = match self.given("buffer.memory") {
                    None => PRODUCER_BUFFER_BYTES,
                    Some(bytes) => bytes.trim().parse().map_err(|_| SettingsError::Invalid {
                        key: "buffer.memory".to_owned(),
                        reason: "it must be a number of bytes".to_owned(),
                    })?,
                };
                native.entry("queue.buffering.max.kbytes".to_owned()).or_insert_with(|| (bytes / 1024).max(1).to_string());
                // A task must hear of every delivery: these are what its promise rests on.
                native.insert("delivery.report.only.error".to_owned(), "false".to_owned());
            }
            ClientKind::Consumer => {
                if let Some(strategy) = self.given("partition.assignment.strategy") {
                    native.insert("partition.assignment.strategy".to_owned(), assignors(strategy)?);
                }
                if self.given("group.protocol").is_some_and(|protocol| !protocol.eq_ignore_ascii_case("classic")) {
                    let instead = "use `classic`".to_owned();
                    return Err(SettingsError::Unsupported { key: "group.protocol".to_owned(), instead });
                }
                if native.get("auto.offset.reset").is_some_and(|reset| reset == "none") {
                    native.insert("auto.offset.reset".to_owned(), "error".to_owned());
                }
                // Offsets are committed by the task, after flush, and by nobody else.
                for key in ["enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof"] {
                    native.insert(key.to_owned(), "false".to_owned());
                }
            }
            ClientKind::Admin => {}
        }
        Ok(())
    }
}

fn store_type<'a>(given: Option<&'a str>, file: &str) -> &'a str {
    match given {
        Some(kind) => kind,
        None if file.ends_with(".pem") || file.ends_with(".crt") => "PEM",
        None if file.ends_with(".p12") || file.ends_with(".pfx") => "PKCS12",
        None => "JKS",
    }
}

/// librdkafka's names for the Java client's assignors.
fn assignors(strategy: &str) -> Result<String, SettingsError> {
    let one = |name: &str| match name.trim().rsplit('.').next().unwrap_or_default() {
        "RangeAssignor" | "range" => Ok("range"),
        "RoundRobinAssignor" | "roundrobin" => Ok("roundrobin"),
        "CooperativeStickyAssignor" | "cooperative-sticky" => Ok("cooperative-sticky"),
        other => Err(SettingsError::Unsupported {
            key: "partition.assignment.strategy".to_owned(),
            instead: format!("`{other}` is unknown; use range, roundrobin or cooperative-sticky"),
        }),
    };
    let names: Vec<&str> = strategy.split(',').map(one).collect::<Result<_, _>>()?;
    // The Java client joins with both kinds and upgrades later; librdkafka takes either eager assignors or the cooperative one.
    let eager: Vec<&str> = names.iter().copied().filter(|name| *name != "cooperative-sticky").collect();
    Ok(if eager.is_empty() { names.join(",") } else { eager.join(",") })
}

fn invalid_login(error: LoginError) -> SettingsError {
    match error {
        LoginError::Unsupported { key, instead } => SettingsError::Unsupported { key: key.to_owned(), instead },
        LoginError::Invalid { key, reason } => SettingsError::Invalid { key: key.to_owned(), reason },
    }
}
