//! What can happen to the state of the broker. Whatever is in memory got there by one of these.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    log::{AbortedTxn, Producer},
    transactions::Transaction,
};

/// A change with its bytes: the record batch of [`Change::Batch`], else nothing.
#[derive(Debug)]
pub(crate) struct Entry {
    pub change: Change,
    pub blob: Bytes,
}

impl From<Change> for Entry {
    fn from(change: Change) -> Self {
        Self { change, blob: Bytes::new() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Cluster {
        id: String,
    },
    Topic {
        name: String,
        id: u128,
        partitions: i32,
        configs: BTreeMap<String, String>,
    },
    TopicDeleted {
        name: String,
    },
    Partitions {
        topic: String,
        count: i32,
    },
    Configs {
        topic: String,
        configs: BTreeMap<String, String>,
    },
    /// A batch was appended; its base offset says where.
    Batch {
        topic: String,
        partition: i32,
    },
    /// Records before the offset are gone.
    LogStart {
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// What a partition knows beside its batches; only in snapshots, after the batches.
    Partition {
        topic: String,
        partition: i32,
        start: i64,
        next: i64,
        cleaned: i64,
        producers: Vec<ProducerImage>,
        aborted: Vec<AbortedTxn>,
    },
    /// Producer ids below are taken.
    ProducerIds {
        next: i64,
    },
    Transaction {
        id: String,
        transaction: Transaction,
    },
    TransactionExpired {
        id: String,
    },
    Offsets {
        group: String,
        commits: Vec<Commit>,
    },
    OffsetsDeleted {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    GroupDeleted {
        group: String,
    },
    /// Offsets that take effect when the producer's transaction commits.
    PendingOffsets {
        group: String,
        producer_id: i64,
        commits: Vec<Commit>,
    },
    PendingOffsetsEnded {
        group: String,
        producer_id: i64,
        committed: bool,
    },
}

impl Change {
    pub fn topic(name: &str, id: Uuid, partitions: i32, configs: BTreeMap<String, String>) -> Self {
        Self::Topic { name: name.to_owned(), id: id.as_u128(), partitions, configs }
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// A producer's state on a partition with the producer's id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProducerImage {
    pub id: i64,
    pub producer: Producer,
}
