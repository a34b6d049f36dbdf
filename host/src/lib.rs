//! Hawser: a Kafka Connect host whose connectors and transforms are WebAssembly components.
//!
//! `ARCHITECTURE.md` is the map of the rooms below.

pub mod convert;
pub mod kafka;
pub mod metrics;
pub mod plugin;
pub mod record;
pub mod sandbox;
pub mod store;
pub mod task;
