//! ValueToKey: makes a key of fields of the value.

use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema;
use hawser_plugin::transform::write_json_text;

use crate::shape::{Shape, defaults, refuse_null, shape};
use crate::side::{REPLACE_NULL, ReplaceNullKey, one_sided};

const PURPOSE: &str = "copying fields from value to key";

/// Makes a key of fields of the value.
#[derive(Debug)]
pub struct ValueToKey {
    fields: Vec<String>,
    replace_null: bool,
    schemas: SchemaCache<Key>,
    /// The key in the making.
    buffer: Vec<u8>,
}

/// The schema of a key, and the defaults of its fields.
#[derive(Debug)]
struct Key {
    schema: SchemaId,
    defaults: Vec<(String, String)>,
}

impl Class for ValueToKey {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .list("fields")
            .required()
            .not_empty()
            .doc("Names of the value's fields that become the key.")
            .replace_null_with_default();
        one_sided("ValueToKey").summary("Makes a key of fields of the value.").config(config)
    }
}

impl Transform for ValueToKey {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            fields: config.get("fields")?,
            replace_null: config.get(REPLACE_NULL)?,
            schemas: SchemaCache::default(),
            buffer: Vec::new(),
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let key = match shape(record, Side::Value, PURPOSE)? {
            null @ (Shape::Null | Shape::NullWithSchema) => return Err(refuse_null(&null, PURPOSE)),
            Shape::Map => None,
            Shape::Struct(id, _) => Some(self.key(id)?),
        };
        self.buffer.clear();
        self.buffer.push(b'{');
        let value = record.object(Side::Value)?;
        for (place, name) in self.fields.iter().enumerate() {
            if place > 0 {
                self.buffer.push(b',');
            }
            write_json_text(&mut self.buffer, name);
            self.buffer.push(b':');
            let default = || key.as_ref()?.defaults.iter().find(|(known, _)| known == name);
            match value.get(name).filter(|value| !value.is_null()) {
                Some(value) => self.buffer.extend_from_slice(value.as_bytes()),
                None => self.buffer.extend_from_slice(default().map_or(b"null", |(_, default)| default.as_bytes())),
            }
        }
        self.buffer.push(b'}');
        let schema = key.map_or(SchemaId::JSON, |key| key.schema);
        record.set_payload(Side::Key, Payload { bytes: Some(&self.buffer), schema });
        Ok(Verdict::Keep)
    }
}

impl ValueToKey {
    fn key(&mut self, id: SchemaId) -> Result<Rc<Key>, RecordError> {
        let Self { fields, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let value = schema::get(id)?;
            let mut key = Schema::structure();
            for name in fields {
                let field = value.fields().iter().find(|field| field.name == *name);
                let field = field.ok_or_else(|| RecordError::data(format!("Field does not exist: {name}")))?;
                key = key.field(name, field.schema.clone());
            }
            Ok(Key { schema: schema::put(&key)?, defaults: if *replace_null { defaults(&value) } else { Vec::new() } })
        })
    }
}
