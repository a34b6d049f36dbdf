//! `Values.convertToString`: header values as text.

use std::fmt::Write;

use crate::convert::data::value::{double_text, float_text};
use crate::convert::data::{Kind, Schema, Value, base64_text, time};

/// The text of a value.
pub fn text_of(schema: Option<&Schema>, value: &Value) -> String {
    let mut out = String::new();
    append(schema, value, false, &mut out);
    out
}

fn append(schema: Option<&Schema>, value: &Value, embedded: bool, out: &mut String) {
    let kind = schema.map(|schema| &schema.kind);
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Boolean(value) => write!(out, "{value}"),
        Value::Int8(number) => write!(out, "{number}"),
        Value::Int16(number) => write!(out, "{number}"),
        Value::Int32(number) => write!(out, "{number}"),
        Value::Int64(number) => write!(out, "{number}"),
        Value::Float32(number) => out.write_str(&float_text(*number)),
        Value::Float64(number) => out.write_str(&double_text(*number)),
        Value::Decimal(decimal) => write!(out, "{decimal}"),
        Value::String(text) if embedded => quoted(&text.replace('\\', "\\\\").replace('"', "\\\""), out),
        Value::String(text) => out.write_str(text),
        Value::Bytes(bytes) if embedded => quoted(&base64_text(bytes), out),
        Value::Bytes(bytes) => out.write_str(&base64_text(bytes)),
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            out.write_str(&time::header_text(value.milliseconds().unwrap_or_default()))
        }
        Value::Array(elements) => {
            let items = match kind {
                Some(Kind::Array(items)) => Some(&**items),
                _ => None,
            };
            list("[]", elements, out, |element, out| append(items, element, true, out))
        }
        Value::Map(entries) => {
            let (keys, values) = match kind {
                Some(Kind::Map(keys, values)) => (Some(&**keys), Some(&**values)),
                _ => (None, None),
            };
            list("{}", entries, out, |(key, value), out| {
                append(keys, key, true, out);
                out.push(':');
                append(values, value, true, out);
            })
        }
        Value::Struct(values) => {
            let fields = match kind {
                Some(Kind::Struct(fields)) => fields.as_slice(),
                _ => &[],
            };
            list("{}", fields.iter().zip(values), out, |(field, value), out| {
                append(None, &Value::String(field.name.clone()), true, out);
                out.push(':');
                // `Struct.get` answers a null with the default.
                let default = field.schema.default.as_ref().filter(|_| *value == Value::Null);
                append(Some(&field.schema), default.unwrap_or(value), true, out);
            })
        }
    };
}

fn quoted(text: &str, out: &mut String) -> std::fmt::Result {
    write!(out, "\"{text}\"")
}

fn list<T>(
    brackets: &str,
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut item: impl FnMut(T, &mut String),
) -> std::fmt::Result {
    let (open, close) = brackets.split_at(1);
    out.push_str(open);
    for (place, element) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        item(element, out);
    }
    out.write_str(close)
}

/// A value as JSON without a schema can hold it: moments become text.
pub fn schemaless(value: Value) -> Value {
    match value {
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => Value::String(time::iso_text(&value)),
        Value::Array(elements) => Value::Array(elements.into_iter().map(schemaless).collect()),
        Value::Map(entries) => Value::Map(entries.into_iter().map(|(key, value)| (schemaless(key), schemaless(value))).collect()),
        other => other,
    }
}
