//! An HTTP service in the test's own process: it answers as a function says, and keeps what it was sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, serve};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// Status, headers and body of an answer.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

type Function = dyn Fn(&Seen, usize) -> Answer + Send + Sync;

/// The service; it ends when it is dropped.
pub struct Service {
    port: u16,
    /// The authority of its certificate in PEM; empty without TLS.
    pub authority: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    answer: Box<Function>,
    delay: Duration,
    seen: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Service {
    /// A service that answers as the function says, which is told the request and how many came before it.
    pub fn start(answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(Duration::ZERO, false, answer)
    }

    /// One that takes its time for each answer.
    pub fn slow(delay: Duration, answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(delay, false, answer)
    }

    /// One with TLS, for `localhost`.
    pub fn with_tls(answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(Duration::ZERO, true, answer)
    }

    fn new(delay: Duration, tls: bool, answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            delay,
            seen: Mutex::default(),
            under_way: AtomicUsize::default(),
            most_under_way: AtomicUsize::default(),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let (certificate, authority) = if tls { certificate() } else { Default::default() };
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        runtime.spawn(async move {
            match certificate {
                Some(acceptor) => serve(TlsListener { listener, acceptor }, router).await,
                None => serve(listener, router).await,
            }
        });
        Self { port, authority, shared, _runtime: runtime }
    }

    /// Its host and port, by address.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("lock").clone()
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().expect("lock").len()
    }

    /// The most requests that were under way at one time.
    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }
}

async fn handle(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_under_way.fetch_max(now, Ordering::SeqCst);
    let path = uri.path_and_query().map(|path| path.to_string()).unwrap_or_default();
    let seen = Seen { path, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let count = {
        let mut all = shared.seen.lock().expect("lock");
        all.push(seen.clone());
        all.len() - 1
    };
    let (status, headers, body) = (shared.answer)(&seen, count);
    if !shared.delay.is_zero() {
        tokio::time::sleep(shared.delay).await;
    }
    shared.under_way.fetch_sub(1, Ordering::SeqCst);
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    response
}

/// A certificate for `localhost` and the PEM of the authority behind it.
fn certificate() -> (Option<TlsAcceptor>, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(vec![]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).expect("an authority").pem();
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(authority, authority_key);
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters").signed_by(&key, &issuer);
    let chain = vec![leaf.expect("a certificate").der().clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(chain, key.serialize_der().try_into().expect("a key"));
    (Some(Arc::new(config.expect("a configuration")).into()), pem)
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
