//! What instances answer.

use std::time::Duration;

use crate::record::Batch;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
}

/// How far a partition was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicOffset {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// The next offset to read: one past the last record covered.
    pub offset: u64,
}

/// How far a part of a source has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Covers the batch's records before this index.
    pub through: u32,
    /// JSON object that names a part of the source; its values are primitive.
    pub partition: String,
    /// JSON object that says how far that part has been read; its values are primitive.
    pub offset: String,
}

/// The answer of a poll. The batch is validated; checkpoints ascend and stay within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The records; may be none.
    pub records: Batch,
    /// In ascending order of `through`.
    pub checkpoints: Vec<Checkpoint>,
    /// Nothing more is expected for this long.
    pub idle: Duration,
}

/// A record that could not be handled; the others of its batch were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The record's place in the batch that went in; always within it.
    pub index: u32,
    /// What is wrong with it.
    pub reason: String,
    /// What kind of error it is, if not one in the data: best the name of a JVM exception.
    pub kind: Option<String>,
    /// Of a chain: the place of the step that failed, or whose predicate did; always within it.
    pub step: u32,
}

/// What came out of a chain of transforms. The batch is validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transformed {
    /// The records, in the order of what went in.
    pub records: Batch,
    /// For each record its place in the batch that went in, ascending. Empty: each record is where it was.
    pub origins: Vec<u32>,
    /// Records that a step could not handle, ascending.
    pub failures: Vec<Failure>,
}
