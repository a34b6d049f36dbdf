//! `/connectors`: creating, reading, changing, deleting.

use serde_json::json;

use super::Api;

#[tokio::test]
async fn a_connector_is_created_and_echoed() {
    let api = Api::new().await;
    let body = r#"{"name":" a ","config":{"z":"1","connector.class":"FileSource","file":"f","tasks.max":2,"b":true}}"#;
    let answer = api.call("POST /connectors/", body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["location"], "http://worker:8083/connectors/a");
    // In the order given, with nothing but the name added.
    assert_eq!(
        answer.body,
        r#"{"name":"a","config":{"z":"1","connector.class":"FileSource","file":"f","tasks.max":"2","b":"true","name":"a"},"tasks":[],"type":"source"}"#
    );
    api.until("a", "RUNNING RUNNING RUNNING").await;
    api.check("GET /connectors", "", 200, r#"["a"]"#).await;
    let read = api.call("GET /connectors/a", "").await.json();
    assert_eq!(read["tasks"], json!([{"connector":"a","task":0},{"connector":"a","task":1}]));
    assert_eq!(
        api.call("GET /connectors/a/config", "").await.body,
        r#"{"z":"1","connector.class":"FileSource","file":"f","tasks.max":"2","b":"true","name":"a"}"#
    );
    api.check(
        "GET /connectors/a/status",
        "",
        200,
        r#"{"name":"a",
        "connector":{"state":"RUNNING","worker_id":"worker:8083","version":"1.0.0"},
        "tasks":[{"id":0,"state":"RUNNING","worker_id":"worker:8083","version":"1.0.0"},
                 {"id":1,"state":"RUNNING","worker_id":"worker:8083","version":"1.0.0"}],"type":"source"}"#,
    )
    .await;
    api.check(
        "GET /connectors/a/tasks",
        "",
        200,
        r#"[
        {"id":{"connector":"a","task":0},"config":{"n":"0","file":"f","task.class":"example.FileSourceTask"}},
        {"id":{"connector":"a","task":1},"config":{"n":"1","file":"f","task.class":"example.FileSourceTask"}}]"#,
    )
    .await;
    api.check(
        "GET /connectors/a/tasks/1/status",
        "",
        200,
        r#"{"id":1,"state":"RUNNING","worker_id":"worker:8083","version":"1.0.0"}"#,
    )
    .await;
    api.check("POST /connectors", body, 409, "~Connector a already exists").await;
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let api = Api::new().await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    for (what, body, message) in [
        ("GET /connectors/x", "", "Connector x not found"),
        ("DELETE /connectors/x", "", "Connector x not found"),
        ("GET /connectors/x/config", "", "Connector x not found"),
        ("PATCH /connectors/x/config", "{}", "Connector x not found"),
        ("GET /connectors/x/status", "", "No status found for connector x"),
        ("POST /connectors/x/restart", "", "Unknown connector: x"),
        ("POST /connectors/x/restart?includeTasks=true", "", "Unknown connector: x"),
        ("PUT /connectors/x/pause", "", "Unknown connector x"),
        ("PUT /connectors/x/resume", "", "Unknown connector x"),
        ("PUT /connectors/x/stop", "", "Unknown connector x"),
        ("GET /connectors/x/tasks", "", "Connector x not found"),
        ("GET /connectors/a/tasks/7/status", "", "No status found for task a-7"),
        ("POST /connectors/x/tasks/0/restart", "", "Unknown connector: x"),
        ("POST /connectors/a/tasks/7/restart", "", "Unknown task: a-7"),
        ("GET /connectors/x/offsets", "", "Connector x not found"),
        ("PATCH /connectors/x/offsets", r#"{"offsets":[{"partition":{},"offset":{}}]}"#, "Connector x not found"),
        ("DELETE /connectors/x/offsets", "", "Connector x not found"),
    ] {
        api.check(what, body, 404, &format!(r#"{{"error_code":404,"message":"{message}"}}"#)).await;
    }
}

#[tokio::test]
async fn a_bad_configuration_is_not_stored() {
    let api = Api::new().await;
    let footer =
        "\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`";
    let missing = "Missing required configuration \"file\" which has no default value.";
    let answer = api.call("POST /connectors", r#"{"name":"a","config":{"connector.class":"FileSource"}}"#).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        format!("Connector configuration is invalid and contains the following 1 error(s):\n{missing}{footer}")
    );
    let unnamed = r#"{"config":{"connector.class":"FileSource","file":"f"}}"#;
    api.check("POST /connectors", unnamed, 400, "~Invalid value  for configuration name: String may not be empty").await;
    let other = r#"{"name":"b","connector.class":"FileSource","file":"f"}"#;
    let mismatch = "~Connector name configuration (b) doesn't match connector name in the URL (a)";
    api.check("PUT /connectors/a/config", other, 400, mismatch).await;
    let control = r#"{"name":"a\nb","config":{"connector.class":"FileSource","file":"f"}}"#;
    api.check("POST /connectors", control, 400, "~had the following ASCII chars: 10").await;
    api.check("GET /connectors", "", 200, "[]").await;
}

#[tokio::test]
async fn a_configuration_is_put_and_patched() {
    let api = Api::new().await;
    let config = r#"{"connector.class":"FileSource","file":"f"}"#;
    let created = api.call("PUT /connectors/a/config", config).await;
    assert_eq!(
        (created.status.as_u16(), created.headers["location"].to_str().unwrap()),
        (201, "http://worker:8083/connectors/a")
    );
    api.until("a", "RUNNING RUNNING").await;
    let replaced = api.call("PUT /connectors/a/config", r#"{"connector.class":"FileSource","file":"g","tasks.max":"2"}"#).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.json()["config"]["file"], "g");
    api.until("a", "RUNNING RUNNING RUNNING").await;
    let patched = api.call("PATCH /connectors/a/config", r#"{"tasks.max":null,"extra":"1"}"#).await;
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["config"], json!({"connector.class":"FileSource","file":"g","name":"a","extra":"1"}));
    api.until("a", "RUNNING RUNNING").await;
    api.check("PATCH /connectors/a/config", r#"{"name":null}"#, 400, "~Missing required configuration \"name\"").await;
    let started = api.fixture.engine.started.lock().unwrap().clone();
    assert_eq!(started, ["a-0", "a-0", "a-1", "a-0"]);
}

#[tokio::test]
async fn names_may_hold_anything_but_control_characters() {
    let api = Api::new().await;
    let name = "a/b\\c &'\"%#ü";
    let body = json!({"name": name, "config": {"connector.class": "FileSource", "file": "f"}}).to_string();
    let answer = api.call("POST /connectors", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    let path = location.strip_prefix("http://worker:8083").unwrap();
    assert_eq!(path, "/connectors/a%2Fb%5Cc%20%26%27%22%25%23%C3%BC");
    assert_eq!(api.call(&format!("GET {path}"), "").await.json()["name"], name);
    api.check(&format!("DELETE {path}"), "", 204, "").await;
}

#[tokio::test]
async fn connectors_are_expanded() {
    let api = Api::new().await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    api.check("GET /connectors?expand=foo", "", 200, r#"{"a":{}}"#).await;
    let all = api.call("GET /connectors?expand=info&expand=status", "").await.json();
    assert_eq!(all["a"]["info"]["type"], "source");
    assert_eq!(all["a"]["status"]["connector"]["state"], "RUNNING");
    assert_eq!(api.call("GET /connectors?expand=info", "").await.json()["a"].get("status"), None);
}

#[tokio::test]
async fn a_deleted_connector_leaves_nothing_behind() {
    let api = Api::new().await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    api.check("DELETE /connectors/a", "", 204, "").await;
    api.until("a", "none").await;
    api.check("GET /connectors/a", "", 404, "~Connector a not found").await;
    api.check("DELETE /connectors/a", "", 404, "~Connector a not found").await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
}

#[tokio::test]
async fn a_secret_goes_to_the_task_but_into_no_answer() {
    let api = Api::new().await;
    api.create("a", r#","password":"${env:SECRET}","test.task":"fail""#).await;
    api.until("a", "RUNNING FAILED").await;
    assert_eq!(*api.fixture.engine.started.lock().unwrap(), ["a-0 hunter2"]);
    let tasks = api.call("GET /connectors/a/tasks", "").await.json();
    assert_eq!(tasks[0]["config"]["password"], "${env:SECRET}");
    assert_eq!(tasks[0]["config"]["url"], "http://u:${env:SECRET}@h");
    let status = api.call("GET /connectors/a/status", "").await.json();
    assert_eq!(status["tasks"][0]["trace"], "failed with [hidden]");
}
