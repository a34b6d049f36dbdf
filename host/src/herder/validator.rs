//! Validates configurations: the pure rules of [`validation`](super::validation), with the calls into plugins in between.

use std::sync::Arc;

use super::Herder;
use super::classes::{ClassKind, FoundClass};
use super::config_def::{Checked, ConfigDef, ConfigValue};
use super::engine::Config;
use super::error::HerderError;
use super::framework::Framework;
use super::model::{ConfigInfos, ConfigKeyInfo, PluginInfo};
use super::recovery::RecoveryPolicy;
use super::validation::{Validation, invalid_version, no_class};
use crate::store::RawConfig;

/// Prefixes of overrides of client settings, in the order in which they are listed.
const OVERRIDES: [&str; 3] = ["producer.override.", "consumer.override.", "admin.override."];

impl Herder {
    /// Checks a connector's configuration.
    ///
    /// # Errors
    /// It cannot be checked at all: it has no class, or none that is known (400); or the plugin failed in the check (500).
    pub async fn validate(&self, raw: &RawConfig) -> Result<ConfigInfos, HerderError> {
        let context = &self.context;
        let resolved = context.engine.resolve(raw).await.map_err(HerderError::BadRequest)?;
        let entries: Vec<_> = raw.iter().map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
        let config = Checked { raw: &entries, resolved: &resolved.values };
        let Some(name) = config.text("connector.class") else { return Err(no_class(raw)) };
        let class = match context.classes.find(name, config.text("connector.plugin.version")) {
            Ok(class) if matches!(class.kind, ClassKind::Source | ClassKind::Sink) => class,
            Err(error) if !error.available_versions.is_empty() => {
                return Ok(invalid_version(&context.framework, config, &error.message, &error.available_versions));
            }
            _ => {
                let shown = if config.is_secret("connector.class") { super::config_def::HIDDEN } else { name };
                return Err(HerderError::BadRequest(self.no_connector(shown)));
            }
        };
        let given: Config = resolved.values.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
        let mut validation = Validation::start(&context.framework, &class, config);
        let own = RecoveryPolicy::parse(&given).err().unwrap_or_default();
        for (key, message) in context.engine.check_worker_keys(&given).into_iter().chain(own) {
            validation.add_error(&key, message);
        }
        self.check_group(&mut validation, &class, &given);
        self.ask_plugin(&mut validation, &class, &given).await?;
        for (alias, transform) in self.stages(&given) {
            self.ask_about_stage(&mut validation, &alias, &transform, &given).await?;
        }
        let overrides = context.engine.check_overrides(&given);
        for prefix in OVERRIDES.into_iter().filter(|prefix| uses_client(prefix, &class, &given)) {
            validation.check_overrides(prefix, |key, _| {
                let full = format!("{prefix}{key}");
                overrides.iter().find(|(name, _)| *name == full).map(|(_, message)| message.clone())
            });
        }
        validation.check_converters(&context.framework);
        Ok(validation.finish())
    }

    /// The plugin's own word on its keys, which have passed their definitions.
    async fn ask_plugin(&self, validation: &mut Validation<'_>, class: &FoundClass, config: &Config) -> Result<(), HerderError> {
        let own: Vec<String> = class.keys.iter().map(|key| key.name.clone()).collect();
        if !validation.is_good(&own) {
            return Ok(());
        }
        let values = self.call(validation, class, config).await?;
        validation.add_plugin_values(values);
        Ok(())
    }

    /// The word of a transform's or predicate's plugin, under the prefix of its alias.
    async fn ask_about_stage(
        &self,
        validation: &mut Validation<'_>,
        prefix: &str,
        class: &FoundClass,
        config: &Config,
    ) -> Result<(), HerderError> {
        let own: Vec<String> = class.keys.iter().map(|key| format!("{prefix}{}", key.name)).collect();
        if !validation.is_good(&own) {
            return Ok(());
        }
        let stripped: Config =
            config.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone()))).collect();
        let values = self.call(validation, class, &stripped).await?.into_iter().map(|mut value| {
            // Its messages speak of the key as the plugin knows it.
            for quoted in [format!("configuration {}:", value.name), format!("configuration \"{}\"", value.name)] {
                let full = quoted.replacen(&value.name, &format!("{prefix}{}", value.name), 1);
                value.errors.iter_mut().for_each(|message| *message = message.replace(&quoted, &full));
            }
            value.name.insert_str(0, prefix);
            value
        });
        validation.add_plugin_values(values);
        Ok(())
    }

    async fn call(
        &self,
        validation: &Validation<'_>,
        class: &FoundClass,
        config: &Config,
    ) -> Result<Vec<ConfigValue>, HerderError> {
        let answered = self.context.engine.validate(class, config).await;
        answered.map_err(|error| HerderError::Internal(validation.secrets.hide(&error.to_string())))
    }

    /// The transforms and predicates of a configuration that are found: the prefix of their keys, and their class.
    fn stages(&self, config: &Config) -> Vec<(String, FoundClass)> {
        let text = |key: &str| super::plan::get(config, key);
        let mut stages = Vec::new();
        for (list, kind) in [("transforms", ClassKind::Transformation), ("predicates", ClassKind::Predicate)] {
            for alias in super::config_def::split_list(text(list).unwrap_or_default()) {
                let prefix = format!("{list}.{alias}.");
                let found = text(&format!("{prefix}type"))
                    .and_then(|name| self.context.classes.of_kind(kind, name, text(&format!("{prefix}plugin.version"))));
                if let Some(class) = found
                    && !stages.iter().any(|(known, _)| *known == prefix)
                {
                    stages.push((prefix, class));
                }
            }
        }
        stages
    }

    /// A sink may not be in the group of the workers.
    fn check_group(&self, validation: &mut Validation<'_>, class: &FoundClass, config: &Config) {
        let Some(workers) = &self.context.settings.group_id else { return };
        if class.kind != ClassKind::Sink {
            return;
        }
        let overridden = super::plan::get(config, "consumer.override.group.id");
        let name = super::plan::get(config, "name").unwrap_or_default();
        match overridden {
            Some(group) if group == workers => validation.add_error(
                "consumer.override.group.id",
                format!("Consumer group {group} conflicts with Connect worker group {workers}"),
            ),
            None if format!("connect-{name}") == *workers => validation.add_error(
                "name",
                format!("Consumer group for sink connector named {name} conflicts with Connect worker group {workers}"),
            ),
            _ => {}
        }
    }

    /// Kafka Connect's text for a class that is not there.
    fn no_connector(&self, name: &str) -> String {
        let available: Vec<String> = self
            .connector_plugins(true)
            .into_iter()
            .map(|plugin| {
                let PluginInfo { class, kind, version } = plugin;
                format!("PluginDesc{{name='{class}', version='{version}', type={kind}}}")
            })
            .collect();
        format!(
            "Failed to find any class that implements Connector and which name matches {name}, available connectors are: {}",
            available.join(", ")
        )
    }

    /// The classes that configurations can name.
    pub fn connector_plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        let mut all = self.context.classes.all();
        all.sort_by(|(kind, name, version), other| (kind, name, version).cmp(&(&other.0, &other.1, &other.2)));
        all.into_iter()
            .filter(|(kind, ..)| !connectors_only || matches!(kind, ClassKind::Sink | ClassKind::Source))
            .map(|(kind, class, version)| PluginInfo { class, kind: kind.name(), version })
            .collect()
    }

    /// The keys of a class; of a connector with those of the framework that it does not define itself.
    ///
    /// # Errors
    /// There is no such class (404), or not in that version (400).
    pub fn plugin_config(&self, name: &str, version: Option<&str>) -> Result<Vec<ConfigKeyInfo>, HerderError> {
        let class = self.context.classes.find(name, version).map_err(|error| match error.available_versions.is_empty() {
            true => HerderError::NotFound(format!("Unknown plugin {name}.")),
            false => HerderError::BadRequest(error.message),
        })?;
        let config = [("connector.class".to_owned(), Some(class.name.clone()))];
        let config = Checked { raw: &config, resolved: &config };
        // Without the worker's defaults, as Kafka Connect has it.
        let framework = Framework::bare(Arc::clone(&self.context.classes));
        let framework = match class.kind {
            ClassKind::Source => framework.source(&config),
            ClassKind::Sink => framework.sink(&config),
            _ => ConfigDef::default(),
        };
        let own = ConfigDef { keys: class.keys };
        let rest = framework.keys.iter().filter(|key| !own.contains(&key.name));
        Ok(own.keys.iter().chain(rest).map(super::config_def::ConfigKey::info).collect())
    }

    /// Checks a configuration for a class.
    ///
    /// # Errors
    /// As [`Herder::validate`]; or the configuration is for another class (400).
    pub async fn validate_plugin_config(&self, plugin: &str, config: RawConfig) -> Result<ConfigInfos, HerderError> {
        if let Some(class) = config.get("connector.class") {
            let normal = |name: &str| name.trim().trim_end_matches("Connector").to_owned();
            if !normal(class).ends_with(&normal(plugin)) {
                return Err(HerderError::BadRequest(format!(
                    "Included connector type {class} does not match request type {plugin}"
                )));
            }
        }
        self.validate(&config).await
    }
}

/// Whether a connector of this class has a client of that kind, as Kafka Connect decides which overrides to check.
fn uses_client(prefix: &str, class: &FoundClass, config: &Config) -> bool {
    let has_dead_letters =
        super::plan::get(config, "errors.deadletterqueue.topic.name").is_some_and(|topic| !topic.trim().is_empty());
    match (prefix, class.kind) {
        ("producer.override.", ClassKind::Sink) => has_dead_letters,
        ("consumer.override.", ClassKind::Source) => false,
        ("admin.override.", ClassKind::Sink) => has_dead_letters,
        _ => true,
    }
}
