//! Tasks: the source loop and the sink loop, transform chains, errors, commits. The promises that they keep are written down in
//! `docs/delivery.md`.
//!
//! A task is one tokio task. [`spawn_source`] and [`spawn_sink`] start one from a spec; the [`TaskHandle`] pauses, resumes and
//! stops it, and tells its live [`TaskState`]. Nothing restarts a failed task but its owner, with a new spec.

mod backoff;
mod chain;
mod creation;
mod dead_letter;
mod error;
mod handle;
mod pipeline;
mod plugin;
mod poison;
mod policy;
mod report;
mod run;
mod select;
mod sink;
mod source;
mod spec;
mod starts;
#[cfg(test)]
mod testing;

pub use chain::{ChainSpec, Link, PredicateStep, StartChain, TransformStep, group_steps};
pub use creation::{CreationError, TopicCreation};
pub use handle::{Target, TaskHandle, TaskId, TaskState};
pub use plugin::{Chain, PluginSpec, SinkPlugin, SourcePlugin, StartSink, StartSource};
pub use policy::{DeadLetterSpec, ErrorPolicy, PolicyError, Tolerance};
pub use spec::{Checkpoints, CommitTiming, SinkSpec, SourceSpec, TaskContext, TopicTracker, spawn_sink, spawn_source};
pub use starts::Starts;
