//! Compaction: of the records with the same key only the newest stays (`LogCleaner` of Kafka).
//!
//! Done in three steps, so that the broker's lock is not held while records are decompressed: take the batches out as cheap
//! copies, work on them, put the result back if the log still begins with them.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::{AbortedTxn, PartitionLog, StoredBatch};
use crate::batch::{BatchHeader, Corrupt, RecordView, Records, decompress, is_commit_marker, with_records};

/// Keys in one run; a log with more is compacted up to where they run out. About 200 MB of memory.
const MAX_KEYS: usize = 4_000_000;

/// The configs of a topic that compaction looks at; times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompactionRules {
    pub now: i64,
    pub min_lag: i64,
    pub max_lag: i64,
    pub delete_retention: i64,
    pub min_dirty_ratio: f64,
}

/// A run of compaction.
#[derive(Debug)]
pub(crate) struct Compaction {
    batches: Vec<StoredBatch>,
    aborted: Vec<AbortedTxn>,
    rules: CompactionRules,
}

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Compacted {
    /// In place of each batch of the run: the batch, a smaller one or none.
    batches: Vec<Option<StoredBatch>>,
    first_offset: i64,
    last_offset: i64,
}

impl PartitionLog {
    /// Starts a run if enough of the log is new since the last one.
    pub fn begin_compaction(&self, rules: CompactionRules) -> Option<Compaction> {
        let newest = self.batches.len().saturating_sub(1);
        let settled = |batch: &&StoredBatch| {
            batch.last_offset < self.stable_end() && batch.max_timestamp <= rules.now.saturating_sub(rules.min_lag)
        };
        let batches: Vec<_> = self.batches.iter().take(newest).take_while(settled).cloned().collect();
        let total: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
        let dirty = batches.iter().filter(|batch| batch.last_offset >= self.cleaned);
        let overdue = |batch: &StoredBatch| batch.max_timestamp < rules.now.saturating_sub(rules.max_lag);
        let must = dirty.clone().any(overdue);
        let dirty: usize = dirty.map(|batch| batch.bytes.len()).sum();
        let enough = dirty > 0 && (must || dirty as f64 >= rules.min_dirty_ratio * total as f64);
        enough.then(|| Compaction { batches, aborted: self.aborted.clone(), rules })
    }

    /// Puts the result in place, unless the log has changed below it. Returns whether it did.
    pub fn end_compaction(&mut self, compacted: Compacted) -> bool {
        let count = compacted.batches.len();
        let unchanged = self.batches.front().map(|b| b.base_offset) == Some(compacted.first_offset)
            && self.batches.get(count - 1).map(|b| b.last_offset) == Some(compacted.last_offset);
        if !unchanged {
            return false;
        }
        let rest = self.batches.split_off(count);
        self.batches = compacted.batches.into_iter().flatten().chain(rest).collect();
        self.cost = self.batches.iter().map(StoredBatch::cost).sum();
        self.size = self.batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        self.cleaned = compacted.last_offset + 1;
        self.aborted.retain(|txn| txn.last_offset >= self.cleaned);
        true
    }
}

impl Compaction {
    /// Does the work.
    pub fn run(mut self) -> Option<Compacted> {
        let (newest, covered) = self.newest_offsets();
        self.batches.truncate(covered);
        let (first, last) = (self.batches.first()?.base_offset, self.batches.last()?.last_offset);
        let batches = self.batches.iter().map(|batch| {
            // A batch that cannot be read is kept: whoever consumes it shall see that.
            self.clean(batch, &newest).unwrap_or_else(|_| Some(batch.clone()))
        });
        Some(Compacted { batches: batches.collect(), first_offset: first, last_offset: last })
    }

    /// The newest offset of each key, and how many batches that covers.
    fn newest_offsets(&self) -> (Keys, usize) {
        let mut keys = Keys::default();
        for (i, batch) in self.batches.iter().enumerate() {
            if keys.newest.len() >= MAX_KEYS {
                return (keys, i);
            }
            // What cannot be read has no keys.
            let _ = self.visit(batch, |offset, record| {
                if let Some(key) = record.key {
                    keys.newest.insert(keys.hash(key), offset);
                }
            });
        }
        (keys, self.batches.len())
    }

    /// Shows every record that is neither a marker nor aborted.
    fn visit(&self, batch: &StoredBatch, mut see: impl FnMut(i64, &RecordView<'_>)) -> Result<(), Corrupt> {
        let header = BatchHeader::parse(&batch.bytes)?;
        if header.is_control() || self.is_aborted(&header) {
            return Ok(());
        }
        let plain = decompress(&batch.bytes)?;
        for record in Records(&plain) {
            let record = record?;
            see(header.base_offset + i64::from(record.offset_delta), &record);
        }
        Ok(())
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.is_transactional()
            && self.aborted.iter().any(|txn| {
                txn.producer_id == header.producer_id && (txn.first_offset..=txn.last_offset).contains(&header.base_offset)
            })
    }

    fn clean(&self, batch: &StoredBatch, keys: &Keys) -> Result<Option<StoredBatch>, Corrupt> {
        let header = BatchHeader::parse(&batch.bytes)?;
        if header.is_control() || self.is_aborted(&header) {
            // Consumers need an abort marker only as long as the aborted records are there, and a commit marker never;
            // a marker that nobody knows any more is kept.
            let known = is_commit_marker(&batch.bytes) || self.is_aborted(&header);
            return Ok((header.is_control() && !known).then(|| batch.clone()));
        }
        let horizon = self.rules.now.saturating_sub(self.rules.delete_retention);
        let plain = decompress(&batch.bytes)?;
        let (mut kept, mut max_timestamp, mut total) = (Vec::new(), i64::MIN, 0);
        for record in Records(&plain) {
            let record = record?;
            total += 1;
            let offset = header.base_offset + i64::from(record.offset_delta);
            let expired = !record.has_value && batch.max_timestamp < horizon;
            if !expired && record.key.is_none_or(|key| keys.is_newest(key, offset)) {
                kept.push(record.raw);
                max_timestamp = max_timestamp.max(header.base_timestamp.saturating_add(record.timestamp_delta));
            }
        }
        if kept.len() == total {
            return Ok(Some(batch.clone()));
        }
        if kept.is_empty() {
            return Ok(None);
        }
        if header.has_append_time() {
            max_timestamp = header.max_timestamp;
        }
        let bytes = with_records(&batch.bytes, &kept, max_timestamp)?;
        Ok(Some(StoredBatch { max_timestamp, bytes, ..*batch }))
    }
}

/// Keys by a 128-bit hash, which bounds the memory whatever the keys are (Kafka uses MD5 in the same place).
#[derive(Default)]
struct Keys {
    seeds: (RandomState, RandomState),
    newest: HashMap<(u64, u64), i64>,
}

impl Keys {
    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.seeds.0.hash_one(key), self.seeds.1.hash_one(key))
    }

    fn is_newest(&self, key: &[u8], offset: i64) -> bool {
        self.newest.get(&self.hash(key)).is_none_or(|newest| *newest <= offset)
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

    const RULES: CompactionRules =
        CompactionRules { now: 1_000_000, min_lag: 0, max_lag: i64::MAX, delete_retention: 100_000_000, min_dirty_ratio: 0.5 };

    type Records<'a> = &'a [(Option<&'a str>, Option<&'a str>)];

    fn compact(log: &mut PartitionLog, rules: CompactionRules) -> bool {
        let compacted = log.begin_compaction(rules).and_then(Compaction::run);
        compacted.is_some_and(|compacted| log.end_compaction(compacted))
    }

    /// Offset, key and whether there is a value, of all records that are left.
    fn left(log: &PartitionLog) -> Vec<(i64, String, bool)> {
        let mut left = Vec::new();
        for stored in log.batches() {
            let header = BatchHeader::parse(&stored.bytes).unwrap();
            assert_eq!(header.last_offset(), stored.last_offset);
            let plain = decompress(&stored.bytes).unwrap();
            for record in super::Records(&plain).map(Result::unwrap) {
                let key = String::from_utf8_lossy(record.key.unwrap_or(b"-")).into_owned();
                left.push((header.base_offset + i64::from(record.offset_delta), key, record.has_value));
            }
        }
        left
    }

    fn log(compression: Compression, batches: &[Records<'_>]) -> PartitionLog {
        let mut log = PartitionLog::default();
        for records in batches {
            log.append(place(&batch(compression, records), log.end(), 0, None), 0).unwrap();
        }
        log
    }

    #[test]
    fn the_newest_of_each_key_stays() {
        for codec in [Compression::None, Compression::Zstd, Compression::Lz4, Compression::Snappy, Compression::Gzip] {
            let batches: &[Records<'_>] = &[
                &[(Some("a"), Some("1")), (Some("b"), Some("1")), (Some("a"), Some("2"))],
                &[(Some("c"), Some("1"))],
                &[(Some("c"), None), (Some("b"), Some("2"))],
                &[(Some("a"), Some("9"))],
            ];
            let mut log = log(codec, batches);
            assert!(compact(&mut log, RULES));
            let expect = [(2, "a", true), (4, "c", false), (5, "b", true), (6, "a", true)];
            assert_eq!(left(&log), expect.map(|(o, k, v)| (o, k.to_owned(), v)), "{codec:?}");
            assert_eq!((log.start(), log.end()), (0, 7));
            assert_eq!(log.read(3, 9999, true, false).unwrap().batches.len(), 2, "a gap is read over");
            assert!(!compact(&mut log, RULES), "nothing is new");
        }
    }

    #[test]
    fn old_tombstones_go() {
        let mut log = log(Compression::None, &[&[(Some("a"), Some("1"))], &[(Some("a"), None)], &[(Some("z"), None)]]);
        assert!(compact(&mut log, CompactionRules { delete_retention: 1000, ..RULES }));
        assert_eq!(left(&log), [(2, "z".to_owned(), false)]);
    }

    #[test]
    fn young_records_and_small_changes_wait() {
        let mut log = log(Compression::None, &[&[(Some("a"), Some("1"))], &[(Some("a"), Some("2"))]]);
        assert!(log.begin_compaction(CompactionRules { min_lag: 999_500, ..RULES }).is_none());
        assert!(compact(&mut log, RULES));
        for _ in 0..3 {
            log.append(place(&batch(Compression::None, &[(Some("b"), Some("1"))]), log.end(), 0, None), 0).unwrap();
        }
        assert!(log.begin_compaction(CompactionRules { min_dirty_ratio: 0.9, ..RULES }).is_none());
        assert!(log.begin_compaction(CompactionRules { min_dirty_ratio: 0.9, max_lag: 5, ..RULES }).is_some());
    }

    #[test]
    fn aborted_records_and_their_markers_go() {
        let mut log = PartitionLog::default();
        for (sequence, committed) in [(0, true), (1, false)] {
            let sent = batch_of(Compression::None, &[(Some("a"), Some("1"))], 7, 0, sequence, true);
            log.append(place(&sent, log.end(), 0, None), 0).unwrap();
            log.append(end_marker(log.end(), 7, 0, committed, 0).unwrap(), 0).unwrap();
        }
        let open = batch_of(Compression::None, &[(Some("a"), Some("open"))], 8, 0, 0, true);
        log.append(place(&open, log.end(), 0, None), 0).unwrap();
        assert!(compact(&mut log, RULES));
        assert_eq!(left(&log), [(0, "a".to_owned(), true), (4, "a".to_owned(), true)]);
        assert_eq!(log.aborted(), []);
    }

    #[test]
    fn a_log_that_changed_meanwhile_is_left_alone() {
        let mut log = log(Compression::None, &[&[(Some("a"), Some("1"))], &[(Some("a"), None)], &[(Some("z"), None)]]);
        let compacted = log.begin_compaction(RULES).and_then(Compaction::run).unwrap();
        log.set_start(1);
        assert!(!log.end_compaction(compacted));
    }
}
