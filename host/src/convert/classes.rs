//! The converters by class name.

use std::sync::Arc;

use super::avro::{self, Avro};
use super::binary::{ByteArrayConverter, FixedConverter, Width};
use super::config::{Checked, ConfigError, ConfigKey, Importance, Properties, ValueType};
use super::converter::Converter;
use super::header::SimpleHeaderConverter;
use super::json::{self, JsonConverter};
use super::json_schema::{self, JsonSchema};
use super::protobuf::{self, Protobuf};
use super::registry::Format;
use super::string::{self, StringConverter};
use crate::record::SchemaTable;

/// What a converter is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Record keys.
    Key,
    /// Record values.
    Value,
    /// Header values.
    Header,
}

impl Role {
    /// The configuration key that names the class.
    pub fn config_key(self) -> &'static str {
        match self {
            Role::Key => "key.converter",
            Role::Value => "value.converter",
            Role::Header => "header.converter",
        }
    }

    /// Before the names of the converter's own keys.
    fn prefix(self) -> &'static str {
        match self {
            Role::Key => "key.converter.",
            Role::Value => "value.converter.",
            Role::Header => "header.converter.",
        }
    }
}

/// A kind of converter.
#[derive(Debug, Clone, Copy)]
pub struct ConverterClass {
    /// The JVM class it stands in for.
    pub name: &'static str,
    /// The short names it answers to.
    pub aliases: &'static [&'static str],
    /// Whether it converts keys and values.
    pub converts_records: bool,
    /// Whether it converts header values.
    pub converts_headers: bool,
    /// Its configuration keys besides [`CONVERTER_TYPE`].
    pub keys: &'static [ConfigKey],
    make: fn(&Setting<'_>) -> Result<Box<dyn Converter>, ConfigError>,
}

/// What a converter is made from.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Its own properties.
    pub properties: &'a Properties,
    /// What the converter is for.
    pub role: Role,
    /// Where they stand in the configuration.
    pub prefix: &'a str,
    /// Whether the connector skips records that cannot be converted (`errors.tolerance` is `all`).
    pub tolerates_errors: bool,
    /// The worker's configuration.
    pub worker: &'a [(String, String)],
    /// The task's schemas.
    pub schemas: &'a Arc<SchemaTable>,
}

impl Setting<'_> {
    /// An error about one of the properties.
    pub fn error(&self, key: &str, message: String) -> ConfigError {
        ConfigError { key: format!("{}{key}", self.prefix), message }
    }
}

/// The key that all of Kafka's converters share; the worker sets it.
pub const CONVERTER_TYPE: ConfigKey = ConfigKey {
    name: "converter.type",
    value_type: ValueType::String,
    default: None,
    required: true,
    allowed: &["key", "value", "header"],
    any_case: false,
    importance: Importance::Low,
    documentation: "What the converter is used for. Set by the worker.",
    group: None,
    order: -1,
    width: super::config::Width::None,
    display_name: "converter.type",
};

/// Every converter that there is.
pub const CLASSES: &[ConverterClass] = &[
    ConverterClass {
        name: "io.confluent.connect.avro.AvroConverter",
        aliases: &["AvroConverter", "Avro"],
        converts_records: true,
        converts_headers: false,
        keys: &avro::KEYS,
        make: Avro::make,
    },
    ConverterClass {
        name: "io.confluent.connect.json.JsonSchemaConverter",
        aliases: &["JsonSchemaConverter", "JsonSchema"],
        converts_records: true,
        converts_headers: false,
        keys: &json_schema::KEYS,
        make: JsonSchema::make,
    },
    ConverterClass {
        name: "io.confluent.connect.protobuf.ProtobufConverter",
        aliases: &["ProtobufConverter", "Protobuf"],
        converts_records: true,
        converts_headers: false,
        keys: &protobuf::KEYS,
        make: Protobuf::make,
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.BooleanConverter",
        aliases: &["BooleanConverter", "Boolean"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Boolean, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.ByteArrayConverter",
        aliases: &["ByteArrayConverter", "ByteArray"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: ByteArrayConverter::make,
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.DoubleConverter",
        aliases: &["DoubleConverter", "Double"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Double, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.FloatConverter",
        aliases: &["FloatConverter", "Float"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Float, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.IntegerConverter",
        aliases: &["IntegerConverter", "Integer"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Integer, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.LongConverter",
        aliases: &["LongConverter", "Long"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Long, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.converters.ShortConverter",
        aliases: &["ShortConverter", "Short"],
        converts_records: true,
        converts_headers: true,
        keys: &[],
        make: |setting| FixedConverter::make(Width::Short, setting),
    },
    ConverterClass {
        name: "org.apache.kafka.connect.json.JsonConverter",
        aliases: &["JsonConverter", "Json"],
        converts_records: true,
        converts_headers: true,
        keys: json::KEYS,
        make: JsonConverter::make,
    },
    ConverterClass {
        name: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        aliases: &["SimpleHeaderConverter", "Simple"],
        converts_records: false,
        converts_headers: true,
        keys: &[],
        make: SimpleHeaderConverter::make,
    },
    ConverterClass {
        name: "org.apache.kafka.connect.storage.StringConverter",
        aliases: &["StringConverter", "String"],
        converts_records: true,
        converts_headers: true,
        keys: string::KEYS,
        make: StringConverter::make,
    },
];

/// The converter that a configuration names, by its class or a short name.
pub fn find_class(name: &str) -> Option<&'static ConverterClass> {
    CLASSES.iter().find(|class| class.name == name || class.aliases.contains(&name))
}

/// The schema language of a converter with a registry, apart from any registry: for those who have the schemas at hand. `properties`
/// are the converter's own; `None` if no such converter has that name.
///
/// # Errors
/// [`ConfigError`] when a property cannot be.
pub fn format(name: &str, properties: &Properties) -> Option<Result<Box<dyn Format>, ConfigError>> {
    let class = find_class(name)?;
    let make: fn(&Checked<'_>) -> Box<dyn Format> = match class.name {
        "io.confluent.connect.avro.AvroConverter" => |config| Box::new(Avro::new(config)),
        "io.confluent.connect.json.JsonSchemaConverter" => |config| Box::new(JsonSchema::new(config)),
        "io.confluent.connect.protobuf.ProtobufConverter" => |config| Box::new(Protobuf::new(config)),
        _ => return None,
    };
    Some(Checked::new(class.keys, properties, "").map(|config| make(&config)))
}

/// The converter for `role`, from the connector's configuration if it names one, else from the worker's.
pub(super) fn converter(
    role: Role,
    connector: &[(String, String)],
    worker: &[(String, String)],
    schemas: &Arc<SchemaTable>,
) -> Result<(&'static str, Box<dyn Converter>), ConfigError> {
    const DEFAULT_HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
    let key = role.config_key();
    let (config, name) = match (get(connector, key), get(worker, key)) {
        (Some(name), _) => (connector, name),
        (None, Some(name)) => (worker, name),
        (None, None) if role == Role::Header => (worker, DEFAULT_HEADER_CONVERTER),
        (None, None) => {
            let message = format!("Missing required configuration \"{key}\" which has no default value.");
            return Err(ConfigError { key: key.to_owned(), message });
        }
    };
    let invalid = |reason: &str| {
        let message = format!("Invalid value {name} for configuration {key}: {reason}");
        ConfigError { key: key.to_owned(), message }
    };
    let class = find_class(name).ok_or_else(|| invalid(&format!("Class {name} could not be found.")))?;
    if role != Role::Header && !class.converts_records {
        return Err(invalid("Class must extend: org.apache.kafka.connect.storage.Converter"));
    }
    if role == Role::Header && !class.converts_headers {
        return Err(invalid("Class must extend: org.apache.kafka.connect.storage.HeaderConverter"));
    }
    let properties = properties(config, role.prefix());
    let setting = Setting {
        properties: &properties,
        role,
        prefix: role.prefix(),
        tolerates_errors: get(connector, "errors.tolerance").is_some_and(|tolerance| tolerance.eq_ignore_ascii_case("all")),
        worker,
        schemas,
    };
    Ok((class.name, (class.make)(&setting)?))
}

fn properties(config: &[(String, String)], prefix: &str) -> Properties {
    let own = |(name, value): &(String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
    config.iter().filter_map(own).collect()
}

fn get<'a>(config: &'a [(String, String)], key: &str) -> Option<&'a str> {
    config.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}
