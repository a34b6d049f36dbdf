use proptest::prelude::*;

use super::super::memory::MemoryLog;
use super::*;

fn raw(json: &str) -> RawConfig {
    serde_json::from_str(json).unwrap()
}

async fn open(log: &Arc<MemoryLog>) -> ConfigStore {
    ConfigStore::open(log.clone()).await.unwrap()
}

/// A snapshot in a line: `name state [tasks] flags`.
fn summary(snapshot: &ConfigSnapshot) -> String {
    let connectors = snapshot.connectors.iter().map(|(name, connector)| {
        let tasks: Vec<_> = connector.tasks.iter().map(|task| serde_json::to_string(&**task).unwrap()).collect();
        let config = serde_json::to_string(&*connector.config).unwrap();
        let mut line = format!("{name} {config} {:?} [{}]/{}", connector.target, tasks.join(" "), connector.task_count);
        for (is_set, flag) in [
            (connector.inconsistent, " inconsistent"),
            (connector.pending_fencing, " pending"),
            (connector.applied.as_ref() == Some(&connector.config), " applied"),
        ] {
            line.push_str(if is_set { flag } else { "" });
        }
        if let Some(tasks) = connector.fenced_tasks {
            line.push_str(&format!(" fenced={tasks}"));
        }
        line
    });
    connectors.collect::<Vec<_>>().join("; ")
}

#[test]
fn records_have_the_bytes_of_kafka_connect() {
    let check = |record: Record, key: &str, value: Option<&str>| {
        let (bytes, content) = encode(&record);
        assert_eq!(String::from_utf8_lossy(&bytes), key);
        assert_eq!(content.as_deref().map(String::from_utf8_lossy).as_deref(), value);
        assert_eq!(decode(&bytes, content.as_deref()), Ok(record));
    };
    let name = || "a-1".to_owned();
    check(
        Record::Connector(name(), Some(raw(r#"{"name":"a-1","x":null}"#))),
        "connector-a-1",
        Some(r#"{"properties":{"name":"a-1","x":null}}"#),
    );
    check(Record::Connector(name(), None), "connector-a-1", None);
    check(Record::Task(name(), 12, Some(raw(r#"{"t":"é"}"#))), "task-a-1-12", Some(r#"{"properties":{"t":"é"}}"#));
    check(Record::Commit(name(), Some(3)), "commit-a-1", Some(r#"{"tasks":3}"#));
    check(Record::Commit(name(), None), "commit-a-1", None);
    check(
        Record::Target(name(), Some(TargetState::Stopped)),
        "target-state-a-1",
        Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#),
    );
    check(
        Record::Target(name(), Some(TargetState::Started)),
        "target-state-a-1",
        Some(r#"{"state":"STARTED","state.v2":"STARTED"}"#),
    );
    check(Record::Fencing(name(), Some(2)), "tasks-fencing-a-1", Some(r#"{"task-count":2}"#));
    check(
        Record::Restart(RestartRequest { connector: "a-1".into(), include_tasks: true, only_failed: false }),
        "restart-connector-a-1",
        Some(r#"{"include-tasks":true,"only-failed":false}"#),
    );
    check(
        Record::SessionKey(SessionKey { key: "AAE=".into(), algorithm: "HmacSHA256".into(), creation_timestamp: 17 }),
        "session-key",
        Some(r#"{"key":"AAE=","algorithm":"HmacSHA256","creation-timestamp":17}"#),
    );
    check(
        Record::Logger { namespace: "org.apache".into(), level: "DEBUG".into() },
        "logger-cluster-org.apache",
        Some(r#"{"level":"DEBUG"}"#),
    );
}

#[test]
fn other_forms_are_read_or_refused() {
    let check = |key: &str, value: &str, expect: Option<Record>| {
        assert_eq!(decode(key.as_bytes(), Some(value.as_bytes())).ok(), expect, "{key} {value}");
    };
    let target = |state| Some(Record::Target("c".into(), Some(state)));
    check("target-state-c", r#"{"state":"STARTED"}"#, target(TargetState::Started));
    check("target-state-c", r#"{"state":"PAUSED"}"#, target(TargetState::Paused));
    check("target-state-c", r#"{"state":"STARTED","state.v2":7}"#, target(TargetState::Started));
    check("target-state-c", r#"{"state":"STARTED","state.v2":"NONE"}"#, None);
    check("target-state-c", r#"{"state":"STOPPED?"}"#, None);
    check("target-state-c", r#"[]"#, None);
    let restart =
        |include_tasks| Some(Record::Restart(RestartRequest { connector: "c".into(), include_tasks, only_failed: false }));
    check("restart-connector-c", "{}", restart(false));
    check("restart-connector-c", r#"{"include-tasks":true,"only-failed":"yes"}"#, restart(true));
    check("commit-c", r#"{"tasks":3,"more":1}"#, Some(Record::Commit("c".into(), Some(3))));
    for value in [r#"{"tasks":-1}"#, r#"{"tasks":2147483648}"#, r#"{"tasks":"3"}"#, r#"{"tasks":3.5}"#, "{}", "x", ""] {
        check("commit-c", value, None);
    }
    check("task-c-0", r#"{"properties":{"a":{}}}"#, None);
    check("task-c-0", r#"{"properties":null}"#, None);
    for key in ["task-c", "task--1", "task-c-", "task-c-x", "task-c-+1", "task-c-2147483648", "connector-", "other", ""] {
        check(key, r#"{"properties":{}}"#, None);
    }
    check("session-key", r#"{"key":"k","algorithm":"a","creation-timestamp":1.5}"#, None);
    assert!(decode(b"session-key", None).is_err());
    assert!(decode(b"restart-connector-c", None).is_err());
    assert!(decode(b"connector-\xff", None).is_err());
}

/// Reads a log from the start, and then again record by record after an empty start; answers both snapshots.
async fn read(records: &[(&str, Option<&str>)]) -> (String, String) {
    let cold = summary(&open(&MemoryLog::with(records.iter().copied())).await.snapshot());
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    for &(key, value) in records {
        log.append(vec![(key.into(), value.map(Into::into))]).await.unwrap();
    }
    (cold, summary(&store.snapshot()))
}

#[tokio::test]
async fn a_log_is_read_by_kafka_connects_rules() {
    async fn check(records: &[(&str, Option<&str>)], cold: &str, live: &str) {
        let (read_cold, read_live) = read(records).await;
        assert_eq!(read_cold, cold, "cold {records:?}");
        assert_eq!(read_live, live, "live {records:?}");
    }
    const CONFIG: (&str, Option<&str>) = ("connector-c", Some(r#"{"properties":{"a":"1"}}"#));
    const TASK_0: (&str, Option<&str>) = ("task-c-0", Some(r#"{"properties":{"t":"0"}}"#));
    const TASK_1: (&str, Option<&str>) = ("task-c-1", Some(r#"{"properties":{"t":"1"}}"#));
    const COMMIT_1: (&str, Option<&str>) = ("commit-c", Some(r#"{"tasks":1}"#));
    const COMMIT_2: (&str, Option<&str>) = ("commit-c", Some(r#"{"tasks":2}"#));
    let one = r#"c {"a":"1"} Started [{"t":"0"}]/1 pending applied"#;
    let two = r#"c {"a":"1"} Started [{"t":"0"} {"t":"1"}]/2 pending applied"#;
    let bare = r#"c {"a":"1"} Started []/0"#;
    // Nothing counts before the commit; surplus numbers are left over from more tasks.
    check(&[CONFIG, TASK_0], bare, bare).await;
    check(&[CONFIG, TASK_0, COMMIT_1], one, one).await;
    check(&[CONFIG, TASK_0, TASK_1, COMMIT_2], two, two).await;
    check(&[CONFIG, TASK_1, TASK_0, COMMIT_1], one, one).await;
    check(&[CONFIG, TASK_0, TASK_1, COMMIT_2, TASK_0, COMMIT_1], one, one).await;
    // A commit without all of its tasks shows none, but tells how many there should be.
    let broken = r#"c {"a":"1"} Started []/2 inconsistent pending"#;
    check(&[CONFIG, TASK_1, COMMIT_2], broken, broken).await;
    check(&[CONFIG, TASK_1, COMMIT_2, TASK_0, TASK_1, COMMIT_2], two, two).await;
    // What was deferred does not outlive a commit.
    check(&[CONFIG, TASK_1, COMMIT_2, TASK_0, COMMIT_2], broken, broken).await;
    // An identical configuration, sent again, and compaction (KAFKA-17719): must not lose the tasks at the next start.
    check(&[TASK_0, COMMIT_1, CONFIG], one, bare).await;
    check(&[TASK_0, COMMIT_1], "", "").await;
    // Left-overs of a deleted connector.
    check(&[CONFIG, TASK_0, COMMIT_1, ("connector-c", None)], "", "").await;
    check(&[TASK_0, COMMIT_1, ("connector-c", None), CONFIG], bare, bare).await;
    check(&[TASK_0, COMMIT_1, ("task-c-0", None), ("commit-c", None), CONFIG], bare, bare).await;
    // The configuration changed after the tasks were computed.
    let changed = ("connector-c", Some(r#"{"properties":{"a":"2"}}"#));
    let stale = r#"c {"a":"2"} Started [{"t":"0"}]/1 pending"#;
    check(&[CONFIG, TASK_0, COMMIT_1, changed], stale, stale).await;
    // No tasks at all.
    let none = r#"c {"a":"1"} Started []/0 pending applied"#;
    check(&[CONFIG, ("commit-c", Some(r#"{"tasks":0}"#))], none, none).await;
    // Target states come before or after the connector, and stay over its deletion.
    let paused = ("target-state-c", Some(r#"{"state":"PAUSED","state.v2":"PAUSED"}"#));
    let resting = r#"c {"a":"1"} Paused []/0"#;
    check(&[paused, CONFIG], resting, resting).await;
    check(&[CONFIG, paused], resting, resting).await;
    check(&[CONFIG, paused, ("connector-c", None), CONFIG], resting, resting).await;
    check(&[CONFIG, paused, ("target-state-c", None)], bare, bare).await;
    check(&[CONFIG, paused, ("target-state-c", Some("{}"))], resting, resting).await;
    // A task-count record ends the need to fence until the next commit.
    let count = ("tasks-fencing-c", Some(r#"{"task-count":1}"#));
    let fenced = r#"c {"a":"1"} Started [{"t":"0"}]/1 applied fenced=1"#;
    check(&[CONFIG, TASK_0, COMMIT_1, count], fenced, fenced).await;
    let again = r#"c {"a":"1"} Started [{"t":"0"}]/1 pending applied fenced=1"#;
    check(&[CONFIG, count, TASK_0, COMMIT_1], again, again).await;
    // What makes no sense is skipped.
    check(&[("connector-c", Some("no JSON")), CONFIG, ("commit-c", Some("[]")), ("odd", Some("{}"))], bare, bare).await;
}

#[tokio::test]
async fn writes_in_kafka_connects_order() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    let config = raw(r#"{"name":"c","tasks.max":"2"}"#);
    assert_eq!(store.put_connector("c", config.clone(), Some(TargetState::Stopped)).await.unwrap(), Written::Yes);
    store.put_task_configs("c", vec![raw(r#"{"t":"0"}"#), raw(r#"{"t":"1"}"#)]).await.unwrap();
    store.put_target_state("c", TargetState::Started).await.unwrap();
    let keys = |log: &MemoryLog| log.texts().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(&log), ["target-state-c", "connector-c", "task-c-0", "task-c-1", "commit-c", "target-state-c"]);
    // The same again is not written, in whatever order its keys come.
    let same = raw(r#"{"tasks.max":"2","name":"c"}"#);
    assert_eq!(store.put_connector("c", same, None).await.unwrap(), Written::Unchanged);
    assert_eq!(keys(&log).len(), 6);

    store.delete_connector("c").await.unwrap();
    let deletion: Vec<_> = log.texts().split_off(6);
    let keys = ["connector-c", "target-state-c", "task-c-0", "task-c-1", "commit-c"];
    assert_eq!(deletion, keys.map(|key| (key.to_owned(), None)));
    assert!(store.snapshot().connectors.is_empty());

    // Nothing of it comes back with a connector of the same name.
    store.put_connector("c", config, None).await.unwrap();
    for compacted in [false, true] {
        let again = open(&log.reopened(compacted)).await;
        assert!(summary(&again.snapshot()).starts_with(r#"c {"name":"c","tasks.max":"2"} Started []/0"#));
    }
}

#[tokio::test]
async fn announces_what_happens_after_the_start() {
    let request = RestartRequest { connector: "c".into(), include_tasks: true, only_failed: true };
    let (key, value) = encode(&Record::Restart(request.clone()));
    let log = MemoryLog::with([(key, value), (b"logger-cluster-x".to_vec(), Some(br#"{"level":"INFO"}"#.to_vec()))]);
    let store = open(&log).await;
    let mut changes = store.changes();
    store.put_connector("c", raw("{}"), None).await.unwrap();
    store.put_task_configs("c", vec![raw("{}")]).await.unwrap();
    store.put_target_state("c", TargetState::Paused).await.unwrap();
    store.put_restart(request.clone()).await.unwrap();
    store.put_logger_level("x", "DEBUG").await.unwrap();
    let key = SessionKey { key: "k".into(), algorithm: "HmacSHA256".into(), creation_timestamp: 1 };
    store.put_session_key(key.clone()).await.unwrap();
    store.put_task_count("c", 1).await.unwrap();
    store.delete_connector("c").await.unwrap();
    let mut seen = Vec::new();
    while let Ok(change) = changes.try_recv() {
        seen.push(change);
    }
    let name: Arc<str> = "c".into();
    assert_eq!(
        seen,
        [
            ConfigChange::Connector(name.clone()),
            ConfigChange::Tasks(name.clone()),
            ConfigChange::Target(name.clone()),
            ConfigChange::Restart(request),
            ConfigChange::LoggerLevel { namespace: "x".into(), level: "DEBUG".into() },
            ConfigChange::SessionKey,
            ConfigChange::Removed(name),
        ]
    );
    assert_eq!(store.snapshot().session_key.as_deref(), Some(&key));
    assert_eq!(store.snapshot().offset, log.texts().len() as i64);
    assert!(!format!("{:?}", store.snapshot()).contains("\"k\""));
}

#[tokio::test]
async fn a_failed_write_changes_nothing() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    store.put_connector("c", raw(r#"{"a":"1"}"#), None).await.unwrap();
    log.set_failing(true);
    store.put_connector("c", raw(r#"{"a":"2"}"#), None).await.unwrap_err();
    store.put_task_configs("c", vec![raw("{}")]).await.unwrap_err();
    store.delete_connector("c").await.unwrap_err();
    assert_eq!(summary(&store.snapshot()), r#"c {"a":"1"} Started []/0"#);
}

#[tokio::test]
async fn generations_grow_with_every_commit() {
    let log = Arc::new(MemoryLog::default());
    let store = open(&log).await;
    let generation = || store.snapshot().connector("c").and_then(|connector| connector.generation);
    store.put_connector("c", raw("{}"), None).await.unwrap();
    assert_eq!(generation(), None);
    for expect in 0..3 {
        store.put_task_configs("c", vec![raw("{}")]).await.unwrap();
        assert_eq!(generation(), Some(expect));
    }
    // A connector of the same name goes on counting, so that no two commits are taken for one.
    store.delete_connector("c").await.unwrap();
    store.put_connector("c", raw("{}"), None).await.unwrap();
    store.put_task_configs("c", vec![]).await.unwrap();
    assert_eq!(generation(), Some(3));
}

/// Something that a user or the herder does.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Tasks(u8, Vec<u8>),
    Target(u8, TargetState),
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![Just(TargetState::Started), Just(TargetState::Paused), Just(TargetState::Stopped)];
    prop_oneof![
        (0..3u8, 0..2u8).prop_map(|(name, config)| Step::Put(name, config)),
        (0..3u8).prop_map(Step::Delete),
        (0..3u8, prop::collection::vec(0..3u8, 0..4)).prop_map(|(name, tasks)| Step::Tasks(name, tasks)),
        (0..3u8, state).prop_map(|(name, state)| Step::Target(name, state)),
    ]
}

/// What must survive a restart, whatever compaction has removed.
fn lasting(snapshot: &ConfigSnapshot) -> String {
    let lines = snapshot
        .connectors
        .iter()
        .map(|(name, c)| format!("{name} {:?} {:?} {:?} {}", c.config, c.target, c.tasks, c.inconsistent));
    lines.collect::<Vec<_>>().join("; ")
}

/// Any bytes, and texts that come close to records.
fn hostile() -> impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)> {
    let prefix = prop::sample::select(vec![
        "connector-",
        "task-",
        "commit-",
        "target-state-",
        "tasks-fencing-",
        "restart-connector-",
        "session-key",
        "logger-cluster-",
        "",
    ]);
    let rest = prop_oneof![Just(String::new()), "[abc]", "[ab]-[0-9]{1,11}", "\\PC{0,8}"];
    let key = prop_oneof![(prefix, rest).prop_map(|(prefix, rest)| format!("{prefix}{rest}").into_bytes()), any::<Vec<u8>>()];
    let json = prop::sample::select(vec![
        r#"{"properties":{"a":"b"}}"#,
        r#"{"properties":[]}"#,
        r#"{"properties":{"a":[[[]]]}}"#,
        r#"{"tasks":1}"#,
        r#"{"tasks":2147483647}"#,
        r#"{"tasks":99999999999999999999}"#,
        r#"{"state":1}"#,
        r#"{"state":"PAUSED"}"#,
        r#"{"task-count":2}"#,
        r#"{"level":"x"}"#,
        "null",
        "[]",
        "\"",
        "{",
        "1e999",
        "",
    ]);
    let value = prop_oneof![json.prop_map(|text| text.as_bytes().to_vec()), any::<Vec<u8>>()];
    (key, prop::option::of(value))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn a_compacted_log_tells_the_same(steps in prop::collection::vec(step(), 0..30)) {
        block_on(async {
            let log = Arc::new(MemoryLog::default());
            let store = open(&log).await;
            for step in steps {
                let exists = |name: &str| store.snapshot().connector(name).is_some();
                match step {
                    Step::Put(name, config) => {
                        let config = raw(&format!(r#"{{"config":"{config}"}}"#));
                        store.put_connector(&name.to_string(), config, None).await.unwrap();
                    }
                    Step::Delete(name) => store.delete_connector(&name.to_string()).await.unwrap(),
                    Step::Tasks(name, tasks) if exists(&name.to_string()) => {
                        let tasks = tasks.iter().map(|task| raw(&format!(r#"{{"task":"{task}"}}"#))).collect();
                        store.put_task_configs(&name.to_string(), tasks).await.unwrap();
                    }
                    Step::Target(name, state) if exists(&name.to_string()) => {
                        store.put_target_state(&name.to_string(), state).await.unwrap();
                    }
                    Step::Tasks(..) | Step::Target(..) => {}
                }
            }
            let live = lasting(&store.snapshot());
            assert_eq!(lasting(&open(&log.reopened(false)).await.snapshot()), live);
            assert_eq!(lasting(&open(&log.reopened(true)).await.snapshot()), live);
        });
    }

    #[test]
    fn no_bytes_cause_a_panic(records in prop::collection::vec(hostile(), 0..40)) {
        block_on(async {
            let store = open(&MemoryLog::with(records.clone())).await;
            let live = Arc::new(MemoryLog::default());
            let follower = open(&live).await;
            live.append(records).await.unwrap();
            // And the store still works.
            store.put_connector("ok", raw("{}"), None).await.unwrap();
            follower.put_connector("ok", raw("{}"), None).await.unwrap();
            assert!(follower.snapshot().connector("ok").is_some());
        });
    }
}
