//! Plugins over REST, while everything runs.

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, wait_for};
use reqwest::Method;
use serde_json::json;

use crate::support::{append, file_sink, file_source, folder, wait_lines, worker_with};

/// The same component with a custom section at its end: other bytes, the same plugin.
fn with_other_bytes(plugin: &Plugin) -> Vec<u8> {
    let mut bytes = plugin.bytes.clone();
    bytes.extend(b"\x00\x05\x04note");
    bytes
}

#[test]
fn an_upload_says_what_it_is() {
    let worker = worker_with(&[]);
    let plugin = Plugin::built("file");
    let first = worker.rest().upload_bytes(plugin.bytes.clone()).expect(201);
    assert_eq!(first["name"], "file", "{first}");
    assert_eq!(first["size"], plugin.bytes.len(), "{first}");
    let digest = first["digest"].as_str().unwrap_or_default();
    assert!(digest.starts_with("sha256:") && digest.len() == "sha256:".len() + 64, "{first}");
    assert!(first["version"].is_string(), "{first}");
    let kinds: Vec<_> = first["classes"].as_array().into_iter().flatten().map(|class| &class["type"]).collect();
    assert!(kinds.contains(&&json!("source")) && kinds.contains(&&json!("sink")), "{first}");

    let again = worker.rest().upload_bytes(plugin.bytes.clone()).expect(200);
    assert_eq!(again["digest"], first["digest"]);
    let message = worker.rest().upload_bytes(with_other_bytes(&plugin)).error(409);
    assert!(message.contains("file"), "{message}");

    let classes = worker.rest().get("/connector-plugins").expect(200);
    let listed = classes.as_array().into_iter().flatten().filter(|class| class["type"] == "source").count();
    assert!(listed > 0, "{classes}");
}

#[test]
fn a_plugin_is_usable_at_once_while_others_run() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    let topic = Topic::create(Kafka::shared(), "busy", 1);
    append(&input, ["before"]);
    rest.configure("source", &file_source(&input, &topic.name));
    rest.configure("sink", &file_sink(&output, &topic.name));
    wait_lines(&output, 1);

    let config = json!({"connector.class": "Datagen", "tasks.max": "1", "topic": format!("{}-generated", topic.name),
        "rate": "0", "count": "100"});
    assert_eq!(rest.put("/connectors/generated/config", &config).status / 100, 4, "not before its plugin is there");
    rest.upload(&Plugin::built("datagen"));
    rest.configure("generated", &config);
    Topic::named(Kafka::shared().bootstrap(), &format!("{}-generated", topic.name)).read_count(100, Deadline::LONG);

    append(&input, ["after"]);
    assert_eq!(wait_lines(&output, 2), ["before", "after"]);
}

#[test]
fn one_request_uploads_and_deploys() {
    let worker = worker_with(&[]);
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "one-call", 1);
    append(&input, ["one"]);
    let connector = json!({"name": "source", "config": file_source(&input, &topic.name)}).to_string();
    let mut body = Vec::new();
    let part = |name: &str, content_type: &str| {
        format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: {content_type}\r\n\r\n").into_bytes()
    };
    body.extend(part("plugin", "application/wasm"));
    body.extend(Plugin::built("file").bytes);
    body.extend(b"\r\n");
    body.extend(part("config", "application/json"));
    body.extend(connector.as_bytes());
    body.extend(b"\r\n--edge--\r\n");
    worker.rest().send(Method::POST, "/plugins", Some(("multipart/form-data; boundary=edge", body))).expect(201);
    assert_eq!(topic.read_count(1, Deadline::LONG)[0].text(), "one");
}

#[test]
fn a_plugin_goes_when_nobody_uses_it() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let input = folder(&worker, "in").join("lines");
    rest.configure("source", &file_source(&input, &hawser_e2e::unique("unused")));
    let plugin = rest.get("/plugins").expect(200)[0].clone();
    let path = format!("/plugins/file/versions/{}", plugin["version"].as_str().unwrap_or_default());
    let message = rest.delete(&path).error(409);
    assert!(message.contains("source"), "it says who uses it: {message}");
    rest.delete("/connectors/source").expect(204);
    wait_for("the plugin's end, once the connector has stopped", Deadline::SHORT, || match rest.delete(&path).status {
        204 => Ok(()),
        other => Err(other.to_string()),
    });
    rest.delete(&path).error(404);
    assert_eq!(rest.get("/plugins").expect(200), json!([]));
}
