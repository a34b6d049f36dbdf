//! Fetch, with long polling. Fetch sessions (KIP-227) are not kept: every answer says session 0, which is allowed.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest,
        fetch_response::{AbortedTransaction, PartitionData},
    },
    protocol::Encodable,
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    api::{Answer, Caller},
    broker::{Broker, LEADER_EPOCH},
    connection::{Chunks, Close},
    log::Slice,
    state::State,
};

/// Largest answer, unless a single batch is larger. Kafka allows 55 MiB; less costs no speed here and bounds the memory of
/// answers that wait to be sent.
const MAX_FETCH_BYTES: usize = 8 * 1024 * 1024;
/// Longest wait of one fetch.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Batches smaller than this are copied next to their neighbours: a system call takes only so many pieces.
const SMALL_BATCH: usize = 8 * 1024;
/// From this version on, lengths are variable and there are tagged fields.
const FLEXIBLE: i16 = 12;

/// An answer before it is encoded: what each partition of the request found, in the request's order.
struct Found {
    partitions: Vec<(PartitionData, Slice)>,
    bytes: usize,
    failed: bool,
}

pub(crate) async fn fetch(broker: &Broker, caller: &Caller, answer: &Answer, request: FetchRequest) -> Result<Chunks, Close> {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
    let deadline = Instant::now() + wait;
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
    let waiting = Waiting { broker, connection: caller.connection, request: &request, rung: Arc::default() };
    loop {
        let found = {
            let mut state = broker.lock();
            let found = find(&state, &request);
            let enough = found.failed || found.bytes >= min_bytes || Instant::now() >= deadline;
            if !enough {
                waiting.register(&mut state);
            }
            enough.then_some(found)
        };
        if let Some(found) = found {
            return encode(answer, &request, found);
        }
        // Out of time means one last look.
        let _ = tokio::time::timeout_at(deadline, waiting.rung.notified()).await;
    }
}

/// A fetch that waits for appends to its partitions; forgets itself when it ends, however it ends.
struct Waiting<'a> {
    broker: &'a Broker,
    connection: u64,
    request: &'a FetchRequest,
    rung: Arc<Notify>,
}

impl Waiting<'_> {
    fn each(&self, state: &mut State, mut change: impl FnMut(&mut crate::log::PartitionLog)) {
        for topic in &self.request.topics {
            for partition in &topic.partitions {
                if let Ok(log) = state.partition_mut(&topic.topic, partition.partition) {
                    change(log);
                }
            }
        }
    }

    fn register(&self, state: &mut State) {
        self.each(state, |log| {
            log.waiting.insert(self.connection, self.rung.clone());
        });
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // More than this handle means that partitions still hold some.
        if Arc::strong_count(&self.rung) > 1 {
            self.each(&mut self.broker.lock(), |log| {
                log.waiting.remove(&self.connection);
            });
        }
    }
}

fn find(state: &State, request: &FetchRequest) -> Found {
    let limit = usize::try_from(request.max_bytes).unwrap_or(0).min(MAX_FETCH_BYTES);
    let mut found = Found { partitions: Vec::new(), bytes: 0, failed: false };
    for topic in &request.topics {
        for wanted in &topic.partitions {
            let max = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
            let max = max.min(limit.saturating_sub(found.bytes));
            let mut data = PartitionData::default().with_partition_index(wanted.partition).with_records(Some(Bytes::new()));
            let read = state.partition(&topic.topic, wanted.partition).and_then(|log| {
                data.high_watermark = log.end();
                data.last_stable_offset = log.stable_end();
                data.log_start_offset = log.start();
                check_epoch(wanted.current_leader_epoch)?;
                // The very first batch of an answer comes even if it is too large, else a client would be stuck.
                log.read(wanted.fetch_offset, max, found.bytes == 0, request.isolation_level == 1)
            });
            let slice = read.unwrap_or_else(|error| {
                found.failed = true;
                data.error_code = error.code();
                if error != ResponseError::OffsetOutOfRange {
                    data.high_watermark = -1;
                }
                Slice::default()
            });
            let aborted = slice.aborted.iter().map(|txn| {
                AbortedTransaction::default().with_producer_id(txn.producer_id.into()).with_first_offset(txn.first_offset)
            });
            data.aborted_transactions = (request.isolation_level == 1).then(|| aborted.collect());
            found.bytes += slice.bytes;
            found.partitions.push((data, slice));
        }
    }
    found
}

/// KIP-320: the leader epoch never changes, so a client that knows another one has old or wrong metadata.
pub(crate) fn check_epoch(known: i32) -> Result<(), ResponseError> {
    match known {
        -1 | LEADER_EPOCH => Ok(()),
        _ if known > LEADER_EPOCH => Err(ResponseError::UnknownLeaderEpoch),
        _ => Err(ResponseError::FencedLeaderEpoch),
    }
}

/// Encodes as the codec would, but with the stored batches in place instead of copies of them.
fn encode(answer: &Answer, request: &FetchRequest, found: Found) -> Result<Chunks, Close> {
    let mut out = Output { flexible: answer.version >= FLEXIBLE, head: answer.start(), chunks: Chunks::default() };
    out.head.put_i32(0);
    if answer.version >= 7 {
        out.head.put_i16(0);
        out.head.put_i32(0);
    }
    out.count(request.topics.len());
    let mut partitions = found.partitions.into_iter();
    for topic in &request.topics {
        out.string(&topic.topic);
        out.count(topic.partitions.len());
        for (data, slice) in partitions.by_ref().take(topic.partitions.len()) {
            out.partition(answer.version, &data, slice)?;
        }
        out.tags();
    }
    out.tags();
    Ok(out.finish())
}

struct Output {
    flexible: bool,
    head: BytesMut,
    chunks: Chunks,
}

impl Output {
    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.head.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.head.put_u8(value as u8);
    }

    fn count(&mut self, count: usize) {
        if self.flexible {
            self.varint(count + 1);
        } else {
            self.head.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn string(&mut self, text: &str) {
        if self.flexible {
            self.varint(text.len() + 1);
        } else {
            self.head.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.head.put_slice(text.as_bytes());
    }

    fn tags(&mut self) {
        if self.flexible {
            self.head.put_u8(0);
        }
    }

    /// The codec encodes the partition with empty records, which come last; that end is taken off and written anew.
    fn partition(&mut self, version: i16, data: &PartitionData, slice: Slice) -> Result<(), Close> {
        let encoded = data.encode(&mut self.head, version);
        encoded.map_err(|e| Close::Malformed(format!("cannot encode the answer to Fetch v{version}: {e}")))?;
        let end = if self.flexible { 2 } else { 4 };
        self.head.truncate(self.head.len() - end);
        self.count(slice.bytes);
        for batch in slice.batches {
            if batch.len() < SMALL_BATCH {
                self.head.put_slice(&batch);
            } else {
                self.chunks.0.push_back(self.head.split().freeze());
                self.chunks.0.push_back(batch);
            }
        }
        self.tags();
        Ok(())
    }

    fn finish(mut self) -> Chunks {
        self.chunks.0.push_back(self.head.freeze());
        let size: usize = self.chunks.0.iter().map(Bytes::len).sum();
        let length = i32::try_from(size - 4).unwrap_or(i32::MAX);
        if let Some(first) = self.chunks.0.pop_front() {
            let mut first = BytesMut::from(first);
            first[..4].copy_from_slice(&length.to_be_bytes());
            self.chunks.0.push_front(first.freeze());
        }
        self.chunks
    }
}
