//! The Avro schema for a Connect schema: `AvroData.fromConnectSchema`, property by property in its order, so that what it writes and
//! what is written here is one schema to a registry.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::options::Options;
use super::{
    ANYTHING_SCHEMA, DEFAULT_SPACE, ENUM, FIXED_SIZE, GENERALIZED_ENUM, MAP_ENTRY, PRECISION, is_enum, is_union, parameter,
};
use crate::convert::ConvertError;
use crate::convert::data::value::{double_text, float_text};
use crate::convert::data::{Kind, Logical, Schema, Value};

const DEFAULT_PRECISION: i64 = 64;
const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";

/// The text of the Avro schema; `None` for data without a schema.
///
/// # Errors
/// A `DataException` when a name cannot be one in Avro, or stands for two things.
pub fn avro_schema(schema: Option<&Schema>, options: Options) -> Result<String, ConvertError> {
    let Some(schema) = schema else { return Ok(ANYTHING_SCHEMA.to_owned()) };
    let mut conversion = FromConnect { options, named: Vec::new(), unnamed: Vec::new(), seen: HashSet::new() };
    Ok(conversion.schema(schema, false, None)?.to_string())
}

struct FromConnect {
    options: Options,
    /// Full names that are given, and to what.
    named: Vec<(String, Schema)>,
    /// Structs without a name, and the full names that they were given.
    unnamed: Vec<(Schema, String)>,
    /// Names of fields' schemas.
    seen: HashSet<String>,
}

type Converted = Result<Json, ConvertError>;

impl FromConnect {
    fn schema(&mut self, schema: &Schema, ignore_optional: bool, space: Option<&str>) -> Converted {
        if matches!(schema.kind, Kind::Struct(_)) && (is_union(schema) || schema.optional) {
            return self.union(schema, space);
        }
        let base = self.base(schema, space)?;
        Ok(match (schema.optional && !ignore_optional, &schema.default) {
            (false, _) => base,
            (true, Some(_)) => json!([base, "null"]),
            (true, None) => json!(["null", base]),
        })
    }

    fn union(&mut self, schema: &Schema, space: Option<&str>) -> Converted {
        let required = |schema: &Schema| Schema { optional: false, ..schema.clone() };
        let mut branches = Vec::new();
        if schema.optional {
            branches.push(json!("null"));
        }
        match &schema.kind {
            Kind::Struct(fields) if is_union(schema) => {
                for field in fields {
                    branches.push(self.schema(&required(&field.schema), true, space)?);
                }
            }
            _ => branches.push(self.schema(&required(schema), false, space)?),
        }
        Ok(Json::Array(branches))
    }

    fn base(&mut self, schema: &Schema, space: Option<&str>) -> Converted {
        let primitive = |name: &str| Map::from_iter([("type".to_owned(), json!(name))]);
        let mut connect_type = None;
        let mut base = match &schema.kind {
            Kind::Int8 => {
                connect_type = Some("int8");
                primitive("int")
            }
            Kind::Int16 => {
                connect_type = Some("int16");
                primitive("int")
            }
            Kind::Int32 => primitive("int"),
            Kind::Int64 => primitive("long"),
            Kind::Float32 => primitive("float"),
            Kind::Float64 => primitive("double"),
            Kind::Boolean => primitive("boolean"),
            Kind::String if is_enum(schema) && (self.options.enhanced || self.options.generalized) => {
                match self.enumeration(schema, space)? {
                    Ok(base) => base,
                    Err(reference) => return Ok(reference),
                }
            }
            Kind::String => primitive("string"),
            Kind::Bytes => match parameter(schema, FIXED_SIZE).filter(|_| schema.name.is_some()) {
                None => primitive("bytes"),
                Some(size) => {
                    let size: u32 =
                        size.parse().map_err(|_| ConvertError::data(format!("{FIXED_SIZE} must be a number: {size}")))?;
                    let full = self.full_name(schema.name.as_deref().unwrap_or_default())?;
                    match self.define(&full, schema, "fixed", space)? {
                        Ok(mut base) => {
                            base.insert("size".to_owned(), json!(size));
                            base
                        }
                        Err(reference) => return Ok(reference),
                    }
                }
            },
            Kind::Array(items) => {
                let mut base = primitive("array");
                base.insert("items".to_owned(), self.schema(items, false, space)?);
                base
            }
            Kind::Map(keys, values) if keys.kind == Kind::String && (!keys.optional || self.options.optional_map_keys) => {
                let mut base = primitive("map");
                base.insert("values".to_owned(), self.schema(values, false, space)?);
                base
            }
            Kind::Map(keys, values) => {
                let mut base = primitive("array");
                base.insert("items".to_owned(), self.map_entry(schema, keys, values, space)?);
                base
            }
            Kind::Struct(fields) => {
                let full = match (&schema.name, self.unnamed.iter().find(|(known, _)| known == schema)) {
                    (Some(name), _) => self.full_name(name)?,
                    (None, Some((_, full))) => return Ok(json!(reference(full, space))),
                    (None, None) => {
                        let number = self.unnamed.len() + 1;
                        let number = if number > 1 { number.to_string() } else { String::new() };
                        let full = format!("{DEFAULT_SPACE}.ConnectDefault{number}");
                        self.unnamed.push((schema.clone(), full.clone()));
                        full
                    }
                };
                let mut base = match self.define(&full, schema, "record", space)? {
                    Ok(base) => base,
                    Err(reference) => return Ok(reference),
                };
                let doc = if self.options.discard_doc { "connect.record.doc" } else { "io.confluent.connect.avro.record.doc" };
                if let Some(doc) = parameter(schema, doc) {
                    base.insert("doc".to_owned(), json!(doc));
                }
                let inner = full.rsplit_once('.').map(|(space, _)| space);
                let mut listed = Vec::with_capacity(fields.len());
                for field in fields {
                    let doc = parameter(schema, &format!("io.confluent.connect.avro.field.doc.{}", field.name));
                    let name = self.scrubbed(&field.name)?;
                    listed.push(self.field(&name, &field.schema, doc.filter(|_| !self.options.discard_doc), inner)?);
                }
                base.insert("fields".to_owned(), Json::Array(listed));
                base
            }
        };
        self.describe(schema, connect_type, &mut base);
        let bare = base.len() == 1 && base.get("type").is_some_and(Json::is_string);
        Ok(if bare { base.remove("type").unwrap_or_default() } else { Json::Object(base) })
    }

    fn describe(&self, schema: &Schema, connect_type: Option<&str>, base: &mut Map<String, Json>) {
        let mut add = |name: &str, value: Json| {
            base.entry(name.to_owned()).or_insert(value);
        };
        let decimal = match schema.logical() {
            Some(Logical::Decimal(scale)) => {
                let precision = parameter(schema, PRECISION).and_then(|precision| precision.parse().ok());
                Some((i64::from(scale.unwrap_or_default()), precision.unwrap_or(DEFAULT_PRECISION)))
            }
            _ => None,
        };
        if let Some((scale, precision)) = decimal {
            add("scale", json!(scale));
            add("precision", json!(precision));
        }
        if self.options.meta_data {
            if let Some(doc) = &schema.doc {
                add("connect.doc", json!(doc));
            }
            if let Some(version) = schema.version {
                add("connect.version", json!(version));
            }
            let parameters = self.parameters(schema);
            if !parameters.is_empty() {
                add("connect.parameters", Json::Object(parameters));
            }
            let of_avro = !self.options.discard_doc && parameter(schema, FIELD_DEFAULT).is_some();
            if let Some(default) = schema.default.as_ref().filter(|_| !of_avro).and_then(|value| self.default(schema, value)) {
                add("connect.default", default);
            }
            if let Some(name) = &schema.name {
                add("connect.name", json!(name));
            }
            if let Some(connect_type) = connect_type {
                add("connect.type", json!(connect_type));
            }
        }
        match schema.logical() {
            Some(Logical::Decimal(_)) => add("logicalType", json!("decimal")),
            Some(Logical::Date) => add("logicalType", json!("date")),
            Some(Logical::Time) => add("logicalType", json!("time-millis")),
            Some(Logical::Timestamp) => add("logicalType", json!("timestamp-millis")),
            None => {}
        }
        for (name, value) in schema.parameters.iter().flatten().filter(|(name, _)| name.starts_with("avro")) {
            add(name, json!(value));
        }
    }

    fn parameters(&self, schema: &Schema) -> Map<String, Json> {
        let kept = |(name, _): &&(String, String)| self.options.discard_doc || name != FIELD_DEFAULT;
        let all = schema.parameters.iter().flatten().filter(kept);
        all.map(|(name, value)| (name.clone(), json!(value))).collect()
    }

    /// A named type's beginning, or the reference to it where it is defined already.
    fn define(
        &mut self,
        full: &str,
        schema: &Schema,
        kind: &str,
        space: Option<&str>,
    ) -> Result<Result<Map<String, Json>, Json>, ConvertError> {
        let required = Schema { optional: false, ..schema.clone() };
        match self.named.iter().find(|(name, _)| name == full) {
            // A default that stands with the field makes no other type of it.
            Some((_, known)) if same_type(known, &required) => return Ok(Err(json!(reference(full, space)))),
            Some(_) => {
                return Err(ConvertError::data(format!("Can't redefine: {full}: two schemas have this name; name them apart")));
            }
            None => self.named.push((full.to_owned(), required)),
        }
        let (own, name) = full.rsplit_once('.').map_or((None, full), |(own, name)| (Some(own), name));
        let mut base = Map::from_iter([("type".to_owned(), json!(kind)), ("name".to_owned(), json!(name))]);
        match (own, space) {
            (Some(own), _) if Some(own) != space => {
                base.insert("namespace".to_owned(), json!(own));
            }
            (None, Some(_)) => {
                base.insert("namespace".to_owned(), json!(""));
            }
            _ => {}
        }
        Ok(Ok(base))
    }

    fn enumeration(&mut self, schema: &Schema, space: Option<&str>) -> Result<Result<Map<String, Json>, Json>, ConvertError> {
        let kind = if self.options.generalized { GENERALIZED_ENUM } else { ENUM };
        let full = parameter(schema, kind).or_else(|| parameter(schema, ENUM)).unwrap_or_default();
        let full = self.full_name(full)?;
        let mut base = match self.define(&full, schema, "enum", space)? {
            Ok(base) => base,
            Err(reference) => return Ok(Err(reference)),
        };
        let name = schema.name.as_deref().unwrap_or("ConnectDefault");
        let short = name.rsplit_once('.').map_or(name, |(_, short)| short);
        let doc = match self.options.discard_doc {
            true => parameter(schema, "connect.enum.doc"),
            false => parameter(schema, &format!("io.confluent.connect.avro.enum.doc.{short}")),
        };
        if let Some(doc) = doc {
            base.insert("doc".to_owned(), json!(doc));
        }
        let prefix = format!("{kind}.");
        let symbols = schema.parameters.iter().flatten().filter_map(|(name, _)| name.strip_prefix(&prefix));
        base.insert("symbols".to_owned(), symbols.map(Json::from).collect());
        let default = parameter(schema, &format!("io.confluent.connect.avro.enum.default.{short}"));
        if let Some(default) = default.filter(|_| !self.options.discard_doc) {
            base.insert("default".to_owned(), json!(default));
        }
        Ok(Ok(base))
    }

    fn map_entry(&mut self, schema: &Schema, keys: &Schema, values: &Schema, space: Option<&str>) -> Converted {
        let full = match &schema.name {
            None => MAP_ENTRY.to_owned(),
            Some(name) => self.full_name(name)?,
        };
        let mut entry = match self.define(&full, schema, "record", space)? {
            Ok(entry) => entry,
            Err(reference) => return Ok(reference),
        };
        let inner = full.rsplit_once('.').map(|(space, _)| space);
        let key = self.field("key", keys, None, inner)?;
        let value = self.field("value", values, None, inner)?;
        entry.insert("fields".to_owned(), json!([key, value]));
        if schema.name.is_some() {
            entry.insert("connect.internal.type".to_owned(), json!("MapEntry"));
        }
        Ok(Json::Object(entry))
    }

    fn field(&mut self, name: &str, schema: &Schema, doc: Option<&str>, space: Option<&str>) -> Converted {
        let again = schema.name.as_ref().is_some_and(|name| !self.seen.insert(name.clone()));
        let avro = self.schema(schema, false, space)?;
        let is_named = |kind: &Json| match kind {
            Json::String(name) => {
                !matches!(name.as_str(), "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
            }
            other => other.get("fields").is_some() || other.get("symbols").is_some() || other.get("size").is_some(),
        };
        let named = avro.as_array().map_or_else(|| is_named(&avro), |branches| branches.iter().any(is_named));
        let doc = if self.options.discard_doc { schema.doc.as_deref() } else { doc };
        let mut field = Map::from_iter([("name".to_owned(), json!(name)), ("type".to_owned(), avro)]);
        if let Some(doc) = doc {
            field.insert("doc".to_owned(), json!(doc));
        }
        // Avro's default is of the first type, which for an optional struct is null.
        let struct_or_null = schema.optional && matches!(schema.kind, Kind::Struct(_));
        match &schema.default {
            Some(value) if !struct_or_null => {
                if let Some(default) = self.default(schema, value) {
                    field.insert("default".to_owned(), default);
                }
            }
            None if schema.optional => {
                field.insert("default".to_owned(), Json::Null);
            }
            _ => {}
        }
        if self.options.meta_data && again && named {
            let parameters = self.parameters(schema);
            if !parameters.is_empty() {
                field.insert("connect.parameters".to_owned(), Json::Object(parameters));
            }
        }
        Ok(Json::Object(field))
    }

    /// A default in Avro's JSON; `None` if it has none there.
    fn default(&self, schema: &Schema, value: &Value) -> Option<Json> {
        let bytes = |bytes: &[u8]| Json::String(bytes.iter().map(|byte| char::from(*byte)).collect());
        Some(match (value, &schema.kind) {
            (Value::Null, _) => Json::Null,
            (Value::Boolean(value), _) => json!(value),
            (Value::Int8(number), _) => json!(number),
            (Value::Int16(number), _) => json!(number),
            (Value::Int32(number) | Value::Date(number) | Value::Time(number), _) => json!(number),
            (Value::Int64(number) | Value::Timestamp(number), _) => json!(number),
            (Value::Float32(number), _) => Json::Number(serde_json::Number::from_f64(float_text(*number).parse().ok()?)?),
            (Value::Float64(number), _) => Json::Number(serde_json::Number::from_f64(double_text(*number).parse().ok()?)?),
            (Value::String(text), _) => json!(text),
            (Value::Bytes(value), _) => bytes(value),
            (Value::Decimal(value), _) => bytes(&value.to_bytes()),
            (Value::Array(elements), Kind::Array(items)) => {
                elements.iter().map(|element| self.default(items, element)).collect::<Option<Vec<_>>>()?.into()
            }
            (Value::Map(entries), Kind::Map(keys, values)) if keys.kind == Kind::String => {
                let entry = |(key, value): &(Value, Value)| match key {
                    Value::String(name) => Some((name.clone(), self.default(values, value)?)),
                    _ => None,
                };
                Json::Object(entries.iter().map(entry).collect::<Option<_>>()?)
            }
            (Value::Map(entries), _) => entries.is_empty().then(|| json!([]))?,
            (Value::Struct(values), Kind::Struct(fields)) if is_union(schema) => {
                self.default(&fields.first()?.schema, values.first()?)?
            }
            (Value::Struct(values), Kind::Struct(fields)) => {
                let field = |(field, value): (&crate::convert::data::Field, &Value)| {
                    Some((self.scrubbed(&field.name).ok()?, self.default(&field.schema, value)?))
                };
                Json::Object(fields.iter().zip(values).map(field).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn full_name(&self, name: &str) -> Result<String, ConvertError> {
        let parts = name.split('.').map(|part| self.scrubbed(part)).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.join("."))
    }

    fn scrubbed(&self, name: &str) -> Result<String, ConvertError> {
        if self.options.scrub {
            return Ok(scrub(name));
        }
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if starts && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_') {
            return Ok(name.to_owned());
        }
        let rule = "Avro allows letters, digits and underscores; set scrub.invalid.names=true to have others replaced";
        Err(ConvertError::data(format!("Illegal character in: {name}: {rule}")))
    }
}

/// Whether two schemas make one type in Avro: what stands with the field is not part of it.
fn same_type(one: &Schema, other: &Schema) -> bool {
    let bare = |schema: &Schema| Schema { default: None, ..schema.clone() };
    one == other || bare(one) == bare(other)
}

fn reference<'n>(full: &'n str, space: Option<&str>) -> &'n str {
    match full.rsplit_once('.') {
        Some((own, name)) if Some(own) == space => name,
        _ => full,
    }
}

/// `AvroData.doScrubName`: what is not a letter, digit or underscore is encoded as in a URL, and `%` becomes `_`.
pub fn scrub(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || (name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit())) {
        return name.to_owned();
    }
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            byte if plain(byte) => encoded.push(char::from(byte)),
            b' ' | b'.' | b'-' | b'*' => encoded.push('_'),
            byte => encoded.push_str(&format!("_{byte:02X}")),
        }
    }
    if encoded.starts_with(|first: char| first.is_ascii_digit()) { format!("x{encoded}") } else { encoded }
}
