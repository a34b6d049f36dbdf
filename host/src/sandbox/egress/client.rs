//! The HTTP client of one instance: HTTP/1.1 over connections that are kept for its next requests and shared with nobody.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::TrySendError;
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

/// A request that no connection has taken yet, and its place among those that are under way.
struct Unsent {
    origin: Origin,
    request: Request<WasiBody>,
    place: OwnedSemaphorePermit,
}

/// What came of a request that a connection was given.
enum Outcome {
    Answered(Response<WasiBody>),
    Unsent(Unsent),
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
struct Idle(Mutex<Vec<Kept>>);

struct Kept {
    origin: Origin,
    connection: Connection,
    since: Instant,
}

/// A connection; dropping it closes it.
struct Connection {
    sender: SendRequest<WasiBody>,
    _driver: AbortOnDropJoinHandle<()>,
}

impl Kept {
    fn is_fresh(&self) -> bool {
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

    /// Begins to send a request. One whose body is whole goes to a kept connection here and now, and is then looked after by
    /// whoever waits for the answer; any other one has a task of its own, as its body may come before anybody waits.
    pub(super) fn begin(self: &Arc<Self>, admitted: Admitted, options: RequestOptions) -> Answer {
        let client = self.clone();
        let times = Times::new(options);
        if !admitted.is_whole {
            return Box::pin(spawn(async move { client.send(admitted, times).await }));
        }
        let place = self.places.clone().try_acquire_owned().ok();
        let Some((place, mut connection)) = place.and_then(|place| Some((place, self.idle.take_ready(&admitted.origin)?))) else {
            return Box::pin(spawn(async move { client.send(admitted, times).await }));
        };
        let sent = connection.sender.try_send_request(admitted.request);
        let flight = Flight { idle: self.idle.clone(), origin: admitted.origin, connection, place };
        Box::pin(async move {
            match client.outcome(sent, flight, true, &times).await? {
                Outcome::Answered(response) => Ok(response),
                // Rare and large: not a part of every request.
                Outcome::Unsent(unsent) => Box::pin(client.deliver(unsent, &times)).await,
            }
        })
    }

    async fn send(&self, admitted: Admitted, times: Times) -> Result<Response<WasiBody>, Error> {
        let Admitted { origin, request, .. } = admitted;
        let place = timeout_at(times.connect_by, self.places.clone().acquire_owned()).await;
        let Some(place) = place.ok().and_then(Result::ok) else {
            let most = self.max_places;
            self.egress.refusals.note(&format!(
                "it has {most} requests under way, which is all that it may; let it read their answers to the end, or raise \
                 {CONNECTIONS_KEY}"
            ));
            return Err(Error::ConnectionLimitReached);
        };
        self.deliver(Unsent { origin, request, place }, &times).await
    }

    /// Sends a request over a kept connection, or a new one.
    async fn deliver(&self, mut unsent: Unsent, times: &Times) -> Result<Response<WasiBody>, Error> {
        loop {
            let Unsent { origin, request, place } = unsent;
            let kept = self.idle.take(&origin).await;
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect(&origin, times.connect_by).await?,
            };
            let sent = connection.sender.try_send_request(request);
            let flight = Flight { idle: self.idle.clone(), origin, connection, place };
            match self.outcome(sent, flight, is_kept, times).await? {
                Outcome::Answered(response) => return Ok(response),
                Outcome::Unsent(back) => unsent = back,
            }
        }
    }

    /// Waits for what comes of a request that a connection was given.
    async fn outcome(
        &self,
        sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<WasiBody>>>>,
        flight: Flight,
        is_kept: bool,
        times: &Times,
    ) -> Result<Outcome, Error> {
        match timeout(times.first_byte, sent).await.map_err(|_| Error::ConnectionReadTimeout)? {
            Ok(response) => Ok(Outcome::Answered(self.receive(response, flight, times.between_bytes))),
            // The other side closed a kept connection in the meantime, before any of the request was sent.
            Err(mut error) => match error.take_message() {
                Some(request) if is_kept => {
                    let Flight { origin, place, .. } = flight;
                    Ok(Outcome::Unsent(Unsent { origin, request, place }))
                }
                _ => Err(error.into_error().into()),
            },
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
        // The connection is driven by a task of its own; its errors reach the request.
        let connected = match scheme {
            Scheme::Http => builder
                .handshake(TokioIo::new(stream))
                .await
                .map(|(sender, connection)| (sender, spawn(async move { drop(connection.await) }))),
            Scheme::Https => {
                let connector = TlsConnector::from(self.egress.network.tls.clone());
                let stream = timeout_at(deadline, connector.connect(server_name(destination)?, stream)).await;
                let stream = stream.map_err(|_| Error::ConnectionTimeout)?.map_err(|error| self.tls_error(origin, error))?;
                builder
                    .handshake(TokioIo::new(stream))
                    .await
                    .map(|(sender, connection)| (sender, spawn(async move { drop(connection.await) })))
            }
        };
        let (sender, driver) = connected?;
        Ok(Connection { sender, _driver: driver })
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

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to an origin that can take a request at once, if there is one: the one that was used last.
    fn take_ready(&self, origin: &Origin) -> Option<Connection> {
        let mut kept = self.lock();
        let place = kept.iter().rposition(|kept| kept.origin == *origin && kept.is_fresh() && kept.connection.sender.is_ready())?;
        Some(kept.remove(place).connection)
    }

    /// The connection to an origin that was used last, if it is still good.
    async fn take(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut kept = self.lock();
                kept.retain(Kept::is_fresh);
                let place = kept.iter().rposition(|kept| kept.origin == *origin)?;
                kept.remove(place).connection
            };
            if let Ok(Ok(())) = timeout(READY_TIMEOUT, connection.sender.ready()).await {
                return Some(connection);
            }
        }
    }

    /// Closes those that were used least lately.
    fn shrink_to(&self, most: usize) {
        let mut kept = self.lock();
        let over = kept.len().saturating_sub(most);
        kept.drain(..over);
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
        idle.lock().push(Kept { origin, connection, since: Instant::now() });
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
