//! Converting one column of a batch whose other columns stay as they are: the common case, in a loop that is compiled for each converter.

use super::ConvertError;
use super::converter::Place;
use super::schema_column::SchemaColumn;
use crate::record::{Batch, NULL_LENGTH, SchemaId};

/// Which bytes of each record are converted; all others are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The keys.
    Key,
    /// The values.
    Value,
}

/// The keys or the values of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    batch: &'a Batch,
    side: Side,
    capacity: usize,
}

/// Cells between which no other bytes stand.
#[derive(Debug, Clone, Copy)]
pub struct Alone<'a> {
    /// The bytes of all cells.
    pub data: &'a [u8],
    /// Bytes in each cell.
    pub lengths: &'a [i32],
    /// How each cell is to be read; empty: all are bytes.
    pub schemas: &'a [SchemaId],
}

/// A converted column, and the buffer that it shares with those that were not converted.
#[derive(Debug, Default)]
pub struct ConvertedCells {
    /// The bytes of all records.
    pub(super) data: Vec<u8>,
    /// Bytes in each cell.
    pub(super) lengths: Vec<i32>,
    /// How each cell is to be read.
    pub(super) schemas: SchemaColumn,
}

impl<'a> Cells<'a> {
    /// One side of `batch`; what comes out has about `capacity` bytes.
    pub(super) fn new(batch: &'a Batch, side: Side, capacity: usize) -> Self {
        Cells { batch, side, capacity }
    }

    /// The cells, if there are some and the batch holds no bytes but theirs.
    pub(super) fn alone(&self) -> Option<Alone<'a>> {
        let batch = self.batch;
        let (lengths, schemas, others) = match self.side {
            Side::Key => (&batch.key_lengths, &batch.key_schemas, &batch.value_lengths),
            Side::Value => (&batch.value_lengths, &batch.value_schemas, &batch.key_lengths),
        };
        let is_alone = !lengths.is_empty() && others.is_empty() && batch.header_lengths.is_empty();
        is_alone.then_some(Alone { data: &batch.data, lengths, schemas })
    }

    /// Converts each cell by `convert`, which is given its place, schema and bytes, appends to the buffer, and answers the schema of what
    /// it appended and whether that is anything but null. `None` if a cell cannot be converted.
    #[inline]
    pub fn convert(
        self,
        mut convert: impl FnMut(&Place<'_>, SchemaId, Option<&[u8]>, &mut Vec<u8>) -> Result<(SchemaId, bool), ConvertError>,
    ) -> Option<ConvertedCells> {
        let mut out = ConvertedCells {
            data: Vec::with_capacity(self.capacity),
            lengths: Vec::with_capacity(self.batch.len()),
            schemas: SchemaColumn::default(),
        };
        for record in self.batch.records() {
            let place = Place { topic: record.topic(), headers: record.headers() };
            let (schema, bytes) = match self.side {
                Side::Key => (record.key_schema(), record.key),
                Side::Value => {
                    out.data.extend_from_slice(record.key.unwrap_or_default());
                    (record.value_schema(), record.value)
                }
            };
            let start = out.data.len();
            let (schema, is_there) = convert(&place, schema, bytes, &mut out.data).ok()?;
            let length = i32::try_from(out.data.len() - start).ok()?;
            out.lengths.push(if is_there { length } else { NULL_LENGTH });
            out.schemas.push(schema);
            if self.side == Side::Key {
                out.data.extend_from_slice(record.value.unwrap_or_default());
            }
            out.data.extend_from_slice(record.header_bytes());
        }
        Some(out)
    }
}
