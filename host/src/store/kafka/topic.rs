//! The topic under a log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use tracing::info;

use super::super::StoreError;
use super::REQUEST_TIMEOUT;

/// How long a new topic may take to be known by the brokers.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Kafka's limit for the name of a topic.
const MAX_NAME_BYTES: usize = 249;
/// The wait between two looks at a topic that is being created.
const CREATION_POLL: Duration = Duration::from_millis(100);

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicPurpose {
    /// `config.storage.topic`.
    Configs,
    /// `offset.storage.topic`.
    Offsets,
    /// `status.storage.topic`.
    Statuses,
}

impl TopicPurpose {
    /// The worker's key that names the topic.
    pub fn key(self) -> &'static str {
        match self {
            TopicPurpose::Configs => "config.storage.topic",
            TopicPurpose::Offsets => "offset.storage.topic",
            TopicPurpose::Statuses => "status.storage.topic",
        }
    }

    /// What would be lost, in Kafka Connect's words.
    fn contents(self) -> &'static str {
        match self {
            TopicPurpose::Configs => "connector configurations",
            TopicPurpose::Offsets => "source connector offsets",
            TopicPurpose::Statuses => "connector and task statuses",
        }
    }
}

/// The topic that a log wants.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: TopicPurpose,
    /// Partitions to create it with; -1 leaves it to the brokers. The config topic always has one.
    pub partitions: i32,
    /// Replicas to create it with; -1 leaves it to the brokers.
    pub replication: i32,
    /// More topic settings to create it with; `cleanup.policy` is always `compact`.
    pub settings: Vec<(String, String)>,
}

type Admin = AdminClient<DefaultClientContext>;

/// Makes sure that the topic exists and fits its purpose; answers its number of partitions.
pub(super) async fn ensure(admin: &Arc<Admin>, spec: &TopicSpec) -> Result<i32, StoreError> {
    check_name(spec)?;
    if partitions(admin, spec).await?.is_none() {
        create(admin, spec).await?;
    }
    let deadline = Instant::now() + CREATION_TIMEOUT;
    let found = loop {
        match partitions(admin, spec).await? {
            Some(found) => break found,
            None if Instant::now() < deadline => tokio::time::sleep(CREATION_POLL).await,
            None => {
                return Err(StoreError::Timeout {
                    log: spec.name.clone(),
                    doing: "for the brokers to know the new topic",
                    after: CREATION_TIMEOUT,
                });
            }
        }
    };
    check_partitions(spec, found)?;
    match cleanup_policy(admin, spec).await {
        Ok(policy) => check_policy(spec, &policy)?,
        Err(reason) => info!(
            "cannot verify that the cleanup policy of topic '{}' is 'compact', perhaps because the worker may not describe \
             topics: {reason}",
            spec.name
        ),
    }
    Ok(found)
}

/// The number of partitions, `None` if there is no such topic.
async fn partitions(admin: &Arc<Admin>, spec: &TopicSpec) -> Result<Option<i32>, StoreError> {
    let failed = |reason: String| StoreError::Read { log: format!("topic '{}'", spec.name), reason };
    let admin = admin.clone();
    // Metadata for all topics: asking for one may make the broker create it, with the wrong settings.
    let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, REQUEST_TIMEOUT))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == spec.name);
    Ok(topic.and_then(|topic| i32::try_from(topic.partitions().len()).ok()).filter(|&count| count > 0))
}

async fn create(admin: &Admin, spec: &TopicSpec) -> Result<(), StoreError> {
    let partitions = if spec.purpose == TopicPurpose::Configs { 1 } else { spec.partitions };
    let mut topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(spec.replication));
    for (key, value) in spec.settings.iter().filter(|(key, _)| key != "cleanup.policy") {
        topic = topic.set(key, value);
    }
    topic = topic.set("cleanup.policy", "compact");
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT));
    let failed = |reason: String| {
        StoreError::Topic(format!(
            "Cannot create topic '{}' for {}: {reason}; create it with cleanup.policy=compact or change the worker's settings",
            spec.name,
            spec.purpose.key()
        ))
    };
    let results = admin.create_topics([&topic], &options).await.map_err(|error| failed(error.to_string()))?;
    for result in results {
        match result {
            Ok(name) => info!("created topic '{name}' with {partitions} partitions for {}", spec.purpose.key()),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(code.to_string())),
        }
    }
    Ok(())
}

async fn cleanup_policy(admin: &Admin, spec: &TopicSpec) -> Result<String, String> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let resources =
        admin.describe_configs([&ResourceSpecifier::Topic(&spec.name)], &options).await.map_err(|error| error.to_string())?;
    let resource = resources.into_iter().next().ok_or("no answer")?.map_err(|code| code.to_string())?;
    let entry = resource.get("cleanup.policy").and_then(|entry| entry.value.clone());
    entry.ok_or_else(|| "the broker does not tell".to_owned())
}

/// What Kafka takes as the name of a topic.
fn check_name(spec: &TopicSpec) -> Result<(), StoreError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=MAX_NAME_BYTES).contains(&spec.name.len()) && spec.name.bytes().all(legal) && spec.name != "." && spec.name != ".." {
        return Ok(());
    }
    Err(StoreError::Topic(format!(
        "Topic {:?} supplied via the '{}' property is not a legal name: use up to {MAX_NAME_BYTES} letters, digits, '.', '_' and '-'",
        spec.name,
        spec.purpose.key()
    )))
}

/// The config topic's records must be in one order.
pub(super) fn check_partitions(spec: &TopicSpec, found: i32) -> Result<(), StoreError> {
    if spec.purpose == TopicPurpose::Configs && found != 1 {
        return Err(StoreError::Topic(format!(
            "Topic '{}' supplied via the '{}' property is required to have a single partition in order to guarantee \
             consistency of connector configurations, but found {found} partitions.",
            spec.name,
            spec.purpose.key()
        )));
    }
    Ok(())
}

/// A topic that is not compacted forgets by age.
pub(super) fn check_policy(spec: &TopicSpec, policy: &str) -> Result<(), StoreError> {
    let policies: Vec<&str> = policy.split(',').map(str::trim).filter(|policy| !policy.is_empty()).collect();
    if policies == ["compact"] {
        return Ok(());
    }
    let (topic, key, contents) = (&spec.name, spec.purpose.key(), spec.purpose.contents());
    Err(StoreError::Topic(format!(
        "Topic '{topic}' supplied via the '{key}' property is required to have 'cleanup.policy=compact' to guarantee \
         consistency and durability of {contents}, but found the topic currently has 'cleanup.policy={}'. Continuing would \
         likely result in eventually losing {contents} and problems restarting this Connect cluster in the future. Change \
         the '{key}' property in the Connect worker configurations to use a topic with 'cleanup.policy=compact'.",
        policies.join(",")
    )))
}
