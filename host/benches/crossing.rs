//! What the sandbox costs: nanoseconds per record from host to guest and back through a transform that does nothing, and
//! the milliseconds of loading and starting. Prints a table, and with `--json` one JSON object.
//!
//! Run with `cargo bench --bench crossing [-- COMPONENT CLASS]`; without a component the hostile fixture is built and used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hawser::record::{Batch, BatchBuilder, Record, SchemaTable};
use hawser::sandbox::{ChainInstance, Component, Grants, InstanceEnv, InstanceLimits, Sandbox, SandboxOptions, Step};

/// How long each shape of batch is measured.
const SPAN: Duration = Duration::from_secs(1);
/// Instances started to see what one costs that does nothing.
const IDLE: usize = 500;
const SHAPES: [(usize, usize); 5] = [(50, 100), (500, 100), (500, 1000), (5000, 100), (1, 100)];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let named: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let path = named.first().map_or_else(fixture, |path| Ok(PathBuf::from(path)))?;
    let class = named.get(1).map_or("HostileTransform", |class| class.as_str());
    let wasm: bytes::Bytes = std::fs::read(&path).with_context(|| path.display().to_string())?.into();

    let cache = tempfile::tempdir()?;
    let open = || Sandbox::new(SandboxOptions::new(cache.path().to_owned()));
    let (compiled, compile_ms) = timed(open()?.load(wasm.clone())).await;
    drop(compiled?);
    let (sandbox, engine_ms) = timed(async { open() }).await;
    let sandbox = sandbox?;
    let (component, cached_ms) = timed(sandbox.load(wasm)).await;
    let component = component?;
    let (started, start_ms) = timed(start(&component, class)).await;
    let mut chain = started?;

    let before_kb = resident_kb()?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(start(&component, class).await?);
    }
    let idle_kb = (resident_kb()? - before_kb) / IDLE as f64;
    drop(idle);

    let mut results = vec![
        ("engine_ms".to_owned(), engine_ms),
        ("compile_ms".to_owned(), compile_ms),
        ("cached_load_ms".to_owned(), cached_ms),
        ("start_ms".to_owned(), start_ms),
        ("instance_resident_kb".to_owned(), idle_kb),
        ("instance_memory_kb".to_owned(), chain.usage().memory_bytes as f64 / 1024.0),
    ];
    for (records, size) in SHAPES {
        results.push((format!("crossing_ns_{records}x{size}b"), crossing(&mut chain, &batch(records, size)).await?));
    }
    if json {
        let object: serde_json::Map<_, _> = results.into_iter().map(|(name, value)| (name, value.into())).collect();
        println!("{}", serde_json::Value::Object(object));
    } else {
        println!("{} (pooled: {})", path.display(), sandbox.is_pooled());
        results.iter().for_each(|(name, value)| println!("{name:24} {value:>10.2}"));
    }
    Ok(())
}

/// Nanoseconds per record, to the guest and back.
async fn crossing(chain: &mut ChainInstance, batch: &Batch) -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    let end = Instant::now() + SPAN;
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..100 {
            let out = chain.apply(batch).await?;
            ensure!(out.records.count == batch.count, "the transform changes batches; name one that does nothing");
        }
        best = best.min(start.elapsed().as_nanos() as f64 / (100 * batch.len()) as f64);
    }
    Ok(best)
}

async fn start(component: &Arc<Component>, class: &str) -> anyhow::Result<ChainInstance> {
    let step = Step { class: class.to_owned(), alias: "x".to_owned(), config: vec![], predicate: None, negate: false };
    let env = InstanceEnv {
        connector: "bench".into(),
        task: Some(0),
        grants: Grants::default(),
        limits: InstanceLimits::default(),
        schemas: Arc::new(SchemaTable::default()),
    };
    Ok(component.start_chain(vec![step], vec![], env).await?)
}

/// Records as a consumer makes them: key, value, timestamp, partition, offset.
fn batch(records: usize, size: usize) -> Batch {
    let value = vec![b'x'; size];
    let mut builder = BatchBuilder::default();
    for offset in 0..records as u64 {
        let record = Record {
            topic: "bench",
            partition: 3,
            timestamp: 1_700_000_000_000 + offset as i64,
            offset: Some(offset),
            key: Some(b"key-0001"),
            value: Some(&value),
            ..Record::default()
        };
        builder.push(record, []);
    }
    builder.finish()
}

/// Memory of this process that is resident.
fn resident_kb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, f64) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed().as_secs_f64() * 1000.0)
}

fn fixture() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = workspace.join("target/fixtures");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "hawser-fixture-hostile",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&workspace)
        .status()?;
    ensure!(built.success(), "the fixture does not build: is the target wasm32-wasip2 installed?");
    Ok(target.join("wasm32-wasip2/release/hawser_fixture_hostile.wasm"))
}
