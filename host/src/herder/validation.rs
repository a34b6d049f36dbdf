//! Checks a connector's configuration and answers as Kafka Connect does: the keys of the framework, the plugin's own keys, what
//! the plugin's `validate` says, the keys of its converters, and overrides of Kafka client settings.

use std::sync::Arc;

use super::classes::{ClassKind, FoundClass};
use super::client_keys;
use super::config_def::{
    Check, Checked, ConfigDef, ConfigKey, ConfigValue, Default, Importance, Type, Validator, Value, invalid_value, split_list,
};
use super::error::HerderError;
use super::framework::Framework;
use super::model::{ConfigInfo, ConfigInfos};
use super::secrets::Secrets;
use crate::store::RawConfig;

/// A configuration being validated.
pub struct Validation<'a> {
    /// Raw and resolved values.
    pub config: Checked<'a>,
    /// Keys of the framework, then those of the plugin.
    pub def: ConfigDef,
    /// One value per key, and one per null-valued key without definition.
    values: Vec<ConfigValue>,
    /// What must not be shown.
    pub secrets: Secrets,
    /// Keys that are checked apart, under a prefix: overrides, converters.
    appended: Vec<Section>,
}

/// Keys under a prefix, which count as one error each however many messages they have.
struct Section {
    def: ConfigDef,
    values: Vec<ConfigValue>,
}

impl<'a> Validation<'a> {
    /// Checks the keys of the framework and the plugin's own keys, as far as their definitions go.
    pub fn start(framework: &Framework, class: &FoundClass, config: Checked<'a>) -> Validation<'a> {
        let mut def = match class.kind {
            ClassKind::Sink => framework.sink(&config),
            _ => framework.source(&config),
        };
        let mut values = def.validate(&config);
        match class.kind {
            ClassKind::Sink => check_topics(&config, &mut values),
            _ => {
                check_topic_creation(&config, &mut values);
                check_exactly_once(&config, &mut values);
            }
        }
        check_predicates(&config, &mut values);
        for (name, value) in config.resolved {
            // A plugin's own keys may be null.
            if value.is_none() && !class.keys.iter().any(|key| key.name == *name) {
                value_of(&mut values, name).errors.push("Null value can not be supplied as the configuration value.".to_owned());
            }
        }
        let own = ConfigDef { keys: class.keys.clone() };
        for value in own.validate(&config) {
            replace_value(&mut values, value);
        }
        for key in own.keys {
            def.define(key);
        }
        let secrets = Secrets::of(&def, config.raw, config.resolved);
        Validation { config, def, values, secrets, appended: Vec::new() }
    }

    /// Whether none of the named keys has an error.
    pub fn is_good(&self, keys: &[String]) -> bool {
        self.values.iter().all(|value| value.errors.is_empty() || !keys.contains(&value.name))
    }

    /// Adds what the plugin's own `validate` says.
    pub fn add_plugin_values(&mut self, values: impl IntoIterator<Item = ConfigValue>) {
        for from_plugin in values {
            let secret = self.config.is_secret(&from_plugin.name);
            let value = value_of(&mut self.values, &from_plugin.name);
            for message in &from_plugin.errors {
                let message = self.secrets.hide(message);
                if !value.errors.contains(&message) {
                    value.errors.push(message);
                }
            }
            if !secret && let Some(given) = &from_plugin.value {
                value.value = Some(self.secrets.hide(given));
            }
            if !from_plugin.recommended.is_empty() {
                value.recommended = from_plugin.recommended.iter().map(|text| self.secrets.hide(text)).collect();
            }
            value.visible = from_plugin.visible;
        }
    }

    /// Adds an error to one key of the framework.
    pub fn add_error(&mut self, key: &str, message: String) {
        value_of(&mut self.values, key).errors.push(message);
    }

    /// Checks the keys of the converters that the connector sets itself.
    pub fn check_converters(&mut self, framework: &Framework) {
        let converters = [
            ("header.converter", ClassKind::HeaderConverter),
            ("key.converter", ClassKind::Converter),
            ("value.converter", ClassKind::Converter),
        ];
        for (key, kind) in converters {
            let Some(name) = self.config.text(key) else { continue };
            let Some(class) = framework.classes.of_kind(kind, name, None) else { continue };
            let mut def = ConfigDef::default();
            for mut own in class.keys {
                own.name = format!("{key}.{}", own.name);
                for dependent in &mut own.dependents {
                    *dependent = format!("{key}.{dependent}");
                }
                def.define(own);
            }
            let mut values = def.validate(&self.config);
            for value in &mut values {
                // The converter knows nothing of the prefix, nor do its messages.
                let own = value.name.trim_start_matches(key).trim_start_matches('.').to_owned();
                let (full, own) = (format!("configuration {}:", value.name), format!("configuration {own}:"));
                value.errors.iter_mut().for_each(|message| *message = message.replace(&full, &own));
            }
            let role = key.split('.').next().unwrap_or_default();
            if let Some(kind) = values.iter_mut().find(|value| value.name == format!("{key}.converter.type")) {
                // Set by the worker, whatever the configuration says.
                kind.value = Some(role.to_owned());
                kind.errors.clear();
            }
            self.appended.push(Section { def, values });
        }
    }

    /// Lists the overrides under a prefix; `check` says what is wrong with a setting.
    pub fn check_overrides(&mut self, prefix: &str, check: impl Fn(&str, &str) -> Option<String>) {
        let (mut def, mut values) = (ConfigDef::default(), Vec::new());
        for (name, value) in self.config.resolved {
            let (Some(setting), Some(text)) = (name.strip_prefix(prefix), value) else { continue };
            let key = client_keys::definition(prefix, setting);
            let is_password = key.as_ref().is_some_and(|key| key.kind == Type::Password) || is_credential(setting);
            key.into_iter().for_each(|key| def.define(key));
            let mut shown = ConfigValue::undefined(name);
            shown.value = Some(match is_password || self.config.is_secret(name) {
                true => super::config_def::HIDDEN.to_owned(),
                false => text.clone(),
            });
            shown.errors.extend(check(setting, text).map(|message| self.secrets.hide(&message)));
            values.push(shown);
        }
        self.appended.push(Section { def, values });
    }

    /// The answer.
    pub fn finish(self) -> ConfigInfos {
        let mut configs = Vec::new();
        let mut error_count = self.values.iter().map(|value| value.errors.len()).sum();
        list(&self.def, &self.values, &mut configs);
        let mut groups = self.def.groups();
        for section in &self.appended {
            error_count += section.values.iter().filter(|value| !value.errors.is_empty()).count();
            list(&section.def, &section.values, &mut configs);
            for group in section.def.groups() {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        for info in &mut configs {
            hide(info, &self.secrets, &self.config);
        }
        let class = self.config.raw.iter().find(|(key, _)| key == "connector.class");
        let name = class.and_then(|(_, class)| class.clone()).unwrap_or_default();
        groups.iter_mut().for_each(|group| *group = hide_alias(group, &self.secrets, &self.config));
        ConfigInfos { name, error_count, groups, configs }
    }
}

/// Answer for a class of which no version fits: the framework's keys, with the reason on both keys that it concerns.
pub fn invalid_version(framework: &Framework, config: Checked<'_>, message: &str, versions: &[String]) -> ConfigInfos {
    let def = framework.common(&config);
    let mut values = def.validate(&config);
    for key in ["connector.class", "connector.plugin.version"] {
        let errors = &mut value_of(&mut values, key).errors;
        if !errors.iter().any(|known| known == message) {
            errors.push(message.to_owned());
        }
    }
    value_of(&mut values, "connector.plugin.version").recommended = versions.to_vec();
    let secrets = Secrets::of(&def, config.raw, config.resolved);
    Validation { config, def, values, secrets, appended: Vec::new() }.finish()
}

/// Takes secrets out of what is said of a key.
fn hide(info: &mut ConfigInfo, secrets: &Secrets, config: &Checked<'_>) {
    if let Some(definition) = &mut info.definition {
        for text in [&mut definition.name, &mut definition.display_name, &mut definition.documentation] {
            *text = hide_alias(text, secrets, config);
        }
        definition.group = definition.group.take().map(|group| hide_alias(&group, secrets, config));
    }
    if let Some(value) = &mut info.value {
        value.name = hide_alias(&value.name, secrets, config);
        value.errors.iter_mut().for_each(|message| *message = secrets.hide(message));
    }
}

/// Aliases are secret if their list came from a provider; no other name of a key can be.
fn hide_alias(text: &str, secrets: &Secrets, config: &Checked<'_>) -> String {
    match config.is_secret("transforms") || config.is_secret("predicates") {
        true => secrets.hide(text),
        false => text.to_owned(),
    }
}

/// First the values without a definition, then each key in its order.
fn list(def: &ConfigDef, values: &[ConfigValue], configs: &mut Vec<ConfigInfo>) {
    for value in values.iter().filter(|value| !def.contains(&value.name)) {
        configs.push(ConfigInfo { definition: None, value: Some(value.info()) });
    }
    for key in &def.keys {
        let value = values.iter().find(|value| value.name == key.name).map(ConfigValue::info);
        configs.push(ConfigInfo { definition: Some(key.info()), value });
    }
}

fn value_of<'v>(values: &'v mut Vec<ConfigValue>, name: &str) -> &'v mut ConfigValue {
    let index = values.iter().position(|value| value.name == name).unwrap_or_else(|| {
        values.push(ConfigValue::undefined(name));
        values.len() - 1
    });
    &mut values[index]
}

/// A plugin's key of the framework's name takes its place; what the framework found wrong with it stays.
fn replace_value(values: &mut Vec<ConfigValue>, mut value: ConfigValue) {
    match values.iter_mut().find(|known| known.name == value.name) {
        Some(known) => {
            for message in std::mem::take(&mut known.errors) {
                if !value.errors.contains(&message) {
                    value.errors.push(message);
                }
            }
            *known = value;
        }
        None => values.push(value),
    }
}

/// Settings of Kafka clients that hold secrets.
fn is_credential(setting: &str) -> bool {
    ["password", "secret", "jaas", "ssl.key", "token", "credential"].iter().any(|part| setting.contains(part))
}

/// Rules that concern `topics`, `topics.regex` and the dead letter queue together.
fn check_topics(config: &Checked<'_>, values: &mut Vec<ConfigValue>) {
    let given = |key| config.text(key).map(str::trim).filter(|text| !text.is_empty());
    let (topics, regex) = (given("topics"), given("topics.regex"));
    let mut add = |key: &str, message: &str| value_of(values, key).errors.push(message.to_owned());
    let both = match (topics, regex) {
        (Some(_), Some(_)) => Some("topics and topics.regex are mutually exclusive options, but both are set."),
        (None, None) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    if let Some(message) = both {
        add("topics", message);
        add("topics.regex", message);
    }
    let Some(dead_letters) = given("errors.deadletterqueue.topic.name") else { return };
    let listed = topics.map(sink_topics).unwrap_or_default();
    if listed.iter().any(|topic| topic == dead_letters) {
        add(
            "topics",
            &format!(
                "The DLQ topic '{dead_letters}' may not be included in the list of topics ('topics=[{}]') consumed by the connector",
                listed.join(", ")
            ),
        );
    }
    if let Some(pattern) = regex
        && regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|whole| whole.is_match(dead_letters))
    {
        add(
            "topics.regex",
            &format!(
                "The DLQ topic '{dead_letters}' may not be matched by the regex for the topics ('topics.regex={pattern}') consumed by the connector"
            ),
        );
    }
}

/// A transform's predicate must be one of `predicates`. (Kafka Connect finds out when the task starts.)
fn check_predicates(config: &Checked<'_>, values: &mut Vec<ConfigValue>) {
    let predicates = split_list(config.text("predicates").unwrap_or_default());
    for alias in split_list(config.text("transforms").unwrap_or_default()) {
        let key = format!("transforms.{alias}.predicate");
        if let Some(predicate) = config.text(&key).map(str::trim)
            && !predicates.iter().any(|known| known == predicate)
        {
            let errors = &mut value_of(values, &key).errors;
            errors.push(invalid_value(&key, predicate, "No predicate of this alias is in `predicates`"));
        }
    }
}

/// Settings of topics that are created. (Kafka Connect finds out when the connector starts.)
fn check_topic_creation(config: &Checked<'_>, values: &mut Vec<ConfigValue>) {
    const PREFIX: &str = "topic.creation.";
    const REPLICAS: &str = "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, \
        or -1 to use the broker's default";
    const PARTITIONS: &str = "Number of partitions must be positive, or -1 to use the broker's default";
    if !config.resolved.iter().any(|(key, _)| key.starts_with(PREFIX)) {
        return;
    }
    let mut groups = split_list(config.text("topic.creation.groups").unwrap_or_default());
    groups.retain(|group| group != "default");
    groups.insert(0, "default".to_owned());
    for group in &groups {
        for (setting, kind, reason) in [("replication.factor", Type::Short, REPLICAS), ("partitions", Type::Int, PARTITIONS)] {
            let key = format!("{PREFIX}{group}.{setting}");
            let given = if group == "default" { Default::Required } else { Default::Value(None) };
            let rule: Check = Arc::new(move |key, value| match value {
                Some(Value::Integer(number)) if *number == 0 || *number < -1 => {
                    Err(invalid_value(key, &number.to_string(), reason))
                }
                _ => Ok(()),
            });
            let defined = ConfigKey::new(&key, kind, given, Importance::Low, "").validator(Validator::Check(rule));
            add_errors(config, values, defined);
        }
        for setting in ["include", "exclude"] {
            let rule: Check = Arc::new(|key, value| match value {
                Some(Value::List(patterns)) => match patterns.iter().find(|pattern| regex::Regex::new(pattern).is_err()) {
                    Some(pattern) => Err(invalid_value(key, pattern, "Syntax error(s) in regular expression")),
                    None => Ok(()),
                },
                _ => Ok(()),
            });
            let key = format!("{PREFIX}{group}.{setting}");
            let defined = ConfigKey::new(&key, Type::List, Default::Value(None), Importance::Low, "");
            add_errors(config, values, defined.validator(Validator::Check(rule)));
        }
    }
}

/// What Kafka Connect finds out before it deploys a source that asks for exactly-once delivery; here the answer is always no.
fn check_exactly_once(config: &Checked<'_>, values: &mut Vec<ConfigValue>) {
    let refusals = [
        ("exactly.once.support", "required", "This worker does not have exactly-once source support enabled."),
        (
            "transaction.boundary",
            "connector",
            "The connector does not support connector-defined transaction boundaries with the given configuration. Please \
             reconfigure it to use a different transaction boundary definition.",
        ),
    ];
    for (key, asked, message) in refusals {
        if config.text(key).is_some_and(|text| text.trim().eq_ignore_ascii_case(asked)) {
            value_of(values, key).errors.push(message.to_owned());
        }
    }
}

/// Checks a key that the answer lists only if it is wrong.
fn add_errors(config: &Checked<'_>, values: &mut Vec<ConfigValue>, key: ConfigKey) {
    let name = key.name.clone();
    let checked = ConfigDef { keys: vec![key] }.validate(config);
    for message in checked.into_iter().flat_map(|value| value.errors) {
        value_of(values, &name).errors.push(message);
    }
}

/// The topics of a sink's `topics`: empty elements and duplicates dropped.
pub fn sink_topics(topics: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    for topic in split_list(topics) {
        if !topic.is_empty() && !listed.contains(&topic) {
            listed.push(topic);
        }
    }
    listed
}

/// The error of a configuration that has errors: what creating or changing a connector answers.
pub fn refusal(infos: &ConfigInfos) -> Result<(), HerderError> {
    if infos.error_count == 0 {
        return Ok(());
    }
    let mut message = format!("Connector configuration is invalid and contains the following {} error(s):", infos.error_count);
    for error in infos.configs.iter().filter_map(|config| config.value.as_ref()).flat_map(|value| &value.errors) {
        message.push('\n');
        message.push_str(error);
    }
    message.push_str(
        "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
    );
    Err(HerderError::BadRequest(message))
}

/// The error of a configuration without `connector.class`. Names its keys, never its values.
pub fn no_class(config: &RawConfig) -> HerderError {
    let keys: Vec<&str> = config.iter().map(|(key, _)| key).collect();
    HerderError::BadRequest(format!("Connector config {{{}}} contains no connector type", keys.join(", ")))
}
