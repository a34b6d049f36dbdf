use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::super::LogRecord;
use super::*;

/// What a log adds up to, and the offsets in the order in which they were read.
#[derive(Default)]
struct Map(Mutex<(Content, Vec<i64>)>);

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

impl Map {
    fn entries(&self) -> Content {
        self.0.lock().unwrap().0.clone()
    }

    fn offsets(&self) -> Vec<i64> {
        self.0.lock().unwrap().1.clone()
    }
}

impl LogReader for Map {
    fn apply(&self, records: &[LogRecord<'_>]) {
        let (map, offsets) = &mut *self.0.lock().unwrap();
        for record in records {
            offsets.push(record.offset);
            match record.value {
                Some(value) => map.insert(record.key.to_vec(), value.to_vec()),
                None => map.remove(record.key),
            };
        }
    }
}

fn entry(key: &str, value: Option<&str>) -> Entry {
    (key.into(), value.map(Into::into))
}

async fn follow(log: &Arc<dyn CompactedLog>) -> Arc<Map> {
    let map = Arc::new(Map::default());
    log.start(map.clone()).await.unwrap();
    map
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let written = {
        let store = FileStore::open(&path).unwrap();
        let (a, b) = (store.log("a"), store.log("b"));
        let map = follow(&a).await;
        a.append(vec![entry("x", Some("1")), entry("y", Some("2")), entry("x", Some("3"))]).await.unwrap();
        a.append(vec![entry("z", Some("")), entry("y", None), entry("never", None)]).await.unwrap();
        b.append(vec![entry("x", Some("of b"))]).await.unwrap();
        assert_eq!(map.offsets(), [0, 1, 2, 3, 4, 5]);
        map.entries()
    };
    assert_eq!(written, BTreeMap::from([(b"x".to_vec(), b"3".to_vec()), (b"z".to_vec(), vec![])]));
    let store = FileStore::open(&path).unwrap();
    let (a, b) = (store.log("a"), store.log("b"));
    let map = follow(&a).await;
    assert_eq!(map.entries(), written);
    // In the order of writing, and offsets go on.
    assert_eq!(map.offsets(), [2, 3]);
    a.append(vec![entry("x", None)]).await.unwrap();
    assert_eq!(map.offsets(), [2, 3, 6]);
    assert_eq!(follow(&b).await.entries().len(), 1);
    a.read_to_end().await.unwrap();
}

#[tokio::test]
async fn misuse_and_excess_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = FileStore::open(&path).unwrap();
    let log = store.log("a");
    follow(&log).await;
    let error = log.start(Arc::new(Map::default())).await.unwrap_err();
    assert!(matches!(error, StoreError::Read { .. }), "{error}");
    let error = log.append(vec![(vec![], Some(vec![0; MAX_ENTRY_BYTES + 1]))]).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    log.append(vec![(vec![], Some(vec![0; MAX_ENTRY_BYTES]))]).await.unwrap();
    // The file is in use, or is something else.
    let error = FileStore::open(&path).err().unwrap();
    assert!(error.to_string().contains("no other worker uses it"), "{error}");
    let other = folder.path().join("other");
    std::fs::write(&other, "not a database, but long enough to look at: ".repeat(400)).unwrap();
    assert!(FileStore::open(&other).is_err());
    assert!(FileStore::open(&folder.path().join("missing/store.redb")).is_err());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn many_writers_are_all_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(&folder.path().join("store.redb")).unwrap();
    let log = store.log("a");
    let map = follow(&log).await;
    let writes = (0..500).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { log.append(vec![entry(&n.to_string(), Some("v"))]).await })
    });
    for write in futures::future::join_all(writes).await {
        write.unwrap().unwrap();
    }
    assert_eq!(map.entries().len(), 500);
    assert_eq!(map.offsets(), (0..500).collect::<Vec<_>>());
}

/// A medium that can be made to fail, and keeps its content when the database is closed.
#[derive(Clone)]
struct Medium {
    content: Arc<InMemoryBackend>,
    failing: Arc<AtomicBool>,
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Medium")
    }
}

impl Medium {
    fn check(&self) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        self.content.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.content.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.content.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.content.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room() {
    let medium = Medium { content: Arc::new(InMemoryBackend::new()), failing: Arc::default() };
    let opener = {
        let medium = medium.clone();
        Box::new(move || database::builder().create_with_backend(medium.clone()))
    };
    let store = FileStore::with_opener("a medium".into(), opener).unwrap();
    let log = store.log("a");
    let map = follow(&log).await;
    log.append(vec![entry("x", Some("1"))]).await.unwrap();
    medium.failing.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = log.append(vec![entry("x", Some("2"))]).await.unwrap_err();
        assert!(matches!(error, StoreError::Write { .. }), "{error}");
    }
    medium.failing.store(false, Ordering::SeqCst);
    log.append(vec![entry("y", Some("3"))]).await.unwrap();
    let expect = map.entries();
    assert_eq!(expect[b"y".as_slice()], b"3");
    drop((log, store));
    let opener = Box::new(move || database::builder().create_with_backend(medium.clone()));
    let store = FileStore::with_opener("a medium".into(), opener).unwrap();
    assert_eq!(follow(&store.log("a")).await.entries(), expect);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_bytes_are_kept(batches in prop::collection::vec(
        prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3), prop::option::of(any::<Vec<u8>>())), 0..8), 0..8,
    )) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.redb");
            let live = {
                let log = FileStore::open(&path).unwrap().log("any");
                let map = follow(&log).await;
                for batch in batches {
                    log.append(batch).await.unwrap();
                }
                map.entries()
            };
            let log = FileStore::open(&path).unwrap().log("any");
            prop_assert_eq!(follow(&log).await.entries(), live);
            Ok(())
        })?;
    }
}

const CHILD: &str = "HAWSER_TEST_STORE_CHILD";
const CHILD_TEST: &str = "store::file::tests::child_that_writes_until_it_is_killed";
const KEYS: u64 = 7;

/// Started by the next test: counts up in several keys at once, and says which counts have been acknowledged.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = FileStore::open(Path::new(&path)).unwrap();
    let log = store.log("counts");
    let first = follow(&log).await.entries().values().map(|value| count(value)).max().unwrap_or(0);
    for n in first + 1.. {
        // One transaction: all keys have the same count, or all the former one.
        let entries = (0..KEYS).map(|key| entry(&key.to_string(), Some(&format!("{n} {}", "x".repeat(n as usize % 3000)))));
        log.append(entries.collect()).await.unwrap();
        println!("\nacknowledged {n}");
        io::stdout().flush().unwrap();
    }
}

fn count(value: &[u8]) -> u64 {
    str::from_utf8(value).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut acknowledged = 0;
    for round in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD_TEST, "--nocapture", "--test-threads=1"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // How many acknowledgements to wait for differs; where in a write the kill then hits is left to chance.
        let mut wanted = 1 + round * 5 % 17;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut read = |wanted: &mut u64| {
            for line in lines.by_ref() {
                if let Some(n) = line.unwrap().strip_prefix("acknowledged ") {
                    acknowledged = n.parse().unwrap();
                    *wanted = wanted.saturating_sub(1);
                    if *wanted == 0 {
                        return;
                    }
                }
            }
        };
        read(&mut wanted);
        assert_eq!(wanted, 0, "the child ended before it was killed");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        read(&mut u64::MAX.clone());
        let found = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let store = FileStore::open(&path).unwrap();
            follow(&store.log("counts")).await.entries()
        });
        assert_eq!(found.len() as u64, KEYS);
        let counts: Vec<u64> = found.values().map(|value| count(value)).collect();
        assert!(counts.iter().all(|&n| n == counts[0]), "half a transaction: {counts:?}");
        assert!((acknowledged..=acknowledged + 1).contains(&counts[0]), "{acknowledged} acknowledged, found {counts:?}");
    }
}
