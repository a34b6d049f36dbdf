use super::assignment::{Assignment, Spans};
use crate::record::Batch;
use crate::task::pipeline::Flow;
use crate::task::run::RetryWindow;
use crate::task::select::{compose, place, select};

/// A batch on its way into the plugin. It stays in hand until the plugin has taken it.
pub(super) struct Work {
    /// The records as they came: their coordinates, or all of them where they may be needed once more.
    pub(super) came: Batch,
    /// From where to where it goes.
    pub(super) spans: Spans,
    /// How far along it is.
    pub(super) stage: Stage,
    /// How long its stages may be repeated.
    pub(super) window: RetryWindow,
    /// Bytes of the batch as it came.
    pub(super) bytes: usize,
}

/// How far along a batch is.
pub(super) enum Stage {
    /// To be converted and transformed. `None`: as it came, from the copy.
    Raw(Option<Batch>),
    /// To be taken through the stages that are left, after a transform crashed.
    Halted(Flow),
    /// To be put: the records, and their places among those that came.
    Ready(Batch, Vec<u32>),
}

impl Work {
    /// Drops the records of partitions that are no longer the task's.
    pub(super) fn retain(&mut self, assignment: &Assignment) {
        self.spans.retain(|span| assignment.contains(&span.partition.topic, span.partition.partition));
        let keeps: Vec<bool> =
            self.came.records().map(|record| assignment.contains(record.topic(), record.partition())).collect();
        let kept = |at: u32| keeps.get(at as usize).copied().unwrap_or_default();
        match &mut self.stage {
            Stage::Ready(batch, origins) => {
                let (fewer, places) = select(batch, |index| kept(place(origins, index)));
                *origins = if fewer.is_empty() { Vec::new() } else { compose(std::mem::take(origins), places) };
                *batch = fewer;
            }
            Stage::Halted(flow) => flow.retain(kept),
            Stage::Raw(batch) => {
                let (fewer, _) = select(batch.as_ref().unwrap_or(&self.came), |index| kept(index as u32));
                // What is left is a batch of its own.
                self.came = fewer.clone();
                *batch = Some(fewer);
            }
        }
    }
}

/// Gives records the offsets that they had when they came, which a sink is promised and a transform may have lost.
pub(super) fn restore_offsets(batch: &mut Batch, origins: &[u32], came: &Batch) {
    if batch.offsets.len() != batch.len() {
        let offset = |index| came.offsets.get(place(origins, index) as usize).copied().unwrap_or_default();
        batch.offsets = (0..batch.len()).map(offset).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::assignment::spans_of;
    use super::*;
    use crate::kafka::TopicPartition;
    use crate::record::{BatchBuilder, Record};

    fn came() -> Batch {
        let mut builder = BatchBuilder::default();
        for (partition, offset) in [(0, 5), (1, 7), (0, 6), (1, 8)] {
            builder.push(
                Record { topic: "t", partition, offset: Some(offset), value: Some(&[offset as u8]), ..Record::default() },
                [],
            );
        }
        builder.finish()
    }

    fn check(stage: Stage, expect: &[u64]) {
        let came = came();
        let mut work = Work { spans: spans_of(&came), came, stage, window: RetryWindow::default(), bytes: 0 };
        let mut assignment = Assignment::default();
        assignment.add(&[TopicPartition::new("t", 1)]);
        work.retain(&assignment);
        assert_eq!(work.spans.iter().map(|span| span.end).collect::<Vec<_>>(), [9]);
        let (mut left, origins) = match work.stage {
            Stage::Ready(batch, origins) => (batch, origins),
            Stage::Raw(batch) => (batch.expect("a batch"), Vec::new()),
            Stage::Halted(flow) => panic!("{flow:?}"),
        };
        left.offsets.clear();
        restore_offsets(&mut left, &origins, &work.came);
        assert_eq!(left.offsets, expect);
    }

    #[test]
    fn records_of_lost_partitions_are_dropped_at_any_stage() {
        check(Stage::Raw(Some(came())), &[7, 8]);
        check(Stage::Ready(came(), Vec::new()), &[7, 8]);
        let (some, places) = select(&came(), |at| at != 1);
        check(Stage::Ready(some, places), &[8]);
    }
}
