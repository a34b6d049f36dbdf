//! `/`, `/health` and `/admin/loggers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{ApiError, ApiResult};
use super::extract::{JsonBody, Name, Query, Text};
use crate::herder::Herder;
use crate::herder::loggers::LoggerLevel;
use crate::herder::model::ServerInfo;

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
