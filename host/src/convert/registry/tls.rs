//! TLS to the registry: Kafka's `ssl.*` keys. Stores are told apart by what is in them, PEM or PKCS12; Java's own JKS cannot be read.

use std::sync::Arc;

use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::PKey;
use openssl::x509::X509;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::keys;
use crate::convert::classes::Setting;
use crate::convert::config::{Checked, ConfigError};

/// Bytes of a store at most.
const MAX_STORE_BYTES: u64 = 1 << 20;

type Certificates = Vec<CertificateDer<'static>>;
/// The key that is wrong, and what to do.
type Wrong = (&'static str, String);

/// The TLS settings in a converter's properties. Without a truststore the public certificate authorities are trusted.
///
/// # Errors
/// [`ConfigError`] when a store cannot be read, or holds something else. It never holds a key or a password.
pub fn client_config(setting: &Setting<'_>, config: &Checked<'_>) -> Result<ClientConfig, ConfigError> {
    make(config).map_err(|(key, message)| setting.error(key, format!("{}{key}: {message}", setting.prefix)))
}

fn make(config: &Checked<'_>) -> Result<ClientConfig, Wrong> {
    if !config.text(keys::ENDPOINT_IDENTIFICATION).unwrap_or_default().trim().eq_ignore_ascii_case("https") {
        let message = "the host's name is always checked; use a certificate of that name, or its name in the URL";
        return Err((keys::ENDPOINT_IDENTIFICATION, message.to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| (keys::URL, error.to_string()))?
        .with_root_certificates(roots(config)?);
    match identity(config)? {
        None => Ok(builder.with_no_client_auth()),
        Some((key, chain, private)) => builder
            .with_client_auth_cert(chain, private)
            .map_err(|error| (key, format!("the certificate or its key cannot be used: {error}"))),
    }
}

fn roots(config: &Checked<'_>) -> Result<RootCertStore, Wrong> {
    let (key, store) = match read(config, keys::TRUSTSTORE_CERTIFICATES, keys::TRUSTSTORE_LOCATION)? {
        None => return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
        Some(found) => found,
    };
    let trusted = match store {
        Store::Pem(pem) => certificates(key, &pem)?,
        Store::Pkcs12(der) => {
            let opened = open(config, keys::TRUSTSTORE_PASSWORD, &der)?;
            chain(key, opened.cert.into_iter().chain(opened.ca.into_iter().flatten()))?
        }
    };
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(trusted) {
        (0, _) => Err((key, "it holds no certificate that can be used".to_owned())),
        _ => Ok(roots),
    }
}

/// The client's certificate with those that vouch for it, its key, and what named them.
#[allow(clippy::type_complexity)]
fn identity(config: &Checked<'_>) -> Result<Option<(&'static str, Certificates, PrivateKeyDer<'static>)>, Wrong> {
    let Some((key, store)) = read(config, keys::KEYSTORE_CHAIN, keys::KEYSTORE_LOCATION)? else { return Ok(None) };
    match store {
        Store::Pem(pem) => {
            let private = match config.text(keys::KEYSTORE_KEY) {
                Some(text) => private_key(config, keys::KEYSTORE_KEY, text.as_bytes())?,
                None => private_key(config, key, &pem)?,
            };
            Ok(Some((key, certificates(key, &pem)?, private)))
        }
        Store::Pkcs12(der) => {
            let opened = open(config, keys::KEYSTORE_PASSWORD, &der)?;
            let (Some(certificate), Some(private)) = (opened.cert, opened.pkey) else {
                return Err((key, "it holds no certificate with its key".to_owned()));
            };
            let private = private.private_key_to_pkcs8().map_err(|error| (key, format!("its key cannot be used: {error}")))?;
            let chain = chain(key, std::iter::once(certificate).chain(opened.ca.into_iter().flatten()))?;
            Ok(Some((key, chain, PrivatePkcs8KeyDer::from(private).into())))
        }
    }
}

enum Store {
    Pem(Vec<u8>),
    Pkcs12(Vec<u8>),
}

/// A store: PEM from the key that holds it, or what is in the file that the other one names.
fn read(config: &Checked<'_>, inline: &'static str, file: &'static str) -> Result<Option<(&'static str, Store)>, Wrong> {
    if let Some(text) = config.text(inline) {
        return Ok(Some((inline, Store::Pem(text.as_bytes().to_vec()))));
    }
    let Some(path) = config.text(file).filter(|path| !path.is_empty()) else { return Ok(None) };
    let unreadable = |error: std::io::Error| (file, format!("the file cannot be read: {error}"));
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_STORE_BYTES {
        return Err((file, format!("the file is larger than {MAX_STORE_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    match bytes.as_slice() {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
            let line = "keytool -importkeystore -srckeystore FILE -destkeystore NEW -deststoretype pkcs12";
            Err((file, format!("it is a Java key store; turn it into PKCS12: {line}")))
        }
        [0x30, ..] => Ok(Some((file, Store::Pkcs12(bytes)))),
        _ => Ok(Some((file, Store::Pem(bytes)))),
    }
}

fn open(config: &Checked<'_>, password_key: &'static str, der: &[u8]) -> Result<ParsedPkcs12_2, Wrong> {
    let password = config.text(password_key).unwrap_or_default();
    let opened = Pkcs12::from_der(der).and_then(|archive| archive.parse2(password));
    opened.map_err(|_| (password_key, "the PKCS12 file does not open with it".to_owned()))
}

fn chain(key: &'static str, certificates: impl Iterator<Item = X509>) -> Result<Certificates, Wrong> {
    let der = |certificate: X509| certificate.to_der().map(CertificateDer::from);
    certificates.map(der).collect::<Result<_, _>>().map_err(|error| (key, format!("a certificate cannot be used: {error}")))
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Certificates, Wrong> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err((key, "no certificate in PEM was found".to_owned())),
        Err(error) => Err((key, format!("it is neither PEM nor PKCS12: {error}"))),
    }
}

fn private_key(config: &Checked<'_>, key: &'static str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    if let Some(password) = config.text(keys::KEY_PASSWORD) {
        let opened = PKey::private_key_from_pem_passphrase(pem, password.as_bytes()).and_then(|key| key.private_key_to_pkcs8());
        let der = opened.map_err(|_| (keys::KEY_PASSWORD, "the private key does not open with it".to_owned()))?;
        return Ok(PrivatePkcs8KeyDer::from(der).into());
    }
    let missing = "no private key in PEM was found; if it is encrypted, set schema.registry.ssl.key.password";
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| (key, missing.to_owned()))
}
