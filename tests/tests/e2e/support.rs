//! What several tests need: workers with plugins, connector configs, files.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use hawser_e2e::{Deadline, Kafka, Plugin, Worker, wait_for};
use serde_json::{Value, json};

/// A distributed worker on the shared broker, with these plugins uploaded.
#[track_caller]
pub fn worker_with(plugins: &[&str]) -> Worker {
    let worker = Worker::distributed(Kafka::shared()).start();
    for name in plugins {
        worker.rest().upload(&Plugin::built(name));
    }
    worker
}

/// A folder inside the worker's own, made if it is not there.
#[track_caller]
pub fn folder(worker: &Worker, name: &str) -> PathBuf {
    let path = worker.dir().join(name);
    std::fs::create_dir_all(&path).expect("folder");
    path
}

/// A source that sends each line of `file` to `topic`, as text.
pub fn file_source(file: &Path, topic: &str) -> Value {
    json!({
        "connector.class": "FileStreamSource",
        "tasks.max": "1",
        "file": file,
        "topic": topic,
        "sandbox.files": format!("{}:ro", file.parent().expect("a folder").display()),
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    })
}

/// A sink that writes each value of `topics`, which is text, as a line of `file`. Its group is named after the file: by its
/// connector's name alone it would share one with the sinks of other tests, whose killed members hold a group up for 45 s.
pub fn file_sink(file: &Path, topics: &str) -> Value {
    json!({
        "connector.class": "FileStreamSink",
        "tasks.max": "1",
        "file": file,
        "topics": topics,
        "consumer.override.group.id": file.display().to_string(),
        "sandbox.files": file.parent().expect("a folder").display().to_string(),
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    })
}

/// A config with more keys, or others.
pub fn with(mut config: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

/// Appends lines to a file, which is made if it is not there.
#[track_caller]
pub fn append<L: AsRef<str>>(file: &Path, lines: impl IntoIterator<Item = L>) {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    open(file).write_all(text.as_bytes()).expect("append");
}

fn open(file: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The complete lines of a file; none if it is not there.
pub fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until the file has that many lines, and returns them.
#[track_caller]
pub fn wait_lines(file: &Path, count: usize) -> Vec<String> {
    wait_for(&format!("{count} lines in {}", file.display()), Deadline::LONG, || {
        let lines = lines(file);
        if lines.len() >= count { Ok(lines) } else { Err(format!("{} lines", lines.len())) }
    })
}
