//! Secrets that the host puts into requests, so that a plugin can use what it never sees.

use std::fmt;

use super::target::{Protocol, Scheme, Target, is_meant};
use super::{Destination, GrantError, parse_targets};

/// What the keys of secrets begin with; the rest is the secret's name, with [`HOSTS_SUFFIX`] for where it may go. Nothing of
/// this is handed to a plugin.
const SECRET_PREFIX: &str = "sandbox.secret.";
/// What the key ends with that says where a secret may go.
pub(super) const HOSTS_SUFFIX: &str = ".hosts";
/// Secrets of one connector.
const MAX_SECRETS: usize = 20;
/// Bytes of a secret's name.
const MAX_NAME_BYTES: usize = 64;

/// A secret of a connector: plugins name it in a header as `{{secret:NAME}}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub(super) name: String,
    value: String,
    hosts: Vec<Target>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Secret {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value. Not for messages, logs or guests.
    pub(crate) fn reveal(&self) -> &str {
        &self.value
    }

    /// Whether it may be sent there. Without encryption only if an entry says `http://`.
    pub fn may_go(&self, scheme: Scheme, destination: &Destination, port: u16) -> bool {
        let plain = scheme == Scheme::Http;
        self.hosts
            .iter()
            .filter(|target| !plain || target.is_plain())
            .any(|target| is_meant(std::slice::from_ref(target), Some(scheme), destination, port))
    }
}

/// Whether a key holds a secret's value.
pub fn is_secret_key(key: &str) -> bool {
    key.strip_prefix(SECRET_PREFIX).is_some_and(|name| !name.ends_with(HOSTS_SUFFIX))
}

/// Whether a key is not handed to plugins: all that is about secrets which the host uses for them.
pub fn is_withheld(key: &str) -> bool {
    key.starts_with(SECRET_PREFIX)
}

pub(super) fn parse(config: &[(String, String)]) -> Result<Vec<Secret>, GrantError> {
    let refused = |key: &str, reason: &'static str| Err(GrantError::Secret { key: key.to_owned(), reason });
    let mut secrets: Vec<Secret> = Vec::new();
    for (key, value) in config {
        let Some(name) = key.strip_prefix(SECRET_PREFIX) else { continue };
        if let Some(name) = name.strip_suffix(HOSTS_SUFFIX) {
            if !config.iter().any(|(other, _)| other.strip_prefix(SECRET_PREFIX) == Some(name)) {
                return refused(key, "there is no such secret; set the key without `.hosts` to its value");
            }
            continue;
        }
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name_byte) {
            return refused(key, "the name of a secret has 1 to 64 letters, digits, `-` and `_`");
        }
        if value.is_empty() || http::HeaderValue::from_str(value).is_err() {
            return refused(key, "the value is empty or holds characters that cannot stand in a header, such as a line break");
        }
        let hosts_key = format!("{key}{HOSTS_SUFFIX}");
        let hosts = parse_targets(config, Protocol::Http, &hosts_key)?;
        if hosts.is_empty() {
            return Err(GrantError::Secret {
                key: hosts_key,
                reason: "list the hosts that may get the secret, as in sandbox.http",
            });
        }
        if secrets.len() == MAX_SECRETS {
            return refused(key, "a connector has at most 20 secrets");
        }
        secrets.push(Secret { name: name.to_owned(), value: value.clone(), hosts });
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::super::Grants;
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn secrets_go_where_they_are_bound() {
        let hosts = "api.example.com,http://127.0.0.1:8080,https://*.example.org:8443";
        let grants =
            Grants::parse(&config(&[("sandbox.secret.token", "s3cret"), ("sandbox.secret.token.hosts", hosts)])).unwrap();
        let secret = &grants.secrets[0];
        let may_go = |scheme, host: &str, port| secret.may_go(scheme, &Destination::parse(host).unwrap(), port);
        assert!(may_go(Scheme::Https, "api.example.com", 443) && may_go(Scheme::Http, "127.0.0.1", 8080));
        assert!(may_go(Scheme::Https, "a.example.org", 8443));
        assert!(!may_go(Scheme::Http, "api.example.com", 80), "in plain HTTP only if an entry says so");
        assert!(!may_go(Scheme::Https, "api.example.com", 8443) && !may_go(Scheme::Https, "evil.com", 443));
        assert!(!format!("{grants:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        fn check(pairs: &[(&str, &str)], expect: &str) {
            let refused = Grants::parse(&config(pairs)).unwrap_err();
            let message = refused.to_string();
            assert!(message.contains(expect) && message.starts_with(refused.key()) && !message.contains("s3cret"), "{message}");
        }
        check(&[("sandbox.secret.a", "s3cret")], "sandbox.secret.a.hosts: list the hosts");
        check(&[("sandbox.secret.a", "s3cret"), ("sandbox.secret.a.hosts", "x/y")], "`x/y`");
        check(&[("sandbox.secret.a", "s3cret\n"), ("sandbox.secret.a.hosts", "x")], "line break");
        check(&[("sandbox.secret.a", ""), ("sandbox.secret.a.hosts", "x")], "empty");
        check(&[("sandbox.secret.a.b", "s3cret"), ("sandbox.secret.a.b.hosts", "x")], "letters");
        check(&[("sandbox.secret.a.hosts", "x")], "there is no such secret");
    }
}
