//! What the sink and the source are configured with alike.

use std::ops::RangeInclusive;
use std::time::Duration;

use hawser_plugin::http::{HttpError, Request, Response};
use hawser_plugin::prelude::*;

/// What the keys of headers begin with; the rest is the header's name.
const HEADER_PREFIX: &str = "header.";
/// What services see as the client unless a header says otherwise; some refuse requests without it.
const USER_AGENT: (&str, &str) = ("user-agent", concat!("hawser-http/", env!("CARGO_PKG_VERSION")));
/// Bytes of a response that are shown with a failure.
const SHOWN_BYTES: usize = 200;
const HEADERS: &str = "Headers";
const LIMITS: &str = "Time and size";

/// The keys of both.
pub fn keys() -> ConfigDef {
    ConfigDef::new()
        .string("content.type")
        .importance(Importance::Low)
        .doc("Content-Type of requests with a body; by the format if not set.")
        .group(HEADERS)
        .int("connect.timeout.ms")
        .default_value("5000")
        .at_least(1)
        .importance(Importance::Low)
        .doc("How long a connection may take; the worker allows 10 seconds at most.")
        .group(LIMITS)
        .int("request.timeout.ms")
        .default_value("30000")
        .at_least(1)
        .doc("How long the answer to a request may take to begin, and to go on.")
        .group(LIMITS)
        .int("response.max.bytes")
        .default_value("16777216")
        .at_least(0)
        .importance(Importance::Low)
        .doc("Bytes of a response's body; a larger one is an error.")
        .group(LIMITS)
}

/// What is the same in every request.
#[derive(Debug, Clone)]
pub struct Common {
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    read_timeout: Duration,
    max_response_bytes: usize,
}

impl Common {
    pub fn new(config: &Config) -> Result<Self> {
        let pairs = config.to_task().into_pairs();
        let header = |(key, value): (String, String)| Some((key.strip_prefix(HEADER_PREFIX)?.to_owned(), value));
        let mut headers: Vec<_> = pairs.into_iter().filter_map(header).collect();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT.0)) {
            headers.push((USER_AGENT.0.to_owned(), USER_AGENT.1.to_owned()));
        }
        headers.sort();
        Ok(Self {
            headers,
            connect_timeout: config.get("connect.timeout.ms")?,
            read_timeout: config.get("request.timeout.ms")?,
            max_response_bytes: config.get::<i32>("response.max.bytes")?.unsigned_abs() as usize,
        })
    }

    /// A request with the configured headers.
    pub fn request(&self, method: &str, url: String) -> Request {
        Request {
            headers: self.headers.clone(),
            connect_timeout: Some(self.connect_timeout),
            read_timeout: Some(self.read_timeout),
            max_response_bytes: self.max_response_bytes,
            ..Request::new(method, url)
        }
    }
}

/// What a service answered, as it is shown with a failure: the status, and how the body begins or where a redirect leads.
pub fn shown(response: &Response) -> String {
    let status = response.status;
    if let (300..=399, Some(target)) = (status, response.header("location")) {
        return format!("answered {status}, a redirect to {target}, which is not followed");
    }
    let text = String::from_utf8_lossy(&response.body);
    let shown = text[..text.floor_char_boundary(SHOWN_BYTES)].trim();
    if shown.is_empty() { format!("answered {status}") } else { format!("answered {status}: {shown}") }
}

/// What to do about a response that is too long.
pub fn too_long(error: &HttpError) -> String {
    format!("{error}: raise response.max.bytes")
}

/// Status codes, as in `200-299,304`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes(Vec<RangeInclusive<u16>>);

impl Codes {
    pub fn parse(text: &str) -> Result<Self, String> {
        let range = |entry: &str| {
            let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
            let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
            let (first, last): (u16, u16) = (code(first)?, code(last)?);
            (first <= last).then_some(first..=last)
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parsed =
            entries.map(|entry| range(entry).ok_or_else(|| format!("`{entry}` is no status code or range such as 200-299")));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    pub fn of(config: &Config, key: &str) -> Result<Self> {
        Self::parse(config.get(key)?).map_err(|reason| Error::invalid_config(format!("{key}: {reason}")))
    }

    pub fn contain(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

/// Whether a text is a URL with `http://` or `https://` and a host.
pub fn check_url(text: &str) -> Result<(), String> {
    let text = text.trim().to_ascii_lowercase();
    match ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        None => Err("Must begin with http:// or https://".to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) => Err("Must have a host behind ://".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Whether a text lists status codes.
pub fn check_codes(text: &str) -> Result<(), String> {
    Codes::parse(text).map(drop)
}

/// Whether a text is a JSON pointer (RFC 6901): empty, or parts that each follow a `/`.
pub fn check_pointer(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('/') { Ok(()) } else { Err("Must be a JSON pointer such as /data/items".to_owned()) }
}
