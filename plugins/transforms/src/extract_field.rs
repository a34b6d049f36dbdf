//! ExtractField: puts a field in the place of the whole key or value.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema;
use hawser_plugin::transform::Json;
use serde_json::value::RawValue;

use crate::java;
use crate::path::FieldPath;
use crate::shape::{Shape, class_without_schema, schema_of, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "field extraction";

/// Puts a field in the place of the whole key or value.
#[derive(Debug)]
pub struct ExtractField<S> {
    path: FieldPath,
    replace_null: bool,
    schemas: SchemaCache<Extracted>,
    /// The field on its way.
    buffer: Vec<u8>,
    side: PhantomData<S>,
}

/// The schema of the field, and its default as JSON text.
#[derive(Debug)]
struct Extracted {
    schema: SchemaId,
    default: Option<String>,
}

impl<S: KeyOrValue> Class for ExtractField<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("field")
            .required()
            .importance(Importance::Medium)
            .doc("The field to extract.")
            .string("field.syntax.version")
            .default_value("V1")
            .check(|version| match version.trim().to_ascii_uppercase().as_str() {
                "V1" | "V2" => Ok(()),
                _ => Err("String must be one of (case insensitive): V1, V2".to_owned()),
            })
            .doc("V1: the text names a field of the top level. V2: it is a path, with dots between its steps.")
            .replace_null_with_default();
        two_sided::<S>("ExtractField").summary("Puts a field in the place of the whole key or value.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        FieldPath::configured(config).err().map(|reason| Problem::new("field", reason)).into_iter().collect()
    }
}

impl<S: KeyOrValue> Transform for ExtractField<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            path: FieldPath::configured(config).map_err(Error::invalid_config)?,
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            buffer: Vec::new(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let extracted = match shape(record, S::SIDE, PURPOSE)? {
            Shape::Null => {
                record.set_payload(S::SIDE, Payload::NULL);
                return Ok(Verdict::Keep);
            }
            Shape::Map => None,
            Shape::NullWithSchema | Shape::Struct(..) => Some(self.extracted(record.schema(S::SIDE))?),
        };
        self.buffer.clear();
        let found = !record.is_null(S::SIDE) && self.copy(record)?;
        let mut bytes = found.then_some(self.buffer.as_slice());
        let mut schema = SchemaId::JSON;
        if let Some(extracted) = &extracted {
            schema = extracted.schema;
            if bytes.is_none() && self.replace_null {
                bytes = extracted.default.as_deref().map(str::as_bytes);
            }
        }
        record.set_payload(S::SIDE, Payload { bytes, schema });
        Ok(Verdict::Keep)
    }
}

impl<S: KeyOrValue> ExtractField<S> {
    /// Copies the field into the buffer. False if it is null or missing.
    fn copy(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        let (first, rest) = self.path.split();
        if record.json(S::SIDE).kind() != JsonKind::Object {
            return Ok(false);
        }
        let object = record.object(S::SIDE)?;
        let Some(mut json) = object.get(first).map(|value| value.as_bytes()) else { return Ok(false) };
        for step in rest {
            let value = Json::new(json);
            if value.is_null() {
                return Ok(false);
            }
            if value.kind() != JsonKind::Object {
                let found = class_without_schema(value);
                let purpose = "nested field access";
                let message = format!("Only Map objects supported in absence of schema for [{purpose}], found: {found}");
                return Err(RecordError::data(message));
            }
            let members: HashMap<String, &RawValue> = value.parse()?;
            match members.get(step) {
                Some(member) => json = member.get().as_bytes(),
                None => return Ok(false),
            }
        }
        self.buffer.extend_from_slice(json);
        Ok(json != b"null")
    }

    fn extracted(&mut self, id: SchemaId) -> Result<Rc<Extracted>, RecordError> {
        let Self { path, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let unknown = || RecordError::of_kind(java::ILLEGAL_ARGUMENT, format!("Unknown field: {}", path.text()));
            let whole = schema_of(id)?;
            if !whole.is_struct() {
                return Err(RecordError::data("Cannot look up fields on non-struct type"));
            }
            let mut schema: &Schema = &whole;
            for step in path.steps() {
                schema = &schema.fields().iter().find(|field| field.name == *step).ok_or_else(unknown)?.schema;
            }
            let default = schema.default.as_ref().map(ToString::to_string);
            Ok(Extracted { schema: schema::put(schema)?, default })
        })
    }
}
