//! Writing a batch: records go straight into the columns.

use serde::Serialize;

use crate::bindings::wit;
use crate::errors::{Error, Result};
use crate::record::batch::empty_columns;
use crate::record::{Batch, MAX_BYTES, MAX_RECORDS, Payload, SchemaId};

/// A record on its way into a batch; everything is borrowed.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    topic: &'a str,
    partition: i32,
    timestamp: i64,
    key: Payload<'a>,
    value: Payload<'a>,
    headers: &'a [(&'a str, Payload<'a>)],
}

impl<'a> NewRecord<'a> {
    /// A record with nothing but a topic: its key and value are null.
    pub fn new(topic: &'a str) -> Self {
        Self { topic, partition: -1, timestamp: -1, key: Payload::NULL, value: Payload::NULL, headers: &[] }
    }

    /// Sets the Kafka partition, instead of leaving it to the partitioner.
    pub fn partition(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    /// Sets the timestamp in milliseconds since the epoch, instead of the time at which the record is sent.
    pub fn timestamp(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    /// Sets the key.
    pub fn key(self, key: impl Into<Payload<'a>>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// Sets the value.
    pub fn value(self, value: impl Into<Payload<'a>>) -> Self {
        Self { value: value.into(), ..self }
    }

    /// Sets the headers.
    pub fn headers(self, headers: &'a [(&'a str, Payload<'a>)]) -> Self {
        Self { headers, ..self }
    }
}

/// Puts records into columns. A column stays empty for as long as no record needs it.
#[derive(Debug)]
pub struct BatchBuilder {
    columns: wit::Batch,
    /// The topic of the last record: mostly that of the next one, too.
    last_topic: usize,
    last_header: usize,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl BatchBuilder {
    /// A builder with room for records of so many bytes together.
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        let mut columns = empty_columns();
        columns.data.reserve(bytes);
        columns.value_lengths.reserve(records);
        columns.value_schemas.reserve(records);
        Self { columns, last_topic: 0, last_header: 0 }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.columns.count as usize
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all keys, values and header values.
    pub fn bytes(&self) -> usize {
        self.columns.data.len()
    }

    /// Whether the batch should be handed over: it has [`MAX_RECORDS`] records or [`MAX_BYTES`] bytes.
    pub fn is_full(&self) -> bool {
        self.len() >= MAX_RECORDS || self.bytes() >= MAX_BYTES
    }

    /// Adds a record.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        let value = record.value;
        self.push_parts(record, value.schema, |data| {
            data.extend_from_slice(value.as_slice());
            !value.is_null()
        });
    }

    /// Adds a record whose value is this one as JSON text without a schema, written straight into the batch.
    ///
    /// # Errors
    /// [`Error::Fatal`] if the value cannot be written as JSON.
    pub fn push_json<T: Serialize + ?Sized>(&mut self, record: &NewRecord<'_>, value: &T) -> Result<()> {
        self.push_structured(record, SchemaId::JSON, value)
    }

    /// Adds a record whose value is this one as JSON text that follows a schema (see [`crate::schema::put`]).
    ///
    /// # Errors
    /// [`Error::Fatal`] if the value cannot be written as JSON.
    pub fn push_structured<T: Serialize + ?Sized>(&mut self, record: &NewRecord<'_>, schema: SchemaId, value: &T) -> Result<()> {
        let mut outcome = Ok(());
        self.push_parts(record, schema, |data| {
            outcome = serde_json::to_writer(data, value);
            true
        });
        outcome.map_err(|error| Error::fatal(format!("cannot write a record as JSON: {error}")))
    }

    /// `write` appends the value to the data and tells whether it is not null.
    fn push_parts(&mut self, record: &NewRecord<'_>, schema: SchemaId, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let index = self.len();
        let topic = intern(&mut self.columns.topics, &mut self.last_topic, record.topic);
        let columns = &mut self.columns;
        set(&mut columns.topic_indexes, index, topic, 0);
        set(&mut columns.partitions, index, record.partition, -1);
        set(&mut columns.timestamps, index, record.timestamp, -1);
        set(&mut columns.key_lengths, index, push_bytes(&mut columns.data, record.key.bytes), -1);
        set(&mut columns.key_schemas, index, record.key.schema.0, 0);
        let start = columns.data.len();
        let length = if write(&mut columns.data) { length(columns.data.len() - start) } else { -1 };
        set(&mut columns.value_lengths, index, length, -1);
        set(&mut columns.value_schemas, index, schema.0, 0);
        set(&mut columns.header_counts, index, u32::try_from(record.headers.len()).unwrap_or(u32::MAX), 0);
        for (name, value) in record.headers {
            let header = columns.header_lengths.len();
            let name = intern(&mut columns.header_names, &mut self.last_header, name);
            columns.header_name_indexes.push(name);
            columns.header_lengths.push(push_bytes(&mut columns.data, value.bytes));
            set(&mut columns.header_schemas, header, value.schema.0, 0);
        }
        columns.count += 1;
    }

    /// The batch.
    ///
    /// # Errors
    /// [`Error::Fatal`] if a key or value is longer than a column can say (2 GiB).
    pub fn finish(self) -> Result<Batch> {
        Batch::new(self.columns)
    }
}

/// Appends an entry to a column that stays empty while all its entries are the default.
pub(crate) fn set<T: Copy + PartialEq>(column: &mut Vec<T>, index: usize, entry: T, default: T) {
    if column.is_empty() {
        if entry == default {
            return;
        }
        column.resize(index, default);
    }
    column.push(entry);
}

/// A length as a column holds it. What is too long is found out by [`Batch::new`], as nothing adds up then.
pub(crate) fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn push_bytes(data: &mut Vec<u8>, bytes: Option<&[u8]>) -> i32 {
    match bytes {
        Some(bytes) => {
            data.extend_from_slice(bytes);
            length(bytes.len())
        }
        None => -1,
    }
}

/// The place of a name in a list of distinct names. `last` is where it probably is.
pub(crate) fn intern(names: &mut Vec<String>, last: &mut usize, name: &str) -> u32 {
    if names.get(*last).is_none_or(|known| known != name) {
        *last = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
    }
    u32::try_from(*last).unwrap_or(u32::MAX)
}
