//! Metadata, CreateTopics, DeleteTopics, CreatePartitions.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::{
    ResponseError,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
        DeleteTopicsResponse, MetadataRequest, MetadataResponse, TopicName,
        create_partitions_request::CreatePartitionsTopic,
        create_partitions_response::CreatePartitionsTopicResult,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
        delete_topics_response::DeletableTopicResult,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use crate::{
    api::Caller,
    broker::{Broker, HOST, LEADER_EPOCH, NODE_ID},
    configs::{TopicConfigs, handlers::check, handlers::created},
    journal::Change,
    state::{State, Topic, random_uuid},
};

/// Longest topic name, as in Kafka.
const MAX_NAME: usize = 249;

type Refused = (ResponseError, String);

pub(crate) fn metadata(broker: &Broker, caller: &Caller, request: MetadataRequest) -> MetadataResponse {
    let mut state = broker.lock();
    // Version 0 asks for all topics with an empty list, later ones with null.
    let all = request.topics.as_ref().is_none_or(|topics| caller.version == 0 && topics.is_empty());
    let topics = if all {
        state.topics.iter().map(|(name, topic)| describe(name, topic)).collect()
    } else {
        let may_create = broker.config.auto_create_topics && request.allow_auto_topic_creation;
        let wanted = request.topics.unwrap_or_default();
        wanted.into_iter().map(|topic| find(broker, &mut state, topic, may_create)).collect()
    };
    let node = MetadataResponseBroker::default().with_node_id(NODE_ID.into()).with_host(HOST).with_port(broker.port);
    MetadataResponse::default()
        .with_brokers(vec![node])
        .with_cluster_id(Some(broker.cluster_id.clone()))
        .with_controller_id(NODE_ID.into())
        .with_topics(topics)
}

fn find(broker: &Broker, state: &mut State, wanted: MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let missing = |error: ResponseError, name| {
        MetadataResponseTopic::default().with_error_code(error.code()).with_name(name).with_topic_id(wanted.topic_id)
    };
    let Some(name) = wanted.name.clone() else {
        return match state.topics.iter().find(|(_, topic)| topic.id == wanted.topic_id) {
            Some((name, topic)) => describe(name, topic),
            None => missing(ResponseError::UnknownTopicId, None),
        };
    };
    if !state.topics.contains_key(&**name) {
        if let Err((error, _)) = check_name(state, &name) {
            return missing(error, Some(name));
        }
        if !may_create {
            return missing(ResponseError::UnknownTopicOrPartition, Some(name));
        }
        let partitions = broker.config.default_partitions;
        let created = check_room(broker, state, partitions).and_then(|()| {
            let change = Change::topic(&name, random_uuid(), partitions, BTreeMap::new());
            state.commit(vec![change.into()]).map_err(journal_failed)
        });
        if let Err((error, _)) = created {
            return missing(error, Some(name));
        }
        tracing::info!("created the topic {} with {partitions} partitions, because it was asked for", &**name);
    }
    match state.topics.get(&**name) {
        Some(topic) => describe(&name, topic),
        None => missing(ResponseError::UnknownTopicOrPartition, Some(name)),
    }
}

fn describe(name: &str, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, _)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID.into())
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![NODE_ID.into()])
            .with_isr_nodes(vec![NODE_ID.into()])
    });
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    StrBytes::from_string(name.to_owned()).into()
}

/// `Topic.validate` of Kafka, and that the name does not only differ by `.` and `_` from another.
fn check_name(state: &State, name: &str) -> Result<(), Refused> {
    let invalid = |why: &str| Err((ResponseError::InvalidTopicException, format!("the topic name {name:?} {why}")));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name == "." || name == ".." {
        return invalid("is not allowed");
    }
    if name.len() > MAX_NAME {
        return invalid("is longer than 249 characters");
    }
    if !name.chars().all(legal) {
        return invalid("may only hold ASCII letters, digits, '.', '_' and '-'");
    }
    let unified = name.replace('.', "_");
    match state.topics.keys().find(|other| *other != name && other.replace('.', "_") == unified) {
        Some(other) => invalid(&format!("collides with the topic {other}")),
        None => Ok(()),
    }
}

fn check_room(broker: &Broker, state: &State, partitions: i32) -> Result<(), Refused> {
    let wanted = usize::try_from(partitions).unwrap_or(0);
    let used: usize = state.topics.values().map(|topic| topic.partitions.len()).sum();
    let max = broker.config.max_partitions;
    if used + wanted > max {
        let message = format!("{used} of at most {max} partitions exist; delete topics or raise max_partitions");
        tracing::error!("a topic was not created: {message}");
        return Err((ResponseError::PolicyViolation, message));
    }
    Ok(())
}

fn journal_failed(error: ResponseError) -> Refused {
    (error, "the journal cannot be written; see the log of the broker".to_owned())
}

pub(crate) fn create_topics(broker: &Broker, _caller: &Caller, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut state = broker.lock();
    let mut named: HashMap<TopicName, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    let topics = request.topics.into_iter().map(|topic| {
        let result = if named.get(&topic.name).is_some_and(|count| *count > 1) {
            Err((ResponseError::InvalidRequest, "the topic is named twice in the request".to_owned()))
        } else {
            create(broker, &mut state, &topic, request.validate_only)
        };
        match result {
            Ok(created) => created,
            Err((error, message)) => CreatableTopicResult::default()
                .with_name(topic.name)
                .with_error_code(error.code())
                .with_error_message(Some(message.into()))
                .with_num_partitions(-1)
                .with_replication_factor(-1)
                .with_configs(None),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create(
    broker: &Broker,
    state: &mut State,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refused> {
    let name = &*topic.name;
    if state.topics.contains_key(&**name) {
        return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.", name = &**name)));
    }
    check_name(state, name)?;
    let partitions = partition_count(broker, topic)?;
    check_room(broker, state, partitions)?;
    let own = topic.configs.iter().filter_map(|c| Some((c.name.to_string(), c.value.as_ref()?.to_string())));
    let own: BTreeMap<String, String> = own.collect();
    check(&own)?;
    let id = if validate_only { Uuid::nil() } else { random_uuid() };
    if !validate_only {
        state.commit(vec![Change::topic(name, id, partitions, own.clone()).into()]).map_err(journal_failed)?;
    }
    let configs = TopicConfigs::new(own);
    let configs = created(&configs).map(|(name, value, source)| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(value.to_owned().into()))
            .with_config_source(source)
    });
    Ok(CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(id)
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs.collect())))
}

/// From the count or the manual assignment; there is one broker to assign to.
fn partition_count(broker: &Broker, topic: &CreatableTopic) -> Result<i32, Refused> {
    let invalid = |error, message: &str| Err((error, message.to_owned()));
    if topic.assignments.is_empty() {
        if !matches!(topic.replication_factor, -1 | 1) {
            let message = "Unable to replicate: the development broker is one broker, the replication factor must be 1";
            return invalid(ResponseError::InvalidReplicationFactor, message);
        }
        return match topic.num_partitions {
            -1 => Ok(broker.config.default_partitions),
            1.. => Ok(topic.num_partitions),
            _ => invalid(ResponseError::InvalidPartitions, "Number of partitions must be larger than 0."),
        };
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "a manual assignment excludes a partition count and a replication factor";
        return invalid(ResponseError::InvalidRequest, message);
    }
    let mut indexes: Vec<_> = topic.assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    let here = topic.assignments.iter().all(|a| a.broker_ids.iter().map(|id| **id).eq([NODE_ID]));
    let count = (0..).zip(&indexes).take_while(|(expect, index)| expect == *index).count();
    if !here || count != indexes.len() {
        let message = "partitions must be numbered from 0 and assigned to broker 1 only";
        return invalid(ResponseError::InvalidReplicaAssignment, message);
    }
    i32::try_from(count).or_else(|_| invalid(ResponseError::InvalidPartitions, "too many partitions"))
}

pub(crate) fn delete_topics(broker: &Broker, _caller: &Caller, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut state = broker.lock();
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let by_either = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
    let responses = by_name.chain(by_either).map(|(name, id)| {
        let result = DeletableTopicResult::default();
        let by_id = name.is_none();
        let found = match name {
            Some(name) => state.topics.get(&**name).map(|topic| topic.id).ok_or(name.clone()).map(|id| (name, id)),
            None => {
                let topic = state.topics.iter().find(|(_, topic)| topic.id == id);
                topic.map(|(name, topic)| (topic_name(name), topic.id)).ok_or(TopicName::default())
            }
        };
        match found {
            Ok((name, id)) => {
                let deleted = state.commit(vec![Change::TopicDeleted { name: name.to_string() }.into()]);
                result.with_name(Some(name)).with_topic_id(id).with_error_code(crate::api::code(&deleted))
            }
            Err(_) if by_id => result.with_name(None).with_topic_id(id).with_error_code(ResponseError::UnknownTopicId.code()),
            Err(name) => result.with_name(Some(name)).with_error_code(ResponseError::UnknownTopicOrPartition.code()),
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

pub(crate) fn create_partitions(broker: &Broker, _caller: &Caller, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut state = broker.lock();
    let results = request.topics.into_iter().map(|topic| {
        let grown = grow(broker, &mut state, &topic, request.validate_only);
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        match grown {
            Ok(()) => result,
            Err((error, message)) => result.with_error_code(error.code()).with_error_message(Some(message.into())),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn grow(broker: &Broker, state: &mut State, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refused> {
    let name = wanted.name.to_string();
    let topic = state.topics.get(&name);
    let unknown = || (ResponseError::UnknownTopicOrPartition, format!("the topic {name} does not exist"));
    let current = i32::try_from(topic.ok_or_else(unknown)?.partitions.len()).unwrap_or(i32::MAX);
    let added = wanted.count.saturating_sub(current);
    if added <= 0 {
        let message =
            format!("The topic {name} currently has {current} partition(s); {} would not be an increase.", wanted.count);
        return Err((ResponseError::InvalidPartitions, message));
    }
    let assigned = wanted.assignments.as_ref().is_none_or(|assignments| {
        usize::try_from(added) == Ok(assignments.len())
            && assignments.iter().all(|a| a.broker_ids.iter().map(|id| **id).eq([NODE_ID]))
    });
    if !assigned {
        let message = "each new partition must be assigned to broker 1 only".to_owned();
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    check_room(broker, state, added)?;
    if validate_only {
        return Ok(());
    }
    state.commit(vec![Change::Partitions { topic: name, count: wanted.count }.into()]).map_err(journal_failed)
}
