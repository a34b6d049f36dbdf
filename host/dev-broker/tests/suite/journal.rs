//! The journal: the binary is killed and started again on the same folder.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use hawser_dev_broker::{DevBrokerConfig, DevBrokerError};
use rdkafka::{
    Offset,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, Producer},
};

use crate::common::*;

const BINARY: &str = env!("CARGO_BIN_EXE_hawser-dev-broker");

/// The broker as a process.
struct Process {
    child: Child,
    bootstrap: String,
}

impl Process {
    fn start(dir: &Path, port: &str) -> Self {
        Self::run(Command::new(BINARY), dir, port)
    }

    fn run(mut command: Command, dir: &Path, port: &str) -> Self {
        let mut child =
            command.args(["--port", port, "--data-dir"]).arg(dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let bootstrap = line.trim().strip_prefix("bootstrap.servers=").unwrap().to_owned();
        Self { child, bootstrap }
    }

    fn port(&self) -> &str {
        self.bootstrap.rsplit(':').next().unwrap()
    }

    /// Kills it with SIGKILL.
    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn cluster_id(bootstrap: &str) -> String {
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    consumer.client().fetch_cluster_id(PATIENCE).unwrap()
}

#[test]
fn everything_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), "0");
    let bootstrap = &process.bootstrap;
    let id = cluster_id(bootstrap);
    let name = topic(bootstrap, 2, &[("max.message.bytes", "100000")]);
    let gone = topic(bootstrap, 1, &[]);
    put_numbers(bootstrap, &name, 0, 0..1000);
    let deleted = block_on(admin(bootstrap).delete_topics(&[&gone], &admin_options())).unwrap();
    assert!(deleted[0].is_ok());
    let reader = consumer(bootstrap, "group", &[]);
    commit(&reader, &name, 0, 77, "kept").unwrap();
    drop(reader);
    let producer = producer(bootstrap, &[("transactional.id", "txn")]);
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, BaseRecord::to(&name).partition(1).payload(b"open"));
    producer.flush(PATIENCE).unwrap();
    process.kill();
    drop(producer);

    let process = Process::start(dir.path(), "0");
    let bootstrap = &process.bootstrap;
    assert_eq!(cluster_id(bootstrap), id);
    let records = read_all(bootstrap, &name);
    assert_eq!(records.len(), 1001);
    assert_eq!(read_committed(bootstrap, &name).len(), 1000, "the open transaction is still open");
    let reader = consumer(bootstrap, "group", &[]);
    assert_eq!(committed(&reader, &name, 0), (Offset::Offset(77), "kept".to_owned()));
    let metadata = reader.fetch_metadata(None, PATIENCE).unwrap();
    assert!(metadata.topics().iter().all(|t| t.name() != gone));
    let large = "x".repeat(200_000);
    assert!(put(bootstrap, &name, 0, &[(None, Some(&large))])[0].is_err(), "the config is still there");
    let next = crate::common::producer(bootstrap, &[("transactional.id", "txn")]);
    next.init_transactions(PATIENCE).unwrap();
    put(bootstrap, &name, 1, &[(None, Some("after"))]);
    let values_of_1: Vec<_> = read_committed(bootstrap, &name).into_iter().filter(|r| r.partition == 1).collect();
    assert_eq!(values(&values_of_1), ["after"], "initialising aborted the open transaction");
}

#[test]
fn a_torn_tail_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), "0");
    let name = topic(&process.bootstrap, 1, &[]);
    put_numbers(&process.bootstrap, &name, 0, 0..10);
    put(&process.bootstrap, &name, 0, &[(None, Some("torn"))]);
    process.kill();
    let path = dir.path().join("journal-1.log");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();

    let process = Process::start(dir.path(), "0");
    assert_eq!(read_all(&process.bootstrap, &name).len(), 10);
    assert_eq!(put(&process.bootstrap, &name, 0, &[(None, Some("again"))]), [Ok((0, 10))]);
    process.kill();
    let process = Process::start(dir.path(), "0");
    assert_eq!(read_all(&process.bootstrap, &name).last().unwrap().value.as_deref(), Some("again"));
}

/// An idempotent producer goes on through kills; nothing is lost, doubled or out of order.
#[test]
fn producers_live_through_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), "0");
    let (bootstrap, port) = (process.bootstrap.clone(), process.port().to_owned());
    let name = topic(&bootstrap, 1, &[]);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicI64::new(0));
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let settings = [
                ("enable.idempotence", "true"),
                ("message.timeout.ms", "60000"),
                ("reconnect.backoff.ms", "10"),
                ("reconnect.backoff.max.ms", "50"),
                ("queue.buffering.max.messages", "5000"),
            ];
            let producer = producer(&bootstrap, &settings);
            let mut sent = 0_i64;
            while !stop.load(Ordering::Relaxed) {
                let value = sent.to_string();
                send(&producer, BaseRecord::to(&name).payload(value.as_bytes()));
                sent += 1;
                if sent % 500 == 0 {
                    producer.poll(Duration::ZERO);
                    let results = producer.context().take();
                    assert!(results.iter().all(Result::is_ok), "{results:?}");
                    acknowledged.fetch_add(results.len() as i64, Ordering::Relaxed);
                }
            }
            producer.flush(PATIENCE).unwrap();
            assert!(producer.context().take().iter().all(Result::is_ok));
            sent
        });
        for _ in 0..5 {
            let before = acknowledged.load(Ordering::Relaxed);
            wait_for("some records", || (acknowledged.load(Ordering::Relaxed) > before + 3000).then_some(()));
            process.end();
            process = Process::start(dir.path(), &port);
        }
        stop.store(true, Ordering::Relaxed);
        sending.join().unwrap()
    });
    let records = read_all(&bootstrap, &name);
    assert_eq!(records.len() as i64, sent);
    assert!(records.iter().zip(0..).all(|(record, i)| record.value == Some(i.to_string())));
}

/// A limit on the size of files stands in for a full disk.
#[test]
fn a_full_disk_refuses_and_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\"", BINARY]);
    let process = Process::run(limited, dir.path(), "0");
    let name = topic(&process.bootstrap, 1, &[]);
    let impatient = producer(&process.bootstrap, &[("message.timeout.ms", "1500"), ("retry.backoff.ms", "50")]);
    let large = "x".repeat(150_000);
    let mut acknowledged = 0;
    while put_with(&impatient, &name, 0, &[(None, Some(&large))])[0].is_ok() {
        acknowledged += 1;
    }
    assert!(acknowledged >= 3, "{acknowledged}");
    assert!(put(&process.bootstrap, &name, 0, &[(None, Some("small"))])[0].is_ok(), "there is room for a small one");
    assert_eq!(read_all(&process.bootstrap, &name).len(), acknowledged + 1);
    process.kill();
    let process = Process::start(dir.path(), "0");
    let records = read_all(&process.bootstrap, &name);
    assert_eq!((records.len(), records.last().unwrap().value.as_deref()), (acknowledged + 1, Some("small")));
    assert!(put(&process.bootstrap, &name, 0, &[(None, Some(&large))])[0].is_ok());
}

#[test]
fn a_folder_serves_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let config = DevBrokerConfig { data_dir: Some(dir.path().into()), ..quick() };
    let first = own(config.clone());
    let refused = try_own(config.clone()).err().unwrap();
    assert!(matches!(refused, DevBrokerError::Locked { .. }), "{refused}");
    let id = cluster_id(&first.bootstrap);
    drop(first);
    let again = own(config);
    assert_eq!(cluster_id(&again.bootstrap), id);
}

#[test]
fn the_journal_does_not_grow_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let config = DevBrokerConfig { data_dir: Some(dir.path().into()), ..quick() };
    let cluster = own(config.clone());
    let name = topic(&cluster.bootstrap, 1, &[("retention.bytes", "1000000"), ("max.message.bytes", "2000000")]);
    let producer = producer(&cluster.bootstrap, &[("message.max.bytes", "2000000")]);
    let value = vec![b'x'; 1_000_000];
    let size = || -> u64 {
        let files = std::fs::read_dir(dir.path()).unwrap();
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
    };
    let mut largest = 0;
    // 64 MiB are allowed before the journal is rewritten.
    for sent in 1..=300 {
        send(&producer, BaseRecord::to(&name).payload(&value));
        // A flush takes a tenth of a second at least.
        if sent % 30 == 0 {
            producer.flush(PATIENCE).unwrap();
            largest = largest.max(size());
        }
    }
    wait_for("a small journal", || (size() < 100_000_000).then_some(()));
    assert!(largest < 250_000_000, "{largest}");
    drop(producer);
    drop(cluster);
    let cluster = own(config);
    let records = read_all(&cluster.bootstrap, &name);
    assert_eq!(records.last().unwrap().offset, 299);
}
