use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use tokio::time::Instant;

use super::context::{Shared, client_context};
use super::release::LastOut;
use super::{ClientError, ClientSettings};
use crate::record::{Batch, NO_TIMESTAMP, RecordRef, UNASSIGNED_PARTITION};

/// How soon a waiting producer looks for acknowledgements again; doubled up to the longest while none come.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// How often a producer with nothing in flight serves librdkafka's logs and errors.
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// How long a client with nothing to do is kept: a source without records costs no threads, no connections and no buffers.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// Delivery events served in one go before other tasks get their turn.
const MAX_EVENTS: u32 = 256;

// An opaque holds a batch's slot and a record's index.
const _: () = assert!(usize::BITS >= 64);

/// How much may be on its way to the broker at once.
#[derive(Debug, Clone, Copy)]
pub struct ProducerLimits {
    /// Batches.
    pub batches: usize,
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Default for ProducerLimits {
    /// 256 batches, 65,536 records, 24 MiB: below what librdkafka's own queue takes.
    fn default() -> Self {
        ProducerLimits { batches: 256, records: 65_536, bytes: 24 << 20 }
    }
}

/// A record that the broker or the client refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedRecord {
    /// Its place in the batch.
    pub index: u32,
    /// Why.
    pub code: RDKafkaErrorCode,
}

/// A batch of which every record has its answer.
#[derive(Debug, PartialEq, Eq)]
pub struct AckedBatch {
    /// What [`SourceProducer::send`] returned for it; consecutive from 0.
    pub sequence: u64,
    /// Records in it.
    pub records: u32,
    /// Those that were not written. Empty: all are durable.
    pub failures: Vec<FailedRecord>,
}

#[derive(Default)]
struct Slot {
    outstanding: AtomicU32,
    failures: Mutex<Vec<FailedRecord>>,
}

impl Slot {
    fn fail(&self, failed: FailedRecord) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failed);
    }
}

struct DeliveryContext {
    shared: Shared,
    events: AtomicU64,
    slots: Box<[Slot]>,
}

impl DeliveryContext {
    fn noted(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}

client_context!(DeliveryContext);

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        self.noted();
        let Some(slot) = self.slots.get(opaque >> 32) else { return };
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            slot.fail(FailedRecord { index: opaque as u32, code });
        }
        slot.outstanding.fetch_sub(1, Ordering::AcqRel);
    }
}

type Native = BaseProducer<DeliveryContext>;

struct InFlight {
    sequence: u64,
    records: u32,
    bytes: usize,
}

/// A client of librdkafka, and what sees to its end.
struct Open {
    producer: Arc<Native>,
    last_out: LastOut,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.last_out.release(self.producer.clone());
    }
}

/// The producer of one source task: writes whole batches and says when each is durable, in order.
///
/// There is no thread behind it but librdkafka's own: acknowledgements are collected by whoever awaits [`send`](Self::send) or
/// [`acked`](Self::acked), so one of them should be awaited at all times. The client is created with the first batch, closed when a minute
/// has passed without one, and created again with the next: nothing is in flight then, so neither order nor a promise is at stake.
pub struct SourceProducer {
    settings: ClientSettings,
    limits: ProducerLimits,
    open: Option<Open>,
    /// When the last batch was handed over.
    last_sent: Instant,
    in_flight: VecDeque<InFlight>,
    acked: VecDeque<AckedBatch>,
    records: usize,
    bytes: usize,
    next: u64,
}

impl SourceProducer {
    /// A producer whose client is created when there is something to write.
    pub fn new(settings: ClientSettings, limits: ProducerLimits) -> Self {
        SourceProducer {
            settings,
            limits,
            open: None,
            last_sent: Instant::now(),
            in_flight: VecDeque::new(),
            acked: VecDeque::new(),
            records: 0,
            bytes: 0,
            next: 0,
        }
    }

    /// The client, which is created if there is none. No broker needs to be reachable.
    async fn client(&mut self) -> Result<Arc<Native>, ClientError> {
        if let Some(open) = &self.open {
            return Ok(open.producer.clone());
        }
        let slots = (0..self.limits.batches.max(1)).map(|_| Slot::default()).collect();
        let context = DeliveryContext { shared: Shared::new(&self.settings), events: AtomicU64::new(0), slots };
        let config = self.settings.to_config();
        let created = tokio::task::spawn_blocking(move || config.create_with_context::<_, Native>(context)).await;
        let failed = |reason| ClientError::Kafka { doing: "create the producer".to_owned(), reason, code: None };
        let created = created.map_err(|error| failed(error.to_string()))?;
        let producer = Arc::new(created.map_err(|error| ClientError::new("create the producer", error))?);
        self.open = Some(Open { producer: producer.clone(), last_out: LastOut::new() });
        Ok(producer)
    }

    /// Hands a batch to librdkafka and returns its sequence number; waits while too much is in flight. The batch may be
    /// dropped afterwards.
    ///
    /// When this future is dropped before its end, a part of the batch may be written and the batch counts as failed.
    ///
    /// # Errors
    /// [`ClientError`] when the producer as a whole is unusable. A record that is refused is a failure of its batch.
    pub async fn send(&mut self, batch: &Batch) -> Result<u64, ClientError> {
        let bytes = batch.data.len();
        let mut wait = SHORTEST_WAIT;
        while !self.has_room(batch.len(), bytes) {
            wait = self.wait(wait).await;
        }
        let producer = self.client().await?;
        self.last_sent = Instant::now();
        let sequence = self.next;
        self.next += 1;
        self.in_flight.push_back(InFlight { sequence, records: batch.count, bytes });
        self.records += batch.len();
        self.bytes += bytes;
        let slot = self.slot_index(sequence);
        let mut unsent = Unsent::new(&producer, slot, batch.count);
        for record in batch.records() {
            let mut wait = SHORTEST_WAIT;
            while !unsent.send(&record)? {
                wait = self.wait(wait).await;
            }
        }
        self.serve_now();
        Ok(sequence)
    }

    /// The oldest batch, if every record of it has its answer. Serves what librdkafka has to say.
    pub fn next_acked(&mut self) -> Option<AckedBatch> {
        self.serve_now();
        self.acked.pop_front()
    }

    /// Waits until the oldest batch has its answers. Pends while nothing is in flight, serving librdkafka until the client is not worth
    /// keeping. May be dropped at any time.
    pub async fn acked(&mut self) -> AckedBatch {
        let mut wait = SHORTEST_WAIT;
        loop {
            if let Some(acked) = self.next_acked() {
                return acked;
            }
            if self.in_flight.is_empty() && self.last_sent.elapsed() >= KEEP_IDLE {
                self.open = None;
            }
            if self.open.is_none() {
                return std::future::pending().await;
            }
            wait = self.wait(if self.in_flight.is_empty() { IDLE_WAIT } else { wait }).await;
        }
    }

    /// Batches that await their answers.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Has everything sent that is still in librdkafka's queues, and waits for the answers until `deadline`. What has one is
    /// then told by [`next_acked`](Self::next_acked).
    pub async fn flush(&mut self, deadline: Instant) {
        let Some(producer) = self.open.as_ref().map(|open| open.producer.clone()) else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        // Takes the records out of their linger; delivery reports are served there too, in the same context.
        let flushed = tokio::task::spawn_blocking(move || producer.flush(left)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::debug!("some records were not acknowledged before the deadline");
        }
    }

    /// Drops what is unsent and closes, at most for `limit`; what takes longer goes on by itself.
    pub async fn close(mut self, limit: Duration) {
        let Some(mut open) = self.open.take() else { return };
        let closed = open.last_out.release(open.producer.clone());
        drop(open);
        if let Some(closed) = closed
            && tokio::time::timeout(limit, closed).await.is_err()
        {
            tracing::warn!("a producer did not close within {} s", limit.as_secs());
        }
    }

    fn has_room(&self, records: usize, bytes: usize) -> bool {
        let fits = self.records + records <= self.limits.records && self.bytes + bytes <= self.limits.bytes;
        self.in_flight.is_empty() || (self.in_flight.len() < self.limits.batches && fits)
    }

    /// Sequence numbers in flight are consecutive and no more than there are slots, so each has a slot of its own.
    fn slot_index(&self, sequence: u64) -> usize {
        (sequence % self.limits.batches.max(1) as u64) as usize
    }

    /// Serves what librdkafka has to say without waiting, and collects the batches that are done.
    fn serve_now(&mut self) {
        let Some(open) = &self.open else { return };
        let context = open.producer.context();
        for _ in 0..MAX_EVENTS {
            let events = context.events.load(Ordering::Relaxed);
            open.producer.poll(Duration::ZERO);
            if context.events.load(Ordering::Relaxed) == events {
                break;
            }
        }
        while let Some(oldest) = self.in_flight.front() {
            let Some(slot) = context.slots.get((oldest.sequence % context.slots.len() as u64) as usize) else { break };
            if slot.outstanding.load(Ordering::Acquire) > 0 {
                break;
            }
            let failures = std::mem::take(&mut *slot.failures.lock().unwrap_or_else(PoisonError::into_inner));
            self.acked.push_back(AckedBatch { sequence: oldest.sequence, records: oldest.records, failures });
            self.records -= oldest.records as usize;
            self.bytes -= oldest.bytes;
            self.in_flight.pop_front();
        }
    }

    /// Sleeps, then serves; returns how long to sleep next time, which is longer if nothing was served.
    async fn wait(&mut self, wait: Duration) -> Duration {
        let events = self.events();
        tokio::time::sleep(wait).await;
        self.serve_now();
        if self.events() == events { (wait * 2).min(LONGEST_WAIT) } else { SHORTEST_WAIT }
    }

    /// Events that librdkafka has told of so far.
    fn events(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.producer.context().events.load(Ordering::Relaxed))
    }
}

/// The part of a batch that librdkafka has not taken yet. What is left when it is dropped counts as failed.
struct Unsent<'a> {
    producer: &'a Native,
    slot: usize,
    next: u32,
    count: u32,
}

impl<'a> Unsent<'a> {
    fn new(producer: &'a Native, slot: usize, count: u32) -> Self {
        let unsent = Unsent { producer, slot, next: 0, count };
        unsent.with_slot(|slot| slot.outstanding.store(count, Ordering::Release));
        unsent
    }

    fn with_slot(&self, act: impl FnOnce(&Slot)) {
        if let Some(slot) = self.producer.context().slots.get(self.slot) {
            act(slot);
        }
    }

    /// Hands over one record; `false` when librdkafka's queue is full.
    fn send(&mut self, record: &RecordRef<'_>) -> Result<bool, ClientError> {
        let opaque = (self.slot << 32) | record.index;
        let mut message: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(record.topic(), opaque);
        message.key = record.key;
        message.payload = record.value;
        message.partition = (record.partition() != UNASSIGNED_PARTITION).then(|| record.partition());
        message.timestamp = (record.timestamp() != NO_TIMESTAMP).then(|| record.timestamp());
        message.headers = headers(record);
        let sent = match message.timestamp {
            Some(..0) => Err(RDKafkaErrorCode::InvalidTimestamp),
            _ => self.producer.send(message).map_err(|(error, _)| match error {
                KafkaError::Nul(_) => RDKafkaErrorCode::InvalidTopic,
                error => error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
            }),
        };
        match sent {
            Ok(()) => {}
            Err(RDKafkaErrorCode::QueueFull) => return Ok(false),
            Err(code @ (RDKafkaErrorCode::Fatal | RDKafkaErrorCode::DestroyBroker | RDKafkaErrorCode::State)) => {
                let reason = self.producer.client().fatal_error().map_or_else(|| code.to_string(), |(_, reason)| reason);
                return Err(ClientError::Kafka { doing: "write records".to_owned(), reason, code: Some(code) });
            }
            Err(code) => self.with_slot(|slot| {
                slot.fail(FailedRecord { index: record.index as u32, code });
                slot.outstanding.fetch_sub(1, Ordering::AcqRel);
            }),
        }
        self.next += 1;
        Ok(true)
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        let left = self.count.saturating_sub(self.next);
        if left > 0 {
            self.with_slot(|slot| {
                slot.fail(FailedRecord { index: self.next, code: RDKafkaErrorCode::Application });
                slot.outstanding.fetch_sub(left, Ordering::AcqRel);
            });
        }
    }
}

/// The headers in librdkafka's shape, which is the one thing about a record that has to be allocated.
fn headers(record: &RecordRef<'_>) -> Option<OwnedHeaders> {
    let headers = record.headers();
    let count = headers.size_hint().0;
    (count > 0).then(|| {
        let owned = OwnedHeaders::new_with_capacity(count);
        headers.fold(owned, |owned, header| owned.insert(Header { key: header.name, value: header.value }))
    })
}
