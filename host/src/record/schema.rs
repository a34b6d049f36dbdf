//! Schemas by id. A structured payload travels as JSON text plus the id of its schema, so that no stage parses a schema twice.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How a key, value or header value is to be read: [`SCHEMA_BYTES`], [`SCHEMA_TEXT`], [`SCHEMA_JSON`], or, from
/// [`FIRST_SCHEMA_ID`] up, JSON text that follows the schema with this id.
pub type SchemaId = u32;

/// Opaque bytes.
pub const SCHEMA_BYTES: SchemaId = 0;
/// UTF-8 text.
pub const SCHEMA_TEXT: SchemaId = 1;
/// JSON text without a schema.
pub const SCHEMA_JSON: SchemaId = 2;
/// The first id that names an entry of a [`SchemaTable`]; those between are reserved.
pub const FIRST_SCHEMA_ID: SchemaId = 16;

/// Schemas that one table holds at most: a task that meets more is generating them.
pub const MAX_SCHEMAS: usize = 10_000;
/// Bytes of one schema's JSON at most.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;

/// Bytes of all schemas of one table at most.
pub const MAX_TABLE_BYTES: usize = 32 << 20;

/// Why a schema was not taken into a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The table holds [`MAX_SCHEMAS`] already.
    #[error("a task may use {MAX_SCHEMAS} schemas at most; use one schema for records of one kind")]
    TooMany,
    /// The schemas together would be over [`MAX_TABLE_BYTES`].
    #[error("the schemas of a task may hold {MAX_TABLE_BYTES} bytes at most; use one schema for records of one kind")]
    Full,
    /// The schema's JSON is over [`MAX_SCHEMA_BYTES`].
    #[error("a schema of {0} bytes is over the limit of {MAX_SCHEMA_BYTES} bytes")]
    TooLarge(usize),
}

#[derive(Default)]
struct Entries {
    by_id: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, SchemaId>,
    bytes: usize,
}

/// The schemas of one task, shared by its converters and its plugin instances. Ids hold for as long as the table lives;
/// equal text has one id.
#[derive(Default)]
pub struct SchemaTable {
    entries: RwLock<Entries>,
}

impl SchemaTable {
    /// The schema's JSON, as the JsonConverter of Kafka Connect writes schemas; `None` for ids that were never given.
    pub fn get(&self, id: SchemaId) -> Option<Arc<str>> {
        let index = id.checked_sub(FIRST_SCHEMA_ID)? as usize;
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.by_id.get(index).cloned()
    }

    /// The id of a schema, which is taken in if it is new.
    ///
    /// # Errors
    /// [`SchemaError`] when the schema or the table is too large.
    pub fn put(&self, schema: &str) -> Result<SchemaId, SchemaError> {
        if schema.len() > MAX_SCHEMA_BYTES {
            return Err(SchemaError::TooLarge(schema.len()));
        }
        if let Some(id) = self.entries.read().unwrap_or_else(PoisonError::into_inner).by_text.get(schema) {
            return Ok(*id);
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = entries.by_text.get(schema) {
            return Ok(*id);
        }
        if entries.by_id.len() >= MAX_SCHEMAS {
            return Err(SchemaError::TooMany);
        }
        if entries.bytes + schema.len() > MAX_TABLE_BYTES {
            return Err(SchemaError::Full);
        }
        entries.bytes += schema.len();
        let id = FIRST_SCHEMA_ID + entries.by_id.len() as SchemaId;
        let text: Arc<str> = schema.into();
        entries.by_id.push(text.clone());
        entries.by_text.insert(text, id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_schemas_have_one_id_and_unknown_ids_none() {
        let table = SchemaTable::default();
        let first = table.put(r#"{"type":"int32"}"#).unwrap();
        let second = table.put(r#"{"type":"string"}"#).unwrap();
        assert_eq!((first, second), (16, 17));
        assert_eq!(table.put(r#"{"type":"int32"}"#), Ok(first));
        assert_eq!(table.get(second).as_deref(), Some(r#"{"type":"string"}"#));
        for unknown in [0, 1, 2, 15, 18, u32::MAX] {
            assert_eq!(table.get(unknown), None);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let table = SchemaTable::default();
        for i in 0..MAX_SCHEMAS {
            table.put(&i.to_string()).unwrap();
        }
        assert_eq!(table.put("one more"), Err(SchemaError::TooMany));
        assert_eq!(table.put("0"), Ok(FIRST_SCHEMA_ID));
        let large = "x".repeat(MAX_SCHEMA_BYTES + 1);
        assert_eq!(table.put(&large), Err(SchemaError::TooLarge(large.len())));

        let table = SchemaTable::default();
        let refused = (0..100).find_map(|i| table.put(&format!("{i:0>MAX_SCHEMA_BYTES$}")).err());
        assert_eq!(refused, Some(SchemaError::Full));
    }
}
