//! Compiled plugins that the workers of all tests share, so that each plugin is compiled once and not by each worker.
//!
//! The folder of compiled components is a worker's own, and stays so: what is shared are hard links, made before the worker
//! starts and taken after it has ended. The files have the digests of the upload and of the engine in their names and their
//! checksum inside, and a worker never writes into one that is there.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::files::profile_dir;

/// End of the names of compiled components; what is being written is called otherwise.
const SUFFIX: &str = ".cwasm";

fn pool() -> PathBuf {
    profile_dir().join("e2e-compiled")
}

/// Gives a new worker's folder what others compiled.
pub(crate) fn lend(folder: &Path) {
    link_all(&pool(), folder);
}

/// Keeps what an ended worker compiled.
pub(crate) fn keep(folder: &Path) {
    link_all(folder, &pool());
}

/// What cannot be linked is compiled again.
fn link_all(from: &Path, to: &Path) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(to);
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(SUFFIX) {
            let _ = fs::hard_link(entry.path(), to.join(name));
        }
    }
}
