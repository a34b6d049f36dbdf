//! Kafbat UI (`KafkaConnectService.java` over a client generated from `kafka-connect-api.yaml`): lists with fixed values are strict, other
//! members are not; errors are read as `{"message": …}`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCEPT_JSON, JSON, World, body, check_info, check_states, check_validation, send};

#[test]
fn kafbat_lists_creates_and_resets() {
    let world = World::new("kafbat");
    let rest = world.rest();
    let get = |path: &str| send(rest, Method::GET, path, &[ACCEPT_JSON]);
    let empty = |method: Method, path: &str| send(rest, method, path, &[ACCEPT_JSON]);
    let with = |method: Method, path: &str, value: Value| rest.exact(method, path, &[ACCEPT_JSON, JSON], &body(&value));

    // The dashboard.
    assert!(get("/").expect(200)["kafka_cluster_id"].is_string());
    assert_eq!(get("/connectors?expand=info&expand=status").expect(200), json!({}));
    assert!(get("/connector-plugins").expect(200).as_array().unwrap().iter().all(|plugin| plugin["class"].is_string()));

    // Creating: is the name taken, create, then read it with topics and status; a status that is not there yet is no error.
    let config = world.source();
    let validate = "/connector-plugins/FileStreamSource/config/validate";
    let mut named = config.clone();
    named.insert("name".to_owned(), "my lines".into());
    assert_eq!(check_validation(&with(Method::PUT, validate, Value::Object(named)).expect(200)), 0);
    check_info(&with(Method::POST, "/connectors", json!({"name": "my lines", "config": config})).expect(201), "my lines");
    let path = |rest: &str| format!("/connectors/my%20lines{rest}");
    check_info(&get(&path("")).expect(200), "my lines");
    assert!(get(&path("/topics")).expect(200)["my lines"]["topics"].is_array());
    world.until("a status", || get(&path("/status")), |answer| answer.status == 200 || answer.status == 404);

    // 400 and 500 are shown as a validation's message.
    let refused =
        with(Method::POST, "/connectors", json!({"name": "bad", "config": {"connector.class": "FileStreamSource"}})).error(400);
    assert!(refused.contains("Missing required configuration \"file\""), "{refused}");
    let refused = with(Method::PUT, "/connectors/bad/config", json!({"connector.class": "Nothing"})).error(400);
    assert!(!refused.is_empty());

    // The connector's page: tasks, each with its status.
    rest.wait_state("my%20lines", "RUNNING", 1);
    let all = get("/connectors?expand=info&expand=status").expect(200);
    check_info(&all["my lines"]["info"], "my lines");
    check_states(&all["my lines"]["status"]);
    for task in get(&path("/tasks")).expect(200).as_array().unwrap() {
        let status = get(&path(&format!("/tasks/{}/status", task["id"]["task"]))).expect(200);
        assert_eq!(status["state"], "RUNNING");
    }
    assert_eq!(get(&path("/config")).expect(200)["name"], "my lines");

    // Its buttons.
    empty(Method::POST, &path("/restart?includeTasks=false&onlyFailed=false")).expect(204);
    rest.wait_state("my%20lines", "RUNNING", 1);
    empty(Method::POST, &path("/tasks/0/restart")).expect(204);
    empty(Method::PUT, &path("/pause")).expect(202);
    rest.wait_state("my%20lines", "PAUSED", 1);
    empty(Method::PUT, &path("/resume")).expect(202);
    rest.wait_state("my%20lines", "RUNNING", 1);

    // Offsets: 400 means "stop it first", 404 that it is gone.
    assert!(get(&path("/offsets")).expect(200)["offsets"].is_array());
    empty(Method::DELETE, &path("/offsets")).error(400);
    empty(Method::PUT, &path("/stop")).expect(204);
    rest.wait_state("my%20lines", "STOPPED", 0);
    empty(Method::DELETE, &path("/offsets")).expect(200);
    empty(Method::DELETE, &path("")).expect(204);
    empty(Method::DELETE, &path("/offsets")).error(404);
    get(&path("/tasks")).error(404);
}
