//! Headers that the configuration adds to every answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::config::{HeaderContent, ResponseHeader};

/// Puts the headers on every answer of the router: Jetty's `HeaderFilter`.
pub fn with_headers(router: Router, headers: &[ResponseHeader]) -> Router {
    if headers.is_empty() {
        return router;
    }
    let headers: Arc<[ResponseHeader]> = headers.into();
    router.layer(from_fn(move |request: Request, next: Next| {
        let headers = Arc::clone(&headers);
        async move { decorate(next.run(request).await, &headers) }
    }))
}

fn decorate(mut response: Response, headers: &[ResponseHeader]) -> Response {
    for header in headers {
        let value = match &header.content {
            HeaderContent::Text(text) => Some(text.clone()),
            HeaderContent::Date(ms) => from_now(*ms).and_then(|date| HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()),
        };
        let Some(value) = value else { continue };
        match header.is_added {
            true => response.headers_mut().append(&header.name, value),
            false => response.headers_mut().insert(&header.name, value).is_some(),
        };
    }
    response
}

/// A time that a header can name: from 1970 to 9999.
fn from_now(ms: i64) -> Option<SystemTime> {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let distance = Duration::from_millis(ms.unsigned_abs());
    let date = if ms < 0 { SystemTime::now().checked_sub(distance) } else { SystemTime::now().checked_add(distance) }?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since <= LAST).then_some(date)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn headers_are_set_added_and_dated() {
        let header = |name: &'static str, content, is_added| ResponseHeader { name: name.parse().unwrap(), content, is_added };
        let text = |text: &'static str| HeaderContent::Text(HeaderValue::from_static(text));
        let own = get(|| async { [("x-set", "own"), ("x-add", "own")] });
        let router = with_headers(
            Router::new().route("/", own),
            &[
                header("x-set", text("new"), false),
                header("x-add", text("new"), true),
                header("expires", HeaderContent::Date(1000), false),
                header("x-too-late", HeaderContent::Date(i64::MAX), false),
                header("x-too-early", HeaderContent::Date(i64::MIN), false),
            ],
        );
        for path in ["/", "/nothing"] {
            let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let all = |name: &str| answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
            assert_eq!(all("x-set"), ["new"], "{path}");
            assert_eq!(all("x-add"), if path == "/" { vec!["own", "new"] } else { vec!["new"] });
            assert!(httpdate::parse_http_date(all("expires")[0]).unwrap() > SystemTime::now() - Duration::from_secs(60));
            assert!(all("x-too-late").is_empty() && all("x-too-early").is_empty());
        }
    }
}
