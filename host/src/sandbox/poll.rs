//! `wasi:io/poll` with a bound on its list: an entry costs a plugin four bytes, and the worker a look at it that nothing interrupts.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Error, Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::Host;

use super::state::{HostState, MAX_HANDLES};

/// The interface, as `wasmtime-wasi` links it.
const POLL: &str = "wasi:io/poll@0.2.12";

/// Takes the place of what is linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> Result<()> {
    linker.instance(POLL)?.func_wrap_async("poll", |store, (list,): (Vec<Resource<DynPollable>>,)| Box::new(poll(store, list)))
}

async fn poll(mut store: StoreContextMut<'_, HostState>, list: Vec<Resource<DynPollable>>) -> Result<(Vec<u32>,)> {
    if list.len() > MAX_HANDLES {
        return Err(Error::msg(format!("wasi:io/poll: the list is over {MAX_HANDLES} entries long; name each but once")));
    }
    Ok((Host::poll(store.data_mut().ctx().table, list).await?,))
}
