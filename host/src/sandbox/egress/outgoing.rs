//! `wasi:http/outgoing-handler` as wasmtime-wasi-http has it, except that a request's options go with the request: there they stay in the
//! instance's table, which is full after some thousand requests.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};

use crate::sandbox::state::HostState;

const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

type Asked = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
type Answer = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

/// Takes the place of what is linked already.
pub(in crate::sandbox) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(HANDLER)?.func_wrap("handle", |mut store: StoreContextMut<'_, HostState>, (request, options): Asked| {
        let mut http = store.data_mut().http();
        let lent = options.as_ref().map(|options| Resource::new_borrow(options.rep()));
        let handled = http.handle(request, lent);
        if let Some(options) = options {
            http.table.delete(options)?;
        }
        let answer: Answer = match handled {
            Ok(future) => Ok(future),
            Err(error) => Err(error.downcast()?),
        };
        Ok((answer,))
    })
}
