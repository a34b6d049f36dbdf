//! HTTPS listeners with certificates made for the test: PEM and PKCS12, files and text, clients with and without a certificate.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::config::testing::{Certificates, PASSWORD};
use crate::config::{ClientAuth, TlsSettings, TlsStore};
use crate::rest::extract::BaseUrl;
use crate::rest::{serve, server_config};

/// A client that trusts the authority, with a certificate or without.
fn client(of: &Certificates, with_certificate: bool) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(of.roots());
    match with_certificate {
        false => builder.with_no_client_auth(),
        true => {
            let (chain, key) = of.chain();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

fn settings(keystore: TlsStore) -> TlsSettings {
    TlsSettings {
        prefix: "listeners.https.",
        keystore,
        key_password: None,
        truststore: TlsStore::default(),
        client_auth: ClientAuth::None,
        protocols: vec!["TLSv1.2".to_owned(), "TLSv1.3".to_owned()],
        cipher_suites: Vec::new(),
    }
}

/// What a client gets from a listener with these settings: where it is, as the worker tells, or why there was no answer.
async fn ask(settings: &TlsSettings, client: ClientConfig) -> Result<String, std::io::Error> {
    let tls = server_config(settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let router = Router::new().route("/", get(|base: BaseUrl| async move { base.0 }));
    let server = tokio::spawn(serve(listener, Some(tls), router, stop.clone()));
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: worker:8443\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
    };
    let asked = asked.await;
    stop.cancel();
    server.await.unwrap();
    asked
}

#[tokio::test]
async fn certificates_are_read_from_every_store() {
    let made = Certificates::new();
    let (chain, key) = (made.certificate.pem(), made.key.serialize_pem());
    let password = || Some(PASSWORD.to_owned());
    let both = made.file("both.pem", format!("{chain}{key}").as_bytes());
    let archive = made.file("store.p12", &made.pkcs12(PASSWORD));
    let encrypted = made.file("encrypted.pem", format!("{chain}{}", made.encrypted_key()).as_bytes());
    let stores = [
        (TlsStore { location: Some(both), ..TlsStore::default() }, None),
        (TlsStore { location: Some(archive), password: password(), ..TlsStore::default() }, None),
        (TlsStore { location: Some(encrypted), ..TlsStore::default() }, password()),
        (TlsStore { certificates: Some(chain.clone()), key: Some(key), ..TlsStore::default() }, None),
        (TlsStore { certificates: Some(chain), key: Some(made.encrypted_key()), ..TlsStore::default() }, password()),
    ];
    for (store, key_password) in stores {
        for protocols in [&["TLSv1.2"][..], &["TLSv1.3"], &["TLSv1.2", "TLSv1.3"]] {
            let protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
            let settings = TlsSettings { key_password: key_password.clone(), protocols, ..settings(store.clone()) };
            assert_eq!(ask(&settings, client(&made, false)).await.unwrap(), "https://worker:8443");
        }
    }
}

#[tokio::test]
async fn clients_show_certificates_if_they_are_asked() {
    let made = Certificates::new();
    let store =
        TlsStore { certificates: Some(made.certificate.pem()), key: Some(made.key.serialize_pem()), ..TlsStore::default() };
    let trusted = TlsStore { certificates: Some(made.authority.pem()), ..TlsStore::default() };
    let trusted_file = TlsStore { location: Some(made.file("ca.pem", made.authority.pem().as_bytes())), ..TlsStore::default() };
    for truststore in [trusted, trusted_file] {
        for (client_auth, with_certificate, is_answered) in [
            (ClientAuth::None, false, true),
            (ClientAuth::Requested, false, true),
            (ClientAuth::Requested, true, true),
            (ClientAuth::Required, true, true),
            (ClientAuth::Required, false, false),
        ] {
            let settings = TlsSettings { client_auth, truststore: truststore.clone(), ..settings(store.clone()) };
            let answer = ask(&settings, client(&made, with_certificate)).await;
            assert_eq!(answer.is_ok(), is_answered, "{client_auth:?} {with_certificate}: {answer:?}");
        }
        // A certificate of another authority.
        let stranger = Certificates::new();
        let mut client = client(&stranger, true);
        client.dangerous().set_certificate_verifier(Arc::new(trust::Anyone));
        let settings = TlsSettings { client_auth: ClientAuth::Required, truststore, ..settings(store.clone()) };
        assert!(ask(&settings, client).await.is_err());
    }
}

mod trust {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    /// A client that trusts whoever answers: what is tested is the server.
    #[derive(Debug)]
    pub(super) struct Anyone;

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}

#[test]
fn what_is_wrong_is_said_by_its_key_and_without_secrets() {
    let made = Certificates::new();
    let (chain, key) = (made.certificate.pem(), made.key.serialize_pem());
    let check = |settings: TlsSettings, key: &str, part: &str| {
        let message = server_config(&settings).unwrap_err().to_string();
        assert!(message.starts_with(&format!("listeners.https.{key}: ")) && message.contains(part), "{message}");
        assert!(!message.contains(PASSWORD), "{message}");
    };
    let at_file = |path: PathBuf| TlsStore { location: Some(path), password: Some(PASSWORD.to_owned()), ..TlsStore::default() };
    let inline = |chain: &str, key: &str| TlsStore {
        certificates: Some(chain.to_owned()),
        key: Some(key.to_owned()),
        ..TlsStore::default()
    };
    let location = "ssl.keystore.location";
    check(settings(TlsStore::default()), location, "an https listener needs it");
    check(settings(at_file("/does/not/exist".into())), location, "cannot be read");
    check(settings(at_file(made.file("jks", b"\xfe\xed\xfe\xed\0\0\0\x02"))), location, "keytool -importkeystore");
    check(settings(at_file(made.file("junk", b"\xff\xfe"))), location, "no certificate in PEM form");
    check(settings(at_file(made.file("empty", b""))), location, "no certificate in PEM form");
    check(settings(at_file(made.file("chain.pem", chain.as_bytes()))), location, "no private key in PEM form");
    check(settings(at_file(made.file("other.p12", &made.pkcs12("other")))), "ssl.keystore.password", "does not open with it");
    check(
        settings(at_file(made.file("cut.p12", &made.pkcs12(PASSWORD)[..100]))),
        "ssl.keystore.password",
        "does not open with it",
    );
    check(settings(inline("x", &key)), "ssl.keystore.certificate.chain", "no certificate in PEM form");
    check(settings(inline(&chain, "x")), "ssl.keystore.key", "no private key in PEM form");
    check(settings(inline(&chain, &made.encrypted_key())), "ssl.keystore.key", "set ssl.key.password");
    let good = || settings(inline(&chain, &key));
    check(
        TlsSettings { key_password: Some("geheimnis".to_owned()), ..settings(inline(&chain, &made.encrypted_key())) },
        "ssl.key.password",
        "does not open with it",
    );
    check(
        TlsSettings { keystore: inline(&chain, &Certificates::new().key.serialize_pem()), ..good() },
        location,
        "cannot be used",
    );
    check(TlsSettings { client_auth: ClientAuth::Required, ..good() }, "ssl.truststore.location", "ssl.client.auth needs it");
    let truststore = TlsStore { certificates: Some(key.clone()), ..TlsStore::default() };
    check(
        TlsSettings { client_auth: ClientAuth::Requested, truststore, ..good() },
        "ssl.truststore.certificates",
        "no certificate",
    );
    check(TlsSettings { protocols: vec!["SSLv3".to_owned()], ..good() }, "ssl.enabled.protocols", "TLSv1.2, TLSv1.3");
    check(TlsSettings { cipher_suites: vec!["RC4".to_owned()], ..good() }, "ssl.cipher.suites", "TLS_AES_128_GCM_SHA256");
    let suites = vec!["TLS_AES_256_GCM_SHA384".to_owned()];
    assert!(server_config(&TlsSettings { cipher_suites: suites.clone(), ..good() }).is_ok());
    let protocols = vec!["TLSv1.2".to_owned()];
    check(TlsSettings { cipher_suites: suites, protocols, ..good() }, "ssl.cipher.suites", "none of them fits");
}
