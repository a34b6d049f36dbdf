use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::bindings::wit;

type OwnedPayload = (Option<Vec<u8>>, u32);

/// A record that owns its parts, to build batches from.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    topic: String,
    partition: i32,
    timestamp: i64,
    key: OwnedPayload,
    value: OwnedPayload,
    headers: Vec<(String, OwnedPayload)>,
}

pub(crate) fn payload((bytes, schema): &OwnedPayload) -> Payload<'_> {
    Payload { bytes: bytes.as_deref(), schema: SchemaId(*schema) }
}

fn any_payload() -> impl Strategy<Value = OwnedPayload> {
    (option::of(vec(any::<u8>(), 0..20)), prop_oneof![Just(0), Just(1), Just(2), Just(16)])
}

fn any_record() -> impl Strategy<Value = Owned> {
    let header = ("[ab]", any_payload());
    ("[ab]", -1..3, -1_i64..3, any_payload(), any_payload(), vec(header, 0..3))
        .prop_map(|(topic, partition, timestamp, key, value, headers)| Owned { topic, partition, timestamp, key, value, headers })
}

/// Batches in which some columns are needed and some are not.
pub(crate) fn any_records() -> impl Strategy<Value = Vec<Owned>> {
    let mask = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (vec(any_record(), 0..12), mask).prop_map(|(mut records, (keys, headers, partitions, timestamps))| {
        for record in &mut records {
            if !keys {
                record.key = (None, 0);
            }
            if !headers {
                record.headers.clear();
            }
            if !partitions {
                record.partition = -1;
            }
            if !timestamps {
                record.timestamp = -1;
            }
        }
        records
    })
}

pub(crate) fn build(records: &[Owned]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        let headers: Vec<(&str, Payload<'_>)> =
            record.headers.iter().map(|(name, value)| (name.as_str(), payload(value))).collect();
        builder.push(
            &NewRecord::new(&record.topic)
                .partition(record.partition)
                .timestamp(record.timestamp)
                .key(payload(&record.key))
                .value(payload(&record.value))
                .headers(&headers),
        );
    }
    builder.finish().unwrap()
}

proptest! {
    #[test]
    fn what_is_built_is_what_is_read(records in any_records()) {
        let batch = build(&records);
        prop_assert_eq!(batch.len(), records.len());
        prop_assert_eq!(batch.iter().len(), records.len());
        for (index, (view, record)) in batch.iter().zip(&records).enumerate() {
            prop_assert_eq!(view.index(), index);
            prop_assert_eq!(view.topic(), &record.topic);
            prop_assert_eq!(view.partition().unwrap_or(-1), record.partition);
            prop_assert_eq!(view.timestamp().unwrap_or(-1), record.timestamp);
            prop_assert_eq!(view.offset(), None);
            prop_assert_eq!(view.key(), payload(&record.key));
            prop_assert_eq!(view.value(), payload(&record.value));
            let headers: Vec<_> = view.headers().map(|header| (header.name, header.value)).collect();
            let expected: Vec<_> =
                record.headers.iter().map(|(name, value)| (name.as_str(), payload(value))).collect();
            prop_assert_eq!(headers, expected);
        }
    }

    #[test]
    fn columns_that_say_nothing_are_empty(records in any_records()) {
        let columns = build(&records).into_columns();
        let none = |wanted: bool, length: usize| wanted || length == 0;
        prop_assert!(none(records.iter().any(|record| record.key.0.is_some()), columns.key_lengths.len()));
        prop_assert!(none(records.iter().any(|record| record.partition >= 0), columns.partitions.len()));
        prop_assert!(none(records.iter().any(|record| record.timestamp >= 0), columns.timestamps.len()));
        prop_assert!(none(records.iter().any(|record| !record.headers.is_empty()), columns.header_counts.len()));
        prop_assert!(columns.offsets.is_empty());
    }

    #[test]
    fn a_batch_that_was_tampered_with_is_refused_or_read_without_a_panic(
        records in any_records(),
        column in 0_usize..14,
        length in 0_usize..14,
        entry in -3_i32..40,
    ) {
        let mut columns = build(&records).into_columns();
        let bytes = u32::from_ne_bytes(entry.to_ne_bytes());
        match column {
            0 => columns.key_lengths.resize(length, entry),
            1 => columns.value_lengths.resize(length, entry),
            2 => columns.key_schemas.resize(length, bytes),
            3 => columns.value_schemas.resize(length, bytes),
            4 => columns.topic_indexes.resize(length, bytes),
            5 => columns.partitions.resize(length, entry),
            6 => columns.timestamps.resize(length, i64::from(entry)),
            7 => columns.offsets.resize(length, u64::from(bytes)),
            8 => columns.header_counts.resize(length, bytes),
            9 => columns.header_name_indexes.resize(length, bytes),
            10 => columns.header_lengths.resize(length, entry),
            11 => columns.data.resize(length, 0),
            12 => columns.topics.clear(),
            _ => columns.count = entry.unsigned_abs(),
        }
        if let Ok(batch) = Batch::new(columns) {
            let shown = format!("{:?}", batch.iter().collect::<Vec<_>>());
            prop_assert!(shown.len() > 1);
        }
    }
}

#[test]
fn says_what_is_wrong_with_a_batch() {
    fn check(change: fn(&mut wit::Batch), expected: &str) {
        let mut builder = BatchBuilder::default();
        let headers = [("h", Payload::text("x"))];
        builder.push(&NewRecord::new("t").key("k").value("v").headers(&headers));
        let mut columns = builder.finish().unwrap().into_columns();
        change(&mut columns);
        let error = Batch::new(columns).unwrap_err();
        assert_eq!(error.to_string(), format!("malformed batch: {expected}"));
    }
    check(|columns| columns.offsets = vec![1, 2], "offsets has 2 entries, not 1");
    check(|columns| columns.header_lengths.clear(), "header-lengths has 0 entries, not 1");
    check(|columns| columns.topics.clear(), "it has records but no topic");
    check(|columns| columns.topic_indexes = vec![1], "a topic index points outside the topics");
    check(|columns| columns.header_names.clear(), "a header name index points outside the header names");
    check(|columns| columns.key_lengths = vec![-2], "a length is -2");
    check(|columns| columns.data.push(0), "its lengths add up to 3 bytes, but it has 4");
}

#[test]
fn is_full_at_its_limits() {
    let mut builder = BatchBuilder::default();
    for _ in 0..MAX_RECORDS {
        assert!(!builder.is_full());
        builder.push(&NewRecord::new("t"));
    }
    assert!(builder.is_full());
    let mut builder = BatchBuilder::default();
    builder.push(&NewRecord::new("t").value(vec![0; MAX_BYTES].as_slice()));
    assert!(builder.is_full());
}

#[test]
fn writes_json_straight_into_the_batch() {
    let mut builder = BatchBuilder::default();
    builder.push_json(&NewRecord::new("t").key("k"), &serde_json::json!({"a": [1]})).unwrap();
    builder.push_structured(&NewRecord::new("t"), SchemaId(16), "x").unwrap();
    let batch = builder.finish().unwrap();
    let values: Vec<_> = batch.iter().map(|record| (record.value().as_str().unwrap(), record.value().schema)).collect();
    assert_eq!(values, [(r#"{"a":[1]}"#, SchemaId::JSON), (r#""x""#, SchemaId(16))]);
}

#[test]
fn payloads_read_as_types_that_borrow() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Person<'a> {
        name: &'a str,
    }
    assert_eq!(Payload::json(r#"{"name":"Ada","x":1}"#).parse::<Person<'_>>().unwrap(), Person { name: "Ada" });
    assert_eq!(Payload::NULL.parse::<Option<Person<'_>>>().unwrap(), None);
    assert!(Payload::json("{").parse::<Person<'_>>().is_err());
}
