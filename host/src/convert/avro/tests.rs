use std::sync::Arc;

use apache_avro::Schema as Oracle;
use proptest::prelude::*;

use super::*;
use crate::convert::config::{Checked, Properties};
use crate::record::SchemaTable;

fn avro(properties: &[(&str, &str)]) -> Avro {
    let properties: Properties = properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Avro { options: Options::new(&Checked::new(&KEYS, &properties, "").unwrap()) }
}

fn registered(text: &str) -> Registered {
    Registered { schema: SchemaText { text: text.to_owned(), references: Vec::new() }, ..Registered::default() }
}

fn oracle_reader(schema: &Oracle) -> apache_avro::reader::datum::GenericDatumReader<'_> {
    apache_avro::reader::datum::GenericDatumReader::builder(schema).build().unwrap()
}

/// What Avro data is for a plugin: its schema as JSON, and its payload; `None` for null.
fn read(avro: &Avro, schema: &str, data: &[u8]) -> Result<(String, Option<String>), String> {
    let table = Arc::new(SchemaTable::default());
    let mut schemas = Schemas::new(&table);
    let mut out = Vec::new();
    let read =
        avro.reader(&registered(schema), &mut schemas).and_then(|mut reading| reading.decode(data, &mut schemas, &mut out));
    let text = |id| table.get(id).map_or_else(|| id.to_string(), |text| text.to_string());
    Ok(match read.map_err(|error| error.to_string())? {
        Decoded::Null(id) => (text(id), None),
        Decoded::Payload(id) => (text(id), Some(String::from_utf8(out).unwrap())),
    })
}

fn write(avro: &Avro, schema: &str, target: Option<&str>, payload: &str) -> Result<(String, Vec<u8>), String> {
    write_strictly(avro, schema, target, payload, true)
}

fn write_strictly(
    avro: &Avro,
    schema: &str,
    target: Option<&str>,
    payload: &str,
    strict: bool,
) -> Result<(String, Vec<u8>), String> {
    let run = || {
        let schema = Schema::parse(schema)?;
        let draft = avro.draft(Some(&schema))?.text;
        let mut writing = avro.writer(Some(&schema), &registered(target.unwrap_or(&draft)), strict)?;
        let mut out = Vec::new();
        writing.encode(16, Some(payload.as_bytes()), &mut out)?;
        Ok((draft, out))
    };
    run().map_err(|error: ConvertError| error.to_string())
}

/// A Connect schema, its Avro schema, and a payload of it there and back.
#[track_caller]
fn check(avro: &Avro, connect: &str, expect: &str, payloads: &[&str]) {
    let schema = Schema::parse(connect).unwrap();
    let text = avro.draft(Some(&schema)).unwrap().text;
    assert_eq!(text, expect);
    let oracle = Oracle::parse_str(&text).unwrap();
    for payload in payloads {
        let (_, data) = write(avro, connect, None, payload).unwrap();
        if !text.starts_with("\"bytes\"") && !text.starts_with("{\"type\":\"bytes\"") {
            let mut rest = &data[..];
            let read = oracle_reader(&oracle).read_value(&mut rest);
            read.unwrap_or_else(|error| panic!("{payload}: {error}"));
            assert!(rest.is_empty(), "{payload}");
        }
        let (back, again) = read(avro, &text, &data).unwrap();
        assert_eq!(again.as_deref(), Some(*payload));
        assert_eq!(Schema::parse(&back).unwrap().kind.name(), schema.kind.name());
    }
}

#[test]
fn connect_schemas_are_those_of_confluent() {
    let plain = avro(&[]);
    check(&plain, r#"{"type":"int32"}"#, r#""int""#, &["0", "-5", "2147483647"]);
    check(&plain, r#"{"type":"int8"}"#, r#"{"type":"int","connect.type":"int8"}"#, &["-128"]);
    check(&plain, r#"{"type":"int64"}"#, r#""long""#, &["9223372036854775807", "-9223372036854775808"]);
    check(&plain, r#"{"type":"float"}"#, r#""float""#, &["1.5", "\"NaN\"", "3.4028235E38"]);
    check(&plain, r#"{"type":"double"}"#, r#""double""#, &["0.1", "\"-Infinity\""]);
    check(&plain, r#"{"type":"boolean"}"#, r#""boolean""#, &["true", "false"]);
    check(&plain, r#"{"type":"string"}"#, r#""string""#, &["\"\"", "\"a\\\"b\\n\"", "\"ä\""]);
    check(&plain, r#"{"type":"bytes"}"#, r#""bytes""#, &["\"\"", "\"AAEC\""]);
    check(
        &plain,
        r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#,
        r#"{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#,
        &["\"AJY=\"", "\"AA==\"", "\"/w==\""],
    );
    check(
        &plain,
        r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp","version":1}"#,
        r#"{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}"#,
        &["1700000000000"],
    );
    check(
        &plain,
        r#"{"type":"array","items":{"type":"string"}}"#,
        r#"{"type":"array","items":"string"}"#,
        &["[]", r#"["a","b"]"#],
    );
    check(
        &plain,
        r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int64","optional":true}}"#,
        r#"{"type":"map","values":["null","long"]}"#,
        &["{}", r#"{"a":1,"b":null}"#],
    );
    check(
        &plain,
        r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#,
        r#"{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":"string"}]}}"#,
        &["[]", r#"[[1,"a"],[2,"b"]]"#],
    );
    check(
        &plain,
        r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true},{"field":"c","type":"string","optional":true,"default":"x"},{"field":"d","type":"int32","default":7}]}"#,
        r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null},{"name":"c","type":[{"type":"string","connect.default":"x"},"null"],"default":"x"},{"name":"d","type":{"type":"int","connect.default":7},"default":7}]}"#,
        &[r#"{"a":1,"b":null,"c":"y","d":2}"#, r#"{"a":1,"b":"z","c":"y","d":2}"#],
    );
    check(
        &plain,
        r#"{"type":"struct","name":"com.acme.Outer","version":3,"fields":[{"field":"one","type":"struct","name":"com.acme.In","fields":[{"field":"x","type":"int8"}]},{"field":"two","type":"struct","name":"com.acme.In","optional":true,"fields":[{"field":"x","type":"int8"}]}]}"#,
        r#"{"type":"record","name":"Outer","namespace":"com.acme","fields":[{"name":"one","type":{"type":"record","name":"In","fields":[{"name":"x","type":{"type":"int","connect.type":"int8"}}],"connect.name":"com.acme.In"}},{"name":"two","type":["null","In"],"default":null}],"connect.version":3,"connect.name":"com.acme.Outer"}"#,
        &[r#"{"one":{"x":1},"two":null}"#, r#"{"one":{"x":1},"two":{"x":2}}"#],
    );
}

#[test]
fn options_change_what_is_written() {
    let bare = avro(&[("connect.meta.data", "false"), ("scrub.invalid.names", "true")]);
    check(
        &bare,
        r#"{"type":"struct","name":"a-b.C d","fields":[{"field":"1 x","type":"int8"}]}"#,
        r#"{"type":"record","name":"C_d","namespace":"a_b","fields":[{"name":"x1_x","type":"int"}]}"#,
        &[],
    );
    let enhanced = avro(&[("enhanced.avro.schema.support", "true")]);
    let connect = r#"{"type":"string","name":"a.E","parameters":{"io.confluent.connect.avro.Enum":"a.E","io.confluent.connect.avro.Enum.X":"X","io.confluent.connect.avro.Enum.Y":"Y"}}"#;
    let (text, data) = write(&enhanced, connect, None, "\"Y\"").unwrap();
    assert!(text.starts_with(r#"{"type":"enum","name":"E","namespace":"a","symbols":["X","Y"]"#), "{text}");
    assert_eq!(data, [2]);
    assert!(write(&enhanced, connect, None, "\"Z\"").unwrap_err().contains("no symbol Z"));
    let error = write(&avro(&[]), r#"{"type":"struct","fields":[{"field":"1 x","type":"int8"}]}"#, None, "{}").unwrap_err();
    assert!(error.contains("scrub.invalid.names"), "{error}");
    for (name, expect) in [("a", "a"), ("a b", "a_b"), ("1a", "x1a"), ("é", "_C3_A9"), ("a-b.c", "a_b_c"), ("", "")] {
        assert_eq!(from_connect::scrub(name), expect);
    }
}

#[test]
fn avro_schemas_are_read_as_confluent_does() {
    let plain = avro(&[]);
    for (schema, data, connect, payload) in [
        (
            r#"{"type":"enum","name":"E","namespace":"a","symbols":["X","Y"]}"#,
            &[2][..],
            r#"{"type":"string","optional":false,"name":"a.E","parameters":{"io.confluent.connect.avro.Enum":"a.E","io.confluent.connect.avro.Enum.X":"X","io.confluent.connect.avro.Enum.Y":"Y"}}"#,
            "\"Y\"",
        ),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            &[1, 2],
            r#"{"type":"bytes","optional":false,"name":"F","parameters":{"connect.fixed.size":"2"}}"#,
            "\"AQI=\"",
        ),
        (
            r#"{"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":8,"scale":2}"#,
            &[0, 0, 0, 150],
            r#"{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"8","connect.fixed.size":"4"}}"#,
            "\"AJY=\"",
        ),
        (
            r#"["null","int","string"]"#,
            &[4, 2, 97],
            r#"{"type":"struct","fields":[{"type":"int32","optional":true,"field":"int"},{"type":"string","optional":true,"field":"string"}],"optional":true,"name":"io.confluent.connect.avro.Union"}"#,
            r#"{"int":null,"string":"a"}"#,
        ),
        (
            r#"{"type":"record","name":"R","doc":"about R","fields":[{"name":"a","type":"int","default":5,"doc":"about a"},{"name":"b","type":{"type":"long","logicalType":"timestamp-micros"}}]}"#,
            &[2, 4],
            r#"{"type":"struct","fields":[{"type":"int32","optional":false,"parameters":{"io.confluent.connect.avro.field.default":"true"},"default":5,"field":"a"},{"type":"int64","optional":false,"field":"b"}],"optional":false,"name":"R","parameters":{"io.confluent.connect.avro.record.doc":"about R","io.confluent.connect.avro.field.doc.a":"about a"}}"#,
            r#"{"a":1,"b":2}"#,
        ),
        (
            r#"{"type":"map","values":"boolean"}"#,
            &[1, 6, 2, 97, 1, 0],
            r#"{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"boolean","optional":false},"optional":false}"#,
            r#"{"a":true}"#,
        ),
    ] {
        assert_eq!(read(&plain, schema, data), Ok((connect.to_owned(), Some(payload.to_owned()))), "{schema}");
    }
    assert_eq!(read(&plain, r#"["null","int"]"#, &[0]).unwrap().1, None);
    for (schema, reason) in [
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"long"}]}"#, "name duplication a"),
        (r#"{"type":"record","name":"R","fields":[{"name":"","type":"int"}]}"#, "fieldName cannot be null"),
        (r#"[{"type":"enum","name":"a.","symbols":["A"]},"int","string"]"#, "a type has no name"),
        (r#""null""#, "Standalone null"),
        (r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#, "contains itself at R"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"Q"}]}"#, "Q is not defined"),
        (r#"["int",["int"]]"#, "union stands in a union"),
        ("{", "no JSON"),
        (r#"{"type":"int","connect.type":"int4"}"#, "annotation"),
        (r#"{"type":"int","connect.name":"org.apache.kafka.connect.data.Decimal"}"#, "should be bytes but was int32"),
        (r#"{"type":"bytes","connect.name":"org.apache.kafka.connect.data.Decimal"}"#, "scale parameter not found"),
        (r#"{"type":"long","connect.name":"org.apache.kafka.connect.data.Date"}"#, "should be int32 but was int64"),
    ] {
        let error = read(&plain, schema, &[0]).unwrap_err();
        assert!(error.contains(reason), "{schema}: {error}");
    }
}

#[test]
fn a_union_goes_there_and_back() {
    let plain = avro(&[]);
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"u","type":["null","long",{"type":"record","name":"n.S","fields":[{"name":"x","type":"int"}]},{"type":"array","items":"string"}]}]}"#;
    for (data, payload) in [
        (&[0][..], r#"{"u":null}"#),
        (&[2, 8], r#"{"u":{"long":4,"S":null,"array":null}}"#),
        (&[4, 6], r#"{"u":{"long":null,"S":{"x":3},"array":null}}"#),
        (&[6, 2, 2, 97, 0], r#"{"u":{"long":null,"S":null,"array":["a"]}}"#),
    ] {
        let (connect, read) = read(&plain, schema, data).unwrap();
        assert_eq!(read.as_deref(), Some(payload));
        assert_eq!(write(&plain, &connect, None, payload).unwrap().1, data, "{payload}");
        assert_eq!(write(&plain, &connect, Some(schema), payload).unwrap().1, data, "{payload}");
    }
}

#[test]
fn records_are_written_under_other_versions_of_their_schema() {
    let plain = avro(&[]);
    let connect = r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true}]}"#;
    let of = |fields: &str| format!(r#"{{"type":"record","name":"X","fields":[{fields}]}}"#);
    let (a, b) = (r#"{"name":"a","type":"long"}"#, r#"{"name":"b","type":["null","string"],"default":null}"#);
    let c = r#"{"name":"c","type":{"type":"array","items":"int"},"default":[1]}"#;
    let payload = r#"{"a":1,"b":"x"}"#;
    for (fields, strict, expect) in [
        (format!("{b},{a}"), true, Ok(&[2, 2, b'x', 2][..])),
        (format!("{a},{c},{b}"), true, Ok(&[2, 2, 2, 0, 2, 2, b'x'][..])),
        (a.to_owned(), true, Err("no field b")),
        (a.to_owned(), false, Ok(&[2][..])),
        (format!(r#"{a},{b},{{"name":"d","type":"int"}}"#), false, Err("lacks field d")),
        (r#"{"name":"a","type":"string"}"#.to_owned(), false, Err("INT32 cannot be written as Avro string")),
    ] {
        let found = write_strictly(&plain, connect, Some(&of(&fields)), payload, strict);
        match (found, expect) {
            (Ok((_, data)), Ok(expect)) => assert_eq!(data, expect, "{fields}"),
            (Err(error), Err(reason)) => assert!(error.contains(reason), "{error}"),
            (found, expect) => panic!("{fields}: {found:?}, {expect:?}"),
        }
    }
}

#[test]
fn payloads_that_are_spelled_otherwise_are_written_too() {
    let plain = avro(&[]);
    let connect = r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true},{"field":"c","type":"int32","optional":true,"default":3}]}"#;
    let canonical = write(&plain, connect, None, r#"{"a":1,"b":null,"c":3}"#).unwrap().1;
    for payload in [r#"{ "b": null, "a" : 1 }"#, r#"{"a":1}"#, r#"{"a":1,"c":null,"x":[]}"#] {
        assert_eq!(write(&plain, connect, None, payload).unwrap().1, canonical, "{payload}");
    }
    // A default stands for the null of a field, as with `Struct.get`, but of no element.
    let elements = r#"{"type":"array","items":{"type":"int32","optional":true,"default":3}}"#;
    for payload in ["[null,3]", "[ null, 3 ]"] {
        assert_eq!(write(&plain, elements, None, payload).unwrap().1, [4, 2, 0, 6, 0]);
    }
    let kept = avro(&[("ignore.default.for.nullables", "true")]);
    assert_eq!(write(&kept, connect, None, r#"{"a":1,"b":null,"c":null}"#).unwrap().1, [2, 0, 2]);
    for (payload, reason) in [
        (r#"{"a":null}"#, "null"),
        (r#"{"a":"x"}"#, "Invalid type for INT32"),
        (r#"{"a":3000000000}"#, "Invalid type for INT32"),
        ("[]", "Invalid type for STRUCT"),
        ("{", "malformed JSON"),
    ] {
        let error = write(&plain, connect, None, payload).unwrap_err();
        assert!(error.contains(reason), "{payload}: {error}");
    }
}

#[test]
fn data_without_a_schema_is_anything() {
    let plain = avro(&[]);
    let target = plain.draft(None).unwrap().text;
    let oracle = Oracle::parse_str(&target).unwrap();
    for payload in ["true", "1", "2.5", "\"x\"", r#"[1,"a",null,[]]"#, r#"{"a":{"b":[true]},"c":null}"#] {
        let mut data = Vec::new();
        let mut writing = plain.writer(None, &registered(&target), true).unwrap();
        assert_eq!(writing.encode(SCHEMA_JSON, Some(payload.as_bytes()), &mut data), Ok(true));
        let mut rest = &data[..];
        oracle_reader(&oracle).read_value(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(read(&plain, &target, &data), Ok(("2".to_owned(), Some(payload.to_owned()))));
    }
}

#[test]
fn hostile_data_is_refused() {
    let plain = avro(&[]);
    let long = |number: i64| {
        let mut out = Vec::new();
        encode::long(number, &mut out);
        out
    };
    let empty = r#"{"type":"record","name":"E","fields":[]}"#;
    let wide = format!(r#"{{"type":"record","name":"W","fields":[{{"name":"{}","type":"boolean"}}]}}"#, "n".repeat(100_000));
    for (schema, data) in [
        (r#"{"type":"array","items":"int"}"#.to_owned(), long(i64::MAX)),
        (r#"{"type":"array","items":"int"}"#.to_owned(), long(i64::MIN)),
        (format!(r#"{{"type":"array","items":{empty}}}"#), [long(1_000_000_000), vec![0]].concat()),
        (r#"{"type":"array","items":{"type":"fixed","name":"Z","size":0}}"#.to_owned(), long(1 << 40)),
        (format!(r#"{{"type":"array","items":{wide}}}"#), [long(4000), vec![1; 4000], vec![0]].concat()),
        (r#""string""#.to_owned(), long(i64::MAX)),
        (r#""string""#.to_owned(), long(-1)),
        (r#""string""#.to_owned(), vec![2, 0xff]),
        (r#""long""#.to_owned(), vec![0xff; 11]),
        (r#""int""#.to_owned(), long(1 << 40)),
        (r#"["int","string"]"#.to_owned(), long(2)),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#.to_owned(), long(-1)),
        (r#"{"type":"map","values":"int"}"#.to_owned(), long(1 << 50)),
        (plain.draft(None).unwrap().text, [vec![0; 7], vec![2, 2]].concat().repeat(100)),
    ] {
        let error = read(&plain, &schema, &data).expect_err(&schema);
        assert!(error.contains("Avro message"), "{error}");
    }
    // Names that double with each level would be 2^40 fields in Connect.
    let mut schema = r#"{"type":"record","name":"R0","fields":[{"name":"x","type":"int"}]}"#.to_owned();
    for level in 1..40 {
        schema = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{schema}}},{{"name":"b","type":"R{}"}}]}}"#,
            level - 1
        );
    }
    assert!(read(&plain, &schema, &[]).unwrap_err().contains("too large"));
}

const SCHEMAS: [&str; 6] = [
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]},{"name":"c","type":{"type":"array","items":"double"}},{"name":"d","type":{"type":"map","values":["null","boolean"]}}]}"#,
    r#"["null","int","string",{"type":"array","items":{"type":"fixed","name":"F","size":3}}]"#,
    r#"{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":["null","bytes"]}]}}"#,
    r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":3}"#,
    r#"{"type":"array","items":{"type":"array","items":{"type":"array","items":"float"}}}"#,
    ANYTHING_SCHEMA,
];

proptest! {
    #[test]
    fn any_bytes_get_an_answer(schema in 0..SCHEMAS.len(), data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let plain = avro(&[]);
        if let Ok((connect, Some(payload))) = read(&plain, SCHEMAS[schema], &data)
            && Schema::parse(&connect).is_ok()
        {
            // What was read is written, and read as the same again.
            let (_, written) = write(&plain, &connect, Some(SCHEMAS[schema]), &payload).unwrap();
            let (_, again) = read(&plain, SCHEMAS[schema], &written).unwrap();
            prop_assert_eq!(again, Some(payload));
        }
    }

    #[test]
    fn any_schema_gets_an_answer(text in any::<String>(), data in proptest::collection::vec(any::<u8>(), 0..20)) {
        let _ = read(&avro(&[]), &text, &data);
    }

    #[test]
    fn any_json_schema_gets_an_answer(text in r#"(\{"type":("record"|"array"|"int"|"enum"|"fixed"|"map"),"name":"[a.]{0,3}","(fields|items|symbols|values)":(\[\]|"int"|\["null","a"\]|7),"size":-?[0-9]{1,3}\}|\["null",(7|"null"|"int")\])"#) {
        let _ = read(&avro(&[]), &text, &[0, 2, 4]);
    }
}
