//! A connector that behaves: its source answers five records each ten milliseconds, each of them the time, through a transform
//! of its own; a consumer here says how late they come.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hawser_e2e::{Deadline, Kafka, Plugin, Rest, Topic, wait_for};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::json;

/// The neighbour and its consumer.
pub struct Neighbour<'a> {
    rest: &'a Rest,
    seen: Arc<Mutex<Vec<f64>>>,
    stop: Arc<AtomicBool>,
    consumer: JoinHandle<()>,
}

/// How it fared for a while.
pub struct Fared {
    /// Records a second.
    pub rate: f64,
    /// Milliseconds from the plugin to the consumer, of 99 in 100 records at most.
    pub p99: f64,
    /// The same of half of the records.
    pub p50: f64,
    max: f64,
}

impl Fared {
    /// The median of each figure: a window in which the machine was busy with something else does not count.
    pub fn median(all: &[Fared]) -> Fared {
        let median = |figure: fn(&Fared) -> f64| {
            let mut figures: Vec<f64> = all.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Fared { rate: median(|it| it.rate), p99: median(|it| it.p99), p50: median(|it| it.p50), max: median(|it| it.max) }
    }
}

/// A point in time, and the records seen until then.
pub struct Mark(Instant, usize);

impl<'a> Neighbour<'a> {
    /// Deploys it, and returns when it is at work.
    #[track_caller]
    pub fn start(rest: &'a Rest) -> Neighbour<'a> {
        let topic = Topic::create(Kafka::shared(), "neighbour", 1);
        rest.upload(&Plugin::built("hostile-suite/neighbour"));
        rest.configure(
            "neighbour",
            &json!({"connector.class": "neighbour-source", "tasks.max": "1", "topic": topic.name, "transforms": "t",
                "transforms.t.type": "neighbour-transform",
                "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter"}),
        );
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let consumer = std::thread::spawn({
            let (seen, stop) = (seen.clone(), stop.clone());
            move || consume(&topic.name, &seen, &stop)
        });
        let neighbour = Neighbour { rest, seen, stop, consumer };
        wait_for("the neighbour's first records", Deadline::LONG, || match neighbour.mark().1 {
            0..100 => Err("too few".to_owned()),
            _ => Ok(()),
        });
        neighbour
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(Instant::now(), self.seen.lock().expect("seen").len())
    }

    /// How it fares for so long.
    pub fn watch(&self, time: Duration) -> Fared {
        let mark = self.mark();
        std::thread::sleep(time);
        self.since(mark)
    }

    /// How it fared since then.
    pub fn since(&self, mark: Mark) -> Fared {
        let mut late = self.seen.lock().expect("seen")[mark.1..].to_vec();
        assert!(!late.is_empty(), "the neighbour stands still");
        late.sort_by(f64::total_cmp);
        let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
        Fared { rate: late.len() as f64 / mark.0.elapsed().as_secs_f64(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }

    /// Removes it.
    #[track_caller]
    pub fn leave(self) {
        self.rest.delete("/connectors/neighbour").expect(204);
        self.stop.store(true, Ordering::Relaxed);
        self.consumer.join().expect("the consumer");
    }
}

fn consume(topic: &str, seen: &Mutex<Vec<f64>>, stop: &AtomicBool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", Kafka::shared().bootstrap()).set("group.id", topic).set("fetch.wait.max.ms", "5");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
    consumer.assign(&partitions).expect("assign");
    while !stop.load(Ordering::Relaxed) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let sent: u128 = text.parse().unwrap_or_else(|_| panic!("the neighbour says {text:?}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        seen.lock().expect("seen").push(now.saturating_sub(sent) as f64 / 1000.0);
    }
}

impl fmt::Display for Fared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fared { rate, p50, p99, max } = self;
        write!(f, "{rate:.0} records/s, latency p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }
}
