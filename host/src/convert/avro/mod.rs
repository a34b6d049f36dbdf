//! `AvroConverter`: Avro data under schemas of a registry, mapped as Confluent's `AvroData` does.

mod decode;
mod encode;
mod from_connect;
mod options;
mod schema;
#[cfg(test)]
mod tests;
mod to_connect;

pub use from_connect::scrub;
pub use options::KEYS;
pub use to_connect::opening;

use super::ConvertError;
use super::classes::Setting;
use super::config::{Checked, ConfigError};
use super::converter::{Converter, Decoded};
use super::data::json::write_string;
use super::data::read::{Reader, read_schemaless};
use super::data::write::{base64, write_json};
use super::data::{Kind, Schema, Value};
use super::payload::{Schemas, node, utf8};
use super::registry::{Format, Reading, Registered, RegistryConverter, SchemaText, Writing};
use crate::record::{SCHEMA_BYTES, SCHEMA_JSON, SCHEMA_TEXT, SchemaId};
use encode::{Planner, Refusal, Slot};
use options::Options;
use schema::{AvroSchema, Kind as AvroKind};
use to_connect::ToConnect;

const DEFAULT_SPACE: &str = "io.confluent.connect.avro";
const DEFAULT_NAME: &str = "io.confluent.connect.avro.ConnectDefault";
const MAP_ENTRY: &str = "io.confluent.connect.avro.MapEntry";
const UNION: &str = "io.confluent.connect.avro.Union";
const ENUM: &str = "io.confluent.connect.avro.Enum";
const ANYTHING: &str = "io.confluent.connect.avro.Anything";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
const FIXED_SIZE: &str = "connect.fixed.size";
const PRECISION: &str = "connect.decimal.precision";

/// The schema of data that has none in Connect.
const ANYTHING_SCHEMA: &str = concat!(
    r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":["#,
    r#"{"name":"boolean","type":["null","boolean"],"default":null},{"name":"bytes","type":["null","bytes"],"default":null},"#,
    r#"{"name":"double","type":["null","double"],"default":null},{"name":"float","type":["null","float"],"default":null},"#,
    r#"{"name":"int","type":["null","int"],"default":null},{"name":"long","type":["null","long"],"default":null},"#,
    r#"{"name":"string","type":["null","string"],"default":null},"#,
    r#"{"name":"array","type":["null",{"type":"array","items":"Anything"}]},"#,
    r#"{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":["#,
    r#"{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}]}]}"#
);

fn parameter<'s>(schema: &'s Schema, name: &str) -> Option<&'s str> {
    schema.parameters.iter().flatten().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_union(schema: &Schema) -> bool {
    schema.name.as_deref() == Some(UNION) || parameter(schema, GENERALIZED_UNION).is_some()
}

fn is_enum(schema: &Schema) -> bool {
    schema.kind == Kind::String && [ENUM, GENERALIZED_ENUM].iter().any(|name| parameter(schema, name).is_some())
}

/// Avro.
pub struct Avro {
    options: Options,
}

impl Avro {
    /// The format with its own keys.
    pub fn new(config: &Checked<'_>) -> Self {
        Avro { options: Options::new(config) }
    }

    /// Makes a converter.
    ///
    /// # Errors
    /// [`ConfigError`] when a property cannot be.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        RegistryConverter::make(&KEYS, setting, Avro::new)
    }
}

impl Format for Avro {
    fn schema_type(&self) -> &'static str {
        "AVRO"
    }

    fn title(&self) -> &'static str {
        "Avro"
    }

    fn record_name(&self, schema: &SchemaText) -> Result<Option<String>, ConvertError> {
        let schema = AvroSchema::parse(schema)?;
        Ok(schema.get(schema.root).name.clone())
    }

    fn reader(&self, schema: &Registered, schemas: &mut Schemas) -> Result<Box<dyn Reading>, ConvertError> {
        let avro = AvroSchema::parse(&schema.schema)?;
        let (connect, plan) = ToConnect::convert(&avro, self.options, schema.version)?;
        let id = connect.map_or(Ok(SCHEMA_JSON), |connect| schemas.put(&connect))?;
        Ok(Box::new(AvroReading { id, plan }))
    }

    fn draft(&self, schema: Option<&Schema>) -> Result<SchemaText, ConvertError> {
        let text = from_connect::avro_schema(schema, self.options)?;
        Ok(SchemaText { text, references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Schema>, target: &Registered, strict: bool) -> Result<Box<dyn Writing>, ConvertError> {
        let avro = AvroSchema::parse(&target.schema)?;
        let root = avro.get(avro.root);
        let Some(schema) = schema else {
            return match root.name.as_deref() {
                Some(ANYTHING) => Ok(Box::new(Anything)),
                _ => Err(ConvertError::data("Incompatible schema: a record without a schema cannot be written under one")),
            };
        };
        let slot = Planner { avro: &avro, options: self.options, strict }.slot(schema, avro.root)?;
        let whole = root.kind == AvroKind::Bytes;
        Ok(Box::new(AvroWriting {
            schema: schema.clone(),
            slot,
            whole,
            replace: !self.options.ignore_default,
            spelled: Vec::new(),
        }))
    }
}

struct AvroReading {
    id: SchemaId,
    plan: decode::Plan,
}

impl Reading for AvroReading {
    fn decode(&mut self, data: &[u8], _: &mut Schemas, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let start = out.len();
        if self.plan.read(data, out)? {
            return Ok(Decoded::Payload(self.id));
        }
        out.truncate(start);
        Ok(Decoded::Null(self.id))
    }
}

struct AvroWriting {
    schema: Schema,
    slot: Slot,
    /// The data is bytes without their length.
    whole: bool,
    /// Whether a default stands for null.
    replace: bool,
    spelled: Vec<u8>,
}

impl AvroWriting {
    fn write(&self, payload: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.whole { self.slot.write_rest(payload, out) } else { self.slot.write(payload, out) }
    }
}

impl Writing for AvroWriting {
    fn encode(&mut self, id: SchemaId, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let null = || match self.schema.optional {
            true => Ok(false),
            false => Err(ConvertError::data("Found null value for non-optional schema")),
        };
        let Some(payload) = payload else { return null() };
        let mut spelled = std::mem::take(&mut self.spelled);
        spelled.clear();
        let payload = match id {
            SCHEMA_TEXT => {
                write_string(utf8(payload)?, &mut spelled);
                utf8(&spelled)?
            }
            SCHEMA_BYTES => {
                base64(payload, &mut spelled);
                utf8(&spelled)?
            }
            _ => utf8(payload)?,
        };
        let start = out.len();
        match self.write(payload, out) {
            Ok(()) => {}
            Err(Refusal::Data(error)) if payload.trim() != "null" => return Err(error),
            Err(_) => {
                out.truncate(start);
                let value = Reader::of_fields(self.replace).read(&self.schema, Some(&node(payload.as_bytes())?))?;
                if value == Value::Null {
                    return null();
                }
                let mut again = Vec::new();
                write_json(Some(&self.schema), &value, false, &mut again);
                self.write(utf8(&again)?, out).map_err(|refusal| match refusal {
                    Refusal::Data(error) => error,
                    Refusal::Spelling => ConvertError::data("Error serializing Avro message: the value is not of its schema"),
                })?;
            }
        }
        self.spelled = spelled;
        Ok(true)
    }
}

/// Writes data without a schema.
struct Anything;

impl Writing for Anything {
    fn encode(&mut self, id: SchemaId, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let Some(payload) = payload.filter(|_| id == SCHEMA_JSON) else { return Ok(false) };
        let value = read_schemaless(&node(payload)?);
        if value == Value::Null {
            return Ok(false);
        }
        encode::anything(&value, out);
        Ok(true)
    }
}
