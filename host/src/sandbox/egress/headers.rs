//! How much of headers and paths an instance may hold behind its handles: each set of them is small, but there may be thousands.

use http::HeaderMap;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::HeaderError as Refused;
use wasmtime_wasi_http::p2::bindings::http::types::{self, HeaderError, HostFields, HostOutgoingRequest as _};
use wasmtime_wasi_http::p2::body::HostFutureTrailers;
use wasmtime_wasi_http::p2::types::{HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView, WasiHttpView};

use super::outgoing::{Exchange, TYPES};
use crate::sandbox::InstanceLimits;
use crate::sandbox::state::HostState;

/// Bytes of headers and paths that an instance may hold, besides those of its requests under way.
const MAX_HEADERS_HELD: usize = 16 << 20;
/// What a request under way, or its response, holds of them at most: a path or what is read ahead, and a set of headers.
pub(super) const UNDER_WAY_BYTES: usize = 96 << 10;
/// Memory for a header besides its name and value.
const HEADER_OVERHEAD: usize = 64;

/// Takes the place of what is linked already.
pub(in crate::sandbox) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    type Headers = Resource<FieldMap>;
    types.func_wrap("[method]fields.append", |store, (headers, name, value): (Headers, String, Vec<u8>)| {
        let bytes = name.len() + value.len();
        change(store, headers.rep(), bytes, |http| http.append(headers, name, value))
    })?;
    types.func_wrap("[method]fields.set", |store, (headers, name, values): (Headers, String, Vec<Vec<u8>>)| {
        let bytes = name.len() + values.iter().map(Vec::len).sum::<usize>();
        change(store, headers.rep(), bytes, |http| http.set(headers, name, values))
    })?;
    types.func_wrap("[static]fields.from-list", |store, (list,): (Vec<(String, Vec<u8>)>,)| {
        let bytes = list.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD).sum();
        change(store, u32::MAX, bytes, |http| http.from_list(list))
    })?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", set_path)
}

/// What an instance holds of headers, and may hold.
pub(in crate::sandbox) struct HeaderRoom {
    /// Bytes that it holds at most; counted anew when they seem to be too many.
    held: usize,
    most: usize,
}

impl HeaderRoom {
    pub(in crate::sandbox) fn new(limits: &InstanceLimits) -> HeaderRoom {
        let under_way = limits.connections as usize * UNDER_WAY_BYTES * 2;
        HeaderRoom { held: 0, most: MAX_HEADERS_HELD.saturating_add(under_way) }
    }
}

/// Makes room for more bytes of headers.
pub(super) fn reserve(state: &mut HostState, bytes: usize) -> wasmtime::Result<()> {
    state.headers.held = state.headers.held.saturating_add(bytes);
    if state.headers.held <= state.headers.most {
        return Ok(());
    }
    let held = held(state.ctx().table).saturating_add(bytes);
    state.headers.held = held;
    let most = state.headers.most;
    if held > most {
        state.refusals.note(&format!(
            "it holds over {most} bytes of headers and paths of requests; let it drop those that it no longer needs"
        ));
        return Err(ResourceTableError::Full.into());
    }
    Ok(())
}

/// Bytes of all headers and paths behind the handles of an instance.
fn held(table: &mut ResourceTable) -> usize {
    let entries = table.iter_mut().map(|entry| {
        if let Some(headers) = entry.downcast_ref::<FieldMap>() {
            size(headers)
        } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
            size(&request.headers) + request.path_with_query.as_ref().map_or(0, String::len)
        } else if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
            size(&response.headers)
        } else if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
            size(&response.headers)
        } else if let Some(response) = entry.downcast_ref::<Exchange>() {
            if response.is_taken() { 0 } else { UNDER_WAY_BYTES }
        } else if entry.is::<HostFutureTrailers>() {
            UNDER_WAY_BYTES
        } else {
            0
        }
    });
    entries.sum()
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}

/// A change of a set of headers; the set may be shared, and is copied then.
fn change<T>(
    mut store: StoreContextMut<'_, HostState>,
    headers: u32,
    bytes: usize,
    change: impl FnOnce(&mut WasiHttpCtxView<'_>) -> Result<T, Refused>,
) -> wasmtime::Result<(Result<T, HeaderError>,)> {
    let state = store.data_mut();
    let before = state.ctx().table.get(&Resource::<FieldMap>::new_borrow(headers)).map_or(0, |headers| size(headers));
    reserve(state, before + bytes)?;
    let mut http = state.http();
    match change(&mut http) {
        Ok(changed) => Ok((Ok(changed),)),
        Err(error) => Ok((Err(types::Host::convert_header_error(&mut http, error)?),)),
    }
}

fn set_path(
    mut store: StoreContextMut<'_, HostState>,
    (request, path): (Resource<HostOutgoingRequest>, Option<String>),
) -> wasmtime::Result<(Result<(), ()>,)> {
    let state = store.data_mut();
    reserve(state, path.as_ref().map_or(0, String::len))?;
    Ok((state.http().set_path_with_query(request, path)?,))
}
