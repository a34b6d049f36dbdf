//! Consumer groups and committed offsets.

use std::time::{Duration, Instant};

use kafka_protocol::messages::{
    DescribeGroupsRequest, OffsetDeleteRequest,
    offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
};
use rdkafka::{
    Offset,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};

use crate::{
    common::*,
    raw::{Raw, Worker, text},
};

pub fn commits_are_resumed(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &topic, 0, 0..100);
    let group = unique("group");
    let first = consumer(bootstrap, &group, &[]);
    first.subscribe(&[&topic]).unwrap();
    let records = read_count(&first, 100);
    assert_eq!(records[99].offset, 99);
    commit(&first, &topic, 0, 40, "").unwrap();
    drop(first);
    let second = consumer(bootstrap, &group, &[]);
    second.subscribe(&[&topic]).unwrap();
    let records = read_count(&second, 60);
    assert_eq!((records[0].offset, records.len()), (40, 60));
}

pub fn commits_keep_metadata(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let group = unique("group");
    let consumer = consumer(bootstrap, &group, &[]);
    assert_eq!(committed(&consumer, &topic, 1).0, Offset::Invalid);
    commit(&consumer, &topic, 1, 17, "some metadata").unwrap();
    assert_eq!(committed(&consumer, &topic, 1), (Offset::Offset(17), "some metadata".to_owned()));
    let long = "x".repeat(5000);
    assert_eq!(commit(&consumer, &topic, 1, 18, &long), Err(Code::OffsetMetadataTooLarge));
    assert_eq!(committed(&consumer, &topic, 1).0, Offset::Offset(17));
    assert_eq!(commit(&consumer, &unique("unknown"), 0, 1, ""), Err(Code::UnknownTopicOrPartition));
}

/// Polls all members until their partitions satisfy the condition.
fn until_assigned(members: &[&BaseConsumer], what: &str, good: impl Fn(&[Vec<i32>]) -> bool) {
    wait_for(what, || {
        for member in members {
            if let Some(polled) = member.poll(Duration::from_millis(2)) {
                drop(polled.unwrap());
            }
        }
        let partitions: Vec<_> = members.iter().map(|member| assigned(member)).collect();
        good(&partitions).then_some(())
    });
}

/// Whether every partition has exactly one owner and the owners have about as many each.
fn is_fair(owned: &[Vec<i32>], partitions: i32) -> bool {
    let mut all: Vec<_> = owned.concat();
    all.sort_unstable();
    let sizes = owned.iter().map(Vec::len);
    all == (0..partitions).collect::<Vec<_>>() && sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1
}

fn rebalances(bootstrap: &str, strategy: &str) {
    let topic = topic(bootstrap, 6, &[]);
    let group = unique("group");
    let member = || {
        let member = consumer(bootstrap, &group, &[("partition.assignment.strategy", strategy)]);
        member.subscribe(&[&topic]).unwrap();
        member
    };
    let first = member();
    until_assigned(&[&first], "one member", |owned| is_fair(owned, 6));
    let second = member();
    until_assigned(&[&first, &second], "two members", |owned| is_fair(owned, 6));
    let third = member();
    until_assigned(&[&first, &second, &third], "three members", |owned| is_fair(owned, 6));
    drop(first);
    until_assigned(&[&second, &third], "two members again", |owned| is_fair(owned, 6));
    put_numbers(bootstrap, &topic, 5, 0..10);
    let mut read = 0;
    wait_for("records after the rebalances", || {
        read += [&second, &third].iter().filter(|m| m.poll(POLL).is_some_and(|r| r.is_ok())).count();
        (read == 10).then_some(())
    });
}

pub fn range_rebalances(bootstrap: &str) {
    rebalances(bootstrap, "range");
}

pub fn cooperative_rebalances(bootstrap: &str) {
    rebalances(bootstrap, "cooperative-sticky");
}

/// Joins and synchronises all workers; the leader assigns to each its own url.
fn settle(workers: &mut [&mut Worker]) {
    for worker in workers.iter_mut() {
        worker.begin_join();
    }
    let mut members = Vec::new();
    for worker in workers.iter_mut() {
        members.extend(worker.end_join().members);
    }
    assert_eq!(members.len(), workers.len(), "the leader alone is told the members");
    let generations: Vec<_> = workers.iter().map(|worker| worker.generation).collect();
    assert!(generations.iter().all(|generation| *generation == generations[0]), "{generations:?}");
    let assignments: Vec<_> = members.iter().map(|member| (member.member_id.clone(), "tasks")).collect();
    for worker in workers.iter_mut() {
        let assignments: &[_] = if worker.is_leader() { &assignments } else { &[] };
        worker.begin_sync(assignments);
    }
    for worker in workers {
        let synced = worker.end_sync();
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"tasks"[..]));
    }
}

pub fn connect_groups_work(bootstrap: &str) {
    let group = unique("connect");
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|url| Worker::connect(bootstrap, &group, url));
    // A real broker may wait some seconds for more members before the first generation.
    settle(&mut [&mut a]);
    assert_eq!(a.heartbeat(), 0);
    b.begin_join();
    wait_for("the rebalance", || (a.heartbeat() == 27).then_some(()));
    a.begin_join();
    let members = [a.end_join().members.len(), b.end_join().members.len()];
    assert_eq!(members.iter().sum::<usize>(), 2);
    assert_eq!(a.leader, b.leader);
    assert!(a.is_leader(), "the leader stays");
    b.begin_sync(&[]);
    a.begin_sync(&[(a.id.clone(), "to a"), (b.id.clone(), "to b")]);
    assert_eq!(&a.end_sync().assignment[..], b"to a");
    assert_eq!(&b.end_sync().assignment[..], b"to b");

    let mut raw = Raw::connect(bootstrap);
    let request = DescribeGroupsRequest::default().with_groups(vec![text(&group).into()]);
    let described = raw.call(&request, 5).groups.remove(0);
    let seen = (described.group_state.as_str(), described.protocol_type.as_str(), described.protocol_data.as_str());
    assert_eq!(seen, ("Stable", "connect", "sessioned"));

    c.begin_join();
    wait_for("the rebalance", || (a.heartbeat() == 27 && b.heartbeat() == 27).then_some(()));
    // The leader dies while the others join: the next one leads.
    b.begin_join();
    drop(a);
    let joined = [b.end_join(), c.end_join()];
    assert_eq!(joined.iter().map(|j| j.members.len()).sum::<usize>(), 2);
    assert!(b.is_leader() || c.is_leader());
    assert_eq!(b.leave(), 0);
    assert_eq!(b.heartbeat(), 25, "UNKNOWN_MEMBER_ID");
    c.begin_sync(&[]);
    let synced = c.end_sync().error_code;
    assert!(synced == 27 || synced == 0, "{synced}");
    settle(&mut [&mut c]);
    let old = c.generation;
    c.generation -= 1;
    assert_eq!(c.heartbeat(), 22, "ILLEGAL_GENERATION");
    c.generation = old;
    assert_eq!(c.heartbeat(), 0);
    let mut stranger = Worker::connect(bootstrap, &group, "x");
    stranger.id = text("made-up");
    stranger.generation = old;
    assert_eq!(stranger.heartbeat(), 25, "UNKNOWN_MEMBER_ID");
}

pub fn lost_members_expire(bootstrap: &str) {
    let group = unique("connect");
    let mut lost = Worker::connect(bootstrap, &group, "lost");
    settle(&mut [&mut lost]);
    let mut other = Worker::connect(bootstrap, &group, "other");
    let began = Instant::now();
    drop(lost);
    let joined = other.join();
    assert_eq!(joined.members.len(), 1);
    let waited = began.elapsed();
    assert!(waited > session_timeout() / 3 && waited < session_timeout() * 4, "{waited:?}");
}

pub fn static_members_return(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let group = unique("group");
    let member = |instance: &str| {
        let member = consumer(
            bootstrap,
            &group,
            &[("group.instance.id", instance), ("session.timeout.ms", "20000"), ("heartbeat.interval.ms", "100")],
        );
        member.subscribe(&[&topic]).unwrap();
        member
    };
    let generation = |raw: &mut Raw| {
        let request = DescribeGroupsRequest::default().with_groups(vec![text(&group).into()]);
        let described = raw.call(&request, 5).groups.remove(0);
        let mut instances: Vec<_> = described.members.iter().map(|m| m.group_instance_id.clone().unwrap()).collect();
        instances.sort();
        (described.group_state, instances)
    };
    let (first, second) = (member("one"), member("two"));
    until_assigned(&[&first, &second], "two members", |owned| is_fair(owned, 4));
    let had = assigned(&second);
    drop(second);
    let mut raw = Raw::connect(bootstrap);
    let (state, instances) = generation(&mut raw);
    assert_eq!((state.as_str(), instances), ("Stable", vec![text("one"), text("two")]), "a static member does not leave");
    let second = member("two");
    until_assigned(&[&first, &second], "the same partitions", |owned| owned[1] == had && is_fair(owned, 4));
}

pub fn instances_are_fenced(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let group = unique("group");
    let member = || {
        let member = consumer(bootstrap, &group, &[("group.instance.id", "same")]);
        member.subscribe(&[&topic]).unwrap();
        member
    };
    let first = member();
    until_assigned(&[&first], "the first", |owned| is_fair(owned, 1));
    let second = member();
    let error = wait_for("the fence", || {
        let _ = second.poll(POLL);
        first.poll(POLL).and_then(|polled| polled.map(drop).err())
    });
    assert!(matches!(error, KafkaError::MessageConsumptionFatal(Code::FencedInstanceId)), "{error:?}");
    until_assigned(&[&second], "the second", |owned| is_fair(owned, 1));
}

pub fn patterns_subscribe(bootstrap: &str) {
    let prefix = unique("pattern");
    let names = [format!("{prefix}-a"), format!("{prefix}-b")];
    for name in &names {
        assert_eq!(create_topic(bootstrap, name, 1, 1, &[]), Ok(()));
        wait_for("the topic", || put(bootstrap, name, 0, &[(None, Some("x"))])[0].ok());
    }
    let consumer = consumer(bootstrap, &unique("group"), &[]);
    consumer.subscribe(&[&format!("^{prefix}-.*")]).unwrap();
    assert_eq!(read_count(&consumer, 2).len(), 2);
}

pub fn offsets_of_groups_are_deleted(bootstrap: &str) {
    let topic = topic(bootstrap, 2, &[]);
    let group = unique("group");
    let member = consumer(bootstrap, &group, &[]);
    commit(&member, &topic, 0, 5, "").unwrap();
    commit(&member, &topic, 1, 6, "").unwrap();
    let mut raw = Raw::connect(bootstrap);
    let mut delete = |partition| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
        let wanted = OffsetDeleteRequestTopic::default().with_name(text(&topic).into()).with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default().with_group_id(text(&group).into()).with_topics(vec![wanted]);
        let response = raw.call(&request, 0);
        (response.error_code, response.topics.first().map(|t| t.partitions[0].error_code))
    };
    assert_eq!(delete(0), (0, Some(0)));
    assert_eq!(committed(&member, &topic, 0).0, Offset::Invalid);
    assert_eq!(committed(&member, &topic, 1).0, Offset::Offset(6));
    member.subscribe(&[&topic]).unwrap();
    until_assigned(&[&member], "an assignment", |owned| is_fair(owned, 2));
    assert_eq!(delete(1), (0, Some(86)), "GROUP_SUBSCRIBED_TO_TOPIC");
}
