//! A batch as a guest may answer it: columns of any length with any content. What `validate` lets through must add up, and
//! must go through every converter without losing a record.

use arbitrary::{Result, Unstructured};
use hawser::record::{Batch, BatchBuilder, Record};

use crate::convert;

/// Longer columns find nothing that shorter ones don't.
const MAX_ENTRIES: u32 = 8;
/// Names of topics and headers.
const NAMES: [&str; 4] = ["t", "orders", "", "\u{fffd}"];

pub fn fuzz(data: &[u8]) {
    let Ok(batch) = arbitrary_batch(Unstructured::new(data)) else { return };
    let mut seen = 0;
    for record in batch.records().take(1000) {
        record.headers().take(1000).for_each(drop);
        seen += 1;
    }
    if batch.validate().is_err() || batch.count > 1000 {
        return;
    }
    assert_eq!(seen, batch.len(), "a valid batch shows each of its records");
    adds_up(&batch);
    rebuilds(&batch);
    convert::through_all(&batch);
}

fn adds_up(batch: &Batch) {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let mut bytes = 0;
    for record in batch.records() {
        assert!(batch.topics.iter().any(|topic| topic == record.topic()));
        bytes += length(record.key) + length(record.value);
        bytes += record.headers().map(|header| length(header.value)).sum::<usize>();
    }
    assert_eq!(bytes, batch.data.len(), "the records hold all bytes");
}

/// What is pushed record by record reads as what it came from.
fn rebuilds(batch: &Batch) {
    let mut builder = BatchBuilder::default();
    for record in batch.records() {
        let all_or_none = Record { offset: record.offset().filter(|_| batch.offsets.len() == batch.len()), ..record.into() };
        builder.push(all_or_none, record.headers());
    }
    let again = builder.finish();
    assert_eq!(again.validate(), Ok(()));
    for (old, new) in batch.records().zip(again.records()) {
        assert_eq!((old.topic(), old.key, old.value, old.timestamp()), (new.topic(), new.key, new.value, new.timestamp()));
        assert!(old.headers().eq(new.headers()));
    }
}

fn arbitrary_batch(mut from: Unstructured<'_>) -> Result<Batch> {
    let u = &mut from;
    let count = if u.ratio(1, 10)? { u.arbitrary()? } else { u.int_in_range(0..=MAX_ENTRIES)? };
    let headers = u.int_in_range(0..=MAX_ENTRIES)?;
    let mut batch = Batch {
        count,
        key_lengths: lengths(u, count)?,
        value_lengths: lengths(u, count)?,
        key_schemas: column(u, count, |u| u.int_in_range(0..=20))?,
        value_schemas: column(u, count, |u| u.int_in_range(0..=20))?,
        topics: names(u)?,
        topic_indexes: column(u, count, |u| u.int_in_range(0..=3))?,
        partitions: column(u, count, |u| u.arbitrary())?,
        timestamps: column(u, count, |u| u.arbitrary())?,
        offsets: column(u, count, |u| u.arbitrary())?,
        header_counts: column(u, count, |u| u.int_in_range(0..=3))?,
        header_names: names(u)?,
        header_name_indexes: column(u, headers, |u| u.int_in_range(0..=3))?,
        header_lengths: lengths(u, headers)?,
        header_schemas: column(u, headers, |u| u.int_in_range(0..=20))?,
        data: Vec::new(),
    };
    let sum = [&batch.key_lengths, &batch.value_lengths, &batch.header_lengths]
        .into_iter()
        .flatten()
        .map(|length| u64::try_from(*length).unwrap_or(0))
        .sum::<u64>();
    // Mostly as many bytes as the lengths say, so that something comes through.
    let size = if u.ratio(1, 10)? { u.int_in_range(0..=64)? } else { sum.min(4096) as usize };
    batch.data = from.take_rest().iter().copied().chain(std::iter::repeat(b'1')).take(size).collect();
    Ok(batch)
}

fn lengths(u: &mut Unstructured<'_>, count: u32) -> Result<Vec<i32>> {
    column(u, count, |u| if u.ratio(1, 20)? { u.arbitrary() } else { u.int_in_range(-1..=20) })
}

/// Empty, complete, or of another length.
fn column<T>(u: &mut Unstructured<'_>, count: u32, entry: impl Fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let length = match u.int_in_range(0..=9)? {
        0..=3 => 0,
        4..=8 => count.min(MAX_ENTRIES * 2),
        _ => u.int_in_range(0..=MAX_ENTRIES)?,
    };
    (0..length).map(|_| entry(u)).collect()
}

fn names(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let count = u.int_in_range(0..=NAMES.len())?;
    Ok(NAMES.iter().take(count).map(|name| (*name).to_owned()).collect())
}
