//! Kafka's own Kafka Connect and Hawser take turns on the same topics.

use std::path::Path;

use hawser_e2e::{Broker, Deadline, Kafka, KafkaConnect, Plugin, Rest, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_sink, file_source, wait_lines, with};

/// Lines that are written during each turn.
const LINES: usize = 1000;

fn lines_of_turn(turn: usize) -> Vec<String> {
    (turn * LINES..(turn + 1) * LINES).map(|line| format!("line {line}")).collect()
}

/// Everything that was written so far has come out once, in its order.
#[track_caller]
fn check_lines(output: &Path, turns: usize) {
    let found = wait_lines(output, turns * LINES);
    let expect: Vec<String> = (0..turns).flat_map(lines_of_turn).collect();
    let first = found.iter().zip(&expect).position(|(found, expect)| found != expect);
    assert_eq!((found.len(), first), (expect.len(), None), "lines out, and the first that differs");
}

/// Waits until the offsets of source and sink cover so many lines.
#[track_caller]
fn wait_offsets(rest: &Rest, input: &Path, turns: usize) {
    let bytes = std::fs::metadata(input).expect("the input").len();
    wait_offset(rest, "source", "position", bytes);
    wait_offset(rest, "sink", "kafka_offset", (turns * LINES) as u64);
}

#[track_caller]
fn wait_offset(rest: &Rest, connector: &str, key: &str, expect: u64) {
    wait_for(&format!("the offset of {connector}"), Deadline::LONG, || {
        let offsets = rest.get(&format!("/connectors/{connector}/offsets")).expect(200);
        if offsets["offsets"][0]["offset"][key] == expect { Ok(()) } else { Err(offsets.to_string()) }
    });
}

/// What must be the same for whoever has its turn: names, configurations, target states, source offsets.
fn state(rest: &Rest) -> Value {
    let all = rest.get("/connectors?expand=info&expand=status").expect(200);
    let connectors = all.as_object().expect("connectors").iter().map(|(name, connector)| {
        let offsets = rest.get(&format!("/connectors/{name}/offsets")).expect(200);
        let shown = json!({
            "config": connector["info"]["config"],
            "tasks": connector["info"]["tasks"].as_array().map(Vec::len),
            "state": connector["status"]["connector"]["state"],
            "offsets": offsets["offsets"],
        });
        (name.clone(), shown)
    });
    connectors.collect::<serde_json::Map<_, _>>().into()
}

#[track_caller]
fn wait_states(rest: &Rest, states: &[(&str, &str, usize)]) {
    for (connector, state, tasks) in states {
        rest.wait_state(connector, state, *tasks);
    }
}

#[test]
fn kafka_connect_and_hawser_carry_on_from_each_other() {
    if Broker::chosen() == Broker::Dev || !KafkaConnect::is_there() {
        println!("skipped: it needs Apache Kafka, Java and Kafka Connect's jars");
        return;
    }
    let files = tempfile::tempdir().expect("temporary folder");
    let (input, output) = (files.path().join("in"), files.path().join("out"));
    let topic = Topic::create(Kafka::shared(), "turns", 1);
    let builder = Worker::distributed(Kafka::shared()).set("offset.flush.interval.ms", "200");
    let source = with(file_source(&input, &topic.name), json!({"zzz": "kept", "aaa": "ü€😀"}));
    let other = with(source.clone(), json!({"topic": format!("{}-other", topic.name)}));
    let sink = with(file_sink(&output, &topic.name), json!({"consumer.override.group.id": unique("turns")}));

    // Kafka Connect begins.
    let connect = KafkaConnect::start(&builder);
    let rest = connect.rest();
    append(&input, lines_of_turn(0));
    rest.configure("source", &source);
    rest.configure("sink", &sink);
    for name in ["rests", "stopped", "gone"] {
        rest.configure(name, &other);
        rest.wait_state(name, "RUNNING", 1);
    }
    wait_offsets(rest, &input, 1);
    rest.put_empty("/connectors/rests/pause").expect(202);
    rest.put_empty("/connectors/stopped/stop").expect(204);
    let expect = [("source", "RUNNING", 1), ("sink", "RUNNING", 1), ("rests", "PAUSED", 1), ("stopped", "STOPPED", 0)];
    wait_states(rest, &expect);
    rest.delete("/connectors/gone").expect(204);
    let left = state(rest);
    check_lines(&output, 1);
    connect.stop();

    // Hawser carries on.
    let mut worker = builder.clone().set("hawser.sandbox.files", &files.path().display().to_string()).start();
    let rest = worker.rest();
    rest.upload(&Plugin::built("file"));
    for name in ["source", "sink", "rests"] {
        rest.post_empty(&format!("/connectors/{name}/restart?includeTasks=true")).expect(202);
    }
    wait_states(rest, &expect);
    assert_eq!(state(rest), left, "what Hawser makes of Kafka Connect's topics");
    append(&input, lines_of_turn(1));
    check_lines(&output, 2);
    rest.delete("/connectors/rests").expect(204);
    rest.configure("fresh", &other);
    rest.wait_state("fresh", "RUNNING", 1);
    // A paused task commits what it had read before, which must not come between two looks.
    wait_offset(rest, "fresh", "position", std::fs::metadata(&input).expect("the input").len());
    rest.put_empty("/connectors/fresh/pause").expect(202);
    rest.configure("source", &with(source.clone(), json!({"zzz": "changed"})));
    let place = json!({"partition": {"filename": input}, "offset": {"position": 7}});
    rest.patch("/connectors/stopped/offsets", &json!({"offsets": [place]})).expect(200);
    wait_offsets(rest, &input, 2);
    let expect = [("source", "RUNNING", 1), ("sink", "RUNNING", 1), ("stopped", "STOPPED", 0), ("fresh", "PAUSED", 1)];
    wait_states(rest, &expect);
    let left = state(rest);
    assert!(worker.stop().success(), "it stops in good order");

    // And Kafka Connect from Hawser.
    let connect = KafkaConnect::start(&builder);
    let rest = connect.rest();
    wait_states(rest, &expect);
    assert_eq!(state(rest), left, "what Kafka Connect makes of Hawser's topics");
    append(&input, lines_of_turn(2));
    check_lines(&output, 3);
    wait_offsets(rest, &input, 3);
    check_lines(&output, 3);
    connect.stop();
}
