//! `/`, `/health`, `/metrics` and `/admin/loggers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, ErrorMessage};
use super::extract::{JsonBody, Name, Query, Text};
use crate::herder::Herder;
use crate::herder::loggers::LoggerLevel;
use crate::herder::model::{ServerInfo, WorkerStatus};
use crate::metrics::CONTENT_TYPE;

/// What this worker is.
#[utoipa::path(
    get,
    path = "/",
    tag = "worker",
    responses(
        (status = 200, description = "The worker", body = ServerInfo,
            example = json!({"version": "4.3.1", "commit": "hawser-0.1.0", "kafka_cluster_id": "I4ZmrWqfT2e-upky_4fdPA"}))
    )
)]
pub(super) async fn server_info(State(herder): State<Arc<Herder>>) -> Json<ServerInfo> {
    Json(herder.server_info())
}

/// Whether this worker has started and answers.
#[utoipa::path(
    get,
    path = "/health",
    tag = "worker",
    responses(
        (status = 200, description = "It is ready", body = WorkerStatus,
            example = json!({"status": "healthy", "message": "Worker has completed startup and is ready to handle requests."})),
        (status = 500, description = "It does not answer", body = WorkerStatus, example = json!({"status": "unhealthy",
            "message": "Worker was unable to handle this request and may be unable to handle other requests."})),
        (status = 503, description = "It is starting", body = WorkerStatus, example = json!({"status": "starting",
            "message": "Worker is still starting up."}))
    )
)]
pub(super) async fn health(State(herder): State<Arc<Herder>>) -> Response {
    let health = herder.health().await;
    let status = match health.status {
        "healthy" => StatusCode::OK,
        "starting" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(health)).into_response()
}

/// The metrics, as Prometheus text, whatever the client says that it accepts.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "worker",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain",
        example = "# HELP kafka_connect_worker_connector_count Connectors that run on this worker.\n"))
)]
pub(super) async fn metrics(State(herder): State<Arc<Herder>>) -> ApiResult<Response> {
    let told = tokio::task::spawn_blocking(move || herder.metrics()).await;
    let text = told.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let text = text.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// The loggers whose level was set, and `root`.
#[utoipa::path(
    get,
    path = "/admin/loggers",
    tag = "admin",
    responses(
        (status = 200, description = "By name", body = HashMap<String, LoggerLevel>,
            example = json!({"hawser.task": {"level": "DEBUG", "last_modified": 1_718_000_000_000_u64}, "root": {"level": "INFO", "last_modified": null}}))
    )
)]
pub(super) async fn loggers(State(herder): State<Arc<Herder>>) -> Json<BTreeMap<String, LoggerLevel>> {
    Json(herder.loggers().all())
}

/// The level that holds for a logger.
#[utoipa::path(
    get,
    path = "/admin/loggers/{name}",
    tag = "admin",
    params(
        ("name" = String, Path, description = "Name of the logger; parts are separated by dots", example = json!("hawser.task"))
    ),
    responses(
        (status = 200, description = "Its level", body = LoggerLevel, example = json!({"level": "INFO", "last_modified": null})),
        (status = 404, description = "There is no such logger", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Logger hawser.tasks not found."}))
    )
)]
pub(super) async fn logger(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<LoggerLevel>> {
    match herder.loggers().get(&name) {
        Some(level) => Ok(Json(level)),
        None => Err(ApiError::new(StatusCode::NOT_FOUND, format!("Logger {name} not found."))),
    }
}

/// A level to set.
#[derive(Deserialize, ToSchema)]
pub(super) struct SetLevel {
    /// `OFF`, `FATAL`, `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE` or `ALL`, in any case.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    level: Option<Text>,
}

/// Sets the level of a logger and of those under it.
#[utoipa::path(
    put,
    path = "/admin/loggers/{name}",
    tag = "admin",
    params(
        ("name" = String, Path, description = "Name of the logger; parts are separated by dots", example = json!("hawser.task")),
        ("scope" = Option<String>, Query, description = "`worker`, or `cluster` for all workers", example = json!("worker"))
    ),
    request_body(content = SetLevel, example = json!({"level": "DEBUG"})),
    responses(
        (status = 200, description = "The loggers that changed", body = Vec<String>, example = json!(["hawser.task"])),
        (status = 204, description = "All workers will set it"),
        (status = 400, description = "The body is malformed", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Desired 'level' parameter was not specified in request."})),
        (status = 404, description = "The level is not known", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "invalid log level 'loud'."})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"}))
    )
)]
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
