//! What people use Kafka Connect with: each module sends what one client sends (its verbs, paths, headers, bodies and retries, read from its
//! source) and demands of the answers what that client demands.

mod akhq;
mod console;
mod kafbat;
mod kcctl;
mod strimzi;
mod terraform;

use std::path::PathBuf;

use hawser_e2e::{Answer, Deadline, Kafka, Rest, Topic, Worker, wait_for};
use reqwest::Method;
use serde_json::{Map, Value};

use crate::support::{append, file_source, folder, worker_with};

const ACCEPT_JSON: (&str, &str) = ("Accept", "application/json");
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A worker with the file connectors, a topic, and a file with two lines.
struct World {
    worker: Worker,
    topic: Topic,
    input: PathBuf,
}

impl World {
    #[track_caller]
    fn new(topic: &str) -> World {
        let worker = worker_with(&["file"]);
        let topic = Topic::create(Kafka::shared(), topic, 1);
        let input = folder(&worker, "in").join("lines");
        append(&input, ["one", "two"]);
        World { worker, topic, input }
    }

    fn rest(&self) -> &Rest {
        self.worker.rest()
    }

    /// A source of the file's lines, all of its values text.
    fn source(&self) -> Map<String, Value> {
        let Value::Object(config) = file_source(&self.input, &self.topic.name) else { panic!("a config is an object") };
        config.into_iter().map(|(key, value)| (key, Value::String(text(&value)))).collect()
    }

    /// Asks again until the answer is as it should be.
    #[track_caller]
    fn until(&self, what: &str, mut ask: impl FnMut() -> Answer, is_good: impl Fn(&Answer) -> bool) -> Answer {
        wait_for(what, Deadline::LONG, || {
            let answer = ask();
            if is_good(&answer) { Ok(answer) } else { Err(format!("{} {}", answer.status, answer.body)) }
        })
    }

    /// Waits until the source has stored how far it is.
    #[track_caller]
    fn until_offset(&self, connector: &str) {
        let path = format!("/connectors/{connector}/offsets");
        self.until("an offset", || self.rest().get(&path), |answer| answer.body["offsets"][0]["offset"]["position"] == 8);
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Jackson's records and Go's structs: members that the client reads must be of its types, if they are there.
#[track_caller]
fn is_text_or_absent(value: &Value, member: &str) {
    assert!(value[member].is_null() || value[member].is_string(), "{member} of {value}");
}

/// The states that clients with fixed lists know.
#[track_caller]
fn check_states(status: &Value) {
    let connector = ["RUNNING", "FAILED", "PAUSED", "UNASSIGNED", "RESTARTING", "STOPPED"];
    assert!(connector.contains(&status["connector"]["state"].as_str().unwrap()), "{status}");
    for (member, value) in status["connector"].as_object().unwrap() {
        assert!(value.is_string(), "go-kafka-connect reads {member} into a map of strings: {status}");
    }
    for task in status["tasks"].as_array().unwrap() {
        assert!(connector[..5].contains(&task["state"].as_str().unwrap()), "{status}");
        assert!(task["id"].is_u64() && task["worker_id"].is_string(), "{status}");
        is_text_or_absent(task, "trace");
    }
}

/// A connector as `ConnectorInfo` of every client has it.
#[track_caller]
fn check_info(info: &Value, name: &str) {
    assert_eq!(info["name"], name);
    assert!(info["config"].as_object().unwrap().values().all(Value::is_string), "{info}");
    assert!(info["tasks"].as_array().unwrap().iter().all(|task| task["connector"] == name && task["task"].is_u64()), "{info}");
    assert!(["source", "sink", "unknown"].contains(&info["type"].as_str().unwrap()), "{info}");
}

/// A definition of a key, as UIs read it.
#[track_caller]
fn check_definition(definition: &Value) {
    let types = ["BOOLEAN", "CLASS", "DOUBLE", "INT", "LIST", "LONG", "PASSWORD", "SHORT", "STRING"];
    assert!(definition["name"].is_string() && types.contains(&definition["type"].as_str().unwrap()), "{definition}");
    assert!(definition["required"].is_boolean() && definition["order"].is_i64(), "{definition}");
    assert!(["LOW", "MEDIUM", "HIGH"].contains(&definition["importance"].as_str().unwrap()), "{definition}");
    assert!(["SHORT", "MEDIUM", "LONG", "NONE"].contains(&definition["width"].as_str().unwrap()), "{definition}");
    assert!(definition["dependents"].as_array().unwrap().iter().all(Value::is_string), "{definition}");
    for member in ["default_value", "documentation", "group", "display_name"] {
        is_text_or_absent(definition, member);
    }
}

/// What a validation answers, as UIs read it. Returns the number of errors.
#[track_caller]
fn check_validation(infos: &Value) -> u64 {
    assert!(infos["name"].is_string() && infos["groups"].as_array().unwrap().iter().all(Value::is_string), "{infos}");
    for config in infos["configs"].as_array().unwrap() {
        let (definition, value) = (&config["definition"], &config["value"]);
        if !definition.is_null() {
            check_definition(definition);
        }
        assert!(value["name"].is_string() && value["visible"].is_boolean(), "{config}");
        is_text_or_absent(value, "value");
        for member in ["recommended_values", "errors"] {
            assert!(value[member].as_array().unwrap().iter().all(Value::is_string), "{config}");
        }
    }
    infos["error_count"].as_u64().unwrap()
}

/// The body of a request.
fn body(value: &Value) -> String {
    value.to_string()
}

/// Sends a request without a body.
#[track_caller]
fn send(rest: &Rest, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    rest.exact(method, path, headers, "")
}
