//! What the worker's topics and files hold: records of configurations, offsets and statuses, which others may have written;
//! and the offsets of sources, which plugins give as JSON.
//!
//! The input is lines: `key TAB value` is a record (no tab: a deletion); a line that begins with `>` is a partition that a
//! plugin names, with its offset behind the tab.

use hawser::store::{ConfigStore, Entry, OffsetStore, StatusStore};

use crate::RUNTIME;
use crate::fakes::MemoryLog;

pub fn fuzz(data: &[u8]) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut named = Vec::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let (key, value) = match line.iter().position(|byte| *byte == b'\t') {
            Some(tab) => (&line[..tab], Some(line[tab + 1..].to_vec())),
            None => (line, None),
        };
        match key.strip_prefix(b">") {
            Some(partition) => named.push((text(partition), value.as_deref().map(text))),
            None => entries.push((key.to_vec(), value)),
        }
    }
    RUNTIME.block_on(async {
        let configs = ConfigStore::open(MemoryLog::with(&entries)).await.expect("any bytes are taken");
        for (name, connector) in &configs.snapshot().connectors {
            assert!(connector.tasks.len() <= connector.task_count as usize, "{name}");
        }
        let statuses = StatusStore::open(MemoryLog::with(&entries)).await.expect("any bytes are taken");
        for connector in statuses.connectors() {
            let _ = (statuses.connector(&connector), statuses.tasks(&connector), statuses.topics(&connector));
        }
        offsets(&entries, named).await;
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is stored is read back, also by who opens the same log later.
async fn offsets(entries: &[Entry], named: Vec<(String, Option<String>)>) {
    let log = MemoryLog::with(entries);
    let store = OffsetStore::open(log.clone()).await.expect("any bytes are taken");
    let _ = store.list("c").await.expect("a list");
    for (partition, offset) in named {
        if store.put("c", vec![(partition.clone(), offset.clone())]).await.is_err() {
            continue;
        }
        let stored = store.get("c", std::slice::from_ref(&partition)).await.expect("it was just put");
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].is_some(), offset.is_some(), "{partition} {offset:?}");
        let later = OffsetStore::open(log.clone()).await.expect("its own log");
        assert_eq!(later.get("c", &[partition]).await.expect("as before"), stored);
    }
    store.reset("c").await.expect("a reset");
    assert!(store.list("c").await.expect("a list").is_empty());
}
