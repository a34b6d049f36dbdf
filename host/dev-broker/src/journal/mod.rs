//! The journal: every change of state, in order, in files of checked frames.
//!
//! `journal-N.log` files are appended to, one frame (one write) per request. When they have grown well beyond the live
//! state, a new file is begun and the state as of that moment is written to `snapshot-N.log` in the background; once that is
//! complete, it takes the place of all files up to N. A snapshot is made of the same entries as a journal.
//!
//! A frame is `length u32, crc32c u32` and then entries of `change length u32, blob length u32, change (JSON), blob`. A frame is
//! applied as a whole or, if the process was killed while writing it, not at all.

mod change;
mod files;

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    path::{Path, PathBuf},
};

use bytes::{BufMut, Bytes, BytesMut};

use crate::DevBrokerError;
pub(crate) use change::{Change, Commit, Entry, ProducerImage};

/// Bytes before the entries of a frame: length and checksum.
const FRAME_HEADER_BYTES: usize = 8;
/// Bytes before each entry: length of the change and of its blob.
const ENTRY_HEADER_BYTES: usize = 8;
/// The journal is compacted when it is larger than this and than twice the live state.
const MIN_COMPACTION_BYTES: u64 = 64 * 1024 * 1024;
/// A frame of a snapshot ends when it holds so many entries or bytes.
const SNAPSHOT_FRAME_ENTRIES: usize = 256;
const SNAPSHOT_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    /// Keeps other brokers out for as long as it is open.
    _lock: File,
    file: File,
    path: PathBuf,
    /// Number of the file that is appended to.
    number: u64,
    /// Bytes of `file`.
    position: u64,
    /// Bytes of all journal files since the last snapshot.
    grown: u64,
    /// Set when a failed write could not be undone: nothing may be appended behind it.
    broken: bool,
    snapshot_running: bool,
}

/// A snapshot that has been begun: what to write and where.
#[derive(Debug)]
pub(crate) struct Snapshot {
    dir: PathBuf,
    /// The last journal file that the snapshot replaces.
    upto: u64,
}

impl Journal {
    /// Replays what is in `dir` into `apply` and opens the journal for appending. The second value is the size of a torn
    /// write at the end that was cut off.
    pub fn open(dir: &Path, mut apply: impl FnMut(Entry)) -> Result<(Self, u64), DevBrokerError> {
        let fail = |action, path: &Path| {
            let path = path.to_owned();
            move |source| DevBrokerError::Io { action, path, source }
        };
        std::fs::create_dir_all(dir).map_err(fail("create", dir))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(fail("create", &lock_path))?;
        lock.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => DevBrokerError::Locked { path: dir.to_owned() },
            std::fs::TryLockError::Error(e) => fail("lock", &lock_path)(e),
        })?;

        let found = files::scan(dir)?;
        if let Some(path) = &found.snapshot {
            files::replay(path, false, &mut apply)?;
        }
        let (mut grown, mut dropped) = (0, 0);
        for (i, (_, path)) in found.journals.iter().enumerate() {
            let last = i + 1 == found.journals.len();
            let torn = files::replay(path, last, &mut apply)?;
            dropped += torn;
            grown += path.metadata().map_err(fail("read", path))?.len();
        }
        let number = found.journals.last().map_or(found.next, |(number, _)| *number);
        let path = files::journal_path(dir, number);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail("open", &path))?;
        let position = file.metadata().map_err(fail("read", &path))?.len();
        let journal = Self {
            dir: dir.to_owned(),
            _lock: lock,
            file,
            path,
            number,
            position,
            grown,
            broken: false,
            snapshot_running: false,
        };
        Ok((journal, dropped))
    }

    /// Appends one frame. On an error nothing has been appended.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed half-way; restart the broker"));
        }
        let frame = Frame::new(entries)?;
        let written = frame.write(&mut self.file);
        match written {
            Ok(()) => {
                self.position += frame.bytes;
                self.grown += frame.bytes;
            }
            Err(_) => self.broken = self.file.set_len(self.position).is_err(),
        }
        written
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the journal should be compacted, given the size of the live state.
    pub fn wants_snapshot(&self, live_bytes: u64) -> bool {
        !self.snapshot_running && !self.broken && self.grown > MIN_COMPACTION_BYTES.max(2 * live_bytes)
    }

    /// Begins a new file, so that the state as it is now can replace all files before it.
    pub fn begin_snapshot(&mut self) -> io::Result<Snapshot> {
        let number = self.number + 1;
        let path = files::journal_path(&self.dir, number);
        self.file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        self.path = path;
        self.position = 0;
        self.grown = 0;
        self.snapshot_running = true;
        let snapshot = Snapshot { dir: self.dir.clone(), upto: self.number };
        self.number = number;
        Ok(snapshot)
    }

    pub fn end_snapshot(&mut self) {
        self.snapshot_running = false;
    }

    /// Hands everything to the disk.
    pub fn sync(&self) {
        if let Err(e) = self.file.sync_all() {
            tracing::warn!("cannot sync {}: {e}; check the disk", self.path.display());
        }
    }
}

impl Snapshot {
    /// Writes the snapshot and removes the files that it replaces.
    pub fn write(self, entries: &[Entry]) -> io::Result<()> {
        let temporary = self.dir.join("snapshot.tmp");
        let mut file = File::create(&temporary)?;
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |entry: &&Entry| {
                let fits = bytes < SNAPSHOT_FRAME_BYTES;
                bytes += entry.blob.len();
                fits
            };
            let (frame, after) = rest.split_at(rest.iter().take(SNAPSHOT_FRAME_ENTRIES).take_while(fits).count());
            Frame::new(frame)?.write(&mut file)?;
            rest = after;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, files::snapshot_path(&self.dir, self.upto))?;
        File::open(&self.dir)?.sync_all()?;
        files::remove_replaced(&self.dir, self.upto)
    }
}

/// The parts of a frame, written together without joining them first.
struct Frame {
    header: [u8; FRAME_HEADER_BYTES],
    parts: Vec<Bytes>,
    bytes: u64,
}

impl Frame {
    fn new(entries: &[Entry]) -> io::Result<Self> {
        let mut parts = Vec::with_capacity(2 * entries.len());
        for entry in entries {
            let change = serde_json::to_vec(&entry.change)?;
            let mut head = BytesMut::with_capacity(ENTRY_HEADER_BYTES + change.len());
            head.put_u32(length(change.len())?);
            head.put_u32(length(entry.blob.len())?);
            head.put_slice(&change);
            parts.push(head.freeze());
            if !entry.blob.is_empty() {
                parts.push(entry.blob.clone());
            }
        }
        let size = parts.iter().map(Bytes::len).sum();
        let crc = parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        let mut header = [0; FRAME_HEADER_BYTES];
        header[..4].copy_from_slice(&length(size)?.to_be_bytes());
        header[4..].copy_from_slice(&crc.to_be_bytes());
        Ok(Self { header, parts, bytes: (size + FRAME_HEADER_BYTES) as u64 })
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        let mut slices: Vec<_> =
            std::iter::once(IoSlice::new(&self.header)).chain(self.parts.iter().map(|part| IoSlice::new(part))).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::other("a journal frame may not exceed 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Entry {
        Change::TopicDeleted { name: name.into() }.into()
    }

    fn names(dir: &Path) -> Result<(Vec<String>, u64), DevBrokerError> {
        let mut names = Vec::new();
        let (_, dropped) = Journal::open(dir, |entry| match entry.change {
            Change::TopicDeleted { name } => names.push(format!("{name}{}", entry.blob.len())),
            other => panic!("{other:?}"),
        })?;
        Ok((names, dropped))
    }

    fn open(dir: &Path) -> Journal {
        Journal::open(dir, |_| ()).unwrap().0
    }

    #[test]
    fn what_was_appended_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        let blob = Entry { blob: Bytes::from_static(b"blob"), ..topic("b") };
        journal.append(&[topic("a"), blob]).unwrap();
        journal.append(&[topic("c")]).unwrap();
        drop(journal);
        assert_eq!(names(dir.path()).unwrap(), (vec!["a0".into(), "b4".into(), "c0".into()], 0));
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_tore() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        journal.append(&[topic("a")]).unwrap();
        let whole = journal.position;
        journal.append(&[topic("b"), topic("c")]).unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        for cut in whole + 1..bytes.len() as u64 {
            std::fs::write(&path, &bytes[..cut as usize]).unwrap();
            assert_eq!(names(dir.path()).unwrap(), (vec!["a0".into()], cut - whole));
            assert_eq!(path.metadata().unwrap().len(), whole);
        }
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(names(dir.path()).unwrap().0, ["a0"]);
    }

    #[test]
    fn damage_before_the_tail_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        journal.append(&[topic("a")]).unwrap();
        journal.append(&[topic("b")]).unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(names(dir.path()), Err(DevBrokerError::Damaged { position: 0, .. })));
    }

    #[test]
    fn a_snapshot_replaces_older_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        for _ in 0..10 {
            journal.append(&[topic("old")]).unwrap();
        }
        let snapshot = journal.begin_snapshot().unwrap();
        journal.append(&[topic("new")]).unwrap();
        snapshot.write(&[topic("live")]).unwrap();
        drop(journal);
        assert_eq!(names(dir.path()).unwrap().0, ["live0", "new0"]);
        let mut journal = open(dir.path());
        journal.begin_snapshot().unwrap().write(&[topic("x")]).unwrap();
        drop(journal);
        assert_eq!(names(dir.path()).unwrap().0, ["x0"]);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 3, "snapshot, journal and lock");
    }

    #[test]
    fn an_unfinished_snapshot_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        journal.append(&[topic("a")]).unwrap();
        journal.begin_snapshot().unwrap();
        journal.append(&[topic("b")]).unwrap();
        std::fs::write(dir.path().join("snapshot.tmp"), b"half").unwrap();
        drop(journal);
        assert_eq!(names(dir.path()).unwrap().0, ["a0", "b0"]);
    }

    #[test]
    fn a_second_broker_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let _journal = open(dir.path());
        assert!(matches!(names(dir.path()), Err(DevBrokerError::Locked { .. })));
    }
}
