//! What is in a record: a cheap function of the seed and the record's number.

use std::io::Write;

use hawser_plugin::Payload;

/// Bytes that are made up once, for the records to be cut from.
const POOL: usize = 64 << 10;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    String,
    Bytes,
}

/// Makes values.
pub struct Content {
    format: Format,
    size: usize,
    seed: u64,
    pool: Vec<u8>,
    value: Vec<u8>,
}

impl Content {
    pub fn new(format: Format, size: usize, seed: u64) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .";
        let words = (0..(POOL + size).div_ceil(8) as u64).map(|place| mix(seed, place).to_le_bytes());
        let mut pool: Vec<u8> = words.flatten().collect();
        if format != Format::Bytes {
            for byte in &mut pool {
                *byte = LETTERS[usize::from(*byte % 64)];
            }
        }
        Self { format, size, seed, pool, value: Vec::with_capacity(size) }
    }

    /// The value of a record.
    pub fn value(&mut self, number: u64) -> Payload<'_> {
        let random = mix(self.seed, !number);
        self.value.clear();
        match self.format {
            Format::Json => {
                // Writing into a Vec cannot fail.
                let _ = write!(
                    self.value,
                    r#"{{"id":{number},"user":"user-{}","amount":{}.{:02},"paid":{},"note":""#,
                    random % 10_000,
                    random >> 16 & 0x3fff,
                    random >> 32 & 0x3f,
                    random >> 48 & 1 == 1,
                );
                self.fill(random, self.size.saturating_sub(self.value.len() + 2));
                self.value.extend_from_slice(b"\"}");
            }
            Format::String | Format::Bytes => self.fill(random, self.size),
        }
        let text = || std::str::from_utf8(&self.value).unwrap_or_default();
        match self.format {
            Format::Json => Payload::json(text()),
            Format::String => Payload::text(text()),
            Format::Bytes => Payload::bytes(&self.value),
        }
    }

    fn fill(&mut self, random: u64, length: usize) {
        let start = (random >> 24) as usize % POOL;
        self.value.extend_from_slice(self.pool.get(start..start + length).unwrap_or_default());
    }
}

/// SplitMix64 (Steele, Lea and Flood: "Fast splittable pseudorandom number generators").
fn mix(seed: u64, place: u64) -> u64 {
    let mut bits = seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
