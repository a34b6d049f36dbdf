//! What a component says about itself, in types that outlive a version of the interface.

use serde::{Deserialize, Serialize};

use super::bindings::guest::plugin;

/// Keys about which a validation may say something: a connector with a hundred transforms has some thousand.
const MAX_VALUES: usize = 5_000;
/// Errors of one key, and values to choose from.
const MAX_ERRORS: usize = 100;
const MAX_RECOMMENDED: usize = 1_000;

/// What an upload is called and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the upload.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for a list of plugins.
    pub summary: String,
    /// What it holds, in the plugin's order.
    pub classes: Vec<Class>,
}

/// What can be named in `connector.class`, `transforms.x.type` or `predicates.x.type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name; calls into the plugin use it.
    pub name: String,
    /// Other names it answers to, such as the JVM class it stands in for.
    pub aliases: Vec<String>,
    /// What it is.
    pub kind: Kind,
    /// One line for a list of plugins.
    pub summary: String,
    /// Its configuration keys.
    pub config: Vec<ConfigKey>,
}

/// What a class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Brings records into Kafka.
    Source,
    /// Takes records out of Kafka.
    Sink,
    /// Changes records one by one.
    Transform,
    /// Guards a transform.
    Predicate,
}

/// The type of a configuration value, as Kafka's `ConfigDef.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum ValueType {
    Boolean,
    Int,
    Long,
    Short,
    Double,
    String,
    List,
    Class,
    Password,
}

/// As Kafka's `ConfigDef.Importance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// As Kafka's `ConfigDef.Width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

/// One key of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigKey {
    /// The key.
    pub name: String,
    /// How its value is read.
    pub value_type: ValueType,
    /// `None`: no default.
    pub default: Option<String>,
    /// A configuration without it is refused.
    pub required: bool,
    /// How much it matters.
    pub importance: Importance,
    /// What it means.
    pub documentation: String,
    /// Heading under which user interfaces show it; empty for none.
    pub group: String,
    /// Place within its group, from 1; 0 for none.
    pub order: u32,
    /// Width of its field in a user interface.
    pub width: Width,
    /// Empty: the name.
    pub display_name: String,
    /// Values to choose from; empty: anything of the type.
    pub recommended: Vec<String>,
    /// Keys whose meaning depends on this one.
    pub dependents: Vec<String>,
}

/// A key's state in a configuration that is being checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigValue {
    /// The key.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Values to choose from.
    pub recommended: Vec<String>,
    /// What is wrong; empty: the value is good.
    pub errors: Vec<String>,
    /// Whether a user interface shows it.
    pub visible: bool,
}

impl From<plugin::Manifest> for Manifest {
    fn from(manifest: plugin::Manifest) -> Self {
        let plugin::Manifest { name, version, summary, classes } = manifest;
        Manifest { name, version, summary, classes: classes.into_iter().map(Into::into).collect() }
    }
}

impl From<plugin::Class> for Class {
    fn from(class: plugin::Class) -> Self {
        let plugin::Class { name, aliases, kind, summary, config } = class;
        let kind = match kind {
            plugin::Kind::Source => Kind::Source,
            plugin::Kind::Sink => Kind::Sink,
            plugin::Kind::Transform => Kind::Transform,
            plugin::Kind::Predicate => Kind::Predicate,
        };
        Class { name, aliases, kind, summary, config: config.into_iter().map(Into::into).collect() }
    }
}

impl From<plugin::ConfigKey> for ConfigKey {
    fn from(key: plugin::ConfigKey) -> Self {
        ConfigKey {
            name: key.name,
            value_type: key.value_type.into(),
            default: key.default,
            required: key.required,
            importance: key.importance.into(),
            documentation: key.documentation,
            group: key.group,
            order: key.order,
            width: key.width.into(),
            display_name: key.display_name,
            recommended: key.recommended,
            dependents: key.dependents,
        }
    }
}

impl From<plugin::ValueType> for ValueType {
    fn from(value_type: plugin::ValueType) -> Self {
        match value_type {
            plugin::ValueType::Boolean => ValueType::Boolean,
            plugin::ValueType::Int => ValueType::Int,
            plugin::ValueType::Long => ValueType::Long,
            plugin::ValueType::Short => ValueType::Short,
            plugin::ValueType::Double => ValueType::Double,
            plugin::ValueType::String => ValueType::String,
            plugin::ValueType::List => ValueType::List,
            plugin::ValueType::Class => ValueType::Class,
            plugin::ValueType::Password => ValueType::Password,
        }
    }
}

impl From<plugin::Importance> for Importance {
    fn from(importance: plugin::Importance) -> Self {
        match importance {
            plugin::Importance::High => Importance::High,
            plugin::Importance::Medium => Importance::Medium,
            plugin::Importance::Low => Importance::Low,
        }
    }
}

impl From<plugin::Width> for Width {
    fn from(width: plugin::Width) -> Self {
        match width {
            plugin::Width::None => Width::None,
            plugin::Width::Short => Width::Short,
            plugin::Width::Medium => Width::Medium,
            plugin::Width::Long => Width::Long,
        }
    }
}

impl From<plugin::ConfigValue> for ConfigValue {
    fn from(value: plugin::ConfigValue) -> Self {
        let plugin::ConfigValue { name, value, recommended, errors, visible } = value;
        ConfigValue { name, value, recommended, errors, visible }
    }
}

/// Whether an answer of validate is one that can be shown: each message is compared with the others of its key, each key looked for.
///
/// # Errors
/// What there is too much of.
pub(super) fn check_values(values: &[ConfigValue]) -> Result<(), String> {
    let at_most = |what: &str, count: usize, allowed: usize| {
        if count <= allowed { Ok(()) } else { Err(format!("{count} {what}, {allowed} are allowed")) }
    };
    at_most("keys", values.len(), MAX_VALUES)?;
    values.iter().try_for_each(|value| {
        at_most("errors of one key", value.errors.len(), MAX_ERRORS)?;
        at_most("recommended values of one key", value.recommended.len(), MAX_RECOMMENDED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validations_are_bounded() {
        let value = |errors, recommended| ConfigValue {
            name: "k".to_owned(),
            value: None,
            recommended: vec![String::new(); recommended],
            errors: vec![String::new(); errors],
            visible: true,
        };
        let check = |values: &[ConfigValue], expect: Result<(), &str>| {
            assert_eq!(check_values(values), expect.map_err(str::to_owned));
        };
        check(&[value(100, 1_000), value(0, 0)], Ok(()));
        check(&[value(0, 0), value(101, 0)], Err("101 errors of one key, 100 are allowed"));
        check(&[value(0, 1_001)], Err("1001 recommended values of one key, 1000 are allowed"));
        check(&vec![value(0, 0); 5_001], Err("5001 keys, 5000 are allowed"));
    }
}
