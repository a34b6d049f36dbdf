use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hawser_dev_broker::DevBrokerConfig;
use tokio::time::Instant;

use crate::kafka::testing::{PATIENCE, TestBroker};
use crate::kafka::{ClientSettings, ProducerLimits};
use crate::metrics::TaskCounters;
use crate::record::Batch;
use crate::sandbox::{Call, CallError, Checkpoint, Polled};
use crate::task::testing::*;
use crate::task::{DeadLetterSpec, ErrorPolicy, SourceSpec, TaskHandle, TaskState, Tolerance, TopicCreation, spawn_source};

struct Scene {
    broker: TestBroker,
    topic: String,
    fake: Fake,
    offsets: Arc<MemoryCheckpoints>,
}

impl Scene {
    async fn new() -> Scene {
        let broker = TestBroker::start().await;
        let topic = broker.topic(1).await;
        Scene { broker, topic, fake: Fake::default(), offsets: Arc::default() }
    }

    fn spec(&self) -> SourceSpec {
        source_spec(&self.broker, &self.fake)
    }

    fn spawn(&self, spec: SourceSpec) -> TaskHandle {
        spawn_source(spec, context(&self.offsets))
    }

    fn poll(&self, values: &[&str], offset: u32) {
        self.fake.answer_poll(polled(&self.topic, values, offset));
    }

    async fn until_stored(&self, offset: u32) {
        self.offsets.until(&format!("offset {offset}"), |offsets| offsets.get(SOURCE) == Some(at(offset))).await;
    }
}

#[tokio::test]
async fn checkpoints_are_stored_behind_acknowledgements_and_told() {
    let scene = Scene::new().await;
    scene.poll(&["a", "b"], 2);
    scene.poll(&["c"], 3);
    let handle = scene.spawn(scene.spec());
    scene.until_stored(3).await;
    // Told at once, though nothing is polled for an hour.
    scene.fake.until("the news", |asked| asked.contains(&Asked::Committed(vec![at(3)]))).await;
    assert_eq!(scene.broker.read(&scene.topic, 3).await, ["a", "b", "c"]);
    assert_eq!(handle.state(), TaskState::Running);
    let stopping = Instant::now();
    assert!(handle.stop(PATIENCE).await, "an idle task wakes up at once");
    assert!(stopping.elapsed() < PATIENCE);
    assert_eq!(scene.fake.asked().last(), Some(&Asked::Stop));
}

#[tokio::test]
async fn nothing_is_stored_while_the_broker_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = DevBrokerConfig { data_dir: Some(folder.path().to_owned()), ..DevBrokerConfig::default() };
    let broker = TestBroker::start_on(config.clone()).await;
    let port = broker.bootstrap().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let topic = broker.topic(1).await;
    let mut scene = Scene { broker, topic, fake: Fake::default(), offsets: Arc::default() };
    scene.poll(&["a"], 1);
    let limits = ProducerLimits { batches: 4, ..ProducerLimits::default() };
    let handle = scene.spawn(SourceSpec { producer_limits: limits, ..scene.spec() });
    scene.until_stored(1).await;
    scene.broker.stop().await;
    handle.pause();
    until_state(&handle, "a pause", |state| *state == TaskState::Paused).await;
    let values: Vec<String> = (2..20).map(|value| value.to_string()).collect();
    for (place, value) in values.iter().enumerate() {
        scene.fake.answer_poll(polled(&scene.topic, &[value], place as u32 + 2));
    }
    handle.resume();
    // As many batches as may be on their way are polled, and one that finds no room.
    let polls = |asked: &[Asked]| asked.iter().filter(|asked| **asked == Asked::Poll).count();
    let before = polls(&scene.fake.asked());
    scene.fake.until("five polls", |asked| polls(asked) >= before + 5).await;
    assert_eq!(scene.offsets.get(SOURCE), Some(at(1)));
    assert_eq!(handle.state(), TaskState::Running);
    assert!(polls(&scene.fake.asked()) <= before + 6, "back-pressure is bounded");
    scene.broker = TestBroker::start_on(DevBrokerConfig { port, ..config }).await;
    scene.until_stored(19).await;
    assert!(handle.stop(PATIENCE).await);
    let mut read = scene.broker.read(&scene.topic, 19).await;
    read.retain(|value| value != "a");
    assert_eq!(read, values);
}

#[tokio::test]
async fn a_poll_that_cannot_for_now_is_called_again() {
    let scene = Scene::new().await;
    for _ in 0..2 {
        scene.fake.answer_poll(Err(CallError::Retriable("no network".to_owned())));
    }
    scene.poll(&["a"], 1);
    let handle = scene.spawn(scene.spec());
    scene.until_stored(1).await;
    assert_eq!(TaskCounters::read(&handle.counters().retries), 2);
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_crash_in_poll_fails_the_task_but_what_is_acknowledged_is_stored() {
    let scene = Scene::new().await;
    scene.poll(&["a", "b"], 2);
    scene.fake.answer_poll(Err(trap(Call::Poll)));
    let handle = scene.spawn(SourceSpec { commit: late_commits(), ..scene.spec() });
    let trace = trace_of(&handle).await;
    assert!(trace.contains("crashed in poll"), "{trace}");
    assert_eq!(scene.offsets.get(SOURCE), Some(at(2)));
    assert!(!scene.fake.asked().iter().any(|asked| matches!(asked, Asked::Stop | Asked::Committed(_))), "no call after a crash");
}

#[tokio::test]
async fn a_record_that_kafka_refuses_stops_the_checkpoints_unless_tolerated() {
    for tolerance in [Tolerance::None, Tolerance::All] {
        let scene = Scene::new().await;
        scene.poll(&["a"], 1);
        scene.fake.answer_poll(polled_to(&scene.topic, 9, &["b"], 2));
        scene.poll(&["c"], 3);
        let errors = ErrorPolicy { tolerance, ..ErrorPolicy::default() };
        let handle = scene.spawn(SourceSpec { errors, commit: late_commits(), ..scene.spec() });
        if tolerance == Tolerance::None {
            let trace = trace_of(&handle).await;
            assert!(trace.contains("KAFKA_PRODUCE") && trace.contains(&scene.topic), "{trace}");
            assert_eq!(scene.offsets.get(SOURCE), Some(at(1)));
        } else {
            scene.broker.read(&scene.topic, 2).await;
            assert!(handle.stop(PATIENCE).await);
            assert_eq!(scene.offsets.get(SOURCE), Some(at(3)));
        }
    }
}

#[tokio::test]
async fn a_source_has_a_dead_letter_queue_too() {
    let scene = Scene::new().await;
    let queue = scene.broker.topic(1).await;
    let dead_letter = DeadLetterSpec {
        topic: queue.clone(),
        replication: 1,
        headers: true,
        producer: scene.broker.producer_settings(),
        admin: ClientSettings::admin(&scene.broker.worker(), "dlq", &[]).expect("settings"),
    };
    let errors = ErrorPolicy { tolerance: Tolerance::All, dead_letter: Some(dead_letter), ..ErrorPolicy::default() };
    scene.poll(&["a", "b!", "c#", "d", "e x"], 5);
    scene.fake.answer_poll(polled_to(&scene.topic, 9, &["f"], 6));
    scene.poll(&["g#"], 7);
    let handle = scene.spawn(SourceSpec { chains: vec![Box::new(FakeChain::default())], errors, ..scene.spec() });
    let letters = scene.broker.read_batches(&queue, 4).await;
    let mut told = Vec::new();
    for letter in letters.iter().flat_map(|batch| batch.records()) {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let headers: Vec<(&str, String)> =
            letter.headers().map(|header| (header.name.trim_start_matches("__connect.errors."), text(header.value))).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let expect = ["topic", "connector.name", "task.id", "stage", "class.name"];
        assert_eq!(names, [&expect[..], &["exception.class.name", "exception.message", "exception.stacktrace"]].concat());
        assert_eq!(headers[0].1, scene.topic);
        told.push((text(letter.value), headers[3].1.clone(), headers[5].1.clone()));
    }
    told.sort();
    let expect = [
        ("b!", "TRANSFORMATION", "org.apache.kafka.connect.errors.DataException"),
        ("c#", "TRANSFORMATION", "hawser.errors.PluginCrashed"),
        ("f", "KAFKA_PRODUCE", "org.apache.kafka.common.KafkaException"),
        ("g#", "TRANSFORMATION", "hawser.errors.PluginCrashed"),
    ];
    let expect = expect.map(|(value, stage, exception)| (value.to_owned(), stage.to_owned(), exception.to_owned()));
    assert_eq!(told, expect);
    scene.until_stored(7).await;
    assert_eq!(scene.broker.read(&scene.topic, 2).await, ["a", "d"]);
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_store_that_refuses_is_asked_again() {
    let scene = Scene::new().await;
    scene.offsets.refuses.store(true, Ordering::SeqCst);
    scene.poll(&["a"], 1);
    let handle = scene.spawn(scene.spec());
    scene.offsets.until("a try", MemoryCheckpoints::was_tried).await;
    scene.offsets.refuses.store(false, Ordering::SeqCst);
    scene.until_stored(1).await;
    assert_eq!(handle.state(), TaskState::Running);
    assert!(TaskCounters::read(&handle.counters().commit_failures) > 0);
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn checkpoints_of_dropped_records_and_of_empty_polls_are_stored() {
    let scene = Scene::new().await;
    scene.poll(&["a x", "b x"], 1);
    let handle = scene.spawn(SourceSpec { chains: vec![Box::new(FakeChain::default())], ..scene.spec() });
    scene.until_stored(1).await;
    assert!(handle.stop(PATIENCE).await);
    let checkpoint = Checkpoint { through: 0, partition: SOURCE.to_owned(), offset: at(2) };
    scene.fake.answer_poll(Ok(Polled { records: Batch::default(), checkpoints: vec![checkpoint], idle: Duration::ZERO }));
    let handle = scene.spawn(scene.spec());
    scene.until_stored(2).await;
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_poll_that_hangs_does_not_hold_up_a_stop_for_long() {
    let scene = Scene::new().await;
    scene.poll(&["a"], 1);
    scene.fake.hang();
    let handle = scene.spawn(SourceSpec { commit: late_commits(), ..scene.spec() });
    scene.fake.until("a second poll", |asked| asked.iter().filter(|asked| **asked == Asked::Poll).count() == 2).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.offsets.get(SOURCE), Some(at(1)));
}

#[tokio::test]
async fn a_paused_source_is_not_polled() {
    let scene = Scene::new().await;
    scene.poll(&["a"], 1);
    let handle = scene.spawn(scene.spec());
    scene.until_stored(1).await;
    handle.pause();
    until_state(&handle, "a pause", |state| *state == TaskState::Paused).await;
    scene.poll(&["b"], 2);
    handle.resume();
    scene.until_stored(2).await;
    assert_eq!(handle.state(), TaskState::Running);
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_missing_topic_is_created_before_the_first_record() {
    let broker = TestBroker::start_on(DevBrokerConfig { auto_create_topics: false, ..DevBrokerConfig::default() }).await;
    let mut scene = Scene { topic: "made-by-the-source".to_owned(), broker, fake: Fake::default(), offsets: Arc::default() };
    scene.poll(&["a"], 1);
    let rules = ["partitions", "replication.factor"].map(|key| (format!("topic.creation.default.{key}"), "1".to_owned()));
    let admin = ClientSettings::admin(&scene.broker.worker(), "source", &[]).expect("settings");
    let creation = TopicCreation::from_config(&rules, admin).expect("groups");
    let handle = scene.spawn(SourceSpec { creation: creation.clone(), ..scene.spec() });
    scene.until_stored(1).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.broker.read(&scene.topic, 1).await, ["a"]);
    scene.topic = "not a topic".to_owned();
    scene.poll(&["b"], 2);
    let trace = trace_of(&scene.spawn(SourceSpec { creation, ..scene.spec() })).await;
    assert!(trace.contains("Task failed to create new topic (name=not a topic)"), "{trace}");
}

#[tokio::test]
async fn a_task_without_brokers_stops_all_the_same() {
    let scene = Scene::new().await;
    let nowhere = vec![("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())];
    let producer = ClientSettings::source_producer(&nowhere, "source", 0, &[]).expect("settings");
    scene.poll(&["a"], 1);
    let commit = crate::task::CommitTiming { timeout: Duration::from_millis(100), ..late_commits() };
    let handle = scene.spawn(SourceSpec { producer, creation: None, commit, ..scene.spec() });
    scene.fake.until("a second poll", |asked| asked.iter().filter(|asked| **asked == Asked::Poll).count() == 2).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.offsets.get(SOURCE), None);
}

#[tokio::test]
async fn no_record_goes_to_a_topic_of_the_worker() {
    let scene = Scene::new().await;
    scene.fake.answer_poll(polled("connect-configs", &["{}"], 1));
    let handle = scene.spawn(scene.spec());
    let trace = trace_of(&handle).await;
    assert!(trace.contains("bound for the topic connect-configs, which belongs to the worker"), "{trace}");
    assert_eq!(scene.offsets.get(SOURCE), None);
}
