//! A log in memory, for tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{CompactedLog, Entry, LogReader, LogRecord, StoreError};

/// Keeps every record, so that a test can look at them.
#[derive(Default)]
pub(crate) struct MemoryLog {
    records: Mutex<Vec<Entry>>,
    reader: Mutex<Option<Arc<dyn LogReader>>>,
    failing: AtomicBool,
}

impl MemoryLog {
    /// A log that already holds records.
    pub fn with<K: AsRef<[u8]>, V: AsRef<[u8]>>(records: impl IntoIterator<Item = (K, Option<V>)>) -> Arc<MemoryLog> {
        let entry = |(key, value): (K, Option<V>)| (key.as_ref().to_vec(), value.map(|value| value.as_ref().to_vec()));
        let records = records.into_iter().map(entry).collect();
        Arc::new(MemoryLog { records: Mutex::new(records), ..MemoryLog::default() })
    }

    /// All records so far, as text.
    pub fn texts(&self) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.records().iter().map(|(key, value)| (text(key), value.as_deref().map(text))).collect()
    }

    /// The same log as another worker would find it; compaction leaves only the last record of each key.
    pub fn reopened(&self, compacted: bool) -> Arc<MemoryLog> {
        let records = self.records();
        let is_last = |index: usize, key: &[u8]| records.iter().skip(index + 1).all(|(later, _)| later != key);
        let kept =
            records.iter().enumerate().filter(|(index, (key, value))| !compacted || (value.is_some() && is_last(*index, key)));
        MemoryLog::with(kept.map(|(_, (key, value))| (key.clone(), value.clone())))
    }

    /// From now on writes fail, or not.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    fn records(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, first: usize, entries: &[Entry]) {
        let records: Vec<_> = (0..)
            .zip(entries)
            .map(|(index, (key, value))| LogRecord { offset: first as i64 + index, key, value: value.as_deref() })
            .collect();
        if let Some(reader) = &*self.reader.lock().unwrap() {
            reader.apply(&records);
        }
    }
}

#[async_trait]
impl CompactedLog for MemoryLog {
    async fn start(&self, reader: Arc<dyn LogReader>) -> Result<(), StoreError> {
        let records = self.records();
        *self.reader.lock().unwrap() = Some(reader);
        self.show(0, &records);
        Ok(())
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::Write { log: "memory".to_owned(), reason: "told to fail".to_owned() });
        }
        let mut records = self.records();
        self.show(records.len(), &entries);
        records.extend(entries);
        Ok(())
    }

    async fn read_to_end(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
