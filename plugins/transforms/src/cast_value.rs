//! Casts of single values, with Java's rules of narrowing.

use base64::prelude::{BASE64_STANDARD, Engine};
use hawser_plugin::prelude::*;
use hawser_plugin::schema::{Kind, logical};
use hawser_plugin::transform::Json;

use crate::date_format::{DAY, DateFormat};
use crate::java;
use crate::shape::{is_double, type_name};

/// Types that can be cast from, as Kafka Connect lists them.
const INPUT_TYPES: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]";
/// Types that can be cast to.
const OUTPUT_TYPES: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";

/// A type to cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
}

impl Target {
    /// # Errors
    /// If there is no such type, in the words of Kafka Connect.
    pub fn new(name: &str) -> Result<Self, String> {
        match name.trim().to_ascii_lowercase().as_str() {
            "int8" => Ok(Self::Int8),
            "int16" => Ok(Self::Int16),
            "int32" => Ok(Self::Int32),
            "int64" => Ok(Self::Int64),
            "float32" => Ok(Self::Float32),
            "float64" => Ok(Self::Float64),
            "boolean" => Ok(Self::Boolean),
            "string" => Ok(Self::String),
            other @ ("bytes" | "array" | "map" | "struct") => Err(format!(
                "Cast transformation does not support casting to {}; supported types are {OUTPUT_TYPES}",
                other.to_ascii_uppercase()
            )),
            _ => Err(format!("Invalid type found in casting spec: {}", name.trim())),
        }
    }

    /// The kind of a schema for it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Int8 => Kind::Int8,
            Self::Int16 => Kind::Int16,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Float32 => Kind::Float,
            Self::Float64 => Kind::Double,
            Self::Boolean => Kind::Boolean,
            Self::String => Kind::String,
        }
    }
}

/// A value as Java holds it.
#[derive(Debug)]
enum Input {
    Integer(i64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    Text(String),
    /// As base64.
    Bytes(String),
    Decimal {
        unscaled: i128,
        scale: i32,
    },
    /// A Date, Time or Timestamp: the number that it is encoded as, and milliseconds since the epoch.
    Date {
        encoded: i64,
        millis: i64,
    },
}

/// Casts a value that is not null; the result is JSON text.
///
/// # Errors
/// If it cannot be cast, in the words of Kafka Connect.
pub fn cast(value: Json<'_>, schema: Option<&Schema>, target: Target) -> Result<String, RecordError> {
    if target == Target::String
        && let Some(text) = number_as_text(value, schema)
    {
        return Ok(format!("\"{text}\""));
    }
    let input = match schema {
        Some(schema) => input_with_schema(value, schema)?,
        None => input_without_schema(value)?,
    };
    if target == Target::String {
        return Ok(serde_json::to_string(&to_text(&input))?);
    }
    let out_of_range = |text: &str| RecordError::data(format!("Value ({text}) was out of range for requested data type"));
    let integer = |minimum: i64, maximum: i64| match &input {
        Input::Text(text) => {
            text.parse::<i64>().ok().filter(|number| (minimum..=maximum).contains(number)).ok_or_else(|| out_of_range(text))
        }
        _ => to_integer(&input, target == Target::Int64),
    };
    Ok(match target {
        Target::Int8 => (integer(i8::MIN.into(), i8::MAX.into())? as i8).to_string(),
        Target::Int16 => (integer(i16::MIN.into(), i16::MAX.into())? as i16).to_string(),
        Target::Int32 => (integer(i32::MIN.into(), i32::MAX.into())? as i32).to_string(),
        Target::Int64 => integer(i64::MIN, i64::MAX)?.to_string(),
        Target::Float32 => {
            let number = match &input {
                Input::Integer(number) => *number as f32,
                Input::Text(text) => parse_float(text).ok_or_else(|| out_of_range(text))? as f32,
                input => to_double(input)? as f32,
            };
            finite(f64::from(number), java::float(number))
        }
        Target::Float64 => {
            let number = match &input {
                Input::Text(text) => parse_float(text).ok_or_else(|| out_of_range(text))?,
                input => to_double(input)?,
            };
            finite(number, java::double(number))
        }
        Target::Boolean | Target::String => to_boolean(&input)?.to_string(),
    })
}

/// The text of a number that is spelled as Java spells it; `None` if it must be read to know.
fn number_as_text<'a>(value: Json<'a>, schema: Option<&Schema>) -> Option<&'a str> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let kind = match schema {
        Some(schema) if schema.name.is_some() => return None,
        schema => schema.map(|schema| &schema.kind),
    };
    let is_spelled = match kind {
        None => java::is_integer(text) || java::is_plain_double(text),
        Some(Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64) => java::is_integer(text),
        Some(Kind::Double) => java::is_plain_double(text),
        Some(_) => false,
    };
    is_spelled.then_some(text)
}

fn input_without_schema(value: Json<'_>) -> Result<Input, RecordError> {
    Ok(match value.kind() {
        JsonKind::Number if is_double(value) => Input::Double(value.parse()?),
        // Kafka Connect wraps what does not fit.
        JsonKind::Number => Input::Integer(value.parse::<i64>().or_else(|_| value.parse::<f64>().map(|number| number as i64))?),
        JsonKind::Boolean => Input::Boolean(value.parse()?),
        JsonKind::String => Input::Text(value.parse()?),
        JsonKind::Array => return Err(no_input("ARRAY")),
        JsonKind::Object | JsonKind::Null => return Err(no_input("MAP")),
    })
}

fn input_with_schema(value: Json<'_>, schema: &Schema) -> Result<Input, RecordError> {
    match schema.name.as_deref() {
        Some(logical::DATE) => {
            let encoded: i64 = value.parse()?;
            return Ok(Input::Date { encoded, millis: encoded.saturating_mul(DAY) });
        }
        Some(logical::TIME | logical::TIMESTAMP) => {
            let encoded = value.parse()?;
            return Ok(Input::Date { encoded, millis: encoded });
        }
        Some(logical::DECIMAL) => return decimal(value, schema),
        _ => {}
    }
    Ok(match &schema.kind {
        Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => Input::Integer(value.parse()?),
        Kind::Float => Input::Float(value.parse()?),
        Kind::Double => Input::Double(value.parse()?),
        Kind::Boolean => Input::Boolean(value.parse()?),
        Kind::String => Input::Text(value.parse()?),
        Kind::Bytes => Input::Bytes(value.parse()?),
        Kind::Array(_) | Kind::Map(..) | Kind::Struct(_) => return Err(no_input(type_name(schema))),
    })
}

fn no_input(kind: &str) -> RecordError {
    RecordError::data(format!("Cast transformation does not support casting from {kind}; supported types are {INPUT_TYPES}"))
}

fn decimal(value: Json<'_>, schema: &Schema) -> Result<Input, RecordError> {
    let scale = schema.parameters.as_ref().and_then(|all| all.iter().find(|(name, _)| name == "scale"));
    let scale = scale.and_then(|(_, scale)| scale.parse().ok()).unwrap_or(0);
    let bytes = BASE64_STANDARD.decode(value.parse::<String>()?).map_err(RecordError::data)?;
    let unscaled = java::big_integer(&bytes).ok_or_else(|| RecordError::data("a Decimal has more than 128 bits"))?;
    Ok(Input::Decimal { unscaled, scale })
}

fn to_text(input: &Input) -> String {
    match input {
        Input::Integer(number) => number.to_string(),
        Input::Float(number) => java::float(*number),
        Input::Double(number) => java::double(*number),
        Input::Boolean(truth) => truth.to_string(),
        Input::Text(text) | Input::Bytes(text) => text.clone(),
        Input::Decimal { unscaled, scale } => java::big_decimal(*unscaled, *scale),
        Input::Date { millis, .. } => {
            let pattern = match millis {
                0..DAY => "HH:mm:ss.SSS'Z'",
                millis if millis % DAY == 0 => "yyyy-MM-dd",
                _ => "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'",
            };
            DateFormat::new(pattern).map(|format| format.format(*millis)).unwrap_or_default()
        }
    }
}

/// What is no text as an integer, for the caller to narrow. Floats are first cut to 32 or 64 bits, as in Java.
fn to_integer(input: &Input, long: bool) -> Result<i64, RecordError> {
    let cut = |number: f64| if long { number as i64 } else { i64::from(number as i32) };
    Ok(match input {
        Input::Integer(number) | Input::Date { encoded: number, .. } => *number,
        Input::Float(number) => cut((*number).into()),
        Input::Double(number) => cut(*number),
        Input::Boolean(truth) => (*truth).into(),
        Input::Decimal { unscaled, scale } => whole(*unscaled, *scale) as i64,
        Input::Text(_) | Input::Bytes(_) => return Err(unexpected_bytes()),
    })
}

fn to_double(input: &Input) -> Result<f64, RecordError> {
    Ok(match input {
        Input::Integer(number) | Input::Date { encoded: number, .. } => *number as f64,
        Input::Float(number) => (*number).into(),
        Input::Double(number) => *number,
        Input::Boolean(truth) => (*truth).into(),
        Input::Decimal { unscaled, scale } => java::big_decimal(*unscaled, *scale).parse().unwrap_or(f64::NAN),
        Input::Text(_) | Input::Bytes(_) => return Err(unexpected_bytes()),
    })
}

fn to_boolean(input: &Input) -> Result<bool, RecordError> {
    match input {
        Input::Text(text) => Ok(text.eq_ignore_ascii_case("true")),
        input => Ok(to_integer(input, true)? != 0),
    }
}

fn unexpected_bytes() -> RecordError {
    RecordError::data("Unexpected type in Cast transformation: class [B")
}

/// The part of a decimal before the point; what 128 bits cannot hold is 0, as its lowest bits mostly are.
fn whole(unscaled: i128, scale: i32) -> i128 {
    let power = 10_i128.checked_pow(scale.unsigned_abs());
    match power {
        Some(power) if scale >= 0 => unscaled / power,
        Some(power) => unscaled.wrapping_mul(power),
        None => 0,
    }
}

/// `Double.parseDouble`.
fn parse_float(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" | "+NaN" | "-NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => {
            let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
            number.bytes().last().filter(|byte| byte.is_ascii_digit() || *byte == b'.')?;
            number.parse().ok()
        }
    }
}

/// A number as JSON; one that is not finite as text, as Jackson writes it.
fn finite(number: f64, text: String) -> String {
    if number.is_nan() {
        "\"NaN\"".to_owned()
    } else if number.is_infinite() {
        format!("\"{}Infinity\"", if number < 0.0 { "-" } else { "" })
    } else {
        text
    }
}
