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
    /// A Kafka client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A record that could not be handled, and `errors.tolerance` is none.
    #[error("Tolerance exceeded in error handler: stage {stage} with class {class}, {place}: {message}")]
    Tolerance { stage: &'static str, class: String, place: String, message: String },
    /// The dead letter queue does not take records.
    #[error("Could not write to the dead letter queue {topic}: {reason}; the records' offsets are not committed")]
    DeadLetters { topic: String, reason: String },
    /// A topic that is needed cannot be created.
    #[error(
        "Task failed to create new topic (name={topic}). Ensure that the task is authorized to create topics or that the topic exists and restart the task: {reason}"
    )]
    NewTopic { topic: String, reason: ClientError },
}

impl TaskError {
    pub(super) fn plugin(call: &'static str) -> impl FnOnce(CallError) -> TaskError {
        move |error| TaskError::Plugin { call, error }
    }

    /// Whether the connector's plugin can still be called.
    pub(super) fn spares_plugin(&self) -> bool {
        !matches!(self, TaskError::Plugin { error, .. } if error.is_instance_dead())
    }
}
