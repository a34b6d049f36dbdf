//! What stands in for the host outside of Wasm: the same calls, kept in memory, for each thread by itself.

use std::cell::RefCell;

use serde_json::Value;

use crate::bindings::wit::{TopicOffset, TopicPartition};
use crate::log::Level;

/// The first id that stands for a schema.
const FIRST_SCHEMA: usize = 16;

/// What a sink asked of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkRequest {
    /// Read on from here: topic, partition, offset.
    Rewind(String, u32, u64),
    /// Send no more records: topic, partition.
    Pause(String, u32),
    /// Send records again: topic, partition.
    Resume(String, u32),
    /// Flush and commit soon.
    Commit,
}

#[derive(Default)]
struct Host {
    offsets: Vec<(Value, String)>,
    schemas: Vec<String>,
    lines: Vec<(Level, String)>,
    requests: Vec<SinkRequest>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Stores a source offset as if it had been committed; both are JSON.
///
/// # Panics
/// If the partition is not JSON.
#[allow(clippy::panic)] // For tests.
pub fn store_offset(partition: &str, offset: &str) {
    let Ok(partition) = serde_json::from_str::<Value>(partition) else { panic!("not JSON: {partition}") };
    HOST.with_borrow_mut(|host| {
        host.offsets.retain(|(known, _)| *known != partition);
        host.offsets.push((partition, offset.to_owned()));
    });
}

/// The lines that this thread has logged since it asked last.
pub fn take_lines() -> Vec<(Level, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.lines))
}

/// What the sinks of this thread have asked for since it was looked at last.
pub fn take_requests() -> Vec<SinkRequest> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.requests))
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.lines.push((level, message.to_owned())));
}

pub(crate) fn offsets(partitions: &[String]) -> Vec<Option<String>> {
    HOST.with_borrow(|host| {
        let find = |partition: &String| {
            let partition: Value = serde_json::from_str(partition).ok()?;
            let stored = host.offsets.iter().find(|(known, _)| *known == partition)?;
            Some(stored.1.clone())
        };
        partitions.iter().map(find).collect()
    })
}

pub(crate) fn schema(id: u32) -> Option<String> {
    let place = (id as usize).checked_sub(FIRST_SCHEMA)?;
    HOST.with_borrow(|host| host.schemas.get(place).cloned())
}

pub(crate) fn put_schema(schema: &str) -> Result<u32, String> {
    serde_json::from_str::<Value>(schema).map_err(|error| error.to_string())?;
    HOST.with_borrow_mut(|host| {
        let place = host.schemas.iter().position(|known| known == schema).unwrap_or_else(|| {
            host.schemas.push(schema.to_owned());
            host.schemas.len() - 1
        });
        u32::try_from(place + FIRST_SCHEMA).map_err(|error| error.to_string())
    })
}

fn request(requests: impl IntoIterator<Item = SinkRequest>) {
    HOST.with_borrow_mut(|host| host.requests.extend(requests));
}

pub(crate) fn rewind(offsets: &[TopicOffset]) {
    request(offsets.iter().map(|at| SinkRequest::Rewind(at.topic.clone(), at.partition, at.offset)));
}

pub(crate) fn pause(partitions: &[TopicPartition]) {
    request(partitions.iter().map(|at| SinkRequest::Pause(at.topic.clone(), at.partition)));
}

pub(crate) fn resume(partitions: &[TopicPartition]) {
    request(partitions.iter().map(|at| SinkRequest::Resume(at.topic.clone(), at.partition)));
}

pub(crate) fn request_commit() {
    request([SinkRequest::Commit]);
}
