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
    let mut out = Vec::new();
    write_double(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `Float.toString`.
pub fn float_text(value: f32) -> String {
    let mut out = Vec::new();
    write_float(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `Double.toString`.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    const SMALLEST_WITH_TWO_DIGITS: f64 = 1e-321;
    let mut buffer = zmij::Buffer::new();
    if let Some(text) = plain_double(value, &mut buffer) {
        out.extend_from_slice(text.as_bytes());
    } else if value.abs() < SMALLEST_WITH_TWO_DIGITS {
        out.extend_from_slice(format!("{value:.1e}").replace('e', "E").as_bytes());
    } else {
        write_scientific(value, buffer.format(value), out);
    }
}

/// Appends `Float.toString`.
pub fn write_float(value: f32, out: &mut Vec<u8>) {
    const SMALLEST_WITH_TWO_DIGITS: f32 = 1e-43;
    let mut buffer = zmij::Buffer::new();
    if let Some(text) = plain_float(value, &mut buffer) {
        out.extend_from_slice(text.as_bytes());
    } else if value.abs() < SMALLEST_WITH_TWO_DIGITS {
        out.extend_from_slice(format!("{value:.1e}").replace('e', "E").as_bytes());
    } else {
        write_scientific(f64::from(value), buffer.format(value), out);
    }
}

/// `Double.toString` of a number that Java writes without an exponent: the shortest text, as everywhere.
pub fn plain_double(value: f64, buffer: &mut zmij::Buffer) -> Option<&str> {
    let is_plain = (1e-3..1e7).contains(&value.abs()) || value == 0.0;
    is_plain.then(|| buffer.format_finite(value))
}

/// The same for `Float.toString`.
pub fn plain_float(value: f32, buffer: &mut zmij::Buffer) -> Option<&str> {
    let is_plain = (1e-3..1e7).contains(&value.abs()) || value == 0.0;
    is_plain.then(|| buffer.format_finite(value))
}

/// Digits of the shortest text of a double at most.
const MAX_DIGITS: usize = 17;

/// Appends a number that Java writes with an exponent, or that is none, whose shortest text in any layout is given. (Of numbers that one
/// digit would tell from all others Java gives the closest text of two, which differs only for the very smallest; they do not come here.)
fn write_scientific(value: f64, shortest: &str, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"Infinity");
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let point = mantissa.find('.').unwrap_or(mantissa.len()) as i32;
    let mut digits = [b'0'; MAX_DIGITS + 1];
    let mut count = 0;
    let mut leading_zeros = 0;
    for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
        if digit == b'0' && count == 0 {
            leading_zeros += 1;
        } else if let Some(place) = digits.get_mut(count) {
            *place = digit;
            count += 1;
        }
    }
    let digits = trim_zeros(digits.get(..count).unwrap_or_default());
    let (first, rest) = digits.split_first().unwrap_or((&b'0', &[]));
    // The number is first.rest * 10^exponent.
    let exponent = exponent.parse::<i32>().unwrap_or_default() + point - leading_zeros - 1;
    out.push(*first);
    out.push(b'.');
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.push(b'E');
    out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    digits.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard library's shortest digits are the same, in another layout. Of two that are equally close Java takes the even ones.
    #[test]
    fn shortest_digits() {
        let digits = |text: &str| {
            let mantissa = text.split(['e', 'E']).next().unwrap_or_default().replace(['-', '.'], "");
            mantissa.trim_matches('0').to_owned()
        };
        let check = |text: String, expect: String, read_back: bool| {
            let (digits, expect) = (digits(&text), digits(&expect));
            let is_even_of_two = digits.len() == expect.len() && digits.ends_with(['2', '4', '6', '8']);
            assert!(read_back && (digits == expect || is_even_of_two), "{text}: {expect}");
        };
        for step in 1..200_000_u64 {
            let bits = step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let parts = step * 49_999_991 % 9_999_999_999_999 + 1000;
            for value in [f64::from_bits(bits), parts as f64 / 1e6, parts as f64 / 1e7, (parts as f64 / 1e6).next_up()] {
                if value.is_normal() {
                    let text = double_text(value);
                    check(text.clone(), format!("{value:e}"), text.parse() == Ok(value));
                }
            }
            for value in [f32::from_bits(bits as u32), parts as f32 / 1e6, parts as f32 / 1e7] {
                if value.is_normal() {
                    let text = float_text(value);
                    check(text.clone(), format!("{value:e}"), text.parse() == Ok(value));
                }
            }
        }
    }

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
            (-1234567.0, "-1234567.0"),
            (12345678.9, "1.23456789E7"),
            (1e16, "1.0E16"),
            (2e23, "2.0E23"),
            (1e-5, "1.0E-5"),
            (1e-321, "1.0E-321"),
            (9.99e-321, "9.99E-321"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN, "-1.7976931348623157E308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (12.25, "12.25"),
            (-0.001, "-0.001"),
            (9_999_999.000_001, "9999999.000001"),
            (9_999_999.999_999_9, "9999999.9999999"),
            (0.001_000_1, "0.0010001"),
        ] {
            assert_eq!(double_text(value), expect);
            let read: f64 = expect.parse().unwrap();
            assert!(read == value || value.is_nan());
        }
        for (value, expect) in
            [(3.4028235e38, "3.4028235E38"), (1.4e-45, "1.4E-45"), (0.1, "0.1"), (16_777_216.0, "1.6777216E7"), (3.15, "3.15")]
        {
            assert_eq!(float_text(value), expect);
        }
    }
}
