//! Logs in one database file ([redb](https://docs.rs/redb)), for a worker on its own.
//!
//! Every write is one transaction, on disk before it is acknowledged; a process that dies at any moment loses nothing that
//! was. Writers that wait are written together, in one transaction.

mod database;
mod java;
mod takeover;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::{CompactedLog, Entry, LogReader, MAX_ENTRY_BYTES, StoreError};
use database::{Database, Opener, Request};

/// The log that takes over the offsets of a Kafka Connect worker.
pub const OFFSETS_LOG: &str = "offsets";

/// Requests that may wait for the database; more wait outside.
const MAX_WAITING: usize = 1024;

/// A database file with any number of logs. It is closed when the last log is dropped.
pub struct FileStore {
    database: Arc<Handle>,
}

/// The thread that owns the database.
struct Handle {
    path: String,
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl FileStore {
    /// Opens the database file at `path` or creates it, readable for its owner only, since configurations may hold secrets.
    ///
    /// If `path` is the offsets file of Kafka Connect's standalone worker, its offsets become [`OFFSETS_LOG`], and the file
    /// is kept beside it under `.kafka-connect`. Blocks while it reads the disk.
    pub fn open(path: &Path) -> Result<FileStore, StoreError> {
        takeover::take_over(path).map_err(|reason| StoreError::Open { path: path.display().to_string(), reason })?;
        FileStore::with_opener(path.display().to_string(), database::file_opener(path))
    }

    fn with_opener(path: String, opener: Opener) -> Result<FileStore, StoreError> {
        let failed = |reason: String| StoreError::Open { path: path.clone(), reason };
        let mut database = Database::open(opener).map_err(|error| failed(error.to_string()))?;
        let (requests, mut receiver) = mpsc::channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("hawser-store".to_owned())
            .spawn(move || database.serve(&mut receiver))
            .map_err(|error| failed(error.to_string()))?;
        let handle = Handle { path, requests: Some(requests), thread: Some(thread) };
        Ok(FileStore { database: Arc::new(handle) })
    }

    /// The log of that name; it is created by its first record.
    pub fn log(&self, name: &str) -> Arc<dyn CompactedLog> {
        Arc::new(FileLog { name: name.into(), database: self.database.clone() })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // What was asked for is finished, and the file is free for whoever opens it next.
            let _ = thread.join();
        }
    }
}

struct FileLog {
    name: Arc<str>,
    database: Arc<Handle>,
}

impl FileLog {
    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Request,
    ) -> Result<Result<(), String>, StoreError> {
        let requests = self.database.requests.as_ref().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        requests.send(request(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }

    fn describe(&self) -> String {
        format!("{} in {}", self.name, self.database.path)
    }
}

#[async_trait]
impl CompactedLog for FileLog {
    async fn start(&self, reader: Arc<dyn LogReader>) -> Result<(), StoreError> {
        let log = self.name.clone();
        let answer = self.ask(|reply| Request::Start { log, reader, reply }).await?;
        answer.map_err(|reason| StoreError::Read { log: self.describe(), reason })
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        for (key, value) in &entries {
            let size = key.len() + value.as_ref().map_or(0, Vec::len);
            if size > MAX_ENTRY_BYTES {
                return Err(StoreError::TooLarge { log: self.describe(), size, limit: MAX_ENTRY_BYTES });
            }
        }
        let log = self.name.clone();
        let answer = self.ask(|reply| Request::Append { log, entries, reply }).await?;
        answer.map_err(|reason| StoreError::Write { log: self.describe(), reason })
    }

    /// Nobody else writes to the file, and own writes are seen when they are acknowledged.
    async fn read_to_end(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
