use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a Kafka client could not do something. Never holds a value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The broker or the client refused.
    #[error("Kafka client: {doing}: {reason}")]
    Kafka {
        /// What was tried.
        doing: String,
        /// The client's words.
        reason: String,
        /// The error's code, where it has one.
        code: Option<RDKafkaErrorCode>,
    },
    /// No answer in time.
    #[error("Kafka client: {doing}: no answer within {seconds} s; check that the brokers can be reached")]
    TimedOut {
        /// What was tried.
        doing: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A name that Kafka does not allow for topics.
    #[error("`{0}` is not a topic name: use 1 to 249 of letters, digits, '.', '_' and '-'")]
    TopicName(String),
    /// A pattern of topics that is no regular expression.
    #[error("Invalid regex: {0}")]
    Pattern(String),
    /// A record whose header name is not text.
    #[error("the record at offset {offset} of {topic}-{partition} has a header whose name is not UTF-8")]
    HeaderName {
        /// Its topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
    },
}

impl ClientError {
    pub(super) fn new(doing: impl Into<String>, error: KafkaError) -> Self {
        let code = error.rdkafka_error_code();
        let reason = match (&error, code) {
            // Its text would show the value of a setting.
            (KafkaError::ClientConfig(_, reason, key, _), _) => format!("{key}: {reason}"),
            (_, Some(code)) => code.to_string(),
            _ => error.to_string(),
        };
        ClientError::Kafka { doing: doing.into(), reason, code }
    }

    /// Whether the same call may work later, without anyone's doing.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Kafka { code: Some(code), .. } => is_retriable(*code),
            ClientError::TimedOut { .. } => true,
            _ => false,
        }
    }
}

/// Errors that Kafka's own clients retry.
pub(crate) fn is_retriable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NetworkException
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::WaitingForCoordinator
            | Code::RebalanceInProgress
            | Code::NotController
            | Code::InProgress
            | Code::QueueFull
    )
}
