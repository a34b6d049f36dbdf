//! The examples of the API's description, sent to a real worker: they do what it says.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::{append, folder, worker_with};

/// Operations in an order in which each can succeed, and the status of its success.
const STEPS: &[(&str, &str, u16)] = &[
    ("GET", "/", 200),
    ("GET", "/health", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/connector-plugins", 200),
    ("GET", "/connector-plugins/{name}/config", 200),
    ("PUT", "/connector-plugins/{name}/config/validate", 200),
    ("GET", "/plugins", 200),
    ("GET", "/plugins/{name}", 200),
    ("POST", "/connectors", 201),
    ("PUT", "/connectors/{name}/config", 200),
    ("PATCH", "/connectors/{name}/config", 200),
    ("GET", "/connectors", 200),
    ("GET", "/connectors/{name}", 200),
    ("GET", "/connectors/{name}/config", 200),
    ("GET", "/connectors/{name}/status", 200),
    ("GET", "/connectors/{name}/tasks", 200),
    ("GET", "/connectors/{name}/tasks/{task}/status", 200),
    ("GET", "/connectors/{name}/topics", 200),
    ("PUT", "/connectors/{name}/topics/reset", 202),
    ("POST", "/connectors/{name}/restart", 204),
    ("POST", "/connectors/{name}/tasks/{task}/restart", 204),
    ("PUT", "/connectors/{name}/pause", 202),
    ("PUT", "/connectors/{name}/resume", 202),
    ("PUT", "/connectors/{name}/stop", 204),
    ("PATCH", "/connectors/{name}/offsets", 200),
    ("GET", "/connectors/{name}/offsets", 200),
    ("DELETE", "/connectors/{name}/offsets", 200),
    ("PUT", "/admin/loggers/{name}", 200),
    ("GET", "/admin/loggers/{name}", 200),
    ("GET", "/admin/loggers", 200),
    ("GET", "/metrics", 200),
    ("DELETE", "/connectors/{name}", 204),
    ("DELETE", "/plugins/{name}/versions/{version}", 204),
];

#[test]
fn the_examples_of_the_description_work() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let dir = folder(&worker, "hawser");
    append(&dir.join("in.txt"), ["one"]);
    let document = rest.get("/openapi.json").expect(200).to_string();
    // The folder of the examples, and whatever version the plugin has.
    let version = rest.get("/plugins").expect(200)[0]["version"].as_str().unwrap().to_owned();
    let document = document.replace("/tmp/hawser", &dir.display().to_string()).replace("\"0.1.0\"", &format!("\"{version}\""));
    let document: Value = serde_json::from_str(&document).unwrap();

    let mut replayed = BTreeSet::new();
    for (method, template, status) in STEPS {
        let operation = &document["paths"][template][method.to_lowercase()];
        assert!(!operation["responses"][status.to_string()].is_null(), "{method} {template}: {status} is not described");
        let mut path = (*template).to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
            let example = parameter["example"].as_str().map_or_else(|| parameter["example"].to_string(), str::to_owned);
            path = path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &example);
        }
        let body = operation["requestBody"]["content"]["application/json"]["example"].clone();
        let body = (!body.is_null()).then(|| ("application/json", body.to_string().into_bytes()));
        rest.send(Method::from_bytes(method.as_bytes()).unwrap(), &path, body).expect(*status);
        if path.starts_with("/connectors/lines-in/") && method != &"GET" || *template == "/connectors" {
            let state = match path.rsplit('/').next() {
                Some("pause") => "PAUSED",
                Some("stop" | "offsets") => "STOPPED",
                _ => "RUNNING",
            };
            rest.wait_state("lines-in", state, usize::from(state != "STOPPED"));
        }
        replayed.insert(((*method).to_owned(), (*template).to_owned()));
    }
    for (template, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let operation = (method.to_uppercase(), template.clone());
            // Every test that has a plugin uploads one.
            assert!(
                replayed.contains(&operation) || operation == ("POST".to_owned(), "/plugins".to_owned()),
                "{operation:?} is not replayed"
            );
        }
    }
}
