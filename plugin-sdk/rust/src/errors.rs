//! Why a call failed, which decides what the host does about it.

use std::fmt::Display;

use crate::bindings::wit;

/// The result of most of what a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. The text is for the person who deployed the connector: it says what to do, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The outside world is in the way for now. The host backs off and makes the same call with the same arguments
    /// again, so whatever the call did so far must bear being done again.
    #[error("{0}")]
    Retriable(String),
    /// The configuration cannot work. The task fails.
    #[error("{0}")]
    InvalidConfig(String),
    /// The task cannot go on. It fails, and its instance is thrown away.
    #[error("{0}")]
    Fatal(String),
}

impl Error {
    /// [`Error::Retriable`] from anything that can be shown.
    pub fn retriable(reason: impl Display) -> Self {
        Self::Retriable(reason.to_string())
    }

    /// [`Error::InvalidConfig`] from anything that can be shown.
    pub fn invalid_config(reason: impl Display) -> Self {
        Self::InvalidConfig(reason.to_string())
    }

    /// [`Error::Fatal`] from anything that can be shown.
    pub fn fatal(reason: impl Display) -> Self {
        Self::Fatal(reason.to_string())
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Retriable(reason) => Self::Retriable(reason),
            Error::InvalidConfig(reason) => Self::InvalidConfig(reason),
            Error::Fatal(reason) => Self::Fatal(reason),
        }
    }
}
