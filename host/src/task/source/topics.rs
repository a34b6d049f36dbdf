use std::collections::HashSet;

use crate::kafka::{Admin, ClientError, NewTopicSpec, ReservedTopics};
use crate::task::TopicCreation;
use crate::task::backoff::Backoff;
use crate::task::error::TaskError;

/// Topics that are remembered to exist.
const MAX_KNOWN: usize = 10_000;
/// Tries to create a topic while the brokers are not ready for it.
const MAX_TRIES: u32 = 20;

/// Creates topics before the first record goes to them: looked up, then created as the connector says, then remembered.
pub(super) struct Topics {
    reserved: ReservedTopics,
    creation: Option<(TopicCreation, Admin)>,
    known: HashSet<String>,
}

impl Topics {
    pub(super) fn new(creation: Option<TopicCreation>, reserved: ReservedTopics) -> Self {
        let creation = creation.map(|creation| (creation.clone(), Admin::new(creation.admin)));
        Topics { reserved, creation, known: HashSet::new() }
    }

    /// Makes sure that records may go to these topics, and that they exist. May be dropped at any time.
    pub(super) async fn ensure(&mut self, topics: &[String]) -> Result<(), TaskError> {
        if let Some(topic) = topics.iter().find(|topic| self.reserved.refuses(topic)) {
            return Err(TaskError::ReservedTopic(topic.clone()));
        }
        let Some((creation, admin)) = &self.creation else { return Ok(()) };
        for topic in topics {
            if self.known.contains(topic) {
                continue;
            }
            let (spec, group) = creation.topic(topic);
            let created = create_if_missing(admin, &spec, group).await;
            created.map_err(|reason| TaskError::NewTopic { topic: topic.clone(), reason })?;
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(topic.clone());
        }
        Ok(())
    }
}

/// Creates a topic unless it exists; `group` says in the log whose settings it has.
///
/// # Errors
/// [`ClientError`] when the brokers refuse, or are not ready for it for long.
pub(in crate::task) async fn create_if_missing(admin: &Admin, spec: &NewTopicSpec, group: &str) -> Result<(), ClientError> {
    let topic = spec.name.as_str();
    let mut backoff = Backoff::default();
    loop {
        let tried = match admin.partitions(topic).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => admin.create_topic(spec).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(true) => {
                tracing::info!(topic, group, partitions = spec.partitions, "created the topic");
                return Ok(());
            }
            Ok(false) => return Ok(()),
            Err(error) if error.is_retriable() && backoff.tries() < MAX_TRIES => {
                tracing::warn!(topic, "{error}; the topic is looked up again");
                tokio::time::sleep(backoff.next()).await;
            }
            Err(error) => return Err(error),
        }
    }
}
