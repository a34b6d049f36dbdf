//! Records that cannot be handled: what reaches the dead letter queue. The expected headers are what Kafka Connect 4.3.1 wrote for the
//! same records, with a FileStreamSink, an IntegerConverter, a JsonConverter and InsertField.

use std::path::Path;

use hawser_e2e::{Deadline, Kafka, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_sink, file_source, folder, lines, wait_lines, with, worker_with};

const DATA: &str = "org.apache.kafka.connect.errors.DataException";

fn queue(topic: &str) -> Value {
    json!({
        "errors.tolerance": "all",
        "errors.log.enable": "true",
        "errors.log.include.messages": "true",
        "errors.deadletterqueue.topic.name": topic,
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
        "transforms": "route,insert",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": "(.*)",
        "transforms.route.replacement": "$1",
        "transforms.insert.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.insert.static.field": "a",
        "transforms.insert.static.value": "b",
    })
}

fn headers(record: &hawser_e2e::Record) -> Vec<(String, String)> {
    let text = |value: &Option<Vec<u8>>| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
    record.headers.iter().map(|(name, value)| (name.trim_start_matches("__connect.errors.").to_owned(), text(value))).collect()
}

#[test]
fn dead_letters_tell_what_kafka_connect_tells() {
    let worker = worker_with(&["file", "transforms"]);
    let topic = Topic::create(Kafka::shared(), "poison", 1);
    let dead = Topic::named(Kafka::shared().bootstrap(), &unique("poison-dlq"));
    let output = folder(&worker, "out").join("lines");
    topic.produce_keyed([
        (Some(&[0u8, 0, 0, 1][..]), Some(r#"{"ok":1}"#)),
        (Some(&[1u8, 2][..]), Some(r#"{"ok":2}"#)),
        (None, Some("{bad")),
        (None, Some("5")),
        (None, Some(r#""text""#)),
        (Some(&[1u8][..]), Some("{bad")),
        (None, Some("[1]")),
    ]);
    let sink = with(file_sink(&output, &topic.name), queue(&dead.name));
    let converters = json!({
        "key.converter": "org.apache.kafka.connect.converters.IntegerConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    });
    worker.rest().configure("poison", &with(sink, converters));
    let mut letters = dead.read_count(6, Deadline::LONG);
    letters.sort_by_key(|letter| headers(letter)[2].1.clone());
    let integer = ("KEY_CONVERTER", "org.apache.kafka.connect.converters.IntegerConverter", "Failed to deserialize integer: ");
    let malformed = "Converting byte[] to Kafka Connect data failed due to serialization error: ";
    let json = ("VALUE_CONVERTER", "org.apache.kafka.connect.json.JsonConverter", malformed);
    let insert = |found: &'static str| ("TRANSFORMATION", "org.apache.kafka.connect.transforms.InsertField$Value", found);
    let expect = [
        ("1", integer, "Size of data received by IntegerDeserializer is not 4"),
        ("2", json, "Unexpected character ('b' (code 98)): was expecting double-quote to start field name"),
        ("3", insert("Only Map objects supported in absence of schema for [field insertion], found: java.lang.Long"), ""),
        ("4", insert("Only Map objects supported in absence of schema for [field insertion], found: java.lang.String"), ""),
        ("5", integer, "Size of data received by IntegerDeserializer is not 4"),
        ("6", insert("Only Map objects supported in absence of schema for [field insertion], found: java.util.ArrayList"), ""),
    ];
    for (letter, (offset, (stage, class, message), cause)) in letters.iter().zip(expect) {
        let headers = headers(letter);
        let (trace, rest) = headers.split_last().expect("headers");
        let told: Vec<(&str, &str)> = rest.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expect = [
            ("topic", topic.name.as_str()),
            ("partition", "0"),
            ("offset", offset),
            ("connector.name", "poison"),
            ("task.id", "0"),
            ("stage", stage),
            ("class.name", class),
            ("exception.class.name", DATA),
            ("exception.message", message),
        ];
        assert_eq!(told, expect);
        assert_eq!(trace.0, "exception.stacktrace");
        assert!(trace.1.starts_with(&format!("{DATA}: {message}")), "{}", trace.1);
        assert!(cause.is_empty() || trace.1.contains("\nCaused by: "), "{cause}: {}", trace.1);
        eprintln!("Kafka's cause: {cause}\nours: {}", trace.1);
    }
    assert_eq!(wait_lines(&output, 1), [r#"{"ok":1,"a":"b"}"#]);
    let line = "Error encountered in task poison-0. Executing stage 'VALUE_CONVERTER' with class 'org.apache.kafka.connect.json.JsonConverter', where consumed record is {topic='";
    assert!(worker.log().contains(line), "Kafka Connect's line");
}

#[test]
fn a_source_has_a_dead_letter_queue() {
    let worker = worker_with(&["file", "transforms"]);
    let topic = Topic::create(Kafka::shared(), "from-file", 1);
    let dead = Topic::named(Kafka::shared().bootstrap(), &unique("source-dlq"));
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one", "two"]);
    // A line is a text, and no object to insert a field into.
    worker.rest().configure("failing", &with(file_source(&input, &topic.name), queue(&dead.name)));
    let letters = dead.read_count(2, Deadline::LONG);
    let texts: Vec<&str> = letters.iter().map(|letter| letter.text()).collect();
    assert_eq!(texts, ["one", "two"]);
    let told = headers(&letters[0]);
    let told: Vec<(&str, &str)> = told.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expect = [
        ("topic", topic.name.as_str()),
        ("connector.name", "failing"),
        ("task.id", "0"),
        ("stage", "TRANSFORMATION"),
        ("class.name", "org.apache.kafka.connect.transforms.InsertField$Value"),
        ("exception.class.name", DATA),
    ];
    assert_eq!(told[..6], expect);
    assert!(topic.read_all().is_empty());
    worker.rest().wait_state("failing", "RUNNING", 1);
}

/// A transform that is in the way for as long as there is a file `busy` in the folder.
fn while_busy(folder: &Path) -> Value {
    json!({
        "sandbox.files": folder,
        "transforms": "busy",
        "transforms.busy.type": "HostileTransform",
        "transforms.busy.apply": "retriable-while",
        "transforms.busy.path": folder.join("busy"),
        "errors.retry.delay.max.ms": "10",
    })
}

fn wait_log(worker: &Worker, text: &str) {
    wait_for(text, Deadline::LONG, || if worker.log().contains(text) { Ok(()) } else { Err("no such line".to_owned()) });
}

#[test]
fn a_failure_that_passes_is_tried_again_until_it_has() {
    let worker = worker_with(&["file", "hostile"]);
    let topic = Topic::create(Kafka::shared(), "busy", 1);
    let folder = folder(&worker, "files");
    let (input, output, busy) = (folder.join("in"), folder.join("out"), folder.join("busy"));
    let retries = with(while_busy(&folder), json!({"errors.retry.timeout": "-1"}));
    append(&input, ["one", "two"]);
    append(&busy, [""]);

    worker.rest().configure("busy-source", &with(file_source(&input, &topic.name), retries.clone()));
    wait_log(&worker, "a batch is to be tried again in 10 ms");
    assert!(topic.read_all().is_empty());
    std::fs::remove_file(&busy).expect("a file");
    let texts: Vec<String> = topic.read_count(2, Deadline::LONG).iter().map(|record| record.text().to_owned()).collect();
    assert_eq!(texts, ["one", "two"]);

    append(&busy, [""]);
    let before = worker.log().matches("a batch is to be tried again").count();
    worker.rest().configure("busy-sink", &with(file_sink(&output, &topic.name), retries));
    wait_for("a retry of the sink", Deadline::LONG, || {
        let now = worker.log().matches("a batch is to be tried again").count();
        if now > before + 1 { Ok(()) } else { Err(format!("{now} retries")) }
    });
    assert!(lines(&output).is_empty());
    std::fs::remove_file(&busy).expect("a file");
    assert_eq!(wait_lines(&output, 2), ["one", "two"]);
    for connector in ["busy-source", "busy-sink"] {
        worker.rest().wait_state(connector, "RUNNING", 1);
    }
}

#[test]
fn a_failure_that_does_not_pass_goes_the_way_of_the_tolerance() {
    let worker = worker_with(&["file", "hostile"]);
    let (topic, refused) = (Topic::create(Kafka::shared(), "stuck", 1), Topic::create(Kafka::shared(), "stuck-source", 1));
    let dead = Topic::named(Kafka::shared().bootstrap(), &unique("stuck-dlq"));
    let folder = folder(&worker, "files");
    let (input, output) = (folder.join("in"), folder.join("out"));
    append(&folder.join("busy"), [""]);
    append(&input, ["one", "two"]);
    topic.produce(["three", "four", "five"]);
    let stuck = with(while_busy(&folder), json!({"errors.retry.timeout": "30"}));
    let letters = json!({
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": dead.name,
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
    });
    let tolerant = with(stuck.clone(), letters);
    worker.rest().configure("stuck-source", &with(file_source(&input, &refused.name), tolerant.clone()));
    worker.rest().configure("stuck-sink", &with(file_sink(&output, &topic.name), tolerant));
    let letters = dead.read_count(5, Deadline::LONG);
    let mut texts: Vec<&str> = letters.iter().map(|letter| letter.text()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["five", "four", "one", "three", "two"]);
    for letter in &letters {
        let told = headers(letter);
        let of = |name: &str| told.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default();
        assert_eq!((of("stage"), of("class.name")), ("TRANSFORMATION", "HostileTransform"));
        assert_eq!(of("exception.class.name"), "org.apache.kafka.connect.errors.RetriableException");
        assert!(of("exception.message").contains("told to be retriable for a while"), "{told:?}");
    }
    worker.rest().configure("strict-source", &with(file_source(&input, &refused.name), stuck.clone()));
    worker.rest().configure("strict-sink", &with(file_sink(&folder.join("strict"), &topic.name), stuck));
    for connector in ["strict-source", "strict-sink"] {
        let trace = worker.rest().wait_failed_task(connector);
        assert!(trace.contains("TRANSFORMATION") && trace.contains("told to be retriable for a while"), "{trace}");
    }
    for connector in ["stuck-source", "stuck-sink"] {
        worker.rest().wait_state(connector, "RUNNING", 1);
    }
    assert!(refused.read_all().is_empty() && lines(&output).is_empty());
}

/// The content of a source's record, and the place of a sink's, as Kafka Connect has it.
#[test]
fn the_log_tells_which_record_failed_only_when_asked() {
    let worker = worker_with(&["file", "transforms"]);
    let topic = Topic::create(Kafka::shared(), "logged", 1);
    let folder = folder(&worker, "files");
    topic.produce(["secret of a sink"]);
    let insert = json!({
        "errors.tolerance": "all",
        "errors.log.enable": "true",
        "transforms": "insert",
        "transforms.insert.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.insert.static.field": "a",
        "transforms.insert.static.value": "b",
    });
    for messages in [false, true] {
        let input = folder.join(format!("in-{messages}"));
        append(&input, ["secret of a source"]);
        let insert = with(insert.clone(), json!({"errors.log.include.messages": messages.to_string()}));
        let (source, sink) = (format!("source-{messages}"), format!("sink-{messages}"));
        worker.rest().configure(&source, &with(file_source(&input, &topic.name), insert.clone()));
        worker.rest().configure(&sink, &with(file_sink(&folder.join(format!("out-{messages}")), &topic.name), insert));
        for task in [source, sink] {
            wait_log(&worker, &format!("Error encountered in task {task}-0."));
        }
        let (log, topic) = (worker.log(), &topic.name);
        let of_source = format!("where source record is = {{topic='{topic}', key=null, value=secret of a source}}.");
        let of_sink = format!("where consumed record is {{topic='{topic}', partition=0, offset=0, timestamp=");
        assert_eq!((log.contains(&of_source), log.contains(&of_sink)), (messages, messages), "{log}");
        assert_eq!((log.contains("secret of a source"), log.contains("secret of a sink")), (messages, false), "{log}");
    }
}
