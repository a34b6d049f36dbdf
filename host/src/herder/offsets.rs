//! Reading, altering and resetting offsets: Kafka Connect's rules (KIP-875).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Herder;
use super::engine::{GroupError, GroupOffset};
use super::error::HerderError;
use super::model::{ConnectorOffset, ConnectorOffsets, ConnectorType, Message};
use super::plan::Plan;
use super::runner::Command;
use super::source_stores::OWN_TOPIC_KEY;
use crate::store::{SourceOffsets, TargetState};

/// Longest wait for a connector that was just stopped to have stopped.
const STOP_WAIT: Duration = Duration::from_secs(60);

impl Herder {
    /// A connector's offsets.
    ///
    /// # Errors
    /// There is no such connector (404), or the offsets cannot be read (500).
    pub async fn offsets(&self, name: &str) -> Result<ConnectorOffsets, HerderError> {
        let connector = self.known(name)?;
        match self.kind_of(&connector.config) {
            ConnectorType::Sink => {
                let plan = self.plan(name).await?;
                let offsets = self.context.engine.group_offsets(&plan).await.map_err(|error| {
                    tracing::warn!(connector = name, %error, "The offsets of the consumer group cannot be read.");
                    HerderError::Internal(format!("Failed to retrieve consumer group offsets for sink connector {name}"))
                })?;
                Ok(ConnectorOffsets { offsets: offsets.into_iter().filter_map(sink_offset).collect() })
            }
            _ => {
                let stored = self.source_offsets(name).await?.list(name).await?;
                let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
                let offsets = stored
                    .iter()
                    .map(|(partition, offset)| ConnectorOffset { partition: parse(partition), offset: parse(offset) });
                Ok(ConnectorOffsets { offsets: offsets.collect() })
            }
        }
    }

    /// Sets offsets; a null offset resets its partition.
    ///
    /// # Errors
    /// The request is not right (400), there is no such connector (404), or the offsets cannot be written (500).
    pub async fn alter_offsets(&self, name: &str, offsets: Vec<ConnectorOffset>) -> Result<Message, HerderError> {
        if offsets.is_empty() {
            return Err(HerderError::BadRequest(
                "Partitions / offsets need to be provided for an alter offsets request".to_owned(),
            ));
        }
        match self.stopped_kind(name).await? {
            ConnectorType::Sink => {
                let offsets = offsets.iter().map(parse_sink_offset).collect::<Result<Vec<_>, _>>()?;
                let plan = self.plan(name).await?;
                let altered = self.context.engine.alter_group_offsets(&plan, offsets).await;
                altered.map_err(|error| group_failure(name, "alter", "alter its offsets", &error))?;
            }
            _ => {
                let offsets = offsets.into_iter().map(parse_source_offset).collect::<Result<Vec<_>, _>>()?;
                self.source_offsets(name).await?.put(name, offsets).await?;
            }
        }
        Ok(done("altered"))
    }

    /// Removes all offsets of a connector.
    ///
    /// # Errors
    /// The connector is not stopped (400), there is none (404), or the offsets cannot be removed (500).
    pub async fn reset_offsets(&self, name: &str) -> Result<Message, HerderError> {
        match self.stopped_kind(name).await? {
            ConnectorType::Sink => {
                let plan = self.plan(name).await?;
                let deleted = self.context.engine.delete_group(&plan).await;
                deleted.map_err(|error| group_failure(name, "reset", "reset its offsets", &error))?;
            }
            _ => {
                self.source_offsets(name).await?.reset(name).await?;
            }
        }
        Ok(done("reset"))
    }

    /// What a connector is, once it is certain that it and its tasks have stopped.
    async fn stopped_kind(&self, name: &str) -> Result<ConnectorType, HerderError> {
        let connector = self.known(name)?;
        if connector.target != TargetState::Stopped || !connector.tasks.is_empty() {
            return Err(HerderError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
                 specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let stopped = tokio::time::timeout(STOP_WAIT, self.tell(name, Command::AwaitStopped)).await;
        stopped.map_err(|_| {
            HerderError::Internal(format!("Timed out waiting for the tasks of connector {name} to stop; try again"))
        })??;
        Ok(self.kind_of(&connector.config))
    }

    /// Where a source keeps its offsets.
    async fn source_offsets(&self, name: &str) -> Result<Arc<SourceOffsets>, HerderError> {
        if self.connector_config(name)?.get(OWN_TOPIC_KEY).is_none() {
            return Ok(Arc::new(SourceOffsets::in_worker(Arc::clone(&self.context.offsets))));
        }
        let plan = self.plan(name).await?;
        self.context.engine.source_offsets(&plan).map_err(HerderError::Internal)
    }

    async fn plan(&self, name: &str) -> Result<Plan, HerderError> {
        let config = self.connector_config(name)?;
        let made = Plan::make(&Arc::from(name), &config, &*self.context.classes, &*self.context.engine).await;
        made.map_err(HerderError::Internal)
    }
}

/// Plugins have no say in this yet, so the text is the one for offsets that the framework manages.
fn done(what: &str) -> Message {
    Message {
        message: format!(
            "The Connect framework-managed offsets for this connector have been {what} successfully. However, if this connector \
             manages offsets externally, they will need to be manually {what} in the system that the connector uses."
        ),
    }
}

fn group_failure(name: &str, what: &str, request: &str, error: &GroupError) -> HerderError {
    tracing::warn!(connector = name, %error, "The offsets of the consumer group cannot be changed.");
    HerderError::Internal(match error {
        GroupError::InUse => format!(
            "Failed to {what} consumer group offsets for connector {name} either because its tasks haven't stopped completely \
             yet or the connector was resumed before the request to {request} could be successfully completed. If the connector \
             is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, the Connect cluster \
             may need to be restarted to get rid of the zombie sink tasks."
        ),
        GroupError::Failed(reason) => {
            format!("Failed to {what} consumer group offsets for connector {name}: {reason}")
        }
    })
}

fn sink_offset(offset: GroupOffset) -> Option<ConnectorOffset> {
    Some(ConnectorOffset {
        partition: json!({ "kafka_topic": offset.topic, "kafka_partition": offset.partition }),
        offset: json!({ "kafka_offset": offset.offset? }),
    })
}

/// Kafka Connect's rules and messages for the entries of a sink; numbers may come as strings.
fn parse_sink_offset(entry: &ConnectorOffset) -> Result<GroupOffset, HerderError> {
    let refuse = |message: &str| Err(HerderError::BadRequest(message.to_owned()));
    let Some(partition) = entry.partition.as_object() else {
        return refuse("The partition for a sink connector offset cannot be null or missing");
    };
    let (Some(topic), Some(number)) = (partition.get("kafka_topic"), partition.get("kafka_partition")) else {
        return refuse("The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'");
    };
    if topic.is_null() {
        return refuse("Kafka topic names must be valid strings and may not be null");
    }
    if number.is_null() {
        return refuse("Kafka partitions must be valid numbers and may not be null");
    }
    let Ok(number_parsed) = plain(number).parse::<i32>() else {
        return refuse(&format!(
            "Failed to parse the following Kafka partition value in the provided offsets: '{}'. Partition values for sink \
             connectors need to be integers.",
            plain(number)
        ));
    };
    let offset = match &entry.offset {
        Value::Null => None,
        Value::Object(offset) => Some(parse_kafka_offset(offset)?),
        _ => return refuse(NO_KAFKA_OFFSET),
    };
    Ok(GroupOffset { topic: plain(topic), partition: number_parsed, offset })
}

const NO_KAFKA_OFFSET: &str = "The offset for a sink connector should either be null or contain the key 'kafka_offset'";

fn parse_kafka_offset(offset: &Map<String, Value>) -> Result<u64, HerderError> {
    let Some(value) = offset.get("kafka_offset") else {
        return Err(HerderError::BadRequest(NO_KAFKA_OFFSET.to_owned()));
    };
    plain(value).parse().map_err(|_| {
        HerderError::BadRequest(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: '{}'. Offset values for sink connectors \
             need to be integers.",
            plain(value)
        ))
    })
}

/// A JSON value as Java prints it: strings without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A source's entry as the store takes it, which checks the values of both objects.
fn parse_source_offset(entry: ConnectorOffset) -> Result<(String, Option<String>), HerderError> {
    let is_map = |value: &Value| value.is_object() || value.is_null();
    if !is_map(&entry.partition) || !is_map(&entry.offset) {
        return Err(HerderError::BadRequest("The partition and the offset of a source must be JSON objects or null".to_owned()));
    }
    let offset = Some(entry.offset).filter(|offset| !offset.is_null());
    Ok((entry.partition.to_string(), offset.map(|offset| offset.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_sink_are_checked_in_kafkas_words() {
        fn check(partition: Value, offset: Value, expect: Result<(&str, i32, Option<u64>), &str>) {
            let entry = ConnectorOffset { partition, offset };
            let parsed = parse_sink_offset(&entry).map_err(|error| error.to_string());
            match expect {
                Ok((topic, partition, offset)) => {
                    assert_eq!(parsed, Ok(GroupOffset { topic: topic.into(), partition, offset }));
                }
                Err(part) => assert!(parsed.as_ref().is_err_and(|message| message.contains(part)), "{parsed:?}"),
            }
        }
        let place = || json!({"kafka_topic": "t", "kafka_partition": 0});
        check(place(), json!({"kafka_offset": 17}), Ok(("t", 0, Some(17))));
        check(json!({"kafka_topic": "t", "kafka_partition": "1"}), json!({"kafka_offset": "5"}), Ok(("t", 1, Some(5))));
        check(place(), Value::Null, Ok(("t", 0, None)));
        check(Value::Null, Value::Null, Err("cannot be null or missing"));
        check(json!({"kafka_topic": "t"}), Value::Null, Err("must contain the keys"));
        check(json!({"kafka_topic": null, "kafka_partition": 0}), Value::Null, Err("valid strings"));
        check(json!({"kafka_topic": "t", "kafka_partition": null}), Value::Null, Err("valid numbers"));
        check(
            json!({"kafka_topic": "t", "kafka_partition": "x"}),
            Value::Null,
            Err("partition value in the provided offsets: 'x'"),
        );
        check(place(), json!({}), Err("contain the key 'kafka_offset'"));
        check(place(), json!({"kafka_offset": null}), Err("offset value in the provided offsets: 'null'"));
        check(place(), json!({"kafka_offset": -1}), Err("'-1'"));
    }
}
