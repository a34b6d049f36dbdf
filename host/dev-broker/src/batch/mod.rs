//! Record batches as bytes: the fields of their header, and how a broker changes them without looking at the records.

mod records;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    indexmap::IndexMap,
    records::{Compression, NO_SEQUENCE, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};

pub(crate) use records::{RecordView, Records, decompress, with_records};

/// Bytes of a batch before its records.
pub(crate) const HEADER_BYTES: usize = 61;
/// Base offset and length: what the length field does not count.
const PREFIX_BYTES: usize = 12;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const COUNT_AT: usize = 57;

const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// The fields of a batch's header that a broker looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub base_offset: i64,
    /// Size of the whole batch.
    pub size: usize,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: i32,
}

/// A batch that cannot be what it claims to be; the text says what is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Corrupt(pub &'static str);

impl BatchHeader {
    /// Reads the header of the batch at the start of `bytes` and checks that the batch is complete.
    pub fn parse(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.len() < HEADER_BYTES {
            return Err(Corrupt("shorter than a batch header"));
        }
        let mut header = bytes;
        let base_offset = header.get_i64();
        let length = usize::try_from(header.get_i32()).map_err(|_| Corrupt("negative batch length"))?;
        let _leader_epoch = header.get_i32();
        let magic = header.get_i8();
        if magic != 2 {
            return Err(Corrupt("only record batches of format 2 (Kafka 0.11 and later) are supported"));
        }
        let _crc = header.get_u32();
        let parsed = Self {
            base_offset,
            size: length.saturating_add(PREFIX_BYTES),
            attributes: header.get_i16(),
            last_offset_delta: header.get_i32(),
            base_timestamp: header.get_i64(),
            max_timestamp: header.get_i64(),
            producer_id: header.get_i64(),
            producer_epoch: header.get_i16(),
            base_sequence: header.get_i32(),
            count: header.get_i32(),
        };
        if parsed.size > bytes.len() || parsed.size < HEADER_BYTES {
            return Err(Corrupt("the batch length does not match the bytes"));
        }
        Ok(parsed)
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Sequence number of the last record; sequence numbers wrap around at `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn has_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    pub fn compression(&self) -> Result<Compression, Corrupt> {
        Ok(match self.attributes & 7 {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => return Err(Corrupt("unknown compression codec")),
        })
    }
}

/// `DefaultRecordBatch.incrementSequence` of Kafka.
pub(crate) fn add_sequence(sequence: i32, increment: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(increment);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

/// Checks what a producer sent for one partition, as Kafka's `LogValidator` does: exactly one batch, intact, no control
/// records. Records inside a compressed batch are not looked at.
pub(crate) fn check_produced(bytes: &[u8]) -> Result<BatchHeader, (ResponseError, &'static str)> {
    let header = BatchHeader::parse(bytes).map_err(|e| (ResponseError::CorruptMessage, e.0))?;
    if header.size != bytes.len() {
        return Err((ResponseError::InvalidRecord, "a produce request must hold exactly one batch per partition"));
    }
    if stored_crc(bytes) != crc32c::crc32c(&bytes[ATTRIBUTES_AT..]) {
        return Err((ResponseError::CorruptMessage, "the checksum of the batch does not match"));
    }
    if header.is_control() {
        return Err((ResponseError::InvalidRecord, "clients may not write control records"));
    }
    if header.count < 1 || header.last_offset_delta != header.count - 1 {
        return Err((ResponseError::InvalidRecord, "the record count does not match the offsets"));
    }
    if header.has_append_time() {
        return Err((ResponseError::InvalidTimestamp, "a producer may not set the timestamp type to LogAppendTime"));
    }
    header.compression().map_err(|e| (ResponseError::UnsupportedCompressionType, e.0))?;
    if header.is_idempotent() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err((ResponseError::InvalidRecord, "an idempotent batch needs an epoch and a sequence number"));
    }
    Ok(header)
}

fn stored_crc(batch: &[u8]) -> u32 {
    batch.get(CRC_AT..ATTRIBUTES_AT).map_or(0, |mut crc| crc.get_u32())
}

fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

/// Copies a checked batch to its place in a log: base offset and leader epoch are set, and the append time if given.
/// Neither offset nor epoch is covered by the checksum.
pub(crate) fn place(batch: &[u8], base_offset: i64, leader_epoch: i32, append_time: Option<i64>) -> Bytes {
    let mut placed = batch.to_vec();
    placed[..8].copy_from_slice(&base_offset.to_be_bytes());
    placed[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
    if let Some(time) = append_time {
        placed[ATTRIBUTES_AT + 1] |= LOG_APPEND_TIME as u8;
        placed[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&time.to_be_bytes());
        seal(&mut placed);
    }
    placed.into()
}

/// The control batch that ends a transaction on a partition (`EndTransactionMarker` of Kafka).
pub(crate) fn end_marker(
    offset: i64,
    producer_id: i64,
    producer_epoch: i16,
    committed: bool,
    now: i64,
) -> Result<Bytes, Corrupt> {
    let mut key = BytesMut::new();
    key.put_i16(0);
    key.put_i16(i16::from(committed));
    let mut value = BytesMut::new();
    value.put_i16(0);
    value.put_i32(0);
    let record = Record {
        transactional: true,
        control: true,
        delete_horizon: false,
        partition_leader_epoch: crate::broker::LEADER_EPOCH,
        producer_id,
        producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: NO_SEQUENCE,
        timestamp: now,
        key: Some(key.freeze()),
        value: Some(value.freeze()),
        headers: IndexMap::new(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, [&record], &options).map_err(|_| Corrupt("cannot encode an end marker"))?;
    Ok(batch.freeze())
}

/// Whether the control batch commits; anything that is not a commit marker counts as an abort.
pub(crate) fn is_commit_marker(batch: &[u8]) -> bool {
    let records = batch.get(HEADER_BYTES..).unwrap_or_default();
    let first = Records(records).next();
    matches!(first, Some(Ok(record)) if record.key.is_some_and(|key| key.get(2..4) == Some(&[0, 1])))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A batch of records (key, value) as a producer sends it.
    pub(crate) fn batch(compression: Compression, records: &[(Option<&str>, Option<&str>)]) -> Bytes {
        batch_of(compression, records, -1, -1, -1, false)
    }

    pub(crate) fn batch_of(
        compression: Compression,
        records: &[(Option<&str>, Option<&str>)],
        producer_id: i64,
        producer_epoch: i16,
        sequence: i32,
        transactional: bool,
    ) -> Bytes {
        let bytes = |text: Option<&str>| text.map(|t| Bytes::copy_from_slice(t.as_bytes()));
        let records: Vec<_> = (0_i32..)
            .zip(records)
            .map(|(i, (key, value))| Record {
                transactional,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: -1,
                producer_id,
                producer_epoch,
                timestamp_type: TimestampType::Creation,
                offset: i64::from(i),
                sequence: if sequence < 0 { i - 1 } else { sequence + i },
                timestamp: 1000 + i64::from(i),
                key: bytes(*key),
                value: bytes(*value),
                headers: IndexMap::from([("h".into(), Some(Bytes::from_static(b"x")))]),
            })
            .collect();
        let mut out = BytesMut::new();
        RecordBatchEncoder::encode(&mut out, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();
        out.freeze()
    }

    #[test]
    fn bad_batches_are_refused() {
        let good = batch(Compression::None, &[(Some("a"), Some("1"))]);
        let check = |change: &dyn Fn(&mut Vec<u8>), expect: ResponseError| {
            let mut bad = good.to_vec();
            change(&mut bad);
            assert_eq!(check_produced(&bad).map_err(|e| e.0), Err(expect));
        };
        let resealed = |change: fn(&mut Vec<u8>)| {
            move |bad: &mut Vec<u8>| {
                change(bad);
                seal(bad);
            }
        };
        check(&|b| b.truncate(30), ResponseError::CorruptMessage);
        check(&|b| b[MAGIC_AT] = 1, ResponseError::CorruptMessage);
        check(&|b| b.truncate(b.len() - 1), ResponseError::CorruptMessage);
        check(&|b| b[70] ^= 1, ResponseError::CorruptMessage);
        check(&|b| b.push(0), ResponseError::InvalidRecord);
        check(&resealed(|b| b[ATTRIBUTES_AT + 1] |= CONTROL as u8), ResponseError::InvalidRecord);
        check(&resealed(|b| b[ATTRIBUTES_AT + 1] |= LOG_APPEND_TIME as u8), ResponseError::InvalidTimestamp);
        check(&resealed(|b| b[ATTRIBUTES_AT + 1] |= 7), ResponseError::UnsupportedCompressionType);
        check(&resealed(|b| b[COUNT_AT + 3] = 9), ResponseError::InvalidRecord);
    }

    #[test]
    fn placing_sets_offset_and_append_time() {
        let sent = batch(Compression::Lz4, &[(None, Some("1"))]);
        let placed = place(&sent, 42, 3, None);
        assert_eq!(BatchHeader::parse(&placed).map(|h| (h.base_offset, h.max_timestamp)), Ok((42, 1000)));
        assert_eq!(placed[CRC_AT..], sent[CRC_AT..]);
        let placed = place(&sent, 42, 3, Some(5000));
        let header = BatchHeader::parse(&placed).unwrap();
        assert_eq!((header.max_timestamp, header.has_append_time()), (5000, true));
        assert_eq!(stored_crc(&placed), crc32c::crc32c(&placed[ATTRIBUTES_AT..]));
    }

    #[test]
    fn markers_say_what_they_end() {
        for committed in [false, true] {
            let marker = end_marker(9, 7, 1, committed, 5).unwrap();
            let header = BatchHeader::parse(&marker).unwrap();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.base_offset, header.producer_id, header.base_sequence), (9, 7, -1));
            assert_eq!(is_commit_marker(&marker), committed);
        }
    }
}
