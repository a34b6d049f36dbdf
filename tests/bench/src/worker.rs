//! The real worker over REST: how soon it works, and what it holds.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hawser_e2e::{Kafka, Plugin, Topic, Worker};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;

/// Idle connectors of the larger measurement.
pub const MANY: usize = 100;
/// How long to wait for a record.
const PATIENCE: Duration = Duration::from_secs(60);
/// No record for so long: the source is not there any more.
const SILENCE: Duration = Duration::from_millis(500);
/// How long a worker's memory is left to settle.
const SETTLE: Duration = Duration::from_secs(3);

/// How soon a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Starts {
    /// From the upload of a plugin never seen before to the first record of its source on a topic.
    pub upload_to_first_record_ms: f64,
    /// From the start of the process to the next record, the plugin being in the cache.
    pub restart_to_first_record_ms: f64,
}

/// What a worker holds.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// MB (2^20 bytes) resident with one idle connector.
    pub one_idle: f64,
    /// With [`MANY`].
    pub many_idle: f64,
    /// Without connectors, the plugin being compiled.
    pub empty: f64,
}

/// Uploads, deploys, and restarts a source.
pub fn starts(bootstrap: &str) -> anyhow::Result<Starts> {
    let kafka = Kafka::at(bootstrap);
    let topic = Topic::create(&kafka, "bench-start", 1);
    let datagen = Plugin::built("datagen");
    let mut worker = Worker::standalone(&kafka).start();
    let consumer = reader(bootstrap, &topic.name)?;

    let began = Instant::now();
    worker.rest().upload(&datagen);
    worker.rest().configure("bench", &json!({ "connector.class": "DatagenSource", "topic": topic.name, "rate": "1000" }));
    ensure!(came(&consumer, PATIENCE)?, "no record came after the upload");
    let upload = began.elapsed();

    worker.stop();
    while came(&consumer, SILENCE)? {}
    let began = Instant::now();
    worker.start();
    ensure!(came(&consumer, PATIENCE)?, "no record came after the restart");
    let restart = began.elapsed();
    worker.stop();
    Ok(Starts {
        upload_to_first_record_ms: upload.as_secs_f64() * 1000.0,
        restart_to_first_record_ms: restart.as_secs_f64() * 1000.0,
    })
}

/// Deploys sinks on an empty topic.
pub fn memory(bootstrap: &str) -> anyhow::Result<Memory> {
    let kafka = Kafka::at(bootstrap);
    let topic = Topic::create(&kafka, "bench-idle", 1);
    let worker = Worker::standalone(&kafka).start();
    worker.rest().upload(&Plugin::built("blackhole"));
    let resident = || {
        std::thread::sleep(SETTLE);
        worker.memory() as f64 / f64::from(1 << 20)
    };
    let empty = resident();
    let config = json!({ "connector.class": "BlackholeSink", "topics": topic.name });
    let deploy = |number: usize| worker.rest().configure(&format!("idle-{number}"), &config);
    deploy(0);
    worker.rest().wait_state("idle-0", "RUNNING", 1);
    let one_idle = resident();
    (1..MANY).for_each(|number| {
        deploy(number);
    });
    (1..MANY).for_each(|number| {
        worker.rest().wait_state(&format!("idle-{number}"), "RUNNING", 1);
    });
    Ok(Memory { one_idle, many_idle: resident(), empty })
}

/// A consumer that is at the end of a topic's only partition, and takes what comes at once.
fn reader(bootstrap: &str, topic: &str) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", hawser_e2e::unique("bench-reader"))
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&list)?;
    consumer.fetch_watermarks(topic, 0, PATIENCE).context("the topic cannot be read")?;
    Ok(consumer)
}

fn came(consumer: &BaseConsumer, limit: Duration) -> anyhow::Result<bool> {
    Ok(consumer.poll(limit).transpose()?.is_some())
}
