//! Idempotent and transactional producers as a partition sees them (`ProducerStateManager` of Kafka).

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use crate::{
    batch::{BatchHeader, add_sequence},
    journal::ProducerImage,
};

/// Batches remembered per producer to recognise a repeated one, as in Kafka.
const REMEMBERED_BATCHES: usize = 5;
/// Producers remembered per partition; beyond it those silent for longest are forgotten.
const MAX_PRODUCERS: usize = 1_000;

/// A transaction that was aborted on a partition, up to its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AbortedTxn {
    pub producer_id: i64,
    pub first_offset: i64,
    pub last_offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    timestamp: i64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Producer {
    epoch: i16,
    sent: VecDeque<Sent>,
    /// First offset of the open transaction.
    open: Option<i64>,
    last_seen: i64,
}

/// What to do with a batch of an idempotent producer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProducerCheck {
    Append,
    /// It is there already, at this offset with this timestamp.
    Duplicate(i64, i64),
}

#[derive(Debug, Default)]
pub(crate) struct Producers(HashMap<i64, Producer>);

impl Producers {
    /// Checks epoch and sequence number, as `ProducerAppendInfo` of Kafka does.
    pub fn check(&self, batch: &BatchHeader) -> Result<ProducerCheck, ResponseError> {
        let Some(producer) = self.0.get(&batch.producer_id) else {
            return Ok(ProducerCheck::Append);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if batch.producer_epoch > producer.epoch {
            return match batch.base_sequence {
                0 => Ok(ProducerCheck::Append),
                _ => Err(ResponseError::OutOfOrderSequenceNumber),
            };
        }
        let (first, last) = (batch.base_sequence, batch.last_sequence());
        if let Some(sent) = producer.sent.iter().find(|s| (s.base_sequence, s.last_sequence) == (first, last)) {
            return Ok(ProducerCheck::Duplicate(sent.base_offset, sent.timestamp));
        }
        // After a marker of the same epoch, or on a partition where nothing is remembered, any sequence may begin.
        match producer.sent.back() {
            Some(sent) if first != add_sequence(sent.last_sequence, 1) => Err(ResponseError::OutOfOrderSequenceNumber),
            _ => Ok(ProducerCheck::Append),
        }
    }

    /// Notes an appended batch; returns the first offset of the transaction if the batch opened one.
    pub fn appended(&mut self, batch: &BatchHeader, transactional: Option<i64>, now: i64) -> Option<i64> {
        self.forget_silent();
        let producer = self.0.entry(batch.producer_id).or_default();
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.sent.clear();
        }
        if producer.sent.len() == REMEMBERED_BATCHES {
            producer.sent.pop_front();
        }
        producer.sent.push_back(Sent {
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            timestamp: if batch.has_append_time() { batch.max_timestamp } else { -1 },
        });
        producer.last_seen = now;
        if producer.open.is_none() && transactional.is_some() {
            producer.open = transactional;
            return transactional;
        }
        None
    }

    /// Notes an end marker; returns the first offset of the transaction if one was open here.
    pub fn ended(&mut self, producer_id: i64, epoch: i16) -> Option<i64> {
        let producer = self.0.entry(producer_id).or_default();
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.sent.clear();
        }
        producer.open.take()
    }

    /// Makes room once in a while, so that the cost of the search is spread over many producers.
    fn forget_silent(&mut self) {
        if self.0.len() < MAX_PRODUCERS {
            return;
        }
        let mut seen: Vec<_> = self.0.values().filter(|p| p.open.is_none()).map(|p| p.last_seen).collect();
        seen.sort_unstable();
        if let Some(limit) = seen.get(seen.len() / 10).copied() {
            self.0.retain(|_, p| p.open.is_some() || p.last_seen > limit);
        }
    }

    /// Producers with an open transaction and its first offset.
    pub fn open(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().filter_map(|(id, producer)| Some((*id, producer.open?)))
    }

    pub fn images(&self) -> Vec<ProducerImage> {
        self.0.iter().map(|(id, producer)| ProducerImage { id: *id, producer: producer.clone() }).collect()
    }

    pub fn from_images(images: Vec<ProducerImage>) -> Self {
        Self(images.into_iter().map(|image| (image.id, image.producer)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: i64::from(base_sequence) + 100,
            size: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence,
            count,
        }
    }

    #[test]
    fn sequences_are_checked() {
        let mut producers = Producers::default();
        assert_eq!(producers.check(&batch(1, 50, 1)), Ok(ProducerCheck::Append), "an unknown producer");
        for i in 0..7 {
            let sent = batch(1, i * 10, 10);
            assert_eq!(producers.check(&sent), Ok(ProducerCheck::Append));
            producers.appended(&sent, None, 0);
        }
        let check = |sent: BatchHeader, expect| assert_eq!(producers.check(&sent), expect, "{sent:?}");
        check(batch(1, 60, 10), Ok(ProducerCheck::Duplicate(160, -1)));
        check(batch(1, 20, 10), Ok(ProducerCheck::Duplicate(120, -1)));
        check(batch(1, 10, 10), Err(ResponseError::OutOfOrderSequenceNumber));
        check(batch(1, 71, 1), Err(ResponseError::OutOfOrderSequenceNumber));
        check(batch(1, 70, 1), Ok(ProducerCheck::Append));
        check(batch(0, 70, 1), Err(ResponseError::InvalidProducerEpoch));
        check(batch(2, 70, 1), Err(ResponseError::OutOfOrderSequenceNumber));
        check(batch(2, 0, 1), Ok(ProducerCheck::Append));
    }

    #[test]
    fn sequences_wrap_around() {
        let mut producers = Producers::default();
        producers.appended(&batch(0, i32::MAX - 1, 2), None, 0);
        assert_eq!(producers.check(&batch(0, 0, 5)), Ok(ProducerCheck::Append));
    }

    #[test]
    fn a_marker_with_a_newer_epoch_fences() {
        let mut producers = Producers::default();
        assert_eq!(producers.appended(&batch(0, 0, 1), Some(100), 0), Some(100));
        assert_eq!(producers.appended(&batch(0, 1, 1), Some(101), 0), None);
        assert_eq!(producers.ended(7, 1), Some(100));
        assert_eq!(producers.check(&batch(0, 2, 1)), Err(ResponseError::InvalidProducerEpoch));
        assert_eq!(producers.check(&batch(1, 0, 1)), Ok(ProducerCheck::Append));
    }

    #[test]
    fn the_number_of_producers_is_bounded() {
        let mut producers = Producers::default();
        for id in 0..(2 * MAX_PRODUCERS as i64) {
            producers.appended(&BatchHeader { producer_id: id, ..batch(0, 0, 1) }, (id == 3).then_some(5), id);
        }
        assert!(producers.0.len() <= MAX_PRODUCERS);
        assert_eq!(producers.open().collect::<Vec<_>>(), [(3, 5)]);
    }
}
