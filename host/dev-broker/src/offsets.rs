//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use kafka_protocol::{
    ResponseError,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use crate::{
    api::Caller,
    broker::{Broker, LEADER_EPOCH},
    fetch::check_epoch,
    journal::Change,
    log::Located,
    state::State,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

pub(crate) fn list_offsets(broker: &Broker, caller: &Caller, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let state = broker.lock();
    let read_committed = request.isolation_level == 1;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let response = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            match locate(&state, &topic.name, wanted, read_committed) {
                Ok(Some(found)) => {
                    let epoch = if caller.version >= 4 { LEADER_EPOCH } else { -1 };
                    response.with_offset(found.offset).with_timestamp(found.timestamp).with_leader_epoch(epoch)
                }
                Ok(None) => response,
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn locate(
    state: &State,
    topic: &str,
    wanted: &ListOffsetsPartition,
    read_committed: bool,
) -> Result<Option<Located>, ResponseError> {
    let log = state.partition(topic, wanted.partition_index)?;
    check_epoch(wanted.current_leader_epoch)?;
    let end = if read_committed { log.stable_end() } else { log.end() };
    let at = |offset| Ok(Some(Located { offset, timestamp: -1 }));
    match wanted.timestamp {
        LATEST => at(end),
        EARLIEST => at(log.start()),
        MAX_TIMESTAMP => Ok(log.find_max_timestamp()),
        0.. => Ok(log.find_timestamp(wanted.timestamp).filter(|found| found.offset < end)),
        _ => Err(ResponseError::UnsupportedVersion),
    }
}

/// The leader epoch never changes: it ends where the log ends.
pub(crate) fn for_leader_epoch(
    broker: &Broker,
    _caller: &Caller,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let state = broker.lock();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let response = EpochEndOffset::default().with_partition(wanted.partition);
            let log = state.partition(&topic.topic, wanted.partition);
            match log.and_then(|log| check_epoch(wanted.current_leader_epoch).map(|()| log)) {
                Ok(log) if wanted.leader_epoch == LEADER_EPOCH => {
                    response.with_leader_epoch(LEADER_EPOCH).with_end_offset(log.end())
                }
                Ok(_) => response,
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

pub(crate) fn delete_records(broker: &Broker, _caller: &Caller, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut state = broker.lock();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let response = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
            match delete_before(&mut state, &topic.name, wanted.partition_index, wanted.offset) {
                Ok(start) => response.with_low_watermark(start),
                Err(error) => response.with_low_watermark(-1).with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// Returns the new start of the log; an offset of -1 means its end.
fn delete_before(state: &mut State, topic: &str, partition: i32, offset: i64) -> Result<i64, ResponseError> {
    let log = state.partition(topic, partition)?;
    let (start, end) = (log.start(), log.end());
    if state.topics.get(topic).is_some_and(|topic| topic.configs.compact && !topic.configs.delete) {
        return Err(ResponseError::PolicyViolation);
    }
    let offset = if offset == -1 { end } else { offset };
    if !(0..=end).contains(&offset) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    if offset > start {
        let topic = topic.to_owned();
        state.commit(vec![Change::LogStart { topic, partition, offset }.into()])?;
    }
    Ok(offset.max(start))
}
