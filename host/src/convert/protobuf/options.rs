use crate::convert::config::{Checked, ConfigKey, Importance, ValueType};
use crate::convert::registry::keys::{COMMON_COUNT, with_common};

const ENHANCED: &str = "enhanced.protobuf.schema.support";
const SCRUB: &str = "scrub.invalid.names";
const INT_FOR_ENUMS: &str = "int.for.enums";
const OPTIONAL: &str = "optional.for.nullables";
const OPTIONAL_PROTO2: &str = "optional.for.proto2";
const WRAPPER: &str = "wrapper.for.nullables";
const WRAPPER_RAW: &str = "wrapper.for.raw.primitives";
const STRUCT_FOR_NULLS: &str = "generate.struct.for.nulls";
const INDEX_FOR_UNIONS: &str = "generate.index.for.unions";
const FLATTEN_UNIONS: &str = "flatten.unions";
const GENERALIZED: &str = "generalized.sum.type.support";
const IGNORE_DEFAULT: &str = "ignore.default.for.nullables";

const fn flag(name: &'static str, default: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::plain(name, ValueType::Boolean, Some(default), Importance::Medium, documentation)
}

const OWN: [ConfigKey; 12] = [
    flag(ENHANCED, "false", "Whether names of structs have their package."),
    flag(SCRUB, "false", "Whether characters that Protobuf forbids in names are replaced by underscores."),
    flag(INT_FOR_ENUMS, "false", "Whether enums are numbers in Connect; else they are text."),
    flag(OPTIONAL, "false", "Whether optional fields are marked optional in Protobuf, and only those are optional in Connect."),
    flag(OPTIONAL_PROTO2, "true", "Whether that holds for the optional fields of proto2 too."),
    flag(WRAPPER, "false", "Whether optional scalars are wrapped in google.protobuf.StringValue and the like."),
    flag(WRAPPER_RAW, "true", "Whether a message that is such a wrapper is a scalar in Connect."),
    flag(STRUCT_FOR_NULLS, "false", "Whether a message that is missing is read as a struct of defaults."),
    flag(INDEX_FOR_UNIONS, "true", "Whether the field of a oneof has the oneof's number behind its name."),
    flag(FLATTEN_UNIONS, "false", "Whether the fields of a oneof are fields of the struct itself."),
    flag(GENERALIZED, "false", "Whether unions and enums are named in the way that all formats share."),
    flag(IGNORE_DEFAULT, "false", "Whether a null of an optional field stays one though the field has a default."),
];

/// The converter's keys.
pub const KEYS: [ConfigKey; COMMON_COUNT + OWN.len()] = with_common(OWN);

/// `ProtobufDataConfig`.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `enhanced.protobuf.schema.support`
    pub enhanced: bool,
    /// `scrub.invalid.names`
    pub scrub: bool,
    /// `int.for.enums`
    pub int_for_enums: bool,
    /// `optional.for.nullables`
    pub optional: bool,
    /// `optional.for.proto2`
    pub optional_proto2: bool,
    /// `wrapper.for.nullables`
    pub wrapper: bool,
    /// `wrapper.for.raw.primitives`
    pub wrapper_raw: bool,
    /// `generate.struct.for.nulls`
    pub struct_for_nulls: bool,
    /// `generate.index.for.unions`
    pub index_for_unions: bool,
    /// `flatten.unions`
    pub flatten_unions: bool,
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
            scrub: config.boolean(SCRUB),
            int_for_enums: config.boolean(INT_FOR_ENUMS),
            optional: config.boolean(OPTIONAL),
            optional_proto2: config.boolean(OPTIONAL_PROTO2),
            wrapper: config.boolean(WRAPPER),
            wrapper_raw: config.boolean(WRAPPER_RAW),
            struct_for_nulls: config.boolean(STRUCT_FOR_NULLS),
            index_for_unions: config.boolean(INDEX_FOR_UNIONS),
            flatten_unions: config.boolean(FLATTEN_UNIONS),
            generalized: config.boolean(GENERALIZED),
            ignore_default: config.boolean(IGNORE_DEFAULT),
        }
    }
}
