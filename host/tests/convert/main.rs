//! The data side of Kafka Connect's contract: property tests of batches and converters, and comparisons with Kafka's own classes and
//! those of Avro, Protobuf and JSON Schema.

#![cfg(test)]

mod formats;
mod generate;
mod kafka;
mod properties;
mod records;
mod schemas;

use std::sync::Arc;

use hawser::convert::{Converted, Converters};
use hawser::record::{Batch, BatchBuilder, HeaderRef, Record, SchemaId, SchemaTable};

/// Every converter of keys and values, with the configurations that change what it does.
const CONVERTERS: &[(&str, &str)] = &[
    ("org.apache.kafka.connect.converters.ByteArrayConverter", ""),
    ("org.apache.kafka.connect.storage.StringConverter", ""),
    ("org.apache.kafka.connect.storage.StringConverter", "converter.encoding=ISO-8859-1"),
    ("org.apache.kafka.connect.storage.StringConverter", "converter.encoding=UTF-16"),
    ("org.apache.kafka.connect.converters.BooleanConverter", ""),
    ("org.apache.kafka.connect.converters.ShortConverter", ""),
    ("org.apache.kafka.connect.converters.IntegerConverter", ""),
    ("org.apache.kafka.connect.converters.LongConverter", ""),
    ("org.apache.kafka.connect.converters.FloatConverter", ""),
    ("org.apache.kafka.connect.converters.DoubleConverter", ""),
    ("org.apache.kafka.connect.json.JsonConverter", ""),
    ("org.apache.kafka.connect.json.JsonConverter", "schemas.cache.size=1"),
    ("org.apache.kafka.connect.json.JsonConverter", "decimal.format=numeric"),
    ("org.apache.kafka.connect.json.JsonConverter", "replace.null.with.default=false"),
    ("org.apache.kafka.connect.json.JsonConverter", "schemas.enable=false;validate=always"),
    ("org.apache.kafka.connect.json.JsonConverter", "schemas.enable=false;decimal.format=NUMERIC;validate=always"),
];
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

/// A converter of one role, and the schemas that it shares with its plugin.
struct Subject {
    converters: Converters,
    schemas: Arc<SchemaTable>,
    header: bool,
}

/// What became of one key, value or header value.
type Outcome = Result<(SchemaId, Option<Vec<u8>>), (&'static str, String)>;

impl Subject {
    fn new(class: &str, header: bool, properties: &str) -> Self {
        const BYTES: &str = "ByteArray";
        let role = if header { "header.converter" } else { "value.converter" };
        let mut config = vec![(role.to_owned(), class.to_owned())];
        for property in properties.split_terminator(';') {
            let (name, value) = property.split_once('=').unwrap();
            config.push((format!("{role}.{name}"), value.to_owned()));
        }
        let worker: Vec<_> = ["key", "value", "header"].map(|role| (format!("{role}.converter"), BYTES.to_owned())).into();
        let schemas = Arc::new(SchemaTable::default());
        let converters = Converters::from_config(&config, &worker, &schemas).unwrap();
        Subject { converters, schemas, header }
    }

    fn batch(&self, schema: SchemaId, bytes: Option<&[u8]>) -> Batch {
        let mut builder = BatchBuilder::default();
        if self.header {
            builder.push(Record { topic: "t", ..Record::default() }, [HeaderRef { name: "h", value: bytes, schema }]);
        } else {
            builder.push(Record { topic: "t", value: bytes, value_schema: schema, ..Record::default() }, []);
        }
        builder.finish()
    }

    fn outcome(&self, converted: Converted) -> Outcome {
        converted.batch.validate().unwrap();
        if let Some(failure) = converted.failures.first() {
            assert_eq!(converted.batch.len(), 0);
            return Err((failure.error.exception, failure.error.message.clone()));
        }
        let record = converted.batch.records().next().unwrap();
        Ok(if self.header {
            let header = record.headers().next().unwrap();
            (header.schema, header.value.map(<[u8]>::to_vec))
        } else {
            (record.value_schema(), record.value.map(<[u8]>::to_vec))
        })
    }

    fn decode(&mut self, bytes: Option<&[u8]>) -> Outcome {
        let converted = self.converters.try_decode(self.batch(0, bytes)).unwrap();
        self.outcome(converted)
    }

    fn encode(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> Outcome {
        let converted = self.converters.try_encode(self.batch(schema, payload)).unwrap();
        self.outcome(converted)
    }
}
