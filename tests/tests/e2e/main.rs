//! The end-to-end tests. One binary, so that its tests share one broker.

// Helpers outside of #[test] functions fail a test by panicking, too.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

mod broker;
mod clients;
mod crash;
mod flow;
mod hostile;
mod http;
mod lifecycle;
mod refused;
mod service;
mod support;
mod upload;
