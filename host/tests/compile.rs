//! Uploads are compiled by the program itself, in a process that its limits end.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hawser::sandbox::{CompileLimits, LoadError, Pooling, Sandbox, SandboxOptions};

/// Why the worker does not load a component, when it compiles it so.
async fn load(wat: &str, change: impl FnOnce(&mut SandboxOptions)) -> LoadError {
    let cache = tempfile::tempdir().unwrap();
    let mut options = SandboxOptions::new(cache.path().to_owned());
    options.compiler = Some(PathBuf::from(env!("CARGO_BIN_EXE_hawser")));
    change(&mut options);
    let sandbox = Sandbox::new(options).unwrap();
    let error = sandbox.load(Bytes::from(wat::parse_str(wat).unwrap())).await.err().expect("none of these is a plugin");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "nothing of it is kept");
    error
}

/// A component that takes a while: one module of that many functions.
fn large(functions: usize) -> String {
    let body = "local.get 0 i32.const 3 i32.mul local.set 0 ".repeat(20);
    let function = format!("(func (param i32) (result i32) {body} local.get 0)");
    format!("(component (core module {}))", function.repeat(functions))
}

#[tokio::test]
async fn what_compiles_is_looked_at_further() {
    for pooling in [Pooling::Auto, Pooling::Off] {
        let error = load(&large(10), |options| options.pooling = pooling).await.to_string();
        assert!(error.contains("exports no hawser:connect/plugin"), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_compile_is_refused_with_the_reason() {
    let error = load("(component (core module (func (result i32) i64.const 1)))", |_| {}).await;
    assert!(matches!(&error, LoadError::NotAComponent(reason) if reason.contains("type mismatch")), "{error}");
}

#[tokio::test]
async fn a_compiler_that_takes_too_long_is_ended() {
    let began = Instant::now();
    let timeout = Duration::from_millis(20);
    let error = load(&large(20_000), |options| options.compile = CompileLimits { timeout, ..options.compile.clone() }).await;
    assert!(matches!(error, LoadError::TooSlow { limit } if limit == timeout), "{error}");
    assert!(error.to_string().contains("hawser.plugin.compile.timeout.ms"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_compiler_that_takes_too_much_is_ended() {
    let small = CompileLimits { memory_bytes: 48 << 20, ..CompileLimits::default() };
    let error = load(&large(20_000), |options| options.compile = small).await;
    assert!(matches!(error, LoadError::Compiler { .. }), "{error}");
    assert!(error.to_string().contains("hawser.plugin.compile.memory.bytes"), "{error}");
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_named() {
    let error = load(&large(1), |options| options.compiler = Some("/nowhere/hawser".into())).await;
    assert!(matches!(&error, LoadError::Internal(reason) if reason.contains("/nowhere/hawser")), "{error}");
}
