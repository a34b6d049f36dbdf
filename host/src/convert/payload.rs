//! Payloads as values of Connect's data model.

use std::sync::Arc;

use super::ConvertError;
use super::data::json::Node;
use super::data::read::{Reader, read_schemaless};
use super::data::{Kind, Schema, Value};
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SCHEMA_JSON, SCHEMA_TEXT, SchemaId, SchemaTable};

/// The task's schemas, parsed once each. Bounded as the [`SchemaTable`] is.
pub struct Schemas {
    table: Arc<SchemaTable>,
    parsed: Vec<Option<Arc<Schema>>>,
    bytes: Arc<Schema>,
    text: Arc<Schema>,
}

impl Schemas {
    /// Nothing parsed yet.
    pub fn new(table: &Arc<SchemaTable>) -> Self {
        Schemas {
            table: table.clone(),
            parsed: Vec::new(),
            bytes: Arc::new(Schema::new(Kind::Bytes)),
            text: Arc::new(Schema::new(Kind::String)),
        }
    }

    /// The schema of payloads with this id; `None` for JSON without one.
    ///
    /// # Errors
    /// A `DataException` when the id is none of the task's, or its text is no schema.
    pub fn get(&mut self, id: SchemaId) -> Result<Option<&Arc<Schema>>, ConvertError> {
        match id {
            SCHEMA_BYTES => return Ok(Some(&self.bytes)),
            SCHEMA_TEXT => return Ok(Some(&self.text)),
            SCHEMA_JSON => return Ok(None),
            _ => {}
        }
        let unknown = || Schemas::unknown(id);
        let place = id.checked_sub(FIRST_SCHEMA_ID).ok_or_else(unknown)? as usize;
        if !matches!(self.parsed.get(place), Some(Some(_))) {
            let text = self.table.get(id).ok_or_else(unknown)?;
            let schema = Arc::new(Schema::parse(&text)?);
            if self.parsed.len() <= place {
                self.parsed.resize(place + 1, None);
            }
            if let Some(slot) = self.parsed.get_mut(place) {
                *slot = Some(schema);
            }
        }
        self.parsed.get(place).and_then(Option::as_ref).map(Some).ok_or_else(unknown)
    }

    /// The error for an id that is none of the task's.
    pub fn unknown(id: SchemaId) -> ConvertError {
        ConvertError::data(format!("The record names schema {id}, which was never put into the task's schemas; put it first"))
    }

    /// The id of a schema.
    ///
    /// # Errors
    /// A `DataException` when the table is full.
    pub fn put(&mut self, schema: &Schema) -> Result<SchemaId, ConvertError> {
        self.table.put(&schema.to_json(false)).map_err(|error| ConvertError::data(error.to_string()))
    }

    /// What a payload stands for: its schema and value. Nulls with an id below [`FIRST_SCHEMA_ID`] have neither.
    ///
    /// # Errors
    /// A `DataException` when the payload is not what its id says.
    pub fn value(&mut self, id: SchemaId, payload: Option<&[u8]>) -> Result<(Option<Arc<Schema>>, Value), ConvertError> {
        let Some(payload) = payload else {
            let schema = if id < FIRST_SCHEMA_ID { None } else { self.get(id)?.cloned() };
            return Ok((schema, Value::Null));
        };
        let schema = self.get(id)?.cloned();
        let value = match (id, &schema) {
            (SCHEMA_BYTES, _) => Value::Bytes(payload.to_vec()),
            (SCHEMA_TEXT, _) => Value::String(utf8(payload)?.to_owned()),
            (_, None) => read_schemaless(&node(payload)?),
            (_, Some(schema)) => Reader::of_plugin(false).read(schema, Some(&node(payload)?))?,
        };
        Ok((schema, value))
    }
}

/// The text that a plugin gave.
///
/// # Errors
/// A `DataException` when it is not UTF-8.
pub fn utf8(payload: &[u8]) -> Result<&str, ConvertError> {
    std::str::from_utf8(payload).map_err(|error| {
        ConvertError::data(format!("The plugin gave bytes that are no UTF-8 where the schema id says text: {error}"))
    })
}

/// The JSON that a plugin gave.
///
/// # Errors
/// A `DataException` when it is malformed.
pub fn node(payload: &[u8]) -> Result<Node<'_>, ConvertError> {
    Node::parse(utf8(payload)?).ok_or_else(|| ConvertError::data("The plugin gave malformed JSON where the schema id says JSON"))
}
