//! Connect's values.

use super::decimal::Decimal;
use super::schema::{Kind, Schema};
use super::time::{DAY_MS, java_date};

/// A value of Connect's data model. Which type a null, number or struct is of, its schema says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// null
    Null,
    /// A boolean.
    Boolean(bool),
    /// 8 bits.
    Int8(i8),
    /// 16 bits.
    Int16(i16),
    /// 32 bits.
    Int32(i32),
    /// 64 bits; every integer without a schema.
    Int64(i64),
    /// Single precision.
    Float32(f32),
    /// Double precision; every fraction without a schema.
    Float64(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A logical decimal.
    Decimal(Decimal),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds after midnight.
    Time(i32),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// An array.
    Array(Vec<Value>),
    /// A map in the order in which it was read.
    Map(Vec<(Value, Value)>),
    /// The fields of a struct in the order of its schema.
    Struct(Vec<Value>),
}

impl Value {
    /// The value of a date, time or timestamp as milliseconds since the epoch, as `java.util.Date` holds it.
    pub fn milliseconds(&self) -> Option<i64> {
        match self {
            Value::Date(days) => Some(i64::from(*days) * DAY_MS),
            Value::Time(ms) => Some(i64::from(*ms)),
            Value::Timestamp(ms) => Some(*ms),
            _ => None,
        }
    }

    /// `Object.getClass` as messages print it.
    pub fn java_class(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "class java.lang.Boolean",
            Value::Int8(_) => "class java.lang.Byte",
            Value::Int16(_) => "class java.lang.Short",
            Value::Int32(_) => "class java.lang.Integer",
            Value::Int64(_) => "class java.lang.Long",
            Value::Float32(_) => "class java.lang.Float",
            Value::Float64(_) => "class java.lang.Double",
            Value::String(_) => "class java.lang.String",
            Value::Bytes(_) => "class [B",
            Value::Decimal(_) => "class java.math.BigDecimal",
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => "class java.util.Date",
            Value::Array(_) => "class java.util.ArrayList",
            Value::Map(_) => "class java.util.HashMap",
            Value::Struct(_) => "class org.apache.kafka.connect.data.Struct",
        }
    }

    /// `Object.toString`. Bytes have none worth the name in Java; they are written in base64.
    pub fn java_text(&self, schema: Option<&Schema>, out: &mut String) {
        use std::fmt::Write;
        let kind = schema.map(|schema| &schema.kind);
        let _ = match self {
            Value::Null => write!(out, "null"),
            Value::Boolean(value) => write!(out, "{value}"),
            Value::Int8(value) => write!(out, "{value}"),
            Value::Int16(value) => write!(out, "{value}"),
            Value::Int32(value) => write!(out, "{value}"),
            Value::Int64(value) => write!(out, "{value}"),
            Value::Float32(value) => out.write_str(&float_text(*value)),
            Value::Float64(value) => out.write_str(&double_text(*value)),
            Value::String(text) => out.write_str(text),
            Value::Bytes(bytes) => out.write_str(&super::base64_text(bytes)),
            Value::Decimal(decimal) => write!(out, "{decimal}"),
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                out.write_str(&java_date(self.milliseconds().unwrap_or_default()))
            }
            Value::Array(elements) => {
                let items = match kind {
                    Some(Kind::Array(items)) => Some(&**items),
                    _ => None,
                };
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    element.java_text(items, out);
                }
                out.write_char(']')
            }
            Value::Map(entries) => {
                let (keys, values) = match kind {
                    Some(Kind::Map(keys, values)) => (Some(&**keys), Some(&**values)),
                    _ => (None, None),
                };
                out.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    key.java_text(keys, out);
                    out.push('=');
                    value.java_text(values, out);
                }
                out.write_char('}')
            }
            Value::Struct(values) => {
                let fields = match kind {
                    Some(Kind::Struct(fields)) => fields.as_slice(),
                    _ => &[],
                };
                out.push_str("Struct{");
                let mut separator = "";
                for (field, value) in fields.iter().zip(values).filter(|(_, value)| **value != Value::Null) {
                    out.push_str(separator);
                    out.push_str(&field.name);
                    out.push('=');
                    value.java_text(Some(&field.schema), out);
                    separator = ",";
                }
                out.write_char('}')
            }
        };
    }
}

/// `Double.toString`, since JDK 19 the shortest text that reads back as the same number.
pub fn double_text(value: f64) -> String {
    number_text(value, value.abs(), format!("{:e}", value.abs()), format!("{:.1e}", value.abs()))
}

/// `Float.toString`.
pub fn float_text(value: f32) -> String {
    number_text(f64::from(value), f64::from(value.abs()), format!("{:e}", value.abs()), format!("{:.1e}", value.abs()))
}

/// `shortest` and `two_digits` are scientific spellings of `magnitude`. Of numbers that one digit would tell apart, Java gives the
/// closest spelling of two.
fn number_text(value: f64, magnitude: f64, shortest: String, two_digits: String) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    let scientific = if shortest.contains('.') { shortest } else { two_digits };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    if magnitude != 0.0 && !(1e-3..1e7).contains(&magnitude) {
        return format!("{sign}{mantissa}E{exponent}");
    }
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let plain = if exponent < 0 {
        format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1))
    } else {
        let point = exponent as usize + 1;
        let (whole, fraction) = digits.split_at(point.min(digits.len()));
        let zeros = "0".repeat(point - whole.len());
        format!("{whole}{zeros}.{}", if fraction.is_empty() { "0" } else { fraction })
    };
    // The second of two digits may be a zero that the plain spelling does not need.
    let trimmed = plain.trim_end_matches('0');
    let plain = if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() };
    format!("{sign}{plain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_in_java() {
        for (value, expect) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.5e300, "1.5E300"),
            (123.456, "123.456"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (2e-3, "0.002"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (0.05, "0.05"),
            (20.0, "20.0"),
        ] {
            assert_eq!(double_text(value), expect);
        }
        for (value, expect) in
            [(3.4028235e38, "3.4028235E38"), (1.4e-45, "1.4E-45"), (0.1, "0.1"), (16_777_216.0, "1.6777216E7"), (3.15, "3.15")]
        {
            assert_eq!(float_text(value), expect);
        }
    }
}
