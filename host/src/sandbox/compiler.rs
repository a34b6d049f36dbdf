//! Compiling an upload in a process of its own: a compiler cannot be interrupted, and what a stranger's code makes it use must
//! come back. The worker runs its own program again (`hawser compile`), which limits itself, reads the component from its
//! standard input and writes the machine code to its standard output; the worker alone writes to the cache.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, Signal, setpriority_process, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use wasmtime::{Engine, OutOfMemory};

use super::LoadError;
use super::cache::compatibility;
use super::engine::config;

/// Machine code of one component at most: eight times the largest upload; it has about three times the bytes of its upload.
const MAX_ARTIFACT_BYTES: u64 = 512 << 20;
/// Bytes of what the compiler says that are kept.
const MAX_MESSAGE_BYTES: u64 = 4 << 10;
/// How the compiler says that the upload is no good (as `EX_DATAERR`), that it cannot work here (`EX_SOFTWARE`), or that its
/// memory does not suffice (`EX_OSERR`), where it does not simply die of that.
const BAD_UPLOAD: u8 = 65;
const CANNOT_WORK: u8 = 70;
const NO_MEMORY: u8 = 71;
/// Plugins that run come before one that is uploaded.
const NICENESS: i32 = 5;
/// Files that the compiler may have open: its standard streams, and what its runtime needs.
const MAX_FILES: u64 = 32;

/// What compiling one upload may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileLimits {
    /// Time on the clock, and as much on processors, all threads together.
    pub timeout: Duration,
    /// Bytes of address space.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    /// Five minutes, 4 GiB: an interpreter of 20 MiB takes about ten seconds and 1 GiB.
    fn default() -> Self {
        CompileLimits { timeout: Duration::from_secs(300), memory_bytes: 4 << 30 }
    }
}

/// What `hawser compile` is told on its command line.
#[derive(Debug, Clone, clap::Args)]
pub struct CompileOrder {
    /// For instances of a pool.
    #[arg(long)]
    pooled: bool,
    /// The number of the engine that will run the code.
    #[arg(long)]
    engine: u64,
    /// Seconds on processors.
    #[arg(long)]
    cpu_seconds: u64,
    /// Bytes of address space.
    #[arg(long)]
    memory_bytes: u64,
    /// Bytes of the component.
    #[arg(long)]
    bytes: u64,
}

/// The compiler's own side: compiles standard input to standard output within its limits, and answers the exit code.
pub fn compile_upload(order: &CompileOrder) -> u8 {
    match compile(order) {
        Ok(()) => 0,
        Err((code, message)) => {
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "{message}");
            code
        }
    }
}

fn compile(order: &CompileOrder) -> Result<(), (u8, String)> {
    restrict(order).map_err(io_failed)?;
    let mut wasm = Vec::new();
    io::stdin().take(order.bytes).read_to_end(&mut wasm).map_err(io_failed)?;
    let failed = |error: &wasmtime::Error, code| (if error.is::<OutOfMemory>() { NO_MEMORY } else { code }, format!("{error:#}"));
    let engine = Engine::new(&config(order.pooled)).map_err(|error| failed(&error, CANNOT_WORK))?;
    if compatibility(&engine) != order.engine {
        return Err((CANNOT_WORK, "the compiler is of another version than the worker".to_owned()));
    }
    let artifact = engine.precompile_component(&wasm).map_err(|error| failed(&error, BAD_UPLOAD))?;
    io::stdout().write_all(&artifact).map_err(io_failed)
}

fn io_failed(error: io::Error) -> (u8, String) {
    (if error.kind() == io::ErrorKind::OutOfMemory { NO_MEMORY } else { CANNOT_WORK }, error.to_string())
}

/// From here on this process can write no file, and ends when it takes too much.
fn restrict(order: &CompileOrder) -> io::Result<()> {
    let limits = [
        (Resource::Cpu, order.cpu_seconds),
        (Resource::As, order.memory_bytes),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, MAX_FILES),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    // Already lower on some machines, which is as well.
    let _ = setpriority_process(None, NICENESS);
    Ok(())
}

/// The worker's side.
#[derive(Debug, Clone)]
pub(super) struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
}

impl Compiler {
    pub(super) fn new(program: &Path, limits: CompileLimits) -> Compiler {
        Compiler { program: program.to_owned(), limits }
    }

    /// The machine code of a component. The compiler ends with this future, however that ends.
    ///
    /// # Errors
    /// [`LoadError::TooSlow`] at the deadline, [`LoadError::Compiler`] when the compiler died, [`LoadError::NotAComponent`]
    /// when it refused.
    pub(super) async fn compile(&self, engine: &Engine, pooled: bool, wasm: &Bytes) -> Result<Vec<u8>, LoadError> {
        let limits = &self.limits;
        let mut child = self.spawn(engine, pooled, wasm.len()).map_err(|error| {
            LoadError::Internal(format!("the compiler {} cannot be started: {error}", self.program.display()))
        })?;
        match tokio::time::timeout(limits.timeout, converse(&mut child, wasm)).await {
            Err(_) => {
                child.kill().await.map_err(internal)?;
                Err(LoadError::TooSlow { limit: limits.timeout })
            }
            Ok(ended) => {
                let (status, artifact, message) = ended.map_err(internal)?;
                self.judge(status, artifact, message)
            }
        }
    }

    fn spawn(&self, engine: &Engine, pooled: bool, bytes: usize) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("compile");
        if pooled {
            command.arg("--pooled");
        }
        let seconds = self.limits.timeout.as_secs().max(1);
        for (option, value) in [
            ("--engine", compatibility(engine)),
            ("--cpu-seconds", seconds),
            ("--memory-bytes", self.limits.memory_bytes),
            ("--bytes", bytes as u64),
        ] {
            command.arg(option).arg(value.to_string());
        }
        // The worker's environment may hold secrets.
        command.env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    fn judge(&self, status: ExitStatus, artifact: Vec<u8>, message: String) -> Result<Vec<u8>, LoadError> {
        let message = message.trim().to_owned();
        match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
            (Some(0), _) if artifact.len() as u64 >= MAX_ARTIFACT_BYTES => {
                Err(LoadError::Internal(format!("its machine code has over {MAX_ARTIFACT_BYTES} bytes")))
            }
            (Some(0), _) => Ok(artifact),
            (Some(BAD_UPLOAD), _) => Err(LoadError::NotAComponent(message)),
            (Some(CANNOT_WORK), _) => Err(LoadError::Internal(message)),
            (_, Some(signal)) if signal == Signal::XCPU.as_raw() || signal == Signal::KILL.as_raw() => {
                Err(LoadError::TooSlow { limit: self.limits.timeout })
            }
            _ => {
                let last = message.lines().next_back().unwrap_or_default();
                Err(LoadError::Compiler { how: format!("{status}: {last}"), allowed: self.limits.memory_bytes })
            }
        }
    }
}

fn internal(error: io::Error) -> LoadError {
    LoadError::Internal(format!("the compiler cannot be talked to: {error}"))
}

/// Feeds the compiler, and takes all that it writes until it ends.
async fn converse(child: &mut Child, wasm: &[u8]) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A compiler that ended early says why by its exit code.
            let _ = stdin.write_all(wasm).await;
        }
    };
    let artifact = async {
        let mut artifact = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_ARTIFACT_BYTES).read_to_end(&mut artifact).await?;
        }
        io::Result::Ok(artifact)
    };
    let message = async {
        let mut message = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(MAX_MESSAGE_BYTES).read_to_end(&mut message).await?;
            // Whatever else it says is not kept, but must not hold it up.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        io::Result::Ok(String::from_utf8_lossy(&message).into_owned())
    };
    let ((), artifact, message) = tokio::join!(feed, artifact, message);
    Ok((child.wait().await?, artifact?, message?))
}
