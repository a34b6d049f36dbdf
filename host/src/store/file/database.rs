//! The thread that owns the database file.
//!
//! A log is two tables: its records by offset, and the offset of each key's record, so that a key's former record can be
//! removed when a new one comes, and a log be read in the order in which it was written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::super::{Entry, LogReader, LogRecord};

/// Records by offset: key and value.
type Records<'a> = TableDefinition<'a, u64, (&'static [u8], &'static [u8])>;
/// Offsets by key.
type Keys<'a> = TableDefinition<'a, &'static [u8], u64>;
/// The next offset, by log.
const NEXT: TableDefinition<'static, &'static str, u64> = TableDefinition::new("next-offsets");

/// What the database may keep in memory: the typed layers keep their state themselves.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Requests that are written in one transaction.
const MAX_GROUP: usize = 256;
/// Records that are handed to a reader at once.
const READ_CHUNK: usize = 512;

pub(super) type Opener = Box<dyn Fn() -> Result<redb::Database, redb::DatabaseError> + Send>;
type Reply = oneshot::Sender<Result<(), String>>;

pub(super) enum Request {
    Start { log: Arc<str>, reader: Arc<dyn LogReader>, reply: Reply },
    Append { log: Arc<str>, entries: Vec<Entry>, reply: Reply },
}

/// An append that waits to be written.
struct Append {
    log: Arc<str>,
    entries: Vec<Entry>,
    reply: Reply,
    /// The offset of the first entry, once written.
    first: u64,
}

struct Follower {
    reader: Arc<dyn LogReader>,
    /// The first offset that the reader has not seen.
    next: u64,
}

pub(super) struct Database {
    opener: Opener,
    /// None after a failed write: redb wants the file to be opened anew.
    file: Option<redb::Database>,
    followers: HashMap<Arc<str>, Follower>,
}

/// Opens a file, creating it for its owner only.
pub(super) fn file_opener(path: &Path) -> Opener {
    let path: PathBuf = path.to_owned();
    Box::new(move || {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let database = builder().create_file(file)?;
        if is_new {
            sync_folder_of(&path)?;
        }
        Ok(database)
    })
}

/// A file's name must survive a power failure, too.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

impl Database {
    pub fn open(opener: Opener) -> Result<Database, redb::Error> {
        let file = opener()?;
        Ok(Database { opener, file: Some(file), followers: HashMap::new() })
    }

    /// Writes entries before anybody reads or writes.
    pub fn import(&mut self, log: &str, entries: Vec<Entry>) -> Result<(), redb::Error> {
        let (reply, _) = oneshot::channel();
        self.write(&mut [Append { log: log.into(), entries, reply, first: 0 }])
    }

    /// Serves requests until nobody can send any more.
    pub fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append { log, entries, reply } => {
                        group.push(Append { log, entries, reply, first: 0 });
                    }
                    Request::Start { log, reader, reply } => {
                        self.append(std::mem::take(&mut group));
                        // A caller that has gone does not wait for the answer.
                        let _ = reply.send(self.start(log, reader));
                    }
                }
                next = if group.len() < MAX_GROUP { requests.try_recv().ok() } else { None };
            }
            self.append(group);
        }
    }

    fn start(&mut self, log: Arc<str>, reader: Arc<dyn LogReader>) -> Result<(), String> {
        if self.followers.contains_key(&log) {
            return Err("it is read already, and can be read once only".to_owned());
        }
        let follower = Follower { reader, next: 0 };
        self.reopen().and_then(|()| self.follow(&log, follower)).map_err(|error| error.to_string())
    }

    /// Hands over what a log holds from the follower's position on, and keeps the follower for what comes.
    fn follow(&mut self, log: &Arc<str>, mut follower: Follower) -> Result<(), redb::Error> {
        if let Some(file) = &self.file {
            let transaction = file.begin_read()?;
            match transaction.open_table(Records::new(&records_name(log))) {
                Ok(records) => {
                    let mut range = records.range(follower.next..)?;
                    loop {
                        let chunk = range.by_ref().take(READ_CHUNK).collect::<Result<Vec<_>, _>>()?;
                        let Some((last, _)) = chunk.last() else { break };
                        let next = last.value() + 1;
                        let values: Vec<_> = chunk.iter().map(|(offset, record)| (offset.value(), record.value())).collect();
                        let records: Vec<_> = values
                            .iter()
                            .map(|&(offset, (key, value))| LogRecord { offset: signed(offset), key, value: Some(value) })
                            .collect();
                        follower.reader.apply(&records);
                        follower.next = next;
                    }
                }
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.followers.insert(log.clone(), follower);
        Ok(())
    }

    fn append(&mut self, mut group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        match self.reopen().and_then(|()| self.write(&mut group)) {
            Ok(()) => {
                for append in group {
                    self.show(&append);
                    let _ = append.reply.send(Ok(()));
                }
            }
            Err(error) => {
                error!("cannot write to the store: {error}");
                self.file = None;
                for append in group {
                    let _ = append.reply.send(Err(error.to_string()));
                }
            }
        }
    }

    /// Writes all appends in one transaction.
    fn write(&self, group: &mut [Append]) -> Result<(), redb::Error> {
        let Some(file) = &self.file else { return Err(redb::Error::DatabaseClosed) };
        let mut transaction = file.begin_write()?;
        // A worker that was killed starts at once, however large the file: nothing has to be checked or rebuilt.
        transaction.set_quick_repair(true);
        for append in group {
            let mut next_offsets = transaction.open_table(NEXT)?;
            let mut records = transaction.open_table(Records::new(&records_name(&append.log)))?;
            let mut keys = transaction.open_table(Keys::new(&keys_name(&append.log)))?;
            append.first = next_offsets.get(&*append.log)?.map_or(0, |next| next.value());
            let mut offset = append.first;
            for (key, value) in &append.entries {
                let former = match value {
                    Some(value) => {
                        records.insert(offset, (key.as_slice(), value.as_slice()))?;
                        keys.insert(key.as_slice(), offset)?.map(|former| former.value())
                    }
                    None => keys.remove(key.as_slice())?.map(|former| former.value()),
                };
                if let Some(former) = former {
                    records.remove(former)?;
                }
                offset += 1;
            }
            next_offsets.insert(&*append.log, offset)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Hands what was written to the reader of its log.
    fn show(&mut self, append: &Append) {
        let Some(follower) = self.followers.get_mut(&append.log) else { return };
        let records: Vec<_> = (append.first..)
            .zip(&append.entries)
            .map(|(offset, (key, value))| LogRecord { offset: signed(offset), key, value: value.as_deref() })
            .collect();
        follower.reader.apply(&records);
        follower.next = append.first + records.len() as u64;
    }

    /// After a failed write, opens the file anew. The failed write may be in it all the same, so readers are shown
    /// what they have not seen.
    fn reopen(&mut self) -> Result<(), redb::Error> {
        if self.file.is_some() {
            return Ok(());
        }
        warn!("opening the store anew after a failed write");
        self.file = Some((self.opener)()?);
        let followers: Vec<_> = self.followers.iter().map(|(log, f)| (log.clone(), f.reader.clone(), f.next)).collect();
        for (log, reader, next) in followers {
            if let Err(error) = self.follow(&log, Follower { reader, next }) {
                self.file = None;
                return Err(error);
            }
        }
        Ok(())
    }
}

fn records_name(log: &str) -> String {
    format!("records:{log}")
}

fn keys_name(log: &str) -> String {
    format!("keys:{log}")
}

/// Offsets on a topic are signed; a file never comes near the limit.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
