//! TLS to the registry: Kafka's `ssl.*` keys with PEM.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::keys;
use crate::convert::classes::Setting;
use crate::convert::config::{Checked, ConfigError};

/// Bytes of a PEM file at most.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// The TLS settings in a converter's properties. Without a truststore the public certificate authorities are trusted.
///
/// # Errors
/// [`ConfigError`] when a file cannot be read, or is not PEM. It never holds a key.
pub fn client_config(setting: &Setting<'_>, config: &Checked<'_>) -> Result<ClientConfig, ConfigError> {
    let problem = |key: &str, message: String| setting.error(key, format!("{}{key}: {message}", setting.prefix));
    for key in [keys::TRUSTSTORE_TYPE, keys::KEYSTORE_TYPE] {
        let kind = config.text(key).unwrap_or_default();
        if !kind.eq_ignore_ascii_case("PEM") {
            let line = "openssl pkcs12 -in store.p12 -out store.pem -nodes";
            return Err(problem(key, format!("only PEM is supported; make it from the other kinds with `{line}`")));
        }
    }
    if !config.text(keys::ENDPOINT_IDENTIFICATION).unwrap_or_default().trim().eq_ignore_ascii_case("https") {
        let message = "the host's name is always checked; use a certificate of that name, or its name in the URL";
        return Err(problem(keys::ENDPOINT_IDENTIFICATION, message.to_owned()));
    }
    let mut roots = RootCertStore::empty();
    match pem(config, keys::TRUSTSTORE_CERTIFICATES, keys::TRUSTSTORE_LOCATION).map_err(|(key, m)| problem(key, m))? {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some((key, pem)) => {
            for certificate in certificates(&pem).map_err(|message| problem(key, message))? {
                roots.add(certificate).map_err(|error| problem(key, error.to_string()))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(keys::URL, error.to_string()))?
        .with_root_certificates(roots);
    let chain = pem(config, keys::KEYSTORE_CHAIN, keys::KEYSTORE_LOCATION).map_err(|(key, m)| problem(key, m))?;
    let Some((chain_key, chain)) = chain else { return Ok(builder.with_no_client_auth()) };
    let private = match config.text(keys::KEYSTORE_KEY) {
        Some(key) => (keys::KEYSTORE_KEY, key.as_bytes().to_vec()),
        None => (chain_key, chain.clone()),
    };
    let key = PrivateKeyDer::from_pem_slice(&private.1)
        .map_err(|_| problem(private.0, "no private key in PEM, unencrypted, was found".to_owned()))?;
    let chain = certificates(&chain).map_err(|message| problem(chain_key, message))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| problem(chain_key, error.to_string()))
}

type Pem = Option<(&'static str, Vec<u8>)>;

/// PEM from the key that holds it, or from the file that the other one names.
fn pem(config: &Checked<'_>, inline: &'static str, file: &'static str) -> Result<Pem, (&'static str, String)> {
    if let Some(text) = config.text(inline) {
        return Ok(Some((inline, text.as_bytes().to_vec())));
    }
    let Some(path) = config.text(file).filter(|path| !path.is_empty()) else { return Ok(None) };
    let read = || -> std::io::Result<Vec<u8>> {
        if std::fs::metadata(path)?.len() > MAX_PEM_BYTES {
            return Err(std::io::Error::other("the file is too large for PEM"));
        }
        std::fs::read(path)
    };
    read().map(|pem| Some((file, pem))).map_err(|error| (file, format!("the file cannot be read: {error}")))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("no certificate in PEM was found".to_owned()),
        Err(error) => Err(format!("malformed PEM: {error}")),
    }
}
