//! The records of the config topic: keys by prefix, values in JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::log::Entry;
use super::{RawConfig, RestartRequest, SessionKey, TargetState};

const TARGET: &str = "target-state-";
const CONNECTOR: &str = "connector-";
const TASK: &str = "task-";
const COMMIT: &str = "commit-";
const RESTART: &str = "restart-connector-";
const FENCING: &str = "tasks-fencing-";
const SESSION_KEY: &str = "session-key";
const LOGGER: &str = "logger-cluster-";

/// A record of the config topic. `None` where its value is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Target(String, Option<TargetState>),
    Connector(String, Option<RawConfig>),
    Task(String, u32, Option<RawConfig>),
    Commit(String, Option<u32>),
    Restart(RestartRequest),
    Fencing(String, Option<u32>),
    SessionKey(SessionKey),
    Logger { namespace: String, level: String },
}

#[derive(Serialize, Deserialize)]
struct Properties<C> {
    properties: C,
}

#[derive(Serialize, Deserialize)]
struct Commit {
    tasks: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fencing {
    task_count: u32,
}

#[derive(Serialize, Deserialize)]
struct Logger {
    level: String,
}

/// Reads one record. The error says what is wrong with it without showing its value.
pub(super) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, &'static str> {
    let key = str::from_utf8(key).map_err(|_| "its key is not UTF-8")?;
    if let Some(name) = named(key, TARGET)? {
        return Ok(Record::Target(name, value.map(target_state).transpose()?));
    }
    if let Some(name) = named(key, CONNECTOR)? {
        return Ok(Record::Connector(name, properties(value)?));
    }
    if let Some(task) = named(key, TASK)? {
        let (name, number) = task_id(&task).ok_or("its key does not end with a task number")?;
        return Ok(Record::Task(name.to_owned(), number, properties(value)?));
    }
    if let Some(name) = named(key, COMMIT)? {
        let commit: Option<Commit> = value.map(parse).transpose()?;
        return Ok(Record::Commit(name, commit.map(|commit| count(commit.tasks)).transpose()?));
    }
    if let Some(name) = named(key, RESTART)? {
        let request: Value = value.map(parse).transpose()?.ok_or("a restart request must not be null")?;
        let flag = |name: &str| request.get(name).and_then(Value::as_bool).unwrap_or(false);
        return Ok(Record::Restart(RestartRequest {
            connector: name.into(),
            include_tasks: flag("include-tasks"),
            only_failed: flag("only-failed"),
        }));
    }
    if let Some(name) = named(key, FENCING)? {
        let fencing: Option<Fencing> = value.map(parse).transpose()?;
        return Ok(Record::Fencing(name, fencing.map(|fencing| count(fencing.task_count)).transpose()?));
    }
    if key == SESSION_KEY {
        return Ok(Record::SessionKey(value.map(parse).transpose()?.ok_or("a session key must not be null")?));
    }
    if let Some(namespace) = named(key, LOGGER)? {
        let logger: Logger = value.map(parse).transpose()?.ok_or("a logger level must not be null")?;
        return Ok(Record::Logger { namespace, level: logger.level });
    }
    Err("its key has no known prefix")
}

/// Writes one record.
pub(super) fn encode(record: &Record) -> Entry {
    let (key, value) = match record {
        Record::Target(name, state) => (format!("{TARGET}{name}"), state.map(|state| target_value(state).to_string())),
        Record::Connector(name, config) => (format!("{CONNECTOR}{name}"), config.as_ref().map(properties_text)),
        Record::Task(name, number, config) => (format!("{TASK}{name}-{number}"), config.as_ref().map(properties_text)),
        Record::Commit(name, tasks) => (format!("{COMMIT}{name}"), tasks.map(|n| json!({ "tasks": n }).to_string())),
        Record::Restart(request) => (
            format!("{RESTART}{}", request.connector),
            Some(json!({ "include-tasks": request.include_tasks, "only-failed": request.only_failed }).to_string()),
        ),
        Record::Fencing(name, tasks) => (format!("{FENCING}{name}"), tasks.map(|n| json!({ "task-count": n }).to_string())),
        Record::SessionKey(key) => (SESSION_KEY.to_owned(), Some(to_text(key))),
        Record::Logger { namespace, level } => (format!("{LOGGER}{namespace}"), Some(json!({ "level": level }).to_string())),
    };
    (key.into_bytes(), value.map(String::into_bytes))
}

/// What follows `prefix` in `key`.
fn named(key: &str, prefix: &str) -> Result<Option<String>, &'static str> {
    match key.strip_prefix(prefix) {
        Some("") => Err("its key lacks a name"),
        rest => Ok(rest.map(str::to_owned)),
    }
}

/// Splits `NAME-N`; the name may hold dashes itself.
pub(in crate::store) fn task_id(text: &str) -> Option<(&str, u32)> {
    let (name, number) = text.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits).and_then(|n| count(n).ok())?;
    (!name.is_empty()).then_some((name, number))
}

/// Kafka Connect's numbers of tasks are 32 bit and signed.
fn count(number: u32) -> Result<u32, &'static str> {
    if i32::try_from(number).is_ok() { Ok(number) } else { Err("its number of tasks is out of range") }
}

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, &'static str> {
    serde_json::from_slice(value).map_err(|_| "its value does not have the expected form")
}

fn properties(value: Option<&[u8]>) -> Result<Option<RawConfig>, &'static str> {
    Ok(value.map(parse::<Properties<RawConfig>>).transpose()?.map(|object| object.properties))
}

fn properties_text(config: &RawConfig) -> String {
    to_text(&Properties { properties: config })
}

/// Serialising the types of this file to memory cannot fail: their keys are text and they hold no foreign code.
fn to_text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `state.v2` wins if it is text. A worker older than STOPPED reads `state`, in which STOPPED is written as PAUSED.
fn target_state(value: &[u8]) -> Result<TargetState, &'static str> {
    let value: Value = parse(value)?;
    let text = ["state.v2", "state"].into_iter().find_map(|key| value.get(key).and_then(Value::as_str));
    match text {
        Some("STARTED") => Ok(TargetState::Started),
        Some("PAUSED") => Ok(TargetState::Paused),
        Some("STOPPED") => Ok(TargetState::Stopped),
        _ => Err("it names no known target state"),
    }
}

fn target_value(state: TargetState) -> Value {
    let (old, new) = match state {
        TargetState::Started => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    json!({ "state": old, "state.v2": new })
}
