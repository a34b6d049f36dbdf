//! What a listener answers while the worker is still starting.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use tower::ServiceExt;

use super::ApiError;
use crate::convert::data::Value;
use crate::convert::data::time::iso_text;
use crate::herder::model::WorkerStatus;

/// Stands in for a router that is made when the worker has started: until then `/health` says `starting`, and everything else is
/// 503.
pub struct Startup {
    began: SystemTime,
    router: OnceLock<Router>,
}

impl Startup {
    /// A start that begins now.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Startup {
        Startup { began: SystemTime::now(), router: OnceLock::new() }
    }

    /// The worker has started: from now on this router answers.
    pub fn finish(&self, router: Router) {
        // It starts once.
        let _ = self.router.set(router);
    }

    /// Serves what there is.
    pub fn router(self: Arc<Startup>) -> Router {
        Router::new().fallback(move |request: Request| {
            let startup = Arc::clone(&self);
            async move {
                match startup.router.get() {
                    Some(router) => router.clone().oneshot(request).await.into_response(),
                    None => startup.answer(request.uri().path()),
                }
            }
        })
    }

    fn answer(&self, path: &str) -> Response {
        let message = format!(
            "Worker is still starting up. The worker is currently initializing and reading to the end of internal topics, which began at {}.",
            instant(self.began)
        );
        match path.trim_end_matches('/') {
            "/health" => (StatusCode::SERVICE_UNAVAILABLE, Json(WorkerStatus { status: "starting", message })).into_response(),
            _ => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response(),
        }
    }
}

/// As ISO 8601 has it, in UTC.
fn instant(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    iso_text(&Value::Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::routing::get;

    use super::*;

    async fn ask(router: &Router, path: &str) -> (u16, String) {
        let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(to_bytes(answer.into_body(), 1000).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_worker_that_starts_says_so() {
        let startup =
            Startup { began: SystemTime::UNIX_EPOCH + Duration::from_millis(1_582_934_400_001), router: OnceLock::new() };
        let startup = Arc::new(startup);
        let router = Arc::clone(&startup).router();
        let message = "Worker is still starting up. The worker is currently initializing and reading to the end of internal topics, \
            which began at 2020-02-29T00:00:00.001Z.";
        let starting = format!(r#"{{"status":"starting","message":"{message}"}}"#);
        assert_eq!(ask(&router, "/health").await, (503, starting.clone()));
        assert_eq!(ask(&router, "/health/").await, (503, starting));
        assert_eq!(ask(&router, "/connectors").await, (503, format!(r#"{{"error_code":503,"message":"{message}"}}"#)));
        startup.finish(Router::new().route("/connectors", get(|| async { "ready" })));
        assert_eq!(ask(&router, "/connectors").await, (200, "ready".to_owned()));
        assert_eq!(ask(&router, "/health").await.0, 404);
    }
}
