//! Handshakes with a registry over HTTPS, with certificates made for the test.

use std::sync::Arc;

use openssl::pkcs12::Pkcs12;
use openssl::stack::Stack;
use openssl::x509::X509;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::testing::FakeRegistry;
use super::tests::{framed, try_converters, values};
use crate::config::testing::{Certificates, PASSWORD};
use crate::convert::Outage;
use crate::record::{BatchBuilder, Record, SchemaTable};

/// A registry's side, which may ask clients for a certificate.
fn server(of: &Certificates, asks_clients: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(rustls::ALL_VERSIONS).unwrap();
    let builder = if asks_clients {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(of.roots()), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = of.chain();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn file(of: &Certificates, name: &str, content: &[u8]) -> String {
    of.file(name, content).to_str().unwrap().to_owned()
}

/// A store with nothing but the authority's certificate.
fn pkcs12_of_trusted(of: &Certificates) -> String {
    let mut trusted = Stack::new().unwrap();
    trusted.push(X509::from_der(of.authority.der()).unwrap()).unwrap();
    let mut builder = Pkcs12::builder();
    builder.ca(trusted);
    file(of, "trusted.p12", &builder.build2(PASSWORD).unwrap().to_der().unwrap())
}

/// Reads a record whose schema is to be fetched from there.
async fn fetch(registry: &FakeRegistry, settings: &[(&str, &str)]) -> Result<(), Outage> {
    registry.put("t-value", "AVRO", r#""int""#, serde_json::json!([]));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (format!("schema.registry.ssl.{key}"), *value)).collect();
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let mut converters = try_converters(&registry.url, &settings, &Arc::new(SchemaTable::default())).unwrap();
    let mut batch = BatchBuilder::default();
    batch.push(Record { topic: "t", value: Some(&framed(1, &[10])), ..Record::default() }, []);
    let read = converters.decode(batch.finish()).await.map_err(|postponed| postponed.outage)?;
    assert_eq!(values(&read), [b"5"]);
    Ok(())
}

#[tokio::test]
async fn a_registry_is_trusted_by_its_authority() {
    let (made, other) = (Certificates::new(), Certificates::new());
    let registry = FakeRegistry::start_with(Some(server(&made, false))).await;
    let pem = made.authority.pem();
    let (file, archive) = (file(&made, "trusted.pem", pem.as_bytes()), pkcs12_of_trusted(&made));
    for settings in [
        &[("truststore.location", file.as_str()), ("truststore.type", "PEM")][..],
        &[("truststore.certificates", &pem)],
        &[("truststore.location", &archive), ("truststore.password", PASSWORD), ("truststore.type", "PKCS12")],
        // Java opens a PKCS12 file where JKS is said.
        &[("truststore.location", &archive), ("truststore.password", PASSWORD), ("truststore.type", "JKS")],
    ] {
        fetch(&registry, settings).await.unwrap();
    }
    let wrong = other.authority.pem();
    for settings in [&[("truststore.certificates", wrong.as_str())][..], &[]] {
        let outage = fetch(&registry, settings).await.unwrap_err();
        let text = &outage.message;
        assert!(!outage.passing && text.contains("is not trusted (") && text.contains("truststore.location"), "{text}");
        assert!(text.contains(&registry.url), "{text}");
    }
    // The certificate is of localhost alone.
    let mut by_address = registry.clone();
    by_address.url = registry.url.replace("localhost", "127.0.0.1");
    let text = fetch(&by_address, &[("truststore.certificates", &pem)]).await.unwrap_err().message;
    assert!(text.contains("NotValidForName"), "{text}");
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let made = Certificates::new();
    let registry = FakeRegistry::start_with(Some(server(&made, true))).await;
    let trusted = made.authority.pem();
    let trust = ("truststore.certificates", trusted.as_str());
    let (chain, key, encrypted) = (made.certificate.pem(), made.key.serialize_pem(), made.encrypted_key());
    let (both, archive) =
        (file(&made, "client.pem", (chain.clone() + &key).as_bytes()), file(&made, "client.p12", &made.pkcs12(PASSWORD)));
    for settings in [
        &[trust, ("keystore.location", both.as_str())][..],
        &[trust, ("keystore.certificate.chain", &chain), ("keystore.key", &key)],
        &[trust, ("keystore.certificate.chain", &chain), ("keystore.key", &encrypted), ("key.password", PASSWORD)],
        &[trust, ("keystore.location", &archive), ("keystore.password", PASSWORD)],
    ] {
        fetch(&registry, settings).await.unwrap();
    }
    let outage = fetch(&registry, &[trust]).await.unwrap_err();
    assert!(!outage.passing && outage.message.contains("ssl.keystore.location"), "{outage}");
}

#[test]
fn stores_that_cannot_be_read_say_why() {
    let made = Certificates::new();
    let (archive, java) = (pkcs12_of_trusted(&made), file(&made, "store.jks", b"\xfe\xed\xfe\xed\0\0\0\x02"));
    let text = file(&made, "text", b"no store");
    for (settings, key, reason) in [
        (&[("truststore.location", archive.as_str())][..], "truststore.password", "does not open"),
        (&[("truststore.location", &archive), ("truststore.password", "wrong")], "truststore.password", "does not open"),
        (&[("truststore.location", &java)], "truststore.location", "keytool -importkeystore"),
        (&[("truststore.location", &text)], "truststore.location", "no certificate"),
        (&[("truststore.location", "/does/not/exist")], "truststore.location", "cannot be read"),
        (&[("keystore.location", &archive), ("keystore.password", PASSWORD)], "keystore.location", "no certificate with its key"),
        (&[("keystore.certificate.chain", &made.certificate.pem())], "keystore.certificate.chain", "no private key"),
        (&[("endpoint.identification.algorithm", "")], "endpoint.identification.algorithm", "always checked"),
    ] {
        let settings: Vec<_> = settings.iter().map(|(key, value)| (format!("schema.registry.ssl.{key}"), *value)).collect();
        let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let error = try_converters("https://localhost", &settings, &Arc::new(SchemaTable::default())).unwrap_err();
        assert_eq!(error.key, format!("value.converter.schema.registry.ssl.{key}"));
        assert!(error.message.contains(reason) && !error.message.contains(PASSWORD), "{error}");
    }
}
