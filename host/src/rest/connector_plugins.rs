//! `/connector-plugins`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::error::ApiResult;
use super::extract::{ConfigBody, JsonBody, Name, Query};
use crate::herder::Herder;
use crate::herder::model::{ConfigInfos, ConfigKeyInfo, PluginInfo};

pub(super) async fn list(State(herder): State<Arc<Herder>>, query: Query) -> Json<Vec<PluginInfo>> {
    Json(herder.connector_plugins(query.flag("connectorsOnly", true)))
}

pub(super) async fn config(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    query: Query,
) -> ApiResult<Json<Vec<ConfigKeyInfo>>> {
    Ok(Json(herder.plugin_config(&name, query.first("version"))?))
}

pub(super) async fn validate(
    State(herder): State<Arc<Herder>>,
    Name(name): Name,
    JsonBody(ConfigBody(config)): JsonBody<ConfigBody>,
) -> ApiResult<Json<ConfigInfos>> {
    Ok(Json(herder.validate_plugin_config(&name, config).await?))
}
