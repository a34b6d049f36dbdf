//! Reading a batch: views that borrow from its columns.

use crate::bindings::wit;
use crate::errors::{Error, Result};
use crate::record::{Payload, SchemaId};

/// Records as they cross the wall: columns over one buffer of bytes. Iterate for [`RecordView`]s; nothing is copied.
#[derive(Debug)]
pub struct Batch {
    pub(crate) columns: wit::Batch,
}

impl Batch {
    /// Checks that the columns fit together.
    ///
    /// # Errors
    /// [`Error::Fatal`] if a column has a wrong length, lengths do not add up to the data, or an index points outside
    /// its list.
    pub fn new(columns: wit::Batch) -> Result<Self> {
        check(&columns).map_err(|what| Error::fatal(format!("malformed batch: {what}")))?;
        Ok(Self { columns })
    }

    /// A batch without records.
    pub fn empty() -> Self {
        Self { columns: empty_columns() }
    }

    /// The columns, as they cross the wall.
    pub fn into_columns(self) -> wit::Batch {
        self.columns
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

    /// The records in order.
    pub fn iter(&self) -> Records<'_> {
        Records { columns: &self.columns, next: Position::default() }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Where a record begins in each of the columns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    pub index: usize,
    pub data: usize,
    pub header: usize,
}

/// Lengths of one record's parts, in bytes but for `headers`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub key: Option<usize>,
    pub value: Option<usize>,
    pub header_bytes: usize,
    pub headers: usize,
}

impl Extent {
    pub fn at(columns: &wit::Batch, at: Position) -> Self {
        let headers = columns.header_counts.get(at.index).map_or(0, |&count| count as usize);
        let header_bytes = match headers {
            0 => 0,
            _ => (at.header..at.header + headers).filter_map(|header| length(&columns.header_lengths, header)).sum(),
        };
        Self {
            key: length(&columns.key_lengths, at.index),
            value: length(&columns.value_lengths, at.index),
            header_bytes,
            headers,
        }
    }

    pub fn bytes(&self) -> usize {
        self.key.unwrap_or(0) + self.value.unwrap_or(0) + self.header_bytes
    }
}

impl Position {
    /// Where the next record begins.
    pub fn after(self, extent: &Extent) -> Self {
        Self { index: self.index + 1, data: self.data + extent.bytes(), header: self.header + extent.headers }
    }
}

/// The length at an index; none for a null.
pub(crate) fn length(column: &[i32], index: usize) -> Option<usize> {
    column.get(index).and_then(|&length| usize::try_from(length).ok())
}

/// The schema-id at an index of a column that may be empty.
pub(crate) fn schema(column: &[u32], index: usize) -> SchemaId {
    SchemaId(column.get(index).copied().unwrap_or_default())
}

/// The topic of a record.
pub(crate) fn topic(columns: &wit::Batch, index: usize) -> &str {
    let topic = columns.topic_indexes.get(index).copied().unwrap_or_default();
    columns.topics.get(topic as usize).map_or("", String::as_str)
}

/// Iterator over the records of a [`Batch`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    columns: &'a wit::Batch,
    next: Position,
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.index >= self.columns.count as usize {
            return None;
        }
        let at = self.next;
        let extent = Extent::at(self.columns, at);
        self.next = at.after(&extent);
        Some(RecordView { columns: self.columns, at, extent })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.columns.count as usize - self.next.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

/// One record of a batch, borrowed.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    columns: &'a wit::Batch,
    at: Position,
    extent: Extent,
}

impl<'a> RecordView<'a> {
    /// Its place in the batch.
    pub fn index(&self) -> usize {
        self.at.index
    }

    /// Its topic.
    pub fn topic(&self) -> &'a str {
        topic(self.columns, self.at.index)
    }

    /// Its Kafka partition; None leaves the choice to the partitioner.
    pub fn partition(&self) -> Option<i32> {
        self.columns.partitions.get(self.at.index).copied().filter(|&partition| partition >= 0)
    }

    /// Milliseconds since the epoch.
    pub fn timestamp(&self) -> Option<i64> {
        self.columns.timestamps.get(self.at.index).copied().filter(|&timestamp| timestamp >= 0)
    }

    /// Its Kafka offset, if it was read from Kafka.
    pub fn offset(&self) -> Option<u64> {
        self.columns.offsets.get(self.at.index).copied()
    }

    /// Its key.
    pub fn key(&self) -> Payload<'a> {
        let schema = schema(&self.columns.key_schemas, self.at.index);
        Payload { bytes: self.slice(self.at.data, self.extent.key), schema }
    }

    /// Its value.
    pub fn value(&self) -> Payload<'a> {
        let start = self.at.data + self.extent.key.unwrap_or(0);
        let schema = schema(&self.columns.value_schemas, self.at.index);
        Payload { bytes: self.slice(start, self.extent.value), schema }
    }

    /// Its headers in order; a name may come more than once.
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.columns, self.at, &self.extent)
    }

    fn slice(&self, start: usize, length: Option<usize>) -> Option<&'a [u8]> {
        length.map(|length| self.columns.data.get(start..start + length).unwrap_or_default())
    }
}

impl std::fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordView")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("timestamp", &self.timestamp())
            .field("offset", &self.offset())
            .field("key", &self.key())
            .field("value", &self.value())
            .field("headers", &self.headers().collect::<Vec<_>>())
            .finish()
    }
}

/// Equal in all that a record says; its place in the batch does not matter.
impl PartialEq for RecordView<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.topic() == other.topic()
            && self.partition() == other.partition()
            && self.timestamp() == other.timestamp()
            && self.offset() == other.offset()
            && self.key() == other.key()
            && self.value() == other.value()
            && self.headers().eq(other.headers())
    }
}

/// A record's header, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Payload<'a>,
}

/// Iterator over the headers of a record.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    columns: &'a wit::Batch,
    next: usize,
    end: usize,
    data: usize,
}

impl<'a> Headers<'a> {
    pub(crate) fn new(columns: &'a wit::Batch, at: Position, extent: &Extent) -> Self {
        let data = at.data + extent.key.unwrap_or(0) + extent.value.unwrap_or(0);
        Self { columns, next: at.header, end: at.header + extent.headers, data }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let name = self.columns.header_name_indexes.get(index).copied().unwrap_or_default();
        let bytes = length(&self.columns.header_lengths, index).map(|length| {
            let start = self.data;
            self.data += length;
            self.columns.data.get(start..self.data).unwrap_or_default()
        });
        Some(Header {
            name: self.columns.header_names.get(name as usize).map_or("", String::as_str),
            value: Payload { bytes, schema: schema(&self.columns.header_schemas, index) },
        })
    }
}

pub(crate) fn empty_columns() -> wit::Batch {
    wit::Batch {
        count: 0,
        data: Vec::new(),
        key_lengths: Vec::new(),
        value_lengths: Vec::new(),
        key_schemas: Vec::new(),
        value_schemas: Vec::new(),
        topics: Vec::new(),
        topic_indexes: Vec::new(),
        partitions: Vec::new(),
        timestamps: Vec::new(),
        offsets: Vec::new(),
        header_counts: Vec::new(),
        header_names: Vec::new(),
        header_name_indexes: Vec::new(),
        header_lengths: Vec::new(),
        header_schemas: Vec::new(),
    }
}

/// The rules of `wit/0.1.0/records.wit`.
fn check(columns: &wit::Batch) -> Result<(), String> {
    let count = columns.count as usize;
    let headers: usize = columns.header_counts.iter().map(|&count| count as usize).sum();
    let lengths = [
        ("key-lengths", columns.key_lengths.len(), count),
        ("value-lengths", columns.value_lengths.len(), count),
        ("key-schemas", columns.key_schemas.len(), count),
        ("value-schemas", columns.value_schemas.len(), count),
        ("topic-indexes", columns.topic_indexes.len(), count),
        ("partitions", columns.partitions.len(), count),
        ("timestamps", columns.timestamps.len(), count),
        ("offsets", columns.offsets.len(), count),
        ("header-counts", columns.header_counts.len(), count),
        ("header-schemas", columns.header_schemas.len(), headers),
    ];
    for (name, length, expected) in lengths {
        if length != 0 && length != expected {
            return Err(format!("{name} has {length} entries, not {expected}"));
        }
    }
    for (name, length) in
        [("header-name-indexes", columns.header_name_indexes.len()), ("header-lengths", columns.header_lengths.len())]
    {
        if length != headers {
            return Err(format!("{name} has {length} entries, not {headers}"));
        }
    }
    if count > 0 && columns.topics.is_empty() {
        return Err("it has records but no topic".to_owned());
    }
    if columns.topic_indexes.iter().any(|&topic| topic as usize >= columns.topics.len()) {
        return Err("a topic index points outside the topics".to_owned());
    }
    if columns.header_name_indexes.iter().any(|&name| name as usize >= columns.header_names.len()) {
        return Err("a header name index points outside the header names".to_owned());
    }
    let mut bytes = 0_usize;
    for column in [&columns.key_lengths, &columns.value_lengths, &columns.header_lengths] {
        for &length in column {
            match usize::try_from(length) {
                Ok(length) => bytes = bytes.saturating_add(length),
                Err(_) if length == -1 => {}
                Err(_) => return Err(format!("a length is {length}")),
            }
        }
    }
    if bytes != columns.data.len() {
        return Err(format!("its lengths add up to {bytes} bytes, but it has {}", columns.data.len()));
    }
    Ok(())
}
