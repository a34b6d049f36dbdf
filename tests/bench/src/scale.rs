//! `make scale`: what a worker holds that has a thousand connectors with nothing to do, and how soon all of them run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hawser_e2e::{Kafka, Plugin, Topic, Worker};
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::report::{put, write};

/// Connectors, unless `HAWSER_SCALE_CONNECTORS` says otherwise.
const CONNECTORS: usize = 1000;
/// How long all of them may take to run.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at the states of all connectors.
const LOOK: Duration = Duration::from_millis(50);
/// How long a worker is left alone before it is looked at: longer than a source keeps a producer that it does not need.
const SETTLE: Duration = Duration::from_secs(70);
/// Whole seconds over which an idle worker's processor time is taken.
const IDLE_SPAN: Duration = Duration::from_secs(10);

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Holds {
    memory_mb: f64,
    threads: usize,
    descriptors: usize,
}

/// Measures sinks, then sources, and writes the figures into `summary.json`.
///
/// # Errors
/// When the worker or the broker fails.
pub fn run() -> anyhow::Result<()> {
    let connectors = match std::env::var("HAWSER_SCALE_CONNECTORS") {
        Ok(count) => count.parse().context("HAWSER_SCALE_CONNECTORS")?,
        Err(_) => CONNECTORS,
    };
    let broker = Broker::start()?;
    let kafka = Kafka::at(broker.bootstrap());
    let mut summary = Map::new();
    println!("{} idle connectors of one task each; {}", connectors, broker.kind());
    println!("{}", Line::HEADER);
    let topic = Topic::create(&kafka, "scale", 1);
    let sink = json!({ "connector.class": "BlackholeSink", "topics": topic.name });
    // The one record comes from the start; after it there is nothing to do, and polls are a minute apart.
    let source = json!({ "connector.class": "DatagenSource", "topic": topic.name, "count": "1" });
    for (kind, plugin, config) in [("sink", "blackhole", sink), ("source", "datagen", source)] {
        let line = measure(&kafka, &Plugin::built(plugin), &config, connectors)?;
        println!("{}", line.text(kind));
        line.put(kind, &mut summary);
    }
    write(summary)
}

/// What was measured of one kind of connector.
struct Line {
    upload_ms: f64,
    upload_again_ms: f64,
    empty: Holds,
    full: Holds,
    connectors: usize,
    create_s: f64,
    list_ms: f64,
    idle_cpu: f64,
    stop_s: f64,
    rest_ms: f64,
    restart_s: f64,
}

fn measure(kafka: &Kafka, plugin: &Plugin, config: &Value, connectors: usize) -> anyhow::Result<Line> {
    let mut worker = Worker::standalone(kafka).start();
    let began = Instant::now();
    worker.rest().upload(plugin);
    let upload_ms = millis(began);
    let began = Instant::now();
    worker.rest().upload(plugin);
    let upload_again_ms = millis(began);
    std::thread::sleep(Duration::from_secs(1));
    let empty = holds(&worker)?;

    let began = Instant::now();
    for number in 0..connectors {
        worker.rest().configure(&format!("idle-{number}"), config);
    }
    all_run(&worker, connectors)?;
    let create_s = began.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let full = holds(&worker)?;
    let before = cpu(worker.pid())?;
    std::thread::sleep(IDLE_SPAN);
    let idle_cpu = (cpu(worker.pid())? - before).as_secs_f64() / IDLE_SPAN.as_secs_f64();
    let began = Instant::now();
    worker.rest().get("/connectors?expand=status&expand=info").expect(200);
    let list_ms = millis(began);

    let began = Instant::now();
    worker.stop();
    let stop_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    worker.start();
    let rest_ms = millis(began);
    all_run(&worker, connectors)?;
    let restart_s = began.elapsed().as_secs_f64();
    worker.stop();
    Ok(Line { upload_ms, upload_again_ms, empty, full, connectors, create_s, list_ms, idle_cpu, stop_s, rest_ms, restart_s })
}

/// Waits until every connector and its task run.
fn all_run(worker: &Worker, connectors: usize) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let all = worker.rest().get("/connectors?expand=status").expect(200);
        let runs = |status: &&Value| {
            let status = &status["status"];
            status["connector"]["state"] == "RUNNING" && status["tasks"][0]["state"] == "RUNNING"
        };
        let running = all.as_object().map_or(0, |all| all.values().filter(runs).count());
        if running == connectors {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{running} of {connectors} connectors run after {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK);
    }
}

fn holds(worker: &Worker) -> anyhow::Result<Holds> {
    let proc = PathBuf::from(format!("/proc/{}", worker.pid()));
    let entries = |folder: &Path| std::fs::read_dir(folder).map(Iterator::count).with_context(|| folder.display().to_string());
    Ok(Holds {
        memory_mb: worker.memory() as f64 / f64::from(1 << 20),
        threads: entries(&proc.join("task"))?,
        descriptors: entries(&proc.join("fd"))?,
    })
}

fn cpu(pid: u32) -> anyhow::Result<Duration> {
    crate::meter::process_cpu(&format!("/proc/{pid}/stat"))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

impl Line {
    const HEADER: &'static str = "          memory MB      each KB   threads  each  descriptors  each  idle CPU  create s  restart s  REST up ms  \
                                  stop s  list ms  upload ms  again ms";

    fn each(&self, figure: impl Fn(Holds) -> f64) -> f64 {
        (figure(self.full) - figure(self.empty)) / self.connectors as f64
    }

    fn figures(&self) -> [(&'static str, f64); 13] {
        [
            ("memory_mb", self.full.memory_mb),
            ("memory_kb_each", self.each(|holds| holds.memory_mb * 1024.0)),
            ("threads", self.full.threads as f64),
            ("threads_each", self.each(|holds| holds.threads as f64)),
            ("descriptors", self.full.descriptors as f64),
            ("descriptors_each", self.each(|holds| holds.descriptors as f64)),
            ("idle_processors", self.idle_cpu),
            ("create_s", self.create_s),
            ("restart_s", self.restart_s),
            ("rest_after_restart_ms", self.rest_ms),
            ("stop_s", self.stop_s),
            ("list_ms", self.list_ms),
            ("upload_ms", self.upload_ms),
        ]
    }

    fn text(&self, kind: &str) -> String {
        let empty = format!("({:.0} -> ) {:.0}", self.empty.memory_mb, self.full.memory_mb);
        format!(
            "{kind:<7} {empty:>13} {:>9.0} {:>9} {:>5.1} {:>12} {:>5.1} {:>9.3} {:>9.1} {:>10.1} {:>11.0} {:>7.1} {:>8.1} {:>10.1} {:>9.1}",
            self.each(|holds| holds.memory_mb * 1024.0),
            self.full.threads,
            self.each(|holds| holds.threads as f64),
            self.full.descriptors,
            self.each(|holds| holds.descriptors as f64),
            self.idle_cpu,
            self.create_s,
            self.restart_s,
            self.rest_ms,
            self.stop_s,
            self.list_ms,
            self.upload_ms,
            self.upload_again_ms,
        )
    }

    fn put(&self, kind: &str, summary: &mut Map<String, Value>) {
        put(summary, format!("scale_{kind}_connectors"), self.connectors as f64);
        for (name, figure) in self.figures() {
            put(summary, format!("scale_{kind}_{name}"), figure);
        }
    }
}
