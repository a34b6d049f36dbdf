//! The wire format: a magic byte and the schema's id before the data, or the schema's GUID in a header.

use crate::convert::ConvertError;
use crate::convert::classes::Role;
use crate::record::Headers;

/// Before a 4-byte id.
pub const MAGIC_ID: u8 = 0;
/// Before a 16-byte GUID.
const MAGIC_GUID: u8 = 1;

/// What names the schema of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The registry's number.
    Id(u32),
    /// The number that is the same in all registries.
    Guid([u8; 16]),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Id(id) => write!(out, "{id}"),
            Origin::Guid(guid) => {
                for (place, byte) in guid.iter().enumerate() {
                    write!(out, "{}{byte:02x}", if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// What schema a record is of, and its data: Confluent's `DualSchemaIdDeserializer`, which prefers a header to the prefix. Behind
/// a GUID in a header stand Protobuf's message indexes; they are answered before the data.
///
/// # Errors
/// A `DataException` when neither is there.
pub fn open<'a>(role: Role, headers: &Headers<'a>, bytes: &'a [u8]) -> Result<(Origin, &'a [u8], &'a [u8]), ConvertError> {
    if headers.size_hint().0 > 0 {
        let name = if role == Role::Key { "__key_schema_id" } else { "__value_schema_id" };
        let last = headers.clone().filter(|header| header.name == name).filter_map(|header| header.value).last();
        if let Some((origin, indexes)) = last.and_then(origin) {
            return Ok((origin, indexes, bytes));
        }
    }
    let (origin, data) = origin(bytes).ok_or_else(|| ConvertError::data("Unknown magic byte!"))?;
    Ok((origin, &[], data))
}

fn origin(bytes: &[u8]) -> Option<(Origin, &[u8])> {
    match bytes.split_first()? {
        (&MAGIC_ID, rest) => {
            let (id, data) = rest.split_first_chunk::<4>()?;
            Some((Origin::Id(u32::from_be_bytes(*id)), data))
        }
        (&MAGIC_GUID, rest) => {
            let (guid, data) = rest.split_first_chunk::<16>()?;
            Some((Origin::Guid(*guid), data))
        }
        _ => None,
    }
}
