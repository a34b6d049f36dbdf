//! Data under a JSON Schema: `JsonSchemaData.toConnectData` and `fromConnectData`. It is JsonConverter's but for unions, which are the
//! value of the one type that it is of, and for maps whose keys are not text, which are lists of objects.

use super::is_union;
use crate::convert::ConvertError;
use crate::convert::data::json::{Node, is_integral, write_string};
use crate::convert::data::read::Reader;
use crate::convert::data::write::write_json;
use crate::convert::data::{Kind, Logical, Schema, Value};

/// Whether data of a schema is spelled as JsonConverter spells it.
pub fn is_plain(schema: &Schema, numeric: bool) -> bool {
    let differs = |schema: &Schema| match &schema.kind {
        Kind::Struct(_) => is_union(schema),
        Kind::Map(keys, _) => keys.kind != Kind::String || keys.optional,
        _ => numeric && matches!(schema.logical(), Some(Logical::Decimal(_))),
    };
    !schema.any(&differs)
}

/// Reads what stands on a topic; `None` is a member that is missing, which is null whatever its schema.
///
/// # Errors
/// Those of `JsonSchemaData`.
pub fn read(schema: &Schema, node: Option<&Node<'_>>) -> Result<Value, ConvertError> {
    let Some(node) = node.filter(|node| **node != Node::Null) else {
        return match (&schema.default, node) {
            (Some(default), _) => Ok(default.clone()),
            (None, Some(_)) if !schema.optional => {
                Err(ConvertError::data(format!("Invalid null value for required {} field", schema.kind.name())))
            }
            _ => Ok(Value::Null),
        };
    };
    if schema.logical().is_some() {
        return Reader::of_topic(true).read(schema, Some(node));
    }
    match (&schema.kind, node) {
        (Kind::Struct(fields), _) if is_union(schema) => {
            let simple = fields.iter().position(|field| is_of(&field.schema, node));
            let matching = || {
                let matches = fields.iter().map(|field| matching(&field.schema, node)).enumerate();
                matches
                    .filter(|(_, count)| *count > 0)
                    .max_by_key(|(place, count)| (*count, usize::MAX - place))
                    .map(|(place, _)| place)
            };
            let chosen =
                simple.or_else(matching).ok_or_else(|| ConvertError::data("Did not find matching oneof field for data"))?;
            let field = |(place, field): (usize, &crate::convert::data::Field)| {
                if place == chosen { read(&field.schema, Some(node)) } else { Ok(Value::Null) }
            };
            fields.iter().enumerate().map(field).collect::<Result<_, _>>().map(Value::Struct)
        }
        (Kind::Struct(fields), Node::Object(members)) => fields
            .iter()
            .map(|field| read(&field.schema, members.get(field.name.as_str())))
            .collect::<Result<_, _>>()
            .map(Value::Struct),
        (Kind::Array(items), Node::Array(elements)) => {
            elements.iter().map(|element| read(items, Some(element))).collect::<Result<_, _>>().map(Value::Array)
        }
        (Kind::Map(keys, values), Node::Object(members)) if keys.kind == Kind::String && !keys.optional => {
            let entry = |(name, value): (&std::borrow::Cow<'_, str>, &Node<'_>)| {
                Ok((Value::String(name.to_string()), read(values, Some(value))?))
            };
            members.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
        }
        (Kind::Map(keys, values), Node::Array(entries)) if keys.kind != Kind::String || keys.optional => {
            let entry = |entry: &Node<'_>| match entry {
                Node::Object(members) if members.len() == 2 => {
                    Ok((read(keys, entry.get("key"))?, read(values, entry.get("value"))?))
                }
                Node::Object(members) => {
                    Err(ConvertError::data(format!("Found invalid map entry, expected length 2 but found :{}", members.len())))
                }
                other => Err(ConvertError::data(format!("Found invalid map entry instead of object: {}", other.kind()))),
            };
            entries.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
        }
        (Kind::Map(keys, _), other) if keys.kind != Kind::String || keys.optional => Err(ConvertError::data(format!(
            "Maps with non-string fields should be encoded as JSON array of objects, but found {}",
            other.kind()
        ))),
        _ => Reader::of_topic(true).read(schema, Some(node)),
    }
}

/// Reads what a plugin gives, in JsonConverter's spelling. A required field may be null: it was missing on a topic, and will be again.
///
/// # Errors
/// Those of Kafka's JsonConverter for values of the wrong kind.
pub fn given(reader: &Reader, schema: &Schema, node: &Node<'_>) -> Result<Value, ConvertError> {
    match (&schema.kind, node) {
        (Kind::Struct(fields), Node::Object(members)) => {
            let field = |field: &crate::convert::data::Field| match members
                .get(field.name.as_str())
                .filter(|value| **value != Node::Null)
            {
                None if !field.schema.optional && field.schema.default.is_none() => Ok(Value::Null),
                None => reader.read(&field.schema, None),
                Some(value) => given(reader, &field.schema, value),
            };
            fields.iter().map(field).collect::<Result<_, _>>().map(Value::Struct)
        }
        (Kind::Array(items), Node::Array(elements)) => {
            elements.iter().map(|element| given(reader, items, element)).collect::<Result<_, _>>().map(Value::Array)
        }
        _ => reader.read(schema, Some(node)),
    }
}

/// Whether a value is of a simple type.
fn is_of(schema: &Schema, node: &Node<'_>) -> bool {
    match (&schema.kind, node) {
        (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, Node::Number(number)) => is_integral(number),
        (Kind::Float32 | Kind::Float64, Node::Number(_))
        | (Kind::Boolean, Node::Boolean(_))
        | (Kind::String, Node::String(_))
        | (Kind::Array(_), Node::Array(_))
        | (Kind::Map(..), Node::Object(_) | Node::Array(_)) => true,
        // Bytes are text in JSON; what is a decimal may be a number too.
        (Kind::Bytes, Node::String(_)) => true,
        (Kind::Bytes, Node::Number(_)) => matches!(schema.logical(), Some(Logical::Decimal(_))),
        _ => false,
    }
}

/// How many of a struct's fields an object has, and those inside of them.
fn matching(schema: &Schema, node: &Node<'_>) -> usize {
    let Kind::Struct(fields) = &schema.kind else { return 0 };
    let count = |field: &crate::convert::data::Field| node.get(&field.name).map_or(0, |value| 1 + matching(&field.schema, value));
    fields.iter().map(count).sum()
}

/// Appends what stands on a topic. The value was read under its schema.
pub fn write(schema: &Schema, value: &Value, numeric: bool, out: &mut Vec<u8>) {
    match (&schema.kind, value) {
        (Kind::Struct(fields), Value::Struct(values)) if is_union(schema) => {
            let set = fields.iter().zip(values).find(|(_, value)| **value != Value::Null);
            match set {
                Some((field, value)) => write(&field.schema, value, numeric, out),
                None => out.extend_from_slice(b"null"),
            }
        }
        (Kind::Struct(fields), Value::Struct(values)) => {
            out.push(b'{');
            let mut separator = false;
            // A null that may not be one is left out, as fromConnectData does.
            let written = fields.iter().zip(values).filter(|(field, value)| **value != Value::Null || field.schema.optional);
            for (field, value) in written {
                comma(&mut separator, out);
                write_string(&field.name, out);
                out.push(b':');
                write(&field.schema, value, numeric, out);
            }
            out.push(b'}');
        }
        (Kind::Array(items), Value::Array(elements)) => {
            out.push(b'[');
            let mut separator = false;
            for element in elements {
                comma(&mut separator, out);
                write(items, element, numeric, out);
            }
            out.push(b']');
        }
        (Kind::Map(keys, values), Value::Map(entries)) => {
            let as_object = keys.kind == Kind::String && !keys.optional;
            out.push(if as_object { b'{' } else { b'[' });
            let mut separator = false;
            for (key, value) in entries {
                comma(&mut separator, out);
                if !as_object {
                    out.extend_from_slice(b"{\"key\":");
                }
                write(keys, key, numeric, out);
                out.extend_from_slice(if as_object { b":" } else { b",\"value\":" });
                write(values, value, numeric, out);
                if !as_object {
                    out.push(b'}');
                }
            }
            out.push(if as_object { b'}' } else { b']' });
        }
        _ => write_json(Some(schema), value, numeric, out),
    }
}

fn comma(separator: &mut bool, out: &mut Vec<u8>) {
    if *separator {
        out.push(b',');
    }
    *separator = true;
}
