//! Values as the payload JSON of Kafka's JsonConverter.

use super::json::{Node, write_string};
use super::schema::{Kind, Logical, Schema};
use super::value::{Value, write_double, write_float};
use super::write_base64;

/// Appends a value. Nothing is checked here: what the schema forbids was refused when the value was read.
pub fn write_json(schema: Option<&Schema>, value: &Value, numeric_decimals: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Int8(number) => write_integer(*number, out),
        Value::Int16(number) => write_integer(*number, out),
        Value::Int32(number) | Value::Date(number) | Value::Time(number) => write_integer(*number, out),
        Value::Int64(number) | Value::Timestamp(number) => write_integer(*number, out),
        Value::Float32(number) => write_json_float(*number, out),
        Value::Float64(number) => write_json_double(*number, out),
        Value::String(text) => write_string(text, out),
        Value::Bytes(bytes) => base64(bytes, out),
        Value::Decimal(decimal) if numeric_decimals || !is_decimal(schema) => {
            out.extend_from_slice(decimal.to_string().as_bytes());
        }
        Value::Decimal(decimal) => base64(&decimal.to_bytes(), out),
        Value::Array(elements) => {
            let items = match schema.map(|schema| &schema.kind) {
                Some(Kind::Array(items)) => Some(&**items),
                _ => None,
            };
            list(b"[]", elements, out, |element, out| write_json(items, element, numeric_decimals, out));
        }
        Value::Map(entries) => map(schema, entries, numeric_decimals, out),
        Value::Struct(values) => {
            let fields = match schema.map(|schema| &schema.kind) {
                Some(Kind::Struct(fields)) => fields.as_slice(),
                _ => &[],
            };
            list(b"{}", fields.iter().zip(values), out, |(field, value), out| {
                write_string(&field.name, out);
                out.push(b':');
                write_json(Some(&field.schema), value, numeric_decimals, out);
            });
        }
    }
}

/// A map is an object if its keys are text by schema, or without one by what they are; else a list of pairs.
fn map(schema: Option<&Schema>, entries: &[(Value, Value)], numeric_decimals: bool, out: &mut Vec<u8>) {
    let (keys, values) = match schema.map(|schema| &schema.kind) {
        Some(Kind::Map(keys, values)) => (Some(&**keys), Some(&**values)),
        _ => (None, None),
    };
    let as_object = match keys {
        Some(keys) => keys.kind == Kind::String,
        None => entries.iter().all(|(key, _)| matches!(key, Value::String(_))),
    };
    if as_object {
        list(b"{}", entries, out, |(key, value), out| {
            match key {
                Value::String(name) => write_string(name, out),
                other => {
                    let mut name = String::new();
                    other.java_text(keys, &mut name);
                    write_string(&name, out);
                }
            }
            out.push(b':');
            write_json(values, value, numeric_decimals, out);
        });
    } else {
        list(b"[]", entries, out, |(key, value), out| {
            out.push(b'[');
            write_json(keys, key, numeric_decimals, out);
            out.push(b',');
            write_json(values, value, numeric_decimals, out);
            out.push(b']');
        });
    }
}

/// Appends JSON as Jackson would after reading it: no white space, no leading zeros.
pub fn write_node(node: &Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Boolean(true) => out.extend_from_slice(b"true"),
        Node::Boolean(false) => out.extend_from_slice(b"false"),
        Node::Number(number) => write_number(number, out),
        Node::String(text) => write_string(text, out),
        Node::Array(elements) => list(b"[]", elements, out, write_node),
        Node::Object(members) => list(b"{}", members, out, |(name, value), out| {
            write_string(name, out);
            out.push(b':');
            write_node(value, out);
        }),
    }
}

fn write_number(number: &str, out: &mut Vec<u8>) {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let significant = digits.trim_start_matches('0');
    out.extend_from_slice(sign.as_bytes());
    if !significant.starts_with(|first: char| first.is_ascii_digit()) {
        out.push(b'0');
    }
    out.extend_from_slice(significant.as_bytes());
}

fn list<T>(brackets: &[u8; 2], items: impl IntoIterator<Item = T>, out: &mut Vec<u8>, mut item: impl FnMut(T, &mut Vec<u8>)) {
    out.push(brackets[0]);
    for (place, element) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        item(element, out);
    }
    out.push(brackets[1]);
}

fn is_decimal(schema: Option<&Schema>) -> bool {
    matches!(schema.and_then(Schema::logical), Some(Logical::Decimal(_)))
}

/// Appends an integer.
pub fn write_integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a float, as text if JSON has no number for it.
pub fn write_json_float(number: f32, out: &mut Vec<u8>) {
    float(number.is_finite(), out, |out| write_float(number, out));
}

/// Appends a double, as text if JSON has no number for it.
pub fn write_json_double(number: f64, out: &mut Vec<u8>) {
    float(number.is_finite(), out, |out| write_double(number, out));
}

/// Jackson writes what JSON has no number for as text.
fn float(finite: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if finite {
        return write(out);
    }
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends bytes as a string of base64.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    write_base64(bytes, out);
    out.push(b'"');
}
