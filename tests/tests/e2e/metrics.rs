//! What `/metrics` and a status tell of records that really moved, tasks that failed and tasks that stand still; and the log.

use std::collections::{BTreeSet, HashSet};

use hawser_e2e::{Deadline, Exposition, Kafka, Plugin, Rest, Topic, Worker, checkout, wait_for};
use serde_json::{Value, json};

use crate::support::{append, file_sink, file_source, folder, wait_lines, with};

/// A worker that is quick to tell of its clients and of stand-still, with these plugins.
fn worker_with(plugins: &[&str]) -> Worker {
    let worker = Worker::distributed(Kafka::shared())
        .set("hawser.metrics.client.interval.ms", "200")
        .set("hawser.task.stalled.after.ms", "500")
        .start();
    for name in plugins {
        worker.rest().upload(&Plugin::built(name));
    }
    worker
}

/// One scrape.
#[track_caller]
fn scrape(rest: &Rest) -> Exposition {
    let answer = rest.get("/metrics");
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let body = answer.expect(200);
    Exposition::parse(body.as_str().expect("text")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// A metric's name, labels and value.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Scrapes until all of these samples have these values; returns that scrape.
#[track_caller]
fn wait_samples(rest: &Rest, expect: &[Expected<'_>]) -> Exposition {
    wait_for("samples", Deadline::LONG, || {
        let told = scrape(rest);
        let differs = expect.iter().find(|(name, labels, value)| told.get(name, labels) != Some(*value));
        match differs {
            None => Ok(told),
            Some((name, labels, value)) => Err(format!("{name}{labels:?} is {:?}, not {value}", told.get(name, labels))),
        }
    })
}

#[test]
fn counters_agree_with_the_records_that_moved() {
    let worker = worker_with(&["file", "transforms"]);
    let rest = worker.rest();
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    let topic = Topic::create(Kafka::shared(), "measured", 2);
    append(&input, (0..300).map(|i| format!("line {i}")));
    rest.configure("in", &file_source(&input, &topic.name));
    let hoisted = json!({"transforms": "hoist", "transforms.hoist.type": "org.apache.kafka.connect.transforms.HoistField$Value",
        "transforms.hoist.field": "line", "value.converter": "org.apache.kafka.connect.storage.StringConverter"});
    rest.configure("out", &with(file_sink(&output, &topic.name), hoisted));
    wait_lines(&output, 300);

    let (source, sink) = ([("connector", "in"), ("task", "0")], [("connector", "out"), ("task", "0")]);
    let consumer = [("clientid", "connector-consumer-out-0")];
    let producer = [("clientid", "connector-producer-in-0")];
    let status = |status| [("task", "0"), ("connector", "in"), ("status", status)];
    let first = wait_samples(
        rest,
        &[
            ("kafka_connect_source_task_source_record_poll_total", &source, 300.0),
            ("kafka_connect_source_task_source_record_write_total", &source, 300.0),
            ("kafka_connect_source_task_source_record_active_count", &source, 0.0),
            ("kafka_connect_source_task_metrics_source_record_poll", &source, 300.0),
            ("kafka_connect_sink_task_sink_record_read_total", &sink, 300.0),
            ("kafka_connect_sink_task_sink_record_send_total", &sink, 300.0),
            ("kafka_connect_sink_task_sink_record_active_count", &sink, 0.0),
            ("kafka_connect_sink_task_partition_count", &sink, 2.0),
            ("kafka_connect_connector_task_status", &status("running"), 1.0),
            ("kafka_connect_connector_task_metrics_status_info", &status("running"), 1.0),
            ("kafka_connect_worker_connector_count", &[], 2.0),
            ("kafka_connect_worker_task_count", &[], 2.0),
            ("kafka_connect_worker_task_startup_success_total", &[], 2.0),
            ("kafka_connect_worker_connector_running_task_count", &[("connector", "in")], 1.0),
            ("kafka_connect_coordinator_assigned_tasks", &[], 2.0),
            ("kafka_connect_worker_rebalance_rebalancing", &[], 0.0),
            ("kafka_connect_connector_transform_transform_version", &[("transform", "hoist")], 1.0),
            ("kafka_consumer_fetch_manager_records_consumed_total", &consumer, 300.0),
            ("kafka_consumer_fetch_manager_records_lag_max", &consumer, 0.0),
            ("kafka_producer_record_send_total", &producer, 300.0),
            ("kafka_producer_topic_record_send_total", &[("topic", &topic.name)], 300.0),
            ("hawser_task_records_out_total", &sink, 300.0),
            ("hawser_task_restarts_total", &sink, 0.0),
            ("hawser_task_stalled", &sink, 0.0),
            ("hawser_catalogue_plugins", &[], 2.0),
            ("hawser_metrics_left_out", &[], 0.0),
        ],
    );
    let at_least = |name: &str, labels: &[(&str, &str)], least: f64| {
        let told = first.get(name, labels);
        assert!(told.is_some_and(|value| value >= least), "{name}{labels:?} is {told:?}, below {least}");
    };
    at_least("kafka_connect_connector_task_running_ratio", &source, 0.1);
    at_least("kafka_connect_source_task_source_record_poll_rate", &source, 0.1);
    at_least("kafka_connect_sink_task_offset_commit_completion_total", &sink, 1.0);
    at_least("kafka_connect_connector_task_batch_size_max", &sink, 1.0);
    at_least("kafka_producer_outgoing_byte_total", &producer, 1.0);
    at_least("kafka_consumer_connection_count", &consumer, 1.0);
    at_least("hawser_instance_memory_bytes", &[("connector", "out"), ("instance", "1")], 65_536.0);
    at_least("hawser_instance_crossings_total", &[("connector", "in"), ("instance", "0")], 2.0);
    at_least("process_resident_memory_bytes", &[], 1e6);
    at_least(
        "hawser_rest_request_seconds_count",
        &[("method", "PUT"), ("path", "/connectors/{name}/config"), ("status", "201")],
        2.0,
    );

    let second = scrape(rest);
    for before in first.families.values().filter(|family| family.kind == "counter").flat_map(|family| &family.samples) {
        let labels: Vec<(&str, &str)> = before.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let after = second.get(&before.name, &labels);
        assert!(after.is_some_and(|after| after >= before.value), "{before:?} went back to {after:?}");
    }

    // Unless it is asked for, nothing changes by itself more than once a minute.
    let plain = rest.get("/connectors/out/status").expect(200);
    assert_eq!(plain["hawser"]["limits"]["sandbox.memory.bytes"], 268_435_456);
    let settled = &plain["tasks"][0]["hawser"];
    assert_eq!((settled.get("records_in"), settled["instances"][0].get("cpu_ms")), (None, None), "{settled}");
    assert!(
        settled["last_progress"].as_i64().is_some_and(|millis| millis > 1_700_000_000_000 && millis % 60_000 == 0),
        "{settled}"
    );
    assert_eq!(rest.get("/connectors?expand=status").expect(200)["out"]["status"].get("hawser"), None);
    let detailed = rest.get("/connectors/out/status?expand=hawser").expect(200);
    assert_eq!(detailed["hawser"]["limits"]["sandbox.memory.bytes"], 268_435_456);
    check_task(&detailed["tasks"][0]["hawser"]);
    check_task(&rest.get("/connectors/out/tasks/0/status?expand=hawser").expect(200)["hawser"]);
}

fn check_task(report: &Value) {
    assert_eq!(
        (&report["stalled"], &report["records_in"], &report["restarts"]),
        (&json!(false), &json!(300), &json!(0)),
        "{report}"
    );
    assert!(report["last_progress"].as_i64().is_some_and(|millis| millis > 1_700_000_000_000), "{report}");
    let instances = report["instances"].as_array().expect("instances");
    assert_eq!(instances.len(), 2, "{report}");
    for instance in instances {
        let memory = &instance["memory_bytes"];
        assert!(memory["used"].as_u64() > Some(0) && memory["used"].as_u64() < memory["allowed"].as_u64(), "{instance}");
    }
}

#[test]
fn failures_and_dead_letters_are_visible() {
    let worker = worker_with(&["file", "hostile"]);
    let rest = worker.rest();
    let topic = Topic::create(Kafka::shared(), "poisoned", 1);
    let letters = format!("{}-dead", topic.name);
    topic.produce([r#"{"n":1}"#, "no JSON", r#"{"n":2}"#, "{", r#"{"n":3}"#]);
    let output = folder(&worker, "out").join("lines");
    let tolerant = json!({"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        "errors.tolerance": "all", "errors.log.enable": "true", "errors.deadletterqueue.topic.name": letters,
        "errors.deadletterqueue.topic.replication.factor": "1"});
    rest.configure("tolerant", &with(file_sink(&output, &topic.name), tolerant));
    wait_lines(&output, 3);

    // A name that would break the text if it were not escaped.
    let (path, name) = ("we%22ird%5Cname", "we\"ird\\name");
    let failing = json!({"connector.class": "HostileSource", "tasks.max": "1", "topic": topic.name, "poll": "trap"});
    assert_eq!(rest.put(&format!("/connectors/{path}/config"), &failing).status, 201);

    let sink = [("connector", "tolerant"), ("task", "0")];
    wait_samples(
        rest,
        &[
            ("kafka_connect_task_error_total_record_failures", &sink, 2.0),
            ("kafka_connect_task_error_total_record_errors", &sink, 2.0),
            ("kafka_connect_task_error_total_records_skipped", &sink, 2.0),
            ("kafka_connect_task_error_total_errors_logged", &sink, 2.0),
            ("kafka_connect_task_error_deadletterqueue_produce_requests", &sink, 2.0),
            ("kafka_connect_task_error_deadletterqueue_produce_failures", &sink, 0.0),
            ("kafka_connect_task_error_metrics_deadletterqueue_produce_requests", &sink, 2.0),
            ("kafka_connect_sink_task_sink_record_send_total", &sink, 3.0),
            ("kafka_producer_record_send_total", &[("clientid", "connector-dlq-producer-tolerant-0")], 2.0),
            ("kafka_connect_connector_task_status", &[("connector", name), ("status", "failed")], 1.0),
            ("kafka_connect_connector_status", &[("connector", name), ("status", "running")], 1.0),
            ("kafka_connect_worker_connector_failed_task_count", &[("connector", name)], 1.0),
            ("hawser_task_failures_total", &[("connector", name)], 1.0),
            ("hawser_task_restarts_total", &[("connector", name)], 0.0),
        ],
    );
    rest.post_empty(&format!("/connectors/{path}/tasks/0/restart")).expect(204);
    wait_samples(
        rest,
        &[
            ("hawser_task_failures_total", &[("connector", name)], 2.0),
            ("hawser_task_restarts_total", &[("connector", name)], 1.0),
        ],
    );
    rest.delete(&format!("/connectors/{path}")).expect(204);
    wait_for("the deleted connector to be forgotten", Deadline::SHORT, || {
        let left: Vec<_> =
            scrape(rest).samples().filter(|s| s.labels.get("connector").is_some_and(|c| c == name)).cloned().collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[test]
fn a_task_that_stands_still_is_visible() {
    let worker = worker_with(&["hostile"]);
    let rest = worker.rest();
    let topic = Topic::create(Kafka::shared(), "still", 1);
    topic.produce(["1"]);
    let base = json!({"tasks.max": "1", "topics": topic.name, "topic": topic.name});
    for (name, more, step) in [
        ("retrying", json!({"connector.class": "HostileSource", "poll": "retriable"}), "poll"),
        ("hanging", json!({"connector.class": "HostileSink", "put": "sleep"}), "deliver"),
    ] {
        rest.configure(name, &with(base.clone(), more));
        wait_samples(rest, &[("hawser_task_stalled", &[("connector", name)], 1.0)]);
        let status = rest.wait_state(name, "RUNNING", 1);
        let report = &status["tasks"][0]["hawser"];
        assert_eq!((&report["stalled"], &report["step"]), (&json!(true), &json!(step)), "{status}");
    }
    rest.put_empty("/connectors/retrying/pause").expect(202);
    let paused = rest.wait_state("retrying", "PAUSED", 1);
    assert_eq!(paused["tasks"][0]["hawser"]["stalled"], false, "{paused}");
}

#[test]
fn one_set_of_names_can_be_left_out() {
    for (names, told, untold) in [
        ("jmx", "kafka_connect_worker_connector_count", "kafka_connect_connect_worker_metrics_connector_count"),
        ("reporter", "kafka_connect_connect_worker_metrics_connector_count", "kafka_connect_worker_connector_count"),
    ] {
        let worker = Worker::distributed(Kafka::shared()).set("hawser.metrics.names", names).start();
        let scrape = scrape(worker.rest());
        assert_eq!((scrape.get(told, &[]), scrape.get(untold, &[])), (Some(0.0), None), "{names}");
        assert!(scrape.get("hawser_instances", &[]).is_some());
    }
}

/// The names in an expression of PromQL that are those of metrics.
fn names_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let is_metric = |word: &&str| ["kafka_", "hawser_", "process_"].iter().any(|prefix| word.starts_with(prefix));
    words.filter(is_metric).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_reads_what_a_worker_tells() {
    let text = std::fs::read_to_string(checkout().join("dashboards/hawser.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: HashSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    let variables: Vec<&Value> = dashboard["templating"]["list"].as_array().expect("variables").iter().collect();
    assert!(variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource"));
    let known: HashSet<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    let mut cells = BTreeSet::new();
    let mut wanted = BTreeSet::new();
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        wanted.extend(names_in(variable["definition"].as_str().expect("a definition")));
    }
    for panel in panels {
        let place = &panel["gridPos"];
        let number = |key: &str| place[key].as_u64().unwrap_or_else(|| panic!("{key} in {place}"));
        assert!(number("x") + number("w") <= 24, "{place}");
        for (x, y) in
            (number("x")..number("x") + number("w")).flat_map(|x| (number("y")..number("y") + number("h")).map(move |y| (x, y)))
        {
            assert!(cells.insert((x, y)), "{} lies on another panel", panel["title"]);
        }
        let kind = panel["type"].as_str().expect("a type");
        assert!(["row", "stat", "timeseries", "table"].contains(&kind), "{kind}");
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(targets.is_empty(), kind == "row", "{}", panel["title"]);
        for target in targets {
            assert_eq!(target["datasource"], json!({"type": "prometheus", "uid": "${datasource}"}));
            let expression = target["expr"].as_str().expect("an expression");
            let names = names_in(expression);
            assert!(!names.is_empty(), "{expression}");
            let used =
                expression.split('$').skip(1).map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next());
            for variable in used.flatten().filter(|name| !name.starts_with("__")) {
                assert!(known.contains(variable), "${variable} in {expression}");
            }
            wanted.extend(names);
        }
    }

    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    let topic = Topic::create(Kafka::shared(), "shown", 1);
    append(&input, ["a line"]);
    rest.configure("in", &file_source(&input, &topic.name));
    rest.configure("out", &file_sink(&output, &topic.name));
    wait_lines(&output, 1);
    wait_for("every name of the dashboard", Deadline::LONG, || {
        let told: HashSet<String> = scrape(rest).samples().map(|sample| sample.name.clone()).collect();
        let missing: Vec<&String> = wanted.iter().filter(|name| !told.contains(*name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    });
}

#[test]
fn each_line_of_the_log_says_for_whom() {
    let worker = Worker::distributed(Kafka::shared()).arg("--log-format").arg("json").start();
    let rest = worker.rest();
    rest.upload(&Plugin::built("hostile"));
    rest.upload(&Plugin::built("file"));
    let topic = Topic::create(Kafka::shared(), "logged", 1);
    topic.produce(["1"]);
    let chatty =
        json!({"connector.class": "HostileSource", "tasks.max": "1", "topic": topic.name, "poll": "log", "n": "1", "idle": "20"});
    rest.configure("chatty", &chatty);
    let output = folder(&worker, "out").join("lines");
    // librdkafka says at its start that it knows no such setting of a consumer: a line of the client.
    rest.configure("sink", &with(file_sink(&output, &topic.name), json!({"consumer.override.linger.ms": "5"})));
    wait_lines(&output, 1);
    let lines = || -> Vec<Value> {
        let log = worker.log();
        log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let is_of = |line: &Value, connector: &str, task: Value| line["connector"] == connector && line["task"] == task;
    wait_for("lines of plugins, clients, tasks and connectors", Deadline::SHORT, || {
        let lines = lines();
        let has = |target: &str, connector: &str, task: Value| {
            lines.iter().any(|line| {
                line["target"].as_str().is_some_and(|t| t.starts_with(target)) && is_of(line, connector, task.clone())
            })
        };
        let found = [
            has("hawser::plugin", "chatty", json!(0)),
            has("hawser::task", "sink", json!(0)),
            has("librdkafka", "sink", json!(0)),
            has("hawser::herder", "sink", Value::Null),
        ];
        if found == [true; 4] { Ok(()) } else { Err(format!("{found:?}")) }
    });
    for line in lines() {
        let target = line["target"].as_str().expect("a target");
        assert!(["timestamp", "level", "message"].iter().all(|key| line[*key].is_string()), "{line}");
        if target.starts_with("hawser::task") || target.starts_with("hawser::plugin") {
            assert!(line["connector"].is_string(), "{line}");
        }
        assert_ne!((target, line["level"].as_str()), ("librdkafka", Some("ERROR")), "{line}");
    }

    // One line for each request, without its query; and levels that change at run time, here and on all workers.
    let requests = |part: &str| {
        lines()
            .iter()
            .filter(|line| line["target"] == "hawser::access" && line["message"].as_str().is_some_and(|m| m.contains(part)))
            .count()
    };
    rest.get("/connectors/seen?token=hidden");
    wait_for("a line for the request", Deadline::SHORT, || {
        if requests("GET /connectors/seen") == 1 { Ok(()) } else { Err(String::new()) }
    });
    assert!(!worker.log().contains("token=hidden"));
    assert_eq!(rest.put("/admin/loggers/hawser.access", &json!({"level": "WARN"})).expect(200), json!(["hawser.access"]));
    rest.get("/connectors/unseen");
    rest.put("/admin/loggers/hawser.access?scope=cluster", &json!({"level": "INFO"})).expect(204);
    wait_for("the level of all workers", Deadline::SHORT, || {
        let level = rest.get("/admin/loggers/hawser.access").expect(200);
        if level["level"] == "INFO" { Ok(()) } else { Err(level.to_string()) }
    });
    rest.get("/connectors/seen-again");
    wait_for("a line again", Deadline::SHORT, || if requests("seen-again") == 1 { Ok(()) } else { Err(String::new()) });
    assert_eq!(requests("unseen"), 0);
}

#[test]
fn text_lines_have_the_context_of_kafka_connect() {
    let worker = worker_with(&["file"]);
    let input = folder(&worker, "in").join("lines");
    let topic = Topic::create(Kafka::shared(), "texts", 1);
    append(&input, ["a line"]);
    worker.rest().configure("reader", &file_source(&input, &topic.name));
    topic.read_count(1, Deadline::LONG);
    for part in [" INFO [reader|worker] hawser::herder", " INFO [reader|task-0] hawser::task"] {
        wait_for(part, Deadline::SHORT, || if worker.log().contains(part) { Ok(()) } else { Err(worker.log()) });
    }
}
