//! SetSchemaMetadata: gives the schema another name or version.

use std::marker::PhantomData;

use hawser_plugin::prelude::*;
use hawser_plugin::schema;

use crate::shape::{no_fields, schema_of};
use crate::side::{KeyOrValue, ReplaceNullKey, two_sided};

/// Gives the schema another name or version.
#[derive(Debug)]
pub struct SetSchemaMetadata<S> {
    name: Option<String>,
    version: Option<i32>,
    schemas: SchemaCache<SchemaId>,
    side: PhantomData<S>,
}

impl<S: KeyOrValue> Class for SetSchemaMetadata<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("schema.name")
            .importance(Importance::High)
            .doc("Schema name to set.")
            .int("schema.version")
            .importance(Importance::High)
            .doc("Schema version to set.")
            .replace_null_with_default();
        two_sided::<S>("SetSchemaMetadata").summary("Gives the schema another name or version.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let is_set = |key: &str| matches!(config.find::<&str>(key), Ok(Some(_)));
        if is_set("schema.name") || is_set("schema.version") {
            return Vec::new();
        }
        vec![Problem::new("schema.name", "Neither schema name nor version configured")]
    }
}

impl<S: KeyOrValue> Transform for SetSchemaMetadata<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            name: config.find("schema.name")?,
            version: config.find("schema.version")?,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let id = record.schema(S::SIDE);
        let is_null = record.is_null(S::SIDE);
        if id == SchemaId::JSON || (is_null && id == SchemaId::BYTES) {
            if is_null || record.json(S::SIDE).is_null() {
                return Ok(Verdict::Keep);
            }
            return Err(RecordError::data("Schema required for [updating schema metadata]"));
        }
        let Self { name, version, schemas, .. } = self;
        let changed = schemas.get_or_insert_with(id, || -> Result<SchemaId, RecordError> {
            let schema = Schema::clone(&*schema_of(id)?);
            // As in Kafka Connect, where the new value is built field by field.
            if !schema.is_struct() {
                return Err(no_fields());
            }
            let name = name.clone().or(schema.name);
            Ok(schema::put(&Schema { name, version: version.or(schema.version), ..schema })?)
        })?;
        record.set_schema(S::SIDE, *changed);
        Ok(Verdict::Keep)
    }
}
