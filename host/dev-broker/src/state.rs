//! All state of the broker, changed only by applying [`Change`]s: when something happens, and again when the journal is read.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::{
    DevBrokerConfig,
    broker::now_ms,
    configs::TopicConfigs,
    groups::{Group, GroupOffsets},
    journal::{Change, Entry, Journal, Snapshot},
    log::{BATCH_OVERHEAD, PartitionLog},
    transactions::Transaction,
};

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub id: Uuid,
    pub configs: TopicConfigs,
    pub partitions: Vec<PartitionLog>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub cluster_id: String,
    pub journal: Option<Journal>,
    pub topics: BTreeMap<String, Topic>,
    /// Committed offsets; kept apart from the members because they are persistent.
    pub offsets: BTreeMap<String, GroupOffsets>,
    pub groups: HashMap<String, Group>,
    pub transactions: HashMap<String, Transaction>,
    pub next_producer_id: i64,
    /// Memory of all logs.
    log_bytes: u64,
    max_memory_bytes: u64,
    /// So that a full memory is said once, not for every request.
    said_full: bool,
}

/// Random bits without a further dependency: the keys of [`RandomState`] come from the operating system.
pub(crate) fn random_uuid() -> Uuid {
    let word = || RandomState::new().hash_one(now_ms());
    uuid::Builder::from_random_bytes((u128::from(word()) << 64 | u128::from(word())).to_be_bytes()).into_uuid()
}

impl State {
    pub fn new(config: &DevBrokerConfig) -> Self {
        Self {
            cluster_id: String::new(),
            journal: None,
            topics: BTreeMap::new(),
            offsets: BTreeMap::new(),
            groups: HashMap::new(),
            transactions: HashMap::new(),
            next_producer_id: 1000,
            log_bytes: 0,
            max_memory_bytes: config.max_memory_bytes,
            said_full: false,
        }
    }

    /// Writes the changes to the journal, in one piece, and applies them.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` if the journal cannot be written; nothing has changed then.
    pub fn commit(&mut self, entries: Vec<Entry>) -> Result<(), ResponseError> {
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal
            && let Err(e) = journal.append(&entries)
        {
            tracing::error!("cannot write to {}: {e}; check the disk and its free space", journal.path().display());
            return Err(ResponseError::KafkaStorageError);
        }
        entries.into_iter().for_each(|entry| self.apply(entry));
        Ok(())
    }

    /// Whether there is memory for another batch of so many bytes.
    pub fn has_room(&mut self, bytes: usize) -> bool {
        let fits = self.log_bytes + bytes as u64 + BATCH_OVERHEAD <= self.max_memory_bytes;
        if !fits && !self.said_full {
            tracing::error!(
                "the logs hold {} of {} bytes: producers get KAFKA_STORAGE_ERROR until there is room; delete topics or \
                 records, set retention.bytes or retention.ms, or raise max_memory_bytes",
                self.log_bytes,
                self.max_memory_bytes
            );
        }
        self.said_full = !fits;
        fits
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Result<&PartitionLog, ResponseError> {
        let index = usize::try_from(partition).ok();
        index.and_then(|i| self.topics.get(topic)?.partitions.get(i)).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    pub fn partition_mut(&mut self, topic: &str, partition: i32) -> Result<&mut PartitionLog, ResponseError> {
        let index = usize::try_from(partition).ok();
        index.and_then(|i| self.topics.get_mut(topic)?.partitions.get_mut(i)).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// Applies a change that is in the journal.
    pub fn apply(&mut self, entry: Entry) {
        match entry.change {
            Change::Cluster { id } => self.cluster_id = id,
            Change::Topic { name, id, partitions, configs } => {
                let mut topic = Topic { id: Uuid::from_u128(id), configs: TopicConfigs::new(configs), partitions: Vec::new() };
                topic.grow(partitions);
                self.topics.insert(name, topic);
            }
            Change::TopicDeleted { name } => self.remove_topic(&name),
            Change::Partitions { topic, count } => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    topic.grow(count);
                }
            }
            Change::Configs { topic, configs } => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    topic.configs = TopicConfigs::new(configs);
                }
            }
            Change::Batch { topic, partition } => self.append(&topic, partition, entry.blob),
            Change::LogStart { topic, partition, offset } => {
                self.change_log(&topic, partition, |log| log.set_start(offset));
            }
            Change::Partition { topic, partition, start, next, cleaned, producers, aborted } => {
                self.change_log(&topic, partition, |log| log.restore((start, next, cleaned), producers, aborted));
            }
            Change::ProducerIds { next } => self.next_producer_id = next,
            Change::Transaction { id, transaction } => {
                self.transactions.insert(id, transaction);
            }
            Change::TransactionExpired { id } => {
                self.transactions.remove(&id);
            }
            Change::Offsets { group, commits } => self.offsets.entry(group).or_default().commit(commits),
            Change::OffsetsDeleted { group, partitions } => {
                if let Some(offsets) = self.offsets.get_mut(&group) {
                    offsets.remove(&partitions);
                    self.forget_empty_offsets();
                }
            }
            Change::GroupDeleted { group } => {
                self.offsets.remove(&group);
                self.groups.remove(&group);
            }
            Change::PendingOffsets { group, producer_id, commits } => {
                self.offsets.entry(group).or_default().add_pending(producer_id, commits);
            }
            Change::PendingOffsetsEnded { group, producer_id, committed } => {
                if let Some(offsets) = self.offsets.get_mut(&group) {
                    offsets.end_pending(producer_id, committed);
                    self.forget_empty_offsets();
                }
            }
        }
    }

    fn append(&mut self, topic: &str, partition: i32, batch: Bytes) {
        let now = now_ms();
        self.change_log(topic, partition, |log| {
            if let Err(e) = log.append(batch, now) {
                tracing::error!("a batch of {topic}-{partition} was left out: {e}");
            }
        });
    }

    /// Changes a log and keeps the count of memory right.
    pub fn change_log<T>(&mut self, topic: &str, partition: i32, change: impl FnOnce(&mut PartitionLog) -> T) -> Option<T> {
        let log = self.partition_mut(topic, partition).ok()?;
        let before = log.cost();
        let result = change(log);
        let after = log.cost();
        self.log_bytes = self.log_bytes + after - before;
        Some(result)
    }

    fn remove_topic(&mut self, name: &str) {
        for mut log in self.topics.remove(name).into_iter().flat_map(|topic| topic.partitions) {
            self.log_bytes -= log.cost();
            log.wake();
        }
        self.offsets.values_mut().for_each(|group| group.remove_topic(name));
        self.forget_empty_offsets();
        self.transactions.values_mut().for_each(|transaction| transaction.remove_topic(name));
    }

    /// A group without members and offsets does not exist.
    fn forget_empty_offsets(&mut self) {
        self.offsets.retain(|_, offsets| !offsets.is_empty());
    }

    /// Syncs and closes the journal, if there is one.
    pub fn close(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.sync();
        }
    }

    /// Begins to compact the journal if it has grown enough: the snapshot and what belongs in it, cheap copies all.
    pub fn begin_snapshot(&mut self) -> Option<(Snapshot, Vec<Entry>)> {
        let live = self.log_bytes;
        let journal = self.journal.as_mut().filter(|journal| journal.wants_snapshot(live))?;
        match journal.begin_snapshot() {
            Ok(snapshot) => Some((snapshot, self.image())),
            Err(e) => {
                tracing::error!("cannot begin a new journal file: {e}; check the disk and its free space");
                None
            }
        }
    }

    /// The changes that lead from nothing to this state.
    fn image(&self) -> Vec<Entry> {
        let mut image: Vec<Entry> = vec![
            Change::Cluster { id: self.cluster_id.clone() }.into(),
            Change::ProducerIds { next: self.next_producer_id }.into(),
        ];
        for (name, topic) in &self.topics {
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            image.push(Change::topic(name, topic.id, count, topic.configs.own().clone()).into());
            for (partition, log) in (0..).zip(&topic.partitions) {
                image.extend(
                    log.batches().map(|batch| Entry {
                        change: Change::Batch { topic: name.clone(), partition },
                        blob: batch.bytes.clone(),
                    }),
                );
                let rest = Change::Partition {
                    topic: name.clone(),
                    partition,
                    start: log.start(),
                    next: log.end(),
                    cleaned: log.cleaned(),
                    producers: log.producers.images(),
                    aborted: log.aborted().to_vec(),
                };
                image.push(rest.into());
            }
        }
        for (id, transaction) in &self.transactions {
            image.push(Change::Transaction { id: id.clone(), transaction: transaction.clone() }.into());
        }
        image.extend(self.offsets.iter().flat_map(|(group, offsets)| offsets.image(group)).map(Entry::from));
        image
    }
}

impl Topic {
    fn grow(&mut self, count: i32) {
        let count = usize::try_from(count).unwrap_or(0).max(self.partitions.len());
        self.partitions.resize_with(count, PartitionLog::default);
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::Compression;

    use super::*;
    use crate::{
        batch::{place, tests::batch_of},
        journal::Commit,
    };

    fn batch(base: i64, sequence: i32) -> Entry {
        let sent = batch_of(Compression::None, &[(Some("k"), Some("v"))], 5, 0, sequence, true);
        Entry { change: Change::Batch { topic: "t".into(), partition: 1 }, blob: place(&sent, base, 0, None) }
    }

    fn filled() -> State {
        let mut state = State::new(&DevBrokerConfig::default());
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let commit =
            |topic: &str, offset| Commit { topic: topic.into(), partition: 0, offset, leader_epoch: -1, metadata: "m".into() };
        let changes = [
            Change::Cluster { id: "c".into() }.into(),
            Change::topic("t", random_uuid(), 2, configs).into(),
            batch(0, 0),
            batch(1, 1),
            Change::LogStart { topic: "t".into(), partition: 1, offset: 1 }.into(),
            Change::ProducerIds { next: 1007 }.into(),
            Change::Offsets { group: "g".into(), commits: vec![commit("t", 3)] }.into(),
            Change::PendingOffsets { group: "g".into(), producer_id: 5, commits: vec![commit("t", 4)] }.into(),
        ];
        state.commit(changes.into()).unwrap();
        state
    }

    #[test]
    fn an_image_leads_to_the_same_state() {
        let state = filled();
        let mut copy = State::new(&DevBrokerConfig::default());
        copy.commit(state.image()).unwrap();
        assert_eq!(copy.log_bytes, state.log_bytes);
        assert_eq!(format!("{:?}", copy.topics), format!("{:?}", state.topics));
        assert_eq!(format!("{:?}", copy.offsets), format!("{:?}", state.offsets));
        assert_eq!((copy.cluster_id, copy.next_producer_id), ("c".to_owned(), 1007));
        let log = copy.topics["t"].partitions.last().unwrap();
        assert_eq!((log.start(), log.end(), log.stable_end()), (1, 2, 0));
    }

    #[test]
    fn a_journal_leads_to_the_same_state() {
        let dir = tempfile::tempdir().unwrap();
        let image = filled().image();
        let mut state = State::new(&DevBrokerConfig::default());
        state.journal = Some(Journal::open(dir.path(), |_| ()).unwrap().0);
        state.commit(image).unwrap();
        state.journal = None;
        let mut copy = State::new(&DevBrokerConfig::default());
        Journal::open(dir.path(), |entry| copy.apply(entry)).unwrap();
        assert_eq!(format!("{copy:?}"), format!("{state:?}"));
    }

    #[test]
    fn a_compacted_log_survives_a_snapshot() {
        let mut state = State::new(&DevBrokerConfig::default());
        state.commit(vec![Change::topic("t", random_uuid(), 1, BTreeMap::new()).into()]).unwrap();
        for offset in 0..4 {
            let blob = place(&batch_of(Compression::None, &[(Some("k"), Some("v"))], -1, -1, -1, false), offset, 0, None);
            let change = Change::Batch { topic: "t".into(), partition: 0 };
            state.commit(vec![Entry { change, blob }]).unwrap();
        }
        state.change_log("t", 0, |log| {
            let rules = TopicConfigs::new(BTreeMap::new()).compaction_rules(now_ms());
            let compacted = log.begin_compaction(rules).and_then(crate::log::Compaction::run).unwrap();
            assert!(log.end_compaction(compacted));
        });
        let ends = |state: &State| {
            let log = state.partition("t", 0).unwrap();
            (log.start(), log.end(), log.batches().map(|b| b.base_offset).collect::<Vec<_>>())
        };
        assert_eq!(ends(&state), (0, 4, vec![2, 3]));
        let mut copy = State::new(&DevBrokerConfig::default());
        copy.commit(state.image()).unwrap();
        assert_eq!(ends(&copy), ends(&state));
    }

    #[test]
    fn memory_is_counted() {
        let mut state = filled();
        assert!(state.log_bytes > 0 && state.has_room(1 << 20));
        assert!(!state.has_room(1 << 30));
        state.commit(vec![Change::TopicDeleted { name: "t".into() }.into()]).unwrap();
        assert_eq!(state.log_bytes, 0);
        assert!(state.offsets.is_empty());
    }
}
