//! What `wasi:http` asks of the host.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::client::{Answer, Client};
use super::{Egress, Refusals};
use crate::sandbox::limits::CONNECTIONS_KEY;
use crate::sandbox::{Grants, InstanceLimits};

/// Bytes of a request's body that are handed on at a time. Two such pieces wait in memory for each body.
const BODY_CHUNK_BYTES: usize = 64 << 10;
/// Bodies that an instance may hold for each connection that it may have: those that are being sent, and as many that are being made.
const BODIES_PER_CONNECTION: usize = 2;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), Error>> + Send>;

/// The guest's requests go through here.
pub(in crate::sandbox) struct Gate {
    client: Arc<Client>,
    refusals: Arc<Refusals>,
    bodies: Arc<Semaphore>,
    max_bodies: usize,
}

impl Gate {
    pub(in crate::sandbox) fn new(egress: Egress, grants: &Grants, limits: &InstanceLimits) -> Gate {
        let max_bodies = limits.connections as usize * BODIES_PER_CONNECTION;
        let (refusals, bodies) = (egress.refusals.clone(), Arc::new(Semaphore::new(max_bodies)));
        Gate { client: Arc::new(Client::new(egress, grants, limits)), refusals, bodies, max_bodies }
    }

    /// Checks a request and begins to send it.
    ///
    /// # Errors
    /// It may not be sent.
    pub(super) fn begin(&self, request: Request<WasiBody>, options: Option<RequestOptions>) -> Result<Answer, Error> {
        Ok(self.client.begin(self.client.admit(request)?, options.unwrap_or_default()))
    }

    /// A place for one more request's body, until it has been sent or dropped.
    pub(in crate::sandbox) fn body_place(&self) -> Option<OwnedSemaphorePermit> {
        let place = self.bodies.clone().try_acquire_owned().ok();
        if place.is_none() {
            let most = self.max_bodies;
            self.refusals.note(&format!(
                "it holds the bodies of {most} requests, which is all that it may; let it send or drop some, or raise {CONNECTIONS_KEY}"
            ));
        }
        place
    }
}

impl WasiHttpHooks for Gate {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    /// Not asked by what is linked for plugins ([`super::outgoing`]), which begins requests itself.
    fn send_request(&mut self, request: Request<WasiBody>, options: Option<RequestOptions>, _: Io) -> Sent {
        let answer = self.begin(request, options);
        Box::new(async move { Ok((answer?.await?, Box::new(async { Ok(()) }) as Io)) })
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        match error.source().and_then(|source| source.downcast_ref::<Error>()) {
            Some(Error::HttpRequestBodySize(size)) => ErrorCode::HttpRequestBodySize(*size),
            _ if error.is_timeout() => ErrorCode::ConnectionReadTimeout,
            _ if error.is_incomplete_message() => ErrorCode::HttpResponseIncomplete,
            _ if error.is_parse_too_large() => ErrorCode::HttpResponseHeaderSectionSize(None),
            _ if error.is_canceled() || error.is_closed() => ErrorCode::ConnectionTerminated,
            _ if error.source().is_some_and(|source| source.is::<io::Error>()) => ErrorCode::ConnectionTerminated,
            _ => ErrorCode::HttpProtocolError,
        }
    }

    fn p2_error_from_connect(&mut self, error: &io::Error) -> ErrorCode {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
            io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ErrorCode::DestinationIpUnroutable,
            _ => ErrorCode::DestinationUnavailable,
        }
    }

    fn p2_error_from_tls(&mut self, _: &io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}
