//! What a well-behaved plugin sees.

use std::time::Duration;

use crate::record::{BatchBuilder, HeaderRef, Record};
use crate::sandbox::{CallError, Checkpoint, Failure, InstanceLimits, Kind, SinkRequests, TopicOffset, TopicPartition};

use super::fixture::{batch, chain, component, config, env, sink, source};

fn at(partition: u32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn offset(partition: u32, offset: u64) -> TopicOffset {
    TopicOffset { topic: "t".into(), partition, offset }
}

#[tokio::test]
async fn a_component_describes_itself_and_its_classes() {
    let component = component().await;
    let manifest = component.describe().await.unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("hostile", "1.0.0"));
    let kinds: Vec<_> = manifest.classes.iter().map(|class| (class.name.as_str(), class.kind)).collect();
    let expect = [
        ("HostileSource", Kind::Source),
        ("HostileSink", Kind::Sink),
        ("HostileTransform", Kind::Transform),
        ("HostilePredicate", Kind::Predicate),
    ];
    assert_eq!(kinds, expect);
    assert_eq!(manifest.classes[0].config[0].default.as_deref(), Some("1"));
    assert_eq!(component.wit_version(), "0.1.0");
    assert!(
        component.imports().iter().any(|import| import == "hawser:connect/source-context@0.1.0"),
        "{:?}",
        component.imports()
    );
    assert!(component.imports().iter().any(|import| import.starts_with("wasi:http/outgoing-handler@0.2.")));
    let values = component.validate("HostileSink", &config(&[("validate", "fatal")])).await.unwrap();
    assert_eq!(values[0].value.as_deref(), Some("HostileSink"));
    assert!(values[0].errors[0].contains("told to be fatal"));
}

#[tokio::test]
async fn task_configs_are_asked_for() {
    async fn check(pairs: &[(&str, &str)], expect: Result<usize, &str>) {
        let configs = component().await.task_configs("HostileSource", &config(pairs), 4, env(InstanceLimits::default())).await;
        match (configs, expect) {
            (Ok(configs), Ok(count)) => assert_eq!(configs.len(), count),
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (configs, expect) => panic!("{configs:?} instead of {expect:?}"),
        }
    }
    check(&[], Ok(4)).await;
    check(&[("tasks", "2")], Ok(2)).await;
    check(&[("tasks", "0")], Err("no task for tasks.max=4")).await;
    // The herder judges: tasks.max.enforce.
    check(&[("tasks", "5")], Ok(5)).await;
    check(&[("task-configs", "invalid-config")], Err("told to refuse")).await;
}

#[tokio::test]
async fn a_source_polls_commits_and_stops() {
    let mut source = source(&[("records", "3"), ("size", "4"), ("idle", "250")], env(InstanceLimits::default())).await.unwrap();
    let polled = source.poll().await.unwrap();
    let values: Vec<_> = polled.records.records().map(|record| (record.topic(), record.value)).collect();
    assert_eq!(values, [("hostile", Some(&b"abcd"[..])); 3]);
    let expect = Checkpoint { through: 3, partition: r#"{"part":"only"}"#.into(), offset: r#"{"polls":1}"#.into() };
    assert_eq!(polled.checkpoints, [expect]);
    assert_eq!(polled.idle, Duration::from_millis(250));
    source.committed(&polled.checkpoints).await.unwrap();
    assert_eq!(source.poll().await.unwrap().checkpoints[0].offset, r#"{"polls":2}"#);
    let usage = source.usage();
    assert_eq!(usage.calls, 4);
    assert!(usage.memory_bytes > 0 && usage.cpu > Duration::ZERO && usage.table_elements > 0, "{usage:?}");
    source.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_sees_its_committed_offsets() {
    let error = source(&[("start", "offsets")], env(InstanceLimits::default())).await.err().unwrap();
    assert_eq!(error, CallError::Fatal(r#"offsets [Some("{\"polls\":7}"), None]"#.into()));
}

#[tokio::test]
async fn a_sink_takes_flushes_and_asks() {
    let mut sink = sink(&[("open", "requests")], env(InstanceLimits::default())).await.unwrap();
    sink.open(&[at(0), at(1)]).await.unwrap();
    let requests = sink.take_requests();
    let expect = SinkRequests { rewind: vec![offset(0, 7)], pause: vec![at(0)], resume: vec![at(1)], request_commit: true };
    assert_eq!(requests, expect);
    assert!(sink.take_requests().is_empty());
    assert_eq!(sink.put(&batch(3, 10)).await.unwrap(), []);
    assert_eq!(sink.flush(&[offset(0, 3)]).await.unwrap(), [offset(0, 3)]);
    sink.close(&[at(0)]).await.unwrap();
    sink.stop().await.unwrap();
}

#[tokio::test]
async fn a_sink_may_hold_back_and_refuse_records() {
    let mut sink = sink(&[("lie", "flush-less")], env(InstanceLimits::default())).await.unwrap();
    assert_eq!(sink.flush(&[offset(0, 3)]).await.unwrap(), [offset(0, 2)]);
    let mut sink = super::fixture::sink(&[("lie", "failure-twice")], env(InstanceLimits::default())).await.unwrap();
    let failure = |index| Failure { index, reason: "as configured".into(), kind: None, step: 0 };
    assert_eq!(sink.put(&batch(3, 10)).await.unwrap(), [failure(0), failure(2)]);
}

#[tokio::test]
async fn every_column_survives_the_crossing() {
    let mut builder = BatchBuilder::default();
    let header = |name, value, schema| HeaderRef { name, value, schema };
    let record = Record { topic: "a", key: Some(b"k"), value: Some(b"v"), timestamp: 5, partition: 2, ..Record::default() };
    builder.push(record, [header("h", Some(&b"1"[..]), 2), header("g", None, 0)]);
    builder.push(Record { topic: "b", value: Some(b""), value_schema: 2, key_schema: 1, ..Record::default() }, []);
    builder.push(Record { topic: "a", ..Record::default() }, [header("h", Some(&b""[..]), 1)]);
    let batch = builder.finish();
    let mut chain = chain(&[], env(InstanceLimits::default())).await.unwrap();
    let out = chain.apply(&batch).await.unwrap();
    assert_eq!((out.records, out.origins, out.failures), (batch, vec![], vec![]));
}

#[tokio::test]
async fn schemas_are_shared_with_the_task() {
    let env = env(InstanceLimits::default());
    let id = env.schemas.put(r#"{"type":"int32"}"#).unwrap();
    let mut batch = batch(1, 1);
    batch.value_schemas = vec![id];
    let mut chain = chain(&[("start", "schemas"), ("n", "5")], env.clone()).await.unwrap();
    assert_eq!(chain.apply(&batch).await.unwrap().records, batch);
    assert_eq!(env.schemas.get(id + 5).as_deref(), Some(r#"{"type":"string","name":"4"}"#));
    let error = super::fixture::chain(&[("start", "schema-bad")], env).await.err().unwrap().to_string();
    assert!(error.contains("not a schema") && error.contains("None"), "{error}");
}

#[tokio::test]
async fn the_plugins_own_errors_leave_the_instance_alive() {
    let mut source = source(&[("poll", "retriable")], env(InstanceLimits::default())).await.unwrap();
    for _ in 0..2 {
        let error = source.poll().await.unwrap_err();
        assert_eq!(error, CallError::Retriable("told to be retriable".into()));
        assert!(error.is_retriable() && !error.is_instance_dead());
    }
    source.stop().await.unwrap();
    let mut sink = sink(&[("put", "fatal-long")], env(InstanceLimits::default())).await.unwrap();
    let error = sink.put(&batch(1, 1)).await.unwrap_err().to_string();
    assert_eq!(error.len(), 8 << 10, "a long message is cut");
}
