//! The `hawser` command.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Parser, Subcommand, ValueEnum};
use hawser::config::parse_override;
use hawser::herder::loggers::Loggers;
use hawser::logging;
use hawser::sandbox::{CompileOrder, compile_upload};
use hawser::worker::{Options, Worker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

/// Time for threads that still run when the worker has stopped.
const LAST_THREADS: Duration = Duration::from_secs(5);

/// What a process ends with when it could not start: as Kafka Connect does.
const FAILED: u8 = 3;

/// Runs Kafka connectors and transforms that are WebAssembly components.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a worker until it is told to stop (SIGTERM, SIGINT).
    Serve(Serve),
    /// What the worker runs to compile an upload.
    #[command(hide = true)]
    Compile(CompileOrder),
}

#[derive(Args)]
struct Serve {
    /// For development: with an embedded broker, on this machine alone; connectors are granted what they ask for.
    #[arg(long, conflicts_with = "config", required_unless_present = "config")]
    dev: bool,

    /// Properties of the worker, as for Kafka Connect: distributed with `group.id`, else on its own.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Address of the REST API; port 0 is any free port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Folder of all state.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Overrides a key of the worker's properties.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_override)]
    overrides: Vec<(String, String)>,

    /// Form of the log on stderr.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,

    /// Level of the log: off, error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: LevelFilter,

    /// Connectors to start with: JSON or properties files.
    connectors: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let serve = match Cli::parse().command {
        Command::Serve(serve) => serve,
        Command::Compile(order) => return ExitCode::from(compile_upload(&order)),
    };
    match start_log(serve.log_format, serve.log_level).and_then(|loggers| run(serve, loggers)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("Hawser does not run: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Logs to stderr; the levels can be changed while the worker runs.
fn start_log(format: LogFormat, level: LevelFilter) -> Result<Arc<Loggers>> {
    let format = match format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    };
    let handle = logging::start(format, level).context("the log cannot be started")?;
    Ok(Arc::new(Loggers::new(level, move |targets| {
        if let Err(error) = handle.reload(targets) {
            tracing::error!(%error, "The log level is not changed.");
        }
    })))
}

/// Raises the limit of open files to what the system allows at most: a Kafka client holds about a dozen, and the usual limit of 1,024 would
/// be met by less than a hundred connectors.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "The limit of open files stays at {:?}.", limit.current);
    }
}

fn run(serve: Serve, loggers: Arc<Loggers>) -> Result<()> {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve_until_told(serve, loggers));
    runtime.shutdown_timeout(LAST_THREADS);
    ended
}

/// This very program, even if another version lies at its path by now.
fn own_program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { Ok(std::env::current_exe()?) }
}

async fn serve_until_told(serve: Serve, loggers: Arc<Loggers>) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let options = Options {
        dev: serve.dev,
        config: serve.config,
        listen: serve.listen,
        data_dir: serve.data_dir,
        overrides: serve.overrides,
        connectors: serve.connectors,
        compiler: Some(own_program()?),
    };
    let worker = tokio::select! {
        worker = Worker::start(options, loggers) => worker?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "Hawser listens on {}", worker.url);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("Hawser stops.");
    tokio::select! {
        () = worker.stop() => Ok(()),
        _ = terminate.recv() => Err(anyhow!("told again to stop before it had stopped")),
        _ = interrupt.recv() => Err(anyhow!("told again to stop before it had stopped")),
    }
}
