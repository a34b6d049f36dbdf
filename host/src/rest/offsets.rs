//! `/connectors/{name}/offsets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiResult;
use super::extract::{JsonBody, Name};
use crate::herder::Herder;
use crate::herder::model::{ConnectorOffset, ConnectorOffsets, Message};

/// Offsets to alter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlterOffsets {
    #[serde(default)]
    offsets: Option<Vec<AlterOffset>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlterOffset {
    #[serde(default)]
    partition: Value,
    #[serde(default)]
    offset: Value,
}

pub(super) async fn read(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<ConnectorOffsets>> {
    Ok(Json(herder.offsets(&name).await?))
}

pub(super) async fn alter(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    JsonBody(request): JsonBody<AlterOffsets>,
) -> ApiResult<Json<Message>> {
    let offsets = request
        .offsets
        .unwrap_or_default()
        .into_iter()
        .map(|entry| ConnectorOffset { partition: entry.partition, offset: entry.offset })
        .collect();
    Ok(Json(herder.alter_offsets(&name, offsets).await?))
}

pub(super) async fn reset(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<Message>> {
    Ok(Json(herder.reset_offsets(&name).await?))
}
