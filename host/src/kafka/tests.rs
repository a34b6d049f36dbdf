use std::time::Duration;

use futures::FutureExt;
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use super::testing::{PATIENCE, TestBroker, batch, fill_or_assign, rebalance};
use super::*;
use crate::record::{BatchBuilder, BatchLimits, HeaderValue, Record};

#[tokio::test]
async fn what_is_written_is_read_column_by_column() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    let mut builder = BatchBuilder::default();
    let header = |name, value| HeaderValue { name, value, schema: 0 };
    let record = Record { topic: &topic, partition: 0, timestamp: 1_700_000_000_000, ..Record::default() };
    builder.push(Record { key: Some(b"k"), value: Some(b"v"), ..record }, [header("a", Some(&b"1"[..])), header("a", None)]);
    builder.push(Record { key: None, value: None, ..record }, []);
    builder.push(Record { key: Some(b""), value: Some(b""), ..record }, [header("\u{fc}", Some(&b""[..]))]);
    let sent = builder.finish();
    let mut producer = broker.producer();
    assert_eq!(producer.send(&sent).await, Ok(0));
    let acked = tokio::time::timeout(PATIENCE, producer.acked()).await.expect("acknowledged");
    assert_eq!(acked, AckedBatch { sequence: 0, records: 3, failures: vec![] });
    let read = broker.read_batches(&topic, 3).await;
    let expect: Vec<_> = sent
        .records()
        .map(|record| (record.key, record.value, record.timestamp(), record.headers().collect::<Vec<_>>()))
        .collect();
    let found: Vec<_> = read
        .iter()
        .flat_map(|batch| batch.records())
        .map(|record| (record.key, record.value, record.timestamp(), record.headers().collect::<Vec<_>>()))
        .collect();
    assert_eq!(found, expect);
    let offsets: Vec<_> = read.iter().flat_map(|batch| batch.offsets.clone()).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[tokio::test]
async fn batches_are_acknowledged_in_order_and_name_what_failed() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    let mut producer = broker.producer();
    let mut mixed = BatchBuilder::default();
    for partition in [0, 7, 0] {
        mixed.push(Record { topic: &topic, partition, value: Some(b"v"), ..Record::default() }, []);
    }
    mixed.push(Record { topic: &topic, timestamp: -2, ..Record::default() }, []);
    mixed.push(Record { topic: "no\0topic", ..Record::default() }, []);
    producer.send(&batch(&topic, 0, &["a"])).await.expect("sent");
    producer.send(&mixed.finish()).await.expect("sent");
    producer.send(&batch(&topic, 0, &["b"])).await.expect("sent");
    let mut codes = Vec::new();
    for sequence in 0..3 {
        let acked = tokio::time::timeout(PATIENCE, producer.acked()).await.expect("acknowledged");
        assert_eq!(acked.sequence, sequence);
        let mut failures: Vec<_> = acked.failures.iter().map(|failed| (failed.index, failed.code)).collect();
        failures.sort_unstable_by_key(|(index, _)| *index);
        codes.push(failures);
    }
    let unknown = (1, RDKafkaErrorCode::UnknownPartition);
    assert_eq!(
        codes,
        [vec![], vec![unknown, (3, RDKafkaErrorCode::InvalidTimestamp), (4, RDKafkaErrorCode::InvalidTopic)], vec![]]
    );
    assert_eq!(producer.in_flight(), 0);
}

#[tokio::test]
async fn a_full_producer_waits_and_a_cancelled_batch_counts_as_failed() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    let limits = ProducerLimits { batches: 2, records: 100, bytes: 1 << 20 };
    let mut producer = SourceProducer::new(broker.producer_settings(), limits);
    let values = vec!["v"; 60];
    // Each batch fits alone only: every send has to wait for the one before.
    for sequence in 0..5 {
        let sent = tokio::time::timeout(PATIENCE, producer.send(&batch(&topic, 0, &values))).await.expect("room in time");
        assert_eq!(sent, Ok(sequence));
        while let Some(acked) = producer.next_acked() {
            assert_eq!(acked.failures, []);
        }
    }
    producer.flush(Instant::now() + PATIENCE).await;
    let acked: Vec<_> = std::iter::from_fn(|| producer.next_acked()).map(|acked| acked.sequence).collect();
    assert_eq!((acked.last(), producer.in_flight()), (Some(&4), 0));
}

#[tokio::test]
async fn an_unreachable_broker_blocks_neither_send_nor_close() {
    let worker = [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())];
    let settings = ClientSettings::source_producer(&worker, "c", 0, &[]).expect("settings");
    let mut producer = SourceProducer::new(settings, ProducerLimits { batches: 1, ..ProducerLimits::default() });
    producer.send(&batch("t", -1, &["a"])).await.expect("queued");
    let second = batch("t", -1, &["b"]);
    assert!(tokio::time::timeout(Duration::from_millis(50), producer.send(&second)).await.is_err(), "no room for a second batch");
    assert_eq!((producer.next_acked(), producer.in_flight()), (None, 1));
    let closing = Instant::now();
    producer.close(PATIENCE).await;
    assert!(closing.elapsed() < PATIENCE);
}

async fn takes_turns(assignor: &str) {
    let broker = TestBroker::start().await;
    let topic = broker.topic(2).await;
    broker.write(&topic, 2, (0..20).map(|value| value.to_string())).await;
    let group = format!("turns-{topic}");
    let more = [("partition.assignment.strategy", assignor), ("session.timeout.ms", "10000")];
    let mut first = broker.consumer(&group, &topic, &more).await;
    let Rebalance::Assign(all) = rebalance(&mut first).await else { panic!("an assignment comes first") };
    assert_eq!(all.len(), 2);
    // The answer may come late: meanwhile nothing is delivered and the member stays.
    let mut builder = BatchBuilder::default();
    let soon = Instant::now() + Duration::from_millis(200);
    assert_eq!(first.fill(&mut builder, BatchLimits::default(), soon).await, Ok(Filled::Idle));
    let start = TopicOffset { partition: all[0].clone(), offset: 5 };
    first.assign(&all, std::slice::from_ref(&start)).expect("assigned");
    let mut offsets = Vec::new();
    while offsets.len() < 15 {
        let batch = fill_or_assign(&mut first).await;
        offsets.extend(batch.records().map(|record| (record.partition(), record.offset().expect("an offset"))));
    }
    let from = |partition| offsets.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset).min();
    assert_eq!((from(all[0].partition), from(all[1].partition)), (Some(5), Some(0)));

    let mut second = broker.consumer(&group, &topic, &more).await;
    let joining = tokio::spawn(async move {
        loop {
            // A cooperative member is first given nothing, and something once the others have let go.
            match rebalance(&mut second).await {
                Rebalance::Assign(given) if given.is_empty() => second.assign(&given, &[]).expect("assigned"),
                Rebalance::Assign(given) => return (second, given),
                Rebalance::Revoke { partitions, .. } => second.unassign(&partitions).expect("unassigned"),
            }
        }
    });
    let Rebalance::Revoke { partitions: gone, lost } = rebalance(&mut first).await else { panic!("a revocation comes") };
    assert!(!lost);
    // What was paused once must not be silent for ever, should it come back.
    first.pause(&gone).expect("paused");
    // Flush and commit belong here, before the answer.
    let done: Vec<_> = gone.iter().map(|partition| TopicOffset { partition: partition.clone(), offset: 10 }).collect();
    first.commit(&done, PATIENCE).await.expect("committed");
    first.unassign(&gone).expect("unassigned");
    let (left, leaves) = tokio::sync::oneshot::channel();
    let first_keeps = tokio::spawn(async move {
        let mut builder = BatchBuilder::default();
        let mut leaves = std::pin::pin!(leaves);
        let mut partitions_seen = std::collections::BTreeSet::new();
        let mut has_left = false;
        let deadline = Instant::now() + PATIENCE;
        // Once the other has left, both partitions are this one's again, and give what is written then.
        while partitions_seen.len() < 2 {
            assert!(Instant::now() < deadline, "a partition stays silent: {partitions_seen:?}");
            let soon = Instant::now() + Duration::from_millis(50);
            let filled = first.fill(&mut builder, BatchLimits::default(), soon).await.expect("filled");
            // Asked after the records have come: those that count are written after the other has left.
            has_left = has_left || leaves.as_mut().now_or_never().is_some();
            match filled {
                Filled::Rebalance(Rebalance::Assign(given)) => first.assign(&given, &[]).expect("assigned"),
                Filled::Rebalance(Rebalance::Revoke { partitions, .. }) => first.unassign(&partitions).expect("unassigned"),
                Filled::Records if has_left => partitions_seen.extend(builder.finish().partitions),
                Filled::Records => drop(builder.finish()),
                Filled::Idle => {}
            }
        }
    });
    let (mut second, given) = tokio::time::timeout(PATIENCE, joining).await.expect("in time").expect("joined");
    assert_eq!(given.len(), 1);
    second.assign(&given, &[]).expect("assigned");
    // Everything of its partition was committed: nothing is left to read.
    let soon = Instant::now() + Duration::from_millis(300);
    assert_eq!(second.fill(&mut builder, BatchLimits::default(), soon).await, Ok(Filled::Idle));
    second.close(PATIENCE).await;
    left.send(()).expect("told");
    broker.write(&topic, 2, (20..22).map(|value| value.to_string())).await;
    first_keeps.await.expect("both partitions speak again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_an_eager_group_take_turns() {
    takes_turns("range").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_cooperative_group_take_turns() {
    takes_turns("cooperative-sticky").await;
}

#[tokio::test]
async fn a_consumer_closes_even_with_a_rebalance_unanswered() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    for assignor in ["range", "cooperative-sticky"] {
        let mut consumer =
            broker.consumer(&format!("close-{topic}-{assignor}"), &topic, &[("partition.assignment.strategy", assignor)]).await;
        assert!(matches!(rebalance(&mut consumer).await, Rebalance::Assign(_)));
        let closing = Instant::now();
        consumer.close(PATIENCE).await;
        assert!(closing.elapsed() < PATIENCE / 2, "{assignor}: {:?}", closing.elapsed());
    }
}

#[tokio::test]
async fn seek_pause_and_resume_act_on_the_next_record() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    broker.write(&topic, 1, (0..10).map(|value| value.to_string())).await;
    let mut consumer = broker.consumer(&format!("seek-{topic}"), &topic, &[]).await;
    let place = TopicPartition::new(topic.as_str(), 0);
    let mut next = Vec::new();
    while next.len() < 10 {
        next.extend(fill_or_assign(&mut consumer).await.offsets);
    }
    consumer.pause(std::slice::from_ref(&place)).expect("paused");
    consumer.seek(&[TopicOffset { partition: place.clone(), offset: 4 }]).await.expect("sought");
    let mut builder = BatchBuilder::default();
    let soon = Instant::now() + Duration::from_millis(200);
    assert_eq!(consumer.fill(&mut builder, BatchLimits::default(), soon).await, Ok(Filled::Idle));
    consumer.resume(std::slice::from_ref(&place)).expect("resumed");
    assert_eq!(fill_or_assign(&mut consumer).await.offsets.first(), Some(&4));
    consumer.start_commit(vec![TopicOffset { partition: place.clone(), offset: 6 }]);
    let report = loop {
        let soon = Instant::now() + Duration::from_millis(100);
        consumer.fill(&mut builder, BatchLimits::default(), soon).await.expect("filled");
        drop(builder.finish());
        if let Some(report) = consumer.commit_report().await {
            break report;
        }
    };
    assert_eq!((report.offsets, report.result), (vec![TopicOffset { partition: place.clone(), offset: 6 }], Ok(())));
    assert!(consumer.seek(&[TopicOffset { partition: TopicPartition::new("elsewhere", 0), offset: 1 }]).await.is_err());
    consumer.close(PATIENCE).await;

    let mut successor = broker.consumer(&format!("seek-{topic}"), &topic, &[]).await;
    assert_eq!(fill_or_assign(&mut successor).await.offsets.first(), Some(&6));
}

#[tokio::test]
async fn to_resume_what_is_not_paused_skips_nothing() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    broker.write(&topic, 1, (0..100).map(|value| value.to_string())).await;
    let mut consumer = broker.consumer(&format!("resume-{topic}"), &topic, &[]).await;
    let place = TopicPartition::new(topic.as_str(), 0);
    let (mut builder, mut seen) = (BatchBuilder::default(), Vec::new());
    fill_or_assign(&mut consumer).await;
    consumer.seek(&[TopicOffset { partition: place.clone(), offset: 0 }]).await.expect("sought");
    let few = BatchLimits { records: 10, ..BatchLimits::default() };
    while seen.len() < 100 {
        // What librdkafka has fetched of the rest waits in its queue.
        let filled = consumer.fill(&mut builder, few, Instant::now() + PATIENCE).await;
        assert_eq!(filled, Ok(Filled::Records), "{seen:?}");
        seen.extend(builder.finish().offsets);
        consumer.resume(std::slice::from_ref(&place)).expect("resumed");
    }
    assert_eq!(seen, (0..100).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_pattern_finds_topics_that_come_later() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(1).await;
    let pattern = Subscription::pattern(&format!("{topic}|{topic}-later"), &ReservedTopics::default()).expect("a pattern");
    let settings = broker.consumer_settings(&format!("pattern-{topic}"), &[("metadata.max.age.ms", "200")]);
    let mut consumer = SinkConsumer::connect(&settings, pattern).await.expect("a consumer");
    broker.write(&topic, 1, ["a".to_owned()]).await;
    assert_eq!(fill_or_assign(&mut consumer).await.topics, std::slice::from_ref(&topic));
    let later = format!("{topic}-later");
    // Written to, it comes into being.
    broker.write(&later, 1, ["b".to_owned()]).await;
    let mut seen = Vec::new();
    while !seen.contains(&later) {
        seen.extend(fill_or_assign(&mut consumer).await.topics);
    }
    consumer.close(PATIENCE).await;
}

#[test]
fn settings_come_in_layers_and_in_two_languages() {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    let worker = pairs(&[
        ("bootstrap.servers", "b:9092"),
        ("group.id", "connect-cluster"),
        ("offset.storage.topic", "offsets"),
        ("security.protocol", "SASL_SSL"),
        ("producer.linger.ms", "7"),
        ("producer.compression.type", "zstd"),
        ("consumer.fetch.max.wait.ms", "9"),
        ("admin.request.timeout.ms", "1234"),
    ]);
    let config = pairs(&[
        ("producer.override.linger.ms", "3"),
        ("producer.override.buffer.memory", "1048576"),
        ("consumer.override.auto.offset.reset", "none"),
        ("consumer.override.enable.auto.commit", "true"),
        (
            "consumer.override.partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        ),
        ("consumer.override.max.poll.records", "10"),
        ("linger.ms", "99"),
    ]);
    let check = |settings: &ClientSettings, expect: &[(&str, Option<&str>)]| {
        for (key, value) in expect {
            assert_eq!(settings.get(key), *value, "{key} of {settings:?}");
        }
    };
    let producer = ClientSettings::source_producer(&worker, "c", 2, &config).expect("settings");
    check(
        &producer,
        &[
            ("bootstrap.servers", Some("b:9092")),
            ("client.id", Some("connector-producer-c-2")),
            ("linger.ms", Some("3")),
            ("compression.type", Some("zstd")),
            ("acks", Some("all")),
            ("queue.buffering.max.kbytes", Some("1024")),
            // As in Kafka Connect, only admin clients inherit what has no prefix.
            ("security.protocol", None),
            ("group.id", None),
        ],
    );
    let consumer = ClientSettings::sink_consumer(&worker, "c", 0, &config).expect("settings");
    check(
        &consumer,
        &[
            ("group.id", Some("connect-c")),
            ("auto.offset.reset", Some("error")),
            ("enable.auto.commit", Some("false")),
            ("fetch.wait.max.ms", Some("9")),
            ("partition.assignment.strategy", Some("range")),
            ("max.poll.records", None),
        ],
    );
    assert_eq!((consumer.max_poll_records(), producer.max_poll_records()), (Some(10), None));
    let admin = ClientSettings::admin(&worker, "a", &config).expect("settings");
    check(&admin, &[("security.protocol", Some("SASL_SSL")), ("socket.timeout.ms", Some("1234")), ("group.id", None)]);
    let own = ClientSettings::worker_client(ClientKind::Consumer, &worker, "w").expect("settings");
    check(&own, &[("security.protocol", Some("SASL_SSL")), ("group.id", None), ("fetch.wait.max.ms", None)]);
}

#[test]
fn tls_and_logins_are_translated() {
    let check = |given: &[(&str, &str)], expect: &[(&str, &str)]| {
        let mut worker = vec![("bootstrap.servers".to_owned(), "b:1".to_owned())];
        worker.extend(given.iter().map(|(key, value)| (format!("consumer.{key}"), value.to_string())));
        let settings = ClientSettings::sink_consumer(&worker, "c", 0, &[]).expect("settings");
        for (key, value) in expect {
            assert_eq!(settings.get(key), Some(*value), "{key}");
        }
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    };
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"s3cret\";";
    check(
        &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", jaas)],
        &[
            ("sasl.username", "u"),
            ("sasl.password", "s3cret"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
        ],
    );
    check(&[("sasl.username", "u"), ("sasl.password", "s3cret"), ("sasl.mechanisms", "PLAIN")], &[("sasl.username", "u")]);
    check(
        &[
            ("security.protocol", "ssl"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", "/ca"),
            ("ssl.keystore.location", "/me.p12"),
            ("ssl.keystore.password", "s3cret"),
        ],
        &[("ssl.ca.location", "/ca"), ("ssl.keystore.location", "/me.p12"), ("ssl.keystore.password", "s3cret")],
    );
    check(
        &[
            ("security.protocol", "SASL_SSL"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", "/me"),
            ("ssl.endpoint.identification.algorithm", ""),
        ],
        &[("ssl.certificate.location", "/me"), ("ssl.key.location", "/me"), ("ssl.endpoint.identification.algorithm", "none")],
    );
    // Without TLS nothing is made of them: they may be those of the worker's HTTPS listeners.
    let worker = [("bootstrap.servers", "b:1"), ("ssl.truststore.location", "/x.jks"), ("ssl.keystore.location", "/x.jks")];
    let mut worker = worker.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let settings = ClientSettings::worker_client(ClientKind::Admin, &worker, "c").unwrap();
    assert_eq!((settings.get("ssl.ca.location"), settings.get("ssl.keystore.location")), (None, None));
    worker.push(("security.protocol".to_owned(), "SSL".to_owned()));
    assert!(ClientSettings::worker_client(ClientKind::Admin, &worker, "c").is_err());
}

#[test]
fn what_cannot_be_set_is_named_and_never_its_value() {
    let check = |key: &str, value: &str, expect: &str| {
        let config = vec![(format!("consumer.override.{key}"), value.to_owned())];
        let found = ClientSettings::check_overrides(ClientKind::Consumer, &config);
        let [(name, error)] = found.as_slice() else { panic!("{key}: {found:?}") };
        assert_eq!(name, &format!("consumer.override.{key}"));
        let message = error.to_string();
        assert!(message.contains(expect) && !message.contains("s3cret"), "{message}");
    };
    check("fetch.min.byte", "1", "check its spelling");
    check("plugin.library.paths", "/tmp/x.so", "may not be set");
    check("rebalance_cb", "1", "may not be set");
    check("fetch.min.bytes", "many", "not valid");
    check("max.poll.records", "0", "at least 1");
    check("isolation.level", "none", "not valid");
    check("group.protocol", "consumer", "classic");
    check("partition.assignment.strategy", "StickyAssignor", "cooperative-sticky");
    check("ssl.truststore.location", "/x.jks", "PEM");
    check("sasl.kerberos.service.name", "kafka", "Kerberos");
    check("sasl.jaas.config", "s3cret", "control flag");
    check("fetch.max.wait.ms", "soon", "not valid");
    let several = [
        ("ssl.truststore.location", "/ca"),
        ("ssl.truststore.type", "PEM"),
        ("fetch.min.bytes", "x"),
        ("check.crcs", "y"),
        ("z", "1"),
    ];
    let several: Vec<_> = several.iter().map(|(key, value)| (format!("consumer.override.{key}"), value.to_string())).collect();
    let found = ClientSettings::check_overrides(ClientKind::Consumer, &several);
    let mut keys: Vec<_> = found.iter().filter_map(|(name, _)| name.strip_prefix("consumer.override.")).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["check.crcs", "fetch.min.bytes", "z"], "a key is judged beside those that it depends on");
    let none = ClientSettings::sink_consumer(&[], "c", 0, &[]).expect_err("no brokers");
    assert_eq!(none, SettingsError::NoBootstrapServers);
}

#[tokio::test]
async fn topics_and_group_offsets_are_administered() {
    let broker = TestBroker::start().await;
    let topic = broker.topic(2).await;
    let admin = Admin::new(ClientSettings::admin(&broker.worker(), "test", &[]).expect("settings"));
    assert!(!admin.cluster_id().await.expect("an id").is_empty());
    assert_eq!(admin.partitions(&topic).await, Ok(Some(2)));
    assert_eq!(admin.partitions("there-is-none").await, Ok(None));
    assert_eq!(admin.create_topic(&NewTopicSpec::with_defaults(&topic)).await, Ok(false));
    let compacted = NewTopicSpec {
        config: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
        ..NewTopicSpec::with_defaults(format!("{topic}-compacted"))
    };
    assert_eq!(admin.create_topic(&compacted).await, Ok(true));
    let config = admin.topic_config(&compacted.name).await.expect("described");
    assert!(config.contains(&("cleanup.policy".to_owned(), Some("compact".to_owned()))));

    let group = format!("group-{topic}");
    let place = |partition, offset| GroupOffset { partition: TopicPartition::new(topic.as_str(), partition), offset };
    let reads = || Some(Subscription::topics([topic.clone()]).expect("topics"));
    assert_eq!(admin.group_members(&group).await, Ok(None));
    admin.alter_group_offsets(&group, &[place(0, Some(3)), place(1, Some(4))]).await.expect("set");
    let listed = admin.group_offsets(&group, reads()).await.expect("listed");
    assert_eq!(listed.iter().map(|place| (place.partition.partition, place.offset)).collect::<Vec<_>>(), [(0, 3), (1, 4)]);
    admin.alter_group_offsets(&group, &[place(0, None), place(1, Some(5))]).await.expect("set");
    let listed = admin.group_offsets(&group, reads()).await.expect("listed");
    assert_eq!(listed.iter().map(|place| (place.partition.partition, place.offset)).collect::<Vec<_>>(), [(1, 5)]);
    admin.delete_group(&group).await.expect("deleted");
    admin.delete_group(&group).await.expect("deleted already");
    assert_eq!(admin.group_offsets(&group, reads()).await, Ok(vec![]));
}
