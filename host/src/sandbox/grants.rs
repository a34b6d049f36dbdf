//! What a connector's configuration grants its plugins beyond clocks and randomness.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Key of the directories that a connector's plugins may use.
const FILES_KEY: &str = "sandbox.files";
/// Key of the hosts that a connector's plugins may send HTTP requests to.
pub(super) const HTTP_KEY: &str = "sandbox.http";
/// Entries that one key may hold.
const MAX_GRANTS: usize = 100;

/// What an instance may reach. [`Grants::default`] is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories, mounted under their own paths.
    pub files: Vec<FileGrant>,
    /// Hosts of outgoing HTTP requests.
    pub http: Vec<HostPattern>,
}

/// A directory of the host that an instance sees under the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGrant {
    /// Absolute path of a directory.
    pub path: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// Hosts that may be called, as in `sandbox.http`:
///
/// - `*`: every host
/// - `example.com`: this host, any port; `example.com:8443`: this port only
/// - `*.example.com`: every name below `example.com`, not `example.com` itself
/// - `https://example.com`: this host by this scheme only; any of the above may follow the scheme
/// - `127.0.0.1`, `[::1]:9200`: addresses, as they stand in the request
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    scheme: Option<String>,
    host: HostName,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostName {
    Any,
    /// What follows `*`, with the dot.
    Below(String),
    Exactly(String),
}

/// An entry of `sandbox.files` or `sandbox.http` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A directory is not given by an absolute path.
    #[error("sandbox.files: `{0}` is not an absolute path; list directories such as `/data/in:ro,/data/out`")]
    RelativePath(String),
    /// A host pattern is none.
    #[error("sandbox.http: `{0}` is not a host; list `host`, `host:port`, `*.domain`, `https://host` or `*`, without a path")]
    NotAHost(String),
    /// Too many entries.
    #[error("{0} holds over {MAX_GRANTS} entries; list fewer")]
    TooMany(&'static str),
}

impl Grants {
    /// What the keys `sandbox.files` and `sandbox.http` of a connector's configuration grant.
    ///
    /// # Errors
    /// [`GrantError`] quotes the entry that is none.
    pub fn parse(config: &[(String, String)]) -> Result<Grants, GrantError> {
        Ok(Grants { files: parse_list(config, FILES_KEY, parse_file)?, http: parse_list(config, HTTP_KEY, str::parse)? })
    }
}

fn parse_list<T>(
    config: &[(String, String)],
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, GrantError>,
) -> Result<Vec<T>, GrantError> {
    let Some((_, list)) = config.iter().find(|(name, _)| name == key) else { return Ok(Vec::new()) };
    let entries: Vec<_> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > MAX_GRANTS {
        return Err(GrantError::TooMany(key));
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

impl HostPattern {
    /// Whether a request by `scheme` (lower-case) to `host` and `port` is meant.
    pub fn allows(&self, scheme: &str, host: &str, port: u16) -> bool {
        let host = normal(host);
        let name = match &self.host {
            HostName::Any => true,
            HostName::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            HostName::Exactly(name) => *name == host,
        };
        name && self.port.is_none_or(|allowed| allowed == port) && self.scheme.as_ref().is_none_or(|allowed| allowed == scheme)
    }
}

impl HostPattern {
    /// Whether everything that `other` allows is allowed by this pattern too.
    pub fn covers(&self, other: &HostPattern) -> bool {
        let host = match (&self.host, &other.host) {
            (HostName::Any, _) => true,
            (HostName::Below(suffix), HostName::Below(inner)) => inner.ends_with(suffix),
            (HostName::Below(suffix), HostName::Exactly(name)) => name.len() > suffix.len() && name.ends_with(suffix),
            (HostName::Exactly(name), HostName::Exactly(inner)) => name == inner,
            _ => false,
        };
        host && self.port.is_none_or(|port| other.port == Some(port))
            && self.scheme.as_ref().is_none_or(|scheme| other.scheme.as_ref() == Some(scheme))
    }
}

/// Lower-case, without the root's dot.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl FromStr for HostPattern {
    type Err = GrantError;

    fn from_str(entry: &str) -> Result<Self, GrantError> {
        let refused = || GrantError::NotAHost(entry.to_owned());
        let (scheme, rest) = match entry.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, entry),
        };
        if scheme.as_deref().is_some_and(|scheme| scheme != "http" && scheme != "https") {
            return Err(refused());
        }
        let (host, port) = split_port(rest).ok_or_else(refused)?;
        let host = match host.strip_prefix('*') {
            Some("") => HostName::Any,
            Some(below) if below.starts_with('.') && is_name(&below[1..]) => HostName::Below(normal(below)),
            None if is_name(host) || is_v6(host) => HostName::Exactly(normal(host)),
            _ => return Err(refused()),
        };
        Ok(HostPattern { scheme, host, port })
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[host_end..].find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(host_end + colon);
            port[1..].parse().ok().filter(|port| *port > 0).map(|port| (host, Some(port)))
        }
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn is_v6(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        match &self.host {
            HostName::Any => f.write_str("*")?,
            HostName::Below(suffix) => write!(f, "*{suffix}")?,
            HostName::Exactly(name) => f.write_str(name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
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
        assert_eq!(Grants::parse(&config(FILES_KEY, &"/x,".repeat(101))), Err(GrantError::TooMany(FILES_KEY)));
        assert_eq!(Grants::parse(&[]), Ok(Grants::default()));
    }

    #[test]
    fn host_patterns_allow_what_they_say() {
        fn check(pattern: &str, allowed: &[(&str, &str, u16)], refused: &[(&str, &str, u16)]) {
            let parsed: HostPattern = pattern.parse().unwrap();
            for (scheme, host, port) in allowed {
                assert!(parsed.allows(scheme, host, *port), "{pattern} refuses {scheme}://{host}:{port}");
            }
            for (scheme, host, port) in refused {
                assert!(!parsed.allows(scheme, host, *port), "{pattern} allows {scheme}://{host}:{port}");
            }
            assert_eq!(parsed.to_string().parse(), Ok(parsed.clone()));
        }
        check("*", &[("http", "a", 1), ("https", "b.c", 443)], &[]);
        check("Example.com", &[("http", "example.COM", 80), ("https", "example.com.", 8443)], &[("http", "x.example.com", 80)]);
        check(
            "example.com:443",
            &[("https", "example.com", 443)],
            &[("https", "example.com", 80), ("https", "example.com.evil", 443)],
        );
        check(
            "*.example.com",
            &[("http", "a.example.com", 80), ("http", "a.b.example.com", 80)],
            &[("http", "example.com", 80), ("http", "badexample.com", 80), ("http", ".example.com", 80)],
        );
        check("https://*.example.com:8443", &[("https", "a.example.com", 8443)], &[("http", "a.example.com", 8443)]);
        check("https://example.com", &[("https", "example.com", 9)], &[("http", "example.com", 9)]);
        check("[::1]:9200", &[("http", "[::1]", 9200)], &[("http", "[::1]", 80), ("http", "[::2]", 9200)]);
        check("127.0.0.1", &[("http", "127.0.0.1", 80)], &[("http", "127.0.0.2", 80)]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "x/y".to_owned();
        for refused in
            ["http://", "ftp://a", "a/b", "a:0", "a:99999", "a:b", "**", "*a", "*.", "a b", "::1", "[::1", "user@a", &long]
        {
            assert_eq!(refused.parse::<HostPattern>(), Err(GrantError::NotAHost(refused.into())));
        }
    }
}
