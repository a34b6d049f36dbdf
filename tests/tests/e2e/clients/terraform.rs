//! The Terraform provider of Mongey with go-kafka-connect v3 (resty): the path has no slash in front of it in the client, waits are in
//! polls of a second, and a configuration counts as applied when it reads back with the same keys and values.

use std::collections::BTreeMap;

use hawser_e2e::Answer;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{ACCEPT_JSON, JSON, World, body, send, text};

/// `IsUpToDate`: as many keys, and each printed alike.
fn is_up_to_date(found: &Value, wanted: &Map<String, Value>) -> bool {
    let found: BTreeMap<_, _> = found.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect();
    found == wanted.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// `map[string]string`, or the client's decoder fails.
fn state(answer: &Answer) -> Option<String> {
    let connector: BTreeMap<String, String> = answer.body["connector"]
        .as_object()?
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    connector.get("state").cloned()
}

#[test]
fn terraform_applies_changes_and_destroys() {
    let world = World::new("terraform");
    let rest = world.rest();
    let get = |path: &str| send(rest, Method::GET, path, &[ACCEPT_JSON]);
    let empty = |method: Method, path: &str| send(rest, method, path, &[ACCEPT_JSON]);
    let with = |method: Method, path: &str, value: &Value| rest.exact(method, path, &[ACCEPT_JSON, JSON], &body(value));

    // The provider demands the name in the configuration. Its resource is created, then read.
    let mut config = world.source();
    config.insert("name".to_owned(), "lines".into());
    let created = with(Method::POST, "/connectors", &json!({"name": "lines", "config": config})).expect(201);
    assert!(is_up_to_date(&created["config"], &config), "no key is added: {created}");
    world.until("the connector", || get("/connectors/lines"), |answer| answer.status == 200);
    assert_eq!(get("/connectors/lines").expect(200)["config"], Value::Object(config.clone()));
    let again = with(Method::POST, "/connectors", &json!({"name": "lines", "config": config})).error(409);
    assert!(again.contains("already exists"), "{again}");

    // A change; values that are no text in the plan come back as text.
    config.insert("batch.size".to_owned(), 50.into());
    config.insert("errors.log.enable".to_owned(), true.into());
    let put = with(Method::PUT, "/connectors/lines/config", &Value::Object(config.clone())).expect(200);
    assert!(is_up_to_date(&put["config"], &config), "{put}");
    world.until("the configuration", || get("/connectors/lines/config"), |answer| is_up_to_date(&answer.body, &config));

    // Pause and resume poll the status.
    empty(Method::PUT, "/connectors/lines/pause").expect(202);
    world.until("PAUSED", || get("/connectors/lines/status"), |answer| state(answer).as_deref() == Some("PAUSED"));
    empty(Method::PUT, "/connectors/lines/resume").expect(202);
    world.until("RUNNING", || get("/connectors/lines/status"), |answer| state(answer).as_deref() == Some("RUNNING"));
    empty(Method::POST, "/connectors/lines/restart").expect(204);
    rest.wait_state("lines", "RUNNING", 1);

    let tasks = get("/connectors/lines/tasks").expect(200);
    assert_eq!(tasks[0]["id"], json!({"connector": "lines", "task": 0}));
    assert_eq!(get("/connectors/lines/tasks/0/status").expect(200)["state"], "RUNNING");
    empty(Method::POST, "/connectors/lines/tasks/0/restart").expect(204);
    assert_eq!(get("/connectors").expect(200), json!(["lines"]));

    // Errors are decoded and their text searched for "rebalance" and "409".
    let refused = with(Method::PUT, "/connectors/lines/config", &json!({"name": "lines", "connector.class": "FileStreamSource"}))
        .error(400);
    assert!(!refused.to_lowercase().contains("rebalance") && !refused.contains("409"), "{refused}");

    // Destroyed when it is 404; then once more, for a plan that is applied anew.
    empty(Method::DELETE, "/connectors/lines").expect(204);
    world.until("404", || get("/connectors/lines"), |answer| answer.status == 404);
    get("/connectors/lines/config").error(404);
    get("/connectors/lines/status");
    empty(Method::DELETE, "/connectors/lines").error(404);
}
