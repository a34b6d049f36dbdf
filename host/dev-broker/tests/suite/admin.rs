//! Topics, configs and groups as administrators see them.

use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    IncrementalAlterConfigsRequest, ListGroupsRequest, MetadataRequest,
    create_topics_request::{CreatableReplicaAssignment, CreatableTopic},
    describe_configs_request::DescribeConfigsResource,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    metadata_request::MetadataRequestTopic,
};
use rdkafka::{
    admin::{AlterConfig, ConfigSource, NewPartitions, ResourceSpecifier},
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaErrorCode as Code,
};

use crate::{
    common::*,
    raw::{Raw, text},
};

pub fn cluster_and_metadata(bootstrap: &str) {
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    let cluster_id = consumer.client().fetch_cluster_id(PATIENCE).unwrap();
    assert_eq!(cluster_id.len(), 22, "{cluster_id}");
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    assert!(!metadata.brokers().is_empty());

    let mut raw = Raw::connect(bootstrap);
    let cluster = raw.call(&DescribeClusterRequest::default(), 0);
    assert_eq!((cluster.error_code, cluster.cluster_id.as_str()), (0, cluster_id.as_str()));
    assert_eq!(cluster.brokers.len(), metadata.brokers().len());

    let topic = topic(bootstrap, 2, &[]);
    let mut ids = Vec::new();
    for version in 0..=12 {
        let name = MetadataRequestTopic::default().with_name(Some(text(&topic).into()));
        let response = raw.call(&MetadataRequest::default().with_topics(Some(vec![name])), version);
        let topic = &response.topics[0];
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 2), "metadata version {version}");
        ids.push(topic.topic_id);
    }
    assert!(ids[10] == ids[12] && !ids[12].is_nil());
    let by_id = MetadataRequestTopic::default().with_name(None).with_topic_id(ids[12]);
    let response = raw.call(&MetadataRequest::default().with_topics(Some(vec![by_id])), 12);
    assert_eq!(response.topics[0].name.as_ref().unwrap().as_str(), topic);
    for version in 0..=4 {
        let named =
            |request: ApiVersionsRequest| request.with_client_software_name(text("x")).with_client_software_version(text("1"));
        let request = ApiVersionsRequest::default();
        let response = raw.call(&if version < 3 { request } else { named(request) }, version);
        assert_eq!(response.error_code, 0);
        assert!(response.api_keys.len() > 25);
    }
}

pub fn topics_come_and_go(bootstrap: &str) {
    let name = topic(bootstrap, 2, &[("cleanup.policy", "compact")]);
    assert_eq!(create_topic(bootstrap, &name, 2, 1, &[]), Err(Code::TopicAlreadyExists));
    assert!(put(bootstrap, &name, 1, &[(Some("k"), Some("v"))])[0].is_ok());
    let delete = || {
        let deleted = block_on(admin(bootstrap).delete_topics(&[&name], &admin_options())).unwrap();
        deleted.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
    };
    assert_eq!(delete(), Ok(()));
    assert_eq!(wait_for("the topic to go", || delete().err()), Code::UnknownTopicOrPartition);
    wait_for("a new topic of the same name", || create_topic(bootstrap, &name, 1, -1, &[]).ok());
    assert_eq!(wait_for("the new topic", || put(bootstrap, &name, 0, &[(None, Some("new"))])[0].ok()), (0, 0));
    assert_eq!(values(&read_all(bootstrap, &name)), ["new"]);
}

pub fn bad_topics_are_refused(bootstrap: &str) {
    let name = unique("good");
    let dotted = format!("{name}.x");
    assert_eq!(create_topic(bootstrap, &dotted, 1, 1, &[]), Ok(()));
    let underscored = format!("{name}_x");
    let long = "x".repeat(250);
    for (name, partitions, replication, configs, expect) in [
        ("not/allowed", 1, 1, None, Code::InvalidTopic),
        ("..", 1, 1, None, Code::InvalidTopic),
        (long.as_str(), 1, 1, None, Code::InvalidTopic),
        (underscored.as_str(), 1, 1, None, Code::InvalidTopic),
        (name.as_str(), 1, 200, None, Code::InvalidReplicationFactor),
        (name.as_str(), 1, 1, Some(("no.such.config", "1")), Code::InvalidConfig),
        (name.as_str(), 1, 1, Some(("retention.ms", "soon")), Code::InvalidConfig),
        (name.as_str(), 1, 1, Some(("cleanup.policy", "keep")), Code::InvalidConfig),
    ] {
        let configs: Vec<_> = configs.into_iter().collect();
        assert_eq!(create_topic(bootstrap, name, partitions, replication, &configs), Err(expect), "{name} {configs:?}");
    }
    let mut raw = Raw::connect(bootstrap);
    let mut create = |topic: CreatableTopic, validate_only| {
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic.with_name(text(&name).into())])
            .with_timeout_ms(10_000)
            .with_validate_only(validate_only);
        raw.call(&request, 7).topics[0].error_code
    };
    let sized =
        |partitions, replication| CreatableTopic::default().with_num_partitions(partitions).with_replication_factor(replication);
    assert_eq!(create(sized(0, 1), false), 37, "INVALID_PARTITIONS");
    assert_eq!(create(sized(3, -1), true), 0);
    assert_eq!(create(sized(3, -1), true), 0, "only validated the first time");
    let node = raw_node(bootstrap);
    let assigned = |index| CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![node.into()]);
    assert_eq!(create(sized(-1, -1).with_assignments(vec![assigned(0), assigned(1)]), false), 0);
    assert_eq!(create(sized(-1, -1), false), 36, "TOPIC_ALREADY_EXISTS");
}

fn raw_node(bootstrap: &str) -> i32 {
    *Raw::connect(bootstrap).call(&DescribeClusterRequest::default(), 0).brokers[0].broker_id
}

pub fn partitions_grow(bootstrap: &str) {
    let name = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &name, 0, 0..3);
    let grow = |count| {
        let partitions = NewPartitions::new(&name, count);
        let grown = block_on(admin(bootstrap).create_partitions([&partitions], &admin_options())).unwrap();
        grown.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
    };
    assert_eq!(grow(3), Ok(()));
    assert_eq!(grow(3), Err(Code::InvalidPartitions));
    assert_eq!(grow(2), Err(Code::InvalidPartitions));
    wait_for("the new partitions", || put(bootstrap, &name, 2, &[(None, Some("2"))])[0].ok());
    assert_eq!(values(&read_all(bootstrap, &name)).len(), 4);
}

/// A config's value, and whether it is the topic's own.
fn config(bootstrap: &str, topic: &str, name: &str) -> (Option<String>, bool) {
    let resource = ResourceSpecifier::Topic(topic);
    let described = block_on(admin(bootstrap).describe_configs([&resource], &admin_options())).unwrap();
    let resource = described.into_iter().next().unwrap().unwrap();
    let entry = resource.get(name).unwrap();
    (entry.value.clone(), matches!(entry.source, ConfigSource::DynamicTopic))
}

pub fn configs_change(bootstrap: &str) {
    let name = topic(bootstrap, 1, &[("cleanup.policy", "compact"), ("segment.ms", "100000")]);
    let value = |key: &str| config(bootstrap, &name, key);
    let own = |value: &str| (Some(value.to_owned()), true);
    assert_eq!(value("cleanup.policy"), own("compact"));
    assert_eq!(value("retention.ms").0.as_deref(), Some("604800000"));
    assert!(!value("retention.ms").1);

    let mut raw = Raw::connect(bootstrap);
    let mut change = |key: &str, operation, new: Option<&str>| {
        let config = AlterableConfig::default().with_name(text(key)).with_config_operation(operation).with_value(new.map(text));
        let resource =
            AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(&name)).with_configs(vec![config]);
        raw.call(&IncrementalAlterConfigsRequest::default().with_resources(vec![resource]), 1).responses[0].error_code
    };
    let (set, delete, append, subtract) = (0, 1, 2, 3);
    assert_eq!(change("retention.ms", set, Some("1234567")), 0);
    assert_eq!(change("cleanup.policy", append, Some("delete")), 0);
    assert_eq!(change("segment.ms", delete, None), 0);
    assert_eq!(change("retention.ms", set, Some("soon")), 40, "INVALID_CONFIG");
    assert_eq!(change("no.such.config", set, Some("1")), 40, "INVALID_CONFIG");
    wait_for("the new configs", || (value("retention.ms") == own("1234567")).then_some(()));
    assert_eq!(value("cleanup.policy"), own("compact,delete"));
    assert!(!value("segment.ms").1);
    assert_eq!(change("cleanup.policy", subtract, Some("compact")), 0);
    wait_for("the shorter list", || (value("cleanup.policy") == own("delete")).then_some(()));

    // The older request replaces all configs.
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", "5000");
    let altered = block_on(admin(bootstrap).alter_configs([&alter], &admin_options())).unwrap();
    assert!(altered[0].is_ok(), "{altered:?}");
    wait_for("the replaced configs", || (value("max.message.bytes") == own("5000")).then_some(()));
    assert!(!value("retention.ms").1);
}

pub fn broker_configs_are_shown(bootstrap: &str) {
    let node = raw_node(bootstrap);
    let resource = ResourceSpecifier::Broker(node);
    let described = block_on(admin(bootstrap).describe_configs([&resource], &admin_options())).unwrap();
    let resource = described.into_iter().next().unwrap().unwrap();
    assert!(resource.get("auto.create.topics.enable").is_some_and(|entry| entry.value.is_some()));

    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    for version in 1..=4 {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(&topic))
            .with_configuration_keys(Some(vec![text("retention.ms")]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
        let response = raw.call(&request, version);
        let names: Vec<_> = response.results[0].configs.iter().map(|c| c.name.as_str()).collect();
        assert_eq!((response.results[0].error_code, names), (0, vec!["retention.ms"]));
    }
}

pub fn topics_are_created_on_demand(bootstrap: &str) {
    let name = unique("on-demand");
    assert_eq!(wait_for("a first record", || put(bootstrap, &name, -1, &[(None, Some("1"))])[0].ok()).1, 0);
    assert_eq!(values(&read_all(bootstrap, &name)), ["1"]);
    // A consumer does not create what it subscribes to, unless it says so.
    let absent = unique("absent");
    let consumer = consumer(bootstrap, &unique("group"), &[]);
    consumer.subscribe(&[&absent]).unwrap();
    let error = wait_for("the unknown topic", || consumer.poll(POLL).map(|polled| polled.map(drop).unwrap_err()));
    assert_eq!(error.rdkafka_error_code(), Some(Code::UnknownTopicOrPartition));
}

pub fn groups_are_listed_and_deleted(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let group = unique("group");
    let member = consumer(bootstrap, &group, &[("client.id", "me")]);
    member.subscribe(&[&topic]).unwrap();
    wait_for("an assignment", || {
        assert!(member.poll(POLL).is_none());
        (assigned(&member) == [0, 1]).then_some(())
    });
    commit(&member, &topic, 0, 0, "").unwrap();
    let described = member.fetch_group_list(Some(&group), PATIENCE).unwrap();
    let found = &described.groups()[0];
    assert_eq!((found.state(), found.protocol_type(), found.members().len()), ("Stable", "consumer", 1));
    assert_eq!(found.members()[0].client_id(), "me");
    let delete = || {
        let deleted = block_on(admin(bootstrap).delete_groups(&[&group], &admin_options())).unwrap();
        deleted.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
    };
    assert_eq!(delete(), Err(Code::NonEmptyGroup));

    let mut raw = Raw::connect(bootstrap);
    let listed = |raw: &mut Raw, version, state: &str| {
        let mut request = ListGroupsRequest::default();
        if version >= 4 {
            request = request.with_states_filter(vec![text(state)]);
        }
        let groups = raw.call(&request, version).groups;
        groups.into_iter().find(|g| g.group_id.as_str() == group).map(|g| g.group_state.to_string())
    };
    assert_eq!(listed(&mut raw, 4, "Stable").as_deref(), Some("Stable"));
    assert_eq!(listed(&mut raw, 4, "Empty"), None);
    assert!((0..=5).all(|version| listed(&mut raw, version, "Stable").is_some()));
    drop(member);
    wait_for("an empty group", || listed(&mut raw, 4, "Empty"));
    assert_eq!(delete(), Ok(()));
    assert_eq!(delete(), Err(Code::GroupIdNotFound));
    for version in 0..=5 {
        let request = DescribeGroupsRequest::default().with_groups(vec![text(&group).into()]);
        assert_eq!(raw.call(&request, version).groups[0].group_state.as_str(), "Dead");
    }
}
