//! What the host provides. Outside of Wasm there is no host: its place is taken by [`crate::testing`].

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{log, offsets, pause, put_schema, request_commit, resume, rewind, schema};

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::wit::{
    log::log,
    schemas::{get as schema, put as put_schema},
    sink_context::{pause, request_commit, resume, rewind},
    source_context::offsets,
};
