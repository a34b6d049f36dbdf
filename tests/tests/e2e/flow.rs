//! Records through each plugin.

use std::path::Path;

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_sink, file_source, folder, wait_lines, with, worker_with};

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|i| format!(r#"{{"n":{i},"text":"line {i} – ümläut","secret":"s{i}"}}"#))
}

#[test]
fn file_source_sends_each_line_once_in_order() {
    let worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines.ndjson");
    let topic = Topic::create(Kafka::shared(), "lines", 1);
    append(&input, numbered(0..5_000));
    worker.rest().configure("source", &file_source(&input, &topic.name));
    topic.read_count(5_000, Deadline::LONG);

    append(&input, numbered(5_000..5_010)); // it follows the file
    topic.read_count(5_010, Deadline::LONG);
    let texts: Vec<_> = topic.read_all().iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, numbered(0..5_010).collect::<Vec<_>>());
}

#[test]
fn file_source_follows_rotation_and_truncation() {
    let worker = worker_with(&["file"]);
    let dir = folder(&worker, "in");
    let input = dir.join("app.log");
    let topic = Topic::create(Kafka::shared(), "rotated", 1);
    append(&input, ["a1", "a2"]);
    worker.rest().configure("source", &file_source(&input, &topic.name));
    topic.read_count(2, Deadline::LONG);

    std::fs::rename(&input, dir.join("app.log.1")).expect("rotate");
    append(&input, ["b1"]);
    topic.read_count(3, Deadline::LONG);

    std::fs::write(&input, "c\n").expect("truncate and write less");
    topic.read_count(4, Deadline::LONG);
    let texts: Vec<_> = topic.read_all().iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["a1", "a2", "b1", "c"]);
}

#[test]
fn file_sink_writes_each_record_once() {
    let worker = worker_with(&["file"]);
    let output = folder(&worker, "out").join("lines.txt");
    let topic = Topic::create(Kafka::shared(), "to-file", 1);
    topic.produce(numbered(0..5_000));
    worker.rest().configure("sink", &file_sink(&output, &topic.name));
    assert_eq!(wait_lines(&output, 5_000), numbered(0..5_000).collect::<Vec<_>>());
    topic.produce(numbered(5_000..5_001));
    assert_eq!(wait_lines(&output, 5_001).len(), 5_001);
}

#[test]
fn two_sinks_share_nothing() {
    let worker = worker_with(&["file"]);
    let dir = folder(&worker, "out");
    let topic = Topic::create(Kafka::shared(), "shared", 4);
    topic.produce_keyed((0..2_000).map(|i| (Some(format!("{i}")), Some(format!("value {i}")))));
    for name in ["one", "two"] {
        worker.rest().configure(name, &file_sink(&dir.join(name), &topic.name));
    }
    for name in ["one", "two"] {
        let mut lines = wait_lines(&dir.join(name), 2_000);
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 2_000, "{name}: each value once");
    }
}

/// What a sink's chain of transforms makes of `value`, written as JSON by the file sink.
#[track_caller]
fn transformed(worker: &Worker, transforms: Value, values: &[&str]) -> Vec<Value> {
    let name = unique("chain");
    let output = folder(worker, "out").join(&name);
    let topic = Topic::create(Kafka::shared(), &name, 1);
    let config = with(
        with(file_sink(&output, &topic.name), transforms),
        json!({"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}),
    );
    worker.rest().configure(&name, &config);
    topic.produce(values.iter().copied().chain([r#"{"end":true}"#]));
    // The last record tells that all before it went through, those that were filtered out too.
    let lines = wait_for("the last record", Deadline::LONG, || {
        let lines = crate::support::lines(&output);
        let ended = lines.last().is_some_and(|line| line.contains(r#""end""#));
        if ended { Ok(lines) } else { Err(format!("{lines:?}; status {:?}", worker.rest().status(&name))) }
    });
    worker.rest().delete(&format!("/connectors/{name}")).expect(204);
    lines[..lines.len() - 1].iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn transforms_change_what_they_say() {
    let worker = worker_with(&["file", "transforms"]);
    const OF: &str = "org.apache.kafka.connect.transforms";
    let cases = [
        (
            json!({"transforms": "i", "transforms.i.type": format!("{OF}.InsertField$Value"),
                "transforms.i.static.field": "site", "transforms.i.static.value": "north"}),
            json!([{"n": 1, "card": "4000", "site": "north"}, {"n": 2, "card": "5000", "site": "north"}]),
        ),
        (
            json!({"transforms": "m", "transforms.m.type": format!("{OF}.MaskField$Value"),
                "transforms.m.fields": "card", "transforms.m.replacement": "****"}),
            json!([{"n": 1, "card": "****"}, {"n": 2, "card": "****"}]),
        ),
        (
            json!({"transforms": "r", "transforms.r.type": format!("{OF}.ReplaceField$Value"),
                "transforms.r.exclude": "card", "transforms.r.renames": "n:number"}),
            json!([{"number": 1}, {"number": 2}]),
        ),
        (
            json!({"transforms": "m,r", "transforms.m.type": format!("{OF}.MaskField$Value"),
                "transforms.m.fields": "card", "transforms.r.type": format!("{OF}.ReplaceField$Value"),
                "transforms.r.renames": "card:masked"}),
            json!([{"n": 1, "masked": ""}, {"n": 2, "masked": ""}]),
        ),
        (
            // Tombstones do not come here: nothing is filtered out.
            json!({"transforms": "f", "transforms.f.type": format!("{OF}.Filter"), "transforms.f.predicate": "gone",
                "predicates": "gone", "predicates.gone.type": format!("{OF}.predicates.RecordIsTombstone")}),
            json!([{"n": 1, "card": "4000"}, {"n": 2, "card": "5000"}]),
        ),
    ];
    for (config, expected) in cases {
        let found = transformed(&worker, config.clone(), &[r#"{"n":1,"card":"4000"}"#, r#"{"n":2,"card":"5000"}"#]);
        assert_eq!(Value::from(found), expected, "{config}");
    }
}

#[test]
fn a_source_is_transformed_before_it_is_written() {
    let worker = worker_with(&["file", "transforms"]);
    let input = folder(&worker, "in").join("lines.txt");
    let topic = unique("routed");
    append(&input, ["one", "two"]);
    let config = with(
        file_source(&input, &topic),
        json!({"transforms": "route", "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.route.regex": "(.*)", "transforms.route.replacement": "$1-copy"}),
    );
    worker.rest().configure("source", &config);
    let records = Topic::named(Kafka::shared().bootstrap(), &format!("{topic}-copy")).read_count(2, Deadline::LONG);
    let texts: Vec<_> = records.iter().map(|r| r.text()).collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn datagen_sends_what_the_seed_says() {
    let worker = worker_with(&["datagen"]);
    let read = |name: &str| {
        let topic = Topic::create(Kafka::shared(), name, 1);
        let config = json!({"connector.class": "Datagen", "tasks.max": "1", "topic": topic.name, "seed": "7", "rate": "0", "count": "1000",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"});
        worker.rest().configure(name, &config);
        let records = topic.read_count(1_000, Deadline::LONG);
        worker.rest().delete(&format!("/connectors/{name}")).expect(204);
        records.into_iter().map(|r| r.value).collect::<Vec<_>>()
    };
    assert_eq!(read("first"), read("second"));
}

/// Waits until the sink has committed that many records, over all partitions.
#[track_caller]
fn wait_committed(worker: &Worker, sink: &str, count: u64) {
    wait_for(&format!("{count} records committed by {sink}"), Deadline::LONG, || {
        let offsets = worker.rest().get(&format!("/connectors/{sink}/offsets")).expect(200);
        let entries = offsets["offsets"].as_array().into_iter().flatten();
        let committed: u64 = entries.filter_map(|entry| entry["offset"]["kafka_offset"].as_u64()).sum();
        if committed == count { Ok(()) } else { Err(format!("{offsets}; {:?}", worker.rest().status(sink))) }
    });
}

#[test]
fn blackhole_takes_all_and_commits() {
    let worker = worker_with(&["blackhole"]);
    let topic = Topic::create(Kafka::shared(), "swallowed", 4);
    topic.produce_keyed(numbered(0..3_000).enumerate().map(|(i, line)| (Some(i.to_string()), Some(line))));
    worker.rest().configure(
        "hole",
        &json!({"connector.class": "Blackhole", "tasks.max": "2", "topics": topic.name,
            "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter"}),
    );
    worker.rest().wait_state("hole", "RUNNING", 2);
    wait_committed(&worker, "hole", 3_000);
}

#[test]
fn a_sink_in_python_writes_rows() {
    let Some(plugin) = built_elsewhere("csv") else { return };
    let worker = worker_with(&[]);
    worker.rest().upload(&plugin);
    let output = folder(&worker, "out").join("people.csv");
    let topic = Topic::create(Kafka::shared(), "people", 1);
    topic.produce((0..500).map(|i| format!(r#"{{"id":{i},"name":"Ada, {i}"}}"#)));
    let config = with(
        file_sink(&output, &topic.name),
        json!({"connector.class": "CsvSink", "fields": "id,name",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}),
    );
    worker.rest().configure("csv", &config);
    wait_committed(&worker, "csv", 500);
    let rows = crate::support::lines(&output);
    assert!(rows.iter().any(|row| row == r#"499,"Ada, 499""#), "{:?}", rows.last());
}

#[test]
fn a_transform_in_javascript_changes_records() {
    let Some(plugin) = built_elsewhere("redact") else { return };
    let worker = worker_with(&["file"]);
    worker.rest().upload(&plugin);
    let transforms = json!({"transforms": "mail", "transforms.mail.type": "Redact",
        "transforms.mail.pattern": "[\\w.]+@[\\w.]+", "transforms.mail.replacement": "<mail>"});
    let found = transformed(&worker, transforms, &[r#"{"n":1,"text":"ask ada@example.org"}"#]);
    assert_eq!(Value::from(found), json!([{"n": 1, "text": "ask <mail>"}]));
}

/// A plugin whose toolchain (Python, JavaScript) is not on every machine.
fn built_elsewhere(name: &str) -> Option<Plugin> {
    let plugin = Plugin::if_built(name);
    if plugin.is_none() {
        eprintln!("NOT RUN: target/plugins/{name}.wasm was not built (see what 'make plugins' says)");
    }
    plugin
}

#[test]
fn the_broker_goes_and_comes_back() {
    let mut kafka = Kafka::own();
    let worker = Worker::distributed(&kafka).start();
    worker.rest().upload(&Plugin::built("file"));
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    let topic = Topic::create(&kafka, "restarted", 1);
    append(&input, numbered(0..1_000));
    worker.rest().configure("source", &file_source(&input, &topic.name));
    worker.rest().configure("sink", &file_sink(&output, &topic.name));
    wait_lines(&output, 1_000);
    for round in 1..=2 {
        if round == 1 {
            kafka.stop()
        } else {
            kafka.kill()
        }
        append(&input, numbered(round * 1_000..(round + 1) * 1_000));
        kafka.start();
        assert_all_there(&output, (round + 1) * 1_000);
    }
    worker.rest().wait_state("source", "RUNNING", 1);
    worker.rest().wait_state("sink", "RUNNING", 1);
}

/// Waits until each of the first `count` numbered lines is in the file, at least once.
#[track_caller]
fn assert_all_there(file: &Path, count: usize) {
    wait_for(&format!("each of {count} lines in {}", file.display()), Deadline::LONG, || {
        let there: std::collections::HashSet<_> = crate::support::lines(file).into_iter().collect();
        let missing = numbered(0..count).filter(|line| !there.contains(line)).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} missing")) }
    });
}
