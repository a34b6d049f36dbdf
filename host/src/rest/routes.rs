//! Every path of the API.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post, put};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{REQUEST_TIMEOUT, UPLOAD_TIMEOUT, access, admin, connector_plugins, connectors, media, offsets, plugins};
use crate::herder::Herder;

type Routes = Router<Arc<Herder>>;

/// The whole API over a herder; `/admin` may be served elsewhere.
pub fn router(herder: Arc<Herder>, with_admin: bool) -> Router {
    let uploads: Routes = both_slashes(Router::new(), "/plugins", get(plugins::list), media_json)
        .merge(both_slashes(Router::new(), "/plugins", post(plugins::upload), media_component))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(|request, next| media::within(UPLOAD_TIMEOUT, request, next)));
    let api = if with_admin { add(api(), admin_routes()) } else { api() };
    let routes = api.route("/metrics", get(admin::metrics)).route("/metrics/", get(admin::metrics));
    finish(routes.layer(from_fn(|request, next| media::within(REQUEST_TIMEOUT, request, next))).merge(uploads), herder)
}

/// `/admin` alone, for a listener of its own.
pub fn admin_router(herder: Arc<Herder>) -> Router {
    let admin = add(Router::new(), admin_routes());
    finish(admin.layer(from_fn(|request, next| media::within(REQUEST_TIMEOUT, request, next))), herder)
}

fn finish(routes: Routes, herder: Arc<Herder>) -> Router {
    routes
        .fallback(media::not_found)
        .method_not_allowed_fallback(media::method_not_allowed)
        .layer(from_fn(media::well_formed_path))
        .layer(from_fn(media::tell_options))
        .layer(from_fn_with_state(Arc::clone(&herder), access::note))
        .with_state(herder)
}

/// Lets pages of these origins use the API, if any are named (`access.control.allow.origin` and `.methods`).
pub fn with_cors(router: Router, origins: &str, methods: &str) -> Router {
    if origins.trim().is_empty() {
        return router;
    }
    let listed =
        |text: &str| text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect::<Vec<_>>();
    let origins = listed(origins);
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    // The defaults are those of Kafka Connect's server.
    let methods = if methods.trim().is_empty() { "GET,POST,HEAD" } else { methods };
    let methods = listed(methods).iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok()).collect::<Vec<_>>();
    let headers = ["x-requested-with", "content-type", "accept", "origin"].map(HeaderName::from_static);
    router.layer(CorsLayer::new().allow_origin(allowed).allow_methods(methods).allow_headers(headers))
}

fn api() -> Routes {
    let routes = [
        ("/", get(admin::server_info)),
        ("/health", get(admin::health)),
        ("/connectors", get(connectors::list).post(connectors::create)),
        ("/connectors/{name}", get(connectors::read).delete(connectors::delete)),
        ("/connectors/{name}/config", get(connectors::config).put(connectors::put_config).patch(connectors::patch_config)),
        ("/connectors/{name}/status", get(connectors::status)),
        ("/connectors/{name}/restart", post(connectors::restart)),
        ("/connectors/{name}/pause", put(connectors::pause)),
        ("/connectors/{name}/resume", put(connectors::resume)),
        ("/connectors/{name}/stop", put(connectors::stop)),
        ("/connectors/{name}/tasks", get(connectors::tasks)),
        ("/connectors/{name}/tasks/{task}/status", get(connectors::task_status)),
        ("/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task)),
        ("/connectors/{name}/topics", get(connectors::topics)),
        ("/connectors/{name}/topics/reset", put(connectors::reset_topics)),
        ("/connectors/{name}/offsets", get(offsets::read).patch(offsets::alter).delete(offsets::reset)),
        ("/connector-plugins", get(connector_plugins::list)),
        ("/connector-plugins/{name}/config", get(connector_plugins::config)),
        ("/connector-plugins/{name}/config/validate", put(connector_plugins::validate)),
        ("/plugins/{name}", get(plugins::read)),
        ("/plugins/{name}/versions/{version}", delete(plugins::delete)),
    ];
    add(Router::new(), routes)
}

fn admin_routes() -> [(&'static str, MethodRouter<Arc<Herder>>); 2] {
    [("/admin/loggers", get(admin::loggers)), ("/admin/loggers/{name}", get(admin::logger).put(admin::set_logger))]
}

fn add(router: Routes, routes: impl IntoIterator<Item = (&'static str, MethodRouter<Arc<Herder>>)>) -> Routes {
    routes.into_iter().fold(router, |router, (path, methods)| both_slashes(router, path, methods, media_json))
}

fn media_json(methods: MethodRouter<Arc<Herder>>) -> MethodRouter<Arc<Herder>> {
    methods.route_layer(from_fn(media::json_only))
}

fn media_component(methods: MethodRouter<Arc<Herder>>) -> MethodRouter<Arc<Herder>> {
    methods.route_layer(from_fn(media::component_only))
}

/// A path with and without a slash at its end: clients send both.
fn both_slashes(
    router: Routes,
    path: &str,
    methods: MethodRouter<Arc<Herder>>,
    media: fn(MethodRouter<Arc<Herder>>) -> MethodRouter<Arc<Herder>>,
) -> Routes {
    let methods = media(methods);
    match path {
        "/" => router.route("/", methods),
        path => router.route(path, methods.clone()).route(&format!("{path}/"), methods),
    }
}
