//! Limits of the development broker that Kafka does not have in this form.

use std::time::Duration;

use hawser_dev_broker::{DevBrokerConfig, DevBrokerError};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::{common::*, raw::Raw};
use kafka_protocol::messages::ApiVersionsRequest;

#[test]
fn full_memory_refuses_and_recovers() {
    let cluster = own(DevBrokerConfig { max_memory_bytes: 1_000_000, ..quick() });
    let bootstrap = &cluster.bootstrap;
    let name = topic(bootstrap, 1, &[]);
    let impatient = producer(bootstrap, &[("message.timeout.ms", "1500"), ("retry.backoff.ms", "50")]);
    let large = "x".repeat(100_000);
    let sent: Vec<_> = (0..10).flat_map(|_| put_with(&impatient, &name, 0, &[(None, Some(&large))])).collect();
    let stored = sent.iter().filter(|result| result.is_ok()).count();
    assert_eq!(stored, 9, "{sent:?}");
    assert!(sent[stored..].iter().all(|result| matches!(result, Err(Code::MessageTimedOut | Code::KafkaStorageError))));
    let deleted = block_on(admin(bootstrap).delete_topics(&[&name], &admin_options())).unwrap();
    assert!(deleted[0].is_ok());
    let name = topic(bootstrap, 1, &[]);
    assert_eq!(put(bootstrap, &name, 0, &[(None, Some(&large))]), [Ok((0, 0))]);
}

#[test]
fn connections_are_limited() {
    let cluster = own(DevBrokerConfig { max_connections: 3, ..quick() });
    let mut open: Vec<_> = (0..3).map(|_| Raw::connect(&cluster.bootstrap)).collect();
    for raw in &mut open {
        assert_eq!(raw.call(&ApiVersionsRequest::default(), 0).error_code, 0);
    }
    assert!(Raw::connect(&cluster.bootstrap).is_closed());
    open.pop();
    wait_for("a free place", || {
        let mut raw = Raw::connect(&cluster.bootstrap);
        raw.send(&ApiVersionsRequest::default(), 0);
        raw.receive_frame().ok()
    });
}

#[test]
fn requests_and_partitions_are_limited() {
    let cluster = own(DevBrokerConfig { max_request_bytes: 10_000, max_partitions: 10, ..quick() });
    let mut raw = Raw::connect(&cluster.bootstrap);
    raw.send_bytes(&10_001_i32.to_be_bytes()).unwrap();
    assert!(raw.is_closed());
    assert_eq!(create_topic(&cluster.bootstrap, "a", 8, 1, &[]), Ok(()));
    assert_eq!(create_topic(&cluster.bootstrap, "b", 3, 1, &[]), Err(Code::PolicyViolation));
    assert_eq!(create_topic(&cluster.bootstrap, "b", 2, 1, &[]), Ok(()));
}

#[test]
fn a_taken_port_is_named() {
    let cluster = own(DevBrokerConfig::default());
    let port = cluster.bootstrap.rsplit(':').next().unwrap().parse().unwrap();
    let refused = try_own(DevBrokerConfig { port, ..DevBrokerConfig::default() });
    let error = refused.err().unwrap();
    assert!(matches!(error, DevBrokerError::Bind { .. }) && error.to_string().contains("choose another port"), "{error}");
}

#[test]
fn short_sessions_are_refused() {
    let cluster = own(DevBrokerConfig { min_session_timeout: Duration::from_secs(6), ..quick() });
    let topic = topic(&cluster.bootstrap, 1, &[]);
    let settings = [("session.timeout.ms", "5000"), ("heartbeat.interval.ms", "1000")];
    let consumer = consumer(&cluster.bootstrap, "group", &settings);
    rdkafka::consumer::Consumer::subscribe(&consumer, &[&topic]).unwrap();
    let error = wait_for("the refusal", || consumer.poll(POLL).map(|polled| polled.map(drop).unwrap_err()));
    assert_eq!(error.rdkafka_error_code(), Some(Code::InvalidSessionTimeout));
}
