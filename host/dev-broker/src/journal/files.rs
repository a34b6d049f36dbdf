//! Finding, reading and removing the files of the journal.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{ENTRY_HEADER_BYTES, Entry, FRAME_HEADER_BYTES};
use crate::DevBrokerError;

/// The files that make up the state.
pub(super) struct Found {
    /// The newest complete snapshot.
    pub snapshot: Option<PathBuf>,
    /// The journals after it, in order.
    pub journals: Vec<(u64, PathBuf)>,
    /// Number for the first journal if there is none.
    pub next: u64,
}

pub(super) fn journal_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number}.log"))
}

pub(super) fn snapshot_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("snapshot-{number}.log"))
}

fn numbered(dir: &Path, prefix: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let name = file?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix(prefix)?.strip_suffix(".log")?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn scan(dir: &Path) -> Result<Found, DevBrokerError> {
    let fail = |source| DevBrokerError::Io { action: "list", path: dir.to_owned(), source };
    let snapshot = numbered(dir, "snapshot-").map_err(fail)?.last().copied();
    let journals = numbered(dir, "journal-").map_err(fail)?;
    let live = journals.into_iter().filter(|number| Some(*number) > snapshot);
    Ok(Found {
        snapshot: snapshot.map(|number| snapshot_path(dir, number)),
        journals: live.map(|number| (number, journal_path(dir, number))).collect(),
        next: snapshot.map_or(1, |number| number + 1),
    })
}

/// Removes what the snapshot `upto` has replaced.
pub(super) fn remove_replaced(dir: &Path, upto: u64) -> io::Result<()> {
    for number in numbered(dir, "journal-")?.into_iter().filter(|n| *n <= upto) {
        std::fs::remove_file(journal_path(dir, number))?;
    }
    for number in numbered(dir, "snapshot-")?.into_iter().filter(|n| *n < upto) {
        std::fs::remove_file(snapshot_path(dir, number))?;
    }
    Ok(())
}

/// Hands every entry of a file to `apply`. The last frame of the newest file (`may_be_torn`) is cut off if it is incomplete;
/// returns the bytes cut off.
pub(super) fn replay(path: &Path, may_be_torn: bool, apply: &mut impl FnMut(Entry)) -> Result<u64, DevBrokerError> {
    let fail = |action| move |source| DevBrokerError::Io { action, path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail("open"))?;
    let size = file.metadata().map_err(fail("read"))?.len();
    let mut reader = BufReader::with_capacity(1024 * 1024, &file);
    let mut position = 0;
    while position < size {
        let frame = read_frame(&mut reader, size - position).map_err(fail("read"))?;
        let reason = match frame {
            Frame::Good(entries, bytes) => {
                entries.into_iter().for_each(&mut *apply);
                position += bytes;
                continue;
            }
            Frame::Bad { reason, end } if !may_be_torn || end < size - position => reason,
            Frame::Bad { .. } => {
                file.set_len(position).map_err(fail("truncate"))?;
                return Ok(size - position);
            }
        };
        return Err(DevBrokerError::Damaged { path: path.to_owned(), position, reason });
    }
    Ok(0)
}

enum Frame {
    Good(Vec<Entry>, u64),
    /// `end` is where the frame claims to end, counted from its start.
    Bad {
        reason: String,
        end: u64,
    },
}

fn read_frame(reader: &mut BufReader<&File>, available: u64) -> io::Result<Frame> {
    let bad = |reason: &str, end| Ok(Frame::Bad { reason: reason.to_owned(), end });
    if available < FRAME_HEADER_BYTES as u64 {
        return bad("half a frame header", available);
    }
    let (mut length, mut crc) = ([0; 4], [0; 4]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut crc)?;
    let length = u32::from_be_bytes(length);
    let end = u64::from(length) + FRAME_HEADER_BYTES as u64;
    if end > available {
        return bad("the frame is longer than the file", end);
    }
    let mut body = vec![0; length as usize];
    reader.read_exact(&mut body)?;
    let matches = crc32c::crc32c(&body) == u32::from_be_bytes(crc);
    match entries(&body).filter(|_| matches) {
        Some(entries) => Ok(Frame::Good(entries, end)),
        None => bad("the checksum does not match", end),
    }
}

fn entries(mut body: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        let (header, rest) = body.split_first_chunk::<ENTRY_HEADER_BYTES>()?;
        let [a, b, c, d, e, f, g, h] = *header;
        let (change, rest) = rest.split_at_checked(u32::from_be_bytes([a, b, c, d]) as usize)?;
        let (blob, rest) = rest.split_at_checked(u32::from_be_bytes([e, f, g, h]) as usize)?;
        let change = serde_json::from_slice(change).ok()?;
        // A copy of its own: a batch must not keep its whole frame in memory.
        entries.push(Entry { change, blob: Bytes::copy_from_slice(blob) });
        body = rest;
    }
    Some(entries)
}
