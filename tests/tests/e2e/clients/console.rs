//! Redpanda Console with cloudhut's connect-client (resty): every request says that it is JSON, with a body or without.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCEPT_JSON, JSON, World, body, check_info, check_states, check_validation};

#[test]
fn console_shows_and_steers_connectors() {
    let world = World::new("console");
    let rest = world.rest();
    let agent = ("User-Agent", "Redpanda Console");
    let empty = |method: Method, path: &str| rest.exact(method, path, &[ACCEPT_JSON, JSON, agent], "");
    let with = |method: Method, path: &str, value: Value| rest.exact(method, path, &[ACCEPT_JSON, JSON, agent], &body(&value));
    let get = |path: &str| empty(Method::GET, path);

    // Its start: the root answers, then everything with one request.
    assert!(get("/").expect(200)["version"].is_string());
    assert_eq!(get("/connectors?expand=info&expand=status").expect(200), json!({}));
    assert!(get("/connector-plugins").expect(200).as_array().unwrap().iter().all(|plugin| plugin["class"].is_string()));

    // The wizard validates after each step; keys are missing at first.
    let validate = |config: Value| {
        check_validation(
            &with(
                Method::PUT,
                "/connector-plugins/org.apache.kafka.connect.file.FileStreamSourceConnector/config/validate",
                config,
            )
            .expect(200),
        )
    };
    let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    assert!(validate(json!({"connector.class": class, "name": "lines"})) > 0);
    let mut config = world.source();
    config.insert("name".to_owned(), "lines".into());
    config.insert("connector.class".to_owned(), class.into());
    assert_eq!(validate(Value::Object(config.clone())), 0);
    check_info(&with(Method::POST, "/connectors", json!({"name": "lines", "config": config})).expect(201), "lines");

    // The pages of the list and of the connector.
    rest.wait_state("lines", "RUNNING", 1);
    let all = get("/connectors?expand=info&expand=status").expect(200);
    check_info(&all["lines"]["info"], "lines");
    check_states(&all["lines"]["status"]);
    check_info(&get("/connectors/lines").expect(200), "lines");
    check_states(&get("/connectors/lines/status").expect(200));
    assert_eq!(get("/connectors/lines/config").expect(200), Value::Object(config.clone()));
    assert!(get("/connectors/lines/topics").expect(200)["lines"]["topics"].is_array());
    empty(Method::PUT, "/connectors/lines/topics/reset").expect(202);

    config.insert("batch.size".to_owned(), "5".into());
    check_info(&with(Method::PUT, "/connectors/lines/config", Value::Object(config)).expect(200), "lines");
    rest.wait_state("lines", "RUNNING", 1);
    // Each is done some time after it is answered.
    for (path, status, state, tasks) in
        [("pause", 202, "PAUSED", 1), ("resume", 202, "RUNNING", 1), ("stop", 204, "STOPPED", 0), ("resume", 202, "RUNNING", 1)]
    {
        empty(Method::PUT, &format!("/connectors/lines/{path}")).expect(status);
        rest.wait_state("lines", state, tasks);
    }
    empty(Method::POST, "/connectors/lines/restart?includeTasks=true&onlyFailed=false").expect(202);
    rest.wait_state("lines", "RUNNING", 1);
    empty(Method::POST, "/connectors/lines/tasks/0/restart").expect(204);

    // A failed task: its trace is shown, and the health derived from the states.
    let gone = world.input.with_file_name("none").join("lines");
    let failing = json!({"connector.class": class, "file": gone, "topic": "t", "sandbox.files": format!("{}:ro", gone.parent().unwrap().parent().unwrap().display())});
    with(Method::POST, "/connectors", json!({"name": "fails", "config": failing})).expect(201);
    assert!(!rest.wait_failed_task("fails").is_empty());

    for name in ["lines", "fails"] {
        empty(Method::DELETE, &format!("/connectors/{name}")).expect(204);
    }
    let missing = get("/connectors/lines").error(404);
    assert_eq!(missing, "Connector lines not found");
}
