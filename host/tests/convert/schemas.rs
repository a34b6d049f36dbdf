//! Avro and Protobuf schemas at random, and Connect schemas whose names every format allows.

use std::fmt::Write;

use hawser::convert::data::{Kind, Schema};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

/// The schema with names of ASCII letters, each once.
pub fn tidy(mut schema: Schema) -> Schema {
    fn visit(schema: &mut Schema, count: &mut usize) {
        let is_logical = schema.logical().is_some();
        if let Some(name) = schema.name.as_mut().filter(|_| !is_logical) {
            *count += 1;
            let kept: String = name.chars().filter(|character| character.is_ascii_alphabetic() || *character == '.').collect();
            *name = format!("{kept}N{count}");
        }
        match &mut schema.kind {
            Kind::Struct(fields) => {
                for (place, field) in fields.iter_mut().enumerate() {
                    field.name = format!("f{place}");
                    visit(&mut field.schema, count);
                }
            }
            Kind::Array(items) => visit(items, count),
            Kind::Map(keys, values) => {
                visit(keys, count);
                visit(values, count);
            }
            _ => {}
        }
    }
    visit(&mut schema, &mut 0);
    schema
}

/// An Avro schema. Its names are given at the end, so that each is there once.
pub fn avro_schema() -> BoxedStrategy<Json> {
    let plain = select(vec!["boolean", "int", "long", "float", "double", "bytes", "string"]).prop_map(|name| json!(name));
    let annotated = select(vec![
        json!({"type": "int", "logicalType": "date"}),
        json!({"type": "long", "logicalType": "timestamp-millis"}),
        json!({"type": "long", "logicalType": "timestamp-micros"}),
        json!({"type": "fixed", "name": "", "size": 5, "logicalType": "decimal", "precision": 10, "scale": 3}),
        json!({"type": "int", "connect.type": "int8"}),
        json!({"type": "int", "connect.type": "int16", "connect.doc": "small"}),
        json!({"type": "string", "connect.name": "a.Text", "connect.version": 3, "connect.parameters": {"a": "b"}}),
        json!({"type": "string", "connect.default": "x"}),
        json!({"type": "fixed", "name": "", "size": 3}),
        json!({"type": "enum", "name": "", "symbols": ["A", "B", "C"], "doc": "letters"}),
        json!({"type": "enum", "name": "", "symbols": ["X"], "default": "X"}),
    ]);
    let leaf = prop_oneof![3 => plain.boxed(), 2 => annotated.boxed()];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let field = (inner.clone(), option::weighted(0.2, select(vec!["about", "ümläut"])));
        prop_oneof![
            3 => vec(field, 0..5).prop_map(|fields| {
                let field = |(place, (kind, doc)): (usize, (Json, Option<&str>))| {
                    let mut field = json!({"name": format!("f{place}"), "type": kind});
                    if let Some(doc) = doc {
                        field["doc"] = json!(doc);
                    }
                    if field["type"][0] == "null" && place % 2 == 0 {
                        field["default"] = Json::Null;
                    }
                    field
                };
                let fields: Vec<_> = fields.into_iter().enumerate().map(field).collect();
                json!({"type": "record", "name": "", "namespace": "n.s", "fields": fields})
            }),
            1 => inner.clone().prop_filter("no union", |items| !items.is_array()).prop_map(|items| json!({"type": "array", "items": items})),
            1 => inner.clone().prop_map(|values| json!({"type": "map", "values": values})),
            2 => (vec(inner, 1..4), any::<bool>()).prop_map(|(branches, nullable)| {
                let mut seen = Vec::new();
                let mut union: Vec<Json> = Vec::new();
                if nullable {
                    union.push(json!("null"));
                }
                for branch in branches {
                    let kind = branch.get("type").unwrap_or(&branch).clone();
                    if !branch.is_array() && !seen.contains(&kind) {
                        seen.push(kind);
                        union.push(branch);
                    }
                }
                if union.is_empty() { json!("int") } else { Json::Array(union) }
            }),
        ]
    })
    .prop_map(|mut schema| {
        name(&mut schema, &mut 0);
        schema
    })
    .boxed()
}

fn name(schema: &mut Json, count: &mut usize) {
    if schema.get("name").is_some_and(|name| name == "") {
        *count += 1;
        schema["name"] = json!(format!("N{count}"));
    }
    match schema {
        Json::Array(parts) => parts.iter_mut().for_each(|part| name(part, count)),
        Json::Object(members) => {
            members.iter_mut().filter(|(key, _)| !key.starts_with("connect.")).for_each(|(_, part)| name(part, count))
        }
        _ => {}
    }
}

const SCALARS: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string",
    "bytes", "float", "double",
];
const KEYS: [&str; 4] = ["string", "int32", "uint64", "bool"];
const KNOWN: [(&str, &str); 4] = [
    ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
    ("google.protobuf.StringValue", "google/protobuf/wrappers.proto"),
    ("google.type.Date", "google/type/date.proto"),
    ("google.type.TimeOfDay", "google/type/timeofday.proto"),
];

#[derive(Debug, Clone)]
enum Member {
    Scalar(&'static str),
    Optional(&'static str),
    Repeated(&'static str),
    Map(&'static str, Box<Member>),
    Known(usize),
    Enum,
    Message(Vec<Member>, bool),
    Oneof(Vec<Member>),
}

/// The text of a Protobuf schema.
pub fn proto_schema() -> BoxedStrategy<String> {
    let scalar = || select(SCALARS.to_vec());
    let leaf = prop_oneof![
        4 => scalar().prop_map(Member::Scalar),
        1 => scalar().prop_map(Member::Optional),
        2 => scalar().prop_map(Member::Repeated),
        1 => (0..KNOWN.len()).prop_map(Member::Known),
        1 => Just(Member::Enum),
        1 => (select(KEYS.to_vec()), scalar()).prop_map(|(key, value)| Member::Map(key, Box::new(Member::Scalar(value)))),
        1 => vec(scalar().prop_map(Member::Scalar), 1..4).prop_map(Member::Oneof),
    ];
    let member = leaf.prop_recursive(3, 20, 5, |inner| {
        let message = (vec(inner, 0..5), any::<bool>()).prop_map(|(members, repeated)| Member::Message(members, repeated));
        let single = message.clone().prop_map(|message| match message {
            Member::Message(members, _) => Member::Message(members, false),
            other => other,
        });
        prop_oneof![
            2 => message,
            1 => (select(KEYS.to_vec()), single.clone()).prop_map(|(key, value)| Member::Map(key, Box::new(value))),
            1 => vec(single, 1..3).prop_map(Member::Oneof),
        ]
    });
    (vec(member, 0..6), option::of(Just("package a.b;\n")))
        .prop_map(|(members, package)| {
            let mut text = "syntax = \"proto3\";\n".to_owned() + package.unwrap_or_default();
            for (_, import) in KNOWN {
                let _ = writeln!(text, "import \"{import}\";");
            }
            message(&mut text, "M", &members, &mut 0);
            text
        })
        .boxed()
}

fn message(text: &mut String, name: &str, members: &[Member], count: &mut usize) {
    let _ = writeln!(text, "message {name} {{");
    let mut tag = 1;
    members.iter().for_each(|member| write_member(text, member, "", &mut tag, count));
    text.push_str("}\n");
}

fn write_member(text: &mut String, member: &Member, label: &str, tag: &mut u32, count: &mut usize) {
    let mut field = |text: &mut String, kind: &str| {
        let _ = writeln!(text, "{kind} f{tag} = {tag};");
        *tag += 1;
    };
    match member {
        Member::Scalar(kind) => field(text, &format!("{label}{kind}")),
        Member::Optional(kind) => field(text, &format!("optional {kind}")),
        Member::Repeated(kind) => field(text, &format!("repeated {kind}")),
        Member::Known(place) => field(text, KNOWN[*place].0),
        Member::Enum => {
            *count += 1;
            let _ = writeln!(text, "enum E{count} {{ A{count} = 0; B{count} = 1; C{count} = -5; }}");
            field(text, &format!("E{count}"));
        }
        Member::Message(members, repeated) => {
            *count += 1;
            let name = format!("M{count}");
            message(text, &name, members, count);
            field(text, &format!("{}{name}", if *repeated { "repeated " } else { "" }));
        }
        Member::Map(key, value) => {
            let kind = match &**value {
                Member::Message(members, _) => {
                    *count += 1;
                    let name = format!("M{count}");
                    message(text, &name, members, count);
                    name
                }
                Member::Scalar(kind) => (*kind).to_owned(),
                _ => unreachable!("maps are of scalars and messages"),
            };
            field(text, &format!("map<{key}, {kind}>"));
        }
        Member::Oneof(members) => {
            *count += 1;
            let mut inner = String::new();
            let name = format!("o{count}");
            for member in members {
                match member {
                    Member::Message(members, _) => {
                        *count += 1;
                        let name = format!("M{count}");
                        message(text, &name, members, count);
                        let _ = writeln!(inner, "{name} f{tag} = {tag};");
                    }
                    Member::Scalar(kind) => {
                        let _ = writeln!(inner, "{kind} f{tag} = {tag};");
                    }
                    _ => unreachable!("unions are of scalars and messages"),
                }
                *tag += 1;
            }
            let _ = writeln!(text, "oneof {name} {{\n{inner}}}");
        }
    }
}
