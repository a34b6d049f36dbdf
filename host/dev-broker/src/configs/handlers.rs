//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use std::collections::BTreeMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        alter_configs_response::AlterConfigsResourceResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym},
        incremental_alter_configs_request::AlterableConfig,
        incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse,
    },
    protocol::StrBytes,
};

use super::{ConfigDef, ConfigType, TOPIC_CONFIGS, TopicConfigs, items};
use crate::{
    api::Caller,
    broker::{Broker, NODE_ID},
    journal::Change,
    state::State,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const FROM_TOPIC: i8 = 1;
const FROM_FILE: i8 = 4;
const FROM_DEFAULT: i8 = 5;

/// An error with what a person can do about it.
type Refused = (ResponseError, String);

pub(crate) fn describe(broker: &Broker, _caller: &Caller, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let state = broker.lock();
    let results = request.resources.into_iter().map(|resource| {
        let found = match resource.resource_type {
            TOPIC => describe_topic(&state, &resource, request.include_synonyms),
            BROKER => describe_broker(broker, &resource),
            other => Err((ResponseError::InvalidRequest, format!("resource type {other} is not supported"))),
        };
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match found {
            Ok(configs) => result.with_configs(configs),
            Err((error, message)) => result.with_error_code(error.code()).with_error_message(Some(message.into())),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn is_wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    resource.configuration_keys.as_ref().is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| **key == *name))
}

fn describe_topic(
    state: &State,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let topic = state.topics.get(&*resource.resource_name).ok_or_else(|| unknown_topic(&resource.resource_name))?;
    let described = TOPIC_CONFIGS.iter().filter(|def| is_wanted(resource, def.name)).map(|def| {
        let own = topic.configs.own().get(def.name);
        let value = StrBytes::from_string(topic.configs.get(def.name).to_owned());
        let source = if own.is_some() { FROM_TOPIC } else { FROM_DEFAULT };
        let mut config = result(def.name, value.clone(), def.kind, source);
        if synonyms {
            let synonym = |value, source| {
                DescribeConfigsSynonym::default()
                    .with_name(StrBytes::from_static_str(def.name))
                    .with_value(Some(value))
                    .with_source(source)
            };
            config.synonyms.extend(own.map(|_| synonym(value, FROM_TOPIC)));
            config.synonyms.push(synonym(StrBytes::from_static_str(def.default), FROM_DEFAULT));
        }
        config
    });
    Ok(described.collect())
}

fn result(name: &'static str, value: StrBytes, kind: ConfigType, source: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(value))
        .with_config_source(source)
        .with_config_type(kind as i8)
}

fn describe_broker(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    if resource.resource_name.parse() != Ok(NODE_ID) {
        return Err((ResponseError::InvalidRequest, format!("the only broker is {NODE_ID}")));
    }
    let config = &broker.config;
    let min_session = config.min_session_timeout.as_millis().to_string();
    let data_dir = config.data_dir.as_ref().map_or_else(String::new, |dir| dir.display().to_string());
    let rows = [
        ("node.id", NODE_ID.to_string(), ConfigType::Int),
        ("broker.id", NODE_ID.to_string(), ConfigType::Int),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{}", broker.port), ConfigType::List),
        ("log.dirs", data_dir, ConfigType::List),
        ("auto.create.topics.enable", config.auto_create_topics.to_string(), ConfigType::Boolean),
        ("num.partitions", config.default_partitions.to_string(), ConfigType::Int),
        ("default.replication.factor", "1".to_owned(), ConfigType::Int),
        ("offsets.topic.replication.factor", "1".to_owned(), ConfigType::Int),
        ("transaction.state.log.replication.factor", "1".to_owned(), ConfigType::Int),
        ("transaction.max.timeout.ms", crate::transactions::MAX_TIMEOUT_MS.to_string(), ConfigType::Int),
        ("group.initial.rebalance.delay.ms", "0".to_owned(), ConfigType::Int),
        ("group.min.session.timeout.ms", min_session, ConfigType::Int),
        ("group.max.session.timeout.ms", crate::groups::MAX_SESSION_TIMEOUT_MS.to_string(), ConfigType::Int),
        ("max.connections", config.max_connections.to_string(), ConfigType::Int),
        ("socket.request.max.bytes", config.max_request_bytes.to_string(), ConfigType::Int),
        ("message.max.bytes", "1048588".to_owned(), ConfigType::Int),
        ("log.retention.ms", "604800000".to_owned(), ConfigType::Long),
        ("log.cleanup.policy", "delete".to_owned(), ConfigType::List),
        ("compression.type", "producer".to_owned(), ConfigType::String),
        ("min.insync.replicas", "1".to_owned(), ConfigType::Int),
        ("delete.topic.enable", "true".to_owned(), ConfigType::Boolean),
    ];
    let wanted = rows.into_iter().filter(|(name, ..)| is_wanted(resource, name));
    Ok(wanted.map(|(name, value, kind)| result(name, value.into(), kind, FROM_FILE).with_read_only(true)).collect())
}

/// Replaces all configs of each resource.
pub(crate) fn alter(broker: &Broker, _caller: &Caller, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut state = broker.lock();
    let responses = request.resources.into_iter().map(|resource| {
        let altered = resource.configs.into_iter().map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())));
        let replace = |_: &BTreeMap<_, _>| Ok(altered.filter_map(|(name, value)| Some((name, value?))).collect());
        let name = &resource.resource_name;
        let result = change(&mut state, resource.resource_type, name, request.validate_only, replace);
        let (code, message) = outcome(result);
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

/// Sets, deletes, appends and subtracts single configs (KIP-339).
pub(crate) fn incremental(
    broker: &Broker,
    _caller: &Caller,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut state = broker.lock();
    let responses = request.resources.into_iter().map(|resource| {
        let name = &resource.resource_name;
        let result = change(&mut state, resource.resource_type, name, request.validate_only, |own| {
            resource.configs.iter().try_fold(own.clone(), |mut configs, operation| {
                operate(&mut configs, operation)?;
                Ok(configs)
            })
        });
        let (code, message) = outcome(result);
        IncrementalResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn operate(configs: &mut BTreeMap<String, String>, operation: &AlterableConfig) -> Result<(), Refused> {
    let name = operation.name.to_string();
    let value = operation.value.as_deref().unwrap_or_default();
    let current = || {
        let default = ConfigDef::find(&name).map_or("", |def| def.default);
        configs.get(&name).map_or(default, String::as_str)
    };
    let join = |kept: Vec<&str>| kept.join(",");
    let changed = match operation.config_operation {
        0 => value.to_owned(),
        1 => {
            configs.remove(&name);
            return Ok(());
        }
        2 => {
            let added = items(value).filter(|item| !items(current()).any(|i| i == *item));
            join(items(current()).chain(added).collect())
        }
        3 => join(items(current()).filter(|item| !items(value).any(|i| i == *item)).collect()),
        other => {
            return Err((ResponseError::InvalidRequest, format!("unknown config operation {other}")));
        }
    };
    let is_list = ConfigDef::find(&name).is_none_or(|def| def.kind == ConfigType::List);
    if operation.config_operation >= 2 && !is_list {
        return Err((ResponseError::InvalidConfig, format!("{name} is not a list")));
    }
    configs.insert(name, changed);
    Ok(())
}

fn change(
    state: &mut State,
    resource_type: i8,
    name: &StrBytes,
    validate_only: bool,
    configs: impl FnOnce(&BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refused>,
) -> Result<(), Refused> {
    if resource_type != TOPIC {
        let message = "only topic configs can be changed; the broker's are set when it is started";
        return Err((ResponseError::InvalidRequest, message.to_owned()));
    }
    let topic = state.topics.get(&**name).ok_or_else(|| unknown_topic(name))?;
    let configs = configs(topic.configs.own())?;
    check(&configs)?;
    if validate_only {
        return Ok(());
    }
    let change = Change::Configs { topic: name.to_string(), configs };
    state.commit(vec![change.into()]).map_err(|e| (e, "the journal cannot be written".to_owned()))
}

/// Checks the names and values of a topic's own configs.
pub(crate) fn check(configs: &BTreeMap<String, String>) -> Result<(), Refused> {
    for (name, value) in configs {
        let def =
            ConfigDef::find(name).ok_or_else(|| (ResponseError::InvalidConfig, format!("Unknown topic config name: {name}")))?;
        def.check(value).map_err(|message| (ResponseError::InvalidConfig, message))?;
    }
    Ok(())
}

/// All configs of a topic with name, value and source, as CreateTopics reports them.
pub(crate) fn created(configs: &TopicConfigs) -> impl Iterator<Item = (&'static str, &str, i8)> {
    TOPIC_CONFIGS.iter().map(|def| {
        let source = if configs.own().contains_key(def.name) { FROM_TOPIC } else { FROM_DEFAULT };
        (def.name, configs.get(def.name), source)
    })
}

fn unknown_topic(name: &str) -> Refused {
    (ResponseError::UnknownTopicOrPartition, format!("the topic {name} does not exist"))
}

fn outcome(result: Result<(), Refused>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (0, None),
        Err((error, message)) => (error.code(), Some(message.into())),
    }
}
