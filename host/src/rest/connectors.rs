//! `/connectors`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, ErrorMessage};
use super::extract::{BaseUrl, ConfigBody, JsonBody, Name, NameAndTask, Query, Text};
use crate::herder::Herder;
use crate::herder::model::{ConnectorInfo, ConnectorStateInfo, Expanded, TaskInfo, TaskState, Told};
use crate::store::{RawConfig, TargetState};

/// Everything but the unreserved characters of a URI.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Herding = State<Arc<Herder>>;

/// `POST /connectors`, and the `config` part of an upload.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConnector {
    /// Its name; white space around it does not count.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    name: Option<Text>,
    /// Its configuration.
    #[serde(default)]
    #[schema(value_type = HashMap<String, Option<String>>, required = true)]
    config: Option<ConfigBody>,
    /// `RUNNING`, `PAUSED` or `STOPPED`, in any case.
    #[serde(default)]
    initial_state: Option<String>,
}

/// Answer to `GET /connectors`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Connectors {
    /// Without `expand`.
    Names(Vec<String>),
    /// With it.
    Expanded(BTreeMap<String, Expanded>),
}

/// The topics that a connector has used.
#[derive(Serialize, ToSchema)]
pub(super) struct ActiveTopics {
    topics: Vec<String>,
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

/// The names of all connectors; with `expand` what they are and do.
#[utoipa::path(
    get,
    path = "/connectors",
    tag = "connectors",
    params(
        ("expand" = Option<Vec<String>>, Query, description = "`status`, `info`; may come more than once")
    ),
    responses(
        (status = 200, description = "The names; with `expand` an object by name", content(
            (Connectors = "application/json", examples(
                ("names" = (value = json!(["lines-in"]))),
                ("expanded" = (value = json!({"lines-in": {"status": {"name": "lines-in",
            "connector": {"state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"},
            "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"}], "type": "source"},
            "info": {"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [{"connector": "lines-in", "task": 0}], "type": "source"}}})))))))
    )
)]
pub(super) async fn list(State(herder): Herding, query: Query) -> Json<Connectors> {
    let mut expand = query.all("expand").peekable();
    if expand.peek().is_none() {
        return Json(Connectors::Names(herder.connectors()));
    }
    let (mut status, mut info) = (false, false);
    for what in expand {
        status |= what == "status";
        info |= what == "info";
    }
    Json(Connectors::Expanded(herder.expanded(status, info)))
}

/// Creates a connector.
#[utoipa::path(
    post,
    path = "/connectors",
    tag = "connectors",
    request_body(content = CreateConnector, example = json!({"name": "lines-in", "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"}, "initial_state": "RUNNING"})),
    responses(
        (status = 201, description = "Created", body = ConnectorInfo, headers(("location" = String, description = "Where the connector is")),
            example = json!({"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [], "type": "source"})),
        (status = 400, description = "The body is malformed, or the configuration is not valid", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Connector configuration is invalid and contains the following 1 error(s):\nMissing required configuration \"file\" which has no default value.\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"})),
        (status = 409, description = "The name is taken", body = ErrorMessage,
            example = json!({"error_code": 409, "message": "Connector lines-in already exists"})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"}))
    )
)]
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

/// A connector as deployed.
#[utoipa::path(
    get,
    path = "/connectors/{name}",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "The connector", body = ConnectorInfo,
            example = json!({"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [{"connector": "lines-in", "task": 0}], "type": "source"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"}))
    )
)]
pub(super) async fn read(State(herder): Herding, Name(name): Name) -> ApiResult<Json<ConnectorInfo>> {
    Ok(Json(herder.connector(&name)?))
}

/// Deletes a connector. Its offsets stay.
#[utoipa::path(
    delete,
    path = "/connectors/{name}",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 204, description = "It will go away"),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"}))
    )
)]
pub(super) async fn delete(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.delete_connector(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The configuration of a connector, as deployed.
#[utoipa::path(
    get,
    path = "/connectors/{name}/config",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "The configuration", body = HashMap<String, Option<String>>,
            example = json!({"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"}))
    )
)]
pub(super) async fn config(State(herder): Herding, Name(name): Name) -> ApiResult<Json<Arc<RawConfig>>> {
    Ok(Json(herder.connector_config(&name)?))
}

/// Replaces the configuration of a connector, or creates the connector.
#[utoipa::path(
    put,
    path = "/connectors/{name}/config",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    request_body(content = HashMap<String, Option<String>>, example = json!({"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"})),
    responses(
        (status = 200, description = "Replaced", body = ConnectorInfo,
            example = json!({"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [{"connector": "lines-in", "task": 0}], "type": "source"})),
        (status = 201, description = "Created", body = ConnectorInfo, headers(("location" = String, description = "Where the connector is")),
            example = json!({"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [], "type": "source"})),
        (status = 400, description = "The body is malformed, or the configuration is not valid", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Connector configuration is invalid and contains the following 1 error(s):\nMissing required configuration \"file\" which has no default value.\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"}))
    )
)]
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

/// Changes single keys of a configuration; null takes a key away.
#[utoipa::path(
    patch,
    path = "/connectors/{name}/config",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    request_body(content = HashMap<String, Option<String>>, example = json!({"batch.size": "100", "topic": "lines"})),
    responses(
        (status = 200, description = "Changed", body = ConnectorInfo,
            example = json!({"name": "lines-in",
            "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"},
            "tasks": [{"connector": "lines-in", "task": 0}], "type": "source"})),
        (status = 400, description = "The body is malformed, or the configuration is not valid", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Connector configuration is invalid and contains the following 1 error(s):\nMissing required configuration \"file\" which has no default value.\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"}))
    )
)]
pub(super) async fn patch_config(
    State(herder): Herding,
    Name(name): Name,
    JsonBody(ConfigBody(patch)): JsonBody<ConfigBody>,
) -> ApiResult<Json<ConnectorInfo>> {
    Ok(Json(herder.patch_connector_config(&name, patch).await?))
}

/// What a connector and its tasks do.
#[utoipa::path(
    get,
    path = "/connectors/{name}/status",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in")),
        ("expand" = Option<String>, Query, description = "`hawser`: with exact figures")
    ),
    responses(
        (status = 200, description = "Its state", body = ConnectorStateInfo,
            example = json!({"name": "lines-in",
            "connector": {"state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"},
            "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"}], "type": "source"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "No status found for connector lines-in"}))
    )
)]
pub(super) async fn status(State(herder): Herding, Name(name): Name, query: Query) -> ApiResult<Json<ConnectorStateInfo>> {
    Ok(Json(herder.connector_status_with(&name, told(&query))?))
}

/// Restarts a connector alone, or what of it and its tasks is asked for.
#[utoipa::path(
    post,
    path = "/connectors/{name}/restart",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in")),
        ("includeTasks" = Option<bool>, Query, description = "Its tasks, too"),
        ("onlyFailed" = Option<bool>, Query, description = "Only what has failed")
    ),
    responses(
        (status = 202, description = "What will be restarted is RESTARTING", body = ConnectorStateInfo,
            example = json!({"name": "lines-in",
            "connector": {"state": "RESTARTING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"},
            "tasks": [{"id": 0, "state": "RESTARTING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"}], "type": "source"})),
        (status = 204, description = "The connector was restarted"),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown connector: lines-in"})),
        (status = 500, description = "It does not start", body = ErrorMessage,
            example = json!({"error_code": 500, "message": "Failed to start connector: lines-in"}))
    )
)]
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

/// Lets a connector rest; its tasks keep what they have.
#[utoipa::path(
    put,
    path = "/connectors/{name}/pause",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 202, description = "It will"),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown connector lines-in"}))
    )
)]
pub(super) async fn pause(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets a connector go on that was paused or stopped.
#[utoipa::path(
    put,
    path = "/connectors/{name}/resume",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 202, description = "It will"),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown connector lines-in"}))
    )
)]
pub(super) async fn resume(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Stops a connector; its tasks end.
#[utoipa::path(
    put,
    path = "/connectors/{name}/stop",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 204, description = "It will"),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown connector lines-in"}))
    )
)]
pub(super) async fn stop(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.set_target(&name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tasks of a connector with their configurations.
#[utoipa::path(
    get,
    path = "/connectors/{name}/tasks",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "Its tasks", body = Vec<TaskInfo>,
            example = json!([{"id": {"connector": "lines-in", "task": 0}, "config": {"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"}}])),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"}))
    )
)]
pub(super) async fn tasks(State(herder): Herding, Name(name): Name) -> ApiResult<Json<Vec<TaskInfo>>> {
    Ok(Json(herder.tasks(&name)?))
}

/// What a task does.
#[utoipa::path(
    get,
    path = "/connectors/{name}/tasks/{task}/status",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in")),
        ("task" = i32, Path, description = "Number of the task, from 0", example = json!(0)),
        ("expand" = Option<String>, Query, description = "`hawser`: with exact figures")
    ),
    responses(
        (status = 200, description = "Its state", body = TaskState,
            example = json!({"id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": "0.1.0"})),
        (status = 404, description = "There is no such task", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "No status found for task lines-in-0"}))
    )
)]
pub(super) async fn task_status(State(herder): Herding, task: NameAndTask, query: Query) -> ApiResult<Json<TaskState>> {
    Ok(Json(herder.task_status(&task.0, task.1, told(&query))?))
}

/// Nothing that changes by itself more than once a minute, unless it is asked for.
fn told(query: &Query) -> Told {
    match query.all("expand").any(|what| what == "hawser") {
        true => Told::Exact,
        false => Told::Settled,
    }
}

/// Restarts a task.
#[utoipa::path(
    post,
    path = "/connectors/{name}/tasks/{task}/restart",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in")),
        ("task" = i32, Path, description = "Number of the task, from 0", example = json!(0))
    ),
    responses(
        (status = 204, description = "It was restarted"),
        (status = 404, description = "There is no such task", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown task: lines-in-0"})),
        (status = 500, description = "It does not start", body = ErrorMessage,
            example = json!({"error_code": 500, "message": "Failed to start task: lines-in-0"}))
    )
)]
pub(super) async fn restart_task(State(herder): Herding, task: NameAndTask) -> ApiResult<StatusCode> {
    herder.restart_task(&task.0, task.1).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The topics that a connector has used since it was made or reset.
#[utoipa::path(
    get,
    path = "/connectors/{name}/topics",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "Its topics; none of a connector that is not there", body = HashMap<String, ActiveTopics>,
            example = json!({"lines-in": {"topics": ["lines"]}})),
        (status = 403, description = "The worker does not track topics", body = ErrorMessage,
            example = json!({"error_code": 403, "message": "Topic tracking is disabled."}))
    )
)]
pub(super) async fn topics(State(herder): Herding, Name(name): Name) -> ApiResult<Json<BTreeMap<String, ActiveTopics>>> {
    let topics = herder.active_topics(&name)?;
    Ok(Json(BTreeMap::from([(name, ActiveTopics { topics })])))
}

/// Forgets which topics a connector has used.
#[utoipa::path(
    put,
    path = "/connectors/{name}/topics/reset",
    tag = "connectors",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 202, description = "They are forgotten"),
        (status = 403, description = "The worker does not track topics", body = ErrorMessage,
            example = json!({"error_code": 403, "message": "Topic tracking is disabled."}))
    )
)]
pub(super) async fn reset_topics(State(herder): Herding, Name(name): Name) -> ApiResult<StatusCode> {
    herder.reset_active_topics(&name).await?;
    Ok(StatusCode::ACCEPTED)
}
