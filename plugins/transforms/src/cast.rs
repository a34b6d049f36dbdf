//! Cast: turns fields, or the whole key or value, into another primitive type.

use std::marker::PhantomData;
use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine};
use hawser_plugin::prelude::*;
use hawser_plugin::schema;
use hawser_plugin::transform::{Json, write_json_text};
use serde_json::Value;

use crate::cast_value::{Target, cast};
use crate::shape::{Shape, copy_basics, defaults, fill_in, no_fields, schema_of, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "cast types";

/// Turns fields, or the whole, into another type.
#[derive(Debug)]
pub struct Cast<S> {
    spec: Spec,
    replace_null: bool,
    schemas: SchemaCache<Changed>,
    side: PhantomData<S>,
}

#[derive(Debug, PartialEq)]
enum Spec {
    Whole(Target),
    Fields(Vec<(String, Target)>),
}

/// What becomes of a schema.
#[derive(Debug)]
struct Changed {
    schema: SchemaId,
    /// The schemas as they were of the fields to cast, in the order of the spec; of the whole, that alone.
    before: Vec<Option<Schema>>,
    defaults: Vec<(String, String)>,
}

impl Spec {
    fn new(entries: &[String]) -> Result<Self, String> {
        const SINGLE: &str =
            "Cast transformations that specify a type to cast the entire value to may only specify a single cast in their spec";
        let mut fields = Vec::new();
        let mut whole = None;
        for entry in entries {
            match entry.split(':').collect::<Vec<_>>().as_slice() {
                [target] => whole = Some(Target::new(target)?),
                [field, target] => fields.push((field.trim().to_owned(), Target::new(target)?)),
                // Kafka Connect's own words.
                _ => {
                    let all = entries.join(", ");
                    return Err(format!("Invalid value [{all}] for configuration renames: Invalid rename mapping: {entry}"));
                }
            }
        }
        match whole {
            None if fields.is_empty() => Err("Must specify at least one field to cast.".to_owned()),
            None => Ok(Self::Fields(fields)),
            Some(target) if entries.len() == 1 => Ok(Self::Whole(target)),
            Some(_) => Err(SINGLE.to_owned()),
        }
    }
}

impl<S: KeyOrValue> Class for Cast<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .list("spec")
            .required()
            .doc(
                "What to cast, as field:type with commas between, or one type for the whole. Types: int8, int16, int32, int64, \
                 float32, float64, boolean, string.",
            )
            .replace_null_with_default();
        two_sided::<S>("Cast").summary("Turns fields, or the whole key or value, into another type.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let entries: Vec<String> = config.get("spec").unwrap_or_default();
        Spec::new(&entries).err().map(|message| Problem::new("spec", message)).into_iter().collect()
    }
}

impl<S: KeyOrValue> Transform for Cast<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            spec: Spec::new(&config.get::<Vec<String>>("spec")?).map_err(Error::invalid_config)?,
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let id = record.schema(S::SIDE);
        if record.is_null(S::SIDE) {
            return Ok(Verdict::Keep);
        }
        match self.spec {
            Spec::Whole(target) => self.cast_whole(record, id, target)?,
            Spec::Fields(_) => self.cast_fields(record)?,
        }
        Ok(Verdict::Keep)
    }
}

impl<S: KeyOrValue> Cast<S> {
    fn cast_whole(&mut self, record: &mut Record, id: SchemaId, target: Target) -> Result<(), RecordError> {
        let changed = if id == SchemaId::JSON { None } else { Some(self.changed(id)?) };
        let bytes = record.payload(S::SIDE).as_slice();
        let mut quoted = Vec::new();
        let json = match id {
            SchemaId::TEXT => {
                write_json_text(&mut quoted, &String::from_utf8_lossy(bytes));
                Json::new(&quoted)
            }
            SchemaId::BYTES => {
                write_json_text(&mut quoted, &BASE64_STANDARD.encode(bytes));
                Json::new(&quoted)
            }
            _ => Json::new(bytes),
        };
        if json.is_null() {
            return Ok(());
        }
        let before = changed.as_ref().and_then(|changed| changed.before.first()).and_then(Option::as_ref);
        let cast = cast(json, before, target)?;
        let schema = changed.as_ref().map_or(SchemaId::JSON, |changed| changed.schema);
        record.set_payload(S::SIDE, Payload::with_schema(&cast, schema));
        Ok(())
    }

    fn cast_fields(&mut self, record: &mut Record) -> Result<(), RecordError> {
        let id = record.schema(S::SIDE);
        if id != SchemaId::JSON && !schema_of(id)?.is_struct() {
            return Err(no_fields());
        }
        let changed = match shape(record, S::SIDE, PURPOSE)? {
            Shape::Null | Shape::NullWithSchema => return Ok(()),
            Shape::Map => None,
            Shape::Struct(id, _) => {
                let changed = self.changed(id)?;
                fill_in(record, S::SIDE, &changed.defaults)?;
                record.set_schema(S::SIDE, changed.schema);
                Some(changed)
            }
        };
        let Spec::Fields(fields) = &self.spec else { return Ok(()) };
        let mut object = record.object(S::SIDE)?;
        for (place, (name, target)) in fields.iter().enumerate() {
            let before = changed.as_ref().and_then(|changed| changed.before.get(place)).and_then(Option::as_ref);
            if changed.is_some() && before.is_none() {
                continue;
            }
            let cast = match object.get(name).filter(|value| !value.is_null()) {
                Some(value) => cast(value, before, *target)?,
                None => "null".to_owned(),
            };
            object.set_raw(name, &cast);
        }
        Ok(())
    }

    fn changed(&mut self, id: SchemaId) -> Result<Rc<Changed>, RecordError> {
        let Self { spec, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema_of(id)?;
            let (changed, before) = match spec {
                Spec::Whole(target) => {
                    let default = cast_default(&schema, *target)?;
                    (Schema { kind: target.kind(), default, ..Schema::clone(&schema) }, vec![Some(Schema::clone(&schema))])
                }
                Spec::Fields(casts) => cast_struct(&schema, casts)?,
            };
            let defaults = if *replace_null { defaults(&schema) } else { Vec::new() };
            Ok(Changed { schema: schema::put(&changed)?, before, defaults })
        })
    }
}

fn cast_struct(schema: &Schema, casts: &[(String, Target)]) -> Result<(Schema, Vec<Option<Schema>>), RecordError> {
    let mut fields = schema.fields().to_vec();
    let mut before = Vec::new();
    let mut default = schema.default.clone();
    for (name, target) in casts {
        let field = fields.iter_mut().find(|field| field.name == *name);
        before.push(field.as_ref().map(|field| field.schema.clone()));
        let Some(field) = field else { continue };
        if let Some(value) = default.as_mut().and_then(|default| default.get_mut(name)).filter(|value| !value.is_null()) {
            *value = cast_value(value, &field.schema, *target)?;
        }
        let kept = Schema {
            optional: field.schema.optional,
            default: cast_default(&field.schema, *target)?,
            ..Schema::new(target.kind())
        };
        field.schema = kept;
    }
    let changed = Schema { optional: schema.optional, default, ..copy_basics(schema, fields) };
    Ok((changed, before))
}

fn cast_default(schema: &Schema, target: Target) -> Result<Option<Value>, RecordError> {
    schema.default.as_ref().map(|default| cast_value(default, schema, target)).transpose()
}

fn cast_value(value: &Value, schema: &Schema, target: Target) -> Result<Value, RecordError> {
    let cast = cast(Json::new(value.to_string().as_bytes()), Some(schema), target)?;
    Ok(serde_json::from_str(&cast)?)
}
