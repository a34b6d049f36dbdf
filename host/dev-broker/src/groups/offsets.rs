//! Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete.

use std::{
    collections::{BTreeMap, HashSet},
    time::Instant,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
        OffsetFetchResponse,
        offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
            OffsetFetchResponseTopics,
        },
    },
    protocol::StrBytes,
};

use super::{Group, MAX_GROUPS};
use crate::{
    api::Caller,
    broker::Broker,
    journal::{Change, Commit},
    state::State,
    topics::topic_name,
};

/// Longest metadata of a commit, as in Kafka (`offset.metadata.max.bytes`).
const MAX_METADATA_BYTES: usize = 4096;
/// Committed offsets over all groups.
const MAX_OFFSETS: usize = 100_000;

type Key = (String, i32);

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupOffsets {
    committed: BTreeMap<Key, Commit>,
    /// By producer: what its open transaction will commit.
    pending: BTreeMap<i64, BTreeMap<Key, Commit>>,
}

impl GroupOffsets {
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    fn len(&self) -> usize {
        self.committed.len() + self.pending.values().map(BTreeMap::len).sum::<usize>()
    }

    pub fn commit(&mut self, commits: Vec<Commit>) {
        self.committed.extend(commits.into_iter().map(|commit| ((commit.topic.clone(), commit.partition), commit)));
    }

    pub fn add_pending(&mut self, producer_id: i64, commits: Vec<Commit>) {
        let commits = commits.into_iter().map(|commit| ((commit.topic.clone(), commit.partition), commit));
        self.pending.entry(producer_id).or_default().extend(commits);
    }

    pub fn end_pending(&mut self, producer_id: i64, committed: bool) {
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if committed {
            self.committed.extend(pending);
        }
    }

    pub fn remove(&mut self, partitions: &[Key]) {
        partitions.iter().for_each(|key| drop(self.committed.remove(key)));
    }

    pub fn remove_topic(&mut self, topic: &str) {
        self.committed.retain(|(name, _), _| name != topic);
        self.pending.values_mut().for_each(|pending| pending.retain(|(name, _), _| name != topic));
        self.pending.retain(|_, pending| !pending.is_empty());
    }

    fn is_pending(&self, key: &Key) -> bool {
        self.pending.values().any(|pending| pending.contains_key(key))
    }

    /// The changes that lead from nothing to these offsets.
    pub fn image(&self, group: &str) -> Vec<Change> {
        let commits = self.committed.values().cloned().collect();
        let mut image = vec![Change::Offsets { group: group.to_owned(), commits }];
        image.extend(self.pending.iter().map(|(producer_id, pending)| Change::PendingOffsets {
            group: group.to_owned(),
            producer_id: *producer_id,
            commits: pending.values().cloned().collect(),
        }));
        image
    }
}

/// Checks one offset of a commit, transactional or not; `Err` is the partition's error.
pub(crate) fn check_commit(
    state: &State,
    (topic, partition): (&str, i32),
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&StrBytes>,
) -> Result<Commit, ResponseError> {
    state.partition(topic, partition)?;
    let metadata = metadata.map_or("", |m| m.as_str());
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    Ok(Commit { topic: topic.to_owned(), partition, offset, leader_epoch, metadata: metadata.to_owned() })
}

/// Whether there is room for another commit.
pub(crate) fn check_room(state: &State, group: &str) -> Result<(), ResponseError> {
    let offsets: usize = state.offsets.values().map(GroupOffsets::len).sum();
    let known = state.offsets.contains_key(group);
    if offsets < MAX_OFFSETS && (known || state.offsets.len() < MAX_GROUPS) {
        return Ok(());
    }
    tracing::error!("a commit was refused: there are {offsets} offsets of {} groups; delete groups", state.offsets.len());
    Err(ResponseError::PolicyViolation)
}

pub(crate) fn commit(broker: &Broker, _caller: &Caller, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut state = broker.lock();
    let allowed = may_commit(&mut state, &request);
    let mut commits = Vec::new();
    let mut results: Vec<_> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)))
        .map(|(topic, p)| {
            allowed?;
            let metadata = p.committed_metadata.as_ref();
            let target = (topic.name.as_str(), p.partition_index);
            commits.push(check_commit(&state, target, p.committed_offset, p.committed_leader_epoch, metadata)?);
            Ok(())
        })
        .collect();
    if !commits.is_empty()
        && let Err(error) = state.commit(vec![Change::Offsets { group: request.group_id.to_string(), commits }.into()])
    {
        results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(error));
    }
    let mut results = results.iter().map(crate::api::code);
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(results.by_ref()).map(|(partition, error)| {
            OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index).with_error_code(error)
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

fn may_commit(state: &mut State, request: &OffsetCommitRequest) -> Result<(), ResponseError> {
    check_room(state, &request.group_id)?;
    let generation = request.generation_id_or_member_epoch;
    match state.groups.get_mut(&**request.group_id) {
        Some(group) => {
            let instance_id = request.group_instance_id.as_ref();
            group.check_commit(&request.member_id, instance_id, generation, Instant::now())
        }
        None if generation < 0 => Ok(()),
        None => Err(ResponseError::IllegalGeneration),
    }
}

pub(crate) fn fetch(broker: &Broker, caller: &Caller, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let state = broker.lock();
    let stable = request.require_stable;
    if caller.version < 8 {
        let wanted = request.topics.map(|topics| topics.into_iter().map(|t| (t.name.to_string(), t.partition_indexes)));
        let found = look_up(&state, &request.group_id, wanted.map(Iterator::collect), stable);
        let topics = found.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, commit, error)| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(commit.offset)
                    .with_committed_leader_epoch(commit.leader_epoch)
                    .with_metadata(Some(commit.metadata.into()))
                    .with_error_code(error)
            });
            let partitions = partitions.collect();
            OffsetFetchResponseTopic::default().with_name(topic_name(&topic)).with_partitions(partitions)
        });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|group| {
        let wanted = group.topics.map(|topics| topics.into_iter().map(|t| (t.name.to_string(), t.partition_indexes)));
        let found = look_up(&state, &group.group_id, wanted.map(Iterator::collect), stable);
        let topics = found.into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, commit, error)| {
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(commit.offset)
                    .with_committed_leader_epoch(commit.leader_epoch)
                    .with_metadata(Some(commit.metadata.into()))
                    .with_error_code(error)
            });
            let partitions = partitions.collect();
            OffsetFetchResponseTopics::default().with_name(topic_name(&topic)).with_partitions(partitions)
        });
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

type Wanted = Vec<(String, Vec<i32>)>;
type Fetched = Vec<(String, Vec<(i32, Commit, i16)>)>;

/// The offsets of the wanted partitions, or of all that have one.
fn look_up(state: &State, group: &str, wanted: Option<Wanted>, require_stable: bool) -> Fetched {
    let none = GroupOffsets::default();
    let offsets = state.offsets.get(group).unwrap_or(&none);
    let wanted = wanted.unwrap_or_else(|| {
        let mut all: BTreeMap<&String, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in offsets.committed.keys() {
            all.entry(topic).or_default().push(*partition);
        }
        all.into_iter().map(|(topic, partitions)| (topic.clone(), partitions)).collect()
    });
    let fetched = wanted.into_iter().map(|(topic, partitions)| {
        let found = partitions.into_iter().map(|partition| {
            let key = (topic.clone(), partition);
            let unstable = require_stable && offsets.is_pending(&key);
            let error = if unstable { ResponseError::UnstableOffsetCommit.code() } else { 0 };
            let commit = offsets.committed.get(&key).filter(|_| !unstable).cloned().unwrap_or(Commit {
                topic: key.0,
                partition,
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
            });
            (partition, commit, error)
        });
        let found = found.collect();
        (topic, found)
    });
    fetched.collect()
}

pub(crate) fn delete(broker: &Broker, _caller: &Caller, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut state = broker.lock();
    let response = OffsetDeleteResponse::default();
    let name = request.group_id.to_string();
    let group = state.groups.get(&name).filter(|group| group.has_members());
    if group.is_none() && !state.offsets.contains_key(&name) {
        return response.with_error_code(ResponseError::GroupIdNotFound.code());
    }
    if group.is_some_and(|group| **group.protocol_type() != *"consumer") {
        return response.with_error_code(ResponseError::NonEmptyGroup.code());
    }
    let subscribed = group.map(Group::subscribed_topics).unwrap_or_default();
    let mut partitions = Vec::new();
    let topics: Vec<_> = request
        .topics
        .into_iter()
        .map(|topic| {
            let busy = subscribed.contains(topic.name.as_str());
            let error = if busy { ResponseError::GroupSubscribedToTopic.code() } else { 0 };
            let results = topic.partitions.iter().map(|partition| {
                if !busy {
                    partitions.push((topic.name.to_string(), partition.partition_index));
                }
                OffsetDeleteResponsePartition::default().with_partition_index(partition.partition_index).with_error_code(error)
            });
            let results = results.collect();
            OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(results)
        })
        .collect();
    match state.commit(vec![Change::OffsetsDeleted { group: name, partitions }.into()]) {
        Ok(()) => response.with_topics(topics),
        Err(error) => response.with_error_code(error.code()),
    }
}

impl Group {
    /// The topics that members of a consumer group are subscribed to (`ConsumerProtocolSubscription`: a version, then the
    /// topics; what follows does not matter here).
    fn subscribed_topics(&self) -> HashSet<String> {
        let metadata = self.members.values().flat_map(|member| member.protocols.iter().map(|(_, metadata)| metadata));
        metadata.flat_map(|metadata| topics_of(metadata).unwrap_or_default()).collect()
    }
}

fn topics_of(subscription: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = subscription.get(2..)?.split_first_chunk()?;
    let mut topics = Vec::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
        topics.push(String::from_utf8_lossy(name).into_owned());
        rest = after;
    }
    Some(topics)
}
