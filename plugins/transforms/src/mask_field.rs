//! MaskField: puts something harmless in the place of fields.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hawser_plugin::prelude::*;
use hawser_plugin::schema::{Kind, logical};
use hawser_plugin::transform::{Json, write_json_text};

use crate::java;
use crate::shape::{Shape, class_of, class_without_schema, defaults, fill_in, is_double, refuse_null, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "mask fields";
/// Digits of a number that 128 bits can hold.
const MAX_DIGITS: usize = 38;

/// Masks fields.
#[derive(Debug)]
pub struct MaskField<S> {
    fields: BTreeSet<String>,
    replacement: Option<String>,
    replace_null: bool,
    schemas: SchemaCache<Vec<(String, String)>>,
    side: PhantomData<S>,
}

impl<S: KeyOrValue> Class for MaskField<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .list("fields")
            .required()
            .not_empty()
            .doc("Names of fields to mask.")
            .string("replacement")
            .not_empty()
            .importance(Importance::Low)
            .doc("What to put there instead of 0 or nothing; for numbers and texts only.")
            .replace_null_with_default();
        two_sided::<S>("MaskField").summary("Puts 0, false or nothing in the place of fields.").config(config)
    }
}

impl<S: KeyOrValue> Transform for MaskField<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            fields: config.get::<Vec<String>>("fields")?.into_iter().collect(),
            replacement: config.find("replacement")?,
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        match shape(record, S::SIDE, PURPOSE)? {
            null @ (Shape::Null | Shape::NullWithSchema) => return Err(refuse_null(&null, PURPOSE)),
            Shape::Map => self.mask_map(record)?,
            Shape::Struct(id, schema) => {
                if self.replace_null {
                    let defaults = self.schemas.get_or_insert_with(id, || Ok::<_, RecordError>(defaults(&schema)))?;
                    fill_in(record, S::SIDE, &defaults)?;
                }
                self.mask_struct(record, &schema)?;
            }
        }
        Ok(Verdict::Keep)
    }
}

impl<S: KeyOrValue> MaskField<S> {
    fn mask_map(&self, record: &mut Record) -> Result<(), RecordError> {
        let mut object = record.object(S::SIDE)?;
        for name in &self.fields {
            let mask = match object.get(name) {
                Some(value) => mask_without_schema(value, self.replacement.as_deref())?,
                None => Cow::Borrowed("null"),
            };
            object.set_raw(name, &mask);
        }
        Ok(())
    }

    fn mask_struct(&self, record: &mut Record, schema: &Schema) -> Result<(), RecordError> {
        let mut object = record.object(S::SIDE)?;
        for field in schema.fields().iter().filter(|field| self.fields.contains(&field.name)) {
            if object.get(&field.name).is_some_and(|value| !value.is_null()) {
                let mask = mask_with_schema(&field.schema, self.replacement.as_deref())?;
                object.set_raw(&field.name, &mask);
            }
        }
        Ok(())
    }
}

fn mask_without_schema(value: Json<'_>, replacement: Option<&str>) -> Result<Cow<'static, str>, RecordError> {
    let Some(replacement) = replacement else {
        return Ok(Cow::Borrowed(match value.kind() {
            JsonKind::Null => "null",
            JsonKind::Boolean => "false",
            JsonKind::Number if is_double(value) => "0.0",
            JsonKind::Number => "0",
            JsonKind::String => "\"\"",
            JsonKind::Array => "[]",
            JsonKind::Object => "{}",
        }));
    };
    match value.kind() {
        JsonKind::Null => Ok(Cow::Borrowed("null")),
        JsonKind::Number if is_double(value) => double(replacement),
        JsonKind::Number => integer(replacement, i64::MIN, i64::MAX),
        JsonKind::String => Ok(text(replacement)),
        _ => Err(no_replacement(class_without_schema(value))),
    }
}

fn mask_with_schema(schema: &Schema, replacement: Option<&str>) -> Result<Cow<'static, str>, RecordError> {
    let class = class_of(schema);
    let is_decimal = schema.is_logical(logical::DECIMAL);
    let Some(replacement) = replacement else {
        return Ok(Cow::Borrowed(match &schema.kind {
            Kind::Boolean => "false",
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => "0",
            Kind::Float | Kind::Double => "0.0",
            Kind::String => "\"\"",
            Kind::Bytes if is_decimal => "\"AA==\"",
            Kind::Array(_) => "[]",
            Kind::Map(keys, _) if keys.kind == Kind::String => "{}",
            Kind::Map(..) => "[]",
            Kind::Bytes | Kind::Struct(_) => return Err(RecordError::data(format!("Cannot mask value of type: class {class}"))),
        }));
    };
    match &schema.kind {
        _ if class == "java.util.Date" => Err(no_replacement(class)),
        Kind::Int8 => integer(replacement, i8::MIN.into(), i8::MAX.into()),
        Kind::Int16 => integer(replacement, i16::MIN.into(), i16::MAX.into()),
        Kind::Int32 => integer(replacement, i32::MIN.into(), i32::MAX.into()),
        Kind::Int64 => integer(replacement, i64::MIN, i64::MAX),
        Kind::Float | Kind::Double => double(replacement),
        Kind::String => Ok(text(replacement)),
        Kind::Bytes if is_decimal => decimal(replacement, schema),
        _ => Err(no_replacement(class)),
    }
}

fn no_replacement(class: &str) -> RecordError {
    RecordError::data(format!("Cannot mask value of type class {class} with custom replacement."))
}

fn no_number(replacement: &str) -> RecordError {
    RecordError::data(format!("Unable to convert {replacement} (class java.lang.String) to a number"))
}

fn text(replacement: &str) -> Cow<'static, str> {
    let mut json = Vec::new();
    write_json_text(&mut json, replacement);
    Cow::Owned(String::from_utf8(json).unwrap_or_default())
}

/// Whole numbers lose their fraction, as in Java. What does not fit is refused: Java would wrap it.
fn integer(replacement: &str, minimum: i64, maximum: i64) -> Result<Cow<'static, str>, RecordError> {
    let whole = match replacement.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => replacement,
    };
    // Exponents are left to the floats: who writes them does not want all of 19 digits.
    let number = whole.parse().ok().or_else(|| {
        let float = replacement.parse::<f64>().ok().filter(|float| float.abs() < i64::MAX as f64)?;
        Some(float as i64)
    });
    let number = number.filter(|number| (minimum..=maximum).contains(number));
    number.map(|number| Cow::Owned(number.to_string())).ok_or_else(|| no_number(replacement))
}

fn double(replacement: &str) -> Result<Cow<'static, str>, RecordError> {
    let number = replacement.parse::<f64>().ok().filter(|number| number.is_finite());
    let json = number.and_then(|number| serde_json::to_string(&number).ok());
    json.map(Cow::Owned).ok_or_else(|| no_number(replacement))
}

/// The replacement at the scale of the schema, as base64 of the unscaled value.
fn decimal(replacement: &str, schema: &Schema) -> Result<Cow<'static, str>, RecordError> {
    let scale = schema.parameters.as_ref().and_then(|all| all.iter().find(|(name, _)| name == "scale"));
    let scale: usize = scale.and_then(|(_, scale)| scale.parse().ok()).unwrap_or(0);
    // Kafka Connect's words for a BigDecimal differ.
    let no_decimal = || RecordError::data(format!("Unable to convert {replacement} (class java.lang.String) to number"));
    let (whole, fraction) = replacement.split_once('.').unwrap_or((replacement, ""));
    if scale > MAX_DIGITS || fraction.len() > scale || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_decimal());
    }
    let unscaled = format!("{whole}{fraction}{}", "0".repeat(scale - fraction.len()));
    let unscaled = unscaled.parse::<i128>().map_err(|_| no_decimal())?;
    let bytes = java::big_integer_bytes(unscaled);
    Ok(Cow::Owned(format!("\"{}\"", BASE64_STANDARD.encode(bytes))))
}
