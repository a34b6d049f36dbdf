//! Hawser: a Kafka Connect host whose connectors and transforms are WebAssembly components.

pub mod store;
