//! HeaderFrom: moves or copies fields into headers.

use std::marker::PhantomData;
use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema;

use crate::shape::{Shape, copy_basics, defaults, fill_in, refuse_null, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

/// Moves or copies fields into headers.
#[derive(Debug)]
pub struct HeaderFrom<S> {
    /// Fields and the headers that they become.
    fields: Vec<(String, String)>,
    moves: bool,
    replace_null: bool,
    schemas: SchemaCache<Changed>,
    /// A field's value on its way into a header.
    buffer: Vec<u8>,
    side: PhantomData<S>,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Changed {
    schema: SchemaId,
    /// The schemas of the fields that become headers; none for a field that is not there.
    fields: Vec<Option<SchemaId>>,
    defaults: Vec<(String, String)>,
}

impl<S: KeyOrValue> Class for HeaderFrom<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .list("fields")
            .required()
            .not_empty()
            .doc("Names of fields whose values become headers.")
            .list("headers")
            .required()
            .not_empty()
            .doc("Names of the headers, in the order of the fields.")
            .string("operation")
            .required()
            .one_of(&["move", "copy"])
            .doc("Whether the fields are moved (taken out) or copied.")
            .replace_null_with_default();
        two_sided::<S>("HeaderFrom").summary("Moves or copies fields into headers.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let entries = |key: &str| config.get::<Vec<String>>(key).map_or(0, |entries| entries.len());
        if entries("fields") == entries("headers") {
            return Vec::new();
        }
        vec![Problem::new("fields", "'fields' config must have the same number of elements as 'headers' config.")]
    }
}

impl<S: KeyOrValue> Transform for HeaderFrom<S> {
    fn start(config: &Config) -> Result<Self> {
        let (fields, headers): (Vec<String>, Vec<String>) = (config.get("fields")?, config.get("headers")?);
        Ok(Self {
            fields: fields.into_iter().zip(headers).collect(),
            moves: config.get::<&str>("operation")? == "move",
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            buffer: Vec::new(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let purpose = if self.moves { "header move" } else { "header copy" };
        let changed = match shape(record, S::SIDE, purpose)? {
            null @ (Shape::Null | Shape::NullWithSchema) => return Err(refuse_null(&null, purpose)),
            Shape::Map => None,
            Shape::Struct(id, _) => Some(self.changed(id)?),
        };
        if let Some(changed) = &changed {
            fill_in(record, S::SIDE, &changed.defaults)?;
        }
        for (place, (field, header)) in self.fields.iter().enumerate() {
            let schema = match &changed {
                None => SchemaId::JSON,
                Some(changed) => {
                    let schema = changed.fields.get(place).copied().flatten();
                    schema.ok_or_else(|| RecordError::data(format!("Field does not exist: {field}")))?
                }
            };
            self.buffer.clear();
            let object = record.object(S::SIDE)?;
            let value = object.get(field).filter(|value| !value.is_null());
            self.buffer.extend_from_slice(value.map_or(b"".as_slice(), |value| value.as_bytes()));
            let bytes = value.is_some().then_some(self.buffer.as_slice());
            record.add_header(header, Payload { bytes, schema });
        }
        if self.moves {
            let mut object = record.object(S::SIDE)?;
            for (field, _) in &self.fields {
                object.remove(field);
            }
            if let Some(changed) = &changed {
                record.set_schema(S::SIDE, changed.schema);
            }
        }
        Ok(Verdict::Keep)
    }
}

impl<S> HeaderFrom<S> {
    fn changed(&mut self, id: SchemaId) -> Result<Rc<Changed>, RecordError> {
        let Self { fields: moved, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema::get(id)?;
            let field = |name: &str| schema.fields().iter().find(|field| field.name == name);
            let fields = moved.iter().map(|(name, _)| field(name).map(|field| schema::put(&field.schema)).transpose());
            let fields = fields.collect::<Result<_>>()?;
            let left = schema.fields().iter().filter(|field| moved.iter().all(|(name, _)| *name != field.name));
            let schema_without = schema::put(&copy_basics(&schema, left.cloned().collect()))?;
            let defaults = if *replace_null { defaults(&schema) } else { Vec::new() };
            Ok(Changed { schema: schema_without, fields, defaults })
        })
    }
}
