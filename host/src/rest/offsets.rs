//! `/connectors/{name}/offsets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::error::{ApiResult, ErrorMessage};
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

/// How far a connector is.
#[utoipa::path(
    get,
    path = "/connectors/{name}/offsets",
    tag = "offsets",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "Its offsets", body = ConnectorOffsets,
            example = json!({"offsets": [{"partition": {"filename": "/tmp/hawser/in.txt"}, "offset": {"position": 42}}]})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"}))
    )
)]
pub(super) async fn read(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<ConnectorOffsets>> {
    Ok(Json(herder.offsets(&name).await?))
}

/// Moves a stopped connector to other offsets; null resets a partition.
#[utoipa::path(
    patch,
    path = "/connectors/{name}/offsets",
    tag = "offsets",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    request_body(content = ConnectorOffsets, example = json!({"offsets": [{"partition": {"filename": "/tmp/hawser/in.txt"}, "offset": {"position": 42}}]})),
    responses(
        (status = 200, description = "They are stored", body = Message, example = json!({"message": "The Connect framework-managed offsets for this connector have been altered successfully. However, if this connector manages offsets externally, they will need to be manually altered in the system that the connector uses."})),
        (status = 400, description = "The connector is not stopped, or the body is malformed", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/lines-in/stop' endpoint"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"})),
        (status = 413, description = "The body is too large", body = ErrorMessage,
            example = json!({"error_code": 413, "message": "The request body is larger than 2097152 bytes, the most that this worker takes"})),
        (status = 500, description = "Kafka does not do it", body = ErrorMessage,
            example = json!({"error_code": 500, "message": "Failed to alter consumer group offsets for connector lines-in either because its tasks haven't stopped completely yet or the connector was resumed before the request to alter its offsets could be successfully completed. If the connector is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink tasks."}))
    )
)]
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

/// Forgets all offsets of a stopped connector.
#[utoipa::path(
    delete,
    path = "/connectors/{name}/offsets",
    tag = "offsets",
    params(
        ("name" = String, Path, description = "Name of the connector", example = json!("lines-in"))
    ),
    responses(
        (status = 200, description = "They are gone", body = Message, example = json!({"message": "The Connect framework-managed offsets for this connector have been reset successfully. However, if this connector manages offsets externally, they will need to be manually reset in the system that the connector uses."})),
        (status = 400, description = "The connector is not stopped, or the body is malformed", body = ErrorMessage,
            example = json!({"error_code": 400, "message": "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/lines-in/stop' endpoint"})),
        (status = 404, description = "There is no such connector", body = ErrorMessage,
            example = json!({"error_code": 404, "message": "Connector lines-in not found"})),
        (status = 500, description = "Kafka does not do it", body = ErrorMessage,
            example = json!({"error_code": 500, "message": "Failed to reset consumer group offsets for connector lines-in either because its tasks haven't stopped completely yet or the connector was resumed before the request to reset its offsets could be successfully completed. If the connector is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink tasks."}))
    )
)]
pub(super) async fn reset(State(herder): State<Arc<Herder>>, Name(name): Name) -> ApiResult<Json<Message>> {
    Ok(Json(herder.reset_offsets(&name).await?))
}
