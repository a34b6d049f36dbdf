//! HTTPS listeners with certificates made for the test: PEM and PKCS12, files and text, clients with and without a certificate.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::config::{ClientAuth, TlsSettings, TlsStore};
use crate::rest::extract::BaseUrl;
use crate::rest::{serve, server_config};

/// An authority, and a certificate of it that serves for either side.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    key: KeyPair,
    dir: TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        Certificates { authority, certificate, key, dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &[u8]) -> Option<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    }

    fn pkcs12(&self, password: &str) -> Vec<u8> {
        let key = PKey::private_key_from_der(&self.key.serialize_der()).unwrap();
        let certificate = X509::from_der(self.certificate.der()).unwrap();
        Pkcs12::builder().name("worker").pkey(&key).cert(&certificate).build2(password).unwrap().to_der().unwrap()
    }

    fn encrypted_key(&self) -> String {
        let key = PKey::private_key_from_der(&self.key.serialize_der()).unwrap();
        let pem = key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"geheim").unwrap();
        String::from_utf8(pem).unwrap()
    }

    /// A client that trusts the authority, with a certificate or without.
    fn client(&self, with_certificate: bool) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        match with_certificate {
            false => builder.with_no_client_auth(),
            true => {
                let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
                builder.with_client_auth_cert(vec![self.certificate.der().clone()], key.into()).unwrap()
            }
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
    let password = || Some("geheim".to_owned());
    let both = made.file("both.pem", format!("{chain}{key}").as_bytes());
    let archive = made.file("store.p12", &made.pkcs12("geheim"));
    let encrypted = made.file("encrypted.pem", format!("{chain}{}", made.encrypted_key()).as_bytes());
    let stores = [
        (TlsStore { location: both, ..TlsStore::default() }, None),
        (TlsStore { location: archive, password: password(), ..TlsStore::default() }, None),
        (TlsStore { location: encrypted, ..TlsStore::default() }, password()),
        (TlsStore { certificates: Some(chain.clone()), key: Some(key), ..TlsStore::default() }, None),
        (TlsStore { certificates: Some(chain), key: Some(made.encrypted_key()), ..TlsStore::default() }, password()),
    ];
    for (store, key_password) in stores {
        for protocols in [&["TLSv1.2"][..], &["TLSv1.3"], &["TLSv1.2", "TLSv1.3"]] {
            let protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
            let settings = TlsSettings { key_password: key_password.clone(), protocols, ..settings(store.clone()) };
            assert_eq!(ask(&settings, made.client(false)).await.unwrap(), "https://worker:8443");
        }
    }
}

#[tokio::test]
async fn clients_show_certificates_if_they_are_asked() {
    let made = Certificates::new();
    let store =
        TlsStore { certificates: Some(made.certificate.pem()), key: Some(made.key.serialize_pem()), ..TlsStore::default() };
    let trusted = TlsStore { certificates: Some(made.authority.pem()), ..TlsStore::default() };
    let trusted_file = TlsStore { location: made.file("ca.pem", made.authority.pem().as_bytes()), ..TlsStore::default() };
    for truststore in [trusted, trusted_file] {
        for (client_auth, with_certificate, is_answered) in [
            (ClientAuth::None, false, true),
            (ClientAuth::Requested, false, true),
            (ClientAuth::Requested, true, true),
            (ClientAuth::Required, true, true),
            (ClientAuth::Required, false, false),
        ] {
            let settings = TlsSettings { client_auth, truststore: truststore.clone(), ..settings(store.clone()) };
            let answer = ask(&settings, made.client(with_certificate)).await;
            assert_eq!(answer.is_ok(), is_answered, "{client_auth:?} {with_certificate}: {answer:?}");
        }
        // A certificate of another authority.
        let stranger = Certificates::new();
        let mut client = stranger.client(true);
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
        assert!(!message.contains("geheim"), "{message}");
    };
    let at = |location: Option<PathBuf>| TlsStore { location, password: Some("geheim".to_owned()), ..TlsStore::default() };
    let inline = |chain: &str, key: &str| TlsStore {
        certificates: Some(chain.to_owned()),
        key: Some(key.to_owned()),
        ..TlsStore::default()
    };
    let location = "ssl.keystore.location";
    check(settings(TlsStore::default()), location, "an https listener needs it");
    check(settings(at(Some("/does/not/exist".into()))), location, "cannot be read");
    check(settings(at(made.file("jks", b"\xfe\xed\xfe\xed\0\0\0\x02"))), location, "keytool -importkeystore");
    check(settings(at(made.file("junk", b"\xff\xfe"))), location, "no certificate in PEM form");
    check(settings(at(made.file("empty", b""))), location, "no certificate in PEM form");
    check(settings(at(made.file("chain.pem", chain.as_bytes()))), location, "no private key in PEM form");
    check(settings(at(made.file("other.p12", &made.pkcs12("other")))), "ssl.keystore.password", "does not open with it");
    check(settings(at(made.file("cut.p12", &made.pkcs12("geheim")[..100]))), "ssl.keystore.password", "does not open with it");
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
        TlsSettings { keystore: inline(&chain, &KeyPair::generate().unwrap().serialize_pem()), ..good() },
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
