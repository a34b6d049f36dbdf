use crate::convert::config::{Checked, ConfigKey, Importance, ValueType};
use crate::convert::registry::keys::{COMMON_COUNT, with_common};

const ENHANCED: &str = "enhanced.avro.schema.support";
const CONNECT_META_DATA: &str = "connect.meta.data";
const SCRUB: &str = "scrub.invalid.names";
const DISCARD_DOC: &str = "discard.type.doc.default";
const OPTIONAL_MAP_KEYS: &str = "allow.optional.map.keys";
const FLATTEN: &str = "flatten.singleton.unions";
const GENERALIZED: &str = "generalized.sum.type.support";
const IGNORE_DEFAULT: &str = "ignore.default.for.nullables";

const fn flag(name: &'static str, default: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Boolean, Some(default), Importance::Medium, documentation)
}

const OWN: [ConfigKey; 8] = [
    flag(ENHANCED, "false", "Whether enums are written as enums, and names in unions have their namespace."),
    flag(CONNECT_META_DATA, "true", "Whether Connect's names, versions, parameters and the like stand in Avro schemas."),
    flag(SCRUB, "false", "Whether characters that Avro forbids in names are replaced by underscores."),
    flag(DISCARD_DOC, "false", "Whether documentation of types is left to connect.doc alone."),
    flag(OPTIONAL_MAP_KEYS, "false", "Whether maps with optional text keys are written as Avro maps."),
    flag(FLATTEN, "true", "Whether a union of one type is that type."),
    flag(GENERALIZED, "false", "Whether unions and enums are named in the way that all formats share."),
    flag(IGNORE_DEFAULT, "false", "Whether a null of an optional field stays one though the field has a default."),
];

/// The converter's keys.
pub const KEYS: [ConfigKey; COMMON_COUNT + OWN.len()] = with_common(OWN);

/// `AvroDataConfig`.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `enhanced.avro.schema.support`
    pub enhanced: bool,
    /// `connect.meta.data`
    pub meta_data: bool,
    /// `scrub.invalid.names`
    pub scrub: bool,
    /// `discard.type.doc.default`
    pub discard_doc: bool,
    /// `allow.optional.map.keys`
    pub optional_map_keys: bool,
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
            enhanced: config.boolean(ENHANCED),
            meta_data: config.boolean(CONNECT_META_DATA),
            scrub: config.boolean(SCRUB),
            discard_doc: config.boolean(DISCARD_DOC),
            optional_map_keys: config.boolean(OPTIONAL_MAP_KEYS),
            flatten: config.boolean(FLATTEN),
            generalized: config.boolean(GENERALIZED),
            ignore_default: config.boolean(IGNORE_DEFAULT),
        }
    }
}
