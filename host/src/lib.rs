//! Hawser: a Kafka Connect host whose connectors and transforms are WebAssembly components.
//!
//! `ARCHITECTURE.md` is the map of the rooms below.

pub mod cluster;
pub mod config;
pub mod convert;
pub mod herder;
pub mod kafka;
pub mod logging;
pub mod metrics;
pub mod plugin;
pub mod record;
pub mod rest;
pub mod sandbox;
pub mod store;
pub mod task;
pub mod tenant;
pub mod worker;
