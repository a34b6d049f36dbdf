use std::time::Duration;

use super::limits::{BATCH_KEY, CPU_KEY, HOSTCALL_KEY, MEMORY_KEY, TABLE_KEY};
use super::{Call, WIT_VERSIONS};

const COMPILE_TIMEOUT_KEY: &str = "hawser.plugin.compile.timeout.ms";
const COMPILE_MEMORY_KEY: &str = "hawser.plugin.compile.memory.bytes";

/// The sandbox itself cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start here: {0}")]
    Engine(String),
    /// The certificates that HTTPS is to trust cannot be used.
    #[error("hawser.sandbox.http.ca.file: {0}")]
    Certificates(String),
    /// The cache's folder cannot be made or is not for the worker alone.
    #[error("{path}: {reason}; the worker keeps compiled plugins there, so the folder must be its own and writable")]
    Cache {
        /// The folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why an upload was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Over [`super::SandboxOptions::max_component_bytes`].
    #[error(
        "the component has {size} bytes, over this worker's limit of {limit}; strip debug information from it (`wasm-tools strip`), or raise the limit"
    )]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not WebAssembly, a core module, damaged, or not a plugin.
    #[error("not a component that this worker can run: {0}")]
    NotAComponent(String),
    /// More of something than a component needs that is not made to be hard to compile.
    #[error("the component has {found} {what}, over this worker's limit of {allowed}; split it into smaller plugins")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much of it.
        found: u64,
        /// How much is allowed.
        allowed: u64,
    },
    /// Over [`super::CompileLimits::timeout`].
    #[error("compiling the component took longer than {} ms; make it smaller, or raise {COMPILE_TIMEOUT_KEY} of the worker", .limit.as_millis())]
    TooSlow {
        /// What it was allowed.
        limit: Duration,
    },
    /// The compiler died of it.
    #[error(
        "compiling the component failed ({how}); it may take {allowed} bytes of memory: make it smaller, or raise {COMPILE_MEMORY_KEY} of the worker"
    )]
    Compiler {
        /// How it ended, and its last words.
        how: String,
        /// [`super::CompileLimits::memory_bytes`].
        allowed: u64,
    },
    /// Built against another version of `hawser:connect`.
    #[error("the component is built against hawser:connect {found}; this worker runs {}: build it against one of these", WIT_VERSIONS.join(", "))]
    WitVersion {
        /// Version that it is built against.
        found: String,
    },
    /// Imports what the worker does not offer.
    #[error("the component imports {}, which this worker does not offer; it offers hawser:connect {} and WASI 0.2 (cli, clocks, filesystem, http, io, random, sockets)", .0.join(", "), WIT_VERSIONS.join(", "))]
    UnknownImports(Vec<String>),
    /// An import or export has another shape than the interface.
    #[error("the component does not fit the interface that it names: {0}; build it against the released wit/ folder")]
    Mismatch(String),
    /// The worker failed while loading.
    #[error("the worker could not load the component: {0}")]
    Internal(String),
}

/// Why a call into a plugin failed.
///
/// Only after the first three is the instance as good as before; after all others its store is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin says that the outside world is in the way: make the same call again after a while.
    #[error("{0}")]
    Retriable(String),
    /// The plugin, or a grant, says that the configuration cannot work.
    #[error("{0}")]
    InvalidConfig(String),
    /// The plugin says that it cannot go on.
    #[error("{0}")]
    Fatal(String),
    /// The plugin crashed.
    #[error("the plugin crashed in {call}: {message}")]
    Trap {
        /// The call that it crashed in.
        call: Call,
        /// The trap, the plugin's last words on stderr, and the backtrace.
        message: String,
    },
    /// The call took too long on the clock.
    #[error("{call} took longer than {} ms; make it faster or raise {}{}", .limit.as_millis(), .call.timeout_key(), in_brackets(.refused))]
    Deadline {
        /// The call.
        call: Call,
        /// What it was allowed.
        limit: Duration,
        /// What it was refused before, and how to allow it.
        refused: Option<String>,
    },
    /// The call computed for too long.
    #[error("{call} computed for longer than {} ms; make it faster or raise {CPU_KEY}{}", .limit.as_millis(), in_brackets(.refused))]
    CpuDeadline {
        /// The call.
        call: Call,
        /// What it was allowed.
        limit: Duration,
        /// What it was refused before, and how to allow it.
        refused: Option<String>,
    },
    /// The instance asked for more than a limit of its own.
    #[error("{call} met a limit: {exceeded}")]
    Limit {
        /// The call that met it.
        call: Call,
        /// The limit.
        exceeded: Exceeded,
    },
    /// The answer breaks the rules of the interface.
    #[error("the answer of {call} breaks the interface: {reason}; this is a defect of the plugin")]
    BadAnswer {
        /// The call.
        call: Call,
        /// The rule that it breaks.
        reason: String,
    },
    /// The worker could not serve the plugin.
    #[error("the worker failed during {call}: {reason}")]
    Host {
        /// The call.
        call: Call,
        /// What happened.
        reason: String,
    },
    /// The instance ended with an earlier call.
    #[error("{call} was called on an instance that ended before; start a new one")]
    Ended {
        /// The call.
        call: Call,
    },
}

fn in_brackets(refused: &Option<String>) -> String {
    refused.as_ref().map(|refused| format!(" ({refused})")).unwrap_or_default()
}

impl CallError {
    /// The same error; a missed deadline says what the plugin was refused before, which may be why.
    pub(super) fn after(mut self, refusals: Option<String>) -> CallError {
        if let CallError::Deadline { refused, .. } | CallError::CpuDeadline { refused, .. } = &mut self {
            *refused = refusals;
        }
        self
    }

    /// Whether the instance is gone, so that a new one must be started.
    pub fn is_instance_dead(&self) -> bool {
        !matches!(self, CallError::Retriable(_) | CallError::InvalidConfig(_) | CallError::Fatal(_))
    }

    /// Whether the plugin broke down over what it was given, so that a single record may be at fault.
    pub fn is_crash(&self) -> bool {
        match self {
            CallError::Limit { exceeded: Exceeded::Instances, .. } | CallError::Host { .. } | CallError::Ended { .. } => false,
            _ => self.is_instance_dead(),
        }
    }

    /// What the dead letter queue calls it, where Kafka Connect has the class of an exception.
    pub fn exception(&self) -> &'static str {
        match self {
            CallError::Trap { .. } => "hawser.errors.PluginCrashed",
            CallError::Deadline { .. } | CallError::CpuDeadline { .. } => "hawser.errors.PluginTimedOut",
            CallError::Limit { .. } => "hawser.errors.PluginOverLimit",
            CallError::BadAnswer { .. } => "hawser.errors.PluginBrokeInterface",
            CallError::Retriable(_) => "org.apache.kafka.connect.errors.RetriableException",
            _ => "org.apache.kafka.connect.errors.ConnectException",
        }
    }

    /// Whether the same call may work later with the same arguments.
    pub fn is_retriable(&self) -> bool {
        matches!(self, CallError::Retriable(_))
    }
}

/// A limit that was met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// Linear memory.
    #[error("it asked for {asked} bytes of memory, {allowed} are allowed; let it hold less or raise {MEMORY_KEY}")]
    Memory {
        /// Bytes that it would have had.
        asked: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// Table elements.
    #[error("it asked for {asked} table elements, {allowed} are allowed; raise {TABLE_KEY}")]
    TableElements {
        /// Elements that it would have had.
        asked: u64,
        /// Elements allowed.
        allowed: u64,
    },
    /// Bytes handed to the host.
    #[error("it handed over more than {allowed} bytes; let it use smaller batches or raise {HOSTCALL_KEY}")]
    HostcallBytes {
        /// Bytes allowed.
        allowed: u64,
    },
    /// Records in an answer.
    #[error("it answered with {asked} records, {allowed} are allowed; let it use smaller batches or raise {BATCH_KEY}")]
    BatchRecords {
        /// Records in the answer.
        asked: u32,
        /// Records allowed.
        allowed: u32,
    },
    /// Handles of resources that it did not drop.
    #[error("it holds too many resources (files, streams, requests); let it drop those that it no longer needs")]
    Handles,
    /// Instances in the worker.
    #[error("this worker runs as many instances as it has room for; stop connectors or add workers")]
    Instances,
}
