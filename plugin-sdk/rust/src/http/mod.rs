//! HTTP for plugins, over `wasi:http`: one request at a time, or several under way from one task.
//!
//! The host makes the connections, with TLS, to where the connector's `sandbox.http` allows it, and keeps them open between
//! requests. A secret is named, not held: the host puts it in the place of `{{secret:NAME}}` in a header's value
//! (`docs/sandbox.md`). Redirects are not followed.
//!
//! ```
//! use hawser_plugin::http::{Request, Requests, Response};
//! use hawser_plugin::testing::serve_http;
//!
//! // In tests, this stands in for the network.
//! serve_http(|request| Ok(Response { status: 200, headers: vec![], body: request.body.clone() }));
//!
//! let mut requests = Requests::new();
//! for number in 0..3 {
//!     let request = Request::new("POST", "https://api.example.com/items");
//!     let request = request.header("authorization", "Bearer {{secret:api}}").body(format!("item {number}"));
//!     requests.start(number, request);
//! }
//! while let Some((number, answer)) = requests.wait(None) {
//!     assert_eq!(answer?.body, format!("item {number}").into_bytes());
//! }
//! # Ok::<(), hawser_plugin::http::HttpError>(())
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod wasi;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::serve;
#[cfg(not(target_arch = "wasm32"))]
use native::{Sent, send, wait_for};
#[cfg(target_arch = "wasm32")]
use wasi::{Sent, send, wait_for};

/// Bytes of a response's body that are taken, unless a request says otherwise.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` or any other.
    pub method: String,
    /// With `http://` or `https://`.
    pub url: String,
    /// Names and values; a name may come more than once.
    pub headers: Vec<(String, String)>,
    /// Empty: none.
    pub body: Vec<u8>,
    /// How long the connection may take; None: as long as the host allows, which is 10 seconds.
    pub connect_timeout: Option<Duration>,
    /// How long the answer may take to begin, and to go on; None: as long as the host allows, which is a minute.
    pub read_timeout: Option<Duration>,
    /// Bytes of the response's body that are taken: more is an error.
    pub max_response_bytes: usize,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            connect_timeout: None,
            read_timeout: None,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, as text.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The host does not allow it. What to grant stands in the error of the call, if it fails, and in the log.
    #[error("the request was refused by the worker ({0}): check the connector's sandbox.http")]
    Refused(String),
    /// It is no request.
    #[error("the request cannot be sent: {0}")]
    Invalid(String),
    /// The body of the response is longer than the request allows.
    #[error("the response has more than {0} bytes")]
    TooLong(usize),
    /// The network or the other side failed: it may work later.
    #[error("no answer: {0}")]
    Unavailable(String),
}

impl HttpError {
    /// Whether the same request may work later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, HttpError::Unavailable(_))
    }
}

/// Requests under way, each with something to know it by.
pub struct Requests<T> {
    sent: Vec<(T, Sent)>,
    /// Answers that nobody has asked for yet.
    answered: VecDeque<(T, Result<Response, HttpError>)>,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self { sent: Vec::new(), answered: VecDeque::new() }
    }
}

impl<T> Requests<T> {
    /// No request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a request. How many there are at a time is for the caller to limit: the host has 64 places for an instance, and
    /// more than that wait for one.
    pub fn start(&mut self, tag: T, request: Request) {
        let mut sent = send(request);
        match sent.at_once() {
            Some(answer) => self.answered.push_back((tag, answer)),
            None => self.sent.push((tag, sent)),
        }
    }

    /// How many are under way, those among them whose answers have not been [waited](Self::wait) for.
    pub fn len(&self) -> usize {
        self.sent.len() + self.answered.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next answer, whichever request it is for; None if there is none under way, or none came until then.
    pub fn wait(&mut self, until: Option<Instant>) -> Option<(T, Result<Response, HttpError>)> {
        loop {
            if let Some(answered) = self.answered.pop_front() {
                return Some(answered);
            }
            if self.sent.is_empty() {
                return None;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // From the last to the first: the last takes the place of one that goes.
            for place in wait_for(&self.sent, left).into_iter().rev() {
                if let Some(answer) = self.sent[place].1.advance() {
                    self.answered.push_back((self.sent.swap_remove(place).0, answer));
                }
            }
            if left.is_some_and(|left| left.is_zero()) {
                return self.answered.pop_front();
            }
        }
    }
}

/// Sends a request and waits for its answer.
///
/// # Errors
/// [`HttpError`]. A response of any status is none.
pub fn fetch(request: Request) -> Result<Response, HttpError> {
    let mut requests = Requests::new();
    requests.start((), request);
    requests.wait(None).map_or_else(|| Err(HttpError::Unavailable("no answer".to_owned())), |((), answer)| answer)
}

/// Scheme, authority, and path with query of a URL.
#[cfg(target_arch = "wasm32")]
fn split_url(url: &str) -> Result<(&str, &str, &str), HttpError> {
    let invalid = || HttpError::Invalid(format!("`{url}` is no URL with http:// or https://"));
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() { Err(invalid()) } else { Ok((scheme, authority, if path.is_empty() { "/" } else { path })) }
}
