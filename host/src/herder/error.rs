//! What a request to the herder can end in.

/// Why the herder refuses or fails a request. Each kind has one HTTP status; the message is the whole text of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HerderError {
    /// The request cannot be right (400).
    #[error("{0}")]
    BadRequest(String),
    /// The worker's settings forbid it (403).
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing (404).
    #[error("{0}")]
    NotFound(String),
    /// It is in the way of something else (409).
    #[error("{0}")]
    Conflict(String),
    /// The upload is too large (413).
    #[error("{0}")]
    TooLarge(String),
    /// The upload is no plugin that this worker can run (422).
    #[error("{0}")]
    Unprocessable(String),
    /// The worker, a plugin or Kafka failed (500).
    #[error("{0}")]
    Internal(String),
    /// The worker is stopping or busy (503).
    #[error("{0}")]
    Unavailable(String),
}

impl HerderError {
    /// `Connector X not found`.
    pub fn connector_not_found(name: &str) -> HerderError {
        HerderError::NotFound(format!("Connector {name} not found"))
    }

    /// `Unknown connector X`: how pause, resume and stop say it.
    pub fn unknown_connector(name: &str) -> HerderError {
        HerderError::NotFound(format!("Unknown connector {name}"))
    }

    /// What Kafka Connect says while a rebalance is under way; its clients try again.
    pub fn conflicting() -> HerderError {
        HerderError::Conflict("Cannot complete request because of a conflicting operation (e.g. worker rebalance)".to_owned())
    }
}
