//! Configurations: which keys there are, and what was configured.

mod def;
#[cfg(test)]
mod tests;
mod values;

pub use crate::bindings::wit::plugin::{Importance, ValueType, Width};
pub use def::ConfigDef;
pub use values::{Config, FromConfig, TaskConfig};

/// What is wrong with a key of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key.
    pub key: String,
    /// What is wrong with it, as a sentence for whoever deployed it.
    pub message: String,
}

impl Problem {
    /// A problem with a key, in words of your own.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), message: message.into() }
    }

    /// A problem with a key's value, in the words of Kafka's ConfigException. `value` must not be a secret.
    pub fn invalid(key: &str, value: &str, reason: &str) -> Self {
        Self::new(key, format!("Invalid value {value} for configuration {key}: {reason}"))
    }
}
