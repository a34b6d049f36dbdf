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
    Reading { ready: Option<Pollable>, stream: InputStream, body: IncomingBody, response: Response },
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
    let outgoing = OutgoingRequest::new(fields(&request)?);
    let scheme = if scheme.eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| invalid("the path"))?;
    let options = options(&request).map_err(|()| invalid("the timeouts"))?;
    if request.body.is_empty() {
        return waiting(outgoing, options);
    }
    let body = outgoing.body().map_err(|()| invalid("the body"))?;
    let stream = body.write().map_err(|()| invalid("the body"))?;
    // What the host has room for is there before the request is: most bodies are whole then, and go out with the headers.
    let at = fill(&stream, &request.body, 0).map_err(|error| broken(error, "the body"))?;
    if at == request.body.len() {
        drop(stream);
        OutgoingBody::finish(body, None).map_err(failed)?;
        return waiting(outgoing, options);
    }
    let future = handle(outgoing, options).map_err(failed)?;
    Ok(State::Writing { ready: stream.subscribe(), stream, body, bytes: request.body, at, future })
}

fn waiting(outgoing: OutgoingRequest, options: Option<RequestOptions>) -> Result<State, HttpError> {
    let future = handle(outgoing, options).map_err(failed)?;
    Ok(State::Waiting { ready: future.subscribe(), future })
}

/// The headers, in one call to the host.
fn fields(request: &Request) -> Result<Fields, HttpError> {
    let mut entries: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    if !request.body.is_empty() {
        entries.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    Fields::from_list(&entries).map_err(|error| {
        let wrong = request
            .headers
            .iter()
            .find(|(name, value)| Fields::from_list(&[(name.clone(), value.clone().into_bytes())]).is_err());
        let name = wrong.map_or("content-length", |(name, _)| name.as_str());
        HttpError::Invalid(format!("the header {name} ({error:?}) of {} {}", request.method, request.url))
    })
}

/// The timeouts; None if the host's own are to do.
fn options(request: &Request) -> Result<Option<RequestOptions>, ()> {
    if request.connect_timeout.is_none() && request.read_timeout.is_none() {
        return Ok(None);
    }
    let options = RequestOptions::new();
    let nanos = |time: Duration| Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    if let Some(time) = request.connect_timeout {
        options.set_connect_timeout(nanos(time))?;
    }
    if let Some(time) = request.read_timeout {
        options.set_first_byte_timeout(nanos(time))?;
        options.set_between_bytes_timeout(nanos(time))?;
    }
    Ok(Some(options))
}

/// Writes from a place on what the host has room for, and says how far it came.
fn fill(stream: &OutputStream, bytes: &[u8], mut at: usize) -> Result<usize, StreamError> {
    while at < bytes.len() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            break;
        }
        let end = bytes.len().min(at.saturating_add(room));
        stream.write(&bytes[at..end])?;
        at = end;
    }
    Ok(at)
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
    let text = match &code {
        ErrorCode::ConnectionReadTimeout => "it did not come in time".to_owned(),
        ErrorCode::ConnectionTimeout => "the connection took too long".to_owned(),
        ErrorCode::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => "the connection was closed".to_owned(),
        ErrorCode::DnsError(_) => "the host's name has no address".to_owned(),
        ErrorCode::TlsCertificateError => "the certificate is not accepted".to_owned(),
        other => format!("{other:?}"),
    };
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

    /// What tells that it can go on.
    fn ready(&self) -> Option<&Pollable> {
        match &self.state {
            State::Writing { ready, .. } | State::Waiting { ready, .. } => Some(ready),
            State::Reading { ready, .. } => ready.as_ref(),
            State::Done(_) => None,
        }
    }

    /// The answer, if it was there at once.
    pub(super) fn at_once(&mut self) -> Option<Answer> {
        match &mut self.state {
            State::Done(answer) => answer.take(),
            _ => None,
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
    at: usize,
) -> Result<(State, bool), HttpError> {
    // If it cannot be written, the other side may have answered without reading it all, or the connection failed: the future knows.
    let is_whole = match fill(&stream, &bytes, at) {
        Ok(end) if end < bytes.len() => return Ok((State::Writing { ready, stream, body, bytes, at: end, future }, false)),
        written => written.is_ok(),
    };
    drop(ready);
    drop(stream);
    if is_whole {
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
    drop(ready);
    if response.header("content-length") == Some("0") {
        return Ok((State::Done(Some(Ok(response))), true));
    }
    let body = incoming.consume().map_err(unread)?;
    let stream = body.stream().map_err(unread)?;
    Ok((State::Reading { ready: None, stream, body, response }, true))
}

fn read(
    body: IncomingBody,
    stream: InputStream,
    ready: Option<Pollable>,
    mut response: Response,
    limit: usize,
) -> Result<(State, bool), HttpError> {
    loop {
        match stream.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => {
                let ready = Some(ready.unwrap_or_else(|| stream.subscribe()));
                return Ok((State::Reading { ready, stream, body, response }, false));
            }
            Ok(bytes) if response.body.len() + bytes.len() > limit => {
                return Err(HttpError::TooLong(limit));
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

/// Waits until some of the requests can go on, or for that long; the places of those that can, in ascending order.
pub(super) fn wait_for<T>(sent: &[(T, Sent)], most: Option<Duration>) -> Vec<usize> {
    let timer = most.map(|most| subscribe_duration(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)));
    // Whatever is not done has something to wait for.
    let pollables: Vec<&Pollable> = sent.iter().filter_map(|(_, sent)| sent.ready()).chain(&timer).collect();
    let mut ready: Vec<usize> =
        poll(&pollables).into_iter().map(|place| place as usize).filter(|place| *place < sent.len()).collect();
    ready.sort_unstable();
    ready
}
