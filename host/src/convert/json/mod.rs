//! `JsonConverter`.

mod envelope;
mod opening;

use std::sync::Arc;

use self::envelope::Envelopes;
use self::opening::{Openings, PayloadFormat};
use super::ConvertError;
use super::binary::append;
use super::classes::Setting;
use super::config::{Checked, ConfigError, ConfigKey, Importance, ValueType, Width};
use super::converter::{Converter, Decoded, Encoded, Place};
use super::data::conform::conforms;
use super::data::json::{Node, is_valid, write_string};
use super::data::read::{Reader, read_schemaless};
use super::data::write::{base64, write_json, write_node};
use super::data::{Schema, Value};
use super::payload::{Schemas, node, utf8};
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SCHEMA_JSON, SCHEMA_TEXT, SchemaId};

const SCHEMAS_ENABLE: &str = "schemas.enable";
const SCHEMAS_CACHE_SIZE: &str = "schemas.cache.size";
const SCHEMA_CONTENT: &str = "schema.content";
const DECIMAL_FORMAT: &str = "decimal.format";
const REPLACE_NULL_WITH_DEFAULT: &str = "replace.null.with.default";
const VALIDATE: &str = "validate";

/// The converter's own keys: those of Kafka's, and `validate`.
pub const KEYS: &[ConfigKey] = &[
    ConfigKey {
        name: SCHEMAS_ENABLE,
        value_type: ValueType::Boolean,
        default: Some("true"),
        required: false,
        allowed: &[],
        any_case: false,
        importance: Importance::High,
        documentation: "Whether each key and value on the topic is an envelope of schema and payload, or plain JSON.",
        group: Some("Schemas"),
        order: 0,
        width: Width::Medium,
        display_name: "Enable Schemas",
    },
    ConfigKey {
        name: SCHEMAS_CACHE_SIZE,
        value_type: ValueType::Int,
        default: Some("1000"),
        required: false,
        allowed: &[],
        any_case: false,
        importance: Importance::High,
        documentation: "Schemas that this converter remembers at most, so that it parses each once.",
        group: Some("Schemas"),
        order: 1,
        width: Width::Medium,
        display_name: "Schema Cache Size",
    },
    ConfigKey {
        name: SCHEMA_CONTENT,
        value_type: ValueType::String,
        default: None,
        required: false,
        allowed: &[],
        any_case: false,
        importance: Importance::High,
        documentation: "The schema of all records of a sink, as JSON: with it and schemas.enable, records on the topic are bare payloads.",
        group: Some("Schemas"),
        order: 2,
        width: Width::Medium,
        display_name: "Schema Content",
    },
    ConfigKey {
        name: DECIMAL_FORMAT,
        value_type: ValueType::String,
        default: Some("BASE64"),
        required: false,
        allowed: &["NUMERIC", "BASE64"],
        any_case: true,
        importance: Importance::Low,
        documentation: "How decimals are written: as the base64 of their bytes, or as numbers. Both are read.",
        group: Some("Serialization"),
        order: 0,
        width: Width::Medium,
        display_name: "Decimal Format",
    },
    ConfigKey {
        name: REPLACE_NULL_WITH_DEFAULT,
        value_type: ValueType::Boolean,
        default: Some("true"),
        required: false,
        allowed: &[],
        any_case: false,
        importance: Importance::Low,
        documentation: "Whether a null becomes the default of its schema, if that has one.",
        group: Some("Serialization"),
        order: 1,
        width: Width::Medium,
        display_name: "Replace null with default",
    },
    ConfigKey {
        name: VALIDATE,
        value_type: ValueType::String,
        default: Some("auto"),
        required: false,
        allowed: &["auto", "always", "never"],
        any_case: true,
        importance: Importance::Low,
        documentation: "Whether JSON without schemas, which is handed on as it stands, is checked first, so that a malformed record fails \
                        here and not in the plugin. auto checks it if errors.tolerance is all.",
        group: Some("Serialization"),
        order: 2,
        width: Width::Medium,
        display_name: "Validate JSON",
    },
];

/// JSON, with or without the envelope that carries its schema.
///
/// Plain JSON is handed on as it stands. The payload of an envelope is cut out as it stands if it is spelled as Kafka would spell it,
/// else it is read as Kafka reads it and written anew.
pub struct JsonConverter {
    envelopes: bool,
    format: PayloadFormat,
    validate: bool,
    /// `schema.content`
    fixed: Option<(SchemaId, Arc<Schema>)>,
    schemas: Schemas,
    seen: Envelopes,
    openings: Openings,
}

impl JsonConverter {
    /// Makes one.
    ///
    /// # Errors
    /// [`ConfigError`] when a property cannot be.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        let config = Checked::new(KEYS, setting.properties, setting.prefix)?;
        let mut schemas = Schemas::new(setting.schemas);
        let fixed = match config.text(SCHEMA_CONTENT).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let schema = Schema::parse(text).and_then(|schema| Ok((schemas.put(&schema)?, Arc::new(schema))));
                Some(schema.map_err(|error| {
                    let name = format!("{}{SCHEMA_CONTENT}", setting.prefix);
                    setting.error(SCHEMA_CONTENT, format!("Invalid value {text} for configuration {name}: {error}"))
                })?)
            }
        };
        let validate = match config.text(VALIDATE).unwrap_or_default() {
            policy if policy.eq_ignore_ascii_case("auto") => setting.tolerates_errors,
            policy => policy.eq_ignore_ascii_case("always"),
        };
        let envelopes = config.boolean(SCHEMAS_ENABLE);
        Ok(Box::new(JsonConverter {
            envelopes,
            format: PayloadFormat {
                numeric_decimals: config.text(DECIMAL_FORMAT).is_some_and(|format| format.eq_ignore_ascii_case("NUMERIC")),
                replace_null_with_default: config.boolean(REPLACE_NULL_WITH_DEFAULT),
            },
            validate,
            fixed: fixed.filter(|_| envelopes),
            schemas,
            seen: Envelopes::new(config.size(SCHEMAS_CACHE_SIZE)),
            openings: Openings::default(),
        }))
    }

    /// Whether plain JSON may be handed on. A null must not: it has no bytes.
    fn is_plain_json(&self, bytes: &[u8]) -> bool {
        let may_be_null = matches!(bytes.trim_ascii_start().first(), None | Some(b'n'));
        !may_be_null && (!self.validate || std::str::from_utf8(bytes).is_ok_and(is_valid))
    }

    fn decode_plain(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        if self.is_plain_json(bytes) {
            out.extend_from_slice(bytes);
            return Ok(Decoded::Payload(SCHEMA_JSON));
        }
        match Node::parse(topic_text(bytes)?) {
            Some(Node::Null) => Ok(Decoded::Null(SCHEMA_BYTES)),
            Some(node) => {
                write_node(&node, out);
                Ok(Decoded::Payload(SCHEMA_JSON))
            }
            None if bytes.trim_ascii().is_empty() => Ok(Decoded::Null(SCHEMA_BYTES)),
            None => Err(malformed().caused_by(why(bytes))),
        }
    }

    fn decode_envelope(&mut self, text: &str, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        if let Some((known, payload)) = self.seen.guess(text) {
            let kept = match known {
                Some((id, schema)) => conforms(schema, payload, self.format.replace_null_with_default).then_some(*id),
                None => is_valid(payload).then_some(SCHEMA_JSON),
            };
            if let Some(id) = kept.filter(|_| payload.trim_ascii() != "null") {
                out.extend_from_slice(payload.as_bytes());
                return Ok(Decoded::Payload(id));
            }
        }
        let (known, payload) = self.seen.open(text, &mut self.schemas)?;
        match known {
            Some((id, schema)) => self.decode_payload(id, &schema, payload, out),
            None => match Node::parse(payload).ok_or_else(malformed)? {
                Node::Null => Ok(Decoded::Null(SCHEMA_BYTES)),
                _ if is_valid(payload) => {
                    out.extend_from_slice(payload.as_bytes());
                    Ok(Decoded::Payload(SCHEMA_JSON))
                }
                node => {
                    write_node(&node, out);
                    Ok(Decoded::Payload(SCHEMA_JSON))
                }
            },
        }
    }

    fn decode_payload(&self, id: SchemaId, schema: &Schema, payload: &str, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        if payload != "null" && conforms(schema, payload, self.format.replace_null_with_default) {
            out.extend_from_slice(payload.as_bytes());
            return Ok(Decoded::Payload(id));
        }
        let node = Node::parse(payload).ok_or_else(malformed)?;
        let value = Reader::of_topic(self.format.replace_null_with_default).read(schema, Some(&node))?;
        if value == Value::Null {
            return Ok(Decoded::Null(id));
        }
        write_json(Some(schema), &value, false, out);
        Ok(Decoded::Payload(id))
    }

    fn encode_bare(&self, schema: SchemaId, payload: &[u8], out: &mut Vec<u8>) -> Result<(), ConvertError> {
        match schema {
            SCHEMA_BYTES => base64(payload, out),
            SCHEMA_TEXT => write_string(utf8(payload)?, out),
            _ if self.validate && !std::str::from_utf8(payload).is_ok_and(is_valid) => {
                write_json(None, &read_schemaless(&node(payload)?), false, out);
            }
            _ => out.extend_from_slice(payload),
        }
        Ok(())
    }
}

impl Converter for JsonConverter {
    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        let Some(bytes) = bytes else { return Some(SCHEMA_BYTES) };
        match &self.fixed {
            None if self.envelopes => None,
            None => self.is_plain_json(bytes).then_some(SCHEMA_JSON),
            Some((id, schema)) => {
                let text = std::str::from_utf8(bytes).ok().filter(|text| *text != "null")?;
                conforms(schema, text, self.format.replace_null_with_default).then_some(*id)
            }
        }
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(SCHEMA_BYTES)) };
        match &self.fixed {
            Some((id, schema)) => self.decode_payload(*id, schema, topic_text(bytes)?, out),
            None if self.envelopes => self.decode_envelope(topic_text(bytes)?, out),
            None => self.decode_plain(bytes, out),
        }
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        let Some(payload) = payload else { return schema < FIRST_SCHEMA_ID };
        match schema {
            _ if self.envelopes => false,
            SCHEMA_BYTES | SCHEMA_TEXT => false,
            SCHEMA_JSON => self.is_plain_json(payload),
            _ => {
                self.openings.get(schema, &mut self.schemas, self.format).is_ok_and(|opening| opening.keeps(payload, self.format))
            }
        }
    }

    fn encode(
        &mut self,
        _: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        const BYTES_OPENING: &str = r#"{"schema":{"type":"bytes","optional":false},"payload":"#;
        const TEXT_OPENING: &str = r#"{"schema":{"type":"string","optional":false},"payload":"#;
        const PLAIN_OPENING: &str = r#"{"schema":null,"payload":"#;
        if !matches!(schema, SCHEMA_BYTES | SCHEMA_TEXT | SCHEMA_JSON) {
            let opening = self.openings.get(schema, &mut self.schemas, self.format)?;
            if self.envelopes {
                out.extend_from_slice(opening.text.as_bytes());
            }
            opening.write(payload, self.format, out)?;
            if self.envelopes {
                out.push(b'}');
            }
            return Ok(Encoded::Bytes);
        }
        let Some(payload) = payload.filter(|payload| schema != SCHEMA_JSON || payload.trim_ascii() != b"null") else {
            return Ok(Encoded::Null);
        };
        if !self.envelopes {
            self.encode_bare(schema, payload, out)?;
            return Ok(Encoded::Bytes);
        }
        let opening = match schema {
            SCHEMA_BYTES => BYTES_OPENING,
            SCHEMA_TEXT => TEXT_OPENING,
            _ => PLAIN_OPENING,
        };
        append(Some(opening.as_bytes()), out);
        self.encode_bare(schema, payload, out)?;
        out.push(b'}');
        Ok(Encoded::Bytes)
    }
}

/// The text of a record, as far as it is UTF-8: the first value counts, whatever stands behind it. Where a number or literal ends, bytes
/// that are no UTF-8 make it malformed.
fn topic_text(bytes: &[u8]) -> Result<&str, ConvertError> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let text = bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
    let has_an_end = text.trim_ascii_start().starts_with(['{', '[', '"']);
    if has_an_end { Ok(text) } else { Err(malformed().caused_by(error)) }
}

/// Why bytes are no JSON, for people.
fn why(bytes: &[u8]) -> String {
    match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Ok(_) => "JSON nested too deep, or numbers that are too large".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn malformed() -> ConvertError {
    ConvertError::data("Converting byte[] to Kafka Connect data failed due to serialization error: ")
}
