//! Connect's data model: schemas and values, and the JSON in which Kafka's JsonConverter writes both. Only what must be rewritten
//! comes here: the common records are handed on as they stand (see [`conform`]).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub mod conform;
pub mod decimal;
pub mod json;
pub mod read;
pub mod schema;
pub mod time;
pub mod value;
pub mod write;

pub use schema::{Field, Kind, Logical, Schema};
pub use value::Value;

/// Base64 as Jackson reads it: padded, whatever the bits behind the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Bytes as base64 text.
pub fn base64_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Appends bytes as base64 text.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    if let Some(room) = out.get_mut(start..) {
        // The room is what padded base64 takes.
        let _ = BASE64.encode_slice(bytes, room);
    }
}

/// The bytes of a base64 text; white space around it and between groups is ignored.
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    match BASE64.decode(text) {
        Ok(bytes) => Some(bytes),
        Err(_) => BASE64.decode(text.split_ascii_whitespace().collect::<String>()).ok(),
    }
}
