use std::collections::HashMap;

use super::{Batch, HeaderRef, NO_TIMESTAMP, NULL_LENGTH, RecordRef, SCHEMA_BYTES, SchemaId, UNASSIGNED_PARTITION};

/// How large a batch may become before it is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records at most.
    pub records: usize,
    /// Bytes of payload after which no further record is added; one record may go beyond it.
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// 500 records or 4 MiB, whichever comes first.
    fn default() -> Self {
        BatchLimits { records: 500, bytes: 4 << 20 }
    }
}

/// A header to append.
pub type HeaderValue<'a> = HeaderRef<'a>;

/// A record to append, borrowed. [`Record::default`] is all null and none.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Kafka partition, or -1.
    pub partition: i32,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Offset, on records read from Kafka. Either all records of a batch have one or none.
    pub offset: Option<u64>,
    /// The key's bytes; `None` is null.
    pub key: Option<&'a [u8]>,
    /// How the key is to be read.
    pub key_schema: SchemaId,
    /// The value's bytes; `None` is null.
    pub value: Option<&'a [u8]>,
    /// How the value is to be read.
    pub value_schema: SchemaId,
}

impl Default for Record<'_> {
    fn default() -> Self {
        Record {
            topic: "",
            partition: UNASSIGNED_PARTITION,
            timestamp: NO_TIMESTAMP,
            offset: None,
            key: None,
            key_schema: SCHEMA_BYTES,
            value: None,
            value_schema: SCHEMA_BYTES,
        }
    }
}

impl<'a> From<RecordRef<'a>> for Record<'a> {
    fn from(record: RecordRef<'a>) -> Self {
        Record {
            topic: record.topic(),
            partition: record.partition(),
            timestamp: record.timestamp(),
            offset: record.offset(),
            key: record.key,
            key_schema: record.key_schema(),
            value: record.value,
            value_schema: record.value_schema(),
        }
    }
}

/// Appends records to a [`Batch`]. A column stays empty for as long as every record has the value that an empty column
/// stands for, so that a batch carries only what its records hold.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    batch: Batch,
    topic_places: HashMap<String, u32>,
    header_places: HashMap<String, u32>,
    last_topic: u32,
}

impl BatchBuilder {
    /// Records appended so far.
    pub fn len(&self) -> usize {
        self.batch.count as usize
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.batch.count == 0
    }

    /// Whether `limits` allow no further record.
    pub fn is_full(&self, limits: BatchLimits) -> bool {
        self.len() >= limits.records || self.batch.data.len() >= limits.bytes
    }

    /// Appends a record with its headers, copying its bytes.
    pub fn push<'h>(&mut self, record: Record<'_>, headers: impl IntoIterator<Item = HeaderValue<'h>>) {
        let at = self.len();
        let topic = self.topic_place(record.topic);
        let batch = &mut self.batch;
        push_column(&mut batch.topic_indexes, at, topic, 0);
        push_column(&mut batch.partitions, at, record.partition, UNASSIGNED_PARTITION);
        push_column(&mut batch.timestamps, at, record.timestamp, NO_TIMESTAMP);
        if let Some(offset) = record.offset {
            batch.offsets.push(offset);
        }
        push_bytes(&mut batch.data, &mut batch.key_lengths, at, record.key);
        push_bytes(&mut batch.data, &mut batch.value_lengths, at, record.value);
        push_column(&mut batch.key_schemas, at, record.key_schema, SCHEMA_BYTES);
        push_column(&mut batch.value_schemas, at, record.value_schema, SCHEMA_BYTES);
        let mut count = 0;
        for header in headers {
            self.push_header(header);
            count += 1;
        }
        push_column(&mut self.batch.header_counts, at, count, 0);
        self.batch.count += 1;
    }

    /// The batch; the builder is ready for the next one.
    pub fn finish(&mut self) -> Batch {
        self.topic_places.clear();
        self.header_places.clear();
        self.last_topic = 0;
        std::mem::take(&mut self.batch)
    }

    fn push_header(&mut self, header: HeaderValue<'_>) {
        let place = match self.header_places.get(header.name) {
            Some(place) => *place,
            None => intern(&mut self.header_places, &mut self.batch.header_names, header.name),
        };
        let batch = &mut self.batch;
        let at = batch.header_name_indexes.len();
        batch.header_name_indexes.push(place);
        batch.header_lengths.push(length(header.value));
        batch.data.extend_from_slice(header.value.unwrap_or_default());
        push_column(&mut batch.header_schemas, at, header.schema, SCHEMA_BYTES);
    }

    /// Consecutive records are mostly of one topic: the last one is looked at before the table.
    fn topic_place(&mut self, topic: &str) -> u32 {
        if self.batch.topics.get(self.last_topic as usize).is_some_and(|last| last == topic) {
            return self.last_topic;
        }
        let place = match self.topic_places.get(topic) {
            Some(place) => *place,
            None => intern(&mut self.topic_places, &mut self.batch.topics, topic),
        };
        self.last_topic = place;
        place
    }
}

fn intern(places: &mut HashMap<String, u32>, names: &mut Vec<String>, name: &str) -> u32 {
    let place = names.len() as u32;
    names.push(name.to_owned());
    places.insert(name.to_owned(), place);
    place
}

/// Appends the `at`-th entry of a column whose absence means `default` for every record.
fn push_column<T: Copy + PartialEq>(column: &mut Vec<T>, at: usize, entry: T, default: T) {
    if column.is_empty() {
        if entry == default {
            return;
        }
        column.resize(at, default);
    }
    column.push(entry);
}

fn push_bytes(data: &mut Vec<u8>, lengths: &mut Vec<i32>, at: usize, bytes: Option<&[u8]>) {
    push_column(lengths, at, length(bytes), NULL_LENGTH);
    data.extend_from_slice(bytes.unwrap_or_default());
}

/// Records come from a Kafka client or a validated batch, whose lengths are 32 bits wide already.
fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(NULL_LENGTH, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}
