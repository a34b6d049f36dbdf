//! Batches across the wall. Columns move: no record is looked at here.

use crate::record::{Batch, FIRST_SCHEMA_ID, SCHEMA_JSON, SchemaId, SchemaTable};

use super::bindings::host::records::{BatchParam, BatchResult, Failure as GuestFailure};
use super::log::cut;
use super::{Call, CallError, Exceeded, Failure, InstanceLimits};

/// Bytes of a failure's reason that are kept.
const MAX_REASON_BYTES: usize = 8 << 10;
/// Bytes of a failure's kind that are kept.
const MAX_KIND_BYTES: usize = 256;

/// The names of a batch as the interface wants them.
pub(super) struct Names<'a> {
    topics: Vec<&'a str>,
    headers: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(batch: &'a Batch) -> Names<'a> {
        Names {
            topics: batch.topics.iter().map(String::as_str).collect(),
            headers: batch.header_names.iter().map(String::as_str).collect(),
        }
    }
}

/// A batch on its way to a guest.
pub(super) fn lower<'a>(batch: &'a Batch, names: &'a Names<'a>) -> BatchParam<'a> {
    BatchParam {
        count: batch.count,
        data: &batch.data,
        key_lengths: &batch.key_lengths,
        value_lengths: &batch.value_lengths,
        key_schemas: &batch.key_schemas,
        value_schemas: &batch.value_schemas,
        topics: &names.topics,
        topic_indexes: &batch.topic_indexes,
        partitions: &batch.partitions,
        timestamps: &batch.timestamps,
        offsets: &batch.offsets,
        header_counts: &batch.header_counts,
        header_names: &names.headers,
        header_name_indexes: &batch.header_name_indexes,
        header_lengths: &batch.header_lengths,
        header_schemas: &batch.header_schemas,
    }
}

/// A batch that a guest made, once it is found to keep the rules and the limits.
///
/// # Errors
/// [`CallError::BadAnswer`] names the column that lies; [`CallError::Limit`] a batch of too many records.
pub(super) fn lift(call: Call, batch: BatchResult, limits: &InstanceLimits, schemas: &SchemaTable) -> Result<Batch, CallError> {
    let batch = Batch {
        count: batch.count,
        data: batch.data,
        key_lengths: batch.key_lengths,
        value_lengths: batch.value_lengths,
        key_schemas: batch.key_schemas,
        value_schemas: batch.value_schemas,
        topics: batch.topics,
        topic_indexes: batch.topic_indexes,
        partitions: batch.partitions,
        timestamps: batch.timestamps,
        offsets: batch.offsets,
        header_counts: batch.header_counts,
        header_names: batch.header_names,
        header_name_indexes: batch.header_name_indexes,
        header_lengths: batch.header_lengths,
        header_schemas: batch.header_schemas,
    };
    if batch.count > limits.batch_records {
        let exceeded = Exceeded::BatchRecords { asked: batch.count, allowed: limits.batch_records };
        return Err(CallError::Limit { call, exceeded });
    }
    batch.validate().map_err(|error| CallError::BadAnswer { call, reason: error.to_string() })?;
    for (column, ids) in
        [("key-schemas", &batch.key_schemas), ("value-schemas", &batch.value_schemas), ("header-schemas", &batch.header_schemas)]
    {
        check_schemas(call, column, ids, schemas)?;
    }
    Ok(batch)
}

/// The ids of a table are consecutive, so that the highest one speaks for all.
fn check_schemas(call: Call, column: &str, ids: &[SchemaId], schemas: &SchemaTable) -> Result<(), CallError> {
    let highest = ids.iter().copied().max().unwrap_or(0);
    let reserved = ids.iter().copied().find(|id| (SCHEMA_JSON + 1..FIRST_SCHEMA_ID).contains(id));
    let unknown = (highest >= FIRST_SCHEMA_ID && schemas.get(highest).is_none()).then_some(highest);
    match reserved.or(unknown) {
        None => Ok(()),
        Some(id) => {
            let reason =
                format!("column `{column}` holds the schema-id {id}, which stands for no schema; get ids from schemas.put");
            Err(CallError::BadAnswer { call, reason })
        }
    }
}

fn shortened(text: String, limit: usize) -> String {
    if text.len() <= limit { text } else { cut(&text, limit).to_owned() }
}

/// Failures in ascending order, each record once.
///
/// # Errors
/// [`CallError::BadAnswer`] when one is of a record that is not in the batch.
pub(super) fn lift_failures(call: Call, failures: Vec<GuestFailure>, count: u32) -> Result<Vec<Failure>, CallError> {
    if let Some(failure) = failures.iter().find(|failure| failure.index >= count) {
        let reason = format!("a failure of record {} in a batch of {count}", failure.index);
        return Err(CallError::BadAnswer { call, reason });
    }
    let mut failures: Vec<_> = failures
        .into_iter()
        .map(|failure| Failure {
            index: failure.index,
            reason: shortened(failure.reason, MAX_REASON_BYTES),
            kind: failure.kind.map(|kind| shortened(kind, MAX_KIND_BYTES)),
            step: failure.step,
        })
        .collect();
    failures.sort_by_key(|failure| failure.index);
    failures.dedup_by_key(|failure| failure.index);
    Ok(failures)
}
