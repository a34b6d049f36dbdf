//! What is measured of converters and transforms: one entry of [`ROWS`] is one row of the table, here and in the JVM.

use crate::stages::pairs;

/// A configuration, as it stands in a connector's.
pub type Config = &'static [(&'static str, &'static str)];

/// A record, as it stands on a topic.
pub type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Bytes of a topic to payloads, through transforms, and to bytes again.
pub struct Row {
    /// Its part of the keys in `summary.json`.
    pub key: &'static str,
    /// What it is, for people.
    pub name: &'static str,
    /// The converters that read.
    pub decode: Config,
    /// The converters that write.
    pub encode: Config,
    /// The transforms in between.
    pub transforms: &'static [Config],
    /// The records.
    pub records: Records,
}

/// What records hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// JSON objects of a size.
    Json,
    /// The same in envelopes with their schema.
    Envelopes,
    /// The same, as the row's own converter writes them under a schema in a registry.
    Registered,
    /// Numbers of so many bytes, big-endian, whatever size is asked for.
    Numbers(usize),
    /// Doubles and floats of so many bytes.
    Floats(usize),
    /// No value, and a header with text or a number in it.
    Header(&'static str),
}

impl Records {
    /// Whether the size that is asked for makes a difference.
    pub fn are_sized(self) -> bool {
        matches!(self, Records::Json | Records::Envelopes | Records::Registered)
    }

    /// The value and the header of one record.
    pub fn make(self, number: usize, size: usize) -> KeyAndValue {
        // Far apart, so that numbers have digits.
        let number = number * 7919;
        match self {
            Records::Json => (Some(object(number, size).into_bytes()), None),
            Records::Envelopes | Records::Registered => {
                let envelope = format!("{{\"schema\":{SCHEMA},\"payload\":{}}}", object(number, size));
                (Some(envelope.into_bytes()), None)
            }
            Records::Numbers(1) => (Some(vec![(number % 2) as u8]), None),
            Records::Numbers(width) => {
                let bytes = (number as u64).to_be_bytes();
                (Some(bytes[bytes.len() - width..].to_vec()), None)
            }
            Records::Floats(4) => (Some((number as f32 / 8.0).to_be_bytes().to_vec()), None),
            Records::Floats(_) => (Some((number as f64 / 8.0).to_be_bytes().to_vec()), None),
            Records::Header(text) => (None, Some(format!("{text}{number}").into_bytes())),
        }
    }
}

const SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},"#,
    r#"{"type":"string","optional":false,"field":"name"},{"type":"double","optional":true,"field":"amount"},"#,
    r#"{"type":"boolean","optional":false,"field":"ok"},{"type":"string","optional":true,"field":"note"}],"#,
    r#""optional":false,"name":"shop.Order"}"#
);

fn object(number: usize, size: usize) -> String {
    let head = format!(r#"{{"id":{number},"name":"customer-{number}","amount":{}.25,"ok":true,"note":""#, number % 1000);
    let note = "x".repeat(size.saturating_sub(head.len() + 2));
    format!("{head}{note}\"}}")
}

const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

/// Converters of values by class name; keys are bytes.
macro_rules! value_converter {
    ($class:literal) => {
        &[("key.converter", BYTES), ("value.converter", concat!("org.apache.kafka.connect.", $class))]
    };
}

/// Converters of values with a registry.
macro_rules! registry_converter {
    ($class:literal) => {
        &[("key.converter", BYTES), ("value.converter", concat!("io.confluent.connect.", $class))]
    };
}

const BARE_JSON: Config = &[
    ("key.converter", JSON),
    ("key.converter.schemas.enable", "false"),
    ("value.converter", JSON),
    ("value.converter.schemas.enable", "false"),
];
const CHECKED_JSON: Config = &[
    ("key.converter", BYTES),
    ("value.converter", JSON),
    ("value.converter.schemas.enable", "false"),
    ("value.converter.validate", "always"),
];
/// What [`Records::Registered`] are made from.
pub const ENVELOPED_JSON: Config = &[("key.converter", JSON), ("value.converter", JSON)];

const INSERT: Config =
    &[("type", "org.apache.kafka.connect.transforms.InsertField$Value"), ("static.field", "origin"), ("static.value", "bench")];
const RENAME: Config =
    &[("type", "org.apache.kafka.connect.transforms.ReplaceField$Value"), ("exclude", "ok"), ("renames", "id:order_id")];
const MASK: Config = &[("type", "org.apache.kafka.connect.transforms.MaskField$Value"), ("fields", "name")];
const CAST: Config = &[("type", "org.apache.kafka.connect.transforms.Cast$Value"), ("spec", "amount:string")];
const TO_KEY: Config = &[("type", "org.apache.kafka.connect.transforms.ValueToKey"), ("fields", "order_id")];

const ONE: &[Config] = &[INSERT];
const THREE: &[Config] = &[INSERT, RENAME, MASK];
const FIVE: &[Config] = &[INSERT, RENAME, MASK, CAST, TO_KEY];

const fn same(key: &'static str, name: &'static str, converters: Config, records: Records) -> Row {
    Row { key, name, decode: converters, encode: converters, transforms: &[], records }
}

const fn chain(
    key: &'static str,
    name: &'static str,
    converters: Config,
    transforms: &'static [Config],
    records: Records,
) -> Row {
    Row { key, name, decode: converters, encode: converters, transforms, records }
}

/// The rows. A further converter is a line here.
pub const ROWS: &[Row] = &[
    same("bytes", "ByteArrayConverter", value_converter!("converters.ByteArrayConverter"), Records::Json),
    same("string", "StringConverter", value_converter!("storage.StringConverter"), Records::Json),
    same("json", "JsonConverter, no schemas", BARE_JSON, Records::Json),
    same("json_checked", "JsonConverter, no schemas, validated", CHECKED_JSON, Records::Json),
    same("json_schemas", "JsonConverter, schemas", ENVELOPED_JSON, Records::Envelopes),
    Row {
        key: "string_of_struct",
        name: "JsonConverter to StringConverter",
        decode: ENVELOPED_JSON,
        encode: value_converter!("storage.StringConverter"),
        transforms: &[],
        records: Records::Envelopes,
    },
    same("avro", "AvroConverter", registry_converter!("avro.AvroConverter"), Records::Registered),
    same("json_schema", "JsonSchemaConverter", registry_converter!("json.JsonSchemaConverter"), Records::Registered),
    same("protobuf", "ProtobufConverter", registry_converter!("protobuf.ProtobufConverter"), Records::Registered),
    same("boolean", "BooleanConverter", value_converter!("converters.BooleanConverter"), Records::Numbers(1)),
    same("short", "ShortConverter", value_converter!("converters.ShortConverter"), Records::Numbers(2)),
    same("integer", "IntegerConverter", value_converter!("converters.IntegerConverter"), Records::Numbers(4)),
    same("long", "LongConverter", value_converter!("converters.LongConverter"), Records::Numbers(8)),
    same("float", "FloatConverter", value_converter!("converters.FloatConverter"), Records::Floats(4)),
    same("double", "DoubleConverter", value_converter!("converters.DoubleConverter"), Records::Floats(8)),
    same(
        "header_text",
        "SimpleHeaderConverter, text",
        value_converter!("converters.ByteArrayConverter"),
        Records::Header("text-"),
    ),
    same(
        "header_number",
        "SimpleHeaderConverter, numbers",
        value_converter!("converters.ByteArrayConverter"),
        Records::Header(""),
    ),
    chain("chain1", "JSON, one transform", BARE_JSON, ONE, Records::Json),
    chain("chain3", "JSON, three transforms", BARE_JSON, THREE, Records::Json),
    chain("chain5", "JSON, five transforms", BARE_JSON, FIVE, Records::Json),
    chain("chain1_schemas", "JSON with schemas, one transform", ENVELOPED_JSON, ONE, Records::Envelopes),
    chain("chain3_schemas", "JSON with schemas, three transforms", ENVELOPED_JSON, THREE, Records::Envelopes),
    chain("chain5_schemas", "JSON with schemas, five transforms", ENVELOPED_JSON, FIVE, Records::Envelopes),
];

/// A configuration with the converter of headers that Kafka Connect has where none is named.
pub fn with_headers(config: Config) -> crate::stages::Pairs {
    let mut config = pairs(config);
    config.push(("header.converter".to_owned(), "org.apache.kafka.connect.storage.SimpleHeaderConverter".to_owned()));
    config
}
