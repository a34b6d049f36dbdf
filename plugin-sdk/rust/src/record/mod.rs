//! Records: borrowed views for reading, a builder for writing.

pub(crate) mod batch;
pub(crate) mod builder;
#[cfg(test)]
pub(crate) mod tests;

pub use batch::{Batch, Header, Headers, RecordView, Records};
pub use builder::{BatchBuilder, NewRecord};

use serde::Deserialize;

/// Records that the host takes in one batch.
pub const MAX_RECORDS: usize = 500;
/// Bytes at which a batch is full. The record that crosses the line still belongs to it.
pub const MAX_BYTES: usize = 4 << 20;

/// How a key, a value or a header value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SchemaId(pub u32);

impl SchemaId {
    /// Opaque bytes.
    pub const BYTES: Self = Self(0);
    /// UTF-8 text.
    pub const TEXT: Self = Self(1);
    /// JSON text without a schema.
    pub const JSON: Self = Self(2);
    /// The first id that stands for a schema.
    const FIRST_SCHEMA: u32 = 16;

    /// Whether this is JSON text that follows a schema; see [`crate::schema::get`].
    pub fn has_schema(self) -> bool {
        self.0 >= Self::FIRST_SCHEMA
    }

    /// Whether this is JSON text, with a schema or without.
    pub fn is_json(self) -> bool {
        self == Self::JSON || self.has_schema()
    }
}

/// A key, a value or a header value: bytes, and how they are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Payload<'a> {
    /// None is null, which is not the JSON text `null`.
    pub bytes: Option<&'a [u8]>,
    /// How the bytes are to be read; a null keeps it too.
    pub schema: SchemaId,
}

impl<'a> Payload<'a> {
    /// A null without a schema.
    pub const NULL: Self = Self { bytes: None, schema: SchemaId::BYTES };

    /// Opaque bytes.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self { bytes: Some(bytes), schema: SchemaId::BYTES }
    }

    /// UTF-8 text.
    pub fn text(text: &'a str) -> Self {
        Self { bytes: Some(text.as_bytes()), schema: SchemaId::TEXT }
    }

    /// JSON text without a schema.
    pub fn json(json: &'a str) -> Self {
        Self { bytes: Some(json.as_bytes()), schema: SchemaId::JSON }
    }

    /// JSON text that follows a schema (see [`crate::schema::put`]).
    pub fn with_schema(json: &'a str, schema: SchemaId) -> Self {
        Self { bytes: Some(json.as_bytes()), schema }
    }

    /// Whether there is nothing, not even an empty text.
    pub fn is_null(&self) -> bool {
        self.bytes.is_none()
    }

    /// The bytes; none for a null.
    pub fn as_slice(&self) -> &'a [u8] {
        self.bytes.unwrap_or_default()
    }

    /// The bytes as text, if they are UTF-8. A null is the empty text.
    pub fn as_str(&self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.as_slice())
    }

    /// The JSON text as a type of yours, which may borrow from the record. A null reads as JSON's `null`, so an
    /// `Option` takes it.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.bytes.unwrap_or(b"null"))
    }
}

/// Nothing is null, as everywhere in Kafka.
impl<'a> From<Option<&'a str>> for Payload<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::NULL, Self::text)
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self::text(text)
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::bytes(bytes)
    }
}
