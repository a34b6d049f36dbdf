//! `make bench`: what Hawser costs, in one run, as ratios to a plain Kafka client. `docs/benchmark.md` says how to read it.
//!
//! Prints tables and writes `target/bench/summary.json`.

mod broker;
mod conversion;
mod jvm;
mod meter;
mod plain;
mod registry;
mod report;
mod rows;
mod scale;
mod stages;
mod tasks;
mod worker;

use broker::{Broker, PARTITIONS};
use jvm::Jvm;
use meter::Cost;
use report::{put, write};
use serde_json::{Map, Value, json};
use stages::{Plugins, Stages, Work};

/// Each way is run so often, in turn with the others; the best run of each counts.
const ROUNDS: usize = 3;
/// Sizes of records in bytes, names, and how many are moved in one run.
const SHAPES: [(usize, &str, u64); 2] = [(100, "100b", 1_000_000), (1000, "1kb", 300_000)];
/// Records in a batch of the crossing.
const CROSSING_RECORDS: u32 = 500;

/// A way to move records, and the best that it did.
struct Way {
    name: &'static str,
    key: &'static str,
    best: Option<(Cost, Stages)>,
    /// Records a second of every run.
    rates: Vec<f64>,
    /// Processor nanoseconds per record, the least of all runs.
    least_cpu: f64,
}

impl Way {
    fn new(name: &'static str, key: &'static str) -> Self {
        Way { name, key, best: None, rates: Vec::new(), least_cpu: f64::INFINITY }
    }

    fn ran(&mut self, records: u64, cost: Cost, stages: Stages) {
        self.rates.push(records as f64 / cost.seconds);
        self.least_cpu = self.least_cpu.min(cost.cpu * 1e9 / records as f64);
        if self.best.is_none_or(|(best, _)| cost.seconds < best.seconds) {
            self.best = Some((cost, stages));
        }
    }

    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }
}

fn main() -> anyhow::Result<()> {
    // The stages are driven by this thread; whole tasks run on others, as in the worker, and this one watches them.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match std::env::args().nth(1).as_deref() {
        None => everything(runtime),
        Some("rows") => runtime.block_on(only_rows()),
        Some("scale") => scale::run(),
        Some(other) => {
            anyhow::bail!("`{other}` is not known: `rows` measures converters and transforms alone, `scale` idle connectors")
        }
    }
}

/// Converters and transforms alone: what to run while one is being written.
async fn only_rows() -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    let transforms = Plugins::open(cache.path())?.load("transforms").await?;
    let (jvm, mut ignored) = (Jvm::start()?, Map::new());
    for size in [Some(SHAPES[0].0), Some(SHAPES[1].0), None] {
        let rows = conversion::rows(&transforms, jvm.as_ref(), size).await?;
        let what = size.map_or("records of a size of their own".to_owned(), |size| format!("records of {size} B"));
        report::rows(&rows, &what, "", f64::NAN, &mut ignored);
    }
    Ok(())
}

fn everything(runtime: tokio::runtime::Runtime) -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut summary = Map::new();
    let load = meter::load()?;
    let processors = std::thread::available_parallelism()?;
    println!("{}; {processors} processors, load {load} at the start; best of {ROUNDS} runs, in turn", broker.kind());
    summary.insert("load_at_start".to_owned(), json!(load));

    runtime.block_on(in_process(&broker, &mut summary))?;
    drop(runtime);

    let starts = worker::starts(broker.bootstrap())?;
    let memory = worker::memory(broker.bootstrap())?;
    println!("\nworker");
    let many = worker::MANY;
    let lines = [
        ("upload to first record, ms".to_owned(), "upload_to_first_record_ms", starts.upload_to_first_record_ms),
        ("cached restart to first record, ms".to_owned(), "restart_to_first_record_ms", starts.restart_to_first_record_ms),
        ("memory without connectors, MB".to_owned(), "rss_mb_0_idle", memory.empty),
        ("memory with 1 idle connector, MB".to_owned(), "rss_mb_1_idle", memory.one_idle),
        (format!("memory with {many} idle connectors, MB"), "rss_mb_100_idle", memory.many_idle),
    ];
    for (name, key, figure) in lines {
        println!("  {name:<42} {figure:>9.1}");
        put(&mut summary, key.to_owned(), figure);
    }
    let load = meter::load()?;
    println!("\nload {load} at the end");
    summary.insert("load_at_end".to_owned(), json!(load));
    write(summary)
}

/// Everything that runs in this process.
async fn in_process(broker: &Broker, summary: &mut Map<String, Value>) -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    let plugins = Plugins::open(cache.path())?;
    let (transforms, datagen) = (plugins.load("transforms").await?, plugins.load("datagen").await?);
    let (blackhole, echo) = (plugins.load("blackhole").await?, plugins.load("hostile").await?);
    let jvm = Jvm::start()?;

    println!("\ncrossing alone (a transform that gives the batch back, {CROSSING_RECORDS} records a batch)");
    for (size, shape, _) in SHAPES {
        let nanos = stages::crossing(&echo, CROSSING_RECORDS, size).await?;
        println!("  {size:>5} B {nanos:>8.1} ns/record");
        put(summary, format!("crossing_ns_{shape}"), nanos);
    }

    for (size, shape, records) in SHAPES {
        let bootstrap = broker.bootstrap();
        let from = broker.create_topic("bench-from", PARTITIONS).await?;
        plain::fill(bootstrap, &from, records, size)?;
        let mut ways = [
            Way::new("plain consume-produce loop", "plain"),
            Way::new("through Hawser, no-op transform", "noop"),
            Way::new("through Hawser, JSON transform", "json"),
            Way::new("topic -> blackhole sink", "sink"),
            Way::new("datagen source -> topic", "source"),
        ];
        for _ in 0..ROUNDS {
            for way in &mut ways {
                let to = broker.create_topic("bench-to", PARTITIONS).await?;
                let (cost, stages) = match way.key {
                    "plain" => (plain::copy(bootstrap, &from, &to, records)?, Stages::default()),
                    "noop" => stages::copy(bootstrap, &transforms, Work::Nothing, &from, &to, records).await?,
                    "json" => stages::copy(bootstrap, &transforms, Work::Json, &from, &to, records).await?,
                    "sink" => (tasks::sink(bootstrap, &blackhole, &from, records).await?, Stages::default()),
                    _ => (tasks::source(bootstrap, &datagen, &to, records, size).await?, Stages::default()),
                };
                way.ran(records, cost, stages);
                broker.delete_topic(&to).await?;
            }
        }
        broker.delete_topic(&from).await?;
        let plain = report::ways(&ways, size, shape, records, summary);
        let rows = conversion::rows(&transforms, jvm.as_ref(), Some(size)).await?;
        report::rows(&rows, &format!("records of {size} B"), &format!("_{shape}"), plain, summary);
        if shape == SHAPES[0].1 {
            let rows = conversion::rows(&transforms, jvm.as_ref(), None).await?;
            report::rows(&rows, "records of a size of their own", "", plain, summary);
        }
    }
    Ok(())
}
