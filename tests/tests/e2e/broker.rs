//! What the worker relies on of a broker. Against Apache Kafka and against the development broker: they must not differ.

use std::time::Duration;

use hawser_e2e::{Deadline, Kafka, Topic, unique, wait_for};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

/// One turn of a poll loop.
const POLL: Duration = Duration::from_millis(100);

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

fn client(kafka: &Kafka, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

fn member(kafka: &Kafka, topic: &Topic, settings: &[(&str, &str)]) -> BaseConsumer {
    let consumer: BaseConsumer = client(kafka, settings)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        .create()
        .expect("consumer");
    consumer.subscribe(&[&topic.name]).expect("subscribe");
    consumer
}

/// The partitions that a member has now. (The list must not outlive the consumer: librdkafka would wait for it for ever.)
fn partitions(consumer: &BaseConsumer) -> Vec<i32> {
    consumer.assignment().expect("assignment").elements().iter().map(|element| element.partition()).collect()
}

#[test]
fn a_group_goes_on_where_it_committed() {
    let kafka = Kafka::shared();
    let topic = Topic::create(kafka, "committed", 1);
    let group = unique("group");
    topic.produce((0..20).map(|i| i.to_string()));
    let read = |count: usize| {
        let consumer = member(kafka, &topic, &[("group.id", &group)]);
        let mut texts = Vec::new();
        wait_for(&format!("{count} records"), Deadline::LONG, || {
            if let Some(Ok(message)) = consumer.poll(POLL) {
                texts.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
                if texts.len() == count {
                    consumer.commit_message(&message, CommitMode::Sync).expect("commit");
                    return Ok(());
                }
            }
            Err(format!("{}", texts.len()))
        });
        texts
    };
    assert_eq!(read(12), (0..12).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(read(8), (12..20).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn members_share_the_partitions() {
    let kafka = Kafka::shared();
    for assignor in ["range", "roundrobin", "cooperative-sticky"] {
        let topic = Topic::create(kafka, "assigned", 6);
        let group = unique("group");
        let settings = [("group.id", group.as_str()), ("partition.assignment.strategy", assignor)];
        let mut members = vec![member(kafka, &topic, &settings)];
        for count in [1, 2, 3, 2, 1] {
            if members.len() < count {
                members.push(member(kafka, &topic, &settings));
            } else {
                members.truncate(count);
            }
            wait_for(&format!("{assignor}: 6 partitions on {count} members"), Deadline::LONG, || {
                for member in &members {
                    if let Some(Err(e)) = member.poll(POLL / 10) {
                        return Err(e.to_string());
                    }
                }
                let owned: Vec<Vec<i32>> = members.iter().map(partitions).collect();
                let mut all: Vec<i32> = owned.concat();
                all.sort_unstable();
                let even = owned.iter().all(|partitions| partitions.len() == 6 / count);
                if even && all == [0, 1, 2, 3, 4, 5] { Ok(()) } else { Err(format!("{owned:?}")) }
            });
        }
    }
}

#[test]
fn only_what_was_committed_is_read() {
    let kafka = Kafka::shared();
    let topic = Topic::create(kafka, "transactions", 1);
    let id = unique("transactional");
    let producer = || -> ThreadedProducer<DefaultProducerContext> {
        let producer: ThreadedProducer<DefaultProducerContext> =
            client(kafka, &[("transactional.id", &id)]).create().expect("producer");
        producer.init_transactions(Deadline::SHORT.duration()).expect("init");
        producer
    };
    let send = |producer: &ThreadedProducer<DefaultProducerContext>, value: &str| {
        producer.send(BaseRecord::<(), str>::to(&topic.name).payload(value)).map_err(|(e, _)| e)
    };
    let first = producer();
    for (value, commit) in [("one", true), ("two", false), ("three", true)] {
        first.begin_transaction().expect("begin");
        send(&first, value).expect("send");
        if commit {
            first.commit_transaction(Deadline::SHORT.duration()).expect("commit");
        } else {
            first.abort_transaction(Deadline::SHORT.duration()).expect("abort");
        }
    }
    first.begin_transaction().expect("begin");
    send(&first, "left open").expect("send");
    first.flush(Deadline::SHORT.duration()).expect("flush");

    let second = producer(); // fences the first, whose transaction is aborted
    assert!(first.commit_transaction(Deadline::SHORT.duration()).is_err(), "a fenced producer commits nothing");
    second.begin_transaction().expect("begin");
    send(&second, "four").expect("send");
    second.commit_transaction(Deadline::SHORT.duration()).expect("commit");

    let texts: Vec<_> = topic.read_all().iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["one", "three", "four"]);
}

#[test]
fn a_compacted_topic_keeps_the_last_of_each_key() {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
    ];
    let topic = Topic::create_with(Kafka::shared(), "compacted", 1, &configs);
    let mut round = 0;
    wait_for("the first value of the first key to go", Deadline::LONG, || {
        // The broker never touches the newest segment: write on, so that there are older ones.
        topic.produce_keyed((0..10).map(|key| (Some(format!("key {key}")), Some(format!("round {round}")))));
        round += 1;
        std::thread::sleep(POLL);
        let records = topic.read_all();
        let gone = !records.iter().any(|r| r.text() == "round 0");
        if gone { Ok(()) } else { Err(format!("{} records after {round} rounds", records.len())) }
    });
    let mut last = std::collections::HashMap::new();
    for record in topic.read_all() {
        last.insert(record.key.clone(), record.text().to_owned());
    }
    assert_eq!(last.len(), 10);
    assert!(last.values().all(|value| *value == format!("round {}", round - 1)), "{last:?}");
}

#[test]
fn every_compression_is_read_back() {
    let kafka = Kafka::shared();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = Topic::create(kafka, codec, 1);
        let producer: BaseProducer =
            client(kafka, &[("compression.type", codec), ("linger.ms", "50")]).create().expect("producer");
        for i in 0..100 {
            let value = format!("{codec} {i} {}", "x".repeat(500));
            producer.send(BaseRecord::<(), str>::to(&topic.name).payload(&value)).map_err(|(e, _)| e).expect("send");
        }
        producer.flush(Deadline::SHORT.duration()).expect("flush");
        let records = topic.read_all();
        assert_eq!(records.len(), 100, "{codec}");
        assert!(records.iter().enumerate().all(|(i, r)| r.text().starts_with(&format!("{codec} {i} "))), "{codec}");
    }
}
