//! Between the bytes on a topic and payloads: Kafka Connect's converters for keys, values and headers.
//!
//! A payload is opaque bytes (schema id 0), text (1), JSON without a schema (2), or JSON that follows the schema with an id from 16 up,
//! encoded as Kafka's JsonConverter encodes it ([`crate::record::SchemaId`]). In the terms of Kafka Connect's data model:
//!
//! - a null with an id below 16 has neither schema nor value; with another id it is a null of that schema;
//! - bytes are of the required schema `bytes`, text is of the required schema `string`, as Kafka's own connectors emit them;
//! - JSON without a schema is what its JsonConverter reads when `schemas.enable` is false: maps, lists, strings, 64-bit integers, doubles.
//!
//! [`Converters`] works on whole batches. A batch of which nothing must be rewritten is moved. To add a format, implement
//! [`Converter`] in a module of its own and give it a row in [`classes`].

mod avro;
mod binary;
pub mod classes;
mod column;
pub mod config;
mod converter;
mod converters;
pub mod data;
mod error;
mod header;
mod json;
mod json_schema;
mod numbers;
mod payload;
mod protobuf;
mod registry;
mod schema_column;
mod string;
#[cfg(test)]
mod tests;

pub use classes::{ConverterClass, Role, find_class, format};
pub use column::{Cells, ConvertedCells};
pub use config::{ConfigError, ConfigKey};
pub use converter::{Converter, Decoded, Encoded, Kept, Place};
pub use converters::{Converted, Converters, Failure, Postponed};
pub use error::{ConvertError, DATA_EXCEPTION, Outage, SCHEMA_BUILDER_EXCEPTION, Stage};
pub use payload::Schemas;
pub use registry::{DEFAULT_REACH, Format, REACH_KEY, Reach, Reading, Reference, Registered, SchemaText, Writing};
