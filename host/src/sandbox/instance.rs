//! An instance and its store: how calls are made, and how they end.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ResourceAny, ResourceTableError};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline, WasmBacktrace};

use super::bindings::host::types;
use super::call::watch;
use super::engine::Shared;
use super::lane::Lane;
use super::log::cut;
use super::state::{HostState, MAX_HANDLES};
use super::{Call, CallError, Exceeded, InstanceEnv, InstanceLimits, OffsetReader, Usage};

/// Bytes of a plugin's message, or of a trap's, that are kept.
const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// How the engine says that a guest handed over more than its hostcall fuel; the error's type is private.
const HOSTCALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";
/// How it says that a guest holds more than its handles.
const HANDLES: &str = "store handle limit exceeded";

/// A store that is fit for calls. [`Live::run`] takes it and gives it back only after a call that ended well, so that nothing
/// can call into a store after a trap, a missed deadline or a cancelled call.
pub(super) struct Live {
    store: Store<HostState>,
    limits: InstanceLimits,
    lane: Lane,
    cpu: Duration,
    longest_call_cpu: Duration,
    calls: u64,
}

/// The exports of an instance do not have the types of the interface.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Mismatch(pub(super) String);

/// The instance could not be made, for reasons that are not its own unless it trapped.
#[derive(Debug, thiserror::Error)]
#[error("the instance cannot be made")]
pub(super) struct NotMade;

impl Live {
    pub(super) fn new(
        shared: &Shared,
        lane: &Lane,
        env: &InstanceEnv,
        offsets: Option<Arc<dyn OffsetReader>>,
        call: Call,
    ) -> Result<Box<Live>, CallError> {
        let room = shared.rooms.clone().try_acquire_owned();
        let room = room.map_err(|_| CallError::Limit { call, exceeded: Exceeded::Instances })?;
        let mut store = Store::new(&shared.engine, HostState::new(env, &shared.network, offsets, room)?);
        store.limiter(|state| &mut state.limiter);
        // Tokio's own yield lets timers and sockets be looked at before the guest goes on; waking at once would not.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store.set_hostcall_fuel(usize::try_from(env.limits.hostcall_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(MAX_HANDLES);
        Ok(Box::new(Live {
            store,
            limits: env.limits.clone(),
            lane: lane.clone(),
            cpu: Duration::ZERO,
            longest_call_cpu: Duration::ZERO,
            calls: 0,
        }))
    }

    /// Makes a call under its deadlines.
    ///
    /// # Errors
    /// Why the call did not end well; the store is gone.
    pub(super) async fn run<T>(
        mut self: Box<Self>,
        call: Call,
        work: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<(Box<Self>, T), CallError> {
        self.calls += 1;
        self.store.set_epoch_deadline(1);
        self.store.data_mut().begin_call();
        let Live { store, limits, lane, cpu, longest_call_cpu, .. } = &mut *self;
        let before = *cpu;
        let watched = watch(call, limits, cpu, lane, work(store)).await;
        let answer = watched.map_err(|error| error.after(store.data_mut().refusals.take()))?;
        *longest_call_cpu = (*longest_call_cpu).max(cpu.saturating_sub(before));
        match answer {
            Ok(answer) => Ok((self, answer)),
            Err(error) => Err(self.explain(call, &error)),
        }
    }

    /// What the plugin answered instead of a result, with what it was refused during the call.
    pub(super) fn plugin_error(&mut self, error: types::Error) -> CallError {
        let refused = self.store.data_mut().refusals.take();
        let message = |text: String| match &refused {
            Some(refused) => format!("{} ({refused})", cut(&text, MAX_MESSAGE_BYTES)),
            None => cut(&text, MAX_MESSAGE_BYTES).to_owned(),
        };
        match error {
            types::Error::Retriable(text) => CallError::Retriable(message(text)),
            types::Error::InvalidConfig(text) => CallError::InvalidConfig(message(text)),
            types::Error::Fatal(text) => CallError::Fatal(message(text)),
        }
    }

    pub(super) fn limits(&self) -> &InstanceLimits {
        &self.limits
    }

    pub(super) fn state(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.store.data();
        Usage {
            memory_bytes: state.limiter.memory,
            table_elements: state.limiter.elements,
            cpu: self.cpu,
            longest_call_cpu: self.longest_call_cpu,
            calls: self.calls,
            log_lines_dropped: state.log.dropped(),
        }
    }

    fn explain(mut self: Box<Self>, call: Call, error: &wasmtime::Error) -> CallError {
        let allowed = self.limits.hostcall_bytes;
        let state = self.store.data_mut();
        if let Some(reason) = state.take_failure() {
            return CallError::Host { call, reason };
        }
        if let Some(Mismatch(reason)) = error.downcast_ref() {
            return CallError::BadAnswer { call, reason: reason.clone() };
        }
        let root = error.root_cause().to_string();
        let exceeded = if error.is::<PoolConcurrencyLimitError>() {
            Some(Exceeded::Instances)
        } else if let Some(refused) = state.limiter.take_refused() {
            Some(refused)
        } else if root.contains(HOSTCALL_FUEL) {
            Some(Exceeded::HostcallBytes { allowed })
        } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) || root.contains(HANDLES) {
            Some(Exceeded::Handles)
        } else {
            None
        };
        match exceeded {
            Some(exceeded) => CallError::Limit { call, exceeded },
            None if error.is::<NotMade>() && !error.is::<Trap>() => CallError::Host { call, reason: format!("{error:#}") },
            None => CallError::Trap { call, message: crash_report(&root, error, state) },
        }
    }
}

/// What crashed, in the order in which people read it: the trap, what the plugin wrote about it, what it was refused, where.
fn crash_report(root: &str, error: &wasmtime::Error, state: &mut HostState) -> String {
    let mut report = root.to_owned();
    let last_words = state.log.take_last_words();
    if !last_words.is_empty() {
        report += &format!("; the plugin wrote:\n{last_words}");
    }
    if let Some(refused) = state.refusals.take() {
        report += &format!("\n{refused}");
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        report += &format!("\n{backtrace}");
    }
    cut(&report, MAX_MESSAGE_BYTES).to_owned()
}

/// A task or chain in an instance of its own, `G` being the interface through which it is called.
pub(super) struct Instance<G> {
    live: Option<Box<Live>>,
    guest: G,
    handle: ResourceAny,
    usage: Usage,
}

impl<G> Instance<G> {
    pub(super) fn new(live: Box<Live>, guest: G, handle: ResourceAny) -> Instance<G> {
        let usage = live.usage();
        Instance { live: Some(live), guest, handle, usage }
    }

    /// Makes a call; `check` looks at the answer before anyone else does.
    ///
    /// # Errors
    /// Why it failed. The instance is dead unless it is the plugin's own error.
    pub(super) async fn call<A, T>(
        &mut self,
        call: Call,
        work: impl AsyncFnOnce(&G, &mut Store<HostState>, ResourceAny) -> wasmtime::Result<Result<A, types::Error>>,
        check: impl FnOnce(A, &mut Live) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let live = self.live.take().ok_or(CallError::Ended { call })?;
        let (guest, handle) = (&self.guest, self.handle);
        let (mut live, answer) = live.run(call, async |store| work(guest, store, handle).await).await?;
        self.usage = live.usage();
        let answer = match answer {
            Ok(answer) => check(answer, &mut live)?,
            Err(error) => {
                let error = live.plugin_error(error);
                self.live = Some(live);
                return Err(error);
            }
        };
        self.live = Some(live);
        Ok(answer)
    }

    pub(super) fn live(&mut self) -> Option<&mut Live> {
        self.live.as_deref_mut()
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }
}
