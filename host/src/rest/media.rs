//! Rules that hold for every request: media types, time, `OPTIONS`, paths that do not exist.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

const JSON: &str = "application/json";

/// Refuses bodies that are not said to be JSON (415), and clients that do not take JSON (406).
pub async fn json_only(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers(), &[JSON]) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The same for uploads of components.
pub async fn component_only(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers(), &["application/wasm", "multipart/form-data"]) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(method: &Method, headers: &HeaderMap, consumed: &[&str]) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let has_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if has_body && text(header::CONTENT_TYPE).is_some_and(|given| !consumed.contains(&essence(given).as_str())) {
        return Err(ApiError::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    if text(header::ACCEPT).is_some_and(|accepted| !takes_json(accepted)) {
        return Err(ApiError::bare(StatusCode::NOT_ACCEPTABLE));
    }
    Ok(())
}

/// A media type without its parameters.
pub fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn takes_json(accept: &str) -> bool {
    accept.trim().is_empty()
        || accept.split(',').any(|range| {
            let refused = range.split(';').skip(1).any(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or_default();
                name.trim() == "q" && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
            });
            !refused && matches!(essence(range).as_str(), "*/*" | "application/*" | JSON)
        })
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

/// A method that a path does not have; axum adds the `Allow` header.
pub async fn method_not_allowed(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::OK.into_response(),
        _ => ApiError::bare(StatusCode::METHOD_NOT_ALLOWED).into_response(),
    }
}
