//! Topics that Kafka Connect has written (see `testdata/README.md`).

use std::sync::Arc;

use super::memory::MemoryLog;
use super::{ConfigStore, FileStore, OFFSETS_LOG, OffsetStore, State, StatusStore, TargetState};

fn log(tsv: &str) -> Arc<MemoryLog> {
    MemoryLog::with(tsv.lines().filter_map(|line| {
        let (key, value) = line.split_once('\t')?;
        Some((key, (value != "null").then_some(value)))
    }))
}

#[tokio::test]
async fn connectors_are_carried_on() {
    let log = log(include_str!("testdata/kafka-connect-4.3.1/configs.tsv"));
    for log in [log.reopened(false), log.reopened(true)] {
        let store = ConfigStore::open(log).await.unwrap();
        let snapshot = store.snapshot();
        let found: Vec<_> = snapshot
            .connectors
            .iter()
            .map(|(name, connector)| (&**name, connector.target, connector.tasks.len(), connector.inconsistent))
            .collect();
        assert_eq!(
            found,
            [
                ("broken", TargetState::Started, 1, false),
                ("paused", TargetState::Paused, 0, false),
                ("sink", TargetState::Started, 2, false),
                ("src-1", TargetState::Started, 1, false),
                ("stopped", TargetState::Stopped, 0, false),
            ]
        );
        let source = snapshot.connector("src-1").unwrap();
        assert_eq!(
            serde_json::to_string(&*source.config).unwrap(),
            r#"{"connector.class":"FileStreamSource","tasks.max":"1","topic":"ci-t","file":"/data/in.txt","zzz":"kept","aaa":"ü€😀","name":"src-1"}"#
        );
        assert_eq!(source.tasks[0].get("task.class"), Some("org.apache.kafka.connect.file.FileStreamSourceTask"));
        assert_eq!(source.applied.as_ref(), Some(&source.config));
        assert_eq!(snapshot.session_key.as_ref().map(|key| key.algorithm.as_str()), Some("HmacSHA256"));
    }
}

#[tokio::test]
async fn offsets_are_carried_on_under_their_keys() {
    let log = log(include_str!("testdata/kafka-connect-4.3.1/offsets.tsv"));
    let store = OffsetStore::open(log.clone()).await.unwrap();
    let partition = r#"{"filename":"/data/in.txt"}"#.to_owned();
    let found = store.get("src-1", std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!(found[0].as_deref(), Some(r#"{"position":14}"#));
    store.put("src-1", vec![(partition, Some(r#"{"position":15}"#.to_owned()))]).await.unwrap();
    let texts = log.texts();
    assert_eq!(texts[0].0, texts[1].0);
}

#[tokio::test]
async fn the_offsets_file_of_a_standalone_worker_is_taken_over() {
    let java = include_bytes!("testdata/kafka-connect-4.3.1/standalone.offsets");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connect.offsets");
    std::fs::write(&path, java).unwrap();
    let partition = r#"{"filename":"/data/in.txt"}"#.to_owned();
    for position in [14, 15] {
        let store = FileStore::open(&path).unwrap();
        let offsets = OffsetStore::open(store.log(OFFSETS_LOG)).await.unwrap();
        let found = offsets.get("standalone-src", std::slice::from_ref(&partition)).await.unwrap();
        assert_eq!(found[0].as_deref(), Some(format!(r#"{{"position":{position}}}"#).as_str()));
        offsets.put("standalone-src", vec![(partition.clone(), Some(r#"{"position":15}"#.to_owned()))]).await.unwrap();
    }
    assert_eq!(std::fs::read(folder.path().join("connect.offsets.kafka-connect")).unwrap(), java);
    // A file that Java wrote, but not Kafka Connect.
    let other = folder.path().join("other");
    std::fs::write(&other, java.get(..60).unwrap()).unwrap();
    let error = FileStore::open(&other).err().unwrap().to_string();
    assert!(error.contains("not an offsets file of Kafka Connect's standalone worker"), "{error}");
    assert_eq!(std::fs::read(&other).unwrap().len(), 60);
}

#[tokio::test]
async fn statuses_are_carried_on() {
    let log = log(include_str!("testdata/kafka-connect-4.3.1/status.tsv"));
    let store = StatusStore::open(log).await.unwrap();
    let connectors: Vec<_> = store.connectors().iter().map(|name| name.to_string()).collect();
    assert_eq!(connectors, ["broken", "paused", "sink", "src-1", "stopped"]);
    let failed = store.task("broken", 0).unwrap();
    assert_eq!((failed.state, failed.generation), (State::Failed, 12));
    assert!(failed.trace.unwrap().starts_with("org.apache.kafka.connect.errors.ConnectException: Couldn't find or create file"));
    let task = store.task("sink", 1).unwrap();
    assert_eq!(
        (task.state, task.worker_id.as_str(), task.version.as_deref()),
        (State::Unassigned, "127.0.0.1:28083", Some("4.3.1"))
    );
    assert!(store.tasks("gone").is_empty());
    let topics = store.topics("sink");
    assert_eq!((&*topics[0].topic, topics[0].task, topics[0].discovered_ms), ("ci-t", 0, 1795177556339));
}
