//! What plugins may call: `log`, `schemas`, `source-context`, `sink-context`.

use async_trait::async_trait;
use serde::Deserialize;
use tracing::Level;

use super::bindings::host;
use super::state::HostState;

/// Bytes of schemas that one instance may put: a task with more of them is generating them.
const MAX_SCHEMA_TABLE_BYTES: usize = 16 << 20;

/// The committed offsets of a connector's source partitions.
#[async_trait]
pub trait OffsetReader: Send + Sync {
    /// The committed offset of each partition, in the order asked; both are JSON objects. `None`: nothing committed.
    ///
    /// # Errors
    /// Why the store could not be read: the call that asked fails with [`super::CallError::Host`].
    async fn offsets(&self, partitions: &[String]) -> Result<Vec<Option<String>>, String>;
}

impl host::types::Host for HostState {}

impl host::records::Host for HostState {}

impl host::log::Host for HostState {
    fn log(&mut self, level: host::log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::log::Level::Trace => Level::TRACE,
            host::log::Level::Debug => Level::DEBUG,
            host::log::Level::Info => Level::INFO,
            host::log::Level::Warn => Level::WARN,
            host::log::Level::Error => Level::ERROR,
        };
        self.log.line(level, &message);
        Ok(())
    }
}

/// What every schema that JsonConverter writes has.
#[derive(Deserialize)]
struct SchemaHead {
    #[serde(rename = "type")]
    _type: String,
}

impl host::schemas::Host for HostState {
    fn get(&mut self, id: u32) -> wasmtime::Result<Option<String>> {
        Ok(self.schemas.get(id).map(|schema| schema.to_string()))
    }

    fn put(&mut self, schema: String) -> wasmtime::Result<Result<u32, String>> {
        self.schema_bytes = self.schema_bytes.saturating_add(schema.len());
        if self.schema_bytes > MAX_SCHEMA_TABLE_BYTES {
            let reason = format!(
                "over {MAX_SCHEMA_TABLE_BYTES} bytes of schemas were put; keep the ids that you got, put no schema twice"
            );
            return Ok(Err(reason));
        }
        if let Err(error) = serde_json::from_str::<SchemaHead>(&schema) {
            return Ok(Err(format!("not a schema as JsonConverter writes it: {error}")));
        }
        Ok(self.schemas.put(&schema).map_err(|error| error.to_string()))
    }
}

impl host::source_context::Host for HostState {
    async fn offsets(&mut self, partitions: Vec<String>) -> wasmtime::Result<Vec<Option<String>>> {
        let Some(reader) = self.offsets.clone() else {
            return Err(wasmtime::Error::msg("source-context.offsets: only a source task has offsets"));
        };
        match reader.offsets(&partitions).await {
            Ok(offsets) => Ok(offsets),
            Err(reason) => Err(self.fail(format!("the committed offsets cannot be read: {reason}"))),
        }
    }
}

impl host::sink_context::Host for HostState {
    fn rewind(&mut self, offsets: Vec<host::types::TopicOffsetResult>) -> wasmtime::Result<()> {
        offsets
            .into_iter()
            .try_for_each(|at| self.requests.rewind(at.topic, at.partition, at.offset))
            .map_err(wasmtime::Error::msg)
    }

    fn pause(&mut self, partitions: Vec<host::types::TopicPartitionResult>) -> wasmtime::Result<()> {
        partitions.into_iter().try_for_each(|at| self.requests.pause(at.topic, at.partition, true)).map_err(wasmtime::Error::msg)
    }

    fn resume(&mut self, partitions: Vec<host::types::TopicPartitionResult>) -> wasmtime::Result<()> {
        partitions.into_iter().try_for_each(|at| self.requests.pause(at.topic, at.partition, false)).map_err(wasmtime::Error::msg)
    }

    fn request_commit(&mut self) -> wasmtime::Result<()> {
        self.requests.request_commit();
        Ok(())
    }
}
