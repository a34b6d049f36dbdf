//! `/`, `/health`, `/metrics` and `/admin/loggers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{ApiError, ApiResult};
use super::extract::{JsonBody, Name, Query, Text};
use crate::herder::Herder;
use crate::herder::loggers::LoggerLevel;
use crate::herder::model::ServerInfo;
use crate::metrics::CONTENT_TYPE;

pub(super) async fn server_info(State(herder): State<Arc<Herder>>) -> Json<ServerInfo> {
    Json(herder.server_info())
}

pub(super) async fn health(State(herder): State<Arc<Herder>>) -> Response {
    let health = herder.health().await;
    let status = match health.status {
        "healthy" => StatusCode::OK,
        "starting" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(health)).into_response()
}

/// Prometheus text, whatever the client says that it accepts.
pub(super) async fn metrics(State(herder): State<Arc<Herder>>) -> ApiResult<Response> {
    let told = tokio::task::spawn_blocking(move || herder.metrics()).await;
    let text = told.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let text = text.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

pub(super) async fn loggers(State(herder): State<Arc<Herder>>) -> Json<BTreeMap<String, LoggerLevel>> {
    Json(herder.loggers().all())
}

pub(super) async fn logger(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<LoggerLevel>> {
    match herder.loggers().get(&name) {
        Some(level) => Ok(Json(level)),
        None => Err(ApiError::new(StatusCode::NOT_FOUND, format!("Logger {name} not found."))),
    }
}

#[derive(Deserialize)]
pub(super) struct SetLevel {
    #[serde(default)]
    level: Option<Text>,
}

pub(super) async fn set_logger(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    query: Query,
    JsonBody(request): JsonBody<SetLevel>,
) -> ApiResult<Response> {
    let Some(Text(level)) = request.level else {
        return Err(ApiError::bad_request("Desired 'level' parameter was not specified in request."));
    };
    if query.first("scope").is_some_and(|scope| scope.eq_ignore_ascii_case("cluster")) {
        herder.set_logger_everywhere(&name, &level).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(herder.loggers().set(&name, &level)?).into_response())
}
