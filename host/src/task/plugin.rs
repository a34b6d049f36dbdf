//! What the loops ask of plugins. The sandbox's instances are the ones that count; tests put fakes in their place.

use std::sync::Arc;

use async_trait::async_trait;

use crate::record::Batch;
use crate::sandbox::{
    CallError, ChainInstance, Checkpoint, Component, Config, Failure, InstanceEnv, OffsetReader, Polled, SinkInstance,
    SinkRequests, SourceInstance, TopicOffset, TopicPartition, Transformed, Usage,
};

/// A source task's plugin. Calls are made one at a time; a call that is dropped half-way ends the instance.
#[async_trait]
pub trait SourcePlugin: Send {
    /// The next records.
    async fn poll(&mut self) -> Result<Polled, CallError>;
    /// These checkpoints are stored.
    async fn committed(&mut self, checkpoints: &[Checkpoint]) -> Result<(), CallError>;
    /// The last call.
    async fn stop(self: Box<Self>);
    /// What the instance uses.
    fn usage(&self) -> Usage;
}

/// A sink task's plugin. Calls are made one at a time; a call that is dropped half-way ends the instance.
#[async_trait]
pub trait SinkPlugin: Send {
    /// These partitions are the task's.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError>;
    /// These partitions are no longer the task's.
    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError>;
    /// Takes records; answers those that it cannot handle.
    async fn put(&mut self, records: &Batch) -> Result<Vec<Failure>, CallError>;
    /// Makes what was put durable; answers what may be committed.
    async fn flush(&mut self, offsets: &[TopicOffset]) -> Result<Vec<TopicOffset>, CallError>;
    /// What the plugin asked for since the last time.
    fn take_requests(&mut self) -> SinkRequests;
    /// The last call.
    async fn stop(self: Box<Self>);
    /// What the instance uses.
    fn usage(&self) -> Usage;
}

/// Neighbouring transforms of one component.
#[async_trait]
pub trait Chain: Send {
    /// Transforms a batch that is not empty.
    async fn apply(&mut self, records: &Batch) -> Result<Transformed, CallError>;
    /// What the instance uses.
    fn usage(&self) -> Usage;
}

/// Starts a source's plugin; may be asked again when it could not for now.
#[async_trait]
pub trait StartSource: Send + Sync {
    /// The class that it starts.
    fn class(&self) -> String;
    /// Starts it; `offsets` reads the connector's stored offsets.
    async fn start(&self, offsets: Arc<dyn OffsetReader>) -> Result<Box<dyn SourcePlugin>, CallError>;
}

/// Starts a sink's plugin; may be asked again when it could not for now.
#[async_trait]
pub trait StartSink: Send + Sync {
    /// The class that it starts.
    fn class(&self) -> String;
    /// Starts it.
    async fn start(&self) -> Result<Box<dyn SinkPlugin>, CallError>;
}

/// A connector's task on a component.
pub struct PluginSpec {
    /// The component.
    pub component: Arc<Component>,
    /// The class in it.
    pub class: String,
    /// The task's configuration, references resolved.
    pub config: Config,
    /// Grants, limits, schemas.
    pub env: InstanceEnv,
}

#[async_trait]
impl StartSource for PluginSpec {
    fn class(&self) -> String {
        self.class.clone()
    }

    async fn start(&self, offsets: Arc<dyn OffsetReader>) -> Result<Box<dyn SourcePlugin>, CallError> {
        Ok(Box::new(self.component.start_source(&self.class, &self.config, self.env.clone(), offsets).await?))
    }
}

#[async_trait]
impl StartSink for PluginSpec {
    fn class(&self) -> String {
        self.class.clone()
    }

    async fn start(&self) -> Result<Box<dyn SinkPlugin>, CallError> {
        Ok(Box::new(self.component.start_sink(&self.class, &self.config, self.env.clone()).await?))
    }
}

/// What a plugin says about a stop changes nothing any more.
fn stopped(result: Result<(), CallError>) {
    if let Err(error) = result {
        tracing::warn!("stopping the plugin: {error}");
    }
}

#[async_trait]
impl SourcePlugin for SourceInstance {
    async fn poll(&mut self) -> Result<Polled, CallError> {
        SourceInstance::poll(self).await
    }

    async fn committed(&mut self, checkpoints: &[Checkpoint]) -> Result<(), CallError> {
        SourceInstance::committed(self, checkpoints).await
    }

    async fn stop(self: Box<Self>) {
        stopped(SourceInstance::stop(*self).await);
    }

    fn usage(&self) -> Usage {
        SourceInstance::usage(self)
    }
}

#[async_trait]
impl SinkPlugin for SinkInstance {
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        SinkInstance::open(self, partitions).await
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), CallError> {
        SinkInstance::close(self, partitions).await
    }

    async fn put(&mut self, records: &Batch) -> Result<Vec<Failure>, CallError> {
        SinkInstance::put(self, records).await
    }

    async fn flush(&mut self, offsets: &[TopicOffset]) -> Result<Vec<TopicOffset>, CallError> {
        SinkInstance::flush(self, offsets).await
    }

    fn take_requests(&mut self) -> SinkRequests {
        SinkInstance::take_requests(self)
    }

    async fn stop(self: Box<Self>) {
        stopped(SinkInstance::stop(*self).await);
    }

    fn usage(&self) -> Usage {
        SinkInstance::usage(self)
    }
}

#[async_trait]
impl Chain for ChainInstance {
    async fn apply(&mut self, records: &Batch) -> Result<Transformed, CallError> {
        ChainInstance::apply(self, records).await
    }

    fn usage(&self) -> Usage {
        ChainInstance::usage(self)
    }
}
