//! The REST API: Kafka Connect's, and Hawser's own `/plugins`. Routes, request and error types; what a request does is the
//! herder's business.
//!
//! | rule | here |
//! |---|---|
//! | errors | `{"error_code": N, "message": "…"}`, N being the status ([`error`]) |
//! | bodies | JSON of at most [`MAX_JSON_BODY_BYTES`]; malformed JSON is 400 ([`extract`]) |
//! | a trailing slash | accepted everywhere ([`routes`]) |
//! | another `Content-Type` than JSON | 415 ([`media`]) |
//! | an `Accept` without JSON | 406 ([`media`]) |
//! | time | a request is answered within [`REQUEST_TIMEOUT`], an upload within [`UPLOAD_TIMEOUT`] |
//! | each request | counted for `/metrics` and logged, without its query ([`access`]) |
//! | connections, headers, slow clients | bounded ([`server`]) |
//! | before the worker has started | 503 ([`startup`]) |

pub mod error;
pub mod extract;
pub mod headers;
pub mod media;
pub mod routes;
pub mod server;
pub mod startup;
pub mod tls;

mod access;
mod admin;
mod connector_plugins;
mod connectors;
mod offsets;
pub mod openapi;
mod patience;
mod plugins;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use error::ApiError;
pub use headers::with_headers;
pub use routes::{admin_router, router, with_cors};
pub use server::serve;
pub use startup::Startup;
pub use tls::server_config;

/// Most bytes of a JSON body. A record of Kafka's config topic holds 1 MB.
pub const MAX_JSON_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Longest time without a byte of a body that is still to come.
pub const BODY_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time that a request may take: Kafka Connect's.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// Longest time that an upload may take: its transfer, and compiling the component.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
