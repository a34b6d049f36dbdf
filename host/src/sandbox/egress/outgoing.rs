//! Where `wasi:http` as wasmtime-wasi-http has it would let a guest fill the worker's memory: what takes its place is bounded.

use http_body_util::BodyExt;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HostOutgoingRequest as _, Method, OutgoingBody, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};

use crate::sandbox::state::HostState;

const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
const TYPES: &str = "wasi:http/types@0.2.12";
/// Bytes of a method's name.
const MAX_METHOD_BYTES: usize = 32;
/// Bytes of a request's authority: a name has 253 at most, and may be percent-encoded.
const MAX_AUTHORITY_BYTES: usize = 1 << 10;

type Request = Resource<HostOutgoingRequest>;
type Asked = (Request, Option<Resource<RequestOptions>>);
type Answer = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;
type Body = Result<Resource<OutgoingBody>, ()>;

/// Takes the place of what is linked already.
pub(in crate::sandbox) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(HANDLER)?.func_wrap("handle", handle)?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("[method]outgoing-request.body", body)?;
    types.func_wrap("[method]outgoing-request.set-method", set_method)?;
    types.func_wrap("[method]outgoing-request.set-authority", set_authority)?;
    // Plugins answer no requests: nobody would read what such a body holds.
    types.func_wrap(
        "[method]outgoing-response.body",
        |_: StoreContextMut<'_, HostState>, (_,): (Resource<HostOutgoingResponse>,)| Ok((Body::Err(()),)),
    )
}

/// A request's options go with the request; otherwise they would stay in the instance's table, which is full after some thousand.
fn handle(mut store: StoreContextMut<'_, HostState>, (request, options): Asked) -> wasmtime::Result<(Answer,)> {
    let mut http = store.data_mut().http();
    let lent = options.as_ref().map(|options| Resource::new_borrow(options.rep()));
    let handled = http.handle(request, lent);
    if let Some(options) = options {
        http.table.delete(options)?;
    }
    match handled {
        Ok(future) => Ok((Ok(future),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// A body holds a place of its instance until it has been sent or dropped: what is written to it waits in memory.
fn body(mut store: StoreContextMut<'_, HostState>, (request,): (Request,)) -> wasmtime::Result<(Body,)> {
    let state = store.data_mut();
    let Some(place) = state.body_place() else { return Ok((Err(()),)) };
    let mut http = state.http();
    let made = http.body(Resource::new_borrow(request.rep()))?;
    if made.is_ok() {
        let request = http.table.get_mut(&request)?;
        request.body = request.body.take().map(|body| {
            let held = body.map_frame(move |frame| {
                let _ = &place;
                frame
            });
            held.boxed_unsync()
        });
    }
    Ok((made,))
}

fn set_method(
    mut store: StoreContextMut<'_, HostState>,
    (request, method): (Request, Method),
) -> wasmtime::Result<(Result<(), ()>,)> {
    match &method {
        Method::Other(name) if name.len() > MAX_METHOD_BYTES => Ok((Err(()),)),
        _ => Ok((store.data_mut().http().set_method(request, method)?,)),
    }
}

fn set_authority(
    mut store: StoreContextMut<'_, HostState>,
    (request, authority): (Request, Option<String>),
) -> wasmtime::Result<(Result<(), ()>,)> {
    match &authority {
        Some(text) if text.len() > MAX_AUTHORITY_BYTES => Ok((Err(()),)),
        _ => Ok((store.data_mut().http().set_authority(request, authority)?,)),
    }
}
