//! Every endpoint through the router, without a network: what it answers when all is well, and each of its refusals.

mod connectors;
mod document;
mod golden;
mod https;
mod lifecycle;
mod metrics;
mod table;
mod uploads;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use super::router;
use crate::herder::Settings;
use crate::herder::testing::Fixture;

/// An answer.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The API over a herder of fakes.
pub(super) struct Api {
    fixture: Fixture,
    router: Router,
}

impl Api {
    async fn new() -> Api {
        Api::over(Fixture::new().await)
    }

    async fn with(settings: Settings) -> Api {
        Api::over(Fixture::with(settings).await)
    }

    fn over(fixture: Fixture) -> Api {
        let router = router(fixture.herder.clone(), true);
        Api { fixture, router }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Sends `METHOD /path` with a body of JSON; an empty body is none.
    async fn call(&self, what: &str, body: &str) -> Answer {
        let (method, path) = what.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "worker:8083");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Sends and compares status and body. A body that begins with `~` is a part of the message.
    async fn check(&self, what: &str, body: &str, status: u16, expect: &str) {
        let answer = self.call(what, body).await;
        assert_eq!(answer.status.as_u16(), status, "{what} {body}: {}", answer.body);
        if status >= 400 && !answer.body.is_empty() && !what.starts_with("HEAD") {
            assert_eq!(answer.json()["error_code"], status, "{what}: {}", answer.body);
        }
        match expect.strip_prefix('~') {
            Some(part) => assert!(answer.message().contains(part), "{what}: {part:?} is not in {}", answer.body),
            None if expect.is_empty() => assert_eq!(answer.body, "", "{what}"),
            None => {
                let expect: Value = serde_json::from_str(expect).unwrap();
                assert_eq!(answer.json(), expect, "{what}: {}", answer.body);
            }
        }
    }

    /// Creates a source and waits until its tasks run.
    async fn create(&self, name: &str, more: &str) {
        let config = format!(r#"{{"name":"{name}","config":{{"connector.class":"FileSource","file":"f"{more}}}}}"#);
        let answer = self.call("POST /connectors", &config).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// Waits for the states of a connector and its tasks, such as `RUNNING RUNNING`.
    async fn until(&self, name: &str, states: &str) {
        let mut last = String::new();
        let herder = &self.fixture.herder;
        crate::herder::testing::until(&format!("{name}: {states}"), || {
            last = match herder.connector_status(name) {
                Ok(info) => [info.connector.state]
                    .into_iter()
                    .chain(info.tasks.iter().map(|task| task.state))
                    .map(|state| state.as_str())
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(_) => "none".to_owned(),
            };
            last == states
        })
        .await;
    }
}
