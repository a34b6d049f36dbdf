//! Converters. `decode`: bytes as they may stand on a topic. `encode`: payloads as a plugin may give them, with a schema that
//! is itself any text. The first byte chooses the converter and its configuration.
//!
//! What was decoded must encode again, whatever the converter made of it, and a batch that comes out keeps the rules.

use std::cell::RefCell;
use std::sync::Arc;

use hawser::convert::{Converted, Converters};
use hawser::record::{Batch, BatchBuilder, HeaderRef, Record, SchemaTable};

use crate::pairs;

const CLASSES: [&str; 9] = ["Boolean", "ByteArray", "Double", "Float", "Integer", "Long", "Short", "Json", "String"];
/// Configurations of the JsonConverter, others ignore them.
const SETTINGS: [&[(&str, &str)]; 4] = [
    &[("schemas.enable", "true")],
    &[("schemas.enable", "false")],
    &[("schemas.enable", "true"), ("decimal.format", "NUMERIC"), ("replace.null.with.default", "false")],
    &[("schemas.enable", "false"), ("decimal.format", "NUMERIC"), ("replace.null.with.default", "false")],
];

/// Converters are costly to make, and keep what they learnt between batches: so do these.
struct Bench {
    schemas: Arc<SchemaTable>,
    converters: Vec<Converters>,
    puts: usize,
}

impl Bench {
    fn new() -> Bench {
        let schemas = Arc::new(SchemaTable::default());
        for schema in [
            r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"bytes","optional":true,"field":"b"}],"optional":false}"#,
            r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"double","optional":true},"optional":true}"#,
            r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"optional":true}"#,
            r#"{"type":"array","items":{"type":"string"},"default":["x"],"optional":true}"#,
        ] {
            schemas.put(schema).expect("a schema");
        }
        let converters = CLASSES.iter().flat_map(|class| SETTINGS.map(|settings| make(class, settings, &schemas))).collect();
        Bench { schemas, converters, puts: 0 }
    }
}

fn make(class: &str, settings: &[(&str, &str)], schemas: &Arc<SchemaTable>) -> Converters {
    let mut config = pairs(&[("key.converter", class), ("value.converter", class)]);
    let simple = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
    config.push(("header.converter".to_owned(), if class == "ByteArray" { class } else { simple }.to_owned()));
    if class == "Json" {
        for (key, value) in settings {
            config.push((format!("key.converter.{key}"), (*value).to_owned()));
            config.push((format!("value.converter.{key}"), (*value).to_owned()));
        }
    }
    Converters::from_config(&config, &[], schemas).expect("converters")
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

fn with_bench(work: impl FnOnce(&mut Bench)) {
    BENCH.with_borrow_mut(|bench| {
        // A table holds so many schemas; then a task, and this, begins anew.
        bench.puts += 1;
        if bench.puts > 5_000 {
            *bench = Bench::new();
        }
        work(bench);
    });
}

const NO_REGISTRY: &str = "these converters have no registry to wait for";

pub fn decode(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    with_bench(|bench| {
        let chosen = usize::from(*choice) % bench.converters.len();
        let mut batch = BatchBuilder::default();
        let header = HeaderRef { name: "h", value: Some(bytes), schema: 0 };
        batch.push(Record { topic: "t", key: None, value: Some(bytes), offset: Some(1), ..Record::default() }, [header]);
        let batch = batch.finish();
        let converter = &mut bench.converters[chosen];
        let decoded = converter.try_decode(batch.clone()).expect(NO_REGISTRY);
        checked(&batch, &decoded);
        let encoded = converter.try_encode(decoded.batch.clone()).expect(NO_REGISTRY);
        checked(&decoded.batch, &encoded);
        let again = converter.try_decode(encoded.batch.clone()).expect(NO_REGISTRY);
        checked(&encoded.batch, &again);
        assert!(again.failures.is_empty(), "what was written is not read: {:?}", again.failures);
    });
}

pub fn encode(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (schema, payload) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    with_bench(|bench| {
        let chosen = usize::from(*choice) % bench.converters.len();
        let known = 16 + u32::from(*choice) % 4;
        let put = std::str::from_utf8(schema).ok().and_then(|schema| bench.schemas.put(schema).ok()).unwrap_or(known);
        let mut batch = BatchBuilder::default();
        for (schema, payload) in [(put, Some(payload)), (put, None), (1, Some(payload)), (2, Some(payload)), (0, Some(payload))] {
            let header = HeaderRef { name: "h", value: payload, schema };
            let record = Record {
                topic: "t",
                value: payload,
                value_schema: schema,
                key: payload,
                key_schema: schema,
                ..Record::default()
            };
            batch.push(record, [header]);
        }
        let batch = batch.finish();
        let encoded = bench.converters[chosen].try_encode(batch.clone()).expect(NO_REGISTRY);
        checked(&batch, &encoded);
    });
}

/// A batch through all converters, both ways.
pub fn through_all(batch: &Batch) {
    with_bench(|bench| {
        for converter in &mut bench.converters {
            checked(batch, &converter.try_encode(batch.clone()).expect(NO_REGISTRY));
            checked(batch, &converter.try_decode(batch.clone()).expect(NO_REGISTRY));
        }
    });
}

/// No record is lost or doubled, and the batch keeps the rules.
fn checked(batch: &Batch, converted: &Converted) {
    assert_eq!(converted.batch.validate(), Ok(()));
    assert_eq!(converted.batch.len() + converted.failures.len(), batch.len());
    let mut places: Vec<_> = (0..converted.batch.len()).map(|index| converted.origin(index)).collect();
    assert!(places.is_sorted());
    places.extend(converted.failures.iter().map(|failure| failure.index as usize));
    places.sort_unstable();
    assert!(places.into_iter().eq(0..batch.len()), "each record came out or failed, once");
}
