//! Uploaded plugins.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::Herder;
use super::error::HerderError;
use super::installed::kind;
use super::model::{PluginClass, PluginRequirement, PluginVersion, PluginVersions};
use super::plan::{get, uploads_of};
use crate::plugin::{DeleteError, Plugin, UploadError, UsedName};
use crate::sandbox::LoadError;

impl Herder {
    /// Waits for a turn to upload; held while the upload is read and compiled, so that memory stays bounded.
    ///
    /// # Errors
    /// The worker is stopping.
    pub async fn upload_turn(&self) -> Result<SemaphorePermit<'_>, HerderError> {
        self.uploads.acquire().await.map_err(|_| HerderError::Internal("Worker is shutting down".to_owned()))
    }

    /// Most bytes of a component.
    pub fn max_component_bytes(&self) -> usize {
        self.context.settings.max_component_bytes
    }

    /// Takes a component; true: it is new. When this answers, it can be used.
    ///
    /// # Errors
    /// It is no plugin that this worker runs (422), too large (413), or its name and version are taken (409).
    pub async fn upload_plugin(&self, component: Bytes) -> Result<(bool, PluginVersion), HerderError> {
        let uploaded = self.catalogue.upload(component, || self.used_names()).await.map_err(|error| {
            let message = error.to_string();
            match error {
                UploadError::Load(LoadError::TooLarge { .. }) => HerderError::TooLarge(message),
                UploadError::Load(LoadError::Internal(_)) | UploadError::Storage(_) => HerderError::Internal(message),
                UploadError::Load(_) | UploadError::Describe(_) | UploadError::Manifest(_) => HerderError::Unprocessable(message),
                UploadError::Conflict { .. } | UploadError::Taken { .. } | UploadError::Shadows { .. } | UploadError::Full(_) => {
                    HerderError::Conflict(message)
                }
            }
        })?;
        Ok((uploaded.created, version_of(&uploaded.plugin, &self.users())))
    }

    /// All uploads.
    pub fn plugins(&self) -> Vec<PluginVersion> {
        let users = self.users();
        self.catalogue.list().iter().map(|plugin| version_of(plugin, &users)).collect()
    }

    /// All versions of a plugin.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn plugin(&self, name: &str) -> Result<PluginVersions, HerderError> {
        let users = self.users();
        let versions: Vec<_> = self.catalogue.versions(name).iter().map(|plugin| version_of(plugin, &users)).collect();
        match versions.is_empty() {
            true => Err(HerderError::NotFound(format!("Plugin {name} not found"))),
            false => Ok(PluginVersions { name: name.to_owned(), versions }),
        }
    }

    /// Deletes a version of a plugin.
    ///
    /// # Errors
    /// There is none (404), or connectors use it (409).
    pub async fn delete_plugin(&self, name: &str, version: &str) -> Result<(), HerderError> {
        let deleted = self.catalogue.delete(name, version, |plugin| self.users().of(plugin)).await;
        deleted.map_err(|error| {
            let message = error.to_string();
            match error {
                DeleteError::NotFound { .. } => HerderError::NotFound(format!("Plugin {name} {version} not found")),
                DeleteError::InUse { .. } => HerderError::Conflict(message),
                DeleteError::Storage(_) => HerderError::Internal(message),
            }
        })
    }

    /// The names of classes in all configurations.
    fn used_names(&self) -> Vec<UsedName> {
        let snapshot = self.context.configs.snapshot();
        let names = snapshot.connectors.iter().flat_map(|(connector, known)| {
            known.config.iter().filter_map(|(key, name)| {
                let range_key = match key.strip_suffix("type") {
                    Some(prefix) if key.starts_with("transforms.") || key.starts_with("predicates.") => {
                        format!("{prefix}plugin.version")
                    }
                    _ if key == "connector.class" => "connector.plugin.version".to_owned(),
                    _ => return None,
                };
                let range = known.config.get(&range_key).map(str::to_owned);
                Some(UsedName { connector: connector.to_string(), name: name?.to_owned(), range })
            })
        });
        names.collect()
    }

    /// The connectors that run on an upload, or would if they were started now.
    fn users(&self) -> Users {
        let mut users = Users::default();
        let snapshot = self.context.configs.snapshot();
        // The tasks of a deleted connector hold what they run on until they have stopped.
        for entry in self.context.running.iter().filter(|entry| snapshot.connector(entry.key()).is_some()) {
            users.add(entry.key(), &entry.value().uses);
        }
        for (connector, known) in &snapshot.connectors {
            let config: Vec<_> =
                known.config.iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
            let class = get(&config, "connector.class")
                .and_then(|class| self.context.classes.find(class, get(&config, "connector.plugin.version")).ok());
            if let Some(class) = class {
                users.add(connector, &uploads_of(&class, &config, &*self.context.classes));
            }
        }
        users
    }
}

/// Connectors by the name and version of an upload.
#[derive(Default)]
struct Users(HashMap<(Arc<str>, String), BTreeSet<Arc<str>>>);

impl Users {
    fn add(&mut self, connector: &Arc<str>, uses: &[(Arc<str>, String)]) {
        for used in uses {
            self.0.entry(used.clone()).or_default().insert(Arc::clone(connector));
        }
    }

    fn of(&self, plugin: &Plugin) -> Vec<String> {
        let key = (plugin.manifest.name.as_str().into(), plugin.manifest.version.clone());
        self.0.get(&key).into_iter().flatten().map(ToString::to_string).collect()
    }
}

fn version_of(plugin: &Plugin, users: &Users) -> PluginVersion {
    let classes = plugin.manifest.classes.iter().map(|class| PluginClass {
        class: class.name.clone(),
        kind: kind(class.kind).name(),
        aliases: class.aliases.clone(),
        summary: class.summary.clone(),
    });
    let requires = plugin.component.requires().iter().map(|required| PluginRequirement {
        capability: required.capability.name(),
        key: required.key,
        certain: required.certain,
    });
    PluginVersion {
        name: plugin.manifest.name.clone(),
        version: plugin.manifest.version.clone(),
        summary: plugin.manifest.summary.clone(),
        digest: plugin.digest.to_string(),
        size: plugin.size,
        classes: classes.collect(),
        imports: plugin.component.imports().to_vec(),
        requires: requires.collect(),
        used_by: users.of(plugin),
    }
}
