//! The end-to-end tests. One binary, so that its tests share one broker.

// Helpers outside of #[test] functions fail a test by panicking, too.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

mod broker;
mod clients;
mod configuration;
mod connect;
mod crash;
mod errors;
mod flow;
mod hostile;
mod http;
mod https;
mod lifecycle;
mod metrics;
mod offsets_topic;
mod openapi;
mod proof;
mod refused;
mod registry;
mod service;
mod shipped;
mod siege;
mod stalled;
mod stranger;
mod support;
mod upload;
