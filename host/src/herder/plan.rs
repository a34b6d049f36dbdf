//! A connector ready to start: its class found, its references resolved.

use std::sync::Arc;

use super::classes::{ClassKind, Classes, FoundClass};
use super::config_def::{ConfigDef, split_list};
use super::engine::{Config, Engine, Resolved};
use super::secrets::Secrets;
use crate::store::RawConfig;

/// What a connector's instances are started from.
pub struct Plan {
    /// Its name.
    pub name: Arc<str>,
    /// Its configuration as deployed.
    pub raw: Arc<RawConfig>,
    /// Its configuration with references resolved, without nulls.
    pub config: Config,
    /// References and what they stand for.
    references: Vec<(String, String)>,
    /// Its class.
    pub class: FoundClass,
    /// What must not be shown.
    pub secrets: Secrets,
    /// The uploads that it uses: name and version.
    pub uses: Vec<(Arc<str>, String)>,
}

/// Why a plan could not be made: for the status of the connector.
pub type PlanError = String;

impl Plan {
    /// Finds the class of a connector and resolves its references.
    pub async fn make(
        name: &Arc<str>,
        raw: &Arc<RawConfig>,
        classes: &dyn Classes,
        engine: &dyn Engine,
    ) -> Result<Plan, PlanError> {
        let class = raw.get("connector.class").ok_or("The configuration has no connector.class")?;
        let class = classes.find(class, raw.get("connector.plugin.version")).map_err(|error| error.to_string())?;
        let resolved = engine.resolve(raw).await?;
        Ok(Plan::of(name, raw, class, resolved, classes))
    }

    fn of(name: &Arc<str>, raw: &Arc<RawConfig>, class: FoundClass, resolved: Resolved, classes: &dyn Classes) -> Plan {
        let entries: Vec<_> = raw.iter().map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
        let def = ConfigDef { keys: class.keys.clone() };
        let secrets =
            Secrets::of(&def, &entries, &resolved.values).and(resolved.references.iter().map(|(_, value)| value.clone()));
        let config: Config = resolved.values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let uses = uses(&class, &config, classes);
        Plan { name: Arc::clone(name), raw: Arc::clone(raw), config, references: resolved.references, class, secrets, uses }
    }

    /// The value of a key, references resolved.
    pub fn get(&self, key: &str) -> Option<&str> {
        get(&self.config, key)
    }

    /// Whether it is a source.
    pub fn is_source(&self) -> bool {
        self.class.kind == ClassKind::Source
    }

    /// A task's configuration as it is stored: with `task.class` and the topics as Kafka Connect adds them, and with
    /// every value that came from a provider turned back into its reference.
    pub fn stored_task(&self, config: Config) -> RawConfig {
        let mut entries: Vec<(String, Option<String>)> = config
            .into_iter()
            .map(|(key, value)| {
                let raw = self.raw.get(&key).filter(|raw| self.get(&key) == Some(&value) && *raw != value);
                let value = raw.map_or_else(|| self.with_references(&value), str::to_owned);
                (key, Some(value))
            })
            .collect();
        entries.push(("task.class".to_owned(), Some(self.class.name.clone())));
        for key in ["topics", "topics.regex"] {
            if let Some(value) = self.raw.get(key) {
                entries.push((key.to_owned(), Some(value.to_owned())));
            }
        }
        RawConfig::new(entries)
    }

    /// The same text when resolved again, without the secret.
    fn with_references(&self, value: &str) -> String {
        self.references
            .iter()
            .filter(|(_, secret)| !secret.is_empty())
            .fold(value.to_owned(), |text, (reference, secret)| text.replace(secret.as_str(), reference))
    }
}

/// The value of a key.
pub fn get<'c>(config: &'c Config, key: &str) -> Option<&'c str> {
    config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The uploads that hold a connector's class, its transforms and its predicates.
pub(super) fn uses(class: &FoundClass, config: &Config, classes: &dyn Classes) -> Vec<(Arc<str>, String)> {
    let mut uses: Vec<(Arc<str>, String)> = Vec::new();
    let mut add = |class: &FoundClass| {
        if let Some(plugin) = &class.plugin {
            let used = (Arc::clone(plugin), class.version.clone());
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
    };
    add(class);
    for list in ["transforms", "predicates"] {
        for alias in split_list(get(config, list).unwrap_or_default()) {
            let Some(name) = get(config, &format!("{list}.{alias}.type")) else { continue };
            let version = get(config, &format!("{list}.{alias}.plugin.version"));
            if let Ok(found) = classes.find(name, version) {
                add(&found);
            }
        }
    }
    uses
}
