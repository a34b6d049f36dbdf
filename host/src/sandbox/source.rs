use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::record::SchemaTable;

use super::bindings::guest::source;
use super::instance::Instance;
use super::limits::BATCH_KEY;
use super::{Call, CallError, Checkpoint, Polled, Usage, batch};

/// A source task in an instance of its own. Dropping it, or the future of one of its calls, drops its store.
pub struct SourceInstance {
    instance: Instance<source::Guest>,
    schemas: Arc<SchemaTable>,
}

impl SourceInstance {
    pub(super) fn new(instance: Instance<source::Guest>, schemas: Arc<SchemaTable>) -> SourceInstance {
        SourceInstance { instance, schemas }
    }

    /// The next records.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them.
    pub async fn poll(&mut self) -> Result<Polled, CallError> {
        let schemas = self.schemas.clone();
        let work = async |guest: &source::Guest, store: &mut _, task| guest.task().call_poll(store, task).await;
        self.instance
            .call(Call::Poll, work, |polled, live| {
                let records = batch::lift(Call::Poll, polled.records, live.limits(), &schemas)?;
                let asked = u32::try_from(polled.checkpoints.len()).unwrap_or(u32::MAX);
                let allowed = live.limits().batch_records;
                if asked > allowed {
                    let reason = format!("{asked} checkpoints, {allowed} are allowed ({BATCH_KEY})");
                    return Err(CallError::BadAnswer { call: Call::Poll, reason });
                }
                let checkpoints = check(polled.checkpoints, records.count)?;
                Ok(Polled { records, checkpoints, idle: Duration::from_millis(polled.idle_ms.into()) })
            })
            .await
    }

    /// Tells the task that these checkpoints are durable in Kafka.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them.
    pub async fn committed(&mut self, checkpoints: &[Checkpoint]) -> Result<(), CallError> {
        let lowered: Vec<_> = checkpoints
            .iter()
            .map(|at| source::CheckpointParam { through: at.through, partition: &at.partition, offset: &at.offset })
            .collect();
        let work = async |guest: &source::Guest, store: &mut _, task| guest.task().call_committed(store, task, &lowered).await;
        self.instance.call(Call::Committed, work, |(), _| Ok(())).await
    }

    /// The last call.
    ///
    /// # Errors
    /// [`CallError`] when it crashes or takes too long.
    pub async fn stop(mut self) -> Result<(), CallError> {
        let work = async |guest: &source::Guest, store: &mut _, task| guest.task().call_stop(store, task).await.map(Ok);
        self.instance.call(Call::Stop, work, |(), _| Ok(())).await
    }

    /// What it has used, up to the last call that ended well.
    pub fn usage(&self) -> Usage {
        self.instance.usage()
    }
}

/// Checkpoints ascend, stay within the batch, and hold JSON objects of primitive values, as Kafka Connect's `OffsetUtils` asks.
fn check(checkpoints: Vec<source::CheckpointResult>, count: u32) -> Result<Vec<Checkpoint>, CallError> {
    let refuse = |reason: String| Err(CallError::BadAnswer { call: Call::Poll, reason });
    let mut last = 0;
    for checkpoint in &checkpoints {
        let through = checkpoint.through;
        if through < last || through > count {
            return refuse(format!("a checkpoint covers {through} records after one that covers {last}, in a batch of {count}"));
        }
        last = through;
        for (name, json) in [("partition", &checkpoint.partition), ("offset", &checkpoint.offset)] {
            match serde_json::from_str::<Map<String, Value>>(json) {
                Ok(members) if members.values().all(is_primitive) => {}
                Ok(_) => return refuse(format!("a checkpoint's {name} holds an array or object; its values must be primitive")),
                Err(error) => return refuse(format!("a checkpoint's {name} is no JSON object: {error}")),
            }
        }
    }
    let lift = |at: source::CheckpointResult| Checkpoint { through: at.through, partition: at.partition, offset: at.offset };
    Ok(checkpoints.into_iter().map(lift).collect())
}

fn is_primitive(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}
