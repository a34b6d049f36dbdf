use crate::convert::Outage;
use crate::kafka::ClientError;
use crate::sandbox::CallError;

/// Why a task failed. Its text is the trace in the task's status: it names the call, the record and the limit.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskError {
    /// A call into the connector's plugin.
    #[error("{call}: {error}")]
    Plugin { call: &'static str, error: CallError },
    /// A call into a transform's plugin.
    #[error("transform {class}: {error}")]
    Transform { class: String, error: CallError },
    /// A converter's schema registry.
    #[error("converter: {0}")]
    Schemas(Outage),
    /// The store of source offsets.
    #[error("the source offsets cannot be read: {0}")]
    Offsets(String),
    /// A Kafka client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A record that could not be handled, and `errors.tolerance` is none.
    #[error("Tolerance exceeded in error handler: stage {stage} with class {class}, {place}: {message}")]
    Tolerance { stage: &'static str, class: String, place: String, message: String },
    /// The plugin crashed, and no record could be found that is at fault.
    #[error("{error}; the search for a record that is at fault ended: {why}")]
    NotTheRecord { error: Box<TaskError>, why: String },
    /// Crash after crash, and the plugin lets nothing be committed.
    #[error(
        "too many records were left out over which the plugin crashed, while it lets no offset behind them be committed; mend the plugin"
    )]
    TooManyFound,
    /// The dead letter queue's topic is missing and cannot be created.
    #[error(
        "Could not initialize dead letter queue with topic={topic}: {reason}. Create the topic, or check errors.deadletterqueue.topic.replication.factor and the rights of the connector's admin client"
    )]
    NewDeadLetters { topic: String, reason: ClientError },
    /// The dead letter queue does not take records.
    #[error("Could not write to the dead letter queue {topic}: {reason}; the records' offsets are not committed")]
    DeadLetters { topic: String, reason: String },
    /// A topic that is needed cannot be created.
    #[error(
        "Task failed to create new topic (name={topic}). Ensure that the task is authorized to create topics or that the topic exists and restart the task: {reason}"
    )]
    NewTopic { topic: String, reason: ClientError },
    #[error(
        "a record is bound for the topic {0}, which belongs to the worker, to another connector's offsets or to Kafka; let the plugin or its transforms use another"
    )]
    ReservedTopic(String),
}

impl TaskError {
    pub(super) fn plugin(call: &'static str) -> impl FnOnce(CallError) -> TaskError {
        move |error| TaskError::Plugin { call, error }
    }

    /// Whether the connector's plugin can still be called.
    pub(super) fn spares_plugin(&self) -> bool {
        match self {
            TaskError::Plugin { error, .. } => !error.is_instance_dead(),
            TaskError::NotTheRecord { error, .. } => error.spares_plugin(),
            _ => true,
        }
    }

    /// Why a call failed, if one into a plugin did.
    fn call_error(&self) -> Option<&CallError> {
        match self {
            TaskError::Plugin { error, .. } | TaskError::Transform { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Whether a plugin crashed over what may be a record's fault.
    pub(super) fn is_crash(&self) -> bool {
        self.call_error().is_some_and(CallError::is_crash)
    }

    /// What the dead letter queue calls it.
    pub(super) fn exception(&self) -> &'static str {
        self.call_error().map_or("org.apache.kafka.connect.errors.ConnectException", CallError::exception)
    }
}
