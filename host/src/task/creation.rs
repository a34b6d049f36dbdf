//! Which settings the topics get that a source connector writes to first: the `topic.creation.*` keys (KIP-158).

use regex::{Regex, RegexBuilder};

use crate::kafka::{ClientSettings, NewTopicSpec};

/// What all keys begin with; a connector with none of them creates no topics.
const PREFIX: &str = "topic.creation.";
const DEFAULT_GROUP: &str = "default";
const INCLUDE: &str = "include";
const EXCLUDE: &str = "exclude";
const REPLICATION: &str = "replication.factor";
const PARTITIONS: &str = "partitions";
/// Bytes of a group's compiled patterns at most.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// How missing topics are created.
#[derive(Debug, Clone)]
pub struct TopicCreation {
    /// Settings of the client that creates them ([`ClientSettings::admin`]).
    pub admin: ClientSettings,
    rules: TopicRules,
}

/// The groups of a connector, the first that fits a topic counts; the last one fits all.
#[derive(Debug, Clone)]
struct TopicRules(Vec<Group>);

#[derive(Debug, Clone)]
struct Group {
    name: String,
    include: Option<Regex>,
    exclude: Option<Regex>,
    /// Whatever else it says is in here, without a topic's name.
    topic: NewTopicSpec,
}

/// A `topic.creation.*` key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{key}` is not valid: it must be {expected}")]
pub struct CreationError {
    key: String,
    expected: &'static str,
}

impl TopicCreation {
    /// The rules of a connector's configuration; `None` if it says nothing of the creation of topics, which then is left to
    /// the brokers, as in Kafka Connect.
    ///
    /// # Errors
    /// [`CreationError`] names the key that is wrong.
    pub fn from_config(config: &[(String, String)], admin: ClientSettings) -> Result<Option<Self>, CreationError> {
        Ok(TopicRules::from_config(config)?.map(|rules| TopicCreation { admin, rules }))
    }

    /// What a topic of this name is created with, and the group that says so.
    pub(super) fn topic(&self, name: &str) -> (NewTopicSpec, &str) {
        self.rules.topic(name)
    }
}

impl TopicRules {
    fn from_config(config: &[(String, String)]) -> Result<Option<Self>, CreationError> {
        let get = |key: &str| config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        if !config.iter().any(|(key, _)| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let listed = get("topic.creation.groups").unwrap_or_default().split(',').map(str::trim);
        let mut groups = Vec::new();
        let default = Group::read(config, DEFAULT_GROUP, &NewTopicSpec::with_defaults(""))?;
        for name in listed.filter(|name| !name.is_empty() && *name != DEFAULT_GROUP) {
            groups.push(Group::read(config, name, &default.topic)?);
        }
        groups.push(Group { include: None, exclude: None, ..default });
        Ok(Some(TopicRules(groups)))
    }

    fn topic(&self, name: &str) -> (NewTopicSpec, &str) {
        let fits = |group: &&Group| {
            group.include.as_ref().is_none_or(|pattern| pattern.is_match(name))
                && !group.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
        };
        match self.0.iter().find(fits) {
            Some(group) => (NewTopicSpec { name: name.to_owned(), ..group.topic.clone() }, &group.name),
            None => (NewTopicSpec::with_defaults(name), DEFAULT_GROUP),
        }
    }
}

impl Group {
    /// Partitions and replicas that the group does not name are those of `default`; its topic settings are all its own.
    fn read(config: &[(String, String)], name: &str, default: &NewTopicSpec) -> Result<Group, CreationError> {
        let mut group = Group {
            name: name.to_owned(),
            // A group without `include` fits no topic, as Kafka Connect's empty list of patterns.
            include: Regex::new("^$").ok(),
            exclude: None,
            topic: NewTopicSpec { config: Vec::new(), ..default.clone() },
        };
        let prefix = format!("{PREFIX}{name}.");
        for (key, value) in config {
            let Some(setting) = key.strip_prefix(&prefix) else { continue };
            let wrong = |expected| CreationError { key: key.clone(), expected };
            match setting {
                INCLUDE => group.include = Some(patterns(value).ok_or_else(|| wrong("a list of regular expressions"))?),
                EXCLUDE => group.exclude = Some(patterns(value).ok_or_else(|| wrong("a list of regular expressions"))?),
                PARTITIONS => group.topic.partitions = count(value).ok_or_else(|| wrong("a positive number, or -1"))?,
                REPLICATION => {
                    let replicas = count(value).ok_or_else(|| wrong("a positive number, or -1"))?;
                    let replicas = replicas.map(i16::try_from).transpose();
                    group.topic.replication = replicas.map_err(|_| wrong("at most 32767"))?;
                }
                other => group.topic.config.push((other.to_owned(), value.trim().to_owned())),
            }
        }
        Ok(group)
    }
}

/// A number of partitions or replicas; `Some(None)` leaves it to the brokers.
fn count(text: &str) -> Option<Option<i32>> {
    match text.trim().parse() {
        Ok(-1) => Some(None),
        Ok(count) if count > 0 => Some(Some(count)),
        _ => None,
    }
}

/// Matches whole names that any of the expressions matches.
fn patterns(list: &str) -> Option<Regex> {
    let all = list.split(',').map(str::trim).collect::<Vec<_>>().join("|");
    RegexBuilder::new(&format!("^(?:{all})$")).size_limit(MAX_PATTERN_BYTES).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Vec<(String, String)> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| line.split_once('=').unwrap()).map(|(key, value)| (format!("{PREFIX}{key}"), value.to_owned())).collect()
    }

    #[test]
    fn the_first_group_that_fits_counts() {
        let rules = TopicRules::from_config(&config(
            "groups=compacted, wide,default,none
             default.replication.factor=-1
             default.partitions=2
             default.include=nothing
             default.retention.ms=1000
             compacted.include=state.*, table
             compacted.exclude=state-of-.*
             compacted.cleanup.policy=compact
             wide.include=.*-wide
             wide.partitions=9
             wide.replication.factor=1
             none.cleanup.policy=delete",
        ))
        .unwrap()
        .unwrap();
        let check = |topic: &str, group: &str, partitions: i32, replication: Option<i16>, config: &[(&str, &str)]| {
            let (spec, found) = rules.topic(topic);
            let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let expect = NewTopicSpec { name: topic.to_owned(), partitions: Some(partitions), replication, config };
            assert_eq!((spec, found), (expect, group), "{topic}");
        };
        check("state-1", "compacted", 2, None, &[("cleanup.policy", "compact")]);
        check("table", "compacted", 2, None, &[("cleanup.policy", "compact")]);
        check("tables", "default", 2, None, &[("retention.ms", "1000")]);
        check("state-of-x", "default", 2, None, &[("retention.ms", "1000")]);
        check("state-wide", "compacted", 2, None, &[("cleanup.policy", "compact")]);
        check("orders-wide", "wide", 9, Some(1), &[]);
    }

    #[test]
    fn without_keys_nothing_is_created() {
        let other = [("topic".to_owned(), "t".to_owned())];
        assert!(TopicRules::from_config(&other).unwrap().is_none());
    }

    #[test]
    fn wrong_values_are_named() {
        for (key, value) in [
            ("default.partitions", "0"),
            ("default.partitions", "x"),
            ("default.replication.factor", "-2"),
            ("default.replication.factor", "40000"),
            ("g.include", "("),
        ] {
            let error = TopicRules::from_config(&config(&format!("groups=g\n{key}={value}"))).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the value of `{PREFIX}{key}` is not valid")), "{error}");
        }
    }
}
