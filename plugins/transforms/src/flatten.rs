//! Flatten: puts the fields of nested structs and maps on the top level.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Field, Kind};
use hawser_plugin::transform::write_json_text;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::members::Members;
use crate::shape::{Shape, add_field, copy_basics, defaults, fill_in, shape};
use crate::side::{KeyOrValue, two_sided};

const PURPOSE: &str = "flattening";

/// Puts nested fields on the top level.
#[derive(Debug)]
pub struct Flatten<S> {
    delimiter: String,
    schemas: SchemaCache<Flat>,
    /// The object in the making.
    buffer: Vec<u8>,
    /// The name of the present field.
    name: String,
    side: PhantomData<S>,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Flat {
    schema: SchemaId,
    defaults: Vec<(String, String)>,
}

impl<S: KeyOrValue> Class for Flatten<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("delimiter")
            .default_value(".")
            .doc("What to put between the names of an outer and an inner field.");
        two_sided::<S>("Flatten").summary("Puts the fields of nested structs and maps on the top level.").config(config)
    }
}

impl<S: KeyOrValue> Transform for Flatten<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            delimiter: config.get("delimiter")?,
            schemas: SchemaCache::default(),
            buffer: Vec::new(),
            name: String::new(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let flat = match shape(record, S::SIDE, PURPOSE)? {
            Shape::Null | Shape::NullWithSchema => return Ok(Verdict::Keep),
            Shape::Map => None,
            Shape::Struct(id, _) => Some(self.flat(id)?),
        };
        let json = record.payload(S::SIDE).bytes.unwrap_or_default();
        self.buffer.clear();
        self.name.clear();
        self.buffer.push(b'{');
        flatten(json, &self.delimiter, &mut self.name, &mut self.buffer)?;
        self.buffer.push(b'}');
        let schema = flat.as_ref().map_or(SchemaId::JSON, |flat| flat.schema);
        record.set_payload(S::SIDE, Payload { bytes: Some(&self.buffer), schema });
        if let Some(flat) = flat {
            fill_in(record, S::SIDE, &flat.defaults)?;
        }
        Ok(Verdict::Keep)
    }
}

/// Appends the members of an object. No deeper than serde_json reads, which is 128 levels.
fn flatten(json: &[u8], delimiter: &str, name: &mut String, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let members: Members<'_> = serde_json::from_slice(json)?;
    let outer = name.len();
    for (inner, value) in members.0 {
        if outer > 0 {
            name.push_str(delimiter);
        }
        name.push_str(&inner);
        flatten_member(value, delimiter, name, out)?;
        name.truncate(outer);
    }
    Ok(())
}

fn flatten_member(value: &RawValue, delimiter: &str, name: &mut String, out: &mut Vec<u8>) -> Result<(), RecordError> {
    if value.get().starts_with('{') {
        return flatten(value.get().as_bytes(), delimiter, name, out);
    }
    if out.len() > 1 {
        out.push(b',');
    }
    write_json_text(out, name);
    out.push(b':');
    out.extend_from_slice(value.get().as_bytes());
    Ok(())
}

impl<S> Flatten<S> {
    fn flat(&mut self, id: SchemaId) -> Result<Rc<Flat>, RecordError> {
        let Self { delimiter, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema::get(id)?;
            let mut fields = Vec::new();
            flatten_fields(&schema, delimiter, "", schema.optional, schema.default.as_ref(), &mut fields)?;
            let flat = copy_basics(&schema, fields);
            Ok(Flat { schema: schema::put(&flat)?, defaults: defaults(&flat) })
        })
    }
}

/// Adds the fields of a struct. They are optional if a struct around them is, and get its default's values as defaults.
fn flatten_fields(
    schema: &Schema,
    delimiter: &str,
    prefix: &str,
    optional: bool,
    default: Option<&Value>,
    fields: &mut Vec<Field>,
) -> Result<(), RecordError> {
    for field in schema.fields() {
        let name =
            if prefix.is_empty() { Cow::Borrowed(&field.name) } else { Cow::Owned(format!("{prefix}{delimiter}{}", field.name)) };
        let optional = optional || field.schema.optional;
        let default = field.schema.default.as_ref().or_else(|| default?.get(&field.name)).filter(|default| !default.is_null());
        match field.schema.kind {
            Kind::Struct(_) => flatten_fields(&field.schema, delimiter, &name, optional, default, fields)?,
            Kind::Map(..) => {
                return Err(RecordError::data(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                )));
            }
            _ => add_field(fields, &name, Schema { optional, default: default.cloned(), ..field.schema.clone() })?,
        }
    }
    Ok(())
}
