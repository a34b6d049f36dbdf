//! The siege: one worker under attack by every plugin of tests/fixtures/hostile-suite and by uploads that are none, while a
//! well-behaved neighbour works on it. Each attack ends as it must, the worker gets back all that it took, and the neighbour
//! goes on as before. Prints what happened, figures included (`cargo test -- siege --nocapture`).

mod attack;
mod malformed;
mod neighbour;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use hawser_e2e::{Deadline, Kafka, Topic, Worker, wait_for};
use serde_json::json;

use crate::support::folder;
use attack::{Attack, Battlefield};
use neighbour::Neighbour;

/// What a worker may hold more of after the siege than before it: threads of its runtime come and go, allocators keep memory, and
/// the pool of instances keeps up to 16 places prepared (a descriptor each).
const MORE_THREADS: u64 = 16;
const MORE_FILES: u64 = 24;
const MORE_BYTES: u64 = 256 << 20;
/// The neighbour may be slower under attack by this factor before the test fails. What was measured is printed, and is below
/// 1.5 on a machine that has nothing else to do; a busy one must not fail the test.
const SLOWER: f64 = 5.0;

#[test]
fn hostile_plugins_hurt_nobody_else() {
    let worker = Worker::distributed(Kafka::shared())
        .set("hawser.sandbox.cpu.ms", "1000")
        .set("hawser.sandbox.describe.timeout.ms", "1500")
        .set("hawser.sandbox.validate.timeout.ms", "1500")
        .set("hawser.sandbox.memory.bytes", "67108864")
        .set("hawser.plugin.max.bytes", "8388608")
        .start();
    let topic = Topic::create(Kafka::shared(), "siege", 1);
    topic.produce(["1", "2", "3"]);
    let granted = folder(&worker, "granted");
    let field = Battlefield { rest: worker.rest(), topic: &topic.name, granted: &granted, log: &|| worker.log() };
    let neighbour = Neighbour::start(worker.rest());
    let attacks = Attack::all();
    assert!(attacks.len() >= 40, "{} attacks", attacks.len());

    field.run(&attacks[0]); // what the first one starts stays
    let quiet = neighbour.watch(std::time::Duration::from_secs(10));
    let before = Held::by(&worker);
    let mut failed = Vec::new();
    let (began, mark) = (Instant::now(), neighbour.mark());
    for attack in &attacks {
        let began = Instant::now();
        // All of them are tried, whatever one of them does.
        let what = catch_unwind(AssertUnwindSafe(|| field.run(attack))).unwrap_or_else(|_| {
            failed.push(attack.name.clone());
            "NOT AS IT MUST (see above)".to_owned()
        });
        println!("{:>6} ms  {:<9}  {:<22}  {}", began.elapsed().as_millis(), attack.role, attack.name, short(&what));
    }
    for (name, bytes, must) in malformed::uploads() {
        let began = Instant::now();
        let answer = worker.rest().upload_bytes(bytes);
        let message = answer.body["message"].as_str().unwrap_or_default().to_owned();
        if !(400..500).contains(&answer.status) || !message.contains(must) {
            eprintln!("{name}: '{must}' is not in: {} {message}", answer.status);
            failed.push(name.to_owned());
        }
        println!("{:>6} ms  upload     {name:<22}  {}", began.elapsed().as_millis(), short(&message));
    }
    let besieged = neighbour.since(mark);
    println!("{} attacks in {:?}", attacks.len(), began.elapsed());
    println!("neighbour, quiet:    {quiet}\nneighbour, besieged: {besieged}");
    worker.rest().wait_state("neighbour", "RUNNING", 1);
    neighbour.leave();

    let after = wait_for("what the attacks took to come back", Deadline::SHORT, || {
        let after = Held::by(&worker);
        let back = after.threads <= before.threads + MORE_THREADS && after.files <= before.files + MORE_FILES;
        if back && after.bytes <= before.bytes + MORE_BYTES { Ok(after) } else { Err(format!("{after:?} after {before:?}")) }
    });
    println!("worker before: {before:?}\nworker after:  {after:?}");
    assert!(failed.is_empty(), "did not end as they must: {failed:?}");
    assert!(besieged.rate * SLOWER >= quiet.rate, "throughput fell from {quiet} to {besieged}");
    let floor = 50.0; // milliseconds: below this, a ratio says nothing
    assert!(besieged.p99 <= quiet.p99.max(floor) * SLOWER, "latency rose from {quiet} to {besieged}");
    assert_eq!(worker.rest().get("/connectors").expect(200), json!([]));
}

/// What the worker's process holds.
#[derive(Debug)]
struct Held {
    threads: u64,
    files: u64,
    bytes: u64,
}

impl Held {
    fn by(worker: &Worker) -> Held {
        let proc = |name: &str| format!("/proc/{}/{name}", worker.pid());
        let status = std::fs::read_to_string(proc("status")).expect("/proc");
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok()).expect("Threads");
        let files = std::fs::read_dir(proc("fd")).expect("/proc").count() as u64;
        Held { threads, files, bytes: worker.memory() }
    }
}

/// The first line, or its beginning.
fn short(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}
