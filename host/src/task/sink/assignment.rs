use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kafka::{TopicOffset, TopicPartition};
use crate::record::Batch;
use crate::sandbox;

/// One partition that is assigned to the task. Offsets are the next one to read.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    /// The first that came.
    first: Option<u64>,
    /// Everything before it was taken by `put`, or left out.
    put: Option<u64>,
    /// Committed, as far as this task knows.
    committed: Option<u64>,
    /// The plugin wants no more of it for now.
    paused: bool,
}

/// From where to where a batch goes in one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) partition: TopicPartition,
    /// The first offset.
    pub(super) begin: u64,
    /// The offset after the last one.
    pub(super) end: u64,
}

/// From where to where a batch goes in each of its partitions.
pub(super) type Spans = Vec<Span>;

/// The partitions of one sink task, and how far each is.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    topics: HashMap<Arc<str>, BTreeMap<i32, Place>>,
}

impl Assignment {
    pub(super) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    pub(super) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|places| places.contains_key(&partition))
    }

    /// All partitions, or those that the plugin has not paused.
    pub(super) fn partitions(&self, with_paused: bool) -> Vec<TopicPartition> {
        let places =
            self.topics.iter().flat_map(|(topic, places)| places.iter().map(move |(number, place)| (topic, number, place)));
        let wanted = places.filter(|(_, _, place)| with_paused || !place.paused);
        wanted.map(|(topic, number, _)| TopicPartition::new(topic.clone(), *number)).collect()
    }

    pub(super) fn add(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.topics.entry(partition.topic.clone()).or_default().entry(partition.partition).or_default();
        }
    }

    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(places) = self.topics.get_mut(&partition.topic) {
                places.remove(&partition.partition);
                if places.is_empty() {
                    self.topics.remove(&partition.topic);
                }
            }
        }
    }

    /// Notes that a batch came, so that it can come again.
    pub(super) fn came(&mut self, spans: &Spans) {
        for span in spans {
            if let Some(place) = self.place(&span.partition.topic, span.partition.partition) {
                place.first.get_or_insert(span.begin);
            }
        }
    }

    /// Notes that a batch was put. Partitions that are gone meanwhile are left out.
    pub(super) fn advance(&mut self, spans: &Spans) {
        for span in spans {
            if let Some(place) = self.place(&span.partition.topic, span.partition.partition) {
                place.put = Some(span.end);
            }
        }
    }

    /// Everything before it was put, if anything was.
    pub(super) fn put_offset(&self, topic: &str, partition: i32) -> Option<u64> {
        self.topics.get(topic)?.get(&partition)?.put
    }

    /// Everything before it is committed, if anything is.
    pub(super) fn committed_offset(&self, topic: &str, partition: i32) -> Option<u64> {
        self.topics.get(topic)?.get(&partition)?.committed
    }

    /// From where everything must be read again when an instance is lost: what is committed, or what came first.
    pub(super) fn safe_places(&self) -> Vec<TopicOffset> {
        self.uncertain().map(|(partition, safe, _)| TopicOffset { partition, offset: safe }).collect()
    }

    /// What was put and may be lost with an instance.
    pub(super) fn unsafe_spans(&self) -> Spans {
        let put = self.uncertain().filter_map(|(partition, begin, place)| Some(Span { partition, begin, end: place.put? }));
        put.filter(|span| span.begin < span.end).collect()
    }

    fn uncertain(&self) -> impl Iterator<Item = (TopicPartition, u64, &Place)> {
        let places =
            self.topics.iter().flat_map(|(topic, places)| places.iter().map(move |(number, place)| (topic, number, place)));
        places.filter_map(|(topic, number, place)| {
            Some((TopicPartition::new(topic.clone(), *number), place.committed.or(place.first)?, place))
        })
    }

    /// What was put but not committed, of all partitions or of some.
    pub(super) fn uncommitted(&self, of: Option<&[TopicPartition]>) -> Vec<sandbox::TopicOffset> {
        let mut found = Vec::new();
        for (topic, places) in &self.topics {
            for (partition, place) in places {
                let asked = of.is_none_or(|of| of.iter().any(|one| one.topic == *topic && one.partition == *partition));
                if let Some(offset) = place.put.filter(|put| asked && place.committed != Some(*put)) {
                    found.push(sandbox::TopicOffset { topic: topic.to_string(), partition: partition.cast_unsigned(), offset });
                }
            }
        }
        found
    }

    /// What may be committed of what a flush has answered: nothing beyond what was put, nothing behind what is committed, and
    /// nothing of partitions that are not assigned.
    pub(super) fn committable(&mut self, answer: Vec<sandbox::TopicOffset>) -> Vec<TopicOffset> {
        let mut allowed = Vec::with_capacity(answer.len());
        for at in answer {
            let number = at.partition.cast_signed();
            let (name, offset) = (at.topic.as_str(), at.offset);
            let Some((topic, _)) = self.topics.get_key_value(name) else {
                tracing::warn!("flush answered for {name}-{number}, which is not assigned to the task: ignored");
                continue;
            };
            let topic = topic.clone();
            match self.place(&topic, number) {
                None => tracing::warn!("flush answered for {name}-{number}, which is not assigned to the task: ignored"),
                Some(place) if place.put.is_none_or(|put| offset > put) => {
                    tracing::warn!("flush answered {offset} for {name}-{number}, beyond what was put: ignored");
                }
                Some(place) if place.committed.is_some_and(|committed| offset < committed) => {
                    tracing::warn!("flush answered {offset} for {name}-{number}, behind what is committed: ignored");
                }
                Some(place) if place.committed == Some(offset) => {}
                Some(_) => allowed.push(TopicOffset { partition: TopicPartition::new(topic, number), offset }),
            }
        }
        allowed
    }

    pub(super) fn committed(&mut self, offsets: &[TopicOffset]) {
        for at in offsets {
            if let Some(place) = self.place(&at.partition.topic, at.partition.partition) {
                place.committed = place.committed.max(Some(at.offset));
            }
        }
    }

    /// Goes back, or forth, as the plugin wants: what is committed follows from there.
    pub(super) fn rewind(&mut self, to: &[TopicOffset]) {
        for at in to {
            if let Some(place) = self.place(&at.partition.topic, at.partition.partition) {
                (place.first, place.put, place.committed) = (Some(at.offset), Some(at.offset), Some(at.offset));
            }
        }
    }

    pub(super) fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for partition in partitions {
            if let Some(place) = self.place(&partition.topic, partition.partition) {
                place.paused = paused;
            }
        }
    }

    /// The assigned ones among partitions that the plugin named.
    pub(super) fn known(&self, named: &[sandbox::TopicPartition]) -> Vec<TopicPartition> {
        let known = named.iter().filter(|one| self.contains(&one.topic, one.partition.cast_signed()));
        known.map(|one| TopicPartition::new(one.topic.as_str(), one.partition.cast_signed())).collect()
    }

    /// Records that were put but not committed.
    pub(super) fn lag(&self) -> u64 {
        let places = self.topics.values().flat_map(BTreeMap::values);
        places.filter_map(|place| Some(place.put?.saturating_sub(place.committed.or(place.first)?))).sum()
    }

    fn place(&mut self, topic: &str, partition: i32) -> Option<&mut Place> {
        self.topics.get_mut(topic)?.get_mut(&partition)
    }
}

/// From where to where a consumed batch goes. Consecutive records are mostly of one partition.
pub(super) fn spans_of(batch: &Batch) -> Spans {
    let mut ends: Vec<(usize, i32, u64, u64)> = Vec::new();
    let mut last = 0;
    for record in batch.records() {
        let (topic, partition) = (record.topic_index(), record.partition());
        let next = record.offset().map_or(0, |offset| offset + 1);
        match ends.get_mut(last) {
            Some(end) if (end.0, end.1) == (topic, partition) => end.2 = next,
            _ => match ends.iter().position(|end| (end.0, end.1) == (topic, partition)) {
                Some(at) => {
                    last = at;
                    ends[at].2 = next;
                }
                None => {
                    last = ends.len();
                    ends.push((topic, partition, next, next.saturating_sub(1)));
                }
            },
        }
    }
    let name = |topic: usize| batch.topics.get(topic).map_or("", String::as_str);
    let span = |(topic, partition, end, begin)| Span { partition: TopicPartition::new(name(topic), partition), begin, end };
    ends.into_iter().map(span).collect()
}

/// In the sandbox's shape.
pub(super) fn lower(partitions: &[TopicPartition]) -> Vec<sandbox::TopicPartition> {
    let lower =
        |one: &TopicPartition| sandbox::TopicPartition { topic: one.topic.to_string(), partition: one.partition.cast_unsigned() };
    partitions.iter().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Record};

    fn at(partition: i32, offset: u64) -> TopicOffset {
        TopicOffset { partition: TopicPartition::new("t", partition), offset }
    }

    fn to(partition: i32, end: u64) -> Span {
        Span { partition: TopicPartition::new("t", partition), begin: 0, end }
    }

    #[test]
    fn what_may_be_lost_begins_at_what_is_committed() {
        let mut assignment = Assignment::default();
        assignment.add(&[TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
        assert!(assignment.safe_places().is_empty());
        let span = |begin, end| vec![Span { partition: TopicPartition::new("t", 0), begin, end }];
        assignment.came(&span(5, 9));
        assignment.came(&span(9, 12));
        assert_eq!((assignment.safe_places(), assignment.unsafe_spans()), (vec![at(0, 5)], vec![]));
        assignment.advance(&span(5, 9));
        assert_eq!((assignment.safe_places(), assignment.unsafe_spans()), (vec![at(0, 5)], span(5, 9)));
        assignment.committed(&[at(0, 7)]);
        assert_eq!((assignment.safe_places(), assignment.unsafe_spans()), (vec![at(0, 7)], span(7, 9)));
    }

    fn answer(topic: &str, partition: u32, offset: u64) -> sandbox::TopicOffset {
        sandbox::TopicOffset { topic: topic.to_owned(), partition, offset }
    }

    #[test]
    fn a_batch_spans_its_partitions() {
        let mut builder = BatchBuilder::default();
        for (topic, partition, offset) in [("t", 0, 5), ("t", 0, 6), ("t", 1, 9), ("u", 0, 1), ("t", 0, 8)] {
            builder.push(Record { topic, partition, offset: Some(offset), ..Record::default() }, []);
        }
        let spans = spans_of(&builder.finish());
        let spans: Vec<_> = spans.into_iter().map(|span| (span.partition.to_string(), span.begin, span.end)).collect();
        assert_eq!(spans, [("t-0".to_owned(), 5, 9), ("t-1".to_owned(), 9, 10), ("u-0".to_owned(), 1, 2)]);
    }

    #[test]
    fn only_what_was_put_and_is_assigned_and_new_is_committed() {
        let mut assignment = Assignment::default();
        assignment.add(&[TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
        assert!(assignment.uncommitted(None).is_empty());
        assignment.came(&vec![to(0, 10), to(7, 3)]);
        assignment.advance(&vec![to(0, 10), to(7, 3)]);
        assert_eq!(assignment.uncommitted(None), [answer("t", 0, 10)]);
        let check = |assignment: &mut Assignment, of, partition, offset, expect: &[u64]| {
            let allowed = assignment.committable(vec![answer(of, partition, offset)]);
            assert_eq!(allowed.iter().map(|at| at.offset).collect::<Vec<_>>(), expect, "{of}-{partition} {offset}");
        };
        check(&mut assignment, "t", 0, 11, &[]);
        check(&mut assignment, "t", 1, 1, &[]);
        check(&mut assignment, "t", 9, 1, &[]);
        check(&mut assignment, "u", 0, 1, &[]);
        check(&mut assignment, "t", 0, 4, &[4]);
        assignment.committed(&[at(0, 4)]);
        check(&mut assignment, "t", 0, 3, &[]);
        check(&mut assignment, "t", 0, 4, &[]);
        check(&mut assignment, "t", 0, 10, &[10]);
        assert_eq!(assignment.lag(), 6);
        assignment.rewind(&[at(0, 2)]);
        assignment.advance(&vec![to(0, 3)]);
        check(&mut assignment, "t", 0, 3, &[3]);
        assignment.remove(&[TopicPartition::new("t", 0)]);
        assert_eq!((assignment.len(), assignment.uncommitted(None).len()), (1, 0));
    }
}
