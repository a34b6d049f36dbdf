use std::time::Duration;

use super::*;

/// What Kafka ships in `config/`, without comments.
const DISTRIBUTED: &str = include_str!("../../../tests/fixtures/properties/connect-distributed.properties");
const STANDALONE: &str = include_str!("../../../tests/fixtures/properties/connect-standalone.properties");

fn pairs(text: &str) -> Pairs {
    parse_properties(text).unwrap()
}

fn load(base: &str, more: &str) -> Result<WorkerConfig, ConfigError> {
    WorkerConfig::new([pairs(base), pairs(more)])
}

fn cluster(config: &WorkerConfig) -> &ClusterSettings {
    match &config.mode {
        Mode::Distributed(cluster) => cluster,
        Mode::Standalone { .. } => panic!("standalone"),
    }
}

#[test]
fn kafkas_own_files_are_taken_as_they_are() {
    let config = load(DISTRIBUTED, "").unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let cluster = cluster(&config);
    assert_eq!(cluster.group_id, "connect-cluster");
    let topics = [&cluster.configs, &cluster.offsets, &cluster.statuses].map(|t| (t.name.as_str(), t.partitions, t.replication));
    assert_eq!(topics, [("connect-configs", 1, 1), ("connect-offsets", 25, 1), ("connect-status", 5, 1)]);
    assert!(cluster.offsets.settings.is_empty());
    assert_eq!(config.bootstrap_servers, ["localhost:9092"]);
    assert_eq!(config.key_converter.config, [("schemas.enable".to_owned(), "true".to_owned())]);
    assert_eq!(config.header_converter.class, "org.apache.kafka.connect.storage.SimpleHeaderConverter");
    assert_eq!(config.offset_flush_interval, Duration::from_secs(10));
    assert_eq!(config.task_shutdown_timeout, Duration::from_secs(5));
    assert_eq!(config.rest.listeners, [Listener { is_https: false, host: String::new(), port: 8083 }]);
    assert_eq!(config.rest.admin_listeners, None);

    let config = load(STANDALONE, "").unwrap();
    assert!(matches!(&config.mode, Mode::Standalone { file } if file.to_str() == Some("/tmp/connect.offsets")));
    assert!(config.topic_creation && config.topic_tracking && config.topic_tracking_reset);
    assert_eq!(config.override_policy, OverridePolicy::All);
}

#[test]
fn mistakes_are_told_in_kafkas_words() {
    let check = |base: &str, more: &str, expect: &str| {
        let error = load(base, more).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error, expect, "{more}");
    };
    let all = |more: &str, expect: &str| check(DISTRIBUTED, more, expect);
    all(
        "offset.flush.interval.ms=soon",
        "Invalid value soon for configuration offset.flush.interval.ms: Not a number of type LONG",
    );
    all(
        "session.timeout.ms=2147483648",
        "Invalid value 2147483648 for configuration session.timeout.ms: Not a number of type INT",
    );
    all(
        "topic.creation.enable=1",
        "Invalid value 1 for configuration topic.creation.enable: Expected value to be either true or false",
    );
    all(
        "scheduled.rebalance.max.delay.ms=-1",
        "Invalid value -1 for configuration scheduled.rebalance.max.delay.ms: Value must be at least 0",
    );
    all(
        "offset.storage.partitions=0",
        "Invalid value 0 for configuration offset.storage.partitions: Number of partitions must be positive, or -1 to use the broker's default",
    );
    all(
        "status.storage.replication.factor=-2",
        "Invalid value -2 for configuration status.storage.replication.factor: Replication factor must be positive and not larger than the \
         number of brokers in the Kafka cluster, or -1 to use the broker's default",
    );
    all(
        "connect.protocol=late",
        "Invalid value late for configuration connect.protocol: String must be one of (case insensitive): eager, compatible, sessioned",
    );
    all(
        "listeners=localhost:8083",
        "Invalid value localhost:8083 for configuration listeners: Listener doesn't have the right format or protocol.",
    );
    all(
        "listeners=",
        "Invalid value  for configuration listeners: Invalid value for listeners, at least one URL is expected, ex: http://localhost:8080,https://localhost:8443.",
    );
    all(
        "admin.listeners=ftp://a:1",
        "Invalid value ftp://a:1 for configuration admin.listeners: Listener protocol must be either \"http\" or \"https\".",
    );
    all("rest.advertised.port=70000", "Invalid value for configuration rest.advertised.port: use a number from 0 to 65535");
    all(
        "connector.client.config.override.policy=com.example.Mine",
        "Invalid value com.example.Mine for configuration connector.client.config.override.policy: String must be one of: All, None, Principal, Allowlist",
    );
    all(
        "hawser.sandbox.memory.bytes=0",
        "Invalid value 0 for configuration hawser.sandbox.memory.bytes: Value must be at least 1",
    );
    // All at once; keys of the other mode do not count.
    check(
        "group.id=g\nkey.converter=K\nvalue.converter=V\nconfig.storage.topic=c\noffset.flush.timeout.ms=x\noffset.storage.file.filename=",
        "",
        "Invalid value x for configuration offset.flush.timeout.ms: Not a number of type LONG\n\
         Missing required configuration \"offset.storage.topic\" which has no default value.\n\
         Missing required configuration \"status.storage.topic\" which has no default value.",
    );
    check(
        "offset.storage.file.filename=f\noffset.storage.partitions=x",
        "",
        "Missing required configuration \"key.converter\" which has no default value.\n\
         Missing required configuration \"value.converter\" which has no default value.",
    );
    assert!(load("bootstrap.servers=a:1", "").unwrap_err().to_string().starts_with("Set offset.storage.file.filename"));
}

#[test]
fn ignored_keys_warn_once() {
    let more = "plugin.path=/a,/b\nmetrics.context.a=1\nmetrics.context.b=2\nconfig.storage.cleanup.policy=delete\n\
                config.storage.partitions=9\nhawser.dta.dir=x\nssl.provider=X\nmy.own.key=1";
    let config = load(DISTRIBUTED, more).unwrap();
    let keys: Vec<_> = config.warnings.iter().map(|warning| warning.split(' ').next().unwrap()).collect();
    let expect = [
        "plugin.path",
        "metrics.context",
        "ssl.provider",
        "hawser.dta.dir",
        "config.storage.cleanup.policy",
        "config.storage.partitions",
    ];
    assert_eq!(keys, expect);
    assert_eq!(cluster(&config).configs.partitions, 1);
    assert!(cluster(&config).configs.settings.is_empty());
    assert!(config.pairs.contains(&("my.own.key".to_owned(), "1".to_owned())));
}

#[test]
fn prefixes_are_kept_for_clients_and_topics() {
    let more = "producer.linger.ms=5\nconsumer.max.poll.records=7\nadmin.retries=1\noffset.storage.segment.bytes=1000\n\
                offset.storage.min.insync.replicas=2\nsasl.mechanism=PLAIN\nadmin.listeners=";
    let config = load(DISTRIBUTED, more).unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(config.with_prefix("producer."), [pair("linger.ms", "5")]);
    assert_eq!(config.with_prefix("consumer."), [pair("max.poll.records", "7")]);
    assert_eq!(cluster(&config).offsets.settings, [pair("min.insync.replicas", "2"), pair("segment.bytes", "1000")]);
    assert_eq!(config.rest.admin_listeners, Some(vec![]));
}

#[test]
fn policies_allow_what_kafkas_do() {
    let check = |policy: &str, key: &str, expect: bool| {
        let more = format!(
            "connector.client.config.override.policy={policy}\nconnector.client.config.override.allowlist=acks, linger.ms"
        );
        let config = load(STANDALONE, &more).unwrap();
        assert_eq!(config.override_policy.allows(key), expect, "{policy} {key}");
    };
    check("All", "acks", true);
    check("None", "acks", false);
    check("org.apache.kafka.connect.connector.policy.NoneConnectorClientConfigOverridePolicy", "acks", false);
    check("AllConnectorClientConfigOverridePolicy", "acks", true);
    check("Principal", "acks", false);
    check("Principal", "sasl.jaas.config", true);
    check("Allowlist", "linger.ms", true);
    check("Allowlist", "batch.size", false);
}

#[test]
fn later_sources_win_and_secrets_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "hunter2").unwrap();
    let file = format!(
        "offset.storage.file.filename=f\nconfig.providers=d\nconfig.providers.d.class=DirectoryConfigProvider\n\
         sasl.jaas.config=user ${{d:{}:password}}\nlisteners=http://:1\nhawser.data.dir=a",
        folder.path().display()
    );
    let environment = from_environment([
        ("HAWSER_LISTENERS".to_owned(), "http://:2".to_owned()),
        ("HAWSER_DATA_DIR".to_owned(), "b".to_owned()),
    ]);
    let line = vec![parse_override("hawser.data.dir=c").unwrap()];
    let config = WorkerConfig::new([dev_defaults(), pairs(&file), environment, line]).unwrap();
    assert_eq!(config.rest.listeners[0].port, 2);
    assert_eq!(config.data_dir.to_str(), Some("c"));
    assert_eq!(config.grantable_files, ["*"]);
    assert!(config.pairs.contains(&("sasl.jaas.config".to_owned(), "user hunter2".to_owned())));
    assert!(config.secret_keys.contains("sasl.jaas.config"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_table_is_whole() {
    let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a key stands twice");
    let reference = reference();
    for key in KEYS {
        assert!(
            key.doc.ends_with('.') && reference.contains(&format!("| `{}` | {} |", key.name, key.kind.as_str())),
            "{}",
            key.name
        );
        if let Default::Text(text) = key.default {
            assert!(key.read(Some(text)).is_ok(), "the default of {} is not valid", key.name);
        }
    }
}

#[test]
fn limits_of_the_sandbox_are_passed_on() {
    let config = load(STANDALONE, "hawser.sandbox.put.timeout.ms=5\nhawser.sandbox.hostcall.bytes=9").unwrap();
    let get = |key: &str| config.sandbox_limits.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!(get("sandbox.put.timeout.ms"), Some("5"));
    assert_eq!(get("sandbox.hostcall.bytes"), Some("9"));
    assert_eq!(get("sandbox.memory.bytes"), Some("268435456"));
    assert_eq!(get("sandbox.batch.records"), None);
    assert_eq!(get("sandbox.files"), None);
}
