//! Every key of a connector, each with a value that is refused and the words in which it is.

use std::collections::BTreeSet;

use crate::herder::config_def::{Checked, ConfigDef};
use crate::herder::testing::Fixture;
use crate::store::RawConfig;

const NUMBER: &str = "Not a number of type";
const BOOLEAN: &str = "Expected value to be either true or false";
const NO_CLASS: &str = "Class no could not be found.";
const REPLICATION: &str = "Replication factor must be positive and not larger than the number of brokers";
const MISSING: &str = "which has no default value.";

/// Keys of sources and sinks.
const COMMON: &[(&str, &str, &str)] = &[
    ("name", "", "String may not be empty"),
    ("connector.plugin.version", "9.9", "no File"),
    ("tasks.max", "0", "Value must be at least 1"),
    ("tasks.max.enforce", "no", BOOLEAN),
    ("key.converter", "no", NO_CLASS),
    ("key.converter.plugin.version", "[1", "is no version range"),
    ("value.converter", "no", NO_CLASS),
    ("value.converter.plugin.version", "[1", "is no version range"),
    ("header.converter", "no", NO_CLASS),
    ("header.converter.plugin.version", "[1", "is no version range"),
    ("transforms", "m,m", "Duplicate alias provided."),
    ("predicates", "p,p", "Duplicate alias provided."),
    ("config.action.reload", "now", "String must be one of: none, restart"),
    ("errors.retry.timeout", "soon", NUMBER),
    ("errors.retry.delay.max.ms", "soon", NUMBER),
    ("errors.tolerance", "some", "String must be one of: none, all"),
    ("errors.log.enable", "1", BOOLEAN),
    ("errors.log.include.messages", "1", BOOLEAN),
    ("transforms.m.type", "no", NO_CLASS),
    ("transforms.m.predicate", "q", "No predicate of this alias"),
    ("transforms.m.negate", "1", BOOLEAN),
    ("predicates.p.type", "no", NO_CLASS),
    ("producer.override.bad", "1", "is bad"),
    ("admin.override.bad", "1", "is bad"),
    ("hawser.restart.max.attempts", "-2", "Value must be at least -1"),
    ("hawser.restart.delay.ms", "0", "Value must be at least 1"),
    ("hawser.restart.delay.max.ms", "x", NUMBER),
    ("hawser.restart.healthy.ms", "x", NUMBER),
];

const DEAD_LETTERS: &[(&str, &str, &str)] = &[
    ("errors.deadletterqueue.topic.replication.factor", "40000", NUMBER),
    ("errors.deadletterqueue.context.headers.enable", "1", BOOLEAN),
];

const SOURCE: &[(&str, &str, &str)] = &[
    ("topic.creation.groups", "a,a", "Duplicate alias provided."),
    ("topic.creation.default.replication.factor", "0", REPLICATION),
    ("topic.creation.default.partitions", "x", NUMBER),
    ("topic.creation.a.replication.factor", "-2", REPLICATION),
    ("topic.creation.a.partitions", "0", "Number of partitions must be positive"),
    ("topic.creation.a.include", "(", "Syntax error(s) in regular expression"),
    ("topic.creation.a.exclude", "(", "Syntax error(s) in regular expression"),
    ("exactly.once.support", "required", "This worker does not have exactly-once source support enabled."),
    ("transaction.boundary", "never", "String must be one of (case insensitive)"),
    ("transaction.boundary.interval.ms", "-1", "Value must be at least 0"),
    ("offsets.storage.topic", "", "String must be non-empty"),
];

const SINK: &[(&str, &str, &str)] = &[
    ("topics", "a,,b", "values must not be empty"),
    ("topics.regex", "(", "Invalid regex"),
    ("consumer.override.bad", "1", "is bad"),
];

/// Keys whose check needs the class that they belong to (they are in the tests of versions and of unknown classes), and the name of the
/// dead letter queue, whose error stands at `topics`, as in Kafka Connect.
const ELSEWHERE: &[&str] =
    &["connector.class", "errors.deadletterqueue.topic.name", "transforms.m.plugin.version", "predicates.p.plugin.version"];

fn base(kind: &str) -> Vec<(String, Option<String>)> {
    let own: &[(&str, &str)] = match kind {
        "FileSource" => &[
            ("file", "f"),
            ("topic.creation.groups", "a"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.partitions", "1"),
        ],
        _ => &[("topics", "t"), ("errors.deadletterqueue.topic.name", "d")],
    };
    let shared = [
        ("name", "a"),
        ("connector.class", kind),
        ("transforms", "m"),
        ("transforms.m.type", "Mask"),
        ("transforms.m.fields", "f"),
        ("transforms.m.predicate", "p"),
        ("predicates", "p"),
        ("predicates.p.type", "IsEmpty"),
    ];
    shared.iter().chain(own).map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect()
}

#[tokio::test]
async fn every_key_is_checked() {
    let fixture = Fixture::new().await;
    let mut checked = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (kind, own) in [("FileSource", SOURCE), ("FileSink", SINK)] {
        let good = base(kind);
        let infos = fixture.herder.validate(&RawConfig::new(good.clone())).await.unwrap();
        assert_eq!(infos.error_count, 0, "{kind}");
        let config = Checked { raw: &good, resolved: &good };
        let framework = &fixture.herder.context.framework;
        let def: ConfigDef = if kind == "FileSource" { framework.source(&config) } else { framework.sink(&config) };
        known.extend(def.keys.into_iter().map(|key| key.name).filter(|key| key != "transforms.m.fields"));
        for (key, value, words) in COMMON.iter().chain(DEAD_LETTERS).chain(own) {
            let mut config = good.clone();
            config.retain(|(name, _)| name != key);
            config.push(((*key).to_owned(), Some((*value).to_owned())));
            let infos = fixture.herder.validate(&RawConfig::new(config)).await.unwrap();
            let found = infos.configs.iter().filter_map(|info| info.value.as_ref()).find(|found| found.name == *key);
            let errors = found.map(|found| found.errors.join("; ")).unwrap_or_default();
            assert!(errors.contains(words), "{kind} {key}={value}: {errors}");
            checked.insert((*key).to_owned());
        }
    }
    for required in ["name", "connector.class"] {
        let mut config = base("FileSource");
        config.retain(|(name, _)| name != required);
        match fixture.herder.validate(&RawConfig::new(config)).await {
            Ok(infos) => assert!(infos.configs[0].value.as_ref().unwrap().errors[0].ends_with(MISSING)),
            Err(error) => assert!(error.to_string().contains("contains no connector type")),
        }
    }
    let missing: Vec<_> = known.iter().filter(|key| !checked.contains(*key) && !ELSEWHERE.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "keys without a case: {missing:?}");
    println!("{} keys checked; the framework defines {}", checked.len(), known.len());
}
