use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::convert::config::{Checked, Properties};
use crate::record::SchemaTable;

fn protobuf(properties: &[(&str, &str)]) -> Protobuf {
    let properties: Properties = properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Protobuf { options: Options::new(&Checked::new(&KEYS, &properties, "").unwrap()) }
}

fn registered(text: &str) -> Registered {
    Registered { schema: SchemaText { text: text.to_owned(), references: Vec::new() }, ..Registered::default() }
}

fn read(format: &Protobuf, schema: &str, data: &[u8]) -> Result<(String, Option<String>), String> {
    let table = Arc::new(SchemaTable::default());
    let mut schemas = Schemas::new(&table);
    let mut out = Vec::new();
    let reading = format.reader(&registered(schema), &mut schemas);
    let read = reading.and_then(|mut reading| reading.decode(data, &mut schemas, &mut out));
    Ok(match read.map_err(|error| error.to_string())? {
        Decoded::Null(id) => (table.get(id).unwrap().to_string(), None),
        Decoded::Payload(id) => (table.get(id).unwrap().to_string(), Some(String::from_utf8(out).unwrap())),
    })
}

fn write(format: &Protobuf, schema: &str, target: Option<&str>, payload: &str) -> Result<(String, Vec<u8>), String> {
    let run = || {
        let schema = Schema::parse(schema)?;
        let draft = format.draft(Some(&schema))?.text;
        let mut writing = format.writer(Some(&schema), &registered(target.unwrap_or(&draft)), true)?;
        let mut out = Vec::new();
        writing.encode(16, Some(payload.as_bytes()), &mut out)?;
        Ok((draft, out))
    };
    run().map_err(|error: ConvertError| error.to_string())
}

const ALL: &str = r#"{"type":"struct","name":"com.acme.All","fields":[{"field":"a","type":"int8"},{"field":"b","type":"int64"},{"field":"c","type":"double"},
    {"field":"d","type":"boolean"},{"field":"e","type":"string"},{"field":"f","type":"bytes"},{"field":"g","type":"array","items":{"type":"int32"}},
    {"field":"h","type":"map","keys":{"type":"string"},"values":{"type":"int32"}},
    {"field":"i","type":"struct","name":"com.acme.In","optional":true,"fields":[{"field":"x","type":"string"}]},
    {"field":"j","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}},
    {"field":"k","type":"int32","name":"org.apache.kafka.connect.data.Date"},{"field":"l","type":"int32","name":"org.apache.kafka.connect.data.Time"},
    {"field":"m","type":"int64","name":"org.apache.kafka.connect.data.Timestamp"}]}"#;

#[test]
fn a_connect_schema_is_a_message() {
    let (text, data) = write(
        &protobuf(&[]),
        ALL,
        None,
        r#"{"a":1,"b":2,"c":1.5,"d":true,"e":"x","f":"AQI=","g":[3,4],"h":{"k":5},"i":{"x":"y"},"j":"AJY=","k":19000,"l":3661001,"m":-1}"#,
    )
    .unwrap();
    let expect = r#"syntax = "proto3";
package com.acme;

import "confluent/meta.proto";
import "confluent/type/decimal.proto";
import "google/protobuf/timestamp.proto";
import "google/type/date.proto";
import "google/type/timeofday.proto";

message All {
  int32 a = 1 [(confluent.field_meta) = { params: [{ key: "connect.type", value: "int8" }] }];
  int64 b = 2;
  double c = 3;
  bool d = 4;
  string e = 5;
  bytes f = 6;
  repeated int32 g = 7;
  repeated ConnectDefault1Entry h = 8;
  In i = 9;
  confluent.type.Decimal j = 10 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
  google.type.Date k = 11;
  google.type.TimeOfDay l = 12;
  google.protobuf.Timestamp m = 13;
  message ConnectDefault1Entry {
    string key = 1;
    int32 value = 2;
  }
  message In {
    string x = 1;
  }
}
"#;
    assert_eq!(text, expect);
    assert_eq!(data[0], 0, "the first message");
    let (connect, payload) = read(&protobuf(&[]), &text, &data).unwrap();
    let expect = r#"{"a":1,"b":2,"c":1.5,"d":true,"e":"x","f":"AQI=","g":[3,4],"h":{"k":5},"i":{"x":"y"},"j":"AJY=","k":19000,"l":3661001,"m":-1}"#;
    assert_eq!(payload.as_deref(), Some(expect));
    let schema = Schema::parse(&connect).unwrap();
    assert_eq!(schema.name.as_deref(), Some("All"));
    // What was read is written as it was.
    assert_eq!(write(&protobuf(&[]), &connect, Some(&text), expect).unwrap().1, data);
}

#[test]
fn messages_are_read_as_confluent_does() {
    let schema = r#"syntax = "proto3"; package p; import "google/protobuf/wrappers.proto";
        message First { int32 x = 1; }
        message Second { uint32 u = 1; optional string o = 2; E e = 3; oneof choice { string s = 4; First f = 5; }
            map<string, int64> counts = 6; repeated First many = 7; google.protobuf.StringValue w = 8; First one = 9;
            enum E { NONE = 0; SOME = 1; } message Inner { bool b = 1; } }"#;
    let data = [2, 2, 8, 0xff, 0xff, 0xff, 0xff, 0x0f, 24, 1, 42, 2, 8, 7];
    let (connect, payload) = read(&protobuf(&[]), schema, &data).unwrap();
    assert_eq!(
        payload.as_deref(),
        Some(
            r#"{"choice_0":{"s":null,"f":{"x":7}},"u":4294967295,"o":null,"e":"SOME","counts":{},"many":[],"w":null,"one":null}"#
        )
    );
    for part in [
        r#""name":"io.confluent.connect.protobuf.Union.choice""#,
        r#""io.confluent.connect.protobuf.Type":"uint32","io.confluent.connect.protobuf.Tag":"1""#,
        r#""io.confluent.connect.protobuf.Enum":"E","io.confluent.connect.protobuf.Enum.NONE":"0","io.confluent.connect.protobuf.Enum.SOME":"1""#,
        r#""name":"counts""#,
        r#""name":"Second""#,
    ] {
        assert!(connect.contains(part), "{part} in {connect}");
    }
    assert_eq!(write(&protobuf(&[]), &connect, Some(schema), payload.as_deref().unwrap()).unwrap().1[0], 2);
    let nested = [4, 2, 0, 8, 1];
    assert_eq!(read(&protobuf(&[]), schema, &nested).unwrap().1.as_deref(), Some(r#"{"b":true}"#));

    let options = [
        ("wrapper.for.nullables", "true"),
        ("int.for.enums", "true"),
        ("flatten.unions", "true"),
        ("enhanced.protobuf.schema.support", "true"),
    ];
    let (connect, payload) = read(&protobuf(&options), schema, &[2, 2, 24, 1, 34, 1, b'q', 66, 3, 10, 1, b'w']).unwrap();
    assert_eq!(payload.as_deref(), Some(r#"{"s":"q","f":null,"u":0,"o":null,"e":1,"counts":{},"many":[],"w":"w","one":null}"#));
    assert!(connect.contains(r#""name":"p.Second""#), "{connect}");
    // `o` may be null, so it is optional, although Confluent says so only with optional.for.nullables.
    let o = r#"{"type":"string","optional":true,"parameters":{"io.confluent.connect.protobuf.Tag":"2"},"field":"o"}"#;
    assert!(connect.contains(o), "{connect}");
    let options =
        [("optional.for.nullables", "true"), ("generate.struct.for.nulls", "true"), ("generate.index.for.unions", "false")];
    let (connect, payload) = read(&protobuf(&options), schema, &[2, 2]).unwrap();
    assert!(
        connect
            .contains(r#"{"type":"string","optional":true,"parameters":{"io.confluent.connect.protobuf.Tag":"2"},"field":"o"}"#),
        "{connect}"
    );
    assert!(payload.unwrap().starts_with(r#"{"choice":null,"u":0,"o":"","#));
}

#[test]
fn scalars_are_wrapped() {
    let (text, data) = write(&protobuf(&[]), r#"{"type":"string"}"#, None, "\"x\"").unwrap();
    assert!(text.contains("message StringValue"), "{text}");
    assert_eq!(data, [2, 14, 10, 1, b'x']);
    assert_eq!(
        read(&protobuf(&[]), &text, &data),
        Ok((r#"{"type":"string","optional":false}"#.to_owned(), Some("\"x\"".to_owned())))
    );
}

#[test]
fn options_change_what_is_written() {
    let connect = r#"{"type":"struct","name":"a-b.C","fields":[{"field":"1x","type":"string","optional":true},{"field":"C","type":"struct","fields":[]}]}"#;
    let error = write(&protobuf(&[]), connect, None, "{}").unwrap_err();
    assert!(error.contains("scrub.invalid.names"), "{error}");
    let text = |options: &[(&str, &str)]| protobuf(options).draft(Some(&Schema::parse(connect).unwrap())).unwrap().text;
    let scrub = ("scrub.invalid.names", "true");
    assert!(text(&[scrub, ("optional.for.nullables", "true")]).contains("optional string x1x = 1;"));
    assert!(text(&[scrub, ("wrapper.for.nullables", "true")]).contains("google.protobuf.StringValue x1x = 1;"));
    assert!(text(&[scrub]).contains("package a_b;"));
    for (schema, reason) in [
        (r#"{"type":"array","items":{"type":"string"}}"#, "Unsupported root schema of type ARRAY"),
        (
            r#"{"type":"struct","fields":[{"field":"a","type":"array","items":{"type":"array","items":{"type":"string"}}}]}"#,
            "Array cannot be nested",
        ),
    ] {
        let error = write(&protobuf(&[]), schema, None, "[]").unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn wrong_schemas_and_data_are_refused() {
    let plain = protobuf(&[]);
    let deep = format!("syntax = \"proto3\"; {}{}", "message A { ".repeat(1000), "}".repeat(1000));
    let schema = r#"syntax = "proto3"; message A { string s = 1; repeated A many = 2; }"#;
    let plain_schema = r#"syntax = "proto3"; message A { string s = 1; repeated int32 many = 2; }"#;
    for (schema, data, reason) in [
        ("nonsense", &[0][..], "cannot be read"),
        (&deep, &[0], "nested more than"),
        (schema, &[0], "A contains itself"),
        ("syntax = \"proto3\";", &[0], "no message of these indexes"),
        (
            r#"syntax = "proto3"; message A { oneof o { string s = 1; } string o_0 = 2; }"#,
            &[0],
            "Cannot create field because of field name duplication o_0",
        ),
        (plain_schema, &[], "wrong message indexes"),
        (plain_schema, &[0xff; 9], "wrong message indexes"),
        (plain_schema, &[2, 8], "no message of these indexes"),
        (plain_schema, &[1], "wrong message indexes"),
        (plain_schema, &[0, 10, 0xff], "Error deserializing Protobuf message"),
        (plain_schema, &[0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f], "Error deserializing Protobuf message"),
    ] {
        let error = read(&plain, schema, data).expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(data in proptest::collection::vec(any::<u8>(), 0..100)) {
        let schema = r#"syntax = "proto3"; import "google/type/date.proto"; message A { string s = 1; repeated int32 many = 2; B b = 3;
            map<int32, string> m = 4; google.type.Date d = 5; } message B { sint64 x = 1; bytes y = 2; }"#;
        let plain = protobuf(&[]);
        let data = [&[0][..], &data].concat();
        if let Ok((connect, Some(payload))) = read(&plain, schema, &data) {
            let (_, written) = write(&plain, &connect, Some(schema), &payload).unwrap();
            let _ = read(&plain, schema, &written).unwrap();
        }
    }

    #[test]
    fn any_schema_gets_an_answer(text in any::<String>(), more in r#"[a-z0-9 {}=;<>,\[\]"()]{0,60}"#) {
        let _ = read(&protobuf(&[]), &text, &[0]);
        let _ = read(&protobuf(&[]), &format!("syntax = \"proto3\"; message A {{ {more} }}"), &[0]);
    }
}
