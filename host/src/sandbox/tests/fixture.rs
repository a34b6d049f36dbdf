//! The hostile plugin, built and loaded once, and short ways to start its classes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::record::{Batch, BatchBuilder, Record, SchemaTable};
use crate::sandbox::{
    CallError, ChainInstance, Component, Config, Grants, InstanceEnv, InstanceLimits, OffsetReader, Sandbox, SandboxOptions,
    SinkInstance, SourceInstance, Step,
};

const DESCRIBE: &[u8] = b"hawser-hostile-describe=";
const VERSION: &[u8] = b"hawser-hostile-ver=";

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The hostile component, built by cargo if it is not there or out of date.
pub(crate) fn wasm() -> Bytes {
    static WASM: OnceLock<Bytes> = OnceLock::new();
    WASM.get_or_init(|| {
        let target = workspace().join("target/fixtures");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--package", "hawser-fixture-hostile", "--target", "wasm32-wasip2"])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(workspace())
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the fixture does not build: is the target wasm32-wasip2 installed?");
        std::fs::read(target.join("wasm32-wasip2/release/hawser_fixture_hostile.wasm")).expect("the fixture is there").into()
    })
    .clone()
}

/// The hostile component with another behaviour in `describe` and another version.
pub(crate) fn patched(describe: &str, version: &str) -> Bytes {
    let mut wasm = wasm().to_vec();
    for (marker, value, room) in [(DESCRIBE, describe, 16), (VERSION, version, 5)] {
        let at = wasm.windows(marker.len()).position(|bytes| bytes == marker).expect("the marker is there") + marker.len();
        wasm[at..at + room].fill(b' ');
        wasm[at..at + value.len()].copy_from_slice(value.as_bytes());
    }
    wasm.into()
}

pub(crate) fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let new =
        || Arc::new(Sandbox::new(SandboxOptions::new(workspace().join("target/fixtures/cache"))).expect("the engine starts"));
    SANDBOX.get_or_init(new).clone()
}

pub(crate) async fn component() -> Arc<Component> {
    static COMPONENT: OnceCell<Arc<Component>> = OnceCell::const_new();
    COMPONENT.get_or_init(async || sandbox().load(wasm()).await.expect("the fixture loads")).await.clone()
}

pub(crate) fn config(pairs: &[(&str, &str)]) -> Config {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(crate) fn env(limits: InstanceLimits) -> InstanceEnv {
    let schemas = Arc::new(SchemaTable::default());
    InstanceEnv { connector: "hostile".into(), task: Some(3), grants: Grants::default(), limits, schemas }
}

/// Offsets of one partition, `{"part":"only"}`.
pub(crate) struct OneOffset;

#[async_trait]
impl OffsetReader for OneOffset {
    async fn offsets(&self, partitions: &[String]) -> Result<Vec<Option<String>>, String> {
        Ok(partitions.iter().map(|asked| asked.contains("only").then(|| r#"{"polls":7}"#.to_owned())).collect())
    }
}

pub(crate) async fn source(pairs: &[(&str, &str)], env: InstanceEnv) -> Result<SourceInstance, CallError> {
    component().await.start_source("HostileSource", &config(pairs), env, Arc::new(OneOffset)).await
}

pub(crate) async fn sink(pairs: &[(&str, &str)], env: InstanceEnv) -> Result<SinkInstance, CallError> {
    component().await.start_sink("HostileSink", &config(pairs), env).await
}

pub(crate) async fn chain(pairs: &[(&str, &str)], env: InstanceEnv) -> Result<ChainInstance, CallError> {
    let step =
        Step { class: "HostileTransform".into(), alias: "x".into(), config: config(pairs), predicate: None, negate: false };
    component().await.start_chain(vec![step], vec![], env).await
}

/// Records of one topic with a value each.
pub(crate) fn batch(records: usize, size: usize) -> Batch {
    let value = vec![b'x'; size];
    let mut builder = BatchBuilder::default();
    for offset in 0..records as u64 {
        builder.push(Record { topic: "t", offset: Some(offset), value: Some(&value), ..Record::default() }, []);
    }
    builder.finish()
}
