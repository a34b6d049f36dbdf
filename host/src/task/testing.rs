//! Fakes in place of plugins and stores, which do as a test's script says and write down what they were asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::convert::Converters;
use crate::kafka::testing::{PATIENCE, TestBroker};
use crate::kafka::{ProducerLimits, ReservedTopics, Subscription};
use crate::record::{Batch, BatchBuilder, BatchLimits, Record, SchemaTable};
use crate::sandbox::{
    Call, CallError, Checkpoint, Failure, OffsetReader, Polled, SinkRequests, TopicOffset, TopicPartition, Transformed, Usage,
};

/// What a plugin was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Open(usize),
    Close(usize),
    Put(Vec<String>),
    Flush,
    Poll,
    Committed(Vec<String>),
    Stop,
}

type PutAnswer = Result<Vec<Failure>, CallError>;
type FlushAnswer = Box<dyn Fn(TopicOffset) -> Option<TopicOffset> + Send>;

#[derive(Default)]
struct Script {
    asked: Vec<Asked>,
    puts: VecDeque<PutAnswer>,
    /// Answer to every put once `puts` is used up.
    put: Option<CallError>,
    flush: Option<FlushAnswer>,
    /// A value over which put crashes, or flush if it comes after the value.
    poison: Option<(String, Call)>,
    /// Values that this instance took and did not flush.
    unflushed: Vec<String>,
    /// Values that were taken.
    taken: Vec<String>,
    starts: u32,
    requests: VecDeque<SinkRequests>,
    polls: VecDeque<Result<Polled, CallError>>,
    /// A poll that finds nothing in `polls` never comes back.
    hangs: bool,
}

/// A plugin that follows a script; the test keeps the other end.
#[derive(Clone, Default)]
pub(super) struct Fake {
    script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
}

impl Fake {
    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.script.lock().expect("a script"))
    }

    fn note(&self, asked: Asked) {
        self.with(|script| script.asked.push(asked));
        self.changed.notify_waiters();
    }

    pub(super) fn answer_put(&self, answer: PutAnswer) {
        self.with(|script| script.puts.push_back(answer));
    }

    pub(super) fn answer_puts(&self, answer: Option<CallError>) {
        self.with(|script| script.put = answer);
    }

    pub(super) fn answer_flush(&self, answer: impl Fn(TopicOffset) -> Option<TopicOffset> + Send + 'static) {
        self.with(|script| script.flush = Some(Box::new(answer)));
    }

    /// Has put, or flush, crash over a value.
    pub(super) fn crash_on(&self, value: &str, call: Call) {
        self.with(|script| script.poison = Some((value.to_owned(), call)));
    }

    /// All values that were taken, each once, in order of their texts.
    pub(super) fn taken(&self) -> Vec<String> {
        let taken: std::collections::BTreeSet<String> = self.with(|script| script.taken.iter().cloned().collect());
        taken.into_iter().collect()
    }

    /// Instances that were started.
    pub(super) fn starts(&self) -> u32 {
        self.with(|script| script.starts)
    }

    pub(super) fn request(&self, requests: SinkRequests) {
        self.with(|script| script.requests.push_back(requests));
    }

    pub(super) fn answer_poll(&self, answer: Result<Polled, CallError>) {
        self.with(|script| script.polls.push_back(answer));
    }

    pub(super) fn hang(&self) {
        self.with(|script| script.hangs = true);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.with(|script| script.asked.clone())
    }

    /// All values that were put, in order.
    pub(super) fn values(&self) -> Vec<String> {
        let puts = self.asked().into_iter().filter_map(|asked| if let Asked::Put(values) = asked { Some(values) } else { None });
        puts.flatten().collect()
    }

    /// Waits until what was asked satisfies a condition.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&[Asked]) -> bool) {
        self.when(what, |script| condition(&script.asked)).await;
    }

    /// Waits until so many different values were taken.
    pub(super) async fn until_taken(&self, count: usize) {
        let different = |script: &Script| script.taken.iter().collect::<std::collections::BTreeSet<_>>().len();
        self.when(&format!("{count} values"), |script| different(script) >= count).await;
    }

    async fn when(&self, what: &str, condition: impl Fn(&Script) -> bool) {
        let met = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.with(|script| condition(script)) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, met).await.is_err() {
            panic!("{what} did not come: {:?}", self.asked());
        }
    }

    /// Waits until so many values were put, repetitions included.
    pub(super) async fn until_put(&self, count: usize) {
        let total = |asked: &[Asked]| {
            asked.iter().map(|asked| if let Asked::Put(values) = asked { values.len() } else { 0 }).sum::<usize>()
        };
        self.until(&format!("{count} values"), |asked| total(asked) >= count).await;
    }
}

#[async_trait]
impl StartSink for Fake {
    fn class(&self) -> String {
        "FakeSink".to_owned()
    }

    async fn start(&self) -> Result<Box<dyn SinkPlugin>, CallError> {
        self.with(|script| {
            script.starts += 1;
            script.unflushed.clear();
        });
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl StartSource for Fake {
    fn class(&self) -> String {
        "FakeSource".to_owned()
    }

    async fn start(&self, _offsets: Arc<dyn OffsetReader>) -> Result<Box<dyn SourcePlugin>, CallError> {
        Ok(Box::new(self.clone()))
    }
}

fn values_of(batch: &Batch) -> Vec<String> {
    batch.records().map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()).collect()
}

#[async_trait]
impl SinkPlugin for Fake {
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        self.note(Asked::Open(partitions.len()));
        Ok(())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        self.note(Asked::Close(partitions.len()));
        Ok(())
    }

    async fn put(&mut self, records: &Batch) -> Result<Vec<Failure>, CallError> {
        assert_eq!(records.offsets.len(), records.len(), "a sink sees offsets");
        let answer = self.with(|script| {
            let standing = script.put.clone().map_or(Ok(Vec::new()), Err);
            script.puts.pop_front().unwrap_or(standing)
        });
        let values = values_of(records);
        let answer = self.with(|script| {
            let poisoned = matches!(&script.poison, Some((poison, Call::Put)) if values.contains(poison));
            let answer = if poisoned { Err(trap(Call::Put)) } else { answer };
            if answer.is_ok() {
                script.unflushed.extend(values.clone());
                script.taken.extend(values.clone());
            }
            answer
        });
        self.note(Asked::Put(values));
        answer
    }

    async fn flush(&mut self, offsets: &[TopicOffset]) -> Result<Vec<TopicOffset>, CallError> {
        self.note(Asked::Flush);
        self.with(|script| match &script.poison {
            Some((poison, Call::Flush)) if script.unflushed.contains(poison) => Err(trap(Call::Flush)),
            _ => {
                script.unflushed.clear();
                Ok(())
            }
        })?;
        let answer = |at: &TopicOffset| {
            self.with(|script| script.flush.as_ref().map_or_else(|| Some(at.clone()), |answer| answer(at.clone())))
        };
        Ok(offsets.iter().filter_map(answer).collect())
    }

    fn take_requests(&mut self) -> SinkRequests {
        let has_put = self.asked().iter().any(|asked| matches!(asked, Asked::Put(_)));
        if has_put { self.with(|script| script.requests.pop_front()).unwrap_or_default() } else { SinkRequests::default() }
    }

    async fn stop(self: Box<Self>) {
        self.note(Asked::Stop);
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl SourcePlugin for Fake {
    async fn poll(&mut self) -> Result<Polled, CallError> {
        self.note(Asked::Poll);
        let (answer, hangs) = self.with(|script| (script.polls.pop_front(), script.hangs));
        match answer {
            Some(answer) => answer,
            None if hangs => std::future::pending().await,
            // Nothing for an hour: what a test expects before that must not need another poll.
            None => Ok(Polled { records: Batch::default(), checkpoints: Vec::new(), idle: Duration::from_secs(3600) }),
        }
    }

    async fn committed(&mut self, checkpoints: &[Checkpoint]) -> Result<(), CallError> {
        self.note(Asked::Committed(checkpoints.iter().map(|checkpoint| checkpoint.offset.clone()).collect()));
        Ok(())
    }

    async fn stop(self: Box<Self>) {
        self.note(Asked::Stop);
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// A chain that drops records whose value ends in `x`, refuses those that end in `!`, crashes over those that end in `#`, and is in
/// the way for now as often as told.
#[derive(Clone, Default)]
pub(super) struct FakeChain {
    pub(super) retriable: Arc<Mutex<u32>>,
}

#[async_trait]
impl StartChain for FakeChain {
    async fn start(&self) -> Result<Link, CallError> {
        Ok(Link { chain: Box::new(self.clone()), when: None, classes: vec!["FakeChain".to_owned()] })
    }
}

#[async_trait]
impl Chain for FakeChain {
    async fn apply(&mut self, records: &Batch) -> Result<Transformed, CallError> {
        {
            let mut left = self.retriable.lock().expect("a count");
            if *left > 0 {
                *left -= 1;
                return Err(CallError::Retriable("not now".to_owned()));
            }
        }
        let ends = |at: usize, with: u8| {
            records.records().nth(at).and_then(|record| record.value).is_some_and(|value| value.last() == Some(&with))
        };
        if (0..records.len()).any(|at| ends(at, b'#')) {
            return Err(trap(Call::Apply));
        }
        let (mut batch, origins) = select::select(records, |at| !ends(at, b'x') && !ends(at, b'!'));
        batch.offsets.clear();
        let refused = (0..records.len()).filter(|at| ends(*at, b'!'));
        let failures = refused.map(|at| refusal(at as u32, "refused")).collect();
        Ok(Transformed { records: batch, origins, failures })
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// Keeps source offsets in memory, or refuses to.
#[derive(Default)]
pub(super) struct MemoryCheckpoints {
    stored: Mutex<BTreeMap<String, String>>,
    pub(super) refuses: AtomicBool,
    changed: Notify,
    tried: AtomicBool,
}

impl MemoryCheckpoints {
    pub(super) fn get(&self, partition: &str) -> Option<String> {
        self.stored.lock().expect("offsets").get(partition).cloned()
    }

    pub(super) fn was_tried(&self) -> bool {
        self.tried.load(Ordering::SeqCst)
    }

    /// Waits until a write was tried, or a partition has an offset.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let met = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, met).await.is_ok(), "{what} did not come");
    }
}

#[async_trait]
impl Checkpoints for MemoryCheckpoints {
    async fn get(&self, _connector: &str, partitions: &[String]) -> Result<Vec<Option<String>>, String> {
        Ok(partitions.iter().map(|partition| MemoryCheckpoints::get(self, partition)).collect())
    }

    async fn put(&self, _connector: &str, offsets: Vec<(String, String)>) -> Result<(), String> {
        self.tried.store(true, Ordering::SeqCst);
        let refuses = self.refuses.load(Ordering::SeqCst);
        if !refuses {
            self.stored.lock().expect("offsets").extend(offsets);
        }
        self.changed.notify_waiters();
        if refuses { Err("the store is full".to_owned()) } else { Ok(()) }
    }
}

impl TopicTracker for Mutex<Vec<String>> {
    fn used(&self, _connector: &str, topic: &str) {
        self.lock().expect("topics").push(topic.to_owned());
    }
}

/// A record that a plugin refuses.
pub(super) fn refusal(index: u32, reason: &str) -> Failure {
    Failure { index, reason: reason.to_owned(), kind: None, step: 0 }
}

/// A trap in a call.
pub(super) fn trap(call: Call) -> CallError {
    CallError::Trap { call, message: "unreachable".to_owned() }
}

pub(super) fn converters(class: &str) -> Converters {
    let keys = [("key.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"), ("value.converter", class)];
    let mut config: Vec<(String, String)> = keys.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    config.push(("header.converter".to_owned(), "org.apache.kafka.connect.converters.ByteArrayConverter".to_owned()));
    Converters::from_config(&config, &[], &Arc::new(SchemaTable::default())).expect("converters")
}

pub(super) const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
pub(super) const INTEGER: &str = "org.apache.kafka.connect.converters.IntegerConverter";

/// Commits at once and often.
pub(super) fn eager_commits() -> CommitTiming {
    CommitTiming { interval: Duration::from_millis(20), timeout: PATIENCE }
}

/// Commits at the end only.
pub(super) fn late_commits() -> CommitTiming {
    CommitTiming { interval: Duration::from_secs(3600), timeout: PATIENCE }
}

pub(super) fn context(checkpoints: &Arc<MemoryCheckpoints>) -> TaskContext {
    TaskContext {
        checkpoints: checkpoints.clone(),
        topics: Arc::new(Mutex::new(Vec::new())),
        starts: Starts::default(),
        reserved: ReservedTopics::new(["connect-configs".to_owned()]),
    }
}

pub(super) fn sink_spec(broker: &TestBroker, connector: &str, topic: &str, fake: &Fake) -> SinkSpec {
    SinkSpec {
        id: TaskId { connector: connector.into(), task: 0 },
        plugin: Box::new(fake.clone()),
        chains: Vec::new(),
        converters: converters(BYTES),
        consumer: broker.consumer_settings(connector, &[]),
        subscription: Subscription::topics([topic.to_owned()]).expect("a topic"),
        batch: BatchLimits::default(),
        errors: ErrorPolicy::default(),
        commit: late_commits(),
        paused: false,
    }
}

pub(super) fn source_spec(broker: &TestBroker, fake: &Fake) -> SourceSpec {
    SourceSpec {
        id: TaskId { connector: "source".into(), task: 0 },
        plugin: Box::new(fake.clone()),
        chains: Vec::new(),
        converters: converters(BYTES),
        producer: broker.producer_settings(),
        producer_limits: ProducerLimits::default(),
        creation: None,
        errors: ErrorPolicy::default(),
        commit: eager_commits(),
        paused: false,
    }
}

/// A poll's answer: values for a topic's partition 0, and how far partition `{"p":1}` of the source is read then.
pub(super) fn polled(topic: &str, values: &[&str], offset: u32) -> Result<Polled, CallError> {
    polled_to(topic, 0, values, offset)
}

pub(super) fn polled_to(topic: &str, partition: i32, values: &[&str], offset: u32) -> Result<Polled, CallError> {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(Record { topic, partition, value: Some(value.as_bytes()), ..Record::default() }, []);
    }
    let through = values.len() as u32;
    let checkpoint = Checkpoint { through, partition: SOURCE.to_owned(), offset: at(offset) };
    Ok(Polled { records: builder.finish(), checkpoints: vec![checkpoint], idle: Duration::ZERO })
}

/// The source partition of [`polled`].
pub(super) const SOURCE: &str = r#"{"p":1}"#;

/// An offset of it.
pub(super) fn at(offset: u32) -> String {
    format!(r#"{{"at":{offset}}}"#)
}

/// Waits for a state.
pub(super) async fn until_state(handle: &TaskHandle, what: &str, condition: impl Fn(&TaskState) -> bool) -> TaskState {
    let mut states = handle.watch();
    match tokio::time::timeout(PATIENCE, states.wait_for(|state| condition(state))).await {
        Ok(Ok(state)) => state.clone(),
        other => panic!("{what} did not come: {:?} in state {:?}", other.is_err(), handle.state()),
    }
}

/// Waits until a task has failed and answers its trace.
pub(super) async fn trace_of(handle: &TaskHandle) -> String {
    match until_state(handle, "a failure", TaskState::is_final).await {
        TaskState::Failed { trace } => trace,
        other => panic!("the task ended as {other:?}"),
    }
}
