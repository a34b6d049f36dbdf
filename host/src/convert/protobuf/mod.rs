//! `ProtobufConverter`: messages under Protobuf schemas of a registry, mapped as Confluent's `ProtobufData` does.

mod direct;
mod files;
mod from_connect;
mod known;
mod options;
#[cfg(test)]
mod tests;
mod to_connect;
mod write;

pub use options::KEYS;

use std::borrow::Cow;

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor, Kind as ProtoKind, MessageDescriptor, Value as Proto};

use super::ConvertError;
use super::classes::Setting;
use super::config::{Checked, ConfigError};
use super::converter::{Converter, Decoded};
use super::data::read::Reader;
use super::data::write::write_json;
use super::data::{Schema, Value};
use super::payload::{Schemas, node, utf8};
use super::registry::{Format, Reading, Registered, RegistryConverter, SchemaText, Writing};
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SCHEMA_TEXT, SchemaId};
use direct::{DirectReader, DirectWriter};
use options::Options;
use to_connect::Plan;

const TAG: &str = "io.confluent.connect.protobuf.Tag";
const TYPE: &str = "io.confluent.connect.protobuf.Type";
const ENUM: &str = "io.confluent.connect.protobuf.Enum";
const UNION: &str = "io.confluent.connect.protobuf.Union";
const UNION_PREFIX: &str = "io.confluent.connect.protobuf.Union.";
const WRAPPER_MARK: &str = "io.confluent.connect.protobuf.Wrapper";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
/// Message indexes that a record may name.
const MAX_INDEXES: usize = 64;

fn parameter<'s>(schema: &'s Schema, name: &str) -> Option<&'s str> {
    schema.parameters.iter().flatten().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_union(schema: &Schema) -> bool {
    schema.name.as_deref().is_some_and(|name| name.starts_with(UNION)) || parameter(schema, GENERALIZED_UNION).is_some()
}

/// The name of the entries of a map field: `phone_numbers` is `PhoneNumbersEntry`.
fn map_entry(name: &str) -> String {
    if !name.contains('_') {
        return format!("{name}Entry");
    }
    let capital = |part: &str| {
        let mut characters = part.chars();
        let first = characters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(characters.map(|each| each.to_ascii_lowercase())).collect::<String>()
    };
    name.split('_').map(capital).collect::<String>() + "Entry"
}

/// The name of the map whose entries have that name.
fn map_field(entry: &str) -> String {
    let (package, last) = entry.rsplit_once('.').map_or(("", entry), |(package, last)| (package, last));
    let last = last.strip_suffix("Entry").unwrap_or(last);
    let mut name = if package.is_empty() { String::new() } else { format!("{package}.") };
    for (place, character) in last.chars().enumerate() {
        if character.is_ascii_uppercase() && place > 0 {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// Protobuf.
pub struct Protobuf {
    options: Options,
}

impl Protobuf {
    /// The format with its own keys.
    pub fn new(config: &Checked<'_>) -> Self {
        Protobuf { options: Options::new(config) }
    }

    /// Makes a converter.
    ///
    /// # Errors
    /// [`ConfigError`] when a property cannot be.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        RegistryConverter::make(&KEYS, setting, Protobuf::new)
    }
}

impl Format for Protobuf {
    fn schema_type(&self) -> &'static str {
        "PROTOBUF"
    }

    fn title(&self) -> &'static str {
        "Protobuf"
    }

    fn record_name(&self, schema: &SchemaText) -> Result<Option<String>, ConvertError> {
        Ok(files::compile(schema)?.messages().next().map(|message| message.full_name().to_owned()))
    }

    fn reader(&self, schema: &Registered, _: &mut Schemas) -> Result<Box<dyn Reading>, ConvertError> {
        let file = files::compile(&schema.schema)?;
        Ok(Box::new(ProtobufReading { options: self.options, version: schema.version, file, messages: Vec::new() }))
    }

    fn draft(&self, schema: Option<&Schema>) -> Result<SchemaText, ConvertError> {
        let missing = "A record without a schema cannot be written with ProtobufConverter; give it one";
        let schema = schema.ok_or_else(|| ConvertError::data(missing))?;
        let (text, _) = from_connect::protobuf_schema(schema, self.options)?;
        Ok(SchemaText { text, references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Schema>, target: &Registered, strict: bool) -> Result<Box<dyn Writing>, ConvertError> {
        let schema = schema.ok_or_else(|| ConvertError::data("A record without a schema cannot be written under one"))?;
        let file = files::compile(&target.schema)?;
        let (_, name) = from_connect::protobuf_schema(schema, self.options)?;
        let of_name = file.parent_pool().get_message_by_name(&name).filter(|message| message.parent_file() == file);
        // Connect's names have no package unless schemas are "enhanced".
        let message =
            of_name.or_else(|| file.messages().find(|message| message.name() == name)).or_else(|| file.messages().next());
        let message = message.ok_or_else(|| ConvertError::data("Incompatible schema: the Protobuf schema has no message"))?;
        let mut opening = Vec::new();
        match files::indexes(&message).as_slice() {
            [0] => opening.push(0),
            indexes => {
                varint(indexes.len() as i32, &mut opening);
                indexes.iter().for_each(|index| varint(*index, &mut opening));
            }
        }
        let direct = DirectWriter::new(&message, schema, self.options);
        Ok(Box::new(ProtobufWriting { options: self.options, schema: schema.clone(), message, opening, strict, direct }))
    }
}

struct ProtobufReading {
    options: Options,
    version: Option<i32>,
    file: FileDescriptor,
    /// What is known of the messages that were met: at most as many as the file has.
    messages: Vec<Known>,
}

struct Known {
    indexes: Vec<i32>,
    message: MessageDescriptor,
    id: SchemaId,
    schema: Schema,
    plan: Plan,
    direct: Option<DirectReader>,
}

impl ProtobufReading {
    fn known(&mut self, indexes: &[i32], schemas: &mut Schemas) -> Result<&mut Known, ConvertError> {
        if let Some(place) = self.messages.iter().position(|known| known.indexes == indexes) {
            return self.messages.get_mut(place).ok_or_else(|| malformed("no message"));
        }
        let message =
            files::message(&self.file, indexes).ok_or_else(|| malformed("the schema has no message of these indexes"))?;
        let (schema, plan) = to_connect::root(&message, self.options, self.version)?;
        let id = schemas.put(&schema)?;
        let direct = DirectReader::new(&plan);
        self.messages.push(Known { indexes: indexes.to_vec(), message, id, schema, plan, direct });
        self.messages.last_mut().ok_or_else(|| malformed("no message"))
    }
}

impl Reading for ProtobufReading {
    fn decode(&mut self, data: &[u8], schemas: &mut Schemas, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let (indexes, data) = read_indexes(data)?;
        let known = self.known(&indexes, schemas)?;
        let start = out.len();
        if known.direct.as_mut().is_some_and(|direct| direct.read(data, out).is_some()) {
            return Ok(Decoded::Payload(known.id));
        }
        out.truncate(start);
        let message = DynamicMessage::decode(known.message.clone(), data).map_err(|error| malformed(&error.to_string()))?;
        let kind = ProtoKind::Message(known.message.clone());
        let value = to_connect::read(&known.plan, &kind, &Proto::Message(message))?;
        if value == Value::Null {
            return Ok(Decoded::Null(known.id));
        }
        write_json(Some(&known.schema), &value, false, out);
        Ok(Decoded::Payload(known.id))
    }
}

/// The indexes of the message before the data: their number and each, zigzag; none stands for the first message.
fn read_indexes(data: &[u8]) -> Result<(Cow<'static, [i32]>, &[u8]), ConvertError> {
    let mut rest = data;
    let count = read_varint(&mut rest)?;
    if count == 0 {
        return Ok((Cow::Borrowed(&[0]), rest));
    }
    let count =
        usize::try_from(count).ok().filter(|count| *count <= MAX_INDEXES).ok_or_else(|| malformed("wrong message indexes"))?;
    let indexes = (0..count).map(|_| read_varint(&mut rest)).collect::<Result<Vec<_>, _>>()?;
    Ok((Cow::Owned(indexes), rest))
}

fn read_varint(data: &mut &[u8]) -> Result<i32, ConvertError> {
    let mut bits = 0_u32;
    for (place, byte) in data.iter().enumerate().take(5) {
        bits |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *data = data.get(place + 1..).unwrap_or_default();
            return Ok((bits >> 1) as i32 ^ -((bits & 1) as i32));
        }
    }
    Err(malformed("wrong message indexes"))
}

fn varint(number: i32, out: &mut Vec<u8>) {
    let mut bits = ((number << 1) ^ (number >> 31)) as u32;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn malformed(problem: &str) -> ConvertError {
    ConvertError::data(format!("Error deserializing Protobuf message: {problem}"))
}

struct ProtobufWriting {
    options: Options,
    schema: Schema,
    message: MessageDescriptor,
    opening: Vec<u8>,
    strict: bool,
    direct: Option<DirectWriter>,
}

impl Writing for ProtobufWriting {
    fn encode(&mut self, id: SchemaId, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let Some(payload) = payload else { return Ok(false) };
        if let (Some(direct), FIRST_SCHEMA_ID..) = (&self.direct, id) {
            let start = out.len();
            out.extend_from_slice(&self.opening);
            if direct.write(utf8(payload)?, out).is_some() {
                return Ok(true);
            }
            out.truncate(start);
        }
        let value = match id {
            SCHEMA_BYTES => Value::Bytes(payload.to_vec()),
            SCHEMA_TEXT => Value::String(utf8(payload)?.to_owned()),
            _ => Reader::of_fields(!self.options.ignore_default).read(&self.schema, Some(&node(payload)?))?,
        };
        if value == Value::Null {
            return Ok(false);
        }
        let message = write::message(&self.message, &self.schema, &value, self.options, self.strict)?;
        out.extend_from_slice(&self.opening);
        message.encode(out).map_err(|error| ConvertError::data(format!("Error serializing Protobuf message: {error}")))?;
        Ok(true)
    }
}
