//! Properties of converters that need no JVM to be checked.

use hawser::convert::Converters;
use hawser::convert::data::{Schema, Value, json::Node, read::Reader};
use hawser::record::{BatchBuilder, HeaderRef, Record};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::generate::{self, ANY};
use crate::{CONVERTERS, JSON, SIMPLE_HEADER, Subject};

fn any_converter() -> impl Strategy<Value = (&'static str, bool, &'static str)> {
    let of_records = (select(CONVERTERS), any::<bool>()).prop_map(|((class, properties), header)| (class, header, properties));
    prop_oneof![8 => of_records, 1 => Just((SIMPLE_HEADER, true, ""))]
}

/// Bytes of any kind, most of them close to what some converter reads.
fn any_bytes() -> BoxedStrategy<Vec<u8>> {
    let envelope = generate::record(ANY).prop_map(|(schema, payload)| envelope(&schema, &payload).into_bytes());
    prop_oneof![
        vec(any::<u8>(), 0..20),
        generate::damaged(envelope.boxed()),
        generate::damaged(generate::json(4).prop_map(String::into_bytes).boxed()),
        generate::damaged(generate::header_text().prop_map(String::into_bytes).boxed()),
    ]
    .boxed()
}

pub fn envelope(schema: &Schema, payload: &str) -> String {
    format!("{{\"schema\":{},\"payload\":{payload}}}", schema.to_json(false))
}

proptest! {
    #[test]
    fn no_bytes_make_a_converter_panic((class, header, properties) in any_converter(), bytes in option::weighted(0.95, any_bytes())) {
        let mut subject = Subject::new(class, header, properties);
        if let Ok((schema, payload)) = subject.decode(bytes.as_deref()) {
            if schema >= 16 {
                prop_assert!(subject.schemas.get(schema).is_some());
            }
            // What a converter made of a topic, a plugin may give back.
            let _ = subject.encode(schema, payload.as_deref());
        }
    }

    #[test]
    fn no_payload_makes_a_converter_panic(
        (class, header, properties) in any_converter(),
        (schema, payload) in generate::record(ANY),
        id in select(vec![0, 1, 2, 3, 15, 16, 17, 18, 999, u32::MAX]),
        bytes in option::weighted(0.95, any_bytes()),
        own in any::<bool>(),
    ) {
        let mut subject = Subject::new(class, header, properties);
        let known = subject.schemas.put(&schema.to_json(false)).unwrap();
        subject.schemas.put("no schema").unwrap();
        let (id, bytes) = if own { (known, Some(payload.into_bytes())) } else { (id, bytes) };
        let _ = subject.encode(id, bytes.as_deref());
    }

    #[test]
    fn envelopes_come_back_as_they_went((schema, payload) in generate::record(ANY)) {
        let mut subject = Subject::new(JSON, false, "replace.null.with.default=false");
        let id = subject.schemas.put(&schema.to_json(false)).unwrap();
        let written = subject.encode(id, Some(payload.as_bytes())).unwrap().1.unwrap();
        prop_assert_eq!(std::str::from_utf8(&written).unwrap(), envelope(&schema, &payload));
        let expect = Some(payload.into_bytes()).filter(|payload| payload != b"null");
        // The second time the schema is known by its spelling.
        for _ in 0..2 {
            let (read_id, read) = subject.decode(Some(&written)).unwrap();
            prop_assert_eq!((read_id, &read), (id, &expect));
        }
    }

    #[test]
    fn schemas_come_back_as_they_went(schema in generate::schema(ANY)) {
        let text = schema.to_json(false);
        prop_assert_eq!(Schema::parse(&text).unwrap(), schema);
    }

    #[test]
    fn numeric_decimals_come_back((schema, payload) in generate::record(ANY)) {
        let mut numeric = Subject::new(JSON, false, "decimal.format=NUMERIC;replace.null.with.default=false");
        let id = numeric.schemas.put(&schema.to_json(false)).unwrap();
        let written = numeric.encode(id, Some(payload.as_bytes())).unwrap().1.unwrap();
        let (_, read) = numeric.decode(Some(&written)).unwrap();
        prop_assert_eq!(read, Some(payload.into_bytes()).filter(|payload| payload != b"null"));
    }

    #[test]
    fn text_comes_back(text in generate::text(), header in any::<bool>()) {
        let mut subject = Subject::new("String", header, "");
        prop_assert_eq!(subject.encode(1, Some(text.as_bytes())), Ok((0, Some(text.clone().into_bytes()))));
        prop_assert_eq!(subject.decode(Some(text.as_bytes())), Ok((1, Some(text.clone().into_bytes()))));
        let mut utf16 = Subject::new("String", header, "converter.encoding=UTF-16LE");
        let wide = utf16.encode(1, Some(text.as_bytes())).unwrap().1.unwrap();
        prop_assert_eq!(utf16.decode(Some(&wide)), Ok((1, Some(text.into_bytes()))));
    }

    #[test]
    fn fixed_width_values_come_back(bytes in vec(any::<u8>(), 8)) {
        for (class, width) in [("Short", 2), ("Integer", 4), ("Long", 8), ("Float", 4), ("Double", 8)] {
            let mut subject = Subject::new(class, false, "");
            let bytes = &bytes[..width];
            let (id, payload) = subject.decode(Some(bytes)).unwrap();
            let back = subject.encode(id, payload.as_deref()).unwrap().1.unwrap();
            // All NaNs are one in JSON.
            if !payload.unwrap().starts_with(b"\"NaN") {
                prop_assert_eq!(back, bytes);
            }
        }
    }

    #[test]
    fn plain_json_is_kept_as_it_is(json in generate::json(4)) {
        let mut subject = Subject::new(JSON, false, "schemas.enable=false;validate=always");
        let spaced = format!(" {json}\n").into_bytes();
        prop_assert_eq!(subject.decode(Some(&spaced)), Ok((2, Some(spaced.clone()))));
        prop_assert_eq!(subject.encode(2, Some(&spaced)), Ok((0, Some(spaced))));
    }

    #[test]
    fn header_text_that_is_text_comes_back(text in generate::header_text()) {
        let mut subject = Subject::new(SIMPLE_HEADER, true, "");
        match subject.decode(Some(text.as_bytes())).unwrap() {
            (1, payload) => {
                prop_assert_eq!(payload.as_deref(), Some(text.as_bytes()));
                prop_assert_eq!(subject.encode(1, payload.as_deref()), Ok((0, payload)));
            }
            (2, payload) => prop_assert!(Node::parse(std::str::from_utf8(&payload.unwrap()).unwrap()).is_some()),
            (0, payload) => prop_assert_eq!(payload, None),
            (id, payload) => {
                // What is said to follow a schema does.
                let schema = Schema::parse(&subject.schemas.get(id).unwrap()).unwrap();
                let payload = String::from_utf8(payload.unwrap()).unwrap();
                let value = Reader::of_plugin(false).read(&schema, Some(&Node::parse(&payload).unwrap()));
                prop_assert!(matches!(value, Ok(value) if value != Value::Null));
            }
        }
    }

    /// A batch is converted as its records are one by one, whatever can be handed on untouched.
    #[test]
    fn a_batch_is_converted_as_its_records_are(
        classes in (select(CONVERTERS), select(CONVERTERS), any_converter()),
        rows in vec((option::of(any_bytes()), option::of(any_bytes()), vec(("[ab]", option::of(any_bytes())), 0..3)), 0..6),
        encode in any::<bool>(),
    ) {
        let ((key, key_properties), (value, value_properties), (header, _, header_properties)) = classes;
        let mut config = Vec::new();
        for (role, class, properties) in [("key", key, key_properties), ("value", value, value_properties), ("header", header, header_properties)] {
            config.push((format!("{role}.converter"), class.to_owned()));
            config.extend(properties.split_terminator(';').filter_map(|property| property.split_once('=')).map(|(name, value)| {
                (format!("{role}.converter.{name}"), value.to_owned())
            }));
        }
        let schemas = Default::default();
        let mut converters = Converters::from_config(&config, &[], &schemas).unwrap();
        let push = |builder: &mut BatchBuilder, place: usize| {
            let (key, value, headers) = &rows[place];
            let headers = headers.iter().map(|(name, value)| HeaderRef { name, value: value.as_deref(), schema: 1 });
            let record = Record { topic: "t", partition: place as i32, offset: Some(place as u64), timestamp: 7, key_schema: 2, ..Record::default() };
            builder.push(Record { key: key.as_deref(), value: value.as_deref(), ..record }, headers);
        };
        let mut convert = |batch| if encode { converters.try_encode(batch).unwrap() } else { converters.try_decode(batch).unwrap() };
        let mut builder = BatchBuilder::default();
        (0..rows.len()).for_each(|place| push(&mut builder, place));
        let together = convert(builder.finish());
        prop_assert_eq!(together.batch.validate(), Ok(()));
        let mut expect = BatchBuilder::default();
        let mut failures = Vec::new();
        let mut origins = Vec::new();
        for place in 0..rows.len() {
            push(&mut builder, place);
            let alone = convert(builder.finish());
            failures.extend(alone.failures.into_iter().map(|failure| (place as u32, failure.stage, failure.class, failure.error)));
            if let Some(record) = alone.batch.records().next() {
                origins.push(place);
                expect.push(record.into(), record.headers());
            }
        }
        let found: Vec<_> = together.failures.iter().map(|failure| (failure.index, failure.stage, failure.class, failure.error.clone())).collect();
        prop_assert_eq!(found, failures);
        let expect = expect.finish();
        prop_assert_eq!(together.batch.len(), expect.len());
        for (place, (found, expect)) in together.batch.records().zip(expect.records()).enumerate() {
            prop_assert_eq!(together.origin(place), origins[place]);
            prop_assert_eq!((found.key, found.key_schema(), found.value, found.value_schema()), (expect.key, expect.key_schema(), expect.value, expect.value_schema()));
            prop_assert_eq!((found.partition(), found.offset(), found.timestamp()), (expect.partition(), expect.offset(), expect.timestamp()));
            prop_assert_eq!(found.headers().collect::<Vec<_>>(), expect.headers().collect::<Vec<_>>());
        }
    }
}
