use crate::convert::ConvertError;
use crate::convert::classes::Role;

/// How subjects are named: Confluent's `SubjectNameStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `<topic>-key` or `<topic>-value`.
    Topic,
    /// The full name of the record.
    Record,
    /// `<topic>-<full name>`.
    TopicRecord,
}

impl Strategy {
    /// The strategy of that class, or of its short name.
    pub fn of_class(name: &str) -> Option<Self> {
        match name.strip_prefix("io.confluent.kafka.serializers.subject.").unwrap_or(name) {
            // The newest default asks the registry for associations, and without any goes by the topic.
            "TopicNameStrategy" | "AssociatedNameStrategy" => Some(Strategy::Topic),
            "RecordNameStrategy" => Some(Strategy::Record),
            "TopicRecordNameStrategy" => Some(Strategy::TopicRecord),
            _ => None,
        }
    }

    /// The subject of a schema.
    ///
    /// # Errors
    /// A `DataException` when a name is needed and there is none.
    pub fn subject(self, topic: &str, role: Role, name: Option<&str>) -> Result<String, ConvertError> {
        let (part, class) = match self {
            Strategy::Topic => {
                return Ok(format!("{topic}-{}", if role == Role::Key { "key" } else { "value" }));
            }
            Strategy::Record => (None, "RecordNameStrategy"),
            Strategy::TopicRecord => (Some(topic), "TopicRecordNameStrategy"),
        };
        let name = name.ok_or_else(|| {
            let side = if role == Role::Key { "key" } else { "value" };
            let strategy = format!("io.confluent.kafka.serializers.subject.{class}");
            ConvertError::data(format!(
                "In configuration {side}.subject.name.strategy = {strategy}, the message {side} must only be a record schema"
            ))
        })?;
        Ok(part.map_or_else(|| name.to_owned(), |topic| format!("{topic}-{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_confluent() {
        for (class, name, expect) in [
            ("io.confluent.kafka.serializers.subject.TopicNameStrategy", None, Ok("t-value")),
            ("RecordNameStrategy", Some("a.B"), Ok("a.B")),
            ("io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", Some("a.B"), Ok("t-a.B")),
            ("RecordNameStrategy", None, Err(())),
        ] {
            let subject = Strategy::of_class(class).unwrap().subject("t", Role::Value, name);
            assert_eq!(subject.as_deref().map_err(|_| ()), expect, "{class}");
        }
        assert_eq!(Strategy::Topic.subject("t", Role::Key, None).as_deref(), Ok("t-key"));
        assert_eq!(Strategy::of_class("com.example.Mine"), None);
    }
}
