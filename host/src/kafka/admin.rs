use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::context::PlainContext;
use super::topics::{check_topic, offsets, partition_list};
use super::{ClientError, ClientSettings, Subscription, TopicOffset, TopicPartition};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Further tries to give a group back its offsets, and the pause between them.
const RESTORE_TRIES: u32 = 10;
const RESTORE_PAUSE: Duration = Duration::from_secs(1);
/// The broker's default for a new topic's partitions and replication.
const BROKER_DEFAULT: i32 = -1;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions; `None` is the broker's default.
    pub partitions: Option<i32>,
    /// Replicas of each partition; `None` is the broker's default.
    pub replication: Option<i16>,
    /// Topic configuration, such as `cleanup.policy`.
    pub config: Vec<(String, String)>,
}

impl NewTopicSpec {
    /// A topic with the broker's defaults.
    pub fn with_defaults(name: impl Into<String>) -> Self {
        NewTopicSpec { name: name.into(), partitions: None, replication: None, config: Vec::new() }
    }
}

/// What becomes of a group's offset: a new one, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read; `None` takes the partition's offset away.
    pub offset: Option<u64>,
}

/// Administers topics and groups. It holds settings only: each call opens a client and closes it again, because the calls are
/// rare and an open client costs threads.
///
/// With OAUTHBEARER these calls end in a time-out: rdkafka's admin client serves no token refreshes. Consumers and producers do.
#[derive(Debug, Clone)]
pub struct Admin {
    settings: ClientSettings,
}

impl Admin {
    /// An admin with these settings ([`ClientSettings::admin`]).
    pub fn new(settings: ClientSettings) -> Self {
        // Looking at a topic must not create it.
        Admin { settings: settings.with("allow.auto.create.topics", "false") }
    }

    /// The cluster's id.
    ///
    /// # Errors
    /// [`ClientError`] when no broker answers.
    pub async fn cluster_id(&self) -> Result<String, ClientError> {
        let id = self.client("read the cluster id", |client| Ok(client.inner().fetch_cluster_id(REQUEST_TIMEOUT))).await?;
        id.ok_or_else(|| ClientError::TimedOut { doing: "read the cluster id".to_owned(), seconds: REQUEST_TIMEOUT.as_secs() })
    }

    /// How many partitions a topic has; `None` if there is no such topic.
    ///
    /// # Errors
    /// [`ClientError`] when no broker answers or the topic may not be seen.
    pub async fn partitions(&self, topic: &str) -> Result<Option<usize>, ClientError> {
        check_topic(topic)?;
        let topic = topic.to_owned();
        self.client("describe a topic", move |client| {
            let metadata = client.inner().fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
            let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
            match found.error().map(RDKafkaErrorCode::from) {
                None => Ok(Some(found.partitions().len())),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
                Some(code) => Err(KafkaError::MetadataFetch(code)),
            }
        })
        .await
    }

    /// Creates a topic; `false` if it exists already.
    ///
    /// # Errors
    /// [`ClientError`] when the broker refuses.
    pub async fn create_topic(&self, spec: &NewTopicSpec) -> Result<bool, ClientError> {
        check_topic(&spec.name)?;
        let doing = format!("create topic {}", spec.name);
        let client = self.open(&doing).await?;
        let created = {
            let replication = TopicReplication::Fixed(spec.replication.map_or(BROKER_DEFAULT, i32::from));
            let mut topic = NewTopic::new(&spec.name, spec.partitions.unwrap_or(BROKER_DEFAULT), replication);
            for (key, value) in &spec.config {
                topic = topic.set(key, value);
            }
            client.create_topics([&topic], &options()).await
        };
        close(client).await;
        match created.map_err(|error| ClientError::new(&doing, error))?.into_iter().next() {
            None | Some(Ok(_)) => Ok(true),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(ClientError::new(doing, KafkaError::AdminOp(code))),
        }
    }

    /// A topic's configuration: key and value.
    ///
    /// # Errors
    /// [`ClientError`] when the broker refuses or there is no such topic.
    pub async fn topic_config(&self, topic: &str) -> Result<Vec<(String, Option<String>)>, ClientError> {
        check_topic(topic)?;
        let doing = format!("describe the configuration of topic {topic}");
        let client = self.open(&doing).await?;
        let described = client.describe_configs([&ResourceSpecifier::Topic(topic)], &options()).await;
        close(client).await;
        match described.map_err(|error| ClientError::new(&doing, error))?.into_iter().next() {
            None => Ok(Vec::new()),
            Some(Ok(resource)) => Ok(resource.entries.into_iter().map(|entry| (entry.name, entry.value)).collect()),
            Some(Err(code)) => Err(ClientError::new(doing, KafkaError::AdminOp(code))),
        }
    }

    /// How many members a group has; `None` if there is no such group.
    ///
    /// # Errors
    /// [`ClientError`] when no broker answers or the group may not be seen.
    pub async fn group_members(&self, group: &str) -> Result<Option<usize>, ClientError> {
        let group = group.to_owned();
        self.client("describe a group", move |client| {
            let groups = client.inner().fetch_group_list(Some(&group), REQUEST_TIMEOUT)?;
            let found = groups.groups().iter().find(|found| found.name() == group && found.state() != "Dead");
            Ok(found.map(|found| found.members().len()))
        })
        .await
    }

    /// The committed offsets of a group in the topics that `among` covers; `None` looks at all topics. Partitions without
    /// one are left out.
    ///
    /// # Errors
    /// [`ClientError`] when no broker answers or the group may not be seen.
    pub async fn group_offsets(&self, group: &str, among: Option<Subscription>) -> Result<Vec<TopicOffset>, ClientError> {
        self.as_group(group, "list the offsets of a group", move |consumer| {
            let wanted = all_partitions(consumer, among.as_ref())?;
            if wanted.count() == 0 {
                return Ok(Vec::new());
            }
            Ok(offsets(&consumer.committed_offsets(wanted, REQUEST_TIMEOUT)?))
        })
        .await
    }

    /// Sets offsets of a group that has no members.
    ///
    /// librdkafka's safe interface cannot take away a single offset. Where that is asked for, the group is deleted and what it
    /// had besides is committed again. That is tried for a while; if it fails for good, the error names every offset that the
    /// group has lost, so that it can be set by hand.
    ///
    /// # Errors
    /// [`ClientError`] when the group has members, a topic does not exist, or no broker answers.
    pub async fn alter_group_offsets(&self, group: &str, changes: &[GroupOffset]) -> Result<(), ClientError> {
        let set = changes
            .iter()
            .filter_map(|change| change.offset.map(|offset| TopicOffset { partition: change.partition.clone(), offset }));
        let mut wanted: Vec<TopicOffset> = set.collect();
        if changes.iter().any(|change| change.offset.is_none()) {
            let kept = self.group_offsets(group, None).await?;
            wanted.extend(kept.into_iter().filter(|kept| changes.iter().all(|change| change.partition != kept.partition)));
            // Once begun it is brought to its end, even if whoever asked for it goes.
            let (admin, group) = (self.clone(), group.to_owned());
            let replaced = tokio::spawn(async move {
                admin.delete_group(&group).await?;
                admin.restore_group_offsets(&group, wanted).await
            });
            return replaced.await.unwrap_or_else(|error| {
                Err(ClientError::Kafka { doing: "set offsets of a group".to_owned(), reason: error.to_string(), code: None })
            });
        }
        self.set_group_offsets(group, wanted).await
    }

    async fn set_group_offsets(&self, group: &str, wanted: Vec<TopicOffset>) -> Result<(), ClientError> {
        if wanted.is_empty() {
            return Ok(());
        }
        self.as_group(group, "set the offsets of a group", move |consumer| {
            let list = partition_list(wanted.iter().map(|place| (&place.partition, Some(place.offset))));
            consumer.commit(&list, CommitMode::Sync)
        })
        .await
    }

    /// Sets the offsets of a group that has been deleted for it.
    async fn restore_group_offsets(&self, group: &str, wanted: Vec<TopicOffset>) -> Result<(), ClientError> {
        let mut tries = 1..=RESTORE_TRIES;
        loop {
            let error = match self.set_group_offsets(group, wanted.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if tries.next().is_none() {
                let lost: Vec<String> = wanted.iter().map(|place| format!("{} at {}", place.partition, place.offset)).collect();
                let doing = format!("set the offsets of group {group} again, which now has none of: {}", lost.join(", "));
                return Err(ClientError::Kafka { doing, reason: error.to_string(), code: None });
            }
            tracing::warn!(group, "{error}; the offsets are set again");
            tokio::time::sleep(RESTORE_PAUSE).await;
        }
    }

    /// Deletes a group with all its offsets; a group that does not exist is deleted already.
    ///
    /// # Errors
    /// [`ClientError`] when the group has members or no broker answers.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let doing = format!("delete group {group}");
        let client = self.open(&doing).await?;
        let deleted = client.delete_groups(&[group], &options()).await;
        close(client).await;
        match deleted.map_err(|error| ClientError::new(&doing, error))?.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound))) => Ok(()),
            Some(Err((_, code))) => Err(ClientError::new(doing, KafkaError::AdminOp(code))),
        }
    }

    async fn open(&self, doing: &str) -> Result<AdminClient<PlainContext>, ClientError> {
        let config = self.settings.to_config();
        let context = PlainContext::new(&self.settings);
        run(doing, move || config.create_with_context(context)).await
    }

    /// Runs calls that wait for a broker on an admin client of their own.
    async fn client<T: Send + 'static>(
        &self,
        doing: &str,
        call: impl FnOnce(&AdminClient<PlainContext>) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let config = self.settings.to_config();
        let context = PlainContext::new(&self.settings);
        run(doing, move || call(&config.create_with_context(context)?)).await
    }

    /// Runs calls on a consumer that carries a group's name without joining it: its commits are an administrator's.
    async fn as_group<T: Send + 'static>(
        &self,
        group: &str,
        doing: &str,
        call: impl FnOnce(&BaseConsumer<PlainContext>) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let mut config = self.settings.to_config();
        config.set("group.id", group).set("enable.auto.commit", "false");
        let context = PlainContext::new(&self.settings);
        run(doing, move || call(&config.create_with_context(context)?)).await
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

/// Every partition of the topics that `among` covers.
fn all_partitions(consumer: &BaseConsumer<PlainContext>, among: Option<&Subscription>) -> Result<TopicPartitionList, KafkaError> {
    let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
    let mut found = Vec::new();
    for topic in metadata.topics().iter().filter(|topic| among.is_none_or(|among| among.covers(topic.name()))) {
        let name: Arc<str> = topic.name().into();
        found.extend(topic.partitions().iter().map(|partition| TopicPartition::new(name.clone(), partition.id())));
    }
    Ok(partition_list(found.iter().map(|partition| (partition, None))))
}

/// Runs a blocking call on the blocking pool.
async fn run<T: Send + 'static>(
    doing: &str,
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, ClientError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|error| ClientError::new(doing, error)),
        Err(error) => Err(ClientError::Kafka { doing: doing.to_owned(), reason: error.to_string(), code: None }),
    }
}

/// Closing joins a thread of rdkafka.
async fn close(client: AdminClient<PlainContext>) {
    if let Err(error) = tokio::task::spawn_blocking(move || drop(client)).await {
        tracing::debug!("closing an admin client failed: {error}");
    }
}
