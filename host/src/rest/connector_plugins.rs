//! `/connector-plugins`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::error::{ApiResult, ErrorMessage};
use super::extract::{ConfigBody, JsonBody, Name, Query};
use crate::herder::Herder;
use crate::herder::model::{ConfigInfos, ConfigKeyInfo, PluginInfo};

/// The classes that configurations can name.
#[utoipa::path(
    get,
    path = "/connector-plugins",
    tag = "connector-plugins",
    params(
        ("connectorsOnly" = Option<bool>, Query, description = "Sinks and sources only, if not false")
    ),
    responses(
        (status = 200, description = "The classes", body = Vec<PluginInfo>,
            example = json!([{"class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "type": "source", "version": "0.1.0"}]))
    )
)]
pub(super) async fn list(State(herder): State<Arc<Herder>>, query: Query) -> Json<Vec<PluginInfo>> {
    Json(herder.connector_plugins(query.flag("connectorsOnly", true)))
}

/// The keys of a class.
#[utoipa::path(
    get,
    path = "/connector-plugins/{name}/config",
    tag = "connector-plugins",
    params(
        ("name" = String, Path, description = "Full name, simple name or alias of a class", example = json!("FileStreamSource")),
        ("version" = Option<String>, Query, description = "A version, or a range of versions")
    ),
    responses(
        (status = 200, description = "Its keys", body = Vec<ConfigKeyInfo>,
            example = json!([{"name": "tasks.max", "type": "INT", "required": false, "default_value": "1", "importance": "HIGH",
            "documentation": "Maximum number of tasks of this connector.", "group": "Common", "width": "SHORT", "display_name": "Tasks max",
            "dependents": [], "order_in_group": 4, "order": 4}])),
        (status = 400, description = "There is no such version", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Plugin FileStreamSource not found that matches the version range 9, available versions: [0.1.0]"})),
        (status = 404, description = "There is no such class", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Unknown plugin Nothing."}))
    )
)]
pub(super) async fn config(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    query: Query,
) -> ApiResult<Json<Vec<ConfigKeyInfo>>> {
    Ok(Json(herder.plugin_config(&name, query.first("version"))?))
}

/// Checks a configuration without deploying it.
#[utoipa::path(
    put,
    path = "/connector-plugins/{name}/config/validate",
    tag = "connector-plugins",
    params(
        ("name" = String, Path, description = "Full name, simple name or alias of a class", example = json!("FileStreamSource"))
    ),
    request_body(content = HashMap<String, Option<String>>, example = json!({"connector.class": "FileStreamSource", "tasks.max": "1", "file": "/tmp/hawser/in.txt", "topic": "lines",
                "sandbox.files": "/tmp/hawser:ro", "name": "lines-in"})),
    responses(
        (status = 200, description = "What is wrong, if anything", body = ConfigInfos,
            example = json!({"name": "FileStreamSource", "error_count": 0, "groups": ["Common"],
            "configs": [{"definition": {"name": "tasks.max", "type": "INT", "required": false, "default_value": "1", "importance": "HIGH",
            "documentation": "Maximum number of tasks of this connector.", "group": "Common", "width": "SHORT", "display_name": "Tasks max",
            "dependents": [], "order_in_group": 4, "order": 4},
            "value": {"name": "tasks.max", "value": "1", "recommended_values": [], "errors": [], "visible": true}}]})),
        (status = 400, description = "The body is malformed, or its class is another or not known", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Included connector type FileStreamSink does not match request type FileStreamSource"})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"})),
        (status = 500, description = "The plugin failed", body = ErrorMessage,
            example = json!({"error_code": 500, "message": "the plugin trapped while it checked the configuration"}))
    )
)]
pub(super) async fn validate(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    JsonBody(ConfigBody(config)): JsonBody<ConfigBody>,
) -> ApiResult<Json<ConfigInfos>> {
    Ok(Json(herder.validate_plugin_config(&name, config).await?))
}
