//! Kafka's own Kafka Connect, from its jars.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{Deadline, Rest, WorkerBuilder, files, process, wait_for};

/// The class path of Kafka Connect; `scripts/kafka.sh classpath` prints it.
const CLASSPATH: &str = "HAWSER_CONNECT_CLASSPATH";

const LOGGING: &str = "status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
";

/// A distributed worker of Kafka Connect. Killed when dropped; if the test is failing then, the end of its log is printed.
pub struct KafkaConnect {
    dir: TempDir,
    child: Child,
    rest: Rest,
}

impl KafkaConnect {
    /// Whether it can be run: there are Java and the jars.
    pub fn is_there() -> bool {
        classpath().is_some()
    }

    /// Starts it with the properties of `worker`, on the same topics, and returns when it serves.
    #[track_caller]
    pub fn start(worker: &WorkerBuilder) -> Self {
        let dir = tempfile::Builder::new().prefix("hawser-connect-").tempdir().expect("temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let own = format!("listeners=http://127.0.0.1:{port}\nplugin.discovery=service_load\n");
        let lines: String = worker.properties().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(dir.path().join("worker.properties"), lines + &own).expect("worker.properties");
        std::fs::write(dir.path().join("log4j2.properties"), LOGGING).expect("log4j2.properties");
        let log = || File::options().create(true).append(true).open(log_path(dir.path())).expect("connect.log");
        let child = Command::new("java")
            .arg("-Xmx384m")
            .arg(format!("-Dlog4j2.configurationFile={}", dir.path().join("log4j2.properties").display()))
            .arg("-cp")
            .arg(classpath().expect("Kafka Connect's jars"))
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(dir.path().join("worker.properties"))
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("java");
        let mut connect = Self { dir, child, rest: Rest::new(&format!("http://127.0.0.1:{port}")) };
        wait_for("Kafka Connect to serve", Deadline::LONG, || {
            assert!(connect.child.try_wait().expect("wait").is_none(), "Kafka Connect ended at its start");
            let answer = connect.rest.try_send(reqwest::Method::GET, "/connectors", None)?;
            if answer.status == 200 { Ok(()) } else { Err(answer.body.to_string()) }
        });
        connect
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Stops it in good order.
    #[track_caller]
    pub fn stop(mut self) {
        process::signal(self.child.id(), "TERM");
        wait_for("Kafka Connect's end after SIGTERM", Deadline::LONG, || {
            self.child.try_wait().expect("wait").ok_or_else(|| "it runs".to_owned())
        });
    }
}

impl Drop for KafkaConnect {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(log_path(self.dir.path())).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("---- log of Kafka Connect\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("connect.log")
}

fn classpath() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let java = Command::new("java").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !java.is_ok_and(|status| status.success()) {
            return None;
        }
        if let Ok(given) = std::env::var(CLASSPATH) {
            return Some(given);
        }
        let script = files::checkout().join("scripts/kafka.sh");
        let output = Command::new(script).arg("classpath").stdin(Stdio::null()).stderr(Stdio::inherit()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    });
    found.as_deref()
}
