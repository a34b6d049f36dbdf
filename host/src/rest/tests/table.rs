//! Every operation with every answer that is described for it, and with what is malformed, unknown, too large or hostile. Each answer
//! is held to its schema; an operation or a status without a case fails the test.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, header};

use super::document::{Document, Operation};
use super::{Answer, Api};
use crate::herder::Settings;
use crate::rest::MAX_JSON_BODY_BYTES;

/// What real components are needed for: `upload` of the end-to-end tests has these.
const END_TO_END: &[(&str, &str, u16)] = &[
    ("POST", "/plugins", 200),
    ("POST", "/plugins", 201),
    ("POST", "/plugins", 409),
    ("GET", "/plugins/{name}", 200),
    ("DELETE", "/plugins/{name}/versions/{version}", 204),
    ("DELETE", "/plugins/{name}/versions/{version}", 409),
    // `startup` has this.
    ("GET", "/health", 503),
];

/// What any operation may answer, whatever is described for it.
const ANYWHERE: [u16; 5] = [400, 404, 405, 406, 415];

/// Request, body, status, and the body expected, or behind `~` a part of the message; `.` takes any body. `UNTIL name` waits for the
/// states in the second column.
type Row = (&'static str, &'static str, u16, &'static str);

const FILE: &str = r#"{"connector.class":"FileSource","file":"f"}"#;
const NEEDS_BODY: &str = "~The request needs a body";
const NOT_FOUND: &str = r#"{"error_code":404,"message":"Connector x not found"}"#;
const UNKNOWN: &str = r#"{"error_code":404,"message":"Unknown connector: x"}"#;
const UNKNOWN_TARGET: &str = r#"{"error_code":404,"message":"Unknown connector x"}"#;
const SINK: &str = r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{"kafka_offset":17}}]}"#;
const SOURCE: &str = r#"{"offsets":[{"partition":{"filename":"/f"},"offset":{"position":42}}]}"#;
const RUNNING: &str = "~Connectors must be in the STOPPED state before their offsets can be modified.";

const TABLE: &[Row] = &[
    ("GET /", "", 200, "."),
    ("GET /openapi.json", "", 200, "."),
    ("GET /health", "", 200, r#"{"status":"healthy","message":"Worker has completed startup and is ready to handle requests."}"#),
    ("GET /connectors", "", 200, "[]"),
    ("GET /connectors?expand=info&expand=status", "", 200, "{}"),
    // create
    ("POST /connectors", "", 400, NEEDS_BODY),
    ("POST /connectors", "{}", 400, "~needs a 'config'"),
    ("POST /connectors", r#"{"name":"a"}"#, 400, "~needs a 'config'"),
    ("POST /connectors", r#"{"name":"a","config":null}"#, 400, "~needs a 'config'"),
    ("POST /connectors", r#"{"name":"a","config":"x"}"#, 400, "~an object of configuration values"),
    ("POST /connectors", r#"{"name":"a","config":{},"x":1}"#, 400, "~unknown field `x`"),
    ("POST /connectors", r#"{"name":[],"config":{}}"#, 400, "~a string, a number or a boolean"),
    ("POST /connectors", r#"{"name":"a","config":{"x":{"y":1}}}"#, 400, "~the value of 'x' must be"),
    ("POST /connectors", r#"{"name":"a","config":{}}"#, 400, "~Connector config {name} contains no connector type"),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"No"}}"#,
        400,
        "~Failed to find any class that implements Connector",
    ),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource"}}"#,
        400,
        "~\"file\" which has no default value.",
    ),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f","name":"b"}}"#,
        400,
        "~configuration (b) doesn't",
    ),
    ("POST /connectors", r#"{"name":"","config":{"connector.class":"FileSource","file":"f"}}"#, 400, "~String may not be empty"),
    ("POST /connectors", r#"{"name":"a\u0000","config":{"connector.class":"FileSource","file":"f"}}"#, 400, "~ASCII chars: 0"),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f"},"initial_state":"X"}"#,
        400,
        "~none of RUNNING",
    ),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f"},"initial_state":1}"#,
        400,
        "~invalid type",
    ),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f","tasks.max":null}}"#,
        400,
        "~Null value can not be supplied",
    ),
    (
        "POST /connectors/",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f"}}"#,
        201,
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f","name":"a"},"tasks":[],"type":"source"}"#,
    ),
    ("UNTIL a", "RUNNING RUNNING", 0, ""),
    (
        "POST /connectors",
        r#"{"name":"a","config":{"connector.class":"FileSource","file":"f"}}"#,
        409,
        "~Connector a already exists",
    ),
    (
        "POST /connectors",
        r#"{"name":7,"config":{"connector.class":"FileSource","file":1},"initial_state":"stopped"}"#,
        201,
        r#"{"name":"7","config":{"connector.class":"FileSource","file":"1","name":"7"},"tasks":[],"type":"source"}"#,
    ),
    ("UNTIL 7", "STOPPED", 0, ""),
    (
        "GET /connectors/7/status",
        "",
        200,
        r#"{"name":"7","connector":{"state":"STOPPED","worker_id":"worker:8083","version":"1.0.0"},"tasks":[],"type":"source"}"#,
    ),
    ("DELETE /connectors/7", "", 204, ""),
    ("UNTIL 7", "none", 0, ""),
    // read
    ("GET /connectors", "", 200, r#"["a"]"#),
    ("HEAD /connectors", "", 200, ""),
    ("GET /connectors?expand=foo", "", 200, r#"{"a":{}}"#),
    ("GET /connectors?expand=info&expand=status", "", 200, "."),
    ("GET /connectors/a", "", 200, "."),
    ("GET /connectors/x", "", 404, NOT_FOUND),
    ("GET /connectors/a/config", "", 200, r#"{"connector.class":"FileSource","file":"f","name":"a"}"#),
    ("GET /connectors/x/config", "", 404, NOT_FOUND),
    ("GET /connectors/a/status/", "", 200, "."),
    ("GET /connectors/x/status", "", 404, "~No status found for connector x"),
    ("GET /connectors/a/tasks", "", 200, "."),
    ("GET /connectors/x/tasks", "", 404, NOT_FOUND),
    ("GET /connectors/a/tasks/0/status", "", 200, r#"{"id":0,"state":"RUNNING","worker_id":"worker:8083","version":"1.0.0"}"#),
    ("GET /connectors/a/tasks/1/status", "", 404, "~No status found for task a-1"),
    ("GET /connectors/a/tasks/-1/status", "", 404, "~No status found for task a--1"),
    ("GET /connectors/a/tasks/x/status", "", 404, "~HTTP 404 Not Found"),
    ("GET /connectors/a/tasks/99999999999/status", "", 404, "~HTTP 404 Not Found"),
    ("GET /connectors/a/topics", "", 200, r#"{"a":{"topics":[]}}"#),
    ("GET /connectors/x/topics", "", 200, r#"{"x":{"topics":[]}}"#),
    ("PUT /connectors/a/topics/reset", "", 202, ""),
    // change
    ("PUT /connectors/b/config", FILE, 201, "."),
    ("UNTIL b", "RUNNING RUNNING", 0, ""),
    ("PUT /connectors/b/config", FILE, 200, "."),
    ("PUT /connectors/b/config", r#"{"name":"c"}"#, 400, "~configuration (c) doesn't match connector name in the URL (b)"),
    ("PUT /connectors/b/config", "{}", 400, "~contains no connector type"),
    ("PATCH /connectors/b/config", r#"{"more":"1","file":"g"}"#, 200, "."),
    ("GET /connectors/b/config", "", 200, r#"{"connector.class":"FileSource","file":"g","name":"b","more":"1"}"#),
    ("PATCH /connectors/b/config", r#"{"file":null}"#, 400, "~\"file\" which has no default value."),
    ("PATCH /connectors/b/config", r#"{"name":"c"}"#, 200, "."),
    ("PATCH /connectors/b/config", r#"{"name":null}"#, 400, "~\"name\" which has no default value."),
    ("PATCH /connectors/x/config", "{}", 404, NOT_FOUND),
    ("UNTIL b", "RUNNING RUNNING", 0, ""),
    // lifecycle
    ("PUT /connectors/b/pause", "", 202, ""),
    ("PUT /connectors/x/pause", "", 404, UNKNOWN_TARGET),
    ("UNTIL b", "PAUSED PAUSED", 0, ""),
    ("PUT /connectors/b/resume", "", 202, ""),
    ("PUT /connectors/x/resume", "", 404, UNKNOWN_TARGET),
    ("UNTIL b", "RUNNING RUNNING", 0, ""),
    ("POST /connectors/b/restart", "", 204, ""),
    ("POST /connectors/b/restart?includeTasks=true&onlyFailed=false", "", 202, "."),
    ("POST /connectors/x/restart", "", 404, UNKNOWN),
    ("POST /connectors/x/restart?onlyFailed=true", "", 404, UNKNOWN),
    ("UNTIL b", "RUNNING RUNNING", 0, ""),
    ("POST /connectors/b/tasks/0/restart", "", 204, ""),
    ("POST /connectors/x/tasks/0/restart", "", 404, UNKNOWN),
    ("POST /connectors/b/tasks/1/restart", "", 404, "~Unknown task: b-1"),
    ("POST /connectors/b/tasks/-1/restart", "", 404, "~Unknown task: b--1"),
    ("POST /connectors", r#"{"name":"f","config":{"connector.class":"FileSource","file":"f","test.tasks":"fail"}}"#, 201, "."),
    ("UNTIL f", "FAILED", 0, ""),
    ("POST /connectors/f/restart", "", 500, "~Failed to start connector: f"),
    ("POST /connectors", r#"{"name":"g","config":{"connector.class":"FileSource","file":"f","test.task":"refuse"}}"#, 201, "."),
    ("UNTIL g", "RUNNING FAILED", 0, ""),
    ("POST /connectors/g/tasks/0/restart", "", 500, "~Failed to start task: g-0"),
    ("PUT /connectors/b/stop", "", 204, ""),
    ("PUT /connectors/x/stop", "", 404, UNKNOWN_TARGET),
    ("UNTIL b", "STOPPED", 0, ""),
    // offsets
    ("GET /connectors/a/offsets", "", 200, r#"{"offsets":[]}"#),
    ("GET /connectors/x/offsets", "", 404, NOT_FOUND),
    ("PATCH /connectors/a/offsets", SOURCE, 400, RUNNING),
    ("DELETE /connectors/a/offsets", "", 400, RUNNING),
    ("PATCH /connectors/x/offsets", SOURCE, 404, NOT_FOUND),
    ("DELETE /connectors/x/offsets", "", 404, NOT_FOUND),
    ("PATCH /connectors/b/offsets", SOURCE, 200, "~have been altered successfully"),
    ("GET /connectors/b/offsets", "", 200, SOURCE),
    ("PATCH /connectors/b/offsets", r#"{"offsets":[]}"#, 400, "~Partitions / offsets need to be provided"),
    ("PATCH /connectors/b/offsets", r#"{"offsets":null}"#, 400, "~Partitions / offsets need to be provided"),
    ("PATCH /connectors/b/offsets", r#"{"offsets":[{"partition":{"f":[1]},"offset":null}]}"#, 400, "~primitive types"),
    ("PATCH /connectors/b/offsets", r#"{"offsets":[{"partition":1,"offset":null}]}"#, 400, "~must be JSON objects"),
    ("PATCH /connectors/b/offsets", r#"{"offsets":[{"x":1}]}"#, 400, "~unknown field"),
    ("DELETE /connectors/b/offsets", "", 200, "~have been reset successfully"),
    (
        "POST /connectors",
        r#"{"name":"s","config":{"connector.class":"FileSink","topics":"t"},"initial_state":"STOPPED"}"#,
        201,
        ".",
    ),
    ("PATCH /connectors/s/offsets", SINK, 200, "~have been altered successfully"),
    ("GET /connectors/s/offsets", "", 200, SINK),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":null,"offset":null}]}"#,
        400,
        "~The partition for a sink connector offset cannot be null or missing",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t"},"offset":null}]}"#,
        400,
        "~The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":null,"kafka_partition":0},"offset":null}]}"#,
        400,
        "~Kafka topic names must be valid strings and may not be null",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":null},"offset":null}]}"#,
        400,
        "~Kafka partitions must be valid numbers and may not be null",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":"x"},"offset":null}]}"#,
        400,
        "~Failed to parse the following Kafka partition value in the provided offsets: 'x'.",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{}}]}"#,
        400,
        "~The offset for a sink connector should either be null or contain the key 'kafka_offset'",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{"kafka_offset":null}}]}"#,
        400,
        "~Failed to parse the following Kafka offset value in the provided offsets: 'null'.",
    ),
    (
        "PATCH /connectors/s/offsets",
        r#"{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":"0"},"offset":{"kafka_offset":"3"}}]}"#,
        200,
        ".",
    ),
    (
        "POST /connectors",
        r#"{"name":"u","config":{"connector.class":"FileSink","topics":"t","test.group":"busy"},"initial_state":"STOPPED"}"#,
        201,
        ".",
    ),
    ("PATCH /connectors/u/offsets", SINK, 500, "~Failed to alter consumer group offsets for connector u either because"),
    ("DELETE /connectors/u/offsets", "", 500, "~Failed to reset consumer group offsets for connector u either because"),
    // classes
    ("GET /connector-plugins", "", 200, "."),
    ("GET /connector-plugins?connectorsOnly=false", "", 200, "."),
    ("GET /connector-plugins/FileSource/config", "", 200, "."),
    ("GET /connector-plugins/Nothing/config", "", 404, "~Unknown plugin Nothing."),
    ("GET /connector-plugins/FileSource/config?version=9", "", 400, "~no FileSource 9"),
    ("PUT /connector-plugins/FileSource/config/validate", FILE, 200, "."),
    (
        "PUT /connector-plugins/FileSink/config/validate",
        FILE,
        400,
        "~Included connector type FileSource does not match request type FileSink",
    ),
    ("PUT /connector-plugins/FileSource/config/validate", "{}", 400, "~contains no connector type"),
    ("PUT /connector-plugins/No/config/validate", r#"{"connector.class":"No"}"#, 400, "~Failed to find any class"),
    (
        "PUT /connector-plugins/FileSource/config/validate",
        r#"{"connector.class":"FileSource","file":"f","test.validate":"crash"}"#,
        500,
        "~crashed",
    ),
    // loggers
    ("GET /admin/loggers/", "", 200, r#"{"root":{"level":"INFO","last_modified":null}}"#),
    ("GET /admin/loggers/Root", "", 200, r#"{"level":"INFO","last_modified":null}"#),
    ("GET /admin/loggers/x", "", 404, "~Logger x not found."),
    ("PUT /admin/loggers/a.b", r#"{"level":"debug"}"#, 200, r#"["a.b"]"#),
    ("PUT /admin/loggers/a.b", r#"{"level":"DEBUG"}"#, 200, "[]"),
    ("PUT /admin/loggers/a?scope=nonsense", r#"{"level":"WARN"}"#, 200, r#"["a","a.b"]"#),
    ("PUT /admin/loggers/a?scope=Cluster", r#"{"level":"WARN"}"#, 204, ""),
    ("PUT /admin/loggers/a", "{}", 400, "~Desired 'level' parameter was not specified in request."),
    ("PUT /admin/loggers/a", r#"{"level":"loud"}"#, 404, "~invalid log level 'loud'."),
    ("PUT /admin/loggers/a?scope=cluster", r#"{"level":5}"#, 404, "~invalid log level '5'."),
    // uploads
    ("GET /plugins", "", 200, "[]"),
    ("GET /plugins/x", "", 404, "~Plugin x not found"),
    ("DELETE /plugins/x/versions/1", "", 404, "~Plugin x 1 not found"),
    // delete
    ("DELETE /connectors/a", "", 204, ""),
    ("UNTIL a", "none", 0, ""),
    ("DELETE /connectors/a", "", 404, "~Connector a not found"),
];

/// No JSON, or of the wrong shape wherever JSON is taken.
const MALFORMED: [&str; 14] = [
    " ",
    "{",
    "[]",
    "1",
    "null",
    "\"text\"",
    "{\"a\":1,}",
    "{'a':1}",
    "{\"a\":NaN}",
    "{} {}",
    "\u{feff}{}",
    "{\"a\"}",
    "{\"a\":\"\\ud800\"}",
    "true",
];

/// Names that try something.
const HOSTILE: [&str; 12] = [
    "%00",
    "a%0Ab",
    "..%2F..%2Fetc%2Fpasswd",
    "%2E%2E",
    "%F0%9F%92%A9",
    "%27%3B%20DROP%20TABLE",
    "%3Cscript%3E",
    "%24%7Bfile%3A%2Fetc%2Fpasswd%7D",
    "%25s%25n",
    "a%3Fb%23c",
    "con",
    "%E2%80%AE",
];

struct Golden {
    document: Document,
    covered: BTreeMap<(Operation, u16), usize>,
    cases: usize,
}

impl Golden {
    /// Notes the answer to a request and holds it to what is described.
    fn note(&mut self, what: &str, answer: &Answer) {
        let (method, path) = what.split_once(' ').unwrap();
        let operation = self.document.operation(method, path).unwrap_or_else(|| panic!("{what} is not described"));
        let status = answer.status.as_u16();
        match self.document.statuses(&operation).contains(&status) {
            true if method != "HEAD" => self.document.check(&operation, status, &answer.body),
            true => assert_eq!(answer.body, ""),
            false => {
                assert!(ANYWHERE.contains(&status), "{what}: {status} is not described: {}", answer.body);
                assert!(
                    answer.body.is_empty() && method == "HEAD" || answer.json()["error_code"] == status,
                    "{what}: {}",
                    answer.body
                );
            }
        }
        *self.covered.entry((operation, status)).or_default() += 1;
        self.cases += 1;
    }

    async fn rows(&mut self, api: &Api, rows: &[Row]) {
        for (what, body, status, expect) in rows {
            if let Some(name) = what.strip_prefix("UNTIL ") {
                api.until(name, body).await;
                continue;
            }
            let answer = api.call(what, body).await;
            assert_eq!(answer.status.as_u16(), *status, "{what} {body}: {}", answer.body);
            match expect.strip_prefix('~') {
                _ if *expect == "." => {}
                Some(part) => assert!(answer.message().contains(part), "{what} {body}: {part:?} is not in {}", answer.body),
                None => assert_eq!(answer.body, *expect, "{what} {body}"),
            }
            self.note(what, &answer);
        }
    }

    /// A request whose media types are wrong, or with a body of any kind.
    async fn send(&mut self, api: &Api, what: &str, headers: &[(header::HeaderName, &str)], body: Vec<u8>, status: u16) {
        let (method, path) = what.split_once(' ').unwrap();
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(name, *value));
        let answer = api.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{what} {headers:?}: {}", answer.body);
        self.note(what, &answer);
    }
}

#[tokio::test]
async fn every_operation_gives_each_of_its_answers() {
    let api = Api::new().await;
    let mut golden = Golden { document: Document::of(&api).await, covered: BTreeMap::new(), cases: 0 };
    golden.rows(&api, TABLE).await;

    let json = (header::CONTENT_TYPE, "application/json");
    for operation in golden.document.operations() {
        let (method, template) = &operation;
        let path = template.replace("{name}", "b").replace("{task}", "0").replace("{version}", "1");
        let what = format!("{method} {path}");
        if path == "/metrics" {
            // Whatever asks for metrics gets them.
            golden.send(&api, &what, &[(header::ACCEPT, "text/html")], Vec::new(), 200).await;
            continue;
        }
        golden.send(&api, &what, &[(header::ACCEPT, "text/html")], Vec::new(), 406).await;
        golden.send(&api, &what, &[(header::CONTENT_TYPE, "text/plain")], Vec::new(), 415).await;
        if method != "GET" {
            golden.send(&api, &what, &[], b"{}".to_vec(), 415).await;
        }
        for name in HOSTILE.into_iter().filter(|_| template.contains("{name}")) {
            let what = format!("{method} {}", template.replace("{name}", name).replace("{task}", "0").replace("{version}", "1"));
            let answer = api.call(&what, if golden.document.takes_json(&operation) { "{}" } else { "" }).await;
            assert!(answer.status.as_u16() < 500, "{what}: {}", answer.body);
            golden.note(&what, &answer);
        }
        if template.contains("{name}") {
            for name in ["%zz", "%", "a%2", "%ff"] {
                let what =
                    format!("{method} {}", template.replace("{name}", name).replace("{task}", "0").replace("{version}", "1"));
                golden.send(&api, &what, &[], Vec::new(), 400).await;
            }
        }
        if golden.document.takes_json(&operation) {
            for body in MALFORMED {
                golden.send(&api, &what, std::slice::from_ref(&json), body.as_bytes().to_vec(), 400).await;
            }
            golden.send(&api, &what, std::slice::from_ref(&json), b"{\"a\":\"\xff\"}".to_vec(), 400).await;
            golden.send(&api, &what, std::slice::from_ref(&json), "[".repeat(100_000).into_bytes(), 400).await;
            let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_JSON_BODY_BYTES)).into_bytes();
            golden.send(&api, &what, std::slice::from_ref(&json), large, 413).await;
        }
    }
    let wasm = [(header::CONTENT_TYPE, "application/wasm")];
    golden.send(&api, "POST /plugins", &wasm, b"no component".to_vec(), 422).await;
    golden.send(&api, "POST /plugins", &wasm, vec![0; 1001], 413).await;
    golden
        .send(&api, "POST /plugins", &[(header::CONTENT_TYPE, "multipart/form-data; boundary=B")], b"--B--\r\n".to_vec(), 400)
        .await;

    let untracked = Api::with(Settings { topic_tracking: false, ..Settings::default() }).await;
    let disabled = "~Topic tracking is disabled.";
    golden
        .rows(
            &untracked,
            &[("GET /connectors/a/topics", "", 403, disabled), ("PUT /connectors/a/topics/reset", "", 403, disabled)],
        )
        .await;
    untracked.fixture.herder.stop().await;
    golden.rows(&untracked, &[("GET /health", "", 500, ".")]).await;

    let mut missing = Vec::new();
    for operation in golden.document.operations() {
        for status in golden.document.statuses(&operation) {
            let elsewhere = END_TO_END.contains(&(&operation.0, &operation.1, status));
            if elsewhere == golden.covered.contains_key(&(operation.clone(), status)) {
                missing.push((operation.clone(), status));
            }
        }
    }
    assert!(missing.is_empty(), "without a case: {missing:?}");
    println!("{} cases, {} pairs of operation and status", golden.cases, golden.covered.len());
    assert!(golden.cases > 690, "{} cases", golden.cases);
}
