//! Parts of batches: which records, and where they came from.

use crate::record::{Batch, BatchBuilder};

/// The records of a batch that `keep` wants, in order, and their places in it.
pub(super) fn select(batch: &Batch, mut keep: impl FnMut(usize) -> bool) -> (Batch, Vec<u32>) {
    let mut builder = BatchBuilder::default();
    let mut places = Vec::new();
    for record in batch.records() {
        if keep(record.index) {
            builder.push(record.into(), record.headers());
            places.push(record.index as u32);
        }
    }
    (builder.finish(), places)
}

/// Merges two batches by the places that their records had in a common one; both are in ascending order of place.
pub(super) fn merge(first: (&Batch, &[u32]), second: (&Batch, &[u32])) -> (Batch, Vec<u32>) {
    let mut builder = BatchBuilder::default();
    let mut places = Vec::with_capacity(first.0.len() + second.0.len());
    let mut left = first.0.records().map(|record| (place(first.1, record.index), record)).peekable();
    let mut right = second.0.records().map(|record| (place(second.1, record.index), record)).peekable();
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) if b < a => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        };
        let Some((at, record)) = next else { return (builder.finish(), places) };
        builder.push(record.into(), record.headers());
        places.push(at);
    }
}

/// A record's place in the batch before, where an empty list says that it did not move.
pub(super) fn place(origins: &[u32], index: usize) -> u32 {
    origins.get(index).copied().unwrap_or(index as u32)
}

/// The places two steps before, from those of one step and of the next.
pub(super) fn compose(before: Vec<u32>, after: Vec<u32>) -> Vec<u32> {
    match (before.is_empty(), after.is_empty()) {
        (true, _) => after,
        (_, true) => before,
        _ => after.into_iter().map(|at| place(&before, at as usize)).collect(),
    }
}

/// A batch's topics, partitions, offsets and timestamps: enough to say where a record came from.
pub(super) fn coordinates(batch: &Batch) -> Batch {
    Batch {
        count: batch.count,
        topics: batch.topics.clone(),
        topic_indexes: batch.topic_indexes.clone(),
        partitions: batch.partitions.clone(),
        timestamps: batch.timestamps.clone(),
        offsets: batch.offsets.clone(),
        ..Batch::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{HeaderValue, Record};

    fn batch(values: &[&str]) -> Batch {
        let mut builder = BatchBuilder::default();
        for (at, value) in values.iter().enumerate() {
            let header = HeaderValue { name: "h", value: Some(value.as_bytes()), schema: 2 };
            let record = Record {
                topic: if at % 2 == 0 { "even" } else { "odd" },
                value: Some(value.as_bytes()),
                value_schema: 1,
                ..Record::default()
            };
            builder.push(record, std::iter::repeat_n(header, at % 3));
        }
        builder.finish()
    }

    fn values(batch: &Batch) -> Vec<String> {
        batch
            .records()
            .map(|record| format!("{}{}", String::from_utf8_lossy(record.value.unwrap_or(b"-")), record.headers().count()))
            .collect()
    }

    #[test]
    fn a_batch_falls_apart_and_comes_together() {
        let whole = batch(&["a", "b", "c", "d", "e"]);
        let (some, some_places) = select(&whole, |at| at % 2 == 1);
        let (others, other_places) = select(&whole, |at| at % 2 == 0);
        assert_eq!((values(&some), some_places.as_slice()), (vec!["b1".to_owned(), "d0".to_owned()], &[1, 3][..]));
        let (merged, places) = merge((&some, &some_places), (&others, &other_places));
        assert_eq!((values(&merged), places), (values(&whole), vec![0, 1, 2, 3, 4]));
    }

    #[test]
    fn places_compose() {
        let check = |before: &[u32], after: &[u32], expect: &[u32]| assert_eq!(compose(before.to_vec(), after.to_vec()), expect);
        check(&[], &[], &[]);
        check(&[1, 3], &[], &[1, 3]);
        check(&[], &[0, 2], &[0, 2]);
        check(&[1, 3, 5], &[0, 2, 2], &[1, 5, 5]);
    }
}
