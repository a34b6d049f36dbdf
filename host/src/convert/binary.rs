//! `ByteArrayConverter`, `BooleanConverter` and the converters of numbers.

use std::sync::Arc;

use super::ConvertError;
use super::classes::Setting;
use super::config::ConfigError;
use super::converter::{Converter, Decoded, Encoded, Kept, Place};
use super::data::write::write_json;
use super::data::{Kind, Schema, Value};
use super::payload::Schemas;
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

    /// The value of plain JSON; `None` for what has to be looked at more closely.
    fn parse(self, payload: &[u8]) -> Option<Value> {
        let digits = payload.strip_prefix(b"-").unwrap_or(payload);
        if !digits.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let text = std::str::from_utf8(payload).ok()?;
        match self {
            Width::Boolean => None,
            Width::Short => text.parse().ok().map(Value::Int16),
            Width::Integer => text.parse().ok().map(Value::Int32),
            Width::Long => text.parse().ok().map(Value::Int64),
            Width::Float => text.parse().ok().map(Value::Float32),
            Width::Double => text.parse().ok().map(Value::Float64),
        }
    }

    fn read(self, bytes: &[u8]) -> Result<Value, String> {
        let value = match self {
            Width::Boolean => match bytes {
                [0] => return Ok(Value::Boolean(false)),
                [1] => return Ok(Value::Boolean(true)),
                [other] => return Err(format!("Unexpected byte received by BooleanDeserializer: {}", *other as i8)),
                _ => None,
            },
            Width::Short => bytes.try_into().ok().map(|bytes| Value::Int16(i16::from_be_bytes(bytes))),
            Width::Integer => bytes.try_into().ok().map(|bytes| Value::Int32(i32::from_be_bytes(bytes))),
            Width::Long => bytes.try_into().ok().map(|bytes| Value::Int64(i64::from_be_bytes(bytes))),
            Width::Float => bytes.try_into().ok().map(|bytes| Value::Float32(f32::from_be_bytes(bytes))),
            Width::Double => bytes.try_into().ok().map(|bytes| Value::Float64(f64::from_be_bytes(bytes))),
        };
        value.ok_or_else(|| format!("Size of data received by {} is not {}", self.deserializer(), self.bytes()))
    }
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
    fn keeps_decoded(&mut self, _: Option<&[u8]>) -> Option<SchemaId> {
        None
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(self.id)) };
        let value = self
            .width
            .read(bytes)
            .map_err(|cause| ConvertError::data(format!("Failed to deserialize {}: ", self.width.name())).caused_by(cause))?;
        write_json(None, &value, false, out);
        Ok(Decoded::Payload(self.id))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        payload.is_none() && schema < FIRST_SCHEMA_ID
    }

    fn encode(
        &mut self,
        _: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        if schema >= FIRST_SCHEMA_ID
            && let Some(known) = self.schemas.get(schema)?
            && known.kind == self.width.kind()
            && known.name.is_none()
            && let Some(value) = payload.and_then(|payload| self.width.parse(payload))
        {
            return self.write(&value, out);
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
}
