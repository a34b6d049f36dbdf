//! Uploads on disk: `<digest>.wasm`, and beside it `<digest>.json` with what the catalogue knows. The JSON is written last and
//! removed first, so that an upload is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sandbox::{Digest, Manifest};

/// What the catalogue keeps of an upload besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Milliseconds since the epoch.
    pub(super) uploaded_at_ms: u64,
    pub(super) manifest: Manifest,
}

pub(super) struct Storage {
    dir: PathBuf,
}

/// A file that is there but cannot be used.
pub(super) struct Broken {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

impl Storage {
    /// Opens the folder, makes it if it is missing, and removes what an interrupted upload left there.
    pub(super) fn open(dir: &Path) -> io::Result<(Storage, Vec<Result<Entry, Broken>>)> {
        fs::create_dir_all(dir)?;
        let mut entries = Vec::new();
        let mut names: Vec<PathBuf> =
            fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        names.sort();
        for path in &names {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => entries.push(read_entry(path)),
                Some("wasm") if names.binary_search(&path.with_extension("json")).is_err() => fs::remove_file(path)?,
                Some("tmp") => fs::remove_file(path)?,
                _ => {}
            }
        }
        Ok((Storage { dir: dir.to_owned() }, entries))
    }

    pub(super) fn write(&self, entry: &Entry, wasm: &[u8]) -> io::Result<()> {
        self.write_file(&self.path(&entry.digest, "wasm"), wasm)?;
        self.write_file(&self.path(&entry.digest, "json"), &serde_json::to_vec_pretty(entry)?)
    }

    /// The bytes of an upload, if they are still those that were uploaded.
    pub(super) fn read(&self, digest: &Digest) -> Result<Vec<u8>, Broken> {
        let path = self.path(digest, "wasm");
        match fs::read(&path) {
            Ok(wasm) if Digest::of(&wasm) == *digest => Ok(wasm),
            Ok(_) => Err(Broken { path, reason: "the bytes are not those that were uploaded".to_owned() }),
            Err(error) => Err(Broken { path, reason: error.to_string() }),
        }
    }

    pub(super) fn remove(&self, digest: &Digest) -> io::Result<()> {
        for extension in ["json", "wasm"] {
            match fs::remove_file(self.path(digest, extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.sync_dir()?,
            }
        }
        Ok(())
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.dir.join(digest.hex()).with_extension(extension)
    }
}

fn read_entry(path: &Path) -> Result<Entry, Broken> {
    let broken = |reason: String| Broken { path: path.to_owned(), reason };
    let text = fs::read(path).map_err(|error| broken(error.to_string()))?;
    let entry: Entry = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    let named = path.file_stem().and_then(|stem| stem.to_str()) == Some(entry.digest.hex());
    if named { Ok(entry) } else { Err(broken("its name is not the digest that it holds".to_owned())) }
}
