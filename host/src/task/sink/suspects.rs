//! Which records are suspected of crashing the plugin, how they are put again, and which were found.

use std::collections::BTreeSet;
use std::ops::Range;

use super::assignment::{Assignment, Spans};
use crate::record::Batch;

/// Records that were found and are still before what is committed, so that they may come again.
const MAX_FOUND: usize = 10_000;

/// A record by its coordinates.
type Coordinates = (String, i32, u64);

/// How a part of a batch is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As ever.
    Plain,
    /// Between two commits, so that what was put before is not lost with the instance.
    Suspect,
    /// Not at all: it was found, and reported.
    Found,
}

/// The state of a search for a record on which `put` or `flush` crashes.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// What the record must be among.
    zone: Spans,
    /// How many of them are put at a time.
    most: usize,
    found: BTreeSet<Coordinates>,
    /// What is between two commits now, or was put when the plugin crashed, as it came.
    accused: Option<Batch>,
}

impl Suspects {
    /// Whether batches are to be put in parts.
    pub(super) fn any(&self) -> bool {
        !self.zone.is_empty() || !self.found.is_empty()
    }

    /// Whether a search is under way.
    pub(super) fn is_searching(&self) -> bool {
        !self.zone.is_empty()
    }

    /// These records are being put.
    pub(super) fn accuse(&mut self, records: Batch) {
        self.accused = Some(records);
    }

    /// What was being put is out of danger.
    pub(super) fn acquit(&mut self) {
        self.accused = None;
    }

    /// What was being put when the plugin crashed.
    pub(super) fn take_accused(&mut self) -> Option<Batch> {
        self.accused.take()
    }

    /// Seeks the record among these, so many at a time.
    pub(super) fn seek_among(&mut self, zone: Spans, most: usize) {
        (self.zone, self.most) = (zone, most.max(1));
    }

    /// The record was found; it is left out when it comes again. `false`: too many were, without a commit behind them.
    pub(super) fn convict(&mut self, topic: &str, partition: i32, offset: u64) -> bool {
        self.zone.clear();
        self.found.insert((topic.to_owned(), partition, offset));
        self.found.len() <= MAX_FOUND
    }

    /// Forgets what does not come again: found records before what is committed, zones that are put or gone. Answers whether
    /// that was the last of a zone.
    pub(super) fn forget(&mut self, assignment: &Assignment) -> bool {
        self.found.retain(|(topic, partition, offset)| {
            assignment.contains(topic, *partition)
                && assignment.committed_offset(topic, *partition).is_none_or(|next| next <= *offset)
        });
        let searching = self.is_searching();
        self.zone.retain(|span| {
            let (topic, partition) = (&*span.partition.topic, span.partition.partition);
            assignment.contains(topic, partition) && assignment.put_offset(topic, partition).is_none_or(|next| next < span.end)
        });
        searching && self.zone.is_empty()
    }

    /// The parts of a batch, in its order.
    pub(super) fn parts(&self, batch: &Batch) -> Vec<(Range<usize>, Kind)> {
        let mut parts: Vec<(Range<usize>, Kind)> = Vec::new();
        for record in batch.records() {
            let (topic, partition, offset) = (record.topic(), record.partition(), record.offset().unwrap_or_default());
            let is_in_zone = self.zone.iter().any(|span| {
                *span.partition.topic == *topic
                    && span.partition.partition == partition
                    && (span.begin..span.end).contains(&offset)
            });
            let is_found = !self.found.is_empty() && self.found.contains(&(topic.to_owned(), partition, offset));
            let kind = match (is_found, is_in_zone) {
                (true, _) => Kind::Found,
                (_, true) => Kind::Suspect,
                _ => Kind::Plain,
            };
            match parts.last_mut() {
                Some((range, last)) if *last == kind && (kind != Kind::Suspect || range.len() < self.most) => range.end += 1,
                _ => parts.push((record.index..record.index + 1, kind)),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::assignment::spans_of;
    use super::*;
    use crate::kafka::{TopicOffset, TopicPartition};
    use crate::record::{BatchBuilder, Record};

    fn batch(offsets: Range<u64>) -> Batch {
        let mut builder = BatchBuilder::default();
        for offset in offsets {
            builder.push(Record { topic: "t", partition: 0, offset: Some(offset), ..Record::default() }, []);
        }
        builder.finish()
    }

    #[test]
    fn suspects_are_put_in_small_parts_and_found_ones_left_out() {
        let mut suspects = Suspects::default();
        assert!(!suspects.any());
        suspects.seek_among(spans_of(&batch(3..8)), 2);
        let check =
            |suspects: &Suspects, offsets, expect: &[(Range<usize>, Kind)]| assert_eq!(suspects.parts(&batch(offsets)), expect);
        let whole =
            [(0..3, Kind::Plain), (3..5, Kind::Suspect), (5..7, Kind::Suspect), (7..8, Kind::Suspect), (8..10, Kind::Plain)];
        check(&suspects, 0..10, &whole);
        check(&suspects, 8..10, &[(0..2, Kind::Plain)]);
        assert!(suspects.convict("t", 0, 4));
        check(&suspects, 3..8, &[(0..1, Kind::Plain), (1..2, Kind::Found), (2..5, Kind::Plain)]);
    }

    #[test]
    fn what_is_put_is_no_longer_suspected() {
        let partition = TopicPartition::new("t", 0);
        let mut assignment = Assignment::default();
        assignment.add(std::slice::from_ref(&partition));
        let mut suspects = Suspects::default();
        suspects.seek_among(spans_of(&batch(3..8)), 1);
        let put = |assignment: &mut Assignment, offsets| assignment.advance(&spans_of(&batch(offsets)));
        put(&mut assignment, 0..5);
        assert!(!suspects.forget(&assignment) && suspects.is_searching());
        put(&mut assignment, 5..8);
        assert!(suspects.forget(&assignment) && !suspects.is_searching());
        suspects.convict("t", 0, 4);
        assignment.committed(&[TopicOffset { partition: partition.clone(), offset: 4 }]);
        suspects.forget(&assignment);
        assert!(suspects.any());
        assignment.committed(&[TopicOffset { partition: partition.clone(), offset: 5 }]);
        suspects.forget(&assignment);
        assert!(!suspects.any());
        suspects.seek_among(spans_of(&batch(9..11)), 1);
        assignment.remove(&[partition]);
        assert!(suspects.forget(&assignment));
    }
}
