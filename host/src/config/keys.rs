//! Every key that a worker knows.

use super::key::{Check, Default, Key, Kind, Section};

/// A key that only a Java virtual machine can use, and why it is ignored here.
pub(super) struct Ignored {
    /// Its name; with a `.` at its end, the beginning of its name.
    pub name: &'static str,
    pub why: &'static str,
}

const PLUGINS: &str = "plugins are WebAssembly components that are uploaded over REST";
const METRICS: &str = "metrics are served at /metrics";
const JAVA: &str = "it is a setting of the Java virtual machine's own TLS or login code";
const REMOVED: &str = "Kafka Connect has removed it, too";

pub(super) const IGNORED: &[Ignored] = &[
    Ignored { name: "plugin.path", why: PLUGINS },
    Ignored { name: "plugin.discovery", why: PLUGINS },
    Ignored { name: "rest.extension.classes", why: "there are no extensions in Java here" },
    Ignored { name: "metric.reporters", why: METRICS },
    Ignored { name: "metrics.recording.level", why: METRICS },
    Ignored { name: "metrics.context.", why: METRICS },
    Ignored { name: "auto.include.jmx.reporter", why: METRICS },
    Ignored { name: "enable.metrics.push", why: METRICS },
    Ignored { name: "internal.key.converter", why: REMOVED },
    Ignored { name: "internal.value.converter", why: REMOVED },
    Ignored { name: "security.providers", why: JAVA },
    Ignored { name: "ssl.provider", why: JAVA },
    Ignored { name: "ssl.protocol", why: JAVA },
    Ignored { name: "ssl.keymanager.algorithm", why: JAVA },
    Ignored { name: "ssl.trustmanager.algorithm", why: JAVA },
    Ignored { name: "ssl.secure.random.implementation", why: JAVA },
    Ignored { name: "ssl.engine.factory.class", why: JAVA },
    Ignored { name: "sasl.client.callback.handler.class", why: JAVA },
    Ignored { name: "sasl.login.callback.handler.class", why: JAVA },
    Ignored { name: "sasl.login.class", why: JAVA },
];

const fn key(section: Section, name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Key {
    Key { name, kind, default, check: Check::Any, section, doc }
}

impl Key {
    const fn checked(mut self, check: Check) -> Key {
        self.check = check;
        self
    }
}

use Default::{Null, Required, Text};
use Kind::{Boolean, Class, Int, List, Long, Short};
use Section::{Common, Distributed, Hawser, Rest, Standalone};

/// All keys, in the order of the documentation. Keys of Kafka clients are not among them: whatever is unknown is kept for them.
pub const KEYS: &[Key] = &[
    key(Common, "bootstrap.servers", List, Text("localhost:9092"), "Brokers to begin with, as `host:port`."),
    key(
        Common,
        "key.converter",
        Class,
        Required,
        "Converter of keys for connectors that name none; `key.converter.*` is its configuration.",
    ),
    key(
        Common,
        "value.converter",
        Class,
        Required,
        "Converter of values for connectors that name none; `value.converter.*` is its configuration.",
    ),
    key(
        Common,
        "header.converter",
        Class,
        Text("org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        "Converter of headers for connectors that name none; `header.converter.*` is its configuration.",
    ),
    key(Common, "task.shutdown.graceful.timeout.ms", Long, Text("5000"), "How long tasks may take to stop, all together."),
    key(Common, "offset.flush.interval.ms", Long, Text("60000"), "How often offsets are stored (sources) or committed (sinks)."),
    key(
        Common,
        "offset.flush.timeout.ms",
        Long,
        Text("5000"),
        "How long storing or committing offsets may take before it is tried again later.",
    ),
    key(
        Common,
        "config.providers",
        List,
        Text(""),
        "Names of providers for `${name:path:key}`; each needs `config.providers.NAME.class`.",
    ),
    key(
        Common,
        "connector.client.config.override.policy",
        Kind::String,
        Text("All"),
        "Which client settings a connector may override: `All`, `None`, `Principal` or `Allowlist`, or Kafka's class of that policy.",
    ),
    key(
        Common,
        "connector.client.config.override.allowlist",
        List,
        Text(""),
        "The client settings that the policy `Allowlist` lets a connector override.",
    ),
    key(
        Common,
        "topic.creation.enable",
        Boolean,
        Text("true"),
        "Whether source connectors with `topic.creation.*` keys create their topics.",
    ),
    key(Common, "topic.tracking.enable", Boolean, Text("true"), "Whether the topics that a connector uses are remembered."),
    key(
        Common,
        "topic.tracking.allow.reset",
        Boolean,
        Text("true"),
        "Whether the topics that a connector has used may be forgotten by request.",
    ),
    key(
        Standalone,
        "offset.storage.file.filename",
        Kind::String,
        Required,
        "The file of a worker on its own: connectors, offsets and statuses.",
    ),
    key(
        Distributed,
        "group.id",
        Kind::String,
        Required,
        "Name of the cluster of workers; no sink may use it as its consumer group.",
    ),
    key(
        Distributed,
        "config.storage.topic",
        Kind::String,
        Required,
        "Topic of the connectors; one partition. More settings for its creation: `config.storage.*`.",
    ),
    key(
        Distributed,
        "config.storage.replication.factor",
        Short,
        Text("3"),
        "Replicas of the connectors' topic when it is created.",
    )
    .checked(Check::Replication),
    key(
        Distributed,
        "offset.storage.topic",
        Kind::String,
        Required,
        "Topic of the source offsets. More settings for its creation: `offset.storage.*`.",
    ),
    key(Distributed, "offset.storage.partitions", Int, Text("25"), "Partitions of the offsets' topic when it is created.")
        .checked(Check::Partitions),
    key(Distributed, "offset.storage.replication.factor", Short, Text("3"), "Replicas of the offsets' topic when it is created.")
        .checked(Check::Replication),
    key(
        Distributed,
        "status.storage.topic",
        Kind::String,
        Required,
        "Topic of the statuses. More settings for its creation: `status.storage.*`.",
    ),
    key(Distributed, "status.storage.partitions", Int, Text("5"), "Partitions of the statuses' topic when it is created.")
        .checked(Check::Partitions),
    key(
        Distributed,
        "status.storage.replication.factor",
        Short,
        Text("3"),
        "Replicas of the statuses' topic when it is created.",
    )
    .checked(Check::Replication),
    key(Distributed, "session.timeout.ms", Int, Text("10000"), "After this silence a worker is taken for dead."),
    key(Distributed, "rebalance.timeout.ms", Int, Text("60000"), "How long a worker may take to join a rebalance."),
    key(Distributed, "heartbeat.interval.ms", Int, Text("3000"), "How often a worker tells the group that it is alive."),
    key(
        Distributed,
        "worker.sync.timeout.ms",
        Int,
        Text("3000"),
        "How long a worker may take to catch up with the connectors' topic.",
    ),
    key(
        Distributed,
        "worker.unsync.backoff.ms",
        Int,
        Text("300000"),
        "How long a worker that could not catch up stays out of the group.",
    ),
    key(
        Distributed,
        "scheduled.rebalance.max.delay.ms",
        Int,
        Text("300000"),
        "How long work of a lost worker waits for its return.",
    )
    .checked(Check::Between(0, i32::MAX as i64)),
    key(Distributed, "connect.protocol", Kind::String, Text("sessioned"), "How work is divided among workers.")
        .checked(Check::OneOfAnyCase(&["eager", "compatible", "sessioned"])),
    key(
        Distributed,
        "exactly.once.source.support",
        Kind::String,
        Text("disabled"),
        "Whether source connectors write each record exactly once.",
    )
    .checked(Check::OneOfAnyCase(&["disabled", "preparing", "enabled"])),
    key(
        Distributed,
        "inter.worker.key.generation.algorithm",
        Kind::String,
        Text("HmacSHA256"),
        "Kind of the key that signs requests between workers.",
    ),
    key(
        Distributed,
        "inter.worker.key.size",
        Int,
        Null,
        "Bits of the key that signs requests between workers; the algorithm's own if not set.",
    ),
    key(Distributed, "inter.worker.key.ttl.ms", Int, Text("3600000"), "Age at which that key is replaced; 0 for never.")
        .checked(Check::Between(0, i32::MAX as i64)),
    key(
        Distributed,
        "inter.worker.signature.algorithm",
        Kind::String,
        Text("HmacSHA256"),
        "How requests between workers are signed.",
    ),
    key(
        Distributed,
        "inter.worker.verification.algorithms",
        List,
        Text("HmacSHA256"),
        "Signatures that are accepted between workers.",
    ),
    key(
        Rest,
        "listeners",
        List,
        Text("http://:8083"),
        "Addresses of the REST API; port 0 for any free one. `https` needs `ssl.keystore.location` and what belongs to it, behind \
         `listeners.https.` (then only those keys count) or without; the store is PEM or PKCS12.",
    )
    .checked(Check::Listeners),
    key(
        Rest,
        "ssl.client.auth",
        Kind::String,
        Text("none"),
        "Whether clients of https listeners show a certificate that `ssl.truststore.location` vouches for: `none`, `requested`, `required`.",
    )
    .checked(Check::OneOf(&["required", "requested", "none"])),
    key(Rest, "admin.listeners", List, Null, "Addresses of `/admin` only; not set: with the rest; empty: nowhere."),
    key(Rest, "rest.advertised.host.name", Kind::String, Null, "The host name by which others reach this worker."),
    key(Rest, "rest.advertised.port", Int, Null, "The port by which others reach this worker."),
    key(Rest, "rest.advertised.listener", Kind::String, Null, "The protocol by which other workers reach this one.")
        .checked(Check::OneOfAnyCase(&["http", "https"])),
    key(Rest, "access.control.allow.origin", Kind::String, Text(""), "Origins whose pages may use the REST API; none if empty."),
    key(
        Rest,
        "access.control.allow.methods",
        Kind::String,
        Text(""),
        "Methods that such pages may use; GET, POST and HEAD if empty.",
    ),
    key(
        Rest,
        "response.http.headers.config",
        Kind::String,
        Text(""),
        "Headers of every answer: `action name: value` with commas between them; actions are `set`, `add`, `setDate`, `addDate`.",
    ),
    key(Common, "metrics.sample.window.ms", Long, Text("30000"), "Length of one span of the window of rates and averages.")
        .checked(Check::AtLeast(0)),
    key(Common, "metrics.num.samples", Int, Text("2"), "Spans of that window.").checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.metrics.names",
        List,
        Text("jmx,reporter"),
        "Whose names `/metrics` has for what Kafka Connect measures, beside Hawser's own: `jmx` those of the JMX exporter's usual \
         rules, `reporter` those of Strimzi's metrics reporter.",
    )
    .checked(Check::EachOf(&["jmx", "reporter"])),
    key(
        Hawser,
        "hawser.metrics.client.interval.ms",
        Long,
        Text("10000"),
        "How often the Kafka clients of tasks tell their statistics, for `kafka_producer_*` and `kafka_consumer_*`; 0 for never.",
    )
    .checked(Check::Between(0, 86_400_000)),
    key(
        Hawser,
        "hawser.task.stalled.after.ms",
        Long,
        Text("60000"),
        "How long one step of a task may take, repetitions included, before the task is shown as stalled.",
    )
    .checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.data.dir",
        Kind::String,
        Text("hawser-data"),
        "Folder of uploaded plugins, compiled components and, without `group.id`, of the worker's state.",
    ),
    key(Hawser, "hawser.plugin.max.bytes", Long, Text("67108864"), "Largest component that may be uploaded.")
        .checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.plugin.compile.timeout.ms",
        Long,
        Text("300000"),
        "Time for compiling one upload, on the clock and on processors.",
    )
    .checked(Check::AtLeast(1000)),
    key(Hawser, "hawser.plugin.compile.memory.bytes", Long, Text("4294967296"), "Address space for compiling one upload.")
        .checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.sandbox.files",
        List,
        Text(""),
        "Folders that a connector may be granted by its `sandbox.files`; a `:ro` after one allows reading only; `*` allows all.",
    ),
    key(
        Hawser,
        "hawser.sandbox.http",
        List,
        Text(""),
        "Where a connector may be granted to send HTTP requests by its `sandbox.http`, in the same grammar (docs/sandbox.md): `*` is \
         every public address on the common ports.",
    ),
    key(
        Hawser,
        "hawser.sandbox.tcp",
        List,
        Text(""),
        "Where a connector may be granted to open TCP connections by its `sandbox.tcp`, in the same grammar.",
    ),
    key(
        Hawser,
        "hawser.sandbox.udp",
        List,
        Text(""),
        "Where a connector may be granted to send datagrams by its `sandbox.udp`, in the same grammar.",
    ),
    key(
        Hawser,
        "hawser.schema.registry.http",
        List,
        Text("*:*+private,localhost:*,127.0.0.0/8:*,[::1]:*"),
        "Where a converter's `schema.registry.url` may lead, in the grammar of `sandbox.http`.",
    ),
    key(
        Hawser,
        "hawser.sandbox.env",
        List,
        Text(""),
        "Names of the worker's environment variables that a connector may be granted by its `sandbox.env`.",
    ),
    key(
        Hawser,
        "hawser.sandbox.http.ca.file",
        Kind::String,
        Null,
        "File of certificates in PEM: authorities that plugins' HTTPS requests trust besides the public ones.",
    ),
    key(
        Hawser,
        "hawser.sandbox.hosts.file",
        Kind::String,
        Null,
        "File in the form of /etc/hosts: addresses of names that plugins connect to; other names are asked of the system.",
    ),
    key(Hawser, "hawser.sandbox.connections", Int, Text("64"), "HTTP requests under way, and sockets, of one instance.")
        .checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.sandbox.http.body.bytes",
        Long,
        Text("67108864"),
        "Bytes of the body of one HTTP request or response of a plugin.",
    )
    .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.memory.bytes", Long, Text("268435456"), "Linear memory of one instance.")
        .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.table.elements", Long, Text("50000"), "Elements of all tables of one instance.")
        .checked(Check::AtLeast(1)),
    key(
        Hawser,
        "hawser.sandbox.hostcall.bytes",
        Long,
        Null,
        "Bytes that a plugin may hand over in one call or answer; twice the largest batch if not set.",
    )
    .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.batch.records", Long, Null, "Records in one answer of a plugin; ten times a batch if not set.")
        .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.cpu.ms", Long, Text("30000"), "Time on a processor after which a call is ended.")
        .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.log.lines.per.second", Int, Text("100"), "Lines a second that one instance may log.")
        .checked(Check::AtLeast(1)),
    key(Hawser, "hawser.sandbox.log.line.bytes", Int, Text("8192"), "Bytes after which a line is cut.")
        .checked(Check::AtLeast(1)),
    deadline("hawser.sandbox.describe.timeout.ms", "10000", "How long a plugin may take to describe itself."),
    deadline("hawser.sandbox.validate.timeout.ms", "10000", "How long a plugin may take to validate a configuration."),
    deadline("hawser.sandbox.task.configs.timeout.ms", "60000", "How long a connector may take to divide its work."),
    deadline("hawser.sandbox.start.timeout.ms", "60000", "How long a task or transform may take to start."),
    deadline("hawser.sandbox.poll.timeout.ms", "60000", "How long one `poll` of a source may take."),
    deadline("hawser.sandbox.committed.timeout.ms", "30000", "How long a source may take to note that its records are stored."),
    deadline("hawser.sandbox.open.timeout.ms", "30000", "How long a sink may take to open or close partitions."),
    deadline("hawser.sandbox.put.timeout.ms", "120000", "How long one `put` of a sink may take."),
    deadline("hawser.sandbox.flush.timeout.ms", "120000", "How long one `flush` of a sink may take."),
    deadline("hawser.sandbox.apply.timeout.ms", "60000", "How long transforms may take for one batch."),
    deadline("hawser.sandbox.stop.timeout.ms", "10000", "How long a task may take to stop."),
];

const fn deadline(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(Hawser, name, Long, Text(default), doc).checked(Check::AtLeast(1))
}

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The documentation of all keys, in Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    for (section, title) in [
        (Common, "Every worker"),
        (Standalone, "A worker on its own"),
        (Distributed, "Workers that share their state"),
        (Rest, "REST API"),
        (Hawser, "Hawser's own"),
    ] {
        text.push_str(&format!("\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"));
        for key in KEYS.iter().filter(|key| key.section == section) {
            let default = match key.default {
                Required => "*required*".to_owned(),
                Null => "–".to_owned(),
                Text("") => "*empty*".to_owned(),
                Text(text) => format!("`{text}`"),
            };
            let limits = match key.check {
                Check::AtLeast(min) => format!(" At least {min}."),
                Check::Between(min, max) => format!(" From {min} to {max}."),
                Check::OneOf(words) | Check::OneOfAnyCase(words) | Check::EachOf(words) => {
                    format!(" One of `{}`.", words.join("`, `"))
                }
                Check::Partitions | Check::Replication => " -1 leaves it to the brokers.".to_owned(),
                Check::Any | Check::Listeners => String::new(),
            };
            text.push_str(&format!("| `{}` | {} | {default} | {}{limits} |\n", key.name, key.kind.as_str(), key.doc));
        }
    }
    text.push_str("\n## Accepted and ignored\n\n| key | why |\n|---|---|\n");
    for ignored in IGNORED {
        let name = if ignored.name.ends_with('.') { format!("{}*", ignored.name) } else { ignored.name.to_owned() };
        text.push_str(&format!("| `{name}` | {} |\n", ignored.why));
    }
    text
}
