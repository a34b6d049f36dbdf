/// Kafka Connect's exception for data that a converter refuses.
pub const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";
/// Kafka Connect's exception for a schema that contradicts itself.
pub const SCHEMA_BUILDER_EXCEPTION: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";

/// Why one key, value or header could not be converted. The exception and its message are those of Kafka Connect, because they
/// end up in a dead letter queue's headers and in statuses, where tools look for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", cause.as_deref().unwrap_or_default())]
pub struct ConvertError {
    /// Class of the exception that Kafka Connect would throw.
    pub exception: &'static str,
    /// Its message.
    pub message: String,
    /// What lies behind it, where Kafka Connect's message ends in a colon and leaves that to the stack trace.
    pub cause: Option<String>,
    /// Whether the same record may be converted later: a remote party is in the way.
    pub retriable: bool,
}

impl ConvertError {
    /// A `DataException`.
    pub fn data(message: impl Into<String>) -> Self {
        ConvertError { exception: DATA_EXCEPTION, message: message.into(), cause: None, retriable: false }
    }

    /// A `SchemaBuilderException`.
    pub fn schema(message: impl Into<String>) -> Self {
        ConvertError { exception: SCHEMA_BUILDER_EXCEPTION, ..ConvertError::data(message) }
    }

    /// The converter has to learn the record's schema first ([`super::Converter::learn`]).
    pub fn unknown_schema() -> Self {
        ConvertError { retriable: true, ..ConvertError::data(String::new()) }
    }

    /// The same error with what lies behind it.
    pub fn caused_by(self, cause: impl ToString) -> Self {
        ConvertError { cause: Some(cause.to_string()), ..self }
    }
}

/// What conversion needs from outside is not to be had, whatever the record: none of a batch is converted then, and none skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Outage {
    /// What is wrong, and what to do.
    pub message: String,
    /// Whether it may pass by itself.
    pub passing: bool,
}

impl Outage {
    /// One that is to be waited for.
    pub fn passing(message: impl Into<String>) -> Self {
        Outage { message: message.into(), passing: true }
    }

    /// One that somebody has to see to.
    pub fn lasting(message: impl Into<String>) -> Self {
        Outage { message: message.into(), passing: false }
    }
}

/// Where in a record's journey a conversion failed, named as in Kafka Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The key.
    Key,
    /// The value.
    Value,
    /// One of the headers.
    Header,
}

impl Stage {
    /// The name that Kafka Connect gives it in logs and dead letter queues.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Key => "KEY_CONVERTER",
            Stage::Value => "VALUE_CONVERTER",
            Stage::Header => "HEADER_CONVERTER",
        }
    }
}
