//! Transforms of the key and of the value: one type, two classes.

use hawser_plugin::prelude::*;

/// Package of the transforms' classes.
pub const TRANSFORMS: &str = "org.apache.kafka.connect.transforms";

/// The side of the record that a transform works on.
pub trait KeyOrValue: 'static {
    /// The side.
    const SIDE: Side;
    /// What it adds to the name of a class.
    const SUFFIX: &'static str;
}

/// The key.
#[derive(Debug)]
pub struct Key;

/// The value.
#[derive(Debug)]
pub struct Value;

impl KeyOrValue for Key {
    const SIDE: Side = Side::Key;
    const SUFFIX: &'static str = "$Key";
}

impl KeyOrValue for Value {
    const SIDE: Side = Side::Value;
    const SUFFIX: &'static str = "$Value";
}

/// The class of a transform that comes for the key and for the value.
pub fn two_sided<S: KeyOrValue>(name: &str) -> ClassInfo {
    ClassInfo::new(format!("{TRANSFORMS}.{name}{}", S::SUFFIX)).alias(format!("{name}{}", S::SUFFIX))
}

/// The class of a transform of the whole record.
pub fn one_sided(name: &str) -> ClassInfo {
    ClassInfo::new(format!("{TRANSFORMS}.{name}")).alias(name)
}

/// The key that says what becomes of a null in a field that has a default (KIP-1040).
pub trait ReplaceNullKey {
    /// Adds it.
    fn replace_null_with_default(self) -> Self;
}

/// Its name.
pub const REPLACE_NULL: &str = "replace.null.with.default";

impl ReplaceNullKey for ConfigDef {
    fn replace_null_with_default(self) -> Self {
        self.boolean(REPLACE_NULL)
            .default_value("true")
            .doc("Whether a null in a field that has a default becomes that default; otherwise it stays null.")
    }
}
