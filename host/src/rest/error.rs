//! The one error type of the REST API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::herder::HerderError;

/// An answer that is no success: a status and a text, sent as `{"error_code", "message"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status, which is the error code too.
    pub status: StatusCode,
    /// What is wrong and what to do.
    pub message: String,
}

impl ApiError {
    /// An error with any status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into() }
    }

    /// An error whose text is the status itself, as JAX-RS words it: `HTTP 404 Not Found`.
    pub fn bare(status: StatusCode) -> ApiError {
        let reason = status.canonical_reason().unwrap_or_default();
        ApiError::new(status, format!("HTTP {} {reason}", status.as_u16()))
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }
}

impl From<HerderError> for ApiError {
    fn from(error: HerderError) -> ApiError {
        let status = match &error {
            HerderError::BadRequest(_) => StatusCode::BAD_REQUEST,
            HerderError::Forbidden(_) => StatusCode::FORBIDDEN,
            HerderError::NotFound(_) => StatusCode::NOT_FOUND,
            HerderError::Conflict(_) => StatusCode::CONFLICT,
            HerderError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            HerderError::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            HerderError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            HerderError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::new(status, error.to_string())
    }
}

/// The body of every answer that is no success.
#[derive(Serialize, ToSchema)]
pub struct ErrorMessage {
    /// The HTTP status.
    error_code: u16,
    /// What is wrong.
    message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorMessage { error_code: self.status.as_u16(), message: self.message };
        (self.status, Json(body)).into_response()
    }
}

/// What every handler returns.
pub type ApiResult<T> = Result<T, ApiError>;
