//! Where `wasi:http` as wasmtime-wasi-http has it would let a guest fill the worker's memory, or spawn tasks for each request: what
//! takes its place is bounded, and leaves requests to their connections.

use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use http::{HeaderMap, Method as HttpMethod, Uri, header, uri};
use http_body_util::{BodyExt, Empty};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, HostFutureIncomingResponse as _, HostOutgoingRequest as _, Method, OutgoingBody, RequestOptions, Scheme,
};
use wasmtime_wasi_http::p2::body::HostIncomingBody;
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{Error, FieldMap, WasiBody, WasiHttpView};

use super::client::Answer;
use super::headers::{UNDER_WAY_BYTES, reserve};
use crate::sandbox::state::HostState;

const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
pub(super) const TYPES: &str = "wasi:http/types@0.2.12";
/// Bytes of a method's name.
const MAX_METHOD_BYTES: usize = 32;
/// Bytes of a request's authority: a name has 253 at most, and may be percent-encoded.
const MAX_AUTHORITY_BYTES: usize = 1 << 10;

type Request = Resource<HostOutgoingRequest>;
type Asked = (Request, Option<Resource<RequestOptions>>);
type Handled = Result<Resource<Exchange>, ErrorCode>;
type Got = Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>;
type Body = Result<Resource<OutgoingBody>, ()>;

/// Takes the place of what is linked already.
pub(in crate::sandbox) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(HANDLER)?.func_wrap("handle", handle)?;
    let mut types = linker.instance(TYPES)?;
    types.resource("future-incoming-response", ResourceType::host::<Exchange>(), |mut store, rep| {
        store.data_mut().requests_out().1.delete(Resource::<Exchange>::new_own(rep))?;
        Ok(())
    })?;
    types.func_wrap("[method]future-incoming-response.subscribe", subscribe_exchange)?;
    types.func_wrap("[method]future-incoming-response.get", get)?;
    types.func_wrap("[method]outgoing-request.body", body)?;
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    // Plugins answer no requests: nobody would read what such a body holds.
    types.func_wrap(
        "[method]outgoing-response.body",
        |_: StoreContextMut<'_, HostState>, (_,): (Resource<HostOutgoingResponse>,)| Ok((Body::Err(()),)),
    )
}

/// A request that was handed over, behind `future-incoming-response`.
pub(super) enum Exchange {
    Asked { answer: Answer, bell: Arc<Bell> },
    Answered(Result<http::Response<WasiBody>, Error>),
    Taken,
}

/// Rings when a request can go on. A guest that waits for many is woken for one of them: the others are left alone.
pub(super) struct Bell {
    has_rung: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl Exchange {
    /// Whether the guest has its answer.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Exchange::Taken)
    }

    /// What can be done at once is done at once: most requests are sent then.
    fn new(answer: Answer) -> Exchange {
        let bell = Arc::new(Bell { has_rung: AtomicBool::new(true), waiter: Mutex::default() });
        let mut exchange = Exchange::Asked { answer, bell };
        let _ = exchange.poll_ready(&mut Context::from_waker(Waker::noop()));
        exchange
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Exchange::Asked { answer, bell } = self else { return Poll::Ready(()) };
        *bell.waiter.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if !bell.has_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(bell.clone());
        let answered = ready!(answer.as_mut().poll(&mut Context::from_waker(&waker)));
        *self = Exchange::Answered(answered);
        Poll::Ready(())
    }
}

#[async_trait]
impl Pollable for Exchange {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll_ready(context)).await;
    }
}

/// A request's options go with the request; otherwise they would stay in the instance's table, which is full after some thousand.
fn handle(mut store: StoreContextMut<'_, HostState>, (request, options): Asked) -> wasmtime::Result<(Handled,)> {
    let state = store.data_mut();
    reserve(state, UNDER_WAY_BYTES)?;
    let (gate, table) = state.requests_out();
    let options = options.map(|options| table.delete(options)).transpose()?;
    let request = match lift(table.delete(request)?) {
        Ok(request) => request,
        Err(code) => return Ok((Err(code),)),
    };
    let exchange = match gate.begin(request, options) {
        Ok(answer) => Exchange::new(answer),
        Err(error) => Exchange::Answered(Err(error)),
    };
    Ok((Ok(table.push(exchange)?),))
}

/// The request that a guest has put together.
fn lift(request: HostOutgoingRequest) -> Result<http::Request<WasiBody>, ErrorCode> {
    let HostOutgoingRequest { method, scheme, authority, path_with_query, headers, body } = request;
    let headers = HeaderMap::from(headers);
    let length = content_length(&headers)?;
    if body.is_none() && length.is_some_and(|length| length != 0) {
        return Err(ErrorCode::HttpRequestBodySize(Some(0)));
    }
    let scheme = match scheme {
        Some(Scheme::Http) => uri::Scheme::HTTP,
        Some(Scheme::Https) | None => uri::Scheme::HTTPS,
        Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.unwrap_or_default())
        .path_and_query(path_with_query.unwrap_or_default());
    let body = body.unwrap_or_else(|| Empty::new().map_err(|never| match never {}).boxed_unsync());
    let mut lifted = http::Request::new(body);
    *lifted.method_mut() = lift_method(method)?;
    *lifted.uri_mut() = uri.build().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    *lifted.headers_mut() = headers;
    Ok(lifted)
}

fn lift_method(method: Method) -> Result<HttpMethod, ErrorCode> {
    Ok(match method {
        Method::Get => HttpMethod::GET,
        Method::Head => HttpMethod::HEAD,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Delete => HttpMethod::DELETE,
        Method::Connect => HttpMethod::CONNECT,
        Method::Options => HttpMethod::OPTIONS,
        Method::Trace => HttpMethod::TRACE,
        Method::Patch => HttpMethod::PATCH,
        Method::Other(name) => HttpMethod::from_bytes(name.as_bytes()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?,
    })
}

/// What the guest says of the length: where the body ends depends on it, so there is one, of digits (RFC 9110), or none.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ErrorCode> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = text.and_then(|text| text.parse().ok()).filter(|_| values.next().is_none());
    length.map(Some).ok_or_else(|| ErrorCode::InternalError(Some("content-length is not one number".to_owned())))
}

fn subscribe_exchange(
    mut store: StoreContextMut<'_, HostState>,
    (exchange,): (Resource<Exchange>,),
) -> wasmtime::Result<(Resource<DynPollable>,)> {
    Ok((subscribe(store.data_mut().requests_out().1, exchange)?,))
}

fn get(mut store: StoreContextMut<'_, HostState>, (exchange,): (Resource<Exchange>,)) -> wasmtime::Result<(Got,)> {
    let mut http = store.data_mut().http();
    let exchange = http.table.get_mut(&exchange)?;
    let answer = match mem::replace(exchange, Exchange::Taken) {
        Exchange::Answered(answer) => answer,
        Exchange::Taken => return Ok((Some(Err(())),)),
        asked => {
            *exchange = asked;
            return Ok((None,));
        }
    };
    let response = match answer {
        Ok(response) => response,
        // The library knows how errors are told to guests.
        Err(error) => {
            let failed = http.table.push(HostFutureIncomingResponse::Ready(Err(error)))?;
            let got = http.get(Resource::new_borrow(failed.rep()))?;
            http.table.delete(failed)?;
            return Ok((got,));
        }
    };
    let (parts, body) = response.into_parts();
    let response = HostIncomingResponse {
        status: parts.status.as_u16(),
        headers: FieldMap::new_immutable(http.hooks, parts.headers),
        body: Some(HostIncomingBody::new(body)),
    };
    Ok((Some(Ok(Ok(http.table.push(response)?))),))
}

/// A body holds a place of its instance until it has been sent or dropped: what is written to it waits in memory.
fn body(mut store: StoreContextMut<'_, HostState>, (request,): (Request,)) -> wasmtime::Result<(Body,)> {
    let state = store.data_mut();
    let Some(place) = state.body_place() else { return Ok((Err(()),)) };
    let mut http = state.http();
    let made = http.body(Resource::new_borrow(request.rep()))?;
    if made.is_ok() {
        let request = http.table.get_mut(&request)?;
        request.body = request.body.take().map(|body| {
            let held = body.map_frame(move |frame| {
                let _ = &place;
                frame
            });
            held.boxed_unsync()
        });
    }
    Ok((made,))
}

fn set_method(
    mut store: StoreContextMut<'_, HostState>,
    (request, method): (Request, Method),
) -> wasmtime::Result<(Result<(), ()>,)> {
    match &method {
        Method::Other(name) if name.len() > MAX_METHOD_BYTES => Ok((Err(()),)),
        _ => Ok((store.data_mut().http().set_method(request, method)?,)),
    }
}

fn set_authority(
    mut store: StoreContextMut<'_, HostState>,
    (request, authority): (Request, Option<String>),
) -> wasmtime::Result<(Result<(), ()>,)> {
    match &authority {
        Some(text) if text.len() > MAX_AUTHORITY_BYTES => Ok((Err(()),)),
        _ => Ok((store.data_mut().http().set_authority(request, authority)?,)),
    }
}
