//! Requests over `wasi:http`, each a small machine that is moved on when `wasi:io/poll` says that it can be.

use std::mem;
use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    http_error_code,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{HttpError, Request, Response, split_url};

/// Bytes of a body that are read at once.
const READ_BYTES: u64 = 64 << 10;

type Answer = Result<Response, HttpError>;

/// A request that was handed to the host.
pub(super) struct Sent {
    state: State,
    max_response_bytes: usize,
}

// Fields are dropped in their order, and the host wants children dropped before their parents.
enum State {
    /// The body is being written, while the answer may already be there.
    Writing {
        ready: Pollable,
        stream: OutputStream,
        body: OutgoingBody,
        bytes: Vec<u8>,
        at: usize,
        future: FutureIncomingResponse,
    },
    /// The answer has not begun.
    Waiting { ready: Pollable, future: FutureIncomingResponse },
    /// The answer's body is being read.
    Reading { ready: Pollable, stream: InputStream, body: IncomingBody, response: Response },
    /// There is nothing more to do.
    Done(Option<Answer>),
}

pub(super) fn send(request: Request) -> Sent {
    let max_response_bytes = request.max_response_bytes;
    let state = begin(request).unwrap_or_else(|error| State::Done(Some(Err(error))));
    Sent { state, max_response_bytes }
}

fn begin(request: Request) -> Result<State, HttpError> {
    let (scheme, authority, path) = split_url(&request.url)?;
    let invalid = |what: &str| HttpError::Invalid(format!("{what} of {} {}", request.method, request.url));
    let fields = Fields::new();
    for (name, value) in &request.headers {
        fields.append(name, value.as_bytes()).map_err(|error| invalid(&format!("the header {name} ({error:?})")))?;
    }
    if !request.body.is_empty() {
        let length = request.body.len().to_string();
        fields.append("content-length", length.as_bytes()).map_err(|_| invalid("the length"))?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let scheme = if scheme.eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| invalid("the path"))?;
    let options = RequestOptions::new();
    let nanos = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let set = options.set_connect_timeout(nanos(request.connect_timeout));
    let set = set.and(options.set_first_byte_timeout(nanos(request.read_timeout)));
    set.and(options.set_between_bytes_timeout(nanos(request.read_timeout))).map_err(|()| invalid("the timeouts"))?;
    if request.body.is_empty() {
        let future = handle(outgoing, Some(options)).map_err(failed)?;
        return Ok(State::Waiting { ready: future.subscribe(), future });
    }
    let body = outgoing.body().map_err(|()| invalid("the body"))?;
    let stream = body.write().map_err(|()| invalid("the body"))?;
    let future = handle(outgoing, Some(options)).map_err(failed)?;
    Ok(State::Writing { ready: stream.subscribe(), stream, body, bytes: request.body, at: 0, future })
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

fn failed(code: ErrorCode) -> HttpError {
    let text = format!("{code:?}");
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => HttpError::Refused(text),
        ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpResponseBodySize(_) => HttpError::Invalid(text),
        _ => HttpError::Unavailable(text),
    }
}

fn broken(error: StreamError, what: &str) -> HttpError {
    match error {
        StreamError::Closed => HttpError::Unavailable(format!("{what} ended early")),
        StreamError::LastOperationFailed(error) => match http_error_code(&error) {
            Some(code) => failed(code),
            None => HttpError::Unavailable(format!("{what}: {}", error.to_debug_string())),
        },
    }
}

impl Sent {
    /// Goes on as far as it can without waiting.
    pub(super) fn advance(&mut self) -> Option<Answer> {
        loop {
            let state = mem::replace(&mut self.state, State::Done(None));
            let (next, goes_on) = match state {
                State::Writing { ready, stream, body, bytes, at, future } => {
                    write(future, body, stream, ready, bytes, at).unwrap_or_else(done)
                }
                State::Waiting { ready, future } => begin_reading(future, ready).unwrap_or_else(done),
                State::Reading { ready, stream, body, response } => {
                    read(body, stream, ready, response, self.max_response_bytes).unwrap_or_else(done)
                }
                State::Done(answer) => return answer,
            };
            self.state = next;
            if !goes_on {
                return None;
            }
        }
    }

    fn ready(&self) -> Option<&Pollable> {
        match &self.state {
            State::Writing { ready, .. } | State::Waiting { ready, .. } | State::Reading { ready, .. } => Some(ready),
            State::Done(_) => None,
        }
    }
}

fn done(error: HttpError) -> (State, bool) {
    (State::Done(Some(Err(error))), true)
}

// Arguments are dropped from the last to the first: here, too, children stand behind their parents.

fn write(
    future: FutureIncomingResponse,
    body: OutgoingBody,
    stream: OutputStream,
    ready: Pollable,
    bytes: Vec<u8>,
    mut at: usize,
) -> Result<(State, bool), HttpError> {
    while at < bytes.len() {
        match stream.check_write() {
            Ok(0) => return Ok((State::Writing { ready, stream, body, bytes, at, future }, false)),
            Ok(room) => {
                let end = bytes.len().min(at.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
                match stream.write(&bytes[at..end]) {
                    Ok(()) => at = end,
                    Err(_) => break,
                }
            }
            // The other side may have answered without reading it all, or the connection failed: the future knows.
            Err(_) => break,
        }
    }
    drop(ready);
    drop(stream);
    if at == bytes.len() {
        OutgoingBody::finish(body, None).map_err(failed)?;
    } else {
        drop(body);
    }
    Ok((State::Waiting { ready: future.subscribe(), future }, true))
}

fn begin_reading(future: FutureIncomingResponse, ready: Pollable) -> Result<(State, bool), HttpError> {
    let answer = match future.get() {
        None => return Ok((State::Waiting { ready, future }, false)),
        Some(answer) => answer.map_err(|()| HttpError::Unavailable("the answer was taken".to_owned()))?,
    };
    let incoming = answer.map_err(failed)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let headers = incoming.headers().entries().into_iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value)));
    let response = Response { status: incoming.status(), headers: headers.collect(), body: Vec::new() };
    let unread = |()| HttpError::Unavailable("the body cannot be read".to_owned());
    let body = incoming.consume().map_err(unread)?;
    let stream = body.stream().map_err(unread)?;
    drop(ready);
    Ok((State::Reading { ready: stream.subscribe(), stream, body, response }, true))
}

fn read(
    body: IncomingBody,
    stream: InputStream,
    ready: Pollable,
    mut response: Response,
    limit: usize,
) -> Result<(State, bool), HttpError> {
    loop {
        match stream.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => return Ok((State::Reading { ready, stream, body, response }, false)),
            Ok(bytes) if response.body.len() + bytes.len() > limit => {
                return Err(HttpError::Invalid(format!("the response has more than {limit} bytes")));
            }
            Ok(bytes) if response.body.is_empty() => response.body = bytes,
            Ok(bytes) => response.body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(broken(error, "the response")),
        }
    }
    drop(ready);
    drop(stream);
    drop(body);
    Ok((State::Done(Some(Ok(response))), true))
}

/// Waits until one of the requests can go on, or for that long.
pub(super) fn wait_for<T>(sent: &mut [(T, Sent)], most: Option<Duration>) {
    let timer = most.map(|most| subscribe_duration(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)));
    let pollables: Vec<&Pollable> = sent.iter().filter_map(|(_, sent)| sent.ready()).chain(&timer).collect();
    if !pollables.is_empty() {
        poll(&pollables);
    }
}
