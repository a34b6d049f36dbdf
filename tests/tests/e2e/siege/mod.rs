//! The siege: one worker under attack by every plugin of tests/fixtures/hostile-suite and by uploads that are none, while a
//! well-behaved neighbour works on it. Each attack ends as it must, the worker gets back all that it took, and the neighbour
//! goes on as before. Prints what happened, figures included (`cargo test -- siege --nocapture`).

mod accomplice;
mod attack;
mod crowd;
mod malformed;
mod neighbour;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use hawser_e2e::{Deadline, Kafka, Topic, Worker, wait_for};
use serde_json::json;

use crate::support::folder;
use accomplice::Accomplice;
use attack::{Attack, Battlefield};
use neighbour::{Fared, Neighbour};

/// What a worker may hold more of after the siege than before it: threads of its runtime come and go, allocators keep memory, and
/// the pool of instances keeps 16 places prepared and gives back those that end in batches of 16 (a descriptor each).
const MORE_THREADS: u64 = 16;
const MORE_FILES: u64 = 40;
const MORE_BYTES: u64 = 256 << 20;
/// The most memory that it may have held in between: what one attack was allowed, and what the worker needs for it.
const MOST_BYTES: u64 = 256 << 20;
/// The neighbour may be slower under attack by this factor: the median of the windows with attacks beside that of those without.
const SLOWER: f64 = 1.5;
/// Milliseconds below which a ratio of latencies says nothing: one turn of a plugin that computes.
const FLOOR_MS: f64 = 10.0;
const ATTACKS_PER_WINDOW: usize = 10;
const QUIET_WINDOW: Duration = Duration::from_secs(2);

#[test]
fn hostile_plugins_hurt_nobody_else() {
    let names = tempfile::tempdir().expect("a folder");
    let hosts = names.path().join("hosts");
    let accomplice = Accomplice::start(&hosts);
    let configs = hawser_e2e::unique("siege-configs");
    let worker = Worker::distributed(Kafka::shared())
        .set("config.storage.topic", &configs)
        .set("config.providers", "env")
        .set("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider")
        .set("hawser.sandbox.http", "*:*,127.0.0.1:*")
        .set("hawser.sandbox.tcp", "*:*,127.0.0.1:*")
        .set("hawser.sandbox.udp", "127.0.0.1:*")
        .set("hawser.sandbox.hosts.file", &hosts.display().to_string())
        .set("hawser.sandbox.cpu.ms", "1000")
        .set("hawser.sandbox.describe.timeout.ms", "1500")
        .set("hawser.sandbox.validate.timeout.ms", "1500")
        .set("hawser.sandbox.memory.bytes", "67108864")
        .set("hawser.plugin.max.bytes", "8388608")
        .start();
    let topic = Topic::create(Kafka::shared(), "siege", 1);
    topic.produce(["1", "2", "3"]);
    let granted = folder(&worker, "granted");
    let made = Command::new("mkfifo").arg(granted.join("fifo")).status().expect("mkfifo");
    assert!(made.success(), "{made}");
    let field = Battlefield {
        rest: worker.rest(),
        topic: &topic.name,
        configs: &configs,
        granted: &granted,
        accomplice: &accomplice,
        log: &|| worker.log(),
    };
    let neighbour = Neighbour::start(worker.rest());
    let attacks = Attack::all();
    assert!(attacks.len() >= 40, "{} attacks", attacks.len());

    field.run(&attacks[0]); // what the first one starts stays
    let before = Held::by(&worker);
    let (mut failed, mut quiet, mut besieged) = (Vec::new(), Vec::new(), Vec::new());
    let began = Instant::now();
    // In turn with and without attacks, so that what else the machine does hurts both alike.
    for attacks in attacks.chunks(ATTACKS_PER_WINDOW) {
        quiet.push(neighbour.watch(QUIET_WINDOW));
        let mark = neighbour.mark();
        failed.extend(attacks.iter().filter(|attack| !is_repelled(&field, attack)).map(|attack| attack.name.clone()));
        besieged.push(neighbour.since(mark));
    }
    quiet.push(neighbour.watch(QUIET_WINDOW));
    let mark = neighbour.mark();
    let uploads = malformed::uploads().into_iter();
    failed
        .extend(uploads.filter(|(name, bytes, must)| !is_refused(&worker, name, bytes, must)).map(|(name, ..)| name.to_owned()));
    besieged.push(neighbour.since(mark));
    println!("{} attacks in {:?}", attacks.len(), began.elapsed());
    quiet.iter().zip(&besieged).for_each(|(quiet, besieged)| println!("neighbour, quiet: {quiet}; besieged: {besieged}"));
    let (quiet, besieged) = (Fared::median(&quiet), Fared::median(&besieged));
    println!("neighbour, medians, quiet:    {quiet}\nneighbour, medians, besieged: {besieged}");
    worker.rest().wait_state("neighbour", "RUNNING", 1);
    neighbour.leave();

    let after = wait_for("what the attacks took to come back", Deadline::SHORT, || {
        let after = Held::by(&worker);
        let back = after.threads <= before.threads + MORE_THREADS && after.files <= before.files + MORE_FILES;
        if back && after.bytes <= before.bytes + MORE_BYTES { Ok(after) } else { Err(format!("{after:?} after {before:?}")) }
    });
    println!("worker before: {before:?}\nworker after:  {after:?}");
    assert!(failed.is_empty(), "did not end as they must: {failed:?}");
    assert!(after.peak <= before.peak + MOST_BYTES, "{after:?} after {before:?}");
    assert!(besieged.rate * SLOWER >= quiet.rate, "throughput fell from {quiet} to {besieged}");
    assert!(besieged.p99 <= quiet.p99.max(FLOOR_MS) * SLOWER, "latency rose from {quiet} to {besieged}");
    assert_eq!(worker.rest().get("/connectors").expect(200), json!([]));
}

/// Lets a plugin loose; whether it ended as it must. All of them are tried, whatever one of them does.
fn is_repelled(field: &Battlefield<'_>, attack: &Attack) -> bool {
    let began = Instant::now();
    let what = catch_unwind(AssertUnwindSafe(|| field.run(attack)));
    let said = what.as_deref().map_or("NOT AS IT MUST (see above)".to_owned(), short);
    println!("{:>6} ms  {:<9}  {:<22}  {said}", began.elapsed().as_millis(), attack.role, attack.name);
    what.is_ok()
}

/// Uploads what is no plugin; whether it was refused as it must.
fn is_refused(worker: &Worker, name: &str, bytes: &[u8], must: &str) -> bool {
    let began = Instant::now();
    let answer = worker.rest().upload_bytes(bytes.to_vec());
    let message = answer.body["message"].as_str().unwrap_or_default().to_owned();
    println!("{:>6} ms  upload     {name:<22}  {}", began.elapsed().as_millis(), short(&message));
    let is_refused = (400..500).contains(&answer.status) && message.contains(must);
    if !is_refused {
        eprintln!("{name}: '{must}' is not in: {} {message}", answer.status);
    }
    is_refused
}

/// What the worker's process holds, and the most memory that it has held.
#[derive(Debug)]
struct Held {
    threads: u64,
    files: u64,
    bytes: u64,
    peak: u64,
}

impl Held {
    fn by(worker: &Worker) -> Held {
        let proc = |name: &str| format!("/proc/{}/{name}", worker.pid());
        let status = std::fs::read_to_string(proc("status")).expect("/proc");
        let figure = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of /proc");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let files = std::fs::read_dir(proc("fd")).expect("/proc").count() as u64;
        Held { threads: figure("Threads"), files, bytes: worker.memory(), peak: figure("VmHWM") * 1024 }
    }
}

/// The first line, or its beginning.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}
