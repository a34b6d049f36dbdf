//! What was configured.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bindings::wit::plugin::ValueType;
use crate::errors::{Error, Result};

/// A configuration that was checked, with its defaults.
#[derive(Clone, Default)]
pub struct Config {
    deployed: TaskConfig,
    defaults: BTreeMap<String, String>,
}

impl Config {
    pub(crate) fn new(deployed: TaskConfig, defaults: BTreeMap<String, String>) -> Self {
        Self { deployed, defaults }
    }

    /// The value of a key that is required or has a default: text (`&str`, `String`), `bool`, a number, a
    /// list (`Vec<String>`), or milliseconds (`Duration`).
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] if the key has no value, or none of this type.
    pub fn get<'a, T: FromConfig<'a>>(&'a self, key: &str) -> Result<T> {
        self.find(key)?
            .ok_or_else(|| Error::invalid_config(format!("Missing required configuration \"{key}\" which has no default value.")))
    }

    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] if the value is not of this type.
    pub fn find<'a, T: FromConfig<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.deployed.0.get(key).or_else(|| self.defaults.get(key)) else {
            return Ok(None);
        };
        match T::from_config(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::invalid_config(format!("Invalid value for configuration {key}: {}", T::EXPECTED))),
        }
    }

    /// What was deployed, as a start for the configuration of a task.
    pub fn to_task(&self) -> TaskConfig {
        self.deployed.clone()
    }
}

/// Shows the keys only: a value may be a secret.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.deployed.0.keys().chain(self.defaults.keys())).finish()
    }
}

/// The configuration of one task.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TaskConfig(BTreeMap<String, String>);

impl TaskConfig {
    /// The same with a key set.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The keys and their values, by key.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }
}

impl FromIterator<(String, String)> for TaskConfig {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Shows the keys only: a value may be a secret.
impl std::fmt::Debug for TaskConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a configured text can be read as, by the rules of Kafka's ConfigDef.
pub trait FromConfig<'a>: Sized {
    /// What a text must be, in the words of Kafka.
    const EXPECTED: &'static str;

    /// The value, or None if the text is none.
    fn from_config(text: &'a str) -> Option<Self>;
}

impl<'a> FromConfig<'a> for &'a str {
    const EXPECTED: &'static str = "Expected text";

    fn from_config(text: &'a str) -> Option<Self> {
        Some(text.trim())
    }
}

impl FromConfig<'_> for String {
    const EXPECTED: &'static str = "Expected text";

    fn from_config(text: &str) -> Option<Self> {
        Some(text.trim().to_owned())
    }
}

impl FromConfig<'_> for bool {
    const EXPECTED: &'static str = "Expected value to be either true or false";

    fn from_config(text: &str) -> Option<Self> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($number:ident $expected:literal;)*) => {
        $(impl FromConfig<'_> for $number {
            const EXPECTED: &'static str = $expected;

            fn from_config(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
        })*
    };
}

numbers! {
    i16 "Not a number of type SHORT";
    i32 "Not a number of type INT";
    i64 "Not a number of type LONG";
    u32 "Not a number of type INT, or negative";
    u64 "Not a number of type LONG, or negative";
}

impl FromConfig<'_> for f64 {
    const EXPECTED: &'static str = "Not a number of type DOUBLE";

    fn from_config(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl FromConfig<'_> for Duration {
    const EXPECTED: &'static str = "Not a number of milliseconds";

    fn from_config(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self::from_millis)
    }
}

impl FromConfig<'_> for Vec<String> {
    const EXPECTED: &'static str = "Expected a list";

    fn from_config(text: &str) -> Option<Self> {
        Some(split_list(text).map(str::to_owned).collect())
    }
}

/// The entries of a list: an empty text has none, and white space around commas does not count.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim();
    let entries = if text.is_empty() { None } else { Some(text.split(',').map(str::trim)) };
    entries.into_iter().flatten()
}

/// Whether a text can be read as a key's type; if not, what it must be.
pub fn check_type(value_type: ValueType, text: &str) -> Result<(), String> {
    fn check<T: for<'a> FromConfig<'a>>(text: &str) -> Result<(), String> {
        T::from_config(text).map(|_| ()).ok_or_else(|| T::EXPECTED.to_owned())
    }
    match value_type {
        ValueType::Boolean => check::<bool>(text),
        ValueType::Short => check::<i16>(text),
        ValueType::Int => check::<i32>(text),
        ValueType::Long => check::<i64>(text),
        ValueType::Double => check::<f64>(text),
        ValueType::String | ValueType::List | ValueType::Class | ValueType::Password => Ok(()),
    }
}
