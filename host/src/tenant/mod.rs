//! What this worker lets a connector have: the ceiling above whatever a configuration asks for.

use std::path::{Component, Path, PathBuf};

use crate::sandbox::{FileGrant, GRANT_KEYS, GrantError, Grants, Target};

/// What connectors may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Folders; `None`: any.
    files: Option<Vec<FileGrant>>,
    /// Where HTTP requests may go.
    http: Vec<Target>,
    /// Where TCP connections may go.
    tcp: Vec<Target>,
    /// Where datagrams may go.
    udp: Vec<Target>,
    /// Names of environment variables.
    env: Vec<String>,
}

/// The keys of a worker's configuration that make its policy, as lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyLists {
    /// `hawser.sandbox.files`; `*` is every folder.
    pub files: Vec<String>,
    /// `hawser.sandbox.http`.
    pub http: Vec<String>,
    /// `hawser.sandbox.tcp`.
    pub tcp: Vec<String>,
    /// `hawser.sandbox.udp`.
    pub udp: Vec<String>,
    /// `hawser.sandbox.env`.
    pub env: Vec<String>,
}

/// Something was asked for that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: this worker does not grant {asked}; ask its operator to add it to hawser.{key}")]
pub struct Denied {
    key: &'static str,
    asked: String,
}

impl Denied {
    /// The configuration key that asked.
    pub fn key(&self) -> &'static str {
        self.key
    }
}

impl Policy {
    /// The policy of a worker: the most that a connector may ask for.
    ///
    /// # Errors
    /// An entry is none.
    pub fn new(lists: &PolicyLists) -> Result<Policy, GrantError> {
        let allows_all = lists.files.iter().any(|file| file == "*");
        let files = if allows_all { String::new() } else { lists.files.join(",") };
        let keys = GRANT_KEYS.map(str::to_owned);
        let lists = [files, lists.http.join(","), lists.tcp.join(","), lists.udp.join(","), lists.env.join(",")];
        let parsed = Grants::parse(&keys.into_iter().zip(lists).collect::<Vec<_>>())?;
        let Grants { files, http, tcp, udp, env, secrets: _ } = parsed;
        Ok(Policy { files: (!allows_all).then_some(files), http, tcp, udp, env })
    }

    /// The grants, if all of them are allowed. Each entry must lie within one entry of the policy, so that whatever the one
    /// allows when a connection is made, the other allows, too. Secrets go only where requests may go.
    ///
    /// # Errors
    /// The first that is not.
    pub fn grant(&self, asked: Grants) -> Result<Grants, Denied> {
        let denied = |key, asked: &dyn ToString| Err(Denied { key, asked: asked.to_string() });
        if let Some(roots) = &self.files
            && let Some(file) = asked.files.iter().find(|file| !roots.iter().any(|root| covers(root, file)))
        {
            return denied("sandbox.files", &file.path.display());
        }
        let targets = [
            ("sandbox.http", &self.http, &asked.http),
            ("sandbox.tcp", &self.tcp, &asked.tcp),
            ("sandbox.udp", &self.udp, &asked.udp),
        ];
        for (key, allowed, asked) in targets {
            if let Some(target) = asked.iter().find(|target| !allowed.iter().any(|outer| outer.covers(target))) {
                return denied(key, target);
            }
        }
        match asked.env.iter().find(|name| !self.env.contains(name)) {
            Some(name) => denied("sandbox.env", name),
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

    fn grants(pairs: &[(&str, &str)]) -> Grants {
        Grants::parse(&pairs.iter().map(|(key, value)| (format!("sandbox.{key}"), value.to_string())).collect::<Vec<_>>())
            .unwrap()
    }

    fn policy(pairs: &[(&str, &str)]) -> Policy {
        let list = |key| {
            let found = pairs.iter().find(|(name, _)| *name == key).map(|(_, list)| list.split(',').map(str::to_owned).collect());
            found.unwrap_or_default()
        };
        let [files, http, tcp, udp, env] = ["files", "http", "tcp", "udp", "env"].map(list);
        Policy::new(&PolicyLists { files, http, tcp, udp, env }).unwrap()
    }

    #[test]
    fn a_connector_gets_what_lies_within_the_policy() {
        fn check(asked: &[(&str, &str)], denied: Option<&str>) {
            let asked = grants(asked);
            let some = policy(&[
                ("files", "/srv/data:ro,/srv/out"),
                ("http", "*.example.com,10.0.0.1:80,*.corp:443+private"),
                ("tcp", "db.example.com:5432,10.0.0.0/8:9000-9100"),
                ("udp", "ns.example.com:53"),
                ("env", "TZ"),
            ]);
            let refused = some.grant(asked.clone()).err();
            assert_eq!(refused.as_ref().map(Denied::key), denied, "{asked:?}");
            if let Some(refused) = refused {
                let message = refused.to_string();
                assert!(message.contains(&format!("to hawser.{}", refused.key())), "{message}");
            }
            let everything = "*:*+private,0.0.0.0/0:*,[::/0]:*,localhost:*";
            let all = [("files", "*"), ("http", everything), ("tcp", everything), ("udp", everything), ("env", "TZ,HOME")];
            assert_eq!(policy(&all).grant(asked.clone()), Ok(asked.clone()));
            let first = asked != Grants::default();
            assert_eq!(policy(&[]).grant(asked).is_err(), first);
        }
        check(&[], None);
        check(&[("files", "/srv/data/in:ro,/srv/out"), ("http", "https://a.example.com:443")], None);
        check(&[("http", "https://api.corp:443+private"), ("tcp", "db.example.com:5432,10.1.0.0/16:9000"), ("env", "TZ")], None);
        check(&[("files", "/srv/data")], Some("sandbox.files"));
        check(&[("files", "/srv/database:ro")], Some("sandbox.files"));
        check(&[("files", "/srv/out/../../etc")], Some("sandbox.files"));
        check(&[("files", "/etc:ro")], Some("sandbox.files"));
        check(&[("http", "example.com")], Some("sandbox.http"));
        check(&[("http", "*")], Some("sandbox.http"));
        check(&[("http", "a.example.com+private")], Some("sandbox.http"));
        check(&[("http", "10.0.0.1:*")], Some("sandbox.http"));
        check(&[("http", "127.0.0.1")], Some("sandbox.http"));
        check(&[("tcp", "a.example.com:443")], Some("sandbox.tcp"));
        check(&[("tcp", "10.0.0.1:8999")], Some("sandbox.tcp"));
        check(&[("udp", "ns.example.com:*")], Some("sandbox.udp"));
        check(&[("env", "HOME")], Some("sandbox.env"));
    }

    #[test]
    fn a_link_does_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let policy = policy(&[("files", root.to_str().unwrap())]);
        let asked = grants(&[("files", root.join("link").to_str().unwrap())]);
        assert!(policy.grant(asked).is_err());
    }
}
