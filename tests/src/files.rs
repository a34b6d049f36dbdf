//! Where things are: the checkout, the binaries of this build, the plugins; and names that no other test uses.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

/// The folder of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the checkout").to_path_buf()
}

/// The folder of this build's binaries: `target/debug` or `target/release`.
pub(crate) fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the program's own path");
    let folder = exe.parent().expect("a program is in a folder");
    // A test is in target/PROFILE/deps, a program in target/PROFILE.
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.expect("deps is in target/PROFILE").to_path_buf()
}

/// The program `name` of this build, or the one that the environment variable `variable` names.
#[track_caller]
pub(crate) fn binary(name: &str, variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| profile_dir().join(name), PathBuf::from);
    assert!(path.is_file(), "{} is not built: run 'cargo build --bins', or set {variable}", path.display());
    path
}

/// A name for a topic, group or connector: `prefix` and a suffix that no other test, in this run or an earlier one, has.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    format!("{prefix}-{:x}-{}", now.as_micros(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A plugin that `make plugins` built.
#[derive(Clone)]
pub struct Plugin {
    /// Its name: that of its folder under plugins/.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
}

impl Plugin {
    /// `target/plugins/NAME.wasm`. Fails the test if it is not there.
    #[track_caller]
    pub fn built(name: &str) -> Self {
        let path = Self::path(name);
        match std::fs::read(&path) {
            Ok(bytes) => Self { name: name.to_owned(), bytes },
            Err(e) => panic!("{}: {e}. Run 'make plugins'.", path.display()),
        }
    }

    /// Like [`Plugin::built`] for a plugin whose toolchain is not on every machine: `None` if it was not built.
    pub fn if_built(name: &str) -> Option<Self> {
        Self::path(name).is_file().then(|| Self::built(name))
    }

    fn path(name: &str) -> PathBuf {
        let target = profile_dir().parent().expect("the profile's folder is in target/").to_path_buf();
        target.join("plugins").join(format!("{name}.wasm"))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}
