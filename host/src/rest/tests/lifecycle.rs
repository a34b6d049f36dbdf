//! Pause, resume, stop, restart, offsets, topics, and a restart of the worker.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::from_fn;
use axum::routing::get;
use serde_json::json;
use tower::ServiceExt;

use super::Api;
use crate::herder::Settings;
use crate::herder::testing::Fixture;
use crate::rest::media;

#[tokio::test]
async fn a_connector_is_paused_stopped_and_resumed() {
    let api = Api::new().await;
    api.create("a", r#","tasks.max":"2""#).await;
    api.until("a", "RUNNING RUNNING RUNNING").await;
    api.check("PUT /connectors/a/pause", "", 202, "").await;
    api.until("a", "PAUSED PAUSED PAUSED").await;
    api.check("PUT /connectors/a/pause", "", 202, "").await;
    api.check("PUT /connectors/a/resume", "", 202, "").await;
    api.until("a", "RUNNING RUNNING RUNNING").await;
    api.check("PUT /connectors/a/stop", "", 204, "").await;
    api.until("a", "STOPPED").await;
    api.check("GET /connectors/a/tasks", "", 200, "[]").await;
    api.check("PUT /connectors/a/stop", "", 204, "").await;
    api.check("PUT /connectors/a/resume", "", 202, "").await;
    api.until("a", "RUNNING RUNNING RUNNING").await;
    let started = api.fixture.engine.started.lock().unwrap().clone();
    assert_eq!(started, ["a-0", "a-1", "a-0", "a-1"]);
}

#[tokio::test]
async fn a_connector_starts_as_asked_for() {
    let api = Api::new().await;
    for (state, expect) in [("STOPPED", "STOPPED"), ("paused", "PAUSED")] {
        let body =
            format!(r#"{{"name":"{state}","config":{{"connector.class":"FileSource","file":"f"}},"initial_state":"{state}"}}"#);
        assert_eq!(api.call("POST /connectors", &body).await.status, 201);
        api.until(state, expect).await;
    }
    assert!(api.fixture.engine.started.lock().unwrap().is_empty());
    api.check("PUT /connectors/paused/resume", "", 202, "").await;
    api.until("paused", "RUNNING RUNNING").await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_restarted() {
    let api = Api::new().await;
    api.create("a", r#","tasks.max":"2""#).await;
    api.until("a", "RUNNING RUNNING RUNNING").await;
    let started = || api.fixture.engine.started.lock().unwrap().len();
    api.check("POST /connectors/a/restart", "", 204, "").await;
    assert_eq!(started(), 2);
    api.check("POST /connectors/a/tasks/1/restart", "", 204, "").await;
    assert_eq!(started(), 3);
    let planned = api.call("POST /connectors/a/restart?includeTasks=true&onlyFailed=false", "").await;
    assert_eq!(planned.status, 202);
    assert_eq!(planned.json()["tasks"][1]["state"], "RESTARTING");
    crate::herder::testing::until("both tasks started anew", || started() == 5).await;
    api.until("a", "RUNNING RUNNING RUNNING").await;
    let nothing = api.call("POST /connectors/a/restart?includeTasks=true&onlyFailed=true", "").await;
    assert_eq!((nothing.status.as_u16(), nothing.json()["connector"]["state"].clone()), (202, json!("RUNNING")));
    api.check("POST /connectors/a/restart", "", 204, "").await;
    assert_eq!(started(), 5);
}

#[tokio::test]
async fn a_connector_that_does_not_start_says_why() {
    let api = Api::new().await;
    api.create("a", r#","password":"pw1","test.tasks":"fail""#).await;
    api.until("a", "FAILED").await;
    let status = api.call("GET /connectors/a/status", "").await.json();
    assert_eq!(status["connector"]["trace"], "cannot split with [hidden]");
    api.check("POST /connectors/a/restart", "", 500, "~Failed to start connector: a").await;
    api.create("b", r#","test.tasks":"3""#).await;
    api.until("b", "FAILED").await;
    let status = api.call("GET /connectors/b/status", "").await.json();
    assert!(status["connector"]["trace"].as_str().unwrap().starts_with(
        "The connector b has generated 3 tasks, which is greater than 1, the maximum number of tasks it is configured to create."
    ));
    api.create("c", r#","test.tasks":"3","tasks.max.enforce":"false""#).await;
    api.until("c", "RUNNING RUNNING RUNNING RUNNING").await;
    api.create("d", r#","test.task":"refuse""#).await;
    api.until("d", "RUNNING FAILED").await;
    api.check("POST /connectors/d/tasks/0/restart", "", 500, "~Failed to start task: d-0").await;
    api.check("PUT /connectors/d/pause", "", 202, "").await;
    api.until("d", "PAUSED FAILED").await;
}

#[tokio::test]
async fn a_plugin_that_hangs_holds_up_nobody_else() {
    let api = Api::new().await;
    api.create("hangs", r#","test.tasks":"hang""#).await;
    api.until("hangs", "RUNNING").await;
    let validation = api
        .call("POST /connectors", r#"{"name":"v","config":{"connector.class":"FileSource","file":"f","test.validate":"hang"}}"#);
    let mut validation = std::pin::pin!(validation);
    let others = async {
        api.create("a", "").await;
        api.until("a", "RUNNING RUNNING").await;
        api.check(
            "GET /health",
            "",
            200,
            r#"{"status":"healthy","message":"Worker has completed startup and is ready to handle requests."}"#,
        )
        .await;
        api.check("PUT /connectors/hangs/stop", "", 204, "").await;
        api.until("hangs", "STOPPED").await;
        api.check("DELETE /connectors/hangs", "", 204, "").await;
        api.until("hangs", "none").await;
    };
    tokio::select! {
        _ = &mut validation => panic!("the validation hangs"),
        () = others => {}
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let slow = Router::new()
        .route("/", get(std::future::pending::<()>))
        .layer(from_fn(|request, next| media::within(Duration::from_millis(1), request, next)));
    let answer = slow.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(body, r#"{"error_code":500,"message":"Request timed out"}"#);
}

#[tokio::test]
async fn offsets_of_a_source_are_read_altered_and_reset() {
    let api = Api::new().await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    api.check("GET /connectors/a/offsets", "", 200, r#"{"offsets":[]}"#).await;
    let alter = r#"{"offsets":[{"partition":{"filename":"/f"},"offset":{"position":42}}]}"#;
    let running = "~Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified \
        connector by issuing a 'PUT' request to the '/connectors/a/stop' endpoint";
    api.check("PATCH /connectors/a/offsets", alter, 400, running).await;
    api.check("DELETE /connectors/a/offsets", "", 400, running).await;
    api.check("PUT /connectors/a/stop", "", 204, "").await;
    let empty = "~Partitions / offsets need to be provided for an alter offsets request";
    api.check("PATCH /connectors/a/offsets", r#"{"offsets":[]}"#, 400, empty).await;
    api.check("PATCH /connectors/a/offsets", "{}", 400, empty).await;
    api.check("PATCH /connectors/a/offsets", alter, 200, "~framework-managed offsets for this connector have been altered").await;
    api.check("GET /connectors/a/offsets", "", 200, alter).await;
    let nested = r#"{"offsets":[{"partition":{"filename":"/f"},"offset":{"position":[1]}}]}"#;
    api.check("PATCH /connectors/a/offsets", nested, 400, "~Offsets may only contain primitive types").await;
    let wrong = r#"{"offsets":[{"partition":"f","offset":1}]}"#;
    api.check("PATCH /connectors/a/offsets", wrong, 400, "~must be JSON objects").await;
    let null = r#"{"offsets":[{"partition":{"filename":"/f"},"offset":null}]}"#;
    api.check("PATCH /connectors/a/offsets", null, 200, "~altered").await;
    api.check("GET /connectors/a/offsets", "", 200, r#"{"offsets":[]}"#).await;
    api.check("DELETE /connectors/a/offsets", "", 200, "~have been reset successfully").await;
}

#[tokio::test]
async fn offsets_of_a_sink_are_those_of_its_group() {
    let api = Api::new().await;
    let config = r#"{"name":"s","config":{"connector.class":"FileSink","topics":"t"},"initial_state":"STOPPED"}"#;
    assert_eq!(api.call("POST /connectors", config).await.status, 201);
    let offsets = r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{"kafka_offset":17}}]}"#;
    api.check("PATCH /connectors/s/offsets", offsets, 200, "~have been altered").await;
    api.check("GET /connectors/s/offsets", "", 200, offsets).await;
    let partial = r#"{"offsets":[{"partition":{"kafka_topic":"t"},"offset":null}]}"#;
    api.check("PATCH /connectors/s/offsets", partial, 400, "~must contain the keys 'kafka_topic' and 'kafka_partition'").await;
    api.check("DELETE /connectors/s/offsets", "", 200, "~have been reset").await;
    api.check("GET /connectors/s/offsets", "", 200, r#"{"offsets":[]}"#).await;
    let busy =
        r#"{"name":"b","config":{"connector.class":"FileSink","topics":"t","test.group":"busy"},"initial_state":"STOPPED"}"#;
    assert_eq!(api.call("POST /connectors", busy).await.status, 201);
    api.check("PATCH /connectors/b/offsets", offsets, 500, "~Failed to alter consumer group offsets for connector b either")
        .await;
}

#[tokio::test]
async fn topics_are_told_and_forgotten() {
    let api = Api::new().await;
    api.check("GET /connectors/x/topics", "", 200, r#"{"x":{"topics":[]}}"#).await;
    api.check("PUT /connectors/x/topics/reset", "", 202, "").await;
    let api = Api::with(Settings { topic_tracking_reset: false, ..Settings::default() }).await;
    api.check("PUT /connectors/x/topics/reset", "", 403, "~Topic tracking reset is disabled.").await;
    let api = Api::with(Settings { topic_tracking: false, ..Settings::default() }).await;
    api.check("GET /connectors/x/topics", "", 403, "~Topic tracking is disabled.").await;
    api.check("PUT /connectors/x/topics/reset", "", 403, "~Topic tracking is disabled.").await;
}

#[tokio::test]
async fn a_sink_may_not_be_in_the_group_of_the_workers() {
    let api = Api::with(Settings { group_id: Some("connect-s".to_owned()), ..Settings::default() }).await;
    let sink =
        |name: &str, more: &str| format!(r#"{{"name":"{name}","config":{{"connector.class":"FileSink","topics":"t"{more}}}}}"#);
    api.check(
        "POST /connectors",
        &sink("s", ""),
        400,
        "~Consumer group for sink connector named s conflicts with Connect worker group connect-s",
    )
    .await;
    api.check(
        "POST /connectors",
        &sink("t", r#","consumer.override.group.id":"connect-s""#),
        400,
        "~Consumer group connect-s conflicts with Connect worker group connect-s",
    )
    .await;
}

#[tokio::test]
async fn everything_resumes_after_a_restart_of_the_worker() {
    let api = Api::new().await;
    api.create("runs", "").await;
    api.create("rests", "").await;
    api.create("stopped", "").await;
    for name in ["runs", "rests", "stopped"] {
        api.until(name, "RUNNING RUNNING").await;
    }
    api.check("PUT /connectors/rests/pause", "", 202, "").await;
    api.check("PUT /connectors/stopped/stop", "", 204, "").await;
    api.until("rests", "PAUSED PAUSED").await;
    api.until("stopped", "STOPPED").await;
    api.fixture.herder.stop().await;
    api.until("runs", "UNASSIGNED UNASSIGNED").await;
    let Api { fixture: Fixture { herder, dir, engine, .. }, router } = api;
    drop((herder, engine, router));
    let api = Api::over(Fixture::within(dir, Settings::default()).await);
    api.until("runs", "RUNNING RUNNING").await;
    api.until("rests", "PAUSED PAUSED").await;
    api.until("stopped", "STOPPED").await;
    assert_eq!(*api.fixture.engine.started.lock().unwrap(), ["runs-0"]);
}

#[tokio::test]
async fn tasks_are_asked_for_now_and_then() {
    let settings = Settings { task_refresh_interval: Some(Duration::from_millis(1)), ..Settings::default() };
    let api = Api::with(settings).await;
    api.create("a", "").await;
    api.until("a", "RUNNING RUNNING").await;
    // The same answer again and again: nothing is restarted.
    api.check("POST /connectors/a/tasks/0/restart", "", 204, "").await;
    assert_eq!(*api.fixture.engine.started.lock().unwrap(), ["a-0", "a-0"]);
}
