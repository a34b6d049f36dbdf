use super::batch::byte_length;
use super::{Batch, NO_TIMESTAMP, NULL_LENGTH, SCHEMA_BYTES, SchemaId, UNASSIGNED_PARTITION};

/// One record of a batch, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    batch: &'a Batch,
    /// Its place in the batch.
    pub index: usize,
    /// The key's bytes; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is null.
    pub value: Option<&'a [u8]>,
    first_header: usize,
    header_bytes: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// How the key is to be read.
    pub fn key_schema(&self) -> SchemaId {
        self.batch.key_schemas.get(self.index).copied().unwrap_or(SCHEMA_BYTES)
    }

    /// How the value is to be read.
    pub fn value_schema(&self) -> SchemaId {
        self.batch.value_schemas.get(self.index).copied().unwrap_or(SCHEMA_BYTES)
    }

    /// Place of its topic in [`Batch::topics`].
    pub fn topic_index(&self) -> usize {
        self.batch.topic_indexes.get(self.index).map_or(0, |index| *index as usize)
    }

    /// Its topic; empty if the batch names none.
    pub fn topic(&self) -> &'a str {
        self.batch.topics.get(self.topic_index()).map_or("", String::as_str)
    }

    /// Its Kafka partition, or -1.
    pub fn partition(&self) -> i32 {
        self.batch.partitions.get(self.index).copied().unwrap_or(UNASSIGNED_PARTITION)
    }

    /// Milliseconds since the epoch, or -1.
    pub fn timestamp(&self) -> i64 {
        self.batch.timestamps.get(self.index).copied().unwrap_or(NO_TIMESTAMP)
    }

    /// Its offset, on records read from Kafka.
    pub fn offset(&self) -> Option<u64> {
        self.batch.offsets.get(self.index).copied()
    }

    /// The bytes of all its header values.
    pub fn header_bytes(&self) -> &'a [u8] {
        self.header_bytes
    }

    /// Its headers in order.
    pub fn headers(&self) -> Headers<'a> {
        let count = self.batch.header_counts.get(self.index).map_or(0, |count| *count as usize);
        Headers { batch: self.batch, next: self.first_header, end: self.first_header + count, bytes: self.header_bytes }
    }
}

/// One header of a record, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value's bytes; `None` is null.
    pub value: Option<&'a [u8]>,
    /// How the value is to be read.
    pub schema: SchemaId,
}

/// Walks the headers of one record.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    batch: &'a Batch,
    next: usize,
    end: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        if self.next >= self.end {
            return None;
        }
        let at = self.next;
        self.next += 1;
        let name_index = *self.batch.header_name_indexes.get(at)? as usize;
        let name = self.batch.header_names.get(name_index)?;
        let value = take(&mut self.bytes, *self.batch.header_lengths.get(at)?);
        let schema = self.batch.header_schemas.get(at).copied().unwrap_or(SCHEMA_BYTES);
        Some(HeaderRef { name, value, schema })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

/// Walks a batch record by record.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: &'a Batch,
    index: usize,
    data: &'a [u8],
    header: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(batch: &'a Batch) -> Self {
        Records { batch, index: 0, data: &batch.data, header: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordRef<'a>;

    fn next(&mut self) -> Option<RecordRef<'a>> {
        let (batch, index) = (self.batch, self.index);
        if index >= batch.count as usize {
            return None;
        }
        let key = take(&mut self.data, batch.key_lengths.get(index).copied().unwrap_or(NULL_LENGTH));
        let value = take(&mut self.data, batch.value_lengths.get(index).copied().unwrap_or(NULL_LENGTH));
        let headers = batch.header_counts.get(index).map_or(0, |count| *count as usize);
        let first_header = self.header;
        self.header += headers;
        let lengths = batch.header_lengths.get(first_header..self.header).unwrap_or(&[]);
        let header_bytes = split(&mut self.data, lengths.iter().map(|length| byte_length(*length)).sum());
        self.index += 1;
        Some(RecordRef { batch, index, key, value, first_header, header_bytes })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.count as usize - self.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

fn take<'a>(data: &mut &'a [u8], length: i32) -> Option<&'a [u8]> {
    (length >= 0).then(|| split(data, byte_length(length)))
}

/// Takes `length` bytes off the front; what is missing in a batch that was not validated is cut short rather than read.
fn split<'a>(data: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (head, tail) = data.split_at(length.min(data.len()));
    *data = tail;
    head
}
