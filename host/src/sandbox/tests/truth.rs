//! Answers that break the interface's rules.

use crate::sandbox::{Call, CallError, InstanceLimits, TopicOffset};

use super::fixture::{batch, chain, env, sink, source};

/// That a call refused the answer for this reason, and that the instance is gone.
fn check_refused<T: std::fmt::Debug>(lie: &str, answer: Result<T, CallError>, call: Call, expect: &str) {
    let error = answer.expect_err(lie);
    assert!(matches!(&error, CallError::BadAnswer { call: at, .. } if *at == call), "{lie}: {error:?}");
    assert!(error.is_instance_dead() && error.to_string().contains(expect), "{lie}: {error}");
}

#[tokio::test]
async fn lying_polls_are_refused() {
    async fn check(lie: &str, expect: &str) {
        let config = [("lie", lie), ("records", "3")];
        let mut source = source(&config, env(InstanceLimits::default())).await.unwrap();
        check_refused(lie, source.poll().await, Call::Poll, expect);
        assert_eq!(source.poll().await.unwrap_err(), CallError::Ended { call: Call::Poll });
    }
    check("count", "value-lengths").await;
    check("length-over", "add up").await;
    check("length-negative", "value-lengths").await;
    check("length-overflow", "add up").await;
    check("data-missing", "add up").await;
    check("topic-index", "topic-indexes").await;
    check("no-topic", "topics").await;
    check("partition", "partitions").await;
    check("headers", "header-name-indexes").await;
    check("header-name", "header-name-indexes").await;
    check("schema-reserved", "schema-id 9").await;
    check("schema-unknown", "schema-id 16").await;
    check("checkpoint-through", "covers 4 records").await;
    check("checkpoint-order", "covers 0 records after one that covers 3").await;
    check("checkpoint-no-json", "partition is no JSON object").await;
    check("checkpoint-array", "offset is no JSON object").await;
    check("checkpoint-nested", "must be primitive").await;
}

#[tokio::test]
async fn lying_transforms_are_refused() {
    async fn check(lie: &str, expect: &str) {
        let mut chain = chain(&[("lie", lie)], env(InstanceLimits::default())).await.unwrap();
        check_refused(lie, chain.apply(&batch(3, 10)).await, Call::Apply, expect);
        assert_eq!(chain.apply(&batch(3, 10)).await.unwrap_err(), CallError::Ended { call: Call::Apply });
    }
    check("length-over", "add up").await;
    check("drop-silently", "1 records came out of 3").await;
    check("origins-short", "2 origins for 3 records").await;
    check("origins-over", "origins do not ascend").await;
    check("origins-descend", "origins do not ascend").await;
    check("failure-index", "failure of record 3").await;
    check("failure-twice", "without origins").await;
    check("failed-and-out", "record 1 both failed and came out").await;
}

#[tokio::test]
async fn a_transform_may_drop_everything() {
    let mut chain = chain(&[("lie", "drop-all")], env(InstanceLimits::default())).await.unwrap();
    assert!(chain.apply(&batch(3, 10)).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn lying_sinks_are_refused() {
    let env = || env(InstanceLimits::default());
    let offsets = [TopicOffset { topic: "t".into(), partition: 0, offset: 3 }];
    let mut more = sink(&[("lie", "flush-more")], env()).await.unwrap();
    check_refused("flush-more", more.flush(&offsets).await, Call::Flush, "up to offset 4, but offset 3 was put");
    let mut other = sink(&[("lie", "flush-other")], env()).await.unwrap();
    check_refused("flush-other", other.flush(&offsets).await, Call::Flush, "nothing was put");
    let mut failure = sink(&[("lie", "failure-index")], env()).await.unwrap();
    check_refused("failure-index", failure.put(&batch(2, 1)).await, Call::Put, "failure of record 2 in a batch of 2");
}
