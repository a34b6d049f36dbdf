//! The converters with a schema registry: a schema's text as a registry may answer it, and data under it. An input is a byte of
//! options, the schema's text, the texts that it refers to (each behind a byte 1), a byte 0, and the data.
//!
//! What is read follows its schema; what is written of it is read again, under the schema it came with and under its own draft.

use std::collections::BTreeMap;
use std::sync::Arc;

use hawser::convert::data::read::Reader;
use hawser::convert::data::{Schema, json::Node};
use hawser::convert::{Decoded, Format, Reference, Registered, SchemaText, Schemas, format};
use hawser::record::{SCHEMA_JSON, SchemaTable};

/// How many bytes a payload may be per byte of schema and data, beside a base: what a small record may grow to.
const MAX_BASE: usize = 4 << 20;
const MAX_GROWTH: usize = 1 << 12;

pub fn avro(data: &[u8]) {
    const OPTIONS: [&str; 5] = [
        "enhanced.avro.schema.support",
        "scrub.invalid.names",
        "discard.type.doc.default",
        "flatten.singleton.unions",
        "generalized.sum.type.support",
    ];
    fuzz("Avro", &OPTIONS, data);
}

pub fn protobuf(data: &[u8]) {
    const OPTIONS: [&str; 5] = [
        "enhanced.protobuf.schema.support",
        "optional.for.nullables",
        "wrapper.for.nullables",
        "int.for.enums",
        "generalized.sum.type.support",
    ];
    fuzz("Protobuf", &OPTIONS, data);
}

pub fn json_schema(data: &[u8]) {
    const OPTIONS: [&str; 4] = [
        "use.optional.for.nonrequired",
        "flatten.singleton.unions",
        "generalized.sum.type.support",
        "ignore.default.for.nullables",
    ];
    fuzz("JsonSchema", &OPTIONS, data);
}

fn fuzz(class: &str, options: &[&str], input: &[u8]) {
    let Some((choice, input)) = input.split_first() else { return };
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let Ok(text) = std::str::from_utf8(&input[..end]) else { return };
    let data = input.get(end + 1..).unwrap_or_default();
    let flipped = options.iter().enumerate().filter(|(place, _)| choice >> place & 1 == 1);
    let properties: BTreeMap<_, _> = flipped.map(|(_, name)| ((*name).to_owned(), "true".to_owned())).collect();
    let format = format(class, &properties).expect("a format").expect("properties");
    let mut texts = text.split('\u{1}').map(str::to_owned);
    let text = texts.next().unwrap_or_default();
    let references = texts.enumerate().map(|(place, text)| Reference { name: format!("r{place}"), text }).collect();
    let target = registered(&*format, SchemaText { text, references });
    check(&*format, &target, data);
}

fn registered(format: &dyn Format, schema: SchemaText) -> Registered {
    Registered { id: 1, schema_type: format.schema_type().to_owned(), schema, version: Some(1) }
}

fn check(format: &dyn Format, target: &Registered, data: &[u8]) {
    let _ = format.record_name(&target.schema);
    let mut schemas = Schemas::new(&Arc::new(SchemaTable::default()));
    let Ok(mut reading) = format.reader(target, &mut schemas) else { return };
    let mut payload = Vec::new();
    let Ok(decoded) = reading.decode(data, &mut schemas, &mut payload) else { return };
    let most = MAX_BASE + MAX_GROWTH * (data.len() + target.schema.text.len());
    assert!(payload.len() <= most, "{} bytes of data became {}", data.len(), payload.len());
    let (id, payload) = match decoded {
        Decoded::Null(id) => (id, None),
        Decoded::Payload(id) => (id, Some(payload.as_slice())),
    };
    let schema = schemas.get(id).expect("the schema of what was read").cloned();
    if let Some(payload) = payload {
        // A member that is missing is null under JSON Schema, whatever its schema.
        follows(schema.as_deref().filter(|_| format.schema_type() != "JSON"), payload);
    }
    assert!(id != SCHEMA_JSON || schema.is_none());
    let schema = schema.as_deref();
    if let Ok(mut writing) = format.writer(schema, target, false) {
        let mut written = Vec::new();
        if matches!(writing.encode(id, payload, &mut written), Ok(true)) {
            let mut again = Vec::new();
            let read = reading.decode(&written, &mut schemas, &mut again);
            assert!(read.is_ok(), "what was written under the same schema is not read: {read:?}");
        }
    }
    let Ok(draft) = format.draft(schema) else { return };
    let draft = registered(format, draft);
    let Ok(mut writing) = format.writer(schema, &draft, true) else { return };
    let mut written = Vec::new();
    if !matches!(writing.encode(id, payload, &mut written), Ok(true)) {
        return;
    }
    // Another reading has a table of its own: a schema that is too large for one is no finding.
    let mut schemas = Schemas::new(&Arc::new(SchemaTable::default()));
    let Ok(mut reading) = format.reader(&draft, &mut schemas) else { return };
    let mut again = Vec::new();
    let read = reading.decode(&written, &mut schemas, &mut again);
    assert!(read.is_ok(), "what was written under its own schema is not read: {read:?}");
}

/// A payload is JSON that its schema allows.
fn follows(schema: Option<&Schema>, payload: &[u8]) {
    let text = std::str::from_utf8(payload).expect("a payload is UTF-8");
    let node = Node::parse(text).expect("a payload is JSON");
    if let Some(schema) = schema {
        let read = Reader::of_plugin(false).read(schema, Some(&node));
        assert!(read.is_ok(), "a payload does not follow its schema: {read:?}");
    }
}
