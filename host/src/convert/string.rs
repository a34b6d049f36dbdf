//! `StringConverter`.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

use super::binary::append;
use super::classes::Setting;
use super::config::{Checked, ConfigError, ConfigKey, Importance, ValueType, Width};
use super::converter::{Converter, Decoded, Encoded, Kept, Place};
use super::payload::Schemas;
use super::{ConvertError, data::Value};
use crate::record::{FIRST_SCHEMA_ID, SCHEMA_BYTES, SCHEMA_TEXT, SchemaId};

const ENCODING: &str = "converter.encoding";

/// The converter's own keys.
pub const KEYS: &[ConfigKey] = &[ConfigKey {
    name: ENCODING,
    value_type: ValueType::String,
    default: Some("UTF-8"),
    required: false,
    allowed: &[],
    any_case: false,
    importance: Importance::High,
    documentation: "Character set of the text on the topic, by its Java name.",
    group: None,
    order: -1,
    width: Width::Medium,
    display_name: "Encoding",
}];

/// Text in a character set; on the way to a topic, whatever `toString` makes of a value.
pub struct StringConverter {
    charset: Charset,
    schemas: Schemas,
}

impl StringConverter {
    /// Makes one.
    ///
    /// # Errors
    /// [`ConfigError`] when the character set is unknown.
    pub fn make(setting: &Setting<'_>) -> Result<Box<dyn Converter>, ConfigError> {
        let config = Checked::new(KEYS, setting.properties, setting.prefix)?;
        let name = config.text(ENCODING).unwrap_or_default();
        let charset = Charset::named(name).ok_or_else(|| {
            setting.error(
                ENCODING,
                format!("Invalid value {name} for configuration {}{ENCODING}: Unknown character set", setting.prefix),
            )
        })?;
        Ok(Box::new(StringConverter { charset, schemas: Schemas::new(setting.schemas) }))
    }
}

impl Converter for StringConverter {
    fn keeps_column_decoded(&self) -> Kept<SchemaId> {
        if self.charset == Charset::Utf8 { Kept::IfAscii(SCHEMA_TEXT) } else { Kept::ByRecord }
    }

    fn keeps_column_encoded(&self, schemas: &[SchemaId]) -> Kept<()> {
        if schemas.iter().all(|schema| *schema == SCHEMA_BYTES) {
            Kept::Always(())
        } else if self.charset == Charset::Utf8 && schemas.iter().all(|schema| *schema <= SCHEMA_TEXT) {
            Kept::IfAscii(())
        } else {
            Kept::ByRecord
        }
    }

    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        bytes.is_none_or(|bytes| self.charset == Charset::Utf8 && std::str::from_utf8(bytes).is_ok()).then_some(SCHEMA_TEXT)
    }

    fn decode(&mut self, _: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(SCHEMA_TEXT)) };
        out.extend_from_slice(self.charset.decode(bytes).as_bytes());
        Ok(Decoded::Payload(SCHEMA_TEXT))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        match payload {
            None => schema < FIRST_SCHEMA_ID,
            // Java's text of an array of bytes is its address: the bytes themselves serve better.
            Some(_) if schema == SCHEMA_BYTES => true,
            Some(text) => schema == SCHEMA_TEXT && self.charset == Charset::Utf8 && std::str::from_utf8(text).is_ok(),
        }
    }

    fn encode(
        &mut self,
        _: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        if self.keeps_encoded(schema, payload) {
            return Ok(append(payload, out));
        }
        match self.schemas.value(schema, payload)? {
            (_, Value::Null) => return Ok(Encoded::Null),
            (_, Value::String(text)) => self.charset.encode(&text, out),
            (schema, value) => {
                let mut text = String::new();
                value.java_text(schema.as_deref(), &mut text);
                self.charset.encode(&text, out);
            }
        }
        Ok(Encoded::Bytes)
    }
}

/// Character sets under their Java names. The web's idea of Latin 1 and ASCII (`encoding_rs`) is not Java's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
    /// Big-endian with a byte order mark; reads either order.
    Utf16,
    Utf16Be,
    Utf16Le,
    Other(&'static Encoding),
}

/// Longest text of one encoded or decoded step.
const CHUNK: usize = 1024;

impl Charset {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Charset::Utf8,
            "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "ISO_8859-1" | "LATIN1" | "L1" => Charset::Latin1,
            "US-ASCII" | "ASCII" | "ISO646-US" => Charset::Ascii,
            "UTF-16" | "UTF16" | "UTF_16" => Charset::Utf16,
            "UTF-16BE" | "UTF_16BE" => Charset::Utf16Be,
            "UTF-16LE" | "UTF_16LE" => Charset::Utf16Le,
            _ => Charset::Other(
                Encoding::for_label_no_replacement(name.as_bytes())
                    .filter(|encoding| *encoding != encoding_rs::X_USER_DEFINED)?,
            ),
        })
    }

    fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Charset::Utf8 => java_utf8(bytes),
            Charset::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            Charset::Ascii => {
                let character = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
                bytes.iter().map(character).collect::<String>().into()
            }
            Charset::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => java_utf16(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] => java_utf16(rest, u16::from_be_bytes),
                _ => java_utf16(bytes, u16::from_be_bytes),
            }
            .into(),
            Charset::Utf16Be => java_utf16(bytes, u16::from_be_bytes).into(),
            Charset::Utf16Le => java_utf16(bytes, u16::from_le_bytes).into(),
            Charset::Other(encoding) => decode_with(encoding, bytes).into(),
        }
    }

    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let narrow =
            |limit: u32| text.chars().map(move |character| if u32::from(character) <= limit { character as u8 } else { b'?' });
        match self {
            Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
            Charset::Latin1 => out.extend(narrow(0xff)),
            Charset::Ascii => out.extend(narrow(0x7f)),
            Charset::Utf16 if text.is_empty() => {}
            Charset::Utf16 => {
                out.extend_from_slice(&[0xfe, 0xff]);
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Charset::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Charset::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Charset::Other(encoding) => encode_with(encoding, text, out),
        }
    }
}

/// Every malformed sequence becomes one U+FFFD.
fn decode_with(encoding: &'static Encoding, mut bytes: &[u8]) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    loop {
        text.reserve(CHUNK);
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
        bytes = bytes.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// A character that the set lacks becomes a question mark, as in Java.
fn encode_with(encoding: &'static Encoding, mut text: &str, out: &mut Vec<u8>) {
    let mut encoder = encoding.new_encoder();
    loop {
        out.reserve(CHUNK);
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(text, out, true);
        text = text.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(_) => out.push(b'?'),
        }
    }
}

/// UTF-16 as Java reads it: a first half without its second takes what follows with it, and half a unit at the end is replaced too.
fn java_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len());
    let mut ends_in_half = !odd.is_empty();
    while let Some(first) = units.next() {
        let is_high = (0xd800..0xdc00).contains(&first);
        let second = if is_high { units.next() } else { None };
        ends_in_half &= !is_high || second.is_some();
        let character = char::decode_utf16([Some(first), second].into_iter().flatten()).next();
        text.push(character.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if ends_in_half {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// `new String(bytes, UTF_8)`: malformed bytes are replaced as Rust's lossy reading does, except that Java makes one U+FFFD of an encoded
/// surrogate.
pub fn java_utf8(bytes: &[u8]) -> Cow<'_, str> {
    let mut rest = bytes;
    let mut text = String::new();
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(valid) if text.is_empty() => return Cow::Borrowed(valid),
            Ok(valid) => return Cow::Owned(text + valid),
            Err(error) => error,
        };
        let (valid, malformed) = rest.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(valid).unwrap_or_default());
        text.push(char::REPLACEMENT_CHARACTER);
        let length = match malformed {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => error.error_len().unwrap_or(malformed.len()),
        };
        rest = malformed.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_utf8_is_replaced_as_in_java() {
        for (bytes, expect) in [
            (&b"plain"[..], "plain"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"\xc3", "\u{fffd}"),
            (b"\xe2\x82", "\u{fffd}"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xed\xa0\x80x", "\u{fffd}x"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"\xf5\x80", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(java_utf8(bytes), expect, "{bytes:x?}");
        }
    }

    #[test]
    fn character_sets() {
        fn check(name: &str, text: &str, bytes: &[u8], back: &str) {
            let charset = Charset::named(name).unwrap();
            let mut out = Vec::new();
            charset.encode(text, &mut out);
            assert_eq!(out, bytes, "{name}");
            assert_eq!(charset.decode(bytes), back, "{name}");
        }
        check("utf-8", "aé😀", "aé😀".as_bytes(), "aé😀");
        check("ISO-8859-1", "aé\u{80}€", b"a\xe9\x80?", "aé\u{80}?");
        check("US-ASCII", "aé", b"a?", "a?");
        check("UTF-16", "aé", b"\xfe\xff\0a\0\xe9", "aé");
        check("UTF-16", "", b"", "");
        check("UTF-16LE", "a😀", b"a\0\x3d\xd8\0\xde", "a😀");
        check("windows-1252", "€漢", b"\x80?", "€?");
        check("Shift_JIS", "漢", b"\x8a\xbf", "漢");
        assert_eq!(Charset::named("US-ASCII").unwrap().decode(b"a\xe9"), "a\u{fffd}");
        assert_eq!(Charset::named("UTF-16").unwrap().decode(b"\x20\x66\xd9\x80\x20\x20\x37"), "\u{2066}\u{fffd}\u{fffd}");
        assert_eq!(Charset::named("UTF-16LE").unwrap().decode(b"\x00\xdca\0\x80\xd9\x00"), "\u{fffd}a\u{fffd}");
        assert_eq!(Charset::named("no-such-set"), None);
        let long = "é漢😀x".repeat(5000);
        check("UTF-16BE", &long, &long.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>(), &long);
        let mut out = Vec::new();
        Charset::named("GB18030").unwrap().encode(&long, &mut out);
        assert_eq!(Charset::named("GB18030").unwrap().decode(&out), long);
    }
}
