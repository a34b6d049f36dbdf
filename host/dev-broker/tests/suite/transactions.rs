//! Transactional producers.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, RDKafkaError},
    producer::{BaseRecord, Producer},
    types::RDKafkaErrorCode as Code,
};

use crate::common::*;

fn transactional(bootstrap: &str, id: &str) -> Sender {
    let producer = producer(bootstrap, &[("transactional.id", id), ("message.timeout.ms", "10000")]);
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn put_value(producer: &Sender, topic: &str, value: &str) {
    send(producer, BaseRecord::to(topic).partition(0).key(&b"k"[..]).payload(value.as_bytes()));
    producer.flush(PATIENCE).unwrap();
}

pub fn commits_and_aborts(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let producer = transactional(bootstrap, &unique("txn"));
    for (value, commit) in [("1", true), ("2", false), ("3", true), ("4", false)] {
        producer.begin_transaction().unwrap();
        put_value(&producer, &topic, value);
        put_value(&producer, &topic, value);
        match commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    }
    put(bootstrap, &topic, 0, &[(None, Some("plain"))]);
    assert_eq!(values(&read_committed(bootstrap, &topic)), ["1", "1", "3", "3", "plain"]);
    assert_eq!(values(&read_all(bootstrap, &topic)), ["1", "1", "2", "2", "3", "3", "4", "4", "plain"]);
}

pub fn open_transactions_hide(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let producer = transactional(bootstrap, &unique("txn"));
    put(bootstrap, &topic, 0, &[(None, Some("before"))]);
    producer.begin_transaction().unwrap();
    put_value(&producer, &topic, "inside");
    put(bootstrap, &topic, 0, &[(None, Some("after"))]);
    assert_eq!(values(&read_committed(bootstrap, &topic)), ["before"]);
    assert_eq!(values(&read_all(bootstrap, &topic)), ["before", "inside", "after"]);
    let committed = consumer(bootstrap, &unique("group"), &[("isolation.level", "read_committed")]);
    let all = consumer(bootstrap, &unique("group"), &[("isolation.level", "read_uncommitted")]);
    assert_eq!(committed.fetch_watermarks(&topic, 0, PATIENCE).unwrap().1, 1, "the last stable offset");
    assert_eq!(all.fetch_watermarks(&topic, 0, PATIENCE).unwrap().1, 3);
    // A reader that waits is woken by the commit.
    assign_from(&committed, &topic, 1, Offset::Offset(1));
    assert!(committed.poll(Duration::from_millis(300)).is_none());
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(values(&read_count(&committed, 2)), ["inside", "after"]);
}

fn code(error: KafkaError) -> (Code, bool) {
    match error {
        KafkaError::Transaction(e) => (RDKafkaError::code(&e), e.is_fatal()),
        e => panic!("{e}"),
    }
}

pub fn zombies_are_fenced(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let id = unique("txn");
    let zombie = transactional(bootstrap, &id);
    zombie.begin_transaction().unwrap();
    put_value(&zombie, &topic, "zombie");
    let producer = transactional(bootstrap, &id);
    producer.begin_transaction().unwrap();
    put_value(&producer, &topic, "new");
    send(&zombie, BaseRecord::to(&topic).partition(0).payload(b"zombie again"));
    let refused = zombie.commit_transaction(PATIENCE).unwrap_err();
    assert!(matches!(code(refused), (Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch, true)));
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(values(&read_committed(bootstrap, &topic)), ["new"]);
}

pub fn timeouts_abort(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let id = unique("txn");
    let settings = [("transactional.id", id.as_str()), ("transaction.timeout.ms", "1000"), ("message.timeout.ms", "1000")];
    let producer = producer(bootstrap, &settings);
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    put_value(&producer, &topic, "late");
    put(bootstrap, &topic, 0, &[(None, Some("after"))]);
    let reader = consumer(bootstrap, &unique("group"), &[("isolation.level", "read_committed")]);
    assign_from(&reader, &topic, 1, Offset::Beginning);
    assert_eq!(values(&read_count(&reader, 1)), ["after"]);
    assert!(producer.commit_transaction(PATIENCE).is_err());
}

pub fn offsets_are_part_of_transactions(bootstrap: &str) {
    let input = topic(bootstrap, 1, &[]);
    let output = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &input, 0, 0..10);
    let consumer = consumer(bootstrap, &unique("group"), &[]);
    consumer.subscribe(&[&input]).unwrap();
    read_count(&consumer, 10);
    let producer = transactional(bootstrap, &unique("txn"));
    let run = |offset, commit: bool| {
        producer.begin_transaction().unwrap();
        put_value(&producer, &output, &format!("upto {offset}"));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&input, 0, Offset::Offset(offset)).unwrap();
        producer.send_offsets_to_transaction(&list, &consumer.group_metadata().unwrap(), PATIENCE).unwrap();
        match commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    };
    run(4, true);
    assert_eq!(committed(&consumer, &input, 0).0, Offset::Offset(4));
    run(8, false);
    assert_eq!(committed(&consumer, &input, 0).0, Offset::Offset(4));
    run(10, true);
    assert_eq!(committed(&consumer, &input, 0).0, Offset::Offset(10));
    assert_eq!(values(&read_committed(bootstrap, &output)), ["upto 4", "upto 10"]);
}
