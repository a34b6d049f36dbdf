//! TimestampConverter: turns timestamps of one kind into another.

use std::marker::PhantomData;
use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Kind, logical};
use hawser_plugin::transform::{Json, write_json_text};

use crate::date_format::{DAY, DateFormat};
use crate::java;
use crate::shape::{Shape, class_without_schema, copy_basics, defaults, fill_in, no_fields, schema_of, shape, type_name};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "converting timestamp formats";

/// Turns timestamps of one kind into another.
#[derive(Debug)]
pub struct TimestampConverter<S> {
    /// Empty: the whole key or value.
    field: String,
    target: Form,
    format: Option<(String, DateFormat)>,
    unix: Precision,
    replace_null: bool,
    schemas: SchemaCache<Changed>,
    side: PhantomData<S>,
}

/// The kinds of timestamps, by the names of `target.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// What a unix timestamp counts.
#[derive(Debug, Clone, Copy)]
enum Precision {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Changed {
    schema: SchemaId,
    /// The kind of the field, or of the whole; none if there is no such field.
    source: Option<Form>,
    defaults: Vec<(String, String)>,
}

impl Precision {
    fn to_millis(self, unix: i64) -> i64 {
        match self {
            Self::Seconds => unix.saturating_mul(1000),
            Self::Millis => unix,
            Self::Micros => unix / 1000,
            Self::Nanos => unix / 1_000_000,
        }
    }

    fn of_millis(self, millis: i64) -> i64 {
        match self {
            Self::Seconds => millis / 1000,
            Self::Millis => millis,
            Self::Micros => millis.saturating_mul(1000),
            Self::Nanos => millis.saturating_mul(1_000_000),
        }
    }
}

impl Form {
    fn of(schema: &Schema) -> Result<Self, RecordError> {
        match (schema.name.as_deref(), &schema.kind) {
            (Some(logical::TIMESTAMP), _) => Ok(Self::Timestamp),
            (Some(logical::DATE), _) => Ok(Self::Date),
            (Some(logical::TIME), _) => Ok(Self::Time),
            (_, Kind::String) => Ok(Self::Text),
            (_, Kind::Int64) => Ok(Self::Unix),
            _ => {
                let name = schema.name.as_ref().map_or(String::new(), |name| format!("{name}:"));
                let kind = type_name(schema);
                let message = format!("Schema Schema{{{name}{kind}}} does not correspond to a known timestamp type format");
                Err(RecordError::of_kind(java::CONNECT_EXCEPTION, message))
            }
        }
    }

    fn schema(self) -> Schema {
        let logical = |kind, name| Schema { version: Some(1), ..Schema::new(kind).named(name) };
        match self {
            Self::Text => Schema::new(Kind::String),
            Self::Unix => Schema::new(Kind::Int64),
            Self::Date => logical(Kind::Int32, logical::DATE),
            Self::Time => logical(Kind::Int32, logical::TIME),
            Self::Timestamp => Schema::timestamp(),
        }
    }
}

impl<S: KeyOrValue> Class for TimestampConverter<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("field")
            .default_value("")
            .importance(Importance::High)
            .doc("The field with the timestamp; empty if the whole key or value is one.")
            .string("target.type")
            .required()
            .one_of(&["string", "unix", "Date", "Time", "Timestamp"])
            .doc("What to turn the timestamp into.")
            .string("format")
            .default_value("")
            .check(|pattern| match DateFormat::new(pattern.trim()) {
                Ok(_) => Ok(()),
                Err(reason) => Err(format!(
                    "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: {pattern} ({reason})"
                )),
            })
            .doc("How texts are written, as a pattern of java.text.SimpleDateFormat; in UTC.")
            .string("unix.precision")
            .default_value("milliseconds")
            .one_of(&["milliseconds", "seconds", "microseconds", "nanoseconds"])
            .importance(Importance::Low)
            .doc("What a unix timestamp counts.")
            .replace_null_with_default();
        two_sided::<S>("TimestampConverter").summary("Turns timestamps of one kind into another.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        if config.get("target.type") == Ok("string") && config.get("format") == Ok("") {
            let message = "TimestampConverter requires format option to be specified when using string timestamps";
            return vec![Problem::new("format", message)];
        }
        Vec::new()
    }
}

impl<S: KeyOrValue> Transform for TimestampConverter<S> {
    fn start(config: &Config) -> Result<Self> {
        let pattern: String = config.get("format")?;
        let format = DateFormat::new(&pattern).map_err(Error::invalid_config)?;
        Ok(Self {
            field: config.get("field")?,
            target: match config.get("target.type")? {
                "unix" => Form::Unix,
                "Date" => Form::Date,
                "Time" => Form::Time,
                "Timestamp" => Form::Timestamp,
                _ => Form::Text,
            },
            format: (!pattern.is_empty()).then_some((pattern, format)),
            unix: match config.get("unix.precision")? {
                "seconds" => Precision::Seconds,
                "microseconds" => Precision::Micros,
                "nanoseconds" => Precision::Nanos,
                _ => Precision::Millis,
            },
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        if self.field.is_empty() {
            self.convert_whole(record)?
        } else {
            self.convert_field(record)?
        }
        Ok(Verdict::Keep)
    }
}

impl<S: KeyOrValue> TimestampConverter<S> {
    fn convert_field(&mut self, record: &mut Record) -> Result<(), RecordError> {
        match shape(record, S::SIDE, PURPOSE)? {
            Shape::Null => Ok(()),
            Shape::NullWithSchema => {
                let id = record.schema(S::SIDE);
                if !schema_of(id)?.is_struct() {
                    return Err(no_fields());
                }
                let changed = self.changed(id)?;
                record.set_schema(S::SIDE, changed.schema);
                Ok(())
            }
            Shape::Map => {
                let mut object = record.object(S::SIDE)?;
                let converted = match object.get(&self.field).filter(|value| !value.is_null()) {
                    Some(value) => self.convert(kind_without_schema(value)?, value, false)?,
                    None => "null".to_owned(),
                };
                object.set_raw(&self.field, &converted);
                Ok(())
            }
            Shape::Struct(id, _) => {
                let changed = self.changed(id)?;
                let Some(source) = changed.source else { return Ok(()) };
                fill_in(record, S::SIDE, &changed.defaults)?;
                record.set_schema(S::SIDE, changed.schema);
                let mut object = record.object(S::SIDE)?;
                if let Some(value) = object.get(&self.field).filter(|value| !value.is_null()) {
                    let converted = self.convert(source, value, true)?;
                    object.set_raw(&self.field, &converted);
                }
                Ok(())
            }
        }
    }

    fn convert_whole(&mut self, record: &mut Record) -> Result<(), RecordError> {
        let id = record.schema(S::SIDE);
        let is_null = record.is_null(S::SIDE);
        let has_schema = id != SchemaId::JSON && !(id == SchemaId::BYTES && is_null);
        if is_null && !has_schema {
            return Ok(());
        }
        let changed = if has_schema { Some(self.changed_whole(id)?) } else { None };
        let payload = record.payload(S::SIDE);
        let converted = match payload.bytes {
            None => None,
            Some(text) if id == SchemaId::TEXT => {
                let mut quoted = Vec::new();
                write_json_text(&mut quoted, &String::from_utf8_lossy(text));
                Some(self.convert(Form::Text, Json::new(&quoted), true)?)
            }
            Some(json) => {
                let json = Json::new(json);
                let source = changed.as_ref().and_then(|changed| changed.source);
                let source = if json.is_null() { None } else { Some(source.map_or_else(|| kind_without_schema(json), Ok)?) };
                source.map(|source| self.convert(source, json, has_schema)).transpose()?
            }
        };
        let schema = changed.map_or(SchemaId::JSON, |changed| changed.schema);
        record.set_payload(S::SIDE, Payload { bytes: converted.as_deref().map(str::as_bytes), schema });
        Ok(())
    }

    fn convert(&self, source: Form, value: Json<'_>, has_schema: bool) -> Result<String, RecordError> {
        let number = || value.parse::<i64>().map_err(RecordError::from);
        let millis = match source {
            Form::Timestamp | Form::Time => number()?,
            Form::Date => number()?.saturating_mul(DAY),
            Form::Unix => self.unix.to_millis(number()?),
            Form::Text => {
                let text: String = value.parse()?;
                let (pattern, format) =
                    self.format.as_ref().map_or(("", None), |(pattern, format)| (pattern.as_str(), Some(format)));
                format.and_then(|format| format.parse(&text)).ok_or_else(|| {
                    RecordError::data(format!("Could not parse timestamp: value ({text}) does not match pattern ({pattern})"))
                })?
            }
        };
        let day = millis.div_euclid(DAY);
        Ok(match self.target {
            Form::Timestamp => millis.to_string(),
            Form::Unix => self.unix.of_millis(millis).to_string(),
            Form::Time => millis.rem_euclid(DAY).to_string(),
            // Without a schema a date is a point in time, as in Java.
            Form::Date => if has_schema { day } else { day * DAY }.to_string(),
            Form::Text => {
                let text = self.format.as_ref().map(|(_, format)| format.format(millis)).unwrap_or_default();
                serde_json::to_string(&text)?
            }
        })
    }

    fn changed(&mut self, id: SchemaId) -> Result<Rc<Changed>, RecordError> {
        let Self { field: name, target, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema::get(id)?;
            let mut source = None;
            let mut fields = schema.fields().to_vec();
            if let Some(field) = fields.iter_mut().find(|field| field.name == *name) {
                source = Some(Form::of(&field.schema)?);
                field.schema = Schema { optional: field.schema.optional, ..target.schema() };
            }
            let changed = Schema { optional: schema.optional, ..copy_basics(&schema, fields) };
            let defaults = if *replace_null { defaults(&schema) } else { Vec::new() };
            Ok(Changed { schema: schema::put(&changed)?, source, defaults })
        })
    }

    fn changed_whole(&mut self, id: SchemaId) -> Result<Rc<Changed>, RecordError> {
        let Self { target, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema_of(id)?;
            let source = Some(Form::of(&schema)?);
            let changed = Schema { optional: schema.optional, ..target.schema() };
            Ok(Changed { schema: schema::put(&changed)?, source, defaults: Vec::new() })
        })
    }
}

fn kind_without_schema(value: Json<'_>) -> Result<Form, RecordError> {
    match class_without_schema(value) {
        "java.lang.Long" => Ok(Form::Unix),
        "java.lang.String" => Ok(Form::Text),
        class => Err(RecordError::data(format!("TimestampConverter does not support class {class} objects as timestamps"))),
    }
}
