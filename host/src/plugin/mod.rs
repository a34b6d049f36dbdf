//! The catalogue: which plugins have been uploaded, which classes they hold, and which class a name means.
//!
//! An upload is one component, kept under its digest. Its manifest gives it a name, a version and its classes. The catalogue
//! outlives the worker; what is uploaded while everything runs can be used at once.

mod catalogue;
mod check;
mod index;
mod storage;
mod version;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, CatalogueLimits, DeleteError, Plugin, PluginError, UploadError, Uploaded, UsedName};
pub use index::{ResolveError, ResolvedClass};
pub use version::{InvalidRange, VersionRange};
