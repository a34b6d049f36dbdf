//! AKHQ (`ConnectRepository.java`) with SourceLab's kafka-connect-client 4: every request says that it is JSON, and those that have nothing to
//! say have the body `null` or `""`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCEPT_JSON, JSON, World, body, check_info, check_states, check_validation};

#[test]
fn akhq_lists_creates_and_steers() {
    let world = World::new("akhq");
    let rest = world.rest();
    let headers = [ACCEPT_JSON, JSON];
    let get = |path: &str| rest.exact(Method::GET, path, &headers, "");
    let put = |path: &str, text: &str| rest.exact(Method::PUT, path, &headers, text);
    let post = |path: &str, text: &str| rest.exact(Method::POST, path, &headers, text);

    // The list of classes: each is validated with two keys, to show its configuration.
    for plugin in get("/connector-plugins").expect(200).as_array().unwrap() {
        let class = plugin["class"].as_str().unwrap();
        let config = json!({"connector.class": class, "topics": "getPlugins"});
        check_validation(&put(&format!("/connector-plugins/{class}/config/validate"), &body(&config)).expect(200));
    }
    assert_eq!(get("/connectors?expand=info&expand=status").expect(200), json!({}));

    // Names are escaped: a blank is %20.
    let path = |rest: &str| format!("/connectors/my%20lines{rest}");
    check_info(&post("/connectors", &body(&json!({"name": "my lines", "config": world.source()}))).expect(201), "my lines");
    check_info(&get(&path("")).expect(200), "my lines");
    rest.wait_state("my%20lines", "RUNNING", 1);
    check_states(&get(&path("/status")).expect(200));
    let all = get("/connectors?expand=info&expand=status").expect(200);
    check_info(&all["my lines"]["info"], "my lines");
    check_states(&all["my lines"]["status"]);

    let mut config = world.source();
    config.insert("batch.size".to_owned(), "9".into());
    check_info(&put(&path("/config"), &body(&Value::Object(config))).expect(200), "my lines");
    rest.wait_state("my%20lines", "RUNNING", 1);
    put(&path("/pause"), "null").expect(202);
    rest.wait_state("my%20lines", "PAUSED", 1);
    put(&path("/resume"), "null").expect(202);
    rest.wait_state("my%20lines", "RUNNING", 1);
    post(&path("/restart"), "\"\"").expect(204);
    rest.wait_state("my%20lines", "RUNNING", 1);
    post(&path("/tasks/0/restart"), "\"\"").expect(204);

    // The library's others.
    assert!(get("/").expect(200)["version"].is_string());
    assert_eq!(get(&path("/config")).expect(200)["batch.size"], "9");
    assert!(get(&path("/tasks")).expect(200)[0]["id"].is_object());
    assert_eq!(get(&path("/tasks/0/status")).expect(200)["id"], 0);
    assert!(get(&path("/topics")).expect(200)["my lines"]["topics"].is_array());
    put(&path("/topics/reset"), "null").expect(202);
    post(&path("/restart?includeTasks=true&onlyFailed=false"), "\"\"").expect(202);
    rest.wait_state("my%20lines", "RUNNING", 1);
    put(&path("/stop"), "null").expect(204);

    // 404, 409 and other statuses become exceptions of their own, with the message.
    assert_eq!(
        post("/connectors", &body(&json!({"name": "my lines", "config": world.source()}))).error(409),
        "Connector my lines already exists"
    );
    rest.exact(Method::DELETE, &path(""), &headers, "").expect(204);
    get(&path("")).error(404);
    assert_eq!(get("/connectors").expect(200), json!([]));
}
