//! One line of the log for each request, and its place among the counters of `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::herder::Herder;

/// Target of the lines.
const TARGET: &str = "hawser::access";

/// How paths that the API does not have are counted.
const NO_ROUTE: &str = "other";

/// Who sent a request; put there by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Notes a request and how it was answered. Its query is left out, since people put secrets there.
pub async fn note(State(herder): State<Arc<Herder>>, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| tracing::field::display(*address));
    let response = next.run(request).await;
    let (status, passed) = (response.status().as_u16(), since.elapsed());
    let route = route.as_ref().map_or(NO_ROUTE, |route| route_of(route.as_str()));
    herder.rest_counters().note(method.as_str(), route, status, passed);
    tracing::info!(target: TARGET, peer, status, ms = passed.as_millis() as u64, "{method} {path}");
    response
}

/// A route without the slash at its end, which changes nothing.
fn route_of(route: &str) -> &str {
    match route.strip_suffix('/') {
        None | Some("") => route,
        Some(shorter) => shorter,
    }
}
