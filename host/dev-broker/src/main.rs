//! The development broker as a process of its own: `hawser-dev-broker [--port PORT] [--data-dir DIR]`.
//!
//! Prints `bootstrap.servers=127.0.0.1:PORT` once it serves, and stops on Ctrl-C.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: hawser-dev-broker [--port PORT] [--data-dir DIR]";

fn parse(mut args: impl Iterator<Item = String>) -> Result<DevBrokerConfig, String> {
    let mut config = DevBrokerConfig::default();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value; {USAGE}"))?;
        match arg.as_str() {
            "--port" => config.port = value.parse().map_err(|_| format!("{value:?} is not a port; {USAGE}"))?,
            "--data-dir" => config.data_dir = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {arg}; {USAGE}")),
        }
    }
    Ok(config)
}

async fn run(config: DevBrokerConfig) -> Result<(), String> {
    let broker = DevBroker::start(config).await.map_err(|e| e.to_string())?;
    let said = writeln!(std::io::stdout(), "bootstrap.servers={}", broker.bootstrap());
    said.map_err(|e| format!("cannot write to stdout: {e}"))?;
    tokio::signal::ctrl_c().await.map_err(|e| format!("cannot wait for Ctrl-C: {e}"))?;
    broker.shutdown().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let config = parse(std::env::args().skip(1));
    match match config {
        Ok(config) => run(config).await,
        Err(e) => Err(e),
    } {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::FAILURE
        }
    }
}
