//! kill -9 of the worker at random moments, while records go from a file through Kafka to a file: none may be lost.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    thread,
    time::Duration,
};

use hawser_e2e::{Deadline, Kafka, Plugin, Topic, Worker, wait_for};

use crate::support::{append, file_sink, file_source, folder, lines};

const KILLS: usize = 8;
/// Lines that arrive between two kills.
const LINES: usize = 4_000;
/// The worker lives for at most this long.
const LIFE: Duration = Duration::from_millis(1_500);

fn line(i: usize) -> String {
    format!(r#"{{"n":{i},"padding":"{}"}}"#, "x".repeat(i % 200))
}

/// How often each line is there, and how many lines are none of them.
fn count<'a>(found: impl IntoIterator<Item = &'a str>, total: usize) -> (Vec<usize>, usize) {
    let index: HashMap<String, usize> = (0..total).map(|i| (line(i), i)).collect();
    let (mut times, mut torn) = (vec![0; total], 0);
    for text in found {
        match index.get(text) {
            Some(i) => times[*i] += 1,
            None => torn += 1,
        }
    }
    (times, torn)
}

fn nothing_is_lost(mut worker: Worker) {
    worker.rest().upload(&Plugin::built("file"));
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    let topic = Topic::create(Kafka::shared(), "killed", 1);
    append(&input, [line(0)]);
    worker.rest().configure("source", &file_source(&input, &topic.name));
    worker.rest().configure("sink", &file_sink(&output, &topic.name));
    let mut total = 1;
    for kill in 0..KILLS {
        append(&input, (total..total + LINES).map(line));
        total += LINES;
        let life = LIFE.mul_f64(RandomState::new().hash_one(kill) as f64 / u64::MAX as f64);
        thread::sleep(life); // the point is that the kill comes at a random moment
        worker.kill();
        worker.start();
    }
    let (times, torn) = wait_for("each line in the sink's file", Deadline::LONG, || {
        let (times, torn) = count(lines(&output).iter().map(String::as_str), total);
        let missing = times.iter().filter(|times| **times == 0).count();
        if missing == 0 { Ok((times, torn)) } else { Err(format!("{missing} of {total} missing, {torn} torn lines")) }
    });
    let records = topic.read_all();
    let (in_topic, strange) = count(records.iter().map(|r| r.text()), total);
    assert_eq!(in_topic.iter().filter(|times| **times == 0).count(), 0, "lines missing in the topic");
    assert_eq!(strange, 0, "records that were never lines");
    let doubled = |times: &[usize]| times.iter().map(|times| times - 1).sum::<usize>();
    eprintln!(
        "{KILLS} kills, {total} records, 0 lost; doubled in the topic {}, in the sink's file {}; lines torn by a kill {torn}",
        doubled(&in_topic),
        doubled(&times),
    );
}

#[test]
fn a_distributed_worker_loses_nothing() {
    nothing_is_lost(Worker::distributed(Kafka::shared()).start());
}

#[test]
fn a_standalone_worker_loses_nothing() {
    nothing_is_lost(Worker::standalone(Kafka::shared()).start());
}

#[test]
fn a_dev_worker_keeps_everything() {
    let mut worker = Worker::dev().start();
    worker.rest().upload(&Plugin::built("file"));
    let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("lines"));
    append(&input, (0..1_000).map(line));
    worker.rest().configure("source", &file_source(&input, "lines"));
    worker.rest().configure("sink", &file_sink(&output, "lines"));
    for round in 1..=3 {
        wait_for("each line in the sink's file", Deadline::LONG, || {
            let (times, _) = count(lines(&output).iter().map(String::as_str), round * 1_000);
            let missing = times.iter().filter(|times| **times == 0).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} missing")) }
        });
        append(&input, (round * 1_000..(round + 1) * 1_000).map(line));
        worker.kill();
        worker.start(); // broker, plugins, configs and offsets are in the data folder
    }
}
