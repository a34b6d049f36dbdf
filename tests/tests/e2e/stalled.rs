//! Tasks whose broker is away are shown as standing still, and no longer when it is back.

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, wait_for};
use serde_json::Value;

use crate::support::{file_sink, folder, wait_lines};

/// The broker of the sink's records goes; the worker's own stays.
#[test]
fn a_sink_whose_broker_is_away_stands_still() {
    let mut away = Kafka::own();
    let worker = Worker::distributed(Kafka::shared())
        .set("hawser.metrics.client.interval.ms", "500")
        .set("hawser.task.stalled.after.ms", "2000")
        .start();
    let rest = worker.rest();
    rest.upload(&Plugin::built("file"));
    let output = folder(&worker, "out").join("lines");
    let topic = Topic::create(&away, "away", 1);
    topic.produce(["one"]);
    let config = crate::support::with(
        file_sink(&output, &topic.name),
        serde_json::json!({"consumer.override.bootstrap.servers": away.bootstrap()}),
    );
    rest.configure("sink", &config);
    wait_lines(&output, 1);
    let task = |what: &str, expect: &dyn Fn(&Value) -> bool| {
        wait_for(what, Deadline::LONG, || {
            let status = rest.get("/connectors/sink/status?expand=hawser").expect(200);
            let task = status["tasks"][0].clone();
            if expect(&task) { Ok(task) } else { Err(status.to_string()) }
        })
    };
    let metric = |value: &str| {
        let line = format!("hawser_task_stalled{{connector=\"sink\",task=\"0\"}} {value}");
        wait_for(&line, Deadline::LONG, || {
            let text = rest.get("/metrics").expect(200).as_str().unwrap_or_default().to_owned();
            if text.lines().any(|found| found == line) { Ok(()) } else { Err("another value".to_owned()) }
        });
    };
    let moves = |task: &Value| task["state"] == "RUNNING" && task["hawser"]["stalled"] == false;
    task("the task to move", &moves);

    away.stop();
    let stalled = task("the task to stand still", &|task| task["state"] == "RUNNING" && task["hawser"]["stalled"] == true);
    // A commit that was under way when the broker went is told first.
    let step = &stalled["hawser"]["step"];
    assert!(step == "connect" || step == "commit", "{stalled}");
    assert!(stalled["hawser"]["stalled_since"].is_i64(), "{stalled}");
    metric("1.0");

    away.start();
    task("the task to move again", &moves);
    metric("0.0");
    topic.produce(["two"]);
    assert_eq!(wait_lines(&output, 2), ["one", "two"]);
}
