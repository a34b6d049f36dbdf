//! Hawser: a Kafka Connect host whose connectors and transforms are WebAssembly components.
//!
//! `ARCHITECTURE.md` is the map of the rooms below.

pub mod kafka;
pub mod record;
