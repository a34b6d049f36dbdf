//! `ByteArrayConverter`, `BooleanConverter` and the converters of numbers.

use std::sync::Arc;

use super::ConvertError;
use super::classes::Setting;
use super::column::{Cells, ConvertedCells};
use super::config::ConfigError;
use super::converter::{Converter, Decoded, Encoded, Kept, Place};
use super::data::value::{plain_double, plain_float};
use super::data::write::{write_integer, write_json_double, write_json_float};
use super::data::{Kind, Schema, Value};
use super::numbers::{float_fraction, fraction, integer, put, read_column, write_column};
use super::payload::Schemas;
use super::schema_column::SchemaColumn;
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SchemaId};

/// Bytes as they stand.
pub struct ByteArrayConverter {
    schemas: Schemas,
}

impl ByteArrayConverter {
    /// Makes one.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        Ok(Box::new(ByteArrayConverter { schemas: Schemas::new(setting.schemas) }))
    }
}

impl Converter for ByteArrayConverter {
    fn keeps_column_decoded(&self) -> Kept<SchemaId> {
        Kept::Always(SCHEMA_BYTES)
    }

    fn keeps_column_encoded(&self, schemas: &[SchemaId]) -> Kept<()> {
        if schemas.iter().all(|schema| *schema == SCHEMA_BYTES) { Kept::Always(()) } else { Kept::ByRecord }
    }

    fn keeps_decoded(&mut self, _: Option<&[u8]>) -> Option<SchemaId> {
        Some(SCHEMA_BYTES)
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(SCHEMA_BYTES)) };
        out.extend_from_slice(bytes);
        Ok(Decoded::Payload(SCHEMA_BYTES))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        schema == SCHEMA_BYTES || payload.is_none() && schema < FIRST_SCHEMA_ID
    }

    fn encode(
        &mut self,
        _: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        if self.keeps_encoded(schema, payload) {
            return Ok(append(payload, out));
        }
        if let Some(schema) = self.schemas.get(schema)?.filter(|schema| schema.kind != Kind::Bytes) {
            let message = format!("Invalid schema type for ByteArrayConverter: {}", schema.kind.name());
            return Err(ConvertError::data(message));
        }
        match self.schemas.value(schema, payload)?.1 {
            Value::Null => Ok(Encoded::Null),
            Value::Bytes(bytes) => Ok(append(Some(&bytes), out)),
            other => {
                let class = other.java_class();
                Err(ConvertError::data(format!("ByteArrayConverter is not compatible with objects of type {class}")))
            }
        }
    }
}

/// Appends bytes that go to the topic as they are.
pub fn append(payload: Option<&[u8]>, out: &mut Vec<u8>) -> Encoded {
    match payload {
        None => Encoded::Null,
        Some(payload) => {
            out.extend_from_slice(payload);
            Encoded::Bytes
        }
    }
}

/// A boolean or number of fixed width, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One byte, 0 or 1.
    Boolean,
    /// Two bytes.
    Short,
    /// Four bytes.
    Integer,
    /// Eight bytes.
    Long,
    /// IEEE 754, four bytes.
    Float,
    /// IEEE 754, eight bytes.
    Double,
}

impl Width {
    fn name(self) -> &'static str {
        match self {
            Width::Boolean => "boolean",
            Width::Short => "short",
            Width::Integer => "integer",
            Width::Long => "long",
            Width::Float => "float",
            Width::Double => "double",
        }
    }

    fn deserializer(self) -> &'static str {
        match self {
            Width::Boolean => "BooleanDeserializer",
            Width::Short => "ShortDeserializer",
            Width::Integer => "IntegerDeserializer",
            Width::Long => "LongDeserializer",
            Width::Float => "FloatDeserializer",
            Width::Double => "DoubleDeserializer",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Width::Boolean => 1,
            Width::Short => 2,
            Width::Integer | Width::Float => 4,
            Width::Long | Width::Double => 8,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Width::Boolean => Kind::Boolean,
            Width::Short => Kind::Int16,
            Width::Integer => Kind::Int32,
            Width::Long => Kind::Int64,
            Width::Float => Kind::Float32,
            Width::Double => Kind::Float64,
        }
    }

    /// Appends what the bytes on a topic hold, as JSON.
    ///
    /// # Errors
    /// The message of Kafka's deserializer.
    fn read(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let size = || format!("Size of data received by {} is not {}", self.deserializer(), self.bytes());
        match self {
            Width::Boolean => match bytes {
                [0] => out.extend_from_slice(b"false"),
                [1] => out.extend_from_slice(b"true"),
                [other] => return Err(format!("Unexpected byte received by BooleanDeserializer: {}", *other as i8)),
                _ => return Err(size()),
            },
            Width::Short => write_integer(i16::from_be_bytes(bytes.try_into().map_err(|_| size())?), out),
            Width::Integer => write_integer(i32::from_be_bytes(bytes.try_into().map_err(|_| size())?), out),
            Width::Long => write_integer(i64::from_be_bytes(bytes.try_into().map_err(|_| size())?), out),
            Width::Float => write_json_float(f32::from_be_bytes(bytes.try_into().map_err(|_| size())?), out),
            Width::Double => write_json_double(f64::from_be_bytes(bytes.try_into().map_err(|_| size())?), out),
        }
        Ok(())
    }

    /// Appends the bytes for the topic of plain JSON; `None`, and nothing, for what has to be looked at more closely.
    fn write(self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Width::Boolean => out.push(match payload {
                b"true" => 1,
                b"false" => 0,
                _ => return None,
            }),
            Width::Short => out.extend_from_slice(&i16::try_from(integer(payload, payload.len())?).ok()?.to_be_bytes()),
            Width::Integer => out.extend_from_slice(&i32::try_from(integer(payload, payload.len())?).ok()?.to_be_bytes()),
            Width::Long => out.extend_from_slice(&integer(payload, payload.len())?.to_be_bytes()),
            Width::Float => {
                let number = float_fraction(payload, payload.len()).or_else(|| parse_fraction(payload))?;
                out.extend_from_slice(&number.to_be_bytes());
            }
            Width::Double => {
                let number = fraction(payload, payload.len()).or_else(|| parse_fraction(payload))?;
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        Some(())
    }

    /// The texts of numbers that stand one after the other, and their lengths; `None` where one has to be looked at more closely.
    fn read_column(self, data: &[u8]) -> Option<(Vec<u8>, Vec<i32>)> {
        match self {
            Width::Boolean => write_column(data, |byte: [u8; 1], block: &mut [u8; 5]| match byte {
                [0] => put(b"false", block),
                [1] => put(b"true", block),
                _ => None,
            }),
            Width::Short => write_column(data, |number, block: &mut [u8; 6]| {
                put(itoa::Buffer::new().format(i16::from_be_bytes(number)).as_bytes(), block)
            }),
            Width::Integer => write_column(data, |number, block: &mut [u8; 11]| {
                put(itoa::Buffer::new().format(i32::from_be_bytes(number)).as_bytes(), block)
            }),
            Width::Long => write_column(data, |number, block: &mut [u8; 20]| {
                put(itoa::Buffer::new().format(i64::from_be_bytes(number)).as_bytes(), block)
            }),
            Width::Float => write_column(data, |number, block: &mut [u8; 24]| {
                let number = f32::from_be_bytes(number);
                put(plain_float(number, &mut zmij::Buffer::new())?.as_bytes(), block)
            }),
            Width::Double => write_column(data, |number, block: &mut [u8; 24]| {
                let number = f64::from_be_bytes(number);
                put(plain_double(number, &mut zmij::Buffer::new())?.as_bytes(), block)
            }),
        }
    }

    /// The way back.
    fn write_column(self, data: &[u8], lengths: &[i32]) -> Option<(Vec<u8>, Vec<i32>)> {
        match self {
            Width::Boolean => read_column(data, lengths, |bytes, length| match bytes.get(..length)? {
                b"true" => Some([1]),
                b"false" => Some([0]),
                _ => None,
            }),
            Width::Short => {
                read_column(data, lengths, |bytes, length| Some(i16::try_from(integer(bytes, length)?).ok()?.to_be_bytes()))
            }
            Width::Integer => {
                read_column(data, lengths, |bytes, length| Some(i32::try_from(integer(bytes, length)?).ok()?.to_be_bytes()))
            }
            Width::Long => read_column(data, lengths, |bytes, length| Some(integer(bytes, length)?.to_be_bytes())),
            Width::Float => read_column(data, lengths, |bytes, length| {
                let number = float_fraction(bytes, length).or_else(|| parse_fraction(bytes.get(..length)?))?;
                Some(number.to_be_bytes())
            }),
            Width::Double => read_column(data, lengths, |bytes, length| {
                let number = fraction(bytes, length).or_else(|| parse_fraction(bytes.get(..length)?))?;
                Some(number.to_be_bytes())
            }),
        }
    }
}

/// A number as JSON spells it, which the standard library reads.
fn parse_fraction<T: std::str::FromStr>(payload: &[u8]) -> Option<T> {
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    digits.first().is_some_and(u8::is_ascii_digit).then(|| std::str::from_utf8(payload).ok()?.parse().ok()).flatten()
}

/// `BooleanConverter` and the converters of numbers.
pub struct FixedConverter {
    width: Width,
    id: SchemaId,
    schemas: Schemas,
}

impl FixedConverter {
    /// Makes one.
    ///
    /// # Errors
    /// [`ConfigError`] when the task's schema table is full.
    pub fn make(width: Width, setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        let mut schemas = Schemas::new(setting.schemas);
        let schema = Arc::new(Schema { optional: true, ..Schema::new(width.kind()) });
        let id = schemas.put(&schema).map_err(|error| setting.error("", error.to_string()))?;
        Ok(Box::new(FixedConverter { width, id, schemas }))
    }

    /// Whether a schema is of numbers of this width and nothing more.
    fn is_plain(&mut self, schema: SchemaId) -> Result<bool, ConvertError> {
        let known = if schema < FIRST_SCHEMA_ID { None } else { self.schemas.get(schema)? };
        Ok(known.is_some_and(|known| known.kind == self.width.kind() && known.name.is_none()))
    }

    /// As `fromConnectData`: BooleanConverter looks at the schema, the converters of numbers at the value's class alone.
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<Encoded, ConvertError> {
        match (self.width, value) {
            (_, Value::Null) => return Ok(Encoded::Null),
            (Width::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
            (Width::Short, Value::Int16(value)) => out.extend(value.to_be_bytes()),
            (Width::Integer, Value::Int32(value)) => out.extend(value.to_be_bytes()),
            (Width::Long, Value::Int64(value)) => out.extend(value.to_be_bytes()),
            (Width::Float, Value::Float32(value)) => out.extend(value.to_be_bytes()),
            (Width::Double, Value::Float64(value)) => out.extend(value.to_be_bytes()),
            (Width::Boolean, other) => {
                let class = other.java_class();
                return Err(ConvertError::data(format!("BooleanConverter is not compatible with objects of type {class}")));
            }
            (width, other) => {
                let (name, class) = (width.name(), other.java_class());
                return Err(ConvertError::data(format!("Failed to serialize to {name} (was {class}): ")));
            }
        }
        Ok(Encoded::Bytes)
    }
}

impl Converter for FixedConverter {
    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        bytes.is_none().then_some(self.id)
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(self.id)) };
        self.width
            .read(bytes, out)
            .map_err(|cause| ConvertError::data(format!("Failed to deserialize {}: ", self.width.name())).caused_by(cause))?;
        Ok(Decoded::Payload(self.id))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        payload.is_none() && (schema < FIRST_SCHEMA_ID || schema == self.id)
    }

    fn encode(
        &mut self,
        _: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        if let Some(payload) = payload
            && (schema == self.id || self.is_plain(schema)?)
            && self.width.write(payload, out).is_some()
        {
            return Ok(Encoded::Bytes);
        }
        let (schema, value) = self.schemas.value(schema, payload)?;
        if self.width == Width::Boolean
            && let Some(schema) = schema.filter(|schema| schema.kind != Kind::Boolean)
        {
            let message = format!("Invalid schema type for BooleanConverter: {}", schema.kind.name());
            return Err(ConvertError::data(message));
        }
        self.write(&value, out)
    }

    fn decode_column(&mut self, cells: Cells<'_>) -> Option<ConvertedCells> {
        let width = self.width.bytes() as i32;
        let alone = cells.alone().filter(|alone| alone.lengths.iter().all(|length| *length == width));
        match alone.and_then(|alone| self.width.read_column(alone.data)) {
            Some((data, lengths)) => {
                let schemas = SchemaColumn::of(self.id, lengths.len());
                Some(ConvertedCells { data, lengths, schemas })
            }
            None => cells.convert(|place, _, bytes, out| Ok(self.decode(place, bytes, out)?.parts())),
        }
    }

    fn encode_column(&mut self, cells: Cells<'_>) -> Option<ConvertedCells> {
        let alone = cells.alone().filter(|alone| !alone.schemas.is_empty() && alone.schemas.iter().all(|id| *id == self.id));
        match alone.and_then(|alone| self.width.write_column(alone.data, alone.lengths)) {
            Some((data, lengths)) => {
                let schemas = SchemaColumn::of(SCHEMA_BYTES, lengths.len());
                Some(ConvertedCells { data, lengths, schemas })
            }
            None => cells.convert(|place, schema, payload, out| {
                Ok((SCHEMA_BYTES, self.encode(place, schema, payload, out)? == Encoded::Bytes))
            }),
        }
    }
}
