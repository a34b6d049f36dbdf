//! Retention and compaction. Kafka cleans whole segments and never the newest, hence the small segments and the records that
//! are added while waiting.

use rdkafka::{
    consumer::Consumer,
    producer::{BaseRecord, Producer},
};

use crate::common::*;

/// Small segments, so that Kafka cleans soon; they mean nothing to the development broker.
const SEGMENT_MS: (&str, &str) = ("segment.ms", "200");

fn wait_for_start(bootstrap: &str, topic: &str, at_least: i64) {
    let consumer = consumer(bootstrap, &unique("group"), &[]);
    wait_for("the start of the log to move", || {
        put(bootstrap, topic, 0, &[(Some("filler"), Some("x"))]);
        std::thread::sleep(std::time::Duration::from_millis(if is_given() { 1000 } else { 10 }));
        let (start, _) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
        (start >= at_least).then_some(())
    });
}

pub fn old_records_go(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("retention.ms", "5000"), SEGMENT_MS]);
    let producer = producer(bootstrap, &[]);
    for _ in 0..10 {
        let old = now_ms() - 3_600_000;
        send(&producer, BaseRecord::to(&topic).timestamp(old).payload(b"old"));
        producer.flush(PATIENCE).unwrap();
    }
    wait_for_start(bootstrap, &topic, 10);
}

pub fn large_logs_shrink(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("retention.bytes", "20000"), SEGMENT_MS]);
    let large = "x".repeat(10_000);
    for _ in 0..10 {
        put(bootstrap, &topic, 0, &[(None, Some(&large))]);
    }
    wait_for_start(bootstrap, &topic, 5);
}

pub fn keys_are_compacted(bootstrap: &str) {
    let configs =
        [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"), ("delete.retention.ms", "100"), SEGMENT_MS];
    let topic = topic(bootstrap, 1, &configs);
    let producer = producer(bootstrap, &[("compression.codec", "zstd"), ("linger.ms", "5")]);
    for round in 0..100 {
        for key in 0..10 {
            let (key, value) = (format!("key {key}"), format!("value {round}"));
            send(&producer, BaseRecord::to(&topic).key(key.as_bytes()).payload(value.as_bytes()));
        }
    }
    send(&producer, BaseRecord::to(&topic).key(b"key 3"));
    producer.flush(PATIENCE).unwrap();
    let records = wait_for("compaction", || {
        put(bootstrap, &topic, 0, &[(Some("filler"), Some("x"))]);
        std::thread::sleep(std::time::Duration::from_millis(if is_given() { 1000 } else { 50 }));
        let records = read_all(bootstrap, &topic);
        let keys: Vec<_> = records.iter().filter(|r| r.key.as_deref() != Some("filler")).cloned().collect();
        (keys.len() <= 9).then_some(keys)
    });
    assert!(records.iter().all(|r| r.value.as_deref() == Some("value 99")), "{records:?}");
    assert!(records.iter().all(|r| r.key.as_deref() != Some("key 3")), "the tombstone is gone too");
    assert_eq!(records.len(), 9);
}
