//! Data in flight: a [`Batch`] of records as columns over one buffer, [`RecordRef`] views into it, a [`BatchBuilder`] that
//! appends to one, and the [`SchemaTable`] that gives schemas their ids. This room knows no other.

mod batch;
mod builder;
mod schema;
mod validate;
mod view;

pub use batch::{Batch, NO_TIMESTAMP, NULL_LENGTH, UNASSIGNED_PARTITION};
pub use builder::{BatchBuilder, BatchLimits, HeaderValue, Record};
pub use schema::{
    FIRST_SCHEMA_ID, MAX_SCHEMA_BYTES, MAX_SCHEMAS, MAX_TABLE_BYTES, SCHEMA_BYTES, SCHEMA_JSON, SCHEMA_TEXT, SchemaError,
    SchemaId, SchemaTable,
};
pub use validate::InvalidBatch;
pub use view::{HeaderRef, Headers, RecordRef, Records};
