//! Transactions (`TransactionCoordinator` of Kafka). As one node holds everything, a transaction ends in one step: the markers
//! on all its partitions, its offsets and its new state are one frame of the journal.

pub(crate) mod handlers;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use crate::{
    batch::end_marker,
    broker::now_ms,
    journal::{Change, Entry},
    state::State,
};

/// Longest transaction, as in Kafka (`transaction.max.timeout.ms`).
pub(crate) const MAX_TIMEOUT_MS: i32 = 900_000;
/// Transactional ids known at once; beyond it the one unused for longest is forgotten.
const MAX_TRANSACTIONAL_IDS: usize = 10_000;
/// Epochs up to here are given out; then the producer gets a new id.
const LAST_EPOCH: i16 = i16::MAX - 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Nothing since the producer was initialised.
    Empty,
    Ongoing,
    Committed,
    Aborted,
}

/// What the coordinator knows about a transactional id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Transaction {
    producer_id: i64,
    epoch: i16,
    timeout_ms: i32,
    status: Status,
    partitions: BTreeMap<String, BTreeSet<i32>>,
    groups: BTreeSet<String>,
    last_used: i64,
    /// When an ongoing transaction is aborted; counts anew after a restart.
    #[serde(skip, default = "Instant::now")]
    began: Instant,
}

impl Transaction {
    fn new(producer_id: i64, epoch: i16, timeout_ms: i32) -> Self {
        Self {
            producer_id,
            epoch,
            timeout_ms,
            status: Status::Empty,
            partitions: BTreeMap::new(),
            groups: BTreeSet::new(),
            last_used: now_ms(),
            began: Instant::now(),
        }
    }

    /// Whether this producer may write to the partition now.
    pub fn check_produce(&self, producer_id: i64, epoch: i16, (topic, partition): (&str, i32)) -> Result<(), ResponseError> {
        self.check_owner(producer_id, epoch, ResponseError::InvalidProducerEpoch)?;
        let added = self.partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition));
        if self.status == Status::Ongoing && added { Ok(()) } else { Err(ResponseError::InvalidTxnState) }
    }

    fn check_owner(&self, producer_id: i64, epoch: i16, fenced: ResponseError) -> Result<(), ResponseError> {
        if producer_id != self.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if epoch == self.epoch { Ok(()) } else { Err(fenced) }
    }

    /// Makes sure that the transaction is ongoing.
    fn begin(&mut self) {
        if self.status != Status::Ongoing {
            self.status = Status::Ongoing;
            self.began = Instant::now();
        }
        self.last_used = now_ms();
    }

    pub fn deadline(&self) -> Option<Instant> {
        let timeout = Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0));
        (self.status == Status::Ongoing).then(|| self.began + timeout)
    }

    pub fn remove_topic(&mut self, topic: &str) {
        self.partitions.remove(topic);
    }
}

/// The changes that end a transaction: markers, offsets, and the transaction itself with the given epoch. A higher epoch than
/// before fences the producer that had it.
fn end(state: &State, id: &str, mut transaction: Transaction, committed: bool, epoch: i16) -> Result<Vec<Entry>, ResponseError> {
    let producer_id = transaction.producer_id;
    let mut entries = Vec::new();
    for (topic, partitions) in std::mem::take(&mut transaction.partitions) {
        for partition in partitions {
            let Ok(log) = state.partition(&topic, partition) else {
                continue;
            };
            let marker = end_marker(log.end(), producer_id, epoch, committed, now_ms());
            let blob = marker.map_err(|_| ResponseError::UnknownServerError)?;
            entries.push(Entry { change: Change::Batch { topic: topic.clone(), partition }, blob });
        }
    }
    for group in std::mem::take(&mut transaction.groups) {
        entries.push(Change::PendingOffsetsEnded { group, producer_id, committed }.into());
    }
    transaction.epoch = epoch;
    transaction.status = if committed { Status::Committed } else { Status::Aborted };
    transaction.last_used = now_ms();
    entries.push(Change::Transaction { id: id.to_owned(), transaction }.into());
    Ok(entries)
}

/// Aborts the transactions that have taken too long; their producers are fenced.
pub(crate) fn abort_expired(state: &mut State, now: Instant) {
    let expired = state.transactions.iter().filter(|(_, t)| t.deadline().is_some_and(|deadline| deadline <= now));
    let expired: Vec<_> = expired.map(|(id, transaction)| (id.clone(), transaction.clone())).collect();
    for (id, mut transaction) in expired {
        tracing::warn!("the transaction of {id} has taken longer than its timeout and is aborted");
        let epoch = transaction.epoch.saturating_add(1);
        let aborted = end(state, &id, transaction.clone(), false, epoch).and_then(|entries| state.commit(entries));
        if let Err(e) = aborted {
            tracing::error!("the transaction of {id} could not be aborted: {e}");
            // Try again after another timeout instead of at once and for ever.
            transaction.began = now;
            state.transactions.insert(id, transaction);
        }
    }
}
