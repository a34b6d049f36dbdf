//! What each converter makes of bytes and payloads, and how they are chosen.

use std::sync::Arc;

use super::config::Properties;
use super::*;
use crate::record::{Batch, BatchBuilder, HeaderRef, Record, SchemaId, SchemaTable};

type Config = Vec<(String, String)>;

fn config(properties: &[(&str, &str)]) -> Config {
    properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Converters of values of one class; keys are bytes.
struct Values {
    converters: Converters,
    schemas: Arc<SchemaTable>,
}

impl Values {
    fn new(class: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = config(&[("key.converter", "ByteArray"), ("value.converter", class)]);
        config.extend(properties.iter().map(|(name, value)| (format!("value.converter.{name}"), (*value).to_owned())));
        let schemas = Arc::new(SchemaTable::default());
        Values { converters: Converters::from_config(&config, &[], &schemas).unwrap(), schemas }
    }

    fn id(&self, schema: &str) -> SchemaId {
        match schema {
            "bytes" => 0,
            "text" => 1,
            "json" => 2,
            schema => self.schemas.put(schema).unwrap(),
        }
    }

    fn outcome(converted: Converted) -> Result<(SchemaId, Option<Vec<u8>>), String> {
        if let Some(failure) = converted.failures.first() {
            assert_eq!(failure.stage, Stage::Value);
            return Err(failure.error.message.clone());
        }
        let record = converted.batch.records().next().unwrap();
        Ok((record.value_schema(), record.value.map(<[u8]>::to_vec)))
    }

    #[track_caller]
    fn decodes(&mut self, bytes: Option<&[u8]>, expect: Result<(&str, Option<&str>), &str>) {
        let found = Values::outcome(self.converters.try_decode(one(0, bytes)).unwrap());
        let expect = expect.map(|(schema, payload)| (self.id(schema), payload.map(|text| text.as_bytes().to_vec())));
        assert_eq!(found, expect.map_err(str::to_owned));
    }

    #[track_caller]
    fn encodes(&mut self, schema: &str, payload: Option<&[u8]>, expect: Result<Option<&[u8]>, &str>) {
        let batch = one(self.id(schema), payload);
        let found = Values::outcome(self.converters.try_encode(batch).unwrap()).map(|(_, bytes)| bytes);
        assert_eq!(found, expect.map(|bytes| bytes.map(<[u8]>::to_vec)).map_err(str::to_owned));
    }
}

fn one(schema: SchemaId, value: Option<&[u8]>) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(Record { topic: "t", value, value_schema: schema, ..Record::default() }, []);
    builder.finish()
}

const STRUCT: &str = r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"a"},{"type":"string","optional":true,"field":"b"}],"optional":false}"#;
const DECIMAL: &str =
    r#"{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#;
const INT32: &str = r#"{"type":"int32","optional":true}"#;

#[test]
fn bytes() {
    let mut bytes = Values::new("org.apache.kafka.connect.converters.ByteArrayConverter", &[]);
    bytes.decodes(Some(b"{x"), Ok(("bytes", Some("{x"))));
    bytes.decodes(None, Ok(("bytes", None)));
    bytes.encodes("bytes", Some(b"\xff"), Ok(Some(b"\xff")));
    bytes.encodes("bytes", None, Ok(None));
    bytes.encodes("text", Some(b"x"), Err("Invalid schema type for ByteArrayConverter: STRING"));
    bytes.encodes(STRUCT, Some(b"{}"), Err("Invalid schema type for ByteArrayConverter: STRUCT"));
    bytes.encodes(r#"{"type":"bytes"}"#, Some(b"\"YQ==\""), Ok(Some(b"a")));
    let class = |class: &str| format!("ByteArrayConverter is not compatible with objects of type class {class}");
    bytes.encodes("json", Some(b"{}"), Err(&class("java.util.HashMap")));
    bytes.encodes("json", Some(b"1"), Err(&class("java.lang.Long")));
    bytes.encodes("json", Some(b"null"), Ok(None));
    bytes.encodes(DECIMAL, Some(b"\"AA==\""), Err(&class("java.math.BigDecimal")));
}

#[test]
fn strings() {
    let mut string = Values::new("org.apache.kafka.connect.storage.StringConverter", &[]);
    string.decodes(Some("é".as_bytes()), Ok(("text", Some("é"))));
    string.decodes(Some(b"a\xff"), Ok(("text", Some("a\u{fffd}"))));
    string.decodes(None, Ok(("text", None)));
    string.encodes("text", Some(b"x"), Ok(Some(b"x")));
    string.encodes("bytes", Some(b"\xff"), Ok(Some(b"\xff")));
    string.encodes(STRUCT, Some(br#"{"a":1,"b":"x"}"#), Ok(Some(b"Struct{a=1,b=x}")));
    string.encodes(STRUCT, Some(br#"{"a":1,"b":null}"#), Ok(Some(b"Struct{a=1}")));
    string.encodes(STRUCT, None, Ok(None));
    string.encodes("json", Some(br#"{"k":[1,2.50,"x",null]}"#), Ok(Some(b"{k=[1, 2.5, x, null]}")));
    string.encodes("json", Some(b"\"plain\""), Ok(Some(b"plain")));
    string.encodes(DECIMAL, Some(b"\"AJY=\""), Ok(Some(b"1.50")));
    let timestamp = r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"}"#;
    string.encodes(timestamp, Some(b"0"), Ok(Some(b"Thu Jan 01 00:00:00 UTC 1970")));
    let mut latin = Values::new("String", &[("converter.encoding", "ISO-8859-1")]);
    latin.decodes(Some(b"\xe9"), Ok(("text", Some("é"))));
    latin.encodes("text", Some("é€".as_bytes()), Ok(Some(b"\xe9?")));
}

#[test]
fn fixed_widths() {
    let mut integer = Values::new("org.apache.kafka.connect.converters.IntegerConverter", &[]);
    integer.decodes(Some(&[0xff, 0xff, 0xff, 0xfe]), Ok((INT32, Some("-2"))));
    integer.decodes(None, Ok((INT32, None)));
    integer.decodes(Some(&[1]), Err("Failed to deserialize integer: "));
    integer.encodes(INT32, Some(b"258"), Ok(Some(&[0, 0, 1, 2])));
    integer.encodes(INT32, None, Ok(None));
    integer.encodes("text", Some(b"1"), Err("Failed to serialize to integer (was class java.lang.String): "));
    integer.encodes("bytes", Some(b"1"), Err("Failed to serialize to integer (was class [B): "));
    integer.encodes("json", Some(b"1"), Err("Failed to serialize to integer (was class java.lang.Long): "));
    integer.encodes(INT32, Some(b"3000000000"), Err("Invalid type for INT32: class java.lang.Long"));
    let mut double = Values::new("Double", &[]);
    let id = r#"{"type":"double","optional":true}"#;
    double.decodes(Some(&1e-7f64.to_be_bytes()), Ok((id, Some("1.0E-7"))));
    double.decodes(Some(&f64::NEG_INFINITY.to_be_bytes()), Ok((id, Some("\"-Infinity\""))));
    double.encodes(id, Some(b"\"-Infinity\""), Ok(Some(&f64::NEG_INFINITY.to_be_bytes())));
    double.encodes("json", Some(b"0.5"), Ok(Some(&0.5f64.to_be_bytes())));
    let mut boolean = Values::new("Boolean", &[]);
    let id = r#"{"type":"boolean","optional":true}"#;
    boolean.decodes(Some(&[1]), Ok((id, Some("true"))));
    boolean.decodes(Some(&[2]), Err("Failed to deserialize boolean: "));
    boolean.encodes(id, Some(b"false"), Ok(Some(&[0])));
    boolean.encodes(INT32, Some(b"1"), Err("Invalid schema type for BooleanConverter: INT32"));
    boolean.encodes("json", Some(b"1"), Err("BooleanConverter is not compatible with objects of type class java.lang.Long"));
}

/// Alone in their batches, values are converted a column at a time; beside keys, one by one.
#[test]
fn columns_of_numbers_are_converted_as_their_cells_are() {
    let values = |values: &[Vec<u8>], key: Option<&[u8]>| {
        let mut builder = BatchBuilder::default();
        for value in values {
            builder.push(Record { topic: "t", key, value: Some(value), ..Record::default() }, []);
        }
        builder.finish()
    };
    let cells = |batch: &Batch| {
        batch.records().map(|record| (record.value_schema(), record.value.map(<[u8]>::to_vec))).collect::<Vec<_>>()
    };
    fn bits(step: u64) -> u64 {
        step.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
    fn double(step: u64) -> f64 {
        ((bits(step) >> 20) as f64 / 1000.0) / 10_f64.powi((step % 12) as i32)
    }
    type Make = Box<dyn Fn(u64) -> Vec<u8>>;
    let all: [(&str, Make); 7] = [
        ("Boolean", Box::new(|step| vec![(bits(step) >> 63) as u8])),
        ("Short", Box::new(|step| ((bits(step) >> 40) as i16).to_be_bytes().to_vec())),
        ("Integer", Box::new(|step| ((bits(step) >> 20) as i32 >> (step % 32)).to_be_bytes().to_vec())),
        ("Long", Box::new(|step| ((bits(step) as i64) >> (step % 64)).to_be_bytes().to_vec())),
        ("Float", Box::new(|step| (double(step) as f32).to_be_bytes().to_vec())),
        ("Double", Box::new(|step| double(step).to_be_bytes().to_vec())),
        ("Double", Box::new(|step| (-double(step).trunc()).to_be_bytes().to_vec())),
    ];
    for (class, make) in all {
        for begin in (0..20_000).step_by(10) {
            let numbers: Vec<_> = (begin..begin + 10).map(&make).collect();
            let mut converters = Values::new(class, &[]).converters;
            let mut there = |key| converters.try_decode(values(&numbers, key)).unwrap().batch;
            let (alone, beside) = (there(None), there(Some(b"key")));
            assert_eq!(cells(&alone), cells(&beside), "{class}");
            let mut back = |batch| cells(&converters.try_encode(batch).unwrap().batch);
            let expect: Vec<_> = numbers.iter().map(|number| (0, Some(number.clone()))).collect();
            assert_eq!((back(alone), back(beside)), (expect.clone(), expect), "{class}");
        }
    }
}

#[test]
fn causes_are_told() {
    let mut boolean = Values::new("Boolean", &[]);
    let converted = boolean.converters.try_decode(one(0, Some(&[0x80]))).unwrap();
    let failure = &converted.failures[0];
    assert_eq!(failure.class, "org.apache.kafka.connect.converters.BooleanConverter");
    assert_eq!((failure.stage.name(), failure.error.exception), ("VALUE_CONVERTER", DATA_EXCEPTION));
    let told = "Failed to deserialize boolean: Unexpected byte received by BooleanDeserializer: -128";
    assert_eq!(failure.error.to_string(), told);
}

#[test]
fn envelopes() {
    let mut json = Values::new("org.apache.kafka.connect.json.JsonConverter", &[]);
    let malformed = "Converting byte[] to Kafka Connect data failed due to serialization error: ";
    let no_envelope = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional \
                       fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.";
    let envelope = |schema: &str, payload: &str| format!("{{\"schema\":{schema},\"payload\":{payload}}}");
    // An envelope that begins as one before it did is taken on trust, if its payload is sound.
    for _ in 0..2 {
        json.decodes(Some(envelope(STRUCT, r#"{"a":1,"b":"x"}"#).as_bytes()), Ok((STRUCT, Some(r#"{"a":1,"b":"x"}"#))));
        json.decodes(Some(envelope(STRUCT, r#"{"b":"x", "a":1.7}"#).as_bytes()), Ok((STRUCT, Some(r#"{"a":1,"b":"x"}"#))));
        json.decodes(Some(envelope(STRUCT, "{}").as_bytes()), Err("Invalid null value for required INT32 field"));
        json.decodes(Some(envelope(STRUCT, r#"{"a":1},"x":2"#).as_bytes()), Err(no_envelope));
        json.decodes(Some(envelope(STRUCT, r#"{"a":1"#).as_bytes()), Err(malformed));
        json.decodes(Some(envelope(INT32, "null").as_bytes()), Ok((INT32, None)));
        json.decodes(Some(envelope("null", "null").as_bytes()), Ok(("bytes", None)));
        json.decodes(Some(envelope("null", "[1, 2]").as_bytes()), Ok(("json", Some("[1, 2]"))));
    }
    json.decodes(None, Ok(("bytes", None)));
    json.decodes(Some(b"{}"), Err(no_envelope));
    json.decodes(Some(b""), Err(no_envelope));
    json.decodes(Some(b"{"), Err(malformed));
    json.decodes(Some(envelope(r#"{"type":"int"}"#, "1").as_bytes()), Err("Unknown schema type: int"));
    json.encodes(STRUCT, Some(br#"{"a":1,"b":"x"}"#), Ok(Some(envelope(STRUCT, r#"{"a":1,"b":"x"}"#).as_bytes())));
    json.encodes(STRUCT, Some(br#"{ "a": 1 }"#), Ok(Some(envelope(STRUCT, r#"{"a":1,"b":null}"#).as_bytes())));
    json.encodes(STRUCT, Some(br#"{"a":"1"}"#), Err("Invalid type for INT32: class java.lang.String"));
    let missing = "Conversion error: null value for field that is required and has no default value";
    json.encodes(STRUCT, Some(b"{}"), Err(missing));
    json.encodes(STRUCT, None, Err(missing));
    json.encodes(INT32, None, Ok(Some(envelope(INT32, "null").as_bytes())));
    json.encodes(
        "text",
        Some("a\"😀".as_bytes()),
        Ok(Some(br#"{"schema":{"type":"string","optional":false},"payload":"a\"\uD83D\uDE00"}"#)),
    );
    json.encodes("bytes", Some(b"a"), Ok(Some(br#"{"schema":{"type":"bytes","optional":false},"payload":"YQ=="}"#)));
    json.encodes("json", Some(b"[1]"), Ok(Some(br#"{"schema":null,"payload":[1]}"#)));
    json.encodes("json", Some(b"null"), Ok(None));
    json.encodes("bytes", None, Ok(None));
    // An id that was never given.
    let batch = one(4000, Some(b"1"));
    assert!(Values::outcome(json.converters.try_encode(batch).unwrap()).unwrap_err().contains("4000"));
}

#[test]
fn plain_json() {
    let mut json = Values::new("JsonConverter", &[("schemas.enable", "false")]);
    json.decodes(Some(b" {\"a\": 1.50} "), Ok(("json", Some(" {\"a\": 1.50} "))));
    json.decodes(Some(b"{malformed"), Ok(("json", Some("{malformed"))));
    json.decodes(Some(b" null "), Ok(("bytes", None)));
    json.decodes(Some(b""), Ok(("bytes", None)));
    json.decodes(Some(b"nothing"), Err("Converting byte[] to Kafka Connect data failed due to serialization error: "));
    json.encodes("json", Some(b"{\"a\": 1}"), Ok(Some(b"{\"a\": 1}")));
    json.encodes("text", Some(b"line"), Ok(Some(b"\"line\"")));
    json.encodes("bytes", Some(b"a"), Ok(Some(b"\"YQ==\"")));
    json.encodes(INT32, None, Ok(Some(b"null")));
    json.encodes(STRUCT, Some(br#"{"a":1,"b":"x"}"#), Ok(Some(br#"{"a":1,"b":"x"}"#)));
    json.encodes(DECIMAL, Some(b"\"AJY=\""), Ok(Some(b"\"AJY=\"")));
    let mut checked = Values::new("Json", &[("schemas.enable", "False"), ("validate", "Always"), ("decimal.format", "numeric")]);
    checked.decodes(Some(b"{malformed"), Err("Converting byte[] to Kafka Connect data failed due to serialization error: "));
    checked.decodes(Some(b"{\"a\":007} rest"), Ok(("json", Some("{\"a\":7}"))));
    checked.encodes(DECIMAL, Some(b"\"AJY=\""), Ok(Some(b"1.50")));
}

#[test]
fn a_schema_may_stand_in_the_configuration() {
    let mut json = Values::new("Json", &[("schema.content", STRUCT)]);
    json.decodes(Some(br#"{"a":1,"b":"x"}"#), Ok((STRUCT, Some(r#"{"a":1,"b":"x"}"#))));
    json.decodes(Some(br#"{"a":1}"#), Ok((STRUCT, Some(r#"{"a":1,"b":null}"#))));
    json.decodes(None, Ok(("bytes", None)));
}

#[test]
fn tolerated_errors_have_json_checked() {
    let decode = |tolerance: &str| {
        let config =
            config(&[("value.converter", "Json"), ("value.converter.schemas.enable", "false"), ("errors.tolerance", tolerance)]);
        let worker = self::config(&[("key.converter", "String")]);
        let mut converters = Converters::from_config(&config, &worker, &Arc::default()).unwrap();
        converters.try_decode(one(0, Some(b"{malformed"))).unwrap().failures.len()
    };
    assert_eq!((decode("none"), decode("all")), (0, 1));
}

#[test]
fn headers() {
    let config = config(&[("key.converter", "String"), ("value.converter", "String")]);
    let schemas = Arc::new(SchemaTable::default());
    let mut converters = Converters::from_config(&config, &[], &schemas).unwrap();
    let mut builder = BatchBuilder::default();
    let header = |value| HeaderRef { name: "h", value, schema: 0 };
    builder.push(Record { topic: "t", ..Record::default() }, [header(Some(&b"text"[..])), header(Some(b"300")), header(None)]);
    let decoded = converters.try_decode(builder.finish()).unwrap().batch;
    let int16 = schemas.put(r#"{"type":"int16","optional":false}"#).unwrap();
    let found: Vec<_> = decoded.records().next().unwrap().headers().map(|header| (header.schema, header.value)).collect();
    assert_eq!(found, [(1, Some(&b"text"[..])), (int16, Some(b"300")), (0, None)]);
    let encoded = converters.try_encode(decoded).unwrap().batch;
    let found: Vec<_> = encoded.records().next().unwrap().headers().map(|header| (header.schema, header.value)).collect();
    assert_eq!(found, [(0, Some(&b"text"[..])), (0, Some(b"300")), (0, None)]);
    let mut encode = |schema: &str, payload: &[u8]| {
        let schema = if schema == "json" { 2 } else { schemas.put(schema).unwrap() };
        let mut builder = BatchBuilder::default();
        builder.push(Record { topic: "t", ..Record::default() }, [HeaderRef { name: "h", value: Some(payload), schema }]);
        let encoded = converters.try_encode(builder.finish()).unwrap().batch;
        String::from_utf8(encoded.records().next().unwrap().headers().next().unwrap().value.unwrap().to_vec()).unwrap()
    };
    assert_eq!(encode(STRUCT, br#"{"a":1,"b":"x\"\\"}"#), r#"{"a":1,"b":"x\"\\"}"#);
    assert_eq!(encode("json", br#"{"k": [1.0, "x", null]}"#), r#"{"k":[1.0,"x",null]}"#);
    assert_eq!(encode(r#"{"type":"bytes"}"#, b"\"YQ==\""), "YQ==");
    assert_eq!(encode(r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date"}"#, b"19782"), "2024-02-29");
}

#[test]
fn what_is_kept_is_moved() {
    for (class, value) in [("ByteArray", &b"\xff"[..]), ("String", "é".as_bytes()), ("Json", b"{}")] {
        let mut values = Values::new(class, &[("schemas.enable", "false")]);
        let batch = one(0, Some(value));
        let buffer = batch.data.as_ptr();
        let decoded = values.converters.try_decode(batch).unwrap().batch;
        assert_eq!(decoded.data.as_ptr(), buffer, "{class}");
        assert_eq!(values.converters.try_encode(decoded).unwrap().batch.data.as_ptr(), buffer, "{class}");
    }
}

#[test]
fn failed_records_leave_the_others_in_order() {
    let config = config(&[("key.converter", "Integer"), ("value.converter", "Boolean"), ("header.converter", "Short")]);
    let mut converters = Converters::from_config(&config, &[], &Arc::default()).unwrap();
    let mut builder = BatchBuilder::default();
    let mut push = |topic, key: &[u8], value: &[u8], header: &[u8]| {
        let offset = Some(builder.len() as u64);
        let header = HeaderRef { name: topic, value: Some(header), schema: 0 };
        builder.push(Record { topic, key: Some(key), value: Some(value), offset, ..Record::default() }, [header]);
    };
    push("a", &[0; 4], &[1], &[0, 1]);
    push("b", &[0; 3], &[9], &[0, 2]);
    push("c", &[0; 4], &[9], &[0, 3]);
    push("d", &[0; 4], &[0], &[0]);
    push("e", &[0; 4], &[0], &[0, 5]);
    let converted = converters.try_decode(builder.finish()).unwrap();
    converted.batch.validate().unwrap();
    let failures: Vec<_> = converted.failures.iter().map(|failure| (failure.index, failure.stage.name())).collect();
    assert_eq!(failures, [(1, "KEY_CONVERTER"), (2, "VALUE_CONVERTER"), (3, "HEADER_CONVERTER")]);
    assert_eq!(converted.origins, [0, 4]);
    let left: Vec<_> = converted
        .batch
        .records()
        .map(|record| {
            (record.topic(), record.offset(), record.value, record.headers().next().map(|header| (header.name, header.value)))
        })
        .collect();
    assert_eq!(
        left,
        [
            ("a", Some(0), Some(&b"true"[..]), Some(("a", Some(&b"1"[..])))),
            ("e", Some(4), Some(b"false"), Some(("e", Some(b"5")))),
        ]
    );
}

/// A task runs on threads with stacks of 2 MiB.
#[test]
fn deep_nesting_fits_the_stack() {
    fn nested(depth: usize, open: &str, core: &str, close: &str) -> Vec<u8> {
        format!("{}{core}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    }
    let run = || {
        let mut plain = Values::new("Json", &[("schemas.enable", "false"), ("validate", "always")]);
        let mut envelopes = Values::new("Json", &[]);
        let mut string = Values::new("String", &[]);
        let mut header =
            Converters::from_config(&config(&[("key.converter", "Json"), ("value.converter", "Json")]), &[], &Arc::default())
                .unwrap();
        for depth in [62, 63, 64, 65, 254, 256, 257, 1000, 1001, 100_000] {
            let value = nested(depth, "[", "1", "]");
            assert_eq!(Values::outcome(plain.converters.try_decode(one(0, Some(&value))).unwrap()).is_ok(), depth <= 1000);
            // Leading zeros have it read and written anew.
            let list = nested(depth, "[", "01", "]");
            assert_eq!(Values::outcome(plain.converters.try_decode(one(0, Some(&list))).unwrap()).is_ok(), depth <= 256);
            assert_eq!(Values::outcome(string.converters.try_encode(one(2, Some(&list))).unwrap()).is_ok(), depth <= 256);
            let schema = nested(depth, "{\"type\":\"array\",\"items\":", "{\"type\":\"int8\"}", "}");
            let envelope = [b"{\"schema\":", &schema[..], b",\"payload\":", &list, b"}"].concat();
            assert_eq!(Values::outcome(envelopes.converters.try_decode(one(0, Some(&envelope))).unwrap()).is_ok(), depth < 64);
            let mut builder = BatchBuilder::default();
            builder.push(Record { topic: "t", ..Record::default() }, [HeaderRef { name: "h", value: Some(&value), schema: 0 }]);
            let decoded = header.try_decode(builder.finish()).unwrap().batch;
            let schema = decoded.records().next().unwrap().headers().next().unwrap().schema;
            assert_eq!(schema > 1, depth < 64, "{depth}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn classes_go_by_three_names() {
    for class in classes::CLASSES {
        let simple = class.name.rsplit('.').next().unwrap();
        for name in [class.name, simple, class.aliases[1]] {
            assert_eq!(find_class(name).map(|found| found.name), Some(class.name));
        }
        assert!(simple.starts_with(class.aliases[1]));
    }
    assert!(find_class("jsonconverter").is_none());
}

#[test]
fn properties_go_with_the_class() {
    fn check(connector: &[(&str, &str)], worker: &[(&str, &str)], expect: Result<&str, &str>) {
        let found = Converters::from_config(&config(connector), &config(worker), &Arc::default());
        let found = found.map(|converters| format!("{converters:?}")).map_err(|error| error.to_string());
        match expect {
            Ok(expect) => assert_eq!(found.as_deref(), Ok(format!("Converters({expect})").as_str())),
            Err(expect) => assert_eq!(found, Err(expect.to_owned())),
        }
    }
    let string = "org.apache.kafka.connect.storage.StringConverter";
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let simple = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
    let worker = [("key.converter", "String"), ("value.converter", json), ("value.converter.decimal.format", "NUMERIC")];
    check(&[], &worker, Ok(&format!("{string}, {json}, {simple}")));
    check(&[("value.converter", "String"), ("header.converter", "Json")], &worker, Ok(&format!("{string}, {string}, {json}")));
    // The worker's converter takes no properties of the connector's.
    check(&[("value.converter.decimal.format", "wrong")], &worker, Ok(&format!("{string}, {json}, {simple}")));
    check(&[], &[], Err("Missing required configuration \"key.converter\" which has no default value."));
    check(
        &[("key.converter", "com.example.Mine")],
        &worker,
        Err("Invalid value com.example.Mine for configuration key.converter: Class com.example.Mine could not be found."),
    );
    check(
        &[("key.converter", "SimpleHeaderConverter")],
        &worker,
        Err(
            "Invalid value SimpleHeaderConverter for configuration key.converter: Class must extend: org.apache.kafka.connect.storage.Converter",
        ),
    );
    let wrong = |name: &'static str, value: &'static str| [("value.converter", "Json"), (name, value)];
    check(
        &wrong("value.converter.decimal.format", "hex"),
        &worker,
        Err(
            "Invalid value hex for configuration value.converter.decimal.format: String must be one of (case insensitive): NUMERIC, BASE64",
        ),
    );
    check(
        &wrong("value.converter.schemas.enable", "yes"),
        &worker,
        Err("Invalid value yes for configuration value.converter.schemas.enable: Expected value to be either true or false"),
    );
    check(
        &wrong("value.converter.schemas.cache.size", "many"),
        &worker,
        Err("Invalid value many for configuration value.converter.schemas.cache.size: Not a number of type INT"),
    );
    check(
        &wrong("value.converter.schema.content", "{}"),
        &worker,
        Err("Invalid value {} for configuration value.converter.schema.content: Schema must contain 'type' field"),
    );
    check(
        &[("value.converter", "String"), ("value.converter.converter.encoding", "no-such-set")],
        &worker,
        Err("Invalid value no-such-set for configuration value.converter.converter.encoding: Unknown character set"),
    );
}

#[test]
fn defaults_pass_their_own_checks() {
    for class in classes::CLASSES {
        for key in class.keys.iter().chain([&classes::CONVERTER_TYPE]) {
            if let Some(default) = key.default {
                assert_eq!(key.check(key.name, default), Ok(()));
            }
            assert!(!key.documentation.is_empty() && !key.display_name.is_empty());
        }
        let properties = Properties::new();
        assert!(config::Checked::new(class.keys, &properties, "").is_ok());
    }
}
