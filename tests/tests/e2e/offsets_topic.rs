//! A source connector that keeps its offsets in a topic of its own (`offsets.storage.topic`, KIP-618).

use hawser_e2e::{Deadline, Kafka, Rest, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_source, folder, with, worker_with};

/// Waits until the connector's offset is this position in the file, or there is none.
#[track_caller]
fn wait_position(rest: &Rest, connector: &str, position: Option<u64>) {
    wait_for(&format!("position {position:?} of {connector}"), Deadline::LONG, || {
        let offsets = rest.get(&format!("/connectors/{connector}/offsets")).expect(200);
        let found = offsets["offsets"][0]["offset"]["position"].as_u64();
        if found == position { Ok(()) } else { Err(offsets.to_string()) }
    });
}

/// The positions in a topic of offsets, the last of each key.
fn stored(topic: &Topic) -> Vec<Value> {
    let mut last = std::collections::BTreeMap::new();
    for record in topic.read_all() {
        last.insert(record.key.clone(), record.value.is_some().then(|| record.json()["position"].clone()));
    }
    last.into_values().flatten().collect()
}

fn stop(rest: &Rest, connector: &str) {
    rest.put_empty(&format!("/connectors/{connector}/stop")).expect(204);
    rest.wait_state(connector, "STOPPED", 0);
}

fn resume(rest: &Rest, connector: &str) {
    rest.put_empty(&format!("/connectors/{connector}/resume")).expect(202);
    rest.wait_state(connector, "RUNNING", 1);
}

#[test]
fn the_connectors_topic_counts_before_the_workers() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "own-offsets", 1);
    let own = Topic::named(Kafka::shared().bootstrap(), &unique("offsets-of-one"));

    // It begins in the worker's topic, and goes on in its own where it was: what is not there is looked up in the worker's.
    append(&input, ["one"]);
    rest.configure("source", &file_source(&input, &topic.name));
    wait_position(rest, "source", Some(4));
    let config = with(file_source(&input, &topic.name), json!({"offsets.storage.topic": own.name}));
    rest.configure("source", &config);
    rest.wait_state("source", "RUNNING", 1);
    wait_position(rest, "source", Some(4));
    append(&input, ["two"]);
    wait_position(rest, "source", Some(8));
    assert_eq!(
        topic.read_count(2, Deadline::LONG).iter().map(|record| record.text().to_owned()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(own.setting("cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(own.partitions(), Some(3), "as many as offset.storage.partitions says");
    assert_eq!(stored(&own), [json!(8)]);
    // The worker's topic has a copy, so that the connector can go back.
    rest.configure("source", &file_source(&input, &topic.name));
    rest.wait_state("source", "RUNNING", 1);
    wait_position(rest, "source", Some(8));
    rest.configure("source", &config);
    rest.wait_state("source", "RUNNING", 1);

    // The API reads and alters through the same.
    stop(rest, "source");
    wait_position(rest, "source", Some(8));
    let change = |position: Value| json!({"offsets": [{"partition": {"filename": input}, "offset": position}]});
    rest.patch("/connectors/source/offsets", &change(json!({"position": 4}))).expect(200);
    wait_position(rest, "source", Some(4));
    assert_eq!(stored(&own), [json!(4)]);
    resume(rest, "source");
    assert_eq!(topic.read_count(3, Deadline::LONG)[2].text(), "two", "from where it was set");
    wait_position(rest, "source", Some(8));

    // What is removed does not come back from the worker's topic.
    stop(rest, "source");
    rest.patch("/connectors/source/offsets", &change(Value::Null)).expect(200);
    wait_position(rest, "source", None);
    assert!(stored(&own).is_empty());
    rest.patch("/connectors/source/offsets", &change(json!({"position": 4}))).expect(200);
    rest.delete("/connectors/source/offsets").expect(200);
    wait_position(rest, "source", None);
    resume(rest, "source");
    topic.read_count(5, Deadline::LONG);
}

#[test]
fn it_is_found_again_after_a_crash() {
    let mut worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "own-offsets", 1);
    let own = Topic::named(Kafka::shared().bootstrap(), &unique("offsets-of-one"));
    append(&input, ["one"]);
    let config = with(file_source(&input, &topic.name), json!({"offsets.storage.topic": own.name, "tasks.max": "3"}));
    worker.rest().configure("source", &config);
    wait_position(worker.rest(), "source", Some(4));
    worker.kill();
    append(&input, ["two"]);
    worker.start();
    worker.rest().wait_state("source", "RUNNING", 1);
    wait_position(worker.rest(), "source", Some(8));
    let read = topic.read_count(2, Deadline::LONG);
    assert_eq!(read.iter().map(|record| record.text().to_owned()).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn topics_that_would_lose_offsets_are_refused() {
    let worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    let wrong = Topic::create_with(Kafka::shared(), "kept", 1, &[("cleanup.policy", "delete")]);
    let config = with(file_source(&input, &unique("never")), json!({"offsets.storage.topic": wrong.name}));
    worker.rest().configure("source", &config);
    let trace = worker.rest().wait_failed_task("source");
    let expect = format!(
        "Topic '{}' supplied via the 'offsets.storage.topic' property is required to have 'cleanup.policy=compact'",
        wrong.name
    );
    assert!(trace.contains(&expect), "{trace}");
    worker.rest().get("/connectors/source/offsets").error(500);
}

/// The worker's own topic, named once more; and a worker on its own, where the key has no meaning, as in Kafka Connect.
#[test]
fn the_workers_topic_and_a_worker_on_its_own() {
    let group = unique("same");
    let same = format!("{group}-offset");
    let distributed = Worker::distributed(Kafka::shared()).set("offset.storage.topic", &same);
    for (builder, name) in [(distributed, same.as_str()), (Worker::standalone(Kafka::shared()), "not-used")] {
        let worker = builder.start();
        worker.rest().upload(&hawser_e2e::Plugin::built("file"));
        let input = folder(&worker, "in").join("lines");
        append(&input, ["one"]);
        let topic = Topic::create(Kafka::shared(), "same", 1);
        let config = with(file_source(&input, &topic.name), json!({"offsets.storage.topic": name}));
        worker.rest().configure("source", &config);
        topic.read_count(1, Deadline::LONG);
        wait_position(worker.rest(), "source", Some(4));
        let workers = Topic::named(Kafka::shared().bootstrap(), name);
        match name == same {
            true => assert_eq!(stored(&workers), [json!(4)]),
            false => assert_eq!(workers.partitions(), None),
        }
    }
}
