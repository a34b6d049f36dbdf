//! TLS of HTTPS listeners: from the `ssl.*` keys to what rustls wants.
//!
//! Stores are told apart by what is in them: PEM, or PKCS12. Java's own JKS cannot be read; `ssl.keystore.type` is not needed.

use std::sync::Arc;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::{ClientAuth, TlsSettings, TlsStore};

/// Most bytes of a key store or trust store.
const MAX_STORE_BYTES: u64 = 16 * 1024 * 1024;

/// Why an HTTPS listener cannot be served: the key that is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct TlsError {
    key: String,
    reason: String,
}

/// Makes the TLS side of listeners. Reads files: not for an async thread.
///
/// # Errors
/// A store cannot be read, or something in it or in the other keys cannot be used.
pub fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider(settings)?);
    let (chain, key) = identity(settings)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings)?)
        .map_err(|error| wrong(settings, "ssl.cipher.suites", format!("{error}: none of them fits ssl.enabled.protocols")))?;
    let builder = match settings.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Requested | ClientAuth::Required => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(settings)?), provider);
            let verifier = match settings.client_auth {
                ClientAuth::Required => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let unusable = |error| wrong(settings, "ssl.truststore.location", format!("it cannot be used: {error}"));
            builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
        }
    };
    let unusable =
        |error| wrong(settings, "ssl.keystore.location", format!("the certificate or its key cannot be used: {error}"));
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn wrong(settings: &TlsSettings, key: &str, reason: impl Into<String>) -> TlsError {
    TlsError { key: format!("{}{key}", settings.prefix), reason: reason.into() }
}

/// The suites that are asked for, by the names that Java and IANA give them.
fn provider(settings: &TlsSettings) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    if settings.cipher_suites.is_empty() {
        return Ok(provider);
    }
    let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
    let known: Vec<_> = provider.cipher_suites.iter().map(name).collect();
    provider.cipher_suites.retain(|suite| settings.cipher_suites.contains(&name(suite)));
    match provider.cipher_suites.is_empty() {
        true => Err(wrong(settings, "ssl.cipher.suites", format!("none is known; there are {}", known.join(", ")))),
        false => Ok(provider),
    }
}

fn versions(settings: &TlsSettings) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let known = [("TLSv1.2", &rustls::version::TLS12), ("TLSv1.3", &rustls::version::TLS13)];
    let versions: Vec<_> = known
        .iter()
        .filter(|(name, _)| settings.protocols.iter().any(|asked| asked == name))
        .map(|(_, version)| *version)
        .collect();
    match versions.is_empty() {
        true => Err(wrong(settings, "ssl.enabled.protocols", "none can be served; name TLSv1.2, TLSv1.3 or both")),
        false => Ok(versions),
    }
}

/// The server's certificate with those that vouch for it, and its key.
fn identity(settings: &TlsSettings) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let store = &settings.keystore;
    match (&store.location, &store.certificates, &store.key) {
        (_, Some(chain), Some(key)) => {
            let chain = certificates(settings, "ssl.keystore.certificate.chain", chain.as_bytes())?;
            Ok((chain, private_key(settings, "ssl.keystore.key", key.as_bytes())?))
        }
        (Some(_), ..) => {
            const KEY: &str = "ssl.keystore.location";
            match read(settings, KEY, store)? {
                Store::Pem(pem) => Ok((certificates(settings, KEY, &pem)?, private_key(settings, KEY, &pem)?)),
                Store::Pkcs12(der) => from_pkcs12(settings, &der),
            }
        }
        _ => Err(wrong(
            settings,
            "ssl.keystore.location",
            "an https listener needs it: a file with a certificate and its key, as PEM or PKCS12",
        )),
    }
}

fn from_pkcs12(settings: &TlsSettings, der: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let parsed = pkcs12(settings, "ssl.keystore", &settings.keystore, der)?;
    let (Some(certificate), Some(key)) = (parsed.cert, parsed.pkey) else {
        return Err(wrong(settings, "ssl.keystore.location", "it holds no certificate with its key"));
    };
    let unusable = |error: openssl::error::ErrorStack| {
        wrong(settings, "ssl.keystore.location", format!("what it holds cannot be used: {error}"))
    };
    let mut chain = vec![CertificateDer::from(certificate.to_der().map_err(unusable)?)];
    for authority in parsed.ca.iter().flatten() {
        chain.push(CertificateDer::from(authority.to_der().map_err(unusable)?));
    }
    let key = key.private_key_to_pkcs8().map_err(unusable)?;
    Ok((chain, PrivatePkcs8KeyDer::from(key).into()))
}

/// Whom clients' certificates must come from.
fn roots(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    let store = &settings.truststore;
    let (key, trusted) = match (&store.certificates, &store.location) {
        (Some(pem), _) => {
            let key = "ssl.truststore.certificates";
            (key, certificates(settings, key, pem.as_bytes())?)
        }
        (None, Some(_)) => {
            let key = "ssl.truststore.location";
            let trusted = match read(settings, key, store)? {
                Store::Pem(pem) => certificates(settings, key, &pem)?,
                Store::Pkcs12(der) => {
                    let parsed = pkcs12(settings, "ssl.truststore", store, &der)?;
                    let all = parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten());
                    let der = |certificate: openssl::x509::X509| Some(CertificateDer::from(certificate.to_der().ok()?));
                    all.filter_map(der).collect()
                }
            };
            (key, trusted)
        }
        (None, None) => {
            let reason = "ssl.client.auth needs it: the certificates of those that vouch for clients, as PEM or PKCS12";
            return Err(wrong(settings, "ssl.truststore.location", reason));
        }
    };
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(trusted) {
        (0, _) => Err(wrong(settings, key, "it holds no certificate that can be used")),
        _ => Ok(roots),
    }
}

/// What a store's file holds.
enum Store {
    Pem(Vec<u8>),
    Pkcs12(Vec<u8>),
}

fn read(settings: &TlsSettings, key: &str, store: &TlsStore) -> Result<Store, TlsError> {
    let path = store.location.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    let unreadable = |error: std::io::Error| wrong(settings, key, format!("{} cannot be read: {error}", path.display()));
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_STORE_BYTES {
        return Err(wrong(settings, key, format!("{} is larger than {MAX_STORE_BYTES} bytes", path.display())));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    match bytes.as_slice() {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
            let reason = format!(
                "{} is a Java key store; turn it into PKCS12: keytool -importkeystore -srckeystore FILE -destkeystore NEW -deststoretype pkcs12",
                path.display()
            );
            Err(wrong(settings, key, reason))
        }
        [0x30, ..] => Ok(Store::Pkcs12(bytes)),
        _ => Ok(Store::Pem(bytes)),
    }
}

fn pkcs12(settings: &TlsSettings, keys: &str, store: &TlsStore, der: &[u8]) -> Result<openssl::pkcs12::ParsedPkcs12_2, TlsError> {
    let password = store.password.as_deref().unwrap_or_default();
    Pkcs12::from_der(der)
        .and_then(|archive| archive.parse2(password))
        .map_err(|_| wrong(settings, &format!("{keys}.password"), "the PKCS12 file does not open with it"))
}

fn certificates(settings: &TlsSettings, key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let malformed = |error| wrong(settings, key, format!("it is neither PEM nor PKCS12: {error}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(malformed)?;
    match chain.is_empty() {
        true => Err(wrong(settings, key, "it holds no certificate in PEM form")),
        false => Ok(chain),
    }
}

fn private_key(settings: &TlsSettings, key: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    if let Some(password) = &settings.key_password {
        let opened = PKey::private_key_from_pem_passphrase(pem, password.as_bytes()).and_then(|key| key.private_key_to_pkcs8());
        let der = opened.map_err(|_| wrong(settings, "ssl.key.password", "the private key does not open with it"))?;
        return Ok(PrivatePkcs8KeyDer::from(der).into());
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let reason = "it holds no private key in PEM form; if the key is encrypted set ssl.key.password";
        wrong(settings, key, reason)
    })
}
