//! What a connector's configuration grants its plugins beyond clocks and randomness.

mod address;
mod secret;
mod target;

use std::path::PathBuf;

pub use address::AddressKind;
pub use secret::{Secret, is_secret_key, is_withheld};
pub use target::{Destination, Protocol, Scheme, Target, is_allowed, is_meant, is_name_meant};

/// Key of the directories that a connector's plugins may use.
pub(super) const FILES_KEY: &str = "sandbox.files";
/// Key of the worker's environment variables that they see.
const ENV_KEY: &str = "sandbox.env";
/// Entries that one key may hold.
const MAX_GRANTS: usize = 100;

/// The keys that grant something, besides those of secrets ([`is_secret_key`]).
pub const GRANT_KEYS: [&str; 5] = [FILES_KEY, "sandbox.http", "sandbox.tcp", "sandbox.udp", ENV_KEY];

/// What an instance may reach. [`Grants::default`] is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories, mounted under their own paths.
    pub files: Vec<FileGrant>,
    /// Where HTTP requests may go.
    pub http: Vec<Target>,
    /// Where TCP connections may go.
    pub tcp: Vec<Target>,
    /// Where datagrams may go, and come from.
    pub udp: Vec<Target>,
    /// Names of environment variables of the worker.
    pub env: Vec<String>,
    /// What the host puts into requests.
    pub secrets: Vec<Secret>,
}

/// A directory of the host that an instance sees under the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGrant {
    /// Absolute path of a directory.
    pub path: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// An entry of a key of grants that is none. Messages begin with the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A directory is not given by an absolute path.
    #[error("sandbox.files: `{0}` is not an absolute path; list directories such as `/data/in:ro,/data/out`")]
    RelativePath(String),
    /// A host is none.
    #[error("{key}: `{entry}` is no host with a port; list {wants}")]
    NotATarget {
        /// The key.
        key: String,
        /// What stands there.
        entry: String,
        /// What may.
        wants: &'static str,
    },
    /// A variable is none.
    #[error("sandbox.env: `{0}` is no name of an environment variable; list names such as `TZ,HTTP_REGION`")]
    NotAVariable(String),
    /// A secret cannot be used.
    #[error("{key}: {reason}")]
    Secret {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too many entries.
    #[error("{0}: over {MAX_GRANTS} entries; list fewer")]
    TooMany(String),
}

impl GrantError {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            GrantError::RelativePath(_) => FILES_KEY,
            GrantError::NotAVariable(_) => ENV_KEY,
            GrantError::NotATarget { key, .. } | GrantError::Secret { key, .. } | GrantError::TooMany(key) => key,
        }
    }
}

impl Grants {
    /// What the [`GRANT_KEYS`] and the secrets of a connector's configuration grant.
    ///
    /// # Errors
    /// [`GrantError`] quotes the entry that is none.
    pub fn parse(config: &[(String, String)]) -> Result<Grants, GrantError> {
        let targets = |protocol: Protocol| parse_targets(config, protocol, protocol.key());
        Ok(Grants {
            files: parse_list(config, FILES_KEY, parse_file)?,
            http: targets(Protocol::Http)?,
            tcp: targets(Protocol::Tcp)?,
            udp: targets(Protocol::Udp)?,
            env: parse_list(config, ENV_KEY, parse_variable)?,
            secrets: secret::parse(config)?,
        })
    }
}

fn parse_targets(config: &[(String, String)], protocol: Protocol, key: &str) -> Result<Vec<Target>, GrantError> {
    parse_list(config, key, |entry| Target::parse(protocol, key, entry))
}

fn parse_list<T>(
    config: &[(String, String)],
    key: &str,
    parse: impl Fn(&str) -> Result<T, GrantError>,
) -> Result<Vec<T>, GrantError> {
    let Some((_, list)) = config.iter().find(|(name, _)| name == key) else { return Ok(Vec::new()) };
    let entries: Vec<_> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > MAX_GRANTS {
        return Err(GrantError::TooMany(key.to_owned()));
    }
    entries.into_iter().map(parse).collect()
}

fn parse_file(entry: &str) -> Result<FileGrant, GrantError> {
    let (path, read_only) = entry.strip_suffix(":ro").map_or((entry, false), |path| (path, true));
    let path = PathBuf::from(path);
    if !path.is_absolute() {
        return Err(GrantError::RelativePath(entry.to_owned()));
    }
    Ok(FileGrant { path, read_only })
}

fn parse_variable(entry: &str) -> Result<String, GrantError> {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = entry.bytes().all(is_name_byte) && !entry.starts_with(|first: char| first.is_ascii_digit());
    if is_name { Ok(entry.to_owned()) } else { Err(GrantError::NotAVariable(entry.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.into(), value.into())]
    }

    #[test]
    fn directories_are_absolute_and_may_be_read_only() {
        let grants = Grants::parse(&config(FILES_KEY, " /data/in:ro, /data/out ,")).unwrap();
        let expect = [("/data/in", true), ("/data/out", false)];
        let expect = expect.map(|(path, read_only)| FileGrant { path: path.into(), read_only });
        assert_eq!(grants.files, expect);
        for refused in ["data", "./data:ro", "~/x", "C:/x"] {
            assert_eq!(Grants::parse(&config(FILES_KEY, refused)), Err(GrantError::RelativePath(refused.into())));
        }
        assert_eq!(Grants::parse(&config(FILES_KEY, &"/x,".repeat(101))), Err(GrantError::TooMany(FILES_KEY.into())));
        assert_eq!(Grants::parse(&[]), Ok(Grants::default()));
    }

    #[test]
    fn variables_are_names() {
        assert_eq!(Grants::parse(&config(ENV_KEY, "TZ, _A1")).unwrap().env, ["TZ", "_A1"]);
        for refused in ["1A", "A=B", "A-B", "*"] {
            assert_eq!(Grants::parse(&config(ENV_KEY, refused)), Err(GrantError::NotAVariable(refused.into())));
        }
    }

    #[test]
    fn errors_begin_with_their_key() {
        for key in GRANT_KEYS {
            let error = Grants::parse(&config(key, "a b")).unwrap_err();
            assert!(error.key() == key && error.to_string().starts_with(&format!("{key}: ")), "{error}");
        }
    }
}
