//! Which keys a configuration has.

use crate::bindings::wit::plugin::{ConfigKey, Importance, ValueType, Width};
use crate::config::values::{self, Config};
use crate::config::{Problem, TaskConfig};
use crate::errors::{Error, Result};

/// The keys of a configuration. A key is begun by its type, and described by the calls that follow:
///
/// ```
/// use hawser_plugin::config::{ConfigDef, Importance};
///
/// let def = ConfigDef::new()
///     .string("file").required().doc("The file to read.")
///     .int("batch.size").default_value("500").at_least(1).importance(Importance::Low).doc("Records a batch.");
/// let config = def.parse(vec![("file".into(), "/tmp/in".into())])?;
/// assert_eq!(config.get::<i32>("batch.size")?, 500);
/// # Ok::<(), hawser_plugin::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    description: ConfigKey,
    rules: Vec<Rule>,
}

/// What a value must be besides of the key's type.
#[derive(Debug, Clone)]
enum Rule {
    NotEmpty,
    AtLeast(i64),
    AtMost(i64),
    OneOf,
    Custom(fn(&str) -> Result<(), String>),
}

macro_rules! types {
    ($($name:ident $variant:ident $doc:literal;)*) => {
        $(#[doc = $doc]
        #[must_use]
        pub fn $name(self, name: &str) -> Self {
            self.key(name, ValueType::$variant)
        })*
    };
}

impl ConfigDef {
    /// A configuration without keys.
    pub fn new() -> Self {
        Self::default()
    }

    types! {
        string String "Begins a key for text.";
        password Password "Begins a key for a secret: it is shown nowhere.";
        boolean Boolean "Begins a key for `true` or `false`.";
        short Short "Begins a key for a 16-bit integer.";
        int Int "Begins a key for a 32-bit integer.";
        long Long "Begins a key for a 64-bit integer.";
        double Double "Begins a key for a floating-point number.";
        list List "Begins a key for texts with commas between them.";
        class Class "Begins a key for the name of a class.";
    }

    /// Begins a key of a type.
    #[must_use]
    pub fn key(mut self, name: &str, value_type: ValueType) -> Self {
        self.keys.push(Key {
            description: ConfigKey {
                name: name.to_owned(),
                value_type,
                default: None,
                required: false,
                importance: Importance::Medium,
                documentation: String::new(),
                group: String::new(),
                order: 0,
                width: Width::None,
                display_name: String::new(),
                recommended: Vec::new(),
                dependents: Vec::new(),
            },
            rules: Vec::new(),
        });
        self
    }

    /// Adds the keys of another definition.
    #[must_use]
    pub fn and(mut self, other: ConfigDef) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// A configuration without the key is refused; it is of high importance.
    #[must_use]
    pub fn required(self) -> Self {
        self.last(|key| {
            key.description.required = true;
            key.description.importance = Importance::High;
        })
    }

    /// What the key is when it is not configured, as it would be written.
    #[must_use]
    pub fn default_value(self, value: &str) -> Self {
        self.last(|key| key.description.default = Some(value.to_owned()))
    }

    /// What the key does.
    #[must_use]
    pub fn doc(self, text: &str) -> Self {
        self.last(|key| key.description.documentation = text.to_owned())
    }

    /// How much a user needs to care; medium unless said.
    #[must_use]
    pub fn importance(self, importance: Importance) -> Self {
        self.last(|key| key.description.importance = importance)
    }

    /// The heading under which user interfaces show the key, after the keys that are already there.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        let before = self.keys.iter().filter(|key| key.description.group == group).count();
        let order = u32::try_from(before + 1).unwrap_or(u32::MAX);
        self = self.last(|key| {
            key.description.group = group.to_owned();
            key.description.order = order;
        });
        self
    }

    /// How wide user interfaces show the key.
    #[must_use]
    pub fn width(self, width: Width) -> Self {
        self.last(|key| key.description.width = width)
    }

    /// How user interfaces call the key, instead of by its name.
    #[must_use]
    pub fn display_name(self, name: &str) -> Self {
        self.last(|key| key.description.display_name = name.to_owned())
    }

    /// Values to suggest.
    #[must_use]
    pub fn recommended(self, values: &[&str]) -> Self {
        self.last(|key| key.description.recommended = values.iter().map(|&value| value.to_owned()).collect())
    }

    /// Keys whose meaning depends on this one.
    #[must_use]
    pub fn dependents(self, keys: &[&str]) -> Self {
        self.last(|key| key.description.dependents = keys.iter().map(|&name| name.to_owned()).collect())
    }

    /// The text or list must not be empty.
    #[must_use]
    pub fn not_empty(self) -> Self {
        self.last(|key| key.rules.push(Rule::NotEmpty))
    }

    /// The number must not be smaller.
    #[must_use]
    pub fn at_least(self, minimum: i64) -> Self {
        self.last(|key| key.rules.push(Rule::AtLeast(minimum)))
    }

    /// The number must not be larger.
    #[must_use]
    pub fn at_most(self, maximum: i64) -> Self {
        self.last(|key| key.rules.push(Rule::AtMost(maximum)))
    }

    /// The value must be one of these, which are also suggested.
    #[must_use]
    pub fn one_of(self, values: &[&str]) -> Self {
        self.recommended(values).last(|key| key.rules.push(Rule::OneOf))
    }

    /// The value must pass a check of your own, which says what is wrong.
    #[must_use]
    pub fn check(self, check: fn(&str) -> Result<(), String>) -> Self {
        self.last(|key| key.rules.push(Rule::Custom(check)))
    }

    fn last(mut self, change: impl FnOnce(&mut Key)) -> Self {
        if let Some(key) = self.keys.last_mut() {
            change(key);
        }
        self
    }

    /// The keys as the host is told them.
    pub fn describe(&self) -> Vec<ConfigKey> {
        self.keys.iter().map(|key| key.description.clone()).collect()
    }

    /// Checks a configuration. Keys that are not defined are no problem: they may be the host's.
    pub fn problems(&self, config: &[(String, String)]) -> Vec<Problem> {
        let configured = |name: &str| config.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        self.keys.iter().filter_map(|key| key.problem(configured(&key.description.name))).collect()
    }

    /// Checks a configuration and adds the defaults.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with all that is wrong.
    pub fn parse(&self, config: Vec<(String, String)>) -> Result<Config> {
        let problems = self.problems(&config);
        if !problems.is_empty() {
            let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            return Err(Error::invalid_config(messages.join("\n")));
        }
        let defaults = self
            .keys
            .iter()
            .filter_map(|key| key.description.default.clone().map(|default| (key.description.name.clone(), default)));
        Ok(Config::new(TaskConfig::from_iter(config), defaults.collect()))
    }
}

impl Key {
    fn problem(&self, configured: Option<&str>) -> Option<Problem> {
        let key = &self.description;
        let Some(text) = configured.or(key.default.as_deref()) else {
            return key.required.then(|| {
                let message = format!("Missing required configuration \"{}\" which has no default value.", key.name);
                Problem::new(&key.name, message)
            });
        };
        let reason = values::check_type(key.value_type, text)
            .and_then(|()| self.rules.iter().try_for_each(|rule| self.follows(rule, text)))
            .err()?;
        let shown = match key.value_type {
            ValueType::Password => "[hidden]".to_owned(),
            ValueType::List => format!("[{}]", values::split_list(text).collect::<Vec<_>>().join(", ")),
            _ => text.trim().to_owned(),
        };
        Some(Problem::invalid(&key.name, &shown, &reason))
    }

    /// The words are those of the validators in Kafka's ConfigDef.
    fn follows(&self, rule: &Rule, text: &str) -> Result<(), String> {
        let is_list = self.description.value_type == ValueType::List;
        let number = || text.trim().parse::<f64>().unwrap_or(f64::NAN);
        match rule {
            Rule::NotEmpty if is_list && values::split_list(text).next().is_none() => Err("Empty list".to_owned()),
            Rule::NotEmpty if !is_list && text.trim().is_empty() => Err("String must be non-empty".to_owned()),
            Rule::AtLeast(minimum) if number() < *minimum as f64 => Err(format!("Value must be at least {minimum}")),
            Rule::AtMost(maximum) if number() > *maximum as f64 => Err(format!("Value must be no more than {maximum}")),
            Rule::OneOf if !self.description.recommended.iter().any(|value| value == text.trim()) => {
                Err(format!("String must be one of: {}", self.description.recommended.join(", ")))
            }
            Rule::Custom(check) => check(text),
            _ => Ok(()),
        }
    }
}
