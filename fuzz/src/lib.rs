//! Fuzz targets: a function per door through which bytes come in from outside. Each must return, whatever the bytes, without
//! a panic and within limits; what it asserts besides stands in its module.
//!
//! `scripts/fuzz.sh` runs them guided by coverage; the test of this crate replays the corpus without any of that.

// A target reports by panicking.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

mod batch;
mod config;
mod convert;
mod fakes;
mod formats;
mod rest;
mod stores;
mod upload;

use std::sync::LazyLock;

use tokio::runtime::Runtime;

/// A target: takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the name of their folder in the corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("avro", formats::avro),
    ("batch", batch::fuzz),
    ("config", config::fuzz),
    ("decode", convert::decode),
    ("encode", convert::encode),
    ("json-schema", formats::json_schema),
    ("protobuf", formats::protobuf),
    ("rest", rest::fuzz),
    ("stores", stores::fuzz),
    ("upload", upload::fuzz),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|(known, _)| *known == name).map(|(_, target)| target)
}

/// Where the targets' async code runs: on the thread that calls them, because waking another one takes longer than most inputs.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio runtime"));

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
