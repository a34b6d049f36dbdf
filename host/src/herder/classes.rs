//! The classes that a configuration can name.

use std::sync::Arc;

use super::config_def::ConfigKey;

/// What a class is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum ClassKind {
    Sink,
    Source,
    Transformation,
    Predicate,
    Converter,
    HeaderConverter,
}

impl ClassKind {
    /// As `GET /connector-plugins` calls it.
    pub fn name(self) -> &'static str {
        match self {
            ClassKind::Sink => "sink",
            ClassKind::Source => "source",
            ClassKind::Transformation => "transformation",
            ClassKind::Predicate => "predicate",
            ClassKind::Converter => "converter",
            ClassKind::HeaderConverter => "header_converter",
        }
    }
}

/// A class that was found.
#[derive(Clone)]
pub struct FoundClass {
    /// Its full name.
    pub name: String,
    /// What it is good for.
    pub kind: ClassKind,
    /// Version of the upload that holds it; the worker's own for what is built in.
    pub version: String,
    /// Name of the upload that holds it; `None`: it is built into the worker.
    pub plugin: Option<Arc<str>>,
    /// Its own keys.
    pub keys: Vec<ConfigKey>,
}

/// Why a class was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotFound {
    /// For the person who deployed the configuration.
    pub message: String,
    /// Versions of the class that there are; empty if the class is not known at all.
    pub available_versions: Vec<String>,
}

/// Finds classes by name, simple name or alias. Answers from memory.
pub trait Classes: Send + Sync {
    /// The newest class of that name within the version range, or the newest of all.
    fn find(&self, name: &str, version: Option<&str>) -> Result<FoundClass, NotFound>;

    /// Every installed class and its version, in the order of `GET /connector-plugins`.
    fn all(&self) -> Vec<(ClassKind, String, String)>;

    /// Names of the classes of a kind, each once.
    fn names(&self, kind: ClassKind) -> Vec<String> {
        let mut names: Vec<String> =
            self.all().into_iter().filter(|(known, ..)| *known == kind).map(|(_, name, _)| name).collect();
        names.dedup();
        names
    }

    /// The class of that name if it is of that kind.
    fn of_kind(&self, kind: ClassKind, name: &str, version: Option<&str>) -> Option<FoundClass> {
        self.find(name, version).ok().filter(|class| class.kind == kind)
    }

    /// Versions of a class, none twice.
    fn versions(&self, name: &str) -> Vec<String> {
        let Ok(class) = self.find(name, None) else { return Vec::new() };
        self.all().into_iter().filter(|(_, known, _)| *known == class.name).map(|(.., version)| version).collect()
    }
}
