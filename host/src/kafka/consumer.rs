use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Timestamp, TopicPartitionList};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::context::{Shared, client_context};
use super::release::LastOut;
use super::topics::{offsets, partition_list, partitions};
use super::{ClientError, ClientSettings, Subscription, TopicOffset, TopicPartition};
use crate::record::{BatchBuilder, BatchLimits, HeaderValue, NO_TIMESTAMP, Record, SCHEMA_BYTES};

/// How often the topics of a pattern are looked up.
const PATTERN_REFRESH: Duration = Duration::from_secs(30);
/// How long the queue is left alone without a sign of librdkafka.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How long one look-up of topics, or one seek, may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers of one record at most; what comes after them is cut off.
const MAX_HEADERS: usize = 10_000;

/// The group gives or takes partitions. Until the answer ([`SinkConsumer::assign`] or [`SinkConsumer::unassign`]) the
/// consumer stays a member of its group and delivers no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalance {
    /// These partitions are this consumer's now. With an eager assignor all, with a cooperative one those that are new.
    Assign(Vec<TopicPartition>),
    /// These partitions are to be given up.
    Revoke {
        /// With an eager assignor all, with a cooperative one those that go.
        partitions: Vec<TopicPartition>,
        /// They are another member's already: nothing can be committed for them.
        lost: bool,
    },
}

/// How a commit that ran in the background ended.
#[derive(Debug)]
pub struct CommitReport {
    /// What was to be committed.
    pub offsets: Vec<TopicOffset>,
    /// Whether it was.
    pub result: Result<(), ClientError>,
}

/// Why [`SinkConsumer::fill`] returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// The builder holds records.
    Records,
    /// The group changes; the builder may hold records, also of partitions that go.
    Rebalance(Rebalance),
    /// Nothing to hand over before the deadline, or a commit ended.
    Idle,
}

/// Consumer context: writes down what happens inside `poll`, and calls nobody.
struct SinkContext {
    shared: Shared,
    /// Counts events that `poll` served: it returns nothing for them, as it does for an empty queue.
    events: AtomicU64,
    /// Set when the consumer is going away: rebalances are answered at once.
    closing: AtomicBool,
    rebalances: Mutex<VecDeque<Rebalance>>,
    rebalanced: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SinkContext {
    fn noted(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}

client_context!(SinkContext);

impl ConsumerContext for SinkContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.noted();
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions(list)),
            _ => Rebalance::Revoke { partitions: partitions(list), lost: consumer.assignment_lost() },
        };
        if self.closing.load(Ordering::Acquire) {
            give_up(consumer, &event);
            return;
        }
        lock(&self.rebalances).push_back(event);
        self.rebalanced.store(true, Ordering::Release);
    }

    fn commit_callback(&self, _result: Result<(), KafkaError>, _offsets: &TopicPartitionList) {
        self.noted();
    }
}

type Native = BaseConsumer<SinkContext>;

/// Answers a rebalance of a consumer that is going away.
fn give_up(consumer: &Native, event: &Rebalance) {
    let answered = match (consumer.rebalance_protocol(), event) {
        (RebalanceProtocol::Cooperative, Rebalance::Revoke { partitions, .. }) => {
            consumer.incremental_unassign(&partition_list(partitions.iter().map(|partition| (partition, None))))
        }
        // Whoever closes is taken to unassign whatever it says.
        (RebalanceProtocol::Cooperative, Rebalance::Assign(partitions)) => {
            consumer.incremental_assign(&partition_list(partitions.iter().map(|partition| (partition, None))))
        }
        _ => consumer.unassign(),
    };
    if let Err(error) = answered {
        tracing::debug!("partitions were not given up before closing: {error}");
    }
}

/// The consumer of one sink task: a member of a group that fills batches.
///
/// librdkafka fetches ahead on threads of its own; [`fill`](Self::fill) empties its queue in a plain loop and sleeps, without
/// a thread, until librdkafka says that the queue is no longer empty.
pub struct SinkConsumer {
    consumer: Arc<Native>,
    wake: Arc<Notify>,
    subscription: Subscription,
    subscribed: Vec<String>,
    refresh: Option<JoinHandle<Result<Vec<String>, ClientError>>>,
    refresh_at: Option<Instant>,
    refresh_every: Duration,
    unanswered: Option<Rebalance>,
    commit: Option<(Vec<TopicOffset>, Running)>,
    last_out: LastOut,
    /// Partitions that are not fetched for now.
    paused: HashSet<TopicPartition>,
}

/// A call of librdkafka on the blocking pool.
type Running = JoinHandle<Result<(), KafkaError>>;

impl SinkConsumer {
    /// Creates the consumer and subscribes. No broker needs to be reachable yet.
    ///
    /// # Errors
    /// [`ClientError`] when librdkafka takes neither the settings nor the subscription.
    pub async fn connect(settings: &ClientSettings, subscription: Subscription) -> Result<Self, ClientError> {
        let context = SinkContext {
            shared: Shared::new(settings),
            events: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            rebalances: Mutex::default(),
            rebalanced: AtomicBool::new(false),
        };
        let wake = Arc::new(Notify::new());
        let config = settings.to_config();
        let waker = wake.clone();
        let created = tokio::task::spawn_blocking(move || {
            let mut consumer: Native = config.create_with_context(context)?;
            consumer.set_nonempty_callback(move || waker.notify_one());
            Ok(consumer)
        });
        let consumer: Arc<Native> = Arc::new(ended("create the consumer", created.await)?);
        let age = settings.get("metadata.max.age.ms").and_then(|age| age.parse().ok()).map(Duration::from_millis);
        let mut sink = SinkConsumer {
            consumer,
            wake,
            subscription,
            subscribed: Vec::new(),
            refresh: None,
            refresh_at: None,
            refresh_every: age.unwrap_or(PATTERN_REFRESH),
            unanswered: None,
            commit: None,
            last_out: LastOut::new(),
            paused: HashSet::new(),
        };
        match &sink.subscription {
            Subscription::Topics(topics) => sink.subscribe(topics.clone())?,
            Subscription::Pattern(..) => sink.refresh_at = Some(Instant::now()),
        }
        Ok(sink)
    }

    /// Appends to `builder` what has arrived, up to `limits`; waits for something until `deadline`.
    ///
    /// May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`ClientError`] for what no waiting cures: missing rights, a fatal client error, an offset that is gone with
    /// `auto.offset.reset=none`.
    pub async fn fill(
        &mut self,
        builder: &mut BatchBuilder,
        limits: BatchLimits,
        deadline: Instant,
    ) -> Result<Filled, ClientError> {
        loop {
            self.refresh_subscription().await?;
            if self.unanswered.is_none() {
                self.drain(builder, limits)?;
                if let Some(event) = self.take_rebalance() {
                    return Ok(Filled::Rebalance(event));
                }
            }
            if !builder.is_empty() {
                return Ok(Filled::Records);
            }
            if self.commit.as_ref().is_some_and(|(_, running)| running.is_finished()) || Instant::now() >= deadline {
                return Ok(Filled::Idle);
            }
            let until = self.refresh_at.filter(|_| self.refresh.is_none()).map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(until.min(Instant::now() + MAX_SLEEP)) => {}
            }
        }
    }

    /// Serves librdkafka's events so that the consumer stays in its group, while no records are wanted: the caller has paused
    /// every partition. Records that come all the same are appended to `builder`.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub fn keep_alive(&mut self, builder: &mut BatchBuilder, limits: BatchLimits) -> Result<Option<Rebalance>, ClientError> {
        self.drain(builder, limits)?;
        Ok(self.take_rebalance())
    }

    /// Takes partitions after [`Rebalance::Assign`], each from its committed offset or from where `starts` says.
    ///
    /// # Errors
    /// [`ClientError`] when the group has moved on meanwhile; another rebalance follows.
    pub fn assign(&mut self, partitions: &[TopicPartition], starts: &[TopicOffset]) -> Result<(), ClientError> {
        self.unanswered = None;
        let start =
            |partition: &TopicPartition| starts.iter().find(|start| start.partition == *partition).map(|start| start.offset);
        let list = partition_list(partitions.iter().map(|partition| (partition, start(partition))));
        let assigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
            _ => self.consumer.assign(&list),
        };
        assigned.map_err(|error| ClientError::new("take the assigned partitions", error))
    }

    /// Gives up partitions after [`Rebalance::Revoke`]. They are paused no longer when they come back.
    ///
    /// # Errors
    /// [`ClientError`] when the group has moved on meanwhile; another rebalance follows.
    pub fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.unanswered = None;
        // In librdkafka a pause outlives the assignment: a partition that comes back would stay silent.
        if let Err(error) = self.resume(partitions) {
            tracing::debug!("before partitions are given up: {error}");
        }
        let unassigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => {
                self.consumer.incremental_unassign(&partition_list(partitions.iter().map(|partition| (partition, None))))
            }
            _ => self.consumer.unassign(),
        };
        unassigned.map_err(|error| ClientError::new("give up the revoked partitions", error))
    }

    /// Stops fetching partitions that are assigned.
    ///
    /// # Errors
    /// [`ClientError`] when the client refuses.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let list = partition_list(partitions.iter().map(|partition| (partition, None)));
        self.consumer.pause(&list).map_err(|error| ClientError::new("pause partitions", error))?;
        self.paused.extend(partitions.iter().cloned());
        Ok(())
    }

    /// Fetches paused partitions again, from the record after the last one handed over. The others are left alone: in
    /// librdkafka any resume makes what it has fetched of a partition a former version's.
    ///
    /// # Errors
    /// [`ClientError`] when the client refuses.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let silent: Vec<TopicPartition> = partitions.iter().filter(|partition| self.paused.remove(*partition)).cloned().collect();
        if silent.is_empty() {
            return Ok(());
        }
        let list = partition_list(silent.iter().map(|partition| (partition, None)));
        self.consumer.resume(&list).map_err(|error| ClientError::new("resume partitions", error))
    }

    /// Goes on reading assigned partitions from these offsets.
    ///
    /// # Errors
    /// [`ClientError`] when a partition is not assigned or cannot be sought.
    pub async fn seek(&self, places: &[TopicOffset]) -> Result<(), ClientError> {
        let places = places.to_vec();
        self.blocking("seek", REQUEST_TIMEOUT, move |consumer| {
            let list = partition_list(places.iter().map(|place| (&place.partition, Some(place.offset))));
            let sought = consumer.seek_partitions(list, REQUEST_TIMEOUT)?;
            let refused = sought.elements().iter().find_map(|element| element.error().err());
            refused.map_or(Ok(()), Err)
        })
        .await
    }

    /// Starts to commit, unless a commit is under way already; the end is told by [`commit_report`](Self::commit_report).
    ///
    /// (librdkafka has an asynchronous commit of its own, but rdkafka cannot tell how one has ended.)
    pub fn start_commit(&mut self, places: Vec<TopicOffset>) {
        if self.commit.is_some() {
            return;
        }
        let (consumer, wake, list) = (self.consumer.clone(), self.wake.clone(), places.clone());
        let running = tokio::task::spawn_blocking(move || {
            let committed = commit_now(&consumer, &list);
            wake.notify_one();
            committed
        });
        self.commit = Some((places, running));
    }

    /// Whether no broker can be reached, as far as librdkafka's statistics have told.
    pub fn is_cut_off(&self) -> bool {
        self.consumer.context().shared.is_cut_off()
    }

    /// Whether a commit is under way or its end has not been asked for.
    pub fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    /// How the commit that was started has ended, once.
    pub async fn commit_report(&mut self) -> Option<CommitReport> {
        let (offsets, running) = self.commit.take_if(|(_, running)| running.is_finished())?;
        Some(CommitReport { offsets, result: ended("commit offsets", running.await) })
    }

    /// Commits and waits for the group's coordinator, at most for `limit`.
    ///
    /// # Errors
    /// [`ClientError`] when it did not succeed in time; what was committed is then unknown.
    pub async fn commit(&self, places: &[TopicOffset], limit: Duration) -> Result<(), ClientError> {
        let places = places.to_vec();
        self.blocking("commit offsets", limit, move |consumer| commit_now(consumer, &places)).await
    }

    /// The next offset of each assigned partition from which a record was handed over.
    ///
    /// # Errors
    /// [`ClientError`] when the client refuses.
    pub fn position(&self) -> Result<Vec<TopicOffset>, ClientError> {
        let list = self.consumer.position().map_err(|error| ClientError::new("read positions", error))?;
        Ok(offsets(&list))
    }

    /// Leaves the group and closes, at most for `limit`; what takes longer goes on by itself.
    pub async fn close(mut self, limit: Duration) {
        let closed = self.begin_close();
        drop(self);
        if let Some(closed) = closed
            && tokio::time::timeout(limit, closed).await.is_err()
        {
            let seconds = limit.as_secs();
            tracing::warn!("a consumer did not leave its group within {seconds} s; its partitions go on when its session ends");
        }
    }

    /// Answers what the group waits for, then leaves it where blocking is allowed: that waits for the broker.
    fn begin_close(&mut self) -> Option<JoinHandle<()>> {
        if !self.context().closing.swap(true, Ordering::AcqRel) {
            let waiting: Vec<Rebalance> = lock(&self.context().rebalances).drain(..).collect();
            for event in self.unanswered.iter().chain(&waiting) {
                give_up(&self.consumer, event);
            }
        }
        self.last_out.release(self.consumer.clone())
    }

    fn context(&self) -> &SinkContext {
        self.consumer.context()
    }

    fn take_rebalance(&mut self) -> Option<Rebalance> {
        if !self.context().rebalanced.load(Ordering::Acquire) {
            return None;
        }
        let event = {
            let mut waiting = lock(&self.context().rebalances);
            let event = waiting.pop_front();
            self.context().rebalanced.store(!waiting.is_empty(), Ordering::Release);
            event
        };
        self.unanswered.clone_from(&event);
        event
    }

    /// Moves records from librdkafka's queue into the builder until it is full, the queue is empty or the group changes.
    fn drain(&mut self, builder: &mut BatchBuilder, limits: BatchLimits) -> Result<(), ClientError> {
        let context = self.consumer.context();
        while !builder.is_full(limits) {
            let events = context.events.load(Ordering::Relaxed);
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => push(builder, &message)?,
                Some(Err(error)) => consumption_error(error)?,
                None if context.rebalanced.load(Ordering::Acquire) => break,
                None if context.events.load(Ordering::Relaxed) == events => break,
                None => {}
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, topics: Vec<String>) -> Result<(), ClientError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        if names.is_empty() {
            self.consumer.unsubscribe();
        } else {
            self.consumer.subscribe(&names).map_err(|error| ClientError::new("subscribe", error))?;
        }
        self.subscribed = topics;
        Ok(())
    }

    /// Looks up the topics of a pattern, in the background, when it is time.
    async fn refresh_subscription(&mut self) -> Result<(), ClientError> {
        if self.refresh.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(refresh) = self.refresh.take()
        {
            match refresh.await {
                Ok(Ok(topics)) if topics != self.subscribed => self.subscribe(topics)?,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!("{error}; the topics of the pattern are looked up again later"),
                Err(error) => tracing::warn!("looking up topics failed: {error}"),
            }
        }
        let due = self.refresh_at.is_some_and(|at| Instant::now() >= at);
        if due && self.refresh.is_none() {
            let (consumer, subscription, wake) = (self.consumer.clone(), self.subscription.clone(), self.wake.clone());
            self.refresh_at = Some(Instant::now() + self.refresh_every);
            self.refresh = Some(tokio::task::spawn_blocking(move || {
                let found = matching_topics(&consumer, &subscription);
                wake.notify_one();
                found
            }));
        }
        Ok(())
    }

    /// Runs a call of librdkafka that waits for a broker, at most for `limit`.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &str,
        limit: Duration,
        call: impl FnOnce(&Native) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let consumer = self.consumer.clone();
        let running = tokio::task::spawn_blocking(move || call(&consumer));
        match tokio::time::timeout(limit, running).await {
            Ok(result) => ended(doing, result),
            Err(_) => Err(ClientError::TimedOut { doing: doing.to_owned(), seconds: limit.as_secs() }),
        }
    }
}

/// The result of a call that ran on the blocking pool.
fn ended<T>(doing: &str, result: Result<Result<T, KafkaError>, JoinError>) -> Result<T, ClientError> {
    match result {
        Ok(result) => result.map_err(|error| ClientError::new(doing, error)),
        Err(error) => Err(ClientError::Kafka { doing: doing.to_owned(), reason: error.to_string(), code: None }),
    }
}

fn commit_now(consumer: &Native, places: &[TopicOffset]) -> Result<(), KafkaError> {
    let list = partition_list(places.iter().map(|place| (&place.partition, Some(place.offset))));
    consumer.commit(&list, CommitMode::Sync)
}

impl Drop for SinkConsumer {
    fn drop(&mut self) {
        self.begin_close();
    }
}

fn matching_topics(consumer: &Native, subscription: &Subscription) -> Result<Vec<String>, ClientError> {
    let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|error| ClientError::new("list the topics", error))?;
    let names = metadata.topics().iter().map(|topic| topic.name());
    let mut found: Vec<String> = names.filter(|name| subscription.covers(name)).map(str::to_owned).collect();
    found.sort_unstable();
    Ok(found)
}

fn push(builder: &mut BatchBuilder, message: &BorrowedMessage<'_>) -> Result<(), ClientError> {
    let timestamp = match message.timestamp() {
        Timestamp::NotAvailable => NO_TIMESTAMP,
        Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
    };
    let record = Record {
        topic: message.topic(),
        partition: message.partition(),
        timestamp,
        offset: u64::try_from(message.offset()).ok(),
        key: message.key(),
        key_schema: SCHEMA_BYTES,
        value: message.payload(),
        value_schema: SCHEMA_BYTES,
    };
    match message.headers() {
        None => builder.push(record, []),
        Some(headers) => {
            // rdkafka panics on a header name that is not UTF-8, which any producer may write.
            let read = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let header = |at| {
                    headers.try_get(at).map(|header| HeaderValue { name: header.key, value: header.value, schema: SCHEMA_BYTES })
                };
                (0..headers.count().min(MAX_HEADERS)).map_while(header).collect::<Vec<_>>()
            }));
            let headers = read.map_err(|_| ClientError::HeaderName {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            })?;
            builder.push(record, headers);
        }
    }
    Ok(())
}

/// What a consumer's error event means for its task: most pass, and librdkafka goes on by itself.
fn consumption_error(error: KafkaError) -> Result<(), ClientError> {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            code,
            Some(
                Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::Authentication
                    | Code::SaslAuthenticationFailed
                    | Code::AutoOffsetReset
                    | Code::InvalidTopic
                    | Code::InvalidGroupId
                    | Code::FencedInstanceId
                    | Code::UnsupportedVersion
                    | Code::UnsupportedCompressionType
                    | Code::BadMessage
                    | Code::BadCompression
                    | Code::InvalidMessage
            )
        );
    if fatal {
        return Err(ClientError::new("read records", error));
    }
    match code {
        Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve) => {}
        _ => tracing::warn!("reading records: {error}"),
    }
    Ok(())
}
