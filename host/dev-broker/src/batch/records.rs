//! The records inside a batch: decompressed, walked over, and written again without some of them.
//!
//! Encoding is the codec's. Decoding is done here, because the codec (0.18) reserves memory for as many headers as a record
//! claims, keeps one of several headers of the same name, and decompresses without a limit.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    compression::{Compressor, Gzip, Lz4, Snappy, Zstd},
    records::Compression,
};

use super::{BatchHeader, COUNT_AT, Corrupt, HEADER_BYTES, MAX_TIMESTAMP_AT, PREFIX_BYTES, seal};

/// Largest size of a batch after decompression.
const MAX_DECOMPRESSED_BYTES: usize = 256 * 1024 * 1024;

/// One record inside a decompressed batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordView<'a> {
    /// The record with its length in front.
    pub raw: &'a [u8],
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    /// False for a tombstone.
    pub has_value: bool,
}

/// The records of a decompressed batch.
#[derive(Debug)]
pub(crate) struct Records<'a>(pub &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.read();
        if record.is_none() {
            self.0 = &[];
        }
        Some(record.ok_or(Corrupt("a record is cut off")))
    }
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Option<RecordView<'a>> {
        let start = self.0;
        let mut rest = start;
        let size = usize::try_from(varint(&mut rest)?).ok()?;
        let prefix = start.len() - rest.len();
        let (raw, after) = start.split_at_checked(prefix.checked_add(size)?)?;
        let mut body = raw.get(prefix + 1..)?;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = i32::try_from(varint(&mut body)?).ok()?;
        let key_length = varint(&mut body)?;
        let key = match usize::try_from(key_length) {
            Ok(length) => {
                let (key, rest) = body.split_at_checked(length)?;
                body = rest;
                Some(key)
            }
            Err(_) => None,
        };
        let has_value = varint(&mut body)? >= 0;
        self.0 = after;
        Some(RecordView { raw, timestamp_delta, offset_delta, key, has_value })
    }
}

/// A zigzag varint of up to 64 bits.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// The records of a batch as plain bytes, for [`Records`].
pub(crate) fn decompress(batch: &Bytes) -> Result<Bytes, Corrupt> {
    let header = BatchHeader::parse(batch)?;
    let records = batch.slice(HEADER_BYTES..header.size);
    let broken = |_| Corrupt("the compressed records cannot be read");
    match header.compression()? {
        Compression::None => Ok(records),
        Compression::Gzip => read_limited(flate2::read::MultiGzDecoder::new(&records[..])),
        Compression::Lz4 => read_limited(lz4::Decoder::new(&records[..]).map_err(broken)?),
        Compression::Zstd => read_limited(zstd::Decoder::new(&records[..]).map_err(broken)?),
        Compression::Snappy => unsnap(&records),
    }
}

fn read_limited(decoder: impl Read) -> Result<Bytes, Corrupt> {
    let mut plain = Vec::new();
    let limit = MAX_DECOMPRESSED_BYTES as u64 + 1;
    decoder.take(limit).read_to_end(&mut plain).map_err(|_| Corrupt("the compressed records cannot be read"))?;
    if plain.len() > MAX_DECOMPRESSED_BYTES {
        return Err(Corrupt("the records are too large when decompressed"));
    }
    Ok(plain.into())
}

/// Raw snappy, or the framing of snappy-java that Java clients write: magic, two versions, then blocks with their length.
fn unsnap(records: &[u8]) -> Result<Bytes, Corrupt> {
    const MAGIC: &[u8] = b"\x82SNAPPY\0";
    let mut plain = Vec::new();
    let mut add = |block: &[u8]| {
        let size = snap::raw::decompress_len(block).map_err(|_| Corrupt("a snappy block cannot be read"))?;
        if size > MAX_DECOMPRESSED_BYTES - plain.len() {
            return Err(Corrupt("the records are too large when decompressed"));
        }
        let block = snap::raw::Decoder::new().decompress_vec(block);
        plain.extend_from_slice(&block.map_err(|_| Corrupt("a snappy block cannot be read"))?);
        Ok(())
    };
    if records.starts_with(MAGIC) {
        let mut blocks = records.get(16..).unwrap_or_default();
        while let Some((length, rest)) = blocks.split_first_chunk() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let (block, rest) = rest.split_at_checked(length).ok_or(Corrupt("a snappy block is cut off"))?;
            add(block)?;
            blocks = rest;
        }
    } else {
        add(records)?;
    }
    Ok(plain.into())
}

/// The batch with only the records in `kept` (records with their length in front), as Kafka's log cleaner writes it:
/// offsets, producer fields and codec stay, so the batch still covers the same range of offsets.
pub(crate) fn with_records(batch: &Bytes, kept: &[&[u8]], max_timestamp: i64) -> Result<Bytes, Corrupt> {
    let header = BatchHeader::parse(batch)?;
    let mut out = BytesMut::from(&batch[..HEADER_BYTES]);
    let fill = |buffer: &mut BytesMut| {
        kept.iter().for_each(|record| buffer.extend_from_slice(record));
        Ok(())
    };
    match header.compression()? {
        Compression::None => fill(&mut out),
        Compression::Gzip => Gzip::compress(&mut out, fill),
        Compression::Snappy => Snappy::compress(&mut out, fill),
        Compression::Lz4 => Lz4::compress(&mut out, fill),
        Compression::Zstd => Zstd::compress(&mut out, fill),
    }
    .map_err(|_| Corrupt("the kept records cannot be compressed"))?;
    let length = i32::try_from(out.len() - PREFIX_BYTES).map_err(|_| Corrupt("the batch is too large"))?;
    let count = i32::try_from(kept.len()).map_err(|_| Corrupt("too many records"))?;
    out[8..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    out[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.to_be_bytes());
    out[COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
    seal(&mut out);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ATTRIBUTES_AT, check_produced, stored_crc, tests::batch},
        *,
    };

    const CODECS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    #[test]
    fn every_codec_is_walked_and_rewritten() {
        for codec in CODECS {
            let original = batch(codec, &[(Some("a"), Some("1")), (None, Some("2")), (Some("b"), None)]);
            assert_eq!(check_produced(&original).map(|h| (h.count, h.last_offset_delta)), Ok((3, 2)));
            let plain = decompress(&original).unwrap();
            let views: Vec<_> = Records(&plain).map(Result::unwrap).collect();
            let seen: Vec<_> = views.iter().map(|r| (r.offset_delta, r.timestamp_delta, r.key, r.has_value)).collect();
            let expect: [(i32, i64, Option<&[u8]>, bool); 3] =
                [(0, 0, Some(b"a"), true), (1, 1, None, true), (2, 2, Some(b"b"), false)];
            assert_eq!(seen, expect, "{codec:?}");

            let rewritten = with_records(&original, &[views[0].raw, views[2].raw], 1002).unwrap();
            let header = BatchHeader::parse(&rewritten).unwrap();
            assert_eq!((header.count, header.last_offset_delta, header.size), (2, 2, rewritten.len()));
            assert_eq!(stored_crc(&rewritten), crc32c::crc32c(&rewritten[ATTRIBUTES_AT..]));
            let plain = decompress(&rewritten).unwrap();
            let keys: Vec<_> = Records(&plain).map(|r| r.unwrap().offset_delta).collect();
            assert_eq!(keys, [0, 2]);
        }
    }

    #[test]
    fn cut_records_end_the_walk() {
        let plain = decompress(&batch(Compression::None, &[(Some("a"), Some("1"))])).unwrap();
        for cut in 1..plain.len() {
            let mut records = Records(&plain[..cut]);
            assert!(records.next().unwrap().is_err(), "{cut}");
            assert!(records.next().is_none());
        }
    }

    #[test]
    fn a_bomb_does_not_explode() {
        let zeros = vec![0_u8; MAX_DECOMPRESSED_BYTES + 1];
        let mut bomb = BytesMut::from(&batch(Compression::None, &[(None, None)])[..HEADER_BYTES]);
        bomb[ATTRIBUTES_AT + 1] = 4;
        bomb.extend_from_slice(&zstd::encode_all(&zeros[..], 1).unwrap());
        let length = i32::try_from(bomb.len() - PREFIX_BYTES).unwrap();
        bomb[8..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        assert_eq!(decompress(&bomb.freeze()), Err(Corrupt("the records are too large when decompressed")));
    }
}
