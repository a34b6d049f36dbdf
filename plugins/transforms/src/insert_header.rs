//! InsertHeader: adds a fixed header.

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Kind};

use crate::side::one_sided;

/// Adds a fixed header.
#[derive(Debug)]
pub struct InsertHeader {
    header: String,
    literal: Literal,
    /// The literal's schema, once it has been needed.
    schema: Option<SchemaId>,
}

/// A value as JSON text, and its kind; none is a text.
#[derive(Debug, PartialEq)]
struct Literal {
    text: String,
    kind: Option<Kind>,
}

impl Literal {
    /// As Kafka Connect's SimpleHeaderConverter reads it: a boolean, or a number of the narrowest type that holds it.
    /// Anything else is text here, be it a list, a map or a date; that same text is what SimpleHeaderConverter writes.
    fn new(text: &str) -> Self {
        let of = |text: String, kind| Self { text, kind: Some(kind) };
        let trimmed = text.trim();
        if matches!(trimmed, "true" | "false") {
            return of(trimmed.to_owned(), Kind::Boolean);
        }
        let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
        let digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        match trimmed.parse::<i64>().ok().filter(|_| digits) {
            Some(number) => {
                let kind = match number {
                    -0x80..=0x7f => Kind::Int8,
                    -0x8000..=0x7fff => Kind::Int16,
                    -0x8000_0000..=0x7fff_ffff => Kind::Int32,
                    _ => Kind::Int64,
                };
                of(number.to_string(), kind)
            }
            None => Self { text: text.to_owned(), kind: None },
        }
    }
}

impl Class for InsertHeader {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("header")
            .required()
            .doc("The name of the header.")
            .string("value.literal")
            .required()
            .doc("The value of the header; what looks like a number or a boolean is one.");
        one_sided("InsertHeader").summary("Adds a fixed header.").config(config)
    }
}

impl Transform for InsertHeader {
    fn start(config: &Config) -> Result<Self> {
        let literal = Literal::new(config.get("value.literal")?);
        Ok(Self { header: config.get("header")?, literal, schema: None })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        let value = match &self.literal.kind {
            None => Payload::text(&self.literal.text),
            Some(kind) => {
                let schema = match self.schema {
                    Some(schema) => schema,
                    None => *self.schema.insert(schema::put(&Schema::new(kind.clone()))?),
                };
                Payload::with_schema(&self.literal.text, schema)
            }
        };
        record.add_header(&self.header, value);
        Ok(Verdict::Keep)
    }
}
