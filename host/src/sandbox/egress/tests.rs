//! What a plugin reaches over the network, told by the fixture of `tests/fixtures/hostile`.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::{HostsFile, Resolver};
use crate::sandbox::tests::fixture::{OneOffset, config, env, wasm, workspace};
use crate::sandbox::{Grants, InstanceEnv, InstanceLimits, Sandbox, SandboxOptions};

/// Names with the answers that they get one after the other; the last one stays.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(names: &[(&'static str, &[&[&str]])]) -> Arc<Names> {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let answers = names.iter().map(|(name, answers)| (*name, answers.iter().map(parse).collect())).collect();
        Arc::new(Names { answers: Mutex::new(answers), asked: AtomicUsize::default() })
    }
}

#[async_trait]
impl Resolver for Names {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

fn sandbox(names: Arc<Names>, ca_file: Option<std::path::PathBuf>) -> Sandbox {
    let cache = workspace().join("target/fixtures/cache");
    let options = SandboxOptions { resolver: names, ca_file, max_instances: 8, ..SandboxOptions::new(cache) };
    Sandbox::new(options).unwrap()
}

/// What the plugin tells of a thing that it did at start.
async fn told_by(sandbox: &Sandbox, pairs: &[(&str, &str)], limits: InstanceLimits) -> String {
    let config = config(pairs);
    let env = InstanceEnv { grants: Grants::parse(&config).unwrap(), ..env(limits) };
    let component = sandbox.load(wasm()).await.unwrap();
    let started = component.start_source("HostileSource", &config, env, Arc::new(OneOffset)).await;
    started.err().map_or("nothing".to_owned(), |error| error.to_string())
}

async fn told(names: &[(&'static str, &[&[&str]])], pairs: &[(&str, &str)]) -> String {
    told_by(&sandbox(Names::new(names), None), pairs, InstanceLimits::default()).await
}

/// A server on the loopback that answers every request alike and keeps what it was sent.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: &str) -> Server {
        Server::with(answer, None).await
    }

    async fn with(answer: &str, tls: Option<tokio_rustls::TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (Arc::default(), Arc::<AtomicUsize>::default());
        let (kept, counted, answer) = (Arc::clone(&requests), connections.clone(), answer.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let (kept, answer, tls) = (Arc::clone(&kept), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer, &kept).await;
                            }
                        }
                        None => serve(stream, &answer, &kept).await,
                    }
                });
            }
        });
        Server { port, requests, connections, task }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/path", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, kept: &Mutex<Vec<String>>) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(read) => request += &String::from_utf8_lossy(&bytes[..read]),
            }
        }
        kept.lock().unwrap().push(request);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if answer.contains("endless") {
            while stream.write_all(&bytes).await.is_ok() {}
        }
    }
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn names_lead_where_they_are_granted_to_lead() {
    let server = Server::start(HELLO).await;
    let port = server.port;
    let url = format!("http://API.test.:{port}/x");
    let names: &[(&'static str, &[&[&str]])] = &[("api.test", &[&["127.0.0.1"]])];
    let told = async |http: &str| told(names, &[("start", "http"), ("url", &url), ("sandbox.http", http)]).await;

    let by_name = told(&format!("api.test:{port}")).await;
    assert!(
        by_name.contains("DestinationIpProhibited") && by_name.contains("leads to 127.0.0.1, a loopback address"),
        "{by_name}"
    );
    assert!(by_name.contains(&format!("add `http://127.0.0.1:{port}` to sandbox.http")), "{by_name}");
    for still in [format!("api.test:{port}+private"), "*:*".to_owned(), format!("*:*,127.0.0.2:{port}")] {
        assert!(told(&still).await.contains("DestinationIpProhibited"), "{still}");
    }
    for not_the_name in [format!("127.0.0.1:{port}"), "other.test:*".to_owned(), format!("https://api.test:{port}")] {
        let refused = told(&not_the_name).await;
        assert!(refused.contains("HttpRequestDenied"), "{refused}");
        assert!(refused.contains(&format!("add `http://api.test:{port}` to sandbox.http")), "{refused}");
    }
    assert!(server.requests().is_empty());
    let granted = told(&format!("http://*.test:{port},127.0.0.0/8:{port}")).await;
    assert!(granted.contains("status 200, 5 bytes: hello"), "{granted}");
    let request = server.requests().remove(0).to_lowercase();
    assert!(request.starts_with("get /x http/1.1\r\n") && request.contains(&format!("host: api.test:{port}\r\n")), "{request}");
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_where_it_leads() {
    let server = Server::start(HELLO).await;
    let names = Names::new(&[("turn.test", &[&["127.0.0.1"], &["127.0.0.2"], &["10.255.255.1", "127.0.0.1"]])]);
    let sandbox = sandbox(names.clone(), None);
    let (url, http) = (format!("http://turn.test:{}/", server.port), format!("turn.test:*,127.0.0.1:{}", server.port));
    let told =
        async || told_by(&sandbox, &[("start", "http"), ("url", &url), ("sandbox.http", &http)], InstanceLimits::default()).await;
    assert!(told().await.contains("status 200"));
    let refused = told().await;
    assert!(refused.contains("DestinationIpProhibited") && refused.contains("leads to 127.0.0.2"), "{refused}");
    assert!(told().await.contains("status 200"), "of two addresses the granted one is dialled");
    assert_eq!(names.asked.load(Ordering::Relaxed), 3, "one look-up for each connection");
}

#[tokio::test]
async fn names_of_a_file_lead_where_it_says_now() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| std::fs::write(file.path(), text).unwrap();
    let open = || HostsFile::open(file.path().to_owned());
    write("# none\n\n127.0.0.1  one.test Two.test. # two\n::1 one.test\n");
    let hosts = open().unwrap();
    let lookup = async |name: &str| hosts.lookup(name).await.map(|found| found.iter().map(IpAddr::to_string).collect::<Vec<_>>());
    assert_eq!(lookup("one.test").await.unwrap(), ["127.0.0.1", "::1"]);
    assert_eq!(lookup("two.test").await.unwrap(), ["127.0.0.1"]);
    assert!(lookup("localhost").await.unwrap().contains(&"127.0.0.1".to_owned()), "the system knows this one");
    write("10.0.0.1 one.test");
    assert_eq!(lookup("one.test").await.unwrap(), ["10.0.0.1"]);
    for (text, expect) in
        [("127.0.0.1 a.test\none.test", "line 2: `one.test` is no address"), ("::1 a/b", "line 1: `a/b` is no name")]
    {
        write(text);
        assert!(open().unwrap_err().contains(expect));
        assert!(lookup("one.test").await.is_err() && lookup("localhost").await.is_err(), "nothing is guessed");
    }
    write(&"#".repeat((1 << 20) + 1));
    assert!(open().unwrap_err().contains("larger than 1048576 bytes"));
}

#[tokio::test]
async fn a_redirect_is_a_request_of_its_own() {
    let target = Server::start(HELLO).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url());
    let first = Server::start(&redirect).await;
    let http = format!("127.0.0.1:{}", first.port);
    let refused = told(&[], &[("start", "http"), ("url", &first.url()), ("sandbox.http", &http)]).await;
    assert!(refused.contains("HttpRequestDenied") && target.requests().is_empty(), "{refused}");
    assert!(refused.contains(&format!("add `http://127.0.0.1:{}` to sandbox.http", target.port)), "{refused}");
    let both = format!("{http},127.0.0.1:{}", target.port);
    let followed = told(&[], &[("start", "http"), ("url", &first.url()), ("sandbox.http", &both)]).await;
    assert!(followed.contains("hello"), "{followed}");
}

#[tokio::test]
async fn other_notations_of_an_address_are_that_address() {
    let server = Server::start(NO_CONTENT).await;
    let port = server.port;
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.01", "127.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"] {
        let url = format!("http://{host}:{port}/");
        let told = async |http: &str| told(&[], &[("start", "http"), ("url", &url), ("sandbox.http", http)]).await;
        let refused = told("*:*+private").await;
        assert!(refused.contains("DestinationIpProhibited"), "{host}: {refused}");
        let granted = told(&format!("127.0.0.1:{port}")).await;
        assert!(granted.contains("status 204"), "{host}: {granted}");
    }
    for authority in [format!("127.0.0.1:{port}@example.com"), "127.0.0.1:99999".to_owned(), "127.0.0.1:0".to_owned()] {
        let url = format!("http://{authority}/");
        let refused = told(&[], &[("start", "http"), ("url", &url), ("sandbox.http", "*:*,0.0.0.0/0:*")]).await;
        assert!(refused.contains("no address") || refused.contains("HttpRequestUriInvalid"), "{authority}: {refused}");
    }
}

#[tokio::test]
async fn secrets_are_used_and_never_seen() {
    let server = Server::start(NO_CONTENT).await;
    let (url, port) = (server.url(), server.port);
    let http = format!("127.0.0.1:{port}");
    let told = async |hosts: &str, header: &str, start: &str| {
        let pairs = [
            ("start", start),
            ("url", &url),
            ("header", header),
            ("sandbox.http", &http),
            ("sandbox.secret.token", "s3cret"),
            ("sandbox.secret.token.hosts", hosts),
        ];
        told(&[], &pairs).await
    };
    let bound = format!("http://127.0.0.1:{port}");
    let answered = told(&bound, "authorization: Bearer {{secret:token}}", "http").await;
    assert!(answered.contains("status 204"), "{answered}");
    assert!(server.requests().remove(0).contains("Bearer s3cret"));
    let unbound = told("https://api.test", "authorization: Bearer {{secret:token}}", "http").await;
    assert!(unbound.contains("HttpRequestDenied") && unbound.contains("sandbox.secret.token.hosts"), "{unbound}");
    let plain = told(&format!("127.0.0.1:{port}"), "authorization: {{secret:token}}", "http").await;
    assert!(plain.contains("without encryption only with `http://`"), "{plain}");
    let unknown = told(&bound, "authorization: {{secret:other}}", "http").await;
    assert!(unknown.contains("set sandbox.secret.other"), "{unknown}");
    assert_eq!(server.requests().len(), 1);
    let config = told(&bound, "x: y", "config").await;
    assert!(config.contains("sandbox.http") && !config.contains("sandbox.secret") && !config.contains("s3cret"), "{config}");
    for told in [unbound, plain, unknown, answered] {
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[tokio::test]
async fn bodies_and_connections_are_bounded() {
    let endless = Server::start("HTTP/1.1 200 OK\r\nx: endless\r\n\r\n").await;
    let (url, http) = (endless.url(), format!("127.0.0.1:{}", endless.port));
    let small = InstanceLimits { http_body_bytes: 1 << 20, ..InstanceLimits::default() };
    let pairs = [("start", "http"), ("url", url.as_str()), ("sandbox.http", http.as_str())];
    let cut = told_by(&sandbox(Names::new(&[]), None), &pairs, small).await;
    assert!(cut.contains("after 10") && cut.contains("raise sandbox.http.body.bytes"), "{cut}");

    let server = Server::start(HELLO).await;
    let (url, http) = (server.url(), format!("127.0.0.1:{}", server.port));
    let pairs = [("start", "http"), ("url", url.as_str()), ("sandbox.http", http.as_str()), ("times", "20")];
    assert!(told(&[], &pairs).await.contains("hello"));
    assert_eq!((server.requests().len(), server.connections.load(Ordering::Relaxed)), (20, 1), "one connection for all");
}

#[tokio::test]
async fn the_host_checks_certificates() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["tls.test".to_owned()]).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth();
    let tls = tls.with_single_cert(vec![leaf.der().clone()], key.serialize_der().try_into().unwrap()).unwrap();
    let server = Server::with(HELLO, Some(Arc::new(tls).into())).await;
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), ca_certificate.pem()).unwrap();

    let names: &[(&'static str, &[&[&str]])] = &[("tls.test", &[&["127.0.0.1"]]), ("other.test", &[&["127.0.0.1"]])];
    let http = format!("https://*.test:{0},127.0.0.1:{0}", server.port);
    let told = async |name: &str, ca_file: Option<std::path::PathBuf>| {
        let url = format!("https://{name}:{}/", server.port);
        let pairs = [("start", "http"), ("url", url.as_str()), ("sandbox.http", http.as_str())];
        told_by(&sandbox(Names::new(names), ca_file), &pairs, InstanceLimits::default()).await
    };
    let trusted = told("tls.test", Some(ca_file.path().to_owned())).await;
    assert!(trusted.contains("hello"), "{trusted}");
    let unknown = told("tls.test", None).await;
    assert!(unknown.contains("TlsCertificateError") && unknown.contains("hawser.sandbox.http.ca.file"), "{unknown}");
    for name in ["other.test", "127.0.0.1"] {
        let wrong = told(name, Some(ca_file.path().to_owned())).await;
        assert!(wrong.contains("TlsCertificateError"), "{name}: {wrong}");
    }
    std::fs::write(ca_file.path(), "no certificate").unwrap();
    let options = SandboxOptions {
        ca_file: Some(ca_file.path().to_owned()),
        ..SandboxOptions::new(workspace().join("target/fixtures/cache"))
    };
    let refused = Sandbox::new(options).err().unwrap().to_string();
    assert!(refused.starts_with("hawser.sandbox.http.ca.file: "), "{refused}");
}

#[tokio::test]
async fn sockets_go_where_they_are_granted() {
    let server = Server::start(HELLO).await;
    let port = server.port;
    let names: &[(&'static str, &[&[&str]])] = &[("db.test", &[&["127.0.0.1"]])];
    let told = async |address: &str, tcp: &str, times: &str| {
        let pairs = [("start", "connect"), ("address", address), ("sandbox.tcp", tcp), ("times", times)];
        told(names, &pairs).await
    };
    let (by_name, by_address) = (format!("db.test:{port}"), format!("127.0.0.1:{port}"));
    assert!(told(&by_address, &by_address, "1").await.contains("Ok after 1"));
    assert!(told(&by_name, &format!("{by_name},127.0.0.1:{port}"), "1").await.contains("Ok after 1"));
    let missing = told(&by_address, "", "1").await;
    assert!(
        missing.contains(&format!("TCP to {by_address} is not granted; to grant it, add `{by_address}` to sandbox.tcp")),
        "{missing}"
    );
    let missing = told(&by_name, "", "1").await;
    assert!(missing.contains("the look-up of db.test is not granted"), "{missing}");
    let inner = told(&by_name, &format!("{by_name}+private"), "1").await;
    assert!(inner.contains("leads to 127.0.0.1, a loopback address"), "{inner}");
    let other_port = told(&by_address, &format!("127.0.0.1:{}", port.wrapping_add(1).max(1)), "1").await;
    assert!(other_port.contains("is not granted"), "{other_port}");
    let unasked = told(&by_address, &format!("{by_name},10.0.0.0/8:*"), "1").await;
    assert!(unasked.contains("is not granted"), "an address that no look-up found: {unasked}");
    let many = told(&by_address, &by_address, "100").await;
    assert!(many.contains("after 64") && many.contains("raise sandbox.connections"), "{many}");
    let listen = super::tests::told(&[], &[("start", "listen"), ("sandbox.tcp", "0.0.0.0/0:*")]).await;
    assert!(listen.contains("listen: Err(") && listen.contains("never granted"), "{listen}");
}

#[tokio::test]
async fn datagrams_go_where_they_are_granted() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let told = async |udp: &str| told(&[], &[("start", "datagram"), ("address", &address), ("sandbox.udp", udp)]).await;
    assert!(told(&address).await.contains("datagram: Ok(8)"));
    let refused = told("127.0.0.2:*").await;
    assert!(refused.contains("datagram: Err(") && refused.contains(&format!("add `{address}` to sandbox.udp")), "{refused}");
}

#[tokio::test]
async fn variables_are_named() {
    let home = std::env::var("PATH").unwrap();
    let told = async |env: &str, name: &str| told(&[], &[("start", "env"), ("variable", name), ("sandbox.env", env)]).await;
    assert_eq!(told("PATH", "PATH").await, format!("env: Ok({home:?})"));
    assert_eq!(told("PATH", "HOME").await, "env: Err(NotPresent)");
}
