//! `/openapi.json`: the description of the API, made from its handlers.

use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::{InfoBuilder, License, OpenApi, OpenApiBuilder, Paths};

const DESCRIPTION: &str = "\
Kafka Connect's REST API, and Hawser's own `/plugins`.

Every answer that is no success has the body of `ErrorMessage`. Besides what is said of each operation there are: 400 for a path whose \
percent-encoding is broken, 404 for a path that does not exist, 405 with `Allow` for a method that a path does not have, 406 if the \
client does not take JSON, 415 if the body is not said to be of a type that is taken, 431 for too many headers, 408 or 500 for what \
takes too long, and 503 while the worker starts. A path may end with a slash.";

/// The description as it is sent.
#[derive(Clone)]
pub struct Document(pub Bytes);

impl Document {
    /// Writes it once for all requests.
    pub fn of(openapi: &OpenApi) -> Document {
        Document(serde_json::to_vec(openapi).unwrap_or_default().into())
    }
}

/// A description of nothing yet.
pub fn empty() -> OpenApi {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    let info = InfoBuilder::new()
        .title("Hawser")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Gives each operation the name of its handler under that of its tag, which no other has.
pub fn name_operations(paths: &mut Paths) {
    for item in paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().filter_map(Option::as_mut) {
            let tag = operation.tags.iter().flatten().next().map(|tag| tag.replace('-', "_")).unwrap_or_default();
            operation.operation_id = operation.operation_id.take().map(|id| format!("{tag}_{id}"));
        }
    }
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "worker",
    responses((status = 200, description = "An OpenAPI document", content_type = "application/json", body = serde_json::Value,
        example = json!({"openapi": "3.1.0"})))
)]
pub(super) async fn read(Extension(Document(json)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
