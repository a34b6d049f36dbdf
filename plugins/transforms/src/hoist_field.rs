//! HoistField: wraps the key or the value into a field.

use std::marker::PhantomData;
use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine};
use hawser_plugin::prelude::*;
use hawser_plugin::schema;
use hawser_plugin::transform::write_json_text;

use crate::shape::{schema_of, type_name};
use crate::side::{KeyOrValue, two_sided};

/// Wraps the key or the value into a field.
#[derive(Debug)]
pub struct HoistField<S> {
    field: String,
    schemas: SchemaCache<Hoisted>,
    /// The object in the making.
    buffer: Vec<u8>,
    side: PhantomData<S>,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Hoisted {
    schema: SchemaId,
    /// Whether the field may be null.
    optional: bool,
    kind: &'static str,
}

impl<S: KeyOrValue> Class for HoistField<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("field")
            .required()
            .importance(Importance::Medium)
            .doc("Name of the only field of the struct or map that is made.");
        two_sided::<S>("HoistField").summary("Wraps the key or the value into a field.").config(config)
    }
}

impl<S: KeyOrValue> Transform for HoistField<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self { field: config.get("field")?, schemas: SchemaCache::default(), buffer: Vec::new(), side: PhantomData })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let is_null = record.is_null(S::SIDE);
        let before = record.schema(S::SIDE);
        // A null that is only bytes has no schema; all else but plain JSON has one.
        let hoisted =
            if before == SchemaId::JSON || (is_null && before == SchemaId::BYTES) { None } else { Some(self.hoisted(before)?) };
        if let Some(hoisted) = hoisted.as_ref().filter(|hoisted| is_null && !hoisted.optional) {
            let Self { field, .. } = self;
            let message = format!("Invalid value: null used for required field: \"{field}\", schema type: {}", hoisted.kind);
            return Err(RecordError::data(message));
        }
        self.buffer.clear();
        self.buffer.push(b'{');
        write_json_text(&mut self.buffer, &self.field);
        self.buffer.push(b':');
        let payload = record.payload(S::SIDE);
        match payload.bytes {
            None => self.buffer.extend_from_slice(b"null"),
            Some(bytes) if before == SchemaId::BYTES => write_json_text(&mut self.buffer, &BASE64_STANDARD.encode(bytes)),
            Some(bytes) if before == SchemaId::TEXT => write_json_text(&mut self.buffer, &String::from_utf8_lossy(bytes)),
            Some(bytes) => self.buffer.extend_from_slice(bytes),
        }
        self.buffer.push(b'}');
        let schema = hoisted.map_or(SchemaId::JSON, |hoisted| hoisted.schema);
        record.set_payload(S::SIDE, Payload { bytes: Some(&self.buffer), schema });
        Ok(Verdict::Keep)
    }
}

impl<S> HoistField<S> {
    fn hoisted(&mut self, id: SchemaId) -> Result<Rc<Hoisted>, RecordError> {
        let Self { field, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let inner = schema_of(id)?;
            let (optional, kind) = (inner.optional, type_name(&inner));
            let schema = schema::put(&Schema::structure().field(field, Schema::clone(&inner)))?;
            Ok(Hoisted { schema, optional, kind })
        })
    }
}
