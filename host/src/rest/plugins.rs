//! `/plugins`: Hawser's own. A plugin is uploaded while everything runs, and usable at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use serde::Serialize;
use utoipa::ToSchema;

use super::connectors::CreateConnector;
use super::error::{ApiError, ApiResult, ErrorMessage};
use super::extract::{Name, NameAndVersion, collect, parse, read_body};
use super::{MAX_JSON_BODY_BYTES, media};
use crate::herder::Herder;
use crate::herder::model::{ConnectorInfo, PluginVersion, PluginVersions};

/// Answer to an upload.
#[derive(Serialize, ToSchema)]
pub(super) struct Uploaded {
    #[serde(flatten)]
    plugin: PluginVersion,
    /// The connector that was deployed by the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<ConnectorInfo>,
}

/// All plugins that were uploaded.
#[utoipa::path(
    get,
    path = "/plugins",
    tag = "plugins",
    responses(
        (status = 200, description = "The plugins", body = Vec<PluginVersion>,
            example = json!([{"name": "file", "version": "0.1.0", "summary": "Files.", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size": 482_133, "classes": [{"class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "type": "source",
            "aliases": ["FileStreamSource"], "summary": "Follows files."}], "imports": ["wasi:filesystem/types@0.2.6"],
            "requires": [{"capability": "files", "key": "sandbox.files", "certain": true}], "used_by": []}]))
    )
)]
pub(super) async fn list(State(herder): State<Arc<Herder>>) -> Json<Vec<PluginVersion>> {
    Json(herder.plugins())
}

/// The versions of a plugin, newest first.
#[utoipa::path(
    get,
    path = "/plugins/{name}",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "Name of the plugin", example = json!("file"))
    ),
    responses(
        (status = 200, description = "Its versions", body = PluginVersions,
            example = json!({"name": "file", "versions": [{"name": "file", "version": "0.1.0", "summary": "Files.", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size": 482_133, "classes": [{"class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "type": "source",
            "aliases": ["FileStreamSource"], "summary": "Follows files."}], "imports": ["wasi:filesystem/types@0.2.6"],
            "requires": [{"capability": "files", "key": "sandbox.files", "certain": true}], "used_by": []}]})),
        (status = 404, description = "There is no such plugin", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Plugin file not found"}))
    )
)]
pub(super) async fn read(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<PluginVersions>> {
    Ok(Json(herder.plugin(&name)?))
}

/// Deletes a version of a plugin that no connector uses.
#[utoipa::path(
    delete,
    path = "/plugins/{name}/versions/{version}",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "Name of the plugin", example = json!("file")),
        ("version" = String, Path, description = "One of its versions", example = json!("0.1.0"))
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such version", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Plugin file 0.1.0 not found"})),
        (status = 409, description = "Connectors use it", body = ErrorMessage,
            example = json!({"error_code": 409, "message": "file 0.1.0 is used by: lines-in"}))
    )
)]
pub(super) async fn delete(
    State(herder): State<Arc<Herder>>,
    NameAndVersion(name, version): NameAndVersion,
) -> ApiResult<StatusCode> {
    herder.delete_plugin(&name, &version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a component, and with a multipart body the connector to deploy from it.
#[utoipa::path(
    post,
    path = "/plugins",
    tag = "plugins",
    request_body(description = "A component, or a form with the parts `plugin` (the component) and `config` (as in POST /connectors)",
        content(("application/wasm", example = json!("the bytes of a component")), ("multipart/form-data"))),
    responses(
        (status = 200, description = "It was there already", body = Uploaded, example = json!({"name": "file", "version": "0.1.0", "summary": "Files.", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size": 482_133, "classes": [{"class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "type": "source",
            "aliases": ["FileStreamSource"], "summary": "Follows files."}], "imports": ["wasi:filesystem/types@0.2.6"],
            "requires": [{"capability": "files", "key": "sandbox.files", "certain": true}], "used_by": []})),
        (status = 201, description = "It can be used", body = Uploaded, example = json!({"name": "file", "version": "0.1.0", "summary": "Files.", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size": 482_133, "classes": [{"class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "type": "source",
            "aliases": ["FileStreamSource"], "summary": "Follows files."}], "imports": ["wasi:filesystem/types@0.2.6"],
            "requires": [{"capability": "files", "key": "sandbox.files", "certain": true}], "used_by": []})),
        (status = 400, description = "The form is malformed, or the configuration in it is not valid", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "The upload has no part 'plugin'"})),
        (status = 409, description = "Name and version are taken", body = ErrorMessage,
            example = json!({"error_code": 409, "message": "file 0.1.0 is there already, with other bytes"})),
        (status = 413, description = "The component is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The component is larger than 67108864 bytes, the most that this worker takes"})),
        (status = 422, description = "It is no plugin that this worker runs", body = ErrorMessage,
            example = json!({"error_code": 422, "message": "not a component"}))
    )
)]
pub(super) async fn upload(State(herder): State<Arc<Herder>>, request: Request) -> ApiResult<Response> {
    let _turn = herder.upload_turn().await?;
    let limit = herder.max_component_bytes();
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (component, connector) = match content_type.map(media::essence).as_deref() {
        Some("multipart/form-data") => {
            let parts =
                Multipart::from_request(request, &herder).await.map_err(|error| ApiError::bad_request(error.body_text()))?;
            read_parts(parts, limit).await?
        }
        _ => (read_body(request.into_body(), limit).await?, None),
    };
    let (is_new, plugin) = herder.upload_plugin(component).await?;
    let connector = match connector {
        Some(request) => {
            let (name, config, initial) = request.parts()?;
            Some(herder.create_connector(&name, config, initial).await?)
        }
        None => None,
    };
    let status = match is_new || connector.is_some() {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(Uploaded { plugin, connector })).into_response())
}

/// Reads the parts `plugin` (the component) and, if there, `config` (as in `POST /connectors`), in any order.
async fn read_parts(mut parts: Multipart, limit: usize) -> ApiResult<(Bytes, Option<CreateConnector>)> {
    let (mut component, mut connector) = (None, None);
    let broken = |error: axum::extract::multipart::MultipartError| ApiError::bad_request(error.body_text());
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        match part.name() {
            Some("plugin") => component = Some(collect(chunks(part), limit, "component").await?),
            Some("config") => {
                let json = collect(chunks(part), MAX_JSON_BODY_BYTES, "config").await?;
                connector = Some(parse::<CreateConnector>(&json)?);
            }
            other => {
                return Err(ApiError::bad_request(format!(
                    "Unknown part '{}': a multipart upload has the parts 'plugin' and 'config'",
                    other.unwrap_or_default()
                )));
            }
        }
    }
    match component {
        Some(component) => Ok((component, connector)),
        None => Err(ApiError::bad_request("The upload has no part 'plugin'")),
    }
}

fn chunks(part: Field<'_>) -> impl Stream<Item = ApiResult<Bytes>> + '_ {
    part.map_err(|error| ApiError::bad_request(error.body_text()))
}
