//! The HTTP connectors against a real service, and what is granted to them.

mod speed;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, wait_for};
use serde_json::{Value, json};

use crate::service::{Answer, Seen, Service};
use crate::support::with;

fn ok() -> Answer {
    (200, vec![], String::new())
}

/// A worker that grants these hosts, with the plugin.
#[track_caller]
fn worker(hosts: &str) -> Worker {
    let worker = Worker::distributed(Kafka::shared()).set("hawser.sandbox.http", hosts).start();
    worker.rest().upload(&Plugin::built("http"));
    worker
}

fn sink(service: &Service, topic: &str, more: Value) -> Value {
    let config = json!({
        "connector.class": "HttpSink",
        "tasks.max": "1",
        "topics": topic,
        "url": format!("http://{}/records", service.host()),
        "sandbox.http": service.host(),
        "retry.backoff.ms": "10",
    });
    with(config, more)
}

fn source(service: &Service, topic: &str, more: Value) -> Value {
    let config = json!({
        "connector.class": "HttpSource",
        "tasks.max": "1",
        "topic": topic,
        "url": format!("http://{}/items", service.host()),
        "sandbox.http": service.host(),
        "poll.interval.ms": "50",
    });
    with(config, more)
}

#[track_caller]
fn wait_count(service: &Service, count: usize) -> Vec<Seen> {
    wait_for(&format!("{count} requests"), Deadline::LONG, || {
        let found = service.count();
        if found >= count { Ok(service.seen()) } else { Err(format!("{found} requests")) }
    })
}

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|number| format!(r#"{{"n":{number}}}"#))
}

#[test]
fn a_secret_goes_over_tls_and_nowhere_else() {
    let service = Service::with_tls(|_, _| ok());
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, secrets) = (folder.path().join("ca.pem"), folder.path().join("secrets.properties"));
    std::fs::write(&authority, &service.authority).expect("ca.pem");
    std::fs::write(&secrets, "token=s3cret-of-the-service\n").expect("secrets.properties");
    let host = format!("https://localhost:{}", service.port());
    let worker = Worker::distributed(Kafka::shared())
        .set("hawser.sandbox.http", &host)
        .set("hawser.sandbox.http.ca.file", &authority.display().to_string())
        .set("config.providers", "file")
        .set("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider")
        .start();
    let rest = worker.rest();
    let uploaded = rest.upload(&Plugin::built("http"));
    let requires: Vec<_> = uploaded["requires"].as_array().expect("a list").iter().map(|required| &required["key"]).collect();
    assert!(requires.contains(&&json!("sandbox.http")), "{uploaded}");

    let topic = Topic::create(Kafka::shared(), "secret", 1);
    topic.produce(numbered(0..20));
    let config = with(
        sink(&service, &topic.name, json!({})),
        json!({
            "url": format!("{host}/records/${{offset}}"),
            "method": "PUT",
            "sandbox.http": host,
            "header.Authorization": "Bearer {{secret:api}}",
            "sandbox.secret.api": format!("${{file:{}:token}}", secrets.display()),
            "sandbox.secret.api.hosts": host,
        }),
    );
    rest.configure("secret", &config);
    let seen = wait_count(&service, 20);
    let paths: BTreeSet<_> = seen.iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, (0..20).map(|offset| format!("/records/{offset}")).collect());
    for request in &seen {
        assert_eq!(request.headers["authorization"], "Bearer s3cret-of-the-service");
        assert_eq!(request.headers["host"], format!("localhost:{}", service.port()).as_str());
    }
    for path in ["/connectors/secret", "/connectors/secret/tasks", "/connectors/secret/status", "/connectors/secret/config"] {
        assert!(!rest.get(path).expect(200).to_string().contains("s3cret"), "{path}");
    }
    let literal = with(config.clone(), json!({"sandbox.secret.api": "s3cret-of-the-service"}));
    let refused = rest.put("/connectors/literal/config", &literal).error(400);
    assert!(refused.contains("must be a reference") && !refused.contains("s3cret"), "{refused}");

    // A plugin that sends the secret elsewhere is refused, and its task says why without it.
    let other = with(config, json!({"sandbox.secret.api.hosts": "https://localhost:1"}));
    rest.configure("other", &other);
    let trace = rest.wait_failed_task("other");
    assert!(trace.contains("sandbox.secret.api.hosts") && !trace.contains("s3cret"), "{trace}");
    assert!(!worker.log().contains("s3cret"));
}

#[test]
fn what_the_service_refuses_goes_to_the_dead_letter_queue_and_the_rest_gets_through() {
    // Each request with a seven is turned away; each third one comes too early the first time.
    let service = Service::start(|seen, count| match seen.body.contains('7') {
        true => (422, vec![], "no sevens".to_owned()),
        false if count % 3 == 0 => (429, vec![("retry-after", "0".to_owned())], String::new()),
        false => ok(),
    });
    let worker = worker(&service.host());
    let (topic, dead) = (Topic::create(Kafka::shared(), "mixed", 1), Topic::create(Kafka::shared(), "dead", 1));
    topic.produce(numbered(0..100));
    let tolerant = json!({
        "requests.in.flight": "4",
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": dead.name,
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
    });
    worker.rest().configure("mixed", &sink(&service, &topic.name, tolerant));
    let sevens = dead.read_count(19, Deadline::LONG);
    assert!(sevens.iter().all(|record| record.text().contains('7')));
    let through = || -> BTreeSet<String> { service.seen().into_iter().map(|seen| seen.body).collect() };
    wait_for("all records", Deadline::LONG, || match through().len() {
        100 => Ok(()),
        found => Err(format!("{found} bodies")),
    });
    worker.rest().wait_state("mixed", "RUNNING", 1);
}

#[test]
fn an_outage_stops_the_task_and_loses_nothing() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let service = Service::start(move |_, _| if is_up.load(Ordering::SeqCst) { ok() } else { (503, vec![], String::new()) });
    let worker = worker(&service.host());
    let (topic, dead) = (Topic::create(Kafka::shared(), "outage", 1), Topic::create(Kafka::shared(), "outage-dead", 1));
    topic.produce(numbered(0..50));
    let tolerant = json!({
        "format": "array",
        "batch.records": "10",
        "retries": "1",
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": dead.name,
        "errors.deadletterqueue.topic.replication.factor": "1",
    });
    worker.rest().configure("outage", &sink(&service, &topic.name, tolerant));
    wait_count(&service, 4);
    up.store(true, Ordering::SeqCst);
    let delivered = || {
        let bodies = service.seen().into_iter().map(|seen| seen.body);
        let records = bodies.flat_map(|body| serde_json::from_str::<Vec<Value>>(&body).expect("an array"));
        records.map(|record| record["n"].as_u64().expect("a number")).collect::<BTreeSet<_>>()
    };
    wait_for(
        "all records",
        Deadline::LONG,
        || if delivered().len() == 50 { Ok(()) } else { Err(format!("{}", delivered().len())) },
    );
    assert!(dead.read_all().is_empty());
}

#[test]
fn requests_are_under_way_together() {
    let service = Service::slow(Duration::from_millis(50), |_, _| ok());
    let worker = worker(&service.host());
    let topic = Topic::create(Kafka::shared(), "together", 1);
    topic.produce(numbered(0..100));
    worker.rest().configure("together", &sink(&service, &topic.name, json!({"requests.in.flight": "8"})));
    wait_count(&service, 100);
    assert_eq!(service.most_under_way(), 8);
}

#[test]
fn a_source_reads_all_pages_once_and_goes_on_after_a_restart() {
    // Three pages; the first has an ETag, and items come in the meantime.
    let grown = Arc::new(AtomicBool::new(false));
    let has_grown = Arc::clone(&grown);
    let service = Service::start(move |seen, _| {
        let tag = if has_grown.load(Ordering::SeqCst) { "\"2\"" } else { "\"1\"" };
        let items = |ids: std::ops::Range<usize>| {
            let items: Vec<_> = ids.map(|id| json!({"id": id, "name": format!("item {id}")})).collect();
            json!({"items": items}).to_string()
        };
        let page = seen.path.split("page=").nth(1);
        let link = |page: usize| vec![("link", format!("</items?page={page}>; rel=\"next\"")), ("etag", tag.to_owned())];
        match page {
            None if seen.headers.get("if-none-match").is_some_and(|known| known == tag) => (304, vec![], String::new()),
            None if tag == "\"2\"" => (200, vec![("etag", tag.to_owned())], items(2_000..2_001)),
            None => (200, link(2), items(0..900)),
            Some("2") => (200, link(3), items(900..1_800)),
            Some(_) => (200, vec![], items(1_800..2_000)),
        }
    });
    let mut worker = worker(&service.host());
    let topic = Topic::create(Kafka::shared(), "items", 1);
    let paged = json!({
        "records.pointer": "/items", "key.pointer": "/id", "pagination": "link",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    });
    worker.rest().configure("items", &source(&service, &topic.name, paged));
    topic.read_count(2_000, Deadline::LONG);
    let unchanged = |service: &Service| service.seen().iter().filter(|seen| seen.headers.contains_key("if-none-match")).count();
    wait_for("rounds that bring nothing", Deadline::LONG, || match unchanged(&service) {
        rounds @ 0..3 => Err(format!("{rounds}")),
        _ => Ok(()),
    });
    worker.stop();
    worker.start();
    let before = service.count();
    wait_count(&service, before + 2);
    grown.store(true, Ordering::SeqCst);
    let records = topic.read_count(2_001, Deadline::LONG);
    let ids: Vec<_> = records.iter().map(|record| record.json()["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids, (0..2_001).collect::<Vec<u64>>(), "each once, in order");
    wait_for("the offset of the last round", Deadline::LONG, || {
        let offsets = worker.rest().get("/connectors/items/offsets").expect(200);
        match offsets["offsets"][0]["offset"]["etag"] == json!("\"2\"") {
            true => Ok(()),
            false => Err(offsets.to_string()),
        }
    });
}

#[test]
fn what_is_not_granted_is_named() {
    let service = Service::start(|_, _| ok());
    let host = service.host();
    let worker = worker(&format!("{host},localhost:{}", service.port()));
    let rest = worker.rest();
    let topic = Topic::create(Kafka::shared(), "ungranted", 1);
    topic.produce(numbered(0..1));

    rest.configure("nothing", &sink(&service, &topic.name, json!({"sandbox.http": ""})));
    let trace = rest.wait_failed_task("nothing");
    assert!(trace.contains(&format!("add `http://{host}` to sandbox.http")), "{trace}");

    for (change, expect) in [
        (json!({"sandbox.http": "*:*"}), "ask its operator to add it to hawser.sandbox.http"),
        (json!({"sandbox.tcp": "127.0.0.1:1"}), "ask its operator to add it to hawser.sandbox.tcp"),
        (json!({"sandbox.http": "http://a/b"}), "without a path"),
        (json!({"sandbox.htp": "a"}), "no key of the sandbox"),
        (json!({"sandbox.env": "HOME"}), "hawser.sandbox.env"),
        (json!({"sandbox.connections": "65"}), "allows 64 at most"),
    ] {
        let refused = rest.put("/connectors/refused/config", &sink(&service, &topic.name, change.clone())).error(400);
        assert!(refused.contains(expect), "{change}: {refused}");
    }
    assert_eq!(service.count(), 0);
}

/// More requests than an instance may hold resources: each gives back what it took.
#[test]
fn a_sink_makes_more_requests_than_it_may_hold_resources() {
    const RECORDS: usize = 5_000;
    let service = Service::start(|_, _| ok());
    let worker = worker(&service.host());
    let topic = Topic::create(Kafka::shared(), "many", 1);
    topic.produce(numbered(0..RECORDS));
    worker.rest().configure("many", &sink(&service, &topic.name, json!({"requests.in.flight": "8"})));
    wait_count(&service, RECORDS);
    topic.produce(numbered(RECORDS..RECORDS + 10));
    let bodies: BTreeSet<_> = wait_count(&service, RECORDS + 10).into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, numbered(0..RECORDS + 10).collect());
    worker.rest().wait_state("many", "RUNNING", 1);
}
