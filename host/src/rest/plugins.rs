//! `/plugins`: Hawser's own. A plugin is uploaded while everything runs, and usable at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use serde::Serialize;

use super::connectors::CreateConnector;
use super::error::{ApiError, ApiResult};
use super::extract::{Name, collect, parse, read_body};
use super::{MAX_JSON_BODY_BYTES, media};
use crate::herder::Herder;
use crate::herder::model::{ConnectorInfo, PluginVersion, PluginVersions};

/// Answer to an upload.
#[derive(Serialize)]
struct Uploaded {
    #[serde(flatten)]
    plugin: PluginVersion,
    /// The connector that was deployed by the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<ConnectorInfo>,
}

pub(super) async fn list(State(herder): State<Arc<Herder>>) -> Json<Vec<PluginVersion>> {
    Json(herder.plugins())
}

pub(super) async fn read(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<PluginVersions>> {
    Ok(Json(herder.plugin(&name)?))
}

pub(super) async fn delete(
    State(herder): State<Arc<Herder>>,
    Path((name, version)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    herder.delete_plugin(&name, &version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a component, and with a multipart body the connector to deploy from it.
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
