use std::collections::BTreeMap;

use super::{TopicOffset, TopicPartition};

/// What a sink asked of its loop during the last calls (`hawser:connect/sink-context`), to be carried out between calls.
/// Partitions that are not assigned to the task are to be ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkRequests {
    /// Read on from these offsets; each partition stands here once.
    pub rewind: Vec<TopicOffset>,
    /// Send no more of these. No partition stands both here and in `resume`: the last word counts.
    pub pause: Vec<TopicPartition>,
    /// Send again.
    pub resume: Vec<TopicPartition>,
    /// Flush and commit soon.
    pub request_commit: bool,
}

impl SinkRequests {
    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self == &SinkRequests::default()
    }
}

/// Partitions that a sink may name between two looks at its requests.
pub(super) const MAX_REQUESTS: usize = 10_000;
/// Longest topic name in Kafka.
const MAX_TOPIC_BYTES: usize = 249;

/// Collects requests while calls run; maps, so that a sink that repeats itself costs no more than one that does not.
#[derive(Debug, Default)]
pub(super) struct Collector {
    rewind: BTreeMap<TopicPartition, u64>,
    paused: BTreeMap<TopicPartition, bool>,
    request_commit: bool,
}

impl Collector {
    pub(super) fn rewind(&mut self, topic: String, partition: u32, offset: u64) -> Result<(), String> {
        insert(&mut self.rewind, topic, partition, offset)
    }

    pub(super) fn pause(&mut self, topic: String, partition: u32, pause: bool) -> Result<(), String> {
        insert(&mut self.paused, topic, partition, pause)
    }

    pub(super) fn request_commit(&mut self) {
        self.request_commit = true;
    }

    pub(super) fn take(&mut self) -> SinkRequests {
        let taken = std::mem::take(self);
        let rewind = taken.rewind.into_iter();
        let mut requests = SinkRequests {
            rewind: rewind.map(|(at, offset)| TopicOffset { topic: at.topic, partition: at.partition, offset }).collect(),
            request_commit: taken.request_commit,
            ..SinkRequests::default()
        };
        for (partition, pause) in taken.paused {
            if pause { requests.pause.push(partition) } else { requests.resume.push(partition) }
        }
        requests
    }
}

fn insert<T>(map: &mut BTreeMap<TopicPartition, T>, topic: String, partition: u32, value: T) -> Result<(), String> {
    if topic.is_empty() || topic.len() > MAX_TOPIC_BYTES {
        return Err(format!("sink-context: a topic's name has 1 to {MAX_TOPIC_BYTES} bytes, not {}", topic.len()));
    }
    map.insert(TopicPartition { topic, partition }, value);
    if map.len() > MAX_REQUESTS {
        return Err(format!("sink-context: over {MAX_REQUESTS} partitions in one call; name those of the task only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, partition: u32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    #[test]
    fn the_last_word_on_a_partition_counts() {
        let mut collector = Collector::default();
        for (number, pause) in [(0, true), (1, true), (0, false)] {
            collector.pause("a".into(), number, pause).unwrap();
        }
        collector.rewind("a".into(), 0, 5).unwrap();
        collector.rewind("a".into(), 0, 3).unwrap();
        let requests = collector.take();
        assert_eq!(requests.pause, [partition("a", 1)]);
        assert_eq!(requests.resume, [partition("a", 0)]);
        assert_eq!(requests.rewind, [TopicOffset { topic: "a".into(), partition: 0, offset: 3 }]);
        assert!(collector.take().is_empty());
    }

    #[test]
    fn requests_are_bounded() {
        let mut collector = Collector::default();
        assert!(collector.pause("x".repeat(250), 0, true).is_err());
        for number in 0..MAX_REQUESTS as u32 {
            collector.pause("t".into(), number, true).unwrap();
            collector.pause("t".into(), number, false).unwrap();
        }
        assert!(collector.pause("t".into(), u32::MAX, true).unwrap_err().contains("10000"));
    }
}
