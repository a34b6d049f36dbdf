//! `ByteArrayConverter`, `BooleanConverter` and the converters of numbers.

use std::sync::Arc;

use super::ConvertError;
use super::classes::Setting;
use super::config::ConfigError;
use super::converter::{Converter, Decoded, Encoded, Kept, Place};
use super::data::write::{write_integer, write_json_double, write_json_float};
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
            Width::Short => out.extend_from_slice(&i16::try_from(parse_integer(payload)?).ok()?.to_be_bytes()),
            Width::Integer => out.extend_from_slice(&i32::try_from(parse_integer(payload)?).ok()?.to_be_bytes()),
            Width::Long => out.extend_from_slice(&parse_integer(payload)?.to_be_bytes()),
            Width::Float => out.extend_from_slice(&parse_fraction::<f32>(payload)?.to_be_bytes()),
            Width::Double => {
                let number = parse_short_fraction(payload).or_else(|| parse_fraction::<f64>(payload))?;
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        Some(())
    }
}

/// Digits that a 64-bit integer has room for, whatever they are.
const SAFE_DIGITS: usize = 18;

/// An integer as JSON spells it.
fn parse_integer(payload: &[u8]) -> Option<i64> {
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    let negative = digits.len() < payload.len();
    match digits.len() {
        0 => None,
        1..=SAFE_DIGITS => {
            let number = parse_digits(0, digits)?.cast_signed();
            Some(if negative { -number } else { number })
        }
        _ => digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(payload).ok()?.parse().ok()).flatten(),
    }
}

/// Goes on with a number that has room for these digits.
fn parse_digits(number: u64, digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(number, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// A decimal fraction of at most 15 digits without an exponent: the quotient of two numbers that a double holds exactly is rounded once, and
/// so is the nearest double.
fn parse_short_fraction(payload: &[u8]) -> Option<f64> {
    const MAX_LENGTH: usize = 16;
    const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    let point = digits.iter().position(|byte| *byte == b'.')?;
    let (whole, fraction) = (digits.get(..point)?, digits.get(point + 1..)?);
    if digits.len() > MAX_LENGTH || whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let number = parse_digits(parse_digits(0, whole)?, fraction)? as f64 / POWERS.get(fraction.len())?;
    Some(if digits.len() < payload.len() { -number } else { number })
}

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        for text in [
            "0",
            "-0",
            "7",
            "-12",
            "007",
            "999999999999999999",
            "1000000000000000000",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1.5",
            "1e3",
            "",
            "-",
            "+1",
            "12a",
            "99999999999999999999999",
        ] {
            let expect = if text.starts_with('+') { None } else { text.parse().ok() };
            assert_eq!(parse_integer(text.as_bytes()), expect, "{text}");
        }
        for text in [
            "0.0",
            "-0.0",
            "1.5",
            "-123456.25",
            "0.1",
            "0.30000000000000",
            "99999999999999.9",
            "123456789.123456",
            "0.00000000000001",
            "123456789012345.6",
        ] {
            let expect: f64 = text.parse().unwrap();
            let short = parse_short_fraction(text.as_bytes());
            assert!(short.is_none_or(|short| short.to_bits() == expect.to_bits()), "{text}: {short:?}");
            assert_eq!(short.is_some(), text.len() <= 16, "{text}");
        }
        for text in ["", "-", ".", "1.", ".5", "1.5e3", "1,5", "1", "NaN", "1.5.5"] {
            assert_eq!(parse_short_fraction(text.as_bytes()), None, "{text}");
        }
    }
}
