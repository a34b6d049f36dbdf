//! Topics that connectors may not write to, or not use at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Kafka's own topics: what Java's `exclude.internal.topics` leaves out.
pub(super) const KAFKAS: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Topics that are not for records. In those of the worker stands what every connector is, has read and may see: who writes
/// there takes over the worker, and who reads there learns what was written into configurations. In `offsets.storage.topic` of a
/// connector stands how far it has read. Known by name, whichever Kafka a connector's overrides lead to.
#[derive(Debug, Clone, Default)]
pub struct ReservedTopics {
    workers: Arc<BTreeSet<String>>,
    connectors: Arc<ArcSwap<BTreeSet<String>>>,
}

impl ReservedTopics {
    /// These are the worker's.
    pub fn new(workers: impl IntoIterator<Item = String>) -> ReservedTopics {
        ReservedTopics { workers: Arc::new(workers.into_iter().collect()), connectors: Arc::default() }
    }

    /// A connector keeps its offsets there: reserved from now on.
    pub fn reserve(&self, topic: &str) {
        self.connectors.rcu(|known| match known.contains(topic) {
            true => Arc::clone(known),
            false => Arc::new(known.iter().cloned().chain([topic.to_owned()]).collect()),
        });
    }

    /// Whether it is a topic of the worker, which no connector may use for anything.
    pub fn is_workers(&self, topic: &str) -> bool {
        self.workers.contains(topic)
    }

    /// Whether no record of a connector may go there.
    pub fn refuses(&self, topic: &str) -> bool {
        self.is_workers(topic) || KAFKAS.contains(&topic) || self.connectors.load().contains(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_the_worker_of_connectors_and_of_kafka_are_reserved() {
        let reserved = ReservedTopics::new(["connect-configs".to_owned()]);
        reserved.clone().reserve("offsets-of-a");
        for (topic, workers, refused) in [
            ("connect-configs", true, true),
            ("offsets-of-a", false, true),
            ("__consumer_offsets", false, true),
            ("orders", false, false),
        ] {
            assert_eq!((reserved.is_workers(topic), reserved.refuses(topic)), (workers, refused), "{topic}");
        }
    }
}
