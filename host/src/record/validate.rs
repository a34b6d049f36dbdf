use super::batch::byte_length;
use super::{Batch, NO_TIMESTAMP, NULL_LENGTH, UNASSIGNED_PARTITION};

/// Records in one batch at most: columns may all be empty, so that the size of an answer does not bound them.
const MAX_RECORDS: u32 = 1 << 20;

/// What is wrong with a batch that came from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// A column is neither empty nor as long as the table.
    #[error("column `{column}` has {found} entries for {expected}: a column is either empty or complete")]
    ColumnLength {
        /// The column's name in the interface.
        column: &'static str,
        /// Entries it has.
        found: usize,
        /// Entries it must have if it is not empty.
        expected: usize,
    },
    /// A value of a column is outside of its range.
    #[error("column `{column}` holds {value} for entry {index}, which is out of range")]
    OutOfRange {
        /// The column's name in the interface.
        column: &'static str,
        /// Place of the entry.
        index: usize,
        /// What it holds.
        value: i64,
    },
    /// The lengths do not add up to the data.
    #[error("the lengths of keys, values and headers add up to {lengths} bytes, but `data` holds {data}")]
    DataLength {
        /// Sum of all lengths.
        lengths: u64,
        /// Bytes in `data`.
        data: usize,
    },
    /// More records than any batch has, with or without columns.
    #[error("the batch claims {count} records; no batch holds more than {MAX_RECORDS}")]
    TooMany {
        /// Records it claims.
        count: u32,
    },
    /// The batch has records and names no topic.
    #[error("the batch holds records but `topics` is empty")]
    NoTopic,
}

impl Batch {
    /// Checks that every column holds what its documentation says, so that views into the batch can be trusted. Takes one
    /// pass over the integer columns and never looks at `data`.
    ///
    /// # Errors
    /// [`InvalidBatch`] names the first column that lies.
    pub fn validate(&self) -> Result<(), InvalidBatch> {
        if self.count > MAX_RECORDS {
            return Err(InvalidBatch::TooMany { count: self.count });
        }
        let count = self.count as usize;
        for (column, found) in [
            ("key-lengths", self.key_lengths.len()),
            ("value-lengths", self.value_lengths.len()),
            ("key-schemas", self.key_schemas.len()),
            ("value-schemas", self.value_schemas.len()),
            ("topic-indexes", self.topic_indexes.len()),
            ("partitions", self.partitions.len()),
            ("timestamps", self.timestamps.len()),
            ("offsets", self.offsets.len()),
            ("header-counts", self.header_counts.len()),
        ] {
            empty_or_complete(column, found, count)?;
        }
        if count > 0 && self.topics.is_empty() {
            return Err(InvalidBatch::NoTopic);
        }
        let topics = self.topics.len();
        check_all("topic-indexes", &self.topic_indexes, |index| (index as usize) < topics)?;
        check_all("partitions", &self.partitions, |partition| partition >= UNASSIGNED_PARTITION)?;
        check_all("timestamps", &self.timestamps, |timestamp| timestamp >= NO_TIMESTAMP)?;
        self.validate_headers()?;
        let lengths = sum("key-lengths", &self.key_lengths)?
            + sum("value-lengths", &self.value_lengths)?
            + sum("header-lengths", &self.header_lengths)?;
        if lengths != self.data.len() as u64 {
            return Err(InvalidBatch::DataLength { lengths, data: self.data.len() });
        }
        Ok(())
    }

    fn validate_headers(&self) -> Result<(), InvalidBatch> {
        let headers: u64 = self.header_counts.iter().map(|count| u64::from(*count)).sum();
        let expected = usize::try_from(headers).unwrap_or(usize::MAX);
        for (column, found) in
            [("header-name-indexes", self.header_name_indexes.len()), ("header-lengths", self.header_lengths.len())]
        {
            if found != expected {
                return Err(InvalidBatch::ColumnLength { column, found, expected });
            }
        }
        empty_or_complete("header-schemas", self.header_schemas.len(), expected)?;
        let names = self.header_names.len();
        check_all("header-name-indexes", &self.header_name_indexes, |index| (index as usize) < names)
    }
}

fn empty_or_complete(column: &'static str, found: usize, expected: usize) -> Result<(), InvalidBatch> {
    if found == 0 || found == expected { Ok(()) } else { Err(InvalidBatch::ColumnLength { column, found, expected }) }
}

fn check_all<T: Copy + Into<i64>>(column: &'static str, entries: &[T], valid: impl Fn(T) -> bool) -> Result<(), InvalidBatch> {
    match entries.iter().position(|entry| !valid(*entry)) {
        None => Ok(()),
        Some(index) => Err(InvalidBatch::OutOfRange { column, index, value: entries[index].into() }),
    }
}

fn sum(column: &'static str, lengths: &[i32]) -> Result<u64, InvalidBatch> {
    check_all(column, lengths, |length| length >= NULL_LENGTH)?;
    Ok(lengths.iter().map(|length| byte_length(*length) as u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, HeaderRef, Record};

    fn sample() -> Batch {
        let mut builder = BatchBuilder::default();
        builder.push(Record { topic: "a", key: Some(b"k"), value: Some(b"one"), timestamp: 5, ..Record::default() }, []);
        builder.push(
            Record { topic: "b", value: Some(b""), value_schema: 2, partition: 3, ..Record::default() },
            [HeaderRef { name: "h", value: Some(b"xy"), schema: 1 }, HeaderRef { name: "h", value: None, schema: 0 }],
        );
        builder.push(Record { topic: "a", ..Record::default() }, []);
        builder.finish()
    }

    #[test]
    fn what_is_pushed_is_read_back() {
        let batch = sample();
        assert_eq!(batch.validate(), Ok(()));
        let records: Vec<_> = batch.records().collect();
        assert_eq!((records[0].topic(), records[0].key, records[0].value), ("a", Some(&b"k"[..]), Some(&b"one"[..])));
        assert_eq!((records[0].timestamp(), records[0].partition(), records[0].value_schema()), (5, -1, 0));
        assert_eq!((records[1].topic(), records[1].key, records[1].value), ("b", None, Some(&b""[..])));
        assert_eq!((records[1].timestamp(), records[1].partition(), records[1].value_schema()), (-1, 3, 2));
        let headers: Vec<_> = records[1].headers().map(|h| (h.name, h.value, h.schema)).collect();
        assert_eq!(headers, [("h", Some(&b"xy"[..]), 1), ("h", None, 0)]);
        assert_eq!((records[2].topic(), records[2].value, records[2].headers().count()), ("a", None, 0));
    }

    #[test]
    fn columns_that_lie_are_named() {
        fn check(change: impl FnOnce(&mut Batch), column: &str) {
            let mut batch = sample();
            change(&mut batch);
            let message = batch.validate().unwrap_err().to_string();
            assert!(message.contains(column), "{message}");
        }
        check(|b| b.count = 2, "key-lengths");
        check(|b| *b = Batch { count: u32::MAX, topics: vec!["t".to_owned()], ..Batch::default() }, "1048576");
        check(|b| b.value_lengths[0] = -2, "value-lengths");
        check(|b| b.value_lengths[0] = i32::MAX, "add up");
        check(|b| b.value_lengths[0] = i32::MIN, "value-lengths");
        check(|b| b.data.push(0), "add up");
        check(|b| b.data.clear(), "add up");
        check(|b| b.topic_indexes[2] = 2, "topic-indexes");
        check(|b| b.topics.clear(), "topics");
        check(|b| b.partitions[0] = -2, "partitions");
        check(|b| b.timestamps[0] = -9, "timestamps");
        check(|b| b.header_counts[0] = 1, "header-name-indexes");
        check(|b| b.header_counts[0] = u32::MAX, "header-name-indexes");
        check(|b| b.header_names.clear(), "header-name-indexes");
        check(|b| b.header_lengths[0] = -7, "header-lengths");
        check(|b| b.header_schemas.truncate(1), "header-schemas");
        check(|b| b.offsets = vec![1], "offsets");
    }

    #[test]
    fn views_into_a_lying_batch_do_not_panic() {
        let mut batch = sample();
        batch.data.truncate(1);
        batch.header_counts = vec![9, 9, 9];
        batch.topic_indexes = vec![7, 7, 7];
        batch.header_name_indexes.clear();
        for record in batch.records() {
            assert_eq!(record.topic(), "");
            assert_eq!(record.headers().count(), 0);
        }
    }
}
