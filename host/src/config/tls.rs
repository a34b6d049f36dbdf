//! The `ssl.*` keys of HTTPS listeners.

use std::fmt;
use std::path::PathBuf;

use super::sources::Pairs;

/// What a listener asks of its clients: `ssl.client.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ClientAuth {
    None,
    Requested,
    Required,
}

/// A key store or a trust store: a file, or PEM in the configuration itself.
#[derive(Clone, Default)]
pub struct TlsStore {
    /// `ssl.*store.location`.
    pub location: Option<PathBuf>,
    /// `ssl.*store.password`.
    pub password: Option<String>,
    /// `ssl.keystore.certificate.chain` or `ssl.truststore.certificates`: PEM.
    pub certificates: Option<String>,
    /// `ssl.keystore.key`: PEM.
    pub key: Option<String>,
}

/// TLS of the listeners that share one set of keys. `Debug` does not show secrets.
#[derive(Clone)]
pub struct TlsSettings {
    /// In front of the keys that were used: `listeners.https.`, or nothing.
    pub prefix: &'static str,
    /// The server's certificate and key.
    pub keystore: TlsStore,
    /// `ssl.key.password`.
    pub key_password: Option<String>,
    /// Whom clients' certificates must come from.
    pub truststore: TlsStore,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// `ssl.enabled.protocols`.
    pub protocols: Vec<String>,
    /// `ssl.cipher.suites`; empty for all that are good.
    pub cipher_suites: Vec<String>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("prefix", &self.prefix)
            .field("keystore", &self.keystore.location)
            .field("truststore", &self.truststore.location)
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Reads the keys under `prefix`, such as `listeners.https.`. As in Kafka Connect's `SSLUtils`: if any key has the prefix only those
    /// count, otherwise those without.
    pub(super) fn read(pairs: &Pairs, prefix: &'static str) -> Result<TlsSettings, String> {
        let prefix = if pairs.iter().any(|(key, _)| key.starts_with(prefix)) { prefix } else { "" };
        let find = |key: &str| {
            let found = pairs.iter().find(|(known, _)| known.strip_prefix(prefix) == Some(key));
            found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let list = |key: &str, default: &str| {
            let text = find(key).unwrap_or_else(|| default.to_owned());
            text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect::<Vec<_>>()
        };
        let client_auth = match find("ssl.client.auth").as_deref() {
            None | Some("none") => ClientAuth::None,
            Some("requested") => ClientAuth::Requested,
            Some("required") => ClientAuth::Required,
            Some(other) => {
                return Err(format!(
                    "Invalid value {other} for configuration {prefix}ssl.client.auth: String must be one of: required, requested, none"
                ));
            }
        };
        Ok(TlsSettings {
            prefix,
            keystore: TlsStore {
                location: find("ssl.keystore.location").map(PathBuf::from),
                password: find("ssl.keystore.password"),
                certificates: find("ssl.keystore.certificate.chain"),
                key: find("ssl.keystore.key"),
            },
            key_password: find("ssl.key.password"),
            truststore: TlsStore {
                location: find("ssl.truststore.location").map(PathBuf::from),
                password: find("ssl.truststore.password"),
                certificates: find("ssl.truststore.certificates"),
                key: None,
            },
            client_auth,
            protocols: list("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"),
            cipher_suites: list("ssl.cipher.suites", ""),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_the_prefix_stand_alone() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            TlsSettings::read(&pairs, "listeners.https.")
        };
        let plain = ("ssl.keystore.location", "/plain");
        let settings = read(&[plain, ("ssl.client.auth", "required")]).unwrap();
        assert_eq!((settings.prefix, settings.client_auth), ("", ClientAuth::Required));
        assert_eq!(settings.keystore.location, Some("/plain".into()));
        let settings = read(&[plain, ("listeners.https.ssl.keystore.password", "geheim")]).unwrap();
        assert_eq!((settings.prefix, settings.keystore.location.clone()), ("listeners.https.", None));
        assert_eq!(settings.protocols, ["TLSv1.2", "TLSv1.3"]);
        assert!(!format!("{settings:?}").contains("geheim"));
        let wrong = read(&[("listeners.https.ssl.client.auth", "maybe")]).unwrap_err();
        assert!(wrong.starts_with("Invalid value maybe for configuration listeners.https.ssl.client.auth: "), "{wrong}");
    }
}
