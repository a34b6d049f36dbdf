//! `/connectors`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::error::{ApiError, ApiResult};
use super::extract::{BaseUrl, ConfigBody, JsonBody, Name, NameAndTask, Query, Text};
use crate::herder::Herder;
use crate::herder::model::{ConnectorInfo, ConnectorStateInfo, TaskInfo, TaskState};
use crate::store::{RawConfig, TargetState};

/// Everything but the unreserved characters of a URI.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Herding = State<Arc<Herder>>;

/// `POST /connectors`, and the `config` part of an upload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateConnector {
    #[serde(default)]
    name: Option<Text>,
    #[serde(default)]
    config: Option<ConfigBody>,
    #[serde(default)]
    initial_state: Option<String>,
}

impl CreateConnector {
    /// The parts of the request, checked as far as they go alone.
    pub fn parts(self) -> ApiResult<(String, RawConfig, TargetState)> {
        let name = self.name.map(|Text(name)| name).unwrap_or_default().trim().to_owned();
        let Some(ConfigBody(config)) = self.config else {
            return Err(ApiError::bad_request("The request needs a 'config': an object of configuration values"));
        };
        let initial = match self.initial_state {
            None => TargetState::Started,
            Some(state) => match state.to_ascii_uppercase().as_str() {
                "RUNNING" => TargetState::Started,
                "PAUSED" => TargetState::Paused,
                "STOPPED" => TargetState::Stopped,
                _ => {
                    return Err(ApiError::bad_request(format!(
                        "The 'initial_state' {state} is none of RUNNING, PAUSED, STOPPED"
                    )));
                }
            },
        };
        Ok((name, config, initial))
    }
}

pub(super) async fn list(State(herder): Herding, query: Query) -> Response {
    let mut expand = query.all("expand").peekable();
    if expand.peek().is_none() {
        return Json(herder.connectors()).into_response();
    }
    let (mut status, mut info) = (false, false);
    for what in expand {
        status |= what == "status";
        info |= what == "info";
    }
    Json(herder.expanded(status, info)).into_response()
}

pub(super) async fn create(
    State(herder): Herding,
    base: BaseUrl,
    JsonBody(request): JsonBody<CreateConnector>,
) -> ApiResult<Response> {
    let (name, config, initial) = request.parts()?;
    let info = herder.create_connector(&name, config, initial).await?;
    Ok(created(&base, info))
}

/// 201 with the place of the new connector.
fn created(base: &BaseUrl, info: ConnectorInfo) -> Response {
    let location = format!("{}/connectors/{}", base.0, utf8_percent_encode(&info.name, PATH_SEGMENT));
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(info)).into_response()
}

pub(super) async fn read(State(herder): Herding, Name(name): Name) -> ApiResult<Json<ConnectorInfo>> {
    Ok(Json(herder.connector(&name)?))
}

pub(super) async fn delete(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.delete_connector(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn config(State(herder): Herding, Name(name): Name) -> ApiResult<Json<Arc<RawConfig>>> {
    Ok(Json(herder.connector_config(&name)?))
}

pub(super) async fn put_config(
    State(herder): Herding,
    Name(name): Name,
    base: BaseUrl,
    JsonBody(ConfigBody(config)): JsonBody<ConfigBody>,
) -> ApiResult<Response> {
    let (is_new, info) = herder.put_connector_config(&name, config).await?;
    Ok(match is_new {
        true => created(&base, info),
        false => Json(info).into_response(),
    })
}

pub(super) async fn patch_config(
    State(herder): Herding,
    Name(name): Name,
    JsonBody(ConfigBody(patch)): JsonBody<ConfigBody>,
) -> ApiResult<Json<ConnectorInfo>> {
    Ok(Json(herder.patch_connector_config(&name, patch).await?))
}

pub(super) async fn status(State(herder): Herding, Name(name): Name, query: Query) -> ApiResult<Json<ConnectorStateInfo>> {
    Ok(Json(herder.connector_status_with(&name, wants_details(&query))?))
}

pub(super) async fn restart(State(herder): Herding, Name(name): Name, query: Query) -> ApiResult<Response> {
    let include_tasks = query.flag("includeTasks", false);
    let only_failed = query.flag("onlyFailed", false);
    if !include_tasks && !only_failed {
        herder.restart_connector(&name).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let planned = herder.restart_instances(&name, include_tasks, only_failed).await?;
    Ok((StatusCode::ACCEPTED, Json(planned)).into_response())
}

pub(super) async fn pause(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn resume(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn stop(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tasks(State(herder): Herding, Name(name): Name) -> ApiResult<Json<Vec<TaskInfo>>> {
    Ok(Json(herder.tasks(&name)?))
}

pub(super) async fn task_status(State(herder): Herding, task: NameAndTask, query: Query) -> ApiResult<Json<TaskState>> {
    Ok(Json(herder.task_status(&task.0, task.1, wants_details(&query))?))
}

/// Kafka's clients do not ask for what is Hawser's own.
fn wants_details(query: &Query) -> bool {
    query.all("expand").any(|what| what == "hawser")
}

pub(super) async fn restart_task(State(herder): Herding, task: NameAndTask) -> ApiResult<StatusCode> {
    herder.restart_task(&task.0, task.1).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn topics(State(herder): Herding, Name(name): Name) -> ApiResult<Response> {
    let topics = herder.active_topics(&name)?;
    Ok(Json(json!({ name: { "topics": topics } })).into_response())
}

pub(super) async fn reset_topics(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.reset_active_topics(&name).await?;
    Ok(StatusCode::ACCEPTED)
}
