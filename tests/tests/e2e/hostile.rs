//! A plugin that traps, loops, hoards or chatters fails its own task, which says why, and hurts nobody else.

use std::time::Instant;

use hawser_e2e::{Deadline, Kafka, Rest, Topic, Worker, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_source, folder, wait_lines, with, worker_with};

/// A neighbour's record may take this long while another plugin computes without end.
const NEIGHBOUR: Deadline = Deadline::secs(20);

/// A worker with the hostile plugin and a well-behaved neighbour that has proved to run.
struct House {
    worker: Worker,
    input: std::path::PathBuf,
    output: Topic,
    sent: usize,
}

impl House {
    #[track_caller]
    fn new() -> Self {
        let worker = worker_with(&["hostile", "file"]);
        let input = folder(&worker, "in").join("lines");
        let output = Topic::create(Kafka::shared(), "neighbour", 1);
        worker.rest().configure("neighbour", &file_source(&input, &output.name));
        let mut house = Self { worker, input, output, sent: 0 };
        house.neighbour_goes_on();
        house
    }

    fn rest(&self) -> &Rest {
        self.worker.rest()
    }

    /// A record still goes through the neighbour, soon.
    #[track_caller]
    fn neighbour_goes_on(&mut self) {
        append(&self.input, ["still here"]);
        self.sent += 1;
        self.output.read_count(self.sent, NEIGHBOUR);
    }

    /// Deploys it, sees it fail for the given reason while the neighbour goes on, and removes it.
    #[track_caller]
    fn fails(&mut self, name: &str, config: &Value, reason: &str) {
        let began = Instant::now();
        self.rest().configure(name, config);
        self.neighbour_goes_on();
        let trace = self.rest().wait_failed_task(name);
        assert!(trace.contains(reason), "{config} after {:?}: '{reason}' is not in the trace: {trace}", began.elapsed());
        self.neighbour_goes_on();
        self.rest().wait_state("neighbour", "RUNNING", 1);
        self.rest().delete(&format!("/connectors/{name}")).expect(204);
    }
}

#[test]
fn a_hostile_source_fails_alone() {
    let mut house = House::new();
    let topic = Topic::create(Kafka::shared(), "hostile", 1);
    let limits = json!({
        "connector.class": "HostileSource", "tasks.max": "1", "topic": topic.name,
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        "sandbox.cpu.ms": "1000", "sandbox.memory.bytes": "33554432",
    });
    for (i, (at, how, reason)) in [
        ("start", "trap", "crashed in start"),
        ("poll", "trap", "crashed in poll"),
        ("start", "loop", "sandbox.cpu.ms"),
        ("poll", "loop", "sandbox.cpu.ms"),
        ("poll", "grow", "memory"),
        ("poll", "fatal", "it does not want to go on"),
        ("poll", "chatter", ""),
    ]
    .into_iter()
    .enumerate()
    {
        house.fails(&format!("source-{i}"), &with(limits.clone(), json!({"at": at, "how": how})), reason);
    }
}

#[test]
fn a_hostile_sink_fails_alone() {
    let mut house = House::new();
    let topic = Topic::create(Kafka::shared(), "hostile", 1);
    topic.produce(["1", "2", "3"]);
    let limits = json!({
        "connector.class": "HostileSink", "tasks.max": "1", "topics": topic.name,
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "sandbox.cpu.ms": "1000", "sandbox.memory.bytes": "33554432",
    });
    for (i, (at, how, reason)) in [
        ("open", "trap", "crashed in open"),
        ("put", "trap", "crashed in put"),
        ("put", "loop", "sandbox.cpu.ms"),
        ("put", "grow", "memory"),
        ("put", "fatal", "it does not want to go on"),
        ("flush", "trap", "crashed in flush"),
        ("flush", "loop", "sandbox.cpu.ms"),
    ]
    .into_iter()
    .enumerate()
    {
        house.fails(&format!("sink-{i}"), &with(limits.clone(), json!({"at": at, "how": how})), reason);
    }
}

#[test]
fn a_trap_loses_and_doubles_no_record() {
    let house = House::new();
    let topic = Topic::create(Kafka::shared(), "counted", 1);
    let config = |after: u64, how: &str| {
        json!({
            "connector.class": "HostileSource", "tasks.max": "1", "topic": topic.name, "at": "poll", "how": how,
            "after": after.to_string(),
            "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        })
    };
    house.rest().configure("counter", &config(50, "trap"));
    house.rest().wait_failed_task("counter");
    house.rest().configure("counter", &config(100, "retriable"));
    topic.read_count(100, Deadline::LONG);
    wait_for("a running task", Deadline::SHORT, || {
        let status = house.rest().status("counter")?;
        if status["tasks"][0]["state"] == "RUNNING" { Ok(()) } else { Err(status.to_string()) }
    });
    let mut values: Vec<u64> = topic.read_all().iter().map(|r| r.json().as_u64().expect("a number")).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, (0..100).collect::<Vec<_>>(), "at least once, and none missing");
}

#[test]
fn what_was_not_granted_is_not_there() {
    let worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines");
    append(&input, ["secret"]);
    let topic = Topic::create(Kafka::shared(), "not-granted", 1);
    let mut config = file_source(&input, &topic.name);
    config["sandbox.files"] = json!(format!("{}:ro", folder(&worker, "elsewhere").display()));
    worker.rest().configure("source", &config);
    // A source may wait for its file or fail: in no case does it read it.
    wait_for("a task", Deadline::SHORT, || {
        let status = worker.rest().status("source")?;
        let begun = status["tasks"][0]["state"].is_string();
        if begun { Ok(()) } else { Err(status.to_string()) }
    });
    config["sandbox.files"] = json!(format!("{}:ro", input.parent().expect("a folder").display()));
    append(&input, ["granted"]);
    worker.rest().configure("source", &config);
    let texts: Vec<_> = topic.read_count(2, Deadline::LONG).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["secret", "granted"], "nothing was read before");

    // Read-only is not writable.
    let output = folder(&worker, "out").join("lines");
    let mut config = crate::support::file_sink(&output, &topic.name);
    config["sandbox.files"] = json!(format!("{}:ro", output.parent().expect("a folder").display()));
    worker.rest().configure("sink", &config);
    worker.rest().wait_failed_task("sink");
    config["sandbox.files"] = json!(output.parent().expect("a folder"));
    worker.rest().configure("sink", &config);
    wait_lines(&output, 2);
}
