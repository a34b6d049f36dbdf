//! The broker that is measured against, and its topics.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// Longest wait for one call to the broker.
const CALL: Duration = Duration::from_secs(30);
/// Connections that the development broker is to take: two or three for each of a thousand idle connectors.
const CONNECTIONS: &str = "10000";
/// Partitions of the topics that records are copied between.
pub const PARTITIONS: i32 = 4;

/// A broker: the one at `KAFKA_BOOTSTRAP`, else a development broker that holds its records in memory.
pub struct Broker {
    bootstrap: String,
    child: Option<Child>,
    admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    /// Takes or starts it.
    ///
    /// # Errors
    /// When the development broker is not built or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let (bootstrap, child) = match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) if !bootstrap.is_empty() => (bootstrap, None),
            _ => {
                let (child, bootstrap) = spawn()?;
                (bootstrap, Some(child))
            }
        };
        let admin = ClientConfig::new().set("bootstrap.servers", &bootstrap).create()?;
        Ok(Broker { bootstrap, child, admin })
    }

    /// `HOST:PORT`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        if self.child.is_some() { "development broker, in memory" } else { "the broker at KAFKA_BOOTSTRAP" }
    }

    /// Creates a topic with a name of its own.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn create_topic(&self, prefix: &str, partitions: i32) -> anyhow::Result<String> {
        let name = hawser_e2e::unique(prefix);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let results = self.admin.create_topics([&topic], &options()).await?;
        for result in results {
            result.map_err(|(topic, code)| anyhow::anyhow!("topic {topic} cannot be created: {code}"))?;
        }
        Ok(name)
    }

    /// Deletes a topic: what it holds is memory of the broker.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_topic(&self, name: &str) -> anyhow::Result<()> {
        for result in self.admin.delete_topics(&[name], &options()).await? {
            result.map_err(|(topic, code)| anyhow::anyhow!("topic {topic} cannot be deleted: {code}"))?;
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL))
}

fn spawn() -> anyhow::Result<(Child, String)> {
    let program = std::env::current_exe()?.with_file_name("hawser-dev-broker");
    let mut child = Command::new(&program)
        .args(["--max-connections", CONNECTIONS])
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: build it with `make bench`", program.display()))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let bootstrap = line.trim().strip_prefix("bootstrap.servers=").unwrap_or_default().to_owned();
    if bootstrap.is_empty() {
        let _ = child.kill(); // it may have ended by itself
        let status = child.wait()?;
        ensure!(false, "the development broker did not say where it listens ({status})");
    }
    Ok((child, bootstrap))
}
