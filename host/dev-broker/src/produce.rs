//! Produce.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        ProduceRequest, ProduceResponse,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::StrBytes,
};

use crate::{
    batch::{BatchHeader, Records, check_produced, decompress, place},
    broker::{Broker, LEADER_EPOCH, now_ms},
    journal::{Change, Entry},
    log::ProducerCheck,
    state::State,
};

type Refused = (ResponseError, &'static str);

/// A batch that has been checked as far as that goes without the state.
type Sent = (Bytes, Result<BatchHeader, Refused>);

/// What a partition answers: base offset and append time (-1 if the producer's time counts).
type Stored = (i64, i64);

pub(crate) fn produce(broker: &Broker, request: ProduceRequest) -> ProduceResponse {
    if !matches!(request.acks, -1..=1) {
        return respond(&request, |_, _| Err((ResponseError::InvalidRequiredAcks, "acks must be 0, 1 or all")));
    }
    // Checksums are computed, and compacted records looked at, without holding the lock.
    let compacted: Vec<_> = {
        let state = broker.lock();
        let topics = request.topic_data.iter().map(|topic| state.topics.get(topic.name.as_str()));
        topics.map(|topic| topic.is_some_and(|topic| topic.configs.compact)).collect()
    };
    let mut sent: HashMap<(usize, usize), Sent> = HashMap::new();
    for ((t, topic), compacted) in request.topic_data.iter().enumerate().zip(compacted) {
        for (p, partition) in topic.partition_data.iter().enumerate() {
            let records = partition.records.clone().unwrap_or_default();
            let checked = check_produced(&records).and_then(|header| {
                if compacted {
                    check_keys(&records)?;
                }
                Ok(header)
            });
            sent.insert((t, p), (records, checked));
        }
    }
    let mut state = broker.lock();
    let transactional_id = request.transactional_id.as_ref().map(|id| id.to_string());
    let mut appends = Appends { now: now_ms(), entries: Vec::new(), ends: HashMap::new(), bytes: 0 };
    let mut results = HashMap::new();
    for (t, topic) in request.topic_data.iter().enumerate() {
        for (p, partition) in topic.partition_data.iter().enumerate() {
            let Some((records, checked)) = sent.remove(&(t, p)) else {
                continue;
            };
            let result = checked.and_then(|header| {
                let target = (topic.name.as_str(), partition.index);
                appends.add(&mut state, target, &records, &header, transactional_id.as_deref())
            });
            results.insert((t, p), result);
        }
    }
    let written = state.commit(appends.entries);
    respond(&request, |t, p| {
        written.map_err(|e| (e, "the journal cannot be written; see the log of the broker"))?;
        results.remove(&(t, p)).unwrap_or(Err((ResponseError::UnknownServerError, "the partition was left out")))
    })
}

fn respond(request: &ProduceRequest, mut result: impl FnMut(usize, usize) -> Result<Stored, Refused>) -> ProduceResponse {
    let topics = request.topic_data.iter().enumerate().map(|(t, topic)| {
        let partitions = topic.partition_data.iter().enumerate().map(|(p, partition)| {
            let response = PartitionProduceResponse::default().with_index(partition.index);
            match result(t, p) {
                Ok((base_offset, append_time)) => response.with_base_offset(base_offset).with_log_append_time_ms(append_time),
                Err((error, message)) => response
                    .with_error_code(error.code())
                    .with_base_offset(-1)
                    .with_log_append_time_ms(-1)
                    .with_error_message(Some(StrBytes::from_static_str(message))),
            }
        });
        let partitions = partitions.collect();
        TopicProduceResponse::default().with_name(topic.name.clone()).with_partition_responses(partitions)
    });
    let responses = topics.collect();
    ProduceResponse::default().with_responses(responses)
}

/// The batches of one request that will be written together.
struct Appends {
    now: i64,
    entries: Vec<Entry>,
    /// Where the logs will end, for a partition that is named twice.
    ends: HashMap<(String, i32), i64>,
    bytes: usize,
}

impl Appends {
    fn add(
        &mut self,
        state: &mut State,
        (name, partition): (&str, i32),
        records: &Bytes,
        header: &BatchHeader,
        transactional_id: Option<&str>,
    ) -> Result<Stored, Refused> {
        let log = state.partition(name, partition).map_err(|e| (e, "the partition does not exist"))?;
        let topic = state.topics.get(name).ok_or((ResponseError::UnknownTopicOrPartition, "no such topic"))?;
        let end = *self.ends.entry((name.to_owned(), partition)).or_insert(log.end());
        if records.len() > topic.configs.max_message_bytes {
            let message = "the batch is larger than max.message.bytes of the topic";
            return Err((ResponseError::MessageTooLarge, message));
        }
        if header.is_transactional() {
            let id = transactional_id.ok_or((ResponseError::InvalidRecord, "a transactional id is missing"))?;
            let transaction = state.transactions.get(id);
            let transaction = transaction.ok_or((ResponseError::InvalidProducerIdMapping, "unknown producer"))?;
            transaction
                .check_produce(header.producer_id, header.producer_epoch, (name, partition))
                .map_err(|e| (e, "the partition is not part of an open transaction of this producer"))?;
        }
        let (after, before) = topic.configs.timestamp_leeway;
        let (earliest, latest) = (self.now.saturating_sub(before), self.now.saturating_add(after));
        if !topic.configs.append_time && (header.max_timestamp > latest || header.base_timestamp < earliest) {
            let message = "a timestamp is beyond message.timestamp.after.max.ms or message.timestamp.before.max.ms";
            return Err((ResponseError::InvalidTimestamp, message));
        }
        let append_time = topic.configs.append_time.then_some(self.now);
        if header.is_idempotent() {
            let known = log.producers.check(header).map_err(|e| (e, "producer epoch or sequence number"))?;
            if let ProducerCheck::Duplicate(offset, time) = known {
                return Ok((offset, time));
            }
        }
        if !state.has_room(self.bytes + records.len()) {
            let message = "the memory of the development broker is full; see its log";
            return Err((ResponseError::KafkaStorageError, message));
        }
        self.bytes += records.len();
        self.ends.insert((name.to_owned(), partition), end + i64::from(header.last_offset_delta) + 1);
        self.entries.push(Entry {
            change: Change::Batch { topic: name.to_owned(), partition },
            blob: place(records, end, LEADER_EPOCH, append_time),
        });
        Ok((end, append_time.unwrap_or(-1)))
    }
}

/// A compacted topic takes no record without a key.
fn check_keys(records: &Bytes) -> Result<(), Refused> {
    let plain = decompress(records).map_err(|e| (ResponseError::CorruptMessage, e.0))?;
    for record in Records(&plain) {
        if record.map_err(|e| (ResponseError::CorruptMessage, e.0))?.key.is_none() {
            let message = "Compacted topic cannot accept message without key";
            return Err((ResponseError::InvalidRecord, message));
        }
    }
    Ok(())
}
