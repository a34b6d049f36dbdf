//! The records of the status topic.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::configs::task_id;
use super::super::log::Entry;
use super::{Status, TopicStatus};

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";
const TOPIC: &str = "status-topic-";
const TOPIC_SEPARATOR: &str = ":connector-";

/// What a record is about. Ordered so that the tasks and the topics of a connector stand together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Connector(Arc<str>),
    Task(Arc<str>, u32),
    Topic { connector: Arc<str>, topic: Arc<str> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Status(Status),
    Topic(TopicStatus),
}

#[derive(Serialize, Deserialize)]
struct TopicValue {
    topic: TopicFields,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicFields {
    name: Arc<str>,
    connector: Arc<str>,
    task: u32,
    discover_timestamp: i64,
}

/// Reads one record. The error says what is wrong with it.
pub(super) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(Key, Option<Value>), &'static str> {
    let key = decode_key(key)?;
    let Some(value) = value else { return Ok((key, None)) };
    const FORM: &str = "its value does not have the expected form";
    let value = match &key {
        Key::Connector(_) | Key::Task(..) => Value::Status(serde_json::from_slice(value).map_err(|_| FORM)?),
        Key::Topic { connector, topic } => {
            let fields = serde_json::from_slice::<TopicValue>(value).map_err(|_| FORM)?.topic;
            Value::Topic(TopicStatus {
                topic: topic.clone(),
                connector: connector.clone(),
                task: fields.task,
                discovered_ms: fields.discover_timestamp,
            })
        }
    };
    Ok((key, Some(value)))
}

fn decode_key(key: &[u8]) -> Result<Key, &'static str> {
    let key = str::from_utf8(key).map_err(|_| "its key is not UTF-8")?;
    if let Some(name) = key.strip_prefix(CONNECTOR) {
        if name.is_empty() { Err("its key lacks a name") } else { Ok(Key::Connector(name.into())) }
    } else if let Some(task) = key.strip_prefix(TASK) {
        let (name, number) = task_id(task).ok_or("its key does not end with a task number")?;
        Ok(Key::Task(name.into(), number))
    } else if let Some(rest) = key.strip_prefix(TOPIC) {
        let parts = rest.split_once(TOPIC_SEPARATOR).filter(|(topic, name)| !topic.is_empty() && !name.is_empty());
        let (topic, connector) = parts.ok_or("its key does not name a topic and a connector")?;
        Ok(Key::Topic { connector: connector.into(), topic: topic.into() })
    } else {
        Err("its key has no known prefix")
    }
}

/// Writes one record.
pub(super) fn encode(key: &Key, value: Option<&Value>) -> Entry {
    let key = match key {
        Key::Connector(name) => format!("{CONNECTOR}{name}"),
        Key::Task(name, number) => format!("{TASK}{name}-{number}"),
        Key::Topic { connector, topic } => format!("{TOPIC}{topic}{TOPIC_SEPARATOR}{connector}"),
    };
    let value = value.map(|value| match value {
        Value::Status(status) => serde_json::to_vec(status),
        Value::Topic(status) => serde_json::to_vec(&TopicValue {
            topic: TopicFields {
                name: status.topic.clone(),
                connector: status.connector.clone(),
                task: status.task,
                discover_timestamp: status.discovered_ms,
            },
        }),
    });
    // Serialising these types to memory cannot fail.
    (key.into_bytes(), value.map(Result::unwrap_or_default))
}
