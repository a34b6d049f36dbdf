//! The limit: librdkafka alone, tuned; and the settings that Hawser's clients are given, too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message};

use crate::broker::PARTITIONS;
use crate::meter::{Cost, Meter};

/// Large fetches, a deep queue, and no long pause when it was full.
pub const CONSUMER: &[(&str, &str)] = &[
    ("auto.offset.reset", "earliest"),
    ("queued.min.messages", "1000000"),
    ("queued.max.messages.kbytes", "65536"),
    ("fetch.queue.backoff.ms", "1"),
    ("fetch.message.max.bytes", "4194304"),
    ("check.crcs", "false"),
];
/// Large batches. As safe as Hawser's default: every replica acknowledges, and retries do not reorder.
pub const PRODUCER: &[(&str, &str)] = &[
    ("acks", "all"),
    ("max.in.flight.requests.per.connection", "1"),
    ("linger.ms", "5"),
    ("batch.num.messages", "10000"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "500000"),
    ("queue.buffering.max.kbytes", "65536"),
];
/// What a task does not leave to the configuration.
const CONSUMER_FIXED: &[(&str, &str)] =
    &[("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("enable.partition.eof", "false")];
/// Records sent between two looks at what the broker acknowledged: as many as a batch of Hawser's.
const SENT_AT_ONCE: u64 = 500;
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait for something where there is nothing else to do.
const POLL: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Acks {
    events: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn config(bootstrap: &str, settings: &[&[(&str, &str)]]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (key, value) in settings.iter().copied().flatten() {
        config.set(*key, *value);
    }
    config
}

fn producer(bootstrap: &str) -> anyhow::Result<BaseProducer<Acks>> {
    Ok(config(bootstrap, &[PRODUCER]).create_with_context(Acks::default())?)
}

/// Serves acknowledgements until there are none left.
fn drain(producer: &BaseProducer<Acks>) {
    let acks = producer.context();
    loop {
        let before = acks.events.load(Ordering::Relaxed);
        producer.poll(Duration::ZERO);
        if acks.events.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

fn send(producer: &BaseProducer<Acks>, mut record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    while let Err((error, back)) = producer.send(record) {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => producer.poll(POLL),
            error => return Err(error.into()),
        };
        record = back;
    }
    Ok(())
}

/// Waits for the last acknowledgements.
fn settle(producer: &BaseProducer<Acks>, records: u64) -> anyhow::Result<()> {
    producer.flush(PATIENCE)?;
    let acks = producer.context();
    let (told, failed) = (acks.events.load(Ordering::Relaxed), acks.failed.load(Ordering::Relaxed));
    ensure!(told == records && failed == 0, "{told} of {records} records have an answer, {failed} were refused");
    Ok(())
}

/// A JSON value of `size` bytes.
fn value(size: usize) -> Vec<u8> {
    const FRAME: &str = r#"{"id":1234567,"paid":true,"note":""}"#;
    let note = "x".repeat(size.saturating_sub(FRAME.len()));
    format!(r#"{{"id":1234567,"paid":true,"note":"{note}"}}"#).into_bytes()
}

/// Fills a topic with records of one size.
pub fn fill(bootstrap: &str, topic: &str, records: u64, size: usize) -> anyhow::Result<()> {
    let producer = producer(bootstrap)?;
    let value = value(size);
    for number in 0..records {
        let partition = i32::try_from(number % PARTITIONS as u64)?;
        send(&producer, BaseRecord::to(topic).partition(partition).payload(&value))?;
        if number % SENT_AT_ONCE == 0 {
            drain(&producer);
        }
    }
    settle(&producer, records)
}

/// Copies a topic's records: from the first one that arrives to the last acknowledgement.
pub fn copy(bootstrap: &str, from: &str, to: &str, records: u64) -> anyhow::Result<Cost> {
    let group = hawser_e2e::unique("bench-plain");
    let consumer: BaseConsumer = config(bootstrap, &[CONSUMER, CONSUMER_FIXED]).set("group.id", group).create()?;
    let producer = producer(bootstrap)?;
    consumer.subscribe(&[from])?;
    let (mut meter, mut copied, mut progress, mut idle) = (None, 0, Instant::now(), true);
    while copied < records {
        // Waits for records only when there are none, and never for acknowledgements.
        match consumer.poll(if idle { POLL } else { Duration::ZERO }) {
            Some(message) => {
                let message = message?;
                if meter.is_none() {
                    meter = Some(Meter::start()?);
                }
                let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(to).partition(message.partition());
                record.key = message.key();
                record.payload = message.payload();
                record.timestamp = message.timestamp().to_millis();
                send(&producer, record)?;
                copied += 1;
                idle = false;
                if copied % SENT_AT_ONCE == 0 {
                    drain(&producer);
                    progress = Instant::now();
                }
            }
            None => {
                drain(&producer);
                idle = true;
                ensure!(progress.elapsed() < PATIENCE, "{copied} of {records} records came, then none for a minute");
            }
        }
    }
    settle(&producer, records)?;
    meter.context("no records were to be copied")?.stop()
}
