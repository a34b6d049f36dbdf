//! Opens envelopes: `{"schema":…,"payload":…}`. A schema's JSON is looked at once; after that its spelling is enough.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{malformed, why};
use crate::convert::ConvertError;
use crate::convert::data::Schema;
use crate::convert::data::json::{Cursor, MAX_DEPTH, Node};
use crate::convert::payload::Schemas;
use crate::record::SchemaId;

/// Beginnings of envelopes that are compared before an envelope is read: records that follow each other mostly share theirs.
const MAX_BEGINNINGS: usize = 8;
/// Bytes of a beginning that is worth remembering.
const MAX_BEGINNING_BYTES: usize = 64 << 10;
/// Bytes of schema text that are remembered at most, whatever `schemas.cache.size` says.
const MAX_CACHED_BYTES: usize = 16 << 20;

/// The schema of an envelope; `None` if that is null.
pub type Known = Option<(SchemaId, Arc<Schema>)>;

/// What was learned from the envelopes opened so far.
pub struct Envelopes {
    by_text: HashMap<Box<str>, Known>,
    capacity: usize,
    cached_bytes: usize,
    /// Everything before the payload, latest first.
    beginnings: Vec<(Box<str>, Known)>,
}

impl Envelopes {
    /// Nothing yet; at most `capacity` schemas are remembered.
    pub fn new(capacity: usize) -> Self {
        Envelopes { by_text: HashMap::new(), capacity, cached_bytes: 0, beginnings: Vec::new() }
    }

    /// The schema and payload of an envelope that begins as one before it did. That is right if the payload turns out to be one JSON
    /// value and nothing else: `1,"x":2` is none.
    pub fn guess<'a>(&self, text: &'a str) -> Option<(&Known, &'a str)> {
        let (rest, known) =
            self.beginnings.iter().find_map(|(beginning, known)| Some((text.strip_prefix(&**beginning)?, known)))?;
        Some((known, rest.strip_suffix('}')?))
    }

    /// The schema and the payload's text of an envelope.
    ///
    /// # Errors
    /// The `DataException`s of Kafka's JsonConverter for malformed JSON, for anything but an envelope, and for what is no schema.
    pub fn open<'a>(&mut self, text: &'a str, schemas: &mut Schemas) -> Result<(Known, &'a str), ConvertError> {
        let [schema, payload] = members(text)?;
        let known = self.schema(text.get(schema).unwrap_or_default(), schemas)?;
        self.remember(text, &payload, &known);
        Ok((known, text.get(payload).unwrap_or_default()))
    }

    fn remember(&mut self, text: &str, payload: &Range<usize>, known: &Known) {
        let ends_with_payload = text.get(payload.end..) == Some("}");
        let Some(beginning) = text.get(..payload.start).filter(|beginning| beginning.len() <= MAX_BEGINNING_BYTES) else {
            return;
        };
        if ends_with_payload && !self.beginnings.iter().any(|(known, _)| **known == *beginning) {
            self.beginnings.truncate(MAX_BEGINNINGS - 1);
            self.beginnings.insert(0, (beginning.into(), known.clone()));
        }
    }

    fn schema(&mut self, raw: &str, schemas: &mut Schemas) -> Result<Known, ConvertError> {
        if let Some(known) = self.by_text.get(raw) {
            return Ok(known.clone());
        }
        let known = match Node::parse(raw).ok_or_else(malformed)? {
            Node::Null => None,
            node => {
                let schema = Schema::from_node(&node)?;
                Some((schemas.put(&schema)?, Arc::new(schema)))
            }
        };
        if self.by_text.len() >= self.capacity || self.cached_bytes + raw.len() > MAX_CACHED_BYTES {
            self.by_text.clear();
            self.cached_bytes = 0;
        }
        self.cached_bytes += raw.len();
        self.by_text.insert(raw.into(), known.clone());
        Ok(known)
    }
}

/// Where schema and payload stand in an envelope.
fn members(text: &str) -> Result<[Range<usize>; 2], ConvertError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    if cursor.peek() != Some(b'{') {
        // Jackson takes empty text for a missing value, which is no envelope either.
        let readable = text.trim_ascii().is_empty() || Node::parse(text).is_some();
        return Err(if readable { not_an_envelope() } else { malformed().caused_by(why(text.as_bytes())) });
    }
    let (mut schema, mut payload, mut others) = (None, None, false);
    let whole = cursor.members(MAX_DEPTH, |cursor, name, depth| {
        let start = cursor.position();
        cursor.skip_value(depth).then_some(())?;
        let range = start..cursor.position();
        match name.unescape().as_ref() {
            "schema" => schema = Some(range),
            "payload" => payload = Some(range),
            _ => others = true,
        }
        Some(())
    });
    match (whole, schema, payload, others) {
        (None, ..) => Err(malformed().caused_by(why(text.as_bytes()))),
        (Some(()), Some(schema), Some(payload), false) => Ok([schema, payload]),
        _ => Err(not_an_envelope()),
    }
}

fn not_an_envelope() -> ConvertError {
    ConvertError::data(
        "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional fields. \
         If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.",
    )
}
