//! What the host keeps for one instance, and what the instance is given.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::record::SchemaTable;

use super::egress::{Egress, Gate, HeaderRoom, Network, Refusals, Sockets, check_sockets};
use super::files::Listings;
use super::limiter::Limiter;
use super::log::{LogStream, PluginLog, Stream};
use super::requests::Collector;
use super::{CallError, Grants, InstanceEnv, OffsetReader};

/// Streams, files and requests that one instance may hold at a time.
pub(super) const MAX_HANDLES: usize = 2048;
/// Bytes of the headers of one HTTP request or response, as they are held in memory.
const MAX_HEADER_BYTES: usize = 32 << 10;
/// Random bytes that one call may ask for.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// The data of a store.
pub(super) struct HostState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    gate: Gate,
    pub(super) sockets: Arc<Sockets>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) has_directories: bool,
    pub(super) listings: Listings,
    pub(super) headers: HeaderRoom,
    pub(super) limiter: Limiter,
    pub(super) log: Arc<PluginLog>,
    pub(super) schemas: Arc<SchemaTable>,
    pub(super) schema_bytes: usize,
    pub(super) offsets: Option<Arc<dyn OffsetReader>>,
    pub(super) requests: Collector,
    failure: Option<String>,
    _room: OwnedSemaphorePermit,
}

impl HostState {
    /// # Errors
    /// [`CallError::InvalidConfig`] when a granted directory cannot be opened.
    pub(super) fn new(
        env: &InstanceEnv,
        network: &Arc<Network>,
        offsets: Option<Arc<dyn OffsetReader>>,
        room: OwnedSemaphorePermit,
    ) -> Result<HostState, CallError> {
        let log = Arc::new(PluginLog::new(env.connector.clone(), env.task, &env.limits));
        let refusals = Arc::new(Refusals::new(log.clone()));
        let egress = Egress::new(network.clone(), refusals.clone());
        let sockets = Arc::new(Sockets::new(egress.clone(), &env.grants, env.limits.connections as usize));
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADER_BYTES);
        Ok(HostState {
            wasi: wasi(&env.grants, &log, &sockets)?,
            http,
            table,
            gate: Gate::new(egress, &env.grants, &env.limits),
            sockets,
            refusals,
            has_directories: !env.grants.files.is_empty(),
            listings: Listings::default(),
            headers: HeaderRoom::new(&env.limits),
            limiter: Limiter::new(&env.limits),
            log,
            schemas: env.schemas.clone(),
            schema_bytes: 0,
            offsets,
            requests: Collector::default(),
            failure: None,
            _room: room,
        })
    }

    /// Forgets what was refused and said in earlier calls, so that it does not explain a crash that it has nothing to do with.
    pub(super) fn begin_call(&mut self) {
        self.refusals.take();
        self.limiter.take_refused();
        self.log.forget_last_words();
    }

    /// What requests are made with, and where what comes of them is kept.
    pub(super) fn requests_out(&mut self) -> (&Gate, &mut ResourceTable) {
        (&self.gate, &mut self.table)
    }

    /// A place for the body of a request, if the instance does not hold too many.
    pub(super) fn body_place(&self) -> Option<OwnedSemaphorePermit> {
        self.gate.body_place()
    }

    /// Remembers that the host, not the guest, is why the call fails.
    pub(super) fn fail(&mut self, reason: String) -> wasmtime::Error {
        let error = wasmtime::Error::msg(reason.clone());
        self.failure = Some(reason);
        error
    }

    pub(super) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}

/// Clocks and randomness, standard streams that end in the log, the granted directories and variables, and sockets under the
/// check of [`Sockets`]. There are no arguments, and names are looked up by [`Sockets`] alone.
fn wasi(grants: &Grants, log: &Arc<PluginLog>, sockets: &Arc<Sockets>) -> Result<WasiCtx, CallError> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(LogStream::new(log.clone(), Stream::Stdout));
    wasi.stderr(LogStream::new(log.clone(), Stream::Stderr));
    wasi.max_random_size(MAX_RANDOM_BYTES);
    wasi.allow_tcp(true).allow_udp(true).socket_addr_check(check_sockets(sockets.clone()));
    for name in &grants.env {
        if let Ok(value) = std::env::var(name) {
            wasi.env(name, &value);
        }
    }
    for grant in &grants.files {
        let perms = if grant.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        let path = grant.path.to_string_lossy();
        wasi.preopened_dir(&grant.path, &path, perms).map_err(|error| {
            CallError::InvalidConfig(format!(
                "sandbox.files: the directory {path} cannot be opened: {error}; create it or correct the key"
            ))
        })?;
    }
    Ok(wasi.build())
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.gate, table: &mut self.table, ctx: &mut self.http }
    }
}
