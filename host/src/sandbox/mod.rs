//! Runs plugins: WebAssembly components that import nothing but what this room links, hold nothing but what was granted,
//! and are ended by the limit that they meet.
//!
//! A [`Sandbox`] is one engine with its compiled-component cache. It [loads](Sandbox::load) an upload into a [`Component`],
//! which answers the one-shot calls (describe, validate, task-configs) on an instance made for the call, and starts the
//! long-lived ones: [`SourceInstance`], [`SinkInstance`], [`ChainInstance`]. Each instance has a store of its own. A trap, a
//! missed deadline, a lie or a cancelled call drops that store, and every later call answers [`CallError::Ended`].

mod answer;
mod artifact;
mod batch;
mod bindings;
mod cache;
mod call;
mod chain;
mod compiler;
mod component;
mod digest;
mod egress;
mod engine;
mod error;
mod files;
mod grants;
mod imports;
mod instance;
mod limiter;
mod limits;
mod log;
mod manifest;
mod requests;
mod requires;
mod sink;
mod source;
mod state;
mod structure;
mod turns;

#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Checkpoint, Failure, Polled, TopicOffset, TopicPartition, Transformed};
pub use call::{Call, Usage};
pub use chain::{ChainInstance, Guard, Step};
pub use compiler::{CompileLimits, CompileOrder, compile_upload};
pub use component::{Component, Exports, InstanceEnv};
pub use digest::Digest;
pub use egress::{HostsFile, Resolver, SystemResolver};
pub use engine::{Pooling, Sandbox, SandboxOptions};
pub use error::{CallError, Exceeded, LoadError, SandboxError};
pub use grants::{
    AddressKind, Destination, FileGrant, GRANT_KEYS, GrantError, Grants, Protocol, Scheme, Target, is_allowed, is_meant,
    is_secret_key, is_withheld,
};
pub use imports::OffsetReader;
pub use limits::{Deadlines, InstanceLimits, LIMIT_KEYS, LimitError};
pub use manifest::{Class, ConfigKey, ConfigValue, Importance, Kind, Manifest, ValueType, Width};
pub use requests::SinkRequests;
pub use requires::{Capability, Requirement};
pub use sink::SinkInstance;
pub use source::SourceInstance;
pub use turns::worker_threads;

/// A connector's, task's or transform's configuration with its `${provider:path:key}` references resolved: it may hold secrets.
pub type Config = Vec<(String, String)>;

/// The versions of `hawser:connect` that this worker runs, newest last.
pub const WIT_VERSIONS: [&str; 1] = ["0.1.0"];
