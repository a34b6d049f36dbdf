//! Real `hawser serve` processes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::RecvTimeoutError,
};

use tempfile::TempDir;

use crate::{Deadline, Kafka, Rest, compiled, files, process, unique, wait_for};

/// What the worker prints when its REST API answers.
const READY: &str = "Hawser listens on ";
/// Lines of the worker's log that a failed test shows.
const LOG_LINES: usize = 60;

/// How a worker will be started.
#[derive(Debug, Clone)]
pub struct WorkerBuilder {
    /// The worker properties; `None` with `--dev`.
    properties: Option<Vec<(String, String)>>,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

/// A running (or killed) worker with a data folder of its own. Killed when dropped; if the test is failing then, the end
/// of its log is printed.
pub struct Worker {
    builder: WorkerBuilder,
    dir: TempDir,
    child: Option<Child>,
    rest: Rest,
}

impl Worker {
    /// `hawser serve --dev`: embedded broker, one worker.
    pub fn dev() -> WorkerBuilder {
        WorkerBuilder { properties: None, env: Vec::new(), args: Vec::new() }
    }

    /// A worker that keeps its state in files and its records in `kafka`.
    pub fn standalone(kafka: &Kafka) -> WorkerBuilder {
        WorkerBuilder::new(kafka).set("offset.storage.file.filename", "offsets")
    }

    /// A worker that keeps its state in topics of `kafka`, which have names of their own.
    pub fn distributed(kafka: &Kafka) -> WorkerBuilder {
        let group = unique("hawser");
        let mut builder = WorkerBuilder::new(kafka).set("group.id", &group);
        for store in ["config", "offset", "status"] {
            builder = builder
                .set(&format!("{store}.storage.topic"), &format!("{group}-{store}"))
                .set(&format!("{store}.storage.replication.factor"), "1");
        }
        builder.set("offset.storage.partitions", "3").set("status.storage.partitions", "2")
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// A folder for the test's own files, beside the worker's data folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the worker runs").id()
    }

    /// Its log and all files in its folder: the name and the text of each. What is not text is read as if it were.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut folders = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        let bytes = std::fs::read(&path).unwrap_or_default();
                        files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                    }
                    _ => {}
                }
            }
        }
        files
    }

    /// Kills it with SIGKILL: a crash.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the worker runs");
        child.kill().expect("kill the worker");
        child.wait().expect("wait for the worker");
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the worker runs");
        process::signal(child.id(), "TERM");
        wait_for("the worker's end after SIGTERM", Deadline::SHORT, || {
            child.try_wait().expect("wait for the worker").ok_or_else(|| "it runs".to_owned())
        })
    }

    /// Starts it again on the same data folder, after [`Worker::kill`] or [`Worker::stop`].
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "the worker runs");
        let (child, rest) = spawn(&self.builder, self.dir.path());
        self.child = Some(child);
        self.rest = rest;
    }

    /// Whether the process still runs.
    pub fn alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Resident memory in bytes (Linux).
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc");
        let kilobytes =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.expect("VmRSS") * 1024
    }

    /// What it has written to its log and its standard output so far, earlier starts included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_path(self.dir.path())).unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
        compiled::keep(&compiled_folder(self.dir.path()));
        if std::thread::panicking() {
            eprintln!("---- end of the worker's log, without Wasm backtraces\n{}", last_lines(&self.log()));
        }
    }
}

impl WorkerBuilder {
    fn new(kafka: &Kafka) -> Self {
        Self { properties: Some(Vec::new()), env: Vec::new(), args: Vec::new() }
            .set("bootstrap.servers", kafka.bootstrap())
            .set("key.converter", "org.apache.kafka.connect.storage.StringConverter")
            .set("value.converter", "org.apache.kafka.connect.json.JsonConverter")
            .set("value.converter.schemas.enable", "false")
            .set("offset.flush.interval.ms", "500")
    }

    /// Sets a worker property; a later one replaces an earlier one.
    #[track_caller]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let properties = self.properties.as_mut().expect("a worker started with --dev reads no properties file");
        properties.retain(|(k, _)| k != key);
        properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The properties that it will be started with; none with `--dev`.
    pub fn properties(&self) -> &[(String, String)] {
        self.properties.as_deref().unwrap_or_default()
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it has given up; returns its log.
    #[track_caller]
    pub fn fails(self) -> String {
        let dir = tempfile::Builder::new().prefix("hawser-e2e-").tempdir().expect("temporary folder");
        match try_spawn(&self, dir.path()) {
            Ok((mut child, _)) => {
                let _ = child.kill(); // it may have ended by itself
                let _ = child.wait();
                panic!("the worker serves");
            }
            Err(_) => std::fs::read_to_string(log_path(dir.path())).unwrap_or_default(),
        }
    }

    /// Adds an argument of the command line.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Starts it, and returns when its REST API answers.
    #[track_caller]
    pub fn start(self) -> Worker {
        let dir = tempfile::Builder::new().prefix("hawser-e2e-").tempdir().expect("temporary folder");
        compiled::lend(&compiled_folder(dir.path()));
        let (child, rest) = spawn(&self, dir.path());
        Worker { builder: self, dir, child: Some(child), rest }
    }
}

fn data_folder(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn compiled_folder(dir: &Path) -> PathBuf {
    data_folder(dir).join("compiled")
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("worker.log")
}

#[track_caller]
fn spawn(builder: &WorkerBuilder, dir: &Path) -> (Child, Rest) {
    try_spawn(builder, dir).unwrap_or_else(|why| {
        let log = std::fs::read_to_string(log_path(dir)).unwrap_or_default();
        panic!("the worker {why}; its log:\n{}", last_lines(&log));
    })
}

/// Starts a worker; the error says why it does not serve.
#[track_caller]
fn try_spawn(builder: &WorkerBuilder, dir: &Path) -> Result<(Child, Rest), String> {
    let log = || File::options().create(true).append(true).open(log_path(dir)).expect("worker.log");
    let mut command = Command::new(files::binary("hawser", "HAWSER_BIN"));
    command.arg("serve");
    match &builder.properties {
        None => {
            command.arg("--dev");
        }
        Some(properties) => {
            let file = dir.join("worker.properties");
            let granted = format!("hawser.sandbox.files={}\n", dir.display()); // what its connectors may be granted
            let lines: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            // What a test sets itself stands below and wins.
            std::fs::write(&file, granted + &lines).expect("worker.properties");
            command.arg("--config").arg(file);
        }
    }
    let mut child = command
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_folder(dir))
        .args(&builder.args)
        .envs(builder.env.iter().map(|(key, value)| (key, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log())
        .spawn()
        .expect("hawser");
    let ready = process::first_line(&mut child, log(), |line| line.strip_prefix(READY).map(|url| url.trim().to_owned()));
    match ready.recv_timeout(Deadline::LONG.duration()) {
        Ok(url) => Ok((child, Rest::new(&url))),
        Err(why) => {
            let _ = child.kill(); // it may have ended by itself
            let ended = child.wait().expect("wait for the worker");
            Err(match why {
                RecvTimeoutError::Timeout => "did not say that it listens".to_owned(),
                RecvTimeoutError::Disconnected => format!("ended at its start ({ended})"),
            })
        }
    }
}

/// The end of a log, without the lines of Wasm backtraces (`  3:  0x1c2 - plugin.wasm!function`), which would hide the rest.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(": 0x") && !line.contains(":  0x")).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
