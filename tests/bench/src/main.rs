//! `make bench`: what Hawser costs, in one run, as ratios to a plain Kafka client. `docs/benchmark.md` says how to read it.
//!
//! Prints tables and writes `target/bench/summary.json`.

mod broker;
mod meter;
mod plain;
mod stages;
mod tasks;
mod worker;

use anyhow::Context;
use broker::{Broker, PARTITIONS};
use meter::Cost;
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
    let blackhole = plugins.load("blackhole").await?;

    println!("\ncrossing alone (RegexRouter, {CROSSING_RECORDS} records a batch)");
    for (size, shape, _) in SHAPES {
        let nanos = stages::crossing(&transforms, CROSSING_RECORDS, size).await?;
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
        report(&ways, size, shape, records, summary);
    }
    Ok(())
}

fn report(ways: &[Way], size: usize, shape: &str, records: u64, summary: &mut Map<String, Value>) {
    let plain = ways.iter().find(|way| way.key == "plain");
    let (limit, limit_cpu) = plain.map_or((f64::NAN, f64::NAN), |way| (way.rate(), way.least_cpu));
    println!("\n{records} records of {size} B");
    println!("  {:<34} {:>11} {:>6} {:>14} {:>6}   records/s of all runs", "", "records/s", "ratio", "CPU ns/record", "ratio");
    for way in ways {
        let (rate, cpu) = (way.rate(), way.least_cpu);
        let all: Vec<_> = way.rates.iter().map(|rate| format!("{rate:.0}")).collect();
        let (ratio, cpu_ratio) = (rate / limit, cpu / limit_cpu);
        println!("  {:<34} {rate:>11.0} {ratio:>6.2} {cpu:>14.0} {cpu_ratio:>6.2}   {}", way.name, all.join(" "));
        put(summary, format!("{}_records_per_s_{shape}", way.key), rate);
        put(summary, format!("{}_cpu_ns_{shape}", way.key), cpu);
        if way.key != "plain" {
            put(summary, format!("{}_ratio_{shape}", way.key), ratio);
            put(summary, format!("{}_cpu_ratio_{shape}", way.key), cpu_ratio);
        }
    }
    println!("  where the time of the best run goes, ns/record:");
    for way in ways {
        let Some((cost, stages)) = way.best else { continue };
        let per = |seconds: f64| seconds * 1e9 / records as f64;
        print!("  {:<34} clock {:.0}, CPU {:.0}", way.name, per(cost.seconds), per(cost.cpu));
        if matches!(way.key, "plain" | "noop" | "json") {
            let own = per(cost.own_cpu);
            print!(" (own thread {own:.0}, librdkafka's {:.0})", per(cost.cpu) - own);
        }
        if stages.crossing.is_zero() {
            println!();
        } else {
            let [fill, convert, crossing, send, settle] =
                [stages.fill, stages.convert, stages.crossing, stages.send, stages.settle].map(|stage| per(stage.as_secs_f64()));
            println!(
                "; clock: fill {fill:.0}, convert {convert:.0}, crossing {crossing:.0}, send {send:.0}, last acks {settle:.0}"
            );
        }
    }
}

/// A figure with the digits that mean something.
fn put(summary: &mut Map<String, Value>, key: String, figure: f64) {
    summary.insert(key, json!((figure * 1000.0).round() / 1000.0));
}

fn write(summary: Map<String, Value>) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).context("the program is not in target/release")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("summary.json");
    let text = serde_json::to_string_pretty(&Value::Object(summary))?;
    std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())?;
    println!("written: {}", path.display());
    Ok(())
}
