//! The topic under a log.

use std::time::{Duration, Instant};

use tracing::info;

use super::super::StoreError;
use crate::kafka::{Admin, ClientError, NewTopicSpec};

/// How long a new topic may take to be known by the brokers.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// A source connector's `offsets.storage.topic` (KIP-618).
    ConnectorOffsets,
}

impl TopicPurpose {
    /// The key that names the topic.
    pub fn key(self) -> &'static str {
        match self {
            TopicPurpose::Configs => "config.storage.topic",
            TopicPurpose::Offsets => "offset.storage.topic",
            TopicPurpose::Statuses => "status.storage.topic",
            TopicPurpose::ConnectorOffsets => "offsets.storage.topic",
        }
    }

    /// What would be lost, in Kafka Connect's words.
    fn contents(self) -> &'static str {
        match self {
            TopicPurpose::Configs => "connector configurations",
            TopicPurpose::Offsets | TopicPurpose::ConnectorOffsets => "source connector offsets",
            TopicPurpose::Statuses => "connector and task statuses",
        }
    }

    /// Where the key stands.
    fn place(self) -> &'static str {
        match self {
            TopicPurpose::ConnectorOffsets => "configuration of the connector",
            _ => "Connect worker configurations",
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

/// Makes sure that the topic exists and fits its purpose; answers its number of partitions.
pub(super) async fn ensure(admin: &Admin, spec: &TopicSpec) -> Result<i32, StoreError> {
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
async fn partitions(admin: &Admin, spec: &TopicSpec) -> Result<Option<i32>, StoreError> {
    let found = admin.partitions(&spec.name).await.map_err(|error| match error {
        ClientError::TopicName(_) => refused(spec, &error),
        other => StoreError::Read { log: format!("topic '{}'", spec.name), reason: other.to_string() },
    })?;
    Ok(found.and_then(|count| i32::try_from(count).ok()).filter(|&count| count > 0))
}

async fn create(admin: &Admin, spec: &TopicSpec) -> Result<(), StoreError> {
    let partitions = if spec.purpose == TopicPurpose::Configs { 1 } else { spec.partitions };
    let given = spec.settings.iter().filter(|(key, _)| key != "cleanup.policy").cloned();
    let topic = NewTopicSpec {
        name: spec.name.clone(),
        partitions: (partitions > 0).then_some(partitions),
        replication: i16::try_from(spec.replication).ok().filter(|&count| count > 0),
        config: given.chain([("cleanup.policy".to_owned(), "compact".to_owned())]).collect(),
    };
    if admin.create_topic(&topic).await.map_err(|error| refused(spec, &error))? {
        info!("created topic '{}' for {}", spec.name, spec.purpose.key());
    }
    Ok(())
}

fn refused(spec: &TopicSpec, error: &ClientError) -> StoreError {
    StoreError::Topic(format!(
        "Cannot use topic '{}' supplied via the '{}' property: {error}; create it with cleanup.policy=compact or change the \
         worker's settings",
        spec.name,
        spec.purpose.key()
    ))
}

async fn cleanup_policy(admin: &Admin, spec: &TopicSpec) -> Result<String, String> {
    let config = admin.topic_config(&spec.name).await.map_err(|error| error.to_string())?;
    let policy = config.into_iter().find(|(key, _)| key == "cleanup.policy").and_then(|(_, value)| value);
    policy.ok_or_else(|| "the broker does not tell".to_owned())
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
         the '{key}' property in the {} to use a topic with 'cleanup.policy=compact'.",
        policies.join(","),
        spec.purpose.place()
    )))
}
