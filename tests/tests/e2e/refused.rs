//! Uploads, configs and requests that are refused: each with its status and a word that says why. Nothing of them stays.

use hawser_e2e::{Kafka, Plugin, Rest, Worker};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{file_sink, file_source, worker_with};

/// The most that a worker takes as a component: 64 MiB.
const MAX_COMPONENT: usize = 64 << 20;

#[test]
fn bad_uploads() {
    let worker = Worker::distributed(Kafka::shared()).start();
    let good = Plugin::built("file").bytes;
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    let empty_component = b"\0asm\x0d\0\x01\0".to_vec();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("nothing", Vec::new(), 422, "component"),
        ("text", b"not a component".to_vec(), 422, "component"),
        ("JSON", br#"{"name":"x"}"#.to_vec(), 422, "component"),
        ("an ELF file", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(), 422, "component"),
        ("WebAssembly text", b"(component)".to_vec(), 422, "component"),
        ("a core module", core_module, 422, "component"),
        ("a component that exports nothing", empty_component, 422, "hawser:connect"),
        ("a component of another kind", importing("acme:nowhere/thing"), 422, "hawser:connect"),
        ("half of a component", good[..good.len() / 2].to_vec(), 422, ""),
        ("a component with garbage inside", flipped, 422, ""),
        ("more than a worker takes", vec![0; MAX_COMPONENT + 1], 413, "larger"),
    ];
    for (what, bytes, status, word) in cases {
        let answer = worker.rest().upload_bytes(bytes);
        assert_eq!(answer.status, status, "upload of {what}: {}", answer.body);
        check_message(what, &answer.error(status), word);
    }
    let multipart = |body: &str| {
        worker.rest().send(Method::POST, "/plugins", Some(("multipart/form-data; boundary=edge", body.as_bytes().to_vec())))
    };
    for (what, body) in [
        ("no part", "--edge--\r\n"),
        (
            "only a config",
            "--edge\r\ncontent-disposition: form-data; name=\"config\"\r\n\r\n{\"name\":\"x\",\"config\":{}}\r\n--edge--\r\n",
        ),
        ("an unknown part", "--edge\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--edge--\r\n"),
    ] {
        check_message(what, &multipart(body).error(400), "part");
    }
    assert_eq!(worker.rest().get("/plugins").expect(200), json!([]), "nothing of them stays");
}

/// A component that only imports an instance of this name with one function.
fn importing(name: &str) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend(b"\x07\x0e\x01\x42\x02\x01\x40\x00\x01\x00\x04\x00\x01f\x01\x00"); // type: instance { f: func() }
    component.extend([0x0a, name.len() as u8 + 5, 1, 0, name.len() as u8]);
    component.extend(name.as_bytes());
    component.extend([0x05, 0]); // import: an instance of type 0
    component
}

#[test]
fn bad_configs() {
    const OF: &str = "org.apache.kafka.connect.transforms";
    let worker = worker_with(&["file", "transforms"]);
    let file = worker.dir().join("any/file");
    let sink = file_sink(&file, "records");
    let source = file_source(&file, "records");
    // What is changed in a config that is right (null: left out), and a part of the message.
    let sinks = [
        (json!({"topics": null}), "Must configure one of topics or topics.regex"),
        (json!({"topics": ""}), "Must configure one of topics or topics.regex"),
        (json!({"topics.regex": "r.*"}), "topics and topics.regex are mutually exclusive options, but both are set."),
        (json!({"topics": null, "topics.regex": "("}), "topics.regex"),
        (json!({"tasks.max": "0"}), "Value must be at least 1"),
        (json!({"tasks.max": "-1"}), "Value must be at least 1"),
        (json!({"tasks.max": "many"}), "Not a number of type INT"),
        (json!({"tasks.max": "1.5"}), "Not a number of type INT"),
        (json!({"tasks.max": "99999999999"}), "Not a number of type INT"),
        (json!({"tasks.max": null, "tasks.max.enforce": "maybe"}), "Expected value to be either true or false"),
        (json!({"name": ""}), "name"),
        (json!({"name": "another"}), "doesn't match connector name in the URL"),
        (json!({"connector.class": "NoSuchConnector"}), "NoSuchConnector"),
        (json!({"connector.class": format!("{OF}.MaskField$Value")}), "MaskField"),
        (json!({"connector.class": ""}), "connector"),
        (json!({"connector.class": null}), "contains no connector type"),
        (json!({"value.converter": "no.such.Converter"}), "no.such.Converter"),
        (json!({"key.converter": "FileStreamSink"}), "does not implement the Converter interface"),
        (json!({"errors.tolerance": "some"}), "String must be one of"),
        (json!({"errors.retry.timeout": "soon"}), "Not a number of type LONG"),
        (json!({"errors.log.enable": "yes"}), "Expected value to be either true or false"),
        (json!({"errors.deadletterqueue.topic.name": "records"}), "may not be included in the list of topics"),
        (json!({"transforms": "a"}), "transforms.a.type"),
        (json!({"transforms": "a,a", "transforms.a.type": format!("{OF}.RegexRouter")}), "Duplicate alias provided."),
        (json!({"transforms": "a", "transforms.a.type": "NoSuchTransform"}), "NoSuchTransform"),
        (json!({"transforms": "a", "transforms.a.type": "FileStreamSink"}), "does not implement the Transformation interface"),
        (json!({"transforms": "a", "transforms.a.type": format!("{OF}.MaskField$Value")}), "transforms.a.fields"),
        (
            json!({"transforms": "a", "transforms.a.type": format!("{OF}.RegexRouter"), "transforms.a.regex": "(",
            "transforms.a.replacement": "x"}),
            "transforms.a.regex",
        ),
        (json!({"transforms": "a", "transforms.a.type": format!("{OF}.Filter"), "transforms.a.predicate": "p"}), "p"),
        (json!({"transforms": "a", "transforms.a.type": format!("{OF}.Filter"), "transforms.a.negate": "true"}), "predicate"),
        (json!({"predicates": "p"}), "predicates.p.type"),
        (json!({"predicates": "p", "predicates.p.type": format!("{OF}.Filter")}), "does not implement the Predicate interface"),
    ];
    let sources = [
        (json!({"topic": null}), "Missing required configuration \"topic\" which has no default value."),
        (json!({"topic": ""}), "topic"),
        (json!({"file": null}), "file"),
        (json!({"exactly.once.support": "perhaps"}), "String must be one of"),
        (json!({"topic.creation.groups": "a", "topic.creation.default.partitions": "1"}), "topic.creation"),
        (json!({"config.action.reload": "now"}), "String must be one of"),
    ];
    for (base, rows) in [(&sink, &sinks[..]), (&source, &sources[..])] {
        for (change, word) in rows {
            let config = changed(base, change);
            let message = worker.rest().put("/connectors/refused/config", &config).error(400);
            check_message(&change.to_string(), &message, word);
        }
    }
    assert_eq!(worker.rest().get("/connectors").expect(200), json!([]), "none of them was deployed");
}

/// `base` with the members of `change`; null takes one away.
fn changed(base: &Value, change: &Value) -> Value {
    let mut config = base.clone();
    let members = config.as_object_mut().expect("an object");
    for (key, value) in change.as_object().expect("an object") {
        if value.is_null() {
            members.shift_remove(key);
        } else {
            members.insert(key.clone(), value.clone());
        }
    }
    config
}

#[test]
fn a_validation_names_the_key() {
    let worker = worker_with(&["file"]);
    let config = changed(&file_sink(&worker.dir().join("x"), "t"), &json!({"name": "v", "tasks.max": "0"}));
    let infos = worker.rest().put("/connector-plugins/FileStreamSink/config/validate", &config).expect(200);
    assert_eq!(infos["error_count"], 1, "{infos}");
    let tasks = infos["configs"].as_array().into_iter().flatten().find(|c| c["value"]["name"] == "tasks.max");
    let value = &tasks.expect("tasks.max")["value"];
    assert_eq!(value["errors"][0], "Invalid value 0 for configuration tasks.max: Value must be at least 1");
    assert_eq!(worker.rest().get("/connectors").expect(200), json!([]));
}

#[test]
fn bad_requests() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let good = file_source(&worker.dir().join("any/file"), "records");
    rest.configure("there", &good);
    let create = |name: &str| json!({"name": name, "config": good}).to_string();
    let cases: Vec<(&str, &str, Option<String>, u16, &str)> = vec![
        ("GET", "/no-such-path", None, 404, ""),
        ("GET", "/connectors/absent", None, 404, "absent"),
        ("GET", "/connectors/absent/config", None, 404, "absent"),
        ("GET", "/connectors/absent/status", None, 404, "absent"),
        ("GET", "/connectors/absent/tasks", None, 404, "absent"),
        ("GET", "/connectors/there/tasks/9/status", None, 404, "there-9"),
        ("GET", "/connectors/there/tasks/first/status", None, 404, ""),
        ("PUT", "/connectors/absent/pause", None, 404, "absent"),
        ("PUT", "/connectors/absent/resume", None, 404, "absent"),
        ("PUT", "/connectors/absent/stop", None, 404, "absent"),
        ("POST", "/connectors/absent/restart", None, 404, "absent"),
        ("POST", "/connectors/there/tasks/9/restart", None, 404, "there-9"),
        ("DELETE", "/connectors/absent", None, 404, "absent"),
        ("DELETE", "/connectors", None, 405, ""),
        ("POST", "/connectors", Some(create("there")), 409, "already exists"),
        ("POST", "/connectors", Some(create("")), 400, ""),
        ("POST", "/connectors", Some("{".to_owned()), 400, ""),
        ("POST", "/connectors", Some("[]".to_owned()), 400, ""),
        ("POST", "/connectors", Some(r#"{"name":"x"}"#.to_owned()), 400, "config"),
        ("POST", "/connectors", Some(r#"{"name":"x","config":{},"colour":"red"}"#.to_owned()), 400, "colour"),
        ("PUT", "/connectors/x/config", Some(r#"{"a":{"b":1}}"#.to_owned()), 400, "a"),
        ("PUT", "/connectors/x/config", Some("null".to_owned()), 400, ""),
        ("GET", "/connector-plugins/NoSuchPlugin/config", None, 404, "NoSuchPlugin"),
        ("PUT", "/connector-plugins/FileStreamSink/config/validate", Some(good.to_string()), 400, "type"),
        ("GET", "/plugins/absent", None, 404, "absent"),
        ("DELETE", "/plugins/absent/versions/1.0.0", None, 404, "absent"),
        ("DELETE", "/plugins/file/versions/0.0.0-absent", None, 404, "0.0.0-absent"),
    ];
    for (method, path, body, status, word) in cases {
        let what = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let body = body.map(|text| ("application/json", text.into_bytes()));
        check_message(&what, &rest.send(method, path, body).error(status), word);
    }
    not_json(rest);
}

fn not_json(rest: &Rest) {
    let body = Some(("text/plain", b"{}".to_vec()));
    rest.send(Method::POST, "/connectors", body).error(415);
}

#[track_caller]
fn check_message(what: &str, message: &str, word: &str) {
    assert!(message.contains(word), "{what}: '{word}' is not in the message: {message}");
    assert!(!message.is_empty(), "{what}: no message");
}
