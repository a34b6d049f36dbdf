//! Keeps secrets out of texts that were made elsewhere: messages of plugins, traces of failed tasks.

use super::config_def::{ConfigDef, HIDDEN, Type};
use crate::sandbox::is_secret_key;

/// The secret values of one connector.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Longest first, so that a secret inside another one does not spoil it.
    values: Vec<String>,
}

impl Secrets {
    /// The given values; empty ones hide nothing.
    pub fn new(values: impl IntoIterator<Item = String>) -> Secrets {
        let mut values: Vec<String> = values.into_iter().filter(|value| !value.trim().is_empty()).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Secrets { values }
    }

    /// What must not be shown of a configuration: values of PASSWORD keys, and values that hold a resolved reference.
    pub fn of(def: &ConfigDef, raw: &[(String, Option<String>)], resolved: &[(String, Option<String>)]) -> Secrets {
        let is_password =
            |name: &str| is_secret_key(name) || def.keys.iter().any(|key| key.kind == Type::Password && key.name == name);
        let from_provider =
            |name: &str, value: &str| !raw.iter().any(|(key, given)| key == name && given.as_deref() == Some(value));
        Secrets::new(
            resolved
                .iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?)))
                .filter(|(name, value)| is_password(name) || from_provider(name, value))
                .map(|(_, value)| value.clone()),
        )
    }

    /// These and more.
    pub fn and(self, more: impl IntoIterator<Item = String>) -> Secrets {
        Secrets::new(self.values.into_iter().chain(more))
    }

    /// `text` with every secret replaced.
    pub fn hide(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), HIDDEN),
            false => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_longest_first() {
        let secrets = Secrets::new(["pw".to_owned(), "pw-long".to_owned(), String::new()]);
        assert_eq!(secrets.hide("cannot log in with pw-long, nor pw"), "cannot log in with [hidden], nor [hidden]");
        assert_eq!(Secrets::default().hide("nothing to hide"), "nothing to hide");
    }
}
