//! One hostile plugin: what stands at its top, and how it is let loose.

use std::path::Path;

use hawser_e2e::{Deadline, Plugin, Rest, checkout, wait_for};
use serde_json::{Value, json};

use super::accomplice::Accomplice;

/// A hostile plugin.
pub struct Attack {
    /// The name of its file.
    pub name: String,
    /// How it is let loose.
    pub role: String,
    config: Vec<(String, String)>,
    must: String,
}

/// Where attacks take place.
pub struct Battlefield<'a> {
    pub rest: &'a Rest,
    /// A topic with some records.
    pub topic: &'a str,
    /// The worker's topic of configurations.
    pub configs: &'a str,
    /// A directory of the worker's policy, with a pipe in it.
    pub granted: &'a Path,
    pub accomplice: &'a Accomplice,
    pub log: &'a dyn Fn() -> String,
}

impl Attack {
    /// All of them, by name, without the neighbour.
    pub fn all() -> Vec<Attack> {
        let folder = checkout().join("tests/fixtures/hostile-suite/plugins");
        let mut attacks: Vec<_> = std::fs::read_dir(folder)
            .expect("the suite")
            .map(|entry| entry.expect("a file").path())
            .map(|path| Attack::parse(&path))
            .filter(|attack| attack.role != "neighbour")
            .collect();
        attacks.sort_by(|one, other| one.name.cmp(&other.name));
        attacks
    }

    fn parse(path: &Path) -> Attack {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a source");
        let all = |key: &str| -> Vec<String> {
            let prefix = format!("//! {key}: ");
            text.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
        };
        let one = |key: &str| all(key).pop().unwrap_or_else(|| panic!("{name} has no `{key}`"));
        let config = all("config").iter().map(|line| line.split_once('=').expect("key=value")).map(owned).collect();
        Attack { role: one("role"), must: one("must"), config, name }
    }

    /// The name in its manifest, of which its classes' are made.
    fn plugin(&self) -> String {
        self.name.replace('_', "-")
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

impl Battlefield<'_> {
    /// Lets it loose, sees it end as it must, and clears up. Answers what the worker said.
    #[track_caller]
    pub fn run(&self, attack: &Attack) -> String {
        let component = Plugin::built(&format!("hostile-suite/{}", attack.name));
        let what = if attack.role == "describe" {
            let answer = self.rest.upload_bytes(component.bytes);
            assert!([409, 422].contains(&answer.status), "{}: {}", attack.name, answer.body);
            answer.body["message"].as_str().unwrap_or_default().to_owned()
        } else {
            self.rest.upload(&component);
            let what = self.deploy(attack);
            self.rest.delete(&format!("/plugins/{}/versions/1.0.0", attack.plugin())).expect(204);
            what
        };
        assert!(what.contains(&attack.must), "{}: '{}' is not in: {what}", attack.name, attack.must);
        what
    }

    fn deploy(&self, attack: &Attack) -> String {
        let connector = attack.plugin();
        let path = format!("/connectors/{connector}");
        let answer = self.rest.put(&format!("{path}/config"), &self.config(attack));
        if attack.role == "validate" {
            assert!(answer.status >= 400, "{connector}: {}", answer.body);
            return answer.body["message"].as_str().unwrap_or_default().to_owned();
        }
        assert_eq!(answer.status, 201, "{connector}: {}", answer.body);
        let what = match attack.role.as_str() {
            "lasting" => self.wait_log(attack),
            "stopping" => {
                self.rest.wait_state(&connector, "RUNNING", 1);
                String::new()
            }
            _ => self.wait_failed(&connector),
        };
        if attack.role == "lasting" {
            self.rest.wait_state(&connector, "RUNNING", 1);
        }
        self.rest.delete(&path).expect(204);
        match attack.role.as_str() {
            "stopping" => wait_for(&format!("{connector} to be gone"), Deadline::SHORT, || match self.rest.get(&path).status {
                404 => Ok("gone".to_owned()),
                status => Err(status.to_string()),
            }),
            _ => what,
        }
    }

    fn config(&self, attack: &Attack) -> Value {
        let plugin = attack.plugin();
        let kind = match attack.role.as_str() {
            "sink" => "sink",
            "stopping" if attack.name == "close_trap" => "sink",
            _ => "source",
        };
        let mut config = json!({
            "connector.class": format!("{plugin}-{kind}"), "tasks.max": "1",
            "sandbox.memory.bytes": "33554432", "sandbox.task.configs.timeout.ms": "1500",
            "sandbox.start.timeout.ms": "1500", "sandbox.poll.timeout.ms": "1500", "sandbox.put.timeout.ms": "1500",
            "sandbox.flush.timeout.ms": "1500", "sandbox.apply.timeout.ms": "1500", "sandbox.stop.timeout.ms": "1500",
            "sandbox.committed.timeout.ms": "1500",
            "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        });
        config[if kind == "sink" { "topics" } else { "topic" }] = json!(self.topic);
        if attack.role == "transform" {
            config["transforms"] = json!("h");
            config["transforms.h.type"] = json!(format!("{plugin}-transform"));
        }
        let places = [
            ("{configs}", self.configs.to_owned()),
            ("{dir}", self.granted.display().to_string()),
            ("{port}", self.accomplice.port.to_string()),
            ("{deaf}", self.accomplice.deaf.to_string()),
            ("{rest}", self.rest.url().to_owned()),
        ];
        for (key, value) in &attack.config {
            config[key] = json!(places.iter().fold(value.clone(), |value, (place, what)| value.replace(place, what)));
        }
        config
    }

    /// The trace of the connector or of its task, whichever fails.
    fn wait_failed(&self, connector: &str) -> String {
        wait_for(&format!("{connector} to fail"), Deadline::SHORT, || {
            let status = self.rest.status(connector)?;
            let tasks = status["tasks"].as_array().into_iter().flatten();
            let failed = [&status["connector"]].into_iter().chain(tasks).find(|part| part["state"] == "FAILED");
            failed.map(|part| part["trace"].as_str().unwrap_or_default().to_owned()).ok_or(status.to_string())
        })
    }

    fn wait_log(&self, attack: &Attack) -> String {
        let connector = attack.plugin();
        wait_for(&format!("a line of {connector} in the log"), Deadline::SHORT, || {
            let log = (self.log)();
            let line = log.lines().find(|line| line.contains(&connector) && line.contains(&attack.must));
            line.map(str::to_owned).ok_or_else(|| "none".to_owned())
        })
    }
}
