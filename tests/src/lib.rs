//! The harness of the end-to-end tests: a broker, real `hawser` workers, a REST client, topics, plugins.
//!
//! Everything here blocks and panics with a message that says what was awaited and what was seen: a test is a plain
//! `#[test]` function without a runtime or error plumbing. Names are unique per test, ports are free ones, and what a
//! test starts ends with it, so that tests run in parallel.
//!
//! The broker is a real Apache Kafka (by `scripts/kafka.sh`, or the one at `KAFKA_BOOTSTRAP`); with
//! `HAWSER_TEST_BROKER=dev` it is the development broker of `--dev`. Every test runs against both.

// A harness reports by panicking.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

mod compiled;
mod connect;
mod exposition;
mod files;
mod kafka;
mod process;
mod registry;
mod rest;
mod topic;
mod wait;
mod worker;

pub use connect::KafkaConnect;
pub use exposition::{Exposition, Family, Sample};
pub use files::{Plugin, checkout, unique};
pub use kafka::{Broker, Kafka};
pub use registry::Registry;
pub use rest::{Answer, Rest};
pub use topic::{Record, Topic};
pub use wait::{Deadline, wait_for};
pub use worker::{Worker, WorkerBuilder};
