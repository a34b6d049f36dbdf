//! TimestampRouter: puts the time of a record into its topic.

use hawser_plugin::prelude::*;

use crate::date_format::DateFormat;
use crate::side::one_sided;

/// Puts the time of a record into its topic.
#[derive(Debug)]
pub struct TimestampRouter {
    topic_format: String,
    timestamp_format: DateFormat,
}

impl Class for TimestampRouter {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("topic.format")
            .default_value("${topic}-${timestamp}")
            .importance(Importance::High)
            .doc("The new topic, where ${topic} and ${timestamp} stand for the topic and the time of the record.")
            .string("timestamp.format")
            .default_value("yyyyMMdd")
            .importance(Importance::High)
            .check(|pattern| DateFormat::new(pattern).map(|_| ()))
            .doc("How to write the time, as a pattern of java.text.SimpleDateFormat.");
        one_sided("TimestampRouter").summary("Puts the time of a record into its topic.").config(config)
    }
}

impl Transform for TimestampRouter {
    fn start(config: &Config) -> Result<Self> {
        let timestamp_format = DateFormat::new(config.get("timestamp.format")?).map_err(Error::invalid_config)?;
        Ok(Self { topic_format: config.get("topic.format")?, timestamp_format })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let Some(timestamp) = record.timestamp() else {
            return Err(RecordError::data(format!("Timestamp missing on record of topic {}", record.topic())));
        };
        let topic = self.topic_format.replace("${topic}", record.topic());
        let topic = topic.replace("${timestamp}", &self.timestamp_format.format(timestamp));
        record.set_topic(&topic);
        Ok(Verdict::Keep)
    }
}
