//! The three predicates.

use hawser_plugin::prelude::*;

use crate::pattern::Pattern;

/// Package of the predicates' classes.
const PREDICATES: &str = "org.apache.kafka.connect.transforms.predicates";

fn predicate(name: &str) -> ClassInfo {
    ClassInfo::new(format!("{PREDICATES}.{name}")).alias(name)
}

/// True for records that have a header of a name.
#[derive(Debug)]
pub struct HasHeaderKey {
    name: String,
}

impl Class for HasHeaderKey {
    fn class() -> ClassInfo {
        predicate("HasHeaderKey")
            .summary("True for records with at least one header of the configured name.")
            .config(ConfigDef::new().string("name").required().not_empty().importance(Importance::Medium).doc("The header name."))
    }
}

impl Predicate for HasHeaderKey {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self { name: config.get("name")? })
    }

    fn test(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        Ok(record.headers().any(|header| header.name == self.name))
    }
}

/// True for records whose value is null.
#[derive(Debug)]
pub struct RecordIsTombstone;

impl Class for RecordIsTombstone {
    fn class() -> ClassInfo {
        predicate("RecordIsTombstone").summary("True for records that are tombstones, that is, have a null value.")
    }
}

impl Predicate for RecordIsTombstone {
    fn start(_: &Config) -> Result<Self> {
        Ok(Self)
    }

    fn test(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        let is_json = record.schema(Side::Value).is_json();
        Ok(record.is_null(Side::Value) || (is_json && record.json(Side::Value).is_null()))
    }
}

/// True for records whose topic matches a regular expression.
#[derive(Debug)]
pub struct TopicNameMatches {
    pattern: Pattern,
    /// The topic of the last record, and whether it matched: mostly the next one is of the same.
    last: Option<(String, bool)>,
}

impl Class for TopicNameMatches {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("pattern")
            .required()
            .not_empty()
            .check(|pattern| Pattern::new(pattern).map(|_| ()))
            .importance(Importance::Medium)
            .doc("A regular expression that the whole name of a record's topic has to match.");
        predicate("TopicNameMatches").summary("True for records whose topic matches a regular expression.").config(config)
    }
}

impl Predicate for TopicNameMatches {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self { pattern: Pattern::new(config.get("pattern")?).map_err(Error::invalid_config)?, last: None })
    }

    fn test(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        let topic = record.topic();
        if let Some((_, matched)) = self.last.as_ref().filter(|(last, _)| last == topic) {
            return Ok(*matched);
        }
        let matched = self.pattern.matches(topic);
        self.last = Some((topic.to_owned(), matched));
        Ok(matched)
    }
}
