//! Odd requests to a real worker: names, paths and bodies that nobody sends on purpose, and requests that cross each other.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hawser_e2e::{Kafka, Plugin, Rest, Worker, wait_for};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{append, file_source, folder, worker_with};

/// What a worker may take to say that something large is wrong.
const SOON: Duration = Duration::from_secs(10);

/// A name as it stands in a path.
fn escaped(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn worker() -> (Worker, Value) {
    let worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    let config = file_source(&input, &hawser_e2e::unique("stranger"));
    (worker, config)
}

#[test]
fn names_may_be_odd_but_not_endless() {
    let (worker, config) = worker();
    let rest = worker.rest();
    let long = "n".repeat(2048);
    let good = [
        "ünï 😀",
        "a/b",
        "...",
        "%",
        "%2F",
        "a%00b",
        "a\u{202e}b",
        "__proto__",
        "null",
        "a b",
        "a?b#c",
        "é",
        "e\u{301}",
        "тест",
        "con;nect",
        "a\\b",
        "a\"b",
        "<b>",
        "${env:HOME}",
        long.as_str(),
    ];
    for name in good {
        let body = json!({"name": name, "config": config, "initial_state": "STOPPED"});
        let created = rest.post("/connectors", &body);
        assert!(created.headers["location"].to_str().is_ok_and(|location| location.starts_with(rest.url())), "{name}");
        assert_eq!(created.expect(201)["name"], name);
        let path = format!("/connectors/{}", escaped(name));
        wait_for(&format!("{name} to be stopped"), hawser_e2e::Deadline::SHORT, || {
            let answer = rest.get(&format!("{path}/status"));
            if answer.body["connector"]["state"] == "STOPPED" { Ok(()) } else { Err(answer.body.to_string()) }
        });
        assert_eq!(rest.get(&format!("{path}/config")).expect(200)["name"], name);
        assert_eq!(rest.get(&format!("{path}/topics/")).expect(200), json!({name: {"topics": []}}));
        rest.get(&format!("{path}/offsets")).expect(200);
        rest.delete(&path).expect(204);
    }
    for (name, words) in [
        ("n".repeat(2049), "String may have at most 2048 bytes"),
        ("n".repeat(500_000), "String may have at most 2048 bytes"),
        ("a\u{0}b".to_owned(), "may not contain control sequences"),
        ("a\tb".to_owned(), "may not contain control sequences"),
    ] {
        let refused = rest.post("/connectors", &json!({"name": name, "config": config})).error(400);
        assert!(refused.contains(words) && refused.len() < 1000, "{refused}");
    }
    assert_eq!(rest.get("/connectors").expect(200), json!([]));
}

/// Ten thousand of everything: taken, or refused soon; the worker answers others meanwhile.
#[test]
fn large_configurations_are_answered_soon() {
    let (worker, config) = worker();
    let rest = worker.rest();
    let many = |key: &dyn Fn(usize) -> (String, String)| {
        let mut config = config.as_object().expect("an object").clone();
        config.insert("name".to_owned(), "large".into());
        config.extend((0..10_000).map(key).map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>());
        Value::Object(config)
    };
    let listed = |key: &str| {
        let aliases: Vec<String> = (0..10_000).map(|number| format!("a{number}")).collect();
        crate::support::with(config.clone(), json!({"name": "large", key: aliases.join(",")}))
    };
    let validate = |config: &Value| {
        let began = Instant::now();
        let infos = rest.put("/connector-plugins/FileStreamSource/config/validate", config).expect(200);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let errors = infos["configs"].as_array().expect("configs").iter().flat_map(|info| info["value"]["errors"].as_array());
        errors.flatten().map(|error| error.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let plain = many(&|number| (format!("key.{number}"), number.to_string()));
    assert!(validate(&plain).is_empty());
    rest.configure("large", &plain);
    assert_eq!(rest.get("/connectors/large/config").expect(200).as_object().map(Map::len), plain.as_object().map(Map::len));
    rest.wait_state("large", "RUNNING", 1);
    rest.delete("/connectors/large").expect(204);
    for key in ["transforms", "predicates", "topic.creation.groups"] {
        let errors = validate(&listed(key));
        let words = format!("Configuration '{key}' may have at most 500 aliases.");
        assert!(errors.contains(&words), "{key}: {}", errors.len());
    }
    let errors = validate(&many(&|number| (format!("producer.override.k{number}"), String::new())));
    assert_eq!(errors, ["A connector may have at most 500 keys that begin with producer.override."]);
    rest.get("/health").expect(200);
}

/// Many clients at once, until `until`; every answer must have one of these statuses.
fn storm(rest: &Rest, requests: &[(Method, &str, Option<Value>)], statuses: &[u16]) {
    let until = Instant::now() + Duration::from_secs(3);
    let statuses: Arc<[u16]> = statuses.into();
    let clients: Vec<_> = requests
        .iter()
        .cloned()
        .map(|(method, path, body)| {
            let (rest, path, statuses) = (rest.clone(), path.to_owned(), Arc::clone(&statuses));
            thread::spawn(move || {
                while Instant::now() < until {
                    let body = body.as_ref().map(|body| ("application/json", body.to_string().into_bytes()));
                    let answer = rest.send(method.clone(), &path, body);
                    assert!(statuses.contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client");
    }
}

#[test]
fn creations_and_deletions_of_one_name_cross_each_other() {
    let (worker, config) = worker();
    let rest = worker.rest();
    let create = (Method::POST, "/connectors", Some(json!({"name": "race", "config": config})));
    let delete = (Method::DELETE, "/connectors/race", None);
    let look = (Method::GET, "/connectors/race/status", None);
    let list = (Method::GET, "/connectors?expand=status&expand=info", None);
    storm(rest, &[create.clone(), create.clone(), create, delete.clone(), delete, look, list], &[200, 201, 204, 404, 409]);
    let _ = rest.delete("/connectors/race"); // it may be there or not
    rest.configure("race", &config);
    rest.wait_state("race", "RUNNING", 1);
    rest.delete("/connectors/race").expect(204);
    for number in 0..10 {
        // Deleted while it starts.
        rest.post("/connectors", &json!({"name": format!("quick{number}"), "config": config})).expect(201);
        rest.delete(&format!("/connectors/quick{number}")).expect(204);
    }
    wait_for("all of them to be gone", hawser_e2e::Deadline::SHORT, || {
        let left = rest.get("/connectors?expand=status").expect(200);
        if left == json!({}) { Ok(()) } else { Err(left.to_string()) }
    });
    assert!(!worker.log().contains("panicked"));
}

#[test]
fn a_lifecycle_is_asked_for_all_at_once() {
    let worker = Worker::standalone(Kafka::shared()).start();
    let rest = worker.rest();
    rest.upload(&Plugin::built("datagen"));
    let config =
        json!({"connector.class": "DatagenSource", "topic": hawser_e2e::unique("storm"), "tasks.max": "2", "rate": "10"});
    rest.configure("race", &config);
    let requests = [
        (Method::PUT, "/connectors/race/config", Some(config.clone())),
        (Method::PATCH, "/connectors/race/config", Some(json!({"more": null, "less": "1"}))),
        (Method::POST, "/connectors/race/restart?includeTasks=true", None),
        (Method::POST, "/connectors/race/restart", None),
        (Method::POST, "/connectors/race/tasks/0/restart", None),
        (Method::PUT, "/connectors/race/stop", None),
        (Method::PUT, "/connectors/race/pause", None),
        (Method::PUT, "/connectors/race/resume", None),
        (Method::DELETE, "/connectors/race/offsets", None),
        (Method::GET, "/connectors/race/status", None),
        (Method::GET, "/connectors/race/tasks", None),
    ];
    // 400: offsets of what is not stopped; 404: a task that is not there now; 409: what was changed meanwhile.
    storm(rest, &requests, &[200, 202, 204, 400, 404, 409]);
    rest.put_empty("/connectors/race/resume").expect(202);
    rest.wait_state("race", "RUNNING", 2);
    // A restart while it stops does not wake it.
    rest.put_empty("/connectors/race/stop").expect(204);
    rest.post_empty("/connectors/race/restart?includeTasks=true").expect(202);
    rest.wait_state("race", "STOPPED", 0);
    rest.delete("/connectors/race").expect(204);
    assert!(!worker.log().contains("panicked"));
}
