//! Converters with a schema registry, against a real one.

use std::path::{Path, PathBuf};

use hawser_e2e::{Deadline, Kafka, Registry, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_sink, file_source, folder, lines, wait_lines, with, worker_with};

/// What makes a record with a schema of each line: `{"line":…,"site":"north"}`.
fn structured() -> Value {
    const OF: &str = "org.apache.kafka.connect.transforms";
    json!({
        "transforms": "hoist,site",
        "transforms.hoist.type": format!("{OF}.HoistField$Value"), "transforms.hoist.field": "line",
        "transforms.site.type": format!("{OF}.InsertField$Value"),
        "transforms.site.static.field": "site", "transforms.site.static.value": "north",
    })
}

fn converter(class: &str, registry: &Registry) -> Value {
    json!({"value.converter": class, "value.converter.schema.registry.url": registry.url()})
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number} – ümläut")).collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<Value> {
    numbered(range).into_iter().map(|line| json!({"line": line, "site": "north"})).collect()
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// One of the converters.
struct Format {
    class: &'static str,
    /// The registry's name of its schemas.
    schema_type: &'static str,
    /// Its name in messages.
    title: &'static str,
}

const AVRO: Format = Format { class: "io.confluent.connect.avro.AvroConverter", schema_type: "AVRO", title: "Avro" };
const JSON_SCHEMA: Format =
    Format { class: "io.confluent.connect.json.JsonSchemaConverter", schema_type: "JSON", title: "JSON Schema" };
const PROTOBUF: Format =
    Format { class: "io.confluent.connect.protobuf.ProtobufConverter", schema_type: "PROTOBUF", title: "Protobuf" };

/// Lines with a schema through a topic of that format, and from datagen without one.
fn goes_through(Format { class, schema_type, .. }: Format) {
    let worker = worker_with(&["file", "datagen", "transforms"]);
    let registry = Registry::shared();
    let (input, output) = (folder(&worker, "in").join("lines.txt"), folder(&worker, "out").join("lines.txt"));
    let topic = Topic::create(Kafka::shared(), "registry", 1);
    append(&input, numbered(0..1_000));
    let source = with(with(file_source(&input, &topic.name), structured()), converter(class, registry));
    worker.rest().configure("source", &source);
    worker.rest().configure("sink", &with(file_sink(&output, &topic.name), converter(class, registry)));
    assert_eq!(parsed(&wait_lines(&output, 1_000)), expected(0..1_000));

    let latest = registry.latest(&format!("{}-value", topic.name));
    assert_eq!(latest["schemaType"].as_str().unwrap_or("AVRO"), schema_type);
    let id = latest["id"].as_u64().expect("an id") as u32;
    for record in topic.read_all() {
        let value = record.value.expect("a value");
        assert_eq!((value[0], &value[1..5]), (0, &id.to_be_bytes()[..]));
    }
}

#[test]
fn avro_goes_through() {
    goes_through(AVRO);
}

#[test]
fn json_schema_goes_through() {
    goes_through(JSON_SCHEMA);
}

#[test]
fn protobuf_goes_through() {
    goes_through(PROTOBUF);
}

#[test]
fn avro_without_a_schema_goes_through() {
    let worker = worker_with(&["file", "datagen"]);
    let registry = Registry::shared();
    let (topic, output) = (unique("anything"), folder(&worker, "out").join("records"));
    Topic::create(Kafka::shared(), &topic, 1);
    let source = json!({"connector.class": "DatagenSource", "tasks.max": "1", "topic": topic, "count": "500", "rate": "0"});
    let avro = converter("Avro", registry);
    worker.rest().configure("source", &with(source, avro.clone()));
    worker.rest().configure("sink", &with(file_sink(&output, &topic), avro));
    let found = parsed(&wait_lines(&output, 500));
    assert!(found.iter().enumerate().all(|(number, record)| record["id"] == json!(number)), "{found:?}");
}

/// A source and a sink over a topic of one format.
struct Line {
    names: [String; 3],
    source: Value,
    second: Value,
    input: PathBuf,
    outputs: [PathBuf; 2],
}

#[test]
fn nothing_is_lost_while_the_registry_is_down() {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::own();
    let start = |format: &Format| {
        let name = format.schema_type.to_lowercase();
        let names = ["source", "sink", "second"].map(|role| format!("{name}-{role}"));
        let input = folder(&worker, "in").join(&name);
        let outputs = ["first", "second"].map(|output| folder(&worker, "out").join(format!("{name}-{output}")));
        let topic = Topic::create(Kafka::shared(), "outage", 1);
        append(&input, numbered(0..200));
        // Records that fail would be skipped: an outage is no such failure.
        let common = with(converter(format.class, &registry), json!({"errors.tolerance": "all"}));
        let source = with(with(file_source(&input, &topic.name), structured()), common.clone());
        let [sink, second] = [0, 1].map(|output| with(file_sink(&outputs[output], &topic.name), common.clone()));
        worker.rest().configure(&names[0], &source);
        worker.rest().configure(&names[1], &sink);
        Line { names, source, second, input, outputs }
    };
    let formats = [AVRO, JSON_SCHEMA, PROTOBUF].map(|format| start(&format));
    formats.iter().for_each(|line| drop(wait_lines(&line.outputs[0], 200)));

    registry.stop();
    for Line { names, source, second, input, outputs } in &formats {
        // What is known goes on.
        append(input, numbered(200..400));
        wait_lines(&outputs[0], 400);
        // A new schema waits, and so does a sink that has to fetch the old one.
        let other = with(source.clone(), json!({"transforms.site.static.field": "place"}));
        go_on(&worker, &names[0], &other, input, numbered(400..600));
        worker.rest().configure(&names[2], second);
    }
    let waiting = || formats.iter().flat_map(|line| [&line.names[0], &line.names[2]]);
    wait_for("the tasks to wait for the registry", Deadline::LONG, || {
        let log = worker.log();
        let waits = |task: &str| log.lines().any(|line| line.contains(task) && line.contains("schema registry"));
        waiting().find(|task| !waits(task)).map_or(Ok(()), |silent| Err(format!("{silent} does not say so")))
    });
    formats.iter().for_each(|line| assert_eq!(lines(&line.outputs[0]).len(), 400));
    waiting().for_each(|connector| drop(worker.rest().wait_state(connector, "RUNNING", 1)));

    registry.start();
    for output in formats.iter().flat_map(|line| &line.outputs) {
        let found = parsed(&wait_lines(output, 600));
        let texts: Vec<_> = found.iter().map(|record| record["line"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(texts, numbered(0..600), "{}", output.display());
        assert_eq!(found[599], json!({"line": numbered(599..600)[0], "place": "north"}));
    }
}

/// Has a source go on with another config, and then with these lines: none of them is taken by a task with the old one.
fn go_on(worker: &Worker, source: &str, config: &Value, input: &Path, lines: impl IntoIterator<Item = impl AsRef<str>>) {
    worker.rest().put_empty(&format!("/connectors/{source}/stop")).expect(204);
    worker.rest().wait_state(source, "STOPPED", 0);
    worker.rest().configure(source, config);
    append(input, lines);
    worker.rest().put_empty(&format!("/connectors/{source}/resume")).expect(202);
}

/// A field more is a new version; another type of a field is refused.
fn evolves(format: &Format, more: Value) {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::shared();
    let input = folder(&worker, "in").join("lines.txt");
    let topic = Topic::create(Kafka::shared(), "evolution", 1);
    let subject = format!("{}-value", topic.name);
    append(&input, ["1", "2"]);
    let source = with(with(file_source(&input, &topic.name), structured()), with(converter(format.class, registry), more));
    worker.rest().configure("source", &source);
    topic.read_count(2, Deadline::LONG);
    registry.set_compatibility(&subject, "BACKWARD");

    // A field more, which is optional.
    let wider = with(
        source.clone(),
        json!({"transforms": "hoist,site,more", "transforms.more.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.more.static.field": "more", "transforms.more.static.value": "x"}),
    );
    go_on(&worker, "source", &wider, &input, ["3"]);
    topic.read_count(3, Deadline::LONG);
    assert_eq!(registry.versions(&subject), json!([1, 2]));

    // Another type.
    let other = with(
        source,
        json!({"transforms": "hoist,cast", "transforms.cast.type": "org.apache.kafka.connect.transforms.Cast$Value",
            "transforms.cast.spec": "line:int32"}),
    );
    go_on(&worker, "source", &other, &input, ["4"]);
    let trace = worker.rest().wait_failed_task("source");
    for part in [&format!("Failed to serialize {} data from topic", format.title), &subject, "ncompatible", "error code: 409"] {
        assert!(trace.contains(part), "{part} is not in {trace}");
    }
    assert_eq!(topic.read_all().len(), 3);
}

#[test]
fn avro_evolves_as_far_as_the_registry_lets_it() {
    evolves(&AVRO, json!({}));
}

#[test]
fn json_schema_evolves_as_far_as_the_registry_lets_it() {
    // An object that may hold anything cannot be given a property: the anything might be of another type.
    evolves(&JSON_SCHEMA, json!({"value.converter.object.additional.properties": "false"}));
}

#[test]
fn protobuf_evolves_as_far_as_the_registry_lets_it() {
    evolves(&PROTOBUF, json!({}));
}

/// Records are written and read under the latest schema of the subject, which refers to another one.
fn goes_through_references(format: &Format, name: &str, referred: &str, schema: &str) {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::shared();
    let (input, output) = (folder(&worker, "in").join("lines.txt"), folder(&worker, "out").join("lines.txt"));
    let topic = Topic::create(Kafka::shared(), "references", 1);
    let (subject, of_reference) = (format!("{}-value", topic.name), format!("{}-place", topic.name));
    registry.register(&of_reference, format.schema_type, referred, &[]);
    registry.register(&subject, format.schema_type, schema, &[(name, &of_reference, 1)]);
    append(&input, numbered(0..100));
    let latest = json!({"value.converter.auto.register.schemas": "false", "value.converter.use.latest.version": "true"});
    let source = with(with(file_source(&input, &topic.name), structured()), with(converter(format.class, registry), latest));
    worker.rest().configure("source", &source);
    worker.rest().configure("sink", &with(file_sink(&output, &topic.name), converter(format.class, registry)));
    let found = parsed(&wait_lines(&output, 100));
    for (record, line) in found.iter().zip(numbered(0..100)) {
        assert_eq!((&record["line"], &record["site"], &record["place"]), (&json!(line), &json!("north"), &Value::Null));
    }
    let id = registry.latest(&subject)["id"].as_u64().expect("an id") as u32;
    assert!(topic.read_all().iter().all(|record| record.value.as_ref().is_some_and(|value| value[1..5] == id.to_be_bytes())));
    assert_eq!(registry.versions(&subject), json!([1]));
}

#[test]
fn avro_goes_through_references() {
    let schema = r#"{"type":"record","name":"n.Line","fields":[{"name":"place","type":["null","n.Place"],"default":null},
        {"name":"line","type":"string"},{"name":"site","type":"string"}]}"#;
    let place = r#"{"type":"record","name":"n.Place","fields":[{"name":"x","type":"int"}]}"#;
    goes_through_references(&AVRO, "n.Place", place, schema);
}

#[test]
fn json_schema_goes_through_references() {
    let schema = r#"{"type":"object","properties":{"place":{"oneOf":[{"type":"null"},{"$ref":"place.json"}]},
        "line":{"type":"string"},"site":{"type":"string"}}}"#;
    let place = r#"{"type":"object","properties":{"x":{"type":"integer"}}}"#;
    goes_through_references(&JSON_SCHEMA, "place.json", place, schema);
}

#[test]
fn protobuf_goes_through_imports() {
    let schema = r#"syntax = "proto3"; import "places/place.proto";
        message Line { places.Place place = 7; string site = 5; string line = 2; }"#;
    let place = r#"syntax = "proto3"; package places; message Place { int32 x = 1; }"#;
    goes_through_references(&PROTOBUF, "places/place.proto", place, schema);
}

/// Without `auto.register.schemas` a schema must be there already.
fn is_looked_up(format: &Format) {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::shared();
    let input = folder(&worker, "in").join("lines.txt");
    let topic = Topic::create(Kafka::shared(), "lookup", 1);
    append(&input, numbered(0..10));
    let register = with(with(file_source(&input, &topic.name), structured()), converter(format.class, registry));
    let look_up = with(register.clone(), json!({"value.converter.auto.register.schemas": "false"}));
    worker.rest().configure("source", &look_up);
    let trace = worker.rest().wait_failed_task("source");
    let subject = format!("{}-value", topic.name);
    for part in [&format!("Error retrieving {} schema in subject {subject}", format.title), "error code: 404"] {
        assert!(trace.contains(part), "{part} is not in {trace}");
    }
    assert_eq!(topic.read_all().len(), 0);
    worker.rest().configure("source", &register);
    topic.read_count(10, Deadline::LONG);
    go_on(&worker, "source", &look_up, &input, numbered(10..20));
    topic.read_count(20, Deadline::LONG);
    assert_eq!(registry.versions(&subject), json!([1]));
}

#[test]
fn avro_is_looked_up() {
    is_looked_up(&AVRO);
}

#[test]
fn json_schema_is_looked_up() {
    is_looked_up(&JSON_SCHEMA);
}

#[test]
fn protobuf_is_looked_up() {
    is_looked_up(&PROTOBUF);
}

#[test]
fn configs_are_checked_and_secrets_stay_hidden() {
    let worker = worker_with(&["file"]);
    let config = with(
        file_sink(&folder(&worker, "out").join("x"), "t"),
        json!({"name": "check", "value.converter": "io.confluent.connect.avro.AvroConverter",
            "value.converter.auto.register.schemas": "perhaps", "value.converter.basic.auth.user.info": "ann:s3cret"}),
    );
    let answer = worker.rest().put("/connector-plugins/FileStreamSink/config/validate", &config).expect(200);
    let text = answer.to_string();
    assert!(text.contains("Expected value to be either true or false"), "{text}");
    assert!(text.contains("schema.registry.url") && !text.contains("s3cret"), "{text}");
}
