//! Properties of batches.

use hawser::record::{Batch, BatchBuilder, HeaderRef, Record};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Bytes = Option<Vec<u8>>;

#[derive(Debug, Clone)]
struct Owned {
    topic: String,
    partition: i32,
    timestamp: i64,
    key: (Bytes, u32),
    value: (Bytes, u32),
    headers: Vec<(String, Bytes, u32)>,
}

fn bytes() -> impl Strategy<Value = Bytes> {
    option::weighted(0.7, vec(any::<u8>(), 0..9))
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0u32), 1 => any::<u32>()]
}

fn records() -> impl Strategy<Value = (Vec<Owned>, bool)> {
    let header = ("[a-c]", bytes(), id());
    let record = ("[a-c]", -1..3i32, -1..9i64, (bytes(), id()), (bytes(), id()), vec(header, 0..4));
    let record = record.prop_map(|(topic, partition, timestamp, key, value, headers)| Owned {
        topic,
        partition,
        timestamp,
        key,
        value,
        headers,
    });
    (vec(record, 0..9), any::<bool>())
}

fn batch_of(records: &[Owned], with_offsets: bool) -> Batch {
    let mut builder = BatchBuilder::default();
    for (offset, record) in (0..).zip(records) {
        let headers =
            record.headers.iter().map(|(name, value, schema)| HeaderRef { name, value: value.as_deref(), schema: *schema });
        builder.push(
            Record {
                topic: &record.topic,
                partition: record.partition,
                timestamp: record.timestamp,
                offset: with_offsets.then_some(offset),
                key: record.key.0.as_deref(),
                key_schema: record.key.1,
                value: record.value.0.as_deref(),
                value_schema: record.value.1,
            },
            headers,
        );
    }
    builder.finish()
}

fn arbitrary_batch() -> impl Strategy<Value = Batch> {
    let lengths = || vec(prop_oneof![4 => -1..4i32, 1 => any::<i32>()], 0..5);
    let places = || vec(prop_oneof![4 => 0..3u32, 1 => any::<u32>()], 0..5);
    let first = (prop_oneof![4 => 0..5u32, 1 => any::<u32>()], vec(any::<u8>(), 0..12), lengths(), lengths(), places(), places());
    let second = (vec("[ab]", 0..3), places(), vec(-2..3i32, 0..5), vec(-2..3i64, 0..5), vec(0..3u64, 0..5));
    let third = (places(), vec("[ab]", 0..3), places(), lengths(), places());
    (first, second, third).prop_map(|(first, second, third)| Batch {
        count: first.0,
        data: first.1,
        key_lengths: first.2,
        value_lengths: first.3,
        key_schemas: first.4,
        value_schemas: first.5,
        topics: second.0,
        topic_indexes: second.1,
        partitions: second.2,
        timestamps: second.3,
        offsets: second.4,
        header_counts: third.0,
        header_names: third.1,
        header_name_indexes: third.2,
        header_lengths: third.3,
        header_schemas: third.4,
    })
}

/// Walks everything in a batch, at most `records` of it; answers the bytes seen.
fn walk(batch: &Batch, records: usize) -> usize {
    let bytes = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let mut seen = 0;
    for record in batch.records().take(records) {
        let _ =
            (record.topic(), record.partition(), record.timestamp(), record.offset(), record.key_schema(), record.value_schema());
        seen += bytes(record.key) + bytes(record.value);
        seen += record.headers().map(|header| bytes(header.value)).sum::<usize>();
    }
    seen
}

proptest! {
    #[test]
    fn what_is_built_is_read_back((records, with_offsets) in records()) {
        let batch = batch_of(&records, with_offsets);
        prop_assert_eq!(batch.validate(), Ok(()));
        prop_assert_eq!(batch.len(), records.len());
        prop_assert_eq!(walk(&batch, usize::MAX), batch.data.len());
        for (offset, (view, record)) in (0..).zip(batch.records().zip(&records)) {
            prop_assert_eq!((view.topic(), view.partition(), view.timestamp()), (record.topic.as_str(), record.partition, record.timestamp));
            prop_assert_eq!(view.offset(), with_offsets.then_some(offset));
            prop_assert_eq!((view.key, view.key_schema()), (record.key.0.as_deref(), record.key.1));
            prop_assert_eq!((view.value, view.value_schema()), (record.value.0.as_deref(), record.value.1));
            let headers: Vec<_> = view.headers().map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec), header.schema)).collect();
            prop_assert_eq!(&headers, &record.headers);
        }
    }

    #[test]
    fn arbitrary_columns_never_panic(batch in arbitrary_batch()) {
        let seen = walk(&batch, 1000);
        if batch.validate().is_ok() && batch.count < 1000 {
            prop_assert_eq!(seen, batch.data.len());
        }
    }
}
