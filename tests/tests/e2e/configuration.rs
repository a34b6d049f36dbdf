//! What configurations do on a real worker: topics that are created, client overrides, secrets, restarts, files made for
//! Kafka Connect.

use std::path::PathBuf;

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, WorkerBuilder, unique, wait_for};
use serde_json::json;

use crate::support::{append, file_sink, file_source, folder, wait_lines, with, worker_with};

#[test]
fn topics_are_created_as_the_connector_says() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    let prefix = unique("created");
    let check = |name: &str, keys: serde_json::Value, partitions: usize, retention: &str| {
        let topic = Topic::named(Kafka::shared().bootstrap(), &format!("{prefix}-{name}"));
        rest.configure(&topic.name, &with(file_source(&input, &topic.name), keys));
        topic.read_count(1, Deadline::LONG);
        assert_eq!(topic.partitions(), Some(partitions), "{name}");
        assert_eq!(topic.setting("retention.ms").as_deref(), Some(retention), "{name}");
    };
    let defaults = json!({"topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1",
        "topic.creation.default.retention.ms": "98765"});
    check("plain", defaults.clone(), 3, "98765");
    let groups = with(
        defaults,
        json!({"topic.creation.groups": "states", "topic.creation.states.include": ".*-state,nothing",
            "topic.creation.states.exclude": ".*-no-state", "topic.creation.states.partitions": "2",
            "topic.creation.states.retention.ms": "4321000"}),
    );
    check("a-state", groups.clone(), 2, "4321000");
    check("no-state", groups.clone(), 3, "98765");
    // A topic that is there stays as it is.
    check("a-state", with(groups, json!({"topic.creation.states.partitions": "5"})), 2, "4321000");
    // A setting that no topic has fails the task, and the message says which topic.
    let wrong = json!({"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
        "topic.creation.default.no.such.setting": "1"});
    rest.configure("wrong", &with(file_source(&input, &format!("{prefix}-wrong")), wrong));
    let trace = rest.wait_failed_task("wrong");
    assert!(trace.contains(&format!("Task failed to create new topic (name={prefix}-wrong")), "{trace}");
}

#[test]
fn topics_are_left_to_the_broker_without_keys_or_by_the_worker() {
    let worker = Worker::distributed(Kafka::shared()).set("topic.creation.enable", "false").start();
    worker.rest().upload(&Plugin::built("file"));
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    for keys in [json!({}), json!({"topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1"})] {
        let topic = Topic::named(Kafka::shared().bootstrap(), &unique("left"));
        worker.rest().configure(&topic.name, &with(file_source(&input, &topic.name), keys));
        topic.read_count(1, Deadline::LONG);
        assert_eq!(topic.partitions(), Some(1));
    }
}

#[test]
fn failed_tasks_are_restarted_if_asked_for() {
    let worker = worker_with(&["file"]);
    let rest = worker.rest();
    let output = folder(&worker, "out").join("lines");
    let topic = Topic::create(Kafka::shared(), "recovers", 1);
    let sink = with(
        file_sink(&output, &topic.name),
        json!({"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
            "value.converter.validate": "always", "consumer.override.group.id": topic.name,
            "hawser.restart.max.attempts": "2", "hawser.restart.delay.ms": "300"}),
    );
    rest.configure("sink", &sink);
    rest.wait_state("sink", "RUNNING", 1);
    topic.produce(["no JSON {"]);
    let trace = rest.wait_failed_task("sink");
    assert!(trace.contains("Tolerance exceeded"), "{trace}");
    let attempts = worker.log().matches("The failed task is restarted").count();
    assert_eq!(attempts, 2, "it fails for good only when both attempts are used up");
    // What is wrong is mended by someone: the new configuration counts from the start.
    rest.configure("sink", &with(sink, json!({"errors.tolerance": "all"})));
    topic.produce(["\"fine\""]);
    assert_eq!(wait_lines(&output, 1).len(), 1);
    rest.wait_state("sink", "RUNNING", 1);
}

/// Every place in which a secret could be left: answers, the worker's files with its log, its topics.
struct Places<'w> {
    worker: &'w Worker,
    answers: Vec<(String, String)>,
}

impl Places<'_> {
    fn get(&mut self, path: &str) {
        let answer = self.worker.rest().get(path);
        self.answers.push((path.to_owned(), answer.body.to_string()));
    }

    #[track_caller]
    fn are_clean(&self, topics: &[Topic], secret_files: &[PathBuf], marker: &str) {
        for (place, text) in &self.answers {
            assert!(!text.contains(marker), "the answer to {place}: {text}");
        }
        for (path, text) in self.worker.files() {
            let is_given = secret_files.contains(&path);
            let line = text.lines().find(|line| !is_given && line.contains(marker));
            assert_eq!(line, None, "in {}", path.display());
        }
        for topic in topics {
            for record in topic.read_all() {
                let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
                assert!(!value.contains(marker), "in topic {}: {value}", topic.name);
            }
        }
    }
}

#[test]
fn no_secret_is_left_anywhere() {
    const MARKER: &str = "MARKER-7f3a";
    let secrets = tempfile::tempdir().expect("temporary folder");
    let file = secrets.path().join("db.properties");
    std::fs::write(&file, format!("password={MARKER}-file\npath=/nowhere/{MARKER}-path\n")).expect("secrets");
    let group = unique("secrets");
    let builder = Worker::distributed(Kafka::shared())
        .set("config.providers", "file,env")
        .set("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider")
        .set("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider")
        .set("producer.ssl.key.password", "${env:HAWSER_TEST_SECRET}")
        .env("HAWSER_TEST_SECRET", &format!("{MARKER}-env"));
    let topics: Vec<Topic> = ["config", "offset", "status"]
        .iter()
        .filter_map(|store| builder.properties().iter().find(|(key, _)| *key == format!("{store}.storage.topic")))
        .map(|(_, name)| Topic::named(Kafka::shared().bootstrap(), name))
        .collect();
    let worker = builder.start();
    let rest = worker.rest();
    rest.upload(&Plugin::built("file"));
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    let reference = |key: &str| format!("${{file:{}:{key}}}", file.display());
    let base = with(
        file_source(&input, &group),
        json!({"producer.override.ssl.key.password": "${env:HAWSER_TEST_SECRET}",
            "producer.override.sasl.jaas.config": format!("x required password=\"{}\";", reference("password"))}),
    );
    let mut places = Places { worker: &worker, answers: Vec::new() };
    // One that runs, ones that fail in their call, in validation and at the client, each with secrets.
    rest.configure("runs", &base);
    rest.wait_state("runs", "RUNNING", 1);
    rest.configure("lost", &with(base.clone(), json!({"file": reference("path")})));
    let bad = [
        json!({"tasks.max": reference("password")}),
        json!({"producer.override.acks": reference("password")}),
        json!({"producer.override.security.protocol": format!("{MARKER}-literal")}),
        json!({"errors.tolerance": "${env:HAWSER_TEST_SECRET}", "transforms": reference("password")}),
        json!({"hawser.restart.max.attempts": reference("password")}),
        json!({"topic.creation.default.partitions": reference("password"), "exactly.once.support": reference("password")}),
        json!({"connector.plugin.version": reference("password")}),
        json!({"sandbox.memory.bytes": reference("password"), "sandbox.http": reference("path")}),
        json!({"predicates": "p", "predicates.p.type": reference("password"), "value.converter": reference("password")}),
    ];
    let mut own = 0;
    for (number, more) in bad.iter().enumerate() {
        let config = with(base.clone(), more.clone());
        let validate = "/connector-plugins/FileStreamSource/config/validate";
        for answer in [rest.put(validate, &config), rest.put(&format!("/connectors/bad-{number}/config"), &config)] {
            let text = answer.body.to_string();
            if more.to_string().contains(MARKER) {
                own += usize::from(text.contains(MARKER)); // given in the clear by whoever asks, and not as a password
            } else {
                places.answers.push((format!("{more}"), text));
            }
        }
    }
    assert!(own <= 2);
    for path in [
        "/connectors/runs",
        "/connectors/runs/config",
        "/connectors/runs/tasks",
        "/connectors/runs/tasks-config",
        "/connectors/runs/status",
        "/connectors/lost/status",
        "/connectors/lost/tasks",
        "/connectors?expand=info&expand=status",
        "/connectors/runs/offsets",
        "/admin/loggers",
        "/metrics",
        "/connector-plugins",
    ] {
        places.get(path);
    }
    places.are_clean(&topics, &[file], MARKER);
}

#[test]
fn a_renewed_secret_is_taken_up() {
    let worker_of = |ttl: &str| {
        Worker::distributed(Kafka::shared())
            .set("config.providers", "dir")
            .set("config.providers.dir.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider")
            .set("config.providers.dir.param.ttl.ms", ttl)
    };
    let worker = worker_of("1000").start();
    worker.rest().upload(&Plugin::built("file"));
    let (secrets, inputs) = (folder(&worker, "secrets"), folder(&worker, "in"));
    let (first, second) = (inputs.join("first"), inputs.join("second"));
    append(&first, ["from the first"]);
    append(&second, ["from the second"]);
    std::fs::write(secrets.join("file"), first.display().to_string()).expect("written");
    let topic = Topic::create(Kafka::shared(), "renewed", 1);
    let config = json!({"file": format!("${{dir:{}:file}}", secrets.display())});
    worker.rest().configure("source", &with(file_source(&first, &topic.name), config));
    topic.read_count(1, Deadline::LONG);
    std::fs::write(secrets.join("file"), second.display().to_string()).expect("written");
    let texts: Vec<_> = topic.read_count(2, Deadline::LONG).iter().map(|record| record.text().to_owned()).collect();
    assert_eq!(texts, ["from the first", "from the second"]);
    worker.rest().wait_state("source", "RUNNING", 1);
}

/// A worker from the properties that Kafka ships, save for what two workers on one machine cannot share.
#[track_caller]
fn shipped(builder: WorkerBuilder) -> WorkerBuilder {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    builder
        .set("key.converter", json)
        .set("value.converter", json)
        .set("key.converter.schemas.enable", "true")
        .set("value.converter.schemas.enable", "true")
        .set("offset.flush.interval.ms", "10000")
}

#[test]
fn keys_that_only_java_has_are_told_once() {
    let worker = shipped(Worker::standalone(Kafka::shared()))
        .set("internal.key.converter", "org.apache.kafka.connect.json.JsonConverter")
        .set("internal.key.converter.schemas.enable", "false")
        .set("plugin.path", "/usr/local/share/java,/opt/connectors,")
        .set("metric.reporters", "com.example.Reporter")
        .set("rest.port", "8083")
        .set("offset.flush.interval.ms", "10000")
        // Both override the file; the command line (--listen, --data-dir) is the harness's.
        .env("HAWSER_OFFSET_FLUSH_INTERVAL_MS", "500")
        .start();
    let log = worker.log();
    for (key, count) in
        [("internal.key.converter is ignored", 1), ("plugin.path is ignored", 1), ("metric.reporters is ignored", 1)]
    {
        assert_eq!(log.matches(key).count(), count, "{key} in {log}");
    }
    worker.rest().upload(&Plugin::built("file"));
    let input = folder(&worker, "in").join("lines");
    append(&input, ["one"]);
    let topic = Topic::create(Kafka::shared(), "shipped", 1);
    worker.rest().configure("source", &file_source(&input, &topic.name));
    topic.read_count(1, Deadline::LONG);
    // With the file's 10 s between flushes this would still come, but not so soon.
    wait_for("the offset", Deadline::secs(9), || {
        let offsets = worker.rest().get("/connectors/source/offsets").expect(200);
        if offsets["offsets"][0]["offset"]["position"] == 4 { Ok(()) } else { Err(offsets.to_string()) }
    });
}

#[test]
fn topics_of_the_worker_are_compacted_or_refused() {
    let builder = shipped(Worker::distributed(Kafka::shared())).set("status.storage.segment.bytes", "1048576");
    let name = |store: &str| {
        let key = format!("{store}.storage.topic");
        builder.properties().iter().find(|(known, _)| *known == key).map(|(_, name)| name.clone()).expect("a name")
    };
    let worker = builder.clone().start();
    for (store, partitions) in [("config", 1), ("offset", 3), ("status", 2)] {
        let topic = Topic::named(Kafka::shared().bootstrap(), &name(store));
        assert_eq!(topic.partitions(), Some(partitions), "{store}");
        assert_eq!(topic.setting("cleanup.policy").as_deref(), Some("compact"), "{store}");
    }
    let statuses = Topic::named(Kafka::shared().bootstrap(), &name("status"));
    assert_eq!(statuses.setting("segment.bytes").as_deref(), Some("1048576"));
    drop(worker);
    let wrong = Topic::create_with(Kafka::shared(), "kept", 1, &[("cleanup.policy", "delete")]);
    let log = builder.clone().set("config.storage.topic", &wrong.name).fails();
    let expect = format!(
        "Topic '{}' supplied via the 'config.storage.topic' property is required to have 'cleanup.policy=compact'",
        wrong.name
    );
    assert!(log.contains(&expect), "{log}");
    let many = Topic::create_with(Kafka::shared(), "many", 2, &[("cleanup.policy", "compact")]);
    let log = builder.set("config.storage.topic", &many.name).fails();
    assert!(log.contains("is required to have a single partition"), "{log}");
}
