//! A connector ready to start: its class found, its references resolved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::classes::{ClassKind, Classes, FoundClass};
use super::config_def::{ConfigDef, split_list};
use super::engine::{Config, Engine, Resolved};
use super::recovery::RecoveryPolicy;
use super::secrets::Secrets;
use crate::sandbox::is_withheld;
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
    /// The prefix and the class of each transform and predicate.
    stages: Stages,
    /// How long the values of its references may be trusted; `None`: for ever.
    pub ttl: Option<Duration>,
    /// When it is restarted after a failure; `None`: never.
    pub(super) recovery: Option<RecoveryPolicy>,
}

type Stages = Vec<(String, FoundClass)>;

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
        let stages = stages(&without_nulls(&resolved.values), classes);
        Plan::of(name, raw, class, stages, resolved)
    }

    /// The same with its references resolved anew, and with the versions of plugins that it has.
    pub async fn renewed(&self, engine: &dyn Engine) -> Result<Plan, PlanError> {
        let resolved = engine.resolve(&self.raw).await?;
        Plan::of(&self.name, &self.raw, self.class.clone(), self.stages.clone(), resolved)
    }

    fn of(
        name: &Arc<str>,
        raw: &Arc<RawConfig>,
        class: FoundClass,
        stages: Stages,
        resolved: Resolved,
    ) -> Result<Plan, PlanError> {
        let entries: Vec<_> = raw.iter().map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
        let def = ConfigDef { keys: class.keys.clone() };
        let secrets =
            Secrets::of(&def, &entries, &resolved.values).and(resolved.references.iter().map(|(_, value)| value.clone()));
        let config = without_nulls(&resolved.values);
        let recovery = RecoveryPolicy::parse(&config).map_err(|errors| messages(&errors))?;
        let reloads = get(&config, "config.action.reload").is_none_or(|action| action.trim() != "none");
        Ok(Plan {
            name: Arc::clone(name),
            raw: Arc::clone(raw),
            config,
            references: resolved.references,
            uses: uses(&class, &stages),
            class,
            secrets,
            stages,
            ttl: resolved.ttl.filter(|_| reloads),
            recovery,
        })
    }

    /// The class of the transform or predicate whose keys have this prefix.
    pub fn stage(&self, prefix: &str) -> Option<&FoundClass> {
        self.stages.iter().find(|(known, _)| known == prefix).map(|(_, class)| class)
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
        entries.push(("task.class".to_owned(), Some(task_class(&self.class.name))));
        for key in ["topics", "topics.regex"] {
            if let Some(value) = self.raw.get(key) {
                entries.push((key.to_owned(), Some(value.to_owned())));
            }
        }
        RawConfig::new(entries)
    }

    /// A stored task's configuration with its references resolved, as far as the connector's configuration has them where the
    /// plugin sees it. All else that looks like a reference is the plugin's own text: it stays, or a plugin could have the worker
    /// read for it whatever the providers can.
    pub async fn resolve_task(&self, config: &RawConfig, engine: &dyn Engine) -> Result<Config, String> {
        let given: BTreeSet<&str> =
            self.raw.iter().filter(|(key, _)| !is_withheld(key)).filter_map(|(_, value)| value).flat_map(references_in).collect();
        let is_given = |value: &str| references_in(value).iter().all(|reference| given.contains(reference));
        let (known, foreign): (Vec<_>, Vec<_>) = config
            .iter()
            .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
            .partition(|(_, value)| value.as_deref().is_none_or(is_given));
        for (key, _) in &foreign {
            tracing::warn!(
                connector = &*self.name,
                key,
                "A task's configuration has a reference that the connector's has not; it is not resolved."
            );
        }
        let resolved = engine.resolve(&RawConfig::new(known)).await?;
        Ok(without_nulls(&resolved.values).into_iter().chain(without_nulls(&foreign)).collect())
    }

    /// The same text when resolved again, without the secret.
    fn with_references(&self, value: &str) -> String {
        self.references
            .iter()
            .filter(|(_, secret)| !secret.is_empty())
            .fold(value.to_owned(), |text, (reference, secret)| text.replace(secret.as_str(), reference))
    }
}

/// Everything in a value that looks like a reference: `${…}`.
pub(super) fn references_in(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let tail = rest.get(start..).unwrap_or_default();
        let Some(end) = tail.find('}') else { break };
        found.extend(tail.get(..=end));
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    found
}

/// The value of a key.
pub fn get<'c>(config: &'c Config, key: &str) -> Option<&'c str> {
    config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The class of a connector's tasks as Kafka Connect's plugins name it, so that a worker in Java that carries a connector on
/// finds its own class there: `FileStreamSourceTask` for `FileStreamSourceConnector`.
fn task_class(connector: &str) -> String {
    match connector.strip_suffix("Connector") {
        Some(stem) => format!("{stem}Task"),
        None => connector.to_owned(),
    }
}

fn without_nulls(values: &[(String, Option<String>)]) -> Config {
    values.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
}

fn messages(errors: &[(String, String)]) -> String {
    errors.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("; ")
}

/// The transforms and predicates of a configuration that are found.
fn stages(config: &Config, classes: &dyn Classes) -> Stages {
    let mut stages = Stages::new();
    for list in ["transforms", "predicates"] {
        for alias in split_list(get(config, list).unwrap_or_default()) {
            let prefix = format!("{list}.{alias}.");
            let Some(name) = get(config, &format!("{prefix}type")) else { continue };
            if let Ok(found) = classes.find(name, get(config, &format!("{prefix}plugin.version"))) {
                stages.push((prefix, found));
            }
        }
    }
    stages
}

fn uses(class: &FoundClass, stages: &Stages) -> Vec<(Arc<str>, String)> {
    let mut uses: Vec<(Arc<str>, String)> = Vec::new();
    for class in std::iter::once(class).chain(stages.iter().map(|(_, class)| class)) {
        if let Some(plugin) = &class.plugin {
            let used = (Arc::clone(plugin), class.version.clone());
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
    }
    uses
}

/// The uploads that hold a connector's class, its transforms and its predicates.
pub(super) fn uploads_of(class: &FoundClass, config: &Config, classes: &dyn Classes) -> Vec<(Arc<str>, String)> {
    uses(class, &stages(config, classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_values() {
        assert_eq!(references_in("a ${env:X} b ${file:/p:k}${"), ["${env:X}", "${file:/p:k}"]);
        assert!(references_in("} $x {").is_empty());
    }
}
