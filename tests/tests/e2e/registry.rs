//! Converters with a schema registry, against a real one.

use hawser_e2e::{Deadline, Kafka, Registry, Topic, unique, wait_for};
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

/// Lines with a schema through a topic of that format, and from datagen without one.
fn goes_through(class: &str, schema_type: &str) {
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
    goes_through("io.confluent.connect.avro.AvroConverter", "AVRO");
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

#[test]
fn nothing_is_lost_while_the_registry_is_down() {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::own();
    let (input, output) = (folder(&worker, "in").join("lines.txt"), folder(&worker, "out").join("lines.txt"));
    let topic = Topic::create(Kafka::shared(), "outage", 1);
    let avro = converter("io.confluent.connect.avro.AvroConverter", &registry);
    // Records that fail would be skipped: an outage is no such failure.
    let tolerant = json!({"errors.tolerance": "all"});
    append(&input, numbered(0..200));
    let source = with(with(file_source(&input, &topic.name), structured()), with(avro.clone(), tolerant.clone()));
    let sink = with(file_sink(&output, &topic.name), with(avro, tolerant));
    worker.rest().configure("source", &source);
    worker.rest().configure("sink", &sink);
    wait_lines(&output, 200);

    registry.stop();
    // What is known goes on.
    append(&input, numbered(200..400));
    wait_lines(&output, 400);
    // A new schema waits, and so does a sink that has to fetch the old one.
    worker.rest().configure("source", &with(source, json!({"transforms.site.static.field": "place"})));
    append(&input, numbered(400..600));
    let second = folder(&worker, "out").join("second.txt");
    worker.rest().configure("second", &with(sink, json!({"file": second})));
    wait_for("both tasks to wait for the registry", Deadline::LONG, || {
        let log = worker.log();
        let waits = |task: &str| log.lines().any(|line| line.contains(task) && line.contains("schema registry"));
        if waits("source") && waits("second") { Ok(()) } else { Err("they do not say so".to_owned()) }
    });
    assert_eq!(lines(&output).len(), 400);
    for connector in ["source", "second"] {
        worker.rest().wait_state(connector, "RUNNING", 1);
    }

    registry.start();
    for output in [&output, &second] {
        let found = parsed(&wait_lines(output, 600));
        let texts: Vec<_> = found.iter().map(|record| record["line"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(texts, numbered(0..600), "{}", output.display());
        assert_eq!(found[599], json!({"line": numbered(599..600)[0], "place": "north"}));
    }
}

#[test]
fn schemas_evolve_as_far_as_the_registry_lets_them() {
    let worker = worker_with(&["file", "transforms"]);
    let registry = Registry::shared();
    let input = folder(&worker, "in").join("lines.txt");
    let topic = Topic::create(Kafka::shared(), "evolution", 1);
    let subject = format!("{}-value", topic.name);
    append(&input, ["1", "2"]);
    let avro = converter("io.confluent.connect.avro.AvroConverter", registry);
    let source = with(with(file_source(&input, &topic.name), structured()), avro);
    worker.rest().configure("source", &source);
    topic.read_count(2, Deadline::LONG);
    registry.set_compatibility(&subject, "BACKWARD");

    // A field more, which is optional.
    let wider = with(
        source.clone(),
        json!({"transforms": "hoist,site,more", "transforms.more.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.more.static.field": "more", "transforms.more.static.value": "x"}),
    );
    worker.rest().configure("source", &wider);
    append(&input, ["3"]);
    topic.read_count(3, Deadline::LONG);
    assert_eq!(registry.versions(&subject), json!([1, 2]));

    // Another type.
    let other = with(
        source,
        json!({"transforms": "hoist,cast", "transforms.cast.type": "org.apache.kafka.connect.transforms.Cast$Value",
            "transforms.cast.spec": "line:int32"}),
    );
    worker.rest().configure("source", &other);
    append(&input, ["4"]);
    let trace = worker.rest().wait_failed_task("source");
    for part in ["Failed to serialize Avro data from topic", &subject, "ncompatible", "error code: 409"] {
        assert!(trace.contains(part), "{trace}");
    }
    assert_eq!(topic.read_all().len(), 3);
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
