//! Every path of the API.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::{ComponentsBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::openapi::{self, Document};
use super::{REQUEST_TIMEOUT, UPLOAD_TIMEOUT, access, admin, connector_plugins, connectors, media, offsets, plugins};
use crate::herder::Herder;

type Routes = Router<Arc<Herder>>;

/// The whole API over a herder; `/admin` may be served elsewhere.
pub fn router(herder: Arc<Herder>, with_admin: bool) -> Router {
    let (routes, document) = public(with_admin);
    finish(routes.layer(Extension(document)), herder)
}

/// `/admin` alone, for a listener of its own.
pub fn admin_router(herder: Arc<Herder>) -> Router {
    finish(admin_api().routes, herder)
}

fn finish(routes: Routes, herder: Arc<Herder>) -> Router {
    let routes = routes
        .fallback(media::not_found)
        .method_not_allowed_fallback(media::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&herder), access::note))
        .with_state(herder);
    // Around the whole router: a layer of its own would not see the `Allow` that it adds.
    Router::new().fallback_service(routes).layer(from_fn(media::well_formed_path)).layer(from_fn(media::tell_options))
}

/// The routes of a public listener, and what describes them.
pub(super) fn public(with_admin: bool) -> (Routes, Document) {
    let metrics = Api::of([routes!(admin::metrics)], REQUEST_TIMEOUT, |methods| methods);
    let api = api().merge(uploads()).merge(metrics);
    let api = if with_admin { api.merge(admin_api()) } else { api };
    let document = Document::of(&api.openapi);
    (api.routes, document)
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

fn api() -> Api {
    let all = [
        routes!(admin::server_info),
        routes!(admin::health),
        routes!(openapi::read),
        routes!(connectors::list, connectors::create),
        routes!(connectors::read, connectors::delete),
        routes!(connectors::config, connectors::put_config, connectors::patch_config),
        routes!(connectors::status),
        routes!(connectors::restart),
        routes!(connectors::pause),
        routes!(connectors::resume),
        routes!(connectors::stop),
        routes!(connectors::tasks),
        routes!(connectors::task_status),
        routes!(connectors::restart_task),
        routes!(connectors::topics),
        routes!(connectors::reset_topics),
        routes!(offsets::read, offsets::alter, offsets::reset),
        routes!(connector_plugins::list),
        routes!(connector_plugins::config),
        routes!(connector_plugins::validate),
        routes!(plugins::read),
        routes!(plugins::delete),
    ];
    Api::of(all, REQUEST_TIMEOUT, |methods| methods.route_layer(from_fn(media::json_only)))
}

fn admin_api() -> Api {
    let all = [routes!(admin::loggers), routes!(admin::logger, admin::set_logger)];
    Api::of(all, REQUEST_TIMEOUT, |methods| methods.route_layer(from_fn(media::json_only)))
}

fn uploads() -> Api {
    let list = Api::of([routes!(plugins::list)], UPLOAD_TIMEOUT, |methods| methods.route_layer(from_fn(media::json_only)));
    let upload = Api::of([routes!(plugins::upload)], UPLOAD_TIMEOUT, |methods| {
        methods.route_layer(from_fn(media::component_only)).layer(DefaultBodyLimit::disable())
    });
    list.merge(upload)
}

/// Routes with their description: nothing is served that is not described.
struct Api {
    routes: Routes,
    openapi: OpenApi,
}

impl Api {
    /// Serves each path with and without a slash at its end: clients send both.
    fn of(
        all: impl IntoIterator<Item = UtoipaMethodRouter<Arc<Herder>>>,
        limit: Duration,
        media: impl Fn(MethodRouter<Arc<Herder>>) -> MethodRouter<Arc<Herder>>,
    ) -> Api {
        let mut api = Api { routes: Router::new(), openapi: openapi::empty() };
        for (schemas, mut paths, methods) in all {
            openapi::name_operations(&mut paths);
            let methods = media(methods);
            for path in paths.paths.keys() {
                api.routes = api.routes.route(path, methods.clone());
                if path != "/" {
                    api.routes = api.routes.route(&format!("{path}/"), methods.clone());
                }
            }
            let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
            api.openapi.merge(OpenApiBuilder::new().paths(paths).components(Some(components)).build());
        }
        api.routes = api.routes.layer(from_fn(move |request, next| media::within(limit, request, next)));
        api
    }

    fn merge(mut self, other: Api) -> Api {
        self.openapi.merge(other.openapi);
        Api { routes: self.routes.merge(other.routes), openapi: self.openapi }
    }
}
