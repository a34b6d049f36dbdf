//! Connect's values as messages: `ProtobufData.fromConnectData`.

use prost_reflect::{DynamicMessage, Kind as ProtoKind, MapKey, MessageDescriptor, ReflectMessage, Value as Proto};

use super::from_connect::scrubbed;
use super::options::Options;
use super::{is_union, known};
use crate::convert::ConvertError;
use crate::convert::data::{Kind, Schema, Value};

/// A message.
///
/// # Errors
/// A `DataException` when the value does not fit. `strict`: every field must have a place.
pub fn message(
    of: &MessageDescriptor,
    schema: &Schema,
    value: &Value,
    options: Options,
    strict: bool,
) -> Result<DynamicMessage, ConvertError> {
    let mut message = DynamicMessage::new(of.clone());
    if let Some(fields) = known::fields(value) {
        for (name, value) in fields {
            set(&mut message, name, value)?;
        }
        return Ok(message);
    }
    let (Kind::Struct(fields), Value::Struct(values)) = (&schema.kind, value) else {
        let kind = of.get_field_by_name("value").map(|field| field.kind()).ok_or_else(|| misfit(schema, of.full_name()))?;
        set(&mut message, "value", scalar(&kind, schema, value)?)?;
        return Ok(message);
    };
    for (field, value) in fields.iter().zip(values).filter(|(_, value)| **value != Value::Null) {
        match (&field.schema.kind, value) {
            (Kind::Struct(branches), Value::Struct(values)) if is_union(&field.schema) => {
                let set_branch = branches.iter().zip(values).find(|(_, value)| **value != Value::Null);
                let (branch, value) = set_branch.ok_or_else(|| ConvertError::data("Cannot find non-null field"))?;
                put(&mut message, &branch.name, &branch.schema, value, options, strict)?;
            }
            _ => put(&mut message, &field.name, &field.schema, value, options, strict)?,
        }
    }
    Ok(message)
}

fn put(
    message: &mut DynamicMessage,
    name: &str,
    schema: &Schema,
    value: &Value,
    options: Options,
    strict: bool,
) -> Result<(), ConvertError> {
    let name = scrubbed(name, options)?;
    let Some(field) = message.descriptor().get_field_by_name(&name) else {
        return if strict { Err(ConvertError::data(format!("Cannot find field with name {name}"))) } else { Ok(()) };
    };
    let kind = field.kind();
    let value = match (&schema.kind, value) {
        (Kind::Array(items), Value::Array(elements)) => {
            if elements.contains(&Value::Null) {
                return Err(ConvertError::data(format!("The list {name} has a null in it, which Protobuf does not have")));
            }
            let elements = elements.iter().map(|element| convert(&kind, items, element, options, strict));
            Proto::List(elements.collect::<Result<_, _>>()?)
        }
        (Kind::Map(keys, values), Value::Map(entries)) => {
            let ProtoKind::Message(entry) = &kind else { return Err(misfit(schema, &name)) };
            if field.is_map() {
                map(entry, keys, values, entries, options, strict)?
            } else {
                pairs(entry, keys, values, entries, options, strict)?
            }
        }
        _ => convert(&kind, schema, value, options, strict)?,
    };
    set(message, &name, value)
}

fn pairs(
    entry: &MessageDescriptor,
    keys: &Schema,
    values: &Schema,
    entries: &[(Value, Value)],
    options: Options,
    strict: bool,
) -> Result<Proto, ConvertError> {
    let pair = |(key, value): &(Value, Value)| {
        let mut message = DynamicMessage::new(entry.clone());
        for (name, schema, value) in [("key", keys, key), ("value", values, value)] {
            if *value != Value::Null {
                put(&mut message, name, schema, value, options, strict)?;
            }
        }
        Ok(Proto::Message(message))
    };
    entries.iter().map(pair).collect::<Result<_, _>>().map(Proto::List)
}

fn map(
    entry: &MessageDescriptor,
    keys: &Schema,
    values: &Schema,
    entries: &[(Value, Value)],
    options: Options,
    strict: bool,
) -> Result<Proto, ConvertError> {
    let kind =
        |name: &str| entry.get_field_by_name(name).map(|field| field.kind()).ok_or_else(|| misfit(keys, entry.full_name()));
    let (key_kind, value_kind) = (kind("key")?, kind("value")?);
    let pair = |(key, value): &(Value, Value)| {
        let key = match convert(&key_kind, keys, key, options, strict)? {
            Proto::Bool(key) => MapKey::Bool(key),
            Proto::I32(key) => MapKey::I32(key),
            Proto::I64(key) => MapKey::I64(key),
            Proto::U32(key) => MapKey::U32(key),
            Proto::U64(key) => MapKey::U64(key),
            Proto::String(key) => MapKey::String(key),
            _ => return Err(misfit(keys, entry.full_name())),
        };
        let value = match value {
            Value::Null => Proto::default_value(&value_kind),
            value => convert(&value_kind, values, value, options, strict)?,
        };
        Ok((key, value))
    };
    entries.iter().map(pair).collect::<Result<_, _>>().map(Proto::Map)
}

fn convert(kind: &ProtoKind, schema: &Schema, value: &Value, options: Options, strict: bool) -> Result<Proto, ConvertError> {
    match kind {
        ProtoKind::Message(of) => message(of, schema, value, options, strict).map(Proto::Message),
        kind => scalar(kind, schema, value),
    }
}

fn scalar(kind: &ProtoKind, schema: &Schema, value: &Value) -> Result<Proto, ConvertError> {
    let integer = match value {
        Value::Int8(number) => Some(i64::from(*number)),
        Value::Int16(number) => Some(i64::from(*number)),
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        _ => None,
    };
    Ok(match (kind, value, integer) {
        (ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32, _, Some(number)) => {
            Proto::I32(i32::try_from(number).map_err(|_| misfit(schema, "int32"))?)
        }
        (ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64, _, Some(number)) => Proto::I64(number),
        // As Java does, which has no unsigned numbers: the low bits.
        (ProtoKind::Uint32 | ProtoKind::Fixed32, _, Some(number)) => Proto::U32(number as u32),
        (ProtoKind::Uint64 | ProtoKind::Fixed64, _, Some(number)) => Proto::U64(number as u64),
        (ProtoKind::Enum(_), _, Some(number)) => Proto::EnumNumber(i32::try_from(number).map_err(|_| misfit(schema, "enum"))?),
        (ProtoKind::Enum(of), Value::String(symbol), _) => {
            let value = of.get_value_by_name(symbol);
            let value =
                value.ok_or_else(|| ConvertError::data(format!("The Protobuf enum {} has no symbol {symbol}", of.name())))?;
            Proto::EnumNumber(value.number())
        }
        (ProtoKind::Float, Value::Float32(number), _) => Proto::F32(*number),
        (ProtoKind::Double, Value::Float32(number), _) => Proto::F64(f64::from(*number)),
        (ProtoKind::Double, Value::Float64(number), _) => Proto::F64(*number),
        (ProtoKind::Bool, Value::Boolean(value), _) => Proto::Bool(*value),
        (ProtoKind::String, Value::String(text), _) => Proto::String(text.clone()),
        (ProtoKind::Bytes, Value::Bytes(bytes), _) => Proto::Bytes(bytes.clone().into()),
        _ => return Err(misfit(schema, &format!("{kind:?}"))),
    })
}

fn set(message: &mut DynamicMessage, name: &str, value: Proto) -> Result<(), ConvertError> {
    message
        .try_set_field_by_name(name, value)
        .map_err(|error| ConvertError::data(format!("Error serializing Protobuf message: {error}")))
}

fn misfit(schema: &Schema, theirs: &str) -> ConvertError {
    ConvertError::data(format!("Incompatible schema: {} cannot be written as Protobuf {theirs}", schema.kind.name()))
}
