//! What the worker relies on of a broker. Against Apache Kafka and against the development broker: they must not differ.

use hawser_e2e::{Deadline, Kafka, Topic};

#[test]
fn what_is_produced_is_read_in_order() {
    let topic = Topic::create(Kafka::shared(), "ordered", 1);
    topic.produce((0..10_000).map(|i| format!("record {i}")));
    let records = topic.read_all();
    assert_eq!(records.len(), 10_000);
    for (i, record) in records.iter().enumerate() {
        assert_eq!((record.offset, record.text()), (i as i64, format!("record {i}").as_str()));
    }
}

#[test]
fn a_key_stays_in_its_partition() {
    let topic = Topic::create(Kafka::shared(), "keyed", 4);
    topic.produce_keyed((0..1_000).map(|i| (Some(format!("key {}", i % 50)), Some(format!("{i}")))));
    let mut partition_of = std::collections::HashMap::new();
    for record in topic.read_count(1_000, Deadline::SHORT) {
        let partition = *partition_of.entry(record.key.clone()).or_insert(record.partition);
        assert_eq!(record.partition, partition, "{:?}", record.key);
    }
    assert_eq!(partition_of.len(), 50);
}

#[test]
fn null_and_empty_stay_apart() {
    let topic = Topic::create_with(Kafka::shared(), "nulls", 1, &[("cleanup.policy", "compact")]);
    topic.produce_keyed([(Some("deleted"), None), (Some("empty"), Some(""))]);
    let values: Vec<_> = topic.read_all().into_iter().map(|r| r.value).collect();
    assert_eq!(values, [None, Some(Vec::new())]);
}

#[test]
fn a_broker_comes_back_with_its_records() {
    let mut kafka = Kafka::own();
    let topic = Topic::create(&kafka, "durable", 1);
    let bootstrap = kafka.bootstrap().to_owned();
    topic.produce(["before the stop"]);
    kafka.stop();
    kafka.start();
    assert_eq!(kafka.bootstrap(), bootstrap);
    topic.produce(["before the crash"]);
    kafka.kill();
    kafka.start();
    topic.produce(["after the crash"]);
    let records = topic.read_all();
    let texts: Vec<_> = records.iter().map(|r| r.text()).collect();
    assert_eq!(texts, ["before the stop", "before the crash", "after the crash"]);
}
