use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A connector's or task's configuration as the user wrote it: nothing added, dropped, sorted or resolved.
///
/// Two configurations are equal when they hold the same keys and values, whatever their order (as Kafka Connect compares
/// them). `Debug` shows keys only, since values may be secrets.
#[derive(Clone, Default)]
pub struct RawConfig(Vec<(String, Option<String>)>);

impl RawConfig {
    /// Keeps the order of `entries`; of a repeated key the last value counts, at the place of the first.
    pub fn new(entries: impl IntoIterator<Item = (String, Option<String>)>) -> RawConfig {
        let mut positions = std::collections::HashMap::new();
        let mut kept: Vec<(String, Option<String>)> = Vec::new();
        for (key, value) in entries {
            match positions.get(&key) {
                Some(&position) => {
                    if let Some(entry) = kept.get_mut::<usize>(position) {
                        entry.1 = value;
                    }
                }
                None => {
                    positions.insert(key.clone(), kept.len());
                    kept.push((key, value));
                }
            }
        }
        RawConfig(kept)
    }

    /// The value of `key`; none if it is missing or null.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).and_then(|(_, value)| value.as_deref())
    }

    /// Whether `key` is there, even with a null value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }

    /// Keys and values in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values in the order in which they were written.
    pub fn into_entries(self) -> Vec<(String, Option<String>)> {
        self.0
    }
}

impl PartialEq for RawConfig {
    fn eq(&self, other: &RawConfig) -> bool {
        fn sorted(config: &RawConfig) -> Vec<(&str, Option<&str>)> {
            let mut entries: Vec<_> = config.iter().collect();
            entries.sort_unstable();
            entries
        }
        self.len() == other.len() && sorted(self) == sorted(other)
    }
}

impl Eq for RawConfig {}

impl fmt::Debug for RawConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl FromIterator<(String, String)> for RawConfig {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> RawConfig {
        RawConfig::new(entries.into_iter().map(|(key, value)| (key, Some(value))))
    }
}

impl Serialize for RawConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Takes a JSON object whose values are strings, null, numbers or booleans (the latter two become text, as in Kafka Connect).
impl<'de> Deserialize<'de> for RawConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawConfig, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of configuration keys and text values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawConfig, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Scalar>()? {
                    entries.push((key, value.0));
                }
                Ok(RawConfig::new(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A value of a configuration.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Bool(bool),
            Number(serde_json::Number),
        }
        let value = Option::<Value>::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("a configuration value must be text, a number, true, false or null"))?;
        Ok(Scalar(value.map(|value| match value {
            Value::Text(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_nulls() {
        let text = r#"{"z":"1","a":null,"m":""}"#;
        let config: RawConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        assert_eq!(config.get("a"), None);
        assert!(config.contains_key("a"));
        assert_eq!(config.get("m"), Some(""));
    }

    #[test]
    fn takes_scalars_only() {
        let check = |text: &str, expect: Option<&str>| {
            let config = serde_json::from_str::<RawConfig>(text).ok();
            assert_eq!(config.map(|c| serde_json::to_string(&c).unwrap()).as_deref(), expect, "{text}");
        };
        check(r#"{"a":1,"b":true,"c":1.50}"#, Some(r#"{"a":"1","b":"true","c":"1.5"}"#));
        check(r#"{"a":"1","b":"2","a":"3"}"#, Some(r#"{"a":"3","b":"2"}"#));
        check(r#"{"a":{}}"#, None);
        check(r#"{"a":[]}"#, None);
        check(r#"[]"#, None);
        check(r#"null"#, None);
    }

    #[test]
    fn is_equal_in_any_order() {
        let parse = |text: &str| serde_json::from_str::<RawConfig>(text).unwrap();
        assert_eq!(parse(r#"{"a":"1","b":null}"#), parse(r#"{"b":null,"a":"1"}"#));
        assert_ne!(parse(r#"{"a":"1","b":null}"#), parse(r#"{"a":"1","b":""}"#));
        assert_ne!(parse(r#"{"a":"1"}"#), parse(r#"{"a":"1","b":null}"#));
    }

    #[test]
    fn never_shows_values() {
        let config = RawConfig::from_iter([("password".to_owned(), "hunter2".to_owned())]);
        assert_eq!(format!("{config:?}"), r#"{"password"}"#);
    }
}
