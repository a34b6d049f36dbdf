//! RegexRouter: gives records another topic.

use hawser_plugin::prelude::*;

use crate::pattern::{Pattern, Replacement};
use crate::side::one_sided;

/// Sends records whose topic matches to the topic that a replacement makes of it.
#[derive(Debug)]
pub struct RegexRouter {
    pattern: Pattern,
    replacement: Replacement,
    /// The topic of the last record, and what became of it: mostly the next one is of the same.
    last: Option<(String, Option<String>)>,
}

impl Class for RegexRouter {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("regex")
            .required()
            .check(|regex| Pattern::new(regex).map(|_| ()))
            .doc("Regular expression that the whole name of the topic has to match.")
            .string("replacement")
            .required()
            .doc("What the match is replaced with; $1 and ${name} stand for groups.");
        one_sided("RegexRouter").summary("Renames the topic of records by a regular expression.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let (Ok(regex), Ok(replacement)) = (config.get("regex"), config.get("replacement")) else { return Vec::new() };
        let problem = Pattern::new(regex).and_then(|pattern| Replacement::new(replacement, &pattern)).err();
        problem.map(|reason| Problem::invalid("replacement", replacement, &reason)).into_iter().collect()
    }
}

impl Transform for RegexRouter {
    fn start(config: &Config) -> Result<Self> {
        let pattern = Pattern::new(config.get("regex")?).map_err(Error::invalid_config)?;
        let replacement = Replacement::new(config.get("replacement")?, &pattern).map_err(Error::invalid_config)?;
        Ok(Self { pattern, replacement, last: None })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let topic = record.topic();
        if self.last.as_ref().is_none_or(|(last, _)| last != topic) {
            self.last = Some((topic.to_owned(), self.pattern.replace(topic, &self.replacement)));
        }
        if let Some((_, Some(topic))) = &self.last {
            record.set_topic(topic);
        }
        Ok(Verdict::Keep)
    }
}
