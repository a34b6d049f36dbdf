//! The same records through Kafka Connect's transforms and through ours. `golden/` holds the cases, and what Kafka
//! Connect made of them.

use serde_json::{Value, json};

use super::*;
use hawser_plugin::schema::Kind;

/// What Kafka Connect throws if not said otherwise.
const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// A payload as the host would hand it over: what has the schema of a StringConverter or ByteArrayConverter is text or
/// bytes.
fn payload(envelope: &Value) -> (Option<Vec<u8>>, SchemaId) {
    let (schema, payload) = (&envelope["schema"], &envelope["payload"]);
    let json = (!payload.is_null()).then(|| payload.to_string().into_bytes());
    if envelope.is_null() || (schema.is_null() && payload.is_null()) {
        return (None, SchemaId::BYTES);
    }
    if schema.is_null() {
        return (json, SchemaId::JSON);
    }
    if *schema == json!({"type": "string", "optional": true}) {
        return (payload.as_str().map(|text| text.as_bytes().to_vec()), SchemaId::TEXT);
    }
    let schema = Schema::from_json(&schema.to_string()).unwrap();
    (json, schema::put(&schema).unwrap())
}

/// The envelope that the host's JsonConverter would make of a payload.
fn envelope(payload: Payload<'_>) -> Value {
    if payload.schema.has_schema() {
        let schema = schema::get(payload.schema).unwrap();
        let value = payload.bytes.map_or(Value::Null, |bytes| serde_json::from_slice(bytes).unwrap());
        let schema_json: Value = serde_json::from_str(&schema.to_json()).unwrap();
        return json!({"schema": schema_json, "payload": complete(&value, &schema)});
    }
    match (payload.schema, payload.bytes) {
        (SchemaId::TEXT, bytes) => {
            let text = bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            json!({"schema": {"type": "string", "optional": true}, "payload": text})
        }
        (_, None) => Value::Null,
        (_, Some(bytes)) => json!({"schema": null, "payload": serde_json::from_slice::<Value>(bytes).unwrap()}),
    }
}

/// Fields that a struct lacks are null, those that it has too many do not count, and defaults stand in for nulls.
fn complete(value: &Value, schema: &Schema) -> Value {
    match (&schema.kind, value) {
        (_, Value::Null) => {
            schema.default.as_ref().map_or(Value::Null, |default| complete(default, &Schema { default: None, ..schema.clone() }))
        }
        (Kind::Struct(fields), _) => {
            fields.iter().map(|field| (field.name.clone(), complete(&value[&field.name], &field.schema))).collect()
        }
        (Kind::Array(items), Value::Array(values)) => values.iter().map(|value| complete(value, items)).collect(),
        // Not all versions of Java write the shortest digits.
        (Kind::Float, value) => value.as_f64().map_or_else(|| value.clone(), |number| json!(number as f32)),
        (Kind::Double, value) => value.as_f64().map_or_else(|| value.clone(), |number| json!(number)),
        _ => value.clone(),
    }
}

/// Kafka Connect's answer in the form of ours.
fn normal(mut answer: Value) -> Value {
    fn complete_envelope(envelope: &mut Value) {
        if let Some(schema) = envelope.get("schema").filter(|schema| !schema.is_null()) {
            let schema = Schema::from_json(&schema.to_string()).unwrap();
            envelope["payload"] = complete(&envelope["payload"], &schema);
        }
    }
    if answer.get("topic").is_some() {
        complete_envelope(&mut answer["key"]);
        complete_envelope(&mut answer["value"]);
        answer["headers"].as_array_mut().into_iter().flatten().for_each(|header| complete_envelope(&mut header["value"]));
    }
    answer
}

fn ours(case: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let config = case["config"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let class = format!("{}.{}", crate::side::TRANSFORMS, text(&case["class"]));
    let mut chain = match ChainBuilder::of::<HawserComponent>().class(&class, config).start() {
        Ok(chain) => chain,
        Err(_) => return json!({"invalid": true}),
    };
    let (key, value) = (payload(&case["key"]), payload(&case["value"]));
    let parts = |(bytes, schema): &(Option<Vec<u8>>, SchemaId)| (bytes.clone(), *schema);
    let headers: Vec<_> = case["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| (text(&header["name"]), payload(&header["value"])))
        .collect();
    let headers: Vec<(&str, Payload<'_>)> = headers
        .iter()
        .map(|(name, (bytes, schema))| (name.as_str(), Payload { bytes: bytes.as_deref(), schema: *schema }))
        .collect();
    let (key, value) = (parts(&key), parts(&value));
    let mut record = NewRecord::new("topic")
        .key(Payload { bytes: key.0.as_deref(), schema: key.1 })
        .value(Payload { bytes: value.0.as_deref(), schema: value.1 })
        .headers(&headers);
    if let Some(partition) = case["partition"].as_i64() {
        record = record.partition(i32::try_from(partition).unwrap());
    }
    if let Some(timestamp) = case["timestamp"].as_i64() {
        record = record.timestamp(timestamp);
    }
    let batch = match case["offset"].as_u64() {
        Some(offset) => batch_from_kafka(offset, &[record]),
        None => batch(&[record]),
    };
    let out = chain.apply(batch.unwrap()).unwrap();
    if let Some(Failed { reason, kind, .. }) = out.failures.first() {
        return json!({"error": reason, "exception": kind.as_deref().unwrap_or(DATA_EXCEPTION)});
    }
    let Some(record) = out.records.iter().next() else { return json!({"dropped": true}) };
    let headers: Vec<Value> =
        record.headers().map(|header| json!({"name": header.name, "value": envelope(header.value)})).collect();
    json!({
        "topic": record.topic(),
        "partition": record.partition(),
        "timestamp": record.timestamp(),
        "key": envelope(record.key()),
        "value": envelope(record.value()),
        "headers": headers,
    })
}

#[test]
fn answers_are_kafkas() {
    let cases = lines(include_str!("../../golden/cases.jsonl"));
    let answers = lines(include_str!("../../golden/answers.jsonl"));
    let mut count = 0;
    let mut differences = Vec::new();
    for (case, theirs) in cases.zip(answers) {
        if theirs.get("unconvertible").is_some() {
            continue; // The transform made what Kafka Connect's JsonConverter cannot write, so there is nothing to compare.
        }
        count += 1;
        let (ours, theirs) = (ours(&case), normal(theirs));
        if ours != theirs {
            differences.push(format!("{case}\n  Kafka {theirs}\n  ours  {ours}"));
        }
    }
    assert!(count > 1000, "{count}");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}
