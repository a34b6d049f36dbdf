use proptest::prelude::*;

use super::super::memory::MemoryLog;
use super::*;

const SOON: Duration = Duration::from_secs(20);

fn status(state: State, worker: &str, generation: i32) -> Status {
    Status { state, trace: None, worker_id: worker.to_owned(), generation, version: None }
}

async fn open(log: &Arc<MemoryLog>) -> StatusStore {
    StatusStore::open(log.clone()).await.unwrap()
}

async fn stored(store: &StatusStore, log: &MemoryLog) -> Vec<(String, Option<String>)> {
    store.flush(SOON).await.unwrap();
    log.texts()
}

#[tokio::test]
async fn records_have_the_bytes_of_kafka_connect() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    let failed = Status { trace: Some("no\nluck".into()), ..status(State::Failed, "10.0.0.1:8083", 7) };
    store.put_connector("a-b", status(State::Running, "10.0.0.1:8083", 7));
    store.put_task("a-b", 3, failed.clone());
    store.track_topic("a-b", 3, "t.x:y");
    let texts = stored(&store, &log).await;
    let discovered = store.topics("a-b")[0].discovered_ms;
    let expect = [
        (
            "status-connector-a-b",
            r#"{"state":"RUNNING","trace":null,"worker_id":"10.0.0.1:8083","generation":7,"version":null}"#.to_owned(),
        ),
        (
            "status-task-a-b-3",
            r#"{"state":"FAILED","trace":"no\nluck","worker_id":"10.0.0.1:8083","generation":7,"version":null}"#.to_owned(),
        ),
        (
            "status-topic-t.x:y:connector-a-b",
            format!(r#"{{"topic":{{"name":"t.x:y","connector":"a-b","task":3,"discoverTimestamp":{discovered}}}}}"#),
        ),
    ];
    assert_eq!(texts, expect.map(|(key, value)| (key.to_owned(), Some(value))));

    let again = open(&log.reopened(true)).await;
    assert_eq!(again.connector("a-b"), Some(status(State::Running, "10.0.0.1:8083", 7)));
    assert_eq!(again.tasks("a-b"), [(3, failed)]);
    assert_eq!(again.topics("a-b"), store.topics("a-b"));
    assert_eq!(again.connectors(), [Arc::from("a-b")]);

    store.remove_connector("a-b");
    store.reset_topics("a-b");
    let texts = stored(&store, &log).await;
    let removed = ["status-connector-a-b", "status-task-a-b-3", "status-topic-t.x:y:connector-a-b"];
    assert_eq!(texts[3..], removed.map(|key| (key.to_owned(), None)));
    assert!(store.connector("a-b").is_none() && store.tasks("a-b").is_empty() && store.topics("a-b").is_empty());
    // What is not there needs no tombstone.
    store.remove_task("a-b", 9);
    assert_eq!(stored(&store, &log).await.len(), 6);
}

#[tokio::test]
async fn a_trace_belongs_to_failed_only_and_is_bounded() {
    let store = open(&Arc::default()).await;
    store.put_task("c", 0, Status { trace: Some("old".into()), ..status(State::Running, "w", 1) });
    assert_eq!(store.task("c", 0).unwrap().trace, None);
    store.put_task("c", 0, Status { trace: Some("é".repeat(MAX_TRACE_BYTES)), ..status(State::Failed, "w", 1) });
    assert_eq!(store.task("c", 0).unwrap().trace.unwrap().len(), MAX_TRACE_BYTES);
}

#[tokio::test]
async fn conditional_writes_yield_to_later_ones_of_others() {
    async fn check(present: Option<(&str, i32)>, worker: &str, generation: i32, expect: State) {
        let log = Arc::new(MemoryLog::default());
        let store = open(&log).await;
        if let Some((worker, generation)) = present {
            store.put_task("c", 0, status(State::Running, worker, generation));
        }
        store.put_task_safe("c", 0, status(State::Failed, worker, generation));
        assert_eq!(store.task("c", 0).unwrap().state, expect, "{present:?} {worker} {generation}");
        store.flush(SOON).await.unwrap();
        assert_eq!(open(&log.reopened(false)).await.task("c", 0).unwrap().state, expect);
    }
    check(None, "a", 1, State::Failed).await;
    check(Some(("a", 1)), "a", 1, State::Failed).await;
    check(Some(("a", 2)), "a", 1, State::Failed).await;
    check(Some(("b", 1)), "a", 1, State::Failed).await;
    check(Some(("b", 1)), "a", 2, State::Failed).await;
    check(Some(("b", 2)), "a", 1, State::Running).await;
}

#[tokio::test]
async fn a_late_unassigned_does_not_hide_a_running_task() {
    async fn check(key: &str, running: (&str, i32), unassigned: (&str, i32), expect: State) {
        let json = |state: &str, (worker, generation): (&str, i32)| {
            format!(r#"{{"state":"{state}","trace":null,"worker_id":"{worker}","generation":{generation}}}"#)
        };
        let log = MemoryLog::with([(key, Some(json("RUNNING", running))), (key, Some(json("UNASSIGNED", unassigned)))]);
        let store = open(&log).await;
        let found = store.connector("c").or_else(|| store.task("c", 0)).unwrap();
        assert_eq!(found.state, expect, "{key} {running:?} {unassigned:?}");
    }
    check("status-task-c-0", ("a", 2), ("b", 1), State::Running).await;
    check("status-task-c-0", ("a", 2), ("b", 2), State::Running).await;
    check("status-task-c-0", ("a", 2), ("a", 1), State::Running).await;
    check("status-task-c-0", ("a", 2), ("a", 2), State::Unassigned).await;
    check("status-task-c-0", ("a", 2), ("b", 3), State::Unassigned).await;
    check("status-connector-c", ("a", 2), ("b", 1), State::Unassigned).await;
}

#[tokio::test]
async fn statuses_outlive_a_backend_that_fails() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    log.set_failing(true);
    store.put_task("c", 0, status(State::Running, "w", 1));
    store.flush(Duration::from_millis(1)).await.unwrap_err();
    // Readers see it at once; what replaces it is all that is written in the end.
    assert_eq!(store.task("c", 0).unwrap().state, State::Running);
    store.put_task("c", 0, status(State::Paused, "w", 1));
    store.put_task("c", 1, status(State::Running, "w", 1));
    store.put_task_safe("c", 2, status(State::Failed, "w", 1));
    assert_eq!(store.tasks("c").len(), 3);
    // Meanwhile task 2 has moved to another worker.
    log.set_failing(false);
    let (key, value) = records::encode(&Key::Task("c".into(), 2), Some(&Value::Status(status(State::Running, "other", 2))));
    log.append(vec![(key, value)]).await.unwrap();
    store.flush(SOON).await.unwrap();
    let states: Vec<_> = store.tasks("c").into_iter().map(|(task, status)| (task, status.state)).collect();
    assert_eq!(states, [(0, State::Paused), (1, State::Running), (2, State::Running)]);
    let keys: Vec<_> = log.texts().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["status-task-c-2", "status-task-c-0", "status-task-c-1"]);
}

#[tokio::test]
async fn topics_are_tracked_once_and_bounded() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    store.track_topic("c", 0, "t");
    store.track_topic("c", 1, "t");
    store.track_topic("d", 0, "t");
    assert_eq!(stored(&store, &log).await.len(), 2);
    assert_eq!(store.topics("c")[0].task, 0);
    store.reset_topics("c");
    assert!(store.topics("c").is_empty());
    assert_eq!(store.topics("d").len(), 1);
}

fn hostile() -> impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)> {
    let prefix = prop::sample::select(vec!["status-connector-", "status-task-", "status-topic-", ""]);
    let rest = prop_oneof!["[ab]", "[ab]-[0-9]{1,11}", "t:connector-[ab]", ":connector-", "\\PC{0,8}"];
    let key = prop_oneof![(prefix, rest).prop_map(|(a, b)| format!("{a}{b}").into_bytes()), any::<Vec<u8>>()];
    let json = prop::sample::select(vec![
        r#"{"state":"RUNNING","trace":null,"worker_id":"w","generation":1}"#,
        r#"{"state":"DESTROYED","trace":null,"worker_id":"w","generation":1}"#,
        r#"{"state":"RUNNING","worker_id":"w","generation":1e9}"#,
        r#"{"state":"UNASSIGNED","worker_id":"w","generation":-1}"#,
        r#"{"state":"RUNNING","worker_id":null,"generation":99999999999}"#,
        r#"{"topic":{"name":"t","connector":"c","task":0,"discoverTimestamp":1700000000000}}"#,
        r#"{"topic":{"name":"t"}}"#,
        "null",
        "[]",
        "",
    ]);
    let value = prop_oneof![json.prop_map(|text| text.as_bytes().to_vec()), any::<Vec<u8>>()];
    (key, prop::option::of(value))
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(records in prop::collection::vec(hostile(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let log = MemoryLog::with(records);
            let store = open(&log).await;
            for connector in store.connectors() {
                store.remove_connector(&connector);
            }
            store.put_task_safe("a", 0, status(State::Failed, "w", i32::MAX));
            assert_eq!(store.task("a", 0).unwrap().state, State::Failed);
            store.flush(SOON).await.unwrap();
        });
    }

    #[test]
    fn statuses_round_trip(
        name in "\\PC{1,12}", task in 0..=i32::MAX as u32, trace in prop::option::of("(?s).{0,40}"), worker in "\\PC{0,9}", generation: i32, version in prop::option::of("[0-9.]{0,5}"),
    ) {
        let status = Status { state: State::Failed, trace, worker_id: worker, generation, version };
        let key = Key::Task(name.as_str().into(), task);
        let (bytes, value) = records::encode(&key, Some(&Value::Status(status.clone())));
        prop_assert_eq!(decode(&bytes, value.as_deref()), Ok((key, Some(Value::Status(status)))));
    }
}
