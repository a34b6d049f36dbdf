//! What handlers take out of a request.

use std::convert::Infallible;
use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{ApiError, ApiResult};
use super::{BODY_STALL_TIMEOUT, MAX_JSON_BODY_BYTES};
use crate::store::RawConfig;

/// A body of JSON. Unlike Kafka Connect, which answers 500, whatever does not parse is the client's mistake: 400.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<JsonBody<T>> {
        let body = read_body(request.into_body(), MAX_JSON_BODY_BYTES).await?;
        parse(&body).map(JsonBody)
    }
}

/// Parses JSON; the error says where it is wrong.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::bad_request("The request needs a body: a JSON document"));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("The request body is not as expected: {error}")))
}

/// Reads a body of at most `limit` bytes.
pub async fn read_body(body: Body, limit: usize) -> ApiResult<Bytes> {
    let broken = |error| ApiError::bad_request(format!("The request body could not be read: {error}"));
    collect(body.into_data_stream().map_err(broken), limit, "request body").await
}

/// Collects at most `limit` bytes. What comes beyond is read and thrown away, up to as much again: a client that is still sending
/// would not see the answer.
pub async fn collect(chunks: impl Stream<Item = ApiResult<Bytes>>, limit: usize, what: &str) -> ApiResult<Bytes> {
    let mut chunks = std::pin::pin!(chunks);
    let mut bytes = BytesMut::new();
    let mut received = 0_usize;
    loop {
        let next = tokio::time::timeout(BODY_STALL_TIMEOUT, chunks.next()).await;
        let stalled = || ApiError::new(StatusCode::REQUEST_TIMEOUT, format!("The rest of the {what} did not come"));
        let Some(chunk) = next.map_err(|_| stalled())? else { break };
        let chunk = chunk?;
        received = received.saturating_add(chunk.len());
        match received <= limit {
            true => bytes.extend_from_slice(&chunk),
            false => bytes = BytesMut::new(),
        }
        if received > limit.saturating_mul(2) {
            break;
        }
    }
    match received <= limit {
        true => Ok(bytes.freeze()),
        false => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The {what} is larger than {limit} bytes, the most that this worker takes"),
        )),
    }
}

/// A flat JSON object of strings in its own order. Numbers and booleans become strings as they were written, null stays.
pub struct ConfigBody(pub RawConfig);

impl<'de> Deserialize<'de> for ConfigBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConfigBody, D::Error> {
        struct Flat;
        impl<'de> Visitor<'de> for Flat {
            type Value = RawConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of configuration values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawConfig, M::Error> {
                let mut config = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    let value = scalar(value.get()).ok_or_else(|| {
                        M::Error::custom(format!("the value of '{key}' must be a string, a number, a boolean or null"))
                    })?;
                    config.push((key, value));
                }
                Ok(RawConfig::new(config))
            }
        }
        deserializer.deserialize_map(Flat).map(ConfigBody)
    }
}

/// A string; numbers and booleans become one as they were written.
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        match scalar(value.get()) {
            Some(Some(text)) => Ok(Text(text)),
            _ => Err(D::Error::custom("a string, a number or a boolean is expected here")),
        }
    }
}

/// The text of a JSON value that is no object and no array.
fn scalar(json: &str) -> Option<Option<String>> {
    match json.bytes().next()? {
        b'"' => serde_json::from_str(json).ok().map(Some),
        b'{' | b'[' => None,
        b'n' => Some(None),
        _ => Some(Some(json.to_owned())),
    }
}

/// The connector (or plugin, or logger) in the path, percent-decoded.
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Name> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Name(name))
            .map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// A connector and the number of one of its tasks. Another text than a number is no path that exists.
pub struct NameAndTask(pub String, pub i32);

/// A plugin and one of its versions.
pub struct NameAndVersion(pub String, pub String);

async fn two_names<S: Send + Sync>(parts: &mut Parts, state: &S) -> ApiResult<(String, String)> {
    let names = Path::<(String, String)>::from_request_parts(parts, state).await;
    names.map(|Path(names)| names).map_err(|error| ApiError::bad_request(error.body_text()))
}

impl<S: Send + Sync> FromRequestParts<S> for NameAndVersion {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<NameAndVersion> {
        let (name, version) = two_names(parts, state).await?;
        Ok(NameAndVersion(name, version))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NameAndTask {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<NameAndTask> {
        let (name, task) = two_names(parts, state).await?;
        let task = task.parse().map_err(|_| ApiError::bare(StatusCode::NOT_FOUND))?;
        Ok(NameAndTask(name, task))
    }
}

/// How a request came: `http` or `https`.
#[derive(Clone, Copy)]
pub struct Scheme(pub &'static str);

/// Where the client reaches this worker, as far as the request tells: `http://HOST:PORT`, or nothing.
pub struct BaseUrl(pub String);

impl<S: Send + Sync> FromRequestParts<S> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<BaseUrl, Infallible> {
        let Scheme(scheme) = parts.extensions.get().copied().unwrap_or(Scheme("http"));
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Ok(BaseUrl(host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()))
    }
}

/// The query, decoded; names may come more than once, and unknown ones do not matter.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A boolean parameter: true in any case of letters, false for everything else.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.first(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Query> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Query(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_keep_order_and_take_scalars_as_written() {
        fn check(json: &str, expect: Result<&[(&str, Option<&str>)], &str>) {
            let parsed = parse::<ConfigBody>(json.as_bytes()).map(|body| body.0).map_err(|error| error.message);
            match expect {
                Ok(expect) => assert_eq!(parsed.unwrap().iter().collect::<Vec<_>>(), expect, "{json}"),
                Err(part) => assert!(parsed.as_ref().is_err_and(|message| message.contains(part)), "{json}: {parsed:?}"),
            }
        }
        check(
            r#"{"b":"1","a":2,"c":1e5,"d":true,"e":null}"#,
            Ok(&[("b", Some("1")), ("a", Some("2")), ("c", Some("1e5")), ("d", Some("true")), ("e", None)]),
        );
        check(r#"{"a":"x","a":"y"}"#, Ok(&[("a", Some("y"))]));
        check(r#"{"a":"\u00e4\n"}"#, Ok(&[("a", Some("ä\n"))]));
        check(r#"{"a":{"b":1}}"#, Err("the value of 'a' must be"));
        check(r#"{"a":[1]}"#, Err("the value of 'a' must be"));
        check("[]", Err("an object of configuration values"));
        check("{", Err("EOF"));
        check(" ", Err("needs a body"));
    }
}
