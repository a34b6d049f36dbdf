//! The record that a chain of transforms works on.

use crate::bindings::wit;
use crate::record::batch::{self, Extent, Position};
use crate::record::builder::{intern, length, set};
use crate::record::{Header, Headers, Payload, SchemaId};
use crate::transform::RecordError;
use crate::transform::object::{Json, Member, Object, Place, Text, read_object, write_object};

/// A record's key or its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// A record of a batch that can be changed. All records of a batch pass through one `Record`, one after the other;
/// the batch itself is taken apart only when a change needs it: until then a record that is left alone costs nothing.
#[derive(Debug)]
pub struct Record {
    columns: wit::Batch,
    next: Position,
    at: Position,
    extent: Extent,
    key: Slot,
    value: Slot,
    headers: Vec<HeaderSlot>,
    headers_changed: bool,
    /// What the transforms of the present record have written.
    scratch: Vec<u8>,
    /// The payloads of the records so far, once they differ from those that came in.
    rebuilt: Option<wit::Batch>,
    /// Where the records so far come from, once one is missing.
    origins: Option<Vec<u32>>,
    last_topic: usize,
    last_header: usize,
}

/// A key or a value.
#[derive(Debug)]
struct Slot {
    /// What it is, unless the object is dirty. None is null.
    text: Option<Text>,
    schema: SchemaId,
    changed: bool,
    /// The members are those of the text.
    parsed: bool,
    /// The members have changed, so that the text is out of date.
    dirty: bool,
    members: Vec<Member>,
}

#[derive(Debug, Clone, Copy)]
struct HeaderSlot {
    name: u32,
    text: Option<Text>,
    schema: SchemaId,
}

impl Slot {
    fn new() -> Self {
        Self { text: None, schema: SchemaId::BYTES, changed: false, parsed: false, dirty: false, members: Vec::new() }
    }

    fn load(&mut self, start: usize, length: Option<usize>, schema: SchemaId) {
        self.text = length.map(|length| Text { place: Place::Data, start, length });
        self.schema = schema;
        self.changed = false;
        self.parsed = false;
        self.dirty = false;
    }

    fn replace(&mut self, text: Option<Text>, schema: SchemaId) {
        self.text = text;
        self.schema = schema;
        self.changed = true;
        self.parsed = false;
        self.dirty = false;
    }

    /// Appends the bytes, and answers with the length as a column holds it.
    fn write(&self, data: &[u8], scratch: &[u8], out: &mut Vec<u8>) -> i32 {
        let start = out.len();
        if self.dirty {
            write_object(&self.members, data, scratch, out);
        } else {
            let Some(text) = self.text else { return -1 };
            out.extend_from_slice(text.of(data, scratch));
        }
        length(out.len() - start)
    }
}

impl Record {
    pub(super) fn new(columns: wit::Batch) -> Self {
        let at = Position::default();
        Self {
            extent: Extent::at(&columns, at),
            columns,
            next: at,
            at,
            key: Slot::new(),
            value: Slot::new(),
            headers: Vec::new(),
            headers_changed: false,
            scratch: Vec::new(),
            rebuilt: None,
            origins: None,
            last_topic: 0,
            last_header: 0,
        }
    }

    /// Goes to the next record. False if there is none.
    pub(super) fn load(&mut self) -> bool {
        if self.next.index >= self.columns.count as usize {
            return false;
        }
        self.at = self.next;
        self.extent = Extent::at(&self.columns, self.at);
        self.next = self.at.after(&self.extent);
        self.scratch.clear();
        self.headers_changed = false;
        let Position { index, data, .. } = self.at;
        self.key.load(data, self.extent.key, batch::schema(&self.columns.key_schemas, index));
        let data = data + self.extent.key.unwrap_or(0);
        self.value.load(data, self.extent.value, batch::schema(&self.columns.value_schemas, index));
        true
    }

    /// Its place in the batch.
    pub(super) fn index(&self) -> u32 {
        u32::try_from(self.at.index).unwrap_or(u32::MAX)
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        batch::topic(&self.columns, self.at.index)
    }

    /// Sends it to another topic.
    pub fn set_topic(&mut self, topic: &str) {
        let topic = intern(&mut self.columns.topics, &mut self.last_topic, topic);
        change(&mut self.columns.topic_indexes, self.columns.count, self.at.index, topic, 0);
    }

    /// Its Kafka partition; None leaves the choice to the partitioner.
    pub fn partition(&self) -> Option<i32> {
        self.columns.partitions.get(self.at.index).copied().filter(|&partition| partition >= 0)
    }

    /// Sets its Kafka partition, or leaves the choice to the partitioner.
    pub fn set_partition(&mut self, partition: Option<i32>) {
        change(&mut self.columns.partitions, self.columns.count, self.at.index, partition.unwrap_or(-1), -1);
    }

    /// Milliseconds since the epoch.
    pub fn timestamp(&self) -> Option<i64> {
        self.columns.timestamps.get(self.at.index).copied().filter(|&timestamp| timestamp >= 0)
    }

    /// Sets its timestamp in milliseconds since the epoch, or takes it away.
    pub fn set_timestamp(&mut self, timestamp: Option<i64>) {
        change(&mut self.columns.timestamps, self.columns.count, self.at.index, timestamp.unwrap_or(-1), -1);
    }

    /// Its Kafka offset if it was read from Kafka, which is to say that it is on its way to a sink.
    pub fn offset(&self) -> Option<u64> {
        self.columns.offsets.get(self.at.index).copied()
    }

    /// Whether its key or value is null.
    pub fn is_null(&self, side: Side) -> bool {
        let slot = self.slot(side);
        slot.text.is_none() && !slot.dirty
    }

    /// How its key or value is to be read.
    pub fn schema(&self, side: Side) -> SchemaId {
        self.slot(side).schema
    }

    /// Its key or value as JSON, to see what kind it is. Empty, which counts as null, for a null and for what is not JSON
    /// text; `{}` for an object that was changed.
    pub fn json(&self, side: Side) -> Json<'_> {
        let slot = self.slot(side);
        if slot.dirty {
            return Json::new(b"{}");
        }
        let text = slot.text.filter(|_| slot.schema.is_json());
        let text = text.map_or(b"".as_slice(), |text| text.of(&self.columns.data, &self.scratch));
        Json::new(text)
    }

    /// Its key or value as it is by now.
    pub fn payload(&mut self, side: Side) -> Payload<'_> {
        let (slot, data, scratch) = self.parts(side);
        if slot.dirty {
            let mut text = Vec::new();
            write_object(&slot.members, data, scratch, &mut text);
            slot.text = Some(Text { place: Place::Scratch, start: scratch.len(), length: text.len() });
            slot.changed = true;
            slot.dirty = false;
            scratch.extend_from_slice(&text);
        }
        Payload { bytes: slot.text.map(|text| text.of(data, scratch)), schema: slot.schema }
    }

    /// Replaces its key or value.
    pub fn set_payload(&mut self, side: Side, payload: Payload<'_>) {
        let (slot, _, scratch) = self.parts(side);
        let text = payload.bytes.map(|bytes| write(scratch, bytes));
        slot.replace(text, payload.schema);
    }

    /// Says that its key or value is to be read in another way, leaving the bytes as they are.
    pub fn set_schema(&mut self, side: Side, schema: SchemaId) {
        let (slot, ..) = self.parts(side);
        slot.changed |= slot.schema != schema;
        slot.schema = schema;
    }

    /// Its key or value as a JSON object. The parse is shared with the other transforms of the chain.
    ///
    /// # Errors
    /// [`RecordError::Data`] if it is not JSON text of an object.
    pub fn object(&mut self, side: Side) -> Result<Object<'_>, RecordError> {
        let (slot, data, scratch) = self.parts(side);
        if !slot.parsed {
            let text = slot.text.filter(|_| slot.schema.is_json());
            let text = text.ok_or_else(|| RecordError::data("not a JSON object"))?;
            read_object(text, data, scratch, &mut slot.members)?;
            slot.parsed = true;
        }
        Ok(Object { members: &mut slot.members, data, scratch, dirty: &mut slot.dirty })
    }

    /// Its headers in order; a name may come more than once.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let changed = self.headers_changed;
        let before = (!changed).then(|| self.headers_as_loaded()).into_iter().flatten();
        let now = self.headers.iter().filter(move |_| changed).map(|header| Header {
            name: self.columns.header_names.get(header.name as usize).map_or("", String::as_str),
            value: Payload { bytes: header.text.map(|text| text.of(&self.columns.data, &self.scratch)), schema: header.schema },
        });
        before.chain(now)
    }

    /// Adds a header after those that are there.
    pub fn add_header(&mut self, name: &str, value: Payload<'_>) {
        self.edit_headers();
        let name = intern(&mut self.columns.header_names, &mut self.last_header, name);
        let text = value.bytes.map(|bytes| write(&mut self.scratch, bytes));
        self.headers.push(HeaderSlot { name, text, schema: value.schema });
    }

    /// Takes out the headers for whose names `keep` is false.
    pub fn retain_headers(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if self.headers().all(|header| keep(header.name)) {
            return;
        }
        self.edit_headers();
        let names = &self.columns.header_names;
        self.headers.retain(|header| names.get(header.name as usize).is_some_and(|name| keep(name)));
    }

    fn slot(&self, side: Side) -> &Slot {
        match side {
            Side::Key => &self.key,
            Side::Value => &self.value,
        }
    }

    fn parts(&mut self, side: Side) -> (&mut Slot, &[u8], &mut Vec<u8>) {
        let slot = match side {
            Side::Key => &mut self.key,
            Side::Value => &mut self.value,
        };
        (slot, &self.columns.data, &mut self.scratch)
    }

    fn headers_as_loaded(&self) -> Headers<'_> {
        Headers::new(&self.columns, self.at, &self.extent)
    }

    fn edit_headers(&mut self) {
        if self.headers_changed {
            return;
        }
        self.headers_changed = true;
        self.headers.clear();
        let mut start = self.at.data + self.extent.key.unwrap_or(0) + self.extent.value.unwrap_or(0);
        for header in self.at.header..self.at.header + self.extent.headers {
            let text = batch::length(&self.columns.header_lengths, header).map(|length| {
                let text = Text { place: Place::Data, start, length };
                start += length;
                text
            });
            self.headers.push(HeaderSlot {
                name: self.columns.header_name_indexes.get(header).copied().unwrap_or_default(),
                text,
                schema: batch::schema(&self.columns.header_schemas, header),
            });
        }
    }

    /// The record goes on.
    pub(super) fn keep(&mut self) {
        let changed = |slot: &Slot| slot.changed || slot.dirty;
        if self.rebuilt.is_none() {
            if !changed(&self.key) && !changed(&self.value) && !self.headers_changed {
                return;
            }
            self.rebuild();
        }
        let index = self.index();
        if let Some(origins) = &mut self.origins {
            origins.push(index);
        }
        let Some(out) = &mut self.rebuilt else { return };
        let (data, scratch) = (&self.columns.data, &self.scratch);
        let index = out.count as usize;
        set(&mut out.key_lengths, index, self.key.write(data, scratch, &mut out.data), -1);
        set(&mut out.value_lengths, index, self.value.write(data, scratch, &mut out.data), -1);
        set(&mut out.key_schemas, index, self.key.schema.0, 0);
        set(&mut out.value_schemas, index, self.value.schema.0, 0);
        if self.headers_changed || self.extent.headers > 0 {
            self.edit_headers();
        } else {
            self.headers.clear();
        }
        self.keep_headers();
    }

    fn keep_headers(&mut self) {
        let Some(out) = &mut self.rebuilt else { return };
        let (data, scratch) = (&self.columns.data, &self.scratch);
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        set(&mut out.header_counts, out.count as usize, count, 0);
        for header in &self.headers {
            let index = out.header_lengths.len();
            out.header_name_indexes.push(header.name);
            set(&mut out.header_schemas, index, header.schema.0, 0);
            out.header_lengths.push(header.text.map_or(-1, |text| {
                out.data.extend_from_slice(text.of(data, scratch));
                length(text.length)
            }));
        }
        out.count += 1;
    }

    /// The record does not go on.
    pub(super) fn skip(&mut self) {
        if self.rebuilt.is_none() {
            self.rebuild();
        }
        if self.origins.is_none() {
            self.origins = Some((0..self.rebuilt.as_ref().map_or(0, |out| out.count)).collect());
        }
    }

    /// Begins to rebuild the payloads with those of the records before this one, which were left alone.
    fn rebuild(&mut self) {
        fn start<T: Clone>(column: &[T], length: usize) -> Vec<T> {
            let mut started = Vec::new();
            if let Some(start) = column.get(..length) {
                started.reserve(column.len());
                started.extend_from_slice(start);
            }
            started
        }
        let Position { index, data, header } = self.at;
        let from = &self.columns;
        let mut out = batch::empty_columns();
        out.count = self.index();
        out.data.reserve(from.data.len() + from.data.len() / 4);
        out.data.extend_from_slice(from.data.get(..data).unwrap_or_default());
        out.key_lengths = start(&from.key_lengths, index);
        out.value_lengths = start(&from.value_lengths, index);
        out.key_schemas = start(&from.key_schemas, index);
        out.value_schemas = start(&from.value_schemas, index);
        out.header_counts = start(&from.header_counts, index);
        out.header_name_indexes = start(&from.header_name_indexes, header);
        out.header_lengths = start(&from.header_lengths, header);
        out.header_schemas = start(&from.header_schemas, header);
        self.rebuilt = Some(out);
    }

    /// The batch, and where its records come from (empty: each is where it was).
    pub(super) fn finish(self) -> (wit::Batch, Vec<u32>) {
        fn pick<T: Copy>(column: Vec<T>, origins: &[u32]) -> Vec<T> {
            origins.iter().filter_map(|&origin| column.get(origin as usize).copied()).collect()
        }
        let mut columns = self.columns;
        if let Some(origins) = &self.origins {
            columns.topic_indexes = pick(columns.topic_indexes, origins);
            columns.partitions = pick(columns.partitions, origins);
            columns.timestamps = pick(columns.timestamps, origins);
            columns.offsets = pick(columns.offsets, origins);
        }
        if let Some(rebuilt) = self.rebuilt {
            columns = wit::Batch {
                topics: columns.topics,
                topic_indexes: columns.topic_indexes,
                partitions: columns.partitions,
                timestamps: columns.timestamps,
                offsets: columns.offsets,
                header_names: columns.header_names,
                ..rebuilt
            };
        }
        (columns, self.origins.unwrap_or_default())
    }
}

/// Changes one entry of a column that may be empty because all its entries are the default.
fn change<T: Copy + PartialEq>(column: &mut Vec<T>, count: u32, index: usize, entry: T, default: T) {
    if column.is_empty() {
        if entry == default {
            return;
        }
        column.resize(count as usize, default);
    }
    if let Some(present) = column.get_mut(index) {
        *present = entry;
    }
}

fn write(scratch: &mut Vec<u8>, bytes: &[u8]) -> Text {
    let start = scratch.len();
    scratch.extend_from_slice(bytes);
    Text { place: Place::Scratch, start, length: bytes.len() }
}
