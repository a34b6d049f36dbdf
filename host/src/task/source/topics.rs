use std::collections::HashSet;

use rdkafka::types::RDKafkaErrorCode;

use crate::kafka::{Admin, ClientError, ClientSettings, NewTopicSpec};
use crate::task::backoff::Backoff;
use crate::task::error::TaskError;

/// Topics that are remembered to exist.
const MAX_KNOWN: usize = 10_000;
/// Tries to create a topic while the brokers are not ready for it.
const MAX_TRIES: u32 = 20;

/// Creates topics before the first record goes to them: looked up, then created with the broker's defaults, then remembered.
pub(super) struct Topics {
    admin: Option<Admin>,
    known: HashSet<String>,
}

impl Topics {
    pub(super) fn new(admin: Option<ClientSettings>) -> Self {
        Topics { admin: admin.map(Admin::new), known: HashSet::new() }
    }

    /// Makes sure that topics exist. May be dropped at any time.
    pub(super) async fn ensure(&mut self, topics: &[String]) -> Result<(), TaskError> {
        let Some(admin) = &self.admin else { return Ok(()) };
        for topic in topics {
            if self.known.contains(topic) {
                continue;
            }
            create_if_missing(admin, &NewTopicSpec::with_defaults(topic))
                .await
                .map_err(|reason| TaskError::NewTopic { topic: topic.clone(), reason })?;
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(topic.clone());
        }
        Ok(())
    }
}

/// Creates a topic unless it exists; one that the client may not create is left to the broker.
///
/// # Errors
/// [`ClientError`] when the brokers refuse, or are not ready for it for long.
pub(in crate::task) async fn create_if_missing(admin: &Admin, spec: &NewTopicSpec) -> Result<(), ClientError> {
    let topic = spec.name.as_str();
    let mut backoff = Backoff::default();
    loop {
        let tried = match admin.partitions(topic).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => admin.create_topic(spec).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(created) => {
                tracing::info!(topic, created, "the topic did not exist");
                return Ok(());
            }
            Err(error) if is_forbidden(&error) => {
                tracing::warn!(topic, "{error}; the broker is left to create it");
                return Ok(());
            }
            Err(error) if error.is_retriable() && backoff.tries() < MAX_TRIES => {
                tracing::warn!(topic, "{error}; the topic is looked up again");
                tokio::time::sleep(backoff.next()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_forbidden(error: &ClientError) -> bool {
    let codes = [RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::ClusterAuthorizationFailed];
    matches!(error, ClientError::Kafka { code: Some(code), .. } if codes.contains(code))
}
