//! What librdkafka counts about a client, as it tells it every `statistics.interval.ms`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::task::now_millis;
use super::window::{SampleWindow, Samples};

/// Brokers, topics and partitions of one client that are told of; what is beyond is counted in the sums alone.
pub const MAX_PARTS_OF_CLIENT: usize = 500;

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientRole {
    /// It writes a source's records, or dead letters.
    Producer,
    /// It reads a sink's records.
    Consumer,
}

/// The statistics of one Kafka client of a task.
#[derive(Debug)]
pub struct ClientStats {
    /// Its `client.id`.
    pub client_id: String,
    /// What it is for.
    pub role: ClientRole,
    /// Since when no connection is up, in milliseconds since the epoch; 0 while one is.
    cut_off_since: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    latest: Option<(Instant, ClientFigures)>,
    samples: Samples<ClientTotals>,
}

/// What only ever grows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ClientTotals {
    /// Requests sent.
    pub requests: u64,
    /// Responses received.
    pub responses: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Records produced or consumed.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Fetch requests.
    pub fetches: u64,
}

/// A client at one moment.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct ClientFigures {
    /// What only ever grows.
    pub totals: ClientTotals,
    /// Connections that are up.
    pub connections: u64,
    /// Requests that await their response.
    pub in_flight: u64,
    /// Milliseconds from request to response, on average; and the longest.
    pub latency: Spread,
    /// Milliseconds for which brokers held the client back.
    pub throttle: Spread,
    /// Bytes of the batches sent.
    pub batch_bytes: Spread,
    /// Records of the batches sent.
    pub batch_records: Spread,
    /// Bytes of records that are not sent yet, and the most there may be.
    pub buffer: (u64, u64),
    /// By broker.
    pub nodes: Vec<NodeFigures>,
    /// By topic.
    pub topics: Vec<TopicFigures>,
    /// Of a consumer, by partition.
    pub partitions: Vec<PartitionFigures>,
    /// Of a consumer.
    pub group: Option<GroupFigures>,
}

/// Average and largest value over the client's last interval.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Spread {
    sum: f64,
    count: u64,
    /// The largest.
    pub max: f64,
}

/// One broker of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeFigures {
    /// The broker's id.
    pub id: i32,
    /// What only ever grows.
    pub totals: ClientTotals,
    /// Milliseconds from request to response.
    pub latency: Spread,
}

/// One topic of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFigures {
    /// Its name.
    pub topic: String,
    /// Records produced or consumed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One partition of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFigures {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Records between the last one read and the end.
    pub lag: u64,
}

/// A consumer's place in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupFigures {
    /// Partitions assigned to it.
    pub partitions: u64,
    /// Rebalances that it went through.
    pub rebalances: u64,
    /// Milliseconds since the last one.
    pub rebalance_age: u64,
}

/// A client now, and over the sampling window.
#[derive(Debug, Clone)]
pub struct ClientReading {
    /// What it is now.
    pub figures: ClientFigures,
    /// What had been counted when the window began.
    pub before: ClientTotals,
    /// Seconds by which a difference is divided for a rate.
    pub seconds: f64,
}

impl ClientStats {
    /// Of a client that is about to be made.
    pub fn new(client_id: &str, role: ClientRole, window: SampleWindow) -> ClientStats {
        let samples = Samples::new(window, Instant::now(), ClientTotals::default());
        ClientStats {
            client_id: client_id.to_owned(),
            role,
            cut_off_since: AtomicI64::new(0),
            state: Mutex::new(State { latest: None, samples }),
        }
    }

    /// Takes what librdkafka tells; text that is not as expected is left out.
    pub fn take(&self, json: &[u8]) {
        match serde_json::from_slice::<Told>(json) {
            Ok(told) => {
                let figures = told.figures(self.role);
                let since = &self.cut_off_since;
                if figures.connections > 0 {
                    since.store(0, Ordering::Relaxed);
                } else {
                    // Whichever comes first counts.
                    let _ = since.compare_exchange(0, now_millis(), Ordering::Relaxed, Ordering::Relaxed);
                }
                self.lock().latest = Some((Instant::now(), figures));
            }
            Err(error) => tracing::debug!(client = self.client_id, "the client's statistics cannot be read: {error}"),
        }
    }

    /// What is known now; nothing before the client's first interval is over.
    pub fn read(&self) -> Option<ClientReading> {
        let state = self.lock();
        let (at, figures) = state.latest.as_ref()?;
        let (before, passed) = state.samples.oldest(*at)?;
        let seconds = state.samples.rate_span(passed).as_secs_f64();
        Some(ClientReading { figures: figures.clone(), before: *before, seconds })
    }

    /// Since when the client reaches no broker, in milliseconds since the epoch, as far as it has told.
    pub fn cut_off_since(&self) -> Option<i64> {
        Some(self.cut_off_since.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Ends a span of the sampling window.
    pub(super) fn tick(&self) {
        let mut state = self.lock();
        let latest =
            state.latest.as_ref().map_or((Instant::now(), ClientTotals::default()), |(at, figures)| (*at, figures.totals));
        state.samples.push(latest.0, latest.1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientReading {
    /// By how much a counter grew per second.
    pub fn rate(&self, of: fn(&ClientTotals) -> u64) -> f64 {
        if self.seconds > 0.0 { of(&self.figures.totals).saturating_sub(of(&self.before)) as f64 / self.seconds } else { 0.0 }
    }
}

impl Spread {
    /// The average; 0 if there was nothing.
    pub fn average(&self) -> f64 {
        if self.count > 0 { self.sum / self.count as f64 } else { 0.0 }
    }

    fn add(&mut self, rolling: &Rolling, scale: f64) {
        self.sum += rolling.sum as f64 * scale;
        self.count += rolling.cnt;
        self.max = self.max.max(rolling.max as f64 * scale);
    }
}

/// The part of librdkafka's statistics (STATISTICS.md) that is used. Counters are never negative.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    tx: u64,
    #[serde(default)]
    tx_bytes: u64,
    #[serde(default)]
    rx: u64,
    #[serde(default)]
    rx_bytes: u64,
    #[serde(default)]
    txmsgs: u64,
    #[serde(default)]
    txmsg_bytes: u64,
    #[serde(default)]
    rxmsgs: u64,
    #[serde(default)]
    rxmsg_bytes: u64,
    #[serde(default)]
    msg_size: u64,
    #[serde(default)]
    msg_size_max: u64,
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
    cgrp: Option<Group>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    #[serde(default)]
    state: String,
    #[serde(default)]
    waitresp_cnt: i64,
    #[serde(default)]
    tx: u64,
    #[serde(default)]
    txbytes: u64,
    #[serde(default)]
    rx: u64,
    #[serde(default)]
    rxbytes: u64,
    #[serde(default)]
    rtt: Rolling,
    #[serde(default)]
    throttle: Rolling,
    #[serde(default)]
    req: HashMap<String, u64>,
}

#[derive(Deserialize, Default)]
struct Rolling {
    #[serde(default)]
    max: i64,
    #[serde(default)]
    sum: i64,
    #[serde(default)]
    cnt: u64,
}

#[derive(Deserialize)]
struct Topic {
    topic: String,
    #[serde(default)]
    batchsize: Rolling,
    #[serde(default)]
    batchcnt: Rolling,
    #[serde(default)]
    partitions: HashMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    #[serde(default)]
    desired: bool,
    /// -1: not known.
    #[serde(default = "unknown")]
    consumer_lag: i64,
    #[serde(default)]
    txmsgs: u64,
    #[serde(default)]
    txbytes: u64,
    #[serde(default)]
    rxmsgs: u64,
    #[serde(default)]
    rxbytes: u64,
}

fn unknown() -> i64 {
    -1
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    assignment_size: i64,
    #[serde(default)]
    rebalance_cnt: i64,
    #[serde(default)]
    rebalance_age: i64,
}

/// Microseconds in milliseconds.
const MICROS: f64 = 0.001;

impl Told {
    fn figures(self, role: ClientRole) -> ClientFigures {
        let is_producer = role == ClientRole::Producer;
        let mut figures = ClientFigures {
            totals: ClientTotals {
                requests: self.tx,
                responses: self.rx,
                bytes_out: self.tx_bytes,
                bytes_in: self.rx_bytes,
                records: if is_producer { self.txmsgs } else { self.rxmsgs },
                record_bytes: if is_producer { self.txmsg_bytes } else { self.rxmsg_bytes },
                fetches: 0,
            },
            buffer: (self.msg_size, self.msg_size_max),
            group: self.cgrp.filter(|_| !is_producer).map(|group| GroupFigures {
                partitions: group.assignment_size.try_into().unwrap_or_default(),
                rebalances: group.rebalance_cnt.try_into().unwrap_or_default(),
                rebalance_age: group.rebalance_age.try_into().unwrap_or_default(),
            }),
            ..ClientFigures::default()
        };
        for broker in self.brokers.into_values() {
            figures.add_broker(&broker);
        }
        for topic in self.topics.into_values() {
            figures.add_topic(topic, is_producer);
        }
        figures.nodes.sort_by_key(|node| node.id);
        figures.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        figures.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        figures
    }
}

impl ClientFigures {
    fn add_broker(&mut self, broker: &Broker) {
        self.connections += u64::from(broker.state == "UP");
        self.in_flight += u64::try_from(broker.waitresp_cnt).unwrap_or_default();
        self.latency.add(&broker.rtt, MICROS);
        self.throttle.add(&broker.throttle, 1.0);
        let fetches = broker.req.get("Fetch").copied().unwrap_or_default();
        self.totals.fetches += fetches;
        // Those without an id are the bootstrap servers and the client's inner ones.
        if broker.nodeid < 0 {
            return;
        }
        let known = self.nodes.iter().position(|node| node.id == broker.nodeid);
        let place = known.unwrap_or(self.nodes.len());
        if known.is_none() && place < MAX_PARTS_OF_CLIENT {
            self.nodes.push(NodeFigures { id: broker.nodeid, totals: ClientTotals::default(), latency: Spread::default() });
        }
        // A group's coordinator has a connection of its own beside that of its broker.
        if let Some(node) = self.nodes.get_mut(place) {
            node.latency.add(&broker.rtt, MICROS);
            node.totals.requests += broker.tx;
            node.totals.responses += broker.rx;
            node.totals.bytes_out += broker.txbytes;
            node.totals.bytes_in += broker.rxbytes;
            node.totals.fetches += fetches;
        }
    }

    fn add_topic(&mut self, topic: Topic, is_producer: bool) {
        self.batch_bytes.add(&topic.batchsize, 1.0);
        self.batch_records.add(&topic.batchcnt, 1.0);
        let mut sums = TopicFigures { topic: topic.topic, records: 0, bytes: 0 };
        for partition in topic.partitions.into_values() {
            sums.records += if is_producer { partition.txmsgs } else { partition.rxmsgs };
            sums.bytes += if is_producer { partition.txbytes } else { partition.rxbytes };
            if !is_producer
                && partition.desired
                && self.partitions.len() < MAX_PARTS_OF_CLIENT
                && let Ok(lag) = u64::try_from(partition.consumer_lag)
            {
                self.partitions.push(PartitionFigures { topic: sums.topic.clone(), partition: partition.partition, lag });
            }
        }
        if self.topics.len() < MAX_PARTS_OF_CLIENT {
            self.topics.push(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"name":"c#1","client_id":"c","type":"consumer","tx":10,"tx_bytes":1000,"rx":9,"rx_bytes":5000,
        "rxmsgs":70,"rxmsg_bytes":700,"msg_size":1,"msg_size_max":2,"brokers":{
            "a:1/1":{"nodeid":1,"state":"UP","waitresp_cnt":1,"tx":6,"txbytes":600,"rx":6,"rxbytes":4000,
                "rtt":{"min":1000,"max":3000,"avg":2000,"sum":4000,"cnt":2},"throttle":{"max":0,"sum":0,"cnt":0},"req":{"Fetch":5}},
            "GroupCoordinator":{"nodeid":1,"state":"UP","waitresp_cnt":0,"tx":4,"req":{"Fetch":0}},
            "b:1/bootstrap":{"nodeid":-1,"state":"INIT","rtt":{}}},
        "topics":{"t":{"topic":"t","batchsize":{},"batchcnt":{},"partitions":{
            "0":{"partition":0,"desired":true,"consumer_lag":7,"rxmsgs":60,"rxbytes":600},
            "1":{"partition":1,"desired":true,"consumer_lag":-1,"rxmsgs":10,"rxbytes":100},
            "-1":{"partition":-1}}}},
        "cgrp":{"assignment_size":2,"rebalance_cnt":1,"rebalance_age":5000}}"#;

    #[test]
    fn statistics_are_summed_up() {
        let stats = ClientStats::new("c", ClientRole::Consumer, SampleWindow::default());
        assert!(stats.read().is_none());
        stats.take(TOLD.as_bytes());
        let reading = stats.read().unwrap();
        let figures = &reading.figures;
        assert_eq!((figures.connections, figures.in_flight, figures.totals.fetches), (2, 1, 5));
        assert_eq!((figures.latency.average(), figures.latency.max), (2.0, 3.0));
        let nodes: Vec<_> = figures.nodes.iter().map(|node| (node.id, node.totals.requests)).collect();
        assert_eq!(nodes, [(1, 10)]);
        assert_eq!(figures.topics, [TopicFigures { topic: "t".into(), records: 70, bytes: 700 }]);
        assert_eq!(figures.partitions, [PartitionFigures { topic: "t".into(), partition: 0, lag: 7 }]);
        assert_eq!(figures.group, Some(GroupFigures { partitions: 2, rebalances: 1, rebalance_age: 5000 }));
        assert_eq!(reading.rate(|totals| totals.records), 70.0 / 30.0);
        stats.tick();
        stats.tick();
        stats.take(TOLD.as_bytes());
        assert_eq!(stats.read().unwrap().rate(|totals| totals.records), 0.0);
    }

    #[test]
    fn what_is_no_statistics_changes_nothing() {
        let stats = ClientStats::new("c", ClientRole::Producer, SampleWindow::default());
        for text in ["", "{", "[]", r#"{"tx":-1}"#, r#"{"brokers":{"a":{}}}"#] {
            stats.take(text.as_bytes());
            assert!(stats.read().is_none(), "{text}");
        }
    }
}
