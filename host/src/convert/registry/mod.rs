//! Converters whose schemas stand in a schema registry with Confluent's API: Avro, JSON Schema and Protobuf.
//!
//! What these have in common is here: the registry's client, the wire format (a magic byte and the schema's id before each payload),
//! subjects, and [`RegistryConverter`], which remembers what it was told. A [`Format`] knows one schema language.
//!
//! Conversion never waits. What it lacks it notes, and [`Converter::learn`](super::Converter::learn) asks the registry for it, once per
//! schema, between two attempts at a batch.

mod client;
mod converter;
pub mod keys;
mod reach;
mod settings;
mod subject;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;
#[cfg(test)]
mod tls_tests;
mod wire;

pub use client::{Reference, Registered, SchemaText};
pub use converter::RegistryConverter;
pub use reach::{DEFAULT_REACH, REACH_KEY, Reach};

use super::ConvertError;
use super::converter::Decoded;
use super::data::Schema;
use super::payload::Schemas;
use crate::record::SchemaId;

/// One schema language: how its schemas and data relate to Connect's.
pub trait Format: Send {
    /// The registry's name of it: `AVRO`, `JSON`, `PROTOBUF`.
    fn schema_type(&self) -> &'static str;

    /// Its name in Confluent's messages: `Failed to deserialize data for topic t to Avro:`.
    fn title(&self) -> &'static str;

    /// The full name of a schema, for the subject name strategies that go by it.
    ///
    /// # Errors
    /// A `DataException` when the text is no schema.
    fn record_name(&self, schema: &SchemaText) -> Result<Option<String>, ConvertError>;

    /// What reads data of a registered schema.
    ///
    /// # Errors
    /// A `DataException` when the schema is none, or has no counterpart in Connect.
    fn reader(&self, schema: &Registered, schemas: &mut Schemas) -> Result<Box<dyn Reading>, ConvertError>;

    /// The schema under which data of a Connect schema is written; `None` for data without one.
    ///
    /// # Errors
    /// A `DataException` when it has no counterpart.
    fn draft(&self, schema: Option<&Schema>) -> Result<SchemaText, ConvertError>;

    /// What writes data of a Connect schema under a registered one. `strict`: nothing of it may be left out.
    ///
    /// # Errors
    /// A `DataException` when the one does not fit the other.
    fn writer(&self, schema: Option<&Schema>, target: &Registered, strict: bool) -> Result<Box<dyn Writing>, ConvertError>;
}

/// Reads data of one registered schema.
pub trait Reading: Send {
    /// Appends the payload that `data`, which stands behind the schema's id, holds.
    ///
    /// # Errors
    /// A `DataException` when it is malformed.
    fn decode(&mut self, data: &[u8], schemas: &mut Schemas, out: &mut Vec<u8>) -> Result<Decoded, ConvertError>;
}

/// Writes data of one Connect schema under one registered schema.
pub trait Writing: Send {
    /// Appends what stands behind the schema's id. `id` says how the payload is to be read. `false`: the record is null.
    ///
    /// # Errors
    /// A `DataException` when the payload does not follow its schema.
    fn encode(&mut self, id: SchemaId, payload: Option<&[u8]>, out: &mut Vec<u8>) -> Result<bool, ConvertError>;
}
