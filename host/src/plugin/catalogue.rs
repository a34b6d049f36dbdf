use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::{StreamExt, stream};
use semver::Version;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::sandbox::{CallError, Component, Digest, LoadError, Manifest, Sandbox};

use super::index::Index;
use super::storage::{Broken, Entry, Storage};
use super::{ResolveError, ResolvedClass, check};

/// Uploads that are loaded at a time when the worker starts.
const LOADERS: usize = 4;

/// How much a catalogue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueLimits {
    /// Uploads, all versions counted.
    pub plugins: usize,
    /// Bytes of all uploads together.
    pub bytes: u64,
}

impl Default for CatalogueLimits {
    /// 500 uploads, 8 GiB.
    fn default() -> Self {
        CatalogueLimits { plugins: 500, bytes: 8 << 30 }
    }
}

/// An upload that is loaded and has described itself.
pub struct Plugin {
    /// What it says about itself; checked.
    pub manifest: Manifest,
    /// Its version, as in the manifest.
    pub version: Version,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its bytes' number.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded_at: SystemTime,
    /// What calls go to.
    pub component: Arc<Component>,
}

/// What became of an upload.
#[derive(Clone)]
pub struct Uploaded {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// Whether it is new; `false`: the same bytes were there already.
    pub created: bool,
}

/// A name of a class in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedName {
    /// The connector.
    pub connector: String,
    /// The name, as it stands there.
    pub name: String,
    /// The range of versions beside it.
    pub range: Option<String>,
}

/// The catalogue's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; the worker keeps uploaded plugins there, so the folder must be writable")]
pub struct PluginError {
    path: String,
    source: io::Error,
}

/// Why an upload was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The component does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The component does not describe itself.
    #[error("the component does not describe itself: {0}")]
    Describe(#[from] CallError),
    /// What it says about itself breaks the rules.
    #[error("the component's description of itself is not valid: {0}")]
    Manifest(String),
    /// Name and version are taken by other bytes.
    #[error(
        "{name} {version} is there already with other bytes ({digest}); give the new build another version, or delete the old one first"
    )]
    Conflict {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
        /// Digest of what is there.
        digest: Digest,
    },
    /// A name of its classes belongs to another plugin.
    #[error(
        "the class name {class} belongs to the plugin {owner}; a plugin cannot take the place of another: give the class another name, or delete {owner} first"
    )]
    Taken {
        /// The class or alias.
        class: String,
        /// The plugin that has it.
        owner: String,
    },
    /// A connector's configuration would mean something else.
    #[error(
        "with it, {name} in the configuration of {connector} would no longer mean the class {class}; write that full name there first"
    )]
    Shadows {
        /// What stands in the configuration.
        name: String,
        /// The connector.
        connector: String,
        /// What it means.
        class: String,
    },
    /// The catalogue is full.
    #[error("this worker keeps {} plugins and {} bytes at most; delete versions that are no longer needed", .0.plugins, .0.bytes)]
    Full(CatalogueLimits),
    /// The upload cannot be kept.
    #[error("the upload cannot be stored: {0}")]
    Storage(String),
}

/// Why a plugin was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is none of this name and version.
    #[error("there is no plugin {name} {version}")]
    NotFound {
        /// The name.
        name: String,
        /// The version.
        version: String,
    },
    /// Connectors use it.
    #[error("{name} {version} is used by {}; delete or change these connectors first", .by.join(", "))]
    InUse {
        /// The name.
        name: String,
        /// The version.
        version: String,
        /// The connectors.
        by: Vec<String>,
    },
    /// Its files cannot be removed.
    #[error("the plugin's files cannot be removed: {0}")]
    Storage(String),
}

/// All uploads of a worker.
pub struct Catalogue {
    sandbox: Arc<Sandbox>,
    storage: Arc<Storage>,
    limits: CatalogueLimits,
    index: ArcSwap<Index>,
    /// Held by who changes the index, from the look at it to its replacement.
    writer: Arc<Mutex<()>>,
}

impl Catalogue {
    /// Opens the folder and loads what was uploaded before. What does not load is logged and left out; the worker starts.
    ///
    /// # Errors
    /// [`PluginError`] when the folder itself cannot be used.
    pub async fn open(sandbox: Arc<Sandbox>, dir: PathBuf, limits: CatalogueLimits) -> Result<Catalogue, PluginError> {
        let path = dir.display().to_string();
        let opened = spawn_blocking(move || Storage::open(&dir)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (storage, entries) = opened.map_err(|source| PluginError { path, source })?;
        let storage = Arc::new(storage);
        let loaded: Vec<_> = stream::iter(entries).map(|entry| load(&sandbox, &storage, entry)).buffered(LOADERS).collect().await;
        let loaded = loaded.into_iter().filter_map(|loaded| loaded.inspect_err(report).ok()).collect();
        let index = ArcSwap::from_pointee(Index::new(loaded));
        Ok(Catalogue { sandbox, storage, limits, index, writer: Arc::default() })
    }

    /// Takes an upload: compiles it, lets it describe itself, and keeps it. When this answers, the plugin can be used, and
    /// will be there after a restart. `used` answers the names of classes in configurations: what they mean does not change, but
    /// for a new version of the plugin that they mean.
    ///
    /// # Errors
    /// [`UploadError`] says why it was not taken; nothing of it is kept then.
    pub async fn upload(&self, wasm: Bytes, used: impl FnOnce() -> Vec<UsedName>) -> Result<Uploaded, UploadError> {
        let component = match self.sandbox.load(wasm.clone()).await {
            Ok(component) => component,
            Err(error) => return Err(error.into()),
        };
        let digest = component.digest().clone();
        if let Some(plugin) = self.find(&digest) {
            return Ok(Uploaded { plugin, created: false });
        }
        let taken = self.take(component, wasm, used).await;
        if taken.is_err() && self.find(&digest).is_none() {
            self.sandbox.forget(&digest);
        }
        taken
    }

    async fn take(
        &self,
        component: Arc<Component>,
        wasm: Bytes,
        used: impl FnOnce() -> Vec<UsedName>,
    ) -> Result<Uploaded, UploadError> {
        let manifest = component.describe().await?;
        check::manifest(&manifest, component.exports()).map_err(UploadError::Manifest)?;
        let uploaded_at_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let entry = Entry { digest: component.digest().clone(), size: wasm.len() as u64, uploaded_at_ms, manifest };
        let plugin = Arc::new(plugin(entry.clone(), component).map_err(UploadError::Manifest)?);

        let writer = self.writer.clone().lock_owned().await;
        let index = self.index.load_full();
        if let Some(same) = index.plugins.iter().find(|other| other.digest == plugin.digest) {
            return Ok(Uploaded { plugin: same.clone(), created: false });
        }
        let (name, version) = (&plugin.manifest.name, &plugin.manifest.version);
        let taken = |other: &&Arc<Plugin>| other.manifest.name == *name && other.manifest.version == *version;
        if let Some(other) = index.plugins.iter().find(taken) {
            return Err(UploadError::Conflict { name: name.clone(), version: version.clone(), digest: other.digest.clone() });
        }
        let bytes: u64 = index.plugins.iter().map(|other| other.size).sum();
        if index.plugins.len() >= self.limits.plugins || bytes + plugin.size > self.limits.bytes {
            return Err(UploadError::Full(self.limits));
        }
        if let Some((class, owner)) = index.owner_of_a_name(&plugin) {
            return Err(UploadError::Taken { class, owner: owner.manifest.name.clone() });
        }
        let grown = Index::new(index.plugins.iter().chain([&plugin]).cloned().collect());
        if let Some((UsedName { connector, name, .. }, class)) = index.shadowed_by(&grown, used()) {
            return Err(UploadError::Shadows { name, connector, class });
        }
        let storage = self.storage.clone();
        let _writer = change(writer, move || storage.write(&entry, &wasm)).await.map_err(UploadError::Storage)?;
        self.index.store(Arc::new(grown));
        Ok(Uploaded { plugin, created: true })
    }

    /// Plugin instances alive now, and the most there may be.
    pub fn instances(&self) -> (usize, usize) {
        (self.sandbox.instances(), self.sandbox.max_instances())
    }

    /// All uploads, by name, and the highest version of each first.
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        self.index.load().plugins.clone()
    }

    /// All versions of a plugin, the highest first; none if there is no plugin of this name.
    pub fn versions(&self, name: &str) -> Vec<Arc<Plugin>> {
        self.index.load().plugins.iter().filter(|plugin| plugin.manifest.name == name).cloned().collect()
    }

    /// The class that a name means: a full name, an alias that the class declares, a simple name (`com.example.FileSink` is
    /// `FileSink`), or a pruned one (`FileSinkConnector` is `FileSink`). A short name that could mean two classes means none. Of
    /// several versions the highest that `range` allows is meant (see [`super::VersionRange`]).
    ///
    /// # Errors
    /// [`ResolveError`] says what there is instead.
    pub fn resolve(&self, class: &str, range: Option<&str>) -> Result<ResolvedClass, ResolveError> {
        self.index.load().resolve(class, range)
    }

    /// Deletes a version of a plugin. `users` names the connectors that use it; it is asked while nothing else changes the
    /// catalogue.
    ///
    /// # Errors
    /// [`DeleteError`] when it is not there or in use.
    pub async fn delete(&self, name: &str, version: &str, users: impl FnOnce(&Plugin) -> Vec<String>) -> Result<(), DeleteError> {
        let writer = self.writer.clone().lock_owned().await;
        let index = self.index.load_full();
        let wanted = |plugin: &&Arc<Plugin>| plugin.manifest.name == name && plugin.manifest.version == version;
        let (name, version) = (name.to_owned(), version.to_owned());
        let Some(plugin) = index.plugins.iter().find(wanted) else { return Err(DeleteError::NotFound { name, version }) };
        let by = users(plugin);
        if !by.is_empty() {
            return Err(DeleteError::InUse { name, version, by });
        }
        let (storage, digest) = (self.storage.clone(), plugin.digest.clone());
        let _writer = change(writer, move || storage.remove(&digest)).await.map_err(DeleteError::Storage)?;
        self.sandbox.forget(&plugin.digest);
        let rest = index.plugins.iter().filter(|other| other.digest != plugin.digest).cloned().collect();
        self.index.store(Arc::new(Index::new(rest)));
        Ok(())
    }

    fn find(&self, digest: &Digest) -> Option<Arc<Plugin>> {
        self.index.load().plugins.iter().find(|plugin| plugin.digest == *digest).cloned()
    }
}

async fn load(sandbox: &Sandbox, storage: &Arc<Storage>, entry: Result<Entry, Broken>) -> Result<Arc<Plugin>, Broken> {
    let entry = entry?;
    let (reader, digest) = (storage.clone(), entry.digest.clone());
    let path = PathBuf::from(entry.digest.as_str());
    let broken = |reason: String| Broken { path: path.clone(), reason };
    let wasm = spawn_blocking(move || reader.read(&digest)).await.map_err(|error| broken(error.to_string()))??;
    let component = sandbox.load(wasm.into()).await.map_err(|error| broken(error.to_string()))?;
    check::manifest(&entry.manifest, component.exports()).map_err(broken)?;
    plugin(entry, component).map(Arc::new).map_err(broken)
}

fn report(broken: &Broken) {
    let path: &Path = &broken.path;
    tracing::error!(path = %path.display(), reason = %broken.reason, "an uploaded plugin cannot be used; upload it again or delete its files");
}

fn plugin(entry: Entry, component: Arc<Component>) -> Result<Plugin, String> {
    let version = Version::parse(&entry.manifest.version).map_err(|error| error.to_string())?;
    let uploaded_at = UNIX_EPOCH + Duration::from_millis(entry.uploaded_at_ms);
    Ok(Plugin { manifest: entry.manifest, version, digest: entry.digest, size: entry.size, uploaded_at, component })
}

/// Changes files off the runtime's threads. The writer's turn goes along, so that it does not end before the change does, even
/// if whoever waits for it is gone.
async fn change(
    writer: OwnedMutexGuard<()>,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<OwnedMutexGuard<()>, String> {
    let (done, writer) = spawn_blocking(move || (work(), writer)).await.map_err(|error| error.to_string())?;
    done.map(|()| writer).map_err(|error| error.to_string())
}
