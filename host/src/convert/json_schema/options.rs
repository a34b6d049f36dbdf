use crate::convert::config::{Checked, ConfigKey, Importance, ValueType};
use crate::convert::registry::keys::{COMMON_COUNT, with_common};

const ADDITIONAL: &str = "object.additional.properties";
const NON_REQUIRED: &str = "use.optional.for.nonrequired";
const DECIMAL_FORMAT: &str = "decimal.format";
const FLATTEN: &str = "flatten.singleton.unions";
const GENERALIZED: &str = "generalized.sum.type.support";
const IGNORE_DEFAULT: &str = "ignore.default.for.nullables";
/// Must be false.
pub const FAIL_INVALID: &str = "json.fail.invalid.schema";

const fn flag(name: &'static str, default: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Boolean, Some(default), Importance::Medium, documentation)
}

const OWN: [ConfigKey; 7] = [
    flag(ADDITIONAL, "true", "Whether schemas that are written allow members that they do not name."),
    flag(NON_REQUIRED, "false", "Whether a property that is not among the required ones is optional."),
    ConfigKey {
        allowed: &["BASE64", "NUMERIC"],
        any_case: true,
        ..ConfigKey::plain(
            DECIMAL_FORMAT,
            ValueType::String,
            Some("BASE64"),
            Importance::Low,
            "How decimals are written: as the base64 of their bytes, or as numbers. Both are read.",
        )
    },
    flag(FLATTEN, "true", "Whether a union of one type is that type."),
    flag(GENERALIZED, "false", "Whether unions and enums are named in the way that all formats share."),
    flag(IGNORE_DEFAULT, "false", "Whether a null of an optional field stays one though the field has a default."),
    flag(FAIL_INVALID, "false", "Must be false: data is read and written by its schema's types, and not validated beyond that."),
];

/// The converter's keys.
pub const KEYS: [ConfigKey; COMMON_COUNT + OWN.len()] = with_common(OWN);

/// `JsonSchemaDataConfig`.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `object.additional.properties`
    pub additional: bool,
    /// `use.optional.for.nonrequired`
    pub non_required: bool,
    /// `decimal.format` is `NUMERIC`
    pub numeric: bool,
    /// `flatten.singleton.unions`
    pub flatten: bool,
    /// `generalized.sum.type.support`
    pub generalized: bool,
    /// `ignore.default.for.nullables`
    pub ignore_default: bool,
}

impl Options {
    /// Reads them.
    pub fn new(config: &Checked<'_>) -> Self {
        Options {
            additional: config.boolean(ADDITIONAL),
            non_required: config.boolean(NON_REQUIRED),
            numeric: config.text(DECIMAL_FORMAT).is_some_and(|format| format.eq_ignore_ascii_case("NUMERIC")),
            flatten: config.boolean(FLATTEN),
            generalized: config.boolean(GENERALIZED),
            ignore_default: config.boolean(IGNORE_DEFAULT),
        }
    }
}
