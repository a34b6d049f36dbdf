//! `SimpleHeaderConverter`: text that is read as what it looks like.

mod merge;
mod parse;
mod print;

use std::collections::HashMap;
use std::sync::Arc;

use self::merge::Type;
use self::parse::{Parsed, looks_like_text, parse};
use self::print::{schemaless, text_of};
use super::ConvertError;
use super::binary::append;
use super::classes::Setting;
use super::config::ConfigError;
use super::converter::{Converter, Decoded, Encoded, Place};
use super::data::write::write_json;
use super::data::{Kind, Schema, Value};
use super::numbers::integer;
use super::payload::Schemas;
use super::string::java_utf8;
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SCHEMA_JSON, SCHEMA_TEXT, SchemaId};

/// Header values as text: `5` is an int8, `[1,2]` an array of them, `2024-02-29` a date, anything else text.
pub struct SimpleHeaderConverter {
    schemas: Schemas,
    known: HashMap<Type, (SchemaId, Arc<Schema>)>,
    /// The schemas of [`INTEGERS`], once they were needed.
    integers: [Option<SchemaId>; 4],
}

/// What a whole number may be, the narrowest first.
const INTEGERS: [Type; 4] = [Type::Int8, Type::Int16, Type::Int32, Type::Int64];

/// The place in [`INTEGERS`] of a whole number that is spelled in the one way in which it would be written.
fn plain_integer(text: &[u8]) -> Option<usize> {
    let is_plain = match text {
        [b'0'] => true,
        [b'-', first, ..] | [first, ..] => matches!(first, b'1'..=b'9'),
        [] => false,
    };
    let number = integer(text, text.len()).filter(|_| is_plain)?;
    let limits = [i64::from(i8::MAX), i64::from(i16::MAX), i64::from(i32::MAX), i64::MAX];
    limits.iter().position(|limit| (-limit - 1..=*limit).contains(&number))
}

impl SimpleHeaderConverter {
    /// Makes one.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        Ok(Box::new(SimpleHeaderConverter { schemas: Schemas::new(setting.schemas), known: HashMap::new(), integers: [None; 4] }))
    }

    /// The schema of one of [`INTEGERS`].
    fn integer_schema(&mut self, place: usize) -> Option<SchemaId> {
        if let Some(Some(id)) = self.integers.get(place) {
            return Some(*id);
        }
        let (id, _) = self.schema(INTEGERS.get(place)?)?;
        *self.integers.get_mut(place)? = Some(id);
        Some(id)
    }

    /// A type's schema and its id; `None` if it has none or the task's table is full.
    fn schema(&mut self, kind: &Type) -> Option<(SchemaId, Arc<Schema>)> {
        if let Some(known) = self.known.get(kind) {
            return Some(known.clone());
        }
        let schema = Arc::new(kind.schema()?);
        let known = (self.schemas.put(&schema).ok()?, schema);
        self.known.insert(kind.clone(), known.clone());
        Some(known)
    }
}

impl Converter for SimpleHeaderConverter {
    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        let Some(bytes) = bytes else { return Some(SCHEMA_BYTES) };
        match plain_integer(bytes) {
            Some(place) => self.integer_schema(place),
            None => std::str::from_utf8(bytes).is_ok_and(looks_like_text).then_some(SCHEMA_TEXT),
        }
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        if let Some(schema) = self.keeps_decoded(bytes) {
            return Ok(match append(bytes, out) {
                Encoded::Null => Decoded::Null(schema),
                Encoded::Bytes => Decoded::Payload(schema),
            });
        }
        let text = java_utf8(bytes.unwrap_or_default());
        match parse(&text) {
            Parsed::Null => return Ok(Decoded::Null(SCHEMA_BYTES)),
            Parsed::Text => {}
            Parsed::Value(kind, value) if kind.is_known() && kind.holds(&value) => {
                if let Some((id, schema)) = self.schema(&kind) {
                    write_json(Some(&schema), &value, false, out);
                    return Ok(Decoded::Payload(id));
                }
            }
            Parsed::Value(_, value) => {
                write_json(None, &schemaless(value), false, out);
                return Ok(Decoded::Payload(SCHEMA_JSON));
            }
        }
        out.extend_from_slice(text.as_bytes());
        Ok(Decoded::Payload(SCHEMA_TEXT))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        match payload {
            None => schema < FIRST_SCHEMA_ID,
            Some(text) if schema == SCHEMA_TEXT => std::str::from_utf8(text).is_ok(),
            Some(text) => {
                let kind = match self.schemas.get(schema) {
                    Ok(Some(schema)) if schema.name.is_none() => &schema.kind,
                    _ => return false,
                };
                let most = [Kind::Int8, Kind::Int16, Kind::Int32, Kind::Int64].iter().position(|integer| integer == kind);
                most.is_some_and(|most| plain_integer(text).is_some_and(|place| place <= most))
            }
        }
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
        let (schema, value) = self.schemas.value(schema, payload)?;
        if value == Value::Null {
            return Ok(Encoded::Null);
        }
        out.extend_from_slice(text_of(schema.as_deref(), &value).as_bytes());
        Ok(Encoded::Bytes)
    }
}
