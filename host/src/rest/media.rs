//! Rules that hold for every request: media types, time, `OPTIONS`, paths that do not exist.

use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

const JSON: &str = "application/json";

/// Refuses bodies that are not said to be JSON (415), and clients that do not take JSON (406).
pub async fn json_only(request: Request, next: Next) -> Response {
    match check(&request, &[JSON]) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The same for uploads of components.
pub async fn component_only(request: Request, next: Next) -> Response {
    match check(&request, &["application/wasm", "multipart/form-data"]) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The rules of Jersey: a type that is given must be one of those consumed, even without a body; a body must have one.
fn check(request: &Request, consumed: &[&str]) -> Result<(), ApiError> {
    let headers = request.headers();
    let is_consumed = match headers.get(header::CONTENT_TYPE) {
        Some(given) => consumed.contains(&essence(given.to_str().unwrap_or_default()).as_str()),
        None => request.body().is_end_stream(),
    };
    if !is_consumed {
        return Err(ApiError::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let mut accepted = headers.get_all(header::ACCEPT).iter().map(|value| value.to_str().unwrap_or_default()).peekable();
    if accepted.peek().is_some() && !accepted.any(takes_json) {
        return Err(ApiError::bare(StatusCode::NOT_ACCEPTABLE));
    }
    Ok(())
}

/// A media type without its parameters.
pub fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// As Jersey reads it: weights order what is acceptable and rule nothing out.
fn takes_json(accept: &str) -> bool {
    accept.trim().is_empty()
        || accept.split(',').map(essence).any(|range| range.starts_with("*/") || matches!(range.as_str(), "application/*" | JSON))
}

/// Refuses paths whose percent-encoding is broken.
pub async fn well_formed_path(request: Request, next: Next) -> Response {
    let is_hex = |digits: Option<&[u8]>| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let path = request.uri().path().as_bytes();
    let is_good = (0..path.len()).filter(|at| path.get(*at) == Some(&b'%')).all(|at| is_hex(path.get(at + 1..at + 3)));
    match is_good {
        true => next.run(request).await,
        false => ApiError::bad_request("The path has a '%' without two hexadecimal digits: write '%25' for the character itself")
            .into_response(),
    }
}

/// Ends a request that takes too long, in Kafka Connect's words. What it began goes on.
pub async fn within(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Request timed out").into_response(),
    }
}

/// A path that does not exist.
pub async fn not_found() -> ApiError {
    ApiError::bare(StatusCode::NOT_FOUND)
}

/// Makes `OPTIONS` one of the methods that axum lists in `Allow`, and lists them in its answer's body, too, as Jersey does.
pub async fn tell_options(request: Request, next: Next) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let listed = response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok());
    let Some(allow) = listed.map(|allow| format!("{allow},OPTIONS")) else { return response };
    if is_options {
        response = allow.clone().into_response();
    }
    if let Ok(value) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// A method that a path does not have; axum adds the `Allow` header.
pub async fn method_not_allowed(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::OK.into_response(),
        _ => ApiError::bare(StatusCode::METHOD_NOT_ALLOWED).into_response(),
    }
}
