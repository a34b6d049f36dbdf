//! Requests to the REST API, several in a row, over a herder whose plugins and tasks are fakes.
//!
//! The input is requests with a line `===` between them: the first line `METHOD /path`, then headers `name: value`, an empty
//! line, and the body. Whatever comes, the answer is no 500, and an error has Kafka Connect's form.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use hawser::herder::Herder;
use hawser::rest::router;
use tokio::sync::OnceCell;
use tower::ServiceExt;

use crate::RUNTIME;
use crate::fakes;

const MAX_ANSWER_BYTES: usize = 64 << 20;

static HERDER: OnceCell<(Arc<Herder>, Router)> = OnceCell::const_new();

pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let requests: Vec<_> = text.split("\n===\n").take(8).filter_map(request).collect();
    if requests.is_empty() {
        return;
    }
    RUNTIME.block_on(async {
        let (herder, router) = HERDER
            .get_or_init(async || {
                let herder = fakes::herder().await;
                (herder.clone(), router(herder, true))
            })
            .await;
        for request in requests {
            send(router, request).await;
        }
        for name in herder.connectors() {
            herder.delete_connector(&name).await.expect("it is there");
        }
    });
}

async fn send(router: &Router, request: Request<Body>) {
    let what = format!("{} {}", request.method(), request.uri());
    let head = request.method() == Method::HEAD;
    let answer = router.clone().oneshot(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.expect("its body");
    let text = String::from_utf8_lossy(&body);
    assert!(status != 500, "{what}: {text}");
    if status >= 400 && !head && !body.is_empty() {
        assert!(text.contains(&format!("\"error_code\":{status}")), "{what}: {text}");
    }
}

fn request(text: &str) -> Option<Request<Body>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Body::from(body.to_owned()));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = path.parse::<Uri>().ok().filter(|uri| uri.path().starts_with('/'))?;
    request.headers_mut().insert("host", HeaderValue::from_static("worker:8083"));
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?);
        request.headers_mut().insert(name, value);
    }
    Some(request)
}
