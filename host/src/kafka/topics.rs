use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::topic_partition_list::Offset;
use regex::Regex;

use super::reserved::KAFKAS;
use super::{ClientError, ReservedTopics};

/// Bytes of a topic pattern's compiled form at most.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

/// A place in a partition: the next offset to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// One past the last record covered.
    pub offset: u64,
}

/// What a sink reads.
#[derive(Debug, Clone)]
pub enum Subscription {
    /// These topics (`topics`).
    Topics(Vec<String>),
    /// Every topic whose whole name matches (`topics.regex`), but Kafka's internal ones and those of the worker.
    Pattern(Regex, ReservedTopics),
}

impl Subscription {
    /// The subscription to a list of topics.
    ///
    /// # Errors
    /// [`ClientError::TopicName`] for a name that no topic can have.
    pub fn topics(topics: impl IntoIterator<Item = String>) -> Result<Self, ClientError> {
        let topics = topics.into_iter().map(|topic| check_topic(&topic).map(|()| topic)).collect::<Result<_, _>>()?;
        Ok(Subscription::Topics(topics))
    }

    /// The subscription to all topics that match, now and later.
    ///
    /// # Errors
    /// [`ClientError::Pattern`] when the pattern is no regular expression. Look-around and back-references, which Java
    /// has, are not understood.
    pub fn pattern(pattern: &str, reserved: &ReservedTopics) -> Result<Self, ClientError> {
        let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(MAX_PATTERN_BYTES).build();
        let pattern = built.map_err(|error| ClientError::Pattern(error.to_string()))?;
        Ok(Subscription::Pattern(pattern, reserved.clone()))
    }

    /// Whether a topic is read.
    pub fn covers(&self, topic: &str) -> bool {
        match self {
            Subscription::Topics(topics) => topics.iter().any(|name| name == topic),
            Subscription::Pattern(pattern, reserved) => {
                !KAFKAS.contains(&topic) && !reserved.is_workers(topic) && pattern.is_match(topic)
            }
        }
    }
}

/// Whether Kafka allows a topic of this name.
pub(super) fn check_topic(name: &str) -> Result<(), ClientError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=249).contains(&name.len()) && name != "." && name != "..";
    if fits && name.bytes().all(allowed) { Ok(()) } else { Err(ClientError::TopicName(name.to_owned())) }
}

/// The list in librdkafka's shape. Topics must have passed [`check_topic`] or have come from a broker.
pub(super) fn partition_list<'a>(entries: impl IntoIterator<Item = (&'a TopicPartition, Option<u64>)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in entries {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        if let Some(offset) = offset.and_then(|offset| i64::try_from(offset).ok()) {
            // Fails for negative offsets only.
            let _ = element.set_offset(Offset::Offset(offset));
        }
    }
    list
}

/// Copies a list: its elements hold references into the client that would keep it from ever closing.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

/// Copies those elements of a list that carry an absolute offset.
pub(super) fn offsets(list: &TopicPartitionList) -> Vec<TopicOffset> {
    let elements = list.elements();
    let entries = elements.iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => {
            let partition = TopicPartition::new(element.topic(), element.partition());
            u64::try_from(offset).ok().map(|offset| TopicOffset { partition, offset })
        }
        _ => None,
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_no_internal_topics() {
        let reserved = ReservedTopics::new(["connect-configs".to_owned()]);
        let check = |pattern: &str, topic: &str, expect: bool| {
            assert_eq!(Subscription::pattern(pattern, &reserved).expect(pattern).covers(topic), expect, "{pattern} on {topic}");
        };
        check("orders.*", "orders-eu", true);
        check("orders", "orders-eu", false);
        check("a|b", "b", true);
        check("a|b", "ab", false);
        check(".*", "__consumer_offsets", false);
        check("connect-.*", "connect-configs", false);
        check("connect-.*", "connect-config", true);
        check(r"t\d+", "t12", true);
    }

    #[test]
    fn bad_patterns_and_names_are_refused() {
        for pattern in ["(", "a{1000000}{1000000}", "(?!x).*"] {
            assert!(Subscription::pattern(pattern, &ReservedTopics::default()).is_err(), "{pattern}");
        }
        for name in ["", ".", "..", "a b", "a\0b", "ü", &"x".repeat(250)] {
            assert!(Subscription::topics([name.to_owned()]).is_err(), "{name:?}");
        }
        assert!(Subscription::topics(["ok.Topic_1-x".to_owned()]).is_ok());
    }
}
