//! The transforms that came later: what goes in, what comes out.

use super::*;

/// Key, value and headers of the only record, or why it failed.
fn whole(chain: ChainBuilder, record: NewRecord<'_>) -> String {
    let out = chain.start().unwrap().apply(batch_from_kafka(7, &[record]).unwrap()).unwrap();
    if let Some(Failed { reason, .. }) = out.failures.first() {
        return reason.clone();
    }
    let record = out.records.iter().next().unwrap();
    let show = |payload: Payload<'_>| payload.bytes.map_or("null".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let headers: Vec<String> = record.headers().map(|header| format!("{}={}", header.name, show(header.value))).collect();
    format!("{} {} [{}]", show(record.key()), show(record.value()), headers.join(" "))
}

/// The schema that the value of a record has after a transform.
fn schema_after<T: Transform + Class>(config: &[(&str, &str)], value: Payload<'_>) -> String {
    let mut chain = ChainBuilder::new().step::<T>(config).start().unwrap();
    let out = chain.apply(batch(&[NewRecord::new("t").value(value)]).unwrap()).unwrap();
    let id = out.records.iter().next().unwrap().value().schema;
    if id.has_schema() { schema::get(id).unwrap().to_json() } else { format!("{id:?}") }
}

#[test]
fn drop_headers_and_insert_header() {
    let headers = [("a", Payload::text("1")), ("b", Payload::text("2")), ("a", Payload::NULL)];
    let record = NewRecord::new("t").key("k").value("v").headers(&headers);
    let drop = |names| ChainBuilder::new().step::<DropHeaders>(&[("headers", names)]);
    assert_eq!(whole(drop("a, x"), record), "k v [b=2]");
    assert_eq!(whole(drop("A"), record), "k v [a=1 b=2 a=null]");
    for (literal, kind) in [
        ("123", "int8"),
        ("+129", "int16"),
        ("-40000", "int32"),
        ("3000000000", "int64"),
        ("true", "boolean"),
        ("True", "string"),
        ("a text", "string"),
        ("99999999999999999999", "string"),
    ] {
        let mut chain = ChainBuilder::new().step::<InsertHeader>(&[("header", "h"), ("value.literal", literal)]).start().unwrap();
        let out = chain.apply(batch(&[record]).unwrap()).unwrap();
        let value = out.records.iter().next().unwrap().headers().last().unwrap().value;
        let quote = if kind == "string" { "\"" } else { "" };
        assert_eq!(value.as_str().unwrap(), format!("{quote}{}{quote}", literal.trim_start_matches('+')));
        let schema = format!(r#"{{"type":"{kind}","optional":false}}"#);
        assert_eq!(schema::get(value.schema).unwrap().to_json(), schema, "{literal}");
    }
}

#[test]
fn header_from() {
    let id = schema(&[r#""type":"int64","field":"a""#, r#""type":"string","default":"d","field":"b""#]);
    let config = |operation| [("fields", "a,b"), ("headers", "x,y"), ("operation", operation)];
    let chain = |operation| ChainBuilder::new().step::<HeaderFrom<Value>>(&config(operation));
    let json = NewRecord::new("t").value(Payload::json(r#"{"a":[1],"c":2}"#));
    assert_eq!(whole(chain("copy"), json), r#"null {"a":[1],"c":2} [x=[1] y=null]"#);
    assert_eq!(whole(chain("move"), json), r#"null {"c":2} [x=[1] y=null]"#);
    let value = Payload::with_schema(r#"{"a":1}"#, id);
    assert_eq!(whole(chain("move"), NewRecord::new("t").value(value)), r#"null {} [x=1 y="d"]"#);
    assert_eq!(
        schema_after::<HeaderFrom<Value>>(&config("move"), value),
        r#"{"type":"struct","fields":[],"optional":false,"name":"n","version":2}"#
    );
    assert_eq!(
        whole(chain("move"), NewRecord::new("t")),
        "Only Map objects supported in absence of schema for [header move], found: null"
    );
    assert_eq!(problems::<HeaderFrom<Key>>(&[("fields", "a"), ("headers", "x,y"), ("operation", "copy")]).len(), 1);
}

#[test]
fn value_to_key() {
    let id = schema(&[r#""type":"int64","field":"a""#, r#""type":"string","default":"d","field":"b""#]);
    let chain = |fields| ChainBuilder::new().step::<ValueToKey>(&[("fields", fields)]);
    let json = Payload::json(r#"{"a":1,"b":{"c":2}}"#);
    assert_eq!(
        whole(chain("b,x"), NewRecord::new("t").key("old").value(json)),
        r#"{"b":{"c":2},"x":null} {"a":1,"b":{"c":2}} []"#
    );
    let value = NewRecord::new("t").value(Payload::with_schema(r#"{"a":1}"#, id));
    assert_eq!(whole(chain("b,a"), value), r#"{"b":"d","a":1} {"a":1} []"#);
    assert_eq!(whole(chain("x"), value), "Field does not exist: x");
    assert_eq!(
        whole(chain("a"), NewRecord::new("t")),
        "Only Map objects supported in absence of schema for [copying fields from value to key], found: null"
    );
}

#[test]
fn hoist_field() {
    let number = schema::put(&Schema::new(schema::Kind::Int64)).unwrap();
    let config = [("field", "f")];
    for (value, expected) in [
        (Payload::json("[1]"), r#"{"f":[1]}"#),
        (Payload::NULL, r#"{"f":null}"#),
        (Payload::text("a\"b"), r#"{"f":"a\"b"}"#),
        (Payload { bytes: None, schema: SchemaId::TEXT }, r#"{"f":null}"#),
        (Payload::bytes(b"abc"), r#"{"f":"YWJj"}"#),
        (Payload::with_schema("5", number), r#"{"f":5}"#),
        (Payload { bytes: None, schema: number }, "Invalid value: null used for required field: \"f\", schema type: INT64"),
    ] {
        assert_eq!(apply::<HoistField<Value>>(&config, value), expected);
    }
    let after = r#"{"type":"struct","fields":[{"type":"string","optional":true,"field":"f"}],"optional":false}"#;
    assert_eq!(schema_after::<HoistField<Value>>(&config, Payload::text("x")), after);
}

#[test]
fn extract_field() {
    let inner =
        r#""type":"struct","fields":[{"type":"string","optional":true,"default":"d","field":"b"}],"optional":true,"field":"a""#;
    let id = schema(&[inner]);
    for (path, version, value, expected) in [
        ("a", "V1", Payload::json(r#"{"a":{"b":1}}"#), r#"{"b":1}"#),
        ("a.b", "V1", Payload::json(r#"{"a.b":"x"}"#), r#""x""#),
        ("a.b", "v2", Payload::json(r#"{"a":{"b":1}}"#), "1"),
        ("a.b", "V2", Payload::json(r#"{"a":null}"#), "null"),
        ("x", "V1", Payload::json("{}"), "null"),
        ("x", "V1", Payload::NULL, "null"),
        ("a.b", "V2", Payload::with_schema(r#"{"a":{"b":"x"}}"#, id), r#""x""#),
        ("a.b", "V2", Payload::with_schema(r#"{"a":{}}"#, id), r#""d""#),
        ("x", "V1", Payload::with_schema("{}", id), "Unknown field: x"),
        (
            "x",
            "V1",
            Payload::json("1"),
            "Only Map objects supported in absence of schema for [field extraction], found: java.lang.Long",
        ),
    ] {
        assert_eq!(
            apply::<ExtractField<Value>>(&[("field", path), ("field.syntax.version", version)], value),
            expected,
            "{path}"
        );
    }
    let after =
        schema_after::<ExtractField<Value>>(&[("field", "a.b"), ("field.syntax.version", "V2")], Payload::with_schema("{}", id));
    assert_eq!(after, r#"{"type":"string","optional":true,"default":"d"}"#);
    assert_eq!(problems::<ExtractField<Key>>(&[("field", "`a"), ("field.syntax.version", "V2")]).len(), 1);
}

#[test]
fn flatten() {
    for (json, expected) in [
        (r#"{"a":{"b":1,"c":{"d":[{"e":1}]}},"f":null,"g":{}}"#, r#"{"a.b":1,"a.c.d":[{"e":1}],"f":null}"#),
        (r#"{"a":{},"b":{"c":"\""}}"#, r#"{"b.c":"\""}"#),
    ] {
        assert_eq!(apply::<Flatten<Value>>(&[], Payload::json(json)), expected);
    }
    let struct_a = r#""type":"struct","fields":[{"type":"int8","field":"x"},{"type":"string","default":"d","field":"y"}],"optional":true,"field":"a""#;
    let id = schema(&[struct_a, r#""type":"int64","field":"b""#]);
    let value = Payload::with_schema(r#"{"a":{"x":1},"b":2}"#, id);
    assert_eq!(apply::<Flatten<Value>>(&[("delimiter", "_")], value), r#"{"a_x":1,"b":2,"a_y":"d"}"#);
    assert_eq!(
        schema_after::<Flatten<Value>>(&[("delimiter", "_")], value),
        r#"{"type":"struct","fields":[{"type":"int8","optional":true,"field":"a_x"},{"type":"string","optional":true,"default":"d","field":"a_y"},{"type":"int64","optional":true,"field":"b"}],"optional":false,"name":"n","version":2}"#
    );
    let map = schema(&[r#""type":"map","keys":{"type":"string"},"values":{"type":"int8"},"field":"m""#]);
    assert_eq!(
        apply::<Flatten<Value>>(&[], Payload::with_schema("{}", map)),
        "Flatten transformation does not support MAP for record with schemas (for field m)."
    );
}

#[test]
fn set_schema_metadata() {
    let id = schema(&[r#""type":"int64","field":"b""#]);
    let config = [("schema.name", "new"), ("schema.version", "3")];
    let value = Payload::with_schema(r#"{"b":1}"#, id);
    assert_eq!(apply::<SetSchemaMetadata<Value>>(&config, value), r#"{"b":1}"#);
    assert_eq!(
        schema_after::<SetSchemaMetadata<Value>>(&config, value),
        r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"b"}],"optional":true,"name":"new","version":3}"#
    );
    for (value, expected) in [
        (Payload::NULL, "null"),
        (Payload { bytes: None, schema: SchemaId::TEXT }, "Cannot list fields on non-struct type"),
        (Payload::json("{}"), "Schema required for [updating schema metadata]"),
        (Payload::text("x"), "Cannot list fields on non-struct type"),
    ] {
        assert_eq!(apply::<SetSchemaMetadata<Value>>(&config, value), expected);
    }
    assert_eq!(problems::<SetSchemaMetadata<Key>>(&[]), ["Neither schema name nor version configured"]);
}

#[test]
fn cast_without_a_schema() {
    for (spec, json, expected) in [
        ("int8", "300", "44"),
        ("int8", "-1.9", "-1"),
        ("int16", "1e10", "-1"),
        ("int64", "1e30", "9223372036854775807"),
        ("int32", "true", "1"),
        ("int32", "\"12\"", "12"),
        ("int32", "\"1.5\"", "Value (1.5) was out of range for requested data type"),
        ("int8", "\"300\"", "Value (300) was out of range for requested data type"),
        ("float32", "0.1", "0.1"),
        ("float32", "1e300", "\"Infinity\""),
        ("float64", "5", "5.0"),
        ("float64", "\" 1e3 \"", "1000.0"),
        ("float64", "\"x\"", "Value (x) was out of range for requested data type"),
        ("boolean", "0.9", "false"),
        ("boolean", "-1", "true"),
        ("boolean", "\"TRUE\"", "true"),
        ("boolean", "\"yes\"", "false"),
        ("string", "12345678.5", "\"1.23456785E7\""),
        ("string", "true", "\"true\""),
        ("STRING", "\"x\"", "\"x\""),
        (
            "string",
            "[]",
            "Cast transformation does not support casting from ARRAY; supported types are [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]",
        ),
        ("a:int8,b:string", r#"{"a":1.5,"c":true}"#, r#"{"a":1,"c":true,"b":null}"#),
        ("a:int8", r#"{"a":null}"#, r#"{"a":null}"#),
    ] {
        assert_eq!(apply::<Cast<Value>>(&[("spec", spec)], Payload::json(json)), expected, "{spec} {json}");
    }
    assert_eq!(apply::<Cast<Value>>(&[("spec", "int8")], Payload::text("7")), "7");
    assert_eq!(apply::<Cast<Value>>(&[("spec", "string")], Payload::bytes(b"abc")), "\"YWJj\"");
    assert_eq!(
        apply::<Cast<Value>>(&[("spec", "int8")], Payload::bytes(b"abc")),
        "Unexpected type in Cast transformation: class [B"
    );
    assert_eq!(apply::<Cast<Value>>(&[("spec", "int8")], Payload::NULL), "null");
}

#[test]
fn cast_with_a_schema() {
    let decimal =
        r#""type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"f""#;
    let date = r#""type":"int32","name":"org.apache.kafka.connect.data.Date","version":1,"field":"f""#;
    let timestamp = r#""type":"int64","name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"f""#;
    for (field, value, target, expected) in [
        (decimal, "\"AJY=\"", "string", "\"1.50\""),
        (decimal, "\"AJY=\"", "int32", "1"),
        (decimal, "\"AJY=\"", "float64", "1.5"),
        (date, "1", "int64", "1"),
        (date, "1", "string", "\"1970-01-02\""),
        (timestamp, "86400001", "string", "\"1970-01-02T00:00:00.001Z\""),
        (timestamp, "1", "string", "\"00:00:00.001Z\""),
        (r#""type":"float","field":"f""#, "0.1", "string", "\"0.1\""),
        (r#""type":"int64","field":"f""#, "5000000000", "int32", "705032704"),
    ] {
        let id = schema(&[field]);
        let value = format!("{{\"f\":{value}}}");
        let config = format!("f:{target},unknown:int8");
        let cast = apply::<Cast<Value>>(&[("spec", &config)], Payload::with_schema(&value, id));
        assert_eq!(cast, format!("{{\"f\":{expected}}}"), "{field} {target}");
    }
    let id = schema(&[r#""type":"int64","optional":true,"default":7,"name":"x","field":"f""#, r#""type":"int8","field":"g""#]);
    assert_eq!(
        schema_after::<Cast<Value>>(&[("spec", "f:string")], Payload::with_schema("{}", id)),
        r#"{"type":"struct","fields":[{"type":"string","optional":true,"default":"7","field":"f"},{"type":"int8","optional":false,"field":"g"}],"optional":true,"name":"n","version":2}"#
    );
    assert_eq!(schema_after::<Cast<Value>>(&[("spec", "int8")], Payload::text("7")), r#"{"type":"int8","optional":true}"#);
}

#[test]
fn cast_says_what_is_wrong_with_its_spec() {
    for (spec, expected) in [
        ("", "Must specify at least one field to cast."),
        ("a:int7", "Invalid type found in casting spec: int7"),
        ("a:b:c", "Invalid rename mapping: a:b:c"),
        (
            "int8,a:int8",
            "Cast transformations that specify a type to cast the entire value to may only specify a single cast in their spec",
        ),
        (
            "bytes",
            "Cast transformation does not support casting to BYTES; supported types are [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]",
        ),
    ] {
        assert!(problems::<Cast<Key>>(&[("spec", spec)])[0].ends_with(expected), "{spec}");
    }
}

#[test]
fn timestamp_converter() {
    const FORMAT: &str = "yyyy-MM-dd'T'HH:mm:ss.SSS";
    let logical = |kind: &str, name: &str| {
        format!(r#""type":"{kind}","name":"org.apache.kafka.connect.data.{name}","version":1,"field":"f""#)
    };
    let plain = |kind: &str| format!(r#""type":"{kind}","optional":true,"field":"f""#);
    for (field, value, target, expected) in [
        (plain("string"), "\"2017-01-03T06:30:01.864\"", "Timestamp", "1483425001864"),
        (plain("string"), "\"2017-01-03T06:30:01.864\"", "Date", "17169"),
        (plain("string"), "\"2017-01-03T06:30:01.864\"", "Time", "23401864"),
        (plain("string"), "\"2017-01-03T06:30:01.864\"", "unix", "1483425001"),
        (plain("int64"), "1483425001", "string", "\"2017-01-03T06:30:01.000\""),
        (logical("int64", "Timestamp"), "1483425001864", "string", "\"2017-01-03T06:30:01.864\""),
        (logical("int32", "Date"), "17169", "Timestamp", "1483401600000"),
        (logical("int32", "Time"), "23401864", "unix", "23401"),
        (plain("int64"), "null", "string", "null"),
    ] {
        let id = schema(&[&field]);
        let config = [("field", "f"), ("target.type", target), ("format", FORMAT), ("unix.precision", "seconds")];
        let converted = apply::<TimestampConverter<Value>>(&config, Payload::with_schema(&format!("{{\"f\":{value}}}"), id));
        assert_eq!(converted, format!("{{\"f\":{expected}}}"), "{field} {target}");
    }
    for (value, target, expected) in [
        (Payload::json("1483425001864"), "string", "\"2017-01-03T06:30:01.864\""),
        (Payload::json("1483425001864"), "Date", "1483401600000"),
        (Payload::json("\"2017-01-03T06:30:01.864\""), "unix", "1483425001864"),
        (Payload::text("2017-01-03T06:30:01.864"), "Timestamp", "1483425001864"),
        (Payload::json("null"), "unix", "null"),
        (Payload::NULL, "unix", "null"),
        (Payload::json("1.5"), "unix", "TimestampConverter does not support class java.lang.Double objects as timestamps"),
        (Payload::text("x"), "unix", "Could not parse timestamp: value (x) does not match pattern (yyyy-MM-dd'T'HH:mm:ss.SSS)"),
    ] {
        let config = [("target.type", target), ("format", FORMAT)];
        assert_eq!(apply::<TimestampConverter<Value>>(&config, value), expected, "{value:?} {target}");
    }
    let id = schema(&[&plain("string")]);
    let config = [("field", "f"), ("target.type", "Date"), ("format", FORMAT)];
    assert_eq!(
        schema_after::<TimestampConverter<Value>>(&config, Payload::with_schema("{}", id)),
        r#"{"type":"struct","fields":[{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"f"}],"optional":true,"name":"n","version":2}"#
    );
    assert_eq!(problems::<TimestampConverter<Key>>(&[("target.type", "string")]).len(), 1);
    assert_eq!(problems::<TimestampConverter<Key>>(&[("target.type", "date")]).len(), 1);
}

#[test]
fn timestamp_router() {
    let topic = |config: &[(&str, &str)], timestamp| {
        let mut chain = ChainBuilder::new().step::<TimestampRouter>(config).start().unwrap();
        let out = chain.apply(batch(&[NewRecord::new("t").timestamp(timestamp)]).unwrap()).unwrap();
        out.records.iter().next().map_or_else(|| out.failures[0].reason.clone(), |record| record.topic().to_owned())
    };
    assert_eq!(topic(&[], 1_483_425_001_864), "t-20170103");
    let config = [("topic.format", "${timestamp}.${topic}.${topic}"), ("timestamp.format", "yyyy-MM")];
    assert_eq!(topic(&config, 1_483_425_001_864), "2017-01.t.t");
    assert_eq!(topic(&[], -1), "Timestamp missing on record of topic t");
}
