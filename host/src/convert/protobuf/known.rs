//! Messages that have a meaning of their own: wrappers of scalars, decimals, dates and times.

use num_bigint::BigInt;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value as Proto};

use crate::convert::ConvertError;
use crate::convert::data::decimal::Decimal;
use crate::convert::data::time::DAY_MS;
use crate::convert::data::{Kind, Value};

pub const DECIMAL: &str = "confluent.type.Decimal";
pub const DATE: &str = "google.type.Date";
pub const TIME: &str = "google.type.TimeOfDay";
pub const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The wrappers in the order of their file, and what they hold.
pub const WRAPPERS: [(&str, Kind); 9] = [
    ("google.protobuf.DoubleValue", Kind::Float64),
    ("google.protobuf.FloatValue", Kind::Float32),
    ("google.protobuf.Int64Value", Kind::Int64),
    ("google.protobuf.UInt64Value", Kind::Int64),
    ("google.protobuf.Int32Value", Kind::Int32),
    ("google.protobuf.UInt32Value", Kind::Int64),
    ("google.protobuf.BoolValue", Kind::Boolean),
    ("google.protobuf.StringValue", Kind::String),
    ("google.protobuf.BytesValue", Kind::Bytes),
];

/// The file of the wrappers, which is the schema of a record that is a scalar.
pub const WRAPPERS_FILE: &str = "syntax = \"proto3\";\npackage google.protobuf;\n\n\
    message DoubleValue {\n  double value = 1;\n}\nmessage FloatValue {\n  float value = 1;\n}\n\
    message Int64Value {\n  int64 value = 1;\n}\nmessage UInt64Value {\n  uint64 value = 1;\n}\n\
    message Int32Value {\n  int32 value = 1;\n}\nmessage UInt32Value {\n  uint32 value = 1;\n}\n\
    message BoolValue {\n  bool value = 1;\n}\nmessage StringValue {\n  string value = 1;\n}\n\
    message BytesValue {\n  bytes value = 1;\n}\n";

/// What a wrapper holds.
pub fn wrapped(message: &MessageDescriptor) -> Option<Kind> {
    WRAPPERS.iter().find(|(name, _)| *name == message.full_name()).map(|(_, kind)| kind.clone())
}

fn number(message: &DynamicMessage, field: &str) -> i64 {
    match message.get_field_by_name(field).as_deref() {
        Some(Proto::I32(number)) => i64::from(*number),
        Some(Proto::U32(number)) => i64::from(*number),
        Some(Proto::I64(number)) => *number,
        _ => 0,
    }
}

/// A decimal, at the scale of its schema.
///
/// # Errors
/// A `DataException` when it has no bytes, or digits beyond that scale.
pub fn decimal(message: &DynamicMessage, scale: i32) -> Result<Value, ConvertError> {
    let invalid = || ConvertError::data("Invalid bytes for Decimal field");
    let bytes = match message.get_field_by_name("value").as_deref() {
        Some(Proto::Bytes(bytes)) => bytes.clone(),
        _ => return Err(invalid()),
    };
    let own = number(message, "scale") as i32;
    let decimal = if bytes.is_empty() {
        Decimal { unscaled: BigInt::ZERO, scale: own }
    } else {
        Decimal::from_bytes(&bytes, own).ok_or_else(invalid)?
    };
    let rescaled = decimal.rescale(scale).ok_or_else(|| {
        ConvertError::data(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {own}."
        ))
    })?;
    Ok(Value::Decimal(rescaled))
}

/// Days since the epoch.
///
/// # Errors
/// A `DataException` for a day that the calendar does not have.
pub fn date(message: &DynamicMessage) -> Result<Value, ConvertError> {
    let (year, month, day) = (number(message, "year"), number(message, "month"), number(message, "day"));
    let days = days(year, month, day);
    let exists = (1..=12).contains(&month) && civil(days) == (year, month, day);
    let days = i32::try_from(days).ok().filter(|_| exists);
    days.map(Value::Date).ok_or_else(|| ConvertError::data(format!("Invalid Date: {year}-{month}-{day}")))
}

/// Milliseconds of the day.
///
/// # Errors
/// A `DataException` for a time that no day has.
pub fn time(message: &DynamicMessage) -> Result<Value, ConvertError> {
    let [hours, minutes, seconds, nanos] = ["hours", "minutes", "seconds", "nanos"].map(|field| number(message, field));
    let exists = (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0..60).contains(&seconds)
        && (0..1_000_000_000).contains(&nanos);
    if !exists {
        return Err(ConvertError::data(format!("Invalid TimeOfDay: {hours}:{minutes}:{seconds} and {nanos} ns")));
    }
    Ok(Value::Time((((hours * 60 + minutes) * 60 + seconds) * 1000 + nanos / 1_000_000) as i32))
}

/// Milliseconds since the epoch.
///
/// # Errors
/// A `DataException` for a time beyond the years 1 to 9999.
pub fn timestamp(message: &DynamicMessage) -> Result<Value, ConvertError> {
    let (seconds, nanos) = (number(message, "seconds"), number(message, "nanos"));
    if !(-62_135_596_800..=253_402_300_799).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return Err(ConvertError::data(format!("Timestamp is not valid: {seconds} seconds, {nanos} nanos")));
    }
    Ok(Value::Timestamp(seconds * 1000 + nanos / 1_000_000))
}

/// The fields of a decimal, date, time or timestamp; those that are not there are 0. `None` for other values.
pub fn fields(value: &Value) -> Option<Vec<(&'static str, Proto)>> {
    Some(match value {
        Value::Decimal(decimal) => vec![
            ("value", Proto::Bytes(decimal.to_bytes().into())),
            ("precision", Proto::U32(decimal.digits() as u32)),
            ("scale", Proto::I32(decimal.scale)),
        ],
        Value::Date(at) => {
            let (year, month, day) = civil(i64::from(*at));
            vec![("year", Proto::I32(year as i32)), ("month", Proto::I32(month as i32)), ("day", Proto::I32(day as i32))]
        }
        Value::Time(ms) => {
            // The end of the day is the beginning of the next.
            let ms = i64::from(*ms) % DAY_MS;
            let part = |divisor: i64, modulus: i64| Proto::I32((ms / divisor % modulus) as i32);
            vec![
                ("hours", part(3_600_000, 24)),
                ("minutes", part(60_000, 60)),
                ("seconds", part(1000, 60)),
                ("nanos", Proto::I32((ms % 1000 * 1_000_000) as i32)),
            ]
        }
        Value::Timestamp(ms) => {
            vec![("seconds", Proto::I64(ms.div_euclid(1000))), ("nanos", Proto::I32((ms.rem_euclid(1000) * 1_000_000) as i32))]
        }
        _ => return None,
    })
}

/// Days since the epoch of a day of the Gregorian calendar, from a March on so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since the epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}
