//! The broker that a test talks to.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::{Deadline, files, process};

const PID_FILE: &str = "pid";

/// Which broker the tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Apache Kafka, by scripts/kafka.sh.
    Real,
    /// The development broker of `hawser serve --dev`, as a process of its own.
    Dev,
}

impl Broker {
    /// What `HAWSER_TEST_BROKER` asks for: `dev`, or `kafka`, which it also is when unset.
    #[track_caller]
    pub fn chosen() -> Self {
        match std::env::var("HAWSER_TEST_BROKER").as_deref() {
            Ok("dev") => Self::Dev,
            Ok("kafka") | Err(_) => Self::Real,
            Ok(other) => panic!("HAWSER_TEST_BROKER is '{other}': must be 'kafka' or 'dev'"),
        }
    }
}

/// A broker on this machine. Most tests share one; a test that stops its broker has one of its own.
pub struct Kafka {
    bootstrap: String,
    started: Started,
    _at_exit: Option<process::AtExit>,
}

enum Started {
    Elsewhere,
    ByScript { dir: PathBuf },
    Dev { dir: PathBuf, port: u16, child: Option<Child> },
}

impl Kafka {
    /// The broker that the tests of this process share: started by the first that asks, ended with the process.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) if Broker::chosen() == Broker::Real && !bootstrap.is_empty() => Self::at(&bootstrap),
            _ => Self::own(),
        })
    }

    /// A broker that someone else has started.
    pub fn at(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), started: Started::Elsewhere, _at_exit: None }
    }

    /// A broker for this test alone, which may stop, kill and start it. Ends when dropped.
    #[track_caller]
    pub fn own() -> Self {
        let dir = tempfile::Builder::new().prefix("hawser-kafka-").tempdir().expect("temporary folder").keep();
        let mut kafka = match Broker::chosen() {
            Broker::Real => Self {
                bootstrap: String::new(),
                _at_exit: Some(process::AtExit::run(
                    r#"unset KAFKA_BOOTSTRAP; "$1" stop --kill --dir "$2"; rm -rf "$2""#,
                    &[&script(), &dir],
                )),
                started: Started::ByScript { dir },
            },
            Broker::Dev => Self {
                bootstrap: String::new(),
                _at_exit: Some(process::AtExit::run(r#"kill -9 "$(cat "$1/pid")"; rm -rf "$1""#, &[&dir])),
                started: Started::Dev { dir, port: free_port(), child: None },
            },
        };
        kafka.start();
        kafka
    }

    /// `HOST:PORT` for clients' `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts it again after [`Kafka::stop`] or [`Kafka::kill`], with the same address and data.
    #[track_caller]
    pub fn start(&mut self) {
        self.bootstrap = match &mut self.started {
            Started::Elsewhere => panic!("the broker is someone else's, not ours to start"),
            Started::ByScript { dir } => run_script("start", dir, &[]),
            Started::Dev { dir, port, child } => {
                let (started, bootstrap) = start_dev(dir, *port);
                *child = Some(started);
                bootstrap
            }
        }
    }

    /// Stops it in good order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.end(false);
    }

    /// Kills it with SIGKILL.
    #[track_caller]
    pub fn kill(&mut self) {
        self.end(true);
    }

    #[track_caller]
    fn end(&mut self, kill: bool) {
        match &mut self.started {
            Started::Elsewhere => panic!("the broker is someone else's, not ours to stop"),
            Started::ByScript { dir } => {
                run_script("stop", dir, if kill { &["--kill"] } else { &[] });
            }
            Started::Dev { dir, child, .. } => {
                let Some(mut child) = child.take() else { return };
                let _ = std::fs::remove_file(dir.join(PID_FILE)); // its number may soon be another's
                process::signal(child.id(), if kill { "KILL" } else { "INT" });
                child.wait().expect("wait for the broker");
            }
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if matches!(self.started, Started::Elsewhere) {
            return;
        }
        self.end(true);
        if let Started::ByScript { dir } | Started::Dev { dir, .. } = &self.started {
            let _ = std::fs::remove_dir_all(dir); // a folder left in /tmp fails no test
        }
    }
}

fn script() -> PathBuf {
    files::checkout().join("scripts/kafka.sh")
}

/// Runs scripts/kafka.sh; its talk goes to our standard error. Returns what it prints.
#[track_caller]
fn run_script(command: &str, dir: &Path, more: &[&str]) -> String {
    let output = Command::new(script())
        .args([command, "--dir"])
        .arg(dir)
        .args(more)
        .env_remove("KAFKA_BOOTSTRAP")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/kafka.sh");
    assert!(output.status.success(), "scripts/kafka.sh {command}: {}, see above", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn start_dev(dir: &Path, port: u16) -> (Child, String) {
    let log = dir.join("broker.log");
    let open = || File::options().create(true).append(true).open(&log).expect("broker.log");
    let mut child = Command::new(files::binary("hawser-dev-broker", "HAWSER_DEV_BROKER_BIN"))
        .args(["--port", &port.to_string(), "--data-dir"])
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(open())
        .spawn()
        .expect("hawser-dev-broker");
    std::fs::write(dir.join(PID_FILE), child.id().to_string()).expect("pid file");
    let address = format!("127.0.0.1:{port}");
    let expected = address.clone();
    let ready = process::first_line(&mut child, open(), move |line| line.contains(&expected).then_some(()));
    if ready.recv_timeout(Deadline::SHORT.duration()).is_err() {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        panic!("hawser-dev-broker did not print its address {address}; it said:\n{said}");
    }
    (child, address)
}

/// A free port below the range of outgoing connections: a client that dials it while the broker is down cannot be given
/// the very same port and so connect to itself.
fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    const FIRST: u64 = 20_000;
    const COUNT: u64 = 12_000;
    (0..1_000u64)
        .map(|i| (FIRST + RandomState::new().hash_one(i) % COUNT) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
