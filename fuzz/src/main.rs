//! The coverage-guided program: `HAWSER_FUZZ=TARGET hawser-fuzz [libFuzzer's options] CORPUS...`
//!
//! One program for all targets, so that the worker is linked once.

#![no_main]
#![allow(unsafe_code)] // What `fuzz_target!` writes.
#![allow(clippy::panic, clippy::expect_used)]

use std::sync::LazyLock;

use hawser_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("HAWSER_FUZZ").expect("HAWSER_FUZZ names the target");
    hawser_fuzz::target(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
