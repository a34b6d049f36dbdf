use std::collections::BTreeMap;
use std::time::Duration;

use hawser_dev_broker::DevBrokerConfig;

use crate::kafka::testing::{PATIENCE, TestBroker};
use crate::kafka::{Admin, ClientSettings, Subscription};
use crate::sandbox::{Call, CallError, SinkRequests, TopicOffset, TopicPartition};
use crate::task::testing::*;
use crate::task::{DeadLetterSpec, ErrorPolicy, SinkSpec, TaskHandle, TaskState, Tolerance, spawn_sink};

struct Scene {
    broker: TestBroker,
    topic: String,
    connector: String,
    fake: Fake,
}

impl Scene {
    async fn with(partitions: i32, values: u32) -> Scene {
        let broker = TestBroker::start().await;
        let topic = broker.topic(partitions).await;
        broker.write(&topic, partitions, (0..values).map(|value| value.to_string())).await;
        let connector = format!("sink-{topic}");
        Scene { broker, topic, connector, fake: Fake::default() }
    }

    fn spec(&self) -> SinkSpec {
        sink_spec(&self.broker, &self.connector, &self.topic, &self.fake)
    }

    fn spawn(&self, spec: SinkSpec) -> TaskHandle {
        spawn_sink(spec, context(&Default::default()))
    }

    /// The group's committed offsets by partition.
    async fn committed(&self) -> BTreeMap<i32, u64> {
        let admin = Admin::new(ClientSettings::admin(&self.broker.worker(), "test", &[]).expect("settings"));
        let reads = Subscription::topics([self.topic.clone()]).expect("a topic");
        let offsets = admin.group_offsets(&format!("connect-{}", self.connector), Some(reads)).await.expect("offsets");
        offsets.into_iter().map(|at| (at.partition.partition, at.offset)).collect()
    }

    /// Waits until partition 0 is committed up to an offset.
    async fn until_committed(&self, offset: u64) {
        let met = async { while self.committed().await.get(&0) != Some(&offset) {} };
        assert!(tokio::time::timeout(PATIENCE, met).await.is_ok(), "a commit of {offset} did not come");
    }

    fn values(&self) -> Vec<u32> {
        let mut values: Vec<u32> = self.fake.values().iter().map(|value| value.parse().expect("a number")).collect();
        values.sort_unstable();
        values
    }
}

fn retriable() -> CallError {
    CallError::Retriable("the database is away".to_owned())
}

#[tokio::test]
async fn records_are_put_and_committed_in_the_right_order() {
    let scene = Scene::with(2, 20).await;
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(20).await;
    assert_eq!(handle.state(), TaskState::Running);
    assert!(handle.stop(PATIENCE).await);
    let asked = scene.fake.asked();
    assert_eq!(asked.first(), Some(&Asked::Open(2)));
    assert_eq!(asked[asked.len() - 3..], [Asked::Flush, Asked::Close(2), Asked::Stop]);
    assert_eq!(scene.values(), (0..20).collect::<Vec<_>>());
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 10), (1, 10)]));
}

#[tokio::test]
async fn the_same_batch_is_put_again_until_it_is_taken() {
    let scene = Scene::with(1, 5).await;
    for _ in 0..3 {
        scene.fake.answer_put(Err(retriable()));
    }
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(20).await;
    let puts: Vec<_> = scene.fake.asked().into_iter().filter(|asked| matches!(asked, Asked::Put(_))).collect();
    assert_eq!(puts.len(), 4);
    assert!(puts.windows(2).all(|pair| pair[0] == pair[1]), "{puts:?}");
    // It goes on after the last one, in the same assignment.
    scene.broker.write(&scene.topic, 1, ["5".to_owned()]).await;
    scene.fake.until_put(21).await;
    assert_eq!(scene.fake.asked().iter().filter(|asked| matches!(asked, Asked::Open(_))).count(), 1);
    assert_eq!(crate::metrics::TaskCounters::read(&handle.counters().retries), 3);
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 6)]));
}

#[tokio::test]
async fn a_crash_in_put_fails_the_task_and_loses_nothing() {
    let scene = Scene::with(1, 20).await;
    scene.fake.answer_puts(Some(trap(Call::Put)));
    let errors = ErrorPolicy { tolerance: Tolerance::All, ..ErrorPolicy::default() };
    let handle = scene.spawn(SinkSpec { errors, ..scene.spec() });
    let trace = trace_of(&handle).await;
    assert!(trace.contains("crashed in put") && trace.contains("6 in a row"), "{trace}");
    assert!(!scene.fake.asked().contains(&Asked::Stop), "no call after a crash");
    // Its successor gets what was not reported.
    scene.fake.answer_puts(None);
    let handle = scene.spawn(scene.spec());
    scene
        .fake
        .until(
            "the rest",
            |asked| matches!(asked.last(), Some(Asked::Put(values)) if values.last().is_some_and(|last| last == "19")),
        )
        .await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 20)]));
}

/// A queue of dead letters for a scene.
fn dead_letters(scene: &Scene, topic: &str) -> DeadLetterSpec {
    DeadLetterSpec {
        topic: topic.to_owned(),
        replication: 1,
        headers: true,
        producer: scene.broker.producer_settings(),
        admin: ClientSettings::admin(&scene.broker.worker(), "dlq", &[]).expect("settings"),
    }
}

#[tokio::test]
async fn a_record_over_which_put_or_flush_crashes_is_found_and_left_out() {
    for (call, commit) in [(Call::Put, late_commits()), (Call::Put, eager_commits()), (Call::Flush, eager_commits())] {
        let scene = Scene::with(2, 40).await;
        scene.fake.crash_on("13", call);
        let queue = scene.broker.topic(1).await;
        let errors =
            ErrorPolicy { tolerance: Tolerance::All, dead_letter: Some(dead_letters(&scene, &queue)), ..ErrorPolicy::default() };
        let handle = scene.spawn(SinkSpec { errors, commit, ..scene.spec() });
        let letters = scene.broker.read_batches(&queue, 1).await;
        let letter = letters.iter().flat_map(|batch| batch.records()).next().expect("a letter");
        assert_eq!(letter.value, Some(&b"13"[..]));
        let header = |name: &str| {
            let found = letter.headers().find(|header| header.name == name).and_then(|header| header.value);
            String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
        };
        assert_eq!(header("__connect.errors.stage"), "TASK_PUT");
        assert_eq!(header("__connect.errors.exception.class.name"), "hawser.errors.PluginCrashed");
        assert!(header("__connect.errors.exception.message").contains(&format!("crashed in {call}")));
        // Flush crashes after put has taken it.
        scene.fake.until_taken(if call == Call::Put { 39 } else { 40 }).await;
        assert!(handle.stop(PATIENCE).await);
        let expect: std::collections::BTreeSet<String> =
            (0..40).filter(|value| *value != 13).map(|value| value.to_string()).collect();
        let taken = scene.fake.taken().into_iter().filter(|value| call == Call::Put || value != "13");
        assert_eq!(taken.collect::<Vec<_>>(), expect.into_iter().collect::<Vec<_>>());
        assert_eq!(scene.committed().await, BTreeMap::from([(0, 20), (1, 20)]));
        assert!(scene.fake.starts() <= 10, "{} instances for one record of 40", scene.fake.starts());
    }
}

#[tokio::test]
async fn a_record_over_which_put_crashes_is_named_if_none_is_tolerated() {
    let scene = Scene::with(1, 20).await;
    scene.fake.crash_on("13", Call::Put);
    let trace = trace_of(&scene.spawn(scene.spec())).await;
    for part in ["TASK_PUT", "crashed in put", &format!("topic='{}'", scene.topic), "partition=0", "offset=13"] {
        assert!(trace.contains(part), "{part} in {trace}");
    }
    assert!(scene.committed().await.get(&0).is_none_or(|offset| *offset <= 13));
    assert_eq!(scene.fake.asked().last(), Some(&Asked::Stop), "the last instance is alive");
}

#[tokio::test]
async fn a_crash_that_does_not_come_again_costs_no_record() {
    let scene = Scene::with(1, 20).await;
    scene.fake.answer_put(Err(trap(Call::Put)));
    let handle = scene.spawn(scene.spec());
    scene.fake.until_taken(20).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 20)]));
    assert_eq!(scene.fake.starts(), 2);
}

#[tokio::test]
async fn a_record_over_which_a_transform_crashes_is_found() {
    let scene = Scene::with(1, 0).await;
    scene.broker.write(&scene.topic, 1, ["a", "b", "c#", "d", "e!", "f x", "g#", "h"].map(str::to_owned)).await;
    let (first_queue, queue) = (scene.broker.topic(1).await, scene.broker.topic(1).await);
    let spec = |tolerance, queue: &str| SinkSpec {
        chains: vec![Box::new(FakeChain::default()), Box::new(FakeChain::default())],
        errors: ErrorPolicy { tolerance, dead_letter: Some(dead_letters(&scene, queue)), ..ErrorPolicy::default() },
        ..scene.spec()
    };
    let trace = trace_of(&scene.spawn(spec(Tolerance::None, &first_queue))).await;
    assert!(trace.contains("TRANSFORMATION") && trace.contains("offset=2") && trace.contains("crashed in apply"), "{trace}");
    let handle = scene.spawn(spec(Tolerance::All, &queue));
    scene.fake.until_put(4).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.fake.values(), ["a", "b", "d", "h"], "in order, each once");
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 8)]));
    let letters = scene.broker.read_batches(&queue, 3).await;
    let mut values: Vec<_> = letters.iter().flat_map(|batch| batch.records()).filter_map(|letter| letter.value).collect();
    values.sort_unstable();
    assert_eq!(values, [b"c#", b"e!", b"g#"]);
}

#[tokio::test]
async fn a_dead_letter_queue_that_cannot_be_created_is_named() {
    let scene = Scene::with(1, 1).await;
    let queue = dead_letters(&scene, "not a topic");
    let errors = ErrorPolicy { dead_letter: Some(queue), ..ErrorPolicy::default() };
    let trace = trace_of(&scene.spawn(SinkSpec { errors, ..scene.spec() })).await;
    assert!(trace.contains("Could not initialize dead letter queue with topic=not a topic"), "{trace}");
}

#[tokio::test]
async fn what_flush_holds_back_is_not_committed() {
    let scene = Scene::with(1, 10).await;
    scene.fake.answer_flush(|at| Some(TopicOffset { offset: at.offset.min(4), ..at }));
    let spec = SinkSpec { commit: eager_commits(), ..scene.spec() };
    let handle = scene.spawn(spec);
    scene.fake.until_put(10).await;
    scene.fake.until("two flushes", |asked| asked.iter().filter(|asked| **asked == Asked::Flush).count() > 1).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 4)]));
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(16).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.fake.values().get(10).map(String::as_str), Some("4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebalance_while_a_batch_waits_takes_its_records_along() {
    for assignor in ["range", "cooperative-sticky"] {
        let scene = Scene::with(2, 20).await;
        let more = [("partition.assignment.strategy", assignor)];
        let spec = || SinkSpec { consumer: scene.broker.consumer_settings(&scene.connector, &more), ..scene.spec() };
        scene.fake.answer_puts(Some(retriable()));
        let first = scene.spawn(spec());
        scene.fake.until_put(1).await;
        // The first holds a batch that it cannot put when the second joins.
        let other = Fake::default();
        let second = scene.spawn(SinkSpec { plugin: Box::new(other.clone()), ..spec() });
        other.until("an assignment", |asked| asked.contains(&Asked::Open(1))).await;
        other.until_put(10).await;
        let refused = scene.fake.values().len();
        scene.fake.answer_puts(None);
        scene.fake.until_put(refused + 10).await;
        assert!(second.stop(PATIENCE).await && first.stop(PATIENCE).await);
        let taken: std::collections::BTreeSet<_> = scene.fake.values().into_iter().skip(refused).chain(other.values()).collect();
        assert_eq!(taken.len(), 20, "{assignor}");
        assert_eq!(scene.committed().await, BTreeMap::from([(0, 10), (1, 10)]), "{assignor}");
    }
}

#[tokio::test]
async fn a_stop_while_a_batch_waits_is_prompt_and_commits_nothing_of_it() {
    let scene = Scene::with(1, 5).await;
    scene.fake.answer_puts(Some(retriable()));
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(1).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.fake.asked().last(), Some(&Asked::Stop));
    assert_eq!(scene.committed().await, BTreeMap::new());
}

#[tokio::test]
async fn a_refused_record_fails_the_task_by_name() {
    let scene = Scene::with(1, 5).await;
    scene.fake.answer_put(Ok(vec![refusal(3, "too long")]));
    let handle = scene.spawn(scene.spec());
    let trace = trace_of(&handle).await;
    for part in ["TASK_PUT", "too long", &format!("topic='{}'", scene.topic), "partition=0", "offset=3"] {
        assert!(trace.contains(part), "{part} in {trace}");
    }
    assert_eq!(scene.committed().await, BTreeMap::new());
    assert_eq!(scene.fake.asked().last(), Some(&Asked::Stop), "the plugin is alive and is told to stop");
}

#[tokio::test]
async fn tolerated_records_go_to_the_dead_letter_queue_with_their_story() {
    let scene = Scene::with(1, 0).await;
    // A number of 32 bits is four bytes.
    scene.broker.write(&scene.topic, 1, ["aaaa", "bad", "worse", "bbbb", "no"].map(str::to_owned)).await;
    let queue = format!("{}-dlq", scene.topic);
    let errors =
        ErrorPolicy { tolerance: Tolerance::All, dead_letter: Some(dead_letters(&scene, &queue)), ..ErrorPolicy::default() };
    scene.fake.answer_put(Ok(vec![refusal(1, "no room")]));
    let handle = scene.spawn(SinkSpec { errors, converters: converters(INTEGER), ..scene.spec() });
    scene.fake.until_put(2).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 5)]));
    let letters = scene.broker.read_batches(&queue, 4).await;
    let mut told = Vec::new();
    for letter in letters.iter().flat_map(|batch| batch.records()) {
        let header = |name: &str| {
            let found = letter.headers().find(|header| header.name == name).and_then(|header| header.value);
            String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
        };
        assert_eq!(header("__connect.errors.topic"), scene.topic);
        assert_eq!(header("__connect.errors.connector.name"), scene.connector);
        assert_eq!(header("__connect.errors.task.id"), "0");
        let value = String::from_utf8_lossy(letter.value.unwrap_or_default()).into_owned();
        told.push((value, header("__connect.errors.offset"), header("__connect.errors.stage")));
    }
    told.sort();
    let expect = [
        ("bad", "1", "VALUE_CONVERTER"),
        ("bbbb", "3", "TASK_PUT"),
        ("no", "4", "VALUE_CONVERTER"),
        ("worse", "2", "VALUE_CONVERTER"),
    ];
    assert_eq!(told, expect.map(|(value, offset, stage)| (value.to_owned(), offset.to_owned(), stage.to_owned())));
}

#[tokio::test]
async fn records_that_a_transform_drops_are_committed_too() {
    let scene = Scene::with(1, 0).await;
    scene.broker.write(&scene.topic, 1, ["a", "b x", "c", "d x"].map(str::to_owned)).await;
    let chain = FakeChain::default();
    *chain.retriable.lock().expect("a count") = 2;
    let errors = ErrorPolicy { retry_timeout: None, retry_delay_max: Duration::from_millis(10), ..ErrorPolicy::default() };
    let handle = scene.spawn(SinkSpec { chains: vec![Box::new(chain)], errors, ..scene.spec() });
    scene.fake.until_put(2).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.fake.values(), ["a", "c"]);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 4)]));
}

#[tokio::test]
async fn a_record_that_a_transform_refuses_fails_the_task_unless_tolerated() {
    let scene = Scene::with(1, 0).await;
    scene.broker.write(&scene.topic, 1, ["a", "b!", "c"].map(str::to_owned)).await;
    let spec = |tolerance| SinkSpec {
        chains: vec![Box::new(FakeChain::default())],
        errors: ErrorPolicy { tolerance, ..ErrorPolicy::default() },
        ..scene.spec()
    };
    let trace = trace_of(&scene.spawn(spec(Tolerance::None))).await;
    assert!(trace.contains("TRANSFORMATION") && trace.contains("offset=1") && trace.contains("refused"), "{trace}");
    let handle = scene.spawn(spec(Tolerance::All));
    scene.fake.until_put(2).await;
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.fake.values(), ["a", "c"]);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 3)]));
}

#[tokio::test]
async fn a_paused_task_commits_holds_and_goes_on() {
    let scene = Scene::with(1, 5).await;
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(5).await;
    handle.pause();
    until_state(&handle, "a pause", |state| *state == TaskState::Paused).await;
    scene.fake.until("a flush", |asked| asked.contains(&Asked::Flush)).await;
    scene.broker.write(&scene.topic, 1, ["5".to_owned()]).await;
    scene.until_committed(5).await;
    assert_eq!(scene.fake.values().len(), 5, "nothing is put while paused");
    handle.resume();
    scene.fake.until_put(6).await;
    assert_eq!(handle.state(), TaskState::Running);
    assert!(handle.stop(PATIENCE).await);
    assert_eq!(scene.committed().await, BTreeMap::from([(0, 6)]));
}

#[tokio::test]
async fn a_task_that_is_paused_from_the_start_starts_when_it_is_resumed() {
    let scene = Scene::with(1, 1).await;
    let handle = scene.spawn(SinkSpec { paused: true, ..scene.spec() });
    until_state(&handle, "a pause", |state| *state == TaskState::Paused).await;
    assert_eq!(scene.fake.asked(), []);
    handle.resume();
    scene.fake.until_put(1).await;
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_plugin_rewinds_pauses_and_asks_for_commits() {
    let scene = Scene::with(1, 5).await;
    let place = TopicPartition { topic: scene.topic.clone(), partition: 0 };
    let stranger = TopicPartition { topic: "elsewhere".to_owned(), partition: 3 };
    let rewind = TopicOffset { topic: scene.topic.clone(), partition: 0, offset: 3 };
    scene.fake.request(SinkRequests { rewind: vec![rewind], pause: vec![stranger], ..SinkRequests::default() });
    scene.fake.request(SinkRequests { request_commit: true, pause: vec![place.clone()], ..SinkRequests::default() });
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(7).await;
    scene.fake.until("a flush", |asked| asked.contains(&Asked::Flush)).await;
    assert_eq!(scene.fake.values()[5..], ["3", "4"]);
    scene.broker.write(&scene.topic, 1, ["5".to_owned()]).await;
    scene.until_committed(5).await;
    assert_eq!(scene.fake.values().len(), 7, "the plugin has paused the partition");
    assert!(handle.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_dropped_handle_stops_its_task() {
    let scene = Scene::with(1, 1).await;
    let handle = scene.spawn(scene.spec());
    scene.fake.until_put(1).await;
    let mut states = handle.watch();
    drop(handle);
    let last =
        tokio::time::timeout(PATIENCE, states.wait_for(TaskState::is_final)).await.expect("an end").expect("a state").clone();
    assert_eq!(last, TaskState::Stopped);
    assert_eq!(scene.fake.asked().last(), Some(&Asked::Stop));
}

#[tokio::test]
async fn a_sink_outlives_a_restart_of_its_broker() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = DevBrokerConfig { data_dir: Some(folder.path().to_owned()), ..DevBrokerConfig::default() };
    let broker = TestBroker::start_on(config.clone()).await;
    let port = broker.bootstrap().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let topic = broker.topic(1).await;
    let mut scene = Scene { connector: format!("sink-{topic}"), broker, topic, fake: Fake::default() };
    scene.broker.write(&scene.topic, 1, ["a".to_owned()]).await;
    let more = [("heartbeat.interval.ms", "200"), ("reconnect.backoff.max.ms", "200")];
    let consumer = scene.broker.consumer_settings(&scene.connector, &more);
    let handle = scene.spawn(SinkSpec { consumer, commit: eager_commits(), ..scene.spec() });
    scene.fake.until_put(1).await;
    // The broker forgets the group's members: the partition is lost, and assigned anew.
    scene.broker.stop().await;
    scene.broker = TestBroker::start_on(DevBrokerConfig { port, ..config }).await;
    scene.broker.write(&scene.topic, 1, ["b".to_owned()]).await;
    let has_b =
        |asked: &[Asked]| asked.iter().any(|asked| matches!(asked, Asked::Put(values) if values.contains(&"b".to_owned())));
    scene.fake.until("the record after the restart", has_b).await;
    scene.until_committed(2).await;
    assert_eq!(handle.state(), TaskState::Running);
    assert!(handle.stop(PATIENCE).await);
}
