//! InsertHeader: adds a fixed header.

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Kind};
use hawser_plugin::transform::write_json_text;

use crate::side::one_sided;

/// Adds a fixed header.
#[derive(Debug)]
pub struct InsertHeader {
    header: String,
    literal: Literal,
    /// The literal's schema, once it has been needed.
    schema: Option<SchemaId>,
}

/// A value as JSON text, and its kind.
#[derive(Debug)]
struct Literal {
    json: String,
    kind: Kind,
}

impl Literal {
    /// As Kafka Connect's SimpleHeaderConverter reads it: a boolean, or a number of the narrowest type that holds it.
    /// Anything else is text here, be it a list, a map or a date; that same text is what SimpleHeaderConverter writes.
    fn new(text: &str) -> Self {
        if matches!(text, "true" | "false") {
            return Self { json: text.to_owned(), kind: Kind::Boolean };
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>().ok().filter(|_| is_number) {
            Some(number) => {
                let kind = match number {
                    -0x80..=0x7f => Kind::Int8,
                    -0x8000..=0x7fff => Kind::Int16,
                    -0x8000_0000..=0x7fff_ffff => Kind::Int32,
                    _ => Kind::Int64,
                };
                Self { json: number.to_string(), kind }
            }
            None => {
                let mut json = Vec::new();
                write_json_text(&mut json, text);
                Self { json: String::from_utf8(json).unwrap_or_default(), kind: Kind::String }
            }
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
        let schema = match self.schema {
            Some(schema) => schema,
            None => *self.schema.insert(schema::put(&Schema::new(self.literal.kind.clone()))?),
        };
        record.add_header(&self.header, Payload::with_schema(&self.literal.json, schema));
        Ok(Verdict::Keep)
    }
}
