//! The REST API over TLS: clients check the worker, and the worker its clients.

use std::path::Path;
use std::process::{Command, Stdio};

use hawser_e2e::{Deadline, Kafka, Plugin, Rest, Worker, wait_for};
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
        let file = |name: &str, content: &str| {
            std::fs::write(dir.join(name), content).expect("a store");
            dir.join(name).display().to_string()
        };
        let own = file("key.pem", &format!("{}{}", self.chain, self.key));
        let trusted = file("trust.pem", &self.authority);
        let (keystore, truststore) = ("ssl.keystore.location", "ssl.truststore.location");
        if kind == "PEM" {
            return vec![(keystore, own), (truststore, trusted)];
        }
        let password = format!("pass:{PASSWORD}");
        let archive = |name: &str, from: &[&str]| {
            let path = dir.join(name);
            let export =
                Command::new("openssl").args(["pkcs12", "-export", "-passout", &password, "-out"]).arg(&path).args(from).status();
            assert!(export.expect("openssl").success());
            path.display().to_string()
        };
        vec![
            (keystore, archive("key.p12", &["-in", &own])),
            ("ssl.keystore.password", PASSWORD.to_owned()),
            (truststore, archive("trust.p12", &["-nokeys", "-in", &trusted])),
            ("ssl.truststore.password", PASSWORD.to_owned()),
        ]
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
        let openssl = Command::new("openssl").arg("version").stdout(Stdio::null()).status();
        if kind == "PKCS12" && !openssl.is_ok_and(|status| status.success()) {
            println!("NOT RUN: PKCS12, because there is no openssl to make it; the worker's unit tests have it");
            continue;
        }
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
        let status = wait_for("a status", Deadline::SHORT, || rest.status("over%20tls"));
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
