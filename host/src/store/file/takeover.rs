//! Goes on from the offsets file of Kafka Connect's standalone worker.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use tracing::info;

use super::OFFSETS_LOG;
use super::database::{Database, file_opener, sync_folder_of};
use super::java;

/// The largest offsets file that is taken over, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// If `path` is such a file, puts a store with its offsets in its place. Whenever this breaks off, either file is whole: the
/// new one replaces the old one in one step, of which a copy is kept.
pub(super) fn take_over(path: &Path) -> Result<(), String> {
    if !is_of_java(path)? {
        return Ok(());
    }
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it is an offsets file of Kafka Connect that is larger than {MAX_FILE_BYTES} bytes"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let entries = java::read_offsets(&bytes)
        .map_err(|reason| format!("it is not an offsets file of Kafka Connect's standalone worker: {reason}"))?;
    let count = entries.len();
    let (kept, new) = (beside(path, ".kafka-connect"), beside(path, ".new"));
    let replace = || {
        remove(&new)?;
        remove(&kept)?;
        let mut database = Database::open(file_opener(&new)).map_err(std::io::Error::other)?;
        database.import(OFFSETS_LOG, entries).map_err(std::io::Error::other)?;
        drop(database);
        fs::hard_link(path, &kept).or_else(|_| fs::copy(path, &kept).map(|_| ()))?;
        fs::rename(&new, path)?;
        sync_folder_of(path)
    };
    replace().map_err(|error| format!("cannot take over the offsets of Kafka Connect: {error}"))?;
    info!("took over {count} offsets of Kafka Connect from {}; its own file is kept as {}", path.display(), kept.display());
    Ok(())
}

fn is_of_java(path: &Path) -> Result<bool, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    let mut start = Vec::new();
    file.take(java::MAGIC.len() as u64).read_to_end(&mut start).map_err(|error| error.to_string())?;
    Ok(start == java::MAGIC)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes what an earlier try has left.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
