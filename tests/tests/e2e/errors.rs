//! Records that cannot be handled: what reaches the dead letter queue. The expected headers are what Kafka Connect 4.3.1 wrote for the
//! same records, with a FileStreamSink, an IntegerConverter, a JsonConverter and InsertField.

use hawser_e2e::{Deadline, Kafka, Topic, unique};
use serde_json::json;

use crate::support::{append, file_sink, file_source, folder, wait_lines, with, worker_with};

const DATA: &str = "org.apache.kafka.connect.errors.DataException";

fn queue(topic: &str) -> serde_json::Value {
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
