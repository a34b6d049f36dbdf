//! Each limit ends the call that meets it, by name, and nothing else.

use std::time::{Duration, Instant};

use crate::sandbox::{Call, CallError, Exceeded, InstanceLimits, Pooling, Sandbox, SandboxOptions, TopicOffset, TopicPartition};

use super::fixture::{batch, chain, component, config, env, patched, sink, source};

const SHORT: Duration = Duration::from_millis(100);

fn short_cpu() -> InstanceLimits {
    InstanceLimits { cpu: SHORT, ..InstanceLimits::default() }
}

fn short_clock() -> InstanceLimits {
    let mut limits = InstanceLimits::default();
    let deadlines = &mut limits.deadlines;
    for deadline in [
        &mut deadlines.task_configs,
        &mut deadlines.start,
        &mut deadlines.poll,
        &mut deadlines.committed,
        &mut deadlines.open,
        &mut deadlines.put,
        &mut deadlines.flush,
        &mut deadlines.apply,
        &mut deadlines.stop,
    ] {
        *deadline = SHORT;
    }
    limits
}

/// The error of a call that does `what`, whichever call it is.
async fn meet(call: Call, what: &str, limits: InstanceLimits) -> CallError {
    let env = env(limits);
    let key = call.name();
    let pairs = [(key, what)];
    match call {
        Call::Start => source(&pairs, env).await.err(),
        Call::TaskConfigs => component().await.task_configs("HostileSource", &config(&pairs), 1, env).await.err(),
        Call::Poll => source(&pairs, env).await.unwrap().poll().await.err(),
        Call::Committed => source(&pairs, env).await.unwrap().committed(&[]).await.err(),
        Call::Stop => source(&pairs, env).await.unwrap().stop().await.err(),
        Call::Apply => chain(&pairs, env).await.unwrap().apply(&batch(1, 1)).await.err(),
        Call::Describe | Call::Validate => None,
        Call::Open | Call::Close | Call::Put | Call::Flush => {
            let mut sink = sink(&pairs, env).await.unwrap();
            let partitions = [TopicPartition { topic: "t".into(), partition: 0 }];
            match call {
                Call::Open => sink.open(&partitions).await.err(),
                Call::Close => sink.close(&partitions).await.err(),
                Call::Put => sink.put(&batch(1, 1)).await.err(),
                _ => sink.flush(&[TopicOffset { topic: "t".into(), partition: 0, offset: 1 }]).await.err(),
            }
        }
    }
    .unwrap_or_else(|| panic!("{call} ended well"))
}

const CALLS: [Call; 10] = [
    Call::Start,
    Call::TaskConfigs,
    Call::Poll,
    Call::Committed,
    Call::Stop,
    Call::Apply,
    Call::Open,
    Call::Close,
    Call::Put,
    Call::Flush,
];

#[tokio::test]
async fn endless_loops_meet_the_cpu_deadline() {
    for call in CALLS {
        let start = Instant::now();
        let error = meet(call, "loop", short_cpu()).await;
        assert_eq!(error, CallError::CpuDeadline { call, limit: SHORT, refused: None });
        assert!(error.to_string().contains("sandbox.cpu.ms") && error.is_instance_dead());
        assert!(start.elapsed() < Duration::from_secs(5), "{call} was ended after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn endless_waits_meet_the_deadline_of_the_call() {
    for call in CALLS {
        let error = meet(call, "sleep", short_clock()).await;
        assert_eq!(error, CallError::Deadline { call, limit: SHORT, refused: None });
        assert!(error.to_string().contains(call.timeout_key()), "{error}");
    }
}

#[tokio::test]
async fn crashes_tell_what_the_plugin_said_and_where() {
    for call in CALLS {
        let CallError::Trap { call: at, message } = meet(call, "trap", InstanceLimits::default()).await else {
            panic!("{call} did not crash")
        };
        assert_eq!(at, call);
        let told = format!("told to crash in {call}");
        assert!(message.contains(&told) && message.contains("unreachable") && message.contains("behave"), "{message}");
    }
}

#[tokio::test]
async fn other_crashes_are_traps_too() {
    async fn check(what: &str, expect: &str) {
        let error = meet(Call::Poll, what, InstanceLimits::default()).await;
        assert!(matches!(error, CallError::Trap { .. }) && error.to_string().contains(expect), "{what}: {error}");
    }
    check("recurse", "call stack exhausted").await;
    check("exit", "exit").await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let limits = InstanceLimits { memory_bytes: 32 << 20, ..InstanceLimits::default() };
    let error = meet(Call::Poll, "grow", limits.clone()).await;
    let CallError::Limit { call: Call::Poll, exceeded: Exceeded::Memory { asked, allowed } } = error else { panic!("{error}") };
    assert!(asked > allowed && allowed == 32 << 20);
    assert!(error.to_string().contains("sandbox.memory.bytes"), "{error}");
    let polite = meet(Call::Poll, "grow-politely", limits).await;
    assert_eq!(polite, CallError::Fatal("no memory for 1 GiB".into()), "a refusal that the plugin handles is its own affair");
}

#[tokio::test]
async fn an_instance_that_begins_too_large_does_not_begin() {
    let small = InstanceLimits { memory_bytes: 1 << 10, ..InstanceLimits::default() };
    let error = source(&[], env(small)).await.err().unwrap();
    assert!(matches!(error, CallError::Limit { call: Call::Start, exceeded: Exceeded::Memory { .. } }), "{error:?}");
    let small = InstanceLimits { table_elements: 1, ..InstanceLimits::default() };
    let error = source(&[], env(small)).await.err().unwrap();
    assert!(matches!(error, CallError::Limit { call: Call::Start, exceeded: Exceeded::TableElements { .. } }), "{error:?}");
    assert!(error.to_string().contains("sandbox.table.elements"), "{error}");
}

#[tokio::test]
async fn bytes_handed_over_are_bounded() {
    let exceeded = Exceeded::HostcallBytes { allowed: 8 << 20 };
    let error = meet(Call::Poll, "log-huge", InstanceLimits::default()).await;
    assert_eq!(error, CallError::Limit { call: Call::Poll, exceeded: exceeded.clone() });
    assert!(error.to_string().contains("sandbox.hostcall.bytes"), "{error}");
    let mut large = source(&[("records", "1"), ("size", "9000000")], env(InstanceLimits::default())).await.unwrap();
    assert_eq!(large.poll().await.unwrap_err(), CallError::Limit { call: Call::Poll, exceeded });
}

#[tokio::test]
async fn records_in_an_answer_are_bounded() {
    let mut many = source(&[("records", "5001"), ("size", "1")], env(InstanceLimits::default())).await.unwrap();
    let exceeded = Exceeded::BatchRecords { asked: 5001, allowed: 5000 };
    let error = many.poll().await.unwrap_err();
    assert_eq!(error, CallError::Limit { call: Call::Poll, exceeded });
    assert!(error.to_string().contains("sandbox.batch.records"), "{error}");
    let mut huge = source(&[("lie", "count-huge")], env(InstanceLimits::default())).await.unwrap();
    let exceeded = Exceeded::BatchRecords { asked: u32::MAX, allowed: 5000 };
    assert_eq!(huge.poll().await.unwrap_err(), CallError::Limit { call: Call::Poll, exceeded });
}

#[tokio::test]
async fn handles_and_requests_and_schemas_are_bounded() {
    let error = meet(Call::Poll, "handles", InstanceLimits::default()).await;
    assert_eq!(error, CallError::Limit { call: Call::Poll, exceeded: Exceeded::Handles });
    let error = meet(Call::Put, "request-flood", InstanceLimits::default()).await.to_string();
    assert!(error.contains("over 10000 partitions"), "{error}");
    let error = meet(Call::Poll, "schemas", InstanceLimits::default()).await.to_string();
    assert!(error.contains("schema 10000:"), "{error}");
}

#[tokio::test]
async fn describe_and_validate_are_bounded() {
    let cache = tempfile::tempdir().unwrap();
    let options = SandboxOptions { limits: short_cpu(), ..SandboxOptions::new(cache.path().to_owned()) };
    let sandbox = Sandbox::new(options).unwrap();
    let looping = sandbox.load(patched("loop", "1.0.0")).await.unwrap();
    assert_eq!(
        looping.describe().await.unwrap_err(),
        CallError::CpuDeadline { call: Call::Describe, limit: SHORT, refused: None }
    );
    let error = looping.validate("HostileSink", &config(&[("validate", "loop")])).await.unwrap_err();
    assert_eq!(error, CallError::CpuDeadline { call: Call::Validate, limit: SHORT, refused: None });
}

#[tokio::test]
async fn instances_are_bounded_and_give_their_room_back() {
    for pooling in [Pooling::Auto, Pooling::Off] {
        let cache = tempfile::tempdir().unwrap();
        let options = SandboxOptions { max_instances: 1, pooling, ..SandboxOptions::new(cache.path().to_owned()) };
        let sandbox = Sandbox::new(options).unwrap();
        let component = sandbox.load(super::fixture::wasm()).await.unwrap();
        let start = async || component.start_sink("HostileSink", &vec![], env(InstanceLimits::default())).await;
        for _ in 0..3 {
            let mut first = start().await.unwrap();
            assert_eq!(sandbox.instances(), 1);
            let full = CallError::Limit { call: Call::Start, exceeded: Exceeded::Instances };
            assert_eq!(start().await.err(), Some(full));
            first.put(&batch(1, 1)).await.unwrap();
            drop(first);
            assert_eq!(sandbox.instances(), 0);
        }
    }
}

/// One thread for all: a neighbour's calls go through while a plugin computes without end.
#[tokio::test(flavor = "current_thread")]
async fn a_neighbour_goes_on_beside_an_endless_loop() {
    let mut neighbour = chain(&[], env(InstanceLimits::default())).await.unwrap();
    let limits = InstanceLimits { cpu: Duration::from_millis(500), ..InstanceLimits::default() };
    let mut endless = source(&[("poll", "loop")], env(limits)).await.unwrap();
    let endless = tokio::spawn(async move { endless.poll().await });
    let records = batch(500, 100);
    let mut applied = 0;
    while !endless.is_finished() {
        neighbour.apply(&records).await.unwrap();
        applied += 1;
        tokio::task::yield_now().await;
    }
    assert!(matches!(endless.await.unwrap(), Err(CallError::CpuDeadline { .. })));
    assert!(applied >= 10, "the neighbour made {applied} calls in half a second");
    neighbour.apply(&records).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_call_ends_the_instance() {
    let mut sleeping = source(&[("poll", "sleep")], env(InstanceLimits::default())).await.unwrap();
    assert!(tokio::time::timeout(SHORT, sleeping.poll()).await.is_err());
    assert_eq!(sleeping.poll().await.unwrap_err(), CallError::Ended { call: Call::Poll });
    assert_eq!(sleeping.committed(&[]).await.unwrap_err(), CallError::Ended { call: Call::Committed });
    assert_eq!(sleeping.stop().await.unwrap_err(), CallError::Ended { call: Call::Stop });
}

#[tokio::test]
async fn computing_within_the_limit_is_counted_not_ended() {
    let mut source = source(&[("poll", "spin"), ("ms", "60")], env(short_cpu())).await.unwrap();
    source.poll().await.unwrap();
    source.poll().await.unwrap();
    assert!(source.usage().cpu >= Duration::from_millis(50), "{:?}", source.usage());
}
