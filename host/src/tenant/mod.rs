//! What this worker lets a connector have: the ceiling above whatever a configuration asks for.

use std::path::{Component, Path, PathBuf};

use crate::sandbox::{FileGrant, GrantError, Grants, HostPattern};

/// What connectors may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Folders; `None`: any.
    files: Option<Vec<FileGrant>>,
    /// Hosts.
    http: Vec<HostPattern>,
}

/// Something was asked for that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A folder.
    #[error("sandbox.files: this worker does not grant {0}; ask its operator to add it to hawser.sandbox.files")]
    File(String),
    /// A host.
    #[error("sandbox.http: this worker does not grant {0}; ask its operator to add it to hawser.sandbox.http")]
    Http(String),
}

impl Denied {
    /// The configuration key that asked.
    pub fn key(&self) -> &'static str {
        match self {
            Denied::File(_) => "sandbox.files",
            Denied::Http(_) => "sandbox.http",
        }
    }
}

impl Policy {
    /// The policy of a worker: `hawser.sandbox.files` and `hawser.sandbox.http` are the most that a connector may ask for; `*`
    /// is everything.
    ///
    /// # Errors
    /// An entry is no folder or host.
    pub fn new(files: &[String], hosts: &[String]) -> Result<Policy, GrantError> {
        let allows_all = files.iter().any(|file| file == "*");
        let files = if allows_all { String::new() } else { files.join(",") };
        let parsed = Grants::parse(&[("sandbox.files".to_owned(), files), ("sandbox.http".to_owned(), hosts.join(","))])?;
        Ok(Policy { files: (!allows_all).then_some(parsed.files), http: parsed.http })
    }

    /// The grants, if all of them are allowed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn grant(&self, asked: Grants) -> Result<Grants, Denied> {
        if let Some(roots) = &self.files
            && let Some(file) = asked.files.iter().find(|file| !roots.iter().any(|root| covers(root, file)))
        {
            return Err(Denied::File(file.path.display().to_string()));
        }
        match asked.http.iter().find(|host| !self.http.iter().any(|pattern| pattern.covers(host))) {
            Some(host) => Err(Denied::Http(host.to_string())),
            None => Ok(asked),
        }
    }
}

/// Whether a directory lies in another one, for reading only if that is all that is allowed.
fn covers(root: &FileGrant, asked: &FileGrant) -> bool {
    let (Some(outer), Some(inner)) = (real(&root.path), real(&asked.path)) else { return false };
    inner.starts_with(outer) && (asked.read_only || !root.read_only)
}

/// The path without symbolic links. A path that does not exist yet is taken as it is, unless it climbs.
fn real(path: &Path) -> Option<PathBuf> {
    let climbs = path.components().any(|part| part == Component::ParentDir);
    path.canonicalize().ok().or_else(|| (!climbs).then(|| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(files: &str, http: &str) -> Grants {
        Grants::parse(&[("sandbox.files".into(), files.into()), ("sandbox.http".into(), http.into())]).unwrap()
    }

    fn policy(files: &[&str], hosts: &[&str]) -> Policy {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        Policy::new(&owned(files), &owned(hosts)).unwrap()
    }

    #[test]
    fn a_connector_gets_what_lies_within_the_policy() {
        fn check(asked: Grants, denied: Option<&str>) {
            let policy = policy(&["/srv/data:ro", "/srv/out"], &["*.example.com", "10.0.0.1:80"]);
            assert_eq!(policy.grant(asked.clone()).err().map(|denied| denied.key()), denied, "{asked:?}");
            assert_eq!(self::policy(&["*"], &["*"]).grant(asked.clone()), Ok(asked));
        }
        check(grants("", ""), None);
        check(grants("/srv/data/in:ro,/srv/out", "a.example.com:443"), None);
        check(grants("/srv/data", ""), Some("sandbox.files"));
        check(grants("/srv/database:ro", ""), Some("sandbox.files"));
        check(grants("/srv/out/../../etc", ""), Some("sandbox.files"));
        check(grants("", "example.com"), Some("sandbox.http"));
        check(grants("", "*"), Some("sandbox.http"));
        check(grants("", "10.0.0.1"), Some("sandbox.http"));
        check(grants("/etc:ro", ""), Some("sandbox.files"));
    }

    #[test]
    fn a_link_does_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let policy = policy(&[root.to_str().unwrap()], &[]);
        let asked = grants(root.join("link").to_str().unwrap(), "");
        assert!(policy.grant(asked).is_err());
    }
}
