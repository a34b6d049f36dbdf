//! The HTTP client of one instance: HTTP/1.1 over connections that are kept for its next requests and shared with nobody.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{CONNECT_TIMEOUT, DialError, Egress, Refusals, refused_destination, secrets};
use crate::sandbox::grants::{Destination, Protocol, Scheme, Secret, Target, is_meant};
use crate::sandbox::limits::{CONNECTIONS_KEY, HTTP_BODY_KEY};
use crate::sandbox::{Grants, InstanceLimits};

/// Time to the first byte of a response, and between its parts, unless the guest asks for another.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that it may ask for.
const MAX_READ_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection without a request is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a kept connection may take to be ready for the next request: the end of the last one is being noticed.
const READY_TIMEOUT: Duration = Duration::from_millis(20);
/// Bytes of a response that are read ahead of the guest, its headers among them.
const READ_AHEAD_BYTES: usize = 64 << 10;

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    destination: Destination,
    port: u16,
}

/// A request that may be sent, with all that the guest may not decide decided.
pub(super) struct Admitted {
    origin: Origin,
    request: Request<WasiBody>,
    /// Nothing more of its body is to come from the guest.
    is_whole: bool,
}

/// What comes back.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

/// How long a request may take.
struct Times {
    connect_by: Instant,
    first_byte: Duration,
    between_bytes: Duration,
}

pub(super) struct Client {
    egress: Egress,
    targets: Vec<Target>,
    secrets: Vec<Secret>,
    body_bytes: u64,
    /// One for each request under way, until the end of its response.
    places: Arc<Semaphore>,
    max_places: usize,
    idle: Arc<Idle>,
}

/// Connections without a request, the one used last at the end.
#[derive(Default)]
struct Idle(Mutex<Pool>);

#[derive(Default)]
struct Pool {
    kept: Vec<Kept>,
    /// Closes what was not used for long; there while there are connections.
    sweeper: Option<AbortOnDropJoinHandle<()>>,
}

struct Kept {
    origin: Origin,
    connection: Connection,
    since: Instant,
}

/// A connection; dropping it closes it.
struct Connection {
    sender: SendRequest<WasiBody>,
    driver: Driver,
}

/// Who moves a connection on. Its errors reach the request.
enum Driver {
    /// Whoever waits for the answer: nobody else has to be woken for it. `None`: it has ended.
    Waiter(Option<Pin<Box<dyn Future<Output = ()> + Send>>>),
    Task {
        _task: AbortOnDropJoinHandle<()>,
    },
}

impl Connection {
    /// Goes on as far as it can without waiting.
    fn drive(&mut self, context: &mut Context<'_>) {
        if let Driver::Waiter(driver) = &mut self.driver
            && driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready())
        {
            *driver = None;
        }
    }

    /// Waits for something that comes of this connection.
    async fn driving<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            self.drive(context);
            awaited.as_mut().poll(context)
        })
        .await
    }

    /// From now on it goes on by itself.
    fn give_task(&mut self) {
        if let Driver::Waiter(driver) = &mut self.driver
            && let Some(driver) = driver.take()
        {
            self.driver = Driver::Task { _task: spawn(driver) };
        }
    }

    /// Whether it can take the next request, now or soon.
    async fn is_ready(&mut self) -> bool {
        let ready = poll_fn(|context| {
            self.drive(context);
            self.sender.poll_ready(context)
        });
        matches!(timeout(READY_TIMEOUT, ready).await, Ok(Ok(())))
    }
}

impl Kept {
    fn is_good(&mut self) -> bool {
        self.connection.drive(&mut Context::from_waker(Waker::noop()));
        !self.connection.sender.is_closed() && self.since.elapsed() < IDLE_TIMEOUT
    }
}

impl Client {
    pub(super) fn new(egress: Egress, grants: &Grants, limits: &InstanceLimits) -> Client {
        let max_places = limits.connections as usize;
        Client {
            egress,
            targets: grants.http.clone(),
            secrets: grants.secrets.clone(),
            body_bytes: limits.http_body_bytes,
            places: Arc::new(Semaphore::new(max_places)),
            max_places,
            idle: Arc::default(),
        }
    }

    /// Checks where a request wants to go, and makes it say so in one way only: what is checked here is what is dialled, named
    /// in the Host header and asked of the certificate.
    pub(super) fn admit(&self, mut request: Request<WasiBody>) -> Result<Admitted, Error> {
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let origin = Origin::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        let Origin { scheme, destination, port } = &origin;
        if !is_meant(&self.targets, Some(*scheme), destination, *port) {
            self.egress.refusals.note(&refused_destination(Protocol::Http, Some(*scheme), destination, *port));
            return Err(Error::HttpRequestDenied);
        }
        if let Err(reason) = secrets::fill(request.headers_mut(), &self.secrets, *scheme, destination, *port) {
            self.egress.refusals.note(&reason);
            return Err(Error::HttpRequestDenied);
        }
        let host = if *port == scheme.port() { destination.to_string() } else { destination.with_port(*port) };
        let host = HeaderValue::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
        request.headers_mut().insert(header::HOST, host);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        let (left, refusals) = (self.body_bytes, self.egress.refusals.clone());
        let (parts, body) = request.into_parts();
        let body = ReadAhead::new(body);
        let is_whole = body.has_ended;
        let body = Capped { body, left, limit: left, refusals }.boxed_unsync();
        Ok(Admitted { origin, request: Request::from_parts(parts, body), is_whole })
    }

    /// Sends a request. One whose body is whole is looked after by whoever waits for the answer; any other one has tasks of its
    /// own, as its body may come before anybody waits.
    pub(super) fn begin(self: &Arc<Self>, admitted: Admitted, options: RequestOptions) -> Answer {
        let (client, times) = (self.clone(), Times::new(options));
        match admitted.is_whole {
            true => Box::pin(async move { client.send(admitted, times).await }),
            false => Box::pin(spawn(async move { client.send(admitted, times).await })),
        }
    }

    async fn send(&self, admitted: Admitted, times: Times) -> Result<Response<WasiBody>, Error> {
        let Admitted { origin, request, is_whole } = admitted;
        let place = timeout_at(times.connect_by, self.places.clone().acquire_owned()).await;
        let Some(place) = place.ok().and_then(Result::ok) else {
            let most = self.max_places;
            self.egress.refusals.note(&format!(
                "it has {most} requests under way, which is all that it may; let it read their answers to the end, or raise \
                 {CONNECTIONS_KEY}"
            ));
            return Err(Error::ConnectionLimitReached);
        };
        let (mut request, mut place) = (request, place);
        loop {
            let kept = self.idle.take(&origin).await;
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                // Rare and large: not a part of every request.
                None => Box::pin(self.connect(&origin, times.connect_by)).await?,
            };
            if !is_whole {
                connection.give_task();
            }
            let sent = connection.sender.try_send_request(request);
            let mut flight = Flight { idle: self.idle.clone(), origin: origin.clone(), connection, place };
            match timeout(times.first_byte, flight.connection.driving(sent)).await.map_err(|_| Error::ConnectionReadTimeout)? {
                Ok(response) => return Ok(self.receive(response, flight, times.between_bytes)),
                // The other side closed a kept connection in the meantime, before any of the request was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_kept => (request, place) = (unsent, flight.place),
                    _ => return Err(error.into_error().into()),
                },
            }
        }
    }

    async fn connect(&self, origin: &Origin, deadline: Instant) -> Result<Connection, Error> {
        let under_way = self.max_places - self.places.available_permits();
        self.idle.shrink_to(self.max_places.saturating_sub(under_way));
        let Origin { scheme, destination, port } = origin;
        let dialled = self.egress.dial(&self.targets, *scheme, destination, *port, deadline).await;
        let stream = dialled.map_err(|error| match error {
            DialError::Refused => Error::DestinationIpProhibited,
            DialError::Unresolved => Error::DnsError { rcode: None, info_code: None },
            DialError::Timeout => Error::ConnectionTimeout,
            DialError::Failed(error) => Error::Connect(error),
        })?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_AHEAD_BYTES);
        let (sender, driver) = match scheme {
            Scheme::Http => driven(builder.handshake(TokioIo::new(stream)).await?),
            Scheme::Https => {
                let connector = TlsConnector::from(self.egress.network.tls.clone());
                let stream = timeout_at(deadline, connector.connect(server_name(destination)?, stream)).await;
                let stream = stream.map_err(|_| Error::ConnectionTimeout)?.map_err(|error| self.tls_error(origin, error))?;
                driven(builder.handshake(TokioIo::new(stream)).await?)
            }
        };
        Ok(Connection { sender, driver })
    }

    fn tls_error(&self, origin: &Origin, error: io::Error) -> Error {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(reason)) = reason else { return Error::Tls(error) };
        let host = origin.destination.with_port(origin.port);
        self.egress.refusals.note(&format!(
            "the certificate of {host} is not accepted: {reason}; for an authority of your own, the worker's operator adds its \
             certificate to hawser.sandbox.http.ca.file"
        ));
        Error::TlsCertificateError
    }

    fn receive(&self, response: Response<Incoming>, flight: Flight, between: Duration) -> Response<WasiBody> {
        if response.body().is_end_stream() {
            flight.land();
            return response.map(|_| Empty::new().map_err(|never| match never {}).boxed_unsync());
        }
        let (left, refusals) = (self.body_bytes, self.egress.refusals.clone());
        response.map(|body| {
            Received { body, left, limit: left, refusals, between, silence: None, flight: Some(flight) }.boxed_unsync()
        })
    }
}

impl Times {
    fn new(options: RequestOptions) -> Times {
        let connect = options.connect_timeout.map_or(CONNECT_TIMEOUT, |asked| asked.min(CONNECT_TIMEOUT));
        let read = |asked: Option<Duration>| asked.map_or(READ_TIMEOUT, |asked| asked.min(MAX_READ_TIMEOUT));
        Times {
            connect_by: Instant::now() + connect,
            first_byte: read(options.first_byte_timeout),
            between_bytes: read(options.between_bytes_timeout),
        }
    }
}

impl Origin {
    /// Where a URL leads: with a scheme and a host, and with nothing else before its path but a port.
    fn of(uri: &Uri) -> Option<Origin> {
        let scheme = Scheme::of(uri.scheme_str()?)?;
        let authority = uri.authority()?;
        let port = authority.port_u16();
        let expected = match port {
            Some(_) => format!("{}:{}", authority.host(), authority.port()?.as_str()),
            None => authority.host().to_owned(),
        };
        let port = port.unwrap_or(scheme.port());
        let destination = Destination::parse(authority.host())?;
        (authority.as_str() == expected && port > 0).then_some(Origin { scheme, destination, port })
    }
}

fn server_name(destination: &Destination) -> Result<ServerName<'static>, Error> {
    match destination {
        Destination::Address(address) => Ok(ServerName::from(*address)),
        Destination::Name(name) => ServerName::try_from(name.clone()).map_err(Error::InvalidDnsNameError),
    }
}

/// A new connection's sender and driver.
fn driven<S>((sender, connection): (SendRequest<WasiBody>, http1::Connection<S, WasiBody>)) -> (SendRequest<WasiBody>, Driver)
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    (sender, Driver::Waiter(Some(Box::pin(async move { drop(connection.await) }))))
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to an origin that was used last, if it is still good.
    async fn take(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut kept = {
                let kept = &mut self.lock().kept;
                let place = kept.iter().rposition(|kept| kept.origin == *origin)?;
                kept.remove(place)
            };
            if kept.since.elapsed() < IDLE_TIMEOUT && kept.connection.is_ready().await {
                return Some(kept.connection);
            }
        }
    }

    fn keep(self: &Arc<Self>, origin: Origin, connection: Connection) {
        let mut pool = self.lock();
        pool.kept.push(Kept { origin, connection, since: Instant::now() });
        pool.sweeper.get_or_insert_with(|| spawn(sweep(Arc::downgrade(self))));
    }

    /// Closes those that were used least lately.
    fn shrink_to(&self, most: usize) {
        let kept = &mut self.lock().kept;
        let over = kept.len().saturating_sub(most);
        kept.drain(..over);
    }
}

/// Closes connections that the other side has closed or that were not used for long, until there are none.
async fn sweep(idle: Weak<Idle>) {
    loop {
        sleep(IDLE_TIMEOUT).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut pool = idle.lock();
        pool.kept.retain_mut(Kept::is_good);
        if pool.kept.is_empty() {
            pool.sweeper = None;
            return;
        }
    }
}

/// A request under way. Unless it [lands](Flight::land), its connection is closed.
struct Flight {
    idle: Arc<Idle>,
    origin: Origin,
    connection: Connection,
    place: OwnedSemaphorePermit,
}

impl Flight {
    /// The response was read to its end: the connection waits for the next request.
    fn land(self) {
        let Flight { idle, origin, connection, .. } = self;
        idle.keep(origin, connection);
    }
}

/// A request's body with what is there of it already.
struct ReadAhead {
    /// As many as the guest may write without anybody reading: two.
    frames: VecDeque<Result<Frame<Bytes>, Error>>,
    has_ended: bool,
    /// Holds the body's place in memory, too.
    rest: WasiBody,
}

impl ReadAhead {
    fn new(mut rest: WasiBody) -> ReadAhead {
        let (mut frames, mut context) = (VecDeque::new(), Context::from_waker(Waker::noop()));
        loop {
            match Pin::new(&mut rest).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => frames.push_back(Ok(frame)),
                Poll::Ready(Some(Err(error))) => {
                    frames.push_back(Err(error));
                    return ReadAhead { frames, has_ended: true, rest };
                }
                Poll::Ready(None) => return ReadAhead { frames, has_ended: true, rest },
                Poll::Pending => return ReadAhead { frames, has_ended: false, rest },
            }
        }
    }
}

impl Body for ReadAhead {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.frames.pop_front() {
            None if !self.has_ended => Pin::new(&mut self.rest).poll_frame(context),
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.frames.iter().map(data_length).sum();
        if self.has_ended { SizeHint::with_exact(ahead) } else { SizeHint::default() }
    }
}

/// A request's body that may not be too long.
struct Capped {
    body: ReadAhead,
    left: u64,
    limit: u64,
    refusals: Arc<Refusals>,
}

impl Body for Capped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let length = frame.as_ref().map_or(0, data_length);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => {
                let limit = self.limit;
                self.refusals.note(&format!("the body of a request has more than {limit} bytes; raise {HTTP_BODY_KEY}"));
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(limit)))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body that may neither be too long nor silent for too long.
struct Received {
    body: Incoming,
    left: u64,
    limit: u64,
    refusals: Arc<Refusals>,
    between: Duration,
    /// Runs while nothing is there.
    silence: Option<Pin<Box<Sleep>>>,
    flight: Option<Flight>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(flight) = &mut this.flight {
            flight.connection.drive(context);
        }
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Pending => {
                let between = this.between;
                ready!(this.silence.get_or_insert_with(|| Box::pin(sleep(between))).as_mut().poll(context));
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
            Poll::Ready(frame) => frame.map(|frame| frame.map_err(Error::from)),
        };
        this.silence = None;
        match this.left.checked_sub(frame.as_ref().map_or(0, data_length)) {
            Some(left) => this.left = left,
            None => {
                let limit = this.limit;
                let host = this.flight.take().map_or_else(String::new, |flight| format!(" of {}", flight.origin.destination));
                this.refusals.note(&format!("the response{host} has more than {limit} bytes; raise {HTTP_BODY_KEY}"));
                return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(limit)))));
            }
        }
        let has_ended = frame.is_none() || (matches!(frame, Some(Ok(_))) && this.body.is_end_stream());
        if has_ended && let Some(flight) = this.flight.take() {
            flight.land();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of data in a frame.
fn data_length(frame: &Result<Frame<Bytes>, Error>) -> u64 {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64)
}
