//! Definitions of configuration keys, and how a configuration is checked against them: the rules and the
//! wording of Kafka's `ConfigDef`.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::model::{ConfigKeyInfo, ConfigValueInfo};

/// What stands in for a value that nobody may see.
pub const HIDDEN: &str = "[hidden]";

/// Most bytes of a connector's name: with all of them escaped it still fits into the URLs that servers and proxies take.
pub const MAX_NAME_BYTES: usize = 2048;

/// Most aliases of one kind in a connector: each brings keys and checks of its own.
pub const MAX_ALIASES: usize = 500;

/// Type of a key's value. On the wire every value is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Type {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    /// Comma-separated; white space around the commas does not count.
    List,
    Class,
    /// Never shown: answers and messages hold [`HIDDEN`] instead.
    Password,
}

/// How much a key matters, for user interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// How wide a field a user interface should offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

/// What a key is when the configuration does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Default {
    /// It must be given.
    Required,
    /// It has this value; `None` is null.
    Value(Option<String>),
}

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

impl Value {
    /// As the validate answer shows it.
    fn shown(&self) -> String {
        match self {
            Value::List(items) => items.join(","),
            other => other.to_string(),
        }
    }
}

/// As messages show it: lists the way Java prints them.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::Text(value) => f.write_str(value),
            Value::List(items) => write!(f, "[{}]", items.join(", ")),
        }
    }
}

/// Finds a class by the name that a user gave it.
pub type ClassLookup = Arc<dyn Fn(&str) -> Lookup + Send + Sync>;

/// What there is under the name of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The class of this full name.
    Found(String),
    /// The class of this full name, which is of another kind than this.
    OfOtherKind(String, &'static str),
    /// Nothing.
    Missing,
}

/// A rule that knows more than the other validators; the error is the whole message.
pub type Check = Arc<dyn Fn(&str, Option<&Value>) -> Result<(), String> + Send + Sync>;

/// What a value has to fulfil besides its type.
#[derive(Clone)]
pub enum Validator {
    /// At least this number, and not null.
    AtLeast(i64),
    /// At least this number, or null.
    AtLeastOrNull(i64),
    /// One of these strings.
    OneOf(Vec<String>),
    /// One of these strings, or null.
    OneOfOrNull(Vec<String>),
    /// One of these strings in any case.
    OneOfIgnoringCase(Vec<String>),
    /// A string with something in it; null is let through.
    NonEmpty,
    /// A connector's name: not empty, not longer than [`MAX_NAME_BYTES`], without control characters; null is let through.
    Name,
    /// A list of at most [`MAX_ALIASES`] without duplicates, and not null.
    UniqueAliases,
    /// A list without duplicates and empty elements, and not null (KIP-1161).
    DistinctItems,
    /// A regular expression; null and empty are let through.
    Regex,
    /// Any other rule.
    Check(Check),
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Validator::AtLeast(_) => "AtLeast",
            Validator::AtLeastOrNull(_) => "AtLeastOrNull",
            Validator::OneOf(_) => "OneOf",
            Validator::OneOfOrNull(_) => "OneOfOrNull",
            Validator::OneOfIgnoringCase(_) => "OneOfIgnoringCase",
            Validator::NonEmpty => "NonEmpty",
            Validator::Name => "Name",
            Validator::UniqueAliases => "UniqueAliases",
            Validator::DistinctItems => "DistinctItems",
            Validator::Regex => "Regex",
            Validator::Check(_) => "Check",
        })
    }
}

impl Validator {
    /// The message of the rule that `value` breaks. `shown` is how the message may show the value.
    fn check(&self, key: &str, value: Option<&Value>, shown: &str) -> Result<(), String> {
        let invalid = |reason: &str| Err(invalid_value(key, shown, reason));
        let text = match value {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        match (self, value) {
            (Validator::OneOfOrNull(_), None) => Ok(()),
            (Validator::AtLeast(_), None) => invalid("Value must be non-null"),
            (Validator::AtLeast(least) | Validator::AtLeastOrNull(least), Some(Value::Integer(number))) if number < least => {
                invalid(&format!("Value must be at least {least}"))
            }
            (Validator::OneOf(choices) | Validator::OneOfOrNull(choices), _)
                if !choices.iter().any(|choice| Some(choice.as_str()) == text) =>
            {
                invalid(&format!("String must be one of: {}", choices.join(", ")))
            }
            (Validator::OneOfIgnoringCase(choices), _)
                if !choices.iter().any(|choice| text.is_some_and(|text| choice.eq_ignore_ascii_case(text))) =>
            {
                invalid(&format!("String must be one of (case insensitive): {}", choices.join(", ")))
            }
            (Validator::NonEmpty, _) if text == Some("") => invalid("String must be non-empty"),
            (Validator::Name, _) if text == Some("") => invalid("String may not be empty"),
            (Validator::Name, _) if text.is_some_and(|text| text.len() > MAX_NAME_BYTES) => {
                Err(format!("Invalid value for configuration {key}: String may have at most {MAX_NAME_BYTES} bytes"))
            }
            (Validator::Name, _) => match text.map(control_characters) {
                Some(found) if !found.is_empty() => invalid(&format!(
                    "String may not contain control sequences but had the following ASCII chars: {}",
                    found.join(", ")
                )),
                _ => Ok(()),
            },
            (Validator::UniqueAliases, None) => invalid("entry must be non null"),
            (Validator::UniqueAliases, Some(Value::List(items))) if items.len() > MAX_ALIASES => {
                Err(format!("Configuration '{key}' may have at most {MAX_ALIASES} aliases."))
            }
            (Validator::UniqueAliases, Some(Value::List(items))) if has_duplicate(items) => invalid("Duplicate alias provided."),
            (Validator::DistinctItems, None) => Err(format!("Configuration '{key}' values must not be null.")),
            (Validator::DistinctItems, Some(Value::List(items))) if items.iter().any(String::is_empty) => {
                Err(format!("Configuration '{key}' values must not be empty."))
            }
            (Validator::DistinctItems, Some(Value::List(items))) if has_duplicate(items) => {
                Err(format!("Configuration '{key}' values must not be duplicated."))
            }
            (Validator::Regex, _) => match text.map(regex::Regex::new) {
                Some(Err(_)) => invalid(&format!("Invalid regex: {shown}")),
                _ => Ok(()),
            },
            (Validator::Check(check), value) => check(key, value),
            _ => Ok(()),
        }
    }
}

fn control_characters(text: &str) -> Vec<String> {
    text.chars().filter(|c| c.is_control()).map(|c| u32::from(c).to_string()).collect()
}

fn has_duplicate(items: &[String]) -> bool {
    items.iter().enumerate().any(|(index, item)| items.iter().take(index).any(|earlier| earlier == item))
}

/// The text of Kafka's `ConfigException` for a value.
pub fn invalid_value(key: &str, shown: &str, reason: &str) -> String {
    format!("Invalid value {shown} for configuration {key}: {reason}")
}

/// One key of a configuration.
#[derive(Clone)]
pub struct ConfigKey {
    /// Its name.
    pub name: String,
    /// Type of its value.
    pub kind: Type,
    /// What it is when absent.
    pub default: Default,
    /// Rules for its value, in the order in which they are checked; the first that fails speaks.
    pub validator: Option<Validator>,
    /// How much it matters.
    pub importance: Importance,
    /// What it does.
    pub documentation: String,
    /// Heading under which it is shown.
    pub group: Option<String>,
    /// Place in the group; -1: none.
    pub order: i32,
    /// Width of its field.
    pub width: Width,
    /// Its name for people.
    pub display_name: String,
    /// Keys whose meaning depends on it.
    pub dependents: Vec<String>,
    /// Values to choose from.
    pub recommended: Vec<String>,
    /// How a value of type [`Type::Class`] is found; `None`: any text will do.
    pub lookup: Option<ClassLookup>,
}

impl ConfigKey {
    /// A key without group, width or validator.
    pub fn new(name: &str, kind: Type, default: Default, importance: Importance, documentation: &str) -> ConfigKey {
        ConfigKey {
            name: name.to_owned(),
            kind,
            default,
            validator: None,
            importance,
            documentation: documentation.to_owned(),
            group: None,
            order: -1,
            width: Width::None,
            display_name: name.to_owned(),
            dependents: Vec::new(),
            recommended: Vec::new(),
            lookup: None,
        }
    }

    /// Places the key in a group.
    pub fn group(mut self, group: &str, order: i32, width: Width, display_name: &str) -> ConfigKey {
        self.group = Some(group.to_owned());
        self.order = order;
        self.width = width;
        self.display_name = display_name.to_owned();
        self
    }

    /// Sets the rule for its value.
    pub fn validator(mut self, validator: Validator) -> ConfigKey {
        self.validator = Some(validator);
        self
    }

    /// Sets how its class is found.
    pub fn lookup(mut self, lookup: ClassLookup) -> ConfigKey {
        self.lookup = Some(lookup);
        self
    }

    /// Sets the values to choose from.
    pub fn recommended(mut self, recommended: Vec<String>) -> ConfigKey {
        self.recommended = recommended;
        self
    }

    /// The key under a prefix, in a group of its own: Kafka's `ConfigDef.embed`.
    fn embedded(mut self, prefix: &str, group: &str, order: i32) -> ConfigKey {
        self.name.insert_str(0, prefix);
        self.group = Some(match &self.group {
            Some(own) => format!("{group}: {own}"),
            None => group.to_owned(),
        });
        self.order = order;
        for dependent in &mut self.dependents {
            dependent.insert_str(0, prefix);
        }
        self
    }

    /// The key as answers show it.
    pub fn info(&self) -> ConfigKeyInfo {
        ConfigKeyInfo {
            name: self.name.clone(),
            kind: self.kind,
            required: self.default == Default::Required,
            default_value: match &self.default {
                Default::Value(Some(_)) if self.kind == Type::Password => Some(HIDDEN.to_owned()),
                Default::Value(value) => value.clone(),
                Default::Required => None,
            },
            importance: self.importance,
            documentation: self.documentation.clone(),
            group: self.group.clone(),
            width: self.width,
            display_name: self.display_name.clone(),
            dependents: self.dependents.clone(),
            order_in_group: self.order,
            order: self.order,
        }
    }

    /// Parses `raw`; the error is the reason alone.
    fn parse(&self, raw: &str) -> Result<Value, String> {
        let text = raw.trim();
        let number = |name: &str, least: i64, most: i64| match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Value::Integer(number)),
            _ => Err(format!("Not a number of type {name}")),
        };
        match self.kind {
            Type::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Type::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Type::Boolean => Err("Expected value to be either true or false".to_owned()),
            Type::Int => number("INT", i32::MIN.into(), i32::MAX.into()),
            Type::Short => number("SHORT", i16::MIN.into(), i16::MAX.into()),
            Type::Long => number("LONG", i64::MIN, i64::MAX),
            Type::Double => text.parse().map(Value::Double).map_err(|_| "Not a number of type DOUBLE".to_owned()),
            Type::List => Ok(Value::List(split_list(text))),
            Type::Class => match &self.lookup {
                None => Ok(Value::Text(text.to_owned())),
                Some(lookup) => match lookup(text) {
                    Lookup::Found(name) | Lookup::OfOtherKind(name, _) => Ok(Value::Text(name)),
                    Lookup::Missing => Err(format!("Class {text} could not be found.")),
                },
            },
            Type::String | Type::Password => Ok(Value::Text(text.to_owned())),
        }
    }

    /// Checks the key against a configuration. With `hidden`, no message holds the value.
    fn check(&self, given: Option<Option<&str>>, hidden: bool) -> ConfigValue {
        let hidden = hidden || self.kind == Type::Password;
        let mut errors = Vec::new();
        let shown = |text: String| if hidden { HIDDEN.to_owned() } else { text };
        let value = match (given, &self.default) {
            (None, Default::Required) => {
                errors.push(format!("Missing required configuration \"{}\" which has no default value.", self.name));
                None
            }
            (Some(None), _) | (None, Default::Value(None)) => None,
            (Some(Some(raw)), _) => {
                self.parse(raw).map_err(|reason| errors.push(invalid_value(&self.name, &shown(raw.to_owned()), &reason))).ok()
            }
            (None, Default::Value(Some(default))) => self.parse(default).ok(),
        };
        if let (Some(lookup), Some(Value::Text(name))) = (&self.lookup, &value)
            && let Lookup::OfOtherKind(name, wanted) = lookup(name)
        {
            errors.push(format!("Class class {} does not implement the {wanted} interface", shown(name)));
        }
        if let Some(validator) = &self.validator {
            let text = value.as_ref().map_or_else(|| "null".to_owned(), |value| shown(value.to_string()));
            if let Err(message) = validator.check(&self.name, value.as_ref(), &text) {
                errors.push(message);
            }
        }
        ConfigValue {
            name: self.name.clone(),
            value: value.as_ref().map(|value| shown(value.shown())),
            parsed: value,
            recommended: self.recommended.clone(),
            errors,
            visible: true,
        }
    }
}

/// Splits a LIST value: `""` has no element, `"a,,b"` an empty one.
pub fn split_list(text: &str) -> Vec<String> {
    match text.trim() {
        "" => Vec::new(),
        text => text.split(',').map(|item| item.trim().to_owned()).collect(),
    }
}

/// A key's state in a configuration that was checked.
#[derive(Clone, Debug)]
pub struct ConfigValue {
    /// The key.
    pub name: String,
    /// The value as it may be shown; `None`: null, or not to be parsed.
    pub value: Option<String>,
    /// The value itself.
    pub parsed: Option<Value>,
    /// Values to choose from.
    pub recommended: Vec<String>,
    /// What is wrong with it.
    pub errors: Vec<String>,
    /// Whether a user interface should show it.
    pub visible: bool,
}

impl ConfigValue {
    /// A value of a key that has no definition.
    pub fn undefined(name: &str) -> ConfigValue {
        ConfigValue {
            name: name.to_owned(),
            value: None,
            parsed: None,
            recommended: Vec::new(),
            errors: Vec::new(),
            visible: true,
        }
    }

    /// The value as answers show it.
    pub fn info(&self) -> ConfigValueInfo {
        ConfigValueInfo {
            name: self.name.clone(),
            value: self.value.clone(),
            recommended_values: self.recommended.clone(),
            errors: self.errors.clone(),
            visible: self.visible,
        }
    }
}

/// A configuration that is being checked: its values with references resolved, in the order given.
pub struct Checked<'a> {
    /// As deployed, with `${provider:path:key}` references.
    pub raw: &'a [(String, Option<String>)],
    /// The same keys with the references resolved.
    pub resolved: &'a [(String, Option<String>)],
}

impl Checked<'_> {
    /// The resolved value: `None` if the key is absent, `Some(None)` if it is null.
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        find(self.resolved, key)
    }

    /// The resolved value of a key that is there and not null.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).flatten()
    }

    /// Whether the value came from a config provider, so that it may not be shown.
    pub fn is_secret(&self, key: &str) -> bool {
        find(self.raw, key) != find(self.resolved, key)
    }
}

fn find<'a>(config: &'a [(String, Option<String>)], key: &str) -> Option<Option<&'a str>> {
    config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_deref())
}

/// A set of keys in the order in which they were defined.
#[derive(Clone, Default)]
pub struct ConfigDef {
    /// The keys; no two have the same name.
    pub keys: Vec<ConfigKey>,
}

impl ConfigDef {
    /// Adds a key, or replaces the key of the same name in its place.
    pub fn define(&mut self, key: ConfigKey) {
        match self.keys.iter_mut().find(|known| known.name == key.name) {
            Some(known) => *known = key,
            None => self.keys.push(key),
        }
    }

    /// Adds the keys of another under a prefix, in a group of their own, where they are numbered from `first` on in the order of
    /// Kafka's `ConfigDef.sortedConfigs`.
    pub fn embed(&mut self, prefix: &str, group: &str, first: i32, mut child: ConfigDef) {
        let groups = child.groups();
        child.keys.sort_by(|one, other| {
            let rank = |key: &ConfigKey| {
                let place = key.group.as_ref().and_then(|group| groups.iter().position(|known| known == group));
                (place, key.order, key.default != Default::Required, key.importance)
            };
            rank(one).cmp(&rank(other)).then_with(|| one.name.cmp(&other.name))
        });
        for (order, key) in (first..).zip(child.keys) {
            self.define(key.embedded(prefix, group, order));
        }
    }

    /// Whether it has the key.
    pub fn contains(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The groups of its keys, in the order of their first key.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        for group in self.keys.iter().filter_map(|key| key.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        groups
    }

    /// Checks every key: Kafka's `ConfigDef.validateAll`.
    pub fn validate(&self, config: &Checked<'_>) -> Vec<ConfigValue> {
        self.keys
            .iter()
            .map(|key| {
                let secret = config.is_secret(&key.name);
                let mut value = key.check(config.get(&key.name), secret);
                if secret && key.kind != Type::Password {
                    value.value = find(config.raw, &key.name).flatten().map(str::to_owned);
                }
                value
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Type, validator: Option<Validator>, given: Option<Option<&str>>, value: Option<&str>, errors: &[&str]) {
        let mut key = ConfigKey::new("k", kind, Default::Required, Importance::High, "");
        key.validator = validator;
        let checked = key.check(given, false);
        assert_eq!(checked.value.as_deref(), value, "{kind:?} {given:?}");
        assert_eq!(checked.errors, errors, "{kind:?} {given:?}");
    }

    #[test]
    fn values_are_parsed_and_refused_in_kafkas_words() {
        let missing = "Missing required configuration \"k\" which has no default value.";
        check(Type::Int, None, None, None, &[missing]);
        check(Type::Int, None, Some(Some(" 7 ")), Some("7"), &[]);
        check(
            Type::Int,
            None,
            Some(Some("2147483648")),
            None,
            &["Invalid value 2147483648 for configuration k: Not a number of type INT"],
        );
        check(
            Type::Int,
            Some(Validator::AtLeast(1)),
            Some(Some("x")),
            None,
            &[
                "Invalid value x for configuration k: Not a number of type INT",
                "Invalid value null for configuration k: Value must be non-null",
            ],
        );
        check(
            Type::Int,
            Some(Validator::AtLeast(1)),
            Some(Some("0")),
            Some("0"),
            &["Invalid value 0 for configuration k: Value must be at least 1"],
        );
        check(Type::Long, Some(Validator::AtLeastOrNull(0)), Some(None), None, &[]);
        check(Type::Double, None, Some(Some("1")), Some("1.0"), &[]);
        check(Type::Boolean, None, Some(Some("TRUE")), Some("true"), &[]);
        check(
            Type::Boolean,
            None,
            Some(Some("yes")),
            None,
            &["Invalid value yes for configuration k: Expected value to be either true or false"],
        );
        check(Type::List, None, Some(Some("a , b,,c")), Some("a,b,,c"), &[]);
        check(
            Type::List,
            Some(Validator::UniqueAliases),
            Some(Some("a, a")),
            Some("a,a"),
            &["Invalid value [a, a] for configuration k: Duplicate alias provided."],
        );
        check(
            Type::String,
            Some(Validator::OneOf(vec!["none".into(), "all".into()])),
            Some(Some("All")),
            Some("All"),
            &["Invalid value All for configuration k: String must be one of: none, all"],
        );
        check(Type::String, Some(Validator::OneOfIgnoringCase(vec!["poll".into()])), Some(Some("POLL")), Some("POLL"), &[]);
        check(
            Type::String,
            Some(Validator::NonEmpty),
            Some(Some("")),
            Some(""),
            &["Invalid value  for configuration k: String must be non-empty"],
        );
        check(
            Type::String,
            Some(Validator::Name),
            Some(Some("a\r\nb")),
            Some("a\r\nb"),
            &[
                "Invalid value a\r\nb for configuration k: String may not contain control sequences but had the following ASCII chars: 13, 10",
            ],
        );
        check(
            Type::String,
            Some(Validator::Regex),
            Some(Some("a(")),
            Some("a("),
            &["Invalid value a( for configuration k: Invalid regex: a("],
        );
        check(Type::Password, None, Some(Some("pw")), Some(HIDDEN), &[]);
    }

    #[test]
    fn a_value_from_a_provider_is_not_shown() {
        let mut def = ConfigDef::default();
        def.define(ConfigKey::new("n", Type::Int, Default::Required, Importance::High, ""));
        let raw = [("n".to_owned(), Some("${env:SECRET}".to_owned()))];
        let resolved = [("n".to_owned(), Some("hunter2".to_owned()))];
        let values = def.validate(&Checked { raw: &raw, resolved: &resolved });
        assert_eq!(values[0].value.as_deref(), Some("${env:SECRET}"));
        assert_eq!(values[0].errors, ["Invalid value [hidden] for configuration n: Not a number of type INT"]);
    }

    #[test]
    fn an_embedded_key_takes_prefix_and_group() {
        let key = ConfigKey::new("predicate", Type::String, Default::Value(None), Importance::Medium, "").embedded(
            "transforms.a.",
            "Transforms: a",
            1,
        );
        assert_eq!(
            (key.name.as_str(), key.group.as_deref(), key.order, key.display_name.as_str()),
            ("transforms.a.predicate", Some("Transforms: a"), 1, "predicate")
        );
    }
}
