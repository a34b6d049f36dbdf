//! `JsonSchemaConverter`: JSON under JSON Schemas of a registry, mapped as Confluent's `JsonSchemaData` does.

mod data;
mod from_connect;
mod options;
#[cfg(test)]
mod tests;
mod to_connect;

pub use options::KEYS;

use super::ConvertError;
use super::classes::Setting;
use super::config::{Checked, ConfigError};
use super::converter::{Converter, Decoded};
use super::data::conform::conforms;
use super::data::json::{Node, write_string};
use super::data::read::Reader;
use super::data::write::{base64, write_json};
use super::data::{Schema, Value};
use super::payload::{Schemas, node, utf8};
use super::registry::{Format, Reading, Registered, RegistryConverter, SchemaText, Writing};
use crate::record::{SCHEMA_BYTES, SCHEMA_TEXT, SchemaId};
use options::{FAIL_INVALID, Options};

const NAMESPACE: &str = "io.confluent.connect.json";
const ENUM: &str = "io.confluent.connect.json.Enum";
const ONE_OF: &str = "io.confluent.connect.json.OneOf";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";

fn has_parameter(schema: &Schema, name: &str) -> bool {
    schema.parameters.iter().flatten().any(|(known, _)| known == name)
}

fn is_union(schema: &Schema) -> bool {
    schema.name.as_deref() == Some(ONE_OF) || has_parameter(schema, GENERALIZED_UNION)
}

fn is_enum(schema: &Schema) -> bool {
    has_parameter(schema, ENUM) || has_parameter(schema, GENERALIZED_ENUM)
}

/// JSON Schema.
pub struct JsonSchema {
    options: Options,
}

impl JsonSchema {
    /// The format with its own keys.
    pub fn new(config: &Checked<'_>) -> Self {
        JsonSchema { options: Options::new(config) }
    }

    /// Makes a converter.
    ///
    /// # Errors
    /// [`ConfigError`] when a property cannot be.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        if setting.properties.get(FAIL_INVALID).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            let message = "data is not validated beyond the types of its schema; leave it out, or set it to false";
            return Err(setting.error(FAIL_INVALID, format!("{}{FAIL_INVALID}: {message}", setting.prefix)));
        }
        RegistryConverter::make(&KEYS, setting, JsonSchema::new)
    }
}

impl Format for JsonSchema {
    fn schema_type(&self) -> &'static str {
        "JSON"
    }

    fn title(&self) -> &'static str {
        "JSON Schema"
    }

    fn record_name(&self, schema: &SchemaText) -> Result<Option<String>, ConvertError> {
        let json: Option<serde_json::Value> = serde_json::from_str(&schema.text).ok();
        Ok(json.and_then(|json| Some(json.get("title")?.as_str()?.to_owned())))
    }

    fn reader(&self, schema: &Registered, schemas: &mut Schemas) -> Result<Box<dyn Reading>, ConvertError> {
        let schema = to_connect::connect_schema(&schema.schema, self.options, schema.version)?;
        let id = schemas.put(&schema)?;
        Ok(Box::new(JsonReading { id, is_plain: data::is_plain(&schema, false), schema }))
    }

    fn draft(&self, schema: Option<&Schema>) -> Result<SchemaText, ConvertError> {
        let missing =
            "A record without a schema cannot be written with JsonSchemaConverter; use JsonConverter with schemas.enable=false";
        let schema = schema.ok_or_else(|| ConvertError::data(missing))?;
        Ok(SchemaText { text: from_connect::json_schema(schema, self.options).to_string(), references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Schema>, _: &Registered, _: bool) -> Result<Box<dyn Writing>, ConvertError> {
        let schema = schema.ok_or_else(|| ConvertError::data("A record without a schema cannot be written under one"))?;
        let is_plain = data::is_plain(schema, self.options.numeric);
        Ok(Box::new(JsonWriting { schema: schema.clone(), is_plain, options: self.options }))
    }
}

struct JsonReading {
    id: SchemaId,
    schema: Schema,
    is_plain: bool,
}

impl Reading for JsonReading {
    fn decode(&mut self, bytes: &[u8], _: &mut Schemas, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let malformed = || ConvertError::data("Error deserializing JSON message: it is malformed");
        let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
        if self.is_plain && text != "null" && conforms(&self.schema, text, true) {
            out.extend_from_slice(bytes);
            return Ok(Decoded::Payload(self.id));
        }
        let node = Node::parse(text).ok_or_else(malformed)?;
        let value = data::read(&self.schema, Some(&node))?;
        if value == Value::Null {
            return Ok(Decoded::Null(self.id));
        }
        write_json(Some(&self.schema), &value, false, out);
        Ok(Decoded::Payload(self.id))
    }
}

struct JsonWriting {
    schema: Schema,
    is_plain: bool,
    options: Options,
}

impl Writing for JsonWriting {
    fn encode(&mut self, id: SchemaId, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let replace = !self.options.ignore_default;
        let Some(payload) = payload else {
            return Ok(match (&self.schema.default, self.schema.optional) {
                (Some(default), _) if replace => {
                    data::write(&self.schema, default, self.options.numeric, out);
                    true
                }
                (_, true) => {
                    out.extend_from_slice(b"null");
                    true
                }
                _ => false,
            });
        };
        match id {
            SCHEMA_BYTES => base64(payload, out),
            SCHEMA_TEXT => write_string(utf8(payload)?, out),
            _ => {
                let text = utf8(payload)?;
                if self.is_plain && conforms(&self.schema, text, replace) {
                    out.extend_from_slice(payload);
                } else {
                    let value = data::given(&Reader::of_plugin(replace), &self.schema, &node(payload)?)?;
                    data::write(&self.schema, &value, self.options.numeric, out);
                }
            }
        }
        Ok(true)
    }
}
