//! The engine: how code is compiled, where instances live, and the clock that interrupts them.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bindings::Everything;
use super::cache::{Cache, CheckedArtifact};
use super::compiler::Compiler;
use super::egress::{Network, Resolver, SystemResolver, link_headers, link_outgoing, link_sockets};
use super::limiter::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use super::requires::Runtime;
use super::state::HostState;
use super::turns::Turns;
use super::{CompileLimits, Component, Digest, InstanceLimits, LoadError, SandboxError, artifact, files, structure};

/// How often a guest that computes gives way to other tasks.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Frames of a guest's stack shown with a crash.
const BACKTRACE_FRAMES: usize = 20;
/// Components compiled at a time: compiling uses every core.
const COMPILERS: usize = 1;
/// Address space around the memory of an instance that is not of the pool: to grow into, and to catch what goes beyond.
const GROWTH_BYTES: u64 = 16 << 20;
const GUARD_BYTES: u64 = 64 << 10;
/// Core instances and tables that an average component needs, for the size of the pool.
const CORE_INSTANCES_PER_COMPONENT: u32 = 6;
const TABLES_PER_COMPONENT: u32 = 2;
/// Places in the pool that stay prepared for the component that used them last: each holds its initial memory, and a descriptor.
const WARM_SLOTS: u32 = 16;

/// How a sandbox works.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Folder of compiled components; made if missing, for the worker alone.
    pub cache_dir: PathBuf,
    /// Bytes of an upload at most.
    pub max_component_bytes: usize,
    /// The program that compiles uploads: this worker's own, which knows `compile`. `None`: they are compiled in this process,
    /// where no limit can end it.
    pub compiler: Option<PathBuf>,
    /// What compiling one upload may take.
    pub compile: CompileLimits,
    /// Instances at a time, all connectors together.
    pub max_instances: u32,
    /// What an instance may use that only describes itself or validates a configuration.
    pub limits: InstanceLimits,
    /// Where the memory of instances comes from.
    pub pooling: Pooling,
    /// Looks up the names that plugins connect to.
    pub resolver: Arc<dyn Resolver>,
    /// Certificates in PEM of authorities that HTTPS trusts besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Where the memory of instances comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// A pool reserved at start, where address space allows it; otherwise as [`Pooling::Off`].
    #[default]
    Auto,
    /// From the system, for each instance. Takes little address space; guests check each access to memory, which slows them.
    Off,
}

impl SandboxOptions {
    /// The defaults: uploads of 64 MiB, 4,096 instances.
    pub fn new(cache_dir: PathBuf) -> SandboxOptions {
        SandboxOptions {
            cache_dir,
            max_component_bytes: 64 << 20,
            compiler: None,
            compile: CompileLimits::default(),
            max_instances: 4096,
            limits: InstanceLimits::default(),
            pooling: Pooling::default(),
            resolver: Arc::new(SystemResolver::default()),
            ca_file: None,
        }
    }
}

/// One engine, what it offers to plugins, and its cache of compiled components.
pub struct Sandbox {
    shared: Arc<Shared>,
    compilers: Arc<Semaphore>,
    pooled: bool,
}

/// What components keep of their sandbox.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) linker: Linker<HostState>,
    pub(super) rooms: Arc<Semaphore>,
    pub(super) turns: Turns,
    pub(super) options: SandboxOptions,
    pub(super) network: Arc<Network>,
    cache: Cache,
}

impl Sandbox {
    /// Starts the engine and its ticker, and opens the cache.
    ///
    /// # Errors
    /// [`SandboxError`] when the engine does not start on this machine or the cache's folder cannot be used.
    pub fn new(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let (engine, pooled) = engine(&options).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        let cache = Cache::open(&options.cache_dir, &engine)?;
        let network = Network::new(options.resolver.clone(), options.ca_file.as_deref()).map_err(SandboxError::Certificates)?;
        let network = Arc::new(network);
        start_ticker(engine.weak()).map_err(|error| SandboxError::Engine(error.to_string()))?;
        let rooms = Arc::new(Semaphore::new(options.max_instances as usize));
        let shared = Arc::new(Shared { engine, linker, rooms, turns: Turns::new(), options, network, cache });
        Ok(Sandbox { shared, compilers: Arc::new(Semaphore::new(COMPILERS)), pooled })
    }

    /// Makes a component of an upload: from the cache, or by compiling it, which takes from milliseconds (Rust) to about ten
    /// seconds (JavaScript, Python) and is done for one upload at a time.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong with the upload.
    pub async fn load(&self, wasm: Bytes) -> Result<Arc<Component>, LoadError> {
        let limit = self.shared.options.max_component_bytes;
        if wasm.len() > limit {
            return Err(LoadError::TooLarge { size: wasm.len(), limit });
        }
        let (shared, bytes) = (self.shared.clone(), wasm.clone());
        let (digest, runtime, cached) = blocking(move || {
            let digest = Digest::of(&bytes);
            let cached = shared.cached(&digest);
            Ok((digest, Runtime::of(&bytes), cached))
        })
        .await?;
        let shared = self.shared.clone();
        if let Some(compiled) = cached {
            return Component::new(&shared, compiled, digest, runtime).map(Arc::new);
        }
        let upload = wasm.clone();
        blocking(move || check(&upload)).await?;
        let turn = self.compilers.clone().acquire_owned().await.map_err(|error| LoadError::Internal(error.to_string()))?;
        let artifact = self.compile(&digest, wasm).await?;
        drop(turn);
        blocking(move || {
            let artifact = CheckedArtifact::fresh(artifact);
            // What the pool has no room for: its memories, its tables, their sizes.
            let failed = |error: wasmtime::Error| LoadError::NotAComponent(format!("{error:#}"));
            let compiled = artifact::load(&shared.engine, &artifact).map_err(failed)?;
            let component = Component::new(&shared, compiled, digest, runtime)?;
            // What is no plugin is not kept.
            shared.keep(component.digest(), &artifact);
            Ok(Arc::new(component))
        })
        .await
    }

    async fn compile(&self, digest: &Digest, wasm: Bytes) -> Result<Vec<u8>, LoadError> {
        let (start, bytes) = (Instant::now(), wasm.len());
        let shared = &self.shared;
        let artifact = match &shared.options.compiler {
            Some(program) => {
                let compiler = Compiler::new(program, shared.options.compile.clone());
                compiler.compile(&shared.engine, self.pooled, &wasm).await?
            }
            None => {
                let engine = shared.engine.clone();
                let compile = move || engine.precompile_component(&wasm);
                blocking(move || compile().map_err(|error| LoadError::NotAComponent(format!("{error:#}")))).await?
            }
        };
        tracing::info!(%digest, bytes, compiled = artifact.len(), ms = start.elapsed().as_millis() as u64, "compiled a component");
        Ok(artifact)
    }

    /// Forgets the compiled form of an upload that is no longer needed. Components that were loaded go on.
    pub fn forget(&self, digest: &Digest) {
        self.shared.cache.remove(digest);
    }

    /// Instances alive now.
    pub fn instances(&self) -> usize {
        self.shared.options.max_instances as usize - self.shared.rooms.available_permits()
    }

    /// Most instances that may be alive at a time.
    pub fn max_instances(&self) -> usize {
        self.shared.options.max_instances as usize
    }

    /// Whether instances live in a pool; `false` where address space did not allow it.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }
}

impl Shared {
    fn cached(&self, digest: &Digest) -> Option<wasmtime::component::Component> {
        let artifact = self.cache.read(digest)?;
        match artifact::load(&self.engine, &artifact) {
            Ok(compiled) => Some(compiled),
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled plugin does not load; it is compiled again");
                None
            }
        }
    }

    fn keep(&self, digest: &Digest, artifact: &CheckedArtifact) {
        if let Err(error) = self.cache.write(digest, artifact.bytes()) {
            tracing::warn!(%digest, %error, "a compiled plugin cannot be kept; it is compiled again after a restart");
        }
    }
}

/// What can be known of an upload without compiling it.
fn check(wasm: &[u8]) -> Result<(), LoadError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(LoadError::NotAComponent("it does not begin like WebAssembly; upload the .wasm file itself".to_owned()));
    }
    if wasm.get(4..8) == Some(&[1, 0, 0, 0]) {
        let reason = "it is a core module; build it for wasm32-wasip2, or wrap it with `wasm-tools component new`";
        return Err(LoadError::NotAComponent(reason.to_owned()));
    }
    structure::check(wasm)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LoadError> + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(LoadError::Internal(error.to_string())))
}

fn engine(options: &SandboxOptions) -> wasmtime::Result<(Engine, bool)> {
    if options.pooling == Pooling::Auto {
        let mut pooled = config(true);
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
        match Engine::new(&pooled) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "no address space for a pool of instances; they are allocated one by one"
            ),
        }
    }
    Ok((Engine::new(&config(false))?, false))
}

/// How code is compiled: for instances of a pool, which itself is another matter, or without one.
pub(super) fn config(pooled: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.concurrency_support(false);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES));
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    if !pooled {
        config.memory_reservation(0);
        config.memory_reservation_for_growth(GROWTH_BYTES);
        config.memory_guard_size(GUARD_BYTES);
    }
    config
}

fn pool(options: &SandboxOptions) -> PoolingAllocationConfig {
    let instances = options.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT));
    pool.total_memories(instances);
    pool.total_tables(instances.saturating_mul(TABLES_PER_COMPONENT));
    pool.total_stacks(instances);
    pool.max_core_instances_per_component(MAX_CORE_INSTANCES);
    pool.max_memories_per_component(MAX_MEMORIES);
    pool.max_tables_per_component(MAX_TABLES);
    pool.max_memories_per_module(MAX_MEMORIES);
    pool.max_tables_per_module(MAX_TABLES);
    pool.table_elements(usize::try_from(options.limits.table_elements).unwrap_or(usize::MAX));
    pool.decommit_batch_size(16);
    pool.max_unused_warm_slots(WARM_SLOTS);
    pool
}

/// Everything that a component can import, the same for all: what an instance may do with it is in its [`HostState`].
fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    Everything::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    link_outgoing(&mut linker)?;
    link_headers(&mut linker)?;
    link_sockets(&mut linker)?;
    files::link(&mut linker)?;
    Ok(linker)
}

/// Advances the epoch until the engine is gone.
fn start_ticker(engine: EngineWeak) -> std::io::Result<()> {
    let ticker = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("epoch-ticker".to_owned()).spawn(ticker).map(drop)
}
