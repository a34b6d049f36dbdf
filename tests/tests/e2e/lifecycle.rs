//! What survives what: pause, resume, stop, restart, delete, and a new start of the worker.

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, wait_for};
use serde_json::json;

use crate::support::{append, file_sink, file_source, folder, wait_lines, with, worker_with};

#[test]
fn pause_stop_and_resume_lose_and_double_nothing() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let output = folder(&worker, "out").join("lines");
    let topic = Topic::create(Kafka::shared(), "paused", 1);
    rest.configure("sink", &file_sink(&output, &topic.name));
    topic.produce(["running"]);
    wait_lines(&output, 1);

    rest.put_empty("/connectors/sink/pause").expect(202);
    rest.wait_state("sink", "PAUSED", 1);
    topic.produce(["paused"]);
    rest.put_empty("/connectors/sink/resume").expect(202);
    wait_lines(&output, 2);

    rest.put_empty("/connectors/sink/stop").expect(204);
    rest.wait_state("sink", "STOPPED", 0);
    topic.produce(["stopped"]);
    rest.put_empty("/connectors/sink/resume").expect(202);
    rest.wait_state("sink", "RUNNING", 1);
    wait_lines(&output, 3);

    rest.post_empty("/connectors/sink/restart?includeTasks=true").expect(202);
    topic.produce(["restarted"]);
    wait_lines(&output, 4);
    rest.post_empty("/connectors/sink/tasks/0/restart").expect(204);
    topic.produce(["task restarted"]);
    assert_eq!(wait_lines(&output, 5), ["running", "paused", "stopped", "restarted", "task restarted"]);
}

#[test]
fn a_deleted_connector_leaves_its_offsets() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "deleted", 1);
    append(&input, ["one"]);
    rest.configure("source", &file_source(&input, &topic.name));
    topic.read_count(1, Deadline::LONG);
    rest.delete("/connectors/source").expect(204);
    wait_for("404 for the status", Deadline::SHORT, || match rest.get("/connectors/source/status").status {
        404 => Ok(()),
        other => Err(other.to_string()),
    });
    append(&input, ["two"]);
    rest.configure("source", &file_source(&input, &topic.name));
    let texts: Vec<_> = topic.read_count(2, Deadline::LONG).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(topic.read_all().len(), 2, "nothing is sent twice");
}

fn everything_survives(mut worker: Worker, ungraceful: bool) {
    worker.rest().upload(&Plugin::built("file"));
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "survives", 1);
    append(&input, ["one", "two"]);
    let config = with(file_source(&input, &topic.name), json!({"name": "source"}));
    worker.rest().configure("source", &config);
    worker.rest().put("/connectors/idle/config", &with(config.clone(), json!({"name": "idle", "topic": "idle"}))).expect(201);
    worker.rest().put_empty("/connectors/idle/pause").expect(202);
    worker.rest().wait_state("idle", "PAUSED", 1);
    wait_for("the offset of the second line", Deadline::LONG, || {
        let offsets = worker.rest().get("/connectors/source/offsets").expect(200);
        if offsets["offsets"][0]["offset"]["position"] == 8 { Ok(()) } else { Err(offsets.to_string()) }
    });
    let plugins = worker.rest().get("/plugins").expect(200);

    if ungraceful {
        worker.kill()
    } else {
        assert!(worker.stop().success(), "it stops in good order")
    }
    worker.start();
    assert_eq!(worker.rest().get("/plugins").expect(200), plugins);
    assert_eq!(worker.rest().get("/connectors/source/config").expect(200), config);
    worker.rest().wait_state("source", "RUNNING", 1);
    worker.rest().wait_state("idle", "PAUSED", 1);
    append(&input, ["three"]);
    topic.read_count(3, Deadline::LONG);
    let texts: Vec<_> = topic.read_all().iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["one", "two", "three"], "nothing is sent twice");
}

#[test]
fn a_distributed_worker_starts_where_it_stopped() {
    everything_survives(Worker::distributed(Kafka::shared()).start(), false);
}

#[test]
fn a_distributed_worker_starts_where_it_was_killed() {
    everything_survives(Worker::distributed(Kafka::shared()).start(), true);
}

#[test]
fn a_standalone_worker_starts_where_it_was_killed() {
    everything_survives(Worker::standalone(Kafka::shared()).start(), true);
}
