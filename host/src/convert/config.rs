//! Converter configuration: what keys there are, as plain data for validation, and how a connector's properties are read.

/// A converter's properties, prefix removed.
pub type Properties = std::collections::BTreeMap<String, String>;

/// Type of a configuration value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`, in any case.
    Boolean,
    /// 32 bits.
    Int,
    /// Any text.
    String,
    /// Text that is never shown.
    Password,
    /// Texts separated by commas.
    List,
}

/// How much a key matters to most users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Nearly all users look at it.
    High,
    /// Some do.
    Medium,
    /// Few do.
    Low,
}

/// Width of the input field that a user interface gives the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Unsaid.
    None,
    /// Medium.
    Medium,
}

/// One configuration key of a converter: an entry of Kafka's `ConfigDef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigKey {
    /// Its name, without the prefix `key.converter.` and the like.
    pub name: &'static str,
    /// Type of its value.
    pub value_type: ValueType,
    /// Its value unless given; `None` with `required` false is null.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// The only values it may have, in upper or lower case as `any_case` says. Empty: all.
    pub allowed: &'static [&'static str],
    /// Whether the case of an allowed value is free.
    pub any_case: bool,
    /// How much it matters.
    pub importance: Importance,
    /// What it does.
    pub documentation: &'static str,
    /// The group in which it is shown.
    pub group: Option<&'static str>,
    /// Its place in the group, from 0; -1 without a group.
    pub order: i32,
    /// Width of its input field.
    pub width: Width,
    /// Its name for people.
    pub display_name: &'static str,
}

impl ConfigKey {
    /// An optional key without a group, shown under its own name.
    pub const fn plain(
        name: &'static str,
        value_type: ValueType,
        default: Option<&'static str>,
        importance: Importance,
        documentation: &'static str,
    ) -> Self {
        ConfigKey {
            name,
            value_type,
            default,
            required: false,
            allowed: &[],
            any_case: false,
            importance,
            documentation,
            group: None,
            order: -1,
            width: Width::None,
            display_name: name,
        }
    }

    /// What is wrong with `value`, in the words of Kafka's `ConfigException`.
    ///
    /// # Errors
    /// The message that validation shows beside the key, which is called `name` there.
    pub fn check(&self, name: &str, value: &str) -> Result<(), String> {
        let invalid = |reason: String| Err(format!("Invalid value {value} for configuration {name}: {reason}"));
        match self.value_type {
            ValueType::Boolean if boolean(value).is_none() => {
                return invalid("Expected value to be either true or false".to_owned());
            }
            ValueType::Password => return Ok(()),
            ValueType::Int if value.trim().parse::<i32>().is_err() => return invalid("Not a number of type INT".to_owned()),
            _ => {}
        }
        let same = |allowed: &&str| if self.any_case { allowed.eq_ignore_ascii_case(value) } else { *allowed == value };
        if self.allowed.is_empty() || self.allowed.iter().any(same) {
            return Ok(());
        }
        let case = if self.any_case { " (case insensitive)" } else { "" };
        invalid(format!("String must be one of{case}: {}", self.allowed.join(", ")))
    }
}

/// Why a connector's converters cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The key that is wrong or missing.
    pub key: String,
    /// What is wrong, in Kafka's words where it has some.
    pub message: String,
}

/// Properties that were checked against their keys.
#[derive(Debug)]
pub struct Checked<'a> {
    keys: &'a [ConfigKey],
    properties: &'a Properties,
}

impl<'a> Checked<'a> {
    /// Checks `properties`, which stand in the configuration under `prefix`.
    ///
    /// # Errors
    /// [`ConfigError`] for the first key that is wrong.
    pub fn new(keys: &'a [ConfigKey], properties: &'a Properties, prefix: &str) -> Result<Self, ConfigError> {
        for key in keys {
            let full_name = format!("{prefix}{}", key.name);
            if let Some(value) = properties.get(key.name) {
                key.check(&full_name, value).map_err(|message| ConfigError { key: full_name, message })?;
            }
        }
        Ok(Checked { keys, properties })
    }

    /// A value, or its default.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let given = self.properties.get(name).map(String::as_str);
        given.or_else(|| self.keys.iter().find(|key| key.name == name)?.default)
    }

    /// A boolean, or its default.
    pub fn boolean(&self, name: &str) -> bool {
        self.text(name).and_then(boolean).unwrap_or_default()
    }

    /// A number, or its default.
    pub fn number(&self, name: &str) -> Option<i32> {
        self.text(name)?.trim().parse().ok()
    }

    /// A number, or its default; negative ones are 0.
    pub fn size(&self, name: &str) -> usize {
        self.text(name).and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Some(true),
        value if value.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
