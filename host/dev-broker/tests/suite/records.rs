//! Producing and consuming.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    messages::{
        FetchRequest, InitProducerIdRequest, ProduceRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer},
    types::RDKafkaErrorCode as Code,
};

use crate::{
    common::*,
    raw::{Raw, text},
};

pub fn order_is_kept(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let producer = producer(bootstrap, &[("linger.ms", "5")]);
    for number in 0..50_000_u32 {
        let partition = i32::try_from(number % 4).unwrap();
        let value = number.to_string();
        send(&producer, BaseRecord::to(&topic).partition(partition).payload(value.as_bytes()));
    }
    producer.flush(PATIENCE).unwrap();
    let records = read_all(bootstrap, &topic);
    let mut next: HashMap<i32, (i64, u32)> = (0..4).map(|p| (p, (0, p as u32))).collect();
    for record in &records {
        let (offset, number) = next.get_mut(&record.partition).unwrap();
        assert_eq!((record.offset, record.value.clone()), (*offset, Some(number.to_string())));
        (*offset, *number) = (*offset + 1, *number + 4);
    }
    assert_eq!(records.len(), 50_000);
}

pub fn headers_keys_and_tombstones(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let producer = producer(bootstrap, &[]);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "a", value: Some("1") })
        .insert(Header { key: "a", value: Some("2") })
        .insert(Header { key: "none", value: None::<&str> })
        .insert(Header { key: "empty", value: Some("") });
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic).key(&b"k"[..]).payload(&b"v"[..]).headers(headers);
    send(&producer, record);
    send(&producer, BaseRecord::to(&topic).key(b"k"));
    send(&producer, BaseRecord::to(&topic).payload(b"no key"));
    send(&producer, BaseRecord::to(&topic).key(&b""[..]).payload(&b""[..]));
    producer.flush(PATIENCE).unwrap();
    let records = read_all(bootstrap, &topic);
    let seen: Vec<_> = records.iter().map(|r| (r.key.as_deref(), r.value.as_deref())).collect();
    assert_eq!(seen, [(Some("k"), Some("v")), (Some("k"), None), (None, Some("no key")), (Some(""), Some(""))]);
    let header = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let expect = [header("a", Some("1")), header("a", Some("2")), header("none", None), header("empty", Some(""))];
    assert_eq!(records[0].headers, expect);
}

pub fn timestamps(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let producer = producer(bootstrap, &[]);
    let base = now_ms() - 60_000;
    for i in 0..10 {
        send(&producer, BaseRecord::to(&topic).timestamp(base + i * 100).payload(b"x"));
        producer.flush(PATIENCE).unwrap();
    }
    let read: Vec<_> = read_all(bootstrap, &topic).iter().map(|r| r.timestamp - base).collect();
    assert_eq!(read, (0..10).map(|i| i * 100).collect::<Vec<_>>());

    send(&producer, BaseRecord::to(&topic).timestamp(now_ms() + 7_200_000).payload(b"from the future"));
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.context().take().last(), Some(&Err(Code::InvalidTimestamp)));

    let consumer = consumer(bootstrap, &unique("group"), &[]);
    let find = |timestamp| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(timestamp)).unwrap();
        let list = consumer.offsets_for_times(list, PATIENCE).unwrap();
        list.find_partition(&topic, 0).unwrap().offset()
    };
    assert_eq!(find(base), Offset::Offset(0));
    assert_eq!(find(base + 301), Offset::Offset(4));
    assert_eq!(find(base + 900), Offset::Offset(9));
    assert_eq!(find(base + 901), Offset::End);
}

pub fn append_time(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    let producer = producer(bootstrap, &[("compression.codec", "lz4")]);
    send(&producer, BaseRecord::to(&topic).timestamp(1000).payload(b"x"));
    producer.flush(PATIENCE).unwrap();
    let timestamp = read_all(bootstrap, &topic)[0].timestamp;
    assert!((before - 1000..=now_ms() + 1000).contains(&timestamp), "{timestamp}");
}

pub fn every_codec(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut expect = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = producer(bootstrap, &[("compression.codec", codec), ("linger.ms", "20")]);
        for i in 0..500 {
            let value = format!("{codec} {i} {}", "x".repeat(100));
            send(&producer, BaseRecord::to(&topic).payload(value.as_bytes()));
            expect.push(value);
        }
        producer.flush(PATIENCE).unwrap();
    }
    assert_eq!(values(&read_with(bootstrap, &topic, &[("check.crcs", "true")])), expect);
}

pub fn large_records(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("max.message.bytes", "12000000")]);
    let producer = producer(bootstrap, &[("message.max.bytes", "12000000")]);
    let sizes = [1_000_000, 5_000_000, 10_000_000, 10];
    for size in sizes {
        let value = vec![b'x'; size];
        send(&producer, BaseRecord::to(&topic).payload(&value));
        producer.flush(PATIENCE).unwrap();
    }
    // Smaller than the records: the first batch must come all the same.
    let settings = [("fetch.message.max.bytes", "1000"), ("receive.message.max.bytes", "100000000")];
    let read: Vec<_> = read_with(bootstrap, &topic, &settings).iter().map(|r| r.value.as_ref().unwrap().len()).collect();
    assert_eq!(read, sizes);
}

pub fn too_large_is_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("max.message.bytes", "2000")]);
    let small = "s".repeat(1000);
    let large = "l".repeat(3000);
    assert_eq!(put(bootstrap, &topic, 0, &[(None, Some(&small))]), [Ok((0, 0))]);
    assert_eq!(put(bootstrap, &topic, 0, &[(None, Some(&large))]), [Err(Code::MessageSizeTooLarge)]);
    assert_eq!(put(bootstrap, &topic, 0, &[(None, Some(&small))]), [Ok((0, 1))]);
}

pub fn end_of_partition(bootstrap: &str) {
    let topic = topic(bootstrap, 3, &[]);
    put_numbers(bootstrap, &topic, 1, 0..10);
    let records = read_all(bootstrap, &topic);
    assert_eq!(records.iter().filter(|r| r.partition == 1).count(), 10);
}

pub fn offsets_and_watermarks(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &topic, 0, 0..1000);
    let consumer = consumer(bootstrap, &unique("group"), &[("enable.partition.eof", "true")]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, PATIENCE).unwrap(), (0, 1000));
    assign_from(&consumer, &topic, 1, Offset::Offset(990));
    assert_eq!(values(&read_to_end(&consumer, 1)).len(), 10);
    consumer.seek(&topic, 0, Offset::Offset(5), PATIENCE).unwrap();
    let records = read_to_end(&consumer, 1);
    assert_eq!((records[0].offset, records.len()), (5, 995));
    assign_from(&consumer, &topic, 1, Offset::End);
    assert_eq!(read_to_end(&consumer, 1), []);
    assign_from(&consumer, &topic, 1, Offset::OffsetTail(3));
    assert_eq!(values(&read_to_end(&consumer, 1)), ["997", "998", "999"]);
}

pub fn out_of_range_resets(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &topic, 0, 0..10);
    let consumer = consumer(bootstrap, &unique("group"), &[("enable.partition.eof", "true")]);
    assign_from(&consumer, &topic, 1, Offset::Offset(12_345));
    assert_eq!(read_to_end(&consumer, 1).len(), 10);

    let strict = crate::common::consumer(bootstrap, &unique("group"), &[("auto.offset.reset", "error")]);
    assign_from(&strict, &topic, 1, Offset::Offset(12_345));
    let error = wait_for("the reset error", || strict.poll(POLL).map(|polled| polled.map(drop).unwrap_err()));
    assert!(matches!(error, KafkaError::MessageConsumption(Code::AutoOffsetReset)), "{error:?}");
}

pub fn records_are_deleted(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    put_numbers(bootstrap, &topic, 0, 0..100);
    put_numbers(bootstrap, &topic, 1, 0..100);
    let delete = |partition, offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, offset).unwrap();
        let list = block_on(admin(bootstrap).delete_records(&list, &admin_options())).unwrap();
        let element = list.find_partition(&topic, partition).unwrap();
        element.error().map(|()| element.offset()).map_err(|e| e.rdkafka_error_code().unwrap())
    };
    assert_eq!(delete(0, Offset::Offset(42)), Ok(Offset::Offset(42)));
    assert_eq!(delete(1, Offset::End), Ok(Offset::Offset(100)));
    assert_eq!(delete(0, Offset::Offset(1000)), Err(Code::OffsetOutOfRange));
    let records = read_all(bootstrap, &topic);
    assert_eq!((records[0].offset, records.len()), (42, 58));
    assert_eq!(put(bootstrap, &topic, 1, &[(None, Some("next"))]), [Ok((1, 100))]);
}

pub fn idempotent_producers(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let producer = producer(bootstrap, &[("enable.idempotence", "true"), ("linger.ms", "1")]);
    for number in 0..100_000_i32 {
        let value = number.to_string();
        send(&producer, BaseRecord::to(&topic).partition(number % 2).payload(value.as_bytes()));
    }
    producer.flush(PATIENCE).unwrap();
    assert!(producer.context().take().iter().all(Result::is_ok));
    let records = read_all(bootstrap, &topic);
    for partition in 0..2 {
        let numbers: Vec<_> = records.iter().filter(|r| r.partition == partition).map(|r| r.value.clone()).collect();
        let expect: Vec<_> = (0..50_000).map(|i| Some((2 * i + partition).to_string())).collect();
        assert!(numbers == expect);
    }
}

/// One batch of an idempotent producer as a produce request.
fn produce_request(topic: &str, producer_id: i64, epoch: i16, sequence: i32, count: i32) -> ProduceRequest {
    let records: Vec<_> = (0..count)
        .map(|i| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch: epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(i),
            sequence: sequence + i,
            timestamp: now_ms(),
            key: None,
            value: Some(Bytes::from_static(b"v")),
            headers: IndexMap::new(),
        })
        .collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, &records, &options).unwrap();
    let partition = PartitionProduceData::default().with_records(Some(batch.freeze()));
    let topic = TopicProduceData::default().with_name(text(topic).into()).with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

pub fn repeated_batches_are_recognised(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000);
    let id = *raw.call(&request, 4).producer_id;
    let mut put = |epoch, sequence, count| {
        let response = raw.call(&produce_request(&topic, id, epoch, sequence, count), 9);
        let partition = &response.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    };
    assert_eq!(put(0, 0, 10), (0, 0));
    assert_eq!(put(0, 10, 5), (0, 10));
    assert_eq!(put(0, 0, 10), (0, 0), "a repetition of the first");
    assert_eq!(put(0, 10, 5), (0, 10), "a repetition of the second");
    assert_eq!(put(0, 20, 1), (45, -1), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert_eq!(put(1, 0, 1), (0, 15), "a new epoch begins at 0");
    assert_eq!(put(0, 15, 1), (47, -1), "INVALID_PRODUCER_EPOCH");
    assert_eq!(read_all(bootstrap, &topic).len(), 16);

    let fetched = TopicName::from(text(&topic));
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(fetched).with_partitions(vec![partition]);
    for version in 4..=12 {
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![topic.clone()]);
        let response = raw.call(&request, version);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (0, 16), "fetch version {version}");
        assert!(!partition.records.as_ref().unwrap().is_empty());
    }
}

pub fn compacted_topics_want_keys(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("cleanup.policy", "compact")]);
    for codec in ["none", "zstd"] {
        let producer = producer(bootstrap, &[("compression.codec", codec)]);
        let long = "x".repeat(1000);
        assert_eq!(put_with(&producer, &topic, 0, &[(None, Some(&long))]), [Err(Code::InvalidRecord)]);
        assert!(put_with(&producer, &topic, 0, &[(Some("k"), Some(&long))])[0].is_ok());
    }
}
