//! The REST API over TLS: clients check the worker, and the worker its clients.

use std::path::{Path, PathBuf};

use hawser_e2e::{Kafka, Plugin, Rest, Worker};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::stack::Stack;
use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, ClientBuilder, Identity, Method};
use serde_json::json;
use tempfile::TempDir;

const PASSWORD: &str = "geheim";

/// An authority, and a certificate of it that serves for either side.
struct Certificates {
    authority: String,
    chain: String,
    key: String,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority");
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &authority).expect("certificate");
        Certificates { authority: authority.pem(), chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A key store and a trust store in these forms: the keys of the worker that name them.
    fn stores(&self, dir: &Path, kind: &str) -> Vec<(&'static str, String)> {
        let file = |name: &str, content: &[u8]| {
            let path: PathBuf = dir.join(name);
            std::fs::write(&path, content).expect("a store");
            path.display().to_string()
        };
        let certificate = |pem: &str| X509::from_pem(pem.as_bytes()).expect("certificate");
        match kind {
            "PEM" => vec![
                ("ssl.keystore.location", file("key.pem", format!("{}{}", self.chain, self.key).as_bytes())),
                ("ssl.truststore.location", file("trust.pem", self.authority.as_bytes())),
            ],
            _ => {
                let key = PKey::private_key_from_pem(self.key.as_bytes()).expect("key");
                let own = Pkcs12::builder().name("worker").pkey(&key).cert(&certificate(&self.chain)).build2(PASSWORD);
                let mut trusted = Stack::new().expect("stack");
                trusted.push(certificate(&self.authority)).expect("push");
                let trust = Pkcs12::builder().ca(trusted).build2(PASSWORD);
                let bytes = |store: Result<Pkcs12, openssl::error::ErrorStack>| store.expect("store").to_der().expect("DER");
                vec![
                    ("ssl.keystore.location", file("key.p12", &bytes(own))),
                    ("ssl.keystore.password", PASSWORD.to_owned()),
                    ("ssl.truststore.location", file("trust.p12", &bytes(trust))),
                    ("ssl.truststore.password", PASSWORD.to_owned()),
                ]
            }
        }
    }

    /// A client that trusts the authority.
    fn trusting(&self) -> ClientBuilder {
        let authority = Certificate::from_pem(self.authority.as_bytes()).expect("authority");
        ClientBuilder::new().tls_certs_only([authority])
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(format!("{}{}", self.chain, self.key).as_bytes()).expect("identity")
    }
}

#[test]
fn clients_and_worker_check_each_other() {
    let (made, stranger) = (Certificates::new(), Certificates::new());
    for (kind, prefix) in [("PEM", "listeners.https."), ("PKCS12", "")] {
        let dir = TempDir::new().expect("temporary folder");
        let mut builder = Worker::standalone(Kafka::shared())
            .own_listeners()
            .set("listeners", "https://127.0.0.1:0")
            .set(&format!("{prefix}ssl.client.auth"), "required");
        for (key, value) in made.stores(dir.path(), kind) {
            builder = builder.set(&format!("{prefix}{key}"), &value);
        }
        let worker = builder.start();
        let url = worker.rest().url().to_owned();
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");

        let rest = Rest::with(&url, made.trusting().identity(made.identity()));
        rest.upload(&Plugin::built("file"));
        let config = json!({"connector.class": "FileStreamSource", "topic": "t", "file": "/nowhere"});
        let created = rest.post("/connectors", &json!({"name": "over tls", "config": config, "initial_state": "STOPPED"}));
        assert_eq!(created.headers["location"], format!("{url}/connectors/over%20tls"), "{kind}");
        created.expect(201);
        let status = rest.status("over%20tls").expect("a status");
        assert_eq!(status["connector"]["worker_id"], url.trim_start_matches("https://"), "{kind}");

        let refused = |what: &str, client: ClientBuilder, url: &str| {
            let answer = Rest::with(url, client).try_send(Method::GET, "/connectors", None);
            assert!(answer.is_err(), "{kind}, {what}: {answer:?}");
        };
        refused("no certificate", made.trusting(), &url);
        refused("a certificate of someone else", made.trusting().identity(stranger.identity()), &url);
        refused("a worker that the client does not trust", stranger.trusting().identity(made.identity()), &url);
        refused("no TLS", ClientBuilder::new(), &url.replace("https", "http"));
        // And it serves on.
        rest.get("/connectors").expect(200);
        assert!(!worker.log().contains(PASSWORD));
    }
}

/// The administration on a listener of its own, which is open, while the public one is not.
#[test]
fn listeners_of_both_kinds_serve_side_by_side() {
    let (made, dir) = (Certificates::new(), TempDir::new().expect("temporary folder"));
    let mut builder =
        Worker::standalone(Kafka::shared()).own_listeners().set("listeners", "https://127.0.0.1:0,http://127.0.0.1:0");
    for (key, value) in made.stores(dir.path(), "PEM") {
        builder = builder.set(&format!("listeners.https.{key}"), &value);
    }
    let worker = builder.start();
    let rest = Rest::with(worker.rest().url(), made.trusting());
    rest.get("/").expect(200);
    // Others reach it by http, as Kafka Connect chooses: that is where a connector of this worker runs.
    let plain = rest.get("/health").expect(200);
    assert_eq!(plain["status"], "healthy");
}
