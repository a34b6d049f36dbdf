use super::column::{Cells, ConvertedCells};
use super::{ConvertError, Outage};
use crate::record::{Headers, SCHEMA_BYTES, SchemaId};

/// Where a key, value or header value stands.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// Topic of the record.
    pub topic: &'a str,
    /// The record's Kafka headers: bytes as on the topic when decoding. Some formats keep a schema's id there.
    pub headers: Headers<'a>,
}

/// One of Kafka Connect's converters: between the bytes on a topic and payloads (bytes, text or JSON with the id of a schema, see
/// [`SchemaId`]). A null payload with one of the ids below 16 has no schema.
///
/// Each direction has a quick question, whether bytes can be handed on as they stand, and the conversion proper. Where the answer is
/// yes for a whole batch, its buffer is moved and not even looked at again.
#[async_trait::async_trait]
pub trait Converter: Send {
    /// Whether a plugin can have a whole column as it stands, nulls and all, and under which id.
    fn keeps_column_decoded(&self) -> Kept<SchemaId> {
        Kept::ByRecord
    }

    /// Whether a whole column with these schema ids (none is all 0) goes to the topic as it stands.
    fn keeps_column_encoded(&self, _schemas: &[SchemaId]) -> Kept<()> {
        Kept::ByRecord
    }

    /// The id under which a plugin can have the bytes of a topic (`None` for null) as they stand; `None` if they must be
    /// decoded, or refused.
    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId>;

    /// Appends to `out` the payload that the bytes of a topic hold.
    ///
    /// # Errors
    /// What Kafka's converter throws. What was appended until then is void.
    fn decode(&mut self, place: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError>;

    /// Whether a payload goes to the topic as it stands.
    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool;

    /// Appends to `out` the bytes for the topic.
    ///
    /// # Errors
    /// What Kafka's converter throws. What was appended until then is void.
    fn encode(
        &mut self,
        place: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError>;

    /// Decodes a column of which the others of its batch stay as they are; `None` if a cell cannot be. Compiled for each converter, so that
    /// its [`decode`](Self::decode) is part of the loop: there is no reason to implement it.
    fn decode_column(&mut self, cells: Cells<'_>) -> Option<ConvertedCells> {
        cells.convert(|place, _, bytes, out| Ok(self.decode(place, bytes, out)?.parts()))
    }

    /// The same for [`encode`](Self::encode).
    fn encode_column(&mut self, cells: Cells<'_>) -> Option<ConvertedCells> {
        cells.convert(|place, schema, payload, out| {
            Ok((SCHEMA_BYTES, self.encode(place, schema, payload, out)? == Encoded::Bytes))
        })
    }

    /// Whether conversions since the last call of [`learn`](Self::learn) met schemas that are not known. Their errors are void: what
    /// they were about is to be converted again.
    fn lacks_schemas(&self) -> bool {
        false
    }

    /// Learns the schemas that conversions met.
    ///
    /// # Errors
    /// [`Outage`] when they cannot be had now. A schema that does not exist is no outage, but the error of its records.
    async fn learn(&mut self) -> Result<(), Outage> {
        Ok(())
    }
}

/// Whether a column is handed on as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept<T> {
    /// It is.
    Always(T),
    /// It is if all of its bytes are ASCII.
    IfAscii(T),
    /// Each record has to be looked at.
    ByRecord,
}

impl<T> Kept<T> {
    /// The answer for a batch whose bytes are all ASCII, or not.
    pub(super) fn if_ascii(self, is_ascii: impl FnOnce() -> bool) -> Option<T> {
        match self {
            Kept::Always(answer) => Some(answer),
            Kept::IfAscii(answer) => is_ascii().then_some(answer),
            Kept::ByRecord => None,
        }
    }
}

/// What was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A null, and its schema.
    Null(SchemaId),
    /// The bytes that were appended, and how they are to be read.
    Payload(SchemaId),
}

impl Decoded {
    /// The schema, and whether it is anything but null.
    pub(super) fn parts(self) -> (SchemaId, bool) {
        match self {
            Decoded::Null(schema) => (schema, false),
            Decoded::Payload(schema) => (schema, true),
        }
    }
}

/// What was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// A null.
    Null,
    /// The bytes that were appended.
    Bytes,
}
