//! Measures the HTTP connectors beside a plain client; docs/benchmark.md says how it is run.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hawser_e2e::{Deadline, Kafka, Topic, Worker, unique, wait_for};
use serde_json::{Value, json};

use super::{ok, sink, source, worker};
use crate::service::Service;

/// Each way is measured so often, in turn with the others; the best counts.
const ROUNDS: usize = 3;
/// The name of the plain client's threads.
const PLAIN: &str = "plain-client";

/// Something done so many times a second, and the processor time that it took.
#[derive(Clone, Copy, Default)]
struct Speed {
    per_second: f64,
    cpu_micros: f64,
}

impl Speed {
    fn of(count: usize, took: Duration, cpu: Duration) -> Self {
        Self { per_second: count as f64 / took.as_secs_f64(), cpu_micros: cpu.as_secs_f64() * 1e6 / count as f64 }
    }

    fn best(self, other: Self) -> Self {
        let cpu_micros = if self.cpu_micros == 0.0 { other.cpu_micros } else { self.cpu_micros.min(other.cpu_micros) };
        Self { per_second: self.per_second.max(other.per_second), cpu_micros }
    }
}

/// Processor time of a process's threads, or of those with a name.
fn cpu(pid: u32, thread: Option<&str>) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten().map(|entry| entry.path());
    let named = tasks
        .filter(|task| thread.is_none_or(|name| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)));
    let times = named.filter_map(|task| fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(times.sum())
}

fn head(what: &str) {
    println!(
        "{what:<22} {:>10} {:>10} {:>6}  {:>9} {:>9} {:>6}",
        "plain /s", "worker /s", "ratio", "plain us", "worker us", "ratio"
    );
}

fn line(what: &str, plain: Speed, ours: Speed) {
    println!(
        "{what:<22} {:>10.0} {:>10.0} {:>6.2}  {:>9.1} {:>9.1} {:>6.2}",
        plain.per_second,
        ours.per_second,
        ours.per_second / plain.per_second,
        plain.cpu_micros,
        ours.cpu_micros,
        ours.cpu_micros / plain.cpu_micros
    );
}

#[test]
#[ignore = "measures"]
fn speed_of_the_sink() {
    const RECORDS: usize = 20_000;
    head("requests");
    for (delay, count) in [(0, RECORDS), (5, RECORDS / 5)] {
        let service = Service::slow(Duration::from_millis(delay), |_, _| ok());
        let worker = worker(&service.host());
        let records: Arc<[String]> =
            (0..count).map(|number| format!(r#"{{"n":{number},"text":"{}"}}"#, "x".repeat(180))).collect();
        let topic = Topic::create(Kafka::shared(), "speed", 1);
        topic.produce(records.iter());
        for in_flight in [1, 8, 32] {
            let (mut plain, mut ours) = (Speed::default(), Speed::default());
            for _ in 0..ROUNDS {
                let keys = json!({"topics": topic.name, "requests.in.flight": in_flight.to_string()});
                plain = plain.best(plain_posts(&service, &records, in_flight));
                ours = ours.best(connector(&worker, &service, count, &sink(&service, &topic.name, keys)));
            }
            line(&format!("{delay} ms, {in_flight} in flight"), plain, ours);
        }
        let arrays = sink(&service, &topic.name, json!({"format": "array"}));
        let arrays = connector(&worker, &service, count.div_ceil(500), &arrays);
        println!("{delay} ms, arrays of 500 records: {:.0} records/s", arrays.per_second * 500.0);
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_the_source() {
    const PAGES: usize = 200;
    head("records");
    for (delay, page) in [(0, 100), (0, 1_000), (5, 1_000)] {
        let items: Vec<_> = (0..page).map(|number| json!({"id": number, "text": "x".repeat(180)})).collect();
        let items = Value::from(items).to_string();
        let service = Service::slow(Duration::from_millis(delay), move |seen, _| {
            let number: usize = seen.path.split("cursor=").nth(1).map_or(0, |cursor| cursor.parse().expect("a number"));
            let next = if number + 1 < PAGES { (number + 1).to_string() } else { "null".to_owned() };
            (200, vec![], format!(r#"{{"next":{next},"items":{items}}}"#))
        });
        let worker = worker(&service.host());
        let (mut plain, mut ours) = (Speed::default(), Speed::default());
        for _ in 0..ROUNDS {
            let topic = Topic::create(Kafka::shared(), "speed", 1);
            let keys = json!({
                "url": format!("http://{}/{}", service.host(), topic.name), "pagination": "cursor", "records.pointer": "/items",
                "value.converter.schemas.enable": "false", "poll.interval.ms": "600000",
            });
            plain = plain.best(plain_gets(&service));
            ours = ours.best(connector(&worker, &service, PAGES, &source(&service, &topic.name, keys)));
        }
        let scale = |speed: Speed| Speed {
            per_second: speed.per_second * f64::from(page),
            cpu_micros: speed.cpu_micros / f64::from(page),
        };
        line(&format!("{delay} ms, {page} a page"), scale(plain), scale(ours));
    }
}

/// Requests of a connector, from the first that arrives on.
fn connector(worker: &Worker, service: &Service, requests: usize, config: &Value) -> Speed {
    let (before, name) = (service.count(), unique("speed"));
    worker.rest().configure(&name, config);
    let first = wait_for("the first request", Deadline::LONG, || match service.count() {
        count if count > before => Ok((count, Instant::now(), cpu(worker.pid(), None))),
        _ => Err("none".to_owned()),
    });
    wait_for("all requests", Deadline::LONG, || match service.count() - before {
        count if count >= requests => Ok(()),
        count => Err(format!("{count} of {requests}")),
    });
    let speed = Speed::of(before + requests - first.0, first.1.elapsed(), cpu(worker.pid(), None).saturating_sub(first.2));
    worker.rest().delete(&format!("/connectors/{name}")).expect(204);
    speed
}

fn plain_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(PLAIN).enable_all().build().expect("a runtime")
}

/// Requests of a loop that does nothing else, with the same bodies.
fn plain_posts(service: &Service, records: &Arc<[String]>, in_flight: usize) -> Speed {
    let runtime = plain_runtime();
    let (client, next) = (reqwest::Client::new(), Arc::new(AtomicUsize::default()));
    let began = Instant::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..in_flight {
            let (client, url) = (client.clone(), format!("http://{}/records", service.host()));
            let (records, next) = (Arc::clone(records), Arc::clone(&next));
            tasks.spawn(async move {
                while let Some(record) = records.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = client.post(&url).header("content-type", "application/json").body(record.clone());
                    let answer = request.send().await.expect("an answer");
                    answer.bytes().await.expect("its body");
                }
            });
        }
        tasks.join_all().await;
    });
    Speed::of(records.len(), began.elapsed(), cpu(std::process::id(), Some(PLAIN)))
}

/// Pages of a loop that asks for them and reads each record.
fn plain_gets(service: &Service) -> Speed {
    let runtime = plain_runtime();
    let (client, began, mut pages) = (reqwest::Client::new(), Instant::now(), 0);
    let reading = runtime.spawn({
        let url = format!("http://{}/plain", service.host());
        async move {
            let mut next = url.clone();
            loop {
                let answer = client.get(&next).send().await.expect("an answer");
                let page: Value = serde_json::from_slice(&answer.bytes().await.expect("its body")).expect("a page");
                let records: Vec<String> = page["items"].as_array().expect("items").iter().map(Value::to_string).collect();
                assert!(!records.is_empty());
                pages += 1;
                match page["next"].as_u64() {
                    Some(cursor) => next = format!("{url}?cursor={cursor}"),
                    None => return pages,
                }
            }
        }
    });
    let pages = runtime.block_on(reading).expect("all pages");
    Speed::of(pages, began.elapsed(), cpu(std::process::id(), Some(PLAIN)))
}
