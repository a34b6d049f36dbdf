//! Compiled components on disk, by digest of the upload and by compatibility of the engine.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::{Digest, SandboxError};

/// First bytes of a cache file: what it is, and the version of its layout.
const MAGIC: &[u8; 8] = b"hawser\x00\x01";
const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + CHECKSUM_BYTES;

/// The folder of compiled components. A file is the magic bytes, the SHA-256 of the artifact, and the artifact.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    /// End of the names of files that this engine can load.
    suffix: String,
}

/// Machine code that can be trusted: from the compiler just now, or from the cache with its checksum found right.
pub(super) struct CheckedArtifact {
    bytes: Vec<u8>,
    start: usize,
}

impl CheckedArtifact {
    /// What the compiler just made.
    pub(super) fn fresh(bytes: Vec<u8>) -> CheckedArtifact {
        CheckedArtifact { bytes, start: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl Cache {
    /// Opens the folder, makes it if it is missing, and removes what an engine of another version or configuration left there.
    pub(super) fn open(dir: &Path, engine: &Engine) -> Result<Cache, SandboxError> {
        let failed = |reason: String| SandboxError::Cache { path: dir.display().to_string(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| failed(error.to_string()))?;
        let meta = fs::metadata(dir).map_err(|error| failed(error.to_string()))?;
        if meta.mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(|error| failed(error.to_string()))?;
        }
        let cache = Cache { dir: dir.to_owned(), suffix: format!(".{:016x}.cwasm", compatibility(engine)) };
        cache.sweep().map_err(|error| failed(error.to_string()))?;
        Ok(cache)
    }

    /// The artifact of an upload, if there is one and it is whole.
    pub(super) fn read(&self, digest: &Digest) -> Option<CheckedArtifact> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled plugin cannot be read; it is compiled again");
                return None;
            }
        };
        if !is_whole(&bytes) {
            tracing::warn!(path = %path.display(), "a compiled plugin is damaged; it is compiled again");
            return None;
        }
        Some(CheckedArtifact { bytes, start: HEADER_BYTES })
    }

    /// Keeps an artifact: whole or not at all, whatever happens meanwhile.
    pub(super) fn write(&self, digest: &Digest, artifact: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(artifact))?;
        file.write_all(artifact)?;
        file.as_file().sync_all()?;
        file.persist(self.path(digest))?;
        File::open(&self.dir)?.sync_all()
    }

    /// Forgets an upload's artifact.
    pub(super) fn remove(&self, digest: &Digest) {
        let path = self.path(digest);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin that is no longer needed cannot be removed");
        }
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.ends_with(".cwasm") || name.ends_with(".tmp");
            if ours && !name.ends_with(&self.suffix) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}{}", digest.hex(), self.suffix))
    }
}

/// Artifacts of engines with different numbers cannot be exchanged. Another number costs a compilation, nothing else.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((header, artifact)) = bytes.split_at_checked(HEADER_BYTES) else { return false };
    let (magic, checksum) = header.split_at(MAGIC.len());
    magic == MAGIC && checksum == Sha256::digest(artifact).as_slice()
}
