//! What does not depend on a connector: the worker, media types, paths, plugins, validation, loggers.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;

use super::Api;

#[tokio::test]
async fn the_worker_says_what_it_is() {
    let api = Api::new().await;
    let info = api.call("GET /", "").await.json();
    assert_eq!((info["version"].as_str(), info["kafka_cluster_id"].as_str()), (Some("4.3.1"), Some("cluster")));
    let healthy = r#"{"status":"healthy","message":"Worker has completed startup and is ready to handle requests."}"#;
    api.check("GET /health", "", 200, healthy).await;
    api.check("GET /health/", "", 200, healthy).await;
}

#[tokio::test]
async fn paths_methods_and_media_types_are_checked() {
    let api = Api::new().await;
    let not_found = r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#;
    let not_allowed = r#"{"error_code":405,"message":"HTTP 405 Method Not Allowed"}"#;
    for (what, status, expect) in [
        ("GET /nothing", 404, not_found),
        ("GET /connectors/a/tasks/x/status", 404, not_found),
        ("GET /connectors/a/tasks-config", 404, not_found),
        ("GET /connectors/%ff", 400, "~"),
        ("PUT /connectors", 405, not_allowed),
        ("POST /connectors/a", 405, not_allowed),
        ("DELETE /", 405, not_allowed),
    ] {
        api.check(what, "", status, expect).await;
    }
    api.check("HEAD /connectors", "", 200, "").await;
    let options = api.call("OPTIONS /connectors", "").await;
    assert_eq!((options.status.as_u16(), options.headers["allow"].to_str().unwrap()), (200, "GET,HEAD,POST,OPTIONS"));

    let media = [
        ("POST", "/connectors", Some("text/plain"), None, 415),
        ("POST", "/connectors", Some("application/x-www-form-urlencoded"), None, 415),
        ("PUT", "/connectors/a/pause", Some("application/x-www-form-urlencoded"), None, 415),
        ("PUT", "/connectors/a/pause", None, None, 404),
        ("PUT", "/connectors/a/pause", Some("application/json; charset=utf-8"), None, 404),
        ("POST", "/plugins", Some("application/json"), None, 415),
        ("GET", "/connectors", None, Some("text/html"), 406),
        ("GET", "/connectors", None, Some("application/json;q=0"), 200),
        ("GET", "/connectors", None, Some("*/json"), 200),
        ("GET", "/connectors", Some("text/plain"), None, 415),
        ("GET", "/connectors", None, Some("text/html, */*;q=0.1"), 200),
        ("GET", "/connectors", None, Some("application/*"), 200),
    ];
    for (method, path, content_type, accept, status) in media {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {content_type:?} {accept:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn malformed_bodies_are_the_clients_mistake() {
    let api = Api::new().await;
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(3 << 20));
    let deep = "[".repeat(1000);
    for (what, body, status, part) in [
        ("POST /connectors", "", 400, "needs a body"),
        ("POST /connectors", "{", 400, "EOF"),
        ("POST /connectors", "[]", 400, ""),
        ("POST /connectors", r#"{"name":"a"}"#, 400, "needs a 'config'"),
        ("POST /connectors", r#"{"name":"a","config":{},"x":1}"#, 400, "unknown field `x`"),
        ("POST /connectors", r#"{"name":[],"config":{}}"#, 400, "a string, a number or a boolean"),
        ("POST /connectors", r#"{"name":"a","config":{"x":{"y":1}}}"#, 400, "the value of 'x' must be"),
        ("POST /connectors", r#"{"name":"a","config":{"x":[]}}"#, 400, "the value of 'x' must be"),
        ("POST /connectors", r#"{"name":"a","config":{},"initial_state":"ASLEEP"}"#, 400, "ASLEEP"),
        ("POST /connectors", &large, 413, "larger than"),
        ("POST /connectors", &deep, 400, ""),
        ("PUT /connectors/a/config", r#""text""#, 400, "an object of configuration values"),
        ("PATCH /connectors/a/config", "null", 400, ""),
        ("PUT /connector-plugins/FileSource/config/validate", "1", 400, ""),
        ("PATCH /connectors/a/offsets", "[]", 400, ""),
        ("PATCH /connectors/a/offsets", r#"{"key":[]}"#, 400, "unknown field"),
        ("PATCH /connectors/a/offsets", r#"{"offsets":{}}"#, 400, ""),
        ("PATCH /connectors/a/offsets", r#"{"offsets":[123]}"#, 400, ""),
        ("PUT /admin/loggers/root", "{}", 400, "Desired 'level' parameter was not specified in request."),
    ] {
        api.check(what, body, status, &format!("~{part}")).await;
    }
}

#[tokio::test]
async fn classes_are_listed_and_their_keys_shown() {
    let api = Api::new().await;
    api.check(
        "GET /connector-plugins",
        "",
        200,
        r#"[
        {"class":"example.FileSinkConnector","type":"sink","version":"1.0.0"},
        {"class":"example.FileSourceConnector","type":"source","version":"1.0.0"}]"#,
    )
    .await;
    let all = api.call("GET /connector-plugins/?connectorsOnly=false", "").await.json();
    let kinds: Vec<_> = all.as_array().unwrap().iter().map(|plugin| plugin["type"].clone()).collect();
    assert_eq!(kinds, ["sink", "source", "transformation", "predicate", "converter"]);
    for name in ["FileSource", "FileSourceConnector", "example.FileSourceConnector"] {
        let keys = api.call(&format!("GET /connector-plugins/{name}/config"), "").await.json();
        let names: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
        assert_eq!(names[..4], ["file", "password", "name", "connector.class"]);
        assert_eq!(names.len(), 2 + 22 + 5);
    }
    api.check("GET /connector-plugins/Nothing/config", "", 404, "~Unknown plugin Nothing.").await;
    api.check("GET /connector-plugins/FileSource/config?version=9", "", 400, "~no FileSource 9").await;
}

#[tokio::test]
async fn validation_answers_as_kafka_connect() {
    let api = Api::new().await;
    let validate = "PUT /connector-plugins/FileSource/config/validate";
    let infos = api
        .call(
            validate,
            r#"{
        "connector.class":"FileSource","tasks.max":"0","transforms":"m,m","transforms.m.type":"Mask","transforms.m.negate":"true",
        "value.converter":"example.JsonConverter","value.converter.schemas.enable":"maybe",
        "producer.override.acks":"1","producer.override.bad":"x","extra":null,"unknown":"u"}"#,
        )
        .await
        .json();
    assert_eq!(infos["name"], "FileSource");
    let find = |name: &str| {
        infos["configs"].as_array().unwrap().iter().find(|config| config["value"]["name"] == name).cloned().unwrap_or_default()
    };
    let errors = |name: &str| find(name)["value"]["errors"].clone();
    assert_eq!(errors("name"), json!(["Missing required configuration \"name\" which has no default value."]));
    assert_eq!(errors("tasks.max"), json!(["Invalid value 0 for configuration tasks.max: Value must be at least 1"]));
    assert_eq!(errors("transforms"), json!(["Invalid value [m, m] for configuration transforms: Duplicate alias provided."]));
    assert_eq!(
        errors("transforms.m.type"),
        json!([
            "Config 'transforms.m.negate' was provided but there is no config 'transforms.m.predicate' defining a predicate to be negated."
        ])
    );
    assert_eq!(
        errors("transforms.m.fields"),
        json!(["Missing required configuration \"transforms.m.fields\" which has no default value."])
    );
    assert_eq!(errors("file"), json!(["Missing required configuration \"file\" which has no default value."]));
    assert_eq!(errors("extra"), json!(["Null value can not be supplied as the configuration value."]));
    assert_eq!(
        errors("value.converter.schemas.enable"),
        json!(["Invalid value maybe for configuration schemas.enable: Expected value to be either true or false"])
    );
    assert_eq!(errors("producer.override.bad"), json!(["`producer.override.bad` is bad"]));
    assert_eq!(find("unknown"), json!(null));
    assert_eq!(infos["error_count"], 9);
    assert_eq!(
        infos["configs"][0],
        json!({"definition":null,"value":{
        "name":"extra","value":null,"recommended_values":[],"errors":["Null value can not be supplied as the configuration value."],
        "visible":true}})
    );
    assert_eq!(
        infos["groups"],
        json!([
            "Common",
            "Transforms",
            "Predicates",
            "Error Handling",
            "Topic Creation",
            "Exactly Once Support",
            "offsets.topic",
            "Transforms: m",
            "Transforms: m: Example",
            "Example"
        ])
    );
    assert_eq!(
        find("tasks.max"),
        json!({"definition":{
        "name":"tasks.max","type":"INT","required":false,"default_value":"1","importance":"HIGH",
        "documentation":"Maximum number of tasks of this connector.","group":"Common","width":"SHORT","display_name":"Tasks max",
        "dependents":[],"order_in_group":4,"order":4},
        "value":{"name":"tasks.max","value":"0","recommended_values":[],
        "errors":["Invalid value 0 for configuration tasks.max: Value must be at least 1"],"visible":true}})
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_be_validated_is_refused() {
    let api = Api::new().await;
    let validate = |name: &str| format!("PUT /connector-plugins/{name}/config/validate");
    let sink = "FileSink";
    for (plugin, body, status, part) in [
        ("FileSource", r#"{"secret":"x"}"#, 400, "Connector config {secret} contains no connector type"),
        (
            "FileSink",
            r#"{"connector.class":"FileSource"}"#,
            400,
            "Included connector type FileSource does not match request type FileSink",
        ),
        (
            "Nothing",
            r#"{"connector.class":"Nothing"}"#,
            400,
            "Failed to find any class that implements Connector and which name matches Nothing, available connectors are: PluginDesc{",
        ),
        ("Mask", r#"{"connector.class":"Mask"}"#, 400, "Failed to find any class that implements Connector"),
        (
            "FileSource",
            r#"{"connector.class":"FileSource","file":"f","password":"pw1","test.validate":"crash"}"#,
            500,
            "crashed with [hidden]",
        ),
    ] {
        api.check(&validate(plugin), body, status, &format!("~{part}")).await;
    }
    let sinks = [
        (r#""topics":"a","topics.regex":"b""#, 2, "topics and topics.regex are mutually exclusive options, but both are set."),
        (r#""file":"f""#, 2, "Must configure one of topics or topics.regex"),
        (r#""topics.regex":"a(""#, 1, "Invalid regex: a("),
        (
            r#""topics":"a, dlq","errors.deadletterqueue.topic.name":"dlq""#,
            1,
            "The DLQ topic 'dlq' may not be included in the list of topics ('topics=[a, dlq]') consumed by the connector",
        ),
        (
            r#""topics.regex":"d.*","errors.deadletterqueue.topic.name":"dlq""#,
            1,
            "The DLQ topic 'dlq' may not be matched by the regex for the topics ('topics.regex=d.*') consumed by the connector",
        ),
        (
            r#""topics":"a","errors.tolerance":"some""#,
            1,
            "Invalid value some for configuration errors.tolerance: String must be one of: none, all",
        ),
        (r#""topics":"a","value.converter":"Nothing""#, 1, "Class Nothing could not be found."),
        (
            r#""topics":"a","transforms":"t","transforms.t.type":"Nothing""#,
            1,
            "transforms.t.type: Class Nothing could not be found.",
        ),
        (
            r#""topics":"a","transforms":"t""#,
            1,
            "Missing required configuration \"transforms.t.type\" which has no default value.",
        ),
        (
            r#""topics":"a","predicates":"p","predicates.p.type":"Mask""#,
            1,
            "Class class example.Mask does not implement the Predicate interface",
        ),
        (r#""topics":"a,,b""#, 1, "Configuration 'topics' values must not be empty."),
        (r#""topics":"a,a""#, 1, "Configuration 'topics' values must not be duplicated."),
        (
            r#""topics":"a","transforms":"t","transforms.t.type":"Mask","transforms.t.fields":"f","transforms.t.predicate":"p""#,
            1,
            "Invalid value p for configuration transforms.t.predicate: No predicate of this alias",
        ),
        (
            r#""topics":"a","transforms":"t","transforms.t.type":"Mask","transforms.t.fields":"f","transforms.t.test.validate":"key""#,
            1,
            "Invalid value x for configuration transforms.t.fields: not so",
        ),
        (r#""topics":"a","sandbox.files":"/etc""#, 1, "not granted"),
        (r#""topics":"a","connector.plugin.version":"2.0""#, 2, "no FileSink 2.0"),
    ];
    for (keys, count, part) in sinks {
        let body = format!(r#"{{"name":"s","connector.class":"FileSink",{keys}}}"#);
        let infos = api.call(&validate(sink), &body).await;
        assert_eq!(infos.json()["error_count"], count, "{keys}: {}", infos.body);
        assert!(infos.body.contains(&part.replace('"', "\\\"")), "{keys}: {}", infos.body);
    }
}

#[tokio::test]
async fn settings_of_topics_that_are_created_are_checked() {
    let api = Api::new().await;
    for (keys, errors) in [
        (
            r#""topic.creation.groups":"a""#,
            json!([
                "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value.",
                "Missing required configuration \"topic.creation.default.partitions\" which has no default value."
            ]),
        ),
        (
            r#""topic.creation.default.replication.factor":"0","topic.creation.default.partitions":"-1","topic.creation.groups":"g",
            "topic.creation.g.include":"a.*,(","topic.creation.g.partitions":"x""#,
            json!([
                "Invalid value 0 for configuration topic.creation.default.replication.factor: Replication factor must be positive and not \
             larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default",
                "Invalid value x for configuration topic.creation.g.partitions: Not a number of type INT",
                "Invalid value ( for configuration topic.creation.g.include: Syntax error(s) in regular expression"
            ]),
        ),
        (r#""topic.creation.default.replication.factor":"-1","topic.creation.default.partitions":"3""#, json!([])),
    ] {
        let body = format!(r#"{{"name":"s","connector.class":"FileSource","file":"f",{keys}}}"#);
        let infos = api.call("PUT /connector-plugins/FileSource/config/validate", &body).await.json();
        let found: Vec<_> = infos["configs"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|config| config["value"]["errors"].as_array().unwrap().clone())
            .collect();
        assert_eq!(json!(found), errors, "{keys}");
    }
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let api = Api::new().await;
    let body = r#"{"connector.class":"FileSource","name":"${env:SECRET}","file":"f","password":"pw1","tasks.max":"${env:SECRET}",
        "producer.override.ssl.key.password":"pw3","test.validate":"says"}"#;
    let infos = api.call("PUT /connector-plugins/FileSource/config/validate", body).await;
    for secret in ["hunter2", "pw1", "pw3"] {
        assert!(!infos.body.contains(secret), "{secret} in {}", infos.body);
    }
    assert!(infos.body.contains("Invalid value [hidden] for configuration tasks.max: Not a number of type INT"));
    assert!(infos.body.contains("says [hidden]"));
}

#[tokio::test]
async fn log_levels_are_read_and_set() {
    let api = Api::new().await;
    api.check("GET /admin/loggers/", "", 200, r#"{"root":{"level":"INFO","last_modified":null}}"#).await;
    api.check("GET /admin/loggers/ROOT", "", 200, r#"{"level":"INFO","last_modified":null}"#).await;
    api.check("GET /admin/loggers/nothing", "", 404, "~Logger nothing not found.").await;
    api.check("PUT /admin/loggers/hawser.rest", r#"{"level":"debug"}"#, 200, r#"["hawser.rest"]"#).await;
    api.check("PUT /admin/loggers/org.apache.kafka?scope=cluster", r#"{"level":"WARN"}"#, 204, "").await;
    api.check("PUT /admin/loggers/hawser.rest", r#"{"level":"loud"}"#, 404, "~invalid log level 'loud'.").await;
    let all = api.call("GET /admin/loggers", "").await.json();
    assert_eq!(all["hawser.rest"]["level"], "DEBUG");
    assert!(all["hawser.rest"]["last_modified"].as_u64().is_some_and(|ms| ms > 1_600_000_000_000));
}
