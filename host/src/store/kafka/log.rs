//! One log on one topic.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::FutureRecord;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::warn;

use super::super::{CompactedLog, Entry, LogReader, LogRecord, StoreError};
use super::progress::Progress;
use super::{Asker, Consumer, Producer, REQUEST_TIMEOUT, WRITE_TIMEOUT, close};
use crate::kafka::is_retriable;

/// How long a reader may stand still before a wait for it is given up.
const READ_PATIENCE: Duration = Duration::from_secs(30);
/// Records that are handed to a reader at once.
const READ_CHUNK: usize = 512;
/// The wait after an error of the consumer or a full queue of the producer.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct KafkaLog {
    topic: String,
    partitions: i32,
    producer: Producer,
    consumer: Arc<Consumer>,
    asker: Arc<Asker>,
    progress: Arc<Progress>,
    follower: OnceLock<JoinHandle<()>>,
}

impl KafkaLog {
    pub fn new(topic: String, partitions: i32, producer: Producer, consumer: Consumer, asker: Arc<Asker>) -> KafkaLog {
        KafkaLog {
            topic,
            partitions,
            producer,
            consumer: Arc::new(consumer),
            asker,
            progress: Arc::new(Progress::new(usize::try_from(partitions).unwrap_or(0))),
            follower: OnceLock::new(),
        }
    }

    /// The end offset of every partition. A topic that was created just now, or whose leader moves, is asked again.
    async fn ends(&self, asker: &Arc<Consumer>) -> Result<Vec<(i32, i64)>, StoreError> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let (asker, topic, partitions) = (asker.clone(), self.topic.clone(), self.partitions);
            let ends = tokio::task::spawn_blocking(move || ends(&asker, &topic, partitions)).await;
            match ends.unwrap_or(Err(KafkaError::Canceled)) {
                Err(error) if is_passing(&error) && Instant::now() < deadline => tokio::time::sleep(RETRY_PAUSE).await,
                ends => return ends.map_err(|error| self.unreadable(&error)),
            }
        }
    }

    async fn reach(&self, targets: &[(i32, i64)], doing: &'static str) -> Result<(), StoreError> {
        if self.progress.reach(targets, READ_PATIENCE).await {
            return Ok(());
        }
        Err(StoreError::Timeout { log: self.describe(), doing, after: READ_PATIENCE })
    }

    /// Gives the records to the producer, in order.
    async fn send(&self, entries: &[Entry]) -> Result<Vec<DeliveryFuture>, StoreError> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let mut deliveries = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            loop {
                let record = FutureRecord { payload: value.as_ref(), ..FutureRecord::to(&self.topic).key(key) };
                match self.producer.send_result(record) {
                    Ok(delivery) => {
                        deliveries.push(delivery);
                        break;
                    }
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) if Instant::now() < deadline => {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    Err((error, _)) => return Err(self.unwritable(&error)),
                }
            }
        }
        Ok(deliveries)
    }

    fn describe(&self) -> String {
        format!("topic '{}'", self.topic)
    }

    fn unreadable(&self, error: &KafkaError) -> StoreError {
        StoreError::Read { log: self.describe(), reason: error.to_string() }
    }

    fn unwritable(&self, error: &KafkaError) -> StoreError {
        StoreError::Write { log: self.describe(), reason: error.to_string() }
    }
}

#[async_trait]
impl CompactedLog for KafkaLog {
    async fn start(&self, reader: Arc<dyn LogReader>) -> Result<(), StoreError> {
        // Asked by the consumer itself, which reads nothing yet: so it knows the topic's leaders when it begins.
        let ends = self.ends(&self.consumer).await?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions {
            // A number, since "the beginning" would be asked for partition by partition, and the first fetch would go out (and
            // wait for records) without most of them. Should the log begin later, it is read from where it begins.
            assignment
                .add_partition_offset(&self.topic, partition, Offset::Offset(0))
                .map_err(|error| self.unreadable(&error))?;
        }
        let follow = follow(self.consumer.clone(), self.topic.clone(), reader, self.progress.clone(), ends.clone());
        let mut is_first = false;
        self.follower.get_or_init(|| {
            is_first = true;
            tokio::spawn(follow)
        });
        if !is_first {
            return Err(StoreError::NotStarted(self.describe()));
        }
        self.consumer.assign(&assignment).map_err(|error| self.unreadable(&error))?;
        self.reach(&ends, "for the end of").await
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if self.follower.get().is_none() {
            return Err(StoreError::NotStarted(self.describe()));
        }
        let deliveries = self.send(&entries).await?;
        let mut targets = HashMap::new();
        for delivery in deliveries {
            // The producer gives up by itself after `message.timeout.ms`.
            let delivery = delivery.await.map_err(|_| StoreError::Closed)?;
            let delivery = delivery.map_err(|(error, _)| self.unwritable(&error))?;
            let target = targets.entry(delivery.partition).or_insert(0);
            *target = delivery.offset.saturating_add(1).max(*target);
        }
        let targets: Vec<_> = targets.into_iter().collect();
        self.reach(&targets, "to read back what was written to").await
    }

    async fn read_to_end(&self) -> Result<(), StoreError> {
        if self.follower.get().is_none() {
            return Err(StoreError::NotStarted(self.describe()));
        }
        let ends = self.ends(&self.asker.client).await?;
        self.reach(&ends, "for the end of").await
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.get() {
            close((self.consumer.clone(), self.producer.clone()), follower);
        }
    }
}

/// Whether a request may succeed when it is sent again: a new topic takes a moment to be known everywhere, and so does the
/// leader of a partition after a broker's restart.
fn is_passing(error: &KafkaError) -> bool {
    let settles = |code| {
        matches!(
            code,
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::OffsetNotAvailable
        )
    };
    error.rdkafka_error_code().is_some_and(|code| is_retriable(code) || settles(code))
}

/// The end offsets of a topic's partitions, with one request per broker.
fn ends(asker: &Consumer, topic: &str, partitions: i32) -> KafkaResult<Vec<(i32, i64)>> {
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        // In this request "end" stands in the place of a timestamp.
        wanted.add_partition_offset(topic, partition, Offset::End)?;
    }
    let found = asker.offsets_for_times(wanted, REQUEST_TIMEOUT)?;
    found
        .elements()
        .iter()
        .map(|element| {
            element.error()?;
            match element.offset() {
                Offset::Offset(end) => Ok((element.partition(), end)),
                _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition)),
            }
        })
        .collect()
}

/// Hands every record of the topic to the reader, for ever.
async fn follow(
    consumer: Arc<Consumer>,
    topic: String,
    reader: Arc<dyn LogReader>,
    progress: Arc<Progress>,
    first_ends: Vec<(i32, i64)>,
) {
    let mut stream = consumer.stream();
    while let Some(first) = stream.next().await {
        let failed = {
            let mut received = vec![first];
            while received.len() < READ_CHUNK
                && let Some(Some(next)) = stream.next().now_or_never()
            {
                received.push(next);
            }
            take_in(&consumer, &topic, &*reader, &progress, &first_ends, received)
        };
        if failed {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Hands over what was received; answers whether there was an error among it.
fn take_in(
    consumer: &Consumer,
    topic: &str,
    reader: &dyn LogReader,
    progress: &Progress,
    first_ends: &[(i32, i64)],
    received: Vec<KafkaResult<BorrowedMessage<'_>>>,
) -> bool {
    let mut messages = Vec::with_capacity(received.len());
    let mut at_end = Vec::new();
    let mut failed = false;
    for result in received {
        match result {
            Ok(message) => messages.push(message),
            Err(KafkaError::PartitionEOF(partition)) => at_end.push(partition),
            Err(error) => {
                warn!("reading topic '{topic}': {error}");
                failed = true;
            }
        }
    }
    let records: Vec<_> = messages
        .iter()
        .map(|message| LogRecord { offset: message.offset(), key: message.key().unwrap_or_default(), value: message.payload() })
        .collect();
    if !records.is_empty() {
        reader.apply(&records);
    }
    let mut positions: Vec<_> = messages.iter().map(|message| (message.partition(), message.offset() + 1)).collect();
    if !at_end.is_empty() {
        // The last offsets of a partition may hold no record: transaction markers, which only the consumer's position
        // passes; or, at first, what compaction has emptied.
        positions.extend(first_ends.iter().filter(|(partition, _)| at_end.contains(partition)));
        match consumer.position() {
            Ok(list) => positions.extend(list.elements().iter().filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            })),
            Err(error) => warn!("asking for the position in topic '{topic}': {error}"),
        }
    }
    progress.advance(positions);
    failed
}
