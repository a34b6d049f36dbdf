//! Schemas: what the JSON text of a structured payload follows.

mod cache;
mod json;

pub use cache::SchemaCache;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use crate::errors::{Error, Result};
use crate::host;
use crate::record::SchemaId;

/// Kafka Connect's logical types: a name that gives a base type another meaning.
pub mod logical {
    /// A decimal: BYTES that hold the unscaled value; the parameter `scale` has its digits after the point.
    pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
    /// A date: INT32, days since the epoch.
    pub const DATE: &str = "org.apache.kafka.connect.data.Date";
    /// A time of day: INT32, milliseconds since midnight.
    pub const TIME: &str = "org.apache.kafka.connect.data.Time";
    /// A point in time: INT64, milliseconds since the epoch.
    pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
}

/// A Kafka Connect schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What kind of value it describes.
    pub kind: Kind,
    /// Whether null is allowed.
    pub optional: bool,
    /// Its name: of a record type, or of a logical type (see [`logical`]).
    pub name: Option<String>,
    /// Its version.
    pub version: Option<i32>,
    /// What it is for.
    pub doc: Option<String>,
    /// Further properties, in order. None is not the same as an empty list.
    pub parameters: Option<Vec<(String, String)>>,
    /// What stands in for a null, encoded as a payload.
    pub default: Option<Value>,
}

/// What kind of value a schema describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 8-bit integer.
    Int8,
    /// 16-bit integer.
    Int16,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// Text.
    String,
    /// Bytes; base64 text in JSON.
    Bytes,
    /// A list of items that follow one schema.
    Array(Box<Schema>),
    /// Keys to values; a JSON object if the keys are strings, else an array of pairs.
    Map(Box<Schema>, Box<Schema>),
    /// Named fields in order.
    Struct(Vec<Field>),
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub schema: Schema,
}

impl Schema {
    /// A required schema of a kind, with nothing else set.
    pub fn new(kind: Kind) -> Self {
        Self { kind, optional: false, name: None, version: None, doc: None, parameters: None, default: None }
    }

    /// A struct without fields.
    pub fn structure() -> Self {
        Self::new(Kind::Struct(Vec::new()))
    }

    /// The logical type Timestamp.
    pub fn timestamp() -> Self {
        Self { version: Some(1), ..Self::new(Kind::Int64).named(logical::TIMESTAMP) }
    }

    /// The same, but null is allowed.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same under a name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// A struct with one more field; any other schema stays as it is.
    #[must_use]
    pub fn field(mut self, name: &str, schema: Schema) -> Self {
        if let Kind::Struct(fields) = &mut self.kind {
            fields.push(Field { name: name.to_owned(), schema });
        }
        self
    }

    /// The fields of a struct; none for anything else.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Whether it describes a struct.
    pub fn is_struct(&self) -> bool {
        matches!(self.kind, Kind::Struct(_))
    }

    /// Whether it is the logical type of this name.
    pub fn is_logical(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// Reads the JSON that Kafka Connect's JsonConverter writes.
    ///
    /// # Errors
    /// [`Error::Fatal`] with what is wrong with the text.
    pub fn from_json(text: &str) -> Result<Self> {
        json::read(text).map_err(|reason| Error::fatal(format!("cannot read a schema: {reason}")))
    }

    /// Writes the JSON that Kafka Connect's JsonConverter writes.
    pub fn to_json(&self) -> String {
        json::write(self).to_string()
    }
}

thread_local! {
    static SCHEMAS: RefCell<SchemaCache<Schema>> = RefCell::new(SchemaCache::default());
}

/// The schema behind an id. The last few stay parsed.
///
/// # Errors
/// [`Error::Fatal`] if the host knows no schema of this id, or one that cannot be read.
pub fn get(id: SchemaId) -> Result<Rc<Schema>> {
    SCHEMAS.with_borrow_mut(|schemas| {
        schemas.get_or_insert_with(id, || {
            let text =
                host::schema(id.0).ok_or_else(|| Error::fatal(format!("the host knows no schema with the id {}", id.0)))?;
            Schema::from_json(&text)
        })
    })
}

/// The id of a schema, for payloads that follow it. Keep the id: the host allows a limited number of schemas.
///
/// # Errors
/// [`Error::Fatal`] if the host refuses the schema.
pub fn put(schema: &Schema) -> Result<SchemaId> {
    host::put_schema(&schema.to_json())
        .map(SchemaId)
        .map_err(|reason| Error::fatal(format!("the host refuses a schema: {reason}")))
}
