//! kcctl 1.0 (`KafkaConnectApi.java` and the commands): a Quarkus REST client. It names no `Content-Type` where it has no body, and ends the path of
//! the list of connectors with a slash.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCEPT_JSON, JSON, World, body, check_definition, check_info, check_states, check_validation, send};

#[test]
fn kcctl_applies_patches_and_deletes() {
    let world = World::new("kcctl");
    let rest = world.rest();
    let get = |path: &str| send(rest, Method::GET, path, &[ACCEPT_JSON]);
    let empty = |method: Method, path: &str| send(rest, method, path, &[ACCEPT_JSON]);
    let with = |method: Method, path: &str, value: Value| rest.exact(method, path, &[ACCEPT_JSON, JSON], &body(&value));

    // kcctl info; features come with the version.
    let info = get("/").expect(200);
    let version: Vec<u32> = info["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(version >= vec![3, 6, 0], "{info}");
    assert!(info["commit"].is_string() && info["kafka_cluster_id"].is_string());

    // kcctl get plugins, kcctl describe plugin
    let plugins = get("/connector-plugins?connectorsOnly=false").expect(200);
    assert!(plugins.as_array().unwrap().iter().all(|plugin| plugin["class"].is_string() && plugin["type"].is_string()));
    let keys = get("/connector-plugins/FileStreamSourceConnector/config").expect(200);
    keys.as_array().unwrap().iter().for_each(check_definition);
    assert_eq!(get("/connector-plugins/Nothing/config").error(404), "Unknown plugin Nothing.");

    // kcctl apply --dry-run: the name is a dummy.
    let mut config = world.source();
    config.insert("name".to_owned(), "dummy-name".into());
    let validate = "/connector-plugins/FileStreamSource/config/validate";
    assert_eq!(check_validation(&with(Method::PUT, validate, Value::Object(config.clone())).expect(200)), 0);
    config.insert("tasks.max".to_owned(), "none".into());
    let infos = with(Method::PUT, validate, Value::Object(config)).expect(200);
    assert!(check_validation(&infos) > 0);

    // kcctl apply: is it there, else create it.
    assert_eq!(get("/connectors/").expect(200), json!([]));
    let created = with(Method::POST, "/connectors/", json!({"name": "lines", "config": world.source()})).expect(201);
    check_info(&created, "lines");
    assert_eq!(get("/connectors/").expect(200), json!(["lines"]));
    let mut wrong = world.source();
    wrong.insert("connector.class".to_owned(), "Nothing".into());
    let refused = with(Method::PUT, "/connectors/lines/config", Value::Object(wrong)).error(400);
    assert!(refused.starts_with("Failed to find any class that implements Connector"), "{refused}");
    let mut invalid = world.source();
    invalid.insert("tasks.max".to_owned(), "0".into());
    let refused = with(Method::PUT, "/connectors/lines/config", Value::Object(invalid)).error(400);
    let footer =
        "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`";
    assert!(refused.ends_with(footer), "kcctl cuts this off: {refused}");

    // kcctl get connectors, kcctl describe connector
    rest.wait_state("lines", "RUNNING", 1);
    let all = get("/connectors?expand=status&expand=info").expect(200);
    check_states(&all["lines"]["status"]);
    check_info(&all["lines"]["info"], "lines");
    check_info(&get("/connectors/lines").expect(200), "lines");
    check_states(&get("/connectors/lines/status").expect(200));
    let tasks = get("/connectors/lines/tasks").expect(200);
    assert!(tasks[0]["id"]["task"] == 0 && tasks[0]["config"].is_object());
    world.topic.read_count(2, hawser_e2e::Deadline::LONG);
    let topics =
        world.until("its topic", || get("/connectors/lines/topics"), |answer| answer.body["lines"]["topics"] != json!([]));
    assert_eq!(topics.body["lines"]["topics"], json!([world.topic.name]));

    // kcctl patch connector: reads, changes, puts.
    let mut patched = get("/connectors/lines/config").expect(200);
    patched["batch.size"] = "100".into();
    with(Method::PUT, "/connectors/lines/config", patched.clone()).expect(200);
    assert_eq!(get("/connectors/lines/config").expect(200), patched);

    // kcctl restart, pause, resume
    rest.wait_state("lines", "RUNNING", 1);
    assert_eq!(empty(Method::POST, "/connectors/lines/restart").expect(204), Value::Null);
    let restarted = empty(Method::POST, "/connectors/lines/restart?includeTasks=true&onlyFailed=false").expect(202);
    assert_eq!(restarted["tasks"][0]["state"], "RESTARTING");
    rest.wait_state("lines", "RUNNING", 1);
    assert_eq!(empty(Method::POST, "/connectors/lines/tasks/0/restart").expect(204), Value::Null);
    empty(Method::PUT, "/connectors/lines/pause").expect(202);
    rest.wait_state("lines", "PAUSED", 1);
    empty(Method::PUT, "/connectors/lines/resume").expect(202);
    rest.wait_state("lines", "RUNNING", 1);

    // kcctl get, patch and delete offsets; kcctl stop
    world.until_offset("lines");
    let offsets = get("/connectors/lines/offsets").expect(200);
    let alter = with(Method::PATCH, "/connectors/lines/offsets", offsets.clone()).error(400);
    assert!(alter.contains("must be in the STOPPED state"), "{alter}");
    empty(Method::PUT, "/connectors/lines/stop").expect(204);
    rest.wait_state("lines", "STOPPED", 0);
    assert!(with(Method::PATCH, "/connectors/lines/offsets", offsets).expect(200)["message"].is_string());
    assert!(empty(Method::DELETE, "/connectors/lines/offsets").expect(200)["message"].is_string());
    assert_eq!(get("/connectors/lines/offsets").expect(200), json!({"offsets": []}));

    // kcctl get loggers, kcctl patch logger
    assert!(get("/admin/loggers").expect(200)["root"]["level"].is_string());
    let level = json!({"level": "DEBUG"});
    assert_eq!(with(Method::PUT, "/admin/loggers/hawser.rest", level.clone()).expect(200), json!(["hawser.rest"]));
    assert_eq!(get("/admin/loggers/hawser.rest").expect(200)["level"], "DEBUG");
    assert_eq!(with(Method::PUT, "/admin/loggers/hawser.rest?scope=cluster", level).expect(204), Value::Null);
    assert!(get("/admin/loggers/nothing").error(404).contains("not found"));

    // kcctl delete connector
    empty(Method::DELETE, "/connectors/lines").expect(204);
    assert_eq!(empty(Method::DELETE, "/connectors/lines").error(404), "Connector lines not found");
}
