//! The log of one partition, in memory.

mod compaction;
mod producers;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::Notify;

use crate::{
    batch::{BatchHeader, Corrupt, Records, decompress, is_commit_marker},
    journal::ProducerImage,
};
pub(crate) use compaction::{Compaction, CompactionRules};
pub(crate) use producers::{AbortedTxn, Producer, ProducerCheck, Producers};

/// Memory that a batch costs beside its bytes.
pub(crate) const BATCH_OVERHEAD: u64 = 96;

/// One stored batch; it covers the offsets from the end of the batch before it up to `last_offset`.
#[derive(Debug, Clone)]
pub(crate) struct StoredBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    pub bytes: Bytes,
}

impl StoredBatch {
    fn cost(&self) -> u64 {
        self.bytes.len() as u64 + BATCH_OVERHEAD
    }
}

/// What a fetch finds.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub batches: Vec<Bytes>,
    pub bytes: usize,
    pub aborted: Vec<AbortedTxn>,
}

/// A record found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    pub offset: i64,
    pub timestamp: i64,
}

#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    batches: VecDeque<StoredBatch>,
    start: i64,
    next: i64,
    /// Memory of all batches, overhead included.
    cost: u64,
    /// Bytes of all batches.
    size: u64,
    pub producers: Producers,
    /// First offset of each open transaction, with its producer.
    open: BTreeMap<i64, i64>,
    aborted: Vec<AbortedTxn>,
    /// Offsets below have been compacted.
    cleaned: i64,
    /// Fetches that wait for data, by connection.
    pub waiting: HashMap<u64, Arc<Notify>>,
}

impl PartitionLog {
    /// The first offset that can be fetched.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets; also the high watermark, as there are no replicas.
    pub fn end(&self) -> i64 {
        self.next
    }

    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Records from here on belong to transactions that are not decided yet.
    pub fn stable_end(&self) -> i64 {
        self.open.first_key_value().map_or(self.next, |(first, _)| *first)
    }

    pub fn batches(&self) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter()
    }

    pub fn cleaned(&self) -> i64 {
        self.cleaned
    }

    pub fn aborted(&self) -> &[AbortedTxn] {
        &self.aborted
    }

    /// Appends a batch that was placed at [`PartitionLog::end`], or at a later offset when a log is replayed.
    pub fn append(&mut self, bytes: Bytes, now: i64) -> Result<(), Corrupt> {
        let header = BatchHeader::parse(&bytes)?;
        let batch = StoredBatch {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            bytes,
        };
        if batch.base_offset < self.next || batch.last_offset < batch.base_offset {
            return Err(Corrupt("the batch overlaps the one before it"));
        }
        if header.is_control() {
            self.end_transaction(&header, is_commit_marker(&batch.bytes));
        } else if header.is_idempotent() {
            let first_of_txn = header.is_transactional().then_some(header.base_offset);
            if let Some(first) = self.producers.appended(&header, first_of_txn, now) {
                self.open.insert(first, header.producer_id);
            }
        }
        self.next = batch.last_offset + 1;
        self.cost += batch.cost();
        self.size += batch.bytes.len() as u64;
        self.batches.push_back(batch);
        self.wake();
        Ok(())
    }

    fn end_transaction(&mut self, marker: &BatchHeader, committed: bool) {
        let producer_id = marker.producer_id;
        let Some(first_offset) = self.producers.ended(producer_id, marker.producer_epoch) else {
            return;
        };
        self.open.remove(&first_offset);
        if !committed {
            self.aborted.push(AbortedTxn { producer_id, first_offset, last_offset: marker.base_offset });
        }
    }

    /// Wakes all fetches that wait for this partition.
    pub fn wake(&mut self) {
        for (_, waiting) in self.waiting.drain() {
            waiting.notify_one();
        }
    }

    /// Reads whole batches from `offset` on, up to `max_bytes`; at least one if `at_least_one`, however large it is.
    pub fn read(&self, offset: i64, max_bytes: usize, at_least_one: bool, read_committed: bool) -> Result<Slice, ResponseError> {
        if offset < self.start || offset > self.next {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let end = if read_committed { self.stable_end() } else { self.next };
        let mut slice = Slice::default();
        let first = self.batches.partition_point(|batch| batch.last_offset < offset);
        let mut upto = offset;
        for batch in self.batches.range(first..).take_while(|batch| batch.base_offset < end) {
            let wanted = slice.bytes + batch.bytes.len() <= max_bytes || (at_least_one && slice.batches.is_empty());
            if !wanted {
                break;
            }
            slice.bytes += batch.bytes.len();
            slice.batches.push(batch.bytes.clone());
            upto = batch.last_offset;
        }
        if read_committed && slice.bytes > 0 {
            let overlaps = |t: &&AbortedTxn| t.last_offset >= offset && t.first_offset <= upto;
            slice.aborted = self.aborted.iter().filter(overlaps).copied().collect();
        }
        Ok(slice)
    }

    /// The first record with at least this timestamp.
    pub fn find_timestamp(&self, timestamp: i64) -> Option<Located> {
        let reachable = |batch: &&StoredBatch| batch.max_timestamp >= timestamp && batch.last_offset >= self.start;
        self.batches.iter().filter(reachable).find_map(|batch| self.locate(batch, |found| found >= timestamp))
    }

    /// The first of the records with the largest timestamp.
    pub fn find_max_timestamp(&self) -> Option<Located> {
        let max = self.batches.iter().map(|batch| batch.max_timestamp).max()?;
        self.find_timestamp(max)
    }

    fn locate(&self, batch: &StoredBatch, wanted: impl Fn(i64) -> bool) -> Option<Located> {
        let header = BatchHeader::parse(&batch.bytes).ok()?;
        let plain = decompress(&batch.bytes).ok()?;
        Records(&plain).map_while(Result::ok).find_map(|record| {
            let offset = header.base_offset + i64::from(record.offset_delta);
            let timestamp = match header.has_append_time() {
                true => header.max_timestamp,
                false => header.base_timestamp.saturating_add(record.timestamp_delta),
            };
            (offset >= self.start && wanted(timestamp)).then_some(Located { offset, timestamp })
        })
    }

    /// Moves the start of the log; whole batches before it are dropped.
    pub fn set_start(&mut self, offset: i64) {
        self.start = self.start.max(offset);
        self.next = self.next.max(self.start);
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.last_offset < offset) {
            self.cost -= batch.cost();
            self.size -= batch.bytes.len() as u64;
        }
        self.aborted.retain(|txn| txn.last_offset >= offset);
    }

    /// Where retention would let the log start. The newest batch and undecided transactions always stay.
    pub fn retention_start(&self, now: i64, retention_ms: i64, retention_bytes: i64) -> i64 {
        let mut size = self.size;
        let mut start = self.start;
        for batch in self.batches.iter().take(self.batches.len().saturating_sub(1)) {
            let rest = size - batch.bytes.len() as u64;
            let expired = retention_ms >= 0 && batch.max_timestamp < now.saturating_sub(retention_ms);
            let too_large = u64::try_from(retention_bytes).is_ok_and(|limit| rest >= limit);
            if batch.last_offset >= self.stable_end() || !(expired || too_large) {
                break;
            }
            size = rest;
            start = batch.last_offset + 1;
        }
        start
    }

    /// Restores what a snapshot knows beside the batches.
    pub fn restore(&mut self, (start, next, cleaned): (i64, i64, i64), producers: Vec<ProducerImage>, aborted: Vec<AbortedTxn>) {
        self.set_start(start);
        self.next = next;
        self.cleaned = cleaned;
        self.producers = Producers::from_images(producers);
        self.open = self.producers.open().map(|(id, first)| (first, id)).collect();
        self.aborted = aborted;
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::Compression;

    use super::*;
    use crate::batch::{
        end_marker, place,
        tests::{batch, batch_of},
    };

    pub(super) fn log(batches: &[&[(Option<&str>, Option<&str>)]]) -> PartitionLog {
        let mut log = PartitionLog::default();
        for records in batches {
            log.append(place(&batch(Compression::None, records), log.end(), 0, None), 0).unwrap();
        }
        log
    }

    fn transactional(log: &mut PartitionLog, producer_id: i64, sequence: i32) {
        let sent = batch_of(Compression::None, &[(Some("k"), Some("v"))], producer_id, 0, sequence, true);
        log.append(place(&sent, log.end(), 0, None), 0).unwrap();
    }

    fn end(log: &mut PartitionLog, producer_id: i64, committed: bool) {
        log.append(end_marker(log.end(), producer_id, 0, committed, 0).unwrap(), 0).unwrap();
    }

    const ONE: &[(Option<&str>, Option<&str>)] = &[(Some("a"), Some("1"))];
    const THREE: &[(Option<&str>, Option<&str>)] = &[(None, Some("1")), (None, Some("2")), (None, Some("3"))];

    #[test]
    fn reads_whole_batches() {
        let log = log(&[ONE, THREE, ONE]);
        let size = |offset, max, at_least_one| log.read(offset, max, at_least_one, false).map(|slice| slice.batches.len());
        assert_eq!((log.start(), log.end()), (0, 5));
        assert_eq!(size(0, 1_000_000, true), Ok(3));
        assert_eq!(size(2, 1_000_000, true), Ok(2), "from the middle of a batch");
        assert_eq!(size(0, 1, true), Ok(1));
        assert_eq!(size(0, 1, false), Ok(0));
        assert_eq!(size(5, 1_000_000, true), Ok(0));
        assert_eq!(size(6, 1_000_000, true), Err(ResponseError::OffsetOutOfRange));
    }

    #[test]
    fn moving_the_start_drops_whole_batches() {
        let mut log = log(&[ONE, THREE, ONE]);
        log.set_start(2);
        assert_eq!((log.start(), log.end(), log.batches().count()), (2, 5, 2));
        assert_eq!(log.read(1, 9999, true, false).map(|_| ()), Err(ResponseError::OffsetOutOfRange));
        log.set_start(5);
        assert_eq!((log.start(), log.end(), log.size, log.cost()), (5, 5, 0, 0));
    }

    #[test]
    fn timestamps_find_records() {
        let log = log(&[THREE, ONE]);
        let check = |timestamp, expect: Option<i64>| {
            assert_eq!(log.find_timestamp(timestamp).map(|l| l.offset), expect, "{timestamp}");
        };
        check(0, Some(0));
        check(1001, Some(1));
        check(1002, Some(2));
        check(1003, None);
        assert_eq!(log.find_max_timestamp(), Some(Located { offset: 2, timestamp: 1002 }));
    }

    #[test]
    fn open_transactions_hold_the_stable_end() {
        let mut log = log(&[ONE]);
        transactional(&mut log, 7, 0);
        transactional(&mut log, 8, 0);
        assert_eq!((log.stable_end(), log.end()), (1, 3));
        end(&mut log, 7, true);
        assert_eq!(log.stable_end(), 2);
        end(&mut log, 8, false);
        assert_eq!(log.stable_end(), 5);
        let slice = log.read(0, 99_999, true, true).unwrap();
        assert_eq!(slice.aborted, [AbortedTxn { producer_id: 8, first_offset: 2, last_offset: 4 }]);
        assert_eq!(log.read(0, 99_999, true, false).unwrap().aborted, []);
    }

    #[test]
    fn retention_spares_the_newest_batch_and_open_transactions() {
        let check = |log: &PartitionLog, ms, bytes, expect| {
            assert_eq!(log.retention_start(1_000_000, ms, bytes), expect, "{ms} {bytes}");
        };
        let mut log = log(&[ONE, ONE, ONE]);
        let one = i64::try_from(log.size).unwrap() / 3;
        check(&log, -1, -1, 0);
        check(&log, 1000, -1, 2);
        check(&log, 2_000_000, -1, 0);
        check(&log, -1, 0, 2);
        check(&log, -1, 2 * one, 1);
        check(&log, -1, 2 * one + 1, 0);
        transactional(&mut log, 7, 0);
        transactional(&mut log, 7, 1);
        check(&log, 0, -1, 3);
    }
}
