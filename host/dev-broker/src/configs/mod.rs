//! Topic configs: which there are, their defaults, and what is a valid value.

pub(crate) mod handlers;

use std::collections::BTreeMap;

use crate::log::CompactionRules;

/// Types of config values, with Kafka's numbers (`DescribeConfigsResponse.ConfigType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// A config that a topic may have.
#[derive(Debug)]
pub(crate) struct ConfigDef {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: ConfigType,
    /// Smallest number.
    min: i64,
    /// The values that a string or the items of a list may have; empty for any.
    values: &'static [&'static str],
}

const fn number(name: &'static str, default: &'static str, kind: ConfigType, min: i64) -> ConfigDef {
    ConfigDef { name, default, kind, min, values: &[] }
}

const fn choice(name: &'static str, default: &'static str, kind: ConfigType, values: &'static [&'static str]) -> ConfigDef {
    ConfigDef { name, default, kind, min: 0, values }
}

const fn boolean(name: &'static str, default: &'static str) -> ConfigDef {
    choice(name, default, ConfigType::Boolean, &["true", "false"])
}

const MAX_LONG: &str = "9223372036854775807";

/// The topic configs of Kafka 4.1 (`TopicConfig`, `LogConfig`) without tiered storage. Those that are not about retention,
/// compaction, timestamps or batch size are kept and shown, but change nothing here.
pub(crate) const TOPIC_CONFIGS: &[ConfigDef] = &[
    choice("cleanup.policy", "delete", ConfigType::List, &["compact", "delete"]),
    choice("compression.type", "producer", ConfigType::String, &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    number("compression.gzip.level", "-1", ConfigType::Int, -1),
    number("compression.lz4.level", "9", ConfigType::Int, 1),
    number("compression.zstd.level", "3", ConfigType::Int, -131_072),
    number("delete.retention.ms", "86400000", ConfigType::Long, 0),
    number("file.delete.delay.ms", "60000", ConfigType::Long, 0),
    number("flush.messages", MAX_LONG, ConfigType::Long, 1),
    number("flush.ms", MAX_LONG, ConfigType::Long, 0),
    choice("follower.replication.throttled.replicas", "", ConfigType::List, &[]),
    number("index.interval.bytes", "4096", ConfigType::Int, 0),
    choice("leader.replication.throttled.replicas", "", ConfigType::List, &[]),
    number("max.compaction.lag.ms", MAX_LONG, ConfigType::Long, 1),
    number("max.message.bytes", "1048588", ConfigType::Int, 0),
    number("message.timestamp.after.max.ms", "3600000", ConfigType::Long, 0),
    number("message.timestamp.before.max.ms", MAX_LONG, ConfigType::Long, 0),
    choice("message.timestamp.type", "CreateTime", ConfigType::String, &["CreateTime", "LogAppendTime"]),
    number("min.cleanable.dirty.ratio", "0.5", ConfigType::Double, 0),
    number("min.compaction.lag.ms", "0", ConfigType::Long, 0),
    number("min.insync.replicas", "1", ConfigType::Int, 1),
    boolean("preallocate", "false"),
    number("retention.bytes", "-1", ConfigType::Long, i64::MIN),
    number("retention.ms", "604800000", ConfigType::Long, -1),
    number("segment.bytes", "1073741824", ConfigType::Int, 14),
    number("segment.index.bytes", "10485760", ConfigType::Int, 4),
    number("segment.jitter.ms", "0", ConfigType::Long, 0),
    number("segment.ms", "604800000", ConfigType::Long, 1),
    boolean("unclean.leader.election.enable", "false"),
];

impl ConfigDef {
    pub fn find(name: &str) -> Option<&'static Self> {
        TOPIC_CONFIGS.iter().find(|def| def.name == name)
    }

    /// Why a value is not valid.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let (name, min) = (self.name, self.min);
        let invalid = |expect: String| Err(format!("Invalid value {value} for configuration {name}: {expect}"));
        match self.kind {
            ConfigType::Int | ConfigType::Long => {
                let max = if self.kind == ConfigType::Int { i64::from(i32::MAX) } else { i64::MAX };
                match value.trim().parse::<i64>() {
                    Ok(number) if (min..=max).contains(&number) => Ok(()),
                    Ok(_) => invalid(format!("Value must be at least {min} and at most {max}")),
                    Err(_) => invalid("Not a number of the right type".to_owned()),
                }
            }
            ConfigType::Double => match value.trim().parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
                _ => invalid("Value must be between 0 and 1".to_owned()),
            },
            ConfigType::Boolean | ConfigType::String | ConfigType::List => {
                let mut items = items(value).filter(|_| !self.values.is_empty());
                match items.all(|item| self.values.contains(&item)) {
                    true if !(value.is_empty() && self.values.len() > 2) => Ok(()),
                    _ => invalid(format!("Must be one of {}", self.values.join(", "))),
                }
            }
        }
    }
}

/// The items of a list value.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The configs of a topic: its own and, for the rest, the defaults.
#[derive(Debug, Default)]
pub(crate) struct TopicConfigs {
    own: BTreeMap<String, String>,
    pub max_message_bytes: usize,
    pub append_time: bool,
    /// How far in the future and in the past the timestamps of records may be, in milliseconds.
    pub timestamp_leeway: (i64, i64),
    pub compact: bool,
    pub delete: bool,
    pub retention_ms: i64,
    pub retention_bytes: i64,
}

impl TopicConfigs {
    /// The values must have been checked.
    pub fn new(own: BTreeMap<String, String>) -> Self {
        let mut configs = Self { own, ..Self::default() };
        configs.max_message_bytes = usize::try_from(configs.long("max.message.bytes")).unwrap_or(0);
        configs.append_time = configs.get("message.timestamp.type") == "LogAppendTime";
        let has_policy = |wanted| items(configs.get("cleanup.policy")).any(|policy| policy == wanted);
        (configs.compact, configs.delete) = (has_policy("compact"), has_policy("delete"));
        configs.timestamp_leeway =
            (configs.long("message.timestamp.after.max.ms"), configs.long("message.timestamp.before.max.ms"));
        configs.retention_ms = configs.long("retention.ms");
        configs.retention_bytes = configs.long("retention.bytes");
        configs
    }

    /// What was set on the topic itself.
    pub fn own(&self) -> &BTreeMap<String, String> {
        &self.own
    }

    fn get(&self, name: &str) -> &str {
        let default = || ConfigDef::find(name).map_or("", |def| def.default);
        self.own.get(name).map_or_else(default, String::as_str)
    }

    fn long(&self, name: &str) -> i64 {
        self.get(name).trim().parse().unwrap_or(0)
    }

    pub fn compaction_rules(&self, now: i64) -> CompactionRules {
        CompactionRules {
            now,
            min_lag: self.long("min.compaction.lag.ms"),
            max_lag: self.long("max.compaction.lag.ms"),
            delete_retention: self.long("delete.retention.ms"),
            min_dirty_ratio: self.get("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        let check = |name: &str, value: &str, expect: bool| {
            assert_eq!(ConfigDef::find(name).unwrap().check(value).is_ok(), expect, "{name}={value}");
        };
        check("retention.ms", "-1", true);
        check("retention.ms", "-2", false);
        check("retention.ms", "soon", false);
        check("retention.bytes", "-1", true);
        check("segment.bytes", "2147483648", false);
        check("cleanup.policy", "compact", true);
        check("cleanup.policy", "compact,delete", true);
        check("cleanup.policy", "compact, delete", true);
        check("cleanup.policy", "keep", false);
        check("compression.type", "", false);
        check("compression.type", "lz4", true);
        check("min.cleanable.dirty.ratio", "0.01", true);
        check("min.cleanable.dirty.ratio", "1.5", false);
        check("preallocate", "maybe", false);
        check("message.timestamp.type", "LogAppendTime", true);
        check("leader.replication.throttled.replicas", "*", true);
    }

    #[test]
    fn defaults_are_valid_and_apply() {
        for def in TOPIC_CONFIGS {
            assert_eq!(def.check(def.default), Ok(()), "{}", def.name);
        }
        let configs = TopicConfigs::new(BTreeMap::from([("cleanup.policy".into(), "compact".into())]));
        assert!(configs.compact && !configs.delete && !configs.append_time);
        assert_eq!((configs.max_message_bytes, configs.retention_ms), (1_048_588, 604_800_000));
    }
}
