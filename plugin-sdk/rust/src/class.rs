//! What a plugin's classes are called, and how they are configured.

use crate::bindings::wit::plugin;
use crate::config::{Config, ConfigDef, Problem};
use crate::errors::Result;

/// A source, sink, transform or predicate as users see it.
#[derive(Debug, Clone, Default)]
pub struct ClassInfo {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) summary: String,
    pub(crate) config: ConfigDef,
}

impl ClassInfo {
    /// A class with the name that users write in `connector.class` or `transforms.x.type`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Another name that it answers to, such as that of the JVM class it stands in for.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// One line for a list of plugins.
    #[must_use]
    pub fn summary(self, text: &str) -> Self {
        Self { summary: text.to_owned(), ..self }
    }

    /// The keys of its configuration.
    #[must_use]
    pub fn config(self, config: ConfigDef) -> Self {
        Self { config, ..self }
    }

    /// As the host is told.
    pub(crate) fn describe(&self, kind: plugin::Kind) -> plugin::Class {
        plugin::Class {
            name: self.name.clone(),
            aliases: self.aliases.clone(),
            kind,
            summary: self.summary.clone(),
            config: self.config.describe(),
        }
    }
}

/// What every source, sink, transform and predicate says about itself.
pub trait Class: 'static {
    /// Its name, its other names, and the keys of its configuration.
    fn class() -> ClassInfo;

    /// Finds problems that the keys alone cannot have: two that exclude each other, a host that does not answer.
    /// Called only with a configuration in which each key for itself is good.
    fn validate(config: &Config) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }
}

/// What is wrong with a configuration of the class `T`.
pub(crate) fn problems<T: Class>(config: &[(String, String)]) -> Vec<Problem> {
    let def = T::class().config;
    let problems = def.problems(config);
    if !problems.is_empty() {
        return problems;
    }
    def.parse(config.to_vec()).map_or_else(|_| Vec::new(), |config| T::validate(&config))
}

/// The configuration of the class `T`, checked in every way.
pub(crate) fn parse<T: Class>(config: Vec<(String, String)>) -> Result<Config> {
    let config = T::class().config.parse(config)?;
    let problems = T::validate(&config);
    if problems.is_empty() {
        return Ok(config);
    }
    let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
    Err(crate::Error::invalid_config(messages.join("\n")))
}
