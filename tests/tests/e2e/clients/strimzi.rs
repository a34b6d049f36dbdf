//! Strimzi's operator (`KafkaConnectApiImpl.java`, `AbstractConnectOperator.java`, August 2026): statuses are compared exactly, and the whole
//! answer of a status goes into the custom resource.

use hawser_e2e::Answer;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCEPT_JSON, JSON, World, body, check_states, send, text};

#[test]
fn strimzi_reconciles_a_connector() {
    let world = World::new("strimzi");
    let rest = world.rest();
    let get = |path: &str| send(rest, Method::GET, path, &[ACCEPT_JSON]);
    let empty = |method: Method, path: &str| send(rest, method, path, &[ACCEPT_JSON]);
    let with = |method: Method, path: &str, value: &Value| rest.exact(method, path, &[ACCEPT_JSON, JSON], &body(value));
    // `encodeURLString`: nothing but the arrow of MirrorMaker's names is encoded.
    let name = "a->b.lines";
    let path = |rest: &str| format!("/connectors/a%2D%3Eb.lines{rest}");

    // What there is: plugins, loggers (with a slash), connectors (an array of texts and nothing else).
    let plugins = get("/connector-plugins").expect(200);
    assert!(plugins.as_array().unwrap().iter().all(|plugin| {
        ["class", "type", "version"].iter().all(|member| plugin[member].is_string()) && plugin.as_object().unwrap().len() == 3
    }));
    for (logger, level) in get("/admin/loggers/").expect(200).as_object().unwrap() {
        // `Map<String, Map<String, String>>`: a number becomes text, an object would fail.
        assert!(level.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()), "{logger} {level}");
    }
    let level = with(Method::PUT, "/admin/loggers/hawser.store?scope=cluster", &json!({"level": "INFO"}));
    assert!([200, 204].contains(&level.status), "{}", level.body);
    assert!(get("/connectors").expect(200).as_array().unwrap().iter().all(Value::is_string));

    // Not there: 404 makes it create the connector, in the state that the resource asks for.
    let message = get(&path("/config")).error(404);
    assert_eq!(message, format!("Connector {name} not found"));
    let mut config = world.source();
    config.insert("tasks.max".to_owned(), 1.into());
    config.insert("name".to_owned(), name.into());
    let created =
        with(Method::POST, "/connectors", &json!({"name": name, "config": config, "initial_state": "PAUSED"})).expect(201);
    assert_eq!(created["name"], name);
    let status = || get(&path("/status"));
    world.until("a status", status, |answer| answer.status == 200 && answer.body["connector"]["state"] == "PAUSED");

    // The next reconciliation: the configuration read back equals the one desired, so nothing is put.
    let actual = get(&path("/config")).expect(200);
    let desired: serde_json::Map<_, _> = config.iter().map(|(key, value)| (key.clone(), Value::String(text(value)))).collect();
    assert_eq!(actual, Value::Object(desired));
    empty(Method::PUT, &path("/resume")).expect(202);
    world.until("RUNNING", status, |answer| is(answer, "RUNNING", 1));
    // The status must not change by itself, but for the minute of the last progress: each change is written to the resource and
    // reconciled again.
    let steady = || {
        let mut told = status().expect(200);
        told["tasks"][0]["hawser"]["last_progress"].take();
        told
    };
    let first = steady();
    check_states(&first);
    world.topic.read_count(2, hawser_e2e::Deadline::LONG);
    world.until_offset(&path("")["/connectors/".len()..]);
    assert_eq!(steady(), first);
    let topics = world.until("topics", || get(&path("/topics")), |answer| answer.body[name]["topics"] != json!([]));
    assert_eq!(topics.body[name]["topics"], json!([world.topic.name]));

    // A changed resource.
    config.insert("batch.size".to_owned(), "10".into());
    let put = with(Method::PUT, &path("/config"), &Value::Object(config)).expect(200);
    assert_eq!(put["config"]["batch.size"], "10");
    world.until("RUNNING", status, |answer| is(answer, "RUNNING", 1));

    // The annotations strimzi.io/restart and strimzi.io/restart-task, and auto-restart.
    for (query, expect) in [
        ("includeTasks=false&onlyFailed=false", 204),
        ("includeTasks=true&onlyFailed=true", 202),
        ("includeTasks=true&onlyFailed=false", 202),
    ] {
        empty(Method::POST, &path(&format!("/restart?{query}"))).expect(expect);
        world.until("RUNNING", status, |answer| is(answer, "RUNNING", 1));
    }
    empty(Method::POST, &path("/tasks/0/restart")).expect(204);
    world.until("RUNNING", status, |answer| is(answer, "RUNNING", 1));

    // strimzi.io/connector-offsets: list (with a Content-Type, without a body), alter and reset of a stopped connector.
    let offsets = send(rest, Method::GET, &path("/offsets"), &[ACCEPT_JSON, JSON]).expect(200);
    empty(Method::PUT, &path("/stop")).expect(204);
    world.until("STOPPED", status, |answer| is(answer, "STOPPED", 0));
    let altered = with(Method::PATCH, &path("/offsets"), &offsets).expect(200);
    // `Map<String, String>`
    assert!(altered.as_object().unwrap().values().all(Value::is_string) && altered["message"].is_string(), "{altered}");
    let reset = empty(Method::DELETE, &path("/offsets")).expect(200);
    assert!(reset["message"].is_string(), "{reset}");

    // A deleted resource: the status is polled until 404.
    send(rest, Method::DELETE, &path(""), &[ACCEPT_JSON, JSON]).expect(204);
    world.until("404", status, |answer| answer.status == 404);
    send(rest, Method::DELETE, &path(""), &[ACCEPT_JSON, JSON]).error(404);
}

fn is(answer: &Answer, state: &str, tasks: usize) -> bool {
    let all = answer.body["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    answer.body["connector"]["state"] == state && all.len() == tasks && all.iter().all(|task| task["state"] == state)
}
