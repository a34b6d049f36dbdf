//! Writes the payloads of records with a schema.

use std::sync::Arc;

use crate::convert::ConvertError;
use crate::convert::data::conform::conforms;
use crate::convert::data::read::Reader;
use crate::convert::data::write::write_json;
use crate::convert::data::{Logical, Schema};
use crate::convert::payload::{Schemas, node};
use crate::record::{FIRST_SCHEMA_ID, SchemaId};

/// How payloads are spelled.
#[derive(Debug, Clone, Copy)]
pub struct PayloadFormat {
    /// Decimals as numbers.
    pub numeric_decimals: bool,
    /// Nulls as the default of their schema.
    pub replace_null_with_default: bool,
}

/// What stands before the payload in an envelope, by place of the schema's id from [`FIRST_SCHEMA_ID`] on. Bounded as the task's
/// schemas are.
#[derive(Default)]
pub struct Openings(Vec<Option<Opening>>);

/// What is known of a schema when payloads are written.
#[derive(Clone)]
pub struct Opening {
    /// `{"schema":…,"payload":`
    pub text: Arc<str>,
    schema: Arc<Schema>,
    /// Whether a payload that is spelled as Kafka spells it goes out as it stands.
    keeps_payload: bool,
}

impl Openings {
    /// The opening for a schema.
    ///
    /// # Errors
    /// A `DataException` when the task has no such schema, or its text is none.
    pub fn get(&mut self, id: SchemaId, schemas: &mut Schemas, format: PayloadFormat) -> Result<&Opening, ConvertError> {
        let Some(place) = id.checked_sub(FIRST_SCHEMA_ID).map(|place| place as usize) else {
            return Err(Schemas::unknown(id));
        };
        if !matches!(self.0.get(place), Some(Some(_))) {
            let schema = schemas.get(id)?.cloned().ok_or_else(|| Schemas::unknown(id))?;
            if self.0.len() <= place {
                self.0.resize(place + 1, None);
            }
            if let Some(slot) = self.0.get_mut(place) {
                *slot = Some(Opening::new(schema, format));
            }
        }
        self.0.get(place).and_then(Option::as_ref).ok_or_else(|| Schemas::unknown(id))
    }
}

impl Opening {
    fn new(schema: Arc<Schema>, format: PayloadFormat) -> Self {
        let is_decimal = |schema: &Schema| matches!(schema.logical(), Some(Logical::Decimal(_)));
        Opening {
            text: format!("{{\"schema\":{},\"payload\":", schema.to_json(format.numeric_decimals)).into(),
            keeps_payload: !(format.numeric_decimals && schema.any(&is_decimal)),
            schema,
        }
    }

    /// Whether a payload goes out as it stands.
    pub fn keeps(&self, payload: &[u8], format: PayloadFormat) -> bool {
        self.keeps_payload
            && std::str::from_utf8(payload).is_ok_and(|text| conforms(&self.schema, text, format.replace_null_with_default))
    }

    /// Appends a payload.
    ///
    /// # Errors
    /// Those of Kafka's `JsonConverter.fromConnectData` when the payload does not follow its schema.
    pub fn write(&self, payload: Option<&[u8]>, format: PayloadFormat, out: &mut Vec<u8>) -> Result<(), ConvertError> {
        let reader = Reader::of_plugin(format.replace_null_with_default);
        let value = match payload {
            None => reader.read(&self.schema, None)?,
            Some(payload) if self.keeps(payload, format) => {
                out.extend_from_slice(payload);
                return Ok(());
            }
            Some(payload) => reader.read(&self.schema, Some(&node(payload)?))?,
        };
        write_json(Some(&self.schema), &value, format.numeric_decimals, out);
        Ok(())
    }
}
