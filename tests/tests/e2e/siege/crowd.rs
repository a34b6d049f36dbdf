//! Many plugins that compute without end, all at once, beside the neighbour. They take all of the machine's processors, which the
//! broker, the consumer and other tests need, too: so the rarest latencies, which are theirs, are told and not asserted.

use std::time::Duration;

use hawser_e2e::{Kafka, Plugin, Topic, Worker};
use serde_json::json;

use super::neighbour::{Fared, Neighbour};
use super::{FLOOR_MS, SLOWER};

/// Far more than any machine of a test has processors.
const CROWD: usize = 32;
const WINDOWS: usize = 4;
const WINDOW: Duration = Duration::from_secs(1);

#[test]
fn a_crowd_that_computes_holds_nobody_else_up() {
    let worker = Worker::distributed(Kafka::shared()).start();
    let rest = worker.rest();
    let topic = Topic::create(Kafka::shared(), "crowd", 1);
    rest.upload(&Plugin::built("hostile-suite/poll_loop"));
    let neighbour = Neighbour::start(rest);
    let watch = || (0..WINDOWS).map(|_| neighbour.watch(WINDOW)).collect::<Vec<_>>();

    let mut quiet = watch();
    for one in 0..CROWD {
        let config = json!({"connector.class": "poll-loop-source", "tasks.max": "1", "topic": topic.name});
        rest.configure(&format!("crowd-{one}"), &config);
    }
    for one in 0..CROWD {
        rest.wait_state(&format!("crowd-{one}"), "RUNNING", 1);
    }
    let beset = watch();
    for one in 0..CROWD {
        rest.wait_state(&format!("crowd-{one}"), "RUNNING", 1);
        rest.delete(&format!("/connectors/crowd-{one}")).expect(204);
    }
    quiet.extend(watch());

    let (quiet, beset) = (Fared::median(&quiet), Fared::median(&beset));
    println!("neighbour, medians, quiet: {quiet}\nneighbour, medians, beset: {beset}");
    rest.wait_state("neighbour", "RUNNING", 1);
    neighbour.leave();
    assert!(beset.rate * SLOWER >= quiet.rate, "throughput fell from {quiet} to {beset}");
    assert!(beset.p50 <= quiet.p50.max(FLOOR_MS) * SLOWER, "latency rose from {quiet} to {beset}");
}
