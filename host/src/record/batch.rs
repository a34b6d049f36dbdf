use super::{Records, SchemaId};

/// The length that stands for a null key, value or header value.
pub const NULL_LENGTH: i32 = -1;
/// The timestamp that stands for none.
pub const NO_TIMESTAMP: i64 = -1;
/// The partition that leaves the choice to the partitioner.
pub const UNASSIGNED_PARTITION: i32 = -1;

/// `count` records as a table: the shape in which records cross the sandbox wall (`hawser:connect/records.batch`), and the
/// one every stage of the worker works on.
///
/// A column is either as long as the table or empty; what an empty column means stands beside it. The bytes of all records
/// stand in `data` in order: key, value, then each header's value; a null takes no bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records in the table.
    pub count: u32,
    /// The bytes of all records.
    pub data: Vec<u8>,
    /// Bytes in each key, -1 for null. Empty: every key is null.
    pub key_lengths: Vec<i32>,
    /// Bytes in each value, -1 for null. Empty: every value is null.
    pub value_lengths: Vec<i32>,
    /// Empty: opaque bytes.
    pub key_schemas: Vec<SchemaId>,
    /// Empty: opaque bytes.
    pub value_schemas: Vec<SchemaId>,
    /// The distinct topics of the batch.
    pub topics: Vec<String>,
    /// Each record's place in `topics`. Empty: every record is of `topics[0]`.
    pub topic_indexes: Vec<u32>,
    /// Kafka partitions, -1 for "let the partitioner choose". Empty: every record is -1.
    pub partitions: Vec<i32>,
    /// Milliseconds since the epoch, -1 for none. Empty: none has one.
    pub timestamps: Vec<i64>,
    /// Offsets of records read from Kafka. Empty on all others.
    pub offsets: Vec<u64>,
    /// Headers of each record. Empty: none has any.
    pub header_counts: Vec<u32>,
    /// The distinct header names of the batch.
    pub header_names: Vec<String>,
    /// Place of each header's name in `header_names`; as long as all headers together.
    pub header_name_indexes: Vec<u32>,
    /// Bytes in each header value, -1 for null; as long as all headers together.
    pub header_lengths: Vec<i32>,
    /// How each header value is to be read. Empty: opaque bytes.
    pub header_schemas: Vec<SchemaId>,
}

impl Batch {
    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records in the table.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// The records in order. Every column is trusted to hold what its documentation says: call [`Batch::validate`] first on
    /// a batch that a plugin made.
    pub fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// Leaves only topics of which there are records: others that a plugin lists are not to be looked up, created or noted.
    pub fn drop_unused_topics(&mut self) {
        if self.topic_indexes.is_empty() {
            self.topics.truncate(1);
        }
        if self.topics.len() <= 1 {
            return;
        }
        let (mut places, mut used) = (vec![None; self.topics.len()], Vec::new());
        for index in &mut self.topic_indexes {
            let before = *index as usize;
            let (Some(place), Some(topic)) = (places.get_mut(before), self.topics.get_mut(before)) else { continue };
            *index = *place.get_or_insert_with(|| {
                used.push(std::mem::take(topic));
                used.len() as u32 - 1
            });
        }
        self.topics = used;
    }

    /// A rough size in memory, for budgets: the payload and the fixed-size columns.
    pub fn bytes(&self) -> usize {
        let headers = self.header_name_indexes.len() * 4 + self.header_lengths.len() * 4 + self.header_schemas.len() * 4;
        self.data.len()
            + (self.key_lengths.len() + self.value_lengths.len() + self.key_schemas.len() + self.value_schemas.len()) * 4
            + (self.topic_indexes.len() + self.partitions.len() + self.header_counts.len()) * 4
            + (self.timestamps.len() + self.offsets.len()) * 8
            + headers
    }
}

/// Bytes that a length column entry stands for.
pub(super) fn byte_length(length: i32) -> usize {
    usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_without_records_are_dropped() {
        let check = |topics: &[&str], indexes: &[u32], used: &[&str], left: &[u32]| {
            let owned = topics.iter().map(|topic| (*topic).to_owned()).collect();
            let mut batch = Batch { count: 3, topics: owned, topic_indexes: indexes.to_vec(), ..Batch::default() };
            batch.drop_unused_topics();
            assert_eq!(
                (batch.topics.iter().map(String::as_str).collect::<Vec<_>>(), &*batch.topic_indexes),
                (used.to_vec(), left)
            );
        };
        check(&["a"], &[], &["a"], &[]);
        check(&["a", "b"], &[], &["a"], &[]);
        check(&["a", "b", "c", "d"], &[3, 1, 3], &["d", "b"], &[0, 1, 0]);
        check(&["a", "b"], &[0, 1, 0], &["a", "b"], &[0, 1, 0]);
    }
}
