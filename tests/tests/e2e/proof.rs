//! Delivery is proved: the worker is killed at random moments, and the broker stopped, while records go from a file through Kafka, a
//! chain of transforms and a sink to a file. Some are such that a converter, a transform or the sink refuses them, or that a plugin
//! crashes over them. Each record must be at the far end, or in the dead letter queue if it is one of those; and each kill may
//! double no more than what was on its way.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hawser_e2e::{Broker, Deadline, Kafka, Plugin, Topic, Worker, unique, wait_for};
use serde_json::json;

use crate::support::{append, file_source, folder, lines, with};

/// Lines that the writer appends at a time, and how often it does: some 2,000 a second.
const LINES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);
/// How many lines it is ahead of the far end at most, so that a slow machine is not left with ever more to catch up with.
const AHEAD: usize = 8_000;
/// Two in three kills fall while records flow: as soon as new ones come out, so long at most after the first did.
const AFTER_OUTPUT: Duration = Duration::from_millis(400);
/// The others fall at most so long after the worker's start, whatever it is doing then.
const AFTER_START: Duration = Duration::from_millis(1_500);
/// What may be on its way and so be doubled by one kill: what a source's producer holds at most (docs/delivery.md), and
/// what was acknowledged since the last commit, which comes every 200 ms and may take 5 s. In records, at the writer's speed
/// and as much again for what it had in hand from before.
const ON_THE_WAY: usize = 65_536 + 2 * 2_000 * 6;

/// Which stage a line fails in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Fine,
    /// It is no JSON: `VALUE_CONVERTER`.
    Malformed,
    /// It is no object: `TRANSFORMATION`.
    NoObject,
    /// The chain crashes over it.
    CrashesChain,
    /// The sink refuses it: `TASK_PUT`.
    Refused,
    /// The sink crashes over it.
    CrashesSink,
}

fn fate(i: usize) -> Fate {
    match (i % 1_000, i % 10_000) {
        (100, _) => Fate::Malformed,
        (300, _) => Fate::NoObject,
        (500, _) => Fate::Refused,
        (_, 2_700) => Fate::CrashesChain,
        (_, 7_900) => Fate::CrashesSink,
        _ => Fate::Fine,
    }
}

fn line(i: usize) -> String {
    match fate(i) {
        Fate::Fine => format!(r#"{{"n":{i}}}"#),
        Fate::Malformed => format!(r#"{{"n":{i},}}"#),
        Fate::NoObject => format!(r#""n:{i}""#),
        Fate::CrashesChain => format!(r#"{{"n":{i},"is":"chain-poison"}}"#),
        Fate::Refused => format!(r#"{{"n":{i},"is":"refused"}}"#),
        Fate::CrashesSink => format!(r#"{{"n":{i},"is":"sink-poison"}}"#),
    }
}

/// The number of a line, whatever was made of it; `None` if it was torn.
fn number(text: &str) -> Option<usize> {
    let digits = text.split_once("n\":").or_else(|| text.split_once("\"n:"))?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits.get(..end)?.parse().ok()
}

/// The number of the last whole line of a file; 0 if there is none.
fn last_number(file: &Path) -> usize {
    const TAIL: u64 = 4_096;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().unwrap_or_default(); // it is not there yet
    String::from_utf8_lossy(&tail).lines().rev().find_map(number).unwrap_or(0)
}

/// Appends lines at a steady pace until it is told to stop; it waits where it is too far ahead of what came out.
struct Writer {
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(file: PathBuf, output: PathBuf) -> Self {
        let (written, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&written), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let from = count.load(Ordering::Relaxed);
                if from < last_number(&output) + AHEAD {
                    append(&file, (from..from + LINES).map(line));
                    count.store(from + LINES, Ordering::Relaxed);
                }
                thread::sleep(PAUSE);
            }
        });
        Self { written, stop, thread: Some(thread) }
    }

    /// Stops, and answers how many lines there are.
    fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("a thread").join().expect("the writer");
        self.written.load(Ordering::Relaxed)
    }
}

struct Scene {
    worker: Worker,
    topic: Topic,
    letters: Topic,
    input: PathBuf,
    output: PathBuf,
}

impl Scene {
    fn start(kafka: &Kafka) -> Self {
        let worker = Worker::distributed(kafka).set("offset.flush.interval.ms", "200").start();
        for plugin in ["file", "transforms", "hostile"] {
            worker.rest().upload(&Plugin::built(plugin));
        }
        let (input, output) = (folder(&worker, "in").join("lines"), folder(&worker, "out").join("ledger"));
        let topic = Topic::create(kafka, "proof", 1);
        let letters = Topic::named(kafka.bootstrap(), &unique("proof-dlq"));
        append(&input, Vec::<String>::new());
        worker.rest().configure("source", &file_source(&input, &topic.name));
        let sink = json!({
            "connector.class": "HostileSink",
            "tasks": "1",
            "topics": topic.name,
            "ledger": output,
            "refuse": "refused",
            "poison": "sink-poison",
            "put": "trap",
            "sandbox.files": output.parent().expect("a folder"),
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "transforms": "insert,break,mask",
            "transforms.insert.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.insert.offset.field": "offset",
            "transforms.break.type": "HostileTransform",
            "transforms.break.apply": "trap",
            "transforms.break.poison": "chain-poison",
            "transforms.mask.type": "org.apache.kafka.connect.transforms.ReplaceField$Value",
            "transforms.mask.exclude": "none",
            "errors.tolerance": "all",
            "errors.deadletterqueue.topic.name": letters.name,
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
            "consumer.override.group.id": unique("proof"),
            // A member that comes back under its name takes its partitions at once.
            "consumer.override.group.instance.id": unique("proof"),
        });
        worker.rest().configure("sink", &with(sink, json!({"tasks.max": "1"})));
        Self { worker, topic, letters, input, output }
    }

    /// Waits until lines have come out that never did before, and answers the number of the last.
    fn until_beyond(&self, before: usize) -> usize {
        wait_for(&format!("a line after {before} at the far end"), Deadline::LONG, || {
            let last = last_number(&self.output);
            if last > before { Ok(last) } else { Err(format!("line {last}")) }
        })
    }

    /// Waits until everything is through, and counts.
    fn check(&self, total: usize, interruptions: usize) {
        let fine = (0..total).filter(|i| fate(*i) == Fate::Fine).count();
        let found = wait_for("each line at the far end", Deadline::secs(240), || {
            let found: Vec<usize> = lines(&self.output).iter().filter_map(|line| number(line)).collect();
            let times = times(found.iter().copied());
            if times.len() >= fine { Ok(found) } else { Err(format!("{} of {fine} lines", times.len())) }
        });
        let mut odd: HashMap<usize, Fate> = HashMap::new();
        self.letters.read_until("each dead letter", Deadline::LONG, |letters| {
            let last = letters.last().and_then(|letter| number(letter.text()));
            odd.extend(last.map(|i| (i, fate(i))));
            odd.len() >= total - fine
        });
        let letters = self.letters.read_all();
        for letter in &letters {
            let header = |name: &str| {
                let found = letter.headers.iter().find(|(known, _)| known == &format!("__connect.errors.{name}"));
                found.and_then(|(_, value)| value.as_deref()).map(|value| String::from_utf8_lossy(value).into_owned())
            };
            let (stage, exception) = (header("stage").expect("a stage"), header("exception.class.name").expect("an exception"));
            let expect = match fate(number(letter.text()).expect("a line")) {
                Fate::Fine => panic!("a fine line is a dead letter: {letter:?}"),
                Fate::Malformed => ("VALUE_CONVERTER", "org.apache.kafka.connect.errors.DataException"),
                Fate::NoObject => ("TRANSFORMATION", "org.apache.kafka.connect.errors.DataException"),
                Fate::CrashesChain => ("TRANSFORMATION", "hawser.errors.PluginCrashed"),
                Fate::Refused => ("TASK_PUT", "org.example.Refused"),
                Fate::CrashesSink => ("TASK_PUT", "hawser.errors.PluginCrashed"),
            };
            assert_eq!((stage.as_str(), exception.as_str()), expect, "{}", letter.text());
        }
        let sent: Vec<usize> = self.topic.read_all().iter().map(|record| number(record.text()).expect("a line")).collect();
        let (backs, resent) = goes_back(&sent);
        assert!(found.iter().all(|i| fate(*i) == Fate::Fine), "a line that should fail came out");
        let fates = times(odd.values().copied());
        let (put_twice, told_twice) = (found.len() - fine, letters.len() - (total - fine));
        eprintln!(
            "{interruptions} interruptions, {total} records: 0 lost; {fine} at the far end, {} dead letters ({fates:?}); \
             doubled: {resent} in the topic by {backs} steps back, {put_twice} at the far end, {told_twice} dead letters",
            total - fine
        );
        assert!(backs <= interruptions, "{backs} steps back in the topic for {interruptions} interruptions");
        assert!(resent <= backs * ON_THE_WAY, "{resent} records were sent twice");
        // What was doubled before is doubled here, too; an interruption of the sink adds what it had not committed.
        assert!(put_twice + told_twice <= resent + interruptions * ON_THE_WAY, "{put_twice} and {told_twice} came twice");
    }
}

fn times<T: std::hash::Hash + Eq>(found: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut times = HashMap::new();
    for one in found {
        *times.entry(one).or_default() += 1;
    }
    times
}

/// How often a sequence steps back, and how many numbers it repeats by that. It never leaves one out.
fn goes_back(sent: &[usize]) -> (usize, usize) {
    let (mut backs, mut repeated, mut next) = (0, 0, 0);
    for i in sent {
        assert!(*i <= next, "{next} to {i} are missing in the topic");
        if *i < next {
            (backs, repeated) = (backs + 1, repeated + next - i);
        }
        next = i + 1;
    }
    (backs, repeated)
}

/// A random part of a time.
fn part_of(most: Duration) -> Duration {
    most.mul_f64(RandomState::new().hash_one(0) as f64 / u64::MAX as f64)
}

#[test]
fn no_record_is_lost_to_kills() {
    let kills = if Broker::chosen() == Broker::Dev { 20 } else { 50 };
    let mut scene = Scene::start(Kafka::shared());
    let writer = Writer::start(scene.input.clone(), scene.output.clone());
    let (mut flowing, mut out) = (0, 0);
    let began = Instant::now();
    for kill in 0..kills {
        if kill % 3 == 0 {
            thread::sleep(part_of(AFTER_START)); // at random, also while the worker is starting
        } else {
            out = scene.until_beyond(out);
            thread::sleep(part_of(AFTER_OUTPUT));
            out = scene.until_beyond(out);
            flowing += 1;
        }
        scene.worker.kill();
        scene.worker.start();
    }
    eprintln!("{kills} kills in {} s, {flowing} of them as records came out", began.elapsed().as_secs());
    scene.check(writer.end(), kills);
}

#[test]
fn no_record_is_lost_to_restarts_of_the_broker() {
    const STOPS: usize = 4;
    let mut kafka = Kafka::own();
    let scene = Scene::start(&kafka);
    let writer = Writer::start(scene.input.clone(), scene.output.clone());
    let mut out = 0;
    for stop in 0..STOPS {
        out = scene.until_beyond(out);
        thread::sleep(part_of(AFTER_OUTPUT));
        if stop % 2 == 0 {
            kafka.stop()
        } else {
            kafka.kill()
        }
        thread::sleep(part_of(AFTER_START));
        kafka.start();
    }
    scene.until_beyond(out);
    scene.check(writer.end(), STOPS);
}
