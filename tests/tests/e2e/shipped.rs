//! Workers from the properties files that come with Kafka: the keys and values of `config/connect-*.properties` as of Kafka 3.9 and 4.0,
//! without their comments.

use std::path::PathBuf;

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, WorkerBuilder, unique};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{append, wait_lines, with};

/// What Kafka ships in `config/`, without comments.
const DISTRIBUTED: &str = include_str!("../../fixtures/properties/connect-distributed.properties");
const STANDALONE: &str = include_str!("../../fixtures/properties/connect-standalone.properties");
/// What the files of Kafka up to 2.x had besides, and what people uncomment.
const JVM_KEYS: &str = "
internal.key.converter=org.apache.kafka.connect.json.JsonConverter
internal.value.converter=org.apache.kafka.connect.json.JsonConverter
internal.key.converter.schemas.enable=false
internal.value.converter.schemas.enable=false
plugin.path=/usr/local/share/java,/usr/local/share/kafka/plugins,/opt/connectors,
";
const FILE_SOURCE: &str = "name=local-file-source
connector.class=FileStreamSource
tasks.max=1
file=test.txt
topic=connect-test
";
const FILE_SINK: &str = "name=local-file-sink
connector.class=FileStreamSink
tasks.max=1
file=test.sink.txt
topics=connect-test
";
const CONSOLE_SOURCE: &str = "name=local-console-source
connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector
tasks.max=1
topic=connect-test
";
const CONSOLE_SINK: &str = "name=local-console-sink
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
tasks.max=1
topics=connect-test
";

/// Files in a folder of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().expect("temporary folder"))
    }

    fn write(&self, name: &str, parts: &[&str]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, parts.concat()).expect("a file");
        path
    }

    /// A worker from a file as it is; only what tests on one machine cannot share is other.
    fn worker(&self, name: &str, parts: &[&str]) -> WorkerBuilder {
        let mut builder = Worker::from_file(&self.write(name, parts));
        for set in [
            format!("bootstrap.servers={}", Kafka::shared().bootstrap()),
            format!("hawser.sandbox.files={}", self.0.path().display()),
        ] {
            builder = builder.arg("--set").arg(&set);
        }
        builder
    }

    fn distributed(&self, more: &str) -> WorkerBuilder {
        let group = unique("shipped");
        let mut builder = self.worker("connect-distributed.properties", &[DISTRIBUTED, more]);
        builder = builder.arg("--set").arg(&format!("group.id={group}"));
        for store in ["config", "offset", "status"] {
            builder = builder.arg("--set").arg(&format!("{store}.storage.topic={group}-{store}"));
        }
        builder
    }

    fn standalone(&self, more: &str) -> WorkerBuilder {
        let builder = self.worker("connect-standalone.properties", &[STANDALONE, more]);
        builder.arg("--set").arg("offset.storage.file.filename=connect.offsets")
    }
}

#[test]
fn a_worker_starts_from_each_and_warns_once_of_each_key_of_java() {
    let files = Files::new();
    for standalone in [false, true] {
        let build = |more: &str| if standalone { files.standalone(more) } else { files.distributed(more) };
        let worker = build("").start();
        worker.rest().get("/connectors").expect(200);
        let log = worker.log();
        assert!(!log.contains("is ignored"), "{log}");
        let worker = build(JVM_KEYS).start();
        worker.rest().get("/connectors").expect(200);
        let log = worker.log();
        // The keys of a converter that is ignored are told with it.
        for key in ["internal.key.converter", "internal.value.converter", "plugin.path"] {
            assert_eq!(log.matches(&format!("{key} is ignored")).count(), 1, "{key} in {log}");
        }
        assert_eq!(log.matches(" is ignored").count(), 3, "{log}");
    }
}

#[test]
fn the_connectors_of_the_quickstart_start_with_the_worker() {
    let files = Files::new();
    let source = files.write("connect-file-source.properties", &[FILE_SOURCE]);
    let sink = files.write("connect-file-sink.properties", &[FILE_SINK]);
    let mut worker = files.standalone("").start();
    worker.rest().upload(&Plugin::built("file"));
    assert!(worker.stop().success());
    worker.add_arg(&source.display().to_string());
    worker.add_arg(&sink.display().to_string());
    worker.start();
    let rest = worker.rest();
    assert_eq!(rest.get("/connectors").expect(200), json!(["local-file-sink", "local-file-source"]));
    let config = rest.get("/connectors/local-file-source/config").expect(200);
    assert_eq!(
        config.to_string(),
        r#"{"name":"local-file-source","connector.class":"FileStreamSource","tasks.max":"1","file":"test.txt","topic":"connect-test"}"#
    );
    // What a Java connector may do unasked is to be granted here, and the status says by which key.
    let trace = rest.wait_failed_task("local-file-source");
    assert!(trace.contains("sandbox.files"), "{trace}");
    let (input, output) = (files.0.path().join("test.txt"), files.0.path().join("test.sink.txt"));
    append(&input, ["foo", "bar"]);
    let topic = Topic::create(Kafka::shared(), "connect-test", 1);
    let granted = json!({"sandbox.files": files.0.path()});
    rest.configure("local-file-source", &with(with(config, granted.clone()), json!({"file": input, "topic": topic.name})));
    let config = rest.get("/connectors/local-file-sink/config").expect(200);
    rest.configure("local-file-sink", &with(with(config, granted), json!({"file": output, "topics": topic.name})));
    let records = topic.read_count(2, Deadline::LONG);
    assert_eq!(records[0].text(), r#"{"schema":{"type":"string","optional":false},"payload":"foo"}"#);
    assert_eq!(wait_lines(&output, 2), ["foo", "bar"]);
}

/// A plugin has no console: the worker does not start, and says which key is missing, as it does for any connector that is not valid.
#[test]
fn connectors_of_the_console_are_refused_by_name() {
    let files = Files::new();
    for (name, text) in [("connect-console-source.properties", CONSOLE_SOURCE), ("connect-console-sink.properties", CONSOLE_SINK)]
    {
        let file = files.write(name, &[text]);
        let mut worker = files.standalone("").start();
        worker.rest().upload(&Plugin::built("file"));
        assert!(worker.stop().success());
        worker.add_arg(&file.display().to_string());
        let log = worker.fails_to_start();
        assert!(
            log.contains(name) && log.contains("Missing required configuration \"file\" which has no default value."),
            "{log}"
        );
    }
}
