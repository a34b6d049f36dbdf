//! How fast the development broker is: `cargo run --release -p hawser-dev-broker --example throughput [RECORDS [DATA_DIR]]`.
//!
//! Produces records of 100 B to four partitions with acks=all, reads them back with one consumer, and prints records a second
//! and the memory of the process (which holds the clients too).

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

const PARTITIONS: i32 = 4;
const TOPIC: &str = "throughput";
const POLL: Duration = Duration::from_millis(1);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn produce(bootstrap: &str, records: u64) -> Result<Duration> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "5")
        .set("acks", "all")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    producer.client().fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
    let value = [b'x'; 100];
    let began = Instant::now();
    for number in 0..records {
        let partition = i32::try_from(number % PARTITIONS as u64)?;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(partition).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error.into());
            }
            record = back;
            producer.poll(POLL);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(began.elapsed())
}

fn consume(bootstrap: &str, records: u64) -> Result<Duration> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "throughput")
        .set("queued.min.messages", "1000000")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    let began = Instant::now();
    consumer.assign(&list)?;
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            bytes += message?.payload().map_or(0, <[u8]>::len);
            read += 1;
        }
    }
    assert_eq!(bytes as u64, records * 100);
    Ok(began.elapsed())
}

fn memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

/// Processor time of the broker's threads in seconds (fields 14 and 15 of a thread's `stat`, in hundredths).
fn broker_seconds() -> Option<f64> {
    let mut ticks = 0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
        let (name, fields) = stat.rsplit_once(')')?;
        if name.ends_with("(dev-broker") {
            let times = fields.split_whitespace().skip(11).take(2);
            ticks += times.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>();
        }
    }
    Some(ticks as f64 / 100.0)
}

/// Runs a step and prints its speed and the broker's part in it.
fn report(name: &str, records: u64, step: impl FnOnce() -> Result<Duration>) -> Result<()> {
    let before = broker_seconds();
    let speed = records as f64 / step()?.as_secs_f64();
    let cpu = broker_seconds().zip(before).map(|(after, before)| (after - before) * 1e9 / records as f64);
    println!("{name}: {speed:.0} records/s, broker CPU {cpu:.0?} ns/record, memory {:?} MB", memory_mb());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let records = args.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let data_dir = args.next().map(PathBuf::from);
    let config = DevBrokerConfig { data_dir, default_partitions: PARTITIONS, ..DevBrokerConfig::default() };
    let broker = DevBroker::start(config).await?;
    println!("memory idle: {:?} MB", memory_mb());
    for round in 1..=3 {
        report(&format!("round {round} produce"), records, || produce(&broker.bootstrap(), records))?;
        report(&format!("round {round} consume"), records, || consume(&broker.bootstrap(), records))?;
    }
    broker.shutdown().await;
    Ok(())
}
