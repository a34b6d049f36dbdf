//! A plugin that traps, loops, hoards or chatters fails its own task, which says why, and hurts nobody else.

use std::time::Instant;

use hawser_e2e::{Deadline, Kafka, Plugin, Rest, Topic, Worker, wait_for};
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

/// Limits that the hostile plugin meets soon.
fn limits() -> Value {
    json!({"tasks.max": "1", "sandbox.cpu.ms": "1000", "sandbox.memory.bytes": "33554432", "sandbox.poll.timeout.ms": "3000",
        "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter"})
}

#[test]
fn a_hostile_source_fails_alone() {
    let mut house = House::new();
    let topic = Topic::create(Kafka::shared(), "hostile", 1);
    let base = with(limits(), json!({"connector.class": "HostileSource", "topic": topic.name, "idle": "10"}));
    for (i, (call, what, reason)) in [
        ("start", "trap", "crashed in start"),
        ("poll", "trap", "crashed in poll"),
        ("poll", "exit", "poll"),
        ("start", "loop", "sandbox.cpu.ms"),
        ("poll", "loop", "sandbox.cpu.ms"),
        ("poll", "sleep", "sandbox.poll.timeout.ms"),
        ("poll", "recurse", "poll"),
        ("poll", "grow", "sandbox.memory.bytes"),
        ("poll", "fatal", "told to be fatal"),
        ("poll", "env", "found 0 variables and arguments"),
        ("poll", "read", "/etc/passwd"),
        ("lie", "length-over", "defect of the plugin"),
    ]
    .into_iter()
    .enumerate()
    {
        house.fails(&format!("source-{i}"), &with(base.clone(), json!({call: what})), reason);
    }
}

#[test]
fn a_hostile_sink_fails_alone() {
    let mut house = House::new();
    let topic = Topic::create(Kafka::shared(), "hostile", 1);
    topic.produce(["1", "2", "3"]);
    let base = with(limits(), json!({"connector.class": "HostileSink", "topics": topic.name}));
    for (i, (call, what, reason)) in [
        ("open", "trap", "crashed in open"),
        ("put", "trap", "crashed in put"),
        ("put", "loop", "sandbox.cpu.ms"),
        ("put", "grow", "sandbox.memory.bytes"),
        ("put", "fatal", "told to be fatal"),
        ("flush", "trap", "crashed in flush"),
        ("flush", "loop", "sandbox.cpu.ms"),
    ]
    .into_iter()
    .enumerate()
    {
        house.fails(&format!("sink-{i}"), &with(base.clone(), json!({call: what})), reason);
    }
}

#[test]
fn a_hostile_transform_fails_alone() {
    let mut house = House::new();
    let topic = Topic::create(Kafka::shared(), "hostile", 1);
    let base = with(
        limits(),
        json!({"connector.class": "HostileSource", "topic": topic.name, "idle": "10", "transforms": "h",
            "transforms.h.type": "HostileTransform"}),
    );
    for (i, (what, reason)) in
        [("trap", "crashed in apply"), ("loop", "sandbox.cpu.ms"), ("grow", "sandbox.memory.bytes")].into_iter().enumerate()
    {
        house.fails(&format!("chain-{i}"), &with(base.clone(), json!({"transforms.h.apply": what})), reason);
    }
}

#[test]
fn a_failed_connector_runs_again_with_a_better_config() {
    let house = House::new();
    let topic = Topic::create(Kafka::shared(), "repaired", 1);
    let good = with(limits(), json!({"connector.class": "HostileSource", "topic": topic.name, "idle": "50"}));
    house.rest().configure("repaired", &with(good.clone(), json!({"poll": "trap"})));
    house.rest().wait_failed_task("repaired");
    house.rest().configure("repaired", &good);
    house.rest().wait_state("repaired", "RUNNING", 1);
    let count = topic.read_count(1, Deadline::LONG).len();
    house.rest().configure("repaired", &with(good.clone(), json!({"poll": "retriable"})));
    house.rest().configure("repaired", &good);
    topic.read_count(count + 10, Deadline::LONG);
    house.rest().wait_state("repaired", "RUNNING", 1);
}

#[test]
fn plugins_that_cannot_describe_themselves_are_refused() {
    let worker = worker_with(&[]);
    let good = Plugin::built("hostile").bytes;
    for what in ["trap", "loop", "grow", "twice"] {
        let marker = b"hawser-hostile-describe=";
        let at = good.windows(marker.len()).position(|bytes| bytes == marker).expect("the marker") + marker.len();
        let mut bytes = good.clone();
        bytes[at..at + what.len()].copy_from_slice(what.as_bytes());
        let message = worker.rest().upload_bytes(bytes).error(422);
        assert!(!message.is_empty(), "{what}");
    }
    assert_eq!(worker.rest().get("/plugins").expect(200), json!([]));
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
